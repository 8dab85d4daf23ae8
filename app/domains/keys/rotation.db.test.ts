import { fileURLToPath } from 'node:url';
import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import { openDatabase } from '@auditrax/tenancy';
import type { Database, TenantContext } from '@auditrax/tenancy';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordAudit } from '../../platform/audit/index.ts';
import { discoverSealedColumns, discoverSealedFields } from '../../platform/db/sealed-fields.ts';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import { startTestDatabase } from '../../platform/db/testing.ts';
import type { TestDatabase } from '../../platform/db/testing.ts';
import { keyState } from './contract.ts';
import { RETIREMENT_WAIT_MS } from './lifecycle.ts';
import { resealTenant } from './reseal.ts';
import { createRotation } from './rotation.ts';
import type { Rotation } from './rotation.ts';
import { createSealer } from './sealer.ts';
import type { Sealer } from './sealer.ts';
import { DEK_AGE_MS_MAX, rotatesAtMs } from './service.ts';
import { KEY_EVENTS, KEY_MACHINE } from './states.ts';
import { openStored, writeSealedRows } from './testing/sealed-rows.ts';
import type { StoredValue } from './testing/sealed-rows.ts';
import { vaultInProcess } from './testing/vault-in-process.ts';
import type { VaultInProcess } from './testing/vault-in-process.ts';

const APP = fileURLToPath(new URL('../..', import.meta.url));
const DAY_MS = 86_400_000;
/** States begin by the database's clock, which runs while the test's stands still. */
const WAIT_MS = RETIREMENT_WAIT_MS + 60_000;
const withState = (sqlState: string) => expect.objectContaining({ sqlState });
const withCode = (code: string) => expect.objectContaining({ code });

let server: TestDatabase;
let admin: Client;
let doors: { workspace: Database; issuer: Database };
let columns: readonly SealedColumn[];
let fields: Readonly<Record<string, number>>;
let vault: VaultInProcess;
let clock: ReturnType<typeof manualClock>;
let context: TenantContext;
let tenantCount = 0;

function open(role: 'ax_workspace' | 'ax_issuer'): Database {
  return openDatabase({
    connection: server.connectionFor(role),
    poolSize: 4,
    clock: { nowMs: () => Date.now() },
    onRefusal: async () => undefined,
    systemTables: [],
  });
}

beforeAll(async () => {
  server = await startTestDatabase();
  admin = new Client(server.connectionFor('superuser'));
  await admin.connect();
  await admin.query(`update audit.beat set beat = 'infinity'`);
  doors = { workspace: open('ax_workspace'), issuer: open('ax_issuer') };
  columns = await discoverSealedColumns(APP);
  fields = await discoverSealedFields(APP);
});
afterAll(async () => {
  await doors?.workspace.close();
  await doors?.issuer.close();
  await admin?.end();
  await server?.stop();
});

function house(service: 'workspace' | 'issuer'): { sealer: Sealer; rotation: Rotation; failures: unknown[] } {
  const failures: unknown[] = [];
  const parts = {
    service,
    tenantDoor: doors[service].tenant,
    keysClient: vault.keysClient,
    clock,
    random: systemRandom,
  };
  const sealer = createSealer({ ...parts, fields });
  const rotation = createRotation({ ...parts, columns, sealer, onFailure: (error) => failures.push(error) });
  return { sealer, rotation, failures };
}

async function tendAll(): Promise<void> {
  await house('workspace').rotation.tend(context);
  await house('issuer').rotation.tend(context);
}

beforeEach(async () => {
  clock = manualClock(Date.now());
  vault = await vaultInProcess(clock);
  tenantCount += 1;
  const tenantId = uuidV4(systemRandom);
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, $2, 'sample', $3, 'Sample')`,
    [tenantId, tenantCount, `sample-${tenantCount}`],
  );
  context = { tenantId, tenantPart: tenantCount, requestId: 'request' };
  await doors.workspace.tenant.transaction(context, (tx) => house('workspace').sealer.provision(context, tx));
  context = { ...context };
  return () => vault.close();
});

const value = (column: SealedColumn, index: number): Buffer =>
  column.purpose === 'objects' ? Buffer.alloc(32, index + 1) : Buffer.from(`${column.column} ${index}`);
const fill = (rows: number): Promise<StoredValue[]> =>
  writeSealedRows({ admin, sealer: house('workspace').sealer, columns }, context, { rows, value });

async function versions(stored: readonly StoredValue[]): Promise<Set<number>> {
  const sealer = house('workspace').sealer;
  const found = new Set<number>();
  for (const one of stored) {
    const { version, same } = await openStored({ admin, sealer }, context, one);
    expect(same, `${one.column.column} opens to what was written`).toBe(true);
    found.add(version);
  }
  return found;
}

const states = async (): Promise<string[]> =>
  (
    await admin.query<{ life: string }>(
      `select purpose || ' ' || version || ' ' || state as life from app.dek where tenant_id = $1 order by 1`,
      [context.tenantId],
    )
  ).rows.map((row) => row.life);
const entries = async (type: string): Promise<{ id: Uuid; facts: Record<string, unknown>; actor: unknown }[]> =>
  (
    await admin.query(
      `select resource_id as id, leaf_facts -> 'public' as facts, leaf_facts -> 'actor' as actor
       from (select e.*, convert_from(leaf, 'UTF8')::jsonb as leaf_facts from audit.entry e) as e
       where tenant_id = $1 and type = $2`,
      [context.tenantId, type],
    )
  ).rows;
const by = { actor: { service: 'workspace' as const } };

describe('rotation moves every sealed value to the new key', () => {
  it('all columns and object keys of both services, in batches, with one entry each, and the old key retires', async () => {
    const stored = await fill(7);
    expect(await versions(stored)).toEqual(new Set([1]));
    const workspace = house('workspace');
    await workspace.rotation.rotateNow(context, by);
    await workspace.rotation.tend(context);
    const half = await workspace.rotation.progress(context);
    expect(half.columns.filter((one) => one.left > 0).map((one) => one.column)).toEqual([
      'identity.access_review.snapshot',
      'identity.access_review_item.reason',
      'identity.api_client.content',
      'identity.api_key.name',
      'identity.connection.own_keys',
      'identity.connection.settings',
      'identity.connection_attempt.report',
      'identity.connection_certificate.pem',
      'identity.connection_group.content',
      'identity.invitation.label',
      'identity.invitation.name',
      'identity.member.label',
      'identity.production_grant.reason',
      'identity.production_grant.ticket',
      'identity.received_event.content',
      'identity.received_pulse.progress',
      'identity.received_refusal.report',
      'identity.received_stream.settings',
      'identity.scim_refusal.report',
      'identity.scim_resource.content',
      'identity.signal_event.token',
      'identity.signal_key.private_key',
      'identity.signal_name.name',
      'identity.signal_stream.settings',
    ]);
    await house('issuer').rotation.tend(context);
    expect(await versions(stored)).toEqual(new Set([2]));
    const progress = await workspace.rotation.progress(context);
    expect(progress.left).toBe(0);
    expect(progress.columns.map((one) => [one.column, one.current, one.done, one.unreadable])).toEqual(
      columns.map((one) => [one.column, 7, 7, 0]),
    );
    const logged = await entries('key.resealed');
    const moved = Map.groupBy(logged, (entry) => entry.facts['column'] as string);
    expect([...moved.keys()].sort()).toEqual(columns.map((one) => one.column));
    for (const batches of moved.values())
      expect(batches.reduce((sum, batch) => sum + Number(batch.facts['values']), 0)).toBe(7);
    expect(workspace.failures).toEqual([]);
    clock.advance(WAIT_MS);
    await workspace.rotation.tend(context);
    expect(await states()).toEqual(['fields 1 RETIRED', 'fields 2 ACTIVE', 'objects 1 RETIRED', 'objects 2 ACTIVE']);
  });

  it('more rows than a batch, a round that was stopped goes on where it was', async () => {
    const stored = await writeSealedRows(
      { admin, sealer: house('workspace').sealer, columns: columns.filter((one) => one.column === 'app.result.note') },
      context,
      { rows: 450, value },
    );
    const first = house('workspace');
    first.rotation.stop();
    await first.rotation.rotateNow(context, by);
    let asked = 0;
    const notes = columns.filter((one) => one.column === 'app.result.note');
    const parts = { service: 'workspace' as const, tenantDoor: doors.workspace.tenant, clock, columns: notes };
    await resealTenant({ ...parts, sealer: first.sealer }, context, () => (asked += 1) > 2);
    expect(await first.rotation.progress(context)).toMatchObject({ left: 250 });
    vault.calls.length = 0;
    await tendAll();
    expect(await versions(stored.slice(0, 10))).toEqual(new Set([2]));
    expect((await first.rotation.progress(context)).left).toBe(0);
    // 450 values cost two unwraps, and not one more.
    expect(vault.calls.filter((call) => call === 'keys.unwrap').length).toBeLessThanOrEqual(2 + 2);
  });

  it('long values go in transactions of their own', async () => {
    const catalogues = columns.filter((one) => one.column === 'app.engagement.catalogue');
    const long = Buffer.alloc(1024 * 1024 + 1024 * 512, 7);
    const engagement = columns.filter((one) => one.column.startsWith('app.engagement.'));
    const stored = await writeSealedRows({ admin, sealer: house('workspace').sealer, columns: engagement }, context, {
      rows: 5,
      value: (column, index) => (catalogues.includes(column) ? long : value(column, index)),
    });
    const { rotation } = house('workspace');
    await rotation.rotateNow(context, by);
    await rotation.tend(context);
    expect(await versions(stored)).toEqual(new Set([2]));
    const logged = (await entries('key.resealed')).filter((one) => one.facts['column'] === catalogues[0]!.column);
    expect(logged.map((entry) => entry.facts['values']).sort()).toEqual([2, 3]);
  });

  it('a value that does not open is left, counted, and keeps its key', async () => {
    const stored = await fill(2);
    const [broken] = stored.filter((one) => one.column.column === 'app.result.note');
    await admin.query('set session_replication_role = replica');
    await admin.query(
      `update app.result set note = set_byte(note, octet_length(note) - 1, 255 - get_byte(note, octet_length(note) - 1))
       where tenant_id = $1 and id = $2`,
      [context.tenantId, broken!.key],
    );
    await admin.query('set session_replication_role = origin');
    const workspace = house('workspace');
    await workspace.rotation.rotateNow(context, by);
    await tendAll();
    const progress = await workspace.rotation.progress(context);
    const column = progress.columns.find((one) => one.column === 'app.result.note');
    expect(column).toMatchObject({ left: 1, done: 1, unreadable: 1 });
    clock.advance(WAIT_MS);
    await workspace.rotation.tend(context);
    expect(await states()).toContain('fields 1 DECRYPT_ONLY');
    expect(await states()).toContain('objects 1 RETIRED');
  });
});

describe('people’s own writing wins', () => {
  it('a value that changes between reading and swapping stays as they left it', async () => {
    const stored = await fill(3);
    const members = stored.filter((one) => one.column.column === 'identity.member.label');
    const issuer = house('issuer');
    await house('workspace').rotation.rotateNow(context, by);
    const slow: Sealer = {
      ...issuer.sealer,
      async resealMany(input) {
        const fresh = await issuer.sealer.resealMany(input);
        if (input.column.field !== 2001) return fresh;
        const label = await issuer.sealer.seal({
          context,
          field: 'identity.member.label',
          rowId: members[0]!.row,
          value: 'Renamed',
        });
        await doors.issuer.tenant.transaction(context, async (tx) => {
          await tx.query({
            sql: 'update identity.member set label = $3 where tenant_id = $1 and id = $2',
            parameters: [context.tenantId, members[0]!.key, label],
          });
          await recordAudit(tx, {
            type: 'member.renamed',
            actor: { service: 'issuer' },
            resource: ['member', members[0]!.key],
            outcome: 'allowed',
            requestId: 'r',
          });
        });
        return fresh;
      },
    };
    const parts = { service: 'issuer' as const, tenantDoor: doors.issuer.tenant, keysClient: vault.keysClient };
    const rotation = createRotation({
      ...parts,
      clock,
      random: systemRandom,
      columns,
      sealer: slow,
      onFailure: () => {},
    });
    await rotation.tend(context);
    const renamed = { ...members[0]!, value: Buffer.from('Renamed') };
    expect(await versions([renamed, members[1]!, members[2]!])).toEqual(new Set([2]));
    const logged = (await entries('key.resealed')).filter((entry) => entry.facts['column'] === 'identity.member.label');
    expect(logged.reduce((sum, entry) => sum + Number(entry.facts['values']), 0)).toBe(2);
  });

  it('two jobs at once move each value once', async () => {
    const stored = await fill(5);
    await house('workspace').rotation.rotateNow(context, by);
    const jobs = [house('workspace'), house('workspace'), house('issuer'), house('issuer')];
    await Promise.all(jobs.map((job) => job.rotation.tend(context)));
    expect(await versions(stored)).toEqual(new Set([2]));
    const logged = await entries('key.resealed');
    expect(logged.reduce((sum, entry) => sum + Number(entry.facts['values']), 0)).toBe(stored.length);
  });
});

describe('jobs that the database plans differently', () => {
  /** A door of its own whose sessions do without some of the planner's ways. */
  async function openWithout(...ways: readonly string[]): Promise<Database> {
    for (const way of ways) await admin.query(`alter role ax_workspace set ${way} = off`);
    const door = openDatabase({
      connection: server.connectionFor('ax_workspace'),
      poolSize: 1,
      clock: { nowMs: () => Date.now() },
      onRefusal: async () => undefined,
      systemTables: [],
    });
    await door.tenant.scoped(context, {
      sql: 'select id from app.dek where tenant_id = $1',
      parameters: [context.tenantId],
    });
    for (const way of ways) await admin.query(`alter role ax_workspace reset ${way}`);
    return door;
  }

  it('lock the rows of a batch in one order, so that neither dies of the other', async () => {
    const notes = columns.filter((one) => one.column === 'app.result.note');
    const written = { admin, sealer: house('workspace').sealer, columns: notes };
    const stored = await writeSealedRows(written, context, { rows: 200, value });
    const first = house('workspace');
    first.rotation.stop();
    await first.rotation.rotateNow(context, by);
    // In the order of the keys, and in the order in which the rows lie.
    const planned = [await openWithout('enable_hashjoin', 'enable_mergejoin'), await openWithout('enable_nestloop')];
    const read: (() => void)[] = [];
    const jobs = planned.map((door) => {
      const { sealer } = house('workspace');
      const resealMany: Sealer['resealMany'] = async (input) => {
        const fresh = await sealer.resealMany(input);
        await new Promise<void>((resolve) => {
          read.push(resolve);
          if (read.length >= planned.length) for (const go of read) go();
        });
        return fresh;
      };
      const parts = { service: 'workspace' as const, tenantDoor: door.tenant, clock, columns: notes };
      return resealTenant({ ...parts, sealer: { resealMany } }, context);
    });
    const outcomes = await Promise.allSettled(jobs);
    for (const door of planned) await door.close();
    expect(outcomes.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled']);
    expect(await versions(stored.slice(0, 10))).toEqual(new Set([2]));
    const logged = await entries('key.resealed');
    expect(logged.reduce((sum, entry) => sum + Number(entry.facts['values']), 0)).toBe(stored.length);
  });
});

describe('the database takes re-encryption and nothing else for it', () => {
  const update = (set: string, more: unknown[] = []) => ({
    sql: `update app.result set ${set} where tenant_id = $1 and id = $2`,
    parameters: [context.tenantId, note.key, ...more],
  });
  let note: StoredValue;
  let fresh: Buffer;
  let youngId: Uuid;
  beforeEach(async () => {
    [note] = (await fill(1)).filter((one) => one.column.column === 'app.result.note') as [StoredValue];
    const workspace = house('workspace');
    workspace.rotation.stop();
    await workspace.rotation.rotateNow(context, by);
    fresh = await workspace.sealer.seal({ context, field: 'app.result.note', rowId: note.row, value: note.value });
    const { rows } = await admin.query<{ id: Uuid }>(
      `select id from app.dek where tenant_id = $1 and purpose = 'fields' and state = 'ACTIVE'`,
      [context.tenantId],
    );
    youngId = rows[0]!.id;
  });
  const attempt = (statement: ReturnType<typeof update>, entry?: { type: string; resource: readonly [string, Uuid] }) =>
    doors.workspace.tenant.transaction(context, async (tx) => {
      await tx.query(statement);
      if (entry === undefined) return;
      const fixed = { actor: { service: 'workspace' as const }, outcome: 'allowed' as const, requestId: 'r' };
      await recordAudit(tx, { ...entry, ...fixed });
    });
  const batch = () => ({ type: 'key.resealed', resource: ['dek', youngId] as const });

  it('with its entry it passes', async () => {
    await attempt(update('note = $3', [fresh]), batch());
    expect(await versions([note])).toEqual(new Set([2]));
  });

  it('without an entry, or under the row’s own, it does not commit', async () => {
    await expect(attempt(update('note = $3', [fresh]))).rejects.toThrow(withState('AX101'));
    const own = { type: 'result.recorded', resource: ['result', note.key] as const };
    await expect(attempt(update('note = $3', [fresh]), own)).rejects.toThrow(withState('AX101'));
    const other = { type: 'key.created', resource: ['dek', youngId] as const };
    await expect(attempt(update('note = $3', [fresh]), other)).rejects.toThrow(withState('AX101'));
  });

  it('another length, an older or the same version, no sealed form: refused whatever the entry', async () => {
    const longer = Buffer.concat([fresh, Buffer.alloc(1)]);
    const same = Buffer.from(fresh);
    same.writeUInt32BE(1, 2);
    for (const bytes of [longer, same]) {
      await expect(attempt(update('note = $3', [bytes]), batch())).rejects.toThrow(withState('AX104'));
    }
    const plain = Buffer.alloc(fresh.length, 0x61);
    await expect(attempt(update('note = $3', [plain]), batch())).rejects.toThrow();
  });

  it('a version that no key of the tenant has does not commit', async () => {
    const future = Buffer.from(fresh);
    future.writeUInt32BE(9, 2);
    await expect(attempt(update('note = $3', [future]), batch())).rejects.toThrow(withState('AX101'));
  });

  it('nothing else of the row changes with it', async () => {
    await admin.query('grant update (outcome) on app.result to ax_workspace');
    await expect(attempt(update(`note = $3, outcome = 'not-applicable'`, [fresh]), batch())).rejects.toThrow(
      withState('AX104'),
    );
    await admin.query('revoke update (outcome) on app.result from ax_workspace');
  });
});

describe('a key goes through its life one way', () => {
  it('the table and the database allow the same steps', async () => {
    const allowed = new Set<string>();
    for (const from of keyState.options)
      for (const event of KEY_EVENTS) {
        const outcome = KEY_MACHINE[from][event];
        if ('to' in outcome) allowed.add(`${from} ${outcome.to}`);
      }
    const { rows } = await admin.query<{ step: string }>(
      `select a || ' ' || b as step from unnest($1::text[]) a, unnest($1::text[]) b where app.dek_step_allowed(a, b)`,
      [keyState.options],
    );
    expect(new Set(rows.map((row) => row.step))).toEqual(allowed);
  });

  it('it is not retired while one value of any column or service names it, nor before all caches are over', async () => {
    const stored = await fill(1);
    const workspace = house('workspace');
    await workspace.rotation.rotateNow(context, by);
    await workspace.rotation.tend(context);
    clock.advance(WAIT_MS);
    await workspace.rotation.tend(context);
    // The issuer's columns still name it.
    expect(await states()).toContain('fields 1 DECRYPT_ONLY');
    const { rows } = await admin.query<{ id: Uuid }>(
      `select id from app.dek where tenant_id = $1 and purpose = 'fields' and version = 1`,
      [context.tenantId],
    );
    const force = doors.workspace.tenant.scoped(context, {
      sql: `update app.dek set state = 'RETIRED' where tenant_id = $1 and id = $2`,
      parameters: [context.tenantId, rows[0]!.id],
    });
    await expect(force).rejects.toThrow(withState('AX106'));
    await house('issuer').rotation.tend(context);
    await workspace.rotation.tend(context);
    expect(await states()).toContain('fields 1 RETIRED');
    expect(await versions(stored)).toEqual(new Set([2]));
  });

  it('a retired key opens nothing; a restored value brings it back; after the backups it is destroyed for good', async () => {
    const [note] = (await fill(1)).filter((one) => one.column.column === 'app.result.note') as [StoredValue];
    const { rows } = await admin.query<{ note: Buffer }>('select note from app.result where tenant_id = $1', [
      context.tenantId,
    ]);
    const workspace = house('workspace');
    await workspace.rotation.rotateNow(context, by);
    await tendAll();
    clock.advance(WAIT_MS);
    await workspace.rotation.tend(context);
    const place = { context, field: 'app.result.note', rowId: note.row, sealed: rows[0]!.note } as const;
    await expect(house('workspace').sealer.openBytes(place)).rejects.toThrow(withCode('dek_not_usable'));
    const put = async (sealed: Buffer): Promise<void> => {
      await admin.query('set session_replication_role = replica');
      await admin.query('update app.result set note = $2 where tenant_id = $1', [context.tenantId, sealed]);
      await admin.query('set session_replication_role = origin');
    };
    await put(rows[0]!.note);
    await workspace.rotation.tend(context);
    expect(await states()).toContain('fields 1 DECRYPT_ONLY');
    await tendAll();
    clock.advance(WAIT_MS);
    await workspace.rotation.tend(context);
    expect(await states()).toContain('fields 1 RETIRED');
    clock.advance(29 * DAY_MS);
    await workspace.rotation.tend(context);
    expect(await states()).toContain('fields 1 RETIRED');
    clock.advance(DAY_MS);
    await workspace.rotation.tend(context);
    expect(await states()).toContain('fields 1 DESTROYED');
    const { rows: dek } = await admin.query<{ wrapped: Buffer }>(
      `select wrapped from app.dek where tenant_id = $1 and state = 'DESTROYED'`,
      [context.tenantId],
    );
    for (const { wrapped } of dek) expect(wrapped.every((byte) => byte === 0)).toBe(true);
    expect((await entries('key.destroyed')).length).toBe(dek.length);
    await expect(
      admin.query(`update app.dek set state = 'RETIRED' where tenant_id = $1 and state = 'DESTROYED'`, [
        context.tenantId,
      ]),
    ).rejects.toMatchObject({ code: 'AX105' });
  });
});

describe('the job replaces a key before its age does', () => {
  it('within a week before the ninetieth day, spread by the key, always at the same instant', async () => {
    const createdAtMs = clock.nowMs();
    const instants = Array.from({ length: 500 }, () => rotatesAtMs({ id: uuidV4(systemRandom), createdAtMs }));
    const daysBefore = instants.map((at) => (createdAtMs + DEK_AGE_MS_MAX - at) / DAY_MS);
    expect(Math.min(...daysBefore)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...daysBefore)).toBeLessThanOrEqual(7);
    expect(Math.max(...daysBefore) - Math.min(...daysBefore)).toBeGreaterThan(4);
    const { rotation } = house('workspace');
    clock.advance(82 * DAY_MS);
    await rotation.tend(context);
    expect(await states()).toEqual(['fields 1 ACTIVE', 'objects 1 ACTIVE']);
    clock.advance(7 * DAY_MS);
    await rotation.tend(context);
    expect(await states()).toContain('fields 2 ACTIVE');
    expect(await states()).toContain('objects 2 ACTIVE');
  });

  it('whoever orders one stands in the log', async () => {
    const person = uuidV4(systemRandom);
    const actor = { actor: { personId: person }, tokenHash: 'h'.repeat(43), stepUpHash: 's'.repeat(43) };
    const { rotation } = house('workspace');
    expect(await rotation.rotateNow(context, actor)).toEqual([
      { purpose: 'fields', version: 2 },
      { purpose: 'objects', version: 2 },
    ]);
    await rotation.tend(context);
    expect((await entries('key.closed')).map((entry) => (entry.actor as unknown[])[1])).toEqual([person, person]);
  });
});
