import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, manualClock, parseUuid, systemRandom, uuidV4 } from '@auditrax/base';
import type { RouteContract, Uuid } from '@auditrax/base';
import { fieldKeyVersion } from '@auditrax/seal';
import type { Database, TenantContext } from '@auditrax/tenancy';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordAudit } from '../../platform/audit/index.ts';
import type { Handler } from '../../platform/http/handler.ts';
import { createKeysClient } from './client.ts';
import type { KeysClient } from './client.ts';
import { DEK_TTL_MS } from './dek-cache.ts';
import { watchLeases } from './leases.ts';
import { createSealer } from './sealer.ts';
import type { Sealer } from './sealer.ts';
import { DEK_AGE_MS_MAX, keyStatus, listedKeys } from './service.ts';
import { openSuiteBook } from './suite-book.ts';
import { vaultSuiteContract } from './suite-contract.ts';
import { suiteRoutes } from './suite-routes.ts';
import { vaultInProcess } from './testing/vault-in-process.ts';
import type { VaultInProcess } from './testing/vault-in-process.ts';
import { startWorkspaceDatabase, type WorkspaceDatabase } from './testing/workspace-database.ts';

const FIELDS = { 'app.note.title': 1001, 'app.note.body': 1002 };
const DAY_MS = 86_400_000;
const withCode = (code: string) => expect.objectContaining({ code });
const uuid = (): Uuid => uuidV4(systemRandom);

let opened: WorkspaceDatabase;
let database: Database;
let admin: Client;
let vault: VaultInProcess;
let clock: ReturnType<typeof manualClock>;

beforeAll(async () => {
  opened = await startWorkspaceDatabase();
  ({ admin, database } = opened);
});
afterAll(async () => {
  await opened?.stop();
});
beforeEach(async () => {
  clock = manualClock(Date.now());
  vault = await vaultInProcess(clock);
  return () => vault.close();
});

let tenantCount = 0;
async function newTenant(): Promise<TenantContext> {
  const tenantId = uuid();
  tenantCount += 1;
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, $2, 'sample', $3, 'Sample')`,
    [tenantId, tenantCount, `sample-${tenantCount}`],
  );
  return { tenantId, tenantPart: tenantCount, requestId: `request-${tenantCount}` };
}

const makeSealer = (change: { keysClient?: KeysClient } = {}): Sealer =>
  createSealer({
    service: 'workspace',
    tenantDoor: database.tenant,
    keysClient: vault.keysClient,
    fields: FIELDS,
    clock,
    random: systemRandom,
    ...change,
  });

async function provisioned(): Promise<{ context: TenantContext; sealer: Sealer }> {
  const context = await newTenant();
  await database.tenant.transaction(context, (tx) => makeSealer().provision(context, tx));
  return { context: { ...context }, sealer: makeSealer() };
}

const deks = async (context: TenantContext) =>
  (await admin.query('select * from app.dek where tenant_id = $1 order by purpose, version', [context.tenantId])).rows;

describe('values of tenants are sealed under their own keys', () => {
  it('text and bytes come back, and only for their tenant, field and row', async () => {
    const { context, sealer } = await provisioned();
    const other = await provisioned();
    const rowId = uuid();
    const place = { context, field: 'app.note.title', rowId } as const;
    const sealed = await sealer.seal({ ...place, value: 'Prüfung ✓' });
    expect(sealed.includes('Pr')).toBe(false);
    expect(await sealer.openText({ ...place, sealed })).toBe('Prüfung ✓');
    const closed = withCode('authentication_failed');
    await expect(sealer.openText({ ...place, rowId: uuid(), sealed })).rejects.toThrow(closed);
    await expect(sealer.openText({ ...place, field: 'app.note.body', sealed })).rejects.toThrow(closed);
    await expect(sealer.openText({ ...place, context: other.context, sealed })).rejects.toThrow(closed);
    const bytes = await sealer.seal({ ...place, value: Buffer.from([0xff, 0xfe]) });
    expect((await sealer.openBytes({ ...place, sealed: bytes })).equals(Buffer.from([0xff, 0xfe]))).toBe(true);
    await expect(sealer.openText({ ...place, sealed: bytes })).rejects.toThrow();
    await expect(sealer.seal({ ...place, field: 'app.note.unknown', value: '' })).rejects.toThrow(
      withCode('field_unregistered'),
    );
    await expect(sealer.seal({ ...place, field: 'constructor' as never, value: '' })).rejects.toThrow(
      withCode('field_unregistered'),
    );
  });

  it('a row set opens in its order, over several keys, with one unwrap for each; one that does not fit fails it whole', async () => {
    const { context, sealer } = await provisioned();
    const fields = ['app.note.title', 'app.note.body'] as const;
    const write = async (count: number) =>
      Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const place = { field: fields[index % 2]!, rowId: uuid() };
          return { ...place, sealed: await sealer.seal({ ...place, context, value: `${index} ✓` }) };
        }),
      );
    const old = await write(1_300);
    clock.advance(DEK_AGE_MS_MAX);
    const values = [...old, ...(await write(3))];
    expect(new Set(values.map(({ sealed }) => fieldKeyVersion(sealed)))).toEqual(new Set([1, 2]));
    const reader = makeSealer();
    vault.calls.length = 0;
    const texts = await reader.openTexts({ context, values });
    expect(texts).toEqual(values.map((_, index) => `${index < 1_300 ? index : index - 1_300} ✓`));
    expect(vault.calls).toEqual(['keys.unwrap', 'keys.unwrap']);
    expect(await reader.openTexts({ context, values: [] })).toEqual([]);
    const swapped = values.with(700, { ...values[700]!, rowId: uuid() });
    await expect(reader.openTexts({ context, values: swapped })).rejects.toThrow(withCode('authentication_failed'));
    const foreign = values.with(0, { ...values[0]!, field: 'app.note.none' as never });
    await expect(reader.openTexts({ context, values: foreign })).rejects.toThrow(withCode('field_unregistered'));
  });

  it('a tenant’s list of suites refuses what is not on it, for reading, sets and writing, and no row of the database widens it', async () => {
    const { context, sealer } = await provisioned();
    const place = { context, field: 'app.note.title', rowId: uuid() } as const;
    const sealed = await sealer.seal({ ...place, value: 'kept' });
    await vault.suites.keep(context.tenantId, [1]);
    expect(await makeSealer().openText({ ...place, sealed })).toBe('kept');
    // As if this build's suite had been taken from the list in favour of a later one.
    await vault.suites.keep(context.tenantId, [2]);
    const reader = makeSealer();
    const refused = withCode('suite_refused');
    await expect(reader.openText({ ...place, sealed })).rejects.toThrow(refused);
    await expect(reader.openTexts({ context, values: [{ ...place, sealed }] })).rejects.toThrow(refused);
    await expect(reader.seal({ ...place, value: 'new' })).rejects.toThrow(refused);
    // What is held carries the list it came with, until it is forgotten.
    expect(await sealer.openText({ ...place, sealed })).toBe('kept');
    clock.advance(DEK_TTL_MS);
    await expect(sealer.openText({ ...place, sealed })).rejects.toThrow(refused);
    const other = await provisioned();
    const theirs = { context: other.context, field: 'app.note.title', rowId: uuid() } as const;
    expect(await other.sealer.openText({ ...theirs, sealed: await other.sealer.seal({ ...theirs, value: 'x' }) })).toBe(
      'x',
    );
    // The list is a sealed file of the keys process: another start reads the same one, a changed file is refused.
    const file = { path: join(vault.folder, 'suite-book'), ring: vault.ring, random: systemRandom };
    expect((await openSuiteBook(file)).of(context.tenantId)).toEqual([2]);
    const text = readFileSync(file.path, 'utf8');
    writeFileSync(
      file.path,
      text.replace(/.$/m, (last) => (last === '0' ? '1' : '0')),
    );
    await expect(openSuiteBook(file)).rejects.toThrow();
    writeFileSync(file.path, text);
    await vault.suites.keep(context.tenantId, undefined);
    expect(await makeSealer().openText({ ...place, sealed })).toBe('kept');
  });

  it('a lead pins the list over the route: confirmed, on record, obeyed at once; what cannot be obeyed is refused', async () => {
    const { context, sealer } = await provisioned();
    const person = {
      personId: uuid(),
      sessionId: uuid(),
      role: 'lead',
      tenant: context,
      tenantKind: 'sample',
      tokenHash: 'ab'.repeat(32),
    };
    const routes = suiteRoutes({ tenantDoor: database.tenant, client: vault.client, sealer, recordAudit });
    const call = (name: string, body: object) =>
      (routes.handlers[name] as unknown as Handler<RouteContract>)({
        caller: person,
        requestId: 'request',
        body,
        stepUp: async () => ({ assertionHash: 'cd'.repeat(32) }),
      } as never) as Promise<{ body: { allowed: number[] | null } }>;
    expect((await call('suites', {})).body).toEqual({ allowed: null, known: [{ suite: 1, name: 'XAES-256-GCM' }] });
    const unfit = withCode('suites_unfit');
    await expect(call('setSuites', { allowed: [1, 2], from: null })).rejects.toThrow(unfit);
    await expect(
      vault.client.call(vaultSuiteContract.set, {
        body: { tenantId: context.tenantId, allowed: [2], from: null },
        requestId: 'r',
      }),
    ).rejects.toThrow(unfit);
    expect((await call('setSuites', { allowed: [1], from: null })).body.allowed).toEqual([1]);
    // Approved with the former list in view.
    const changed = withCode('key_setting_changed');
    for (const from of [null, [1, 2]])
      await expect(call('setSuites', { allowed: null, from })).rejects.toThrow(changed);
    expect((await call('suites', {})).body.allowed).toEqual([1]);
    const { rows } = await admin.query(
      `select convert_from(leaf, 'UTF8')::jsonb -> 'public' ->> 'allowed' as allowed from audit.entry where tenant_id = $1 and type = 'key.suites-changed'`,
      [context.tenantId],
    );
    expect(rows).toEqual([{ allowed: '1' }]);
  });

  it('an object’s key opens for its tenant and object only, under the other purpose', async () => {
    const { context, sealer } = await provisioned();
    const objectId = uuid();
    const key = systemRandom.bytes(32);
    const sealed = await sealer.sealObjectKey({ context, objectId, key });
    expect((await sealer.openObjectKey({ context, objectId, sealed })).equals(key)).toBe(true);
    await expect(sealer.openObjectKey({ context, objectId: uuid(), sealed })).rejects.toThrow(
      withCode('authentication_failed'),
    );
    await expect(sealer.openBytes({ context, field: 'app.note.body', rowId: objectId, sealed })).rejects.toThrow(
      withCode('authentication_failed'),
    );
  });

  it('ten thousand fields cost one unwrap', async () => {
    const { context, sealer } = await provisioned();
    vault.calls.length = 0;
    const place = { context, field: 'app.note.title', rowId: uuid() } as const;
    const sealed = await Promise.all(Array.from({ length: 10_000 }, () => sealer.seal({ ...place, value: 'x' })));
    await Promise.all(sealed.map((one) => sealer.openText({ ...place, sealed: one })));
    expect(vault.calls).toEqual(['keys.unwrap']);
    clock.advance(DEK_TTL_MS);
    await sealer.openText({ ...place, sealed: sealed[0]! });
    expect(vault.calls).toEqual(['keys.unwrap', 'keys.unwrap']);
  });
});

describe('keys are made with their tenant or not at all', () => {
  it('inside the transaction the new keys work; each has its audit entry', async () => {
    const context = await newTenant();
    const sealer = makeSealer();
    const sealed = await database.tenant.transaction(context, async (tx) => {
      await sealer.provision(context, tx);
      return sealer.seal({ context, field: 'app.note.title', rowId: context.tenantId, value: 'first', tx });
    });
    expect(
      await makeSealer().openText({
        context: { ...context },
        field: 'app.note.title',
        rowId: context.tenantId,
        sealed,
      }),
    ).toBe('first');
    const rows = await deps(context);
    expect(rows).toEqual([
      ['fields', 1, 'ACTIVE'],
      ['objects', 1, 'ACTIVE'],
    ]);
    const entries = await admin.query('select type, resource_kind from audit.entry where tenant_id = $1', [
      context.tenantId,
    ]);
    expect(entries.rows).toEqual([1, 2].map(() => ({ type: 'key.created', resource_kind: 'dek' })));
  });

  it('a rolled back creation leaves no key that seals', async () => {
    const context = await newTenant();
    const sealer = makeSealer();
    const failing = database.tenant.transaction(context, async (tx) => {
      await sealer.provision(context, tx);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    const place = { context: { ...context }, field: 'app.note.title', rowId: uuid() } as const;
    await expect(sealer.seal({ ...place, value: 'x' })).rejects.toThrow(withCode('dek_missing'));
  });

  it('a key row without its audit entry does not commit, and its bytes never change', async () => {
    const { context } = await provisioned();
    const [row] = await deks(context);
    const door = database.tenant;
    const sneak = door.scoped(context, {
      sql: `update app.dek set state = 'DECRYPT_ONLY' where tenant_id = $1 and id = $2`,
      parameters: [context.tenantId, row.id],
    });
    await expect(sneak).rejects.toThrow();
    for (const column of ['commitment', 'created_at', 'version', 'purpose', 'not_after']) {
      await expect(
        door.scoped(context, {
          sql: `update app.dek set ${column} = ${column} where tenant_id = $1`,
          parameters: [context.tenantId],
        }),
      ).rejects.toThrow();
    }
    expect((await deks(context))[0].state).toBe('ACTIVE');
  });
});

async function deps(context: TenantContext): Promise<unknown[][]> {
  return (await deks(context)).map((row) => [row.purpose, row.version, row.state]);
}

describe('nothing new is sealed under a key older than 90 days', () => {
  it('the writer rotates, old values stay readable, and the log knows', async () => {
    const { context, sealer } = await provisioned();
    const place = { context, field: 'app.note.title', rowId: uuid() } as const;
    const old = await sealer.seal({ ...place, value: 'old' });
    clock.advance(DEK_AGE_MS_MAX - 1_000);
    expect(fieldKeyVersion(await sealer.seal({ ...place, value: 'still' }))).toBe(1);
    expect(await keyStatus({ tenantDoor: database.tenant, clock }, context)).toMatchObject({
      activeCount: 2,
      totalCount: 2,
    });
    // The cached key turns 90 days while it is cached.
    clock.advance(1_000);
    const fresh = await sealer.seal({ ...place, value: 'new' });
    expect([fieldKeyVersion(old), fieldKeyVersion(fresh)]).toEqual([1, 2]);
    expect(await sealer.openText({ ...place, sealed: old })).toBe('old');
    expect(await sealer.openText({ ...place, sealed: fresh })).toBe('new');
    expect(await deps(context)).toEqual([
      ['fields', 1, 'DECRYPT_ONLY'],
      ['fields', 2, 'ACTIVE'],
      ['objects', 1, 'ACTIVE'],
    ]);
    const types = await admin.query('select type from audit.entry where tenant_id = $1 order by type', [
      context.tenantId,
    ]);
    expect(types.rows.map((row) => row.type)).toEqual(['key.closed', 'key.created', 'key.created', 'key.created']);
    await sealer.rotateIfDue(context);
    const status = await keyStatus({ tenantDoor: database.tenant, clock }, context);
    expect(status).toMatchObject({ activeCount: 2, totalCount: 4, oldestActiveAgeDays: 0, ageDaysMax: 90 });
    expect(Date.parse(status.nextRotationAt!)).toBe(clock.nowMs() + 90 * DAY_MS);
  });

  it('many writers in several processes rotate once', async () => {
    const { context } = await provisioned();
    clock.advance(DEK_AGE_MS_MAX);
    const sealers = [makeSealer(), makeSealer(), makeSealer()];
    const place = { context, field: 'app.note.title', rowId: uuid() } as const;
    const sealed = await Promise.all(sealers.flatMap((one) => [1, 2].map(() => one.seal({ ...place, value: 'x' }))));
    expect(new Set(sealed.map((one) => fieldKeyVersion(one)))).toEqual(new Set([2]));
    expect((await deps(context)).filter(([purpose]) => purpose === 'fields')).toHaveLength(2);
    for (const one of sealed) expect(await makeSealer().openText({ ...place, sealed: one })).toBe('x');
  });

  it('people see age and next rotation, and no key bytes', async () => {
    const { context } = await provisioned();
    clock.advance(3 * DAY_MS);
    const keys = await listedKeys({ tenantDoor: database.tenant, clock }, context);
    expect(keys.map((key) => [key.purpose, Math.round(key.ageDays), key.state])).toEqual([
      ['fields', 3, 'ACTIVE'],
      ['objects', 3, 'ACTIVE'],
    ]);
    expect(Object.keys(keys[0]!).sort()).toEqual([
      'ageDays',
      'createdAt',
      'nextRotationAt',
      'purpose',
      'state',
      'version',
    ]);
  });
});

describe('a key is used only as what it was made for', () => {
  it('a key service that answers with another key is refused by the commitment', async () => {
    const { context } = await provisioned();
    const lying: KeysClient = {
      ...vault.keysClient,
      open: async () => ({ dek: Buffer.from(systemRandom.bytes(32)), suites: null }),
    };
    const sealer = makeSealer({ keysClient: lying });
    const attempt = sealer.seal({ context, field: 'app.note.title', rowId: uuid(), value: 'x' });
    await expect(attempt).rejects.toThrow(withCode('commitment_mismatch'));
    const unborn = await newTenant();
    await expect(database.tenant.transaction(unborn, (tx) => sealer.provision(unborn, tx))).rejects.toThrow(
      withCode('commitment_mismatch'),
    );
    expect(await deks(unborn)).toEqual([]);
  });

  it('a wrapped key of another tenant, purpose or version is refused by the vault, which tells', async () => {
    const a = await provisioned();
    const b = await provisioned();
    const [row] = await deks(a.context);
    const wrapped = { wrapped: row.wrapped, kekRef: row.kek_ref };
    const name = { purpose: 'fields', dekId: parseUuid(row.id)!, version: 1 } as const;
    const refused = withCode('unwrap_refused');
    await expect(vault.keysClient.unwrap(b.context, name, wrapped)).rejects.toThrow(refused);
    await expect(vault.keysClient.unwrap(a.context, { ...name, purpose: 'objects' }, wrapped)).rejects.toThrow(refused);
    await expect(vault.keysClient.unwrap(a.context, { ...name, version: 2 }, wrapped)).rejects.toThrow(refused);
    expect(vault.refusals.map((refusal) => [refusal.code, refusal.peer])).toEqual([
      ['kek_foreign', 'workspace'],
      ['authentication_failed', 'workspace'],
      ['authentication_failed', 'workspace'],
    ]);
    await vault.keysClient.unwrap(a.context, name, wrapped);
  });

  it('a retired key opens nothing, a missing one is named', async () => {
    const { context, sealer } = await provisioned();
    const place = { context, field: 'app.note.title', rowId: uuid() } as const;
    const sealed = await sealer.seal({ ...place, value: 'x' });
    await admin.query('alter table app.dek disable trigger user');
    await admin.query(`update app.dek set state = 'RETIRED' where tenant_id = $1 and purpose = 'fields'`, [
      context.tenantId,
    ]);
    await admin.query('alter table app.dek enable trigger user');
    expect(await sealer.openText({ ...place, sealed })).toBe('x');
    sealer.purge(context.tenantId);
    await expect(sealer.openText({ ...place, sealed })).rejects.toThrow(withCode('dek_not_usable'));
    await expect(sealer.seal({ ...place, value: 'y' })).rejects.toThrow(withCode('dek_missing'));
  });

  it('without the keys process cached keys end after 300 s and the failure has its own code', async () => {
    const { context, sealer } = await provisioned();
    const place = { context, field: 'app.note.title', rowId: uuid() } as const;
    const sealed = await sealer.seal({ ...place, value: 'x' });
    vault.outage.on = true;
    clock.advance(DEK_TTL_MS - 1);
    expect(await sealer.openText({ ...place, sealed })).toBe('x');
    clock.advance(1);
    await expect(sealer.openText({ ...place, sealed })).rejects.toThrow(withCode('keys_unavailable'));
    vault.outage.on = false;
    expect(await sealer.openText({ ...place, sealed })).toBe('x');
  });

  it('a withdrawal that shows itself in one call wipes all that is held of the tenant, and of nobody else', async () => {
    const { context } = await provisioned();
    const other = await provisioned();
    const withdrawn = new Set<string>();
    const keysClient: KeysClient = {
      ...vault.keysClient,
      open: (given, name, wrapped) =>
        withdrawn.has(given.tenantId)
          ? Promise.reject(new AppError('kek_disabled', 'withdrawn'))
          : vault.keysClient.open(given, name, wrapped),
    };
    const sealer = makeSealer({ keysClient });
    const place = { field: 'app.note.title', rowId: uuid() } as const;
    const own = await sealer.seal({ ...place, context, value: 'x' });
    const theirs = await sealer.seal({ ...place, context: other.context, value: 'y' });
    withdrawn.add(context.tenantId).add(other.context.tenantId);
    expect(await sealer.openText({ ...place, context, sealed: own })).toBe('x');
    const object = sealer.sealObjectKey({ context, objectId: uuid(), key: systemRandom.bytes(32) });
    await expect(object).rejects.toThrow(withCode('kek_disabled'));
    await expect(sealer.openText({ ...place, context, sealed: own })).rejects.toThrow(withCode('kek_disabled'));
    expect(await sealer.openText({ ...place, context: other.context, sealed: theirs })).toBe('y');
  });

  it('a lease that was withdrawn wipes; one that nobody answers for goes on; nothing held, nothing asked', async () => {
    const { context, sealer } = await provisioned();
    const place = { context, field: 'app.note.title', rowId: uuid() } as const;
    const sealed = await sealer.seal({ ...place, value: 'x' });
    const asked: string[][] = [];
    let state: 'installation' | 'withdrawn' | 'silent' = 'installation';
    const client = {
      lease: async (tenantIds: readonly string[]) => {
        asked.push([...tenantIds]);
        if (state === 'silent') throw new AppError('keys_unavailable', 'nobody answers');
        return tenantIds.map((tenantId) => ({ tenantId, state: state as 'installation' | 'withdrawn', code: null }));
      },
    };
    const failures: unknown[] = [];
    const own = makeSealer();
    const watch = watchLeases({ sealer: own, client, onFailure: (error) => failures.push(error) });
    await watch.look();
    expect(asked).toEqual([]);
    expect(await own.openText({ ...place, sealed })).toBe('x');
    vault.calls.length = 0;
    await watch.look();
    state = 'silent';
    await watch.look();
    expect(failures).toHaveLength(1);
    expect(await own.openText({ ...place, sealed })).toBe('x');
    expect(vault.calls).toEqual([]);
    state = 'withdrawn';
    await watch.look();
    expect(own.tenantsHeld()).toEqual([]);
    expect(await own.openText({ ...place, sealed })).toBe('x');
    expect(vault.calls).toEqual(['keys.unwrap']);
    expect(asked).toEqual([[context.tenantId], [context.tenantId], [context.tenantId]]);
    watch.stop();
  });

  it('an answer that does not fit the contract is no key', async () => {
    const { context } = await provisioned();
    const [row] = await deks(context);
    const name = { purpose: 'fields', dekId: parseUuid(row.id)!, version: 1 } as const;
    for (const body of [{}, { dek: 5 }, { dek: 'a b' }, { dek: 'AB' }]) {
      const client = createKeysClient({ call: async () => ({ status: 200, body }) });
      await expect(client.unwrap(context, name, { wrapped: row.wrapped, kekRef: row.kek_ref })).rejects.toThrow(
        withCode('keys_unavailable'),
      );
    }
    const other = createKeysClient({ call: async () => Promise.reject(new AppError('kek_foreign', 'no')) });
    await expect(other.unwrap(context, name, { wrapped: row.wrapped, kekRef: row.kek_ref })).rejects.toThrow(
      withCode('unwrap_refused'),
    );
  });

  it('the description holds no key', async () => {
    await provisioned();
    const facts = await vault.keysClient.describe('request');
    expect(facts).toMatchObject({ provider: 'local', hardware: false, healthy: true, healthCode: null, keyCount: 1 });
  });
});
