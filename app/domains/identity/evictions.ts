import { Readable } from 'node:stream';
import { uuidV4, type Random, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { evictionRoutes, FEED_BEAT_MS, type Eviction } from '../../platform/edge/evictions-contract.ts';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';

/** Numbers that a gateway can still be told when it comes back; whoever missed more begins with an empty cache. */
const KEPT_MAX = 10_000;
/** A gateway that does not read is let go: it finds out by the silence, and begins anew. */
const UNREAD_BYTES_MAX = 1024 * 1024;

/** Where a reader of the feed left off. */
interface Bookmark {
  readonly feed?: string | undefined;
  readonly after?: number | undefined;
}

/** Tells every gateway whose cached tokens are worth nothing any more. */
export interface Evictions {
  /** When `tx` is through, or may be: what was told in vain costs a gateway one question. */
  endSession(tx: Pick<ScopedTransaction, 'afterCommit'>, sessionId: Uuid): void;
  /** As `endSession`, of whatever the person is signed in with. */
  endPerson(tx: Pick<ScopedTransaction, 'afterCommit'>, personId: Uuid): void;
  /** A feed of its own for one gateway, from its bookmark on. */
  follow(from: Bookmark): Readable;
  /** Gateways that are listening now. */
  readers(): number;
  /** Ends every feed, so that a stop need not wait for them. */
  close(): void;
}

const line = (value: object): string => `${JSON.stringify(value)}\n`;

/**
 * The numbered list of what has ended, in the memory of the issuer: it is the only one who ends sessions, and after its
 * restart the list has another name, by which every gateway knows that it may have missed something.
 */
export function createEvictions({ random }: { readonly random: Random }): Evictions {
  const feed = uuidV4(random);
  const readers = new Set<Readable>();
  let sequence = 0;
  let kept: readonly Eviction[] = [];
  let closed = false;
  let beat: ReturnType<typeof setInterval> | undefined;

  const leave = (reader: Readable) => {
    readers.delete(reader);
    if (readers.size > 0) return;
    clearInterval(beat);
    beat = undefined;
  };
  const write = (text: string) => {
    for (const reader of readers) {
      if (reader.readableLength > UNREAD_BYTES_MAX) reader.destroy();
      else reader.push(text);
    }
  };
  const tell = (make: (sequence: number) => Eviction) => {
    sequence += 1;
    const made = make(sequence);
    kept = [...kept.slice(kept.length >= KEPT_MAX ? kept.length - KEPT_MAX + 1 : 0), made];
    write(line(made));
  };

  return {
    endSession: (tx, sessionId) => tx.afterCommit(() => tell((number) => ({ sequence: number, sessionId }))),
    endPerson: (tx, personId) => tx.afterCommit(() => tell((number) => ({ sequence: number, personId }))),
    follow(from) {
      const oldest = sequence - kept.length;
      const { after } = from;
      const goesOn = from.feed === feed && after !== undefined && after >= oldest && after <= sequence;
      const missed = goesOn ? kept.filter((one) => one.sequence > after) : [];
      const reader = new Readable({ read: () => undefined });
      reader.push(line({ feed, sequence: goesOn ? after : sequence, goesOn }));
      for (const one of missed) reader.push(line(one));
      // Whoever comes back while the process stops is not kept.
      if (closed) {
        reader.push(null);
        return reader;
      }
      readers.add(reader);
      reader.once('close', () => leave(reader));
      beat ??= setInterval(() => write(line({ beat: true, sequence })), FEED_BEAT_MS).unref();
      return reader;
    },
    readers: () => readers.size,
    close() {
      closed = true;
      clearInterval(beat);
      // Nothing is told after the end: what a session ends while the process stops, every gateway finds by the silence.
      for (const reader of readers) reader.push(null);
      readers.clear();
    },
  };
}

/** The feed as a route of the issuer; its gateways hold it open. */
export function evictionFeedRoutes({ evictions }: { readonly evictions: Evictions }): RoomRoutes {
  return bindRoutes(evictionRoutes, {
    follow: (call) => Promise.resolve({ status: 200 as const, body: evictions.follow(call.query) }),
  });
}
