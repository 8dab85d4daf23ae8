import { AppError } from '@auditrax/base';
import { emptyRoot, merkleRoot } from './tree.ts';

/** A tile spans eight tree levels (C2SP tlog-tiles). */
export const TILE_HEIGHT = 8;
export const TILE_WIDTH = 256;
export const TILE_BYTES = TILE_WIDTH * 32;

export type TlogCode =
  | 'tlog_tile_malformed'
  | 'tlog_tile_missing'
  | 'tlog_range_invalid'
  | 'tlog_key_malformed'
  | 'tlog_policy_malformed';

/** A full tile that an append completed: never changes again. */
export interface FullTile {
  readonly level: number;
  readonly n: number;
  readonly data: Buffer;
  /** Hash of the subtree the tile spans: the entry it contributes one level up. */
  readonly root: Uint8Array;
}

/**
 * The growing edge of a log: the number of leaves and, per tile level, the hashes of the tile that is not full yet.
 * Everything left of it is in full tiles and is never needed to append.
 */
export interface Edge {
  readonly size: number;
  readonly partial: readonly (readonly Uint8Array[])[];
}

export const EMPTY_EDGE: Edge = { size: 0, partial: [] };

/** Width of the partial tile at `level` of a tree with `size` leaves: floor(size / 256^level) mod 256. */
export function partialWidth(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level) % TILE_WIDTH;
}

/** Splits the bytes of a tile; throws `tlog_tile_malformed` unless they hold exactly `width` hashes. */
export function tileHashes(data: Uint8Array, width: number): Uint8Array[] {
  if (data.length !== width * 32) {
    throw new AppError<TlogCode>('tlog_tile_malformed', `a tile of ${width} hashes has ${data.length} bytes`);
  }
  return Array.from({ length: width }, (_, at) => data.subarray(at * 32, at * 32 + 32));
}

/** Appends leaf hashes; returns the new edge and the tiles that became full, lower levels first within each carry. */
export function appendLeaves(edge: Edge, leafHashes: readonly Uint8Array[]): { edge: Edge; full: FullTile[] } {
  const partial = edge.partial.map((hashes) => [...hashes]);
  const full: FullTile[] = [];
  let size = edge.size;
  for (const leaf of leafHashes) {
    size += 1;
    let carry: Uint8Array | undefined = leaf;
    for (let level = 0; carry !== undefined; level += 1) {
      const tile = (partial[level] ??= []);
      tile.push(carry);
      carry = undefined;
      if (tile.length === TILE_WIDTH) {
        const root = merkleRoot(tile);
        full.push({ level, n: size / TILE_WIDTH ** (level + 1) - 1, data: Buffer.concat(tile), root });
        partial[level] = [];
        carry = root;
      }
    }
  }
  return { edge: { size, partial }, full };
}

/**
 * Root of the tree that ends at this edge. Each partial tile is a row of perfect subtrees; what lies right of them is
 * one smaller subtree, which RFC 6962 splits off exactly as if it were one more node of the row.
 */
export function edgeRoot(edge: Edge): Uint8Array {
  let root: Uint8Array | undefined;
  for (const row of edge.partial) {
    const nodes = root === undefined ? row : [...row, root];
    if (nodes.length > 0) root = merkleRoot(nodes);
  }
  return root ?? emptyRoot();
}

/** `tile/<L>/<N>[.p/<W>]` with N in groups of three digits (C2SP tlog-tiles). */
export function tilePath(level: number, n: number, width: number = TILE_WIDTH): string {
  const digits = String(n).padStart(Math.ceil(String(n).length / 3) * 3, '0');
  const groups = digits.match(/.{3}/g)!;
  const name = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${level}/${name}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** Undefined for anything but the one spelling of a tile's path. */
export function parseTilePath(path: string): { level: number; n: number; width: number } | undefined {
  const match = /^tile\/([0-9]{1,2})\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/.exec(path);
  if (!match) return undefined;
  const level = Number(match[1]);
  const n = Number(match[2]!.replaceAll(/[x/]/g, ''));
  const width = match[3] === undefined ? TILE_WIDTH : Number(match[3]);
  if (level > 63 || !Number.isSafeInteger(n) || width < 1 || width > TILE_WIDTH) return undefined;
  return tilePath(level, n, width) === path ? { level, n, width } : undefined;
}
