import { channel } from 'node:diagnostics_channel';
import { Pool, type PoolClient, type PoolConfig } from 'pg';
import type { ConnectionOptions } from 'node:tls';
import { toTenancyError } from './errors.ts';
import { runPipeline, type PipelineOptions, type PipelineResult, type Step } from './pipeline.ts';

/** A reading or writing statement of a room takes milliseconds; the server ends one that takes this long. */
export const STATEMENT_TIMEOUT_MS = 15_000;
/** Waiting longer for a row somebody else holds helps nobody. */
export const LOCK_TIMEOUT_MS = 5_000;
/** A transaction that nobody feeds holds its rows hostage. */
export const IDLE_TRANSACTION_TIMEOUT_MS = 30_000;
/** On top of the server's own limit, for a network that swallows the answer. */
const ANSWER_GRACE_MS = 5_000;
/** A free connection, or an honest 503. */
const ACQUIRE_TIMEOUT_MS = 5_000;
/** Connections are renewed, so that changed grants and plans take effect and memory is given back. */
const CONNECTION_AGE_SECONDS_MAX = 1_800;
const CONNECTION_IDLE_MS_MAX = 60_000;

/** Where PostgreSQL is: a socket folder, or a host with verified TLS 1.3. */
export interface Connection {
  readonly socketDirectory?: string;
  readonly host?: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
  /** Needed for a host. */
  readonly tls?: ConnectionOptions;
  /**
   * False behind a pooler in transaction mode, which hands each transaction to another server connection (PgBouncer
   * before 1.21 knows no named statements). Limits of time are then those of the role, not of the connection.
   */
  readonly namedStatements?: boolean;
}

/** Connections that are used for whole pipelines only. */
export interface ConnectionPool {
  /** One pipeline on any free connection. Rejects with TenancyError. */
  run(steps: readonly Step[]): Promise<PipelineResult>;
  /** A connection of one's own until it is given back. */
  lease(): Promise<Lease>;
  close(): Promise<void>;
}

export interface Lease {
  run(steps: readonly Step[]): Promise<PipelineResult>;
  /** Gives the connection back; `broken` closes it instead. Safe to call twice. */
  release(broken?: boolean): void;
}

function poolConfig(connection: Connection, size: number): PoolConfig {
  const host = connection.socketDirectory ?? connection.host;
  if (host === undefined) throw new TypeError('a connection needs a socket folder or a host');
  if (!host.startsWith('/') && connection.tls === undefined) throw new TypeError('a connection to a host needs TLS');
  return {
    host,
    port: connection.port,
    database: connection.database,
    user: connection.user,
    // A function keeps `pg` from looking into the environment or a .pgpass file when there is no password.
    password: () => connection.password ?? '',
    ssl: host.startsWith('/') ? false : connection.tls!,
    max: size,
    connectionTimeoutMillis: ACQUIRE_TIMEOUT_MS,
    idleTimeoutMillis: CONNECTION_IDLE_MS_MAX,
    maxLifetimeSeconds: CONNECTION_AGE_SECONDS_MAX,
    // A pooler refuses settings at start-up; it could not keep them with a session that is nobody's.
    ...(connection.namedStatements === false
      ? {}
      : {
          statement_timeout: STATEMENT_TIMEOUT_MS,
          lock_timeout: LOCK_TIMEOUT_MS,
          idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
        }),
    application_name: connection.user,
  };
}

/** Where failed connections are told (`{ error }`): the driver turns a plain socket into TLS out of Node's own sight. */
export const CONNECTION_FAILED_CHANNEL = 'tenancy.connection.failed';
const connectionFailed = channel(CONNECTION_FAILED_CHANNEL);

/** SQLSTATEs after which a prepared statement of the connection must not be used again: its table has changed. */
const STALE_PLAN: ReadonlySet<string> = new Set(['0A000', '26000', '42P05', '42P18']);

export function openPool(connection: Connection, size: number): ConnectionPool {
  const pool = new Pool(poolConfig(connection, size));
  const options: PipelineOptions = {
    deadline_ms: STATEMENT_TIMEOUT_MS + ANSWER_GRACE_MS,
    named: connection.namedStatements ?? true,
  };
  // A connection that dies while idle is replaced at the next use; without a listener it would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));

  const lease = async (): Promise<Lease> => {
    let client: PoolClient;
    try {
      client = await pool.connect();
    } catch (error) {
      connectionFailed.publish({ error });
      throw toTenancyError(error);
    }
    return makeLease(client, options);
  };
  const run = async (steps: readonly Step[]): Promise<PipelineResult> => {
    const held = await lease();
    try {
      return await held.run(steps);
    } finally {
      held.release();
    }
  };
  return { run, lease, close: () => pool.end() };
}

function makeLease(client: PoolClient, options: PipelineOptions): Lease {
  let broken = false;
  let released = false;
  return {
    run: async (steps) => {
      try {
        return await runPipeline(client, steps, options);
      } catch (error) {
        if (error instanceof TypeError || error instanceof RangeError) throw error; // a value that cannot be sent
        const known = toTenancyError(error);
        broken ||= known.code === 'database_unavailable' || STALE_PLAN.has(known.sqlState ?? '');
        throw known;
      }
    },
    release: (destroy = false) => {
      if (released) return;
      released = true;
      client.release(broken || destroy);
    },
  };
}
