import {
  LEAVER_HOLDS,
  PROBE_SECONDS_MINUTES,
  type Departure,
  type FigureTable,
  type LeaverHolds,
  type LeavingWay,
  type Probe,
} from '../../claims/probe.ts';
import { checks, verdict } from '../../claims/verdict.ts';

const WINDOW_SECONDS = 86_400;
const LIMIT_HOURS = 4;
const HOUR_MS = 3_600_000;
/**
 * How old the newest departure of each way may be: one an hour, and what a slow one takes; without a word each takes as
 * long as the limit, and of two one may be missed.
 */
const AGE_MS_MAX: Readonly<Record<LeavingWay, number>> = {
  scim: 70 * 60_000,
  'scim-entra': 70 * 60_000,
  'scim-unread': 70 * 60_000,
  signal: 70 * 60_000,
  silence: 9 * HOUR_MS,
};
const WAYS = Object.keys(AGE_MS_MAX) as readonly LeavingWay[];
const WORDS: Readonly<Record<LeavingWay, string>> = {
  scim: 'by SCIM',
  'scim-entra': 'by SCIM, as Entra sends it',
  'scim-unread': 'by an unreadable message',
  signal: 'by a signal',
  silence: 'with no message',
};

const hasFailed = ({ took_ms }: Departure): boolean => took_ms === undefined;

/** Who held less than a person can hold, as in an earlier version, shows nothing of the rest. */
const heldAll = ({ held, alive }: Departure): boolean =>
  LEAVER_HOLDS.every((name) => held[name] !== undefined || alive.includes(name));

interface Seen {
  readonly way: LeavingWay;
  readonly departures: readonly Departure[];
  /** Of those that came to an end. */
  readonly worst_ms: number;
  /** The longest for each kind of access; none for one that nobody was seen to lose. */
  readonly holds_ms: Readonly<Record<string, number>>;
}

function seenIn(day: readonly Departure[]): readonly Seen[] {
  return WAYS.map((way) => {
    const departures = day.filter((one) => one.way === way);
    const longest = LEAVER_HOLDS.flatMap((name) => {
      const times = departures.flatMap(({ held }) => held[name] ?? []);
      return times.length === 0 ? [] : [[name, Math.max(...times)] as const];
    });
    const worst_ms = Math.max(0, ...departures.map(({ took_ms }) => took_ms ?? 0));
    return { way, departures, worst_ms, holds_ms: Object.fromEntries(longest) };
  });
}

/** In the unit in which people would say it. */
function spoken(ms: number): string {
  const minutes = Math.ceil(ms / 60_000);
  if (minutes > 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  if (ms >= 2 * 60_000) return `${minutes} min`;
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms} ms`;
}

const NOT_MEASURED = 'not measured';
const STAND_INS = 'a directory, an identity provider and its transmitter of signals that the prober plays';

/** How long it took until everything was refused, or that it was not. */
function wholeOf({ departures }: Seen): string {
  if (departures.some(hasFailed)) return 'not all of it ended';
  const times = departures.filter(heldAll).flatMap(({ took_ms }) => took_ms ?? []);
  return times.length === 0 ? NOT_MEASURED : spoken(Math.max(...times));
}

function cellOf({ departures, holds_ms }: Seen, name: LeaverHolds): string {
  if (departures.some(({ alive }) => alive.includes(name))) return 'still worked';
  const ms = holds_ms[name];
  return ms === undefined ? NOT_MEASURED : spoken(ms);
}

const headed = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1);

function tableOf(seen: readonly Seen[]): FigureTable {
  const told = seen.map((one) => `${WORDS[one.way]} ${wholeOf(one)}`);
  return {
    summary: `Longest until nothing of a leaver worked, in the last day, rehearsed: ${told.join(', ')}.`,
    caption: `How long each thing still worked at most after somebody had left, in the last 24 hours; rehearsed against ${STAND_INS}.`,
    columns: seen.map(({ way }) => headed(WORDS[way])),
    rows: [
      { name: 'Departures', cells: seen.map(({ departures }) => String(departures.length)) },
      ...LEAVER_HOLDS.map((name) => ({ name: headed(name), cells: seen.map((one) => cellOf(one, name)) })),
      { name: 'All of it', cells: seen.map(wholeOf) },
    ],
  };
}

/**
 * The longest that anything of somebody who left still worked, over the last day. Departures are carried out by the
 * sentinel, through the edge. As long as none without a word is complete there is no figure, and none when they are late.
 */
export const revocationProbe: Probe = {
  id: 'identity.revocation',
  claims: ['people.revocation'],
  everySeconds: PROBE_SECONDS_MINUTES,
  isReady(house) {
    const day = house.departures(WINDOW_SECONDS);
    const now_ms = house.clock.nowMs();
    const isRecent = (way: LeavingWay): boolean =>
      day.some((one) => one.way === way && heldAll(one) && now_ms - one.checked_ms <= AGE_MS_MAX[way]);
    return day.some(hasFailed) || WAYS.every(isRecent);
  },
  soFar: (house) => tableOf(seenIn(house.departures(WINDOW_SECONDS))),
  run(house) {
    const done = checks();
    const seen = seenIn(house.departures(WINDOW_SECONDS));
    for (const { way, departures } of seen)
      for (const { alive } of departures.filter(hasFailed))
        done.expect(false, `Somebody left ${WORDS[way]}, and this still worked afterwards: ${alive.join(', ')}.`);
    const worst_ms = Math.max(...seen.map((one) => one.worst_ms));
    const value = Number((worst_ms / HOUR_MS).toFixed(4));
    done.expect(value <= LIMIT_HOURS, `The longest took ${spoken(worst_ms)}.`);
    const told = seen.map(({ way, departures, worst_ms: ms }) => `${WORDS[way]} ${spoken(ms)} (${departures.length})`);
    const result = verdict(done, {
      green: `Longest until none of ${LEAVER_HOLDS.length} kinds of access of a leaver worked, in a day: ${told.join(', ')}. Nobody came back. All are played; when a customer’s say so is not in it.`,
      measured: { value, limit: LIMIT_HOURS, unit: 'hours' },
      evidence: Object.fromEntries(
        seen.map(({ way, departures, worst_ms: ms, holds_ms }) => [
          way,
          { departures: departures.length, worst_ms: ms, holds_ms },
        ]),
      ),
    });
    return Promise.resolve({ ...result, rehearsedAgainst: STAND_INS });
  },
};
