// A lead sets up a stream of shared signals in a running house; its receiver reads the transmitter's own documents at the
// edge and is told what happens, as `jose` verifies it.
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSoftwareAuthenticator } from '../app/probes/software-authenticator.ts';
import { makeStateFolder, openTestHouse, removeFolder, seedSample, type TestHouse } from './testing/house.ts';

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

/** As a page of the try-out door would; null: a change without a body. */
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
    ...(body == null ? {} : { body: JSON.stringify(body) }),
  });
  const set = [reply.headers['set-cookie'] ?? []].flat()[0];
  if (set !== undefined) cookie = set.split(';', 1)[0]!;
  const text = await reply.body.text();
  if (reply.statusCode >= 400) throw new Error(`${path} answered ${reply.statusCode}: ${text}`);
  return JSON.parse(text) as Record<string, never>;
}

/** As a receiver would: at the edge, whatever name the address has. */
async function receiver(address: string, token?: string, body?: object) {
  const { pathname, search } = new URL(address);
  const reply = await request(running.house.edgeUrl.replace(/\/$/, '') + pathname + search, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    dispatcher,
  });
  const text = await reply.body.text();
  const json = (text === '' ? {} : JSON.parse(text)) as Record<string, never>;
  return { status: reply.statusCode, json };
}

async function confirmed(
  device: ReturnType<typeof createSoftwareAuthenticator>,
  operation: string,
  input: object,
): Promise<Record<string, string>> {
  const asked = await page('/api/access/step-up', { operation, input });
  const assertion = device.authenticate(asked['options']!);
  const stepUp = Buffer.from(JSON.stringify({ challengeId: asked['challengeId'], assertion })).toString('base64url');
  return { 'x-step-up': stepUp };
}

test('set up with a passkey, polled at the edge, told and verified, turned, its token changed', async () => {
  const links = await seedSample(running.house);
  const device = createSoftwareAuthenticator({ origin: running.house.tryoutUrl!.replace(/\/$/, '') });
  const link = links.find(({ role }) => role === 'Lead auditor')!.enrolPath!.split('#')[1];
  const begun = await page('/api/identity/enrolment/options', { token: link });
  const response = device.register(begun['options']!);
  await page('/api/identity/enrolment', { token: link, challengeId: begun['challengeId'], response });
  const second = await page('/api/identity/passkey/options');
  const another = { challengeId: second['challengeId'], response: device.register(second['options']!) };
  await page('/api/identity/passkey', another);

  const topics = { sessions: true, accounts: true, passkeys: true };
  const input = { name: 'Chart room', audience: '', topics, subjects: 'own', push: null };
  const made = await page('/api/signals', input, await confirmed(device, 'signals.create', input));
  const token = made['token']! as string;
  const listed = (await page('/api/signals')) as unknown as {
    configuration: string;
    streams: { id: string; streamId: string; address: string; audience: string }[];
  };
  const stream = listed.streams[0]!;

  const { json: document } = await receiver(listed.configuration);
  const keys = (await receiver(document['jwks_uri']!)).json as unknown as JSONWebKeySet;
  const take = async (by = token) => {
    const { status, json } = await receiver(stream.address, by, {});
    if (status !== 200) return { status, events: [] };
    const sets = json['sets']! as Record<string, string>;
    const events = [];
    for (const set of Object.values(sets)) {
      const rules = { issuer: document['issuer']! as string, audience: stream.audience, typ: 'secevent+jwt' };
      const { payload } = await jwtVerify(set, createLocalJWKSet(keys), rules);
      events.push(
        Object.keys(payload['events'] as object)[0]!
          .split('/')
          .at(-1),
      );
    }
    await receiver(stream.address, by, { ack: Object.keys(sets), maxEvents: 0 });
    return { status, events };
  };
  expect(await take()).toEqual({ status: 200, events: [] });
  const third = await page('/api/identity/passkey/options');
  await page('/api/identity/passkey', {
    challengeId: third['challengeId'],
    response: createSoftwareAuthenticator({ origin: running.house.tryoutUrl!.replace(/\/$/, '') }).register(
      third['options']!,
    ),
  });
  expect((await take()).events).toEqual(['credential-change']);
  await page(`/api/signals/${stream.id}/test`, {});
  expect((await take()).events).toEqual(['verification']);

  const turn = { signalStreamId: stream.id, to: 'paused' };
  await page(`/api/signals/${stream.id}/turn`, { to: 'paused' }, await confirmed(device, 'signals.turn', turn));
  expect((await take()).events).toEqual(['stream-updated']);
  const on = { signalStreamId: stream.id, to: 'enabled' };
  await page(`/api/signals/${stream.id}/turn`, { to: 'enabled' }, await confirmed(device, 'signals.turn', on));
  expect((await take()).events).toEqual(['stream-updated']);

  const renewing = await confirmed(device, 'signals.renew-token', { signalStreamId: stream.id });
  const renewed = (await page(`/api/signals/${stream.id}/token`, {}, renewing))['token']! as string;
  expect((await take()).status).toBe(401);
  // Their last deed while signed in: what ends is all of the person’s.
  await page('/api/identity/sign-out-everywhere', null);
  expect((await take(renewed)).events).toEqual(['session-revoked']);
}, 120_000);
