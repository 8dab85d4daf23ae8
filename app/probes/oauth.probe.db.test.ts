import { randomUUID } from 'node:crypto';
import { systemClock, type RouteContract, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProbeHouse } from '../claims/probe.ts';
import { routes as authorisationContract } from '../domains/authorisation-server/contract.ts';
import {
  apiTokenMintRoutes,
  authorisationServerProblems,
  authorisationServerRoutes,
  canaryProgram,
  programSubjects,
} from '../domains/authorisation-server/index.ts';
import { routes as engagementsContract } from '../domains/engagements/contract.ts';
import { canaryIdentityRoutes } from '../domains/identity/index.ts';
import { startSsoHouse, type SsoHouse } from '../domains/sso/testing/sso-house.ts';
import { apiTokenRoutes } from '../platform/edge/token-contract.ts';
import { bindRoutes, type RoomRoutes } from '../platform/http/handler.ts';
import type { InternalClient } from '../platform/http/client.ts';
import { createEdgeClient, type EdgeClient } from './edge-client.ts';
import { createProbeHouse } from './house.ts';
import { attackPrograms } from './oauth.probe.ts';

// Through the real gateway and issuer, on a real database; what stands behind the workspace's address says who came in.

let house: SsoHouse;
let edge: EdgeClient;
let probes: ProbeHouse;

beforeAll(async () => {
  const { list } = engagementsContract;
  house = await startSsoHouse(systemClock, {
    names: ['authorisation-server', 'engagements'],
    contracts: [authorisationContract, apiTokenRoutes, { list }].flatMap((all): RouteContract[] => Object.values(all)),
    problems: [authorisationServerProblems],
    subjects: programSubjects,
    rooms: (deps) => [authorisationServerRoutes(deps), apiTokenMintRoutes(deps)],
    workspace: [
      bindRoutes(
        { list },
        { list: () => Promise.resolve({ status: 200 as const, body: { engagements: [], nextCursor: null } }) },
      ),
    ],
  });
  const handlers: RoomRoutes['handlers'] = {
    ...canaryIdentityRoutes(house.deps).handlers,
    client: canaryProgram(house.deps).handlers['client']!,
  };
  const contracts = { ...canaryIdentityRoutes(house.deps).contract, ...canaryProgram(house.deps).contract };
  /** The issuer's internal door without the wire, which `tools/inner-routes.test.ts` and the house's tests look at. */
  const client = {
    call: async (contract: RouteContract, { body }: { body: unknown }) => {
      const [name] = Object.entries(contracts).find(([, one]) => one.operation === contract.operation)!;
      return handlers[name]!({ body, requestId: randomUUID() } as never);
    },
  } as unknown as InternalClient;
  const dialled = createEdgeClient({ host: 'localhost', port: house.edgePort, authorityPem: () => house.tls.ca });
  const { host } = new URL(house.origin);
  edge = {
    origin: house.origin,
    fetch: (path, request = {}) => {
      const origin = request.isServer === true ? {} : { origin: house.origin };
      return dialled.fetch(path, { ...request, headers: { host, ...origin, ...request.headers } });
    },
    close: dialled.close,
  };
  const canaries = { a: { slug: 'canary-a' }, b: { slug: 'canary-b' } } as never;
  const parts = { clock: systemClock, random: house.deps.random, edge, client, routes: [], watch: {}, log: {} };
  probes = createProbeHouse({ ...parts, rehearse: { ports: () => [] } } as never, canaries, undefined as never);
});
afterAll(async () => {
  await edge?.close();
  await house?.stop();
});

const counted = async (table: string, where: string) =>
  Number((await house.issuer.rows<{ n: string }>(`select count(*) as n from identity.${table} where ${where}`))[0]!.n);

describe('the probe of programs', () => {
  it('is green where everything is refused, leaves nothing open, and registers its program once', async () => {
    for (let run = 0; run < 2; run += 1) {
      const { state, detail } = await attackPrograms(probes);
      expect([state, detail]).toEqual(['green', expect.stringContaining('10 ways')]);
    }
    expect(await counted('api_grant', 'ended_at is null')).toBe(0);
    expect(await counted('api_client', 'removed_at is null')).toBe(2);
  });

  it('is red when a used refresh token gives another one', async () => {
    await usedAgain();
    expect(await attackPrograms(probes)).toMatchObject({
      state: 'red',
      detail: expect.stringContaining('refresh token that was used before was accepted') as string,
    });
  });

  it('registers anew for another key, and removes what had the old one', async () => {
    const { client } = canaryProgram(house.deps).handlers;
    const key = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'B'.repeat(43) };
    const ask = { body: { tenant: 'canary-a', agentKey: key }, requestId: randomUUID() };
    const { body } = (await client!(ask as never)) as unknown as { body: { agentId: Uuid } };
    expect(await counted('api_client', 'removed_at is null')).toBe(2);
    expect(await counted('api_client', `removed_at is null and id = '${body.agentId}'`)).toBe(1);
    expect(await counted('api_grant', 'ended_at is null')).toBe(0);
  });
});

/** From here on the database forgets that a refresh token was used. */
async function usedAgain(): Promise<void> {
  await house.issuer.rows(`create function identity.forget_use() returns trigger language plpgsql as $$
    begin new.consumed_at := null; return new; end $$`);
  await house.issuer.rows(`create trigger forget before update on identity.api_artifact for each row
    when (new.kind = 'refresh') execute function identity.forget_use()`);
}
