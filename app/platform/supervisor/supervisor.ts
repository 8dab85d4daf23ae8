import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { AppError, type Json, type ServiceName } from '@auditrax/base';

import {
  CELLS_FACT,
  EXIT_MEND_FIRST,
  type Boot,
  type CellAddress,
  type FromChild,
  type HouseInventory,
  type Peers,
  type Orders,
  type ProvisionOrder,
  type RelocationOrder,
  type ToChild,
  type WorkloadCertificate,
} from './messages.ts';

export interface ChildSpec {
  readonly service: ServiceName;
  /** The composition root to run. */
  readonly program: string;
  readonly execArgv: readonly string[];
  readonly arguments?: readonly string[];
  readonly boot: Boot;
}

export interface SupervisorDeps {
  /** Runtime that runs the children. */
  readonly node: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly log: (line: string) => void;
  /** Called whenever a process has become ready, and its number and address have changed. */
  readonly onChange?: () => void;
  /** Makes a place for a tenant. Without it every such order is refused. */
  readonly provision?: Orders['provision'];
  /** Moves a tenant's rows. Without it every such order is refused. */
  readonly relocate?: Orders['relocate'];
  /** What the house listens at. Without it every question for it is refused. */
  readonly inventory?: () => Promise<HouseInventory>;
}

/** First and longest wait before a dead process is started again; doubles in between, resets after it was ready. */
const BACKOFF_MS_MIN = 150;
const BACKOFF_MS_MAX = 10_000;
/** A process that ends this often without becoming ready is broken; whoever waits for it is told. */
const FAILURES_MAX = 3;
/** A child that has not drained by then is ended; longer than a child's own bound. */
const STOP_MS_MAX = 10_000;
/**
 * A process that is not ready by then hangs, and that is reported. No measure of a start: on a machine that does much else
 * the slowest was seen to need a minute.
 */
const READY_MS_MAX = 180_000;

interface Question {
  service: ServiceName;
  resolve: (output: Json) => void;
  reject: (error: Error) => void;
}

interface Running {
  spec: ChildSpec;
  child: ChildProcess;
  ready: boolean;
  backoff_ms: number;
  /** Ends in a row without having been ready. */
  failures: number;
  /** What it last said about why it cannot serve. */
  words: string | undefined;
  waiters: { resolve: () => void; reject: (error: Error) => void }[];
}

/**
 * Starts the processes, restarts what dies with back-off, relays signing requests to the issuer, and stops everything
 * in order. Holds no secret: it vouches for who asks, by which channel the request came in on, and signs nothing.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #running = new Map<ServiceName, Running>();
  readonly #signing = new Map<string, ServiceName>();
  readonly #questions = new Map<string, Question>();
  #facts: Record<string, Json> = {};
  #addresses: Partial<Record<ServiceName, { port: number; pid: number }>> = {};
  #stopping: Promise<void> | undefined;
  #onFatal: (service: ServiceName, code: string, message: string) => void = () => {};

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
  }

  onFatal(listener: (service: ServiceName, code: string, message: string) => void): void {
    this.#onFatal = listener;
  }

  peers(): Peers {
    return { addresses: this.#addresses, facts: this.#facts };
  }

  /** Where the databases are. No process can say otherwise: it could send the others to a database of its own. */
  publishCells(cells: readonly CellAddress[]): void {
    this.#facts = { ...this.#facts, [CELLS_FACT]: cells as unknown as Json };
    this.#broadcast();
  }

  pids(): Partial<Record<ServiceName, number>> {
    return Object.fromEntries([...this.#running].map(([service, entry]) => [service, entry.child.pid]));
  }

  /** True when every process that was started is ready now. */
  allReady(): boolean {
    return [...this.#running.values()].every((entry) => entry.ready);
  }

  /** Starts one process and resolves when it is ready; rejects with its own words when it cannot be. */
  start(spec: ChildSpec): Promise<void> {
    if (this.#stopping !== undefined) return Promise.reject(new AppError('stopping', `${spec.service}: stopping`));
    const entry: Running = {
      spec,
      child: this.#spawn(spec),
      ready: false,
      backoff_ms: BACKOFF_MS_MIN,
      failures: 0,
      words: undefined,
      waiters: [],
    };
    this.#running.set(spec.service, entry);
    const started = this.#whenReady(entry);
    this.#attend(entry);
    return started;
  }

  /** Ends one process and starts it again, possibly with other arguments (a test root); resolves when ready. */
  async restart(service: ServiceName, change: Partial<ChildSpec> = {}): Promise<void> {
    const entry = this.#running.get(service);
    if (entry === undefined) throw new AppError('no_such_process', service);
    entry.spec = { ...entry.spec, ...change };
    entry.backoff_ms = 0;
    entry.ready = false;
    const started = this.#whenReady(entry);
    this.#tell(entry, { type: 'drain' });
    await started;
  }

  /** Asks one process a question over its channel. */
  ask(service: ServiceName, name: string, input: Json): Promise<Json> {
    const entry = this.#running.get(service);
    if (entry === undefined || !entry.ready) {
      return Promise.reject(new AppError('not_running', `${service} is not running; see \`auditrax doctor\``));
    }
    const ticket = randomUUID();
    return new Promise((resolve, reject) => {
      this.#questions.set(ticket, { service, resolve, reject });
      this.#tell(entry, { type: 'ask', ticket, name, input });
    });
  }

  /** Stops the named processes in this order, each given time to finish what it has begun. Safe to call twice. */
  stop(order: readonly ServiceName[]): Promise<void> {
    this.#stopping ??= this.#stopAll(order);
    return this.#stopping;
  }

  async #stopAll(order: readonly ServiceName[]): Promise<void> {
    for (const entry of this.#running.values()) {
      for (const waiter of entry.waiters.splice(0))
        waiter.reject(new AppError('stopping', `${entry.spec.service}: stopped before it was ready`));
    }
    for (const service of order) {
      const entry = this.#running.get(service);
      if (entry !== undefined) await this.#end(entry);
    }
    this.#running.clear();
  }

  async #end(entry: Running): Promise<void> {
    const { child } = entry;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    this.#tell(entry, { type: 'drain' });
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await gone;
    clearTimeout(timer);
  }

  #whenReady(entry: Running): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new AppError('not_ready', `${entry.spec.service} was not ready within ${READY_MS_MAX / 1000} s`));
      }, READY_MS_MAX);
      entry.waiters.push({
        resolve: () => (clearTimeout(timer), resolve()),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
    });
  }

  #spawn(spec: ChildSpec): ChildProcess {
    return spawn(this.#deps.node, [...spec.execArgv, spec.program, ...(spec.arguments ?? [])], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...this.#deps.environment },
      cwd: '/',
    });
  }

  /** Listens to a fresh process and tells it what it is. */
  #attend(entry: Running): void {
    const { spec, child } = entry;
    for (const stream of [child.stdout!, child.stderr!]) this.#forward(spec.service, stream);
    child.on('message', (message) => this.#receive(entry, message as FromChild));
    child.on('exit', (code, signal) => this.#exited(entry, code, signal));
    child.on('error', (error) => this.#deps.log(`${spec.service}: ${error.message}`));
    this.#tell(entry, { type: 'boot', boot: spec.boot, peers: this.peers() });
  }

  #forward(service: ServiceName, stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#deps.log(`${service}: ${line}`);
    });
  }

  #tell(entry: Running, message: ToChild): void {
    // A child that is just dying cannot be told anything; its exit is handled where it is noticed.
    if (entry.child.connected) entry.child.send(message, () => {});
  }

  #receive(entry: Running, message: FromChild): void {
    const { service } = entry.spec;
    switch (message.type) {
      case 'csr':
        return this.#relaySigning(service, message.ticket, message.csrPem);
      case 'signed':
        return service === 'issuer' ? this.#relaySigned(message.ticket, message.certificate) : undefined;
      case 'announce':
        return this.#announced(message.facts);
      case 'order':
        return void this.#carryOut(entry, message);
      case 'inventory':
        return void this.#takeInventory(entry, message.ticket);
      case 'ready':
        return this.#becameReady(entry, message.port);
      case 'answer':
        return this.#answered(message.ticket, message.ok, message.output);
      case 'fatal':
        return this.#failed(entry, message);
    }
  }

  #announced({ [CELLS_FACT]: _refused, ...facts }: Readonly<Record<string, Json>>): void {
    this.#facts = { ...this.#facts, ...facts };
    this.#broadcast();
  }

  /** Only the issuer, which alone knows whether a tenant may have a place of its own, is listened to. */
  async #carryOut(entry: Running, { ticket, name, order }: Extract<FromChild, { type: 'order' }>): Promise<void> {
    try {
      const carryOut = this.#deps[name] as ((order: ProvisionOrder | RelocationOrder) => Promise<object>) | undefined;
      if (entry.spec.service !== 'issuer' || carryOut === undefined)
        throw new AppError('provision_refused', `${entry.spec.service} cannot have a place made here`);
      this.#tell(entry, { type: 'ordered', ticket, ok: true, output: { ...(await carryOut(order)) } });
    } catch (error) {
      const code = error instanceof AppError ? error.code : 'unexpected';
      const output = { code, detail: error instanceof Error ? error.message : String(error) };
      this.#tell(entry, { type: 'ordered', ticket, ok: false, output });
    }
  }

  /** Only the sentinel is told: to anybody else it would be a map of the house. */
  async #takeInventory(entry: Running, ticket: string): Promise<void> {
    try {
      if (entry.spec.service !== 'sentinel' || this.#deps.inventory === undefined)
        throw new AppError('inventory_refused', `${entry.spec.service} is not told what the house listens at`);
      const output = (await this.#deps.inventory()) as unknown as Json;
      this.#tell(entry, { type: 'ordered', ticket, ok: true, output });
    } catch (error) {
      const code = error instanceof AppError ? error.code : 'unexpected';
      const output = { code, detail: error instanceof Error ? error.message : String(error) };
      this.#tell(entry, { type: 'ordered', ticket, ok: false, output });
    }
  }

  #failed(entry: Running, { code, message, passing }: Extract<FromChild, { type: 'fatal' }>): void {
    entry.words = message;
    if (passing) return; // said in the log as it is started again
    for (const waiter of entry.waiters.splice(0)) waiter.reject(new AppError(code, message));
    this.#onFatal(entry.spec.service, code, message);
  }

  #relaySigning(service: ServiceName, ticket: string, csrPem: string): void {
    const issuer = this.#running.get('issuer');
    if (issuer === undefined) return;
    this.#signing.set(ticket, service);
    this.#tell(issuer, { type: 'sign', ticket, service, csrPem });
  }

  #relaySigned(ticket: string, certificate: WorkloadCertificate): void {
    const service = this.#signing.get(ticket);
    this.#signing.delete(ticket);
    const entry = service === undefined ? undefined : this.#running.get(service);
    if (entry !== undefined) this.#tell(entry, { type: 'certificate', ticket, certificate });
  }

  #becameReady(entry: Running, port: number): void {
    entry.ready = true;
    entry.failures = 0;
    entry.words = undefined;
    entry.backoff_ms = BACKOFF_MS_MIN;
    this.#addresses = { ...this.#addresses, [entry.spec.service]: { port, pid: entry.child.pid! } };
    this.#broadcast();
    this.#deps.onChange?.();
    for (const waiter of entry.waiters.splice(0)) waiter.resolve();
  }

  #answered(ticket: string, ok: boolean, output: Json): void {
    const question = this.#questions.get(ticket);
    this.#questions.delete(ticket);
    if (ok) return question?.resolve(output);
    const { code, detail } = output as { code: string; detail: string };
    question?.reject(new AppError(code, detail));
  }

  #broadcast(): void {
    const peers = this.peers();
    for (const entry of this.#running.values()) this.#tell(entry, { type: 'peers', peers });
  }

  #exited(entry: Running, code: number | null, signal: string | null): void {
    const { service } = entry.spec;
    const wasReady = entry.ready;
    entry.ready = false;
    // Whoever needs it waits for the next address instead of knocking at a port that is nobody's, or a stranger's.
    const { [service]: _gone, ...left } = this.#addresses;
    this.#addresses = left;
    if (this.#stopping === undefined) this.#broadcast();
    for (const [ticket, question] of this.#questions) {
      if (question.service !== service) continue;
      this.#questions.delete(ticket);
      question.reject(new AppError('process_ended', `${service} ended before it had answered`));
    }
    if (this.#stopping !== undefined || this.#running.get(service) !== entry) return;
    if (code === EXIT_MEND_FIRST) {
      this.#deps.log(`${service}: stopped until this is mended: ${entry.words ?? 'it did not say why'}`);
      return;
    }
    entry.failures += wasReady ? 0 : 1;
    if (entry.failures >= FAILURES_MAX) {
      const words = entry.words === undefined ? 'its last words are above' : `its last words: ${entry.words}`;
      const error = new AppError('process_failed', `${service} ends before it is ready (${signal ?? code}); ${words}`);
      for (const waiter of entry.waiters.splice(0)) waiter.reject(error);
    }
    if (entry.backoff_ms > 0) this.#deps.log(`${service}: ended (${entry.words ?? signal ?? code}); starting it again`);
    const wait_ms = entry.backoff_ms;
    entry.backoff_ms = Math.min(BACKOFF_MS_MAX, Math.max(BACKOFF_MS_MIN, wasReady ? BACKOFF_MS_MIN : wait_ms * 2));
    setTimeout(() => {
      if (this.#stopping !== undefined) return;
      entry.child = this.#spawn(entry.spec);
      this.#attend(entry);
    }, wait_ms);
  }
}
