import { describe, expect, it } from 'vitest';
import type { ScimDialect } from './index.ts';
import { SHAPES, type Shape } from './testing/dialect-shapes.ts';
import { accepted, ALL_DIALECTS, bytesOf, CURRENT, newUser, outcome, patch, patchOf } from './testing/world.ts';
import { createResource, patchResource, replaceResource, type Verdict } from './write.ts';

function send({ dialect, kind, method, body }: Shape): Verdict {
  const order = { dialect, kind, body: bytesOf(body), current: CURRENT[kind] };
  return method === 'POST' ? createResource(order) : method === 'PUT' ? replaceResource(order) : patchResource(order);
}

describe('P7: shapes after the providers’ documents (not recorded)', () => {
  it.each(SHAPES)('$dialect: $kind by $method: $name', (shape) => {
    const verdict = send(shape);
    expect(accepted(verdict)).toMatchObject(shape.after);
    expect(verdict.standing).toBe(shape.standing);
  });

  it('says the same thing twice without a second change', () => {
    for (const shape of SHAPES.filter(({ method }) => method !== 'POST')) {
      const first = send(shape);
      if (first.kind === 'refused') throw first.error;
      const order = { dialect: shape.dialect, kind: shape.kind, body: bytesOf(shape.body), current: first.resource };
      const second = shape.method === 'PUT' ? replaceResource(order) : patchResource(order);
      expect([shape.name, second]).toMatchObject([shape.name, { kind: 'accepted', changes: [] }]);
    }
  });

  it('never keeps a password, and says that it left it out', () => {
    const verdict = send(SHAPES.find(({ name }) => name.includes('password'))!);
    expect(JSON.stringify(verdict)).not.toContain('never-kept');
    expect(verdict).toMatchObject({ ignored: expect.arrayContaining(['password', 'groups']) });
  });
});

describe('P7: a deviation is understood only where the table has it', () => {
  const accepting = (body: unknown, kind: 'User' | 'Group' = 'User'): ScimDialect[] =>
    ALL_DIALECTS.filter((dialect) => patch(body, { dialect, kind }).kind === 'accepted');
  const ENTRA: ScimDialect[] = ['entra', 'entra-compliant'];

  it('texts for booleans', () => {
    expect(accepting(patchOf({ op: 'replace', path: 'active', value: 'False' }))).toEqual(ENTRA);
    expect(accepting(patchOf({ op: 'replace', path: 'active', value: 'no' }))).toEqual([]);
    expect(accepting(patchOf({ op: 'replace', path: 'active', value: 0 }))).toEqual([]);
  });

  it('paths as names', () => {
    expect(accepting(patchOf({ op: 'replace', value: { 'name.givenName': 'Other' } }))).toEqual(ENTRA);
    expect(accepting(patchOf({ op: 'add', value: { 'emails[type eq "x"].value': 'y' } }))).toEqual(ENTRA);
  });

  it('removal by value, which would otherwise empty the group', () => {
    expect(accepting(patchOf({ op: 'remove', path: 'members', value: [{ value: 'user-2' }] }), 'Group')).toEqual([
      'entra',
    ]);
  });

  it('replacing what is not there, loose values, names of operations', () => {
    expect(accepting(patchOf({ op: 'replace', path: 'emails[type eq "other"].value', value: 'x' }))).toEqual(ENTRA);
    expect(accepting(patchOf({ op: 'replace', path: 'title', value: [{ value: 'x' }] }))).toEqual(ENTRA);
    expect(accepting(patchOf({ name: 'n', op: 'replace', path: 'title', value: 'x' }))).toEqual(['entra']);
  });

  it('any case of names, operations and schemas is nobody’s deviation', () => {
    const body = {
      SCHEMAS: ['URN:ietf:params:scim:api:messages:2.0:patchop'],
      operations: [{ OP: 'RePlAcE', Path: 'DISPLAYNAME', VALUE: 'Shown' }],
    };
    for (const dialect of ALL_DIALECTS)
      expect(outcome(patch(body, { dialect }))).toMatchObject({ displayName: 'Shown' });
    const created = createResource({
      kind: 'User',
      dialect: 'other',
      body: bytesOf(newUser({ DISPLAYname: 'Shown' })),
    });
    expect(accepted(created)).toMatchObject({ displayName: 'Shown' });
  });
});
