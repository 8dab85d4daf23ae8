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
  /** A connection of one's own until it is given back; at once where one is at hand. */
  lease(): Lease | Promise<Lease>;
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

/** A connection is lent on at most this long before `pg`'s pool sees it again, which renews old ones and closes idle ones. */
const PARKED_MS_MAX = 1_000;

/** A connection that `pg`'s pool has lent to us, and since when. */
interface Held {
  readonly client: PoolClient;
  readonly sinceMs: number;
}

/**
 * Connections that were just given back and that nobody waits for: the next statement takes one without the pool's own
 * bookkeeping (its queue, two timers, listeners put on and off), which costs as much as the statement's own messages.
 */
class Park {
  readonly #parked: Held[] = [];
  readonly #pool: Pool;
  readonly #dead = new WeakSet<object>();
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(pool: Pool) {
    this.#pool = pool;
    // A connection that dies while idle is replaced at the next use; without a listener it would end the process.
    pool.on('connect', (client) => client.on('error', () => this.#bury(client)));
  }

  take(): Held | undefined {
    return this.#parked.pop();
  }

  give(held: Held, broken: boolean): void {
    const { client, sinceMs } = held;
    const isOver = broken || this.#dead.has(client);
    if (isOver || this.#closed || this.#pool.waitingCount > 0 || performance.now() - sinceMs > PARKED_MS_MAX) {
      client.release(isOver);
      return;
    }
    this.#parked.push(held);
    this.#sweep ??= setTimeout(() => this.#empty(), PARKED_MS_MAX).unref();
  }

  close(): void {
    this.#closed = true;
    this.#empty();
  }

  #empty(): void {
    clearTimeout(this.#sweep);
    this.#sweep = undefined;
    for (const { client } of this.#parked.splice(0)) client.release();
  }

  #bury(client: object): void {
    this.#dead.add(client);
    const at = this.#parked.findIndex((held) => held.client === client);
    if (at >= 0) this.#parked.splice(at, 1)[0]!.client.release(true);
  }
}

export function openPool(connection: Connection, size: number): ConnectionPool {
  const pool = new Pool(poolConfig(connection, size));
  const park = new Park(pool);
  const options: PipelineOptions = {
    deadline_ms: STATEMENT_TIMEOUT_MS + ANSWER_GRACE_MS,
    named: connection.namedStatements ?? true,
  };
  pool.on('error', () => undefined);

  const connect = async (): Promise<Lease> => {
    try {
      return makeLease({ client: await pool.connect(), sinceMs: performance.now() }, park, options);
    } catch (error) {
      connectionFailed.publish({ error });
      throw toTenancyError(error);
    }
  };
  const lease = (): Lease | Promise<Lease> => {
    const held = park.take();
    return held === undefined ? connect() : makeLease(held, park, options);
  };
  const run = async (steps: readonly Step[]): Promise<PipelineResult> => {
    const held = await lease();
    try {
      return await held.run(steps);
    } finally {
      held.release();
    }
  };
  const close = (): Promise<void> => {
    park.close();
    return pool.end();
  };
  return { run, lease, close };
}

function makeLease(held: Held, park: Park, options: PipelineOptions): Lease {
  let broken = false;
  let released = false;
  return {
    run: async (steps) => {
      try {
        return await runPipeline(held.client, steps, options);
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
      park.give(held, broken || destroy);
    },
  };
}
