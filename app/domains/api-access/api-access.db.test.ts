import { crc32 } from 'node:zlib';
import { AppError, manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ATTEMPT_REFUSED, WALL_ATTEMPTS_PER_SESSION_MAX } from '../../platform/audit/index.ts';
import type { Caller, Handler } from '../../platform/http/handler.ts';
import { proveEmployment, revokePrincipal, sweepEmployment, type MintDeps } from '../identity/index.ts';
import { PROOF_MS_MAX } from '../identity/employment.ts';
import { knownAtConnection } from '../identity/testing/known-at.ts';
import { type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import type { ShownApiKey, ShownApiKeyOfAll } from './contract.ts';
import { apiAccessRoutes, apiKeysHeld, keyMint } from './index.ts';
import { readApiKey } from './key-text.ts';

const DAY_MS = 86_400_000;
const clock = manualClock(Date.now());
let house: SeededIssuer;
let deps: MintDeps;
let lead: Caller;
let auditor: Caller;
let handlers: Readonly<Record<string, Handler<never>>>;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  deps = { ...house.deps, revocations: [apiKeysHeld(house.deps)] };
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
  auditor = await house.callerOf((await house.enrol('harbour', 'auditor')).cookie);
  handlers = apiAccessRoutes(house.deps).handlers;
});
afterAll(() => house?.stop());

async function call<Body>(name: string, caller: Caller, asked: { body?: object; id?: Uuid } = {}): Promise<Body> {
  const given = {
    requestId: uuidV4(systemRandom),
    caller,
    params: {},
    body: asked.body ?? {},
    ids: asked.id === undefined ? {} : { 'params.keyId': asked.id },
    stepUp: async () => ({ assertionHash: 'assertion', credentialId: 'credential' }),
  };
  return ((await handlers[name]!(given as never)) as { body: Body }).body;
}

interface Made {
  readonly id: Uuid;
  readonly key: string;
}

async function made(caller: Caller, scope: 'read' | 'write' = 'read', days = 30): Promise<Made> {
  const { key } = await call<{ key: string }>('create', caller, { body: { name: 'Nightly export', scope, days } });
  return { id: readApiKey(key)!.keyId, key };
}

type Asked = Parameters<ReturnType<typeof keyMint>>[0];

function mint(key: string, change: Partial<Asked> = {}) {
  const asked = { cookie: key, door: 'edge', destination: 'workspace', routeClass: 'read', operation: 'a.b' } as const;
  return keyMint(deps)({ ...asked, ...change }, uuidV4(systemRandom));
}

const REFUSED = { code: 'session_required' };

describe('an API key', () => {
  it('A1 is shown once, kept as a hash, named under seal, and an entry', async () => {
    clock.advance(1);
    const { id, key } = await made(lead);
    const rows = JSON.stringify(await house.rows('select * from identity.api_key where id = $1', [id]));
    expect(rows).not.toContain(key);
    expect(rows).not.toContain('Nightly');
    const listed = await call<{ keys: ShownApiKey[] }>('list', lead);
    expect(listed.keys[0]).toMatchObject({ name: 'Nightly export', scope: 'read', state: 'active', lastUsedAt: null });
    expect(JSON.stringify(listed)).not.toContain(key);
    const [entry] = (await house.audited('api-key.created')).filter(({ resource_id }) => resource_id === id);
    expect(entry).toMatchObject({ outcome: 'allowed', leaf: { public: { scope: 'read', days: 30 } } });
    expect(JSON.stringify(entry)).not.toContain(key.slice(4));
  });

  it('A1 has an end within 90 days, whatever the program says', async () => {
    const { id } = await made(lead);
    const longer = "update identity.api_key set expires_at = created_at + interval '91 days' where id = $1";
    await expect(house.rows(longer, [id])).rejects.toThrow(/check constraint/);
    await expect(call('create', lead, { body: { name: '  ', scope: 'read', days: 1 } })).rejects.toMatchObject({
      code: 'api_key_name',
    });
  });

  it('A2 becomes a token of its owner, in their role of now, with no more than its scope', async () => {
    const { id, key } = await made(auditor, 'read');
    const { token, sessionId, personId } = await mint(key);
    expect({ sessionId, personId }).toEqual({ sessionId: id, personId: auditor.personId });
    const claims = await house.claimsOf(token);
    expect(claims).toMatchObject({ sub: auditor.personId, scope: 'read', aud: 'workspace' });
    expect(claims.tctx).toMatchObject({ role: 'auditor' });
    expect(claims.rctx).toMatchObject({ sid: id, amr: 'api-key' });
    await expect(mint(key, { routeClass: 'write' })).rejects.toMatchObject(REFUSED);
    const writing = await made(auditor, 'write');
    expect((await house.claimsOf((await mint(writing.key, { routeClass: 'write' })).token)).scope).toBe('write');
  });

  it('A2 reaches nothing that asks for a passkey, not the issuer, and not the other door', async () => {
    const { key } = await made(lead, 'write');
    for (const change of [
      { routeClass: 'privileged' },
      { stepUp: 'anything' },
      { destination: 'issuer' },
      { door: 'tryout' },
    ] as const)
      await expect(mint(key, change), JSON.stringify(change)).rejects.toMatchObject(REFUSED);
  });

  it('A2 is no key with another secret, of another tenant, or as a text of nothing', async () => {
    const [one, other] = [await made(lead), await made(lead)];
    const bytes = (key: string) => Buffer.from(key.slice(4), 'base64url');
    // The checksum is right: anybody can work it out.
    const mixed = Buffer.concat([bytes(one.key).subarray(0, 32), bytes(other.key).subarray(32, 64), Buffer.alloc(4)]);
    mixed.writeUInt32BE(crc32(mixed.subarray(0, 64)), 64);
    const text = `axk_${mixed.toString('base64url')}`;
    expect(readApiKey(text)).toMatchObject({ keyId: one.id });
    for (const wrong of [text, `${one.key}A`, 'axk_', one.key.toUpperCase()])
      await expect(mint(wrong)).rejects.toMatchObject(REFUSED);
    await expect(mint(one.key)).resolves.toBeDefined();
  });

  it('A3 ends by itself', async () => {
    const { id, key } = await made(lead, 'read', 1);
    await mint(key);
    clock.advance(DAY_MS + 1);
    await expect(mint(key)).rejects.toMatchObject(REFUSED);
    const { keys } = await call<{ keys: ShownApiKey[] }>('list', lead);
    const shown = keys.find((one) => one.id === house.deps.formatId('axk', lead.tenant, id));
    expect(shown).toMatchObject({ state: 'expired', endedAt: null, lastUsedAt: expect.any(String) });
  });

  it('A3 ends by its owner and by who leads, and by nobody else', async () => {
    const own = await made(auditor);
    await expect(call('end', lead, { id: own.id })).rejects.toMatchObject({ code: 'not_found' });
    expect(await call('end', auditor, { id: own.id })).toEqual({ ended: true });
    expect(await call('end', auditor, { id: own.id })).toEqual({ ended: false });
    await expect(mint(own.key)).rejects.toMatchObject(REFUSED);
    const other = await made(auditor);
    const all = await call<{ keys: ShownApiKeyOfAll[] }>('listAll', lead);
    expect(all.keys).toContainEqual(expect.objectContaining({ owner: expect.any(String), state: 'active' }));
    expect(await call('endAny', lead, { id: other.id })).toEqual({ ended: true });
    await expect(mint(other.key)).rejects.toMatchObject(REFUSED);
    const ended = (await house.audited('api-key.ended')).map(({ leaf }) => (leaf as { public: object }).public);
    expect(ended).toEqual(expect.arrayContaining([{ reason: 'owner' }, { reason: 'administrator' }]));
  });

  it('A3 ends with everything else of somebody who leaves', async () => {
    const { key } = await made(auditor);
    const by = { actor: { service: 'issuer' } } as const;
    const revocation = { memberId: auditor.personId, cause: 'administrator', by } as const;
    const effects = await revokePrincipal(deps, auditor.tenant, revocation);
    expect(effects.find(({ holder }) => holder === 'api-keys')!.ended).toBeGreaterThan(0);
    await expect(mint(key)).rejects.toMatchObject(REFUSED);
    const open = 'select id from identity.api_key where member_id = $1 and ended_at is null and expires_at > $2';
    expect(await house.rows(open, [auditor.personId, new Date(clock.nowMs())])).toEqual([]);
  });

  it('A3 is refused four hours after the company has last vouched for its owner, and goes on when it does again', async () => {
    const owner = await house.callerOf((await house.enrol('lakeside', 'auditor')).cookie);
    const { tenant, personId } = owner;
    await knownAtConnection(house, tenant, personId);
    const prove = () => proveEmployment(house.deps, tenant, { memberId: personId, source: 'scim' });
    await prove();
    const { id, key } = await made(owner);
    clock.advance(PROOF_MS_MAX - 1000);
    await mint(key);
    clock.advance(1000);
    await expect(mint(key)).rejects.toMatchObject(REFUSED);
    await sweepEmployment(deps, 'sweep');
    await expect(mint(key)).rejects.toMatchObject(REFUSED);
    const ended = 'select ended_at from identity.api_key where id = $1';
    expect(await house.rows(ended, [id])).toEqual([{ ended_at: null }]);
    await prove();
    expect((await mint(key)).sessionId).toBe(id);
  });

  it('A3 ends when it has used up its attempts on other tenants, and its owner’s other key goes on', async () => {
    const [trying, other] = [await made(lead), await made(lead)];
    const attempt = () =>
      house.deps.attempts.record(lead.tenant, {
        type: ATTEMPT_REFUSED,
        actor: { personId: lead.personId, sessionId: trying.id },
        resource: ['tenant', lead.tenant.tenantId],
        outcome: 'denied',
        requestId: 'r',
        public: { code: 'gateway.id-foreign' },
      });
    for (let count = 1; count < WALL_ATTEMPTS_PER_SESSION_MAX; count += 1) await attempt();
    await expect(mint(trying.key)).resolves.toBeDefined();
    await attempt();
    await expect(mint(trying.key)).rejects.toMatchObject(REFUSED);
    const { keys } = await call<{ keys: ShownApiKey[] }>('list', lead);
    const shown = keys.find((one) => one.id === house.deps.formatId('axk', lead.tenant, trying.id));
    expect(shown).toMatchObject({ state: 'ended', endedBecause: 'attempts' });
    const told = (await house.audited('api-key.ended')).filter(({ resource_id }) => resource_id === trying.id);
    expect(told).toMatchObject([{ leaf: { public: { reason: 'attempts' } } }]);
    await expect(mint(other.key)).resolves.toBeDefined();
  });

  it('A1 is one of few: a person has no more than ten that live', async () => {
    let failure: unknown;
    for (let count = 0; count < 11 && failure === undefined; count += 1)
      failure = await made(lead).then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(failure).toMatchObject({ code: 'api_keys_full' });
    expect(failure).toBeInstanceOf(AppError);
  });
});
