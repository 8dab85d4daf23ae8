import type { Random } from '@auditrax/base';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, RETRY_AFTER_MS_MAX } from './limits.ts';

/**
 * How long to wait after the `failures`-th failure in a row: doubled each time up to a quarter of an hour, and between
 * half and all of that, so that many streams do not come back in one moment.
 */
export function backoffOf(failures: number, random: Random): number {
  const ceiling_ms = Math.min(BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 30), BACKOFF_MS_MAX);
  const share = Buffer.from(random.bytes(2)).readUInt16BE() / 0xffff;
  return Math.round(ceiling_ms * (0.5 + share / 2));
}

/** What the other side asks us to wait, in seconds or as a date, bounded; 0 where it asks nothing. */
export function retryAfterOf(text: string | undefined, now_ms: number): number {
  if (text === undefined) return 0;
  const wait_ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now_ms;
  return Number.isFinite(wait_ms) ? Math.min(Math.max(wait_ms, 0), RETRY_AFTER_MS_MAX) : 0;
}
