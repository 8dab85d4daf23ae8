import type { Uuid } from '@auditrax/base';
import type { Statement, SystemDoor } from '@auditrax/tenancy';

/** Entries read at once. */
export const FEED_ENTRIES_MAX = 500;

/** One entry as the sentinel sees it: the public-safe leaf, where it stands, and which role wrote it. */
export interface FeedEntry {
  /** One order over all logs; keep the last one as the watermark. */
  readonly position: number;
  readonly tenantId: Uuid;
  readonly entryId: Uuid;
  readonly index: number;
  readonly writer: string;
  readonly leaf: Uint8Array;
}

interface FeedRow {
  readonly position: string;
  readonly tenant_id: Uuid;
  readonly entry_id: Uuid;
  readonly idx: string;
  readonly writer: string;
  readonly leaf: Buffer;
}

function entriesAfter(position: number, limit: number): Statement<FeedRow> {
  return {
    sql: `select i.position, i.tenant_id, i.entry_id, i.idx, e.writer, e.leaf
          from audit.log_index i join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
          where i.position > $1 order by i.position limit $2`,
    parameters: [position, limit],
  };
}

/** Sequenced entries of every tenant after `position`, in order, for ax_sentinel. Nothing is skipped: one sequencer
 * hands out positions, and an entry that is not sequenced yet has none. */
export async function readFeed(
  door: SystemDoor,
  position: number,
  limit: number = FEED_ENTRIES_MAX,
): Promise<FeedEntry[]> {
  const rows = await door.system(entriesAfter(position, limit));
  return rows.map((row) => ({
    position: Number(row.position),
    tenantId: row.tenant_id,
    entryId: row.entry_id,
    index: Number(row.idx),
    writer: row.writer,
    leaf: row.leaf,
  }));
}

/** Newest position, for a reader that begins now. */
export async function feedEnd(door: SystemDoor): Promise<number> {
  const [row] = await door.system<{ position: string }>({
    sql: 'select coalesce(max(i.position), 0) as position from audit.log_index i',
    parameters: [],
  });
  return Number(row?.position ?? 0);
}
