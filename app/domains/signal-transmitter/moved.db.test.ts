import { systemClock, type Uuid } from '@auditrax/base';
import type { JSONWebKeySet } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { revokePrincipal } from '../identity/index.ts';
import { directoryOf } from '../provisioning/testing/directory.ts';
import { askerOf } from '../sso/testing/sso-house.ts';
import { startTwoPlaces, type TwoPlaces } from '../tenants/testing/two-places.ts';
import { endStreamsOfTenant } from './ending.ts';
import { createStream } from './streams.ts';
import { startTransmitterHouse, type TransmitterHouse } from './testing/house.ts';
import { believe, startPushAddress, type PushAddress } from './testing/receiver.ts';
import { listStreams } from './view.ts';

// Harbour moves from the database of everybody into one of its own while its receivers are away. The move is the real one,
// between two real databases; receivers verify with `jose` alone, by the keys that they read before the move.

const TABLES = ['stream', 'queue', 'event', 'key', 'name'].map((one) => `identity.signal_${one}`);

let house: TransmitterHouse;
let places: TwoPlaces;
let lead: Caller;
let address: PushAddress;
let skew_ms = 0;

beforeAll(async () => {
  places = await startTwoPlaces();
  house = await startTransmitterHouse({ nowMs: () => systemClock.nowMs() + skew_ms }, places.databases);
  lead = await house.sso.callerOf((await house.sso.issuer.enrol('harbour', 'lead')).cookie);
  address = await startPushAddress(house.sso.tls);
});
afterAll(async () => {
  await address?.stop();
  await house?.stop();
  await places?.stop();
});

const open = (name: string, push: { url: string; token: string } | null) =>
  createStream(house.deps, askerOf(lead), {
    name,
    audience: '',
    topics: { sessions: true, accounts: true, passkeys: true },
    subjects: 'provider',
    push,
  });

/** Somebody's access ends; how a receiver is to know them by their provider. */
async function happens(): Promise<void> {
  const { memberId, accountId, name } = await house.somebody(lead.tenant);
  const provider = { issuer: 'https://provider.example', subject: name };
  await house.deps.tenant.transaction(lead.tenant, (tx) =>
    house.sso.deps.signals.named(tx, { memberId, accountId, name: provider }),
  );
  const by = { actor: { personId: lead.personId } } as const;
  await revokePrincipal(house.sso.deps, lead.tenant, { memberId, cause: 'lapsed', by });
}

async function documentsOf(issuer: string) {
  const say = directoryOf(house.sso);
  const configuration = await say('GET', issuer.replace('/ssf/', '/.well-known/ssf-configuration/ssf/'));
  const keys = await say('GET', `${issuer}/jwks`);
  return { configuration: configuration.json, keys: keys.json as unknown as JSONWebKeySet };
}

const poll = async (at: { readonly id: Uuid; readonly token: string; readonly issuer: string }) => {
  const told = await directoryOf(house.sso)('POST', `${at.issuer}/streams/${at.id}/poll`, {
    token: at.token,
    body: {},
  });
  return { status: told.status, sets: (told.json['sets'] ?? {}) as Record<string, string> };
};

it('streams move with their organisation: the same issuer and keys, and what waited is taken at the new place', async () => {
  const pushed = await open('Night watch', { url: address.url, token: 'harbour-secret' });
  const polled = await open('Chart room', null);
  await address.stop();
  await happens();
  await happens();
  await house.sender.idle();
  const { issuer, streams } = await listStreams(house.deps, lead.tenant);
  const audienceOf = (id: Uuid) => streams.find(({ streamId }) => streamId === id)!.audience;
  const before = await documentsOf(issuer);
  // Seen and not acknowledged: it is the very same token that waits on the other side.
  const seen = await poll({ ...polled, issuer });
  expect(Object.keys(seen.sets)).toHaveLength(2);
  const home = house.sso.issuer.database;
  const rows = await places.rowsAt(home, lead.tenant, TABLES);
  expect(rows).toEqual(Object.fromEntries(TABLES.map((table, at) => [table, [2, 2, 4, 1, 2][at]])));

  await places.move(home, lead.tenant);
  expect(await places.rowsAt(home, lead.tenant, TABLES)).toEqual(Object.fromEntries(TABLES.map((table) => [table, 0])));
  expect(await places.rowsAt(places.cell, lead.tenant, TABLES)).toEqual(rows);
  expect(await documentsOf(issuer)).toEqual(before);

  expect(await poll({ ...polled, issuer })).toEqual({ status: 200, sets: seen.sets });
  await address.restart();
  skew_ms += 60_000;
  await house.sender.sendDue();
  await house.sender.idle();
  const told = address.came.map(({ token }) =>
    believe(token, { keys: before.keys, issuer, audience: audienceOf(pushed.id) }),
  );
  expect((await Promise.all(told)).map(({ subject }) => subject['sub'])).toEqual(['Person 1', 'Person 2']);

  // What happens from now on, too.
  await happens();
  await house.sender.idle();
  expect(address.came).toHaveLength(3);
  expect(Object.keys((await poll({ ...polled, issuer })).sets)).toHaveLength(3);
  expect(house.failures).toEqual([]);
});

it('a copy that is left at the old place is neither sent nor handed out', async () => {
  const polled = await open('Chart room again', null);
  const { issuer } = await listStreams(house.deps, lead.tenant);
  for (const table of ['identity.signal_stream', 'identity.signal_queue', 'identity.signal_key'])
    await places.carryBack(house.sso.issuer.database, lead.tenant, table);
  const came = address.came.length;
  expect((await poll({ ...polled, issuer })).status).toBe(200);
  await house.deps.tenant.transaction(lead.tenant, (tx) => endStreamsOfTenant(house.deps, tx));
  expect((await places.rowsAt(house.sso.issuer.database, lead.tenant, TABLES))['identity.signal_stream']).toBe(3);
  expect((await poll({ ...polled, issuer })).status).toBe(401);
  expect((await directoryOf(house.sso)('GET', `${issuer}/jwks`)).status).toBe(404);
  await house.sender.tend('left-behind');
  await happens();
  await house.sender.idle();
  expect(address.came).toHaveLength(came);
  expect(house.failures).toEqual([]);
});
