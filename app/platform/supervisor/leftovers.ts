import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process whose supervisor is gone drains for at most eight seconds; past this it hangs. */
const LEFTOVER_MS_MAX = 10_000;
const POLL_MS = 50;
/** A killed process is gone at once, unless it waits for a disk that does not answer. */
const KILLED_MS_MAX = 5_000;

/** The arguments of a process that is alive; empty for one that is gone, a zombie, or another user's secret. */
function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** Our processes carry their state folder as their last argument. */
function leftovers(statePath: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const words = argumentsOf(pid);
      return words.at(-1) === statePath && /\/app\/bin\/[a-z]+\.ts$/.test(words.at(-2) ?? '');
    })
    .map(Number);
}

async function untilGone(statePath: string, ms_max: number): Promise<number[]> {
  const deadline = performance.now() + ms_max;
  let left = leftovers(statePath);
  while (left.length > 0 && performance.now() < deadline) {
    await sleep(POLL_MS);
    left = leftovers(statePath);
  }
  return left;
}

/**
 * Waits until the processes of a supervisor that was killed have ended (they drain by themselves), and ends those that
 * do not: two writers of one key ring or one journal must never meet. Call it only while holding the state folder.
 */
export async function endLeftovers(statePath: string, progress: (line: string) => void): Promise<void> {
  if (leftovers(statePath).length === 0) return;
  progress('an earlier start was killed: waiting for its processes to end');
  for (const pid of await untilGone(statePath, LEFTOVER_MS_MAX)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone between the look and the signal
    }
  }
  await untilGone(statePath, KILLED_MS_MAX);
}
