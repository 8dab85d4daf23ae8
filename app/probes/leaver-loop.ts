import { AppError, isAppError, type Clock } from '@auditrax/base';
import type { Departure, LeavingWay } from '../claims/probe.ts';
import type { Departures, SilentLeaver } from './departures.ts';
import type { Held, Holding, Look } from './leaver-holding.ts';
import type { LeaverPeople, Leaving, SpokenWay } from './leaver-people.ts';

/** Nobody's access may outlive what they were by more than this, whoever forgets to say so. */
const LIMIT_MS = 4 * 3_600_000;
/** Looked for less often than this, the moment at which something stopped working is not known. */
const GAP_MS_MAX = 10 * 60_000;
/**
 * After a word of the directory nothing works within seconds. A gateway keeps what it knows for half a minute: what works
 * after half of that nobody has told it, and it would end by itself only.
 */
export const FOLLOWED_MS_MAX = 15_000;
/**
 * Each look at whom nobody speaks of is a sign-in and several calls, all of which are written down: before the last half
 * hour a few minutes are near enough.
 */
const FAR_LOOK_MS = 4 * 60_000;
const NEAR_MS = 30 * 60_000;
const FIRST_LOOK_MS = 100;
/** A passkey opens a session at each look, and a person's oldest is closed when there are too many. */
const NEXT_LOOK_MS_MAX = 5_000;
/** The same people each time: nothing piles up. */
const LEAVER = 'canary-leaver';
/** Somebody else: whom a signal has put out no directory lets in again. */
const SIGNALLED = 'canary-signalled-leaver';
const SILENT = 'canary-silent-leaver';
const SPOKEN_WAYS: readonly SpokenWay[] = ['scim', 'scim-entra', 'scim-unread', 'signal'];
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
  /** Somebody leaves now, in each of these ways; in each in which a directory or a provider says so, unless told. */
  next(ways?: readonly SpokenWay[]): Promise<void>;
  /** One look at the person of whom nobody speaks; begins with one where there is none. */
  lookAtSilent(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

/**
 * Times until everything was refused, and what was not. They are to be brought back before the last look, when they have
 * nothing any more. Throws when that could not be seen.
 */
async function follow(
  deps: Pick<LeaverLoopDeps, 'monotonic_ms' | 'sleep'>,
  held: readonly Held[],
  { since_ms, leaving }: { readonly since_ms: number; readonly leaving: Leaving },
): Promise<Pick<Departure, 'held' | 'alive' | 'attacks_tried'>> {
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
  const isOut = times.every(([, took_ms]) => took_ms !== undefined);
  const taken = isOut ? await leaving.attack() : leaving.taken;
  // Once more: what was refused by one that had heard of it may be let in by one that had not, or who has come back.
  const again = await Promise.all(held.map(async (one) => ((await one.look()) === 'works' ? [one.name] : [])));
  const alive = new Set([
    ...times.flatMap(([name, took_ms]) => (took_ms === undefined ? [name] : [])),
    ...again.flat(),
    ...taken,
  ]);
  return {
    held: Object.fromEntries(times.flatMap(([name, took_ms]) => (took_ms === undefined ? [] : [[name, took_ms]]))),
    alive: [...alive],
    attacks_tried: isOut ? leaving.attacks : 0,
  };
}

/** Somebody comes, is given all that a person can hold, and sees it work. */
async function begin({ people }: Pick<LeaverLoopDeps, 'people'>, subject: string, way: LeavingWay): Promise<Holding> {
  await people.hire(subject, way);
  const holding = await people.hold(subject);
  for (const one of people.looksAt(holding))
    if ((await one.look()) !== 'works')
      throw new AppError('leaver_drill_failed', `the ${one.name} did not work before they left`);
  return holding;
}

async function leaveBy(deps: LeaverLoopDeps, way: SpokenWay): Promise<Departure> {
  const { people, clock } = deps;
  const subject = way === 'signal' ? SIGNALLED : LEAVER;
  const holds = people.looksAt(await begin(deps, subject, way));
  const leaving = await people.prepareLeaving({ subject, way, holds });
  try {
    const left_ms = clock.nowMs();
    const since_ms = deps.monotonic_ms();
    const sent = leaving.leave();
    sent.catch(() => undefined); // told below, when nobody looks any more
    const attack = async () => {
      await sent;
      return leaving.attack();
    };
    const seen = await follow(deps, holds, { since_ms, leaving: { ...leaving, attack } });
    const took = seen.alive.length === 0 ? { took_ms: Math.max(...Object.values(seen.held)) } : {};
    return { way, left_ms, checked_ms: clock.nowMs(), ...took, ...seen };
  } finally {
    await leaving.close();
  }
}

/** No answer is neither a yes nor a no; a look that may itself have ended something is the end of the drill. */
async function lookOnce(one: Held): Promise<Look> {
  return one.look().catch((error: unknown): Look => {
    if (isAppError(error, 'leaver_drill_failed')) throw error;
    return 'unknown';
  });
}

/** From the last word about somebody: the beginning is kept, and the moments of the last looks. */
async function beginSilence(deps: LeaverLoopDeps): Promise<void> {
  const { departures, clock } = deps;
  const left_ms = clock.nowMs();
  const holding = await begin(deps, SILENT, 'silence');
  // Now that there is somebody: a house that cannot make one would announce them at every look.
  const nonce = await departures.announce('silence');
  const names = deps.people.looksAt(holding).map(({ name }) => name);
  const alive_ms = Object.fromEntries(names.map((name) => [name, clock.nowMs()]));
  departures.keepSilent({ holding, nonce, left_ms, alive_ms, ended_ms: {} });
}

/** What is known of them after one more look at what had not ended. Throws `leaver_unwatched` when nobody looked in time. */
async function lookAgain({ people, clock }: LeaverLoopDeps, known: SilentLeaver): Promise<SilentLeaver> {
  const open = people.looksAt(known.holding).filter(({ name }) => known.ended_ms[name] === undefined);
  const looks = await Promise.all(open.map(async (one) => [one.name, await lookOnce(one)] as const));
  const checked_ms = clock.nowMs();
  const alive_ms = { ...known.alive_ms };
  const ended_ms = { ...known.ended_ms };
  for (const [name, look] of looks) {
    if (look === 'works') alive_ms[name] = checked_ms;
    else if (look === 'refused' && checked_ms - alive_ms[name]! <= GAP_MS_MAX)
      ended_ms[name] = checked_ms - known.left_ms;
    else if (look === 'refused') throw new AppError('leaver_unwatched', `nobody looked at the ${name} for too long`);
  }
  return { ...known, alive_ms, ended_ms };
}

/** What of them is over, where it is over: everything was refused, or something works for longer than anybody's may. */
async function endOf({ people, clock }: LeaverLoopDeps, silent: SilentLeaver): Promise<Departure | undefined> {
  const { left_ms, ended_ms, alive_ms } = silent;
  const holds = people.looksAt(silent.holding);
  const checked_ms = clock.nowMs();
  const ended = { way: 'silence', left_ms, checked_ms, held: ended_ms, attacks_tried: 0 } as const;
  if (holds.every(({ name }) => ended_ms[name] !== undefined)) {
    // Once more: what was refused by one that had heard of it may be let in by one that had not.
    const again = await Promise.all(holds.map(async (one) => ((await lookOnce(one)) === 'works' ? [one.name] : [])));
    const alive = again.flat();
    return { ...ended, alive, ...(alive.length === 0 ? { took_ms: Math.max(...Object.values(ended_ms)) } : {}) };
  }
  if (checked_ms - left_ms <= LIMIT_MS) return undefined;
  const alive = holds.flatMap(({ name }) => (alive_ms[name]! - left_ms > LIMIT_MS ? [name] : []));
  if (alive.length > 0) return { ...ended, alive };
  if (checked_ms - left_ms > LIMIT_MS + GAP_MS_MAX)
    throw new AppError('leaver_unwatched', 'the house did not answer when it mattered');
  return undefined;
}

/** One look at whom nobody speaks of, over restarts. */
async function followSilent(deps: LeaverLoopDeps): Promise<void> {
  const { departures, clock } = deps;
  const known = departures.silent;
  if (known === undefined) return beginSilence(deps);
  const now_ms = clock.nowMs();
  const isFar = now_ms - known.left_ms < LIMIT_MS - NEAR_MS;
  if (isFar && now_ms - Math.max(...Object.values(known.alive_ms)) < FAR_LOOK_MS) return;
  try {
    const silent = await lookAgain(deps, known);
    const end = await endOf(deps, silent);
    if (end !== undefined) await departures.check(silent.nonce, end);
    departures.keepSilent(end === undefined ? silent : undefined);
  } catch (error) {
    if (!isAppError(error, 'leaver_unwatched') && !isAppError(error, 'leaver_drill_failed')) throw error;
    await departures.noteFailure(known.nonce, 'silence', error);
    departures.keepSilent(undefined);
  }
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
