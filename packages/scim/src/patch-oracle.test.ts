import fc from 'fast-check';
import { scimPatch, type ScimPatchOperation, type ScimResource as TheirResource } from 'scim-patch';
import { describe, expect, it } from 'vitest';
import type { ScimDialect } from './dialects.ts';
import type { ScimResource } from './resource.ts';
import { ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, type ResourceKind } from './schema.ts';
import { kept, outcome, patch, patchOf, plain } from './testing/world.ts';

// Another maker's PATCH engine is asked the same questions. Only an oracle: it guards nothing that our door needs guarded.

/** Of each dialect; the same ones every time. */
const MESSAGES = 1_500;
const SEED = 7;

interface Operation {
  readonly op: string;
  readonly path?: string;
  readonly value?: unknown;
}
interface Asked {
  readonly kind: ResourceKind;
  readonly dialect: ScimDialect;
  readonly current: ScimResource;
  readonly operations: readonly Operation[];
}

/** Names in one order, and nothing that is empty: whether `emails` is away or has nobody is no difference. */
function settled(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(settled);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .map(([name, inner]) => [name, settled(inner)] as const)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Entra's texts for truth values are in no RFC: the other engine keeps them as texts. */
function inRfc({ op, path, value }: Operation): Operation {
  const read = value === 'True' || value === 'False' ? value === 'True' : value;
  return { op, ...(path === undefined ? {} : { path }), ...(read === undefined ? {} : { value: read }) };
}

function theirs({ kind, current, operations }: Asked): unknown {
  const schemas = kind === 'User' ? [USER_SCHEMA, ENTERPRISE_SCHEMA] : [GROUP_SCHEMA];
  const document = { ...plain(current), schemas } as TheirResource;
  try {
    const asked = structuredClone(operations.map(inRfc)) as ScimPatchOperation[];
    const { schemas: _schemas, ...rest } = scimPatch(document, asked, { mutateDocument: false });
    return settled(rest);
  } catch (error) {
    return `refused ${(error as Error).message}`;
  }
}

function ours({ kind, dialect, current, operations }: Asked): unknown {
  const found = outcome(patch(patchOf(...operations), { kind, dialect, current }));
  return typeof found === 'string' ? `refused ${found}` : settled(found);
}

const word = fc.constantFrom('One', 'Two', 'Three');
const address = fc.record({
  value: fc.constantFrom('a@example.test', 'b@example.test', 'c@example.test'),
  type: fc.constantFrom('work', 'home', 'other'),
});
const addresses = fc.uniqueArray(address, { maxLength: 3, selector: ({ type }) => type });
const member = fc.record({ value: fc.constantFrom('user-1', 'user-2', 'user-3', 'user-4') });
const members = fc.uniqueArray(member, { maxLength: 4, selector: ({ value }) => value });

const user = fc
  .record(
    {
      userName: fc.constant('one@example.test'),
      active: fc.boolean(),
      displayName: word,
      nickName: word,
      name: fc.record({ givenName: word, familyName: word }, { requiredKeys: ['givenName'] }),
      emails: addresses,
      [ENTERPRISE_SCHEMA]: fc.record(
        { department: word, manager: fc.record({ value: word }) },
        { requiredKeys: ['department'] },
      ),
    },
    { requiredKeys: ['userName', 'active'] },
  )
  .map((one) => kept({ id: 'user-1', ...one }) as ScimResource);
const group = fc.record({ displayName: word, members }).map((one) => kept({ id: 'group-1', ...one }) as ScimResource);

const single = fc.constantFrom(
  'displayName',
  'nickName',
  'title',
  'name.givenName',
  'name.familyName',
  `${ENTERPRISE_SCHEMA}:department`,
);
const filtered = fc.constantFrom('work', 'home', 'other').map((type) => `emails[type eq "${type}"]`);

const onUser = (texts: boolean) =>
  fc.oneof(
    fc.record({ op: fc.constantFrom('add', 'replace'), path: single, value: word }),
    fc.record({ op: fc.constant('remove'), path: single }),
    fc.record({
      op: fc.constant('replace'),
      path: fc.constant('active'),
      value: texts ? fc.constantFrom(true, false, 'True', 'False') : fc.boolean(),
    }),
    fc.record({
      op: fc.constantFrom('add', 'replace'),
      value: fc.record({ displayName: word, active: fc.boolean() }, { requiredKeys: ['displayName'] }),
    }),
    fc.record({
      op: fc.constantFrom('add', 'replace'),
      path: fc.constant('name'),
      value: fc.record({ givenName: word, middleName: word }, { requiredKeys: [] }),
    }),
    fc.record({ op: fc.constantFrom('add', 'replace'), path: fc.constant('emails'), value: addresses }),
    fc.record({
      op: fc.constantFrom('add', 'replace'),
      path: filtered.map((path) => `${path}.value`),
      value: fc.constantFrom('d@example.test'),
    }),
    fc.record({ op: fc.constant('remove'), path: fc.oneof(filtered, fc.constant('emails'), fc.constant('name')) }),
  );
const onGroup = fc.oneof(
  fc.record({ op: fc.constantFrom('add', 'replace'), path: fc.constant('displayName'), value: word }),
  fc.record({ op: fc.constantFrom('add', 'replace'), path: fc.constant('members'), value: members }),
  fc.record({
    op: fc.constant('remove'),
    path: fc.constantFrom('user-1', 'user-2', 'user-4').map((id) => `members[value eq "${id}"]`),
  }),
  fc.record({ op: fc.constant('remove'), path: fc.constant('members') }),
);
const capital = (operation: Operation): Operation => ({
  ...operation,
  op: `${operation.op[0]!.toUpperCase()}${operation.op.slice(1)}`,
});

function asked(dialect: ScimDialect): fc.Arbitrary<Asked> {
  const isEntra = dialect === 'entra';
  const spelt = (one: fc.Arbitrary<Operation>) => (isEntra ? one.map(capital) : one);
  const many = (one: fc.Arbitrary<Operation>) => fc.array(spelt(one), { minLength: 1, maxLength: 4 });
  // Paths as names of an object without a path, and a list beside a removal: Entra's own.
  const named = fc.record({ op: fc.constant('add'), value: fc.record({ 'name.givenName': word, displayName: word }) });
  const removal = fc.record({ op: fc.constant('remove'), path: fc.constant('members'), value: members });
  return fc.oneof(
    fc.record({
      kind: fc.constant('User' as const),
      dialect: fc.constant(dialect),
      current: user,
      operations: many(isEntra ? fc.oneof({ weight: 8, arbitrary: onUser(true) }, named) : onUser(false)),
    }),
    fc.record({
      kind: fc.constant('Group' as const),
      dialect: fc.constant(dialect),
      current: group,
      operations: many(isEntra ? fc.oneof(onGroup, removal) : onGroup),
    }),
  );
}

/** The value of a list in an attribute's path, with a filter or without. */
function listAt({ path = '' }: Operation, state: unknown): readonly Record<string, unknown>[] {
  const name = path.split('[')[0]!;
  return ((state as Record<string, unknown>)[name] ?? []) as readonly Record<string, unknown>[];
}

/** How many values the filter in a path selects. */
function selected(operation: Operation, state: unknown): number {
  const wanted = /\[(\w+) eq "([^"]+)"\]/.exec(operation.path ?? '');
  return wanted === null ? 0 : listAt(operation, state).filter((one) => one[wanted[1]!] === wanted[2]).length;
}

/** In which the other engine is known to differ, each with its reason and a test of its own below. */
const DIFFERENCES: Readonly<Record<string, (one: Operation, state: unknown, dialect: ScimDialect) => boolean>> = {
  'a removal from a list that is not there': (one, state) =>
    /^remove$/i.test(one.op) && /\[|^members$/.test(one.path ?? '') && listAt(one, state).length === 0,
  'a replacement that creates what it selects, as Entra has it': (one, state, dialect) =>
    dialect === 'entra' && one.op === 'Replace' && /\[/.test(one.path ?? '') && selected(one, state) === 0,
  // RFC 7643 2.4: the same type and value are not there twice.
  'two values that are made equal and become one': (one, state) => selected(one, state) > 1,
};

const same = (a: unknown, b: unknown): boolean =>
  (isRefusal(a) && isRefusal(b)) || JSON.stringify(a) === JSON.stringify(b);
const isRefusal = (one: unknown): boolean => typeof one === 'string';

/** The name of the difference at the first operation after which the two differ; undefined: they never do. */
function differenceOf(one: Asked): string | undefined {
  if (same(ours(one), theirs(one))) return undefined;
  for (const [index, operation] of one.operations.entries()) {
    const until = { ...one, operations: one.operations.slice(0, index + 1) };
    if (same(ours(until), theirs(until))) continue;
    const before = { ...one, operations: one.operations.slice(0, index) };
    const state = index === 0 ? plain(one.current) : ours(before);
    const named = Object.entries(DIFFERENCES).find(([, holds]) => holds(operation, state, one.dialect));
    const example = { state, operation, dialect: one.dialect, ours: ours(until), theirs: theirs(until) };
    return named?.[0] ?? `unnamed: ${JSON.stringify(example)}`;
  }
  return 'unnamed: only as a whole';
}

describe('a PATCH', () => {
  it.each(['other', 'okta-catalogue', 'entra'] as const)(
    'of generated operations in the dialect %s ends as with another engine, but for what has a name',
    (dialect) => {
      const differences = fc.sample(asked(dialect), { numRuns: MESSAGES, seed: SEED }).map(differenceOf);
      const found = new Set(differences.filter((one) => one !== undefined));
      expect([...found].filter((one) => !Object.hasOwn(DIFFERENCES, one))).toEqual([]);
      // Where every message differed in something that has a name, nothing would have been compared.
      expect(differences.filter((one) => one === undefined).length).toBeGreaterThan(0.75 * MESSAGES);
    },
  );

  const single = (dialect: ScimDialect, operation: Operation, over: Readonly<Record<string, unknown>> = {}): Asked => {
    const current = kept({ id: 'user-1', userName: 'one@example.test', active: true, ...over }) as ScimResource;
    return { kind: 'User', dialect, current, operations: [operation] };
  };

  it('that takes away from a list that is not there changes nothing here, and is an error there', () => {
    for (const dialect of ['other', 'entra'] as const) {
      const one = single(dialect, { op: 'remove', path: 'emails[type eq "home"]' });
      expect(ours(one)).toEqual(settled(plain(one.current)));
      expect(theirs(one)).toContain('refused');
      expect(differenceOf(one)).toBe('a removal from a list that is not there');
    }
  });

  it('of Entra that replaces what nothing is creates it here, and is an error there, as here for everybody else', () => {
    const operation = { op: 'Replace', path: 'emails[type eq "work"].value', value: 'd@example.test' };
    const one = single('entra', operation);
    expect(ours(one)).toMatchObject({ emails: [{ type: 'work', value: 'd@example.test' }] });
    expect(theirs(one)).toContain('refused');
    expect(differenceOf(one)).toBe('a replacement that creates what it selects, as Entra has it');
    expect(ours({ ...one, dialect: 'other' })).toBe('refused scim_no_target');
  });

  it('that makes two values equal leaves one of them here, and both there', () => {
    const emails = ['a@example.test', 'b@example.test'].map((value) => ({ value, type: 'home' }));
    const operation = { op: 'replace', path: 'emails[type eq "home"].value', value: 'd@example.test' };
    const one = single('other', operation, { emails });
    const home = { type: 'home', value: 'd@example.test' };
    expect(ours(one)).toMatchObject({ emails: [home] });
    expect(theirs(one)).toMatchObject({ emails: [home, home] });
    expect(differenceOf(one)).toBe('two values that are made equal and become one');
  });

  it('that says a truth value as a text is read here where Entra sends it, and kept as a text there', () => {
    const document = { ...plain(single('entra', { op: 'Replace' }).current), schemas: [USER_SCHEMA] } as TheirResource;
    const operation = { op: 'Replace', path: 'active', value: 'False' };
    expect(ours(single('entra', operation))).toMatchObject({ active: false });
    const answered = scimPatch(document, [operation as ScimPatchOperation], { mutateDocument: false });
    expect(answered).toMatchObject({ active: 'False' });
    expect(ours(single('other', operation))).toBe('refused scim_value_type');
  });
});
