import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changesBetween } from './changes.ts';
import { matches } from './evaluate.ts';
import { parseFilter } from './filter.ts';
import { isBranch, isList, isSame, type Branch, type Node, type ScimResource } from './resource.ts';
import { ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA } from './schema.ts';
import { accepted, ALL_DIALECTS, bytesOf, kept, patch, patchOf, plain } from './testing/world.ts';
import { createResource, replaceResource, type Verdict } from './write.ts';

const word = fc.constantFrom('a', 'b', 'c', 'Straße', 'x y');
const value = fc.record({ value: word, type: fc.constantFrom('work', 'home') }, { requiredKeys: ['value'] });
const user = fc
  .record(
    {
      userName: word,
      title: word,
      active: fc.boolean(),
      name: fc.record({ givenName: word, familyName: word }, { requiredKeys: ['givenName'] }),
      emails: fc.uniqueArray(value, { minLength: 1, maxLength: 3, selector: (each) => JSON.stringify(each) }),
      [ENTERPRISE_SCHEMA]: fc.record(
        { department: word, manager: fc.record({ value: word }) },
        { requiredKeys: ['department'] },
      ),
    },
    { requiredKeys: ['userName'] },
  )
  .map((each) => kept({ id: 'user-1', ...each }) as ScimResource);

const single = fc.constantFrom(
  'title',
  'displayName',
  'name.givenName',
  'name.familyName',
  `${ENTERPRISE_SCHEMA}:department`,
  `${USER_SCHEMA}:nickName`,
  `${ENTERPRISE_SCHEMA}:manager.value`,
);
const operation = fc.oneof(
  fc.record({ op: fc.constantFrom('add', 'Replace'), path: single, value: word }),
  fc.record({ op: fc.constant('remove'), path: single }),
  fc.record({
    op: fc.constantFrom('Add', 'replace'),
    path: fc.constant('emails'),
    value: fc.array(value, { maxLength: 2 }),
  }),
  fc.record({
    op: fc.constantFrom('add', 'replace'),
    path: fc.constantFrom('emails[type eq "work"].value', 'emails[type eq "home"].display'),
    value: word,
  }),
  fc.record({
    op: fc.constant('remove'),
    path: fc.constantFrom('emails', 'emails[type eq "work"]', 'emails[value eq "a"].type'),
  }),
  fc.record({
    op: fc.constant('replace'),
    path: fc.constant('active'),
    value: fc.constantFrom(true, false, 'True', 'False'),
  }),
);

/** What a path without a filter leads to, found by hand. */
function at(resource: ScimResource, path: string): Node | undefined {
  const inside = path.startsWith(`${ENTERPRISE_SCHEMA}:`) ? ENTERPRISE_SCHEMA : undefined;
  const names = path.slice(path.lastIndexOf(':') + 1).split('.');
  const start = inside === undefined ? resource : resource[inside];
  return names.reduce<Node | undefined>((node, name) => (isBranch(node) ? node[name] : undefined), start);
}

/** A change list put into effect on a copy, by hand. */
function replayed(before: ScimResource, verdict: Verdict): unknown {
  if (verdict.kind === 'refused') throw verdict.error;
  const copy = plain(before);
  for (const change of verdict.changes) {
    const inside = change.path.startsWith('urn:') ? ENTERPRISE_SCHEMA : undefined;
    const names = change.path.slice(change.path.lastIndexOf(':') + 1).split('.');
    const holder = inside === undefined ? copy : (copy[inside] ??= {});
    if ('added' in change) {
      const left = (holder[change.path] ?? []).filter(
        (each: Branch) => !change.removed.some((gone) => isSame(kept(each), gone)),
      );
      holder[change.path] = [...left, ...plain(change.added)];
    } else {
      const parent = names.length === 1 ? holder : (holder[names[0]!] ??= {});
      if (change.after === undefined) delete parent[names.at(-1)!];
      else parent[names.at(-1)!] = change.after;
    }
  }
  return sorted(kept(copy));
}

/** Lists in one order, names in one order: what is compared is what is said. */
function sorted(node: Node | undefined): unknown {
  if (isList(node)) return node.map(sorted).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (!isBranch(node)) return node;
  return Object.fromEntries(
    Object.entries(node)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}

const anyPatch = fc.tuple(user, fc.array(operation, { minLength: 1, maxLength: 5 }));

describe('P10 P11 P12: patch, then read', () => {
  it('what was set is there, what was removed is not, and nothing else moved', () => {
    fc.assert(
      fc.property(
        user,
        fc.constantFrom('add', 'replace', 'remove'),
        fc.tuple(single, word),
        (before, op, [path, said]) => {
          const verdict = patch(patchOf(op === 'remove' ? { op, path } : { op, path, value: said }), {
            current: before,
          });
          if (verdict.kind === 'refused') throw verdict.error;
          expect(at(verdict.resource, path)).toBe(op === 'remove' ? undefined : said);
          const elsewhere = verdict.changes.map((change) => change.path).filter((each) => !path.endsWith(each));
          expect(elsewhere).toEqual([]);
        },
      ),
    );
  });

  it('members are a set: the outcome is that of a set, in any order of adding and removing', () => {
    const step = fc.record({
      isAdded: fc.boolean(),
      ids: fc.array(fc.constantFrom('1', '2', '3', '4'), { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), fc.boolean(), (steps, isByFilter) => {
        const naive = new Set(['1', '2']);
        const operations = steps.flatMap(({ isAdded, ids }) => {
          for (const id of ids) naive[isAdded ? 'add' : 'delete'](id);
          const value = ids.map((each) => ({ value: each }));
          if (isAdded) return [{ op: 'add', path: 'members', value }];
          if (isByFilter) return ids.map((each) => ({ op: 'remove', path: `members[value eq "${each}"]` }));
          return [{ op: 'Remove', path: 'members', value }];
        });
        const current = kept({
          id: 'group-1',
          displayName: 'a',
          members: [{ value: '1' }, { value: '2' }],
        }) as ScimResource;
        const after = accepted(patch(patchOf(...operations), { kind: 'Group', dialect: 'entra', current }));
        expect((after.members ?? []).map((each: Branch) => each['value'])).toEqual([...naive]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('P14: of any PATCH', () => {
  it('the changes lead from before to after, nothing was touched, and all is frozen', () => {
    fc.assert(
      fc.property(anyPatch, fc.constantFrom(...ALL_DIALECTS), ([before, operations], dialect) => {
        const text = JSON.stringify(before);
        const verdict = patch(patchOf(...operations), { dialect, current: before });
        expect(JSON.stringify(before)).toBe(text);
        if (verdict.kind === 'refused') return;
        expect(replayed(before, verdict)).toEqual(sorted(verdict.resource));
        expect(verdict.changes.length === 0).toBe(isSame(before, verdict.resource));
        expect(changesBetween(verdict.resource, verdict.resource)).toEqual([]);
        const frozen = (node: Node | undefined): boolean =>
          typeof node !== 'object' || (Object.isFrozen(node) && Object.values(node).every(frozen));
        expect(frozen(verdict.resource)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('one that sets or takes away, said again, changes nothing', () => {
    const settled = fc.array(operation, { minLength: 1, maxLength: 1 });
    fc.assert(
      fc.property(user, settled, (before, operations) => {
        const first = patch(patchOf(...operations), { dialect: 'entra', current: before });
        if (first.kind === 'refused') return;
        expect(patch(patchOf(...operations), { dialect: 'entra', current: first.resource })).toMatchObject({
          kind: 'accepted',
          changes: [],
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('one that is refused at its end is as if it had not been', () => {
    fc.assert(
      fc.property(anyPatch, ([before, operations]) => {
        const verdict = patch(patchOf(...operations, { op: 'replace', path: 'titel', value: 'x' }), {
          dialect: 'entra',
          current: before,
        });
        expect(verdict.kind).toBe('refused');
        expect(verdict).not.toHaveProperty('resource');
      }),
      { numRuns: 200 },
    );
  });

  it('what it adds is found by a filter', () => {
    fc.assert(
      fc.property(user, word, (before, said) => {
        const verdict = patch(patchOf({ op: 'Add', path: 'emails[type eq "work"].value', value: said }), {
          current: before,
        });
        if (verdict.kind === 'refused') throw verdict.error;
        const filter = parseFilter(`emails[type eq "work" and value eq ${JSON.stringify(said)}]`, {
          kind: 'User',
          dialect: 'other',
        });
        expect(matches(filter, verdict.resource)).toBe(true);
      }),
    );
  });
});

describe('P4: what was read is read again as the same', () => {
  it('by POST and by PUT', () => {
    fc.assert(
      fc.property(user, (resource) => {
        const body = bytesOf({ schemas: [USER_SCHEMA, ENTERPRISE_SCHEMA], ...resource });
        const put = replaceResource({ kind: 'User', dialect: 'other', body, current: resource });
        expect(put).toMatchObject({ kind: 'accepted', changes: [] });
        const created = accepted(createResource({ kind: 'User', dialect: 'other', body }));
        const { id: _id, ...rest } = plain(resource);
        expect(created).toEqual({ active: true, ...rest });
      }),
    );
    const group = kept({ id: 'g', displayName: 'a', members: [{ value: '1' }] }) as ScimResource;
    const body = bytesOf({ schemas: [GROUP_SCHEMA], ...group });
    expect(replaceResource({ kind: 'Group', dialect: 'other', body, current: group })).toMatchObject({ changes: [] });
  });
});
