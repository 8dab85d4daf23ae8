import { createHash } from 'node:crypto';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EDGE_ROUTES } from '../../bin/rooms.ts';
import type { Caller, Handler, Role } from '../../platform/http/handler.ts';
import { loadRoutePolicy } from '../access/index.ts';
import { apiAccessRoutes, apiKeysHeld } from '../api-access/index.ts';
import { programGrants } from '../authorisation-server/index.ts';
import { insertMember } from '../access/index.ts';
import { openSession } from '../identity/index.ts';
import { mintToken } from '../identity/token-mint.ts';
import { type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { REVIEW_DAYS, type GivenDecision, type ReviewItem } from './contract.ts';
import type { AccessReviewDeps } from './deps.ts';
import { accessReviewCanary, accessReviewRoutes, sessionOperations, tendAccessReviews } from './index.ts';
import { OPENED_AFTER_DAYS } from './opening.ts';

const DAY_MS = 86_400_000;
const clock = manualClock(Date.now());
const failures: unknown[] = [];
let house: SeededIssuer;
let deps: AccessReviewDeps;
let lead: Caller;
let handlers: Readonly<Record<string, Handler<never>>>;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  const files = globSync(join(import.meta.dirname, '../*/policy.cedar')).sort();
  const policy = loadRoutePolicy(files);
  deps = {
    ...house.deps,
    revocations: [apiKeysHeld(house.deps), programGrants(house.deps)],
    judge: { policy, operations: sessionOperations(EDGE_ROUTES) },
    policyHash: policy.hash,
  };
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
  handlers = accessReviewRoutes({ ...deps, onFailure: (error) => failures.push(error) }).handlers;
});
afterAll(() => house?.stop());

const given = (caller: Caller, asked: object) => ({
  requestId: uuidV4(systemRandom),
  caller,
  params: {},
  ids: {},
  stepUp: async () => ({ assertionHash: 'assertion', credentialId: 'credential' }),
  ...asked,
});

async function call<Body>(name: string, caller: Caller, asked: object = {}): Promise<Body> {
  return ((await handlers[name]!(given(caller, asked) as never)) as { body: Body }).body;
}

/** A member of the lead's tenant, as if they had accepted an invitation. */
async function person(role: Role, like: Caller = lead): Promise<Caller> {
  const id = uuidV4(systemRandom);
  const { tenant: context } = like;
  const label = await deps.sealer.seal({ context, field: 'identity.member.label', rowId: id, value: `A ${role}` });
  await deps.tenant.transaction(context, async (tx) => {
    const row = { id, role, state: 'active', label, created_at: new Date(clock.nowMs()) } as const;
    await tx.query(insertMember(context.tenantId, row));
    const entry = { type: 'member.created', actor: { service: 'issuer' }, outcome: 'allowed' } as const;
    await deps.recordAudit(tx, { ...entry, resource: ['member', id], requestId: 'test', public: { role } });
  });
  return { ...like, personId: id, role };
}

interface Shown {
  readonly review: { readonly id: string; readonly state: string; readonly snapshotHash: string };
  readonly access: Readonly<Record<string, readonly string[]>>;
  readonly items: readonly ReviewItem[];
}

/** The id behind the newest review of the lead's tenant. */
async function newest(tenant = lead.tenant): Promise<Uuid> {
  const text = 'select id from identity.access_review where tenant_id = $1 order by opened_at desc, id desc limit 1';
  return (await house.rows<{ id: Uuid }>(text, [tenant.tenantId]))[0]!.id;
}

const about = (id: Uuid) => ({
  ids: { 'params.reviewId': id },
  params: { reviewId: house.deps.formatId('arv', lead.tenant, id) },
});
const read = (caller: Caller, id: Uuid) => call<Shown>('read', caller, about(id));

async function opened(days = REVIEW_DAYS): Promise<Uuid> {
  await finish();
  clock.advance(1000);
  await call('open', lead, { body: { days } });
  return newest();
}

/** Ends whatever is under way, so that the next test begins with nothing. */
async function finish(): Promise<void> {
  const text = `update identity.access_review set state = 'closed', place = null, closed_at = now() where state <> 'closed'`;
  await house.rows(`set session_replication_role = replica; ${text}`);
}

const itemOf = (shown: Shown, caller: Caller, kind = 'member'): ReviewItem => {
  const index = positions.get(`${kind} ${caller.personId}`);
  return shown.items.find((item) => item.n === index)!;
};
const positions = new Map<string, number>();

async function learn(id: Uuid): Promise<void> {
  positions.clear();
  const text = 'select kind, holder_id, position from identity.access_review_item where review_id = $1';
  for (const row of await house.rows<{ kind: string; holder_id: Uuid; position: number }>(text, [id]))
    positions.set(`${row.kind} ${row.holder_id}`, row.position);
}

type Given = Pick<GivenDecision, 'decision' | 'role' | 'reason'>;

async function decided(caller: Caller, id: Uuid, all: readonly (readonly [ReviewItem, Given])[]) {
  const shown = await read(caller, id);
  const decisions = all.map(([item, one]) => ({ item: item.n, grown: item.grown, ...one }));
  const body = { snapshot: shown.review.snapshotHash, decisions };
  return call<{ decided: number; undecided: number }>('decide', caller, { ...about(id), body });
}

const tend = () => tendAccessReviews(deps, { ...lead.tenant, requestId: 'tend' });
const keep: Given = { decision: 'keep' };
const remove: Given = { decision: 'remove', reason: 'Works elsewhere now.' };
const stateOf = async (who: Caller): Promise<string> =>
  (await house.rows<{ state: string }>('select state from identity.member where id = $1', [who.personId]))[0]!.state;
const reviewState = async (id: Uuid): Promise<string> =>
  (await house.rows<{ state: string }>('select state from identity.access_review where id = $1', [id]))[0]!.state;

async function keyOf(owner: Caller): Promise<void> {
  const body = { name: 'Export', scope: 'read', days: 60 };
  await apiAccessRoutes(house.deps).handlers['create']!(given(owner, { body }) as never);
}

describe('the snapshot', () => {
  it('R1 holds what Cedar lets each person do, not the name of their role, and is hashed into the log', async () => {
    const auditor = await person('auditor');
    await keyOf(auditor);
    const id = await opened();
    await learn(id);
    const shown = await read(lead, id);
    const own = shown.access[itemOf(shown, lead).access]!;
    const other = shown.access[itemOf(shown, auditor).access]!;
    expect(own).toContain('access.invite');
    expect(other).toContain('engagements.list');
    expect(other).not.toContain('access.invite');
    const key = shown.access[itemOf(shown, auditor, 'api-key').access]!;
    expect(key).toContain('engagements.list');
    expect(key.filter((operation) => /record|start-upload|step-up|api-keys/.test(operation))).toEqual([]);
    const [entry] = (await house.audited('access-review.opened')).filter(({ resource_id }) => resource_id === id);
    expect(entry).toMatchObject({
      leaf: { public: { snapshot: shown.review.snapshotHash, items: shown.items.length } },
    });
  });

  it('R1 freezes which rules of their own were in force and where people belong; others since then ask for another look', async () => {
    const auditor = await person('auditor');
    const { tenantId } = lead.tenant;
    const [office, rules] = [uuidV4(systemRandom), 'forbid (principal, action, resource);'];
    const write = (version: number) =>
      house.rows(`set session_replication_role = replica;
        insert into app.access_rules (tenant_id, id, version, text, text_hash, written_by, written_at)
        values ('${tenantId}', '${uuidV4(systemRandom)}', ${version}, '\\xa7${'00'.repeat(47)}', sha256('${rules}'), '${lead.personId}', now())`);
    await write(1);
    await house.rows(`set session_replication_role = replica;
      insert into app.office_person (tenant_id, id, office_id) values ('${tenantId}', '${auditor.personId}', '${office}')`);
    const id = await opened();
    await learn(id);
    const { text } = await call<{ text: string }>('snapshot', lead, about(id));
    const frozen = JSON.parse(text) as { rules: object; items: { target: string; office: string | null }[] };
    const sha256 = createHash('sha256').update(rules, 'utf8').digest('hex');
    expect(frozen.rules).toEqual({ version: 1, sha256 });
    expect(frozen.items.find(({ target }) => target === auditor.personId)?.office).toBe(office);
    expect(text, 'the rules themselves stay where they are').not.toContain('forbid');
    expect(await read(lead, id)).toMatchObject({ rules: { version: 1, sha256, versionNow: 1 } });
    const before = itemOf(await read(lead, id), auditor);
    expect(before.growth).toEqual([]);
    await write(2);
    await house.rows(
      `set session_replication_role = replica; update app.office_person set office_id = null where id = '${auditor.personId}'`,
    );
    await expect(decided(lead, id, [[before, keep]])).rejects.toMatchObject({ code: 'access_review_changed' });
    const after = itemOf(await read(lead, id), auditor);
    expect(after.growth).toEqual(['office', 'rules']);
    await decided(lead, id, [[after, keep]]);
    await tend();
    expect(itemOf(await read(lead, id), auditor)).toMatchObject({ decision: 'keep' });
    expect(await read(lead, id)).toMatchObject({ rules: { version: 1, versionNow: 2 } });
  });

  it('R1 is recomputed by anybody from the file alone: SHA-256 of its bytes', async () => {
    const id = await opened();
    const { text, sha256 } = await call<{ text: string; sha256: string }>('snapshot', lead, about(id));
    expect(createHash('sha256').update(text, 'utf8').digest('hex')).toBe(sha256);
    const { review, items } = JSON.parse(text) as { review: string; items: { n: number }[] };
    expect(review).toBe(id);
    expect(items.map(({ n }) => n)).toEqual(items.map((_, index) => index + 1));
    // No name: what is frozen for years outlives nobody's erasure.
    expect(text).not.toMatch(/"label"|"name"/);
  });

  it('R1 is not opened when its row says another hash, or when its bytes were changed', async () => {
    const id = await opened();
    const before = await house.rows<{ snapshot_hash: Buffer; snapshot: Buffer }>(
      'select snapshot_hash, snapshot from identity.access_review where id = $1',
      [id],
    );
    const put = (column: string, value: Buffer) =>
      house.rows(
        `set session_replication_role = replica; update identity.access_review set ${column} = '\\x${value.toString('hex')}' where id = '${id}'`,
      );
    await put('snapshot_hash', Buffer.alloc(32, 7));
    await expect(read(lead, id)).rejects.toMatchObject({ code: 'access_review_tampered' });
    await put('snapshot_hash', before[0]!.snapshot_hash);
    const bent = Buffer.from(before[0]!.snapshot);
    bent[bent.length - 1]! ^= 1;
    await put('snapshot', bent);
    await expect(read(lead, id)).rejects.toMatchObject({ code: 'authentication_failed' });
    await put('snapshot', before[0]!.snapshot);
    await expect(read(lead, id)).resolves.toBeDefined();
  });

  it('R1 notices an item that was pointed at somebody else', async () => {
    const [one, other] = [await person('auditor'), await person('auditor')];
    const id = await opened();
    await learn(id);
    const item = itemOf(await read(lead, id), one);
    await house.rows(
      `set session_replication_role = replica; update identity.access_review_item set target_id = '${other.personId}', holder_id = '${other.personId}' where review_id = '${id}' and position = ${item.n}`,
    );
    await expect(decided(lead, id, [[item, remove]])).rejects.toMatchObject({ code: 'access_review_tampered' });
    expect(await stateOf(other)).toBe('active');
  });
});

describe('a decision', () => {
  it('R2 is never about oneself, nor about what is one’s own, also where the program forgets it', async () => {
    await keyOf(lead);
    const id = await opened();
    await learn(id);
    const shown = await read(lead, id);
    expect(itemOf(shown, lead)).toMatchObject({ isOwn: true });
    for (const kind of ['member', 'api-key'])
      await expect(decided(lead, id, [[itemOf(shown, lead, kind), keep]])).rejects.toMatchObject({
        code: 'access_review_own',
      });
    const sql = `update identity.access_review_item set decision = 'keep', decided_because = 'person',
      decided_by = holder_id, decided_at = now() where review_id = $1 and holder_id is not null`;
    await expect(house.rows(sql, [id])).rejects.toThrow(/check constraint/);
  });

  it('R2 is bound to what was shown: more access since then is shown, and asks for another', async () => {
    const auditor = await person('auditor');
    const id = await opened();
    await learn(id);
    const before = itemOf(await read(lead, id), auditor);
    expect(before.growth).toEqual([]);
    await house.rows(
      `set session_replication_role = replica; update identity.member set role = 'lead' where id = '${auditor.personId}'`,
    );
    await expect(decided(lead, id, [[before, keep]])).rejects.toMatchObject({ code: 'access_review_changed' });
    const after = itemOf(await read(lead, id), auditor);
    expect(after.growth).toEqual(expect.arrayContaining(['operation access.invite', 'role lead']));
    await decided(lead, id, [[after, keep]]);
    // And once more after it was decided: it is open again.
    await keyOf({ ...auditor, role: 'lead' });
    await tend();
    const again = itemOf(await read(lead, id), auditor);
    expect(again).toMatchObject({ decision: null, growth: expect.arrayContaining(['key or program']) });
    expect(await house.audited('access-review.item-reopened')).not.toEqual([]);
    await house.rows(
      `set session_replication_role = replica; update identity.member set role = 'auditor' where id = '${auditor.personId}'`,
    );
  });

  it('R2 is taken once: of two who decide at the same time one is told', async () => {
    const [auditor, second] = [await person('auditor'), await person('lead')];
    const id = await opened();
    await learn(id);
    const item = itemOf(await read(lead, id), auditor);
    const outcomes = await Promise.allSettled([
      decided(lead, id, [[item, keep]]),
      decided(second, id, [[item, remove]]),
    ]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const failed = outcomes.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(failed.reason).toMatchObject({ code: 'access_review_decided' });
    await house.rows(
      `set session_replication_role = replica; update identity.member set state = 'suspended' where id = '${second.personId}'`,
    );
  });

  it('R2 comes all or none, with a reason where it is not kept, each an entry with the approval', async () => {
    const [one, other] = [await person('auditor'), await person('client')];
    const id = await opened();
    await learn(id);
    const shown = await read(lead, id);
    const [first, second] = [itemOf(shown, one), itemOf(shown, other)];
    await expect(
      decided(lead, id, [
        [first, keep],
        [second, { decision: 'remove' }],
      ]),
    ).rejects.toMatchObject({
      code: 'access_review_decision',
    });
    await expect(
      decided(lead, id, [[second, { decision: 'change-role', role: 'operator', reason: 'No.' }]]),
    ).rejects.toMatchObject({ code: 'access_review_decision' });
    expect(itemOf(await read(lead, id), one).decision).toBeNull();
    await decided(lead, id, [
      [first, { decision: 'change-role', role: 'client', reason: 'Only reads.' }],
      [second, remove],
    ]);
    const entries = (await house.audited('access-review.decided')).filter(({ resource_id }) => resource_id === id);
    expect(entries.map(({ leaf }) => leaf)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ public: expect.objectContaining({ item: first.n, verdict: 'change-role' }) }),
        expect.objectContaining({ public: expect.objectContaining({ item: second.n, verdict: 'remove' }) }),
      ]),
    );
    expect(JSON.stringify(entries)).not.toContain('Works elsewhere');
    expect(await stateOf(other)).toBe('suspended');
    const [{ role }] = (await house.rows<{ role: string }>('select role from identity.member where id = $1', [
      one.personId,
    ])) as [{ role: string }];
    expect(role).toBe('client');
  });

  it('R2 is not for another organisation’s review, nor for whoever manages no more', async () => {
    const id = await opened();
    await learn(id);
    const stranger = await house.callerOf((await house.enrol('lakeside', 'lead')).cookie);
    await expect(read(stranger, id)).rejects.toMatchObject({ code: 'not_found' });
    const body = { snapshot: 'aa'.repeat(32), decisions: [{ item: 1, decision: 'keep', grown: 'aa'.repeat(32) }] };
    await expect(call('decide', stranger, { ...about(id), body })).rejects.toMatchObject({ code: 'not_found' });
    const auditor = await person('auditor');
    const other = await person('auditor');
    const newer = await opened();
    await learn(newer);
    const item = itemOf(await read(lead, newer), other);
    await expect(decided(auditor, newer, [[item, keep]])).rejects.toMatchObject({ code: 'operation_refused' });
  });
});

describe('the deadline', () => {
  it('R3 removes whoever nobody has decided about, and the removal is proven by a later look', async () => {
    const auditor = await person('auditor');
    await keyOf(auditor);
    const id = await opened(3);
    await learn(id);
    clock.advance(3 * DAY_MS);
    const late = itemOf(await read(lead, id), auditor);
    // At the very instant, before any chore has come round.
    await expect(decided(lead, id, [[late, keep]])).rejects.toMatchObject({ code: 'access_review_state' });
    await tend();
    expect(await stateOf(auditor)).toBe('suspended');
    expect(itemOf(await read(lead, id), auditor)).toMatchObject({
      decision: 'remove',
      decidedBecause: 'deadline',
      proof: null,
      carriedOutAt: expect.any(String),
    });
    // Twice, and by two at once: nothing is done twice.
    await Promise.all([tend(), tend()]);
    clock.advance(6_000);
    await tend();
    const item = itemOf(await read(lead, id), auditor);
    expect(item).toMatchObject({ proof: 'gone', lookedAt: expect.any(String) });
    expect(Date.parse(item.lookedAt!)).toBeGreaterThanOrEqual(Date.parse(item.carriedOutAt!) + 5_000);
    const [proven] = (await house.audited('access-review.removal-proven'))
      .map(({ leaf }) => (leaf as { public: { item: number; detail: string } }).public)
      .filter((facts) => facts.item === item.n);
    expect(proven!.detail).toBe(
      'membership suspended, sign-in refused, links 0, tokens for sessions 0 of 0, keys 0 of 1, programs 0 of 0, production none',
    );
    const revoked = (await house.audited('member.revoked')).filter(
      ({ resource_id }) => resource_id === auditor.personId,
    );
    expect(revoked).toHaveLength(1);
    expect(revoked[0]).toMatchObject({ leaf: { public: { cause: 'review' } } });
  });

  it('R3 never takes away the last person who manages: they stay, and the review says so until a second decides', async () => {
    const id = await opened(3);
    await learn(id);
    clock.advance(3 * DAY_MS + 1);
    await tend();
    clock.advance(6_000);
    await tend();
    expect(await stateOf(lead)).toBe('active');
    expect(await reviewState(id)).toBe('overdue');
    expect(itemOf(await read(lead, id), lead)).toMatchObject({ decision: null });
    const [entry] = (await house.audited('access-review.overdue')).filter(({ resource_id }) => resource_id === id);
    expect(entry).toMatchObject({ outcome: 'failed', leaf: { public: { member: lead.personId } } });
    await expect(decided(lead, id, [[itemOf(await read(lead, id), lead), keep]])).rejects.toMatchObject({
      code: 'access_review_own',
    });
    const second = await person('lead');
    expect(await decided(second, id, [[itemOf(await read(second, id), lead), keep]])).toEqual({
      decided: 1,
      undecided: 0,
    });
    clock.advance(6_000);
    await tend();
    expect(await reviewState(id)).toBe('closed');
    await house.rows(
      `set session_replication_role = replica; update identity.member set state = 'suspended' where id = '${second.personId}'`,
    );
  });

  it('R3 of two who manage leaves the one who was seen last, where nobody has decided about either', async () => {
    const absent = await person('lead');
    const id = await opened(3);
    clock.advance(3 * DAY_MS + 1);
    await tend();
    expect([await stateOf(lead), await stateOf(absent)]).toEqual(['active', 'suspended']);
    expect(await reviewState(id)).toBe('overdue');
  });

  it('R3 is said beforehand, once for each of the days', async () => {
    const id = await opened(14);
    const told = async () =>
      (await house.audited('access-review.reminded'))
        .filter(({ resource_id }) => resource_id === id)
        .map(({ leaf }) => (leaf as { public: { daysLeft: number } }).public.daysLeft);
    await tend();
    expect(await told()).toEqual([]);
    for (const days of [7, 0.1, 3.9, 2, 0.5]) {
      clock.advance(days * DAY_MS);
      await tend();
    }
    expect(await told()).toEqual([7, 3, 1]);
  });

  it('R4 is red when what was removed is there again, which is removed once more', async () => {
    const auditor = await person('auditor');
    const id = await opened();
    await learn(id);
    await decided(lead, id, [[itemOf(await read(lead, id), auditor), remove]]);
    await house.rows(
      `set session_replication_role = replica; update identity.member set state = 'active' where id = '${auditor.personId}'`,
    );
    clock.advance(6_000);
    await tend();
    expect(itemOf(await read(lead, id), auditor)).toMatchObject({ proof: 'still-there' });
    const unproven = (await house.audited('access-review.removal-unproven')).filter(
      ({ resource_id }) => resource_id === id,
    );
    expect(unproven).toHaveLength(1);
    expect(unproven[0]).toMatchObject({ outcome: 'failed' });
    await tend();
    clock.advance(6_000);
    await tend();
    expect(await stateOf(auditor)).toBe('suspended');
    expect(itemOf(await read(lead, id), auditor)).toMatchObject({ proof: 'gone' });
  });
});

describe('the proof of a removal', () => {
  /** As if the rows that are counted were right again, while what decides about tokens and sign-ins reads others. */
  const withRowsThatLie = (): AccessReviewDeps => ({
    ...deps,
    tenant: {
      ...deps.tenant,
      scoped: async <Row>(context: Caller['tenant'], statement: Statement<Row>) =>
        statement.sql.startsWith('select m.role, m.state from identity.member')
          ? ([{ role: 'auditor', state: 'suspended' }] as Row[])
          : deps.tenant.scoped(context, statement),
    },
  });
  async function signedIn(): Promise<{ readonly auditor: Caller; readonly cookie: string }> {
    const auditor = await person('auditor');
    await keyOf(auditor);
    const opened = await deps.tenant.transaction(auditor.tenant, (tx) =>
      openSession(house.deps, tx, { memberId: auditor.personId, door: 'edge', method: 'passkey' }),
    );
    await expect(house.callerOf(opened.token)).resolves.toMatchObject({ personId: auditor.personId });
    return { auditor, cookie: opened.token };
  }
  const proofs = async (type: string, id: Uuid) =>
    (await house.audited(type))
      .filter(({ resource_id }) => resource_id === id)
      .map(({ leaf }) => (leaf as { public: { detail: string } }).public.detail);

  it('R4 asks the mint for every session and key of theirs, and a sign-in, and is refused', async () => {
    const { auditor, cookie } = await signedIn();
    const id = await opened();
    await learn(id);
    await decided(lead, id, [[itemOf(await read(lead, id), auditor), remove]]);
    const asked = { cookie, door: 'edge', destination: 'workspace', routeClass: 'read', operation: 'engagements.list' };
    const minted = mintToken(house.deps, asked as never, 'proof');
    await expect(minted, 'what the proof says is what the mint does').rejects.toMatchObject({
      code: 'session_required',
    });
    clock.advance(6_000);
    await tend();
    expect(await proofs('access-review.removal-proven', id)).toEqual([
      'membership suspended, sign-in refused, links 0, tokens for sessions 0 of 1, keys 0 of 1, programs 0 of 0, production none',
    ]);
  });

  it('R4 is not taken from rows: a mint or a sign-in that would let them in is no proof, whatever the rows say', async () => {
    const { auditor } = await signedIn();
    const id = await opened();
    await learn(id);
    await decided(lead, id, [[itemOf(await read(lead, id), auditor), remove]]);
    await house.rows(`set session_replication_role = replica;
      update identity.member set state = 'active' where id = '${auditor.personId}';
      update identity.session set closed_at = null, closed_reason = null where member_id = '${auditor.personId}';
      update identity.api_key set ended_at = null, ended_reason = null where member_id = '${auditor.personId}'`);
    clock.advance(6_000);
    const before = await house.audited('session.opened');
    await tendAccessReviews(withRowsThatLie(), { ...lead.tenant, requestId: 'tend' });
    expect(await proofs('access-review.removal-unproven', id)).toEqual([
      'membership suspended, sign-in open, links 0, tokens for sessions 1 of 1, keys 1 of 1, programs 0 of 0, production none',
    ]);
    expect(await house.audited('session.opened'), 'the sign-in that was tried is taken back').toEqual(before);
    await tend();
    clock.advance(6_000);
    await tend();
    expect(itemOf(await read(lead, id), auditor)).toMatchObject({ proof: 'gone' });
  });
});

describe('the drill of the sentinel', () => {
  const drill = <Body>(name: string, body: object): Promise<Body> =>
    (
      accessReviewCanary({ ...house.deps, ...deps }).handlers[name]!({ requestId: 'drill', body } as never) as Promise<{
        body: Body;
      }>
    ).then((reply) => reply.body);

  const leftIn = async (ids: readonly Uuid[]): Promise<Uuid[]> =>
    (
      await house.rows<{ id: Uuid }>(`select id from identity.member where id = any($1) and state <> 'suspended'`, [
        ids,
      ])
    ).map(({ id }) => id);

  it('R6 goes through people made for it in a canary alone, and leaves none of them in', async () => {
    await expect(drill('people', { tenant: 'harbour' })).rejects.toMatchObject({ code: 'canary_tenant_required' });
    await expect(drill('open', { tenant: 'harbour', seconds: 5 })).rejects.toMatchObject({
      code: 'canary_tenant_required',
    });
    for (const kept of [undefined, 'reviewer']) {
      const { people } = await drill<{ people: { name: string; personId: Uuid }[] }>('people', { tenant: 'canary-a' });
      const ids = people.map(({ personId }) => personId);
      const { reviewId } = await drill<{ reviewId: Uuid }>('open', { tenant: 'canary-a', seconds: 5 });
      const targets = await house.rows<{ target_id: Uuid }>(
        'select target_id from identity.access_review_item where review_id = $1',
        [reviewId],
      );
      expect(targets.map(({ target_id }) => target_id).toSorted()).toEqual(ids.toSorted());
      const [keeper, whom] = ['second', kept].map((name) => people.find((one) => one.name === name)?.personId);
      await house.rows(`set session_replication_role = replica;
        update identity.access_review_item set decision = 'keep', decided_because = 'person', decided_by = '${keeper}',
          decided_at = now(), grown_hash = sha256('[]') where review_id = '${reviewId}' and target_id = '${whom ?? reviewId}'`);
      clock.advance(5_000);
      await drill('tend', { tenant: 'canary-a' });
      if (kept !== undefined) expect(await leftIn(ids)).toEqual([whom]);
      clock.advance(6_000);
      await drill('tend', { tenant: 'canary-a' });
      expect(await reviewState(reviewId)).toBe('closed');
      expect(await leftIn(ids)).toEqual([]);
    }
  });

  it('R6 that nobody finished is closed before the next, and puts nobody out who was let in again', async () => {
    await drill('people', { tenant: 'canary-a' });
    const { reviewId } = await drill<{ reviewId: Uuid }>('open', { tenant: 'canary-a', seconds: 5 });
    clock.advance(5_000);
    await drill('tend', { tenant: 'canary-a' });
    const { people } = await drill<{ people: { personId: Uuid }[] }>('people', { tenant: 'canary-a' });
    expect(await reviewState(reviewId)).toBe('closed');
    clock.advance(6_000);
    await drill('tend', { tenant: 'canary-a' });
    const ids = people.map(({ personId }) => personId);
    const states = await house.rows<{ state: string }>('select state from identity.member where id = any($1)', [ids]);
    expect(states.map(({ state }) => state)).toEqual(['active', 'active', 'active', 'active']);
  });

  it('R6 is told how the operator’s own stand: none closed, then late', async () => {
    interface Told {
      readonly closedAt: string | null;
      readonly isOverdue: boolean;
    }
    const operator = (
      await house.rows<{ id: Uuid; part: string }>(`select id, part from platform.tenant where kind = 'operator'`)
    )[0]!;
    await house.enrol('operator', 'operator');
    const context = { tenantId: operator.id, tenantPart: Number(operator.part), requestId: 'tend' };
    await tendAccessReviews(deps, context);
    expect(await drill<Told>('standing', {})).toMatchObject({ closedAt: null, isOverdue: false });
    clock.advance((REVIEW_DAYS + 1) * DAY_MS);
    expect(await drill<Told>('standing', {})).toMatchObject({ closedAt: null, isOverdue: true });
  });
});

describe('each quarter', () => {
  it('R5 opens by itself where the lead has said so, once, and for the operator whoever says what', async () => {
    await finish();
    await tend();
    expect(await house.rows(`select id from identity.access_review where state <> 'closed'`)).toEqual([]);
    await call('setQuarterly', lead, { body: { on: true } });
    clock.advance(OPENED_AFTER_DAYS * DAY_MS + 1);
    await Promise.all([tend(), tend()]);
    const open = await house.rows<{ opened_by: null }>(
      `select opened_by from identity.access_review where state <> 'closed'`,
    );
    expect(open).toEqual([{ opened_by: null }]);
    await expect(call('open', lead, { body: { days: 14 } })).rejects.toMatchObject({ code: 'access_review_open' });
    const operator = await house.callerOf((await house.enrol('operator', 'operator')).cookie);
    await expect(call('setQuarterly', operator, { body: { on: false } })).rejects.toMatchObject({
      code: 'access_review_mandatory',
    });
    await tendAccessReviews(deps, { ...operator.tenant, requestId: 'tend' });
    expect(await reviewState(await newest(operator.tenant))).toBe('open');
  });
});

describe('glass that was broken', () => {
  it('R7 is judged by a third person, never by whoever asked or let them in', async () => {
    await finish();
    const [of] = await house.rows<{ id: Uuid; part: string }>(
      `select id, part from platform.tenant where kind = 'operator'`,
    );
    const tenant = { tenantId: of!.id, tenantPart: Number(of!.part), requestId: 'glass' };
    clock.advance(1000);
    const like = { ...lead, tenant, tenantKind: 'operator' } as const;
    const [asked, letIn, third] = [
      await person('operator', like),
      await person('operator', like),
      await person('operator', like),
    ];
    const use = uuidV4(systemRandom);
    const reason = `\\xa7${'00'.repeat(47)}`;
    await house.rows(`set session_replication_role = replica;
      insert into identity.production_grant (tenant_id, id, kind, member_id, scopes, minutes, reason, asked_at, vouched,
        proved_at, confirmed_by, starts_at, ends_at, ended_at, ended_reason)
      select '${tenant.tenantId}', '${use}', 'break-glass', '${asked.personId}', '{tenants,deletions,keys,attempts}', 60,
        '${reason}', t, 'operator', t, '${letIn.personId}', t, t + interval '1 hour', t + interval '1 hour', 'over'
      from (select to_timestamp(${clock.nowMs() / 1000} - 90000) as t) as at`);
    await call('open', asked, { body: { days: 3 } });
    const id = await newest(tenant);
    const place = {
      ids: { 'params.reviewId': id },
      params: { reviewId: house.deps.formatId('arv', tenant, id) },
    };
    const shown = (who: Caller) => call<Shown>('read', who, place);
    const glass = async (who: Caller) => (await shown(who)).items.find(({ kind }) => kind === 'break-glass')!;
    const own = (await shown(asked)).items.find(({ isOwn, kind }) => isOwn && kind === 'member')!;
    expect(own.production).toMatchObject({ mayAsk: true, lastAt: expect.any(String) });
    const judge = async (who: Caller) => {
      const { n, grown } = await glass(who);
      const { snapshotHash } = (await shown(who)).review;
      const decisions = [{ item: n, grown, decision: 'keep' }];
      return call('decide', who, { ...place, body: { snapshot: snapshotHash, decisions } });
    };
    for (const who of [asked, letIn]) {
      expect(await glass(who)).toMatchObject({ isOwn: true });
      await expect(judge(who)).rejects.toMatchObject({ code: 'access_review_own' });
    }
    // An issuer that dies between the two leaves neither: no use counts as gone through that nobody has judged.
    const dying = {
      ...deps,
      recordAudit: (async (tx, input) => {
        if (input.type === 'production-access.reviewed') throw new Error('died here');
        return deps.recordAudit(tx, input);
      }) as typeof deps.recordAudit,
    };
    handlers = accessReviewRoutes({ ...dying, onFailure: (error) => failures.push(error) }).handlers;
    await expect(judge(third)).rejects.toThrow('died here');
    handlers = accessReviewRoutes({ ...deps, onFailure: (error) => failures.push(error) }).handlers;
    expect(await glass(third)).toMatchObject({ decision: null });
    const judged = await house.rows('select id from identity.production_grant where reviewed_at is not null');
    expect(judged).toEqual([]);
    await judge(third);
    expect(await glass(third)).toMatchObject({ decision: 'keep' });
    const [row] = await house.rows<{ review: string; reviewed_by: Uuid }>(
      'select review, reviewed_by from identity.production_grant where id = $1',
      [use],
    );
    expect(row).toEqual({ review: 'justified', reviewed_by: third.personId });
  });

  it('has no failure that nobody saw', () => {
    expect(failures).toEqual([]);
  });
});
