import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LEAF_BYTES_MAX, buildLeaf, readLeafBody, type AuditInput } from './leaf.ts';
import { PUBLIC_FACTS } from './public-facts.ts';

const id = uuidV4(systemRandom);
const deps = { clock: manualClock(1_800_000_000_000), random: systemRandom };
const input: AuditInput = {
  type: 'engagement.created',
  actor: { personId: id, sessionId: id },
  resource: ['engagement', id],
  outcome: 'allowed',
  requestId: 'r-1',
};

describe('A12: leaves', () => {
  it('are canonical JSON by an independent writer, small, and name their own id', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.stringMatching(/^[a-z][A-Za-z0-9_]{0,10}$/).filter((name) => PUBLIC_FACTS[name] === undefined),
          fc.oneof(
            fc.string({ maxLength: 20, unit: 'grapheme' }).filter((text) => !/[\s@]/.test(text)),
            fc.maxSafeInteger(),
            fc.boolean(),
          ),
          { maxKeys: 5 },
        ),
        fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string({ maxLength: 200 }), { maxKeys: 5 }),
        (facts, disclosures) => {
          const built = buildLeaf({ ...input, public: facts, disclosures }, deps);
          const text = built.leaf.toString();
          expect(canonicalize(JSON.parse(text))).toBe(text);
          expect(built.leaf.length).toBeLessThanOrEqual(LEAF_BYTES_MAX);
          expect(JSON.parse(text).id).toBe(built.entryId);
        },
      ),
    );
  });

  it('carry withheld values as RFC 9901 digests only; the same value never twice the same digest', () => {
    const one = buildLeaf({ ...input, disclosures: { email: 'a@example.org' } }, deps);
    const two = buildLeaf({ ...input, disclosures: { email: 'a@example.org' } }, deps);
    expect(one.disclosures[0]!.digest).not.toBe(two.disclosures[0]!.digest);
    const { digest, text } = one.disclosures[0]!;
    expect(hash('sha256', text, 'base64url')).toBe(digest);
    expect(JSON.parse(Buffer.from(text, 'base64url').toString())).toEqual([
      expect.any(String),
      'email',
      'a@example.org',
    ]);
    expect(one.leaf.toString()).not.toContain('example.org');
  });

  it('name the agents that did it for a person, first to last, and say nothing of agents where there were none', () => {
    const agents = [uuidV4(systemRandom), uuidV4(systemRandom)];
    const bodyOf = (actor: AuditInput['actor']) => readLeafBody(buildLeaf({ ...input, actor }, deps).leaf);
    expect(bodyOf({ personId: id, sessionId: id, agents })).toMatchObject({
      actor: ['person', id],
      session: id,
      agents,
    });
    for (const actor of [{ personId: id }, { personId: id, agents: [] }, { service: 'issuer' } as const])
      expect(bodyOf(actor)).not.toHaveProperty('agents');
  });

  it('refuse what other readers would misread or what does not fit', () => {
    const bad: Partial<AuditInput>[] = [
      { type: 'nothing' },
      { resource: ['Engagement!', id] },
      { public: { n: 0.5 } },
      { public: { n: 2 ** 53 } },
      { public: { é: 'x' } },
      { public: { long: 'x'.repeat(401) } },
      { public: { slug: 'somebody@example.org' } },
      { public: { reason: 'Nobody N. Example asked for it' } },
      { public: { neverDeclared: 'two words' } },
      { public: { kekRef: 'key of somebody@example.org' } },
      { public: { count: 'many' } },
      { disclosures: { 'a b': 'x' } },
    ];
    for (const part of bad)
      expect(() => buildLeaf({ ...input, ...part }, deps)).toThrowError(
        expect.objectContaining({ code: 'audit_input_invalid' }),
      );
    const facts = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`k${at}`, 'x'.repeat(300)]));
    expect(() => buildLeaf({ ...input, public: facts }, deps)).toThrowError(
      expect.objectContaining({ code: 'audit_leaf_too_large' }),
    );
  });
});
