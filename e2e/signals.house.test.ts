// A lead sets up a stream of shared signals in a running house; its receiver reads the transmitter's own documents at the
// edge and is told what happens, as `jose` verifies it.
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Approver } from './testing/approver.ts';
import { makeStateFolder, openTestHouse, removeFolder, seedSample, type TestHouse } from './testing/house.ts';

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

test('set up with a passkey, polled at the edge, told and verified, turned, its token changed', async () => {
  const links = await seedSample(running.house);
  const lead = await Approver.enrol(
    running.house.tryoutUrl!,
    links.find(({ role }) => role === 'Lead auditor')!,
  );
  const topics = { sessions: true, accounts: true, passkeys: true };
  const input = { name: 'Chart room', audience: '', topics, subjects: 'own', push: null };
  const made = await lead.approve('/api/signals', 'signals.create', { input, body: input });
  const token = made['token'] as string;
  const listed = (await lead.get('/api/signals')) as {
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
  await lead.addPasskey();
  expect((await take()).events).toEqual(['credential-change']);
  await lead.post(`/api/signals/${stream.id}/test`, {});
  expect((await take()).events).toEqual(['verification']);

  const turn = async (to: 'paused' | 'enabled') => {
    const input = { signalStreamId: stream.id, to };
    await lead.approve(`/api/signals/${stream.id}/turn`, 'signals.turn', { input, body: { to } });
    expect((await take()).events).toEqual(['stream-updated']);
  };
  await turn('paused');
  await turn('enabled');

  const renewing = { input: { signalStreamId: stream.id }, body: {} };
  const renewed = (await lead.approve(`/api/signals/${stream.id}/token`, 'signals.renew-token', renewing))['token'];
  expect((await take()).status).toBe(401);
  // Their last deed while signed in: what ends is all of the person’s.
  await lead.post('/api/identity/sign-out-everywhere');
  expect((await take(renewed as string)).events).toEqual(['session-revoked']);
  await lead.person.close();
}, 120_000);
