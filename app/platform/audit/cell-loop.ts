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
  const { cell, sequencer, publish } = deps;
  let running = false;
  let trouble: string | undefined = 'not started';
  let told: { readonly words: string; readonly at: number } | undefined;
  let wake = (): void => undefined;
  let done: Promise<void> = Promise.resolve();

  const pause = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  /** Remembers and tells; true when a person is needed. */
  const troubled = (error: unknown): boolean => {
    const stopped = error instanceof AppError && NEEDS_A_PERSON.has(error.code);
    const words = error instanceof Error ? error.message : String(error);
    trouble = words;
    if (stopped) running = false;
    const now = performance.now();
    if (stopped || told?.words !== words || now - told.at > TELL_AGAIN_MS) {
      told = { words, at: now };
      deps.onTrouble(error, { cell, stopped });
    }
    return stopped;
  };
  /** No error ends it but a refusal of the signer. */
  const run = async (): Promise<void> => {
    let beatAt = -Infinity;
    while (running) {
      try {
        const busy = await sequencer.waiting();
        if (busy || trouble !== undefined || performance.now() - beatAt > BEAT_MS) {
          publish(await sequencer.sequenceBatch());
          beatAt = performance.now();
          trouble = undefined;
          told = undefined;
        }
        await pause(busy ? TICK_MS : IDLE_POLL_MS);
      } catch (error) {
        if (!troubled(error)) await pause(RETRY_MS);
      }
    }
  };

  return {
    trouble: () => trouble,
    wake: () => wake(),
    start: async () => {
      try {
        await sequencer.recover();
      } catch (error) {
        trouble = error instanceof Error ? error.message : String(error);
        throw error;
      }
      running = true;
      trouble = undefined;
      done = run();
    },
    keepStarting: () => {
      running = true;
      const begin = async (): Promise<void> => {
        while (running) {
          try {
            await sequencer.recover();
            trouble = undefined;
            return await run();
          } catch (error) {
            if (!troubled(error)) await pause(RETRY_MS);
          }
        }
      };
      done = begin();
    },
    stop: async () => {
      running = false;
      wake();
      await done;
    },
  };
}
