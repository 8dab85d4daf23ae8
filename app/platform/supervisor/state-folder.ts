import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@auditrax/base';

/** Written once the first start has finished: from then on a missing key is a loss, never a reason to make a new one. */
const INITIALISED = 'initialised';
const LOCK = 'supervisor.pid';
const STOPPING = 'stopping';
/** A supervisor whose bootstrap has just died notices it within this time and begins to stop. */
const NOTICE_MS_MAX = 2_000;
/** The longest orderly stop: seven processes and the database, each with its own bound. */
const STOPPING_MS_MAX = 90_000;
const POLL_MS = 50;

export interface StateFolder {
  readonly path: string;
  /** True until `markInitialised`: only then may keys and the database be created. */
  readonly isNew: boolean;
  /** What the processes say is kept here. */
  readonly logFile: string;
  /** A subfolder of mode 0700 owned by the given user (or by us). */
  own(name: string, user?: { uid: number; gid: number }): string;
  markInitialised(): void;
  /** Says that this supervisor is ending, so that a next start waits for it instead of refusing. */
  markStopping(): void;
  release(): void;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** True when `pid` is a supervisor of ours and not an unrelated process that got the number later. */
function isSupervisor(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('bin/main.ts');
  } catch {
    return false;
  }
}

/** The supervisor that holds the folder, other than this one; undefined when none is alive. */
function holder(path: string): { readonly pid: number; readonly stopping: boolean } | undefined {
  const file = join(path, LOCK);
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, 'utf8');
  const pid = Number.parseInt(text, 10);
  if (!(pid > 0) || pid === process.pid || !isAlive(pid) || !isSupervisor(pid)) return undefined;
  return { pid, stopping: text.includes(STOPPING) };
}

/**
 * Waits for a supervisor that is stopping (its terminal was closed, its bootstrap killed) until it has let the folder
 * go. One that runs on is left to `openStateFolder` to refuse.
 */
export async function awaitPredecessor(path: string, progress: (line: string) => void): Promise<void> {
  const started = performance.now();
  let said = false;
  for (;;) {
    const held = existsSync(path) ? holder(path) : undefined;
    const patience_ms = held?.stopping === true ? STOPPING_MS_MAX : NOTICE_MS_MAX;
    if (held === undefined || performance.now() - started > patience_ms) return;
    if (held.stopping && !said) progress('an earlier start is just stopping: waiting for it');
    said ||= held.stopping;
    await sleep(POLL_MS);
  }
}

function claim(path: string): void {
  const file = join(path, LOCK);
  const held = holder(path);
  if (held !== undefined) {
    throw new AppError(
      'already_running',
      `Auditrax is already running here (process ${held.pid}, state ${path}): stop it with Ctrl-C there, or set AUDITRAX_STATE to another folder`,
    );
  }
  writeFileSync(`${file}.new`, String(process.pid), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/**
 * Opens (or makes) the state folder. Throws `state_of_another_user`, `already_running`, `state_not_a_folder`, each with
 * its fix in the message.
 */
export function openStateFolder(path: string): StateFolder {
  const uid = process.getuid!();
  if (!existsSync(path)) {
    try {
      mkdirSync(path, { recursive: true, mode: 0o711 });
    } catch (error) {
      throw new AppError(
        'state_not_writable',
        `cannot make the state folder ${path}: set AUDITRAX_STATE to a folder you may write`,
        { cause: error },
      );
    }
  }
  const stat = lstatSync(path);
  if (!stat.isDirectory())
    throw new AppError('state_not_a_folder', `${path} is not a folder: set AUDITRAX_STATE to another path`);
  if (stat.uid !== uid) {
    throw new AppError(
      'state_of_another_user',
      `the state folder ${path} belongs to user ${stat.uid}, not to you (${uid}): start as that user, or set AUDITRAX_STATE to another folder`,
    );
  }
  // Traversable but not listable: each process finds its own subfolder and nothing else.
  chmodSync(path, 0o711);
  claim(path);
  return {
    path,
    isNew: !existsSync(join(path, INITIALISED)),
    logFile: join(path, 'house.log'),
    own: (name, user) => {
      const folder = join(path, name);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      chmodSync(folder, 0o700);
      if (user !== undefined && uid === 0) chownSync(folder, user.uid, user.gid);
      return folder;
    },
    markInitialised: () => writeFileSync(join(path, INITIALISED), `${new Date().toISOString()}\n`, { mode: 0o600 }),
    markStopping: () => {
      if (existsSync(join(path, LOCK))) writeFileSync(join(path, LOCK), `${process.pid} ${STOPPING}`, { mode: 0o600 });
    },
    release: () => rmSync(join(path, LOCK), { force: true }),
  };
}
