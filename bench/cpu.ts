import { readdirSync, readFileSync } from 'node:fs';

/** Ticks a second of `/proc/<pid>/stat`; fixed at 100 on every Linux that Node runs on (USER_HZ). */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
  readonly parent: number;
  /** User and system time of the process itself, in seconds, its finished threads included. */
  readonly own_seconds: number;
  /** The same of children that have ended and were waited for. */
  readonly reaped_seconds: number;
}

/** Undefined when there is no such process any more. Source: proc(5). */
function timesOf(pid: number): ProcessTimes | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name stands in brackets and may hold anything; the fields after it begin with the state (3).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (field: number): number => Number(fields[field - 3]) / TICKS_PER_SECOND;
  return {
    parent: Number(fields[1]),
    own_seconds: ticks(14) + ticks(15),
    reaped_seconds: ticks(16) + ticks(17),
  };
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => timesOf(candidate)?.parent === pid);
}

/** PostgreSQL names its helpers (`postgres: walwriter`) and its backends (`postgres: role database …`). */
function isBackend(pid: number): boolean {
  try {
    const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return /^postgres: ax_\w+ \S+ /.test(title);
  } catch {
    return false;
  }
}

/** Whose CPU time is counted. `services`: name to pid. */
export interface Watched {
  readonly services: Readonly<Record<string, number>>;
  readonly postmaster: number;
  /** Backends of the other side, which do not count for this one. */
  readonly foreignBackends: readonly number[];
}

/** CPU seconds by name since each process began; `postgresql` is the server with every backend but the foreign ones. */
export function houseSeconds(watched: Watched): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const [name, pid] of Object.entries(watched.services)) {
    const times = timesOf(pid);
    if (times === undefined) throw new Error(`process ${name} (${pid}) is gone: the measurement would be short`);
    seconds[name] = times.own_seconds;
  }
  // Own time, living children and reaped ones: nothing is lost when a backend ends in between.
  const server = timesOf(watched.postmaster);
  if (server === undefined) throw new Error('PostgreSQL is gone');
  const living = childrenOf(watched.postmaster).filter((pid) => !watched.foreignBackends.includes(pid));
  const children = living.reduce((sum, pid) => sum + (timesOf(pid)?.own_seconds ?? 0), 0);
  seconds['postgresql'] = server.own_seconds + server.reaped_seconds + children;
  return seconds;
}

/** CPU seconds of the bare side: its process, its backends, and PostgreSQL's helpers, which write its log too. */
export function bareSeconds(bare: {
  pid: number;
  backends: readonly number[];
  postmaster: number;
}): Record<string, number> {
  const own = timesOf(bare.pid);
  const backends = bare.backends.map((pid) => timesOf(pid)?.own_seconds);
  if (own === undefined || backends.includes(undefined)) throw new Error('a process of the bare side is gone');
  const helpers = childrenOf(bare.postmaster).filter((pid) => !isBackend(pid) && !bare.backends.includes(pid));
  const helped = helpers.reduce((sum, pid) => sum + (timesOf(pid)?.own_seconds ?? 0), 0);
  const served = backends.reduce<number>((sum, seconds) => sum + (seconds ?? 0), 0);
  return { server: own.own_seconds, postgresql: served + helped };
}

/** Difference by name. */
export function since(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]));
}

export function total(seconds: Record<string, number>): number {
  return Object.values(seconds).reduce((sum, value) => sum + value, 0);
}
