import { generateKeyPairSync } from 'node:crypto';
import type { JWK } from 'jose';
import { expect, it } from 'vitest';
import { manualClock } from './clock.ts';
import { holdKeys, KEYS_AGE_MS_MAX, KEYS_RELOAD_MS_MIN, KEYS_RETRY_MS_MIN } from './key-set.ts';

const keyOf = (kid: string): JWK => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...publicKey.export({ format: 'jwk' }), kid };
};
const KEY = keyOf('now');

function held(answers: readonly (() => Promise<readonly JWK[]>)[]) {
  const clock = manualClock(0);
  const asked = { count: 0 };
  const read = () => answers[Math.min((asked.count += 1), answers.length) - 1]!();
  return { keys: holdKeys('ES256', { read, clock }), clock, asked };
}
const published = () => Promise.resolve([KEY]);
const silent = () => Promise.reject(new Error('away'));

it('B8 a set is read once for many, and again after an hour', async () => {
  const { keys, clock, asked } = held([published]);
  expect(await Promise.all([keys.find('now'), keys.find(undefined)])).toEqual([{ keys: [KEY] }, { keys: [KEY] }]);
  clock.advance(KEYS_AGE_MS_MAX);
  await keys.find('now');
  expect(asked.count).toBe(1);
  clock.advance(1);
  await keys.find('now');
  expect(asked.count).toBe(2);
});

it('B8 invented key ids read it once a minute at most, also while nobody answers', async () => {
  const { keys, clock, asked } = held([published, silent]);
  await keys.find('now');
  for (let count = 0; count < 20; count += 1)
    expect(await keys.find(`invented-${count}`)).toEqual({ keys: [], heldBack: { failure: undefined } });
  clock.advance(KEYS_RELOAD_MS_MIN);
  await expect(keys.find('invented')).rejects.toThrow('away');
  clock.advance(KEYS_RETRY_MS_MIN);
  expect(await keys.find('invented')).toMatchObject({ keys: [], heldBack: { failure: { message: 'away' } } });
  expect(await keys.find('now')).toEqual({ keys: [KEY] });
  expect(asked.count).toBe(2);
});

it('B8 without a set to go by a failure is the answer to everybody for five seconds', async () => {
  const { keys, clock, asked } = held([silent, published, silent, published]);
  await expect(keys.find('now')).rejects.toThrow('away');
  expect(await keys.find('now')).toMatchObject({ keys: [], heldBack: { failure: { message: 'away' } } });
  expect(asked.count).toBe(1);
  clock.advance(KEYS_RETRY_MS_MIN);
  expect(await keys.find('now')).toEqual({ keys: [KEY] });
  // An old set is none: whoever signs in is not kept waiting a minute by a moment of silence.
  clock.advance(KEYS_AGE_MS_MAX + 1);
  await expect(keys.find('now')).rejects.toThrow('away');
  clock.advance(KEYS_RETRY_MS_MIN);
  expect(await keys.find('now')).toEqual({ keys: [KEY] });
  expect(asked.count).toBe(4);
});
