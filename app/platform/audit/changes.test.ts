import { systemRandom, uuidV4 } from '@auditrax/base';
import { expect, it } from 'vitest';
import { changesOf } from './changes.ts';
import { buildLeaf } from './leaf.ts';

it('A19: a change names each field that differs, old and new, and nothing else', () => {
  const before = { title: 'One', state: 'draft', note: null, gone: 'x' };
  const after = { title: 'Two', state: 'draft', note: 'written', gone: undefined };
  const changes = changesOf(before, after);
  expect(changes).toEqual({ 'old.title': 'One', 'new.title': 'Two', 'new.note': 'written', 'old.gone': 'x' });
  expect(changesOf(before, before)).toEqual({});
  const id = uuidV4(systemRandom);
  const given = {
    type: 'a.b',
    actor: { personId: id },
    resource: ['a', id],
    outcome: 'allowed',
    requestId: 'r',
  } as const;
  const clock = { nowMs: () => 1, monotonicMs: () => 1 };
  const built = buildLeaf({ ...given, disclosures: changes }, { clock, random: systemRandom });
  expect(built.disclosures).toHaveLength(4);
  expect(() => buildLeaf({ ...given, disclosures: { 'newer.title': '' } }, { clock, random: systemRandom })).toThrow();
});
