import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isAppError, type Clock, type Uuid } from '@auditrax/base';
import type { Departure, LeavingWay, ProbeHouse } from '../claims/probe.ts';
import type { Observation } from '../platform/audit/index.ts';
import type { Holding } from './leaver-holding.ts';

/** A day at one an hour in each way, and again as many. */
const KEPT_MAX = 200;
/** What a fact of an entry can hold. */
const ALIVE_CHARS_MAX = 400;
/** `, and 99 more`, and some. */
const REST_CHARS = 20;

/** Somebody of whom nobody says anything any more, while they are followed. */
export interface SilentLeaver {
  readonly holding: Holding;
  readonly nonce: Uuid;
  readonly left_ms: number;
  /** When each thing was last seen to work. */
  readonly alive_ms: Readonly<Record<string, number>>;
  /** What does not work any more, and after how long. */
  readonly ended_ms: Readonly<Record<string, number>>;
}

interface Kept {
  readonly departures: readonly Departure[];
  readonly silent?: SilentLeaver;
}

/** What has become of those who left, in the operator's log and over restarts of this process. */
export interface Departures {
  readonly recent: ProbeHouse['departures'];
  readonly silent: SilentLeaver | undefined;
  keepSilent(silent: SilentLeaver | undefined): void;
  /** Stands in the log before anything is done, so that a departure that went badly cannot be left out. */
  announce(way: LeavingWay): Promise<Uuid>;
  check(nonce: Uuid, departure: Departure): Promise<void>;
  /** The drill could not be carried out: nothing was seen. */
  noteFailure(nonce: Uuid, way: LeavingWay, error: unknown): Promise<void>;
}

export interface DeparturesDeps {
  readonly clock: Clock;
  readonly file: string;
  /** Into the operator's log. */
  readonly record: (observation: Observation) => Promise<unknown>;
}

function spell(held: Departure['held']): string {
  return Object.entries(held)
    .map(([name, ms]) => `${name} ${ms}`)
    .join(', ');
}

/** As many as an entry can hold: a departure that went very badly must not be the one that nobody can write down. */
function spellAlive(alive: Departure['alive']): string {
  const whole = alive.join(', ');
  if (whole.length <= ALIVE_CHARS_MAX) return whole;
  let count = 0;
  let told = '';
  for (const name of alive) {
    const more = count === 0 ? name : `${told}, ${name}`;
    if (more.length > ALIVE_CHARS_MAX - REST_CHARS) break;
    told = more;
    count += 1;
  }
  return `${told}, and ${alive.length - count} more`;
}

/** What an earlier version has kept of somebody who held less is let go: they are followed no further. */
function readKept(file: string): Kept {
  const { silent, ...kept } = JSON.parse(readFileSync(file, 'utf8')) as Omit<Kept, 'silent'> & {
    silent?: Partial<SilentLeaver>;
  };
  return silent?.holding === undefined ? kept : { ...kept, silent: silent as SilentLeaver };
}

export function openDepartures({ clock, file, record }: DeparturesDeps): Departures {
  let kept: Kept = existsSync(file) ? readKept(file) : { departures: [] };
  const keep = (next: Kept): void => {
    writeFileSync(`${file}.new`, JSON.stringify(next), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    kept = next;
  };
  const entryOf = (nonce: Uuid) => ({ resource: ['departure', nonce] as const, requestId: nonce });
  return {
    recent: (window_seconds) => {
      const since_ms = clock.nowMs() - window_seconds * 1000;
      return kept.departures.filter(({ checked_ms }) => checked_ms >= since_ms);
    },
    get silent() {
      return kept.silent;
    },
    keepSilent: (silent) => keep({ departures: kept.departures, ...(silent === undefined ? {} : { silent }) }),
    async announce(way) {
      const nonce = randomUUID() as Uuid;
      await record({
        ...entryOf(nonce),
        type: 'canary.departure.announced',
        outcome: 'allowed',
        public: { nonce, way },
      });
      return nonce;
    },
    async check(nonce, departure) {
      const { way, took_ms, held, alive } = departure;
      await record({
        ...entryOf(nonce),
        type: 'canary.departure.checked',
        outcome: took_ms === undefined ? 'failed' : 'allowed',
        public: { nonce, way, ran: true, took_ms: took_ms ?? -1, held: spell(held), alive: spellAlive(alive) },
      });
      keep({ ...kept, departures: [...kept.departures, departure].slice(-KEPT_MAX) });
    },
    async noteFailure(nonce, way, error) {
      const code = isAppError(error) ? error.code : 'unknown';
      await record({
        ...entryOf(nonce),
        type: 'canary.departure.checked',
        outcome: 'failed',
        public: { nonce, way, ran: false, code },
      });
    },
  };
}
