import { sql, type Statement } from '@auditrax/tenancy';

export interface EventRow {
  readonly position: string;
  readonly entry_id: string;
  readonly tenant_id: string;
  /** Null when this cell does not know the tenant: its events count all the same. */
  readonly kind: string | null;
  /** Index in the tenant's log; bigint, as text. */
  readonly idx: string;
  readonly leaf: Buffer;
}

/** Events of a cell after a position in the one order over its logs, gap-free: its one sequencer hands positions out. */
export function eventsAfter(position: bigint, limit: number): Statement<EventRow> {
  return sql<EventRow>`
    select i.position, i.entry_id, i.tenant_id, t.kind, i.idx, e.leaf
    from audit.log_index i
    join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
    left join platform.tenant t on t.id = i.tenant_id
    where i.position > ${position.toString()}
    order by i.position
    limit ${limit}`;
}

/** Where the tail stands in a cell; no row before its first event. Kept in home. */
export function readCursor(cell: string): Statement<{ position: string }> {
  return sql<{ position: string }>`select position from oncall.cursor where cell = ${cell}`;
}

/** Compare and swap: of two tails of one cell only one moves on. No row when another was faster. */
export function moveCursor(cell: string, move: { from: bigint; to: bigint }): Statement<{ cell: string }> {
  return sql<{ cell: string }>`
    update oncall.cursor set position = ${move.to.toString()}
    where cell = ${cell} and position = ${move.from.toString()} returning cell`;
}

export function beginCursor(cell: string): Statement {
  return sql`insert into oncall.cursor (cell, position) values (${cell}, 0) on conflict (cell) do nothing`;
}
