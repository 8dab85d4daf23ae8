import { AppError, type Clock } from '@auditrax/base';
import type { Departure } from '../claims/probe.ts';
import type { Departures } from './departures.ts';
import type { Held, LeaverPeople, SpokenWay } from './leaver-people.ts';

/** Nobody's access may outlive what they were by more than this, whoever forgets to say so. */
const LIMIT_MS = 4 * 3_600_000;
/** Looked for less often than this, the moment at which something stopped working is not known. */
const GAP_MS_MAX = 10 * 60_000;
/** After a word of the directory nothing works within seconds; what works now has been forgotten. */
export const FOLLOWED_MS_MAX = 60_000;
const FIRST_LOOK_MS = 100;
/** A passkey opens a session at each look, and a person's oldest is closed when there are too many. */
const NEXT_LOOK_MS_MAX = 10_000;
/** The same two people each time: nothing piles up. */
const LEAVER = 'canary-leaver';
const SILENT = 'canary-silent-leaver';
const SPOKEN_WAYS: readonly SpokenWay[] = ['scim', 'scim-entra'];
/** Whoever starts the house has other things to see first. */
const FIRST_MS = 5 * 60_000;

export interface LeaverLoopDeps {
  readonly people: LeaverPeople;
  readonly departures: Departures;
  readonly clock: Clock;
  /** Milliseconds since any fixed moment, which nobody can set. */
  readonly monotonic_ms: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** One hour, unless a test is in a hurry. */
  readonly interval_ms: number;
  /** Between two looks at whom nobody speaks of: well below the half hour after which a session that rests ends. */
  readonly look_ms: number;
  readonly onFailure: (error: unknown) => void;
}

export interface LeaverLoop {
  /** Somebody leaves now, in each of these ways; in each in which a directory says so, unless told. */
  next(ways?: readonly SpokenWay[]): Promise<void>;
  /** One look at the person of whom nobody speaks; begins with one where there is none. */
  lookAtSilent(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

/** Times until everything was refused, and what was not. Throws when that could not be seen. */
async function follow(
  deps: Pick<LeaverLoopDeps, 'monotonic_ms' | 'sleep'>,
  held: readonly Held[],
  since_ms: number,
): Promise<Pick<Departure, 'held' | 'alive'>> {
  const until = async (one: Held): Promise<number | undefined> => {
    for (let wait_ms = FIRST_LOOK_MS; ; wait_ms = Math.min(2 * wait_ms, NEXT_LOOK_MS_MAX)) {
      const look = await one.look();
      const took_ms = deps.monotonic_ms() - since_ms;
      if (look === 'refused') return Math.ceil(took_ms);
      if (took_ms >= FOLLOWED_MS_MAX) {
        if (look === 'works') return undefined;
        throw new AppError('leaver_drill_failed', `no answer about the ${one.name}`);
      }
      await deps.sleep(wait_ms);
    }
  };
  const times = await Promise.all(held.map(async (one) => [one.name, await until(one)] as const));
  // Once more: what was refused by one that had heard of it may be let in by one that had not.
  const again = await Promise.all(held.map(async (one) => ((await one.look()) === 'works' ? [one.name] : [])));
  const alive = new Set([
    ...times.flatMap(([name, took_ms]) => (took_ms === undefined ? [name] : [])),
    ...again.flat(),
  ]);
  return {
    held: Object.fromEntries(times.flatMap(([name, took_ms]) => (took_ms === undefined ? [] : [[name, took_ms]]))),
    alive: [...alive],
  };
}

/** Somebody comes, is given all that a person can hold, sees it work, and leaves. */
async function leaveBy(deps: LeaverLoopDeps, way: SpokenWay): Promise<Departure> {
  const { people, clock } = deps;
  await people.hire(LEAVER);
  const holds = await people.hold(LEAVER);
  for (const one of holds)
    if ((await one.look()) !== 'works')
      throw new AppError('leaver_drill_failed', `the ${one.name} did not work before they left`);
  const leave = await people.prepareLeaving(LEAVER, way);
  const left_ms = clock.nowMs();
  const since_ms = deps.monotonic_ms();
  const leaving = leave();
  leaving.catch(() => undefined); // told below, when nobody looks any more
  const seen = await follow(deps, holds, since_ms);
  await leaving;
  const took = seen.alive.length === 0 ? { took_ms: Math.max(...Object.values(seen.held)) } : {};
  return { way, left_ms, checked_ms: clock.nowMs(), ...took, ...seen };
}

/** From the last word about somebody, over restarts: the beginning is kept, and the moment of the last look. */
async function followSilent({ people, departures, clock }: LeaverLoopDeps): Promise<void> {
  const known = departures.silent;
  if (known === undefined) {
    const left_ms = clock.nowMs();
    await people.hire(SILENT);
    const cookie = await people.signIn(SILENT);
    if ((await people.lookAt(cookie)) !== 'works')
      throw new AppError('leaver_drill_failed', 'their session did not work from the beginning');
    // Now that there is somebody: a house that cannot make one would announce them at every look.
    const nonce = await departures.announce('silence');
    return departures.keepSilent({ cookie, nonce, left_ms, alive_ms: clock.nowMs() });
  }
  const look = await people.lookAt(known.cookie);
  if (look === 'unknown') return;
  const { nonce, left_ms } = known;
  const checked_ms = clock.nowMs();
  const took_ms = checked_ms - left_ms;
  const ended = { way: 'silence', left_ms, checked_ms } as const;
  if (look === 'works') {
    departures.keepSilent({ ...known, alive_ms: checked_ms });
    if (took_ms <= LIMIT_MS) return;
    await departures.check(nonce, { ...ended, held: {}, alive: ['provider session'] });
  } else if (checked_ms - known.alive_ms > GAP_MS_MAX) {
    await departures.noteFailure(nonce, 'silence', new AppError('leaver_unwatched', 'nobody looked for too long'));
  } else {
    await departures.check(nonce, { ...ended, took_ms, held: { 'provider session': took_ms }, alive: [] });
  }
  departures.keepSilent(undefined);
}

/**
 * All day long somebody leaves a canary tenant, and everything that they held is followed until it is refused. One that
 * could not be carried out is written down as that: it makes no figure better, and the figure is missing without it.
 */
export function createLeaverLoop(deps: LeaverLoopDeps): LeaverLoop {
  const { departures } = deps;
  const timers: NodeJS.Timeout[] = [];
  let running: Promise<void> = Promise.resolve();
  let looking: Promise<void> = Promise.resolve();

  const round = async (ways: readonly SpokenWay[]): Promise<void> => {
    for (const way of ways) {
      const nonce = await departures.announce(way);
      try {
        await departures.check(nonce, await leaveBy(deps, way));
      } catch (error) {
        deps.onFailure(error);
        await departures.noteFailure(nonce, way, error);
      }
    }
  };
  const next: LeaverLoop['next'] = (ways = SPOKEN_WAYS) => {
    running = running.then(() => round(ways)).catch(deps.onFailure);
    return running;
  };
  const lookAtSilent = (): Promise<void> => {
    looking = looking.then(() => followSilent(deps)).catch(deps.onFailure);
    return looking;
  };

  return {
    next,
    lookAtSilent,
    start: () => {
      const first = setTimeout(
        () => {
          void next();
          void lookAtSilent();
          timers.push(
            setInterval(() => void next(), deps.interval_ms),
            setInterval(() => void lookAtSilent(), deps.look_ms),
          );
        },
        Math.min(FIRST_MS, deps.interval_ms),
      );
      timers.push(first);
    },
    stop: async () => {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([running, looking]);
    },
  };
}
