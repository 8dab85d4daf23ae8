import { isAppError, manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { insertMember } from '../access/index.ts';
import { openSession, proveEmployment, revokePrincipal, sweepEmployment, type MintDeps } from '../identity/index.ts';
import { knownAtConnection } from '../identity/testing/known-at.ts';
import { mintToken } from '../identity/token-mint.ts';
import { type Enrolled, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import type { ShownGrant } from './contract.ts';
import { listGrants, productionGrantsHeld, tendBrokenGlass, unreviewedBreakGlass } from './index.ts';
import { markReviewed } from './judging.ts';
import { privilegedAccessRoutes } from './routes.ts';
import { askAccess } from './service.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
// In full seconds: ends are, too.
const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
let house: SeededIssuer;
let deps: MintDeps;
let enrolled: Enrolled;
/** Two operators, as their tokens say who they are. */
let first: Caller;
let second: Caller;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  deps = { ...house.deps, revocations: [productionGrantsHeld(house.deps)] };
  enrolled = await house.enrol('operator', 'operator');
  first = await house.callerOf(enrolled.cookie);
});
afterAll(() => house?.stop());

/** As the issuer's floor calls a handler; the passkey's check is tested where it is made. */
async function call<Body = { grant: ShownGrant }>(
  name: string,
  caller: Caller,
  asked: { readonly body?: object; readonly id?: string } = {},
): Promise<Body> {
  const { id } = asked;
  const given = {
    requestId: uuidV4(systemRandom),
    caller,
    params: id === undefined ? {} : { grantId: id },
    body: asked.body ?? {},
    ids: id === undefined ? {} : { 'params.grantId': await rowIdOf(id) },
    stepUp: async () => ({ assertionHash: 'assertion', credentialId: 'credential' }),
  };
  const handlers = privilegedAccessRoutes(house.deps).handlers;
  return ((await handlers[name]!(given as never)) as { body: Body }).body;
}

async function rowIdOf(shown: string): Promise<Uuid> {
  const rows = await house.rows<{ id: Uuid }>('select id from identity.production_grant');
  return rows.find(({ id }) => house.deps.formatId('pgr', first.tenant, id) === shown)!.id;
}

const grantOf = ({ tenant, personId }: Caller) => deps.productionOf(tenant, personId);
const WANTED = { reason: 'A tenant cannot sign in', ticket: 'T-100', scopes: ['tenants'], minutes: 60 };
const ask = async (who: Caller, change: object = {}) =>
  (await call('ask', who, { body: { ...WANTED, ...change } })).grant;
const confirm = async (who: Caller, { id }: ShownGrant) => (await call('confirm', who, { id })).grant;
const end = async (who: Caller, { id }: ShownGrant) => (await call('end', who, { id })).grant;
const breakGlass = async (who: Caller) =>
  (await call('breakGlass', who, { body: { reason: 'The house is on fire', ticket: null } })).grant;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: unknown) => (isAppError(error) ? error.code : String(error)),
  );
const entriesOf = async (type: string) =>
  (await house.audited(type)).map(({ leaf }) => leaf as { public: Record<string, unknown>; actor: string[] });

const mint = () =>
  ({
    cookie: enrolled.cookie,
    door: 'edge',
    destination: 'workspace',
    routeClass: 'read',
    operation: 'tenants.list',
  }) as const;

describe('production access of the only operator', () => {
  it('P1 is nothing before it is asked for', async () => {
    expect(await grantOf(first)).toBeUndefined();
  });

  it('P4 is given on their own passkey, and says that nobody else vouched', async () => {
    expect((await call<{ vouching: string }>('list', first)).vouching).toBe('nobody');
    const given = await ask(first);
    expect(given).toMatchObject({
      state: 'live',
      vouched: 'nobody',
      confirmedBy: null,
      own: true,
      reason: WANTED.reason,
    });
    expect(Date.parse(given.endsAt!) - clock.nowMs()).toBe(HOUR_MS);
    const [entry] = await entriesOf('production-access.granted');
    expect(entry!.public).toMatchObject({ vouched: 'nobody', scopes: 'tenants', minutes: 60 });
  });

  it('P1 stands in their token with its scopes and its end, which the token does not outlive', async () => {
    const facts = async () => (await house.callerOf(enrolled.cookie)).production;
    const ends_ms = clock.nowMs() + HOUR_MS;
    expect(await facts()).toMatchObject({ scopes: ['tenants'], endsAtMs: ends_ms });
    // In steps: a session that is not used is over.
    for (let step = 0; step < 3; step += 1) {
      clock.advance(20 * MINUTE_MS - (step === 2 ? 5_000 : 0));
      expect(await facts()).toBeDefined();
    }
    expect((await mintToken(deps, mint(), 'r1')).expiresAt).toBe(ends_ms);
    clock.advance(4_500);
    expect(await facts(), 'half a second is worth no token').toBeUndefined();
    clock.advance(500);
    expect(await facts()).toBeUndefined();
    expect((await mintToken(deps, mint(), 'r2')).expiresAt).toBe(clock.nowMs() + 30_000);
  });

  it('P6 names itself in the entries of what is done with it', async () => {
    const given = await ask(first, { scopes: ['tenants', 'keys'] });
    const before = (await house.audited('production-access.asked')).at(-1)!.leaf;
    expect(before).not.toHaveProperty('grant');
    const holding = await house.callerOf(enrolled.cookie);
    const again = await ask(holding);
    const entry = (await house.audited('production-access.asked')).at(-1)!.leaf;
    expect(entry).toMatchObject({ grant: await rowIdOf(given.id), session: first.sessionId });
    await end(first, again);
  });

  it('P3 keeps why it was asked for under seal', async () => {
    const rows = JSON.stringify(await house.rows('select * from identity.production_grant'));
    expect(rows).not.toContain('cannot sign in');
    expect(rows).not.toContain('T-100');
  });

  it('P5 cannot break the glass alone', async () => {
    const asked = await breakGlass(first);
    expect(asked).toMatchObject({
      state: 'waiting',
      scopes: ['tenants', 'deletions', 'keys', 'attempts'],
      minutes: 60,
    });
    expect(await codeOf(confirm(first, asked))).toBe('production_same_person');
    expect(await grantOf(first)).toBeUndefined();
    await end(first, asked);
  });
});

describe('production access between two operators', () => {
  beforeAll(async () => {
    second = await house.callerOf((await house.enrol('operator', 'operator')).cookie);
  });

  it('P4 waits for the other one, whose passkey vouches for the person', async () => {
    const asked = await ask(first);
    expect(asked).toMatchObject({ state: 'waiting', vouched: null, endsAt: null });
    expect((await entriesOf('production-access.asked')).at(-1)!.public).toMatchObject({ state: 'waiting' });
    expect(await grantOf(first)).toBeUndefined();
    clock.advance(5 * MINUTE_MS);
    const given = await confirm(second, asked);
    expect(given).toMatchObject({
      state: 'live',
      vouched: 'operator',
      confirmedBy: expect.stringMatching(/operator/i),
    });
    expect(Date.parse(given.endsAt!)).toBe(clock.nowMs() + HOUR_MS);
    expect(await grantOf(first)).toBeDefined();
    expect(await grantOf(second), 'it is of one person').toBeUndefined();
    await end(second, given);
    expect(await grantOf(first)).toBeUndefined();
    expect(await codeOf(end(second, given))).toBe('production_request_settled');
  });

  it('P2 ends at the mint four hours after the other one has vouched; more time takes their passkey again', async () => {
    const { token: cookie } = await house.deps.tenant.transaction(first.tenant, (tx) =>
      openSession(house.deps, tx, { memberId: first.personId, door: 'edge', method: 'passkey' }),
    );
    const asked = await ask(first, { minutes: 240 });
    clock.advance(10 * MINUTE_MS);
    const given = await confirm(second, asked);
    const vouched_ms = clock.nowMs();
    expect(given).toMatchObject({ provedAt: iso(vouched_ms), endsAt: iso(vouched_ms + 4 * HOUR_MS) });
    const covered = async () => (await house.callerOf(cookie)).production?.endsAtMs;
    // In steps: a session that is not used is over.
    for (let step = 0; step < 9; step += 1) {
      expect(await covered()).toBe(vouched_ms + 4 * HOUR_MS);
      clock.advance(25 * MINUTE_MS);
    }
    const more = await ask(first, { minutes: 240 });
    expect(more, 'a request is no proof').toMatchObject({ state: 'waiting', endsAt: null });
    expect(await covered()).toBe(vouched_ms + 4 * HOUR_MS);
    clock.advance(15 * MINUTE_MS);
    expect(clock.nowMs()).toBe(vouched_ms + 4 * HOUR_MS);
    expect(await covered()).toBeUndefined();
  });

  it('P4 is not given when somebody else would vouch than was shown and approved', async () => {
    const who = {
      caller: first,
      requestId: 'ask',
      stepUp: { assertionHash: 'assertion', credentialId: 'credential' },
      approved: { 'vouched for by': 'nobody else: there is no other operator here who could' },
    };
    const wanted = { kind: 'grant', reason: 'x', ticket: null, scopes: ['keys'], minutes: 60 } as const;
    expect(await codeOf(askAccess(house.deps, who, wanted))).toBe('step_up_refused');
    expect(await grantOf(first)).toBeUndefined();
  });

  it('P4 is confirmed once, by two who press at the same moment', async () => {
    const asked = await breakGlass(first);
    const answers = await Promise.all([codeOf(confirm(second, asked)), codeOf(confirm(second, asked))]);
    expect(answers.sort()).toEqual(['done', 'production_request_settled']);
    expect(await entriesOf('production-access.glass-broken')).toHaveLength(1);
    await end(first, asked);
  });

  it('P5 is not confirmed after a quarter of an hour', async () => {
    const asked = await breakGlass(first);
    clock.advance(15 * MINUTE_MS);
    expect(await codeOf(confirm(second, asked))).toBe('production_request_settled');
    const listed = await call<{ grants: ShownGrant[] }>('list', second);
    const shown = listed.grants.find(({ id }) => id === asked.id);
    expect(shown).toMatchObject({ state: 'unanswered', mayConfirm: false });
    await end(first, await breakGlass(first));
    const later = await call<{ grants: ShownGrant[] }>('list', second);
    const still = later.grants.find(({ id }) => id === asked.id);
    expect(still, 'a later request does not change what became of it').toEqual(shown);
  });

  it('P5 is confirmed in the last second', async () => {
    const asked = await breakGlass(first);
    clock.advance(15 * MINUTE_MS - 1000);
    const given = await confirm(second, asked);
    expect(Date.parse(given.endsAt!)).toBe(clock.nowMs() + HOUR_MS);
    expect((await grantOf(first))!.scopes).toHaveLength(4);
  });

  it('P5 is judged afterwards by neither of the two', async () => {
    const broken = (await unreviewedBreakGlass(house.deps, first.tenant)).at(-1)!;
    for (const who of [first, second]) {
      const judging = { caller: who, requestId: 'r' };
      const review = markReviewed(house.deps, judging, { id: broken.id, outcome: 'justified' });
      expect(await codeOf(review)).toBe('production_review_refused');
    }
    const rows = (text: string) => house.rows(text, [broken.id]);
    const by = (column: string) =>
      rows(
        `update identity.production_grant set reviewed_at = now(), review = 'justified', reviewed_by = ${column} where id = $1`,
      );
    await expect(by('member_id')).rejects.toThrow(/production_reviewed/);
    await expect(by('confirmed_by')).rejects.toThrow(/production_reviewed/);
  });

  it('P7 ends with everything else of somebody who leaves; what they asked for is not confirmed, and they confirm nothing', async () => {
    const [caller, other] = [first, second];
    const live = await rowsOpen(caller.personId);
    expect(live).toHaveLength(1);
    const asked = await breakGlass(second);
    const by = { actor: { service: 'issuer' } } as const;
    const effects = await revokePrincipal(deps, caller.tenant, {
      memberId: caller.personId,
      cause: 'administrator',
      by,
    });
    expect(effects.find(({ holder }) => holder === 'production-access')).toMatchObject({ ended: 1 });
    expect(await rowsOpen(caller.personId)).toEqual([]);
    expect(await deps.productionOf(caller.tenant, caller.personId)).toBeUndefined();
    expect(await codeOf(call('confirm', caller, { id: asked.id }))).toBe('operation_refused');
    await call('end', other, { id: asked.id });
    await house.rows('alter table identity.member disable trigger user');
    await house.rows("update identity.member set state = 'active' where id = $1", [caller.personId]);
    await house.rows('alter table identity.member enable trigger user');
  });

  const rowsOpen = (personId: Uuid) =>
    house.rows('select id from identity.production_grant where member_id = $1 and ended_at is null and ends_at > $2', [
      personId,
      new Date(clock.nowMs()),
    ]);

  it('P7 is confirmed for nobody who operates no more', async () => {
    const asked = await breakGlass(second);
    const { personId } = second;
    const set = async (state: string) => {
      await house.rows('alter table identity.member disable trigger user');
      await house.rows('update identity.member set state = $2 where id = $1', [personId, state]);
      await house.rows('alter table identity.member enable trigger user');
    };
    const other = { ...second, personId: first.personId };
    await set('suspended');
    expect(await codeOf(call('confirm', other, { id: asked.id }))).toBe('operation_refused');
    await set('active');
    await call('end', other, { id: asked.id });
  });
});

describe('production access of somebody whom a provider knows', () => {
  let known: Caller;
  const prove = () => proveEmployment(house.deps, known.tenant, { memberId: known.personId, source: 'scim' });
  const askKnown = async (minutes: number) => (await call('ask', known, { body: { ...WANTED, minutes } })).grant;
  beforeAll(async () => {
    known = second;
    await knownAtConnection(house, known.tenant, known.personId);
    await prove();
  });

  it('P2 begins at once on its word, and ends four hours after it at the latest', async () => {
    const proved_ms = clock.nowMs();
    clock.advance(HOUR_MS);
    expect(await askKnown(60)).toMatchObject({
      state: 'live',
      vouched: 'provider',
      endsAt: iso(proved_ms + 2 * HOUR_MS),
    });
    expect(await askKnown(240)).toMatchObject({ endsAt: iso(proved_ms + 4 * HOUR_MS) });
    clock.advance(2 * HOUR_MS);
    const last = await askKnown(240);
    expect(last).toMatchObject({ provedAt: iso(proved_ms), endsAt: iso(proved_ms + 4 * HOUR_MS) });
    clock.advance(HOUR_MS - 30_000);
    expect(await codeOf(askKnown(15)), 'no extension past the proof').toBe('production_proof_old');
  });

  it('P2 ends when nobody vouches any more', async () => {
    clock.advance(-10 * MINUTE_MS);
    await prove();
    await askKnown(240);
    clock.advance(4 * HOUR_MS);
    await sweepEmployment(deps, 'sweep');
    expect(await deps.productionOf(known.tenant, known.personId)).toBeUndefined();
    await prove();
    expect(
      await deps.productionOf(known.tenant, known.personId),
      'a new word brings back no old grant',
    ).toBeUndefined();
  });

  it('P2 cannot be made longer in the table, by whoever writes there', async () => {
    await prove();
    const given = await askKnown(60);
    const id = await rowIdOf(given.id);
    const set = (what: string) => house.rows(`update identity.production_grant set ${what} where id = $1`, [id]);
    await expect(set("ends_at = ends_at + interval '1 second'")).rejects.toThrow(/production_ends/);
    await expect(set("minutes = 240, ends_at = proved_at + interval '241 minutes'")).rejects.toThrow(/production_ends/);
    await expect(set("scopes = '{everything}'")).rejects.toThrow(/production_scopes/);
    await expect(set('confirmed_by = member_id')).rejects.toThrow(/check constraint/);
    await expect(set("scopes = '{tenants,keys}'"), 'without an entry').rejects.toThrow();
    const bypass = async (what: string) => {
      await house.rows('alter table identity.production_grant disable trigger user');
      await house.rows('alter table identity.production_grant drop constraint production_ends');
      await set(what);
    };
    await bypass("ends_at = ends_at + interval '30 days'");
    const { endsAtMs } = (await deps.productionOf(known.tenant, known.personId))!;
    expect(endsAtMs, 'worked out anew for each token').toBe(Date.parse(given.startsAt!) + HOUR_MS);
  });

  it('is listed for other rooms, the newest first', async () => {
    const rows = await listGrants(house.deps, known.tenant, { limit: 2 });
    expect(rows).toHaveLength(2);
    expect(rows[0]!.asked_at.getTime()).toBeGreaterThanOrEqual(rows[1]!.asked_at.getTime());
  });
});

describe('glass that nobody has judged', () => {
  const DAY_MS = 24 * HOUR_MS;
  let third: Caller;
  const judge = (who: Caller, id: Uuid, outcome: 'justified' | 'not-justified' = 'justified') =>
    markReviewed(house.deps, { caller: who, requestId: 'judge' }, { id, outcome });
  const told = (id: Uuid) =>
    house
      .audited('production-access.glass-unjudged')
      .then((all) => all.filter(({ resource_id }) => resource_id === id));

  beforeAll(async () => {
    third = { ...first, personId: await anotherOperator() };
    // Of earlier tests.
    for (const { id } of await unreviewedBreakGlass(house.deps, first.tenant)) await judge(third, id);
  });

  /** As if they had enrolled: a row is all that is asked of whoever judges. */
  async function anotherOperator(): Promise<Uuid> {
    const id = uuidV4(systemRandom);
    const { tenant: context } = first;
    const label = await house.deps.sealer.seal({ context, field: 'identity.member.label', rowId: id, value: 'Third' });
    await house.deps.tenant.transaction(context, async (tx) => {
      const row = { id, role: 'operator', state: 'active', label, created_at: new Date(clock.nowMs()) } as const;
      await tx.query(insertMember(context.tenantId, row));
      const entry = { type: 'member.created', actor: { service: 'issuer' }, outcome: 'allowed' } as const;
      await house.deps.recordAudit(tx, {
        ...entry,
        resource: ['member', id],
        requestId: 'r',
        public: { role: row.role },
      });
    });
    return id;
  }

  it('P8 pages once when a week is over, and neither of the two breaks the glass again until somebody judges', async () => {
    const begun = await confirm(second, await breakGlass(first));
    expect(begun.judgeBy).toBe(iso(Date.parse(begun.startsAt!) + 7 * DAY_MS));
    const id = await rowIdOf(begun.id);
    const { tenant } = first;
    clock.advance(7 * DAY_MS - 1000);
    await tendBrokenGlass(house.deps, tenant);
    expect(await told(id)).toEqual([]);
    // To the second: until then both may.
    await end(second, await breakGlass(second));
    const waiting = await breakGlass(third);
    clock.advance(1000);
    await Promise.all([tendBrokenGlass(house.deps, tenant), tendBrokenGlass(house.deps, tenant)]);
    await tendBrokenGlass(house.deps, tenant);
    const entries = await told(id);
    expect(entries).toMatchObject([{ outcome: 'failed', leaf: { public: { member: first.personId } } }]);
    for (const who of [first, second]) {
      expect(await codeOf(breakGlass(who)), 'asks').toBe('production_glass_unjudged');
      expect(await codeOf(confirm(who, waiting)), 'lets in').toBe('production_glass_unjudged');
    }
    expect(await grantOf(third)).toBeUndefined();
    // The work goes on: what is not an emergency is asked for as ever.
    expect(await codeOf(ask(third).then((asked) => confirm(second, asked)))).toBe('done');
    for (const who of [first, second]) expect(await codeOf(judge(who, id))).toBe('production_review_refused');
    await judge(third, id, 'not-justified');
    const again = await breakGlass(first);
    expect((await confirm(second, again)).state).toBe('live');
    await judge(third, await rowIdOf(again.id));
  });

  it('P8 is told of by no issuer that comes when it is judged already', async () => {
    const begun = await confirm(second, await breakGlass(first));
    const id = await rowIdOf(begun.id);
    await judge(third, id);
    clock.advance(8 * DAY_MS);
    await tendBrokenGlass(house.deps, first.tenant);
    expect(await told(id)).toEqual([]);
  });
});

const iso = (ms: number) => new Date(ms).toISOString();
