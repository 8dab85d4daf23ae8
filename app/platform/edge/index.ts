import type { KeyObject } from 'node:crypto';
import {
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
  createServer as createHttpServer,
} from 'node:http';
import { type Server as HttpsServer, createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Clock, type Random, type RouteContract, systemRandom, uuidV7 } from '@auditrax/base';
import type { IdKeys } from '@auditrax/tenancy/ids';
import { HANDSHAKE_MS_MAX, type WorkloadPools, strictTls } from '@auditrax/workload';
import { createInternalClient } from '../http/client.ts';
import type { AttemptCounter } from '../http/attempt-counter.ts';
import type { ClockSkewWatch } from '../http/clock-skew.ts';
import { drainable } from '../http/drain.ts';
import type { EdgeDoor, RoomRoutes } from '../http/handler.ts';
import type { Finding } from '../http/readiness.ts';
import type { Log } from '../http/request-log.ts';
import { FOREIGN_PATHS, outwardPaths, RouteDeclarationError, unreadIds } from '../http/route-check.ts';
import { type ApiParts, handleApi } from './api.ts';
import { type Exchange, sendProblem } from './exchange.ts';
import { EDGE_LIMITS, type EdgeLimits, createBuckets } from './limits.ts';
import { clientAddress, limitName } from './client-address.ts';
import { checkHost } from './origin.ts';
import { createNotFoundFloor, type NotFoundFloor } from './not-found-floor.ts';
import { handlePage, type PageParts } from './pages.ts';
import { openPublishedPages } from './published.ts';
import { createRouter } from './router.ts';
import { type SecurityHeaders, securityHeaders } from './security-headers.ts';
import { loadStaticFiles } from './static-files.ts';
import { followEvictions, type EvictionFollower } from './follow-evictions.ts';
import { createTokenCache } from './token-cache.ts';

export { edgeProblems } from './errors.ts';
export { type EdgeLimits } from './limits.ts';

/** Room for a step-up assertion (8 KiB) beside cookies and what browsers add. */
const HEADER_BYTES_MAX = 24 * 1024;
const URL_CHARACTERS_MAX = 4096;
/** The slowest upload of 2 GiB that is still served takes an hour (5 Mbit/s). */
const REQUEST_MS_MAX = 3_600_000;
const HEADERS_MS_MAX = 10_000;
/** A connection on which nothing moves. */
const IDLE_MS_MAX = 75_000;
const CONNECTIONS_MAX = 2000;

export interface DoorOptions {
  readonly host?: string;
  /** 0 lets the system choose; then the allowed hosts and origins name the chosen port. */
  readonly port: number;
  /** Host names without port that browsers may use, such as `127.0.0.1` and `localhost`. */
  readonly hostNames: readonly string[];
  /** Further exact Host values, where the outside sees another port (a load balancer): `audit.example.org`. */
  readonly publicHosts?: readonly string[];
}

export interface EdgeOptions {
  readonly clock: Clock;
  readonly random?: Random;
  readonly log: Log;
  readonly pools: WorkloadPools;
  readonly clockSkew?: ClockSkewWatch;
  /** All rooms' contracts; only those under `/api/` are served at the edge. */
  readonly contracts: readonly RouteContract[];
  readonly tagKeys: IdKeys;
  /** Refusals that anybody can provoke. */
  readonly counter: AttemptCounter;
  readonly edge: DoorOptions & { readonly keyPem: string; readonly certificatePem: string };
  /** The loopback listener without TLS for trying out; `false` in every real installation. Served to `localhost` only. */
  readonly tryout: { readonly port: number } | false;
  /** Addresses of our own load balancers, the only ones whose word on the client's address is taken. */
  readonly balancers?: readonly string[];
  /** The built browser part. */
  readonly staticFolder: string;
  /** Own folder for published pages. */
  readonly publishedFolder: string;
  /** Public half of the sentinel's page-signing key (Ed25519). */
  readonly pageSigningKey: KeyObject;
  /** What `/readyz` asks beside the edge's own findings. */
  readonly readiness: () => Promise<readonly Finding[]>;
  readonly limits?: EdgeLimits;
}

export interface RunningEdge {
  readonly edgePort: number;
  /** Undefined when the try-out listener is not open. */
  readonly tryoutPort: number | undefined;
  /** Routes of the gateway's internal listener (`startService({ name: 'gateway', rooms: [edge.internalRoutes] … })`). */
  readonly internalRoutes: RoomRoutes;
  findings(): Promise<readonly Finding[]>;
  /** A new certificate for the edge listener, without a restart. */
  renewCertificate(material: { readonly keyPem: string; readonly certificatePem: string }): void;
  drain(): Promise<void>;
}

/** Name of the session cookie at each door; a session of one is unknown to the other. */
export const SESSION_COOKIES: Readonly<Record<EdgeDoor, string>> = {
  edge: '__Host-auditrax',
  tryout: '__Host-auditrax-tryout',
};

interface Door {
  readonly kind: EdgeDoor;
  readonly hosts: ReadonlySet<string>;
  readonly balancers: ReadonlySet<string>;
  readonly headers: ReadonlyMap<string, SecurityHeaders>;
}

/**
 * The outer wall: TLS 1.3, hosts, origins, limits, tenant tags, published pages and the app. It holds no tenant's row,
 * knows no cookie's meaning, and serves only what a contract or a publication names.
 */
export async function startEdge(options: EdgeOptions): Promise<RunningEdge> {
  const limits = options.limits ?? EDGE_LIMITS;
  const client = createInternalClient({
    pools: options.pools,
    ...(options.clockSkew === undefined ? {} : { clockSkew: options.clockSkew }),
  });
  const published = openPublishedPages({
    folder: options.publishedFolder,
    signingKey: options.pageSigningKey,
    clock: options.clock,
    log: options.log,
  });
  const findings = async () => [published.finding(), evictions.finding(), ...(await options.readiness())];
  const origins: { edge: ReadonlySet<string>; tryout: ReadonlySet<string> } = { edge: new Set(), tryout: new Set() };
  const tokens = createTokenCache({ client, clock: options.clock, isHeard: () => evictions.isHeard() });
  const evictions: EvictionFollower = followEvictions({ client, log: options.log, cache: tokens });
  const api: ApiParts = {
    route: createRouter(edgeContracts(options.contracts)),
    origins,
    tokens,
    pools: options.pools,
    client,
    tagKeys: options.tagKeys,
    counter: options.counter,
    sessionBuckets: createBuckets(limits.session, options.clock),
    signInBuckets: createBuckets(limits.signIn, options.clock),
    clock: options.clock,
    log: options.log,
  };
  const pages: PageParts = { app: loadStaticFiles(options.staticFolder), published, findings };
  const floor = createNotFoundFloor();
  const clientBuckets = createBuckets(limits.client, options.clock);
  const handle = (door: Door) => (request: IncomingMessage, response: ServerResponse) => {
    const exchange = openExchange({ ...options, floor }, door, { request, response });
    if (!checkHost(request.headers.host, door.hosts)) return sendProblem(exchange, 'host_refused');
    if (exchange.clientAddress === undefined) return sendProblem(exchange, 'balancer_misconfigured');
    if (!clientBuckets.take(limitName(exchange.clientAddress)))
      return sendProblem(exchange, 'rate_limited', { retryAfter_seconds: 1 });
    if (['/api/', ...FOREIGN_PATHS].some((under) => exchange.path.startsWith(under))) return handleApi(api, exchange);
    return handlePage(pages, exchange);
  };
  const edgeServer = createHttpsServer({ ...edgeTls(options.edge), maxHeaderSize: HEADER_BYTES_MAX });
  const edgePort = await openDoor(edgeServer, { host: options.edge.host ?? '127.0.0.1', port: options.edge.port });
  const edgeHosts = [
    ...options.edge.hostNames.map((name) => withPort(name, edgePort)),
    ...(options.edge.publicHosts ?? []),
  ];
  origins.edge = new Set(edgeHosts.map((host) => `https://${host}`));
  const edgeDoor = doorOf('edge', edgeHosts, options.balancers);
  const edgeDrain = drainable(edgeServer);
  edgeServer.on('request', handle(edgeDoor));
  const tryout = options.tryout === false ? undefined : await openTryout(options.tryout.port, handle);
  if (tryout !== undefined) origins.tryout = new Set([`http://localhost:${tryout.port}`]);
  return {
    edgePort,
    tryoutPort: tryout?.port,
    internalRoutes: published.routes,
    findings,
    renewCertificate: (material) => edgeServer.setSecureContext(edgeTls(material)),
    async drain() {
      await Promise.all([edgeDrain(() => closed(edgeServer)), tryout?.drain()]);
      evictions.close();
    },
  };
}

/** Throws RouteDeclarationError on a route that the edge cannot reach, or whose ids it would not look at. */
function edgeContracts(contracts: readonly RouteContract[]): RouteContract[] {
  const outward = contracts.filter((contract) => contract.access.kind !== 'internal');
  const faults = outward.flatMap((contract) => {
    const { operation, path, service } = contract;
    const paths = outwardPaths(contract);
    return [
      ...(paths.some((under) => path.startsWith(under)) ? [] : [`${path} is not under ${paths.join(' or ')}`]),
      ...(service === 'issuer' || service === 'workspace' ? [] : [`the edge does not reach ${service}`]),
      ...unreadIds(contract),
    ].map((fault) => `${operation}: ${fault}`);
  });
  if (faults.length > 0) throw new RouteDeclarationError('gateway', faults);
  return outward;
}

function edgeTls(material: { readonly keyPem: string; readonly certificatePem: string }) {
  return {
    ...strictTls(),
    key: material.keyPem,
    cert: material.certificatePem,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_MS_MAX,
  };
}

/** As browsers write it: the port of https is left out. */
function withPort(name: string, port: number): string {
  return port === 443 ? name : `${name}:${port}`;
}

function doorOf(kind: EdgeDoor, hosts: readonly string[], balancers: readonly string[] = []): Door {
  return {
    kind,
    hosts: new Set(hosts),
    balancers: new Set(balancers),
    headers: new Map(hosts.map((host) => [host, securityHeaders({ tls: kind === 'edge', host })])),
  };
}

/** Loopback only, whatever anybody configures: there is no TLS here. */
async function openTryout(
  port: number,
  handle: (door: Door) => (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ port: number; drain: () => Promise<void> }> {
  const server = createHttpServer({ maxHeaderSize: HEADER_BYTES_MAX });
  const chosen = await openDoor(server, { host: '127.0.0.1', port });
  const drain = drainable(server);
  server.on('request', handle(doorOf('tryout', [`localhost:${chosen}`])));
  return { port: chosen, drain: () => drain(() => closed(server)) };
}

async function openDoor(
  server: HttpServer | HttpsServer,
  { host, port }: { host: string; port: number },
): Promise<number> {
  server.headersTimeout = HEADERS_MS_MAX;
  server.requestTimeout = REQUEST_MS_MAX;
  server.keepAliveTimeout = IDLE_MS_MAX;
  server.timeout = IDLE_MS_MAX;
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

function closed(server: HttpServer | HttpsServer): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function openExchange(
  options: EdgeOptions & { readonly floor: NotFoundFloor },
  door: Door,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Exchange {
  const url = request.url ?? '/';
  const question = url.indexOf('?');
  const tooLong = url.length > URL_CHARACTERS_MAX;
  const exchange: Exchange = {
    request,
    response,
    door: door.kind,
    cookieName: SESSION_COOKIES[door.kind],
    clientAddress: clientAddress(request, door.balancers),
    requestId: uuidV7(options.clock, options.random ?? systemRandom),
    arrived_ms: performance.now(),
    headers: door.headers.get(request.headers.host ?? '') ?? door.headers.values().next().value!,
    method: request.method ?? 'GET',
    path: tooLong ? '' : question < 0 ? url : url.slice(0, question),
    query: tooLong || question < 0 ? '' : url.slice(question + 1),
    operation: 'none',
    answers: 'problem',
    floor: options.floor,
  };
  response.once('close', () => {
    options.log.info('request', {
      requestId: exchange.requestId,
      operation: exchange.operation,
      status: response.statusCode,
      duration_ms: Math.round((performance.now() - exchange.arrived_ms) * 10) / 10,
    });
  });
  return exchange;
}
