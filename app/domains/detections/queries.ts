import { sql, type Statement } from '@auditrax/tenancy';

interface EventRow {
  readonly position: string;
  readonly entry_id: string;
  readonly tenant_id: string;
  readonly kind: string;
  readonly leaf: Buffer;
}

/** Events after a position in the one order over all logs, gap-free: the single sequencer hands positions out. */
export function eventsAfter(position: bigint, limit: number): Statement<EventRow> {
  return sql<EventRow>`
    select i.position, i.entry_id, i.tenant_id, t.kind, e.leaf
    from audit.log_index i
    join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
    join platform.tenant t on t.id = i.tenant_id
    where i.position > ${position.toString()}
    order by i.position
    limit ${limit}`;
}

export function readCursor(): Statement<{ position: string }> {
  return sql<{ position: string }>`select position from oncall.cursor`;
}

export function moveCursor(position: bigint): Statement {
  return sql`update oncall.cursor set position = ${position.toString()} where position < ${position.toString()}`;
}
