import { availableParallelism, cpus, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { BareRows, BareServer } from './bare.ts';
import { bareSeconds, houseSeconds, since, total } from './cpu.ts';
import { runLoad, type LoadRequest, type LoadResult, type LoadTarget } from './load.ts';

export interface RequestBenchInput {
  /** Where the edge listens, with a name that its certificate carries: `https://localhost:8443`. */
  readonly edgeOrigin: string;
  /** PEM of the edge's CA. */
  readonly ca: string;
  /** `name=value` of a signed-in auditor's session. */
  readonly cookie: string;
  /** An engagement in fieldwork; results are added to `criterionIds`, at least one for each client. */
  readonly engagementId: string;
  readonly criterionIds: readonly string[];
  /**
   * Every process of the house by name, and PostgreSQL's first process. This process, which makes the load, is left out
   * even when named (it may be the supervisor of a house started for the bench; the supervisor takes no part in requests).
   */
  readonly pids: { readonly services: Readonly<Record<string, number>>; readonly postmaster: number };
  readonly bareStart: (rows: BareRows) => Promise<BareServer>;
  readonly rounds?: number;
  readonly phase_ms?: number;
  readonly progress?: (line: string) => void;
}

export interface RequestBench {
  /** CPU-seconds a request, the house's over the bare handler's; medians over the rounds. */
  readonly figures: { readonly read_ratio: number; readonly write_ratio: number };
  readonly conditions: Readonly<Record<string, unknown>>;
}

const CLIENTS = 16;
const ROUNDS = 5;
const PHASE_MS = 3_000;
const WARM_UP_MS = 1_500;
/** Reading ends by time; this keeps a fault from running away. */
const READS_MAX = 200_000;
/**
 * Writing ends by number, the same on both sides: the tables of the faster side must not outgrow the other's, for what
 * is read afterwards would no longer be the same. At least enough for the clock of CPU times, which ticks 100 times a
 * second.
 */
const WRITES_MIN = 400;
/** A side that needs this many times longer than planned for its writes is broken. */
const PATIENCE = 10;
const CRITERIA_PAGE = 200;
const IDLE_MS = 3_000;
/** What follows a request (sequencing, signing, write-back) belongs to its cost: waited for after every phase. */
const SETTLE_STEP_MS = 400;
const SETTLE_MS_MAX = 15_000;
/** Above the idle rate by less than this share of a core, nothing of the phase is left to do. */
const SETTLED_CORES = 0.05;

type Kind = 'read' | 'write';
type Side = 'house' | 'bare';

interface Phase {
  readonly load: LoadResult;
  /** CPU by process, from the first request until everything it caused was done. */
  readonly cpu_seconds: Record<string, number>;
  readonly wall_ms: number;
}

interface Meter {
  read(): Record<string, number>;
  /** Cores that this side uses when nobody asks anything. */
  idle_cores: number;
}

async function getJson<T>(input: RequestBenchInput, path: string): Promise<T> {
  let text = '';
  await runLoad(houseTarget(input), {
    clients: 1,
    duration_ms: 10_000,
    requests_max: 1,
    next: () => ({ method: 'GET', path }),
    accept: (_client, status, body) => {
      if (status !== 200) throw new Error(`${path} answered ${status}`);
      text = body.toString('utf8');
    },
  });
  return JSON.parse(text) as T;
}

function houseTarget(input: RequestBenchInput): LoadTarget {
  const headers = { cookie: input.cookie, origin: input.edgeOrigin, 'sec-fetch-site': 'same-origin' };
  return { origin: input.edgeOrigin, ca: input.ca, headers };
}

async function readRows(input: RequestBenchInput): Promise<BareRows & { revisions: Map<string, number> }> {
  const base = `/api/engagements/${input.engagementId}`;
  const engagement = await getJson<BareRows['engagement']>(input, base);
  const criteria: (BareRows['criteria'][number] & { result: { revision: number } | null })[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: { criteria: typeof criteria; nextCursor: string | null } = await getJson(
      input,
      `${base}/criteria?limit=${CRITERIA_PAGE}${cursor === undefined ? '' : `&cursor=${cursor}`}`,
    );
    criteria.push(...page.criteria);
    cursor = page.nextCursor;
  }
  const revisions = new Map(criteria.map((item) => [item.id, item.result?.revision ?? 0]));
  const unknown = input.criterionIds.find((id) => !revisions.has(id));
  if (unknown !== undefined) throw new Error(`${unknown} is no criterion of the engagement`);
  if (input.criterionIds.length < CLIENTS) throw new Error(`${CLIENTS} criteria are needed, one for each client`);
  return { engagement, criteria, revisions };
}

/** The same requests for both sides. Each client has criteria of its own, so that nobody waits for nobody's row. */
function requests(input: RequestBenchInput, revisions: Map<string, number>, kind: Kind) {
  const path = `/api/engagements/${input.engagementId}`;
  const current: string[] = [];
  const turns = Array.from({ length: CLIENTS }, () => 0);
  const own = Array.from({ length: CLIENTS }, (_, client) =>
    input.criterionIds.filter((_id, i) => i % CLIENTS === client),
  );
  const next = (client: number): LoadRequest => {
    if (kind === 'read') return { method: 'GET', path };
    const ids = own[client]!;
    const id = ids[(turns[client]! += 1) % ids.length]!;
    current[client] = id;
    const outcome = turns[client]! % 3 === 0 ? 'not-satisfied' : 'satisfied';
    const note = `Looked at ${turns[client]} samples of the period; each was complete, dated and countersigned.`;
    const body = JSON.stringify({ outcome, note, observedOn: '2026-11-20', revision: revisions.get(id) });
    return { method: 'POST', path: `${path}/criteria/${id}/result`, body };
  };
  const accept = (client: number, status: number, body: Buffer): void => {
    if (status !== (kind === 'read' ? 200 : 201))
      throw new Error(`${kind} was answered ${status}: ${body.toString('utf8', 0, 300)}`);
    if (kind === 'write')
      revisions.set(current[client]!, (JSON.parse(body.toString('utf8')) as { revision: number }).revision);
  };
  return { next, accept };
}

/** Waits until a side uses no more than when idle, or for `SETTLE_MS_MAX`. */
async function settle(meter: Meter): Promise<void> {
  const deadline = performance.now() + SETTLE_MS_MAX;
  while (performance.now() < deadline) {
    const before = total(meter.read());
    const started = performance.now();
    await pause(SETTLE_STEP_MS);
    const cores = (total(meter.read()) - before) / ((performance.now() - started) / 1000);
    if (cores <= meter.idle_cores + SETTLED_CORES) return;
  }
}

async function runPhase(
  side: { target: LoadTarget; meter: Meter },
  work: ReturnType<typeof requests>,
  end: { duration_ms: number; requests_max: number },
): Promise<Phase> {
  await settle(side.meter);
  const before = side.meter.read();
  const started = performance.now();
  const load = await runLoad(side.target, { clients: CLIENTS, ...end, ...work });
  await settle(side.meter);
  return { load, cpu_seconds: since(before, side.meter.read()), wall_ms: performance.now() - started };
}

async function measureIdle(meters: readonly Meter[]): Promise<void> {
  const before = meters.map((meter) => total(meter.read()));
  const started = performance.now();
  await pause(IDLE_MS);
  for (const [i, meter] of meters.entries()) {
    meter.idle_cores = (total(meter.read()) - before[i]!) / ((performance.now() - started) / 1000);
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

const cpu_ms = (phase: Phase): number => (total(phase.cpu_seconds) * 1000) / phase.load.requests;

/** CPU milliseconds a request by process, each the median over the rounds. */
function byProcess(phases: readonly Phase[]): Record<string, number> {
  const names = Object.keys(phases[0]?.cpu_seconds ?? {});
  return Object.fromEntries(
    names.map((name) => [
      name,
      round(median(phases.map((phase) => (phase.cpu_seconds[name]! * 1000) / phase.load.requests))),
    ]),
  );
}

function describeSide(phases: readonly Phase[], idle_cores: number) {
  const net = phases.map((phase) => cpu_ms(phase) - (idle_cores * phase.wall_ms) / phase.load.requests);
  const of = (pick: (load: LoadResult) => number): number => round(median(phases.map((phase) => pick(phase.load))));
  return {
    requests: phases.reduce((sum, phase) => sum + phase.load.requests, 0),
    cpu_ms_per_request: round(median(phases.map(cpu_ms))),
    cpu_ms_per_request_without_idle: round(median(net)),
    cpu_ms_per_request_by_process: byProcess(phases),
    requests_per_second: of((load) => (load.requests * 1000) / load.duration_ms),
    latency_ms: {
      p50: of((load) => load.latency_ms.p50),
      p95: of((load) => load.latency_ms.p95),
      p99: of((load) => load.latency_ms.p99),
    },
  };
}

type Phases = Record<Kind, Record<Side, Phase[]>>;

function report(input: { phases: Phases; meters: Record<Side, Meter>; phase_ms: number }): RequestBench {
  const { phases, meters } = input;
  const ratios = (kind: Kind): number[] =>
    phases[kind].house.map((house, i) => cpu_ms(house) / cpu_ms(phases[kind].bare[i]!));
  const sides = (kind: Kind) => ({
    house: describeSide(phases[kind].house, meters.house.idle_cores),
    bare: describeSide(phases[kind].bare, meters.bare.idle_cores),
    ratio_per_round: ratios(kind).map(round),
  });
  return {
    figures: { read_ratio: round(median(ratios('read'))), write_ratio: round(median(ratios('write'))) },
    conditions: {
      what: 'CPU-seconds a request over all processes, PostgreSQL included, until nothing of the phase was left to do; TLS 1.3 on both sides',
      clients: CLIENTS,
      rounds: phases.read.house.length,
      phase_ms: input.phase_ms,
      read: sides('read'),
      write: sides('write'),
      idle_cores: { house: round(meters.house.idle_cores), bare: round(meters.bare.idle_cores) },
      node: process.version,
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      load_average: loadavg().map(round),
    },
  };
}

/**
 * Measures the whole authenticated, authorised, tenant-walled, sealed and logged request through the edge against a bare
 * Fastify and pg handler on copies of the same rows, in one run, interleaved, 16 keep-alive clients, TLS 1.3 on both
 * sides. Read: one engagement with its progress. Write: a result for a criterion. The edge's rate limits must be out of
 * the way: any other answer than success ends the run.
 */
export async function runRequestBench(input: RequestBenchInput): Promise<RequestBench> {
  const { rounds = ROUNDS, phase_ms = PHASE_MS, progress = () => undefined } = input;
  const rows = await readRows(input);
  const bare = await input.bareStart(rows);
  try {
    const { postmaster } = input.pids;
    const services = Object.fromEntries(Object.entries(input.pids.services).filter(([, pid]) => pid !== process.pid));
    const meters: Record<Side, Meter> = {
      house: { read: () => houseSeconds({ services, postmaster, foreignBackends: bare.backends }), idle_cores: 0 },
      bare: { read: () => bareSeconds({ pid: bare.pid, backends: bare.backends, postmaster }), idle_cores: 0 },
    };
    const targets: Record<Side, LoadTarget> = {
      house: houseTarget(input),
      bare: { origin: bare.origin, ca: bare.ca, headers: {} },
    };
    const revisions: Record<Side, Map<string, number>> = {
      house: new Map(rows.revisions),
      bare: new Map(rows.revisions),
    };
    const run = (side: Side, kind: Kind, end: { duration_ms: number; requests_max: number }): Promise<Phase> =>
      runPhase({ target: targets[side], meter: meters[side] }, requests(input, revisions[side], kind), end);
    await measureIdle([meters.house, meters.bare]);
    const warmUp = { duration_ms: WARM_UP_MS, requests_max: READS_MAX };
    for (const side of ['house', 'bare'] as const) await run(side, 'read', warmUp);
    const { load } = await run('house', 'write', warmUp);
    await run('bare', 'write', { duration_ms: WARM_UP_MS * PATIENCE, requests_max: load.requests });
    const writes = Math.max(WRITES_MIN, Math.round((load.requests * phase_ms) / load.duration_ms));
    const ends: Record<Kind, { duration_ms: number; requests_max: number }> = {
      read: { duration_ms: phase_ms, requests_max: READS_MAX },
      write: { duration_ms: phase_ms * PATIENCE, requests_max: writes },
    };
    const phases: Phases = { read: { house: [], bare: [] }, write: { house: [], bare: [] } };
    for (let number = 0; number < rounds; number += 1) {
      await bare.analyse();
      // Who goes first changes each round, so that a machine that grows slower favours nobody.
      const order: readonly Side[] = number % 2 === 0 ? ['house', 'bare'] : ['bare', 'house'];
      for (const kind of ['read', 'write'] as const)
        for (const side of order) phases[kind][side].push(await run(side, kind, ends[kind]));
      progress(`round ${number + 1} of ${rounds}`);
    }
    return report({ phases, meters, phase_ms });
  } finally {
    await bare.stop();
  }
}
