import { systemClock, systemRandom, uuidV4, type RouteContract } from '@auditrax/base';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { asSuperuser } from '../../platform/audit/testing.ts';
import { apiTokenRoutes } from '../../platform/edge/token-contract.ts';
import { bindRoutes, type Caller } from '../../platform/http/handler.ts';
import { routes as engagementsContract } from '../engagements/contract.ts';
import { startSsoHouse, type SsoHouse } from '../sso/testing/sso-house.ts';
import { startTwoPlaces, type TwoPlaces } from '../tenants/testing/two-places.ts';
import { registerClient } from './clients.ts';
import { allowRequest } from './consent.ts';
import { routes } from './contract.ts';
import { issuerOf } from './deps.ts';
import {
  apiTokenMintRoutes,
  authorisationServerProblems,
  authorisationServerRoutes,
  programSubjects,
} from './index.ts';
import { askFor, questionOf, startProgram, type Program } from './testing/program.ts';

// Lakeside moves from the database of everybody into one of its own, while a program works for one of its people. The move is
// the real one (`relocate`), between two real databases; a program of openid-client goes through gateway and issuer.

const BACK = 'https://program.example/back';
const LIST = '/api/engagements';
const TABLES = ['identity.api_client', 'identity.api_grant', 'identity.api_agent_use', 'identity.api_artifact'];

let house: SsoHouse;
let places: TwoPlaces;
let lead: Caller;
const { list } = engagementsContract;

beforeAll(async () => {
  places = await startTwoPlaces();
  house = await startSsoHouse(systemClock, {
    names: ['authorisation-server', 'engagements'],
    contracts: [routes, apiTokenRoutes, { list }].flatMap((table): RouteContract[] => Object.values(table)),
    problems: [authorisationServerProblems],
    subjects: programSubjects,
    rooms: (deps) => [authorisationServerRoutes(deps), apiTokenMintRoutes(deps)],
    databases: places.databases,
    workspace: [
      bindRoutes(
        { list },
        { list: () => Promise.resolve({ status: 200 as const, body: { engagements: [], nextCursor: null } }) },
      ),
    ],
  });
  lead = await house.callerOf((await house.issuer.enrol('lakeside', 'lead')).cookie);
});
afterAll(async () => {
  await house?.stop();
  await places?.stop();
});

const asker = () => ({
  caller: lead,
  requestId: uuidV4(systemRandom),
  stepUp: { assertionHash: 'A'.repeat(43), credentialId: 'credential' },
});

async function allowed() {
  const clientId = await registerClient(house.deps, asker(), {
    name: 'Ledger sync',
    kind: 'application',
    access: 'read',
    redirectUris: [BACK],
    publicKey: null,
    handsTo: [],
  });
  const one = await startProgram(house, { issuer: issuerOf(house.deps, lead.tenant.tenantId), clientId });
  const pending = await askFor(one, { redirectUri: BACK, scope: 'read' });
  const asked = { clientId, request: questionOf(pending.url).request, agents: [] };
  const back = new URL(await allowRequest(house.deps, asker(), asked));
  const checks = { pkceCodeVerifier: pending.verifier, expectedState: pending.state };
  return { one, tokens: await oauth.authorizationCodeGrant(one.config, back, checks, undefined, { DPoP: one.dpop }) };
}

const call = (one: Program, token: string) =>
  oauth
    .fetchProtectedResource(one.config, token, new URL(`${house.origin}${LIST}`), 'GET', undefined, undefined, {
      DPoP: one.dpop,
    })
    .then(({ status }) => status)
    .catch((error: unknown) => (error as { status: number }).status);

const renew = (one: Program, token: string) =>
  oauth.refreshTokenGrant(one.config, token, undefined, { DPoP: one.dpop });

const atHome = () => places.rowsAt(house.issuer.database, lead.tenant, TABLES);

it('what people have allowed moves with their organisation: tokens work on, used ones stay used, nothing is left behind', async () => {
  const { one, tokens } = await allowed();
  const renewed = await renew(one, tokens.refresh_token!);
  expect(await call(one, renewed.access_token)).toBe(200);
  const before = await atHome();
  expect(before).toMatchObject({ 'identity.api_client': 1, 'identity.api_grant': 1 });
  expect(before['identity.api_artifact']).toBeGreaterThan(4);

  await places.move(house.issuer.database, lead.tenant);
  expect(await atHome()).toEqual(Object.fromEntries(TABLES.map((table) => [table, 0])));
  expect(await places.rowsAt(places.cell, lead.tenant, TABLES)).toEqual(before);

  expect(await call(one, renewed.access_token)).toBe(200);
  const next = await renew(one, renewed.refresh_token!);
  expect(await call(one, next.access_token)).toBe(200);
  // Used at the old place: whoever brings it again is a thief at the new one too.
  await expect(renew(one, tokens.refresh_token!)).rejects.toMatchObject({ error: 'invalid_grant' });
  expect(await call(one, next.access_token)).toBe(401);
  expect(await atHome()).toEqual(Object.fromEntries(TABLES.map((table) => [table, 0])));
});

it('a copy that is left at the old place opens nothing', async () => {
  const { one, tokens } = await allowed();
  expect(await call(one, tokens.access_token)).toBe(200);
  await places.carryBack(house.issuer.database, lead.tenant, 'identity.api_artifact');
  await asSuperuser(places.cell, 'delete from identity.api_artifact where tenant_id = $1', [lead.tenant.tenantId]);
  expect((await atHome())['identity.api_artifact']).toBeGreaterThan(0);
  expect(await call(one, tokens.access_token)).toBe(401);
  await expect(renew(one, tokens.refresh_token!)).rejects.toMatchObject({ error: 'invalid_grant' });
});
