import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { systemClock, type RouteContract } from '@auditrax/base';
import { LEAVER_HOLDS } from '../claims/probe.ts';
import { routes as apiAccessContract } from '../domains/api-access/contract.ts';
import { apiAccessProblems, apiAccessRoutes, apiKeysHeld, keyMint } from '../domains/api-access/index.ts';
import { canaryRoutes as programContract } from '../domains/authorisation-server/canary-contract.ts';
import { routes as authorisationContract } from '../domains/authorisation-server/contract.ts';
import {
  apiTokenMintRoutes,
  authorisationServerProblems,
  authorisationServerRoutes,
  programSubjects,
  canaryProgram,
  programGrants,
} from '../domains/authorisation-server/index.ts';
import { routes as engagementsContract } from '../domains/engagements/contract.ts';
import { apiTokenRoutes } from '../platform/edge/token-contract.ts';
import { bindRoutes } from '../platform/http/handler.ts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { routes as provisioningContract } from '../domains/provisioning/contract.ts';
import { canaryDirectory, provisioningProblems, provisioningRoutes } from '../domains/provisioning/index.ts';
import { canaryRoutes } from '../domains/provisioning/canary-contract.ts';
import { canaryRoutes as signalCanary } from '../domains/signal-receiver/canary-contract.ts';
import { routes as signalContract } from '../domains/signal-receiver/contract.ts';
import {
  canarySignals,
  createKeysOfStreams,
  signalReceiverProblems,
  signalReceiverRoutes,
} from '../domains/signal-receiver/index.ts';
import { createStandIns, type StandIns } from '../domains/sso/index.ts';
import { silentLog } from '../platform/http/request-log.ts';
import { startRehearsedTransmitter } from '../rehearsal/index.ts';
import { sweepEmployment } from '../domains/identity/index.ts';
import { startSsoHouse, type SsoHouse } from '../domains/sso/testing/sso-house.ts';
import { createAddressGuard } from '../platform/outward/address-guard.ts';
import { createGuardedFetch } from '../platform/outward/guarded-fetch.ts';
import { createAttemptCounter } from '../platform/http/attempt-counter.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { RoomRoutes } from '../platform/http/handler.ts';
import { openDepartures } from './departures.ts';
import { createEdgeClient, type EdgeClient } from './edge-client.ts';
import { createLeaverLoop } from './leaver-loop.ts';
import { createLeaverPeople, type LeaverPeople } from './leaver-people.ts';

// Through the real gateway and issuer, on a real database. The directory and the provider are played.

let house: SsoHouse;
let canary: RoomRoutes['handlers'];
const doors = { ...canaryRoutes, program: programContract.client, ...signalCanary };
let edge: EdgeClient;
let people: LeaverPeople;
let folder: string;

/** The issuer's internal door without the wire, which `tools/inner-routes.test.ts` and the house's tests look at. */
const client = {
  call: async (contract: RouteContract, { body, requestId }: { body: unknown; requestId: string }) => {
    const [name] = Object.entries(doors).find(([, one]) => one.operation === contract.operation)!;
    return canary[name]!({ body, requestId } as never);
  },
} as unknown as InternalClient;

beforeAll(async () => {
  for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
  const counter = createAttemptCounter();
  const standIns: StandIns = createStandIns(systemClock);
  // The house's own way out does not lead to this machine; the stand-in's does.
  const guarded = createGuardedFetch({ guard: createAddressGuard({ allowed: [] }) });
  const keysWith = (deps: SsoHouse['deps']) => createKeysOfStreams({ ...deps, fetch: guarded, standIns });
  const held = (deps: SsoHouse['deps']) => ({ ...deps, revocations: [apiKeysHeld(deps), programGrants(deps)] });
  const { list } = engagementsContract;
  house = await startSsoHouse(systemClock, {
    subjects: programSubjects,
    names: ['api-access', 'authorisation-server', 'engagements'],
    contracts: [
      provisioningContract,
      apiAccessContract,
      authorisationContract,
      apiTokenRoutes,
      signalContract,
      { list },
    ].flatMap((all) => Object.values(all)),
    problems: [provisioningProblems, apiAccessProblems, authorisationServerProblems, signalReceiverProblems],
    rooms: (deps) => [
      provisioningRoutes({ ...held(deps), counter }),
      apiAccessRoutes(deps),
      authorisationServerRoutes(deps),
      apiTokenMintRoutes(deps),
      signalReceiverRoutes({ ...held(deps), counter, log: silentLog, keysOfStreams: keysWith(deps) }),
    ],
    mintForKey: keyMint,
    // Stands for the workspace: whoever comes so far has come in.
    workspace: [
      bindRoutes(
        { list },
        { list: () => Promise.resolve({ status: 200 as const, body: { engagements: [], nextCursor: null } }) },
      ),
    ],
  });
  const program = canaryProgram(house.deps).handlers['client']!;
  canary = {
    ...canaryDirectory(house.deps).handlers,
    program,
    ...canarySignals({ ...house.deps, standIns }).handlers,
  };
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
  const transmitter = () => startRehearsedTransmitter({ clock: systemClock });
  people = createLeaverPeople({ client, edge, tenant: 'canary-a', neighbour: 'canary-b', transmitter });
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
const WAYS = ['scim', 'scim-entra', 'scim-unread', 'signal'];
const counted = async (table: string) =>
  Number((await house.issuer.rows<{ n: string }>(`select count(*) as n from identity.${table}`))[0]!.n);

/** `api_key` and `api_grant` keep what has ended; `api_client` has the one program. */
const TABLES = [
  'member',
  'scim_resource',
  'connection',
  'received_stream',
  'received_index',
  'credential_index',
  'account',
  'api_client',
];

describe('a canary’s leaver at a real gateway and issuer', () => {
  it('loses everything within seconds, in both dialects and by a signal, as often as they leave, and nobody piles up', async () => {
    const { loop, departures, failures } = leaving(people);
    await loop.next();
    const before = await Promise.all(TABLES.map(counted));
    await loop.next();
    expect(failures).toEqual([]);
    const seen = departures.recent(3_600);
    expect(seen.map(({ way }) => way)).toEqual([...WAYS, ...WAYS]);
    for (const one of seen) {
      expect(one.alive).toEqual([]);
      expect(Object.keys(one.held).sort()).toEqual([...LEAVER_HOLDS].sort());
      expect(one.took_ms).toBe(Math.max(...Object.values(one.held)));
      expect(one.took_ms).toBeLessThan(10_000);
    }
    const after = await Promise.all(TABLES.map(counted));
    expect(after).toEqual(before);
  }, 60_000);

  it('is seen to have lost nothing when the message changes nothing', async () => {
    let minutes = 0;
    const unheard: LeaverPeople = {
      ...people,
      prepareLeaving: async (of) => ({ ...(await people.prepareLeaving(of)), leave: () => Promise.resolve() }),
    };
    const { loop, departures } = leaving(unheard, () => (minutes += 1) * 60_000);
    await loop.next();
    expect(departures.recent(3_600)).toMatchObject(WAYS.map(() => ({ alive: LEAVER_HOLDS })));
    expect(departures.recent(3_600).some(({ took_ms }) => took_ms !== undefined)).toBe(false);
  }, 60_000);

  it('of whom nobody speaks is signed in by the provider, and has a proof of employment from then', async () => {
    const { loop, departures, failures } = leaving(people);
    await loop.lookAtSilent();
    expect(failures).toEqual([]);
    const { holding } = departures.silent!;
    // As after a restart: nothing but what was kept.
    const kept = people.looksAt(JSON.parse(JSON.stringify(holding)) as typeof holding);
    for (const one of kept) expect([one.name, await one.look()]).toEqual([one.name, 'works']);
    // Four hours later, as the issuer sees it.
    await house.issuer.rows(`update identity.employment set proved_at = proved_at - interval '4 hours'`);
    await sweepEmployment({ ...house.deps, revocations: [apiKeysHeld(house.deps), programGrants(house.deps)] }, 'r');
    const out = async () => Promise.all(kept.map(async (one) => [one.name, await one.look()]));
    await vi.waitFor(async () => expect(await out()).toEqual(LEAVER_HOLDS.map((name) => [name, 'refused'])), 40_000);
  }, 60_000);

  it('comes back without the keys and programs of the round before', async () => {
    await people.hire('canary-silent-leaver', 'silence');
    await people.hold('canary-silent-leaver');
    for (const one of ['canary-silent-leaver', 'canary-leaver', 'canary-signalled-leaver'])
      await people.hire(one, one === 'canary-signalled-leaver' ? 'signal' : 'scim');
    const open =
      'select 1 from identity.api_key where ended_at is null union all select 1 from identity.api_grant where ended_at is null';
    expect(await house.issuer.rows(open)).toEqual([]);
  }, 60_000);
});

describe('the issuer’s doors for the drill', () => {
  it.each(Object.keys(doors))('%s is refused for every tenant but a canary', async (name) => {
    const standIn = { origin: 'https://127.0.0.1:1', authority: '' };
    const body = { tenant: 'harbour', subject: 'canary-leaver', isFirst: true, standIn };
    const call = Promise.resolve(canary[name]!({ body, requestId: randomUUID() } as never));
    await expect(call).rejects.toMatchObject({ code: 'canary_tenant_required' });
    await expect(
      Promise.resolve(canary[name]!({ body: { ...body, tenant: 'nobody' }, requestId: randomUUID() } as never)),
    ).rejects.toMatchObject({ code: 'canary_tenant_required' });
  });

  it.each(['session', 'link', 'letIn'])('%s is refused for somebody whom the directory has not made', async (name) => {
    const body = { tenant: 'canary-a', subject: 'lead', isFirst: true };
    const call = Promise.resolve(canary[name]!({ body, requestId: randomUUID() } as never));
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
