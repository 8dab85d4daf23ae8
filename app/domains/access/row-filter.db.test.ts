import { loadPolicies, type DecisionRequest, type PolicySet } from '@auditrax/policy';
import { checkStatement, sql } from '@auditrax/tenancy';
import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';

/**
 * P6 of packages/policy, three ways: what Cedar permits, what the compiled decision permits and what PostgreSQL selects
 * by the compiled filter are the same, row by row.
 */

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
const ROWS = 150;
/** Of random sets of permits and forbids, each row decided by one call of Cedar. */
const SETS = 120;
/** Of many permits at once: one call of Cedar names every permit that holds, which is a decision on each of them. */
const ROUNDS = 14;
const PERMITS = 40;

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

const principals = fc.record({ role: text, team: fc.option(text, { nil: undefined }), level: number });
const asker = fc.record({ id: person, attributes: principals, night: fc.boolean(), hour: number });
const policies = fc
  .array(policy, { minLength: 1, maxLength: 4 })
  .map(load)
  .filter((set) => set !== undefined);

interface Asker {
  readonly id: string;
  readonly attributes: { role: string; team: string | undefined; level: number };
  readonly night: boolean;
  readonly hour: number;
}
interface Found {
  readonly question: Omit<DecisionRequest, 'resource'>;
  readonly selected: ReadonlySet<string>;
}

/** Ids of the rows that PostgreSQL selects. */
async function select(set: PolicySet, who: Pick<DecisionRequest, 'principal' | 'context'>): Promise<Set<string>> {
  const scope = { action: 'read', resourceType: 'Paper', columns: COLUMNS, idColumn: 'p.id' };
  const filter = set.compileFilter({ ...scope, ...who });
  const found = await client.query<{ id: string }>(`select p.id from paper p where ${filter.sql}`, [
    ...filter.parameters,
  ]);
  return new Set(found.rows.map(({ id }) => id));
}

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const counted = { decisions: 0, permitted: 0 };

function questionsOf({ id, attributes, ...context }: Asker): Omit<DecisionRequest, 'resource'> {
  return { principal: { type: 'Person', id, attributes }, action: 'read', context };
}

/** Rows on which the three do not agree. */
function differences(set: PolicySet, expected: (row: Row) => boolean, found: Found): Row[] {
  return rows.filter((each) => {
    const allowed = expected(each);
    counted.decisions += 1;
    counted.permitted += allowed ? 1 : 0;
    const resource = { type: 'Paper', id: each.id, attributes: each.attributes };
    return set.judge({ ...found.question, resource }) !== allowed || found.selected.has(each.id) !== allowed;
  });
}

describe('Cedar, the compiled decision and PostgreSQL agree in 100,000 random decisions', () => {
  it('on sets of permits and forbids', async () => {
    const property = fc.asyncProperty(policies, asker, async (set, who) => {
      const question = questionsOf(who);
      const selected = await select(set, question);
      const cedar = ({ id, attributes }: Row) =>
        set.decide({ ...question, resource: { type: 'Paper', id, attributes } }).allowed;
      expect(set.exact).toBe(true);
      expect(differences(set, cedar, { question, selected })).toEqual([]);
    });
    await fc.assert(property, { numRuns: SETS, seed });
  }, 300_000);

  it('on single permits', async () => {
    const permits = policy
      .map((text) => text.replace(/^forbid/u, 'permit'))
      .filter((text) => load([text]) !== undefined);
    const many = fc.array(permits, { minLength: PERMITS, maxLength: PERMITS });
    const property = fc.asyncProperty(many, asker, async (texts, who) => {
      const question = questionsOf(who);
      const all = load(texts)!;
      const holding = rows.map(
        ({ id, attributes }) =>
          new Set(all.decide({ ...question, resource: { type: 'Paper', id, attributes } }).reasons),
      );
      for (const [index, text] of texts.entries()) {
        const set = load([text])!;
        const selected = await select(set, question);
        const cedar = ({ id }: Row) => holding[Number(id)]!.has(`p${index}`);
        expect(differences(set, cedar, { question, selected }), text).toEqual([]);
      }
    });
    // Shrinking forty policies by a database would take minutes; the message names the policy and the row.
    await fc.assert(property, { numRuns: ROUNDS, seed, endOnFailure: true });
  }, 300_000);

  it('of which there were enough, of both kinds', () => {
    expect(counted.decisions).toBeGreaterThanOrEqual(100_000);
    // A generator that permits nothing, or everything, would prove nothing.
    expect(counted.permitted / counted.decisions).toBeGreaterThan(0.05);
    expect(counted.permitted / counted.decisions).toBeLessThan(0.95);
  });

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
