import { AppError, type Clock } from '@auditrax/base';
import { Pool } from 'undici';
import type { WorkloadErrorCode } from './authority.ts';
import { CLIENT_CONNECTION_AGE_MS_MAX } from './connection-age.ts';
import type { WorkloadIdentity } from './identity.ts';
import { clientTls } from './tls.ts';

/** Open connections to one service; more requests than these wait in the pool's queue. */
export const POOL_CONNECTIONS_MAX = 64;
const CONNECT_MS_MAX = 5000;
const HEADERS_MS_MAX = 60_000;
/** Between two pieces of a body, either way. */
const BODY_IDLE_MS_MAX = 60_000;
/** Idle connections are dropped before the server's own 72 s keep-alive ends, so that no request meets a closing one. */
const KEEP_ALIVE_MS_MAX = 30_000;
/** After a renewal the old connections finish what they carry for this long at most. */
const RETIRE_MS_MAX = 60_000;

export interface ServiceAddress {
  readonly host: string;
  readonly port: number;
}

export interface WorkloadPools {
  /** The connections to `service`, made with the current certificate. Throws `service_unavailable` without an address. */
  to(service: string): Pool;
  close(): Promise<void>;
}

export interface PoolOptions {
  readonly identity: WorkloadIdentity;
  readonly clock: Clock;
  /** Where a service listens now; asked at each use, since a restarted service has another port. */
  address(service: string): ServiceAddress | undefined;
}

interface OpenPool {
  readonly pool: Pool;
  readonly host: string;
  readonly port: number;
}

/** Pools of mutually authenticated connections, one per destination, replaced at each renewal of the certificate. */
export function createPools(options: PoolOptions): WorkloadPools {
  const open = new Map<string, OpenPool>();
  const retiring = new Set<Promise<void>>();
  const retire = (pool: Pool) => {
    const done = retirePool(pool).finally(() => retiring.delete(done));
    retiring.add(done);
  };
  const stop = options.identity.onRotate(() => {
    for (const { pool } of open.values()) retire(pool);
    open.clear();
  });
  return {
    to(service) {
      const address = options.address(service);
      if (address === undefined)
        throw new AppError<WorkloadErrorCode>('service_unavailable', `${service} has no address yet`);
      const known = open.get(service);
      if (known !== undefined && known.port === address.port && known.host === address.host) return known.pool;
      if (known !== undefined) retire(known.pool);
      const pool = openPool(service, address, options.identity);
      open.set(service, { pool, host: address.host, port: address.port });
      return pool;
    },
    async close() {
      stop();
      for (const { pool } of open.values()) retire(pool);
      open.clear();
      await Promise.all(retiring);
    },
  };
}

function openPool(service: string, { host, port }: ServiceAddress, identity: WorkloadIdentity): Pool {
  return new Pool(`https://${host.includes(':') ? `[${host}]` : host}:${port}`, {
    connections: POOL_CONNECTIONS_MAX,
    pipelining: 1,
    allowH2: false,
    maxCachedSessions: 0, // the server's identity is checked at every handshake, never skipped by resumption
    connectTimeout: CONNECT_MS_MAX,
    headersTimeout: HEADERS_MS_MAX,
    bodyTimeout: BODY_IDLE_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS_MAX,
    keepAliveMaxTimeout: KEEP_ALIVE_MS_MAX,
    clientTtl: CLIENT_CONNECTION_AGE_MS_MAX,
    connect: clientTls(identity.current(), service) as NonNullable<Pool.Options['connect']>,
  });
}

async function retirePool(pool: Pool): Promise<void> {
  const force = setTimeout(() => void pool.destroy().catch(() => undefined), RETIRE_MS_MAX).unref();
  await pool.close().catch(() => undefined); // already destroyed: nothing is left to do
  clearTimeout(force);
}
