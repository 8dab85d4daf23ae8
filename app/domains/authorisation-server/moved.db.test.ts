import { systemClock, systemRandom, uuidV4, type RouteContract } from '@auditrax/base';
import { openPlacedDatabase } from '@auditrax/tenancy';
import * as oauth from 'openid-client';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { asSuperuser, setBeat } from '../../platform/audit/testing.ts';
import { relocate } from '../../platform/db/relocation.ts';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';
import { apiTokenRoutes } from '../../platform/edge/token-contract.ts';
import { bindRoutes, type Caller } from '../../platform/http/handler.ts';
import { routes as engagementsContract } from '../engagements/contract.ts';
import { systemTables } from '../identity/index.ts';
import { startSsoHouse, type SsoHouse } from '../sso/testing/sso-house.ts';
import { registerClient } from './clients.ts';
import { allowRequest } from './consent.ts';
import { routes } from './contract.ts';
import { issuerOf } from './deps.ts';
import {
  apiTokenMintRoutes,
  authorisationServerProblems,
  authorisationServerRoutes,
  consentSubjects,
} from './index.ts';
import { askFor, questionOf, startProgram, type Program } from './testing/program.ts';

// Lakeside moves from the database of everybody into one of its own, while a program works for one of its people. The move is
// the real one (`relocate`), between two real databases; a program of openid-client goes through gateway and issuer.

const CELL = 'south/ax_0123456789abcdef';
const BACK = 'https://program.example/back';
const LIST = '/api/engagements';
const TABLES = ['identity.api_client', 'identity.api_grant', 'identity.api_agent_use', 'identity.api_artifact'];

let house: SsoHouse;
let cell: TestDatabase;
let lead: Caller;
const { list } = engagementsContract;

function open(home: TestDatabase) {
  return openPlacedDatabase({
    connection: home.connectionFor('ax_issuer'),
    poolSize: 6,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: [...systemTables],
    home: 'home',
    placeOf: async (tenantId) => {
      const [row] = await asSuperuser<{ cell: string; version: number }>(
        home,
        'select cell, version from platform.placement where tenant_id = $1',
        [tenantId],
      );
      const { cell: name, version } = row ?? { cell: 'home', version: 0 };
      return { cell: name, region: 'any', schema: 'app', role: 'ax_issuer', version };
    },
    cells: () => [
      { cell: 'home', region: 'north' },
      { cell: CELL, region: 'south' },
    ],
    connectionOf: (name) => (name === CELL ? cell : home).connectionFor('ax_issuer'),
    roleAt: () => 'ax_issuer',
  });
}

beforeAll(async () => {
  cell = await startTestDatabase();
  await setBeat(cell, 'running');
  house = await startSsoHouse(systemClock, {
    names: ['authorisation-server', 'engagements'],
    contracts: [routes, apiTokenRoutes, { list }].flatMap((table): RouteContract[] => Object.values(table)),
    problems: [authorisationServerProblems],
    subjects: consentSubjects,
    rooms: (deps) => [authorisationServerRoutes(deps), apiTokenMintRoutes(deps)],
    databases: { prepare: () => Promise.resolve(), open },
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
  await cell?.stop();
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

const rowsAt = async (database: TestDatabase) => {
  const counts: Record<string, number> = {};
  for (const table of TABLES) {
    const text = `select count(*)::int as n from ${table} where tenant_id = $1`;
    counts[table] = (await asSuperuser<{ n: number }>(database, text, [lead.tenant.tenantId]))[0]!.n;
  }
  return counts;
};

/** What the set-up process does, with the placement as `platform/db/moving.ts` writes it. */
async function move(): Promise<void> {
  const home = house.issuer.database;
  const { tenantId, tenantPart } = lead.tenant;
  await asSuperuser(
    cell,
    `insert into platform.tenant (id, part, kind, slug, display_name, tier)
     values ($1, $2, 'sample', 'lakeside', 'Lakeside Internal Audit', 'enterprise')`,
    [tenantId, tenantPart],
  );
  // No sequencer runs here: an empty queue and a signed head, as it would have left them.
  await asSuperuser(
    home,
    `with made as (insert into audit.log (tenant_id, generation, origin) values ($1, 1, 'log.example/1') returning tenant_id, generation),
       head as (insert into audit.log_head (tenant_id, generation, size, root) select tenant_id, generation, 5, sha256('') from made)
     insert into audit.checkpoint (tenant_id, generation, size, root, note) select tenant_id, generation, 5, sha256(''), 'n' from made`,
    [tenantId],
  );
  await asSuperuser(home, 'delete from audit.pending where tenant_id = $1', [tenantId]);
  await relocate({
    tenantId,
    source: { connection: home.connectionFor('superuser'), schema: 'app' },
    target: { connection: cell.connectionFor('superuser'), schema: 'app' },
    targetCell: CELL,
    sameDatabase: false,
    progress: () => Promise.resolve(),
    hold: () => Promise.resolve(),
    followed: () => Promise.resolve(),
    switchOver: async () => {
      await asSuperuser(
        home,
        `insert into platform.placement (tenant_id, kind, region, cell, role_name, state, version)
         values ($1, 'database', 'south', $2, 'ax_t_0123456789abcdef', 'active', 1)`,
        [tenantId, CELL],
      );
    },
  });
}

it('what people have allowed moves with their organisation: tokens work on, used ones stay used, nothing is left behind', async () => {
  const { one, tokens } = await allowed();
  const renewed = await renew(one, tokens.refresh_token!);
  expect(await call(one, renewed.access_token)).toBe(200);
  const before = await rowsAt(house.issuer.database);
  expect(before).toMatchObject({ 'identity.api_client': 1, 'identity.api_grant': 1 });
  expect(before['identity.api_artifact']).toBeGreaterThan(4);

  await move();
  expect(await rowsAt(house.issuer.database)).toEqual(Object.fromEntries(TABLES.map((table) => [table, 0])));
  expect(await rowsAt(cell)).toEqual(before);

  expect(await call(one, renewed.access_token)).toBe(200);
  const next = await renew(one, renewed.refresh_token!);
  expect(await call(one, next.access_token)).toBe(200);
  // Used at the old place: whoever brings it again is a thief at the new one too.
  await expect(renew(one, tokens.refresh_token!)).rejects.toMatchObject({ error: 'invalid_grant' });
  expect(await call(one, next.access_token)).toBe(401);
  expect(await rowsAt(house.issuer.database)).toEqual(Object.fromEntries(TABLES.map((table) => [table, 0])));
});

it('a copy that is left at the old place opens nothing', async () => {
  const { one, tokens } = await allowed();
  expect(await call(one, tokens.access_token)).toBe(200);
  await carryBack('identity.api_artifact');
  await asSuperuser(cell, 'delete from identity.api_artifact where tenant_id = $1', [lead.tenant.tenantId]);
  expect((await rowsAt(house.issuer.database))['identity.api_artifact']).toBeGreaterThan(0);
  expect(await call(one, tokens.access_token)).toBe(401);
  await expect(renew(one, tokens.refresh_token!)).rejects.toMatchObject({ error: 'invalid_grant' });
});

/** Rows of the tenant as a move that was cut off would leave them at home. */
async function carryBack(table: string): Promise<void> {
  const [from, to] = [cell, house.issuer.database].map((one) => new Client(one.connectionFor('superuser')));
  await Promise.all([from!.connect(), to!.connect()]);
  try {
    const { rows } = await from!.query<Record<string, unknown>>(`select * from ${table} where tenant_id = $1`, [
      lead.tenant.tenantId,
    ]);
    for (const row of rows) {
      const names = Object.keys(row);
      const places = names.map((_, at) => `$${at + 1}`).join(', ');
      await to!.query(`insert into ${table} (${names.join(', ')}) values (${places})`, Object.values(row));
    }
  } finally {
    await Promise.all([from!.end(), to!.end()]);
  }
}
