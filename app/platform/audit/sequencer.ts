import { AppError, systemRandom, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor, SystemTransaction } from '@auditrax/tenancy';
import { EMPTY_EDGE, appendLeaves, edgeRoot, emptyRoot, type Edge, type FullTile } from '@auditrax/tlog';
import type { AuditCode } from './errors.ts';
import * as queries from './ledger-queries.ts';
import { assertNotBehind, signHead } from './head-signing.ts';
import { createTileStore, loadEdge, logFromRow, type Log, type TileStore } from './log-store.ts';
import type { HeadSigner } from './signer-client.ts';

/** Entries moved in one transaction: where the fixed cost of a batch no longer matters. */
export const BATCH_ENTRIES_MAX = 1024;

const HASH_BYTES = 32;

export interface SequencedEntry {
  readonly tenantId: Uuid;
  readonly entryId: Uuid;
  readonly index: number;
  /** Size of the signed checkpoint that covers it. */
  readonly size: number;
}

export interface SequencerDeps {
  readonly door: SystemDoor;
  readonly signer: HeadSigner;
  /** New logs get `<originPrefix><random>/<generation>`. Ends in a slash. */
  readonly originPrefix: string;
  readonly random?: Random;
  readonly tiles?: TileStore;
  /** Whose logs this cell grows; asked before every batch. Default: every tenant's. */
  readonly scope?: () => Promise<queries.CellScope>;
}

export interface Sequencer {
  /**
   * Compares every log with what the signer last signed and has the difference signed. Throws `audit_log_behind_signer`
   * when the database knows less, or other, than was signed: then nothing may be appended.
   */
  recover(): Promise<void>;
  /** One group commit: claim, append, commit, sign, publish. Returns what is now covered by a signed checkpoint. */
  sequenceBatch(): Promise<readonly SequencedEntry[]>;
  /** Heartbeat without work. */
  beat(): Promise<void>;
  /** True when something waits in the queue. */
  waiting(): Promise<boolean>;
}

interface OpenLog {
  log: Log;
  edge: Edge;
  /** Size the signer last signed. */
  signed: number;
  readonly opening?: Uint8Array | undefined;
}

interface Growth {
  readonly open: OpenLog;
  readonly edge: Edge;
  readonly root: Uint8Array;
  readonly full: readonly FullTile[];
  readonly pending: queries.PendingEntries;
}

/** What the sequencer keeps between batches; all of it can be read again from the database and the signer. */
interface Working {
  readonly deps: SequencerDeps;
  readonly tiles: TileStore;
  readonly logs: Map<Uuid, OpenLog>;
  /** Committed, but not yet covered by a published checkpoint. */
  readonly unsigned: Map<Uuid, SequencedEntry[]>;
}

/** Makes the one sequencer of a cell. Its methods must not run at the same time (the ledger's loop sees to that). */
export function createSequencer(deps: SequencerDeps): Sequencer {
  const { door } = deps;
  const working: Working = { deps, tiles: deps.tiles ?? createTileStore(door), logs: new Map(), unsigned: new Map() };
  return {
    recover: () => recover(working),
    sequenceBatch: async () => {
      // What is committed is signed first: an unsigned backlog must not grow while the signer is away.
      if (working.unsigned.size === 0) {
        try {
          const scope = await scopeOf(deps);
          adopt(working, await door.transaction((tx) => grow(working, { tx, scope })));
        } catch (error) {
          working.logs.clear(); // whether the commit happened is unknown: read everything again
          throw error;
        }
      }
      return publishAll(working);
    },
    beat: async () => {
      await door.system(queries.beat);
    },
    waiting: async () => (await door.system(queries.anyPending(await scopeOf(deps))))[0]?.waiting === true,
  };
}

function scopeOf({ scope }: SequencerDeps): Promise<queries.CellScope> {
  return scope === undefined ? Promise.resolve(queries.EVERY_TENANT) : scope();
}

async function recover(working: Working): Promise<void> {
  const { door, signer } = working.deps;
  working.logs.clear();
  working.unsigned.clear();
  for (const row of await door.system(queries.allLogs(await scopeOf(working.deps)))) {
    const log = logFromRow(row);
    const signed = await signer.state(log.origin);
    assertNotBehind(log, signed);
    if (log.size === 0) continue;
    const edge = await loadEdge(log, working.tiles.readerFor(log));
    const open = { log, edge, signed: signed.size, opening: await openingOf(door, log, signed.size) };
    // Equal sizes are signed again: a crash may have come between the signature and its publication.
    await publish(working, open);
    working.logs.set(log.tenantId, open);
  }
}

async function openLog(working: Working, tx: SystemTransaction, tenantId: Uuid): Promise<OpenLog> {
  const known = working.logs.get(tenantId);
  if (known !== undefined) return known;
  const { originPrefix, random = systemRandom, signer, door } = working.deps;
  const [row] = await tx.query(queries.logOf(tenantId));
  if (row === undefined) return createLog(tx, { tenantId, originPrefix, random });
  const log = logFromRow(row);
  const [signed, edge] = await Promise.all([signer.state(log.origin), loadEdge(log, working.tiles.readerFor(log))]);
  assertNotBehind(log, signed);
  return { log, edge, signed: signed.size, opening: await openingOf(door, log, signed.size) };
}

/** The signer reads entry 0 of a later generation before it signs any of it. */
async function openingOf(door: SystemDoor, log: Log, signed: number): Promise<Uint8Array | undefined> {
  if (signed > 0 || log.generation === 1) return undefined;
  return (await door.system(queries.logOpening(log)))[0]?.leaf ?? undefined;
}

async function grow(
  working: Working,
  { tx, scope }: { tx: SystemTransaction; scope: queries.CellScope },
): Promise<Growth[]> {
  await tx.query(queries.lockSequencer);
  const claimed = await tx.query(queries.claimPending(BATCH_ENTRIES_MAX, scope));
  await tx.query(queries.beat);
  if (claimed.length === 0) return [];
  const growths: Growth[] = [];
  for (const pending of claimed) growths.push(append(await openLog(working, tx, pending.tenant_id), pending));
  await store(tx, growths);
  return growths;
}

/** The commit is durable: what was computed becomes what is remembered. */
function adopt(working: Working, growths: readonly Growth[]): void {
  for (const { open, edge, root, pending } of growths) {
    const { tenantId } = open.log;
    const size = edge.size;
    const ids = pending.entry_ids.split(',') as Uuid[];
    const added = ids.map((entryId, at) => ({ tenantId, entryId, index: open.log.size + at, size }));
    open.log = { ...open.log, size, root };
    open.edge = edge;
    working.logs.set(tenantId, open);
    working.unsigned.set(tenantId, [...(working.unsigned.get(tenantId) ?? []), ...added]);
  }
}

async function publish(working: Working, open: OpenLog): Promise<void> {
  const note = await signHead(working.deps.signer, open, working.tiles.readerFor(open.log));
  await working.deps.door.system(queries.insertCheckpoint({ ...open.log, note }));
  open.signed = open.log.size;
}

/** Signs and publishes every log that grew; what fails stays unsigned and is tried again by the next batch. */
async function publishAll(working: Working): Promise<SequencedEntry[]> {
  const done: SequencedEntry[] = [];
  for (const [tenantId, added] of working.unsigned) {
    try {
      await publish(working, working.logs.get(tenantId)!);
    } catch (error) {
      if (done.length === 0) throw error;
      break; // those who are done get their receipts now; the next batch meets this log first
    }
    working.unsigned.delete(tenantId);
    done.push(...added);
  }
  return done;
}

async function createLog(
  tx: SystemTransaction,
  { tenantId, originPrefix, random }: { tenantId: Uuid; originPrefix: string; random: Random },
): Promise<OpenLog> {
  const generation = 1;
  // Opaque: whoever sees a checkpoint learns nothing about the tenant's name.
  const origin = `${originPrefix}${Buffer.from(random.bytes(16)).toString('hex')}/${generation}`;
  const root = emptyRoot();
  await tx.query(queries.insertLog({ tenantId, generation, origin }));
  await tx.query(queries.insertHead({ tenantId, generation, root }));
  return { log: { tenantId, generation, origin, size: 0, root }, edge: EMPTY_EDGE, signed: 0 };
}

function append(open: OpenLog, pending: queries.PendingEntries): Growth {
  const { leaf_hashes } = pending;
  const { edge, full } = appendLeaves(
    open.edge,
    Array.from({ length: leaf_hashes.length / HASH_BYTES }, (_, at) =>
      leaf_hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
    ),
  );
  return { open, edge, root: edgeRoot(edge), full, pending };
}

async function store(tx: SystemTransaction, growths: readonly Growth[]): Promise<void> {
  const rows = growths.map(({ open, edge, pending }) => ({
    ...open.log,
    first: open.log.size,
    count: edge.size - open.log.size,
    pending,
  }));
  await tx.query(queries.insertIndexRows(rows));
  for (const { open, full } of growths) {
    for (const tile of full)
      await tx.query(queries.insertTile({ ...tile, tenantId: open.log.tenantId, generation: open.log.generation }));
  }
  const moves = growths.map(({ open, edge, root }) => ({
    ...open.log,
    oldSize: open.log.size,
    newSize: edge.size,
    root,
  }));
  const moved = await tx.query(queries.moveHeads(moves));
  if (moved.length !== moves.length)
    throw new AppError<AuditCode>('audit_head_moved', 'another sequencer moved a head');
}
