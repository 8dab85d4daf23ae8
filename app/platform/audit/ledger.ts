import { AppError, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import { consistencyProof, inclusionProof, parseTilePath, toBase64, TILE_WIDTH } from '@auditrax/tlog';
import { bindRoutes, type RoomRoutes } from '../http/handler.ts';
import { createCellLoop, type CellLoop, type CellLoopDeps } from './cell-loop.ts';
import { createPlacements, HOME_CELL, type CellDoor } from './cells.ts';
import type { AuditCode } from './errors.ts';
import { ledgerRoutes, RECEIPT_WAIT_MS_MAX } from './ledger-contract.ts';
import { latestCheckpoint, logOrigins } from './ledger-queries.ts';
import { createTileStore, findLog, type Log, type TileStore } from './log-store.ts';
import { createReceipts, storedReceipt, type Receipt } from './receipts.ts';
import { createSequencer } from './sequencer.ts';
import type { SignerClient } from './signer-client.ts';

export interface LedgerDeps {
  readonly home: SystemDoor;
  readonly signer: SignerClient;
  /** New logs get `<originPrefix><random>/<generation>`. Ends in a slash. */
  readonly originPrefix: string;
  readonly random?: Random;
  readonly onTrouble: CellLoopDeps['onTrouble'];
}

export interface Ledger {
  /** Resolves when a signed checkpoint covers the entry. Throws `audit_receipt_timeout`. */
  receipt(input: { tenantId: Uuid; entryId: Uuid; waitMs?: number }): Promise<Receipt>;
  /** What keeps a cell's log from running; undefined when it runs. A cell that is not open counts as trouble. */
  trouble(cell: string): string | undefined;
  /** Compares home with the signer and begins to sequence. Rejects with `audit_log_behind_signer` and stays stopped. */
  start(): Promise<void>;
  /**
   * Sequences one more cell from now on. One that is away, or that was restored, has trouble of its own and holds up
   * nobody else; a cell that is open already is left alone.
   */
  open(cell: CellDoor): void;
  /** Ends a cell's sequencer; resolves when its batch in hand is finished. */
  close(cell: string): Promise<void>;
  /** Cells that are open, home first. */
  cells(): readonly string[];
  /** Verifier keys of every log in every cell that answers. */
  verifierKeys(): Promise<string[]>;
  /** Finishes the batches in hand. */
  stop(): Promise<void>;
  readonly routes: RoomRoutes;
}

interface OpenCell {
  readonly door: SystemDoor;
  readonly tiles: TileStore;
  readonly loop: CellLoop;
}

/** A tenant's log and the cell it was found in. */
interface Found extends Pick<OpenCell, 'door' | 'tiles'> {
  readonly log: Log;
}

/** The ledger process: one sequencer loop per cell, receipts, proofs. */
export function createLedger(deps: LedgerDeps): Ledger {
  const { home, signer } = deps;
  const placements = createPlacements(home);
  const receipts = createReceipts();
  const cells = new Map<string, OpenCell>();

  const make = ({ cell, door }: CellDoor): OpenCell => {
    const tiles = createTileStore(door);
    const scope = () => placements.scopeOf(cell);
    const sequencer = createSequencer({ ...deps, door, tiles, scope });
    const opened = {
      door,
      tiles,
      loop: createCellLoop({ cell, sequencer, publish: receipts.publish, onTrouble: deps.onTrouble }),
    };
    cells.set(cell, opened);
    return opened;
  };
  make({ cell: HOME_CELL, door: home });

  /** The cell that the placement names. Throws `audit_log_down` when this process has no door into it. */
  const cellOf = async (tenantId: Uuid, age_ms_max?: number): Promise<OpenCell> => {
    const cell = await placements.cellOf(tenantId, age_ms_max);
    const opened = cells.get(cell);
    if (opened === undefined) throw new AppError<AuditCode>('audit_log_down', `the cell ${cell} is not open`);
    return opened;
  };
  const find = async (tenantId: Uuid): Promise<Found> => {
    // What is known may be a second old: a log that is not there has perhaps moved on just now.
    for (const age_ms_max of [undefined, 0]) {
      const { door, tiles } = await cellOf(tenantId, age_ms_max);
      const log = await findLog(door, tenantId);
      if (log !== undefined) return { door, tiles, log };
    }
    throw new AppError<AuditCode>('audit_entry_unknown', 'this tenant has no log yet');
  };

  const receipt: Ledger['receipt'] = async ({ tenantId, entryId, waitMs = RECEIPT_WAIT_MS_MAX }) => {
    const known = receipts.known(tenantId, entryId);
    if (known !== undefined) return known;
    const arriving = receipts.next(tenantId, entryId, waitMs);
    const stored = async (age_ms_max?: number): Promise<Receipt | undefined> => {
      const { door, loop } = await cellOf(tenantId, age_ms_max);
      loop.wake();
      return storedReceipt(door, tenantId, entryId);
    };
    const found = (await Promise.race([arriving, stored().then((one) => one ?? arriving)])) ?? (await stored(0));
    if (found !== undefined) return found;
    throw new AppError<AuditCode>('audit_receipt_timeout', `no signed checkpoint covers the entry after ${waitMs} ms`);
  };

  return {
    receipt,
    trouble: (cell) => (cells.has(cell) ? cells.get(cell)!.loop.trouble() : 'not open'),
    start: () => cells.get(HOME_CELL)!.loop.start(),
    open: (cell) => {
      if (!cells.has(cell.cell)) make(cell).loop.keepStarting();
    },
    close: async (cell) => {
      const opened = cells.get(cell);
      if (cell !== HOME_CELL) cells.delete(cell);
      await opened?.loop.stop();
    },
    cells: () => [...cells.keys()],
    verifierKeys: async () => (await Promise.all([...cells.values()].map((one) => keysOf(one.door, signer)))).flat(),
    stop: async () => {
      await Promise.all([...cells.values()].map(({ loop }) => loop.stop()));
    },
    routes: ledgerServiceRoutes({ find, signer, receipt }),
  };
}

/** A cell that is away keeps its keys to itself; the others are told all the same. */
async function keysOf(door: SystemDoor, signer: SignerClient): Promise<string[]> {
  const logs = await door.system(logOrigins()).catch(() => []);
  return Promise.all(logs.map(async ({ origin }) => (await signer.state(origin)).verifierKey));
}

function checkTile(path: string, size: number): { level: number; n: number; width: number } {
  const tile = parseTilePath(path);
  const hashes = tile === undefined ? 0 : Math.floor(size / TILE_WIDTH ** tile.level) - tile.n * TILE_WIDTH;
  if (tile === undefined || hashes < tile.width) {
    throw new AppError<AuditCode>('audit_entry_unknown', 'no such tile');
  }
  return tile;
}

interface RouteDeps {
  readonly find: (tenantId: Uuid) => Promise<Found>;
  readonly signer: SignerClient;
  readonly receipt: Ledger['receipt'];
}

function ledgerServiceRoutes({ find, signer, receipt }: RouteDeps): RoomRoutes {
  const uuid = (text: string): Uuid => text as Uuid; // the schema has checked its form
  const tooLong = () => new AppError<AuditCode>('audit_entry_unknown', 'the log is not that long');
  return bindRoutes(ledgerRoutes, {
    receipt: async ({ body }) => {
      const { tenantId, entryId, waitMs } = body;
      const wait = waitMs === undefined ? {} : { waitMs };
      return {
        status: 200 as const,
        body: await receipt({ tenantId: uuid(tenantId), entryId: uuid(entryId), ...wait }),
      };
    },
    checkpoint: async ({ body }) => {
      const { door, log } = await find(uuid(body.tenantId));
      const [row] = await door.system(latestCheckpoint(log));
      if (row === undefined) throw new AppError<AuditCode>('audit_entry_unknown', 'this log has no checkpoint yet');
      const { verifierKey } = await signer.state(log.origin);
      const { note } = row;
      const body200 = { origin: log.origin, size: Number(row.size), root: toBase64(row.root), note, verifierKey };
      return { status: 200 as const, body: body200 };
    },
    proofs: async ({ body }) => {
      const { tiles, log } = await find(uuid(body.tenantId));
      if (body.size > log.size || body.indexes.some((index) => index >= body.size)) throw tooLong();
      const reader = tiles.readerFor(log);
      const proofs: string[][] = [];
      for (const index of body.indexes)
        proofs.push((await inclusionProof({ index, size: body.size }, reader)).map(toBase64));
      return { status: 200 as const, body: { proofs } };
    },
    consistency: async ({ body }) => {
      const { tiles, log } = await find(uuid(body.tenantId));
      if (body.from > body.to || body.to > log.size) throw tooLong();
      const proof = await consistencyProof({ from: body.from, to: body.to }, tiles.readerFor(log));
      return { status: 200 as const, body: { proof: proof.map(toBase64) } };
    },
    tile: async ({ body }) => {
      const { tiles, log } = await find(uuid(body.tenantId));
      const tile = checkTile(body.path, log.size);
      const data = await tiles.readerFor(log)(tile);
      return { status: 200 as const, body: { data: toBase64(data.subarray(0, tile.width * 32)) } };
    },
  });
}
