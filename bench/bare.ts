import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Clock } from '@auditrax/base';
import { issueEdgeCertificate } from '@auditrax/workload';
import { Client, type PoolConfig } from 'pg';
import type { BareBoot, BareReady } from './bare-server.ts';

/** As the house answers them: the plaintext of the rows, under the same ids. */
export interface BareRows {
  readonly engagement: {
    readonly id: string;
    readonly title: string;
    readonly clientName: string;
    readonly periodStart: string;
    readonly periodEnd: string;
    readonly state: string;
    readonly revision: number;
    readonly createdAt: string;
    readonly catalogue: Readonly<Record<string, unknown>>;
    readonly groups: readonly {
      readonly index: number;
      readonly id: string | null;
      readonly path: readonly string[];
    }[];
    readonly contacts: readonly string[];
    readonly createdBy: string;
  };
  readonly criteria: readonly {
    readonly id: string;
    readonly groupIndex: number;
    readonly result: {
      readonly outcome: string;
      readonly note: string;
      readonly observedOn: string;
      readonly recordedBy: string;
    } | null;
  }[];
}

export interface BareServer {
  readonly origin: string;
  readonly ca: string;
  readonly pid: number;
  readonly backends: readonly number[];
  /**
   * Brings the planner's statistics of both sides up to date, between phases: tables grow faster here than autovacuum
   * looks, and a plan made for an empty table would measure nothing but that.
   */
  analyse(): Promise<void>;
  /** Ends the process and drops its database. */
  stop(): Promise<void>;
}

/** A database of its own on the same server, so that no posture check and no role of the house ever sees it. */
const DATABASE = 'bench_bare';
/** As many as there are clients: a bare handler waits for no connection. */
const POOL_SIZE = 16;

const TABLES = `
  create table engagement (
    id text primary key, title text not null, client_name text not null, catalogue jsonb not null,
    period_start date not null, period_end date not null, state text not null, revision int not null,
    contact_ids text[] not null, created_by text not null, created_at timestamptz not null, finalised_at timestamptz);
  create table criterion (
    id text primary key, engagement_id text not null references engagement, group_index int not null,
    content jsonb not null);
  create index on criterion (engagement_id);
  create table result (
    id uuid primary key default gen_random_uuid(), engagement_id text not null references engagement,
    criterion_id text not null references criterion, revision int not null, outcome text not null,
    note text not null, observed_on date not null, recorded_by text not null, recorded_at timestamptz not null default now(),
    unique (criterion_id, revision));`;

async function copyRows(client: Client, { engagement, criteria }: BareRows): Promise<void> {
  await client.query(TABLES);
  const catalogue = JSON.stringify({
    ...engagement.catalogue,
    groups: engagement.groups.map(({ index, id, path }) => ({ index, id, path })),
  });
  await client.query(`insert into engagement values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, null)`, [
    engagement.id,
    engagement.title,
    engagement.clientName,
    catalogue,
    engagement.periodStart,
    engagement.periodEnd,
    engagement.state,
    engagement.revision,
    engagement.contacts,
    engagement.createdBy,
    engagement.createdAt,
  ]);
  for (const { id, groupIndex, result, ...content } of criteria) {
    await client.query(`insert into criterion values ($1, $2, $3, $4)`, [
      id,
      engagement.id,
      groupIndex,
      JSON.stringify(content),
    ]);
    if (result === null) continue;
    await client.query(
      `insert into result (engagement_id, criterion_id, revision, outcome, note, observed_on, recorded_by)
       values ($1, $2, 1, $3, $4, $5, $6)`,
      [engagement.id, id, result.outcome, result.note, result.observedOn, result.recordedBy],
    );
  }
}

/** Vacuum keeps index-only reads index-only, as autovacuum would. */
const BARE_STATISTICS = 'vacuum analyze engagement, criterion, result';
const HOUSE_STATISTICS =
  'vacuum analyze app.engagement, app.criterion, app.result, audit.entry, audit.pending, audit.log_index';

async function analyse(house: PoolConfig, bare: PoolConfig): Promise<void> {
  await withClient(bare, (client) => client.query(BARE_STATISTICS));
  await withClient(house, (client) => client.query(HOUSE_STATISTICS));
}

/** No statement in a transaction may make or drop a database; `force` ends what a killed run has left behind. */
async function makeDatabase(house: PoolConfig): Promise<void> {
  await withClient(house, async (client) => {
    await client.query(`drop database if exists ${DATABASE} with (force)`);
    await client.query(`create database ${DATABASE} template template0`);
  });
}

async function withClient<T>(connection: PoolConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(connection);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The first message, or an error when the process ends without one. */
async function firstMessage(child: ChildProcess): Promise<BareReady> {
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('the bare server did not start')));
  const [ready] = (await Promise.race([once(child, 'message'), ended])) as [BareReady];
  return ready;
}

/**
 * Starts the bare server in a process of its own, on the same PostgreSQL, over copies of `rows`. `connection` is a
 * superuser's: it makes a database and brings statistics up to date.
 */
export async function startBareServer(options: {
  connection: PoolConfig;
  rows: BareRows;
  clock: Clock;
}): Promise<BareServer> {
  const { connection: house, clock } = options;
  const connection = { ...house, database: DATABASE };
  await makeDatabase(house);
  await withClient(connection, (client) => copyRows(client, options.rows));
  await analyse(house, connection);
  const { keyPem, certificatePem, authorityPem } = await issueEdgeCertificate({ clock, name: 'Bench' });
  const child = fork(join(import.meta.dirname, 'bare-server.ts'), [], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { PATH: '/usr/bin:/bin', NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const boot: BareBoot = { connection, key: keyPem, cert: certificatePem, poolSize: POOL_SIZE };
  child.send(boot);
  const { port, backends } = await firstMessage(child);
  return {
    origin: `https://localhost:${port}`,
    ca: authorityPem,
    pid: child.pid!,
    backends,
    analyse: () => analyse(house, connection),
    stop: async () => {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
      await withClient(house, (client) => client.query(`drop database if exists ${DATABASE} with (force)`));
    },
  };
}
