import { createHash } from 'node:crypto';
import { escapeIdentifier, Client, type ClientConfig } from 'pg';
import { isAppError, type Uuid } from '@auditrax/base';
import type { FilesProof, ObjectCarrier } from '../objects/index.ts';
import { databaseError } from './errors.ts';
import {
  changedBuckets,
  countIn,
  digestBuckets,
  readVersions,
  type BucketDigests,
  type BucketVersions,
  type TableProof,
} from './relocation-proof.ts';

/** Rows carried in one statement: enough that round trips do not count, few enough that large values fit in memory. */
const BATCH_ROWS_MAX = 200;
/** A transaction of the house ends after 15 s (statement) or 30 s (idle); one that outlives that is not the house's. */
const SETTLE_MS_MAX = 45_000;
/** Between two looks at what still has to settle; a freeze should cost seconds, not the interval. */
const SETTLE_POLL_MS = 50;
/** Positions that the source's log may still hand out while rows are copied. */
const POSITION_HEADROOM = 2n ** 40n;
/** SQLSTATE of `audit.close_log`: entries still wait for their place or signature. */
const LOG_NOT_YET = 'AX104';
/** Schemas whose tables hold rows of tenants beside the content schema. */
const SHARED_SCHEMAS = ['audit', 'identity', 'oncall'] as const;

/** Where a tenant's rows are, for whoever may read past the tenant wall. */
export interface RelocationSide {
  /** A superuser's connection to the database. */
  readonly connection: ClientConfig;
  /** Schema of the content tables: `app`, or the tenant's own. */
  readonly schema: string;
}

export type RelocationStage = 'copying' | 'frozen' | 'proving' | 'switched' | 'cleared';

export interface RelocationProgress {
  readonly stage: RelocationStage;
  readonly rowsDone: number;
  readonly rowsTotal: number;
}

export interface RelocationProof {
  readonly tables: Readonly<Record<string, TableProof>>;
  /** Of evidence files, when they changed their store. */
  readonly files?: FilesProof;
  /** How long nothing could be written for the tenant, in milliseconds. */
  readonly frozenMs: number;
}

export interface RelocationInput {
  readonly tenantId: Uuid;
  readonly source: RelocationSide;
  readonly target: RelocationSide;
  /** Name of the target's database, for whoever asks the source's log where it went. */
  readonly targetCell: string;
  /** True when both sides are the same database: people and the log then stay where they are. */
  readonly sameDatabase: boolean;
  readonly progress: (progress: RelocationProgress) => Promise<void>;
  /** Carries evidence files. Absent: they stay in the store where they are. */
  readonly files?: ObjectCarrier;
  /** Freezes the tenant's writes in the source (`platform.hold`), and thaws them. */
  readonly hold: (client: Client, isHeld: boolean) => Promise<void>;
  /** Resolves when whoever follows the source's log has seen everything up to this position. */
  readonly followed: (position: bigint) => Promise<void>;
  /**
   * Makes the target the tenant's place: first `platform.departure` in the source, then the placement. Afterwards no
   * transaction may begin at the source (packages/tenancy SPEC, what a mover must do).
   */
  readonly switchOver: (proof: RelocationProof) => Promise<void>;
}

interface Table {
  /** `schema.table` as both sides would call it if the content schema were `app`. */
  readonly name: string;
  readonly sourceName: string;
  readonly targetName: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

/**
 * What must not be carried over as it is, and what stands there instead. `audit.entry.xid`: the commit guard asks for an
 * entry of the running transaction; a number of another server could be that of a transaction yet to come, which would
 * then change rows unlogged. `audit.log_index.position`: the order over all logs of the source means nothing at the
 * target. `audit.log`: not open before it has arrived, or two cells would grow one log.
 */
const REPLACED: Readonly<Record<string, Readonly<Record<string, (shift: bigint) => string>>>> = {
  'audit.entry': { xid: () => `'0'::xid8` },
  'audit.log_index': { position: (shift) => `r.position + (${shift})` },
  'audit.log': { moved_to: () => `'on its way here'` },
};
/** The source's queue: drained before the switch. Rows of it at the target would be taken in there a second time. */
const LEFT_BEHIND: ReadonlySet<string> = new Set(['audit.pending']);

interface Work {
  readonly input: RelocationInput;
  readonly from: Client;
  readonly to: Client;
  readonly tables: readonly Table[];
  /** Added to a position of the source: below every position of the target, in the same order. */
  readonly positionShift: bigint;
  /** What was compared last, table by table. */
  readonly known: Map<string, Known>;
  stage: RelocationStage;
  done: number;
  total: number;
}

/** Content of both sides when they were last found equal, and what shows that a bucket has changed since. */
interface Known {
  readonly digests: BucketDigests;
  readonly here: BucketVersions;
  readonly there: BucketVersions;
}

/**
 * Moves every row of one tenant from one place to another. First everything is copied and compared row by row while
 * people work; then writes are frozen, what changed meanwhile is carried after and compared, and the place is switched:
 * the freeze is as long as what changed, not as what there is. At last the source is emptied. Whatever fails before the switch leaves the source as it was, thawed, and the target empty.
 * Asking again after a crash starts anew and ends in the same state.
 *
 * Throws `relocation_failed` with the table and what differed; then everything is as before. `relocation_unfinished`: a
 * database was lost at a moment when that could not be seen to; the same move must be asked for again.
 */
export async function relocate(input: RelocationInput): Promise<RelocationProof> {
  const from = await connect(input.source.connection);
  try {
    const to = await connect(input.target.connection);
    try {
      return await moveRows(input, from, to);
    } finally {
      await to.end();
    }
  } catch (error) {
    if (isAppError(error)) throw error;
    throw databaseError('relocation_failed', `the move stopped: ${(error as Error).message}`, error);
  } finally {
    await from.end();
  }
}

async function connect(connection: ClientConfig): Promise<Client> {
  const client = new Client(connection);
  await client.connect();
  client.on('error', () => undefined); // a lost connection also fails the query that is running
  // Triggers have run where the rows were written; here they are copied, not written again.
  await client.query(`set session_replication_role = replica; set timezone = 'UTC'; set search_path = pg_catalog`);
  return client;
}

async function moveRows(input: RelocationInput, from: Client, to: Client): Promise<RelocationProof> {
  const tables = await listTables(input, from, to);
  const work: Work = {
    input,
    from,
    to,
    tables,
    positionShift: input.sameDatabase ? 0n : await positionShift(from, to),
    stage: 'copying',
    done: 0,
    known: new Map(),
    total: await countRows(from, tables, input.tenantId),
  };
  let isSwitched = false;
  try {
    await empty(
      to,
      tables.map((table) => table.targetName),
      input.tenantId,
    );
    await report(work, 'copying');
    const copied = await copyAll(work);
    await input.files?.copy(() => {
      work.done += 1;
      return report(work, 'copying');
    });
    const compared = await catchUp(work, copied);
    const frozenAt = Date.now();
    await input.hold(from, true);
    await report(work, 'frozen');
    await untilOldersEnd(from);
    if (!input.sameDatabase) await closeLog(work);
    await catchUp(work, compared);
    if (!input.sameDatabase) await to.query('select audit.log_arrived($1)', [input.tenantId]);
    const files = await input.files?.freeze();
    await report(work, 'proving');
    const proof: RelocationProof = {
      tables: tableProofs(work),
      ...(files === undefined ? {} : { files }),
      frozenMs: Date.now() - frozenAt,
    };
    isSwitched = true; // from here on the answer of the switch may be lost, its effect not
    await input.switchOver(proof);
    await report(work, 'switched');
    // Whoever read at the old place before the switch still sees every row.
    await untilOldersEnd(from);
    await empty(
      from,
      tables.map((table) => table.sourceName),
      input.tenantId,
    );
    await input.files?.clear();
    await input.hold(from, false);
    await report(work, 'cleared');
    return proof;
  } catch (error) {
    if (isSwitched) throw unfinished('the place was being switched', error);
    await takeBack(work);
    throw error;
  }
}

/** As before the move: the target without the tenant's rows, the source open and thawed. */
async function takeBack({ input, from, to, tables }: Work): Promise<void> {
  try {
    await to.query('rollback'); // whatever statement failed, it is over
    await empty(
      to,
      tables.map((table) => table.targetName),
      input.tenantId,
    );
    await input.files?.takeBack();
    await from.query('rollback');
    if (!input.sameDatabase) await from.query('select audit.reopen_log($1)', [input.tenantId]);
    await input.hold(from, false);
  } catch (error) {
    throw unfinished('it could not be taken back', error);
  }
}

function unfinished(what: string, cause: unknown): Error {
  return databaseError('relocation_unfinished', `the move was cut off: ${what} (${(cause as Error).message})`, cause);
}

/** Empties the source of a move that was switched and then cut off. Safe to call again. */
export async function clearSource(
  input: Pick<RelocationInput, 'tenantId' | 'source' | 'sameDatabase' | 'files' | 'hold'>,
): Promise<void> {
  const from = await connect(input.source.connection);
  try {
    const names = (await tablesOf(from, input.source.schema, input.sameDatabase)).map(
      ({ schema, table }) => `${schema}.${table}`,
    );
    await untilOldersEnd(from);
    await empty(from, names, input.tenantId);
    await input.files?.clear();
    await input.hold(from, false);
  } finally {
    await from.end();
  }
}

function report(work: Work, stage: RelocationStage): Promise<void> {
  work.stage = stage;
  return work.input.progress({ stage, rowsDone: work.done, rowsTotal: Math.max(work.total, work.done) });
}

interface CatalogueRow {
  readonly schema: string;
  readonly table: string;
  readonly columns: string[];
  readonly key: string[];
}

/** Every table with a `tenant_id` in the content schema and, for another database, in the shared ones. */
async function tablesOf(client: Client, contentSchema: string, sameDatabase: boolean): Promise<CatalogueRow[]> {
  const schemas = sameDatabase ? [contentSchema] : [contentSchema, ...SHARED_SCHEMAS];
  const { rows } = await client.query<CatalogueRow>(
    `select n.nspname as schema, c.relname as table,
       array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         and a.attgenerated = '' order by a.attnum) as columns,
       array(select a.attname::text from pg_index i cross join unnest(i.indkey) with ordinality k (num, at)
         join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
         where i.indrelid = c.oid and i.indisprimary order by k.at) as key
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname = any ($1)
       and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
     order by n.nspname, c.relname`,
    [schemas],
  );
  return rows;
}

async function listTables(input: RelocationInput, from: Client, to: Client): Promise<Table[]> {
  const there = new Map(
    (await tablesOf(to, input.target.schema, input.sameDatabase)).map((row) => [
      plainName(row, input.target.schema),
      row,
    ]),
  );
  const tables: Table[] = [];
  for (const row of await tablesOf(from, input.source.schema, input.sameDatabase)) {
    const name = plainName(row, input.source.schema);
    if (LEFT_BEHIND.has(name)) continue;
    const twin = there.get(name);
    if (twin === undefined || twin.columns.join() !== row.columns.join()) {
      throw databaseError('relocation_failed', `${name} is not the same on both sides: run the migrations first`);
    }
    if (row.key.length === 0) throw databaseError('relocation_failed', `${name} has no primary key to compare by`);
    tables.push({ name, sourceName: quoted(row), targetName: quoted(twin), columns: row.columns, key: row.key });
  }
  return tables;
}

const plainName = (row: CatalogueRow, contentSchema: string): string =>
  `${row.schema === contentSchema ? 'app' : row.schema}.${row.table}`;
const quoted = (row: CatalogueRow): string => `${escapeIdentifier(row.schema)}.${escapeIdentifier(row.table)}`;
const list = (names: readonly string[]): string => names.map((name) => escapeIdentifier(name)).join(', ');

/** Rows `k` and `t` of a table are the same one. */
const sameKey = (table: Table): string =>
  table.key.map((column) => `k.${escapeIdentifier(column)} = t.${escapeIdentifier(column)}`).join(' and ');

async function countRows(client: Client, tables: readonly Table[], tenantId: Uuid): Promise<number> {
  let total = 0;
  for (const { sourceName } of tables) {
    const { rows } = await client.query<{ n: string }>(`select count(*) as n from ${sourceName} where tenant_id = $1`, [
      tenantId,
    ]);
    total += Number(rows[0]!.n);
  }
  return total;
}

/** Far below what the target has, and leaving room for what the source will still number. */
async function positionShift(from: Client, to: Client): Promise<bigint> {
  const bound = async (client: Client, text: string) => BigInt((await client.query<{ p: string }>(text)).rows[0]!.p);
  const highest = await bound(from, 'select coalesce(max(position), 0)::text as p from audit.log_index');
  const lowest = await bound(to, 'select least(coalesce(min(position), 0), 0)::text as p from audit.log_index');
  return lowest - (highest < 0n ? 0n : highest) - POSITION_HEADROOM;
}

/** Copies everything as one snapshot shows it, and returns that snapshot. */
async function copyAll(work: Work): Promise<string> {
  return atOneInstant(work.from, async () => {
    for (const table of work.tables) await copyRows(work, table);
  });
}

/** Runs reads of the source as one snapshot shows it, and returns that snapshot. */
async function atOneInstant(from: Client, work: () => Promise<void>): Promise<string> {
  await from.query('begin isolation level repeatable read read only');
  const { rows } = await from.query<{ snapshot: string }>('select pg_current_snapshot()::text as snapshot');
  await work();
  await from.query('commit');
  return rows[0]!.snapshot;
}

/**
 * Carries after what changed since `since`, as one snapshot of the source shows it, compares both sides with it, and
 * returns that snapshot. Rows that were compared before and have not changed are not read again.
 */
async function catchUp(work: Work, since: string): Promise<string> {
  return atOneInstant(work.from, async () => {
    for (const table of work.tables) {
      await carryAfter(work, table, since);
      await compare(work, table);
    }
  });
}

/** Carries the tenant's rows that fulfil `changed`, replacing what the target has under the same key; without it, all. */
async function copyRows(work: Work, table: Table, changed?: string): Promise<void> {
  const { from, to, input } = work;
  await from.query(
    `declare carried no scroll cursor for select to_jsonb(row_of.*)::text as line
     from (select ${list(table.columns)} from ${table.sourceName} where tenant_id = '${input.tenantId}' and ${changed ?? 'true'}) row_of`,
  );
  const insert = insertOf(work, table);
  const deletion = `delete from ${table.targetName} t using jsonb_populate_recordset(null::${table.targetName}, $1::jsonb) k
    where ${sameKey(table)}`;
  for (;;) {
    const { rows } = await from.query<{ line: string }>(`fetch ${BATCH_ROWS_MAX} from carried`);
    if (rows.length === 0) break;
    const lines = [`[${rows.map((row) => row.line).join(',')}]`];
    await to.query('begin');
    if (changed !== undefined) await to.query(deletion, lines);
    await to.query(insert, lines);
    await to.query('commit');
    work.done += rows.length;
    await report(work, work.stage);
  }
  await from.query('close carried');
}

function insertOf(work: Work, table: Table): string {
  const replaced = work.input.sameDatabase ? {} : (REPLACED[table.name] ?? {});
  const value = (column: string): string => replaced[column]?.(work.positionShift) ?? `r.${escapeIdentifier(column)}`;
  return `insert into ${table.targetName} (${list(table.columns)}) overriding system value
    select ${table.columns.map(value).join(', ')} from jsonb_populate_recordset(null::${table.targetName}, $1::jsonb) r`;
}

/** What was written after the snapshot, by the number of the writing transaction. */
async function carryAfter(work: Work, table: Table, since: string): Promise<void> {
  const { rows } = await work.from.query<{ next: string }>(
    'select pg_snapshot_xmax(pg_current_snapshot())::text as next',
  );
  const next = rows[0]!.next;
  // `xmin` has 32 bits; the full number is the youngest one below the next that ends in them.
  const writer = `greatest(3, ${next} - mod(${next} - xmin::text::bigint + 4294967296, 4294967296))`;
  await copyRows(work, table, `not pg_visible_in_snapshot((${writer})::text::xid8, '${since}'::pg_snapshot)`);
}

async function dropGone(work: Work, table: Table): Promise<void> {
  const { from, to, input } = work;
  const keys = await from.query<{ keys: string }>(
    `select coalesce(jsonb_agg(to_jsonb(k.*)), '[]')::text as keys
     from (select ${list(table.key)} from ${table.sourceName} where tenant_id = $1) k`,
    [input.tenantId],
  );
  await to.query(
    `delete from ${table.targetName} t where t.tenant_id = $1
     and not exists (select from jsonb_populate_recordset(null::${table.targetName}, $2::jsonb) k where ${sameKey(table)})`,
    [input.tenantId, keys.rows[0]!.keys],
  );
}

/** Closes the tenant's log in the source as soon as every entry is in it and signed, and whoever follows it has read them. */
async function closeLog({ from, input }: Work): Promise<void> {
  await until('the log has not taken in the last entries', async () => {
    try {
      await from.query('select audit.close_log($1, $2)', [input.tenantId, input.targetCell]);
      return true;
    } catch (error) {
      if ((error as { code?: string }).code !== LOG_NOT_YET) throw error;
      return false;
    }
  });
  const { rows } = await from.query<{ last: string }>(
    'select coalesce(max(position), 0)::text as last from audit.log_index where tenant_id = $1',
    [input.tenantId],
  );
  await input.followed(BigInt(rows[0]!.last));
}

/** Waits until no transaction that began before now still runs: its writes, or its reads, belong to the time before. */
async function untilOldersEnd(client: Client): Promise<void> {
  // As text: a Date would lose the microseconds, and with them whoever began in the same millisecond.
  const { rows: clock } = await client.query<{ at: string }>('select clock_timestamp()::text as at');
  await until('a transaction that began before still runs', async () => {
    const { rows } = await client.query(
      `select from pg_stat_activity a where a.datname = current_database() and a.pid <> pg_backend_pid()
       and a.backend_type = 'client backend' and a.xact_start <= $1::timestamptz limit 1`,
      [clock[0]!.at],
    );
    return rows.length === 0;
  });
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + SETTLE_MS_MAX;
  while (!(await isSo())) {
    if (Date.now() > end) throw databaseError('relocation_failed', `${what}: nothing was moved`);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
  }
}

/**
 * Drops what is gone since, and compares a table on both sides: at first every row, later the buckets of which one side holds other versions of rows
 * than when they were compared. Throws `relocation_failed` on a difference.
 */
async function compare(work: Work, table: Table): Promise<void> {
  const { tenantId } = work.input;
  const columns = table.columns.filter((column) => REPLACED[table.name]?.[column] === undefined);
  const [source, target] = [
    { name: table.sourceName, key: table.key, columns },
    { name: table.targetName, key: table.key, columns },
  ];
  const [here, found] = await Promise.all([
    readVersions(work.from, source, tenantId),
    readVersions(work.to, target, tenantId),
  ]);
  let there = found;
  if (countIn(here) !== countIn(there)) {
    await dropGone(work, table);
    there = await readVersions(work.to, target, tenantId);
  }
  const before = work.known.get(table.name);
  const buckets = before && [
    ...new Set([...changedBuckets(before.here, here), ...changedBuckets(before.there, there)]),
  ];
  const part = { tenantId, ...(buckets && { buckets }) };
  const [ours, theirs] = await Promise.all([
    digestBuckets(work.from, source, part),
    digestBuckets(work.to, target, part),
  ]);
  requireSame(table.name, ours, theirs);
  const digests = new Map(before?.digests);
  for (const bucket of buckets ?? []) digests.delete(bucket);
  for (const [bucket, digest] of ours) digests.set(bucket, digest);
  work.known.set(table.name, { digests, here, there });
}

function requireSame(name: string, ours: BucketDigests, theirs: BucketDigests): void {
  const isSame =
    ours.size === theirs.size &&
    [...ours].every(([bucket, { rows, digest }]) => {
      const twin = theirs.get(bucket);
      return twin?.rows === rows && twin.digest === digest;
    });
  if (isSame) return;
  const [here, there] = [countIn(ours), countIn(theirs)];
  const how = here === there ? ', but not the same ones' : '';
  throw databaseError('relocation_failed', `${name}: ${there} of ${here} rows arrived${how}`);
}

/** What was compared, of every table that holds a row. */
function tableProofs(work: Work): Record<string, TableProof> {
  const proofs: Record<string, TableProof> = {};
  for (const { name } of work.tables) {
    const digests = work.known.get(name)!.digests;
    if (digests.size === 0) continue;
    const whole = createHash('sha256');
    for (const [bucket, { rows, digest }] of [...digests].sort(([one], [other]) => one - other)) {
      whole.update(`${bucket} ${rows} ${digest}\n`);
    }
    proofs[name] = { rows: countIn(digests), sha256: whole.digest('hex') };
  }
  return proofs;
}

async function empty(client: Client, names: readonly string[], tenantId: Uuid): Promise<void> {
  await client.query('begin');
  for (const name of names) await client.query(`delete from ${name} where tenant_id = $1`, [tenantId]);
  await client.query('commit');
}
