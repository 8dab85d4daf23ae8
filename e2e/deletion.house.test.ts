// Two operators delete a tenant of a running house, the issuer is killed in the middle, and the tenant is gone.
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSoftwareAuthenticator, type SoftwareAuthenticator } from '../app/probes/software-authenticator.ts';
import {
  makeStateFolder,
  openTestHouse,
  Person,
  removeFolder,
  seedSample,
  type SampleLink,
  type TestHouse,
} from './testing/house.ts';
import { openAsSuperuser } from './testing/log-check.ts';

const DELAY_SECONDS = 2;
const GONE_MS_MAX = 60_000;
const SLUG = 'harbour';
const state = makeStateFolder();
let house: TestHouse;

/** Members differ by route; each step knows which. */
type Reply = Readonly<Record<'challengeId' | 'options' | 'deletion' | 'deletions' | 'certificate', never>>;

/** An operator with a passkey, as their browser would call. */
class Operator {
  readonly #base: string;
  readonly #device: SoftwareAuthenticator;
  #cookie = '';

  constructor(base: string) {
    this.#base = base;
    this.#device = createSoftwareAuthenticator({ origin: base });
  }

  async enrol(link: SampleLink): Promise<this> {
    const token = link.enrolPath!.split('#')[1];
    const { challengeId, options } = await this.post('/api/identity/enrolment/options', { token });
    const response = this.#device.register(options as never);
    await this.post('/api/identity/enrolment', { token, challengeId, response });
    const second = await this.post('/api/identity/passkey/options', undefined);
    const further = this.#device.register(second.options as never);
    await this.post('/api/identity/passkey', { challengeId: second.challengeId, response: further });
    return this;
  }

  /** With a passkey, as the screens ask for one. */
  async approve(path: string, operation: string, input: Record<string, unknown>): Promise<Reply> {
    const { challengeId, options } = await this.post('/api/access/step-up', { operation, input });
    const assertion = this.#device.authenticate(options as never);
    const stepUp = Buffer.from(JSON.stringify({ challengeId, assertion })).toString('base64url');
    return this.call('POST', path, { body: { slug: input['slug'] }, headers: { 'x-step-up': stepUp } });
  }

  post(path: string, body: unknown): Promise<Reply> {
    return this.call('POST', path, { body });
  }

  async call(
    method: 'GET' | 'POST',
    path: string,
    { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Reply> {
    const reply = await request(this.#base + path, {
      method,
      headers: {
        ...headers,
        'sec-fetch-site': 'same-origin',
        ...(this.#cookie === '' ? {} : { cookie: this.#cookie }),
        ...(method === 'GET' ? {} : { origin: this.#base, 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const set = [reply.headers['set-cookie'] ?? []].flat()[0];
    if (set !== undefined) this.#cookie = set.split(';', 1)[0]!;
    const text = await reply.body.text();
    if (reply.statusCode >= 400) throw new Error(`${method} ${path} answered ${reply.statusCode}: ${text}`);
    return JSON.parse(text) as Reply;
  }
}

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
  const [first, second] = await Promise.all(
    operators.map((link) => new Operator(house.house.tryoutUrl!.replace(/\/$/, '')).enrol(link)),
  );
  const preview = await first!.call('GET', `/api/tenants/deletion-preview?slug=${SLUG}`);
  expect(preview).toMatchObject({ refused: null, inventory: { people: 3, dataKeys: 2 }, delay: { isShortened: true } });

  const { deletion } = await first!.approve('/api/tenants/deletions', 'tenants.propose-deletion', { slug: SLUG });
  const id = (deletion as { id: string }).id;
  const path = `/api/tenants/deletions/${id}`;
  const confirm = (who: Operator) =>
    who.approve(`${path}/confirm`, 'tenants.confirm-deletion', { deletionId: id, slug: SLUG });
  await expect(confirm(first!)).rejects.toThrow(/deletion_same_person/);
  await confirm(second!);

  await sleep(DELAY_SECONDS * 1000);
  process.kill(house.house.supervisor.pids().issuer!, 'SIGKILL');
  const stateNow = async () =>
    second!.call('GET', '/api/tenants/deletions').then(
      (body) => (body['deletions'] as { state: string }[])[0]!.state,
      () => 'no answer yet',
    );
  await expect.poll(stateNow, { timeout: GONE_MS_MAX, interval: 250 }).toBe('destroyed');

  const { certificate } = await second!.call('GET', `${path}/certificate`);
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
