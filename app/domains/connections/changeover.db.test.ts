import { manualClock, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { arrive, findSession, openSession, removeOwnAccount } from '../identity/index.ts';
import { type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { approveAccounts, beginChange, finishChange, readChange, suggestAccounts, undoChange } from './changeover.ts';
import { recordAttempt } from './index.ts';
import { openConnectionIds } from './read.ts';
import { changeSettings, createConnection, turnConnection } from './service.ts';
import { connectionSubjects } from './subjects.ts';
import { by, oidc } from './testing/asking.ts';

const clock = manualClock(Date.now());
const NEW = { allowed: true, roleWithoutGroup: 'auditor' } as const;
let house: SeededIssuer;
let lead: Caller;
let stranger: Caller;
let from: Uuid;
let to: Uuid;

async function connection(caller: Caller, name: string): Promise<Uuid> {
  const id = await createConnection(house.deps, by(caller), { kind: 'oidc', profile: 'other', name });
  await changeSettings(house.deps, by(caller), { id, version: 1, name, justInTime: NEW, values: oidc });
  await recordAttempt(house.deps, caller.tenant, { connectionId: id, purpose: 'test', version: 2 });
  await turnConnection(house.deps, by(caller), { id, to: 'active' });
  return id;
}

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
  stranger = await house.callerOf((await house.enrol('lakeside', 'lead')).cookie);
  from = await connection(lead, 'The old one');
  to = await connection(lead, 'The new one');
});
afterAll(() => house?.stop());

const withCode = (code: string, more: object = {}) => expect.objectContaining({ code, ...more });

/** Somebody who comes by a provider, and the cookie of their session. */
async function comes(subject: string, connectionId: Uuid, shown = `${subject}@harbour.example`) {
  const newcomer = { connectionId, subject, shown, role: undefined, newRole: 'auditor', tenantKind: 'sample' } as const;
  return house.deps.tenant.transaction(lead.tenant, async (tx) => {
    const { memberId, accountId } = await arrive(house.deps, tx, newcomer);
    const provider = { connectionId, accountId, session: null, subject: null, endsAtMs: undefined };
    const opened = await openSession(house.deps, tx, { memberId, door: 'edge', method: 'sso', provider });
    return { memberId, accountId, cookie: opened.token };
  });
}
const isIn = async (cookie: string) =>
  (await findSession(house.deps, cookie, { door: 'edge', requestId: 'test' })) !== undefined;
const named = (memberId: Uuid) => house.deps.formatId('mem', lead.tenant, memberId);
const change = async () => (await readChange(house.deps, lead.tenant))!;
const personOf = async (memberId: Uuid) => (await change()).people.find(({ id }) => id === named(memberId));
const approve = (pairs: readonly { person: string; subject: string }[]) => approveAccounts(house.deps, by(lead), pairs);
const accountsAt = (connectionId: Uuid) =>
  house.rows<{ member_id: Uuid; origin: string }>(
    'select member_id, origin from identity.account where connection_id = $1 order by created_at, id',
    [connectionId],
  );

describe('a change of provider', () => {
  it('goes between two connections of this tenant that are in use, one at a time', async () => {
    await expect(undoChange(house.deps, by(lead))).rejects.toEqual(withCode('connection_state'));
    const foreign = await connection(stranger, 'Elsewhere');
    const draft = await createConnection(house.deps, by(lead), { kind: 'oidc', profile: 'other', name: 'Draft' });
    for (const pair of [
      { from, to: from },
      { from, to: foreign },
      { from, to: draft },
      { from: draft, to },
    ])
      await expect(beginChange(house.deps, by(lead), pair)).rejects.toEqual(withCode('connection_state'));
    await beginChange(house.deps, by(lead), { from, to });
    await expect(beginChange(house.deps, by(lead), { from: to, to: from })).rejects.toEqual(
      withCode('connection_state'),
    );
    expect(await change()).toMatchObject({ from: { name: 'The old one' }, to: { name: 'The new one' }, people: [] });
    expect(await readChange(house.deps, stranger.tenant)).toBeNull();
  });

  it('lists everybody of the old one, with who has moved and who would be left without a way in', async () => {
    const anna = await comes('anna', from);
    expect(await personOf(anna.memberId)).toMatchObject({ moved: null, isOrphan: true, passkeys: 0 });
    await comes('somebody-else', to);
    expect((await change()).people).toHaveLength(1);
  });

  it('suggests by the old subject or by an address, and stores nothing of that', async () => {
    const { memberId } = await comes('berta', from);
    const before = await accountsAt(to);
    const suggestions = { person: named(memberId), label: 'berta@harbour.example', subject: 'b-1' };
    for (const [kind, text] of [
      ['subject', 'berta,b-1\nnobody,b-2'],
      ['email', 'BERTA@harbour.example,b-1\nelse@harbour.example,b-2'],
    ] as const)
      expect(await suggestAccounts(house.deps, lead.tenant, { by: kind, text })).toEqual({
        suggestions: [suggestions],
        unmatched: [{ line: 2, why: 'nobody' }],
      });
    expect(await accountsAt(to)).toEqual(before);
    // An address is no subject: whoever has it at the new provider is nobody by it.
    expect(
      (await suggestAccounts(house.deps, lead.tenant, { by: 'subject', text: 'berta@harbour.example,x' })).suggestions,
    ).toEqual([]);
  });

  it('gives the account that was approved, by which the same member comes in with a role by groups as before', async () => {
    const carl = await comes('carl', from);
    const facts = await connectionSubjects(house.deps)['connections.approve-accounts']!({
      caller: lead,
      requestId: 'test',
      ids: {},
      input: { pairs: [{ person: named(carl.memberId), subject: 'c-1' }] },
    });
    expect(facts).toEqual({ 1: 'carl@harbour.example is c-1' });
    await approve([{ person: named(carl.memberId), subject: 'c-1' }]);
    expect(await personOf(carl.memberId)).toMatchObject({ moved: { by: 'change' }, isOrphan: false });
    expect((await comes('c-1', to)).memberId).toBe(carl.memberId);
    expect((await accountsAt(to)).find(({ member_id }) => member_id === carl.memberId)!.origin).toBe('just-in-time');
    expect((await house.audited('account.added')).at(-1)!.leaf).toMatchObject({
      public: { connection: to, member: carl.memberId },
      stepUp: 'assertion',
    });
  });

  it('takes all pairs of an approval or none: nobody twice, nobody’s identity for another, nobody from elsewhere', async () => {
    const dora = await comes('dora', from);
    const emil = await comes('emil', from);
    const before = await accountsAt(to);
    const good = { person: named(dora.memberId), subject: 'd-1' };
    const other = named(emil.memberId);
    for (const bad of [
      { person: other, subject: 'somebody-else' },
      { person: other, subject: 'd-1' },
      { person: other, subject: ' e-1' },
      { person: named(dora.memberId), subject: 'd-2' },
    ])
      await expect(approve([good, bad])).rejects.toEqual(withCode('connection_setting_invalid', { field: 'pairs.1' }));
    for (const person of [named(stranger.personId), named(lead.personId), 'mem_nobody'])
      await expect(approve([good, { person, subject: 'e-1' }])).rejects.toEqual(withCode('not_found'));
    expect(await accountsAt(to)).toEqual(before);
  });

  it('does not end while somebody would have no way in, and says how many', async () => {
    const orphans = (await change()).people.filter(({ isOrphan }) => isOrphan).length;
    expect(orphans).toBeGreaterThan(1);
    await expect(finishChange(house.deps, by(lead))).rejects.toEqual(
      withCode('changeover_orphans', { publicDetail: expect.stringContaining(`${orphans} `) }),
    );
    expect(
      await house.rows(`select 1 from identity.connection where id = '${from}' and state = 'active'`),
    ).toHaveLength(1);
  });

  it('is undone: what it gave is taken back with its sessions, and a last way in stays', async () => {
    const frida = await comes('frida', from);
    const gustav = await comes('gustav', from);
    await approve([
      { person: named(frida.memberId), subject: 'f-1' },
      { person: named(gustav.memberId), subject: 'g-1' },
    ]);
    const byNew = await comes('f-1', to);
    expect(byNew.memberId).toBe(frida.memberId);
    // Gustav has left the old provider behind by himself.
    await house.deps.tenant.transaction(lead.tenant, (tx) =>
      removeOwnAccount(house.deps, tx, {
        accountId: gustav.accountId,
        memberId: gustav.memberId,
        openIn: openConnectionIds,
        by: { actor: { personId: gustav.memberId } },
      }),
    );
    await undoChange(house.deps, by(lead));
    expect(await readChange(house.deps, lead.tenant)).toBeNull();
    expect(await isIn(byNew.cookie)).toBe(false);
    expect(await isIn(frida.cookie)).toBe(true);
    const left = (await accountsAt(to)).map(({ member_id }) => member_id);
    expect(left).not.toContain(frida.memberId);
    expect(left).toContain(gustav.memberId);
    expect((await house.audited('changeover.undone')).at(-1)!.leaf).toMatchObject({ public: { kept: 1 } });
  });

  it('ends when everybody has a way in: the old connection is off, and its sessions with it', async () => {
    await beginChange(house.deps, by(lead), { from, to });
    const { people } = await change();
    const left = people.filter(({ isOrphan }) => isOrphan);
    await approve(left.map(({ id }, index) => ({ person: id, subject: `all-${index}` })));
    const hans = await comes('hans', from);
    await expect(finishChange(house.deps, by(lead))).rejects.toEqual(withCode('changeover_orphans'));
    await approve([{ person: named(hans.memberId), subject: 'h-1' }]);
    expect(await finishChange(house.deps, by(lead))).toContain(hans.memberId);
    expect(await isIn(hans.cookie)).toBe(false);
    expect((await comes('h-1', to)).memberId).toBe(hans.memberId);
    expect(
      await house.rows(`select 1 from identity.connection where id = '${from}' and state = 'disabled'`),
    ).toHaveLength(1);
    await expect(undoChange(house.deps, by(lead))).rejects.toEqual(withCode('connection_state'));
    expect((await house.audited('connection.disabled')).at(-1)!.resource_id).toBe(from);
  });
});

describe('the end of a change and a person at once', () => {
  it('leave nobody without a way in: of the two one is refused', async () => {
    const [old, next] = [await connection(lead, 'A'), await connection(lead, 'B')];
    await beginChange(house.deps, by(lead), { from: old, to: next });
    const ida = await comes('ida', old);
    await approve([{ person: named(ida.memberId), subject: 'i-1' }]);
    const { accountId } = await comes('i-1', next);
    const leaves = house.deps.tenant.transaction(lead.tenant, (tx) =>
      removeOwnAccount(house.deps, tx, {
        accountId,
        memberId: ida.memberId,
        openIn: openConnectionIds,
        by: { actor: { personId: ida.memberId } },
      }),
    );
    const both = await Promise.allSettled([leaves, finishChange(house.deps, by(lead))]);
    expect(both.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });
});
