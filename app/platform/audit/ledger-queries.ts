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

export interface PendingRow {
  readonly tenant_id: Uuid;
  readonly entry_id: Uuid;
  readonly leaf_hash: Buffer;
  readonly seq: string;
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
export function claimPending(batch_entries_max: number, scope: CellScope): Statement<PendingRow> {
  return {
    sql: `with claimed as (
            select p.tenant_id, p.entry_id from audit.pending p
            where (p.tenant_id = any($2::uuid[])) = $3::boolean and not exists (
              select from audit.log l where l.tenant_id = p.tenant_id and l.moved_to is not null)
            order by p.seq limit $1
          )
          delete from audit.pending p using claimed c
          where p.tenant_id = c.tenant_id and p.entry_id = c.entry_id
          returning p.tenant_id, p.entry_id, p.leaf_hash, p.seq`,
    parameters: [batch_entries_max, scope.tenants, scope.inside],
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

export function insertHead(row: { tenantId: Uuid; generation: number; root: Uint8Array }): Statement {
  return {
    sql: 'insert into audit.log_head (tenant_id, generation, size, root) values ($1, $2, 0, $3)',
    parameters: [row.tenantId, row.generation, row.root],
  };
}

export interface IndexRow {
  readonly tenantId: Uuid;
  readonly generation: number;
  readonly index: number;
  readonly entryId: Uuid;
  readonly leafHash: Uint8Array;
}

export function insertIndexRows(rows: readonly IndexRow[]): Statement {
  return {
    sql: `insert into audit.log_index (tenant_id, generation, idx, entry_id, leaf_hash)
          select * from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::uuid[], $5::bytea[])`,
    parameters: [
      rows.map((row) => row.tenantId),
      rows.map((row) => row.generation),
      rows.map((row) => row.index),
      rows.map((row) => row.entryId),
      rows.map((row) => row.leafHash),
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

export function indexOfEntry(tenantId: Uuid, entryId: Uuid): Statement<{ generation: number; idx: string }> {
  return {
    sql: 'select generation, idx from audit.log_index where tenant_id = $1 and entry_id = $2',
    parameters: [tenantId, entryId],
  };
}

/** Origins of the logs that are open in a cell. */
export function logOrigins(): Statement<{ origin: string }> {
  return { sql: 'select l.origin from audit.log l where l.moved_to is null order by l.created_at', parameters: [] };
}

/** Where tenants live that do not live in home's shared tables. */
export const placedTenants: Statement<{ tenant_id: Uuid; cell: string }> = {
  sql: 'select p.tenant_id, p.cell from platform.placement p',
  parameters: [],
};
