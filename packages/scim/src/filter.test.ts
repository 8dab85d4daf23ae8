import { isAppError } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matches, planFilter, type LookupName } from './evaluate.ts';
import { parseFilter, type Filter } from './filter.ts';
import { withMeta } from './present.ts';
import { isBranch, isList, type Branch, type ScimResource } from './resource.ts';
import { ENTERPRISE_SCHEMA, USER_SCHEMA, type ResourceKind } from './schema.ts';
import { GROUP, kept, USER } from './testing/world.ts';
import { foldCase } from './text.ts';
import type { ScimDialect } from './dialects.ts';

const parse = (text: string, kind: ResourceKind = 'User', dialect: ScimDialect = 'other') =>
  parseFilter(text, { kind, dialect });

function verdict(text: string, kind: ResourceKind = 'User', dialect: ScimDialect = 'other'): string {
  try {
    parse(text, kind, dialect);
    return 'accepted';
  } catch (error) {
    if (!isAppError(error)) throw error;
    return error.code;
  }
}

const selects = (text: string, resource: ScimResource = USER, kind: ResourceKind = 'User') =>
  matches(parse(text, kind), resource);
const named = (userName: string) => kept({ id: 'user-1', userName }) as ScimResource;

describe('P20: the grammar', () => {
  it('takes the shapes of RFC 7644 3.4.2.2', () => {
    const good = [
      'userName eq "one"',
      'name.familyName co "O\'Malley"',
      'userName sw "J"',
      `${USER_SCHEMA}:userName sw "J"`,
      'title pr',
      'meta.lastModified gt "2011-05-13T04:42:34Z"',
      'meta.lastModified le "2011-05-13T04:42:34Z"',
      'title pr and userType eq "Employee"',
      'title pr or userType eq "Intern"',
      `userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`,
      'userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")',
      'userType eq "Employee" and (emails.type eq "work")',
      'userType eq "Employee" and emails[type eq "work" and value co "@example.com"]',
      'emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]',
      'active eq true',
      'title eq null',
      `${ENTERPRISE_SCHEMA}:manager.value eq "user-9"`,
      'USERNAME EQ "one" AND NOT (TITLE PR)',
      '  userName   eq   "one"  ',
    ];
    for (const text of good) expect([text, verdict(text)]).toEqual([text, 'accepted']);
    expect(verdict('members eq "user-1"', 'Group')).toBe('accepted');
    expect(verdict('id eq "group-1" and members[value eq "user-1"]', 'Group')).toBe('accepted');
  });

  it('refuses everything else', () => {
    const bad = [
      '',
      ' ',
      'userName',
      'userName eq',
      'userName eq one',
      "userName eq 'one'",
      'userName eq "one',
      'userName eq one"',
      'userName eq "one""',
      'userName eq "one" or',
      'userName eq "one" userName eq "two"',
      'userName eq "one"or userName eq "two"',
      'userName eq "one" || true',
      'userName eq "one" xor title pr',
      'userName == "one"',
      'userName eq "one";',
      'userName eq "one" -- ',
      'userName eq "\\x41"',
      'userName eq "a\nb"',
      'userName eq "a\\u0000b"',
      'userName eq "\\ud800"',
      'userName eq 1',
      'userName eq true',
      'userName gt null',
      'userName pr "x"',
      'active eq "true"',
      'active gt true',
      'active co true',
      'name eq "x"',
      'emails[type eq "work"',
      'emails[type eq "work"]]',
      'emails[type eq "work"].value eq "x"',
      'emails[]',
      'name[familyName eq "x"]',
      'meta.lastModified gt "yesterday"',
      'meta.lastModified co "2011"',
      '(userName eq "one"',
      'userName eq "one")',
      '()',
      'not userName eq "one"',
      'not not (title pr)',
      'userName\teq "one"',
      'userName eq\u00a0"one"',
    ];
    for (const text of bad) expect([text, verdict(text)]).toEqual([text, 'scim_filter']);
  });

  it('refuses names that are in no table', () => {
    const bad = [
      'titel pr',
      'name.first pr',
      'emails.value.x pr',
      '__proto__ pr',
      'constructor eq "x"',
      'urn:x:title pr',
      `${ENTERPRISE_SCHEMA} pr`,
      'emails[kind eq "x"]',
      'emails[emails[type eq "work"]]',
      'and title pr',
      'members eq "x"',
      'password eq "x"',
      'schemas eq "x"',
      'nic\u212aName pr',
    ];
    for (const text of bad) expect([text, verdict(text)]).not.toEqual([text, 'accepted']);
    expect(verdict('userName eq "x"', 'Group')).toBe('scim_filter_attribute');
    expect(verdict('password eq "x"')).toBe('scim_filter_attribute');
  });

  it('is bounded in length, depth and number, and ends quickly', () => {
    const deep = (depth: number) => `${'('.repeat(depth)}title pr${')'.repeat(depth)}`;
    expect(verdict(deep(16))).toBe('accepted');
    expect(verdict(deep(17))).toBe('scim_filter');
    expect(verdict(`${'not ('.repeat(17)}title pr${')'.repeat(17)}`)).toBe('scim_filter');
    const wide = (count: number) => Array.from({ length: count }, () => 'title pr').join(' or ');
    expect(verdict(wide(64))).toBe('accepted');
    expect(verdict(wide(65))).toBe('scim_filter');
    expect(verdict(`title eq "${'x'.repeat(2048)}"`)).toBe('scim_filter');
    for (const text of [
      '('.repeat(2000),
      `title eq "${'\\'.repeat(2000)}`,
      ' '.repeat(2000),
      'a.'.repeat(1000),
      'title pr '.repeat(200),
    ])
      expect(verdict(text)).not.toBe('accepted');
  });

  it('takes texts for booleans where the dialect has them', () => {
    expect(verdict('roles[primary eq "True"]', 'User', 'entra')).toBe('accepted');
    expect(verdict('roles[primary eq "True"]')).toBe('scim_filter');
    expect(verdict('active eq "maybe"', 'User', 'entra')).toBe('scim_filter');
  });

  it('only ever ends in a filter or in one of its two errors', () => {
    const part = fc.constantFrom(
      'userName',
      'emails',
      '[',
      ']',
      '(',
      ')',
      ' ',
      ' eq ',
      ' and ',
      ' or ',
      'not ',
      '"x"',
      'true',
      'pr',
      '.',
      'value',
      '"',
      '\\',
      'urn:',
      '\u212a',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        expect(['accepted', 'scim_filter', 'scim_filter_attribute']).toContain(verdict(parts.join('')));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('P21: what a filter selects', () => {
  it('by each operator', () => {
    const good = [
      'userName eq "ONE@example.test"',
      'userName co "E@E"',
      'userName sw "one@"',
      'userName ew ".TEST"',
      'userName gt "a"',
      'userName ge "one@example.test"',
      'userName lt "p"',
      'userName le "one@example.test"',
      'userName ne "two"',
      'userName pr',
      'active eq true',
      'active ne false',
      'title eq null',
      'title ne "x"',
      'userName ne null',
    ];
    for (const text of good) expect([text, selects(text), selects(`not (${text})`)]).toEqual([text, true, false]);
  });

  it('of a list by any of its values, and within brackets by one value alone', () => {
    expect(selects('emails eq "home@example.test"')).toBe(true);
    expect(selects('emails.type eq "home" and emails.primary eq true')).toBe(true);
    expect(selects('emails[type eq "home" and primary eq true]')).toBe(false);
    expect(selects('emails[not (type eq "work")]')).toBe(true);
    expect(selects('emails.value ne "home@example.test"')).toBe(false);
    expect(selects('phoneNumbers[type eq "x"]')).toBe(false);
    expect(selects('phoneNumbers pr or emails.display pr')).toBe(false);
    expect(selects('emails.type pr and name pr')).toBe(true);
  });

  it('exactly where case counts', () => {
    expect(selects('id eq "user-1"')).toBe(true);
    expect(selects('id eq "USER-1"')).toBe(false);
    expect(selects('externalId eq "EXT-1"')).toBe(false);
    expect(selects(`${ENTERPRISE_SCHEMA}:department eq "audit"`)).toBe(true);
    expect(selects('members eq "user-2"', GROUP, 'Group')).toBe(true);
    expect(selects('members[value eq "USER-2"]', GROUP, 'Group')).toBe(false);
  });

  it('binds not before and, and before or', () => {
    expect(selects('userName pr or title pr and title pr')).toBe(true);
    expect(selects('(userName pr or title pr) and title pr')).toBe(false);
    expect(selects('not (title pr) and userName pr')).toBe(true);
    expect(selects('title pr and userName pr or active eq true')).toBe(true);
  });

  it('compares times as times', () => {
    const dated = withMeta(USER, {
      kind: 'User',
      base: '',
      created: '2026-01-01T00:00:00Z',
      lastModified: '2026-01-01T01:00:00+01:00',
    });
    expect(selects('meta.lastModified eq "2026-01-01T00:00:00.000Z"', dated)).toBe(true);
    expect(selects('meta.lastModified gt "2025-12-31T23:59:59Z"', dated)).toBe(true);
    expect(selects('meta.lastModified lt "2026-01-01T00:00:00Z"', dated)).toBe(false);
    expect(selects('meta.resourceType eq "User"', dated)).toBe(true);
  });

  it('takes what is quoted for a text, never for a part of the filter', () => {
    for (const text of [
      '" or userName pr or title eq "',
      "' OR '1'='1",
      '*',
      '%',
      '_',
      '\\',
      '${x}',
      '{"$gt":""}',
      '"] or emails[value pr',
    ]) {
      expect(selects(`userName eq ${JSON.stringify(text)}`)).toBe(false);
      expect(selects(`userName eq ${JSON.stringify(text)}`, named(text))).toBe(true);
    }
  });

  it('agrees with a naive evaluator on whatever is generated', () => {
    fc.assert(
      fc.property(anyFilter, anyUser, ({ text, naive }, user) => {
        expect([text, user, selects(text, user)]).toEqual([text, user, naive(user)]);
      }),
      { numRuns: 3000 },
    );
  });
});

/** Another way to say the same: the text of a filter beside a function that was never parsed. */
interface Twin {
  readonly text: string;
  readonly naive: (branch: Branch) => boolean;
}
const word = fc.constantFrom('a', 'A', 'ab', 'b', 'Ab', 'é', 'e\u0301', '"', '\\');
const texts = (branch: Branch, [first, second]: readonly string[]): string[] => {
  const node = branch[first!];
  const all = isList(node) ? node.map((each) => each[second!]) : isBranch(node) ? [node[second!]] : [node];
  return all
    .filter((each): each is string => typeof each === 'string')
    .map((each) => each.normalize('NFC').toLowerCase());
};
const OPERATORS: Readonly<Record<string, (a: string, b: string) => boolean>> = {
  eq: (a, b) => a === b,
  co: (a, b) => a.includes(b),
  sw: (a, b) => a.startsWith(b),
  ew: (a, b) => a.endsWith(b),
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
};
const comparison = (paths: readonly string[]): fc.Arbitrary<Twin> =>
  fc
    .record({
      path: fc.constantFrom(...paths),
      op: fc.constantFrom(...Object.keys(OPERATORS), 'ne', 'pr'),
      value: word,
    })
    .map(({ path, op, value }) => {
      const wanted = value.normalize('NFC').toLowerCase();
      const of = (branch: Branch) => texts(branch, path.split('.'));
      if (op === 'pr') return { text: `${path} pr`, naive: (branch) => of(branch).length > 0 };
      const text = `${path} ${op} ${JSON.stringify(value)}`;
      if (op === 'ne') return { text, naive: (branch) => !of(branch).includes(wanted) };
      return { text, naive: (branch) => of(branch).some((each) => OPERATORS[op]!(each, wanted)) };
    });
const joined = (leaf: fc.Arbitrary<Twin>): fc.Arbitrary<Twin> =>
  fc.letrec<{ filter: Twin }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.tuple(tie('filter'), tie('filter'), fc.boolean()).map(([a, b, isAnd]) => ({
        text: `(${a.text}) ${isAnd ? 'and' : 'OR'} (${b.text})`,
        naive: (branch: Branch) => (isAnd ? a.naive(branch) && b.naive(branch) : a.naive(branch) || b.naive(branch)),
      })),
      tie('filter').map((a) => ({ text: `not (${a.text})`, naive: (branch: Branch) => !a.naive(branch) })),
    ),
  })).filter;
const each: fc.Arbitrary<Twin> = joined(comparison(['value', 'type'])).map(({ text, naive }) => ({
  text: `emails[${text}]`,
  naive: (branch) => isList(branch['emails']) && branch['emails'].some(naive),
}));
const anyFilter = joined(
  fc.oneof(comparison(['userName', 'title', 'name.givenName', 'emails.type', 'emails.value']), each),
);
const anyUser: fc.Arbitrary<ScimResource> = fc
  .record(
    {
      userName: word,
      title: word,
      name: fc.record({ givenName: word }),
      emails: fc.array(fc.record({ value: word, type: word }, { requiredKeys: ['value'] }), { maxLength: 3 }),
    },
    { requiredKeys: ['userName'] },
  )
  .map((user) => kept(user) as ScimResource);

describe('P22: case', () => {
  it('is folded without making one person into another', () => {
    const same: [string, string][] = [
      ['ONE', 'one'],
      ['STRASSE', 'strasse'],
      ['JOS\u00c9', 'jose\u0301'],
      ['Ωmega', 'ωMEGA'],
    ];
    for (const [a, b] of same) expect([a, selects(`userName eq ${JSON.stringify(a)}`, named(b))]).toEqual([a, true]);
    const other: [string, string][] = [
      ['\u212aevin', 'kevin'],
      ['mi\u017fter', 'mister'],
      ['\uff41dmin', 'admin'],
      ['stra\u00dfe', 'strasse'],
      ['\u0131van', 'ivan'],
      ['\u0130van', 'ivan'],
      ['o\ufb03ce', 'office'],
      ['аdmin', 'admin'],
      ['a\u200bdmin', 'admin'],
      ['\u00df\u00e9', 'ss\u00e9'],
      ['\u0131\u00e9', 'i\u00e9'],
    ];
    for (const [a, b] of other) {
      expect([a, foldCase(a) === foldCase(b)]).toEqual([a, false]);
      expect([a, selects(`userName eq ${JSON.stringify(a)}`, named(b))]).toEqual([a, false]);
    }
  });

  it('is folded once: twice is the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(foldCase(foldCase(text))).toBe(foldCase(text));
      }),
    );
  });
});

describe('P23: look-ups', () => {
  const ALL: ReadonlySet<LookupName> = new Set<LookupName>([
    'id',
    'userName',
    'externalId',
    'members.value',
    'displayName',
  ]);
  const plan = (text: string, kind: ResourceKind = 'User', indexes = ALL) => {
    const found = planFilter(parse(text, kind), indexes);
    return found.kind === 'scan' ? 'scan' : `${found.lookup.by}=${found.lookup.key}`;
  };

  it('are found in an equality, alone or beside others', () => {
    expect(plan('userName eq "ONE"')).toBe('userName=one');
    expect(plan(`${USER_SCHEMA}:USERNAME EQ "ONE"`)).toBe('userName=one');
    expect(plan('externalId eq "EXT"')).toBe('externalId=EXT');
    expect(plan('displayName eq "Auditors"', 'Group')).toBe('displayName=auditors');
    expect(plan('members.value eq "U"', 'Group')).toBe('members.value=U');
    expect(plan('members eq "U"', 'Group')).toBe('members.value=U');
    expect(plan('members[value eq "U" and type eq "User"]', 'Group')).toBe('members.value=U');
    expect(plan('members eq "U" and id eq "G"', 'Group')).toBe('id=G');
    expect(plan('active eq true and (title pr and userName eq "one")')).toBe('userName=one');
  });

  it('are not found where another resource could match too', () => {
    for (const text of [
      'userName ne "a"',
      'userName sw "a"',
      'not (userName eq "a")',
      'userName eq "a" or title pr',
      'userName eq null',
      'emails eq "a"',
      `${ENTERPRISE_SCHEMA}:manager.displayName eq "a"`,
      'manager eq "a"',
      'title pr',
    ])
      expect([text, verdict(text) === 'accepted' ? plan(text) : 'scan']).toEqual([text, 'scan']);
    expect(plan('userName eq "a"', 'User', new Set<LookupName>(['id']))).toBe('scan');
  });

  it('hold for whatever the filter selects', () => {
    const indexes = new Set<LookupName>(['userName']);
    fc.assert(
      fc.property(anyFilter, anyUser, word, ({ text }, user, name) => {
        const filter: Filter = parse(`(${text}) and userName eq ${JSON.stringify(name)}`);
        const found = planFilter(filter, indexes);
        if (found.kind === 'scan') throw new Error('no plan');
        if (matches(filter, user)) expect(foldCase(user['userName'] as string)).toBe(found.lookup.key);
      }),
      { numRuns: 1000 },
    );
  });
});
