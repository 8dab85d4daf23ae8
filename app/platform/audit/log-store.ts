import { AppError, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import { TILE_WIDTH, edgeRoot, equalBytes, partialWidth, tileHashes, type Edge, type TileReader } from '@auditrax/tlog';
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

/** Tiles from the database: full ones as stored, partial ones from the leaf hashes or from the roots one level below. */
export function createTileStore(door: SystemDoor): TileStore {
  const cache = new Map<string, Uint8Array>();
  const remember = (key: string, data: Uint8Array): Uint8Array => {
    cache.set(key, data);
    if (cache.size > TILES_CACHED_MAX) cache.delete(cache.keys().next().value!);
    return data;
  };
  const partial = async (
    log: LogKey,
    { level, n, width }: { level: number; n: number; width: number },
  ): Promise<Uint8Array> => {
    const range = { from: n * TILE_WIDTH, to: n * TILE_WIDTH + width };
    const rows = await door.system(
      level === 0 ? leafHashes(log, range) : tileRoots(log, { level: level - 1, ...range }),
    );
    return Buffer.concat(rows.map((row) => row.hash));
  };
  return {
    readerFor: (log) => async (tile) => {
      const key = `${log.tenantId}/${log.generation}/${tile.level}/${tile.n}`;
      const known = cache.get(key);
      if (known !== undefined) return known;
      if (tile.width === TILE_WIDTH) {
        const [row] = await door.system(fullTile(log, tile));
        if (row !== undefined) return remember(key, row.data);
      }
      return partial(log, tile);
    },
  };
}

/**
 * The growing edge of a log, rebuilt from what is stored and checked against the head: a table that was edited below
 * the tree is noticed before anything is appended to it. Throws `audit_head_corrupt`.
 */
export async function loadEdge(log: Log, tiles: TileReader): Promise<Edge> {
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
