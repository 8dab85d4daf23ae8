import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import type { Json, Uuid } from '@auditrax/base';
import { TenancyError } from '@auditrax/tenancy';
import type { Database, TenantContext } from '@auditrax/tenancy';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordAudit } from '../../platform/audit/index.ts';
import { keyRings } from './key-rings.ts';
import { HEALTH_FRESH_MS } from './key-stores.ts';
import { watchLeases } from './leases.ts';
import { createSealer } from './sealer.ts';
import type { Sealer } from './sealer.ts';
import { FORMER_KEPT_MS, openSourceBook } from './source-book.ts';
import { sourceApproval } from './source-approval.ts';
import type { OwnKeySource } from './source-contract.ts';
import { changeSource, checkSource, finishSource, readSources, returnSource } from './source-service.ts';
import type { SourceAsker, SourceDeps } from './source-service.ts';
import { ownKeyStore } from './testing/own-key-store.ts';
import type { OwnKeyStore } from './testing/own-key-store.ts';
import { foreignKeyRecorder, watchWithdrawals } from './withdrawals.ts';
import type { WithdrawalWatch } from './withdrawals.ts';
import { vaultInProcess } from './testing/vault-in-process.ts';
import type { VaultInProcess } from './testing/vault-in-process.ts';
import { startWorkspaceDatabase, type WorkspaceDatabase } from './testing/workspace-database.ts';

const FIELDS = { 'app.note.title': 1001 };
const withCode = (code: string) => expect.objectContaining({ code });
const uuid = (): Uuid => uuidV4(systemRandom);

const KMS: OwnKeySource = {
  kind: 'aws-kms',
  keyArn: 'arn:aws:kms:eu-central-1:111122223333:key/0000aaaa-0000-4000-8000-000000000001',
  region: 'eu-central-1',
  accessKeyId: 'AKIDEXAMPLEEXAMPLE',
  secretAccessKey: 'a-secret-of-the-tenant',
};
const XKS: OwnKeySource = {
  kind: 'xks',
  endpoint: 'https://keys.example.org',
  uriPathPrefix: '/tenant',
  keyId: 'their-key',
  accessKeyId: 'ABCDEFGHIJ234567ABCDEF',
  secretAccessKey: 'AnotherSecretOfTheTenant0123456789abcdefghij',
};

let opened: WorkspaceDatabase;
let database: Database;
let admin: Client;
let vault: VaultInProcess;
let store: OwnKeyStore;
let clock: ReturnType<typeof manualClock>;
let deps: SourceDeps;

beforeAll(async () => {
  opened = await startWorkspaceDatabase(['platform.tenant']);
  ({ admin, database } = opened);
});
afterAll(async () => {
  await opened?.stop();
});
beforeEach(async () => {
  clock = manualClock(Date.now());
  store = await ownKeyStore(clock);
  vault = await vaultInProcess(clock, store.openStore);
  deps = {
    service: 'workspace',
    tenantDoor: database.tenant,
    system: database.system,
    keysClient: vault.keysClient,
    sourcesClient: vault.sourcesClient,
    recordAudit,
    clock,
  };
  return async () => {
    await vault.close();
    await store.close();
  };
});

interface Tenant {
  readonly context: TenantContext;
  readonly asker: SourceAsker & { readonly asked: Json[] };
  readonly write: () => Promise<{ rowId: Uuid; sealed: Buffer }>;
  /** Reads as a process would that holds no key yet. */
  readonly read: (written: { rowId: Uuid; sealed: Buffer }) => Promise<string>;
  readonly refs: () => Promise<string[]>;
  readonly events: () => Promise<string[]>;
}

/** What was noticed about a tenant's key, oldest first. */
async function typesOf({ context }: Tenant): Promise<string[]> {
  const { rows } = await admin.query<{ type: string }>(
    `select type from audit.entry where tenant_id = $1
     and type in ('key.withdrawn', 'key.restored', 'key.foreign-refused') order by occurred_ms, id`,
    [context.tenantId],
  );
  return rows.map(({ type }) => type);
}

let tenantCount = 0;

function asker(context: TenantContext): Tenant['asker'] {
  const asked: Json[] = [];
  const who = { personId: uuid(), sessionId: uuid(), method: 'passkey', door: 'edge', tokenHash: 'token' } as const;
  const caller = { ...who, tenant: context, tenantKind: 'sample', role: 'lead', routeClass: 'privileged' } as const;
  const stepUp = async (action: Json) => {
    asked.push(action);
    return { assertionHash: 'assertion', credentialId: 'c' };
  };
  return { caller, requestId: context.requestId, asked, stepUp };
}

async function newTenant(tier: 'standard' | 'enterprise' = 'enterprise'): Promise<Tenant> {
  const tenantId = uuid();
  tenantCount += 1;
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name, tier) values ($1, $2, 'sample', $3, $3, $4)`,
    [tenantId, tenantCount, `sample-${tenantCount}`, tier],
  );
  const context = { tenantId, tenantPart: tenantCount, requestId: `request-${tenantCount}` };
  const { tenantDoor, keysClient } = deps;
  const sealer = (): Sealer =>
    createSealer({ service: 'workspace', tenantDoor, keysClient, fields: FIELDS, clock, random: systemRandom });
  await database.tenant.transaction(context, (tx) => sealer().provision(context, tx));
  const field = 'app.note.title' as const;
  return {
    context,
    asker: asker(context),
    write: async () => {
      const rowId = uuid();
      return { rowId, sealed: await sealer().seal({ context: { ...context }, field, rowId, value: 'a note' }) };
    },
    read: (written) => sealer().openText({ context: { ...context }, field, ...written }),
    refs: async () =>
      (
        await admin.query('select kek_ref from app.dek where tenant_id = $1 order by purpose, version', [tenantId])
      ).rows.map((row: { kek_ref: string }) => row.kek_ref),
    events: async () =>
      (
        await admin.query(
          `select type from audit.entry where tenant_id = $1 and type like 'key-source.%' order by occurred_ms, id`,
          [tenantId],
        )
      ).rows.map((row: { type: string }) => row.type),
  };
}

/** The source that is replaced, as a page shows it. */
const activeOf = async (who: Tenant['asker']) => (await readSources(deps, who)).active.sourceId;

describe('a tenant’s own key source', () => {
  it('takes over every data key, with the lead’s confirmation, and what was written stays readable', async () => {
    const tenant = await newTenant();
    const before = await tenant.write();
    const { active, moving } = await changeSource(deps, tenant.asker, {
      source: KMS,
      from: await activeOf(tenant.asker),
    });
    expect(active).toMatchObject({
      kind: 'aws-kms',
      state: 'ACTIVE',
      assurance: 'simulator',
      health: { state: 'usable' },
    });
    expect(moving).toEqual({ total: 2, left: 0, stopped: null });
    expect(await tenant.refs()).toEqual([`aws-kms:${KMS.keyArn}`, `aws-kms:${KMS.keyArn}`]);
    expect(await tenant.read(before)).toBe('a note');
    expect(await tenant.read(await tenant.write())).toBe('a note');
    expect(tenant.asker.asked).toMatchObject([
      { operation: 'keys.change-source', input: { ...(await sourceApproval(KMS)), from: null } },
    ]);
    expect(await tenant.events()).toEqual(['key-source.registered', 'key-source.activated']);
  });

  it('replaces the source that was approved to be replaced, or nothing', async () => {
    const tenant = await newTenant();
    const changed = withCode('key_setting_changed');
    await expect(changeSource(deps, tenant.asker, { source: KMS, from: uuid() })).rejects.toThrow(changed);
    await expect(returnSource(deps, tenant.asker, { from: uuid() })).rejects.toThrow(changed);
    expect([vault.book.entries().length, await tenant.events()]).toEqual([0, []]);
    // Both leads have the same page before them: the installation's own is active.
    await changeSource(deps, tenant.asker, { source: KMS, from: null });
    await expect(changeSource(deps, tenant.asker, { source: XKS, from: null })).rejects.toThrow(changed);
    await expect(returnSource(deps, tenant.asker, { from: null })).rejects.toThrow(changed);
    const kms = await activeOf(tenant.asker);
    expect(kms).not.toBeNull();
    // The keys process looks again when it switches: two that were read at the same moment are one after the other there.
    await expect(vault.sourcesClient.activate(tenant.context, null, null)).rejects.toThrow(changed);
    await returnSource(deps, tenant.asker, { from: kms });
    expect(await activeOf(tenant.asker)).toBeNull();
  });

  it('is refused to a tenant of the standard tier, and nothing is asked or stored', async () => {
    const tenant = await newTenant('standard');
    await expect(changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) })).rejects.toThrow(
      withCode('source_tier'),
    );
    await expect(checkSource(deps, tenant.asker, KMS)).rejects.toThrow(withCode('source_tier'));
    expect([store.calls.count, vault.book.entries().length, tenant.asker.asked.length]).toEqual([0, 0, 0]);
    expect(await readSources(deps, tenant.asker)).toMatchObject({ tier: 'standard', mayChange: false });
  });

  it('is tried before it is kept: a check keeps nothing, a store that refuses changes nothing', async () => {
    const tenant = await newTenant();
    expect(await checkSource(deps, tenant.asker, KMS)).toMatchObject({ ok: true, kekRef: `aws-kms:${KMS.keyArn}` });
    store.refusal.code = 'kek_denied';
    const refused = await checkSource(deps, tenant.asker, KMS);
    expect(refused).toMatchObject({ ok: false, health: { state: 'withdrawn', code: 'kek_denied' } });
    expect(refused.health.advice).toContain('key policy');
    const said = expect.objectContaining({
      code: 'kek_denied',
      publicDetail: expect.stringContaining('told so') as string,
    });
    await expect(changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) })).rejects.toThrow(
      said as Error,
    );
    expect(vault.book.entries()).toEqual([]);
    expect((await tenant.refs()).every((ref) => ref.startsWith('local:'))).toBe(true);
    expect(await tenant.events()).toEqual(['key-source.checked', 'key-source.checked']);
  });

  it('withdrawn makes the tenant’s data unreadable and nobody else’s; given back, it is readable again', async () => {
    const tenant = await newTenant();
    const other = await newTenant();
    const [written, others] = [await tenant.write(), await other.write()];
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    const lease = async () => (await vault.sourcesClient.lease([tenant.context.tenantId], 'r'))[0];
    expect(await lease()).toMatchObject({ state: 'usable' });
    store.refusal.code = 'kek_disabled';
    clock.advance(HEALTH_FRESH_MS);
    expect(await lease()).toMatchObject({ state: 'withdrawn', code: 'kek_disabled' });
    await expect(tenant.read(written)).rejects.toThrow(withCode('kek_disabled'));
    expect(await other.read(others)).toBe('a note');
    expect(await vault.sourcesClient.lease([other.context.tenantId], 'r')).toMatchObject([{ state: 'installation' }]);
    store.refusal.code = 'kek_unavailable';
    clock.advance(HEALTH_FRESH_MS);
    expect(await lease()).toMatchObject({ state: 'unreachable', code: 'kek_unavailable' });
    store.refusal.code = undefined;
    clock.advance(HEALTH_FRESH_MS);
    expect(await lease()).toMatchObject({ state: 'usable' });
    expect(await tenant.read(written)).toBe('a note');
  });

  it('a process that holds keys of a withdrawn source wipes them at its next question, and opens again when it is given back', async () => {
    const tenant = await newTenant();
    const written = await tenant.write();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    const parts = { tenantDoor: deps.tenantDoor, keysClient: vault.keysClient, fields: FIELDS, clock };
    const holder = createSealer({ ...parts, service: 'workspace', random: systemRandom });
    const watch = watchLeases({ sealer: holder, client: vault.sourcesClient, onFailure: () => undefined });
    const read = () => holder.openText({ context: { ...tenant.context }, field: 'app.note.title', ...written });
    expect(await read()).toBe('a note');
    store.refusal.code = 'kek_unavailable';
    clock.advance(HEALTH_FRESH_MS);
    await watch.look();
    expect(await read()).toBe('a note'); // held, and nobody has said that it may not be
    store.refusal.code = 'kek_disabled';
    clock.advance(HEALTH_FRESH_MS);
    await watch.look();
    await expect(read()).rejects.toThrow(withCode('kek_disabled'));
    store.refusal.code = undefined;
    clock.advance(HEALTH_FRESH_MS);
    await watch.look();
    expect(await read()).toBe('a note');
    watch.stop();
  });

  it('what was unwrapped before the switch is wiped as well when the new source is withdrawn', async () => {
    const tenant = await newTenant();
    const written = await tenant.write();
    const parts = { tenantDoor: deps.tenantDoor, keysClient: vault.keysClient, fields: FIELDS, clock };
    const holder = createSealer({ ...parts, service: 'issuer', random: systemRandom });
    const watch = watchLeases({ sealer: holder, client: vault.sourcesClient, onFailure: () => undefined });
    const read = () => holder.openText({ context: { ...tenant.context }, field: 'app.note.title', ...written });
    expect(await read()).toBe('a note'); // under the installation's key, in a process that did not make the switch
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    store.refusal.code = 'kek_disabled';
    clock.advance(HEALTH_FRESH_MS);
    await watch.look();
    await expect(read()).rejects.toThrow(withCode('kek_disabled'));
    store.refusal.code = undefined;
    watch.stop();
  });

  it('a use that is refused as withdrawn is known to the leases at once, without another question', async () => {
    const tenant = await newTenant();
    const written = await tenant.write();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    await vault.sourcesClient.lease([tenant.context.tenantId], 'r');
    store.refusal.code = 'kek_gone';
    await expect(tenant.read(written)).rejects.toThrow(withCode('kek_gone'));
    const calls = store.calls.count;
    expect(await vault.sourcesClient.lease([tenant.context.tenantId], 'r')).toMatchObject([{ state: 'withdrawn' }]);
    expect(store.calls.count).toBe(calls);
  });

  it('health is asked at most once in five seconds, however many ask', async () => {
    const tenant = await newTenant();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    clock.advance(HEALTH_FRESH_MS);
    const calls = store.calls.count;
    await Promise.all(Array.from({ length: 20 }, () => vault.sourcesClient.lease([tenant.context.tenantId], 'r')));
    expect(store.calls.count).toBe(calls + 1);
  });

  it('data keys that cannot be moved stay readable under the former source, and finishing moves them', async () => {
    const tenant = await newTenant();
    const written = await tenant.write();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    store.refusal.code = 'kek_unavailable';
    const back = await returnSource(deps, tenant.asker, { from: await activeOf(tenant.asker) });
    expect(back.active).toMatchObject({ kind: 'local' });
    expect(back.moving).toMatchObject({ total: 2, left: 2, stopped: { code: 'kek_unavailable' } });
    store.refusal.code = undefined;
    clock.advance(HEALTH_FRESH_MS);
    expect(await tenant.read(written)).toBe('a note');
    expect((await finishSource(deps, tenant.asker)).moving).toEqual({ total: 2, left: 0, stopped: null });
    expect((await tenant.refs()).every((ref) => ref.startsWith('local:'))).toBe(true);
    expect(await tenant.read(written)).toBe('a note');
    expect(await tenant.events()).toContain('key-source.returned');
  });

  it('a former source is forgotten only after requests of its time have ended', async () => {
    const tenant = await newTenant();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    await changeSource(deps, tenant.asker, { source: XKS, from: await activeOf(tenant.asker) });
    expect(
      vault.book
        .ofTenant(tenant.context.tenantId)
        .map(({ state }) => state)
        .sort(),
    ).toEqual(['ACTIVE', 'FORMER']);
    clock.advance(FORMER_KEPT_MS);
    await finishSource(deps, tenant.asker);
    expect(vault.book.ofTenant(tenant.context.tenantId)).toMatchObject([{ state: 'ACTIVE', source: { kind: 'xks' } }]);
  });

  it('a store that answers with another key moves nothing', async () => {
    const tenant = await newTenant();
    const written = await tenant.write();
    store.lying.on = true;
    const { moving } = await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    expect(moving).toMatchObject({ left: 2, stopped: { code: 'commitment_mismatch' } });
    expect(await tenant.read(written)).toBe('a note');
  });

  it('of another tenant is refused by name before any store is asked', async () => {
    const [tenant, other] = [await newTenant(), await newTenant()];
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    const { rows } = await admin.query(
      `select id, wrapped, kek_ref from app.dek where tenant_id = $1 and purpose = 'fields'`,
      [tenant.context.tenantId],
    );
    const row = rows[0] as { id: Uuid; wrapped: Buffer; kek_ref: string };
    const calls = store.calls.count;
    const name = { purpose: 'fields', dekId: row.id, version: 1 } as const;
    const stolen = vault.keysClient.unwrap(other.context, name, { kekRef: row.kek_ref, wrapped: row.wrapped });
    await expect(stolen).rejects.toThrow(withCode('unwrap_refused'));
    expect(vault.refusals.at(-1)).toMatchObject({ code: 'kek_foreign', peer: 'workspace' });
    expect(store.calls.count).toBe(calls);
  });

  it('a key of the shared HSM serves one tenant only', async () => {
    const [tenant, other] = [await newTenant(), await newTenant()];
    const label = { kind: 'pkcs11', keyLabel: 'payroll' } as const;
    await changeSource(deps, tenant.asker, { source: label, from: await activeOf(tenant.asker) });
    await expect(changeSource(deps, other.asker, { source: label, from: await activeOf(other.asker) })).rejects.toThrow(
      withCode('kek_foreign'),
    );
  });

  it('of another tenant in its rows: each reader is told, the log once an hour', async () => {
    const [tenant, other] = [await newTenant(), await newTenant()];
    const written = await other.write();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    const { rows } = await admin.query(`select kek_ref from app.dek where tenant_id = $1 limit 1`, [
      tenant.context.tenantId,
    ]);
    await admin.query('alter table app.dek disable trigger user');
    await admin.query(`update app.dek set kek_ref = $2 where tenant_id = $1`, [
      other.context.tenantId,
      rows[0].kek_ref,
    ]);
    await admin.query('alter table app.dek enable trigger user');
    const failures: unknown[] = [];
    const onForeignKey = foreignKeyRecorder({
      ...deps,
      nowMs: () => clock.nowMs(),
      onFailure: (error) => failures.push(error),
    });
    const sealer = createSealer({ ...deps, fields: FIELDS, random: systemRandom, onForeignKey });
    const read = () => sealer.openText({ context: other.context, field: 'app.note.title', ...written });
    for (let i = 0; i < 3; i += 1) await expect(read()).rejects.toThrow(withCode('unwrap_refused'));
    await expect.poll(() => typesOf(other)).toEqual(['key.foreign-refused']);
    clock.advance(3_600_000);
    await expect(read()).rejects.toThrow(withCode('unwrap_refused'));
    await expect.poll(async () => (await typesOf(other)).length).toBe(2);
    expect(failures).toEqual([]);
    expect(await typesOf(tenant)).toEqual([]);
  });

  it('withdrawn and given back is in its log, once for each change, over restarts of who watches', async () => {
    const tenant = await newTenant();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    const failures: unknown[] = [];
    const changes = () => typesOf(tenant);
    const watch = () =>
      watchWithdrawals({ ...deps, client: vault.sourcesClient, onFailure: (error) => failures.push(error) });
    const look = async (watcher: WithdrawalWatch, code: typeof store.refusal.code) => {
      store.refusal.code = code;
      clock.advance(HEALTH_FRESH_MS);
      await watcher.look();
    };
    const first = watch();
    await look(first, undefined);
    expect(await changes()).toEqual([]);
    await look(first, 'kek_disabled');
    await look(first, 'kek_denied');
    first.stop();
    const second = watch();
    await look(second, 'kek_disabled');
    expect(await changes()).toEqual(['key.withdrawn']);
    // Out of reach: neither withdrawn nor given back.
    await look(second, 'kek_unavailable');
    expect(await changes()).toEqual(['key.withdrawn']);
    await look(second, undefined);
    second.stop();
    const third = watch();
    await look(third, undefined);
    third.stop();
    expect(await changes()).toEqual(['key.withdrawn', 'key.restored']);
    expect(failures).toEqual([]);
    const { rows } = await admin.query(
      `select convert_from(leaf, 'UTF8')::jsonb -> 'public' as facts from audit.entry where tenant_id = $1 and type = 'key.withdrawn'`,
      [tenant.context.tenantId],
    );
    expect(rows[0].facts).toMatchObject({ code: 'kek_disabled', advice: expect.stringContaining('Enable it again') });
  });

  it('a check makes no key: where one is still to be made it says so, and uses none', async () => {
    const tenant = await newTenant();
    store.unmade.on = true;
    const label = { kind: 'pkcs11', keyLabel: 'fresh' } as const;
    const before = store.calls.count;
    const checked = await checkSource(deps, tenant.asker, label);
    expect(checked).toMatchObject({
      ok: true,
      kekRef: null,
      details: { key: expect.stringContaining('not there yet') },
    });
    expect(store.calls.count).toBe(before + 1); // its health
    const { active } = await changeSource(deps, tenant.asker, { source: label, from: await activeOf(tenant.asker) });
    expect(active).toMatchObject({ kind: 'pkcs11', state: 'ACTIVE' });
  });

  it('who used the key and when is told, refusals too', async () => {
    const tenant = await newTenant();
    const written = await tenant.write();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    await tenant.read(written);
    store.refusal.code = 'kek_denied';
    await tenant.read(written).catch(() => undefined);
    const { uses } = await readSources(deps, tenant.asker);
    expect(uses.last[0]).toMatchObject({
      operation: 'unwrap',
      outcome: 'kek_denied',
      peer: 'workspace',
      purpose: 'fields',
    });
    expect(uses.last[1]).toMatchObject({ operation: 'unwrap', outcome: 'ok', requestId: tenant.context.requestId });
    expect(uses.refused).toBe(1);
    expect(uses.total).toBe(uses.last.length);
  });

  it('no secret of it leaves the keys process: not in what is shown, not in the log, not readable on its disk', async () => {
    const tenant = await newTenant();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    const shown = JSON.stringify([
      await readSources(deps, tenant.asker),
      await keyRings(deps, 'r'),
      tenant.asker.asked,
    ]);
    expect(shown).toContain('AKIDEXAMPLEEXAMPLE');
    expect(shown).not.toContain('a-secret-of-the-tenant');
    const { rows } = await admin.query(
      `select convert_from(leaf, 'UTF8') as leaf from audit.entry where tenant_id = $1`,
      [tenant.context.tenantId],
    );
    expect(JSON.stringify(rows)).not.toContain('a-secret-of-the-tenant');
    const file = await readFile(join(vault.folder, 'source-book'), 'utf8');
    expect(file).not.toContain('secret');
    expect(file).not.toContain(KMS.keyArn);
  });

  it('is there again after a restart of the keys process', async () => {
    const tenant = await newTenant();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    const { ring, folder } = vault;
    const again = await openSourceBook({ path: join(folder, 'source-book'), ring, clock, random: systemRandom });
    expect(again.entries()).toEqual(vault.book.entries());
  });

  it('the operator sees each key store once, with what hangs on it', async () => {
    const [tenant, other] = [await newTenant(), await newTenant()];
    await other.write();
    await changeSource(deps, tenant.asker, { source: KMS, from: await activeOf(tenant.asker) });
    store.refusal.code = 'kek_denied';
    clock.advance(HEALTH_FRESH_MS);
    const rings = await keyRings(deps, 'r');
    const own = rings.find((ring) => ring.tenant !== null);
    expect(rings.filter((ring) => ring.tenant === null)).toHaveLength(1);
    expect(rings[0]).toMatchObject({
      tenant: null,
      provider: 'local',
      assurance: 'development',
      health: { state: 'usable' },
    });
    expect(own).toMatchObject({ provider: 'aws-kms', tenants: 1, dataKeys: 2, health: { state: 'withdrawn' } });
    expect(own!.health.advice).toContain('access key');
  });

  it('a tenant whose database is away is said to be unseen, and takes nobody else along', async () => {
    const [away, here] = [await newTenant(), await newTenant()];
    await away.write();
    await here.write();
    const before = (await keyRings(deps, 'r'))[0]!;
    const failing = (fault: Error): typeof deps.tenantDoor => ({
      ...deps.tenantDoor,
      scoped: (context, statement) =>
        context.tenantId === away.context.tenantId ? Promise.reject(fault) : deps.tenantDoor.scoped(context, statement),
    });
    expect(before.unseen).toBe(0);
    const gone = new TenancyError('database_unavailable', 'no answer');
    const after = (await keyRings({ ...deps, tenantDoor: failing(gone) }, 'r'))[0]!;
    expect(after).toMatchObject({ tenant: null, unseen: 1, tenants: before.tenants });
    expect(after.dataKeys).toBeLessThan(before.dataKeys);
    expect(after.dataKeys).toBeGreaterThan(0);
    const broken = keyRings({ ...deps, tenantDoor: failing(new Error('a fault of ours')) }, 'r');
    await expect(broken).rejects.toThrow('a fault of ours');
  });
});
