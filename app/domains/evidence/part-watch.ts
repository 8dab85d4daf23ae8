import type { Uuid } from '@auditrax/base';
import { cardNumberScanner, type CardNumberScanner } from './card-number.ts';

/** Uploads watched at once; beyond that the oldest is forgotten and its file is read again at the end. */
const WATCHED_UPLOADS_MAX = 512;

/**
 * Looks for card numbers while parts pass by, so that a large file need not be read a second time. It answers only when
 * it has seen every byte in order, in this process; in all other cases the caller reads the stored file instead.
 */
export interface PartWatch {
  /** Passes the bytes of a part on and scans them. */
  tap(uploadId: Uuid, offset: number, source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** The store has `received` bytes after a part; anything else than what was seen ends the watch. */
  confirm(uploadId: Uuid, received: number): void;
  forget(uploadId: Uuid): void;
  /** True or false when all `sizeBytes` were seen, else undefined. Ends the watch. */
  verdict(uploadId: Uuid, sizeBytes: number): boolean | undefined;
}

interface Watched {
  readonly scanner: CardNumberScanner;
  seen: number;
}

export function partWatch(): PartWatch {
  const watched = new Map<Uuid, Watched>();
  const forget = (uploadId: Uuid): void => {
    watched.delete(uploadId);
  };
  const watchAt = (uploadId: Uuid, offset: number): Watched | undefined => {
    if (offset === 0) {
      const oldest = watched.keys().next();
      if (watched.size >= WATCHED_UPLOADS_MAX && oldest.done !== true) forget(oldest.value);
      watched.set(uploadId, { scanner: cardNumberScanner(), seen: 0 });
    }
    const entry = watched.get(uploadId);
    if (entry?.seen === offset) return entry;
    forget(uploadId);
    return undefined;
  };
  return {
    tap: async function* (uploadId, offset, source) {
      const entry = watchAt(uploadId, offset);
      for await (const piece of source) {
        entry?.scanner.push(piece);
        if (entry !== undefined) entry.seen += piece.length;
        yield piece;
      }
    },
    confirm: (uploadId, received) => {
      if (watched.get(uploadId)?.seen !== received) forget(uploadId);
    },
    forget,
    verdict: (uploadId, sizeBytes) => {
      const entry = watched.get(uploadId);
      forget(uploadId);
      return entry?.seen === sizeBytes ? entry.scanner.end() !== undefined : undefined;
    },
  };
}

/** Reads a whole file for the same question. */
export async function holdsCardNumber(content: AsyncIterable<Uint8Array>): Promise<boolean> {
  const scanner = cardNumberScanner();
  for await (const piece of content) scanner.push(piece);
  return scanner.end() !== undefined;
}
