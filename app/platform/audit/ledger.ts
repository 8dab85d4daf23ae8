import { AppError, systemClock, systemRandom, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import {
  consistencyProof,
  inclusionProof,
  parseNote,
  parseTilePath,
  toBase64,
  TILE_WIDTH,
  type EpochEvidence,
} from '@auditrax/tlog';
import { bindRoutes, type RoomRoutes } from '../http/handler.ts';
import { createCellLoop, type CellLoop, type CellLoopDeps } from './cell-loop.ts';
import { createPlacements, HOME_CELL, type CellDoor, type Placements } from './cells.ts';
import type { AuditCode } from './errors.ts';
import {
  changeKeys,
  changeSuperKey,
  checkOverlap,
  finishKeyChanges,
  finishSuperKeyChange,
  logKeyChanges,
  superKeyChanges,
  type KeyChangeDeps,
  type KeyChanged,
  type KeyChangeProof,
} from './key-changes.ts';
import { ledgerRoutes, RECEIPT_WAIT_MS_MAX } from './ledger-contract.ts';
import {
  checkReason,
  openGenerations,
  openSuperGeneration,
  type GenerationDeps,
  type OpenedGeneration,
} from './generations.ts';
import { allKeysOf, isKeyChanging, type LogKeyEntry } from './ledger-keys.ts';
import { allLogs, latestCheckpoint } from './ledger-queries.ts';
import { createTileStore, findLog, type Log, type TileStore } from './log-store.ts';
import { createReceipts, storedReceipt, type Receipt, type Receipts } from './receipts.ts';
import { createSequencer } from './sequencer.ts';
import type { SignerState } from './signer.ts';
import type { SignerClient } from './signer-client.ts';
import { createSuperEvidence } from './super-evidence.ts';
import { createSuperLog, EPOCH_MS, type SuperLog, type SuperLogDeps } from './super-log.ts';
import { createWitnessing, type Witnessing, type WitnessingDeps } from './witnessing.ts';
import { startSuperLoop, type SuperLoop } from './super-loop.ts';

export interface LedgerDeps {
  readonly home: SystemDoor;
  readonly signer: SignerClient;
  /** New logs get `<originPrefix><random>/<generation>`. Ends in a slash. */
  readonly originPrefix: string;
  readonly random?: Random;
  readonly clock?: Clock;
  /** Outside witnesses and the timestamping authority. Default: none. */
  readonly outside?: Pick<WitnessingDeps, 'policy' | 'authority' | 'unwitnessed_ms_max'>;
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
  /** Begins to grow the super-log, an epoch every `epoch_ms` (default: a minute). Its troubles are told as cell `super`. */
  startEpochs(epoch_ms?: number): void;
  /** What keeps the super-log from growing; undefined when it grows. */
  superTrouble(): string | undefined;
  readonly superLog: SuperLog;
  readonly witnessing: Witnessing;
  /** Keys of every generation of every log in every cell that answers, those of the super-log first. */
  verifierKeys(): Promise<LogKeyEntry[]>;
  /**
   * Goes on with a new generation, whose first entry states what is lost. Without `tenantId`: every log, the super-log
   * too, whose database knows less, or other, than was signed. With it: that tenant's log in any case, as after a
   * compromise. The cells concerned stand still meanwhile. Throws `audit_input_invalid` for a reason that is none.
   */
  newGeneration(order: GenerationOrder): Promise<GenerationsOpened>;
  /**
   * Changes the key of every log: an entry in each, the super-log's first, and both keys sign during the overlap. What was
   * cut off is finished first, instead of another change. Throws `audit_input_invalid`.
   */
  changeKey(order: KeyOrder): Promise<KeysChanged>;
  /** Finishes the batches in hand. */
  stop(): Promise<void>;
  readonly routes: RoomRoutes;
}

export interface GenerationOrder {
  readonly reason: string;
  readonly tenantId?: Uuid | undefined;
  /** After a compromise: every log, with a key that nobody has seen. Not together with `tenantId`. */
  readonly isNewKey?: boolean | undefined;
}

export interface KeyOrder {
  readonly reason: string;
  /** Entries that both keys sign; default `OVERLAP_ENTRIES`. */
  readonly overlap?: number | undefined;
}

export interface KeysChanged {
  readonly changed: readonly KeyChanged[];
  /** An earlier change was finished; no further key was made. */
  readonly isResumed: boolean;
  readonly troubles: readonly { readonly cell: string; readonly why: string }[];
}

export interface GenerationsOpened {
  readonly opened: readonly OpenedGeneration[];
  /** Cells that could not be looked at, or that still do not run, and why. */
  readonly troubles: readonly { readonly cell: string; readonly why: string }[];
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
  const superLog = superLogOver(deps, { scopeOf: placements.scopeOf, cells: () => doorsOf(cells) });
  const epochs = superEpochs(deps, superLog);
  const witnessing = witnessingOver(deps, superLog);

  /** The cell that the placement names. Throws `audit_log_down` when this process has no door into it. */
  const cellOf = async (tenantId: Uuid, age_ms_max?: number): Promise<OpenCell> => {
    const cell = await placements.cellOf(tenantId, age_ms_max);
    const opened = cells.get(cell);
    if (opened === undefined) throw new AppError<AuditCode>('audit_log_down', `the cell ${cell} is not open`);
    return opened;
  };
  const receipt = receiptBy(receipts, cellOf);

  return {
    receipt,
    trouble: (cell) => (cells.has(cell) ? cells.get(cell)!.loop.trouble() : 'not open'),
    start: async () => {
      await cells.get(HOME_CELL)!.loop.start();
      // The log runs with either key: what cannot be finished now is told, and the same order finishes it.
      const troubled = (error: unknown) => deps.onTrouble(error, { cell: HOME_CELL, stopped: false });
      await finishKeyChanges(cells.get(HOME_CELL)!, signer).catch(troubled);
    },
    open: (cell) => {
      if (!cells.has(cell.cell)) make(cell).loop.keepStarting();
    },
    close: async (cell) => {
      const opened = cells.get(cell);
      if (cell !== HOME_CELL) cells.delete(cell);
      await opened?.loop.stop();
    },
    cells: () => [...cells.keys()],
    verifierKeys: () => allKeysOf(deps, doorsOf(cells)),
    newGeneration: generationsBy({ deps, cells, placements, epochs }),
    changeKey: keyChangesBy({ deps, cells, placements, epochs, receipt }),
    startEpochs: epochs.start,
    superTrouble: epochs.trouble,
    superLog,
    witnessing,
    stop: async () => {
      await epochs.stop();
      await Promise.all([...cells.values()].map(({ loop }) => loop.stop()));
    },
    routes: ledgerServiceRoutes({
      find: findBy(cellOf),
      signer,
      receipt,
      evidence: createSuperEvidence({ home, superLog }),
      witnessing,
      superChanges: () => superKeyChanges(home, superLog),
    }),
  };
}

type CellOf = (tenantId: Uuid, age_ms_max?: number) => Promise<OpenCell>;

function findBy(cellOf: CellOf): (tenantId: Uuid) => Promise<Found> {
  return async (tenantId) => {
    // What is known may be a second old: a log that is not there has perhaps moved on just now.
    for (const age_ms_max of [undefined, 0]) {
      const { door, tiles } = await cellOf(tenantId, age_ms_max);
      const log = await findLog(door, tenantId);
      if (log !== undefined) return { door, tiles, log };
    }
    throw new AppError<AuditCode>('audit_entry_unknown', 'this tenant has no log yet');
  };
}

function receiptBy(receipts: Receipts, cellOf: CellOf): Ledger['receipt'] {
  return async ({ tenantId, entryId, waitMs = RECEIPT_WAIT_MS_MAX }) => {
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
}

function doorsOf(cells: ReadonlyMap<string, OpenCell>): CellDoor[] {
  return [...cells].map(([cell, { door }]) => ({ cell, door }));
}

function superLogOver(deps: LedgerDeps, over: Pick<SuperLogDeps, 'cells' | 'scopeOf'>): SuperLog {
  const { home, signer, originPrefix, clock = systemClock, random = systemRandom } = deps;
  return createSuperLog({ home, signer, originPrefix, clock, random, ...over });
}

function witnessingOver(deps: LedgerDeps, superLog: SuperLog): Witnessing {
  const { home, clock = systemClock, random = systemRandom, outside } = deps;
  return createWitnessing({
    home,
    superLog,
    clock,
    random,
    ...(outside ?? { policy: undefined, authority: undefined }),
  });
}

interface Told {
  readonly opened: OpenedGeneration[];
  readonly troubles: { cell: string; why: string }[];
}

function generationDeps(
  { signer, clock = systemClock, random = systemRandom }: LedgerDeps,
  { reason, behindOnly }: Pick<GenerationDeps, 'reason' | 'behindOnly'>,
): GenerationDeps {
  return { signer, clock, random, reason: checkReason(reason), behindOnly };
}

interface Reopening {
  readonly deps: LedgerDeps;
  readonly cells: ReadonlyMap<string, OpenCell>;
  readonly placements: Placements;
  readonly epochs: ReturnType<typeof superEpochs>;
}

function generationsBy({ deps, cells, placements, epochs }: Reopening): Ledger['newGeneration'] {
  return async ({ reason, tenantId, isNewKey = false }) => {
    const isOne = tenantId !== undefined;
    if (isOne && isNewKey)
      throw new AppError<AuditCode>('audit_input_invalid', 'one key signs every log: a new one is for all of them');
    const how = generationDeps(deps, { reason, behindOnly: !isOne && !isNewKey });
    const told: Told = { opened: [], troubles: [] };
    if (isNewKey) await deps.signer.makeKey();
    const only = tenantId === undefined ? undefined : await placements.cellOf(tenantId, 0);
    for (const [cell, opened] of cells) {
      if (only !== undefined && only !== cell) continue;
      await reopen({ cell, opened, told }, async () => {
        const scope = tenantId === undefined ? await placements.scopeOf(cell) : { inside: true, tenants: [tenantId] };
        return openGenerations(opened.door, await opened.door.system(allLogs(scope)), how);
      });
    }
    if (tenantId === undefined) await epochs.reopen(told, how);
    else if (told.opened.length === 0 && told.troubles.length === 0)
      throw new AppError<AuditCode>('audit_entry_unknown', 'nothing was signed of a log of this tenant');
    if (isNewKey) await deps.signer.retireKeys();
    return told;
  };
}

/** Stops a cell's sequencer, works, and lets it compare itself with the signer again. */
async function reopen(
  { cell, opened, told }: { cell: string; opened: OpenCell; told: Told },
  work: () => Promise<OpenedGeneration[]>,
): Promise<void> {
  const { loop } = opened;
  await loop.stop();
  try {
    told.opened.push(...(await work()));
    await loop.start();
  } catch (error) {
    told.troubles.push({ cell, why: error instanceof Error ? error.message : String(error) });
    // Home is started again by whoever runs the ledger; another cell may be away just now.
    if (cell !== HOME_CELL) loop.keepStarting();
    else await loop.start().catch(() => undefined);
  }
}

interface Changing extends Reopening {
  readonly receipt: Ledger['receipt'];
}

function keyChangesBy({ deps, cells, placements, epochs, receipt }: Changing): Ledger['changeKey'] {
  const { home, signer, clock = systemClock, random = systemRandom } = deps;
  return async ({ reason, overlap }) => {
    const how: KeyChangeDeps = { signer, clock, random, reason: checkReason(reason), overlap: checkOverlap(overlap) };
    const isResumed = await isKeyChanging(home, doorsOf(cells), signer);
    if (!isResumed) await signer.makeKey();
    const told = { changed: [] as KeyChanged[], troubles: [] as { cell: string; why: string }[] };
    const attempt = async (cell: string, work: () => Promise<readonly KeyChanged[]>): Promise<void> => {
      try {
        told.changed.push(...(await work()));
      } catch (error) {
        told.troubles.push({ cell, why: error instanceof Error ? error.message : String(error) });
      }
    };
    await attempt('super', () => epochs.changeKey(how));
    const placed = async (tenantId: Uuid, entryId: Uuid): Promise<number> =>
      (await receipt({ tenantId, entryId })).index;
    for (const [cell, opened] of cells) {
      await attempt(cell, async () => {
        await finishKeyChanges(opened, signer);
        const logs = await opened.door.system(allLogs(await placements.scopeOf(cell)));
        return changeKeys({ ...opened, placed }, logs, how);
      });
    }
    await signer.retireKeys();
    return { ...told, isResumed };
  };
}

/** The super-log's loop, once it is asked for. */
function superEpochs({ home, signer, clock = systemClock, onTrouble }: LedgerDeps, superLog: SuperLog) {
  let loop: SuperLoop | undefined;
  let every_ms: number | undefined;
  const start = (epoch_ms: number): void => {
    every_ms = epoch_ms;
    loop ??= startSuperLoop({
      superLog,
      clock,
      epoch_ms,
      onTrouble: (error, { stopped }) => onTrouble(error, { cell: 'super', stopped }),
    });
  };
  const stop = async (): Promise<void> => {
    await loop?.stop();
    loop = undefined;
  };
  return {
    start: (epoch_ms = EPOCH_MS): void => start(epoch_ms),
    trouble: () => (loop === undefined ? 'not started' : loop.trouble()),
    stop,
    /** Changes the super-log's key between two epochs. */
    changeKey: async (how: KeyChangeDeps): Promise<KeyChanged[]> => {
      await stop();
      try {
        await finishSuperKeyChange(home, superLog, signer);
        const changed = await changeSuperKey(superLog, how);
        return changed === undefined ? [] : [changed];
      } finally {
        if (every_ms !== undefined) start(every_ms);
      }
    },
    /** Opens a new generation of the super-log where it needs one; its loop goes on if it was going. */
    reopen: async (told: Told, how: GenerationDeps): Promise<void> => {
      await stop();
      superLog.reset();
      try {
        const opened = await openSuperGeneration(home, superLog.tilesOf, how);
        if (opened !== undefined) {
          told.opened.push(opened);
          await superLog.runEpoch(); // signed at once: from now on nothing of the generation before is
        }
      } catch (error) {
        told.troubles.push({ cell: 'super', why: error instanceof Error ? error.message : String(error) });
      }
      if (every_ms !== undefined) start(every_ms);
    },
  };
}

function outsideHandlers(witnessing: Witnessing) {
  return {
    errands: async () => ({ status: 200 as const, body: { errands: await witnessing.errands() } }),
    errandAnswer: async ({ body }: { body: { id: string; status: number; body: string } }) => {
      await witnessing.answered({ ...body, body: Buffer.from(body.body, 'base64') });
      return { status: 200 as const, body: {} };
    },
    witnessing: async () => {
      const status = await witnessing.status();
      return { status: 200 as const, body: { ...status, witnesses: [...status.witnesses] } };
    },
  };
}

function wireEvidence({ proof, slotProof, ...rest }: EpochEvidence) {
  return { ...rest, proof: [...proof], slotProof: [...slotProof] };
}

function checkTile(path: string, size: number): { level: number; n: number; width: number } {
  const tile = parseTilePath(path);
  const hashes = tile === undefined ? 0 : Math.floor(size / TILE_WIDTH ** tile.level) - tile.n * TILE_WIDTH;
  if (tile === undefined || hashes < tile.width) {
    throw new AppError<AuditCode>('audit_entry_unknown', 'no such tile');
  }
  return tile;
}

/** The newest of a log's keys that signed this note: between a handover and the next growth that is still the old one. */
function signedBy(note: string, { verifierKey, terms }: SignerState): string {
  const ids = new Set(parseNote(note)?.signatures.map(({ id }) => id));
  const isOn = (key: string): boolean => ids.has(key.split('+')[1] ?? '');
  return terms.findLast((term) => isOn(term.verifierKey))?.verifierKey ?? verifierKey;
}

interface RouteDeps {
  readonly find: (tenantId: Uuid) => Promise<Found>;
  readonly signer: SignerClient;
  readonly receipt: Ledger['receipt'];
  readonly evidence: ReturnType<typeof createSuperEvidence>;
  readonly witnessing: Witnessing;
  readonly superChanges: () => Promise<KeyChangeProof[]>;
}

function ledgerServiceRoutes({ find, signer, receipt, evidence, witnessing, superChanges }: RouteDeps): RoomRoutes {
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
      const { note } = row;
      const verifierKey = signedBy(note, await signer.state(log.origin));
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
    epochs: async ({ body }) => {
      const tenantId = uuid(body.tenantId);
      const { log } = await find(tenantId);
      if (body.from > body.to || body.to > log.size) throw tooLong();
      const epochs = await evidence.epochs({ tenantId, origin: log.origin, from: body.from, to: body.to });
      return { status: 200 as const, body: { epochs: epochs.map(wireEvidence) } };
    },
    ...outsideHandlers(witnessing),
    keyChanges: async ({ body: { tenantId } }) => {
      const found = tenantId === null ? undefined : await find(uuid(tenantId));
      const changes = found === undefined ? await superChanges() : await logKeyChanges(found, found.log);
      return { status: 200 as const, body: { changes: changes.map((one) => ({ ...one, proof: [...one.proof] })) } };
    },
    tile: async ({ body }) => {
      const { tiles, log } = await find(uuid(body.tenantId));
      const tile = checkTile(body.path, log.size);
      const data = await tiles.readerFor(log)(tile);
      return { status: 200 as const, body: { data: toBase64(data.subarray(0, tile.width * 32)) } };
    },
  });
}
