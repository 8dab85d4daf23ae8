import type { Clock } from '@auditrax/base';

export interface BucketLimit {
  /** What may come at once after a pause. */
  readonly burst: number;
  /** What may go on coming. */
  readonly perSecond: number;
}

export interface EdgeLimits {
  readonly client: BucketLimit;
  readonly session: BucketLimit;
  readonly signIn: BucketLimit;
}

/** An office behind one address may be hundreds of people; one session is one person with a few tabs. */
export const EDGE_LIMITS: EdgeLimits = {
  client: { burst: 1000, perSecond: 300 },
  session: { burst: 300, perSecond: 100 },
  // Guessing at one-time links and sessions is what this slows down; nobody signs in sixty times a minute.
  signIn: { burst: 60, perSecond: 1 },
};

/** Clients remembered at once; beyond it the one that was first seen starts afresh. */
const BUCKETS_MAX = 20_000;

export interface Buckets {
  /** False when `key` has used up its share. */
  take(key: string): boolean;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Token buckets by key, in bounded memory. */
export function createBuckets(limit: BucketLimit, clock: Clock): Buckets {
  const buckets = new Map<string, Bucket>();
  return {
    take(key) {
      const now = clock.nowMs();
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        if (buckets.size >= BUCKETS_MAX) {
          const oldest = buckets.keys().next();
          if (!oldest.done) buckets.delete(oldest.value);
        }
        bucket = { tokens: limit.burst, atMs: now };
        buckets.set(key, bucket);
      }
      // A clock set back must not empty the bucket.
      const elapsed_seconds = Math.max(now - bucket.atMs, 0) / 1000;
      bucket.tokens = Math.min(limit.burst, bucket.tokens + elapsed_seconds * limit.perSecond);
      bucket.atMs = now;
      if (bucket.tokens < 1) return false;
      bucket.tokens -= 1;
      return true;
    },
  };
}
