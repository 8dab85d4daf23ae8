import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { systemClock, type RouteContract } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { routes as provisioningContract } from '../domains/provisioning/contract.ts';
import { canaryDirectory, provisioningProblems, provisioningRoutes } from '../domains/provisioning/index.ts';
import { canaryRoutes } from '../domains/provisioning/canary-contract.ts';
import { startSsoHouse, type SsoHouse } from '../domains/sso/testing/sso-house.ts';
import { createAttemptCounter } from '../platform/http/attempt-counter.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { RoomRoutes } from '../platform/http/handler.ts';
import { openDepartures } from './departures.ts';
import { createEdgeClient, type EdgeClient } from './edge-client.ts';
import { createLeaverLoop } from './leaver-loop.ts';
import { createLeaverPeople, type LeaverPeople } from './leaver-people.ts';

// Through the real gateway and issuer, on a real database. The directory and the provider are played.

let house: SsoHouse;
let canary: RoomRoutes;
let edge: EdgeClient;
let people: LeaverPeople;
let folder: string;

/** The issuer's internal door without the wire, which `tools/inner-routes.test.ts` and the house's tests look at. */
const client = {
  call: async (contract: RouteContract, { body, requestId }: { body: unknown; requestId: string }) => {
    const [name] = Object.entries(canaryRoutes).find(([, one]) => one.operation === contract.operation)!;
    return canary.handlers[name]!({ body, requestId } as never);
  },
} as unknown as InternalClient;

beforeAll(async () => {
  for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
  const counter = createAttemptCounter();
  house = await startSsoHouse(systemClock, {
    names: [],
    contracts: Object.values(provisioningContract),
    problems: [provisioningProblems],
    rooms: (deps) => [provisioningRoutes({ ...deps, counter })],
  });
  canary = canaryDirectory(house.deps);
  const dialled = createEdgeClient({
    host: 'localhost',
    port: house.edgePort,
    authorityPem: () => house.tls.ca,
  });
  const { host } = new URL(house.origin);
  // Here people leave every second and not every hour: more ceremonies than one address may begin.
  let calls = 0;
  edge = {
    origin: house.origin,
    fetch: (path, request = {}) =>
      dialled.fetch(path, {
        ...request,
        source: Math.floor((calls += 1) / 20),
        headers: { host, ...(request.isServer === true ? {} : { origin: house.origin }), ...request.headers },
      }),
    close: dialled.close,
  };
  people = createLeaverPeople({ client, edge, tenant: 'canary-a' });
  folder = mkdtempSync(join(tmpdir(), 'ax-leaver-'));
});
afterAll(async () => {
  await edge?.close();
  await house?.stop();
  rmSync(folder, { recursive: true, force: true });
  vi.restoreAllMocks();
});

function leaving(who: LeaverPeople, monotonic_ms: () => number = () => performance.now()) {
  const clock = systemClock;
  const departures = openDepartures({ clock, file: join(folder, randomUUID()), record: () => Promise.resolve() });
  const failures: unknown[] = [];
  const loop = createLeaverLoop({
    people: who,
    departures,
    clock,
    monotonic_ms,
    sleep,
    interval_ms: 3_600_000,
    look_ms: 30_000,
    onFailure: (error) => failures.push(error),
  });
  return { loop, departures, failures };
}
const counted = async (table: string) =>
  Number((await house.issuer.rows<{ n: string }>(`select count(*) as n from identity.${table}`))[0]!.n);
const HELD = ['provider session', 'passkey session', 'passkey', 'link'];

describe('a canary’s leaver at a real gateway and issuer', () => {
  it('loses everything within seconds, in both dialects, as often as they leave, and nobody piles up', async () => {
    const { loop, departures, failures } = leaving(people);
    await loop.next();
    const before = await Promise.all(
      ['member', 'scim_resource', 'connection', 'credential_index', 'account'].map(counted),
    );
    await loop.next();
    expect(failures).toEqual([]);
    const seen = departures.recent(3_600);
    expect(seen.map(({ way }) => way)).toEqual(['scim', 'scim-entra', 'scim', 'scim-entra']);
    for (const one of seen) {
      expect(one.alive).toEqual([]);
      expect(Object.keys(one.held).sort()).toEqual([...HELD].sort());
      expect(one.took_ms).toBe(Math.max(...Object.values(one.held)));
      expect(one.took_ms).toBeLessThan(10_000);
    }
    const after = await Promise.all(
      ['member', 'scim_resource', 'connection', 'credential_index', 'account'].map(counted),
    );
    expect(after).toEqual(before);
  }, 60_000);

  it('is seen to have lost nothing when the message changes nothing', async () => {
    let minutes = 0;
    const unheard: LeaverPeople = { ...people, prepareLeaving: () => Promise.resolve(() => Promise.resolve()) };
    const { loop, departures } = leaving(unheard, () => (minutes += 1) * 60_000);
    await loop.next();
    expect(departures.recent(3_600)).toMatchObject([{ alive: HELD }, { alive: HELD }]);
    expect(departures.recent(3_600).some(({ took_ms }) => took_ms !== undefined)).toBe(false);
  }, 60_000);

  it('of whom nobody speaks is signed in by the provider, and has a proof of employment from then', async () => {
    const { loop, departures, failures } = leaving(people);
    await loop.lookAtSilent();
    expect(failures).toEqual([]);
    const { cookie } = departures.silent!;
    expect(await people.lookAt(cookie)).toBe('works');
    // Four hours later, as the issuer sees it.
    await house.issuer.rows(`update identity.employment set proved_at = proved_at - interval '4 hours'`);
    await vi.waitFor(async () => expect(await people.lookAt(cookie)).toBe('refused'), 40_000);
    await loop.lookAtSilent();
    expect(departures.recent(3_600)).toMatchObject([{ way: 'silence', alive: [] }]);
  }, 60_000);
});

describe('the issuer’s doors for the drill', () => {
  it.each(Object.keys(canaryRoutes))('%s is refused for every tenant but a canary', async (name) => {
    const body = { tenant: 'harbour', subject: 'canary-leaver', isFirst: true };
    const call = Promise.resolve(canary.handlers[name]!({ body, requestId: randomUUID() } as never));
    await expect(call).rejects.toMatchObject({ code: 'canary_tenant_required' });
    await expect(
      Promise.resolve(
        canary.handlers[name]!({ body: { ...body, tenant: 'nobody' }, requestId: randomUUID() } as never),
      ),
    ).rejects.toMatchObject({ code: 'canary_tenant_required' });
  });

  it.each(['session', 'link'])('%s is refused for somebody whom the directory has not made', async (name) => {
    const body = { tenant: 'canary-a', subject: 'lead', isFirst: true };
    const call = Promise.resolve(canary.handlers[name]!({ body, requestId: randomUUID() } as never));
    await expect(call).rejects.toMatchObject({ code: 'canary_tenant_required' });
  });

  it('the earlier token of the directory is worth nothing', async () => {
    const ask = () => client.call(canaryRoutes.directory, { requestId: randomUUID(), body: { tenant: 'canary-a' } });
    const [first, second] = [(await ask()).body, (await ask()).body];
    const users = (token: string) =>
      edge.fetch(`/scim/v2/${first.connectionId}/Users`, {
        isServer: true,
        headers: { authorization: `Bearer ${token}` },
      });
    expect((await users(first.token)).status).toBe(401);
    expect((await users(second.token)).status).toBe(200);
    expect(second.connectionId).toBe(first.connectionId);
  });
});
