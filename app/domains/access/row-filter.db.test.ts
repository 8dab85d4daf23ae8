import { loadPolicies, type PolicySet } from '@auditrax/policy';
import { checkStatement, sql } from '@auditrax/tenancy';
import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';

/** P6 of packages/policy: what PostgreSQL selects by the compiled filter is what Cedar permits, row by row. */

const SCHEMA = `
entity Person = { role: String, team?: String, level: Long };
entity Paper = { state: String, contacts: Set<Person>, owner?: Person, size: Long, note?: String, title: String, open: Bool, tags: Set<String> };
action "read" appliesTo { principal: [Person], resource: [Paper], context: { night: Bool, hour: Long } };
`;
const COLUMNS = {
  state: 'p.state',
  contacts: 'p.contacts',
  owner: 'p.owner',
  size: 'p.size',
  note: 'p.note',
  title: 'p.title',
  open: 'p.open',
  tags: 'p.tags',
};
const IDS = [
  '11111111-1111-4111-8111-111111111111',
  '22222222-2222-4222-8222-222222222222',
  '33333333-3333-4333-8333-333333333333',
];
const STATES = ['draft', 'review', "fi'nal"];
const TEXTS = ['', 'a', 'ab', 'a%b', 'a_b', 'a\\b', "it's", 'ä', 'draft', '%', '\\'];
const ROWS = 60;

const person = fc.constantFrom(...IDS);
const text = fc.constantFrom(...TEXTS);
const quoted = (value: string): string => JSON.stringify(value);
const number = fc.constantFrom(-3, 0, 1, 2, 7, 9_007_199_254_740_991);

const textValue = fc.oneof(
  text.map(quoted),
  fc.constantFrom('resource.state', 'resource.title', 'principal.role'),
  fc.constantFrom('(if resource.open then resource.state else resource.title)'),
);
const longValue = fc.oneof(number.map(String), fc.constantFrom('resource.size', 'principal.level', 'context.hour'));
const setOfText = fc.oneof(
  fc.constant('resource.tags'),
  fc.array(text.map(quoted), { minLength: 1, maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
);
const personValue = fc.oneof(
  fc.constant('principal'),
  person.map((id) => `Person::"${id}"`),
);
const setOfPersons = fc.oneof(
  fc.constant('resource.contacts'),
  fc.array(personValue, { minLength: 1, maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
);
const pattern = fc.constantFrom('*', 'a*', '*b', 'a%b', 'a_b', 'a\\\\b', '*%*', '*_*', 'dra*t', '\\*', '*\\\\*');

const leaf = fc.oneof(
  fc.tuple(textValue, fc.constantFrom('==', '!='), textValue).map(([a, operator, b]) => `${a} ${operator} ${b}`),
  fc
    .tuple(longValue, fc.constantFrom('==', '!=', '<', '<=', '>', '>='), longValue)
    .map(([a, operator, b]) => `${a} ${operator} ${b}`),
  fc.tuple(textValue, pattern).map(([a, like]) => `${a} like "${like}"`),
  fc.tuple(setOfText, textValue).map(([set, item]) => `${set}.contains(${item})`),
  fc
    .tuple(setOfText, fc.constantFrom('containsAll', 'containsAny'), setOfText)
    .map(([a, operator, b]) => `${a}.${operator}(${b})`),
  fc.tuple(setOfPersons, personValue).map(([set, item]) => `${set}.contains(${item})`),
  fc
    .tuple(setOfPersons, fc.constantFrom('containsAll', 'containsAny'), setOfPersons)
    .map(([a, operator, b]) => `${a}.${operator}(${b})`),
  fc.tuple(personValue, setOfPersons).map(([item, set]) => `${item} in ${set}`),
  fc.tuple(setOfText, fc.constantFrom('==', '!='), setOfText).map(([a, operator, b]) => `${a} ${operator} ${b}`),
  fc.constantFrom(
    'resource.tags.isEmpty()',
    'resource.contacts.isEmpty()',
    'resource.open',
    'context.night',
    'true',
    'false',
  ),
  fc.constantFrom(
    'resource has note',
    'resource has owner',
    'principal has team',
    'resource has title',
    'resource is Paper',
  ),
  personValue.map((item) => `(resource has owner && resource.owner == ${item})`),
  personValue.map((item) => `(!(resource has owner) || resource.owner != ${item})`),
  setOfPersons.map((set) => `(resource has owner && ${set}.contains(resource.owner))`),
  textValue.map((value) => `(resource has note && resource.note == ${value})`),
  textValue.map((value) => `(if resource has note then resource.note != ${value} else resource.open)`),
  textValue.map((value) => `(principal has team && principal.team == ${value})`),
  fc.constantFrom('resource == Paper::"1"', 'resource in [Paper::"1", Paper::"2"]'),
);
const condition: fc.Arbitrary<string> = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc
      .tuple(tie('node'), fc.constantFrom('&&', '||'), tie('node'))
      .map(([a, operator, b]) => `(${a}) ${operator} (${b})`),
    tie('node').map((a) => `!(${a})`),
    fc.tuple(tie('node'), tie('node'), tie('node')).map(([a, b, c]) => `(if ${a} then ${b} else ${c})`),
  ),
})).node;
const head = fc.constantFrom(
  'principal is Person, action == Action::"read", resource is Paper',
  'principal, action, resource',
  `principal == Person::"${IDS[0]}", action, resource is Paper`,
  'principal, action in [Action::"read"], resource == Paper::"3"',
);
const policy = fc
  .tuple(fc.constantFrom('permit', 'permit', 'forbid'), head, fc.constantFrom('when', 'unless'), condition)
  .map(([effect, where, kind, body]) => `${effect}(${where}) ${kind} { ${body} };`);

interface Row {
  readonly id: string;
  readonly attributes: Record<string, unknown>;
}
const row = fc.record({
  state: fc.constantFrom(...STATES),
  contacts: fc.array(person, { maxLength: 3 }),
  owner: fc.option(person, { nil: null }),
  size: number,
  note: fc.option(text, { nil: null }),
  title: text,
  open: fc.boolean(),
  tags: fc.array(text, { maxLength: 3 }),
});

let database: TestDatabase;
let client: Client;
let rows: Row[];

beforeAll(async () => {
  database = await startTestDatabase({ roots: [] });
  client = new Client(database.connectionFor('superuser'));
  await client.connect();
  await client.query(
    `create temp table paper (id text, state text, contacts uuid[], owner uuid, size bigint, note text, title text, open boolean, tags text[])`,
  );
  const samples = fc.sample(row, { numRuns: ROWS, seed: 20_261_122 });
  rows = samples.map((attributes, index) => ({ id: String(index), attributes }));
  for (const { id, attributes: a } of rows) {
    await client.query('insert into paper values ($1,$2,$3,$4,$5,$6,$7,$8,$9)', [
      id,
      a['state'],
      a['contacts'],
      a['owner'],
      a['size'],
      a['note'],
      a['title'],
      a['open'],
      a['tags'],
    ]);
  }
});
afterAll(async () => {
  await client?.end();
  await database?.stop();
});

/** Undefined when the random policies do not pass the strict validator (a comparison it can prove false, say). */
function load(texts: readonly string[]): PolicySet | undefined {
  try {
    return loadPolicies({ schema: SCHEMA, policies: texts.map((body, index) => ({ id: `p${index}`, text: body })) });
  } catch {
    return undefined;
  }
}

describe('the compiled filter selects what Cedar permits', () => {
  it('in random policies on random rows', async () => {
    const sets = process.env['SLOW'] === undefined ? 50 : 1500;
    let decisions = 0;
    let permitted = 0;
    const principals = fc.record({ role: text, team: fc.option(text, { nil: undefined }), level: number });
    await fc.assert(
      fc.asyncProperty(
        fc
          .array(policy, { minLength: 1, maxLength: 4 })
          .map(load)
          .filter((set) => set !== undefined),
        fc.record({ id: person, attributes: principals, night: fc.boolean(), hour: number }),
        async (set, who) => {
          const principal = { type: 'Person', id: who.id, attributes: who.attributes };
          const context = { night: who.night, hour: who.hour };
          const filter = set.compileFilter({
            action: 'read',
            principal,
            context,
            resourceType: 'Paper',
            columns: COLUMNS,
            idColumn: 'p.id',
          });
          const found = await client.query<{ id: string }>(`select p.id from paper p where ${filter.sql}`, [
            ...filter.parameters,
          ]);
          const selected = new Set(found.rows.map(({ id }) => id));
          for (const { id, attributes } of rows) {
            const { allowed } = set.decide({
              principal,
              action: 'read',
              context,
              resource: { type: 'Paper', id, attributes },
            });
            decisions += 1;
            permitted += allowed ? 1 : 0;
            expect(selected.has(id), `row ${id} of ${filter.sql}`).toBe(allowed);
          }
        },
      ),
      { numRuns: sets },
    );
    expect(decisions).toBeGreaterThanOrEqual(2000);
    // A generator that permits nothing, or everything, would prove nothing.
    expect(permitted / decisions).toBeGreaterThan(0.05);
    expect(permitted / decisions).toBeLessThan(0.95);
  }, 1_800_000);

  it('and passes the tenant guard inside a statement', () => {
    const set = load([
      'permit(principal, action == Action::"read", resource is Paper) when { resource.contacts.contains(principal) && resource.title like "a*" };',
      'forbid(principal, action == Action::"read", resource is Paper) when { resource has owner && resource.owner == principal && resource.tags.isEmpty() };',
    ])!;
    const principal = { type: 'Person', id: IDS[0]!, attributes: { role: 'x', level: 1 } };
    const filter = set.compileFilter({
      action: 'read',
      principal,
      context: { night: true, hour: 1 },
      resourceType: 'Paper',
      columns: COLUMNS,
    });
    const condition = sql(filter.strings as unknown as TemplateStringsArray, ...filter.values);
    const statement = sql`select p.id from app.paper p where p.tenant_id = ${'t'} and ${condition}`;
    expect(checkStatement(statement.sql)).toMatchObject({ allowed: true, tenantParameters: [1] });
  });
});
