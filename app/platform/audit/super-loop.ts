import { AppError, type Clock } from '@auditrax/base';
import { EPOCH_MS, type SuperLog } from './super-log.ts';

export interface SuperLoop {
  /** What keeps the super-log from growing; undefined when it grows. */
  trouble(): string | undefined;
  /** Finishes the epoch in hand. */
  stop(): Promise<void>;
}

export interface SuperLoopDeps {
  readonly superLog: SuperLog;
  readonly clock: Clock;
  readonly epoch_ms?: number;
  readonly onTrouble: (error: unknown, about: { readonly stopped: boolean }) => void;
}

/**
 * An epoch at each full minute. A failure is told and waits for the next one: no writer waits for the super-log. Only a
 * home that knows less than was signed ends it, until a person has looked.
 */
export function startSuperLoop({ superLog, clock, epoch_ms = EPOCH_MS, onTrouble }: SuperLoopDeps): SuperLoop {
  let trouble: string | undefined = 'not one epoch yet';
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let isEnding = false;

  const once = async (): Promise<void> => {
    let stopped = false;
    try {
      await superLog.runEpoch();
      trouble = undefined;
    } catch (error) {
      stopped = error instanceof AppError && error.code === 'audit_log_behind_signer';
      trouble = error instanceof Error ? error.message : String(error);
      onTrouble(error, { stopped });
    }
    if (!stopped && !isEnding) wait();
  };
  const wait = (): void => {
    const wait_ms = epoch_ms - (clock.nowMs() % epoch_ms);
    timer = setTimeout(() => {
      running = once();
    }, wait_ms);
  };
  running = once();
  return {
    trouble: () => trouble,
    stop: async () => {
      isEnding = true;
      clearTimeout(timer);
      await running;
    },
  };
}
