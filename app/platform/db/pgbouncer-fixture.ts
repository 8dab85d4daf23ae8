import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestConnection, TestDatabase } from './testing.ts';

export const PGBOUNCER = '/usr/sbin/pgbouncer';
const PORT = 6432;
const START_MS_MAX = 10_000;
const POLL_MS = 20;
/** PgBouncer refuses to run as root; this is whom PostgreSQL's identity map must let in for it. */
export const PGBOUNCER_USER = 'nobody';

/** A role beside the workspace's that may come through; each has server connections of its own. */
export interface PooledRole {
  readonly name: string;
  readonly password?: string;
}

export interface Pooler {
  readonly version: string;
  readonly connection: TestConnection & { readonly namedStatements: false };
  stop(): Promise<void>;
}

function configuration(folder: string, origin: TestConnection, serverConnections: number): string {
  return `[databases]
${origin.database} = host=${origin.socketDirectory} port=${origin.port} dbname=${origin.database}
[pgbouncer]
listen_addr =
unix_socket_dir = ${folder}
listen_port = ${PORT}
auth_type = ${origin.password === undefined ? 'trust' : 'scram-sha-256'}
auth_file = ${join(folder, 'users')}
pool_mode = transaction
default_pool_size = ${serverConnections}
max_client_conn = 200
query_wait_timeout = 20
server_reset_query =
log_connections = 0
log_disconnections = 0
log_pooler_errors = 0
`;
}

function reachable(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve((socket.destroy(), true)));
    socket.once('error', () => resolve(false));
  });
}

/**
 * Debian's PgBouncer in transaction mode in front of `database`, over Unix sockets: many clients on few server
 * connections of its role, each transaction on whichever is free. Dies with `stop`. `database` must have been started with
 * `peers: [PGBOUNCER_USER]`.
 */
export async function startPgBouncer(
  database: TestDatabase,
  serverConnections: number,
  roles: readonly PooledRole[] = [],
): Promise<Pooler> {
  const origin = database.connectionFor('ax_workspace');
  const users = [{ name: origin.user, password: origin.password }, ...roles];
  const folder = mkdtempSync(join(tmpdir(), 'axp-'));
  const runAs = process.getuid!() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
  const lines = users.map(({ name, password = '' }) => `"${name}" "${password}"`);
  writeFileSync(join(folder, 'users'), `${lines.join('\n')}\n`);
  writeFileSync(join(folder, 'pgbouncer.ini'), configuration(folder, origin, serverConnections));
  if (runAs !== undefined) execFileSync('chown', ['-R', `${runAs.uid}:${runAs.gid}`, folder]);
  const server = spawn(PGBOUNCER, ['-q', join(folder, 'pgbouncer.ini')], { stdio: 'pipe', cwd: '/', ...runAs });
  let said = '';
  server.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2_000)));
  const stop = async (): Promise<void> => {
    if (server.exitCode === null && server.signalCode === null) {
      server.kill('SIGQUIT');
      await once(server, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  for (let waited_ms = 0; !(await reachable(join(folder, `.s.PGSQL.${PORT}`))); waited_ms += POLL_MS) {
    if (server.exitCode !== null || waited_ms > START_MS_MAX) {
      await stop();
      throw new Error(`pgbouncer did not start: ${said}`);
    }
    await sleep(POLL_MS);
  }
  return {
    version: execFileSync(PGBOUNCER, ['--version'], { encoding: 'utf8' }).split('\n')[0]!,
    connection: { ...origin, host: folder, socketDirectory: folder, port: PORT, namedStatements: false },
    stop,
  };
}

/** False when it may be left out: on a machine without it, unless everything must run (`CI=true`). */
export function hasPgBouncer(): boolean {
  return existsSync(PGBOUNCER) || process.env['CI'] === 'true';
}
