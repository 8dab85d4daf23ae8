import { isAppError } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import { loadPolicies, splitPolicies } from './policy-set.ts';

const SCHEMA = `
entity Tenant;
entity Person { role: String, team?: String };
entity Paper { state: String, contacts: Set<Person>, owner?: Person, size: Long, title: String, open: Bool };
action "papers.read" appliesTo { principal: [Person], resource: [Tenant, Paper], context: { night: Bool } };
action "papers.write" appliesTo { principal: [Person], resource: [Paper], context: { night: Bool } };
`;
const paper = (attributes: Record<string, unknown>) => ({
  type: 'Paper',
  id: 'p1',
  attributes: { state: 'draft', contacts: [], size: 1, title: 't', open: true, ...attributes },
});
const person = (role: string) => ({ type: 'Person', id: 'ann', attributes: { role } });
const code = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
  return 'no error';
};
const load = (...texts: string[]) =>
  loadPolicies({ schema: SCHEMA, policies: texts.map((text, index) => ({ id: `p${index}`, text })) });

describe('P1: only policies that pass the strict validator are loaded', () => {
  it.each([
    ['does not parse', 'permit(principal, action'],
    [
      'misspelt attribute',
      'permit(principal, action == Action::"papers.read", resource is Paper) when { resource.stat == "x" };',
    ],
    ['unknown action', 'permit(principal, action == Action::"papers.raed", resource);'],
    [
      'unguarded optional',
      'permit(principal, action == Action::"papers.read", resource is Paper) when { resource.owner == principal };',
    ],
    ['two in one text', 'permit(principal, action, resource); permit(principal, action, resource);'],
    ['template', 'permit(principal == ?principal, action, resource);'],
    [
      'number rounded by the bridge',
      'permit(principal, action == Action::"papers.write", resource is Paper) when { resource.size == 9007199254740993 };',
    ],
  ])('refuses: %s', (_name, text) => {
    expect(code(() => load(text))).toBe('policy_invalid');
  });

  it('refuses two policies of one id', () => {
    const text = 'permit(principal, action, resource);';
    expect(
      code(() =>
        loadPolicies({
          schema: SCHEMA,
          policies: [
            { id: 'a', text },
            { id: 'a', text },
          ],
        }),
      ),
    ).toBe('policy_invalid');
  });
});

describe('P2: a forbid without SQL form is refused, a permit without one shows nothing', () => {
  const arithmetic = (effect: string) =>
    `${effect}(principal, action == Action::"papers.write", resource is Paper) when { resource.size + 1 > 5 };`;

  it('forbid', () => {
    expect(code(() => load(arithmetic('forbid')))).toBe('policy_forbid_unsupported');
  });

  it('permit', () => {
    const set = load(arithmetic('permit'));
    expect(
      set.decide({
        principal: person('x'),
        action: 'papers.write',
        resource: paper({ size: 9 }),
        context: { night: false },
      }).allowed,
    ).toBe(true);
    const filter = set.compileFilter({
      action: 'papers.write',
      principal: person('x'),
      context: { night: false },
      resourceType: 'Paper',
      columns: {},
    });
    expect(filter).toMatchObject({ sql: 'false', parameters: [] });
  });
});

describe('P3: entities are flat', () => {
  it('refuses a schema with parents', () => {
    const schema =
      'entity Group; entity Person in [Group]; action "a" appliesTo { principal: [Person], resource: [Group] };';
    expect(code(() => loadPolicies({ schema, policies: [] }))).toBe('policy_hierarchy_unsupported');
  });
});

describe('P4: nothing is allowed by default, and an error denies', () => {
  const set = load(
    'permit(principal, action == Action::"papers.write", resource is Paper) when { principal.role == "lead" };',
    'forbid(principal, action, resource) when { context.night };',
    'permit(principal, action == Action::"papers.write", resource is Paper) when { resource.size * 9007199254740991 * 9007199254740991 > 0 };',
  );
  const ask = (role: string, night: boolean, size = 0) =>
    set.decide({ principal: person(role), action: 'papers.write', resource: paper({ size }), context: { night } });

  it('denies what nothing permits', () => expect(ask('auditor', false)).toEqual({ allowed: false, reasons: [] }));
  it('names the policies that decided', () => expect(ask('lead', false)).toEqual({ allowed: true, reasons: ['p0'] }));
  it('lets a forbid win', () => expect(ask('lead', true)).toEqual({ allowed: false, reasons: ['p1'] }));
  it('denies when a policy errors', () =>
    expect(ask('lead', false, 3)).toEqual({ allowed: false, reasons: ['error:p2'] }));

  it.each([
    ['an undeclared action', { action: 'papers.burn' }],
    ['an ill-typed attribute', { resource: paper({ size: '1' }) }],
    ['a missing attribute', { resource: paper({ state: undefined }) }],
    ['a wrong resource type', { resource: { type: 'Tenant', id: 't', attributes: {} } }],
    ['a missing context', { context: {} }],
  ])('refuses %s instead of deciding', (_name, change) => {
    const request = {
      principal: person('lead'),
      action: 'papers.write',
      resource: paper({}),
      context: { night: false },
      ...change,
    };
    expect(code(() => set.decide(request))).toBe('policy_request_invalid');
  });
});

describe('P5: values are bound, never text', () => {
  const set = load(
    'permit(principal, action == Action::"papers.read", resource is Paper) when { resource.title like "a%_*" && resource.contacts.contains(principal) && principal.role == resource.state };',
  );
  const input = {
    action: 'papers.read',
    context: { night: false },
    resourceType: 'Paper',
    columns: { title: 'p.title', contacts: 'p.contact_ids', state: 'p.state' },
  };

  it('keeps one text for every principal', () => {
    const one = set.compileFilter({ ...input, principal: person("x' or true --") });
    const two = set.compileFilter({ ...input, principal: person('lead') });
    expect(one.sql).toBe(two.sql);
    expect(one.parameters).toEqual(['a\\%\\_%', 'ann', "x' or true --"]);
    expect(one.strings.length).toBe(one.values.length + 1);
  });

  it('refuses a column that is no plain name', () => {
    expect(
      code(() =>
        set.compileFilter({ ...input, principal: person('x'), columns: { ...input.columns, title: 'x) or (true' } }),
      ),
    ).toBe('policy_column_missing');
  });

  it('refuses a filter that lacks a column', () => {
    expect(code(() => set.compileFilter({ ...input, principal: person('x'), columns: { title: 'title' } }))).toBe(
      'policy_column_missing',
    );
  });

  it('refuses an ill-typed principal', () => {
    expect(
      code(() => set.compileFilter({ ...input, principal: { type: 'Person', id: 'ann', attributes: { role: 1 } } })),
    ).toBe('policy_request_invalid');
  });
});

describe('P7: policies of a file carry their own id', () => {
  it('names them by file and id', () => {
    const text = Array.from({ length: 12 }, (_, index) => `@id("n${index}") permit(principal, action, resource);`).join(
      '\n',
    );
    expect(
      splitPolicies('room', text)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(Array.from({ length: 12 }, (_, index) => `room.n${index}`).sort());
  });
  it('refuses one without', () => {
    expect(code(() => splitPolicies('room', 'permit(principal, action, resource);'))).toBe('policy_invalid');
  });
});
