import { describe, expect, it } from 'vitest';
import { ENTERPRISE_SCHEMA, USER_SCHEMA } from './schema.ts';
import { accepted, bytesOf, GROUP, newGroup, newUser, outcome, USER } from './testing/world.ts';
import { createResource, replaceResource, type Verdict } from './write.ts';

const create = (over: Readonly<Record<string, unknown>>): Verdict =>
  createResource({ kind: 'User', dialect: 'other', body: bytesOf(newUser(over)) });
const createGroup = (over: Readonly<Record<string, unknown>>): Verdict =>
  createResource({ kind: 'Group', dialect: 'other', body: bytesOf(newGroup(over)) });
const replace = (over: Readonly<Record<string, unknown>>): Verdict =>
  replaceResource({ kind: 'User', dialect: 'other', body: bytesOf(newUser(over)), current: USER });

describe('P2: what is read', () => {
  it('is frozen, has no prototype, and names of the table only', () => {
    const verdict = create({ name: { givenName: 'Given' }, [ENTERPRISE_SCHEMA]: { department: 'Audit' } });
    if (verdict.kind === 'refused') throw verdict.error;
    for (const branch of [verdict.resource, verdict.resource['name'], verdict.resource[ENTERPRISE_SCHEMA]]) {
      expect(Object.getPrototypeOf(branch)).toBeNull();
      expect(Object.isFrozen(branch)).toBe(true);
    }
    expect(Object.keys(verdict.resource)).toEqual(['userName', 'name', ENTERPRISE_SCHEMA, 'active']);
  });
});

describe('P3: names', () => {
  it('count once, whatever their case', () => {
    expect(outcome(create({ title: 'a', TITLE: 'b' }))).toBe('scim_name_repeated');
    expect(outcome(create({ name: { givenName: 'a', givenname: 'b' } }))).toBe('scim_name_repeated');
    expect(outcome(create({ [ENTERPRISE_SCHEMA]: {}, [ENTERPRISE_SCHEMA.toUpperCase()]: {} }))).toBe(
      'scim_name_repeated',
    );
    expect(outcome(create({ Schemas: [USER_SCHEMA] }))).toBe('scim_name_repeated');
    expect(create({ active: false, Active: true })).toMatchObject({ kind: 'refused', standing: 'suspend' });
  });

  it('are ASCII: a Kelvin sign is no k', () => {
    expect(create({ nicKName: 'a' } as never)).toMatchObject({ ignored: ['nic\u212aName'] });
  });
});

describe('P4: values', () => {
  it('have the type of their attribute', () => {
    const bad: Readonly<Record<string, unknown>>[] = [
      { displayName: 1 },
      { displayName: ['a'] },
      { displayName: { value: 'a' } },
      { active: 'true' },
      { active: 1 },
      { active: null },
      { active: '' },
      { name: 'a' },
      { name: [] },
      { emails: 'a@example.test' },
      { emails: { value: 'a' } },
      { emails: ['a'] },
      { emails: [{ value: 1 }] },
      { emails: [[]] },
      { emails: [{ primary: 'True' }] },
      { [ENTERPRISE_SCHEMA]: 'a' },
      { [ENTERPRISE_SCHEMA]: { manager: 'user-9' } },
    ];
    for (const over of bad) expect([over, outcome(create(over))]).toEqual([over, 'scim_value_type']);
  });

  it('are bounded, and texts have no control characters', () => {
    const bad: Readonly<Record<string, unknown>>[] = [
      { displayName: 'x'.repeat(1025) },
      { userName: 'x'.repeat(257) },
      { externalId: 'x'.repeat(257) },
      { displayName: 'a\u0000b' },
      { displayName: 'a\nb' },
      { addresses: [{ formatted: 'a\u0007b' }] },
      { emails: Array.from({ length: 65 }, (_each, index) => ({ value: `${index}` })) },
    ];
    for (const over of bad) expect(outcome(create(over))).toBe('scim_value_bounds');
    expect(accepted(create({ addresses: [{ formatted: 'a\nb' }] }))).toMatchObject({
      addresses: [{ formatted: 'a\nb' }],
    });
    const members = (length: number) => Array.from({ length }, (_each, index) => ({ value: `${index}` }));
    expect(accepted(createGroup({ members: members(10_000) })).members).toHaveLength(10_000);
    expect(outcome(createGroup({ members: members(10_001) }))).toBe('scim_value_bounds');
  });

  it('say nothing where they are null, empty, or an empty list', () => {
    const found = accepted(create({ title: null, displayName: '', emails: [], name: {}, phoneNumbers: [{}] }));
    expect(found).toEqual({ userName: 'two@example.test', active: true });
  });

  it('have schemas and all that is required', () => {
    expect(outcome(create({ schemas: undefined }))).toBe('scim_schemas');
    expect(outcome(create({ schemas: [] }))).toBe('scim_schemas');
    expect(outcome(create({ schemas: USER_SCHEMA }))).toBe('scim_schemas');
    expect(outcome(createGroup({ schemas: [USER_SCHEMA] }))).toBe('scim_schemas');
    expect(outcome(create({ userName: undefined }))).toBe('scim_value_required');
    expect(outcome(create({ userName: null }))).toBe('scim_value_required');
    expect(outcome(createGroup({ displayName: '' }))).toBe('scim_value_required');
    expect(outcome(createGroup({ members: [{ display: 'nobody' }] }))).toBe('scim_value_required');
  });

  it('of a list count once', () => {
    expect(accepted(createGroup({ members: [{ value: 'a' }, { value: 'a', display: 'b' }] })).members).toEqual([
      { value: 'a' },
    ]);
    expect(accepted(create({ emails: [{ value: 'a' }, { value: 'a' }] })).emails).toEqual([{ value: 'a' }]);
  });
});

describe('P5: what is left out', () => {
  it('is read-only, unknown or never kept, and is named without its value', () => {
    const verdict = create({
      id: 'mine',
      meta: { version: 'x' },
      groups: [{ value: 'group-1' }],
      password: 'secret-a',
      x509Certificates: [{ value: 'secret-b' }],
      shoeSize: 'secret-c',
      emails: [{ value: 'a', $ref: 'secret-d', note: 'secret-e' }],
      'urn:example:schema': { a: 1 },
    });
    expect(accepted(verdict)).toEqual({ userName: 'two@example.test', active: true, emails: [{ value: 'a' }] });
    const ignored = ['id', 'meta', 'groups', 'password', 'x509certificates', 'shoeSize', 'emails.$ref', 'emails.note'];
    expect(new Set(verdict.kind === 'accepted' ? verdict.ignored : [])).toEqual(
      new Set([...ignored, 'urn:example:schema']),
    );
    expect(JSON.stringify(verdict)).not.toContain('secret');
  });

  it('is named up to a bound', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_each, index) => [`x${index}`, 1]));
    expect(create(many)).toMatchObject({ ignored: { length: 32 } });
  });
});

describe('P6: userName', () => {
  it('has no letters that only look like others, nothing that cannot be seen, no blanks around', () => {
    const bad = [
      '\u212aevin',
      'mi\u017fter',
      '\uff41bc',
      'a\u200bb',
      'a\u202eb',
      'a\u00adb',
      '\ufeffa',
      ' a',
      'a ',
      'o\ufb03ce',
    ];
    for (const userName of bad) expect([userName, outcome(create({ userName }))]).toEqual([userName, 'scim_user_name']);
    for (const userName of ['straße', 'ıstanbul', 'josé', 'Jose\u0301', '名前', 'a b'])
      expect(accepted(create({ userName })).userName).toBe(userName);
  });
});

describe('P18: a whole resource (PUT)', () => {
  it('replaces what it says and removes what it does not, but nobody comes back for want of a word', () => {
    const suspended = replaceResource({
      kind: 'User',
      dialect: 'other',
      body: bytesOf(newUser({ active: false })),
      current: USER,
    });
    if (suspended.kind === 'refused') throw suspended.error;
    expect(suspended).toMatchObject({ standing: 'suspend', resource: { id: 'user-1', active: false } });
    const silent = replaceResource({
      kind: 'User',
      dialect: 'other',
      body: bytesOf(newUser()),
      current: suspended.resource,
    });
    expect(silent).toMatchObject({ kind: 'accepted', standing: 'suspend', resource: { active: false } });
    expect(accepted(replace({}))).toEqual({ id: 'user-1', userName: 'two@example.test', active: true });
  });

  it('empties a group by an empty list, not by silence', () => {
    const put = (over: Readonly<Record<string, unknown>>) =>
      accepted(replaceResource({ kind: 'Group', dialect: 'other', body: bytesOf(newGroup(over)), current: GROUP }));
    expect(put({}).members).toHaveLength(3);
    expect(put({ members: [] }).members).toBeUndefined();
  });

  it('is for the resource that it names', () => {
    expect(outcome(replace({ id: 'user-2' }))).toBe('scim_mutability');
    expect(outcome(replace({ id: 'user-1' }))).toMatchObject({ id: 'user-1' });
  });
});
