import { AppError, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor, SystemTransaction } from '@auditrax/tenancy';
import {
  appendLeaves,
  buildSlotTree,
  edgeRoot,
  emptyRoot,
  EPOCH_KEY_BYTES,
  formatEpochLeaf,
  leafHash,
  toBase64,
  type Checkpoint,
  type Edge,
  type TileReader,
} from '@auditrax/tlog';
import type { CellDoor } from './cells.ts';
import type { AuditCode } from './errors.ts';
import { assertNotBehind, signHead } from './head-signing.ts';
import type { CellScope } from './ledger-queries.ts';
import { createTileReaders, loadEdge, type TileStatements } from './log-store.ts';
import type { HeadSigner } from './signer-client.ts';
import * as queries from './super-queries.ts';

/** How often the super-log grows. */
export const EPOCH_MS = 60_000;
/** A cell that has not told its checkpoints by then keeps those it told last. */
const COLLECT_MS_MAX = 5_000;

export interface SuperLogDeps {
  readonly home: SystemDoor;
  /** Every cell that is open, home first. */
  readonly cells: () => readonly CellDoor[];
  readonly scopeOf: (cell: string) => Promise<CellScope>;
  readonly signer: HeadSigner;
  /** As with the logs of tenants; the super-log is `<originPrefix>super/<generation>`. */
  readonly originPrefix: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly collect_ms_max?: number;
}

/** The super-log as it was last signed. */
export interface SuperHead extends Checkpoint {
  readonly generation: number;
  readonly note: string;
}

export interface SuperStatus {
  readonly origin: string;
  readonly size: number;
  /** Undefined before the first epoch. */
  readonly lastEpoch_ms: number | undefined;
  /** Cells whose newest checkpoints could not be collected, and since when. */
  readonly away: readonly { readonly cell: string; readonly since_ms: number }[];
}

/** The log over the logs. Its methods must not run at the same time (its loop sees to that). */
export interface SuperLog {
  /** One epoch: collect, append, commit, sign, publish. Throws `audit_log_behind_signer` when home was restored. */
  runEpoch(): Promise<SuperHead>;
  /** An entry that is no epoch, by the same steps. Its place. */
  appendEntry(leaf: string): Promise<number>;
  status(): SuperStatus;
  /** Undefined before the first epoch. */
  head(): SuperHead | undefined;
  tilesOf(generation: number): TileReader;
  /** Forgets what it knows: the next epoch reads everything again, as after a new generation was opened. */
  reset(): void;
}

interface Open {
  readonly generation: number;
  log: Checkpoint;
  edge: Edge;
  signed: number;
  readonly opening: Uint8Array | undefined;
  epoch: number;
  readonly slots: Map<Uuid, number>;
  readonly states: Map<number, queries.SlotState>;
}

/** Origin of a generation of the super-log. */
export function superOrigin(originPrefix: string, generation: number): string {
  return `${originPrefix}super/${generation}`;
}

function treeOf(generation: number): TileStatements {
  return {
    name: `super/${generation}`,
    full: (tile) => queries.superTile(generation, tile),
    leaves: (range) => queries.superLeaves(generation, range),
    roots: (range) => queries.superRoots(generation, range),
  };
}

export function createSuperLog(deps: SuperLogDeps): SuperLog {
  const readers = createTileReaders(deps.home);
  const tilesOf = (generation: number): TileReader => readers(treeOf(generation));
  const away = new Map<string, number>();
  let open: Open | undefined;
  let head: SuperHead | undefined;
  let lastEpoch_ms: number | undefined;

  const publish = async (state: Open): Promise<void> => {
    const note = await signHead(deps.signer, state, tilesOf(state.generation));
    await deps.home.system(queries.insertSuperCheckpoint({ generation: state.generation, size: state.log.size, note }));
    state.signed = state.log.size;
    head = { ...state.log, generation: state.generation, note };
  };
  const begin = async (): Promise<Open> => {
    const state = await load(deps, tilesOf);
    // Equal sizes are signed again: a crash may have come between the signature and its publication.
    if (state.log.size > 0) await publish(state);
    return state;
  };

  const grow = async (step: (tx: SystemTransaction, state: Open) => Promise<Open>): Promise<void> => {
    open ??= await begin();
    const state = open;
    if (state.signed < state.log.size) await publish(state); // nothing is put on top of what is not signed
    try {
      open = await deps.home.transaction((tx) => step(tx, state));
    } catch (error) {
      open = undefined; // whether the commit happened is unknown: read everything again
      throw error;
    }
    await publish(open);
  };

  return {
    tilesOf,
    reset: () => {
      open = undefined;
    },
    head: () => head,
    status: () => ({
      origin: open?.log.origin ?? superOrigin(deps.originPrefix, 1),
      size: open?.log.size ?? 0,
      lastEpoch_ms,
      away: [...away].map(([cell, since_ms]) => ({ cell, since_ms })),
    }),
    appendEntry: async (leaf) => {
      await grow((tx, state) => {
        return appendLeaf(tx, { state, leaf, epoch: state.epoch + 1, slotKey: deps.random.bytes(EPOCH_KEY_BYTES) });
      });
      return head!.size - 1;
    },
    runEpoch: async () => {
      const found = await collect(deps, away);
      const time = deps.clock.nowMs();
      await grow((tx, state) => append(tx, { state, found, time, random: deps.random }));
      lastEpoch_ms = time;
      return head!;
    },
  };
}

async function load(deps: SuperLogDeps, tilesOf: (generation: number) => TileReader): Promise<Open> {
  const { home, signer, originPrefix } = deps;
  let [row] = await home.system(queries.newestSuperLog);
  if (row === undefined) {
    const first = { generation: 1, origin: superOrigin(originPrefix, 1), root: emptyRoot() };
    await home.system(queries.insertSuperLog(first));
    row = { ...first, size: '0' };
  }
  const log = { origin: row.origin, size: Number(row.size), root: row.root };
  const signed = await signer.state(log.origin);
  assertNotBehind(log, signed);
  const [newest] = await home.system(queries.newestEpoch);
  const epoch = newest === undefined ? -1 : Number(newest.epoch);
  const slots = new Map<Uuid, number>();
  const states = new Map<number, queries.SlotState>();
  for (const known of await home.system(queries.slotsAt(epoch))) {
    const slot = Number(known.slot);
    slots.set(known.log_owner, slot);
    if (known.note !== null)
      states.set(slot, { slot, origin: known.origin!, size: Number(known.size), note: known.note });
  }
  const edge = await loadEdge(log, tilesOf(row.generation));
  const { generation } = row;
  const opening = signed.size === 0 && generation > 1 ? await openingOf(home, generation) : undefined;
  return { generation, log, edge, signed: signed.size, opening, epoch, slots, states };
}

/** The signer reads entry 0 of a later generation before it signs any of it. */
async function openingOf(home: SystemDoor, generation: number): Promise<Uint8Array | undefined> {
  const [row] = await home.system(queries.firstSuperLeaf(generation));
  return row === undefined ? undefined : Buffer.from(row.leaf, 'utf8');
}

/** Newest checkpoints of the logs in every cell that answers. One that does not is told about by `away`. */
async function collect(deps: SuperLogDeps, away: Map<string, number>): Promise<queries.NewestCheckpoint[]> {
  const cells = deps.cells();
  const read = async ({ cell, door }: CellDoor): Promise<queries.NewestCheckpoint[]> => {
    try {
      const asked = deps.scopeOf(cell).then((scope) => door.system(queries.newestCheckpoints(scope)));
      const rows = await within(asked, deps.collect_ms_max ?? COLLECT_MS_MAX);
      away.delete(cell);
      return rows;
    } catch {
      if (!away.has(cell)) away.set(cell, deps.clock.nowMs());
      return [];
    }
  };
  for (const cell of away.keys()) if (cells.every((one) => one.cell !== cell)) away.delete(cell);
  return (await Promise.all(cells.map(read))).flat();
}

async function within<T>(work: Promise<T>, wait_ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), wait_ms);
  });
  work.catch(() => undefined); // it may fail after nobody waits for it any more
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A cell that was put back from a backup knows less than its slot says: then the slot stays as it is. */
function isNews(found: queries.NewestCheckpoint, known: queries.SlotState | undefined): boolean {
  if (known === undefined) return true;
  if (known.origin === found.origin) return Number(found.size) > known.size;
  return found.generation > Number(known.origin.split('/').at(-1));
}

interface EpochInput {
  readonly state: Open;
  readonly found: readonly queries.NewestCheckpoint[];
  readonly time: number;
  readonly random: Random;
}

async function append(tx: SystemTransaction, { state, found, time, random }: EpochInput): Promise<Open> {
  await tx.query(queries.lockSuperLog);
  const slots = new Map(state.slots);
  const newcomers = found.map(({ tenant_id }) => tenant_id).filter((owner) => !slots.has(owner));
  if (newcomers.length > 0) {
    for (const row of await tx.query(queries.giveSlots(newcomers))) slots.set(row.log_owner, Number(row.slot));
  }
  const states = new Map(state.states);
  const changed = found.flatMap((one) => {
    const slot = slots.get(one.tenant_id)!;
    return isNews(one, states.get(slot))
      ? [{ slot, origin: one.origin, size: Number(one.size), note: one.note } satisfies queries.SlotState]
      : [];
  });
  for (const one of changed) states.set(one.slot, one);
  const epoch = state.epoch + 1;
  const slotKey = random.bytes(EPOCH_KEY_BYTES);
  const tree = await buildSlotTree(slotKey, textsOf(states.values()));
  const leaf = formatEpochLeaf({ epoch, root: toBase64(tree.root), slots: tree.slots, time });
  if (changed.length > 0) await tx.query(queries.insertSlotStates(epoch, changed));
  return { ...(await appendLeaf(tx, { state, leaf, epoch, slotKey })), slots, states };
}

interface LeafInput {
  readonly state: Open;
  readonly leaf: string;
  /** Entries that are no epochs take a number too: places and numbers stay in one order. */
  readonly epoch: number;
  readonly slotKey: Uint8Array;
}

async function appendLeaf(tx: SystemTransaction, { state, leaf, epoch, slotKey }: LeafInput): Promise<Open> {
  await tx.query(queries.lockSuperLog);
  const hash = leafHash(Buffer.from(leaf, 'utf8'));
  const { edge, full } = appendLeaves(state.edge, [hash]);
  const { generation } = state;
  await tx.query(queries.insertEpoch({ epoch, generation, index: state.log.size, leaf, leafHash: hash, slotKey }));
  for (const tile of full) await tx.query(queries.insertSuperTile(generation, tile));
  const root = edgeRoot(edge);
  const move = { generation, oldSize: state.log.size, newSize: edge.size, root };
  if ((await tx.query(queries.moveSuperHead(move))).length !== 1)
    throw new AppError<AuditCode>('audit_head_moved', 'another process moved the super-log');
  return { ...state, log: { ...state.log, size: edge.size, root }, edge, epoch };
}

/** Texts of signed notes by slot, as the slot tree commits to them. */
export function textsOf(states: Iterable<{ slot: number; note: string }>): Map<number, string> {
  // Our own signer made the notes: what stands before the blank line is the text.
  return new Map(Iterator.from(states).map(({ slot, note }) => [slot, note.slice(0, note.lastIndexOf('\n\n') + 1)]));
}
