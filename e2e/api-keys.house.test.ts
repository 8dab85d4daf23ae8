// A person makes an API key in a running house, a program uses it at the edge, and it ends.
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Approver } from './testing/approver.ts';
import { makeStateFolder, openTestHouse, removeFolder, seedSample, type TestHouse } from './testing/house.ts';

/** Every gateway drops what a key was turned into: at once, and no later than a token lives. */
const ENDED_MS_MAX = 10_000;
const state = makeStateFolder();
// The edge's certificate is one of its own for this machine; who it is has tests of its own.
const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
let running: TestHouse;

beforeAll(async () => {
  running = await openTestHouse(state);
}, 240_000);

afterAll(async () => {
  await dispatcher.close();
  await running?.stop();
  removeFolder(state);
}, 60_000);

/** As a program would, with nothing but the key. */
async function program(key: string, path: string, method: 'GET' | 'POST' = 'GET') {
  const headers = { authorization: `Bearer ${key}` };
  const reply = await request(running.house.edgeUrl + path, { method, headers, dispatcher });
  return { status: reply.statusCode, text: await reply.body.text() };
}

test('made with a passkey, used at the edge in its owner’s name, refused beyond its bounds, ended', async () => {
  const links = await seedSample(running.house);
  const lead = await Approver.enrol(
    running.house.tryoutUrl!,
    links.find(({ role }) => role === 'Lead auditor')!,
  );
  const input = { name: 'Nightly export', scope: 'read', days: 7 };
  const made = (await lead.approve('/api/api-keys', 'api-keys.create', { input, body: input })) as {
    id: string;
    key: string;
  };

  const listed = await program(made.key, '/api/engagements');
  expect([listed.status, listed.text]).toEqual([200, expect.stringContaining('"engagements":')]);
  expect((await program(made.key, '/api/access/members')).status).toBe(403);
  expect((await program(made.key, '/api/api-keys')).status).toBe(403);
  expect((await program(`${made.key.slice(0, -1)}A`, '/api/engagements')).status).toBe(401);
  const shown = (await lead.get('/api/api-keys')) as { keys: { lastUsedAt: string | null }[] };
  expect(shown.keys[0]!.lastUsedAt).not.toBeNull();

  expect(await lead.post(`/api/api-keys/${made.id}/end`, {})).toEqual({ ended: true });
  const status = async () => (await program(made.key, '/api/engagements')).status;
  await expect.poll(status, { timeout: ENDED_MS_MAX }).toBe(401);
  await lead.person.close();
}, 120_000);
