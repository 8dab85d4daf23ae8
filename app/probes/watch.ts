import type { Clock } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import type { DeliveredPage, DetectionTimes, Noticed } from '../claims/probe.ts';
import { detectionTimesSince, receiptsOfRequest } from '../domains/oncall/index.ts';
import { feedEnd, readFeed, type FeedEntry } from '../platform/audit/index.ts';

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
  return { requestId: leaf.request ?? '', noticed: { entryId, tenantId, type, outcome, occurred_ms: time, facts: leaf.public ?? {} } };
}

export function createWatch({ door, clock }: { door: SystemDoor; clock: Clock }): Watch {
  const byRequest = new Map<string, Noticed[]>();
  const until = async <T>(wait_ms: number, look: () => T[] | Promise<T[]>, enough: (found: T[]) => boolean): Promise<T[]> => {
    const end_ms = clock.nowMs() + wait_ms;
    for (;;) {
      const found = await look();
      if (enough(found) || clock.nowMs() >= end_ms) return found;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  };
  let position: number | undefined;
  let following: Promise<void> | undefined;
  const readOn = async (): Promise<void> => {
    const end = await feedEnd(door);
    position = Math.max(position ?? 0, end - BACKLOG_MAX);
    for (;;) {
      const entries = await readFeed(door, position);
      for (const entry of entries) {
        const { requestId, noticed } = noticedOf(entry);
        byRequest.set(requestId, [...(byRequest.get(requestId) ?? []), noticed]);
        position = entry.position;
      }
      if (position >= end || entries.length === 0) break;
    }
    for (const oldest of byRequest.keys()) {
      if (byRequest.size <= REQUESTS_MAX) break;
      byRequest.delete(oldest);
    }
  };
  /** Many may wait at once; one of them reads for all. */
  const follow = (): Promise<void> => {
    following ??= readOn().finally(() => {
      following = undefined;
    });
    return following;
  };
  const receipts = async (requestId: string): Promise<DeliveredPage[]> => {
    const rows = await door.system(receiptsOfRequest(requestId));
    return rows.map((row) => ({
      pageId: row.page_id,
      detection: row.detection,
      channel: row.channel,
      ...(row.accepted_at === null ? {} : { accepted_ms: row.accepted_at.getTime() }),
    }));
  };
  return {
    noticed: (requestId, wait_ms) =>
      until(wait_ms, async () => (await follow(), byRequest.get(requestId) ?? []), (found) => found.length > 0),
    pages: (requestId, wait_ms) =>
      until(wait_ms, () => receipts(requestId), (found) => found.some((page) => page.accepted_ms !== undefined)),
    async detectionTimes(window_seconds) {
      const now = clock.nowMs();
      const rows = await door.system(detectionTimesSince(now - window_seconds * 1000));
      const times = rows.flatMap((row) =>
        row.accepted_ms === null ? [] : [Math.max(0, Number(row.accepted_ms) - Number(row.occurred_ms))],
      );
      const missing = rows.filter(
        (row) => row.accepted_ms === null && now - Number(row.occurred_ms) > PAGE_GRACE_MS,
      ).length;
      const sum = times.reduce((total, time) => total + time, 0);
      return {
        count: times.length,
        missing,
        mean_ms: times.length === 0 ? 0 : sum / times.length,
        max_ms: times.reduce((most, time) => Math.max(most, time), 0),
      };
    },
  };
}
