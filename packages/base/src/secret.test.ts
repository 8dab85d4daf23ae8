import { expect, it } from 'vitest';
import { z } from 'zod';
import { hideSecrets, secret, secretPlaces } from './secret.ts';

const token = secret(z.string().min(3));
const target = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('push'), token: token.nullable() }),
  z.strictObject({ kind: z.literal('poll') }),
]);
const body = z
  .strictObject({ name: z.string(), target, more: z.array(z.strictObject({ key: token.optional() })) })
  .superRefine(() => undefined);

it('B6 a secret is hidden whatever wraps it, and nothing else is', () => {
  const places = secretPlaces(body);
  const value = { name: 'three', target: { kind: 'push', token: 'abcd' }, more: [{ key: 'efg' }, {}, { key: 'efg' }] };
  expect(hideSecrets(value, places)).toEqual({
    value: {
      name: 'three',
      target: { kind: 'push', token: 'hidden, 4 characters' },
      more: [{ key: 'hidden, 3 characters' }, {}, { key: 'hidden, 3 characters' }],
    },
    hidden: ['target.token', 'more.0.key', 'more.2.key'],
  });
});

it('B6 also where something stands that the schema would refuse; an absent one stays absent', () => {
  const places = secretPlaces(body);
  const odd = { name: 'x', target: { kind: 'push', token: { deep: ['abcd'] } }, more: [{ key: null }] };
  expect(hideSecrets(odd, places).value).toEqual({
    name: 'x',
    target: { kind: 'push', token: 'hidden' },
    more: [{ key: null }],
  });
  expect(secretPlaces(z.string())).toEqual([]);
});
