import { describe, expect, it } from 'vitest';
import { checkPolicy, parsePolicy } from './policy.ts';
import sample from './policy.sample.json' with { type: 'json' };

const policy = parsePolicy(sample);

describe('the disclosure policy', () => {
  it('ships with three undertakings, four conditions, 90 days and US$ 200 to 25,000', () => {
    expect(checkPolicy(policy)).toEqual([]);
    expect([policy.undertakings.length, policy.conditions.length, policy.disclosureDaysDefault]).toEqual([3, 4, 90]);
  });

  it.each([
    ['an undertaking dropped', { ...policy, undertakings: policy.undertakings.slice(1) }],
    ['a condition said twice', { ...policy, conditions: [...policy.conditions.slice(1), policy.conditions[1]!] }],
    ['a fifth condition', { ...policy, conditions: [...policy.conditions, policy.conditions[0]!] }],
    ['other days', { ...policy, disclosureDaysDefault: 91 }],
    ['a gap', { ...policy, rewards: policy.rewards.map((one, at) => (at === 1 ? { ...one, usdMin: 1001 } : one)) }],
    [
      'an overlap',
      { ...policy, rewards: policy.rewards.map((one, at) => (at === 0 ? { ...one, usdMax: 1000 } : one)) },
    ],
    [
      'a lower ceiling',
      { ...policy, rewards: policy.rewards.map((one, at) => (at === 3 ? { ...one, usdMax: 20000 } : one)) },
    ],
    ['no rewards', { ...policy, rewards: [] }],
  ])('is refused with %s', (_what, broken) => {
    expect(checkPolicy(broken)).not.toEqual([]);
    expect(() => parsePolicy(broken)).toThrow();
  });
});
