import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionHash, stepUpDigest } from './step-up-digest.ts';

describe('the digest that a passkey signs', () => {
  it('is SHA-256(label || nonce || SHA-256(JCS(action))), with an independent canonicaliser', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()),
        (nonce, input) => {
          const action = JSON.parse(JSON.stringify({ operation: 'x.y', input })) as never;
          const inner = createHash('sha256')
            .update(canonicalize(action) as string)
            .digest();
          const expected = createHash('sha256')
            .update(Buffer.concat([Buffer.from('auditrax-stepup-v1\0'), nonce, inner]))
            .digest();
          expect(stepUpDigest(nonce, action).equals(expected)).toBe(true);
        },
      ),
    );
  });

  it('does not depend on the order of members, and on everything else', () => {
    const nonce = new Uint8Array(32).fill(1);
    const digest = (action: never) => stepUpDigest(nonce, action).toString('hex');
    expect(digest({ a: 1, b: [1, 2] } as never)).toBe(digest({ b: [1, 2], a: 1 } as never));
    expect(digest({ a: 1, b: [1, 2] } as never)).not.toBe(digest({ a: 1, b: [2, 1] } as never));
    expect(stepUpDigest(new Uint8Array(32).fill(2), { a: 1 }).equals(stepUpDigest(nonce, { a: 1 }))).toBe(false);
    expect(() => stepUpDigest(new Uint8Array(31), {})).toThrow(RangeError);
    expect(actionHash({ a: 1 })).toHaveLength(32);
  });
});
