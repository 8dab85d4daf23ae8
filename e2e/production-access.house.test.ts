// Operators of a running house: the role opens nothing, a grant opens what it names, glass takes two and wakes somebody.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeStateFolder, openTestHouse, removeFolder, seedSample, type TestHouse } from './testing/house.ts';
import { openAsSuperuser } from './testing/log-check.ts';
import { Operator } from './testing/operator.ts';

/** Log, detection and pager on a loaded machine. */
const PAGED_MS_MAX = 40_000;
/** As promised of whatever ends. */
const EVERYWHERE_MS_MAX = 1_000;
const GLASS = { reason: 'Nobody can sign in', ticket: null };
const state = makeStateFolder();
let house: TestHouse;
let first: Operator;
let second: Operator;

beforeAll(async () => {
  house = await openTestHouse(state);
  const links = await seedSample(house.house);
  const linkOf = (wanted: string) => links.find(({ role }) => role === wanted)!;
  first = await Operator.enrol(house.house.tryoutUrl!, linkOf('Operator'));
  second = await Operator.enrol(house.house.tryoutUrl!, linkOf('Second operator'));
  await house.house.supervisor.ask('sentinel', 'begin', null);
}, 240_000);

afterAll(async () => {
  await house?.stop();
  removeFolder(state);
}, 60_000);

const answer = async (who: Operator, path: string) => {
  const { status, body } = await who.person.send('GET', path);
  const { code, needs } = body as { code?: string; needs?: string };
  return code === undefined ? status : `${status} ${code} ${needs}`;
};
const refused = (scope: string) => `403 production_access_required ${scope}`;
const breakGlass = async () => {
  const order = { input: GLASS, body: GLASS };
  const asked = await first.approve('/api/production-access/break-glass', 'production-access.break-glass', order);
  return (asked['grant'] as { id: string }).id;
};
const confirmBy = (who: Operator, grantId: string) =>
  who.approve(`/api/production-access/${grantId}/confirm`, 'production-access.confirm', { input: { grantId } });

test('an operator reaches what their grant names, in both services, and nothing else; its end is felt at once', async () => {
  expect(await answer(first, '/api/tenants')).toBe(refused('tenants'));
  expect(await answer(first, '/api/operator/key-rings')).toBe(refused('keys'));
  expect(await answer(first, '/api/oncall/pages')).toBe(200);
  await first.letIn(['keys'], second);
  await expect.poll(() => answer(first, '/api/operator/key-rings'), { timeout: EVERYWHERE_MS_MAX }).toBe(200);
  expect(await answer(first, '/api/tenants')).toBe(refused('tenants'));
  expect(await answer(second, '/api/operator/key-rings')).toBe(refused('keys'));
  const { grants } = (await second.get('/api/production-access')) as { grants: { id: string; state: string }[] };
  const { id } = grants.find((one) => one.state === 'live')!;
  await second.post(`/api/production-access/${id}/end`);
  const began = performance.now();
  await expect.poll(() => answer(first, '/api/operator/key-rings'), { interval: 20 }).toBe(refused('keys'));
  expect(performance.now() - began).toBeLessThan(EVERYWHERE_MS_MAX);
}, 60_000);

test('glass is broken by two people, not by one, wakes whoever is on call, and its entries name it', async () => {
  const grantId = await breakGlass();
  await expect(confirmBy(first, grantId)).rejects.toThrow(/production_same_person/);
  expect(await answer(first, '/api/tenants')).toBe(refused('tenants'));
  const confirmed = await confirmBy(second, grantId);
  expect(confirmed['grant']).toMatchObject({ state: 'live', kind: 'break-glass', mayReview: false });
  await expect.poll(() => answer(first, '/api/tenants'), { timeout: EVERYWHERE_MS_MAX }).toBe(200);
  await expect(confirmBy(second, grantId)).rejects.toThrow(/production_request_settled/);
  const paged = async () => {
    const { pages } = (await first.get('/api/oncall/pages')) as { pages: { detection: string; severity: string }[] };
    return pages.find(({ detection }) => detection === 'access.break-glass')?.severity;
  };
  await expect.poll(paged, { timeout: PAGED_MS_MAX, interval: 500 }).toBe('critical');
  // What is done with it says so.
  const body = { slug: 'harbour' };
  await first.approve('/api/tenants/deletions', 'tenants.propose-deletion', { input: body, body });
  const client = await openAsSuperuser(house.house);
  try {
    const { rows } = await client.query<{ id: string; leaf: Buffer }>(
      `select g.id, e.leaf from identity.production_grant g, audit.entry e
       where g.kind = 'break-glass' and e.type = 'tenant.deletion-proposed'`,
    );
    expect(rows).toHaveLength(1);
    expect(JSON.parse(rows[0]!.leaf.toString('utf8'))).toMatchObject({ grant: rows[0]!.id });
  } finally {
    await client.end();
  }
  for (const who of [first, second])
    await expect(who.post(`/api/production-access/${grantId}/review`, { outcome: 'justified' })).rejects.toThrow(
      /production_review_refused/,
    );
}, 120_000);
