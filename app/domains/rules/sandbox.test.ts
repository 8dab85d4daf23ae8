import { globSync } from 'node:fs';
import { join } from 'node:path';
import { loadPolicies } from '@auditrax/policy';
import { describe, expect, it } from 'vitest';
import { readRoutePolicies } from '../access/index.ts';
import { RULES_MAX } from './contract.ts';
import { readTenantRules, SEEING, WORKING } from './sandbox.ts';

const DOMAINS = join(import.meta.dirname, '..');
const OWN_OFFICE = `// Auditors stay in their office.
@id("own-office")
forbid (principal is Person, action, resource is Engagement)
when { principal.role == "auditor" }
unless { principal has office && resource has office && principal.office == resource.office };
`;
const rule = (id: string, rest: string) =>
  `@id("${id}")\nforbid (principal is Person, action, resource is Engagement)\n${rest};\n`;

describe('a tenant’s rules', () => {
  it('may speak of every verb on an engagement, and of nothing else', () => {
    const files = globSync('*/policy.cedar', { cwd: DOMAINS }).map((file) => join(DOMAINS, file));
    const house = loadPolicies(readRoutePolicies(files));
    const verbs = [...house.schema.actions].filter(([, { resourceTypes }]) => resourceTypes.includes('Engagement'));
    expect([...SEEING, ...WORKING].toSorted()).toEqual(verbs.map(([action]) => action).toSorted());
  });

  it('are taken when they only take away', () => {
    const { set, problems } = readTenantRules(OWN_OFFICE);
    expect(problems).toEqual([]);
    expect(set?.exact).toBe(true);
  });

  it.each(['', '  \n', '// nothing yet\n'])('may be none: %j', (text) => {
    expect(readTenantRules(text)).toEqual({ set: undefined, problems: [] });
  });

  it.each([
    ['a permit', `\n@id("more") permit (principal is Person, action, resource is Engagement);`, 2, /only take away/],
    [
      'a permit that calls itself forbid',
      `@id("forbid") permit (principal is Person, action, resource is Engagement);`,
      1,
      /only take away/,
    ],
    ['what does not parse', `${OWN_OFFICE}\nforbid (principal,, action, resource);`, 7, /unexpected token/i],
    ['a misspelt attribute', rule('a', 'when { resource.stat == "draft" }'), 3, /`stat`/],
    ['an unguarded attribute', rule('a', 'when { principal.office == resource.office }'), 3, /office/],
    ['a comparison of unlike things', rule('a', 'when { resource.state == 1 }'), 3, /not compatible/],
    ['a verb outside', `@id("a") forbid (principal, action == Action::"rules.save", resource);`, 1, /rules\.save/],
    ['the tenant', `@id("a") forbid (principal, action, resource is Tenant);`, 1, /Tenant/],
    ['a single person', rule('a', 'when { principal == Person::"x" }'), 1, /single person/],
    ['no name', 'forbid (principal is Person, action, resource is Engagement);', 1, /needs a name/],
    ['one name twice', OWN_OFFICE + OWN_OFFICE, 2, /share this id/],
    ['a number to multiply', rule('a', 'when { 2 * 3 == 6 }'), 1, /\*|impossible|applicable/],
    ['deep brackets', rule('a', `when { ${'('.repeat(5000)}true${')'.repeat(5000)} }`), 1, /nested/],
    [
      'too many',
      Array.from({ length: RULES_MAX + 1 }, (_, n) => rule(`r${n}`, 'when { resource.state == "draft" }')).join(''),
      1,
      /more than/,
    ],
  ])('are refused at their line: %s', (...[, text, line, message]) => {
    const { set, problems } = readTenantRules(text);
    expect(set).toBeUndefined();
    expect(problems[0]).toMatchObject({ line, message: expect.stringMatching(message) as string });
  });
});
