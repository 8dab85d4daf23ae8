import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENTERPRISE_SCHEMA } from './schema.ts';
import type { ScimResource } from './resource.ts';
import { ALL_DIALECTS, bytesOf, kept, newUser, outcome, patch, patchOf, USER } from './testing/world.ts';
import { createResource, patchResource, replaceResource } from './write.ts';

const SUSPENDED = kept({ id: 'user-1', userName: 'one@example.test', active: false }) as ScimResource;
const raw = (text: string | Uint8Array, current: ScimResource = USER) =>
  patchResource({ kind: 'User', dialect: 'other', body: typeof text === 'string' ? bytesOf(text) : text, current });

/** Refused for some reason, and all the same somebody has left. */
const LEAVING: readonly unknown[] = [
  patchOf({ op: 'replace', path: 'active', value: 'False' }),
  patchOf({ op: 'replace', path: 'active', value: 'no' }),
  patchOf({ op: 'replace', path: 'active', value: 0 }),
  patchOf({ op: 'replace', path: 'active', value: null }),
  patchOf({ op: 'replace', path: 'active' }),
  patchOf({ op: 'replace', path: 'active', value: [false] }),
  patchOf({ op: 'replace', path: 'active', value: { value: false } }),
  patchOf({ op: 'replace', path: 'active', value: [{ value: 'False' }] }),
  patchOf({ op: 'deactivate', path: 'active', value: false }),
  patchOf({ op: 'remove', path: 'active' }),
  patchOf({ op: ' Remove', path: 'ACTIVE', value: true }),
  patchOf({ op: 'replace', path: ' active ', value: false }),
  patchOf({ op: 'replace', path: '/active', value: false }),
  patchOf({ op: 'replace', path: 'active.value', value: false }),
  patchOf({ op: 'replace', path: 'act\u200bive', value: false }),
  patchOf({ op: 'replace', path: 'urn:example:2.0:User:active', value: false }),
  patchOf({ op: 'replace', path: `${ENTERPRISE_SCHEMA}:active`, value: false }),
  patchOf({ op: 'replace', path: 'users[active eq true].active', value: false }),
  patchOf({ op: 'replace', path: 'title', Path: 'active', value: false }),
  patchOf({ op: 'replace', value: { 'urn:example:2.0:User:active': false } }),
  patchOf({ op: 'replace', value: { 'status.active': 'FALSE' } }),
  patchOf({ op: 'replace', value: { status: { active: false } } }),
  patchOf({ op: 'replace', value: [{ active: false }] }),
  patchOf({ op: 'replace', value: { active: false, Active: true } }),
  patchOf({ op: 'replace', value: { active: false, titel: 'x' } }),
  patchOf({ op: 'replace', value: '{"active":false}' }),
  patchOf({ op: 'replace', path: 'titel', value: 'x' }, { op: 'Replace', path: 'active', value: false }),
  patchOf({ op: 'Replace', path: 'active', value: false }, { op: 'replace', path: 'titel', value: 'x' }),
  { ...patchOf({ op: 'replace', path: 'title', value: 'x' }), active: false },
  { Operations: [{ op: 'replace', path: 'active', value: false }] },
  { active: false },
  { ACTIVE: 'false' },
];

/** Refused, and nobody left. */
const STAYING: readonly unknown[] = [
  patchOf({ op: 'replace', path: 'titel', value: 'False' }),
  patchOf({ op: 'replace', path: 'inactive', value: false }),
  patchOf({ op: 'replace', path: 'active', value: 'true' }),
  patchOf({ op: 'activate', path: 'active', value: true }),
  patchOf({ op: 'replace', value: { 'status.active': true } }),
  patchOf({ op: 'replace', value: { titel: 'an active member' } }),
  { active: true },
  {},
];

describe('P17: a message that is refused but speaks of leaving suspends', () => {
  it.each(LEAVING.map((body) => [JSON.stringify(body)] as const))('%s', (text) => {
    expect(raw(text)).toMatchObject({ kind: 'refused', standing: 'suspend' });
  });

  it.each(STAYING.map((body) => [JSON.stringify(body)] as const))('but not %s', (text) => {
    expect(raw(text)).toMatchObject({ kind: 'refused', standing: 'keep' });
  });

  it('also cut off anywhere, in another encoding, too deep, too large, or with names twice', () => {
    const whole = JSON.stringify(patchOf({ op: 'Replace', path: 'active', value: 'False' }));
    const spoken = whole.indexOf('active') + 'active'.length;
    for (let length = spoken; length < whole.length; length += 1)
      expect([length, raw(whole.slice(0, length)).standing]).toEqual([length, 'suspend']);
    expect(raw(`${whole}}`).standing).toBe('suspend');
    expect(raw(whole.replace('active', '\\u0061ctive').slice(0, -1)).standing).toBe('suspend');
    expect(raw(whole.replaceAll('"', "'")).standing).toBe('suspend');
    expect(raw(new Uint8Array(Buffer.from(whole, 'utf16le'))).standing).toBe('suspend');
    const escaped = whole.replace('active', '\\u0061ctive');
    expect(raw(new Uint8Array(Buffer.from(escaped, 'utf16le'))).standing).toBe('suspend');
    expect(raw(new Uint8Array([...bytesOf(whole), 0xff])).standing).toBe('suspend');
    expect(raw(`{"a":${'['.repeat(50)}{"active":false}`).standing).toBe('suspend');
    expect(raw(`${' '.repeat(2 * 1024 * 1024)}${whole}`)).toMatchObject({
      standing: 'suspend',
      error: { code: 'scim_message_too_large' },
    });
    expect(raw('{"active":false,"active":true}').standing).toBe('suspend');
    expect(raw('active=false').standing).toBe('suspend');
    expect(raw('active: true').standing).toBe('keep');
    expect(raw('').standing).toBe('keep');
  });

  it('also in every dialect, by PUT, and whatever else is wrong', () => {
    for (const dialect of ALL_DIALECTS) {
      const order = { kind: 'User' as const, dialect, current: USER };
      expect(
        patchResource({ ...order, body: bytesOf(patchOf({ op: 'x', path: 'active', value: 'False' })) }).standing,
      ).toBe('suspend');
      expect(replaceResource({ ...order, body: bytesOf({ userName: 'a', active: false }) }).standing).toBe('suspend');
      expect(replaceResource({ ...order, body: bytesOf(newUser({ active: 'off' })) }).standing).toBe('suspend');
      expect(replaceResource({ ...order, body: bytesOf(newUser({ userName: '', active: false })) }).standing).toBe(
        'suspend',
      );
    }
  });

  it('is about people: a group that is named so is left alone', () => {
    expect(patch(patchOf({ op: 'replace', path: 'active', value: false }), { kind: 'Group' })).toMatchObject({
      kind: 'refused',
      standing: 'keep',
    });
  });
});

describe('P17: what is left out of a whole resource', () => {
  it('is not left out where it speaks of leaving', () => {
    const create = (over: Readonly<Record<string, unknown>>) => newUser({ userName: 'one@example.test', ...over });
    const put = (body: unknown) =>
      replaceResource({ kind: 'User', dialect: 'other', body: bytesOf(body), current: USER });
    const bad = [
      { status: { active: false } },
      { 'urn:example:User': { active: 'False' } },
      { 'urn:example:User:active': false },
      { [ENTERPRISE_SCHEMA]: { active: false } },
      { meta: { active: false } },
      { password: { active: false } },
    ];
    for (const over of bad)
      expect([over, put(create(over))]).toMatchObject([
        over,
        { error: { code: 'scim_leaving_unread' }, standing: 'suspend' },
      ]);
    const inPatch = patch(patchOf({ op: 'replace', value: { meta: { active: false } } }));
    expect(inPatch).toMatchObject({ error: { code: 'scim_leaving_unread' }, standing: 'suspend' });
    for (const over of [
      { status: { active: true } },
      { emails: [{ value: 'a', active: false }] },
      { shoe: 'an active one' },
    ])
      expect([over, put(create(over))]).toMatchObject([over, { kind: 'accepted', standing: 'keep' }]);
  });
});

describe('P18: nothing that is refused re-activates', () => {
  it('whatever it is made of', () => {
    const word = fc.constantFrom(
      'active',
      'Active',
      'path',
      'op',
      'value',
      'replace',
      'add',
      'True',
      'true',
      'Operations',
      'urn:x:active',
      'schemas',
    );
    const tree = fc.letrec((tie) => ({
      value: fc.oneof(
        word,
        fc.boolean(),
        fc.constant(null),
        fc.dictionary(word, tie('value'), { maxKeys: 3 }),
        fc.array(tie('value'), { maxLength: 3 }),
      ),
    })).value;
    const operation = fc.record(
      { op: fc.constantFrom('add', 'Replace', 'remove', 'x'), path: fc.option(word), value: tree },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 3 }), fc.constantFrom(...ALL_DIALECTS), (operations, dialect) => {
        const verdict = patch(patchOf(...operations), { dialect, current: SUSPENDED });
        if (verdict.kind === 'refused') expect(verdict.standing).not.toBe('reactivate');
        else if (verdict.standing === 'reactivate') expect(verdict.resource['active']).toBe(true);
        else expect(verdict).toMatchObject({ standing: 'suspend', resource: { active: false } });
      }),
      { numRuns: 2000 },
    );
  });

  it('and what is accepted does so only by saying true', () => {
    const back = (value: unknown, dialect: 'other' | 'entra' = 'other') =>
      patch(patchOf({ op: 'replace', path: 'active', value }), { dialect, current: SUSPENDED });
    expect(back(true)).toMatchObject({ kind: 'accepted', standing: 'reactivate', resource: { active: true } });
    expect(back('True', 'entra')).toMatchObject({ kind: 'accepted', standing: 'reactivate' });
    for (const value of ['True', 'true', 1, 'yes', null, [true]])
      expect(back(value)).not.toMatchObject({ standing: 'reactivate' });
    expect(patch(patchOf({ op: 'replace', path: 'title', value: 'x' }), { current: SUSPENDED }).standing).toBe(
      'suspend',
    );
    expect(patch(patchOf({ op: 'replace', path: 'title', value: 'x' })).standing).toBe('keep');
  });

  it('an accepted message never loses a leaver on the way', () => {
    for (const body of LEAVING)
      for (const dialect of ALL_DIALECTS)
        expect([body, dialect, patch(body, { dialect }).standing]).toEqual([body, dialect, 'suspend']);
  });

  it('a new person is active when nothing is said, and suspended when it is', () => {
    const create = (over: Readonly<Record<string, unknown>>) =>
      createResource({ kind: 'User', dialect: 'other', body: bytesOf(newUser(over)) });
    expect(create({})).toMatchObject({ standing: 'reactivate', resource: { active: true } });
    expect(create({ active: false })).toMatchObject({ standing: 'suspend', resource: { active: false } });
  });
});

describe('P19: a resource that has changed meanwhile', () => {
  it('is not changed, but its person is suspended all the same', () => {
    const stale = { ifMatch: 'W/"stale"' };
    const leaving = patch(patchOf({ op: 'replace', path: 'active', value: false }), stale);
    expect(leaving).toMatchObject({ kind: 'refused', error: { code: 'scim_version' }, standing: 'suspend' });
    expect(
      patch(patchOf({ op: 'replace', path: 'active', value: true }), { ...stale, current: SUSPENDED }),
    ).toMatchObject({ kind: 'refused', standing: 'keep' });
    expect(outcome(patch(patchOf({ op: 'replace', path: 'title', value: 'x' }), { ifMatch: '*' }))).toMatchObject({
      title: 'x',
    });
    expect(patch(patchOf({ op: 'replace', path: 'active', value: false }), { ifMatch: 'nonsense' })).toMatchObject({
      standing: 'suspend',
      error: { code: 'scim_version_header' },
    });
  });
});
