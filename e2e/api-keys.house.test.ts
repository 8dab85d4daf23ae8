// A person makes an API key in a running house, a program uses it at the edge, and it ends.
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSoftwareAuthenticator } from '../app/probes/software-authenticator.ts';
import { makeStateFolder, openTestHouse, removeFolder, seedSample, type TestHouse } from './testing/house.ts';

/** Every gateway drops what a key was turned into: at once, and no later than a token lives. */
const ENDED_MS_MAX = 10_000;
const state = makeStateFolder();
// The edge's certificate is one of its own for this machine; who it is has tests of its own.
const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
let running: TestHouse;
let cookie = '';

beforeAll(async () => {
  running = await openTestHouse(state);
}, 240_000);

afterAll(async () => {
  await dispatcher.close();
  await running?.stop();
  removeFolder(state);
}, 60_000);

/** As a page of the try-out door would. */
async function page(path: string, body?: unknown, headers: Record<string, string> = {}) {
  const base = running.house.tryoutUrl!.replace(/\/$/, '');
  const reply = await request(base + path, {
    method: body === undefined && !path.includes('options') ? 'GET' : 'POST',
    headers: {
      ...headers,
      'sec-fetch-site': 'same-origin',
      origin: base,
      'content-type': 'application/json',
      ...(cookie === '' ? {} : { cookie }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const set = [reply.headers['set-cookie'] ?? []].flat()[0];
  if (set !== undefined) cookie = set.split(';', 1)[0]!;
  const text = await reply.body.text();
  if (reply.statusCode >= 400) throw new Error(`${path} answered ${reply.statusCode}: ${text}`);
  return JSON.parse(text) as Record<string, never>;
}

/** As a program would, with nothing but the key. */
async function program(key: string, path: string, method: 'GET' | 'POST' = 'GET') {
  const headers = { authorization: `Bearer ${key}` };
  const reply = await request(running.house.edgeUrl + path, { method, headers, dispatcher });
  return { status: reply.statusCode, text: await reply.body.text() };
}

test('made with a passkey, used at the edge in its owner’s name, refused beyond its bounds, ended', async () => {
  const links = await seedSample(running.house);
  const device = createSoftwareAuthenticator({ origin: running.house.tryoutUrl!.replace(/\/$/, '') });
  const token = links.find(({ role }) => role === 'Lead auditor')!.enrolPath!.split('#')[1];
  const begun = await page('/api/identity/enrolment/options', { token });
  const response = device.register(begun['options']!);
  await page('/api/identity/enrolment', { token, challengeId: begun['challengeId'], response });
  const second = await page('/api/identity/passkey/options');
  await page('/api/identity/passkey', {
    challengeId: second['challengeId'],
    response: device.register(second['options']!),
  });

  const input = { name: 'Nightly export', scope: 'read', days: 7 };
  const asked = await page('/api/access/step-up', { operation: 'api-keys.create', input });
  const assertion = device.authenticate(asked['options']!);
  const stepUp = Buffer.from(JSON.stringify({ challengeId: asked['challengeId'], assertion })).toString('base64url');
  const made = (await page('/api/api-keys', input, { 'x-step-up': stepUp })) as unknown as { id: string; key: string };

  const listed = await program(made.key, '/api/engagements');
  expect([listed.status, listed.text]).toEqual([200, expect.stringContaining('"engagements":')]);
  expect((await program(made.key, '/api/access/members')).status).toBe(403);
  expect((await program(made.key, '/api/api-keys')).status).toBe(403);
  expect((await program(`${made.key.slice(0, -1)}A`, '/api/engagements')).status).toBe(401);
  const shown = (await page('/api/api-keys')) as unknown as { keys: { lastUsedAt: string | null }[] };
  expect(shown.keys[0]!.lastUsedAt).not.toBeNull();

  expect(await page(`/api/api-keys/${made.id}/end`, {})).toEqual({ ended: true });
  const status = async () => (await program(made.key, '/api/engagements')).status;
  await expect.poll(status, { timeout: ENDED_MS_MAX }).toBe(401);
}, 120_000);
