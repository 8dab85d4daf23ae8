import { AppError } from '@auditrax/base';
import type { SequencedEntry, Sequencer } from './sequencer.ts';

/** While entries arrive: how long a group commit collects. */
export const TICK_MS = 10;
/** While nothing arrives: how often the queue is looked at. A waiting receipt wakes the sequencer at once. */
const IDLE_POLL_MS = 50;
/** A quarter of the guard's bound, so that one slow beat does not stop the writers. */
const BEAT_MS = 500;
/** After a failure: long enough not to spin, short enough to be back within the guard's bound. */
const RETRY_MS = 200;
/** The same trouble is told again after this long: a cell that is away is away many times a second. */
const TELL_AGAIN_MS = 30_000;
/** Failures that a person must look at: a database that knows less, or other, than was signed. */
const NEEDS_A_PERSON: ReadonlySet<string> = new Set(['audit_log_behind_signer', 'audit_head_corrupt']);

export interface CellLoopDeps {
  readonly cell: string;
  readonly sequencer: Sequencer;
  readonly publish: (entries: readonly SequencedEntry[]) => void;
  /** Told about failures; `stopped` when this cell's log must not continue without a person. */
  readonly onTrouble: (error: unknown, about: { readonly cell: string; readonly stopped: boolean }) => void;
}

/** The one sequencer of a cell, kept going. Without it the cell's heartbeat grows old and its writers are refused. */
export interface CellLoop {
  /** Compares with the signer and begins to sequence. Rejects with `audit_log_behind_signer` and stays stopped. */
  start(): Promise<void>;
  /** The same for a cell that may be away just now: tries until it is there. Only a refusal of the signer ends it. */
  keepStarting(): void;
  /** What keeps the cell's log from running; undefined when it runs. */
  trouble(): string | undefined;
  wake(): void;
  /** Finishes the batch in hand. */
  stop(): Promise<void>;
}

export function createCellLoop(deps: CellLoopDeps): CellLoop {
  return new SequencerLoop(deps);
}

class SequencerLoop implements CellLoop {
  readonly #deps: CellLoopDeps;
  #running = false;
  #trouble: string | undefined = 'not started';
  #told: { readonly words: string; readonly at: number } | undefined;
  #wake = (): void => undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(deps: CellLoopDeps) {
    this.#deps = deps;
  }

  trouble(): string | undefined {
    return this.#trouble;
  }

  wake(): void {
    this.#wake();
  }

  async start(): Promise<void> {
    if (this.#running) return;
    try {
      await this.#deps.sequencer.recover();
    } catch (error) {
      this.#trouble = wordsOf(error);
      throw error;
    }
    this.#running = true;
    this.#trouble = undefined;
    this.#done = this.#run();
  }

  keepStarting(): void {
    if (this.#running) return;
    this.#running = true;
    this.#done = this.#begin();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#wake();
    await this.#done;
  }

  async #begin(): Promise<void> {
    while (this.#running) {
      try {
        await this.#deps.sequencer.recover();
        this.#trouble = undefined;
        return await this.#run();
      } catch (error) {
        if (!this.#troubled(error)) await this.#pause(RETRY_MS);
      }
    }
  }

  /** No error ends it but a refusal of the signer. */
  async #run(): Promise<void> {
    const { sequencer, publish } = this.#deps;
    let beatAt = -Infinity;
    while (this.#running) {
      try {
        const busy = await sequencer.waiting();
        if (busy || this.#trouble !== undefined || performance.now() - beatAt > BEAT_MS) {
          publish(await sequencer.sequenceBatch());
          beatAt = performance.now();
          this.#trouble = undefined;
          this.#told = undefined;
        }
        await this.#pause(busy ? TICK_MS : IDLE_POLL_MS);
      } catch (error) {
        if (!this.#troubled(error)) await this.#pause(RETRY_MS);
      }
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Remembers and tells; true when a person is needed. */
  #troubled(error: unknown): boolean {
    const stopped = error instanceof AppError && NEEDS_A_PERSON.has(error.code);
    const words = wordsOf(error);
    this.#trouble = words;
    if (stopped) this.#running = false;
    const now = performance.now();
    if (stopped || this.#told?.words !== words || now - this.#told.at > TELL_AGAIN_MS) {
      this.#told = { words, at: now };
      this.#deps.onTrouble(error, { cell: this.#deps.cell, stopped });
    }
    return stopped;
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
