import { AppError, type Uuid } from '@auditrax/base';
import type { Statement, SystemDoor } from '@auditrax/tenancy';
import {
  TILE_WIDTH,
  edgeRoot,
  equalBytes,
  partialWidth,
  tileHashes,
  type Checkpoint,
  type Edge,
  type TileReader,
} from '@auditrax/tlog';
import type { AuditCode } from './errors.ts';
import { fullTile, leafHashes, logOf, tileRoots, type LogKey, type LogRow } from './ledger-queries.ts';

/** Full tiles never change; this many (8 KiB each) stay in memory. */
const TILES_CACHED_MAX = 512;

/** A tenant's log as the ledger works with it. */
export interface Log extends LogKey {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

export function logFromRow(row: LogRow): Log {
  return {
    tenantId: row.tenant_id,
    generation: row.generation,
    origin: row.origin,
    size: Number(row.size),
    root: row.root,
  };
}

/** The newest generation of the tenant's log, undefined before its first entry was sequenced. */
export async function findLog(door: SystemDoor, tenantId: Uuid): Promise<Log | undefined> {
  const [row] = await door.system(logOf(tenantId));
  return row === undefined ? undefined : logFromRow(row);
}

export interface TileStore {
  readerFor(log: LogKey): TileReader;
}

/** Where the hashes of one tree are stored. */
export interface TileStatements {
  /** Tells the tree from others in a cache. */
  readonly name: string;
  full(tile: { level: number; n: number }): Statement<{ data: Buffer }>;
  leaves(range: { from: number; to: number }): Statement<{ hash: Buffer }>;
  /** Roots of full tiles at `level`: the hashes of the (partial) tile one level up. */
  roots(range: { level: number; from: number; to: number }): Statement<{ hash: Buffer }>;
}

/** Tiles from the database: full ones as stored, partial ones from the leaf hashes or from the roots one level below. */
export function createTileReaders(door: SystemDoor): (tree: TileStatements) => TileReader {
  const cache = new Map<string, Uint8Array>();
  const remember = (key: string, data: Uint8Array): Uint8Array => {
    cache.set(key, data);
    if (cache.size > TILES_CACHED_MAX) cache.delete(cache.keys().next().value!);
    return data;
  };
  return (tree) => async (tile) => {
    const key = `${tree.name}/${tile.level}/${tile.n}`;
    const known = cache.get(key);
    if (known !== undefined) return known;
    if (tile.width === TILE_WIDTH) {
      const [row] = await door.system(tree.full(tile));
      if (row !== undefined) return remember(key, row.data);
    }
    const range = { from: tile.n * TILE_WIDTH, to: tile.n * TILE_WIDTH + tile.width };
    const rows = await door.system(
      tile.level === 0 ? tree.leaves(range) : tree.roots({ level: tile.level - 1, ...range }),
    );
    return Buffer.concat(rows.map((row) => row.hash));
  };
}

/** Tiles of the logs of tenants. */
export function createTileStore(door: SystemDoor): TileStore {
  const readers = createTileReaders(door);
  return {
    readerFor: (log) =>
      readers({
        name: `${log.tenantId}/${log.generation}`,
        full: (tile) => fullTile(log, tile),
        leaves: (range) => leafHashes(log, range),
        roots: (range) => tileRoots(log, range),
      }),
  };
}

/**
 * The growing edge of a log, rebuilt from what is stored and checked against the head: a table that was edited below
 * the tree is noticed before anything is appended to it. Throws `audit_head_corrupt`.
 */
export async function loadEdge(log: Checkpoint, tiles: TileReader): Promise<Edge> {
  const partial: Uint8Array[][] = [];
  for (let level = 0; TILE_WIDTH ** level <= log.size; level += 1) {
    const width = partialWidth(log.size, level);
    const n = Math.floor(log.size / TILE_WIDTH ** (level + 1));
    partial[level] = width === 0 ? [] : tileHashes(await tiles({ level, n, width }), width);
  }
  const edge = { size: log.size, partial };
  if (!equalBytes(edgeRoot(edge), log.root)) {
    throw new AppError<AuditCode>('audit_head_corrupt', `the stored hashes of ${log.origin} do not give its root`);
  }
  return edge;
}
