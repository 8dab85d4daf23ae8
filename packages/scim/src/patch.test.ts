import { describe, expect, it } from 'vitest';
import { ENTERPRISE_SCHEMA, USER_SCHEMA } from './schema.ts';
import { accepted, ALL_DIALECTS, GROUP, kept, outcome, patch, patchOf, plain, USER } from './testing/world.ts';
import type { ScimResource } from './resource.ts';

const MANAGER = `${ENTERPRISE_SCHEMA}:manager`;
const one = (operation: unknown, dialect: 'other' | 'entra' = 'other') => patch(patchOf(operation), { dialect });
const group = (operation: unknown, dialect: 'other' | 'entra' = 'other') =>
  patch(patchOf(operation), { dialect, kind: 'Group' });
const WORK = { value: 'one@example.test', type: 'work', primary: true };
const HOME = { value: 'home@example.test', type: 'home' };

describe('P8: the message', () => {
  it('has a schema and a list of operations, and no word that nobody knows', () => {
    const op = { op: 'replace', path: 'title', value: 'x' };
    const bad: [unknown, string][] = [
      [{ Operations: [op] }, 'scim_schemas'],
      [{ schemas: [USER_SCHEMA], Operations: [op] }, 'scim_schemas'],
      [{ ...patchOf(op), operations: [] }, 'scim_name_repeated'],
      [{ ...patchOf(op), note: 1 }, 'scim_patch_form'],
      [patchOf(), 'scim_patch_form'],
      [{ ...patchOf(), Operations: op }, 'scim_patch_form'],
      [patchOf('replace'), 'scim_patch_form'],
      [patchOf({ ...op, op: 'copy' }), 'scim_patch_form'],
      [patchOf({ ...op, op: '__proto__' }), 'scim_patch_form'],
      [patchOf({ ...op, op: ['replace'] }), 'scim_patch_form'],
      [patchOf({ path: 'title', value: 'x' }), 'scim_patch_form'],
      [patchOf({ ...op, note: 1 }), 'scim_patch_form'],
      [patchOf({ ...op, Path: 'userName' }), 'scim_name_repeated'],
      [patchOf({ op: 'replace', path: 'title' }), 'scim_patch_form'],
      [patchOf({ op: 'add' }), 'scim_patch_form'],
      [patchOf({ op: 'add', value: 'x' }), 'scim_patch_form'],
      [patchOf({ ...op, path: 1 }), 'scim_path'],
      [patchOf(...Array.from({ length: 501 }, () => op)), 'scim_patch_too_many'],
    ];
    for (const [body, code] of bad) expect([body, outcome(patch(body))]).toEqual([body, code]);
    expect(accepted(patch(patchOf(...Array.from({ length: 500 }, () => op)))).title).toBe('x');
  });
});

describe('P9: paths', () => {
  it('name an attribute, a part, a value, or an extension', () => {
    const set = (path: string, value: unknown = 'x') => accepted(one({ op: 'add', path, value }));
    expect(set('nickname').nickName).toBe('x');
    expect(set('NAME.GivenName').name).toEqual({ givenName: 'x', familyName: 'Family' });
    expect(set(`${USER_SCHEMA}:title`).title).toBe('x');
    expect(set(`${USER_SCHEMA.toUpperCase()}:name.givenName`).name.givenName).toBe('x');
    expect(set(`${ENTERPRISE_SCHEMA}:department`)[ENTERPRISE_SCHEMA].department).toBe('x');
    expect(set(`${MANAGER}.value`)[ENTERPRISE_SCHEMA].manager).toEqual({ value: 'x' });
    expect(set(ENTERPRISE_SCHEMA, { division: 'x' })[ENTERPRISE_SCHEMA]).toMatchObject({
      division: 'x',
      department: 'Audit',
    });
    expect(set('emails[type eq "home" and not (primary eq true)].value').emails[1]).toEqual({ ...HOME, value: 'x' });
  });

  it('are refused where they name nothing', () => {
    const bad = [
      'titel',
      'name.first',
      'name.givenName.x',
      'title.x',
      '.title',
      'title.',
      'title ',
      ' title',
      'emails.value',
      'emails[0]',
      'emails[type eq "work"',
      'emails[type eq "work"].',
      'emails[type eq "work"].x',
      'emails[type eq "work"].value.x',
      'emails[type eq work].value',
      'emails[kind eq "work"]',
      'emails[type eq "work"][type eq "work"]',
      'emails[]',
      'name[givenName eq "x"]',
      'emails[emails[type eq "work"]]',
      'urn:example:title',
      `${ENTERPRISE_SCHEMA}.department`,
      `${ENTERPRISE_SCHEMA}:`,
      `${ENTERPRISE_SCHEMA}:title`,
      USER_SCHEMA,
      'title, displayName',
      'title\u0000',
      'tit\u200ble',
      '__proto__',
      'constructor.prototype',
      `emails[${'('.repeat(17)}type eq "work"${')'.repeat(17)}].value`,
      `emails[type eq "${'x'.repeat(1024)}"].value`,
    ];
    for (const path of bad)
      for (const op of ['add', 'replace', 'remove'])
        expect([path, outcome(one({ op, path, ...(op === 'remove' ? {} : { value: 'x' }) }))]).toEqual([
          path,
          'scim_path',
        ]);
  });

  it('as names of an object are refused twice', () => {
    expect(outcome(one({ op: 'add', value: { title: 'a', [`${USER_SCHEMA}:title`]: 'b' } }))).toBe(
      'scim_name_repeated',
    );
    expect(outcome(one({ op: 'add', value: { 'name.givenName': 'a', 'NAME.givenname': 'b' } }, 'entra'))).toBe(
      'scim_name_repeated',
    );
    expect(outcome(one({ op: 'add', value: { titel: 'a' } }))).toBe('scim_path');
    expect(outcome(one({ op: 'add', value: { name: { first: 'a' } } }))).toBe('scim_path');
  });
});

describe('P10: add', () => {
  it('sets one value, joins parts, appends to lists', () => {
    expect(accepted(one({ op: 'add', path: 'title', value: 'x' })).title).toBe('x');
    expect(accepted(one({ op: 'add', path: 'name', value: { middleName: 'x' } })).name).toEqual({
      givenName: 'Given',
      familyName: 'Family',
      middleName: 'x',
    });
    expect(accepted(one({ op: 'add', path: 'emails', value: [{ value: 'x' }] })).emails).toEqual([
      WORK,
      HOME,
      { value: 'x' },
    ]);
    expect(accepted(one({ op: 'add', path: 'emails', value: { value: 'x' } })).emails).toHaveLength(3);
    expect(accepted(one({ op: 'add', value: { emails: [{ value: 'x' }], title: 'y' } }))).toMatchObject({ title: 'y' });
    expect(accepted(one({ op: 'add', path: 'emails[type eq "home"]', value: { display: 'x' } })).emails[1]).toEqual({
      ...HOME,
      display: 'x',
    });
  });

  it('adds nobody twice', () => {
    const value = [{ value: 'user-2', display: 'other name' }, { value: 'user-4' }];
    const verdict = group({ op: 'add', path: 'members', value });
    expect(verdict).toMatchObject({ changes: [{ path: 'members', added: [{ value: 'user-4' }], removed: [] }] });
    expect(accepted(one({ op: 'add', path: 'emails', value: [HOME] })).emails).toEqual([WORK, HOME]);
  });
});

describe('P11: replace', () => {
  it('sets one value, leaves the parts that it does not name, and replaces lists', () => {
    expect(accepted(one({ op: 'replace', path: 'name', value: { givenName: 'x' } })).name).toEqual({
      givenName: 'x',
      familyName: 'Family',
    });
    expect(accepted(one({ op: 'replace', path: 'emails', value: [{ value: 'x' }] })).emails).toEqual([{ value: 'x' }]);
    expect(accepted(one({ op: 'replace', path: 'emails[type eq "home"]', value: { value: 'x' } })).emails).toEqual([
      WORK,
      { value: 'x' },
    ]);
    expect(
      accepted(one({ op: 'replace', path: MANAGER, value: { value: 'user-7' } }))[ENTERPRISE_SCHEMA].manager,
    ).toEqual({ value: 'user-7' });
  });

  it('by null, an empty text or an empty list takes away', () => {
    expect(accepted(one({ op: 'replace', path: 'name.givenName', value: null })).name).toEqual({
      familyName: 'Family',
    });
    expect(accepted(one({ op: 'replace', path: 'externalId', value: '' })).externalId).toBeUndefined();
    expect(accepted(one({ op: 'replace', path: 'emails', value: [] })).emails).toBeUndefined();
    expect(accepted(one({ op: 'replace', path: 'name', value: null })).name).toBeUndefined();
  });
});

describe('P12: remove', () => {
  it('takes away an attribute, a part, values that a filter selects, or a part of these', () => {
    expect(accepted(one({ op: 'remove', path: 'name' })).name).toBeUndefined();
    expect(accepted(one({ op: 'remove', path: 'name.givenName' })).name).toEqual({ familyName: 'Family' });
    expect(accepted(one({ op: 'remove', path: 'emails' })).emails).toBeUndefined();
    expect(accepted(one({ op: 'remove', path: 'emails[type eq "work"]' })).emails).toEqual([HOME]);
    expect(accepted(one({ op: 'remove', path: 'emails[type eq "home"].type' })).emails).toEqual([
      WORK,
      { value: HOME.value },
    ]);
    expect(accepted(one({ op: 'remove', path: 'emails[type eq "none"]' })).emails).toEqual([WORK, HOME]);
    expect(accepted(one({ op: 'remove', path: ENTERPRISE_SCHEMA }))[ENTERPRISE_SCHEMA]).toBeUndefined();
    expect(accepted(group({ op: 'remove', path: 'members[value eq "user-1" or value eq "user-3"]' })).members).toEqual([
      { value: 'user-2' },
    ]);
  });

  it('with a list takes away exactly these, where the provider is known for it, and is refused elsewhere', () => {
    const value = [{ value: 'user-3' }, { value: 'nobody' }];
    expect(accepted(group({ op: 'remove', path: 'members', value }, 'entra')).members).toEqual([
      { value: 'user-1' },
      { value: 'user-2' },
    ]);
    expect(accepted(group({ op: 'remove', path: 'members', value: [] }, 'entra')).members).toHaveLength(3);
    expect(outcome(group({ op: 'remove', path: 'members', value }))).toBe('scim_remove_value');
    expect(outcome(group({ op: 'remove', path: 'members[value eq "user-1"]', value }))).toBe('scim_remove_value');
    expect(accepted(one({ op: 'remove', path: 'emails', value: [{ type: 'home' }] }, 'entra')).emails).toEqual([WORK]);
  });

  it('looks at the part that the filter names, not at the id', () => {
    const members = [
      { value: 'a', display: 'b' },
      { value: 'b', display: 'a' },
    ];
    const current = kept({ id: 'group-1', displayName: 'x', members }) as ScimResource;
    const after = patch(patchOf({ op: 'remove', path: 'members[display eq "a"]' }), { kind: 'Group', current });
    expect(accepted(after).members).toEqual([{ value: 'a', display: 'b' }]);
  });

  it('needs a path', () => {
    expect(outcome(one({ op: 'remove' }))).toBe('scim_no_target');
    expect(outcome(one({ op: 'remove', value: { title: 'x' } }))).toBe('scim_no_target');
  });
});

describe('P13: a filter that selects nothing', () => {
  const bare = kept({ id: 'user-1', userName: 'one@example.test' }) as ScimResource;
  it('creates the value on add, on an empty list too', () => {
    for (const dialect of ALL_DIALECTS) {
      const body = patchOf({ op: 'Add', path: 'emails[type eq "work"].value', value: 'x' });
      expect(accepted(patch(body, { dialect, current: bare })).emails).toEqual([{ type: 'work', value: 'x' }]);
    }
    const two = patchOf({ op: 'add', path: 'emails[type eq "work" and primary eq true]', value: { value: 'x' } });
    expect(accepted(patch(two, { current: bare })).emails).toEqual([{ type: 'work', primary: true, value: 'x' }]);
  });

  it('is noTarget on replace, except at Entra', () => {
    const body = patchOf({ op: 'replace', path: 'emails[type eq "work"].value', value: 'x' });
    expect(outcome(patch(body, { current: bare }))).toBe('scim_no_target');
    expect(accepted(patch(body, { dialect: 'entra', current: bare })).emails).toEqual([{ type: 'work', value: 'x' }]);
  });

  it('is noTarget where nobody can tell what the value would be', () => {
    for (const filter of [
      'type ne "work"',
      'not (type eq "x")',
      'type eq "a" or type eq "b"',
      'type co "x"',
      'type eq null',
      'value pr',
    ])
      expect(
        outcome(
          patch(patchOf({ op: 'add', path: `emails[${filter}].display`, value: 'x' }), {
            dialect: 'entra',
            current: bare,
          }),
        ),
      ).toBe('scim_no_target');
  });

  it('creates nothing out of an empty value', () => {
    const body = patchOf({ op: 'add', path: 'emails[type eq "work"].value', value: '' });
    expect(accepted(patch(body, { current: bare })).emails).toBeUndefined();
  });
});

describe('P14: all or nothing', () => {
  it('leaves the resource as it was when a later operation is refused', () => {
    const before = JSON.stringify(USER);
    const body = patchOf({ op: 'replace', path: 'title', value: 'x' }, { op: 'replace', path: 'titel', value: 'x' });
    expect(patch(body)).not.toHaveProperty('resource');
    expect(JSON.stringify(USER)).toBe(before);
  });

  it('lists what changed, part by part, and nothing else', () => {
    const body = patchOf(
      { op: 'replace', path: 'name.givenName', value: 'x' },
      { op: 'replace', path: 'active', value: true },
      { op: 'replace', path: `${ENTERPRISE_SCHEMA}:department`, value: 'y' },
      { op: 'remove', path: 'emails[type eq "home"]' },
    );
    expect(plain((patch(body) as { changes: unknown }).changes)).toEqual([
      { path: 'name.givenName', before: 'Given', after: 'x' },
      { path: 'emails', added: [], removed: [HOME] },
      { path: `${ENTERPRISE_SCHEMA}:department`, before: 'Audit', after: 'y' },
    ]);
  });

  it('applies operations in their order', () => {
    const body = patchOf(
      { op: 'remove', path: 'emails' },
      { op: 'add', path: 'emails[type eq "work"].value', value: 'x' },
      { op: 'add', path: 'emails[type eq "work"].display', value: 'y' },
    );
    expect(accepted(patch(body)).emails).toEqual([{ type: 'work', value: 'x', display: 'y' }]);
  });

  it('stays within bounds of lists that grow piece by piece', () => {
    const members = Array.from({ length: 9_999 }, (_each, index) => ({ value: `m-${index}` }));
    const current = kept({ id: 'group-1', displayName: 'a', members }) as ScimResource;
    const add = (...values: string[]) =>
      outcome(
        patch(patchOf(...values.map((value) => ({ op: 'add', path: 'members', value: { value } }))), {
          kind: 'Group',
          current,
        }),
      );
    expect(add('x')).toMatchObject({ displayName: 'a' });
    expect(add('x', 'y')).toBe('scim_value_bounds');
  });

  it('is done in time at its bounds: 500 removals from, and 500 additions to, 10,000 members', () => {
    const members = Array.from({ length: 10_000 }, (_each, index) => ({ value: `m-${index}` }));
    const current = kept({ id: 'group-1', displayName: 'a', members }) as ScimResource;
    const operations = Array.from({ length: 500 }, (_each, index) => ({
      op: 'remove',
      path: `members[value eq "m-${index}"]`,
    }));
    const additions = operations.map(({ path }) => ({ op: 'add', path: 'members', value: [{ value: path }] }));
    const started = process.cpuUsage();
    expect(accepted(patch(patchOf(...operations), { kind: 'Group', current })).members).toHaveLength(9_500);
    expect(outcome(patch(patchOf(...additions), { kind: 'Group', current }))).toBe('scim_value_bounds');
    const half = { ...current, members: (current['members'] as never[]).slice(0, 9_500) } as ScimResource;
    expect(accepted(patch(patchOf(...additions), { kind: 'Group', current: half })).members).toHaveLength(10_000);
    const looks = Array.from({ length: 51 }, () => ({ op: 'remove', path: 'members[display co "x"]' }));
    expect(outcome(patch(patchOf(...looks), { kind: 'Group', current }))).toBe('scim_patch_too_many');
    const wide = { op: 'remove', path: `members[${Array.from({ length: 51 }, () => 'display pr').join(' or ')}]` };
    expect(outcome(patch(patchOf(wide), { kind: 'Group', current }))).toBe('scim_patch_too_many');
    // A tenth of it on an idle machine; looking at each member for each operation took 12 s.
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1000).toBeLessThan(5000);
  });
});

describe('P15: the primary value', () => {
  it('is the one that was said last, and one message cannot say two', () => {
    const verdict = one({ op: 'add', path: 'emails', value: [{ value: 'x', primary: true }] });
    expect(accepted(verdict).emails).toEqual([{ ...WORK, primary: false }, HOME, { value: 'x', primary: true }]);
    expect(accepted(one({ op: 'replace', path: 'emails[type eq "home"].primary', value: true })).emails).toEqual([
      { ...WORK, primary: false },
      { ...HOME, primary: true },
    ]);
    const two = [
      { value: 'x', primary: true },
      { value: 'y', primary: true },
    ];
    expect(outcome(one({ op: 'add', path: 'emails', value: two }))).toBe('scim_primary');
    expect(outcome(one({ op: 'replace', path: 'emails', value: two }))).toBe('scim_primary');
    expect(outcome(one({ op: 'replace', path: 'emails[value pr].primary', value: true }))).toBe('scim_primary');
  });
});

describe('P16: what cannot be changed', () => {
  it('is what the server gives, and what a resource cannot be without', () => {
    const bad: unknown[] = [
      { op: 'replace', path: 'id', value: 'user-2' },
      { op: 'replace', path: 'id', value: 'user-1' },
      { op: 'replace', value: { id: 'user-2' } },
      { op: 'remove', path: 'id' },
      { op: 'replace', path: 'meta.version', value: 'x' },
      { op: 'add', path: 'groups', value: [{ value: 'group-1' }] },
      { op: 'remove', path: 'userName' },
      { op: 'replace', path: `${MANAGER}.displayName`, value: 'x' },
    ];
    for (const operation of bad) expect([operation, outcome(one(operation))]).toEqual([operation, 'scim_mutability']);
    expect(outcome(group({ op: 'remove', path: 'displayName' }))).toBe('scim_mutability');
    expect(outcome(group({ op: 'replace', path: 'members[value eq "user-1"].value', value: 'user-9' }))).toBe(
      'scim_mutability',
    );
    expect(outcome(one({ op: 'replace', path: 'userName', value: '' }))).toBe('scim_value_required');
  });

  it('is left out where an object repeats it, and passwords always', () => {
    const verdict = one({
      op: 'replace',
      value: { schemas: [USER_SCHEMA], id: 'user-1', meta: {}, groups: [], password: 'p', title: 'x' },
    });
    expect(accepted(verdict)).toEqual({ ...plain(USER), title: 'x' });
    expect(verdict).toMatchObject({ ignored: ['id', 'meta', 'groups', 'password'] });
    expect(accepted(one({ op: 'replace', path: 'password', value: 'p' }))).toEqual(plain(USER));
  });

  it('leaves the group alone', () => expect(GROUP['members']).toHaveLength(3));
});
