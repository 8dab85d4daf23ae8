import type { Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import { indexOfEntry, latestCheckpoint } from './ledger-queries.ts';
import type { SequencedEntry } from './sequencer.ts';

/** Receipts of entries sequenced before anybody asked. */
const RECENT_MAX = 8192;

/** Where an entry stands, and the size of a signed checkpoint that covers it. */
export interface Receipt {
  readonly index: number;
  readonly size: number;
}

/** Who waits for which entry, and what became of entries nobody waited for yet; over all cells. */
export interface Receipts {
  publish(entries: readonly SequencedEntry[]): void;
  known(tenantId: Uuid, entryId: Uuid): Receipt | undefined;
  /** Undefined when nothing came within `waitMs`. */
  next(tenantId: Uuid, entryId: Uuid, waitMs: number): Promise<Receipt | undefined>;
}

export function createReceipts(): Receipts {
  const waiting = new Map<string, ((receipt: Receipt) => void)[]>();
  const recent = new Map<string, Receipt>();
  const keyOf = (tenantId: Uuid, entryId: Uuid): string => `${tenantId}/${entryId}`;
  return {
    publish: (entries) => {
      for (const { tenantId, entryId, index, size } of entries) {
        const key = keyOf(tenantId, entryId);
        recent.set(key, { index, size });
        if (recent.size > RECENT_MAX) recent.delete(recent.keys().next().value!);
        for (const resolve of waiting.get(key) ?? []) resolve({ index, size });
        waiting.delete(key);
      }
    },
    known: (tenantId, entryId) => recent.get(keyOf(tenantId, entryId)),
    next: (tenantId, entryId, waitMs) =>
      new Promise((resolve) => {
        const key = keyOf(tenantId, entryId);
        const timer = setTimeout(() => {
          const others = (waiting.get(key) ?? []).filter((other) => other !== settle);
          if (others.length > 0) waiting.set(key, others);
          else waiting.delete(key);
          resolve(undefined);
        }, waitMs);
        const settle = (receipt: Receipt): void => {
          clearTimeout(timer);
          resolve(receipt);
        };
        waiting.set(key, [...(waiting.get(key) ?? []), settle]);
      }),
  };
}

/** Receipt of an entry that was sequenced before this process began to listen. */
export async function storedReceipt(door: SystemDoor, tenantId: Uuid, entryId: Uuid): Promise<Receipt | undefined> {
  const [row] = await door.system(indexOfEntry(tenantId, entryId));
  if (row === undefined) return undefined;
  const [checkpoint] = await door.system(latestCheckpoint({ tenantId, generation: row.generation }));
  const size = Number(checkpoint?.size ?? 0);
  return size > Number(row.idx) ? { index: Number(row.idx), size } : undefined;
}
