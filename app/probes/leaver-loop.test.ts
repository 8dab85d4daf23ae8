import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, manualClock } from '@auditrax/base';
import { afterAll, describe, expect, it } from 'vitest';
import { gradeClaim } from '../claims/grade.ts';
import { LEAVER_HOLDS, type Departure, type LeaverHolds, type ProbeHouse } from '../claims/probe.ts';
import { allClaims } from '../claims/register.ts';
import { revocationProbe } from '../domains/identity/revocation.probe.ts';
import type { Observation } from '../platform/audit/index.ts';
import { openDepartures } from './departures.ts';
import { createLeaverLoop, FOLLOWED_MS_MAX } from './leaver-loop.ts';
import type { Held, Holding, Look } from './leaver-holding.ts';
import type { LeaverPeople } from './leaver-people.ts';

const folder = mkdtempSync(join(tmpdir(), 'ax-leaver-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
let files = 0;

type Times = Partial<Record<LeaverHolds, number>>;
const LAPSES_MS = 4 * HOUR_MS - 2 * MINUTE_MS;

/**
 * A house in which what is held ends after `ends_ms` (else at once), and of whom nobody speaks after `lapses_ms` (else
 * after `LAPSES_MS`); one clock for all.
 */
function playing(ends_ms: Times = { 'provider session': 40 }, lapses_ms: Times = {}) {
  const clock = manualClock(1_000_000_000);
  const file = join(folder, String((files += 1)));
  const told: Observation[] = [];
  const said: string[] = [];
  const state = {
    left_ms: undefined as number | undefined,
    answer: undefined as Look | undefined,
    isTorn: false,
  };
  const rules = { ends_ms, isBroken: false, returns: [] as readonly string[] };
  const people: LeaverPeople = {
    hire: (subject) => {
      if (rules.isBroken) return Promise.reject(new AppError('leaver_drill_failed', 'no directory'));
      said.push(`hire ${subject}`);
      state.left_ms = undefined;
      return Promise.resolve();
    },
    prepareLeaving: ({ way }) =>
      Promise.resolve({
        leave: () => {
          said.push(way);
          state.left_ms = clock.nowMs();
          return Promise.resolve();
        },
        attack: () => {
          said.push('return');
          return Promise.resolve(rules.returns);
        },
        taken: [],
        attacks: 9,
        close: () => {
          said.push('close');
          return Promise.resolve();
        },
      }),
    hold: (subject) => Promise.resolve({ subject, since_ms: clock.nowMs() } as unknown as Holding),
    looksAt: (holding) => {
      const { subject, since_ms } = holding as unknown as { subject: string; since_ms: number };
      const isOut = (name: LeaverHolds): boolean => {
        if (subject === 'canary-silent-leaver') return clock.nowMs() - since_ms >= (lapses_ms[name] ?? LAPSES_MS);
        return state.left_ms !== undefined && clock.nowMs() - state.left_ms >= (rules.ends_ms[name] ?? 0);
      };
      return LEAVER_HOLDS.map((name): Held => ({
        name,
        look: () => {
          if (state.isTorn) return Promise.reject(new AppError('leaver_drill_failed', 'no answer'));
          return Promise.resolve(state.answer ?? (isOut(name) ? 'refused' : 'works'));
        },
      }));
    },
  };
  const record = (observation: Observation) => Promise.resolve(told.push(observation));
  const failures: unknown[] = [];
  const start = () => {
    const departures = openDepartures({ clock, file, record });
    const loop = createLeaverLoop({
      people,
      departures,
      clock,
      monotonic_ms: clock.nowMs,
      sleep: (ms) => Promise.resolve(clock.advance(ms)),
      interval_ms: HOUR_MS,
      look_ms: MINUTE_MS,
      onFailure: (error) => failures.push(error),
    });
    const house = { clock, departures: departures.recent } as unknown as ProbeHouse;
    return { loop, departures, house };
  };
  /** Hours pass, with one look each minute. */
  const pass = async (loop: ReturnType<typeof start>['loop'], minutes: number): Promise<void> => {
    for (let minute = 0; minute < minutes; minute += 1) {
      clock.advance(MINUTE_MS);
      await loop.lookAtSilent();
    }
  };
  const checked = () =>
    told
      .filter(({ type }) => type === 'canary.departure.checked')
      .map(({ outcome, public: facts }) => [outcome, facts]);
  return { clock, told, said, state, rules, failures, start, pass, checked };
}

describe('somebody who leaves by a word of the directory', () => {
  it('is announced, followed until nothing works, and timed from the message, in both dialects and by a signal', async () => {
    const game = playing();
    const { loop, departures } = game.start();
    await loop.next();
    expect(game.said).toEqual(
      (
        [
          ['scim', 'canary-leaver'],
          ['scim-entra', 'canary-leaver'],
          ['scim-unread', 'canary-leaver'],
          ['signal', 'canary-signalled-leaver'],
        ] as const
      ).flatMap(([way, who]) => [`hire ${who}`, way, 'return', 'close']),
    );
    const each = ['canary.departure.announced', 'canary.departure.checked'];
    expect(game.told.map(({ type }) => type)).toEqual([...each, ...each, ...each, ...each]);
    expect(departures.recent(86_400)).toMatchObject([
      { way: 'scim', alive: [], held: { 'provider session': 100 }, took_ms: 100 },
      { way: 'scim-entra', alive: [], took_ms: 100 },
      { way: 'scim-unread', alive: [], took_ms: 100, attacks_tried: 9 },
      { way: 'signal', alive: [], took_ms: 100, attacks_tried: 9 },
    ]);
    expect(game.checked()[0]).toMatchObject(['allowed', { ran: true, took_ms: 100, alive: '' }]);
  });

  it('turns the claim red at once when one thing lives on, though nobody has left without a word yet', async () => {
    const game = playing({ link: FOLLOWED_MS_MAX * 10 });
    const { loop, house } = game.start();
    await loop.next();
    expect(game.checked()[0]).toMatchObject(['failed', { ran: true, took_ms: -1, alive: 'link' }]);
    expect(revocationProbe.isReady!(house)).toBe(true);
    const seen = await revocationProbe.run(house);
    expect(seen.state).toBe('red');
    expect(seen.detail).toContain('this still worked afterwards: link');
  });

  it('has not left when what they held did not work before: nothing was seen', async () => {
    const game = playing();
    game.rules.isBroken = true;
    const { loop, departures, house } = game.start();
    await loop.next();
    expect(departures.recent(86_400)).toEqual([]);
    expect(game.failures).toHaveLength(4);
    expect(game.checked()).toMatchObject([
      ['failed', { ran: false, code: 'leaver_drill_failed' }],
      ['failed', { ran: false }],
      ['failed', { ran: false }],
      ['failed', { ran: false }],
    ]);
    expect(revocationProbe.isReady!(house)).toBe(false);
  });

  it('turns the claim red when somebody brings them back who must not', async () => {
    const game = playing();
    game.rules.returns = ['a return with a withdrawn token'];
    const { loop, house } = game.start();
    await loop.next(['scim']);
    expect(game.checked()[0]).toMatchObject(['failed', { took_ms: -1, alive: 'a return with a withdrawn token' }]);
    expect(await revocationProbe.run(house)).toMatchObject({ state: 'red' });
  });
});

describe('a departure that goes very badly', () => {
  it('is written down all the same, in what an entry can hold', async () => {
    const game = playing();
    game.rules.returns = Array.from({ length: 17 }, (_, n) => `a signal with another organisation’s token, No ${n}`);
    const { loop, departures } = game.start();
    await loop.next(['signal']);
    const [[outcome, facts]] = game.checked() as [[string, { alive: string }]];
    expect([outcome, facts.alive.length <= 400]).toEqual(['failed', true]);
    expect(facts.alive).toMatch(/^a signal with another organisation’s token, No 0, .*, and 1\d more$/);
    expect(departures.recent(86_400)[0]!.alive).toHaveLength(17);
  });
});

describe('somebody of whom nobody says anything', () => {
  it('is followed over a restart until their session is refused, and the next one begins', async () => {
    const game = playing();
    const before = game.start();
    await game.pass(before.loop, 100);
    expect(before.departures.silent).toBeDefined();
    const { loop, departures } = game.start();
    await game.pass(loop, 139);
    const [silent] = departures.recent(86_400);
    expect(silent).toMatchObject({ way: 'silence', took_ms: 4 * HOUR_MS - 2 * MINUTE_MS, alive: [] });
    expect(game.said).toEqual(['hire canary-silent-leaver']);
    await game.pass(loop, 1);
    expect(departures.silent).toBeDefined();
  });

  it('is red as soon as four hours are over', async () => {
    const game = playing({}, { 'program refresh token': 5 * HOUR_MS });
    const { loop, house } = game.start();
    await game.pass(loop, 241);
    expect(revocationProbe.isReady!(house)).toBe(false);
    await game.pass(loop, 1);
    expect(revocationProbe.isReady!(house)).toBe(true);
    const seen = await revocationProbe.run(house);
    expect(seen.state).toBe('red');
    expect(seen.detail).toContain('with no message, and this still worked afterwards: program refresh token.');
  });

  it('is followed in each thing that they hold, until the last of them is refused', async () => {
    const game = playing({}, { link: 60 * MINUTE_MS, 'API key': LAPSES_MS + MINUTE_MS });
    const { loop, departures } = game.start();
    await game.pass(loop, 241);
    const [silent] = departures.recent(86_400);
    expect(silent).toMatchObject({ took_ms: LAPSES_MS + MINUTE_MS, held: { passkey: LAPSES_MS }, alive: [] });
    expect(silent!.held['link']).toBeLessThanOrEqual(65 * MINUTE_MS);
    expect(Object.keys(silent!.held).sort()).toEqual([...LEAVER_HOLDS].sort());
  });

  it('is let go when a look itself may have ended something', async () => {
    const game = playing();
    const { loop, departures } = game.start();
    await game.pass(loop, 2);
    game.state.isTorn = true;
    await game.pass(loop, 5);
    expect(departures.recent(86_400)).toEqual([]);
    expect(game.checked()).toMatchObject([['failed', { ran: false, code: 'leaver_drill_failed' }]]);
  });

  it('proves nothing when the house does not answer at the moment at which it matters', async () => {
    const game = playing();
    const { loop, departures } = game.start();
    await game.pass(loop, 200);
    game.state.answer = 'unknown';
    await game.pass(loop, 60);
    expect(departures.recent(86_400)).toEqual([]);
    expect(game.checked()).toMatchObject([['failed', { ran: false, code: 'leaver_unwatched' }]]);
  });

  it('proves nothing when nobody looked at the moment at which their session ended', async () => {
    const game = playing();
    const { loop, departures } = game.start();
    await game.pass(loop, 60);
    game.clock.advance(6 * HOUR_MS);
    await loop.lookAtSilent();
    expect(departures.recent(86_400)).toEqual([]);
    expect(game.checked()).toMatchObject([['failed', { ran: false, code: 'leaver_unwatched' }]]);
    expect(departures.silent).toBeUndefined();
  });

  it('is not announced while there is nobody', async () => {
    const game = playing();
    game.rules.isBroken = true;
    const { loop } = game.start();
    await game.pass(loop, 5);
    expect(game.told).toEqual([]);
    expect(game.failures).toHaveLength(5);
  });

  it('is neither in nor out while the house does not answer', async () => {
    const game = playing();
    const { loop, departures } = game.start();
    await game.pass(loop, 2);
    game.state.answer = 'unknown';
    await game.pass(loop, 5);
    expect(departures.recent(86_400)).toEqual([]);
    expect(departures.silent).toBeDefined();
  });
});

describe('the figure', () => {
  it('is not made of somebody who held less than a person can hold', async () => {
    const game = playing();
    const { loop, departures } = game.start();
    await game.pass(loop, 241);
    await loop.next();
    const all = departures.recent(86_400);
    const ready = (of: typeof all) =>
      revocationProbe.isReady!({ clock: game.clock, departures: () => of } as unknown as ProbeHouse);
    expect(ready(all)).toBe(true);
    const { 'API key': _gone, ...less } = all.find(({ way }) => way === 'silence')!.held;
    expect(ready(all.map((one) => (one.way === 'silence' ? { ...one, held: less } : one)))).toBe(false);
  });

  it('is told in a table before there is a verdict: the worst of each thing in each way, and what is not measured', async () => {
    const game = playing({ link: 3_000, 'API key': 40 });
    const { loop, departures, house } = game.start();
    const rows = () => Object.fromEntries(revocationProbe.soFar!(house).rows.map(({ name, cells }) => [name, cells]));
    expect(new Set(Object.values(rows()).flat())).toEqual(new Set(['0', 'not measured']));
    await loop.next(['scim', 'scim-entra']);
    expect(revocationProbe.isReady!(house)).toBe(false);
    const table = revocationProbe.soFar!(house);
    expect(table.columns).toEqual([
      'By SCIM',
      'By SCIM, as Entra sends it',
      'By an unreadable message',
      'By a signal',
      'With no message',
    ]);
    const worst = (name: string, way: string) =>
      `${Math.max(...departures.recent(86_400).flatMap((one) => (one.way === way ? one.held[name]! : [])))}`;
    expect(Number(worst('link', 'scim'))).toBeGreaterThanOrEqual(3_000);
    const link_s = (Number(worst('link', 'scim')) / 1000).toFixed(1);
    expect(rows()).toMatchObject({
      Departures: ['1', '1', '0', '0', '0'],
      'API key': [
        `${worst('API key', 'scim')} ms`,
        `${worst('API key', 'scim-entra')} ms`,
        'not measured',
        'not measured',
        'not measured',
      ],
      Link: [`${link_s} s`, expect.any(String), 'not measured', 'not measured', 'not measured'],
      'All of it': [`${link_s} s`, expect.any(String), 'not measured', 'not measured', 'not measured'],
    });
    expect(table.rows).toHaveLength(LEAVER_HOLDS.length + 2);
    expect(table.summary).toMatch(/rehearsed: by SCIM 3\.\d s, .*with no message not measured\.$/);
    await game.pass(loop, 240);
    expect(rows()['Program refresh token']![4]).toBe('3 h 58 min');
    expect(revocationProbe.soFar!(house).summary).toMatch(/with no message 3 h 58 min\.$/);
  });

  it('says in the table what still worked, and leaves out who held less than a person can hold', async () => {
    const game = playing({ link: FOLLOWED_MS_MAX * 10 });
    const { loop, departures } = game.start();
    await loop.next(['scim']);
    await loop.next(['scim-entra']);
    const day = departures.recent(86_400).map((one): Departure => {
      if (one.way === 'scim') return one;
      const { link: _never, ...held } = one.held;
      return { ...one, held, alive: [], took_ms: 5 };
    });
    const table = revocationProbe.soFar!({ departures: () => day } as unknown as ProbeHouse);
    const cells = (name: string) => table.rows.find((row) => row.name === name)!.cells.slice(0, 2);
    expect(cells('Link')).toEqual(['still worked', 'not measured']);
    expect(cells('All of it')).toEqual(['not all of it ended', 'not measured']);
    expect(cells('Passkey')).not.toContain('not measured');
  });

  const claim = allClaims.find(({ id }) => id === 'people.revocation')!;

  it('is the worst of all ways, rehearsed, and grows old when nobody leaves any more', async () => {
    const game = playing();
    const { loop, house } = game.start();
    await loop.next();
    expect(gradeClaim({ claim, observations: [], now_ms: game.clock.nowMs(), dueSince_ms: 0 }).standing).toBe(
      'asserted',
    );
    await game.pass(loop, 239);
    expect(revocationProbe.isReady!(house)).toBe(false);
    await loop.next();
    expect(revocationProbe.isReady!(house)).toBe(true);
    const seen = await revocationProbe.run(house);
    expect(seen).toMatchObject({ state: 'green', measured: { value: 3.9667, limit: 4, unit: 'hours' } });
    expect(seen.detail.length).toBeLessThanOrEqual(300);
    expect(seen.evidence).toMatchObject({
      scim: { worst_ms: 100, holds_ms: { 'provider session': 100, 'API key': expect.any(Number) } },
      silence: { holds_ms: { 'program refresh token': 14_280_000 } },
    });
    const observed = { probeId: revocationProbe.id, observedAt_ms: game.clock.nowMs(), duration_ms: 1, ...seen };
    const standing = (hours: number) =>
      gradeClaim({ claim, observations: [observed], now_ms: game.clock.nowMs() + hours * HOUR_MS }).standing;
    expect([standing(1), standing(2), standing(3)]).toEqual(['rehearsed', 'stale', 'failing']);
    game.clock.advance(71 * MINUTE_MS);
    expect(revocationProbe.isReady!(house)).toBe(false);
  });
});
