import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';

/** Statements of the sequencer and of the proof service; the role is ax_ledger, which cannot read a leaf. */
export interface LogRow {
  readonly tenant_id: Uuid;
  readonly generation: number;
  readonly origin: string;
  readonly size: string;
  readonly root: Buffer;
}

/** What waits for the log of one tenant, in the order of its arrival. */
export interface PendingEntries {
  readonly tenant_id: Uuid;
  /** Ids, with commas between them. */
  readonly entry_ids: string;
  /** Leaf hashes of 32 bytes, one after the other. */
  readonly leaf_hashes: Buffer;
}

/** Only one sequencer works at a time; a second one waits here until the first one's transaction is over. */
export const SEQUENCER_LOCK = 7_204_115_001;

export const lockSequencer: Statement = {
  sql: `select pg_advisory_xact_lock($1::bigint)`,
  parameters: [SEQUENCER_LOCK],
};

/** Which tenants' logs a cell grows: those named, or every one but those named. */
export interface CellScope {
  readonly inside: boolean;
  readonly tenants: readonly Uuid[];
}

/** A cell that is the only one. */
export const EVERY_TENANT: CellScope = { inside: false, tenants: [] };

/**
 * Claim by deletion: an entry that commits late with a lower number is met later, never skipped. Entries of a log that
 * is open in another cell stay where they are: growing it here too would be a fork.
 */
/** By their places in the table, and one row a tenant: the rest of a batch costs less than a thousand rows to take and send. */
export function claimPending(batch_entries_max: number, scope: CellScope): Statement<PendingEntries> {
  return {
    sql: `with taken as (
            delete from audit.pending p where p.ctid = any(array(
              select w.ctid from audit.pending w
              where (w.tenant_id = any($2::uuid[])) = $3::boolean and not exists (
                select from audit.log l where l.tenant_id = w.tenant_id and l.moved_to is not null)
              order by w.seq limit $1))
            returning p.tenant_id, p.entry_id, p.leaf_hash, p.seq
          )
          select t.tenant_id, string_agg(t.entry_id::text, ',' order by t.seq) as entry_ids,
            string_agg(t.leaf_hash, $4::bytea order by t.seq) as leaf_hashes
          from taken t group by t.tenant_id`,
    parameters: [batch_entries_max, scope.tenants, scope.inside, Buffer.alloc(0)],
  };
}

export function anyPending(scope: CellScope): Statement<{ waiting: boolean }> {
  return {
    sql: `select exists (
            select from audit.pending p
            where (p.tenant_id = any($1::uuid[])) = $2::boolean and not exists (
              select from audit.log l where l.tenant_id = p.tenant_id and l.moved_to is not null)
          ) as waiting`,
    parameters: [scope.tenants, scope.inside],
  };
}

export const beat: Statement = { sql: 'update audit.beat set beat = clock_timestamp() where only_row', parameters: [] };

const LOG_COLUMNS = 'l.tenant_id, l.generation, l.origin, h.size, h.root';

/** The newest generation of each log that is open in this cell. */
export function allLogs(scope: CellScope): Statement<LogRow> {
  return {
    sql: `select distinct on (l.tenant_id) ${LOG_COLUMNS} from audit.log l
          join audit.log_head h on h.tenant_id = l.tenant_id and h.generation = l.generation
          where l.moved_to is null and (l.tenant_id = any($1::uuid[])) = $2::boolean
          order by l.tenant_id, l.generation desc`,
    parameters: [scope.tenants, scope.inside],
  };
}

export function logOf(tenantId: Uuid): Statement<LogRow> {
  return {
    sql: `select ${LOG_COLUMNS} from audit.log l
          join audit.log_head h on h.tenant_id = l.tenant_id and h.generation = l.generation
          where l.tenant_id = $1 and h.tenant_id = $1 and l.moved_to is null
          order by l.generation desc limit 1`,
    parameters: [tenantId],
  };
}

export function insertLog(row: { tenantId: Uuid; generation: number; origin: string }): Statement {
  return {
    sql: 'insert into audit.log (tenant_id, generation, origin) values ($1, $2, $3)',
    parameters: [row.tenantId, row.generation, row.origin],
  };
}

/** Writes entry 0 of the generation after the one that the leaf names. One row, or an error AX106. */
export function openGeneration(tenantId: Uuid, leaf: Uint8Array): Statement<{ origin: string }> {
  return {
    sql: 'select g.log_origin as origin from audit.open_generation($1, $2) g',
    parameters: [tenantId, leaf],
  };
}

/** Leaf of entry 0 of a later generation. */
export function logOpening(log: LogKey): Statement<{ leaf: Buffer | null }> {
  return { sql: 'select audit.log_opening($1, $2) as leaf', parameters: [log.tenantId, log.generation] };
}

/** Writes the entry by which a log's key changes; its id. One row, or an error AX106. */
export function announceKey(tenantId: Uuid, leaf: Uint8Array): Statement<{ id: Uuid }> {
  return { sql: 'select audit.announce_key($1, $2) as id', parameters: [tenantId, leaf] };
}

export interface KeyChangeRow {
  readonly tenant_id: Uuid;
  readonly generation: number;
  readonly origin: string;
  readonly idx: string;
  readonly leaf: Buffer;
}

/** Entries about their keys, once they have their places, of one tenant's log or of each that is open in this cell. */
export function keyChanges(tenantId: Uuid | null): Statement<KeyChangeRow> {
  return {
    sql: 'select c.tenant_id, c.generation, c.origin, c.idx, c.leaf from audit.key_changes($1::uuid) c',
    parameters: [tenantId],
  };
}

/** Checkpoints that hold an entry, the smallest first. */
export function checkpointsOver(
  log: LogKey,
  index: number,
  rows_max: number,
): Statement<{ size: string; note: string }> {
  return {
    sql: `select size, note from audit.checkpoint where tenant_id = $1 and generation = $2 and size > $3
          order by size limit $4`,
    parameters: [log.tenantId, log.generation, index, rows_max],
  };
}

/** Functions of the database that the ledger calls. */
export const LEDGER_FUNCTIONS: readonly string[] = [
  'audit.open_generation',
  'audit.log_opening',
  'audit.announce_key',
  'audit.key_changes',
];

export function insertHead(row: { tenantId: Uuid; generation: number; root: Uint8Array }): Statement {
  return {
    sql: 'insert into audit.log_head (tenant_id, generation, size, root) values ($1, $2, 0, $3)',
    parameters: [row.tenantId, row.generation, row.root],
  };
}

/** Entries that one log takes on, in their order, from the place `first` on. */
export interface IndexRows {
  readonly tenantId: Uuid;
  readonly generation: number;
  readonly first: number;
  readonly count: number;
  readonly pending: PendingEntries;
}

/** The hashes travel as one value: an array of a thousand of them costs more to write and to read than their rows. */
export function insertIndexRows(logs: readonly IndexRows[]): Statement {
  let before = 0;
  const offsets = logs.map(({ count }) => (before += count) - count);
  return {
    sql: `insert into audit.log_index (tenant_id, generation, idx, entry_id, leaf_hash)
          select l.tenant_id, l.generation, l.first + k, ($6::uuid[])[l.before + k + 1],
            substring($7::bytea from (l.before + k) * 32 + 1 for 32)
          from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::integer[], $5::integer[])
            as l (tenant_id, generation, first, before, entries)
          cross join lateral generate_series(0, l.entries - 1) k`,
    parameters: [
      logs.map((log) => log.tenantId),
      logs.map((log) => log.generation),
      logs.map((log) => log.first),
      offsets,
      logs.map(({ count }) => count),
      `{${logs.map(({ pending }) => pending.entry_ids).join(',')}}`,
      Buffer.concat(logs.map(({ pending }) => pending.leaf_hashes)),
    ],
  };
}

export interface HeadMove {
  readonly tenantId: Uuid;
  readonly generation: number;
  readonly oldSize: number;
  readonly newSize: number;
  readonly root: Uint8Array;
}

/** Compare and swap on the size: two sequencers can never both extend the same tree. */
export function moveHeads(moves: readonly HeadMove[]): Statement<{ tenant_id: Uuid }> {
  return {
    sql: `update audit.log_head h set size = m.new_size, root = m.root
          from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[], $5::bytea[])
            as m (tenant_id, generation, old_size, new_size, root)
          where h.tenant_id = m.tenant_id and h.generation = m.generation and h.size = m.old_size
          returning h.tenant_id`,
    parameters: [
      moves.map((move) => move.tenantId),
      moves.map((move) => move.generation),
      moves.map((move) => move.oldSize),
      moves.map((move) => move.newSize),
      moves.map((move) => move.root),
    ],
  };
}

export interface TileRow {
  readonly tenantId: Uuid;
  readonly generation: number;
  readonly level: number;
  readonly n: number;
  readonly data: Uint8Array;
  readonly root: Uint8Array;
}

export function insertTile(row: TileRow): Statement {
  return {
    sql: 'insert into audit.log_tile (tenant_id, generation, level, n, data, root) values ($1, $2, $3, $4, $5, $6)',
    parameters: [row.tenantId, row.generation, row.level, row.n, row.data, row.root],
  };
}

export interface LogKey {
  readonly tenantId: Uuid;
  readonly generation: number;
}

export function fullTile(log: LogKey, tile: { level: number; n: number }): Statement<{ data: Buffer }> {
  return {
    sql: 'select data from audit.log_tile where tenant_id = $1 and generation = $2 and level = $3 and n = $4',
    parameters: [log.tenantId, log.generation, tile.level, tile.n],
  };
}

/** Leaf hashes of a partial tile at level 0. */
export function leafHashes(log: LogKey, range: { from: number; to: number }): Statement<{ hash: Buffer }> {
  return {
    sql: `select leaf_hash as hash from audit.log_index
          where tenant_id = $1 and generation = $2 and idx >= $3 and idx < $4 order by idx`,
    parameters: [log.tenantId, log.generation, range.from, range.to],
  };
}

/** Roots of full tiles at `level`: the hashes of the (partial) tile one level up. */
export function tileRoots(
  log: LogKey,
  range: { level: number; from: number; to: number },
): Statement<{ hash: Buffer }> {
  return {
    sql: `select root as hash from audit.log_tile
          where tenant_id = $1 and generation = $2 and level = $3 and n >= $4 and n < $5 order by n`,
    parameters: [log.tenantId, log.generation, range.level, range.from, range.to],
  };
}

export function insertCheckpoint(row: LogKey & { size: number; root: Uint8Array; note: string }): Statement {
  return {
    sql: `insert into audit.checkpoint (tenant_id, generation, size, root, note) values ($1, $2, $3, $4, $5)
          on conflict (tenant_id, generation, size) do nothing`,
    parameters: [row.tenantId, row.generation, row.size, row.root, row.note],
  };
}

export interface CheckpointRow {
  readonly size: string;
  readonly root: Buffer;
  readonly note: string;
}

export function latestCheckpoint(log: LogKey): Statement<CheckpointRow> {
  return {
    sql: `select size, root, note from audit.checkpoint where tenant_id = $1 and generation = $2 order by size desc limit 1`,
    parameters: [log.tenantId, log.generation],
  };
}

/** Checkpoints of less than `below` entries, the largest first. */
export function checkpointsBelow(
  log: LogKey,
  below: number,
  rows_max: number,
): Statement<{ size: string; note: string }> {
  return {
    sql: `select size, note from audit.checkpoint where tenant_id = $1 and generation = $2 and size < $3
          order by size desc limit $4`,
    parameters: [log.tenantId, log.generation, below, rows_max],
  };
}

export function indexOfEntry(tenantId: Uuid, entryId: Uuid): Statement<{ generation: number; idx: string }> {
  return {
    sql: 'select generation, idx from audit.log_index where tenant_id = $1 and entry_id = $2',
    parameters: [tenantId, entryId],
  };
}

export interface GenerationRow {
  readonly tenant_id: Uuid;
  readonly origin: string;
  readonly generation: number;
  readonly size: string;
}

/** Every generation of the logs that are open in a cell. */
export const logGenerations: Statement<GenerationRow> = {
  sql: `select l.tenant_id, l.origin, l.generation, h.size from audit.log l
        join audit.log_head h on h.tenant_id = l.tenant_id and h.generation = l.generation
        where l.moved_to is null order by l.tenant_id, l.generation`,
  parameters: [],
};

/** Where tenants live that do not live in home's shared tables. */
export const placedTenants: Statement<{ tenant_id: Uuid; cell: string }> = {
  sql: 'select p.tenant_id, p.cell from platform.placement p',
  parameters: [],
};
