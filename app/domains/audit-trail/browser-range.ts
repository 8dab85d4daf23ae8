// Runs in the reader's browser: a whole range of entries against one signed root, without a proof for each.
import {
  browserPrimitives,
  bytesOf,
  concatBytes,
  equalBytes,
  fromBase64,
  isOneHistory,
  leafHashWith,
  toBase64,
} from '@auditrax/tlog/verify-browser';
import { hashesOf, openSigned, type KeyChange, type OpenedCheckpoint, type VerifyStep } from './browser-key.ts';
import { checkOutside, type OutsideProof, type OutsideStep, type Verified } from './browser-outside.ts';

/** Entries checked in one go; more belongs into a bundle and onto a machine of its own. */
export const RANGE_ENTRIES_MAX = 100_000;
/** Leaves asked for at once; the server gives no more. */
const LEAVES_PER_FETCH = 500;
/** Hashes under way at once: enough to keep the browser's threads busy, few enough to stay cancellable. */
const HASHES_AT_ONCE = 2048;
const NODE_PREFIX = Uint8Array.of(1);

export interface RangeInput {
  readonly from: number;
  /** Index after the last entry. */
  readonly to: number;
  /** The signed note. */
  readonly checkpoint: string;
  /** The key that the reader trusts, and how the log went on from it to other keys. */
  readonly vkey: string;
  readonly changes: readonly KeyChange[];
  /** What others have seen of the log when the last entry was in it. */
  readonly outside: OutsideProof | null;
  /** Paths of the first and of the last entry, base64, leaf's sibling first. */
  readonly first: readonly string[];
  readonly last: readonly string[];
  /** Leaves `from` to below `to`, as text. */
  readonly leaves: (range: { from: number; to: number }) => Promise<readonly string[]>;
  readonly onProgress: (done: number) => void;
  readonly signal: AbortSignal;
}

export interface RangeVerdict {
  readonly ok: boolean;
  readonly steps: readonly (VerifyStep | OutsideStep)[];
  /** Milliseconds spent hashing, without the network. */
  readonly hashing_ms: number;
}

interface Span {
  readonly lo: number;
  readonly hi: number;
}

/** Largest power of two smaller than `size` (RFC 6962 section 2.1). */
function splitPoint(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

/** The subtrees whose hashes a path holds, in its order: leaf's sibling first. */
function siblingsOf(index: number, size: number): Span[] {
  const spans: Span[] = [];
  let lo = 0;
  let hi = size;
  while (hi - lo > 1) {
    const middle = lo + splitPoint(hi - lo);
    if (index < middle) {
      spans.push({ lo: middle, hi });
      hi = middle;
    } else {
      spans.push({ lo, hi: middle });
      lo = middle;
    }
  }
  return spans.reverse();
}

type Hash = Uint8Array;

async function inGroups<In>(
  all: readonly In[],
  work: (one: In) => Promise<Hash>,
  signal: AbortSignal,
): Promise<Hash[]> {
  const done: Hash[] = [];
  for (let at = 0; at < all.length; at += HASHES_AT_ONCE) {
    signal.throwIfAborted();
    done.push(...(await Promise.all(all.slice(at, at + HASHES_AT_ONCE).map(work))));
  }
  return done;
}

const nodeHash = async (left: Uint8Array, right: Uint8Array): Promise<Hash> =>
  browserPrimitives.sha256(concatBytes(NODE_PREFIX, left, right));

/** Root over hashed leaves: pairs level by level, an odd one goes up as it is, which is the tree of RFC 6962. */
async function subtreeRoot(hashes: readonly Uint8Array[], signal: AbortSignal): Promise<Uint8Array> {
  let level = hashes;
  while (level.length > 1) {
    const pairs = Array.from({ length: level.length >> 1 }, (_, at) => [level[2 * at]!, level[2 * at + 1]!] as const);
    const next = await inGroups(pairs, ([left, right]) => nodeHash(left, right), signal);
    if (level.length % 2 === 1) next.push(level.at(-1)!);
    level = next;
  }
  return level[0]!;
}

/** What stands left and right of the range, by its place; undefined when a path has another length than it must. */
function outside(input: RangeInput, size: number): Map<string, Uint8Array> | undefined {
  const known = new Map<string, Uint8Array>();
  const ends = [
    { index: input.from, path: input.first, wanted: ({ hi }: Span) => hi <= input.from },
    { index: input.to - 1, path: input.last, wanted: ({ lo }: Span) => lo >= input.to },
  ];
  for (const { index, path, wanted } of ends) {
    const spans = siblingsOf(index, size);
    if (spans.length !== path.length) return undefined;
    for (const [at, span] of spans.entries()) {
      const hash = fromBase64(path[at]!);
      if (hash === undefined) return undefined;
      if (wanted(span)) known.set(`${span.lo}-${span.hi}`, hash);
    }
  }
  return known;
}

interface Tree {
  readonly from: number;
  readonly hashes: readonly Uint8Array[];
  readonly known: ReadonlyMap<string, Uint8Array>;
  readonly signal: AbortSignal;
}

async function rootOf(tree: Tree, { lo, hi }: Span): Promise<Uint8Array | undefined> {
  const to = tree.from + tree.hashes.length;
  if (lo >= tree.from && hi <= to) return subtreeRoot(tree.hashes.slice(lo - tree.from, hi - tree.from), tree.signal);
  if (hi <= tree.from || lo >= to) return tree.known.get(`${lo}-${hi}`);
  const middle = lo + splitPoint(hi - lo);
  const left = await rootOf(tree, { lo, hi: middle });
  const right = await rootOf(tree, { lo: middle, hi });
  return left === undefined || right === undefined ? undefined : nodeHash(left, right);
}

/** Fetches and hashes every entry of the range; undefined when the server gave fewer than there are. */
async function hashLeaves(input: RangeInput): Promise<{ hashes: Uint8Array[]; hashing_ms: number } | undefined> {
  const hashes: Uint8Array[] = [];
  let hashing_ms = 0;
  for (let at = input.from; at < input.to; at += LEAVES_PER_FETCH) {
    input.signal.throwIfAborted();
    const to = Math.min(input.to, at + LEAVES_PER_FETCH);
    const leaves = await input.leaves({ from: at, to });
    if (leaves.length !== to - at) return undefined;
    const began = performance.now();
    hashes.push(...(await inGroups(leaves, (leaf) => leafHashWith(browserPrimitives, bytesOf(leaf)), input.signal)));
    hashing_ms += performance.now() - began;
    input.onProgress(hashes.length);
  }
  return { hashes, hashing_ms };
}

/** An epoch holds the range when its checkpoint has the last entry and is one history with the one that was opened. */
function holdsRange(input: RangeInput, { checkpoint }: OpenedCheckpoint): Verified['holds'] {
  return async (epoch) => {
    const proof = hashesOf(input.outside?.path ?? []);
    if (epoch.size < input.to || proof === undefined) return false;
    return isOneHistory(browserPrimitives, [{ origin: checkpoint.origin, ...epoch }, checkpoint], proof);
  };
}

/**
 * Hashes every entry of a range and joins them with the two outer paths to one root, which must be the one that the log
 * has signed: then none of them was changed, none is missing between the two, and none was put in. Rejects with the
 * signal's reason when it is cancelled, and with what `leaves` throws.
 */
export async function verifyRangeInBrowser(input: RangeInput): Promise<RangeVerdict> {
  const steps: VerifyStep[] = [];
  const opened = await openSigned(input, steps);
  const checkpoint = opened?.checkpoint;
  const size = checkpoint?.size ?? 0;
  const sound = input.from >= 0 && input.from < input.to && input.to <= size;
  const told = sound && input.to - input.from <= RANGE_ENTRIES_MAX ? await hashLeaves(input) : undefined;
  const count = input.to - input.from;
  steps.push({
    name: 'Every entry was hashed here',
    ok: told !== undefined,
    detail: told === undefined ? 'not every entry of the range was given' : `${count} entries`,
  });
  const known = told === undefined ? undefined : outside(input, size);
  const began = performance.now();
  const root =
    told === undefined || known === undefined
      ? undefined
      : await rootOf({ from: input.from, hashes: told.hashes, known, signal: input.signal }, { lo: 0, hi: size });
  const hashing_ms = (told?.hashing_ms ?? 0) + performance.now() - began;
  steps.push({
    name: 'They and what stands beside them lead to a root',
    ok: root !== undefined,
    detail: root === undefined ? 'the paths do not fit the range' : toBase64(root),
  });
  const same = root !== undefined && checkpoint !== undefined && equalBytes(root, checkpoint.root);
  steps.push({
    name: 'It is the signed root',
    ok: same,
    detail: same
      ? `entries ${input.from} to ${input.to - 1} are in the log as they were written, none left out`
      : 'an entry was changed, left out, put in, or moved',
  });
  const seen =
    opened === undefined ? [] : await checkOutside({ ...opened, holds: holdsRange(input, opened) }, input.outside);
  const all = [...steps, ...seen];
  // What cannot be said of outsiders is no fault of the range; what is said and does not hold is.
  return { ok: all.every((step) => step.ok !== false), steps: all, hashing_ms };
}
