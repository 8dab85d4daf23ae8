import type { Readable } from 'node:stream';
import { systemRandom, uuidV4 } from '@auditrax/base';
import type { InternalClient } from '../http/client.ts';
import type { Finding } from '../http/readiness.ts';
import type { Log } from '../http/request-log.ts';
import { evictionRoutes, feedLine, type Eviction } from './evictions-contract.ts';

/**
 * After this much silence no cached token is handed out any more: with what a gateway hears of an eviction on the way it
 * stays below the second that is promised. Three beats may be late before it is silence.
 */
export const FEED_SILENT_MS_MAX = 800;
/** Between two tries; the issuer may be restarting. */
const AGAIN_MS = 100;

/** Ten times the longest line; all of them are ASCII. */
const LINE_CHARACTERS_MAX = 2048;

/** What the feed does to the cache of tokens. */
export interface Evicted {
  evict(eviction: Eviction): void;
  /** Something may have been missed. */
  clear(): void;
}

export interface EvictionFollower {
  /** Whether the issuer was heard a moment ago, so that what is cached may be believed. */
  isHeard(): boolean;
  finding(): Finding;
  close(): void;
}

interface Parts {
  readonly client: InternalClient;
  readonly log: Log;
  readonly cache: Evicted;
  /** Of a clock that never goes back, in milliseconds; a test has its own. */
  readonly elapsed_ms?: () => number;
}

interface State {
  feed: string | undefined;
  sequence: number;
  heard_ms: number;
  closed: boolean;
  body: Readable | undefined;
}

/**
 * Holds the issuer's feed open and drops from the cache what it names. When a number is missing, when the issuer is
 * another one, and when the feed breaks off, the whole cache goes; while it is silent the cache is not used.
 */
export function followEvictions(parts: Parts): EvictionFollower {
  const now = parts.elapsed_ms ?? (() => performance.now());
  const state: State = { feed: undefined, sequence: 0, heard_ms: -Infinity, closed: false, body: undefined };
  const isHeard = () => now() - state.heard_ms <= FEED_SILENT_MS_MAX;
  let pause: ReturnType<typeof setTimeout> | undefined;
  let wake: () => void = () => undefined;
  const silence = setInterval(() => {
    // An answer that hangs is no feed: begin another one.
    if (state.body !== undefined && !isHeard()) state.body.destroy();
  }, FEED_SILENT_MS_MAX);
  silence.unref();
  const run = async () => {
    while (!state.closed) {
      await readFeed(parts, state, now).catch((error: unknown) => {
        if (!state.closed) parts.log.warn('eviction-feed-lost', { error });
      });
      parts.cache.clear();
      if (state.closed) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        pause = setTimeout(resolve, AGAIN_MS);
      });
    }
  };
  void run();
  return {
    isHeard,
    // Without the feed each request asks the issuer: slower, and as safe.
    finding: () => ({ check: 'evictions', ok: true, detail: isHeard() ? 'followed' : 'not heard: no token is cached' }),
    close() {
      state.closed = true;
      clearInterval(silence);
      clearTimeout(pause);
      wake();
      state.body?.destroy();
    },
  };
}

async function readFeed({ client, cache }: Parts, state: State, now: () => number): Promise<void> {
  const query = state.feed === undefined ? {} : { feed: state.feed, after: state.sequence };
  const reply = await client.call(evictionRoutes.follow, { requestId: uuidV4(systemRandom), query });
  state.body = reply.body;
  if (state.closed) reply.body.destroy();
  try {
    let rest = '';
    for await (const piece of reply.body as AsyncIterable<Buffer>) {
      const lines = (rest + piece.toString('utf8')).split('\n');
      rest = lines.pop()!;
      if (rest.length > LINE_CHARACTERS_MAX) throw new Error('a line without an end');
      for (const text of lines) take(feedLine.parse(JSON.parse(text)), state, cache);
      if (lines.length > 0) state.heard_ms = now();
    }
  } finally {
    state.body = undefined;
    reply.body.destroy();
  }
}

function take(line: ReturnType<typeof feedLine.parse>, state: State, cache: Evicted): void {
  if ('feed' in line) {
    if (!line.goesOn) cache.clear();
    state.feed = line.feed;
    state.sequence = line.sequence;
    return;
  }
  const expected = 'beat' in line ? state.sequence : state.sequence + 1;
  if (line.sequence !== expected) cache.clear();
  else if (!('beat' in line)) cache.evict(line);
  state.sequence = line.sequence;
}
