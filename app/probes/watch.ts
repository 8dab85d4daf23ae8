import type { Clock } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import type { DeliveredPage, DetectionTimes, Noticed } from '../claims/probe.ts';
import { detectionTimesSince, receiptsOfRequest } from '../domains/oncall/index.ts';
import { feedEnd, readFeed, type CellDoor, type FeedEntry } from '../platform/audit/index.ts';

/** Requests remembered; an attempt is looked for within seconds of its making. */
const REQUESTS_MAX = 5_000;
const LOOK_AGAIN_MS = 40;
/** An event younger than this may still be paged in time. */
const PAGE_GRACE_MS = 60_000;

/** Backlog that is skipped rather than read: whoever waits now, waits for something of now. */
const BACKLOG_MAX = 5_000;

/**
 * What the house has noticed lately, by request id. It follows the log by itself and only while somebody waits, so that
 * it notices when the detections have stopped.
 */
export interface Watch {
  noticed(requestId: string, wait_ms: number): Promise<readonly Noticed[]>;
  /** Pages for a request, those accepted by a channel first; waits for the first to be accepted. */
  pages(requestId: string, wait_ms: number): Promise<readonly DeliveredPage[]>;
  detectionTimes(window_seconds: number): Promise<DetectionTimes>;
}

interface Leaf {
  readonly type: string;
  readonly outcome: string;
  readonly time: number;
  readonly request?: string;
  readonly public?: Noticed['facts'];
}

function noticedOf(entry: FeedEntry): { requestId: string; noticed: Noticed } {
  const leaf = JSON.parse(Buffer.from(entry.leaf).toString('utf8')) as Leaf;
  const { entryId, tenantId } = entry;
  const { type, outcome, time } = leaf;
  return {
    requestId: leaf.request ?? '',
    noticed: { entryId, tenantId, type, outcome, occurred_ms: time, facts: leaf.public ?? {} },
  };
}

/** Remembers the newest entries of every cell by request id; reads on when asked, once for all who ask at once. */
function createFollower(cells: () => readonly CellDoor[]): { entriesOf(requestId: string): Promise<Noticed[]> } {
  const byRequest = new Map<string, Noticed[]>();
  const positions = new Map<string, number>();
  let following: Promise<void> | undefined;
  const readCell = async ({ cell, door }: CellDoor): Promise<void> => {
    const end = await feedEnd(door);
    let position = Math.max(positions.get(cell) ?? 0, end - BACKLOG_MAX);
    while (position < end) {
      const entries = await readFeed(door, position);
      if (entries.length === 0) break;
      for (const entry of entries) {
        const { requestId, noticed } = noticedOf(entry);
        byRequest.set(requestId, [...(byRequest.get(requestId) ?? []), noticed]);
      }
      position = entries.at(-1)!.position;
    }
    positions.set(cell, position);
  };
  const readOn = async (): Promise<void> => {
    const [home, ...others] = cells();
    // A cell that is away has noticed nothing; whoever waits for something of it waits in vain, and says so.
    await Promise.all([readCell(home!), ...others.map((cell) => readCell(cell).catch(() => undefined))]);
    for (const oldest of byRequest.keys()) {
      if (byRequest.size <= REQUESTS_MAX) break;
      byRequest.delete(oldest);
    }
  };
  return {
    async entriesOf(requestId) {
      following ??= readOn().finally(() => {
        following = undefined;
      });
      await following;
      return byRequest.get(requestId) ?? [];
    },
  };
}

async function receiptsOf(door: SystemDoor, requestId: string): Promise<DeliveredPage[]> {
  const rows = await door.system(receiptsOfRequest(requestId));
  return rows.map((row) => ({
    pageId: row.page_id,
    detection: row.detection,
    channel: row.channel,
    ...(row.accepted_at === null ? {} : { accepted_ms: row.accepted_at.getTime() }),
  }));
}

/** Figures of events and the receipts of their pages. */
export function timesOf(
  rows: readonly { readonly occurred_ms: string; readonly accepted_ms: string | null }[],
  now_ms: number,
): DetectionTimes {
  const times = rows.flatMap(({ occurred_ms, accepted_ms }) =>
    accepted_ms === null ? [] : [Math.max(0, Number(accepted_ms) - Number(occurred_ms))],
  );
  const missing = rows.filter(
    (row) => row.accepted_ms === null && now_ms - Number(row.occurred_ms) > PAGE_GRACE_MS,
  ).length;
  return {
    count: times.length,
    missing,
    mean_ms: times.length === 0 ? 0 : times.reduce((total, time) => total + time, 0) / times.length,
    max_ms: times.reduce((most, time) => Math.max(most, time), 0),
  };
}

/** `cells`: home first, where the pages are too. */
export function createWatch({ cells, clock }: { cells: () => readonly CellDoor[]; clock: Clock }): Watch {
  const { door } = cells()[0]!;
  const follower = createFollower(cells);
  const until = async <T>(wait_ms: number, look: () => Promise<T[]>, enough: (found: T[]) => boolean): Promise<T[]> => {
    const end_ms = clock.nowMs() + wait_ms;
    for (;;) {
      const found = await look();
      if (enough(found) || clock.nowMs() >= end_ms) return found;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  };
  return {
    noticed: (requestId, wait_ms) =>
      until(
        wait_ms,
        () => follower.entriesOf(requestId),
        (found) => found.length > 0,
      ),
    pages: (requestId, wait_ms) =>
      until(
        wait_ms,
        () => receiptsOf(door, requestId),
        (found) => found.some((page) => page.accepted_ms !== undefined),
      ),
    async detectionTimes(window_seconds) {
      const now_ms = clock.nowMs();
      return timesOf(await door.system(detectionTimesSince(now_ms - window_seconds * 1000)), now_ms);
    },
  };
}
