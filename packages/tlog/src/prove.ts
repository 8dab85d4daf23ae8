import { AppError } from '@auditrax/base';
import { merkleRoot, nodeHash, splitPoint } from './tree.ts';
import { TILE_HEIGHT, TILE_WIDTH, tileHashes, type TlogCode } from './tiles.ts';

/** Reads `width` hashes of a tile from its left end; more are allowed, the prover cuts. */
export type TileReader = (tile: { level: number; n: number; width: number }) => Promise<Uint8Array>;

interface Tree {
  readonly size: number;
  readonly read: (level: number, n: number) => Promise<Uint8Array[]>;
}

/** One proof asks for the same tile many times: at most one read each, all cut to the tree's size. */
function treeOf(size: number, tiles: TileReader): Tree {
  const cache = new Map<string, Promise<Uint8Array[]>>();
  const load = async (level: number, n: number): Promise<Uint8Array[]> => {
    const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - n * TILE_WIDTH);
    if (width <= 0) throw new AppError<TlogCode>('tlog_tile_missing', `no tile ${level}/${n} in a tree of ${size}`);
    const data = await tiles({ level, n, width });
    if (data.length < width * 32)
      throw new AppError<TlogCode>('tlog_tile_malformed', `tile ${level}/${n} is cut short`);
    return tileHashes(data.subarray(0, width * 32), width);
  };
  return {
    size,
    read: (level, n) => {
      const key = `${level}/${n}`;
      const known = cache.get(key) ?? load(level, n);
      cache.set(key, known);
      return known;
    },
  };
}

/** Hash of the perfect subtree of 2^height leaves that starts at leaf `start` (a multiple of 2^height). */
async function perfectHash(tree: Tree, start: number, height: number): Promise<Uint8Array> {
  const level = Math.floor(height / TILE_HEIGHT);
  const span = 2 ** (height - level * TILE_HEIGHT);
  const first = start / TILE_WIDTH ** level;
  const hashes = await tree.read(level, Math.floor(first / TILE_WIDTH));
  const offset = first % TILE_WIDTH;
  return merkleRoot(hashes.slice(offset, offset + span));
}

/** Merkle tree hash of the leaves [start, end). */
async function rangeHash(tree: Tree, start: number, end: number): Promise<Uint8Array> {
  const count = end - start;
  const height = Math.log2(count);
  if (2 ** Math.round(height) === count) return perfectHash(tree, start, Math.round(height));
  const split = splitPoint(count);
  const [left, right] = await Promise.all([rangeHash(tree, start, start + split), rangeHash(tree, start + split, end)]);
  return nodeHash(left, right);
}

function checkRange(valid: boolean, what: string): void {
  if (!valid) throw new AppError<TlogCode>('tlog_range_invalid', what);
}

/** Root of the first `size` leaves, from tiles alone. Expects size >= 1. */
export async function rootFromTiles(size: number, tiles: TileReader): Promise<Uint8Array> {
  checkRange(Number.isSafeInteger(size) && size >= 1, `no root of ${size} leaves`);
  return rangeHash(treeOf(size, tiles), 0, size);
}

/** Inclusion proof for `index` in the tree of `size` leaves (RFC 9162 section 2.1.3.1), leaf's sibling first. */
export async function inclusionProof(place: { index: number; size: number }, tiles: TileReader): Promise<Uint8Array[]> {
  const { index, size } = place;
  checkRange(
    Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size,
    `no leaf ${index} in ${size}`,
  );
  const tree = treeOf(size, tiles);
  const siblings: Promise<Uint8Array>[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    siblings.push(index < middle ? rangeHash(tree, middle, end) : rangeHash(tree, start, middle));
    if (index < middle) end = middle;
    else start = middle;
  }
  return (await Promise.all(siblings)).reverse();
}

/** Consistency proof between the trees of `from` and `to` leaves (RFC 9162 section 2.1.4.1); empty when equal. */
export async function consistencyProof(range: { from: number; to: number }, tiles: TileReader): Promise<Uint8Array[]> {
  const { from, to } = range;
  checkRange(
    Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 1 && from <= to,
    `no proof from ${from} to ${to}`,
  );
  const tree = treeOf(to, tiles);
  const nodes: Promise<Uint8Array>[] = [];
  let start = 0;
  let end = to;
  let fromRoot = true; // the old root itself need not be sent
  while (end !== from) {
    const middle = start + splitPoint(end - start);
    if (from <= middle) {
      nodes.push(rangeHash(tree, middle, end));
      end = middle;
    } else {
      nodes.push(rangeHash(tree, start, middle));
      start = middle;
      fromRoot = false;
    }
  }
  if (!fromRoot) nodes.push(rangeHash(tree, start, end));
  return (await Promise.all(nodes)).reverse();
}
