import { Readable } from 'node:stream';
import { systemRandom, uuidV4 } from '@auditrax/base';
import { bindRoutes, type RoomRoutes } from '../../http/handler.ts';
import { evictionRoutes, FEED_BEAT_MS } from '../evictions-contract.ts';

/** The feed of an issuer that a test plays; what it says is told to whoever listens at that moment. */
export interface TestFeed {
  readonly routes: RoomRoutes;
  /** Writes this line, with its number, whatever it is. */
  say(line: object): void;
  /** From now on nothing is written, beats neither. */
  hush(isHushed: boolean): void;
  /** Ends what is open; a gateway comes back by itself. */
  cut(): void;
  close(): void;
}

export function openTestFeed(): TestFeed {
  const feed = uuidV4(systemRandom);
  const readers = new Set<Readable>();
  let sequence = 0;
  let hushed = false;
  const write = (line: object) => {
    for (const reader of readers) if (!hushed) reader.push(`${JSON.stringify(line)}\n`);
  };
  const beat = setInterval(() => write({ beat: true, sequence }), FEED_BEAT_MS);
  const follow = (after: number | undefined): Readable => {
    const reader = new Readable({ read: () => undefined });
    readers.add(reader);
    reader.once('close', () => readers.delete(reader));
    reader.push(`${JSON.stringify({ feed, sequence, goesOn: after === sequence })}\n`);
    return reader;
  };
  return {
    routes: bindRoutes(evictionRoutes, {
      follow: (call) => Promise.resolve({ status: 200 as const, body: follow(call.query.after) }),
    }),
    say(line) {
      sequence += 1;
      write({ sequence, ...line });
    },
    hush: (isHushed) => void (hushed = isHushed),
    cut: () => readers.forEach((reader) => reader.push(null)),
    close() {
      clearInterval(beat);
      for (const reader of readers) reader.push(null);
    },
  };
}
