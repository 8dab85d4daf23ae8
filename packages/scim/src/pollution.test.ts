import { afterEach, describe, expect, it } from 'vitest';
import { parseFilter, planFilter, present, readSelection } from './index.ts';
import { ENTERPRISE_SCHEMA, USER_SCHEMA } from './schema.ts';
import { bytesOf, newGroup, newUser, patch, patchOf, USER } from './testing/world.ts';
import { createResource, replaceResource, type Verdict } from './write.ts';

/** Of the five dialects the one that understands most, and the one that understands least. */
const LOOSE_AND_STRICT = ['entra', 'other'] as const;
const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '__defineGetter__',
  'valueOf',
  'length',
];
/** Each way to write a name where a name may stand. */
const FORMS: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => `${name}.polluted`,
  (name) => `name.${name}`,
  (name) => `name.${name}.polluted`,
  (name) => `constructor.${name}`,
  (name) => `emails.${name}`,
  (name) => `emails[type eq "work"].${name}`,
  (name) => `emails[${name} eq "work"].value`,
  (name) => `emails[type eq "${name}"].value`,
  (name) => `${name}[type eq "work"].value`,
  (name) => `${USER_SCHEMA}:${name}`,
  (name) => `${ENTERPRISE_SCHEMA}:${name}`,
  (name) => `${ENTERPRISE_SCHEMA}:${name}.polluted`,
  (name) => `${ENTERPRISE_SCHEMA}:manager.${name}`,
  (name) => `urn:${name}:User:title`,
];
const PATHS = NAMES.flatMap((name) => FORMS.map((form) => form(name)));
/** Values that would pollute whoever merges them. As text: an object literal would set the prototype instead. */
const VALUES = [
  '"x"',
  '{"polluted":"x"}',
  '{"__proto__":{"polluted":"x"}}',
  '{"constructor":{"prototype":{"polluted":"x"}}}',
  '[{"value":"x","__proto__":{"polluted":"x"}}]',
];

/** Counted, because an expectation for each of many thousands would be the slowest part. */
let found = 0;
const clean = (): void => {
  const isPolluted = [{}, [], () => 0].some((each) => 'polluted' in each) || Object.keys(Object.prototype).length > 0;
  if (isPolluted) throw new Error('a prototype was changed');
};

function ownNames(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  return [...(Array.isArray(node) ? [] : Object.getOwnPropertyNames(node)), ...Object.values(node).flatMap(ownNames)];
}

function judge(verdict: Verdict): void {
  clean();
  if (verdict.kind === 'refused') return;
  found += 1;
  const names = ownNames(verdict.resource);
  const bad = names.find((name) => NAMES.includes(name) || name === 'polluted');
  if (bad !== undefined) throw new Error(`${bad} is in the resource`);
}

afterEach(() => {
  // Some of each are taken, so that the walk looked at resources and not at refusals only.
  expect(found).toBeGreaterThan(0);
  expect(Object.keys(Object.prototype)).toEqual([]);
  found = 0;
});

describe('P2: no name reaches a prototype', () => {
  it('by a path of any form, with any operation and value, in any dialect', () => {
    for (const dialect of LOOSE_AND_STRICT)
      for (const path of PATHS)
        for (const op of ['add', 'replace', 'remove'])
          for (const value of VALUES) {
            const operation = `{"op":"${op}","path":${JSON.stringify(path)}${op === 'remove' ? '' : `,"value":${value}`}}`;
            judge(
              patch(
                JSON.stringify(patchOf('X')).replace('"X"', () => operation),
                { dialect },
              ),
            );
          }
  });

  it('by a name in an object without a path, or in a value', () => {
    for (const dialect of LOOSE_AND_STRICT)
      for (const name of PATHS)
        for (const value of VALUES)
          for (const operation of [
            `{"op":"add","value":{${JSON.stringify(name)}:${value}}}`,
            `{"op":"replace","path":"name","value":{${JSON.stringify(name)}:${value}}}`,
            `{"op":"add","path":"emails","value":[{"value":"v",${JSON.stringify(name)}:${value}}]}`,
            `{"op":"add","path":"${ENTERPRISE_SCHEMA}","value":{${JSON.stringify(name)}:${value}}}`,
            `{"op":"add","value":{"${ENTERPRISE_SCHEMA}":{${JSON.stringify(name)}:${value}}}}`,
          ])
            judge(
              patch(
                JSON.stringify(patchOf('X')).replace('"X"', () => operation),
                { dialect },
              ),
            );
  });

  it('by a whole resource', () => {
    for (const dialect of LOOSE_AND_STRICT)
      for (const name of NAMES)
        for (const value of VALUES) {
          const extra = `,${JSON.stringify(name)}:${value}}`;
          for (const inner of [
            '"name":{"givenName":"a"',
            '"emails":[{"value":"a"',
            `"${ENTERPRISE_SCHEMA}":{"department":"a"`,
          ]) {
            const close = inner.includes('[') ? ']' : '';
            const body = bytesOf(`${JSON.stringify(newUser()).slice(0, -1)},${inner}${extra}${close}${extra}`);
            judge(createResource({ kind: 'User', dialect, body }));
            judge(replaceResource({ kind: 'User', dialect, body, current: USER }));
          }
          judge(
            createResource({
              kind: 'Group',
              dialect,
              body: bytesOf(`${JSON.stringify(newGroup()).slice(0, -1)}${extra}`),
            }),
          );
        }
  });

  it('by a filter or a selection', () => {
    for (const name of PATHS) {
      for (const filter of [`${name} pr`, `${name} eq "x"`, `emails[${name} eq "x"]`]) {
        try {
          planFilter(parseFilter(filter, { kind: 'User', dialect: 'entra' }), new Set(['id']));
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^scim_filter/) });
        }
      }
      const shown = present(
        USER,
        { kind: 'User', base: '', created: '', lastModified: '' },
        readSelection(`attributes=${encodeURIComponent(name)}`, { kind: 'User', dialect: 'other' }),
      );
      found += 1;
      expect(ownNames(shown).filter((each) => NAMES.includes(each) && each !== 'length')).toEqual([]);
    }
  });
});
