import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database, type TenantContext } from '@auditrax/tenancy';
import { Client, Query } from 'pg';
import { recordAudit, type AuditInput } from '../app/platform/audit/index.ts';
import { createSigner, type Signer } from '../app/platform/audit/signer.ts';
import { memoryKeys } from '../app/platform/audit/testing/log-keys.ts';
import { LEDGER_FUNCTIONS } from '../app/platform/audit/ledger-queries.ts';
import { DURABLE_SETTINGS, startTestDatabase, type TestDatabase } from '../app/platform/db/testing.ts';

/** As in a house: what is throw-away about a test's server would flatter whoever commits more often. */
const SETTINGS = {
  ...DURABLE_SETTINGS,
  shared_buffers: '128MB',
  wal_level: 'replica',
  max_wal_senders: '10',
  autovacuum: 'on',
} as const;
/** Writers at the same time; also the clients of the chain. */
export const CLIENTS = 16;
export const ORIGIN_PREFIX = 'bench.example/log/';
const TENANT = uuidV4(systemRandom);
const CONTEXT: TenantContext = { tenantId: TENANT, tenantPart: 7, requestId: 'bench' };

/** An entry that is not written yet, or not by the house: a real leaf under its id. */
export interface Payload {
  readonly id: Uuid;
  readonly leaf: Uint8Array;
  readonly leafHash: Uint8Array;
}

/** A PostgreSQL of the tree with the house's schema and settings, and the tables that the contenders write. */
export interface Ground {
  readonly tenantId: Uuid;
  readonly writers: Database;
  readonly ledger: Database;
  readonly signer: Signer;
  readonly admin: Client;
  readonly server: TestDatabase;
  close(): Promise<void>;
}

const TABLES = `set role ax_owner;
  create table app.bench_guarded (tenant_id uuid not null, id uuid not null, n integer not null, primary key (tenant_id, id));
  create table app.bench_plain (like app.bench_guarded including all);
  select platform.protect_tenant_table('app.bench_guarded');
  select platform.protect_tenant_table('app.bench_plain');
  select audit.guard_table('app.bench_guarded', 'thing');
  grant select, insert on app.bench_guarded, app.bench_plain to ax_workspace;
  insert into platform.tenant (id, part, kind, slug, display_name) values ('${TENANT}', 7, 'sample', 'bench', 'Bench');
  reset role;
  create schema bench;
  create table bench.payload (tenant_id uuid not null, id uuid not null, leaf bytea not null, leaf_hash bytea not null,
    primary key (tenant_id, id));
  create table bench.thing (like app.bench_guarded including all);
  create table bench.chain (seq bigint generated always as identity primary key, tenant_id uuid not null, id uuid not null,
    leaf bytea not null, hash bytea not null);
  insert into bench.chain (tenant_id, id, leaf, hash) values ('${TENANT}', '${TENANT}', '', sha256(''))`;

export async function prepareGround(): Promise<Ground> {
  const server = await startTestDatabase({ settings: SETTINGS });
  const journalDirectory = mkdtempSync(join(tmpdir(), 'ax-bench-signer-'));
  const admin = new Client(server.connectionFor('superuser'));
  await admin.connect();
  await admin.query(TABLES);
  const open = (role: 'ax_workspace' | 'ax_ledger', poolSize: number): Database =>
    openDatabase({
      connection: server.connectionFor(role),
      poolSize,
      clock: systemClock,
      onRefusal: async () => undefined,
      systemTables: [
        ...['pending', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat'].map((name) => `audit.${name}`),
        'platform.placement',
      ],
      functions: LEDGER_FUNCTIONS,
    });
  const [writers, ledger] = [open('ax_workspace', CLIENTS), open('ax_ledger', 4)];
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = createSigner({ journalDirectory, keys: memoryKeys(privateKey), originPrefix: ORIGIN_PREFIX });
  return {
    tenantId: TENANT,
    writers,
    ledger,
    signer,
    admin,
    server,
    close: async () => {
      await Promise.all([writers.close(), ledger.close(), signer.close(), admin.end()]);
      await server.stop();
      rmSync(journalDirectory, { recursive: true, force: true });
    },
  };
}

/** Whether the guard lets writers pass: the sequencer's heartbeat is fresh. */
export async function isBeating({ admin }: Ground): Promise<boolean> {
  const { rows } = await admin.query(
    'select beat >= clock_timestamp() - audit.beat_age_max() as fresh from audit.beat',
  );
  return rows[0]?.fresh === true;
}

/** What a room says of a change: the size of a usual leaf. */
export function inputFor(id: Uuid): AuditInput {
  return {
    type: 'bench.thing.made',
    actor: { personId: TENANT, sessionId: id },
    tokenHash: 'b'.repeat(43),
    resource: ['thing', id],
    outcome: 'allowed',
    requestId: `bench-${id}`,
    public: { n: 1 },
  };
}

/** One business row and its entry, under the guard. */
export function writeGuarded({ writers, tenantId }: Ground): Promise<Uuid> {
  const id = uuidV4(systemRandom);
  return writers.tenant.transaction(CONTEXT, async (tx) => {
    await tx.query({
      sql: 'insert into app.bench_guarded (tenant_id, id, n) values ($1, $2, 1)',
      parameters: [tenantId, id],
    });
    return (await recordAudit(tx, inputFor(id))).entryId;
  });
}

/** The same row through the same door, in a table that nobody guards, without an entry. */
export function writePlain({ writers, tenantId }: Ground): Promise<unknown> {
  const id = uuidV4(systemRandom);
  return writers.tenant.transaction(CONTEXT, (tx) =>
    tx.query({
      sql: 'insert into app.bench_plain (tenant_id, id, n) values ($1, $2, 1)',
      parameters: [tenantId, id],
    }),
  );
}

/** PostgreSQL's binary COPY format: signature, flags, no extension; then tuples; then the end. */
const COPY_HEAD = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const COPY_END = Buffer.from([0xff, 0xff]);
const FOUR_FIELDS = Buffer.from([0, 4]);

function field(bytes: Uint8Array): Buffer[] {
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  return [length, bytes as Buffer];
}

function uuidBytes(id: Uuid): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

function copyData(tenantId: Uuid, rows: readonly Payload[]): Buffer {
  const tenant = uuidBytes(tenantId);
  const tuples = rows.flatMap(({ id, leaf, leafHash }) => [
    FOUR_FIELDS,
    ...[tenant, uuidBytes(id), leaf, leafHash].flatMap(field),
  ]);
  return Buffer.concat([COPY_HEAD, ...tuples, COPY_END]);
}

interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** `pg` refuses COPY by itself, but tells its query when the server is ready for the data. */
class CopyQuery extends Query {
  readonly #data: Buffer;

  constructor(text: string, data: Buffer) {
    super(text);
    this.#data = data;
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(this.#data);
    connection.endCopyFrom();
  }
}

/** One durable transaction: the rows as they are, into a table with a primary key and nothing else. */
export async function copyPayload({ admin, tenantId }: Ground, rows: readonly Payload[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const query = new CopyQuery('copy bench.payload from stdin (format binary)', copyData(tenantId, rows));
  query.on('end', () => resolve());
  query.on('error', reject);
  admin.query(query);
  await promise;
}

/** The same rows into the house's own table, whose triggers queue them for the sequencer. */
export async function queuePayload({ admin, tenantId }: Ground, rows: readonly Payload[]): Promise<void> {
  await admin.query('insert into audit.entry (tenant_id, id, leaf) select $1, * from unnest($2::uuid[], $3::bytea[])', [
    tenantId,
    rows.map((row) => row.id),
    rows.map((row) => row.leaf),
  ]);
}

/** One business row and its link: whoever appends holds the lock until its commit is durable, as a chain demands. */
export async function appendToChain(client: Client, tenantId: Uuid, { id, leaf }: Payload): Promise<void> {
  await client.query('begin');
  await client.query({
    name: 'row',
    text: 'insert into bench.thing (tenant_id, id, n) values ($1, $2, 1)',
    values: [tenantId, id],
  });
  await client.query({ name: 'lock', text: 'select pg_advisory_xact_lock(7)' });
  await client.query({
    name: 'link',
    text: `insert into bench.chain (tenant_id, id, leaf, hash)
      select $1, $2, $3, sha256(c.hash || $3) from bench.chain c order by c.seq desc limit 1`,
    values: [tenantId, id, leaf],
  });
  await client.query('commit');
}
