import {
  LEAVER_HOLDS,
  PROBE_SECONDS_MINUTES,
  type Departure,
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
  silence: 9 * HOUR_MS,
};
const WAYS = Object.keys(AGE_MS_MAX) as readonly LeavingWay[];
const WORDS: Readonly<Record<LeavingWay, string>> = {
  scim: 'by SCIM',
  'scim-entra': 'in Entra’s words',
  'scim-unread': 'in words of no meaning',
  silence: 'without a word',
};

const hasFailed = ({ took_ms }: Departure): boolean => took_ms === undefined;

/** Who held less than a person can hold, as in an earlier version, shows nothing of the rest. */
const heldAll = ({ held, alive }: Departure): boolean =>
  LEAVER_HOLDS.every((name) => held[name] !== undefined || alive.includes(name));

/** The longest for each kind of access. */
function worstOf(departures: readonly Departure[]): Record<string, number> {
  return Object.fromEntries(
    LEAVER_HOLDS.map((name) => [name, Math.max(...departures.map(({ held }) => held[name] ?? 0))]),
  );
}

/** In the unit in which people would say it. */
function spoken(ms: number): string {
  if (ms >= HOUR_MS) return `${Math.floor(ms / HOUR_MS)} h ${Math.ceil((ms % HOUR_MS) / 60_000)} min`;
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms} ms`;
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
  run(house) {
    const done = checks();
    const day = house.departures(WINDOW_SECONDS);
    const of = WAYS.map((way) => {
      const all = day.filter((one) => one.way === way);
      for (const { alive } of all.filter(hasFailed))
        done.expect(false, `Somebody left ${WORDS[way]}, and this still worked afterwards: ${alive.join(', ')}.`);
      const worst_ms = Math.max(0, ...all.map(({ took_ms }) => took_ms ?? 0));
      return { way, count: all.length, worst_ms, holds_ms: worstOf(all) };
    });
    const worst_ms = Math.max(...of.map((one) => one.worst_ms));
    const value = Number((worst_ms / HOUR_MS).toFixed(4));
    done.expect(value <= LIMIT_HOURS, `The longest took ${spoken(worst_ms)}.`);
    const told = of.map(({ way, count, worst_ms: ms }) => `${WORDS[way]} ${spoken(ms)} (${count})`);
    const result = verdict(done, {
      green: `Longest until none of ${LEAVER_HOLDS.length} kinds of access of a leaver worked, in a day: ${told.join(', ')}. Nobody came back. Directory and provider are the house’s own; when a customer’s say so is not in it.`,
      measured: { value, limit: LIMIT_HOURS, unit: 'hours' },
      evidence: Object.fromEntries(
        of.map(({ way, count, worst_ms: ms, holds_ms }) => [way, { departures: count, worst_ms: ms, holds_ms }]),
      ),
    });
    return Promise.resolve({
      ...result,
      rehearsedAgainst: 'a directory and an identity provider that the prober plays',
    });
  },
};
