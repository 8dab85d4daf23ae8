import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { Pool, type Dispatcher } from 'undici';
import { AppError } from '@auditrax/base';
import { strictTls } from '@auditrax/workload';
import type { ProbeRequest, ProbeResponse } from '../claims/probe.ts';

/** More than any page of ours; a longer one is a fault. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;
const TIMEOUT_MS = 15_000;
const CONNECTIONS_MAX = 8;
/** On loopback the sentinel is a client of its own address, so that it uses up nobody else's share of the limits. */
const FIRST_SOURCE = 2;
const SOURCES = 250;
const POOLS_MAX = 3;

export interface EdgeClient {
  readonly origin: string;
  fetch(path: string, request?: ProbeRequest): Promise<ProbeResponse>;
  close(): Promise<void>;
}

export interface EdgeClientOptions {
  readonly host: string;
  readonly port: number;
  /** Of the try-out listener of this machine; null where there is none. */
  readonly tryoutPort?: number | null;
  /** The one authority that is believed, asked at each request; null trusts the system's (a configured certificate). */
  readonly authorityPem: () => string | null;
}

type LookupDone = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/** `localhost` is the loopback address whatever a resolver says. */
function lookup(host: string, options: { all?: boolean }, done: LookupDone): void {
  if (host !== 'localhost') return dnsLookup(host, options as never, done as never);
  if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
  else done(null, '127.0.0.1', 4);
}

function headersOf(request: ProbeRequest, origin: string): Record<string, string> {
  return {
    // As a page of ours in a browser would send it; attempts that need another origin say so themselves.
    ...(request.isServer === true ? {} : { origin, 'sec-fetch-site': 'same-origin' }),
    ...(request.cookie === undefined ? {} : { cookie: request.cookie }),
    ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
    ...request.headers,
  };
}

function problemOf(text: string): string | undefined {
  try {
    const { code } = JSON.parse(text) as { code?: unknown };
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, [value].flat().join('\n')]],
    ),
  );
}

/** Closes all but the `keep` newest; what they carry is finished. */
function closeOldest(pools: Map<number, Pool>, keep: number): void {
  for (const [source, pool] of pools) {
    if (pools.size <= keep) return;
    pools.delete(source);
    void pool.close();
  }
}

async function responseOf(reply: Dispatcher.ResponseData, started: number): Promise<ProbeResponse> {
  const bytes = Buffer.from(await reply.body.arrayBuffer());
  if (bytes.length > BODY_BYTES_MAX) throw new RangeError('the edge answered too much');
  const headers = flat(reply.headers);
  const text = (): string => bytes.toString('utf8');
  return {
    status: reply.statusCode,
    headers,
    bytes,
    requestId: headers['x-request-id'] ?? '',
    text,
    json: () => JSON.parse(text()) as unknown,
    problem: () => problemOf(text()),
    duration_ms: performance.now() - started,
  };
}

/** Of this machine alone, in plain HTTP; undefined where there is none. */
function openTryout(port: number | null): { readonly origin: string; readonly pool: Pool } | undefined {
  if (port === null) return undefined;
  const origin = `http://localhost:${port}`;
  const options = { connections: CONNECTIONS_MAX, pipelining: 1, localAddress: `127.0.0.${FIRST_SOURCE}` };
  return { origin, pool: new Pool(origin, { ...options, connect: { lookup } } as never) };
}

/** The edge as an outsider sees it: TLS 1.3, one authority, no redirects followed, no cookie kept. */
export function createEdgeClient(options: EdgeClientOptions): EdgeClient {
  const { host, port } = options;
  const origin = port === 443 ? `https://${host}` : `https://${host}:${port}`;
  const isLoopback = host === 'localhost' || host.startsWith('127.');
  const openPool = (authority: string | null, source: number): Pool =>
    new Pool(origin, {
      connections: CONNECTIONS_MAX,
      pipelining: 1,
      allowH2: false,
      ...(isLoopback ? { localAddress: `127.0.0.${FIRST_SOURCE + source}` } : {}),
      connect: {
        ...strictTls(),
        servername: host,
        lookup,
        ...(authority === null ? {} : { ca: authority }),
      } as never,
    });
  const tryout = openTryout(options.tryoutPort ?? null);
  let believed = options.authorityPem();
  const pools = new Map<number, Pool>();
  const current = (source: number): Pool => {
    const authority = options.authorityPem();
    // The gateway renews its certificate together with its authority.
    if (authority !== believed) closeOldest(pools, 0);
    believed = authority;
    const known = pools.get(source);
    if (known !== undefined) return known;
    const pool = openPool(authority, source);
    pools.set(source, pool);
    closeOldest(pools, POOLS_MAX);
    return pool;
  };
  const fetch = async (path: string, request: ProbeRequest = {}): Promise<ProbeResponse> => {
    const started = performance.now();
    const body = request.json === undefined ? request.body : JSON.stringify(request.json);
    const isTryout = request.door === 'try-out';
    const pool = isTryout ? tryout?.pool : current((request.source ?? 0) % SOURCES);
    if (pool === undefined) throw new AppError('no_tryout', 'this house has no try-out listener');
    const reply = await pool.request({
      method: request.method ?? 'GET',
      path,
      headers: headersOf(request, isTryout ? tryout!.origin : origin),
      ...(body === undefined ? {} : { body }),
      headersTimeout: request.timeout_ms ?? TIMEOUT_MS,
      bodyTimeout: request.timeout_ms ?? TIMEOUT_MS,
    });
    return responseOf(reply, started);
  };
  return {
    origin,
    fetch,
    close: async () => {
      await Promise.all(
        [...pools.values(), ...(tryout === undefined ? [] : [tryout.pool])].map((pool) => pool.destroy()),
      );
    },
  };
}
