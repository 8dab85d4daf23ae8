import { createHmac, hash } from 'node:crypto';
import { bytesOf, toBase64 } from './core.ts';
import { SLOTS_MAX, type EpochEvidence } from './epoch-leaf.ts';
import { nodeHash } from './tree.ts';

/** Bytes of the key that one epoch's salts are made from, and of each salt. */
export const EPOCH_KEY_BYTES = 32;
/** Slots of a tree that has room for `used`: the next power of two, at least one. */
export function slotsFor(used: number): number {
  let slots = 1;
  while (slots < used) slots *= 2;
  return slots;
}

/** HMAC-SHA256(epoch key, "slot" || uint64be(slot)): one salt tells nothing about its neighbours'. */
export function slotSalt(epochKey: Uint8Array, slot: number): Buffer {
  const place = Buffer.alloc(12);
  place.write('slot', 0, 'ascii');
  place.writeBigUInt64BE(BigInt(slot), 4);
  return createHmac('sha256', epochKey).update(place).digest();
}

/** SHA-256(0x00 || salt || checkpoint text); the empty text stands for a slot without a log. */
export function slotHash(salt: Uint8Array, checkpointText: string): Buffer {
  return hash('sha256', Buffer.concat([Buffer.of(0), salt, bytesOf(checkpointText)]), 'buffer');
}

/** The blinded tree of one epoch. */
export interface SlotTree {
  readonly slots: number;
  readonly root: Uint8Array;
  /** The slot's path, its sibling first. Verified as an inclusion proof of `slotHash` in a tree of `slots` leaves. */
  proof(slot: number): Uint8Array[];
}

/** Hashes made at one go, a millisecond or two: a tree over ten thousand logs must not hold up whoever shares the process. */
const HASHES_AT_ONCE = 256;

async function inPortions<T>(count: number, make: (at: number) => T): Promise<T[]> {
  const made: T[] = [];
  for (let at = 0; at < count; at += 1) {
    if (at > 0 && at % HASHES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    made.push(make(at));
  }
  return made;
}

/** Builds the tree over the texts of checkpoints by slot, in portions. Throws RangeError for a slot outside of it. */
export async function buildSlotTree(epochKey: Uint8Array, texts: ReadonlyMap<number, string>): Promise<SlotTree> {
  const highest = texts.keys().reduce((most, slot) => Math.max(most, slot), 0);
  const slots = slotsFor(highest + 1);
  if (slots > SLOTS_MAX) throw new RangeError(`no slot ${highest}`);
  const levels = [await inPortions(slots, (slot) => slotHash(slotSalt(epochKey, slot), texts.get(slot) ?? ''))];
  for (let level = levels[0]!; level.length > 1; level = levels.at(-1)!) {
    const below = level;
    levels.push(await inPortions(below.length / 2, (at) => nodeHash(below[2 * at]!, below[2 * at + 1]!)));
  }
  return {
    slots,
    root: levels.at(-1)![0]!,
    proof: (slot) => {
      if (!Number.isInteger(slot) || slot < 0 || slot >= slots) throw new RangeError(`no slot ${slot} of ${slots}`);
      return levels.slice(0, -1).map((level, height) => {
        const at = Math.floor(slot / 2 ** height);
        return level[at % 2 === 0 ? at + 1 : at - 1]!;
      });
    },
  };
}

/** As it stands in the evidence. */
export function slotEvidence(
  epochKey: Uint8Array,
  tree: SlotTree,
  slot: number,
): Pick<EpochEvidence, 'slot' | 'salt' | 'slotProof'> {
  return { slot, salt: toBase64(slotSalt(epochKey, slot)), slotProof: tree.proof(slot).map(toBase64) };
}
