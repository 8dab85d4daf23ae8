import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4, type Clock, type RouteContract, type Uuid } from '@auditrax/base';
import { secretsOf } from '@auditrax/base/secret';
import { formatId } from '@auditrax/tenancy/ids';
import { createTokenMinter, createTokenVerifier, issueEdgeCertificate } from '@auditrax/workload';
import { createAttemptCounter } from '../../../platform/http/attempt-counter.ts';
import type { Caller, RoomRoutes } from '../../../platform/http/handler.ts';
import type { ProblemTable } from '../../../platform/http/problems.ts';
import { silentLog } from '../../../platform/http/request-log.ts';
import { startService } from '../../../platform/http/service.ts';
import { openTestHouse } from '../../../platform/http/testing/workloads.ts';
import { startEdge } from '../../../platform/edge/index.ts';
import { tokenRoutes } from '../../../platform/edge/token-contract.ts';
import { createAddressGuard } from '../../../platform/outward/address-guard.ts';
import { createGuardedFetch, type GuardedFetch } from '../../../platform/outward/guarded-fetch.ts';
import { accessRoutes, createStepUpVerifier, loadRoutePolicy, problems as accessProblems } from '../../access/index.ts';
import { routes as accessContract } from '../../access/contract.ts';
import { connectionName, connectionsProblems, connectionSubjects } from '../../connections/index.ts';
import {
  evictionFeedRoutes,
  identityRoutes,
  problems as identityProblems,
  tokenMintRoutes,
  type KeyMint,
} from '../../identity/index.ts';
import { routes as identityContract } from '../../identity/contract.ts';
import { type OtherDatabases, type SeededIssuer, startSeededIssuer } from '../../tenants/testing/seeded-issuer.ts';
import { routes as ssoContract } from '../contract.ts';
import { sessionRoutes as ssoSessionContract } from '../session-contract.ts';
import type { SsoDeps } from '../deps.ts';
import { ssoProblems, ssoRoutes, ssoSubjects } from '../index.ts';
import type { StandIns } from '../stand-ins.ts';
import { TestBrowser } from './browser.ts';

const HOST = 'localhost:8443';
const APP = join(import.meta.dirname, '..', '..', '..');

/** Gateway and issuer on a real database, over real sockets, and what a test needs around them. */
export interface SsoHouse {
  readonly issuer: SeededIssuer;
  readonly deps: SsoDeps & SeededIssuer['deps'];
  /** Where the edge listens, on 127.0.0.1. */
  readonly edgePort: number;
  readonly origin: string;
  /** Certificate and key of every server here, for 127.0.0.1 and localhost. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  browser(): TestBrowser;
  /** Posts as a provider's server does. */
  post(url: string, body: string): Promise<number>;
  /** Who is signed in with a browser's cookie. */
  whoIs(browser: TestBrowser): Promise<Record<string, unknown>>;
  callerOf(cookie: string): Promise<Caller>;
  /** The connection as the page names it. */
  idOf(caller: Caller, connectionId: Uuid): string;
  stop(): Promise<void>;
}

/** Rooms beside those of every sign-in. */
export interface MoreRooms {
  readonly names: readonly string[];
  readonly contracts: readonly RouteContract[];
  readonly problems: readonly ProblemTable[];
  rooms(deps: SsoHouse['deps']): readonly RoomRoutes[];
  /** Where there is more than one database. */
  readonly databases?: OtherDatabases;
  /** What passkeys approve in them. */
  subjects?(deps: SsoHouse['deps']): SeededIssuer['deps']['subjects'];
  /** What stands for the workspace, behind the same edge. */
  readonly workspace?: readonly RoomRoutes[];
  /** Where programs come with keys of people. */
  mintForKey?(deps: SsoHouse['deps']): KeyMint;
}

/** How providers are reached, where not as usual. */
export interface ProviderWays {
  /** Instead of the guarded fetch, for providers that are replayed. */
  readonly fetch?: GuardedFetch;
  readonly standIns?: StandIns;
}

/** The clock is that of the rooms; certificates and tokens of the house itself keep to the machine's. */
export async function startSsoHouse(
  clock: Clock = systemClock,
  more?: MoreRooms,
  providers: ProviderWays = {},
): Promise<SsoHouse> {
  const seeded = await startSeededIssuer(clock, more?.databases);
  const wires = await openTestHouse();
  const certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Sign-in test' });
  const pair = generateKeyPairSync('ed25519');
  const minter = createTokenMinter({ key: pair.privateKey, kid: 'k', issuer: 'sso-test', clock: systemClock });
  const jwk = { ...pair.publicKey.export({ format: 'jwk' }), kid: 'k' } as never;
  const deps: SsoDeps & SeededIssuer['deps'] = {
    ...seeded.deps,
    minter,
    formatId: (kind, context, id) => formatId(kind, context, id, wires.keys),
    fetch:
      providers.fetch ??
      createGuardedFetch({
        guard: createAddressGuard({ allowed: ['127.0.0.0/8'] }),
        authorities: [certificate.authorityPem],
      }),
    ...(providers.standIns === undefined ? {} : { standIns: providers.standIns }),
    steps_perMinute_max: 100_000,
    connectionName: (context, id) => connectionName(deps, context, id),
  };
  const policy = loadRoutePolicy(
    ['identity', 'access', 'tenants', 'sso', ...(more?.names ?? [])].map((room) =>
      join(APP, 'domains', room, 'policy.cedar'),
    ),
  );
  const subjects = { ...deps.subjects, ...ssoSubjects(deps), ...connectionSubjects(deps), ...more?.subjects?.(deps) };
  const counter = createAttemptCounter();
  const common = { clock: systemClock, log: silentLog, tagKeys: wires.keys, counter } as const;
  const service = await startService({
    ...common,
    name: 'issuer',
    problems: [identityProblems, accessProblems, connectionsProblems, ssoProblems, ...(more?.problems ?? [])],
    policy,
    readiness: async () => [],
    onAttempt: async () => undefined,
    stepUp: createStepUpVerifier({ doors: deps.doors, clock: systemClock }),
    identity: await wires.identity('issuer'),
    tokenVerifier: createTokenVerifier({
      keys: () => [jwk],
      issuer: 'sso-test',
      audience: 'issuer',
      clock: systemClock,
    }),
    rooms: [
      identityRoutes(deps),
      tokenMintRoutes({ ...deps, ...(more?.mintForKey === undefined ? {} : { mintForKey: more.mintForKey(deps) }) }),
      evictionFeedRoutes(deps),
      ...ssoRoutes(deps),
      accessRoutes({ ...deps, policy, subjects, secretsOf: secretsOf(more?.contracts ?? []) }),
      ...(more?.rooms(deps) ?? []),
    ],
  });
  wires.ports.set('issuer', service.port);
  const workspace = await startService({
    ...common,
    name: 'workspace',
    problems: [],
    policy,
    readiness: async () => [],
    onAttempt: async () => undefined,
    stepUp: createStepUpVerifier({ doors: deps.doors, clock: systemClock }),
    identity: await wires.identity('workspace'),
    tokenVerifier: createTokenVerifier({
      keys: () => [jwk],
      issuer: 'sso-test',
      audience: 'workspace',
      clock: systemClock,
    }),
    rooms: more?.workspace ?? [],
  });
  wires.ports.set('workspace', workspace.port);
  const folder = mkdtempSync(join(tmpdir(), 'ax-sso-'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>app</title>');
  const edge = await startEdge({
    clock: systemClock,
    log: silentLog,
    pools: wires.pools(await wires.identity('gateway')),
    tagKeys: wires.keys,
    counter,
    contracts: [
      ...[identityContract, ssoContract, ssoSessionContract, accessContract, tokenRoutes].flatMap((table) =>
        Object.values(table),
      ),
      ...(more?.contracts ?? []),
    ],
    edge: { port: 0, hostNames: ['localhost'], publicHosts: [HOST], ...certificate },
    tryout: false,
    staticFolder: folder,
    publishedFolder: folder,
    pageSigningKey: pair.publicKey,
    readiness: async () => [],
    // Every person of a test comes from one address.
    limits: {
      client: { burst: 100_000, perSecond: 1000 },
      session: { burst: 100_000, perSecond: 1000 },
      signIn: { burst: 100_000, perSecond: 1000 },
    },
  });
  const tls = { key: certificate.keyPem, cert: certificate.certificatePem, ca: certificate.authorityPem };
  const net = { ca: [tls.ca], ports: { [HOST]: edge.edgePort } };
  const origin = `https://${HOST}`;
  return {
    issuer: seeded,
    deps,
    edgePort: edge.edgePort,
    origin,
    tls,
    browser: () => new TestBrowser(net),
    post: (url, body) => postAsServer(url, body, { port: edge.edgePort, ca: tls.ca }),
    async whoIs(browser) {
      return JSON.parse((await browser.ask(`${origin}/api/identity/session`)).text) as Record<string, unknown>;
    },
    callerOf: (cookie) => seeded.callerOf(cookie),
    idOf: (caller, id) => formatId('con', caller.tenant, id, wires.keys),
    async stop() {
      await edge.drain();
      await service.drain();
      await workspace.drain();
      await wires.close();
      await seeded.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function postAsServer(
  url: string,
  body: string,
  to: { readonly port: number; readonly ca: string },
): Promise<number> {
  const { request } = await import('node:https');
  const { host, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port: to.port,
        path: pathname,
        method: 'POST',
        servername: 'localhost',
        ca: to.ca,
        agent: false,
        headers: {
          host,
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': String(Buffer.byteLength(body)),
        },
      },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode!));
      },
    );
    call.once('error', reject);
    call.end(body);
  });
}

/** An asker as the routes would make one, for the colleagues' verbs. */
export function askerOf(caller: Caller) {
  return {
    caller,
    requestId: uuidV4(systemRandom),
    stepUp: { assertionHash: 'assertion', credentialId: 'credential' },
  };
}
