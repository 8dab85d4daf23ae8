import { AppError, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import { consistencyProof, inclusionProof, parseTilePath, toBase64, TILE_WIDTH } from '@auditrax/tlog';
import { bindRoutes, type RoomRoutes } from '../http/handler.ts';
import type { AuditCode } from './errors.ts';
import { ledgerRoutes, RECEIPT_WAIT_MS_MAX } from './ledger-contract.ts';
import { indexOfEntry, latestCheckpoint } from './ledger-queries.ts';
import { createTileStore, findLog, type Log, type TileStore } from './log-store.ts';
import type { SequencedEntry, Sequencer } from './sequencer.ts';
import type { SignerClient } from './signer-client.ts';

/** While entries arrive: how long a group commit collects. */
export const TICK_MS = 10;
/** While nothing arrives: how often the queue is looked at. A waiting receipt wakes the sequencer at once. */
const IDLE_POLL_MS = 50;
/** A quarter of the guard's bound, so that one slow beat does not stop the house. */
const BEAT_MS = 500;
/** After a failure: long enough not to spin, short enough to be back within the guard's bound. */
const RETRY_MS = 200;
/** Receipts of entries sequenced before anybody asked. */
const RECENT_MAX = 8192;

export interface Receipt {
  readonly index: number;
  readonly size: number;
}

export interface LedgerDeps {
  readonly door: SystemDoor;
  readonly sequencer: Sequencer;
  readonly signer: SignerClient;
  readonly tiles?: TileStore;
  /** Told about every failure; `stopped` when the log must not continue without a person. */
  onTrouble(error: unknown, stopped: boolean): void;
}

export interface Ledger {
  /** Resolves when a signed checkpoint covers the entry. Throws `audit_receipt_timeout`. */
  receipt(input: { tenantId: Uuid; entryId: Uuid; waitMs?: number }): Promise<Receipt>;
  /** What keeps the log from running, for readiness; undefined when it runs. */
  trouble(): string | undefined;
  /** Compares with the signer and begins to sequence. Rejects with `audit_log_behind_signer` and stays stopped. */
  start(): Promise<void>;
  /** Finishes the batch in hand. */
  stop(): Promise<void>;
  readonly routes: RoomRoutes;
}

interface Loop {
  running: boolean;
  stopped: boolean;
  trouble: string | undefined;
  wake: () => void;
  done: Promise<void>;
}

function pause(milliseconds: number, loop: Loop): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    loop.wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

/** Who waits for which entry, and what became of entries nobody waited for yet. */
function createReceipts() {
  const waiting = new Map<string, ((receipt: Receipt) => void)[]>();
  const recent = new Map<string, Receipt>();
  const keyOf = (tenantId: Uuid, entryId: Uuid): string => `${tenantId}/${entryId}`;
  return {
    publish: (entries: readonly SequencedEntry[]): void => {
      for (const { tenantId, entryId, index, size } of entries) {
        const key = keyOf(tenantId, entryId);
        recent.set(key, { index, size });
        if (recent.size > RECENT_MAX) recent.delete(recent.keys().next().value!);
        for (const resolve of waiting.get(key) ?? []) resolve({ index, size });
        waiting.delete(key);
      }
    },
    known: (tenantId: Uuid, entryId: Uuid): Receipt | undefined => recent.get(keyOf(tenantId, entryId)),
    next: (tenantId: Uuid, entryId: Uuid, waitMs: number): Promise<Receipt | undefined> =>
      new Promise((resolve) => {
        const key = keyOf(tenantId, entryId);
        const timer = setTimeout(() => {
          const others = (waiting.get(key) ?? []).filter((other) => other !== settle);
          if (others.length > 0) waiting.set(key, others);
          else waiting.delete(key);
          resolve(undefined);
        }, waitMs);
        const settle = (receipt: Receipt): void => {
          clearTimeout(timer);
          resolve(receipt);
        };
        waiting.set(key, [...(waiting.get(key) ?? []), settle]);
      }),
  };
}

async function needLog(door: SystemDoor, tenantId: Uuid): Promise<Log> {
  const log = await findLog(door, tenantId);
  if (log === undefined) throw new AppError<AuditCode>('audit_entry_unknown', 'this tenant has no log yet');
  return log;
}

/** Receipt of an entry that was sequenced before this process began to listen. */
async function storedReceipt(door: SystemDoor, tenantId: Uuid, entryId: Uuid): Promise<Receipt | undefined> {
  const [row] = await door.system(indexOfEntry(tenantId, entryId));
  if (row === undefined) return undefined;
  const [checkpoint] = await door.system(latestCheckpoint({ tenantId, generation: row.generation }));
  const size = Number(checkpoint?.size ?? 0);
  return size > Number(row.idx) ? { index: Number(row.idx), size } : undefined;
}

/** The ledger process: one sequencer loop, receipts, proofs. */
export function createLedger(deps: LedgerDeps): Ledger {
  const { door, sequencer } = deps;
  const receipts = createReceipts();
  const loop: Loop = {
    running: false,
    stopped: false,
    trouble: 'not started',
    wake: () => undefined,
    done: Promise.resolve(),
  };

  const receipt: Ledger['receipt'] = async ({ tenantId, entryId, waitMs = RECEIPT_WAIT_MS_MAX }) => {
    const known = receipts.known(tenantId, entryId);
    if (known !== undefined) return known;
    const arriving = receipts.next(tenantId, entryId, waitMs);
    loop.wake();
    const found =
      (await Promise.race([arriving, storedReceipt(door, tenantId, entryId).then((stored) => stored ?? arriving)])) ??
      (await storedReceipt(door, tenantId, entryId));
    if (found !== undefined) return found;
    throw new AppError<AuditCode>('audit_receipt_timeout', `no signed checkpoint covers the entry after ${waitMs} ms`);
  };

  return {
    receipt,
    trouble: () => loop.trouble,
    start: async () => {
      try {
        await sequencer.recover();
      } catch (error) {
        loop.trouble = error instanceof Error ? error.message : String(error);
        throw error;
      }
      loop.running = true;
      loop.trouble = undefined;
      loop.done = run(deps, { loop, publish: receipts.publish });
    },
    stop: async () => {
      loop.running = false;
      loop.wake();
      await loop.done;
    },
    routes: ledgerServiceRoutes({ ...deps, receipt }),
  };
}

/** No error ends the loop but a refusal of the signer: that one needs a person, and without beats the guard holds. */
async function run(
  deps: LedgerDeps,
  { loop, publish }: { loop: Loop; publish: (entries: readonly SequencedEntry[]) => void },
): Promise<void> {
  const { sequencer } = deps;
  let beatAt = 0;
  while (loop.running) {
    try {
      const busy = await sequencer.waiting();
      if (busy || loop.trouble !== undefined || performance.now() - beatAt > BEAT_MS) {
        publish(await sequencer.sequenceBatch());
        beatAt = performance.now();
        loop.trouble = undefined;
      }
      await pause(busy ? TICK_MS : IDLE_POLL_MS, loop);
    } catch (error) {
      const stopped =
        error instanceof AppError && ['audit_log_behind_signer', 'audit_head_corrupt'].includes(error.code);
      loop.trouble = error instanceof Error ? error.message : String(error);
      if (stopped) loop.running = false;
      deps.onTrouble(error, stopped);
      if (!stopped) await pause(RETRY_MS, loop);
    }
  }
}

function checkTile(path: string, size: number): { level: number; n: number; width: number } {
  const tile = parseTilePath(path);
  const hashes = tile === undefined ? 0 : Math.floor(size / TILE_WIDTH ** tile.level) - tile.n * TILE_WIDTH;
  if (tile === undefined || hashes < tile.width) {
    throw new AppError<AuditCode>('audit_entry_unknown', 'no such tile');
  }
  return tile;
}

function ledgerServiceRoutes(deps: LedgerDeps & { receipt: Ledger['receipt'] }): RoomRoutes {
  const { door } = deps;
  const tiles = deps.tiles ?? createTileStore(door);
  const uuid = (text: string): Uuid => text as Uuid; // the schema has checked its form
  return bindRoutes(ledgerRoutes, {
    receipt: async ({ body }) => {
      const { tenantId, entryId, waitMs } = body;
      const wait = waitMs === undefined ? {} : { waitMs };
      return {
        status: 200 as const,
        body: await deps.receipt({ tenantId: uuid(tenantId), entryId: uuid(entryId), ...wait }),
      };
    },
    checkpoint: async ({ body }) => {
      const log = await needLog(door, uuid(body.tenantId));
      const [row] = await door.system(latestCheckpoint(log));
      if (row === undefined) throw new AppError<AuditCode>('audit_entry_unknown', 'this log has no checkpoint yet');
      const { verifierKey } = await deps.signer.state(log.origin);
      const body200 = {
        origin: log.origin,
        size: Number(row.size),
        root: toBase64(row.root),
        note: row.note,
        verifierKey,
      };
      return { status: 200 as const, body: body200 };
    },
    proofs: async ({ body }) => {
      const log = await needLog(door, uuid(body.tenantId));
      if (body.size > log.size || body.indexes.some((index) => index >= body.size)) {
        throw new AppError<AuditCode>('audit_entry_unknown', 'the log is not that long');
      }
      const reader = tiles.readerFor(log);
      const proofs: string[][] = [];
      for (const index of body.indexes)
        proofs.push((await inclusionProof({ index, size: body.size }, reader)).map(toBase64));
      return { status: 200 as const, body: { proofs } };
    },
    consistency: async ({ body }) => {
      const log = await needLog(door, uuid(body.tenantId));
      if (body.from > body.to || body.to > log.size)
        throw new AppError<AuditCode>('audit_entry_unknown', 'the log is not that long');
      const proof = await consistencyProof({ from: body.from, to: body.to }, tiles.readerFor(log));
      return { status: 200 as const, body: { proof: proof.map(toBase64) } };
    },
    tile: async ({ body }) => {
      const log = await needLog(door, uuid(body.tenantId));
      const tile = checkTile(body.path, log.size);
      const data = await tiles.readerFor(log)(tile);
      return { status: 200 as const, body: { data: toBase64(data.subarray(0, tile.width * 32)) } };
    },
  });
}
