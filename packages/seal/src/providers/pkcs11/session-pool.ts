import { isAppError } from '@auditrax/base';
import type { AppError } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import type { SealErrorCode } from '../../errors.ts';
import { ModuleChild } from './module-child.ts';
import type { ModuleSettings, TokenCall, TokenFailure } from './messages.ts';

/** A module that crashes at start is not started in a tight loop; the first try after a crash is quick. */
const RESTART_PAUSE_MS_MIN = 50;
const RESTART_PAUSE_MS_MAX = 10_000;

export interface PoolSettings {
  readonly module: ModuleSettings;
  readonly environment: Readonly<Record<string, string>>;
  readonly sessions: number;
  readonly queue_max: number;
  readonly deadline_ms: number;
}

interface Job {
  readonly call: TokenCall;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  timer: NodeJS.Timeout | undefined;
  /** The slot that serves it now. */
  slot: Slot | undefined;
}

interface Slot {
  child: ModuleChild | undefined;
  job: Job | undefined;
  crashes: number;
  restartAtMs: number;
}

/**
 * Sessions of a token, each in a child of its own, so that one operation at a time runs in one session and a module
 * that crashes, hangs or leaks is ended without the keys of its caller. Children are started on demand, the second only
 * after the first has logged in: a wrong PIN is tried once, not once for each session.
 */
export class SessionPool {
  readonly #settings: PoolSettings;
  readonly #slots: readonly Slot[];
  readonly #queue: Job[] = [];
  #hasLoggedIn = false;
  #refusal: AppError<SealErrorCode> | undefined;
  #wake: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(settings: PoolSettings) {
    this.#settings = settings;
    this.#slots = Array.from({ length: settings.sessions }, () => ({
      child: undefined,
      job: undefined,
      crashes: 0,
      restartAtMs: 0,
    }));
  }

  /** Process ids of the children that live now. */
  get processIds(): readonly number[] {
    return this.#slots.flatMap(({ child }) => (child?.pid === undefined ? [] : [child.pid]));
  }

  /** Throws what the child said, `kek_throttled` (queue full), `kek_unavailable` (deadline, crash, closed). */
  call(call: TokenCall): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(sealError('kek_unavailable', 'the token was closed'));
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    if (this.#queue.length >= this.#settings.queue_max) {
      return Promise.reject(
        sealError('kek_throttled', `${this.#settings.queue_max} calls wait for the token already: try again later`),
      );
    }
    return new Promise((resolve, reject) => {
      const job: Job = { call, resolve, reject, timer: undefined, slot: undefined };
      job.timer = setTimeout(() => this.#expire(job), this.#settings.deadline_ms);
      this.#queue.push(job);
      this.#pump();
    });
  }

  /** Ends the children; calls under way fail with `kek_unavailable`. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#wake);
    this.#failQueue(sealError('kek_unavailable', 'the token was closed'));
    for (const slot of this.#slots) {
      if (slot.job !== undefined) this.#fail(slot.job, sealError('kek_unavailable', 'the token was closed'));
      slot.child?.kill();
    }
  }

  #pump(): void {
    while (this.#queue.length > 0) {
      const slot = this.#freeSlot();
      if (slot === undefined) return;
      const job = this.#queue.shift()!;
      slot.job = job;
      job.slot = slot;
      void this.#serve(slot, job);
    }
  }

  /** A live idle child first, else one to start; undefined when all are busy or paused (then a timer pumps again). */
  #freeSlot(): Slot | undefined {
    const free = this.#slots.filter((slot) => slot.job === undefined);
    const live = free.find((slot) => slot.child !== undefined);
    if (live !== undefined) return live;
    if (!this.#hasLoggedIn && this.#slots.some((slot) => slot.job !== undefined)) return undefined;
    const now = Date.now();
    const ready = free.find((slot) => slot.restartAtMs <= now);
    if (ready !== undefined) return ready;
    if (free.length > 0) {
      clearTimeout(this.#wake);
      const wait_ms = Math.min(...free.map((slot) => slot.restartAtMs)) - now;
      this.#wake = setTimeout(() => this.#pump(), wait_ms);
    }
    return undefined;
  }

  async #serve(slot: Slot, job: Job): Promise<void> {
    try {
      const child = slot.child ?? (await this.#start(slot));
      const reply = await child.ask(job.call);
      if ('failure' in reply) throw this.#told(reply.failure);
      slot.crashes = 0;
      this.#hasLoggedIn = true;
      job.resolve(reply.value);
    } catch (error) {
      job.reject(
        isAppError(error)
          ? error
          : sealError('kek_unavailable', error instanceof Error ? error.message : 'the PKCS#11 module failed', error),
      );
    } finally {
      clearTimeout(job.timer);
      if (slot.job === job) slot.job = undefined;
      this.#pump();
    }
  }

  async #start(slot: Slot): Promise<ModuleChild> {
    const child: ModuleChild = new ModuleChild(this.#settings.environment, () => {
      if (slot.child !== child) return;
      slot.child = undefined;
      const pause_ms = Math.min(RESTART_PAUSE_MS_MIN * 2 ** slot.crashes, RESTART_PAUSE_MS_MAX);
      slot.crashes += 1;
      slot.restartAtMs = Date.now() + pause_ms;
    });
    slot.child = child;
    const reply = await child.ask({ op: 'configure', settings: this.#settings.module });
    if ('failure' in reply) {
      // A module that could not be loaded once is loaded anew by the next call, in a new process.
      child.kill();
      throw this.#told(reply.failure);
    }
    return child;
  }

  #told(failure: TokenFailure): AppError<SealErrorCode> {
    const error = sealError(failure.code, failure.message);
    if (failure.pinRefused) {
      this.#refusal = error;
      this.#failQueue(error);
    }
    return error;
  }

  /** Past its deadline: a call that waits is dropped, one that hangs in the module takes its child with it. */
  #expire(job: Job): void {
    const { deadline_ms } = this.#settings;
    const isWaiting = job.slot === undefined;
    if (isWaiting) this.#queue.splice(this.#queue.indexOf(job), 1);
    this.#fail(job, sealError('kek_unavailable', `the token did not answer "${job.call.op}" in ${deadline_ms} ms`));
    if (!isWaiting) job.slot!.child?.kill();
  }

  #fail(job: Job, error: Error): void {
    clearTimeout(job.timer);
    job.reject(error);
  }

  #failQueue(error: Error): void {
    for (const job of this.#queue.splice(0)) this.#fail(job, error);
  }
}
