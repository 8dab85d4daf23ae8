import { randomUUID } from 'node:crypto';
import { flushCompileCache } from 'node:module';
import { AppError, type Json, type ServiceName } from '@auditrax/base';
import {
  EXIT_MEND_FIRST,
  type Boot,
  type FromChild,
  type HouseInventory,
  type Orders,
  type Peers,
  type ProvisionedPlace,
  type ProvisionOrder,
  type RelocationOrder,
  type RelocationReport,
  type ToChild,
  type WorkloadCertificate,
} from './messages.ts';

/** A process's side of the supervisor's channel. */
export interface Membership {
  readonly boot: Boot;
  /** Latest addresses and facts; grows as processes come up and changes when one is restarted. */
  peers(): Peers;
  onPeers(listener: (peers: Peers) => void): void;
  /** Resolves when `ready` holds for the current peers. */
  whenPeers(ready: (peers: Peers) => boolean): Promise<Peers>;
  /** Sends a signing request; the supervisor vouches for who asks, the issuer signs. */
  certify(csrPem: string): Promise<WorkloadCertificate>;
  /** The issuer answers signing requests with this. */
  onSign(sign: (service: ServiceName, csrPem: string) => Promise<WorkloadCertificate>): void;
  /**
   * Has a place of its own made for a tenant; the issuer alone may ask. Rejects with AppError: `provision_refused`, or
   * what the set-up process threw; then nothing serves from a half-made place, and asking again finishes it.
   */
  provision(order: ProvisionOrder): Promise<ProvisionedPlace>;
  /** Has a tenant's rows moved; the issuer alone may ask. Rejects like `provision`; nothing is lost then. */
  relocate(order: RelocationOrder): Promise<RelocationReport>;
  /**
   * What every process of the house listens at, by the supervisor, which alone may look into all of them; the sentinel
   * alone may ask. Rejects with AppError `inventory_refused`.
   */
  inventory(): Promise<HouseInventory>;
  /** Answers questions of the operator's commands (prove, backup, …), by name. */
  onAsk(name: string, answer: (input: Json) => Promise<Json>): void;
  announce(facts: Record<string, Json>): void;
  ready(port: number): void;
  /** Runs once, when the supervisor asks to stop or is gone; the process ends when it settles. */
  onDrain(drain: () => Promise<void>): void;
  /**
   * Reports why the process cannot serve and ends it. What another part's absence explains, or nobody foresaw, is tried
   * again by the supervisor; everything else is for a person to mend.
   */
  fatal(error: unknown): never;
}

/** Bound on a graceful stop; past it the process ends with what it has (nothing acknowledged is lost by then). */
const DRAIN_MS_MAX = 8_000;
/** Conditions that end when another process, or the database, is back. */
const PASSING: ReadonlySet<string> = new Set(['service_unavailable', 'database_unavailable', 'unexpected']);
/** Between two tries to get a certificate signed; the issuer is back within a second of a crash. */
const CERTIFY_RETRY_MS = 1_000;

function send(message: FromChild): void {
  process.send?.(message);
}

/** Gives up root for good. Groups first: afterwards we may no longer. Attacker: whoever takes this process over. */
export function dropPrivileges(runAs: Boot['runAs']): void {
  process.umask(0o077);
  if (runAs === undefined) return;
  flushCompileCache();
  process.setgroups!([]);
  process.setgid!(runAs.gid);
  process.setuid!(runAs.uid);
  if (process.getuid!() === 0 || process.geteuid!() === 0)
    throw new AppError('still_root', 'privileges were not dropped');
}

/** Signs what the named service asks for. */
type Signer = (service: ServiceName, csrPem: string) => Promise<WorkloadCertificate>;

class Channel implements Membership {
  readonly boot: Boot;
  #peers: Peers;
  #listeners: ((peers: Peers) => void)[] = [];
  #certificates = new Map<string, (certificate: WorkloadCertificate) => void>();
  /** Requests that come while the issuer is still opening its authority wait for it. */
  readonly #signer = Promise.withResolvers<Signer>();
  #orders = new Map<string, PromiseWithResolvers<Json>>();
  #answers = new Map<string, (input: Json) => Promise<Json>>();
  #drain: () => Promise<void> = async () => {};
  #draining = false;

  constructor(boot: Boot, peers: Peers) {
    this.boot = boot;
    this.#peers = peers;
    // The supervisor is gone (kill -9 included): nobody would restart or watch us, so stop in order.
    process.on('disconnect', () => void this.#stop());
    // Ctrl-C reaches the whole group; the supervisor decides the order of stopping.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => void this.#stop());
  }

  peers(): Peers {
    return this.#peers;
  }

  onPeers(listener: (peers: Peers) => void): void {
    this.#listeners.push(listener);
    listener(this.#peers);
  }

  whenPeers(ready: (peers: Peers) => boolean): Promise<Peers> {
    return new Promise((resolve) => {
      const check = (peers: Peers): void => {
        if (!ready(peers)) return;
        this.#listeners = this.#listeners.filter((listener) => listener !== check);
        resolve(peers);
      };
      this.onPeers(check);
    });
  }

  certify(csrPem: string): Promise<WorkloadCertificate> {
    const ticket = randomUUID();
    return new Promise((resolve) => {
      // The issuer may be restarting just now, and a request to it then goes nowhere: ask again until answered.
      const again = setInterval(() => send({ type: 'csr', ticket, csrPem }), CERTIFY_RETRY_MS);
      this.#certificates.set(ticket, (certificate) => (clearInterval(again), resolve(certificate)));
      send({ type: 'csr', ticket, csrPem });
    });
  }

  onSign(sign: Signer): void {
    this.#signer.resolve(sign);
  }

  provision(order: ProvisionOrder): Promise<ProvisionedPlace> {
    return this.#order('provision', order) as Promise<never>;
  }

  relocate(order: RelocationOrder): Promise<RelocationReport> {
    return this.#order('relocate', order) as Promise<never>;
  }

  inventory(): Promise<HouseInventory> {
    const ticket = randomUUID();
    const waiting = Promise.withResolvers<Json>();
    this.#orders.set(ticket, waiting);
    send({ type: 'inventory', ticket });
    return waiting.promise as Promise<never>;
  }

  #order(name: keyof Orders, order: ProvisionOrder | RelocationOrder): Promise<Json> {
    const ticket = randomUUID();
    const waiting = Promise.withResolvers<Json>();
    this.#orders.set(ticket, waiting);
    send({ type: 'order', ticket, name, order });
    return waiting.promise;
  }

  onAsk(name: string, answer: (input: Json) => Promise<Json>): void {
    this.#answers.set(name, answer);
  }

  announce(facts: Record<string, Json>): void {
    send({ type: 'announce', facts });
  }

  ready(port: number): void {
    send({ type: 'ready', port });
  }

  onDrain(drain: () => Promise<void>): void {
    this.#drain = drain;
  }

  fatal(error: unknown): never {
    const code = error instanceof AppError ? error.code : 'unexpected';
    const message =
      error instanceof Error ? (code === 'unexpected' ? (error.stack ?? error.message) : error.message) : String(error);
    const passing = PASSING.has(code);
    send({ type: 'fatal', code, message, passing });
    process.exit(passing ? 1 : EXIT_MEND_FIRST);
  }

  /** For `joinSupervisor` alone. */
  receive(message: ToChild): void {
    void this.#handle(message);
  }

  async #handle(message: ToChild): Promise<void> {
    switch (message.type) {
      case 'peers':
        this.#peers = message.peers;
        for (const listener of this.#listeners) listener(this.#peers);
        return;
      case 'certificate':
        this.#certificates.get(message.ticket)?.(message.certificate);
        this.#certificates.delete(message.ticket);
        return;
      case 'sign': {
        const sign = await this.#signer.promise;
        send({ type: 'signed', ticket: message.ticket, certificate: await sign(message.service, message.csrPem) });
        return;
      }
      case 'ordered':
        return this.#ordered(message);
      case 'ask':
        return this.#answer(message.ticket, message.name, message.input);
      case 'drain':
        return this.#stop();
      case 'boot':
        return;
    }
  }

  #ordered({ ticket, ok, output }: Extract<ToChild, { type: 'ordered' }>): void {
    const waiting = this.#orders.get(ticket);
    this.#orders.delete(ticket);
    if (ok) return waiting?.resolve(output);
    const { code, detail } = output as { code: string; detail: string };
    waiting?.reject(new AppError(code, detail));
  }

  async #answer(ticket: string, name: string, input: Json): Promise<void> {
    const answer = this.#answers.get(name);
    try {
      if (answer === undefined) throw new AppError('unknown_question', `${this.boot.service} cannot answer "${name}"`);
      send({ type: 'answer', ticket, ok: true, output: await answer(input) });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      send({
        type: 'answer',
        ticket,
        ok: false,
        output: { code: error instanceof AppError ? error.code : 'unexpected', detail },
      });
    }
  }

  async #stop(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    setTimeout(() => process.exit(1), DRAIN_MS_MAX).unref();
    await this.#drain().catch((error: unknown) => {
      process.stderr.write(`${this.boot.service}: drain failed: ${String(error)}\n`);
    });
    process.exit(0);
  }
}

/**
 * Waits for the boot message, drops privileges and returns the channel. Call it after every import of the process has
 * been evaluated: a clone below a 0700 folder is readable only until then.
 */
export async function joinSupervisor(service: ServiceName): Promise<Membership> {
  if (process.send === undefined) {
    throw new AppError('no_supervisor', `${service} is started by the supervisor: use \`npm start\``);
  }
  // The runtime hands over what has queued up in one go: what follows the boot message must not fall on the floor.
  const early: ToChild[] = [];
  let receive = (message: ToChild): void => void early.push(message);
  const { boot, peers } = await new Promise<Extract<ToChild, { type: 'boot' }>>((resolve, reject) => {
    process.on('message', (message) => {
      const told = message as ToChild;
      if (told.type !== 'boot') return receive(told);
      if (told.boot.service === service) return resolve(told);
      reject(new AppError('wrong_boot_message', `${service} got a boot message for another process`));
    });
  });
  dropPrivileges(boot.runAs);
  const channel = new Channel(boot, peers);
  receive = (message) => channel.receive(message);
  for (const message of early) channel.receive(message);
  return channel;
}
