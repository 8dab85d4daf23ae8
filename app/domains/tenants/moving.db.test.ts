import { AppError, manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asSuperuser } from '../../platform/audit/testing.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { certificateDigest } from './certificate.ts';
import { proposeDeletion } from './deletion.ts';
import { MOVE_EVENTS, MOVE_MACHINE, MOVE_STATES, OPEN_STATES } from './move-states.ts';
import { runOpenMoves, type MoveRunDeps } from './move-run.ts';
import * as moving from './moving.ts';
import type { MovingDeps } from './moving.ts';
import { openTenant, type OpeningDeps } from './opening.ts';
import type { MoveReport, Placer } from './placer.ts';
import { createTenant } from './service.ts';
import { startSeededIssuer, type SeededIssuer } from './testing/seeded-issuer.ts';

const clock = manualClock(Date.now());
const withCode = (code: string) => expect.objectContaining({ code });
const SOUTH = { kind: 'database', region: 'south' } as const;
const REPORT: MoveReport = { proof: { 'app.dek': { rows: 2, sha256: 'a'.repeat(64) } }, frozenMs: 120 };

let house: SeededIssuer;
let operator: Caller;
let lead: Caller;
/** What a test has the set-up process answer, and what it was asked. */
let answer: () => Promise<MoveReport>;
let asked: Parameters<Placer['move']>[0][];
let settled: unknown[];
let deps: OpeningDeps & MovingDeps & MoveRunDeps;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  operator = await house.callerOf((await house.enrol('operator', 'operator')).cookie);
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
  const placer: Placer = {
    regions: () => [
      { name: 'north', isHome: true },
      { name: 'south', isHome: false },
    ],
    settle: (tenantId, place) => (settled.push({ tenantId, ...place }), Promise.resolve()),
    move: (order) => (asked.push(order), answer()),
  };
  deps = { ...house.deps, newTenants: 'customer', placer, newRequestId: () => uuidV4(systemRandom) };
});
afterAll(() => house?.stop());
beforeEach(() => {
  asked = [];
  settled = [];
  answer = () => Promise.resolve(REPORT);
});

const asks = (caller: Caller) => ({ caller, requestId: uuidV4(systemRandom) });

async function tenant(slug: string, tier: 'standard' | 'enterprise' = 'enterprise') {
  const made = await createTenant(deps, { slug, displayName: slug, kind: 'customer', tier }, uuidV4(systemRandom));
  return made.tenant.context.tenantId;
}

const request = (slug: string, place: { kind: 'shared' | 'schema' | 'database'; region: string } = SOUTH) =>
  moving.requestMove(deps, asks(operator), { slug, place });
const moveOf = async (slug: string) =>
  (await moving.listMoves(deps, operator)).find(({ subject }) => subject.slug === slug)!.row;
const entriesOf = async (type: string) =>
  (await house.rows(`select tenant_id, leaf from audit.entry where type = $1 order by id`, [type])) as {
    tenant_id: string;
    leaf: Buffer;
  }[];

describe('asking for a move', () => {
  it('it waits, then is carried out, proven, and told in both logs with the digest of the proof', async () => {
    const id = await tenant('mover');
    const { row } = await request('mover');
    expect(row).toMatchObject({ state: 'requested', from_kind: 'shared', from_region: 'north', to_region: 'south' });
    expect(await runOpenMoves(deps)).toBe(1);
    expect(asked).toEqual([{ moveId: row.id, tenantId: id, place: SOUTH }]);
    expect(await moveOf('mover')).toMatchObject({ state: 'done', frozen_ms: 120, proof: REPORT.proof, failure: null });
    const told = (await entriesOf('tenant.moved')).map(({ tenant_id, leaf }) => ({
      tenant_id,
      facts: (JSON.parse(leaf.toString('utf8')) as { public: unknown }).public,
    }));
    const facts = expect.objectContaining({
      from: 'shared/north',
      to: 'database/south',
      rows: 2,
      frozenMs: 120,
      proofSha256: certificateDigest(REPORT.proof),
    });
    expect(told).toEqual([
      { tenant_id: id, facts },
      { tenant_id: operator.tenant.tenantId, facts },
    ]);
    expect(await runOpenMoves(deps)).toBe(0);
  });

  it.each([
    ['operator', SOUTH, 'move_refused'],
    ['canary-a', SOUTH, 'move_refused'],
    ['harbour', SOUTH, 'place_refused'],
    ['lakeside', { kind: 'shared', region: 'north' }, 'move_refused'],
    ['lakeside', { kind: 'database', region: 'west' }, 'place_unknown'],
    ['lakeside', { kind: 'schema', region: 'south' }, 'place_unknown'],
    ['nobody', SOUTH, 'not_found'],
  ] as const)('%s to %o is refused with %s', async (slug, place, code) => {
    await expect(request(slug, place)).rejects.toThrow(withCode(code));
  });

  it('two moves at once, a move beside a deletion and one by somebody without the right are refused', async () => {
    await tenant('busy');
    await request('busy');
    await expect(request('busy', { kind: 'schema', region: 'north' })).rejects.toThrow(withCode('move_open'));
    await runOpenMoves(deps);
    await tenant('doomed');
    await proposeDeletion({ ...house.deps, delayMs: 1 }, asks(operator), 'doomed');
    await expect(request('doomed')).rejects.toThrow(withCode('deletion_open'));
    await tenant('wished');
    const foreign = moving.requestMove(deps, asks({ ...operator, personId: lead.personId }), {
      slug: 'wished',
      place: SOUTH,
    });
    await expect(foreign).rejects.toThrow(withCode('operation_refused'));
  });

  it('by the database as well: no second open move of a tenant, and nothing is done without its proof', async () => {
    await tenant('guarded');
    const { row } = await request('guarded');
    const second = asSuperuser(
      house.database,
      `insert into app.tenant_move (tenant_id, id, subject_id, state, from_kind, from_region, to_kind, to_region, requested_by, requested_at)
       select tenant_id, gen_random_uuid(), subject_id, 'requested', 'shared', 'north', 'schema', 'north', requested_by, now()
       from app.tenant_move where id = $1`,
      [row.id],
    );
    await expect(second).rejects.toThrow(/tenant_move_one_open/);
    const unproven = asSuperuser(
      house.database,
      `update app.tenant_move set state = 'done', ended_at = now() where id = $1`,
      [row.id],
    );
    await expect(unproven).rejects.toThrow(/move_proven/);
    await runOpenMoves(deps);
  });
});

describe('the end of a move', () => {
  it('what stops it is told, recorded as failed, and the next move has its turn', async () => {
    await tenant('unlucky');
    await tenant('lucky');
    await request('unlucky');
    clock.advance(1); // the older one has its turn first
    await request('lucky');
    answer = () =>
      asked.length === 1
        ? Promise.reject(new AppError('relocation_failed', 'app.dek: 1 of 2 rows arrived'))
        : Promise.resolve(REPORT);
    expect(await runOpenMoves(deps)).toBe(2);
    expect(await moveOf('unlucky')).toMatchObject({
      state: 'failed',
      failure: 'app.dek: 1 of 2 rows arrived',
      proof: null,
    });
    expect((await moveOf('lucky')).state).toBe('done');
    expect((await entriesOf('tenant.move-failed')).length).toBe(1);
    expect((await request('unlucky')).row.state).toBe('requested');
    await runOpenMoves(deps);
  });

  it('cancelled before its turn it never begins; cancelled under way it ends as soon as the run has stopped', async () => {
    await tenant('hesitant');
    const waiting = await request('hesitant');
    expect((await moving.cancelMove(deps, asks(operator), waiting.row.id)).row.state).toBe('cancelled');
    expect(await runOpenMoves(deps)).toBe(0);
    const { row } = await request('hesitant');
    answer = async () => {
      expect((await moving.cancelMove(deps, asks(operator), row.id)).row.state).toBe('cancelling');
      throw new AppError('move_stopped', 'somebody cancelled');
    };
    await runOpenMoves(deps);
    expect(await moveOf('hesitant')).toMatchObject({ state: 'cancelled', failure: null });
    await expect(moving.cancelMove(deps, asks(operator), row.id)).rejects.toThrow(withCode('move_refused'));
  });

  it('cancelled too late it is done, and what a crash cut off is taken up again', async () => {
    await tenant('late');
    const { row } = await request('late');
    answer = async () => {
      await moving.cancelMove(deps, asks(operator), row.id);
      return REPORT;
    };
    await runOpenMoves(deps);
    expect((await moveOf('late')).state).toBe('done');
    await tenant('crashed');
    const cut = await request('crashed');
    await house.rows(`select 1`);
    answer = () => new Promise(() => undefined);
    void runOpenMoves(deps);
    await expect.poll(async () => (await moveOf('crashed')).state).toBe('moving');
    answer = () => Promise.resolve(REPORT);
    asked = [];
    await runOpenMoves(deps);
    expect(asked.map(({ moveId }) => moveId)).toEqual([cut.row.id]);
    expect((await moveOf('crashed')).state).toBe('done');
  });

  it('every event in every state has an answer, and only ended moves have none that leads on', () => {
    for (const state of MOVE_STATES) {
      const outcomes = MOVE_EVENTS.map((event) => MOVE_MACHINE[state][event]);
      expect(outcomes.every((outcome) => 'to' in outcome || outcome.refused.length > 0)).toBe(true);
      expect(outcomes.some((outcome) => 'to' in outcome)).toBe(OPEN_STATES.has(state));
    }
  });
});

describe('opening an organisation', () => {
  const opening = {
    slug: 'quay',
    name: 'Quay Lane',
    tier: 'enterprise',
    place: SOUTH,
    leadLabel: 'First lead',
  } as const;

  it('its place is made before anything is stored, and its first lead gets one link', async () => {
    const opened = await openTenant(deps, asks(operator), opening);
    expect(opened.enrolmentPath).toMatch(/^\/app\/enrol#[\w-]{43}$/);
    expect(settled).toEqual([{ tenantId: expect.any(String), ...SOUTH }]);
    const people = await house.rows(
      `select m.role, m.state from identity.member m join platform.tenant t on t.id = m.tenant_id where t.slug = 'quay'`,
    );
    expect(people).toEqual([{ role: 'lead', state: 'invited' }]);
    expect((await entriesOf('tenant.opened')).at(-1)?.tenant_id).toBe(operator.tenant.tenantId);
  });

  it('cut off before its lead was there it goes on, and with a lead the short name is taken', async () => {
    await tenant('halfway');
    const again = { ...opening, slug: 'halfway' };
    expect((await openTenant(deps, asks(operator), again)).enrolmentPath).toMatch(/^\/app\/enrol#/);
    await expect(openTenant(deps, asks(operator), again)).rejects.toThrow(withCode('tenant_slug_taken'));
  });

  it('a taken short name and a place that its tier has not are refused, with nothing made', async () => {
    await expect(openTenant(deps, asks(operator), { ...opening, slug: 'harbour' })).rejects.toThrow(
      withCode('tenant_slug_taken'),
    );
    const cheap = { ...opening, slug: 'pier', tier: 'standard' } as const;
    await expect(openTenant(deps, asks(operator), cheap)).rejects.toThrow(withCode('place_refused'));
    expect(settled).toEqual([]);
    expect(await house.rows(`select 1 from platform.tenant where slug = 'pier'`)).toEqual([]);
  });
});
