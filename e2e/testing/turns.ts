// Houses of two test files start one after the other: a start uses every core there is, and two at once on a loaded
// machine run into the deadlines that their processes have for each other.
import { createHash } from 'node:crypto';
import { existsSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { throwAwayHome } from '../../app/platform/db/testing.ts';

const POLL_MS = 50;
/** Then it starts beside the other one, which hangs or is very slow: waiting on would only hide that. */
const TURN_MS_MAX = 90_000;

/** A link that names the process whose turn it is; made in one step, of this checkout. */
function turnPath(): string {
  const checkout = createHash('sha256')
    .update(import.meta.dirname)
    .digest('hex')
    .slice(0, 16);
  return join(throwAwayHome(), `turn-${checkout}`);
}

function take(path: string): boolean {
  try {
    symlinkSync(String(process.pid), path);
    return true;
  } catch {
    return false;
  }
}

function isHeld(path: string): boolean {
  try {
    return existsSync(`/proc/${readlinkSync(path)}`);
  } catch {
    return false;
  }
}

/** Does the work when no other test process of this checkout does work of this kind. */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const path = turnPath();
  const deadline = performance.now() + TURN_MS_MAX;
  let mine = take(path);
  while (!mine && performance.now() < deadline) {
    if (isHeld(path)) await sleep(POLL_MS);
    else rmSync(path, { force: true }); // of a test run that was killed
    mine = take(path);
  }
  try {
    return await work();
  } finally {
    if (mine) rmSync(path, { force: true });
  }
}
