// Two operators delete a tenant of a running house, the issuer is killed in the middle, and the tenant is gone.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeStateFolder, openTestHouse, Person, removeFolder, seedSample, type TestHouse } from './testing/house.ts';
import { openAsSuperuser } from './testing/log-check.ts';
import { Operator } from './testing/operator.ts';

const DELAY_SECONDS = 2;
const GONE_MS_MAX = 60_000;
const SLUG = 'harbour';
const state = makeStateFolder();
let house: TestHouse;

beforeAll(async () => {
  house = await openTestHouse(state, { options: { issuer: { deletionDelaySeconds: DELAY_SECONDS } } });
}, 240_000);

afterAll(async () => {
  await house?.stop();
  removeFolder(state);
}, 60_000);

test('proposed, confirmed by another, killed in the middle: destroyed, certified, and nobody gets in', async () => {
  const lead = await Person.signIn(house.house, 'Lead auditor');
  expect((await lead.send('GET', '/api/engagements')).status).toBe(200);
  const links = await seedSample(house.house);
  const operators = links.filter(({ role }) => role === 'Operator' || role === 'Second operator');
  const [first, second] = await Promise.all(operators.map((link) => Operator.enrol(house.house.tryoutUrl!, link)));
  await first!.letIn(['tenants', 'deletions'], second);
  await second!.letIn(['tenants', 'deletions'], first);
  const preview = await first!.get(`/api/tenants/deletion-preview?slug=${SLUG}`);
  expect(preview).toMatchObject({ refused: null, inventory: { people: 3, dataKeys: 2 }, delay: { isShortened: true } });

  const body = { slug: SLUG };
  const proposed = await first!.approve('/api/tenants/deletions', 'tenants.propose-deletion', { input: body, body });
  const { id } = proposed['deletion'] as { id: string };
  const path = `/api/tenants/deletions/${id}`;
  const confirm = (who: Operator) =>
    who.approve(`${path}/confirm`, 'tenants.confirm-deletion', { input: { deletionId: id, ...body }, body });
  await expect(confirm(first!)).rejects.toThrow(/deletion_same_person/);
  await confirm(second!);

  await sleep(DELAY_SECONDS * 1000);
  process.kill(house.house.supervisor.pids().issuer!, 'SIGKILL');
  const stateNow = async () =>
    second!.get('/api/tenants/deletions').then(
      (reply) => (reply['deletions'] as { state: string }[])[0]!.state,
      () => 'no answer yet',
    );
  await expect.poll(stateNow, { timeout: GONE_MS_MAX, interval: 250 }).toBe('destroyed');

  const { certificate } = await second!.get(`${path}/certificate`);
  expect(certificate).toMatchObject({
    tenant: { slug: SLUG },
    canaries: [
      { purpose: 'fields', afterwards: { issuer: 'dek_not_usable', workspace: 'dek_not_usable' } },
      { purpose: 'objects', afterwards: { issuer: 'dek_not_usable', workspace: 'dek_not_usable' } },
    ],
  });
  const client = await openAsSuperuser(house.house);
  try {
    const { rows } = await client.query<{ wrapped: Buffer }>(
      `select k.wrapped from app.dek k join platform.tenant t on t.id = k.tenant_id where t.slug = $1`,
      [SLUG],
    );
    expect(rows.every(({ wrapped }) => wrapped.equals(Buffer.alloc(48)))).toBe(true);
    const open = await client.query(
      `select 1 from identity.session s join platform.tenant t on t.id = s.tenant_id where t.slug = $1 and s.closed_at is null`,
      [SLUG],
    );
    expect(open.rows).toEqual([]);
  } finally {
    await client.end();
    await lead.close();
  }
}, 180_000);
