import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { leafHash } from '@auditrax/tlog';
import { Client } from 'pg';
import { TICK_MS } from '../app/platform/audit/cell-loop.ts';
import { buildLeaf } from '../app/platform/audit/leaf.ts';
import { createLedger, type Ledger } from '../app/platform/audit/ledger.ts';
import { BATCH_ENTRIES_MAX, createSequencer, type Sequencer } from '../app/platform/audit/sequencer.ts';
import {
  appendToChain,
  CLIENTS,
  copyPayload,
  inputFor,
  isBeating,
  ORIGIN_PREFIX,
  prepareGround,
  queuePayload,
  writeGuarded,
  writePlain,
  type Ground,
  type Payload,
} from './ledger-ground.ts';

/** How much is measured. In each round every contender runs once, in an order that changes. */
export interface WriteSizes {
  readonly rounds: number;
  /** Full batches for the sequencer, and as many COPY of as many rows. */
  readonly batches: number;
  /** Links of the chain, and writes under the guard with the ledger running, by all clients together. */
  readonly appends: number;
  readonly pairs: number;
  readonly receiptRounds: number;
  readonly receiptSeconds: number;
}

const SIZES: WriteSizes = {
  rounds: 9,
  batches: 8,
  appends: 800,
  pairs: 150,
  receiptRounds: 5,
  receiptSeconds: 6,
};
const ACTIONS_PER_S = 300;
/** Plans, caches and connections: before the first round that counts. */
const WARM_ROUNDS = 1;
/** The beat comes with the first turn of the loop; ten seconds without it are a fault. */
const FIRST_BEAT_MS_MAX = 10_000;

/** What writing the log costs. Ratios are medians of rounds; the bounds are those of the requirement. */
export interface WriteFigures {
  /** Receipt p99 / (2 x commit p99 + 2 x tick); at most 1. */
  readonly receipt_p99_over_bound: number;
  readonly receipt_p99_ms: number;
  readonly commit_p99_ms: number;
  /** Entries a second in full batches, signed and published, against binary COPY of the same rows; at least 0.5. */
  readonly sequencer_vs_copy: number;
  /** The same entries a second against links a second; at least 5. */
  readonly sequencer_vs_chain: number;
  /** Whole writes a second with the ledger running (until the last is signed) against links a second. */
  readonly writers_vs_chain: number;
  readonly sequencer_entries_per_s: number;
  readonly copy_rows_per_s: number;
  readonly chain_links_per_s: number;
  /** A one-row business transaction with guard and entry against the same without either; at most 1.6. */
  readonly guarded_write_ratio: number;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? Number.NaN;
}

function percentile99(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length * 0.99)] ?? Number.NaN;
}

function payload(count: number): Payload[] {
  return Array.from({ length: count }, () => {
    const { entryId, leaf } = buildLeaf(inputFor(uuidV4(systemRandom)), { clock: systemClock, random: systemRandom });
    return { id: entryId, leaf, leafHash: leafHash(leaf) };
  });
}

/** Seconds that it took. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

type Contenders = Readonly<Record<string, () => Promise<number>>>;

/** Each contender answers a figure; all figures by contender, in the order of the rounds. */
async function race(contenders: Contenders, rounds: number): Promise<Record<string, number[]>> {
  const names = Object.keys(contenders);
  const figures: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -WARM_ROUNDS; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const figure = await contenders[name]!();
      if (round >= 0) figures[name]!.push(figure);
    }
  }
  return figures;
}

function ratio(figures: Record<string, number[]>, name: string, base: string): number {
  return Number(median(figures[name]!.map((figure, round) => figure / figures[base]![round]!)).toFixed(3));
}

function sequencerOf({ ledger, signer }: Ground): Sequencer {
  return createSequencer({ door: ledger.system, signer, originPrefix: ORIGIN_PREFIX });
}

async function drain(sequencer: Sequencer): Promise<void> {
  while (await sequencer.waiting()) await sequencer.sequenceBatch();
}

/** The real sequencer on a full queue: claim, append, commit, sign, publish. */
async function sequencerRate(ground: Ground, sequencer: Sequencer, batches: number): Promise<number> {
  for (let at = 0; at < batches; at += 1) await queuePayload(ground, payload(BATCH_ENTRIES_MAX));
  let done = 0;
  const seconds = await timed(async () => {
    for (let at = 0; at < batches; at += 1) done += (await sequencer.sequenceBatch()).length;
  });
  if (done !== batches * BATCH_ENTRIES_MAX) throw new Error(`${done} entries were sequenced in ${batches} batches`);
  return done / seconds;
}

async function copyRate(ground: Ground, batches: number): Promise<number> {
  const all = Array.from({ length: batches }, () => payload(BATCH_ENTRIES_MAX));
  const seconds = await timed(async () => {
    for (const rows of all) await copyPayload(ground, rows);
  });
  return (batches * BATCH_ENTRIES_MAX) / seconds;
}

async function chainRate(clients: readonly Client[], { tenantId }: Ground, appends: number): Promise<number> {
  const rows = payload(appends);
  const client = async (connection: Client): Promise<void> => {
    for (let row = rows.pop(); row !== undefined; row = rows.pop()) await appendToChain(connection, tenantId, row);
  };
  return appends / (await timed(() => Promise.all(clients.map(client))));
}

/** Everybody writes while the ledger sequences; over when the last entry has its receipt. */
async function writersRate(ground: Ground, appends: number): Promise<number> {
  const ledger = await runningLedger(ground);
  try {
    let left = appends;
    const writer = async (): Promise<void> => {
      let last: Uuid | undefined;
      while (left > 0) {
        left -= 1;
        last = await writeGuarded(ground);
      }
      if (last !== undefined) await ledger.receipt({ tenantId: ground.tenantId, entryId: last });
    };
    return appends / (await timed(() => Promise.all(Array.from({ length: CLIENTS }, writer))));
  } finally {
    await ledger.stop();
  }
}

async function measureRates(ground: Ground, { rounds, batches, appends }: WriteSizes) {
  const sequencer = sequencerOf(ground);
  await sequencer.recover();
  const clients = Array.from({ length: CLIENTS }, () => new Client(ground.server.connectionFor('superuser')));
  await Promise.all(clients.map((client) => client.connect()));
  try {
    const figures = await race(
      {
        sequencer: () => sequencerRate(ground, sequencer, batches),
        copy: () => copyRate(ground, batches),
        chain: () => chainRate(clients, ground, appends),
      },
      rounds,
    );
    await drain(sequencer);
    const writing = await race(
      { writers: () => writersRate(ground, appends), chain: () => chainRate(clients, ground, appends) },
      rounds,
    );
    return {
      sequencer_vs_copy: ratio(figures, 'sequencer', 'copy'),
      sequencer_vs_chain: ratio(figures, 'sequencer', 'chain'),
      writers_vs_chain: ratio(writing, 'writers', 'chain'),
      sequencer_entries_per_s: Math.round(median(figures['sequencer']!)),
      copy_rows_per_s: Math.round(median(figures['copy']!)),
      chain_links_per_s: Math.round(median([...figures['chain']!, ...writing['chain']!])),
    };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** One transaction after the other through the same door; the heartbeat is set, so that no sequencer works beside it. */
async function measureGuard(ground: Ground, { rounds, pairs }: WriteSizes): Promise<number> {
  await ground.admin.query(`update audit.beat set beat = 'infinity'`);
  const many = (work: (on: Ground) => Promise<unknown>) => () =>
    timed(async () => {
      for (let at = 0; at < pairs; at += 1) await work(ground);
    });
  const figures = await race({ guarded: many(writeGuarded), plain: many(writePlain) }, rounds);
  await drain(sequencerOf(ground));
  return ratio(figures, 'guarded', 'plain');
}

function ledgerOf({ ledger, signer }: Ground) {
  return createLedger({
    home: ledger.system,
    signer,
    originPrefix: ORIGIN_PREFIX,
    onTrouble: (error) => {
      throw error;
    },
  });
}

/** Started and beating: before its first heartbeat the guard refuses every writer. */
async function runningLedger(ground: Ground): Promise<Ledger> {
  const ledger = ledgerOf(ground);
  await ledger.start();
  const end = performance.now() + FIRST_BEAT_MS_MAX;
  while (!(await isBeating(ground))) {
    if (performance.now() > end) throw new Error('the log does not run');
    await sleep(10);
  }
  return ledger;
}

interface Latencies {
  readonly commits: number[];
  readonly receipts: number[];
}

/** Open loop: an action begins at its instant, however late the others are. Both times from the action's begin. */
async function actAtRate(act: (times: Latencies) => Promise<void>, seconds: number): Promise<Latencies> {
  const times: Latencies = { commits: [], receipts: [] };
  const started = performance.now();
  const running: Promise<void>[] = [];
  for (let at = 0; at < seconds * ACTIONS_PER_S; at += 1) {
    const wait_ms = started + (at * 1000) / ACTIONS_PER_S - performance.now();
    if (wait_ms > 0) await sleep(wait_ms);
    running.push(act(times));
  }
  await Promise.all(running);
  return times;
}

async function measureReceipts(ground: Ground, { receiptRounds, receiptSeconds }: WriteSizes) {
  const ledger = await runningLedger(ground);
  const act = async ({ commits, receipts }: Latencies): Promise<void> => {
    const begun = performance.now();
    const entryId = await writeGuarded(ground);
    commits.push(performance.now() - begun);
    await ledger.receipt({ tenantId: ground.tenantId, entryId });
    receipts.push(performance.now() - begun);
  };
  const rounds: { commit: number; receipt: number }[] = [];
  try {
    await actAtRate(act, Math.min(1, receiptSeconds));
    for (let round = 0; round < receiptRounds; round += 1) {
      const { commits, receipts } = await actAtRate(act, receiptSeconds);
      rounds.push({ commit: percentile99(commits), receipt: percentile99(receipts) });
    }
  } finally {
    await ledger.stop();
  }
  const over = rounds.map(({ commit, receipt }) => receipt / (2 * commit + 2 * TICK_MS));
  return {
    receipt_p99_over_bound: Number(median(over).toFixed(3)),
    receipt_p99_ms: Number(median(rounds.map(({ receipt }) => receipt)).toFixed(1)),
    commit_p99_ms: Number(median(rounds.map(({ commit }) => commit)).toFixed(1)),
  };
}

/** What writing costs, with the real sequencer, signer and guard on a PostgreSQL that waits for its disk. */
export async function measureWriting(
  progress: (line: string) => void,
  sizes: WriteSizes = SIZES,
): Promise<{ figures: WriteFigures; conditions: Readonly<Record<string, unknown>> }> {
  const ground = await prepareGround();
  try {
    progress(`business writes with guard and entry against without, ${sizes.rounds} rounds of ${sizes.pairs}`);
    const guarded_write_ratio = await measureGuard(ground, sizes);
    progress(
      `receipts at ${ACTIONS_PER_S} actions a second, ${sizes.receiptRounds} rounds of ${sizes.receiptSeconds} s`,
    );
    const receipts = await measureReceipts(ground, sizes);
    progress(`sequencer against COPY and against a chain of ${CLIENTS} clients, ${sizes.rounds} rounds`);
    const rates = await measureRates(ground, sizes);
    const conditions = {
      ...sizes,
      batch_entries: BATCH_ENTRIES_MAX,
      chain_clients: CLIENTS,
      tick_ms: TICK_MS,
      leaf_bytes: payload(1)[0]!.leaf.length,
      processes: 'clients, ledger and signer in one process, PostgreSQL beside it; fsync and synchronous_commit on',
    };
    return { figures: { ...receipts, ...rates, guarded_write_ratio }, conditions };
  } finally {
    await ground.close();
  }
}
