import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';
import type { FullTile } from '@auditrax/tlog';
import type { CellScope } from './ledger-queries.ts';

/** Statements of the super-log, as ax_ledger. All but `newestCheckpoints` are for home. */

/** Its tables, all of them home's. */
export const SUPER_TABLES: readonly string[] = [
  'super_log',
  'super_slot',
  'super_slot_state',
  'super_epoch',
  'super_tile',
  'super_checkpoint',
  'super_cosignature',
  'super_timestamp',
].map((name) => `audit.${name}`);

/** One writer of the super-log at a time, as with the sequencer. */
const SUPER_LOG_LOCK = 7_204_115_002;

export const lockSuperLog: Statement = {
  sql: 'select pg_advisory_xact_lock($1::bigint)',
  parameters: [SUPER_LOG_LOCK],
};

export interface NewestCheckpoint {
  readonly tenant_id: Uuid;
  readonly origin: string;
  readonly generation: number;
  readonly size: string;
  readonly note: string;
}

/** What each log of a cell was last signed at; one index look-up for each. */
export function newestCheckpoints(scope: CellScope): Statement<NewestCheckpoint> {
  return {
    sql: `select l.tenant_id, l.origin, l.generation, c.size, c.note
          from (select distinct on (l0.tenant_id) l0.tenant_id, l0.generation, l0.origin from audit.log l0
                where l0.moved_to is null and (l0.tenant_id = any($1::uuid[])) = $2::boolean
                order by l0.tenant_id, l0.generation desc) l
          cross join lateral (
            select c0.size, c0.note from audit.checkpoint c0
            where c0.tenant_id = l.tenant_id and c0.generation = l.generation order by c0.size desc limit 1) c`,
    parameters: [scope.tenants, scope.inside],
  };
}

export interface SuperLogRow {
  readonly generation: number;
  readonly origin: string;
  readonly size: string;
  readonly root: Buffer;
}

export const newestSuperLog: Statement<SuperLogRow> = {
  sql: 'select generation, origin, size, root from audit.super_log order by generation desc limit 1',
  parameters: [],
};

export interface SuperGenerationRow {
  readonly generation: number;
  readonly origin: string;
  readonly size: string;
}

export const superGenerations: Statement<SuperGenerationRow> = {
  sql: 'select generation, origin, size from audit.super_log order by generation',
  parameters: [],
};

/** Entry 0 of a generation: of a later one, its opening. */
export function firstSuperLeaf(generation: number): Statement<{ leaf: string }> {
  return { sql: 'select leaf from audit.super_epoch where generation = $1 and idx = 0', parameters: [generation] };
}

export interface SuperEntryRow {
  readonly generation: number;
  readonly idx: string;
  readonly leaf: string;
}

/** Entries that are no epochs, the newest first: openings of generations and changes of the key. */
export const superStatements: Statement<SuperEntryRow> = {
  sql: `select generation, idx, leaf from audit.super_epoch where leaf not like '{"epoch":%'
        order by generation desc, idx desc`,
  parameters: [],
};

/** Checkpoints that hold an entry, the smallest first. */
export function superCheckpointsOver(
  generation: number,
  index: number,
  rows_max: number,
): Statement<{ size: string; note: string }> {
  return {
    sql: 'select size, note from audit.super_checkpoint where generation = $1 and size > $2 order by size limit $3',
    parameters: [generation, index, rows_max],
  };
}

/** Checkpoints of less than `below` epochs, the largest first. */
export function superCheckpointsBelow(
  generation: number,
  below: number,
  rows_max: number,
): Statement<{ size: string; note: string }> {
  return {
    sql: `select size, note from audit.super_checkpoint where generation = $1 and size < $2
          order by size desc limit $3`,
    parameters: [generation, below, rows_max],
  };
}

export function insertSuperLog(row: { generation: number; origin: string; root: Uint8Array }): Statement {
  return {
    sql: 'insert into audit.super_log (generation, origin, size, root) values ($1, $2, 0, $3)',
    parameters: [row.generation, row.origin, row.root],
  };
}

export interface SlotRow {
  readonly slot: string;
  readonly log_owner: Uuid;
  readonly origin: string | null;
  readonly size: string | null;
  readonly note: string | null;
}

/** Every slot with what it held at an epoch; null where it held nothing yet. */
export function slotsAt(epoch: number): Statement<SlotRow> {
  return {
    sql: `select s.slot, s.log_owner, t.origin, t.size, t.note from audit.super_slot s
          left join lateral (
            select t0.origin, t0.size, t0.note from audit.super_slot_state t0
            where t0.slot = s.slot and t0.epoch <= $1 order by t0.epoch desc limit 1) t on true`,
    parameters: [epoch],
  };
}

export function giveSlots(owners: readonly Uuid[]): Statement<{ slot: string; log_owner: Uuid }> {
  return {
    sql: `insert into audit.super_slot (slot, log_owner)
          select (select coalesce(max(s.slot), -1) from audit.super_slot s) + o.place, o.owner
          from unnest($1::uuid[]) with ordinality as o (owner, place)
          returning slot, log_owner`,
    parameters: [owners],
  };
}

export interface SlotState {
  readonly slot: number;
  readonly origin: string;
  readonly size: number;
  readonly note: string;
}

export function insertSlotStates(epoch: number, states: readonly SlotState[]): Statement {
  return {
    sql: `insert into audit.super_slot_state (slot, epoch, origin, size, note)
          select u.slot, $1::bigint, u.origin, u.size, u.note
          from unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[]) as u (slot, origin, size, note)`,
    parameters: [
      epoch,
      states.map((state) => state.slot),
      states.map((state) => state.origin),
      states.map((state) => state.size),
      states.map((state) => state.note),
    ],
  };
}

export interface EpochRow {
  readonly epoch: string;
  readonly generation: number;
  readonly idx: string;
  readonly leaf: string;
  readonly slot_key: Buffer;
}

export const newestEpoch: Statement<{ epoch: string; leaf: string }> = {
  sql: 'select epoch, leaf from audit.super_epoch order by epoch desc limit 1',
  parameters: [],
};

export interface NewEpoch {
  readonly epoch: number;
  readonly generation: number;
  readonly index: number;
  readonly leaf: string;
  readonly leafHash: Uint8Array;
  readonly slotKey: Uint8Array;
}

export function insertEpoch(row: NewEpoch): Statement {
  return {
    sql: `insert into audit.super_epoch (epoch, generation, idx, leaf, leaf_hash, slot_key)
          values ($1, $2, $3, $4, $5, $6)`,
    parameters: [row.epoch, row.generation, row.index, row.leaf, row.leafHash, row.slotKey],
  };
}

export function insertSuperTile(generation: number, tile: FullTile): Statement {
  return {
    sql: 'insert into audit.super_tile (generation, level, n, data, root) values ($1, $2, $3, $4, $5)',
    parameters: [generation, tile.level, tile.n, tile.data, tile.root],
  };
}

/** Compare and swap, as with the logs of tenants. */
export function moveSuperHead(move: {
  generation: number;
  oldSize: number;
  newSize: number;
  root: Uint8Array;
}): Statement<{ generation: number }> {
  return {
    sql: 'update audit.super_log set size = $3, root = $4 where generation = $1 and size = $2 returning generation',
    parameters: [move.generation, move.oldSize, move.newSize, move.root],
  };
}

export function superTile(generation: number, tile: { level: number; n: number }): Statement<{ data: Buffer }> {
  return {
    sql: 'select data from audit.super_tile where generation = $1 and level = $2 and n = $3',
    parameters: [generation, tile.level, tile.n],
  };
}

export function superLeaves(generation: number, range: { from: number; to: number }): Statement<{ hash: Buffer }> {
  return {
    sql: `select leaf_hash as hash from audit.super_epoch
          where generation = $1 and idx >= $2 and idx < $3 order by idx`,
    parameters: [generation, range.from, range.to],
  };
}

export function superRoots(
  generation: number,
  range: { level: number; from: number; to: number },
): Statement<{ hash: Buffer }> {
  return {
    sql: `select root as hash from audit.super_tile
          where generation = $1 and level = $2 and n >= $3 and n < $4 order by n`,
    parameters: [generation, range.level, range.from, range.to],
  };
}

export function insertSuperCheckpoint(row: { generation: number; size: number; note: string }): Statement {
  return {
    sql: `insert into audit.super_checkpoint (generation, size, note) values ($1, $2, $3)
          on conflict (generation, size) do nothing`,
    parameters: [row.generation, row.size, row.note],
  };
}

export function slotOf(owner: Uuid): Statement<{ slot: string }> {
  return { sql: 'select slot from audit.super_slot where log_owner = $1', parameters: [owner] };
}

export interface StateRange {
  readonly slot: number;
  readonly origin: string;
  readonly from: number;
  readonly to: number;
}

/**
 * The states of a slot that bracket the sizes `from` to `to`: the last with at most `from`, the first with at least
 * `to`, and those in between, each with the last epoch that it stood for.
 */
export function slotStates(
  range: StateRange,
): Statement<{ epoch: string; until: string | null; size: string; note: string }> {
  return {
    sql: `select t.epoch, (select min(n.epoch) - 1 from audit.super_slot_state n where n.slot = t.slot and n.epoch > t.epoch) as until,
                 t.size, t.note
          from audit.super_slot_state t
          where t.slot = $1 and t.origin = $2
            and t.size >= coalesce((select max(a.size) from audit.super_slot_state a
              where a.slot = $1 and a.origin = $2 and a.size <= $3), 0)
            and t.size <= coalesce((select min(b.size) from audit.super_slot_state b
              where b.slot = $1 and b.origin = $2 and b.size >= $4), 9223372036854775807)
          order by t.size`,
    parameters: [range.slot, range.origin, range.from, range.to],
  };
}

const EPOCH_COLUMNS = 'e.epoch, e.generation, e.idx, e.leaf, e.slot_key';

/** One epoch between two, the nearest to the given end that is published; of those co-signed only, when asked. */
export function epochNear(range: {
  first: number;
  last: number;
  end: 'first' | 'last';
  cosigned: boolean;
}): Statement<EpochRow> {
  const order = range.end === 'first' ? 'asc' : 'desc';
  const table = range.cosigned ? 'audit.super_cosignature' : 'audit.super_checkpoint';
  return {
    sql: `select ${EPOCH_COLUMNS} from audit.super_epoch e
          where e.epoch between $1 and $2 and e.leaf like '{"epoch":%'
            and exists (select from ${table} c where c.generation = e.generation and c.size = e.idx + 1)
          order by e.epoch ${order} limit 1`,
    parameters: [range.first, range.last],
  };
}

export interface PublishedRow {
  readonly note: string;
  readonly lines: string;
  readonly token: Buffer | null;
}

/** A checkpoint of the super-log with the lines of its witnesses and its timestamp. */
export function publishedAt(at: { generation: number; size: number }): Statement<PublishedRow> {
  return {
    sql: `select c.note,
                 coalesce((select string_agg(w.line, '' order by w.witness) from audit.super_cosignature w
                   where w.generation = c.generation and w.size = c.size), '') as lines,
                 t.token
          from audit.super_checkpoint c
          left join audit.super_timestamp t on t.generation = c.generation and t.size = c.size
          where c.generation = $1 and c.size = $2`,
    parameters: [at.generation, at.size],
  };
}

export interface CosignatureRow {
  readonly witness: string;
  readonly generation: number;
  readonly size: string;
  readonly cosigned_at: Date;
}

/** The newest cosignature of each of these witnesses. */
export function newestCosignatures(witnesses: readonly string[]): Statement<CosignatureRow> {
  return {
    sql: `select w.key as witness, c.generation, c.size, c.cosigned_at from unnest($1::text[]) as w (key)
          cross join lateral (
            select c0.generation, c0.size, c0.cosigned_at from audit.super_cosignature c0
            where c0.witness = w.key order by c0.generation desc, c0.size desc limit 1) c`,
    parameters: [witnesses],
  };
}

/** When the first of these witnesses began. */
export function firstCosignature(witnesses: readonly string[]): Statement<{ cosigned_at: Date | null }> {
  return {
    sql: `select min(c.cosigned_at) as cosigned_at from unnest($1::text[]) as w (key)
          cross join lateral (
            select c0.cosigned_at from audit.super_cosignature c0
            where c0.witness = w.key order by c0.generation, c0.size limit 1) c`,
    parameters: [witnesses],
  };
}

export function insertCosignature(row: {
  generation: number;
  size: number;
  witness: string;
  line: string;
  seconds: number;
}): Statement {
  return {
    sql: `insert into audit.super_cosignature (generation, size, witness, line, cosigned_at)
          values ($1, $2, $3, $4, to_timestamp($5::double precision)) on conflict (generation, size, witness) do nothing`,
    parameters: [row.generation, row.size, row.witness, row.line, row.seconds],
  };
}

export const newestTimestamp: Statement<{ stamped_at: Date }> = {
  sql: 'select stamped_at from audit.super_timestamp order by generation desc, size desc limit 1',
  parameters: [],
};

export function insertTimestamp(row: {
  generation: number;
  size: number;
  token: Uint8Array;
  stamped_ms: number;
}): Statement {
  return {
    sql: `insert into audit.super_timestamp (generation, size, token, stamped_at)
          values ($1, $2, $3, to_timestamp($4::double precision / 1000)) on conflict (generation, size) do nothing`,
    parameters: [row.generation, row.size, Buffer.from(row.token), row.stamped_ms],
  };
}
