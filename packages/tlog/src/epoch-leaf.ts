import { fromBase64, HASH_BYTES } from './core.ts';

/** 2^24 slots are more logs than one installation will have, and a bound on what is parsed. */
export const SLOTS_MAX = 2 ** 24;

/** A leaf of the super-log: what every log of the installation stood at, in one hash. */
export interface EpochLeaf {
  /** Counts up by one, over generations too. */
  readonly epoch: number;
  /** Root of the slot tree, base64. */
  readonly root: string;
  /** Leaves of the slot tree: a power of two. */
  readonly slots: number;
  /** When the checkpoints were collected, milliseconds since 1970. */
  readonly time: number;
  readonly v: 1;
}

/**
 * One epoch's evidence for one tenant: its checkpoint, in its slot, in the epoch's leaf, in the co-signed super-log.
 * Everything is text or base64, so that it travels as JSON.
 */
export interface EpochEvidence {
  /** The super-log's signed checkpoint with every cosignature that is known. */
  readonly note: string;
  /** Text of the epoch's leaf. */
  readonly leaf: string;
  readonly index: number;
  /** Inclusion of `leaf` at `index` in the tree of `note`. */
  readonly proof: readonly string[];
  readonly slot: number;
  /** This tenant's salt of this epoch; says nothing about another's. */
  readonly salt: string;
  readonly slotProof: readonly string[];
  /** The tenant's signed note whose text the slot commits to. */
  readonly checkpoint: string;
  /** RFC 3161 token over the SHA-256 of the text of `note`. */
  readonly timestamp?: string;
}

/** The leaf's bytes as text: RFC 8785, keys in order, no spaces. */
export function formatEpochLeaf({ epoch, root, slots, time }: Omit<EpochLeaf, 'v'>): string {
  return JSON.stringify({ epoch, root, slots, time, v: 1 });
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Undefined for anything but the one spelling. */
export function parseEpochLeaf(text: string): EpochLeaf | undefined {
  try {
    const { epoch, root, slots, time } = JSON.parse(text) as EpochLeaf;
    if (![epoch, slots, time].every(isCount) || fromBase64(root)?.length !== HASH_BYTES) return undefined;
    if (slots < 1 || slots > SLOTS_MAX || !Number.isInteger(Math.log2(slots))) return undefined;
    return formatEpochLeaf({ epoch, root, slots, time }) === text ? { epoch, root, slots, time, v: 1 } : undefined;
  } catch {
    return undefined;
  }
}
