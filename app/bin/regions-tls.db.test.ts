// A second region on a server that others run: over TLS with its certificate and name verified, or not at all.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { openDatabase, sql } from '@auditrax/tenancy';
import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../platform/db/migrate.ts';
import { embeddedPackageDirectory } from '../platform/db/native.ts';
import { makePlace, type PlacesInput } from '../platform/db/places.ts';
import { launchPostgres, type Launched } from '../platform/db/postgres.ts';
import { LOGIN_ROLES, MIGRATE_ROLE, setUpRoles, type LoginRole } from '../platform/db/roles.ts';
import { openHouseDatabase } from './database.ts';
import { databaseConnection } from './floor.ts';
import { ROOT } from './root.ts';
import { verifiedTls } from './verified-tls.ts';

const HOME = 'theirs';
const TENANT = uuidV4(systemRandom);
/** A loopback address of this test's own: every server of ours uses the same port. */
const ADDRESS = `127.${20 + (process.pid % 200)}.${process.pid % 251}.7`;
const folder = mkdtempSync(join(tmpdir(), 'axtls-'));
// Passed through by the servers' user; what lies in it is not to be listed.
chmodSync(folder, 0o711);
const logins = Object.fromEntries(LOGIN_ROLES.map((role) => [role, `of-${role}-${process.pid}`])) as Record<
  LoginRole,
  string
>;
const started: Launched[] = [];
let home: Launched;
let south: Launched;
let door: Server;

async function launch(name: string, settings: Record<string, string>): Promise<Launched> {
  const launched = await launchPostgres({
    stateDirectory: join(folder, name),
    packageDirectory: embeddedPackageDirectory(ROOT),
    superuser: 'admin',
    authentication: 'scram',
    settings: { ...settings, fsync: 'off' },
    commandPrefix: ['setpriv', '--pdeathsig', 'INT'],
    log: () => undefined,
  });
  started.push(launched);
  return launched;
}

async function asAdmin(server: Launched, database: string, ...texts: string[]): Promise<void> {
  const { socketDirectory: host, port, superuserPassword: password } = server;
  const client = new Client({ host, port, database, user: 'admin', password: password! });
  await client.connect();
  try {
    for (const text of texts) await client.query(text);
  } finally {
    await client.end();
  }
}

const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

function authority(name: string): void {
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes'];
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-keyout', `${name}.key`, '-out', `${name}.pem`, ...subject);
}

/** Gives the server a certificate for `dnsName`, signed by an authority, and has it read it. */
async function certify(dnsName: string, by: string): Promise<void> {
  const [key, request, pem, extension] = ['key', 'csr', 'crt', 'ext'].map((end) => `server.${end}`) as [
    string,
    string,
    string,
    string,
  ];
  writeFileSync(join(folder, extension), `subjectAltName=DNS:${dnsName}\n`);
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', request, '-subj', `/CN=${dnsName}`);
  const signer = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '2'];
  openssl('x509', '-req', '-in', request, ...signer, '-extfile', extension, '-out', pem);
  const { uid, gid } = statSync(south.dataDirectory);
  for (const name of [key, pem]) {
    const path = join(south.dataDirectory, name);
    writeFileSync(path, readFileSync(join(folder, name)), { mode: 0o600 });
    if (process.getuid!() === 0) chownSync(path, uid, gid);
  }
  await asAdmin(
    south,
    'postgres',
    'alter system set ssl = on',
    "alter system set ssl_min_protocol_version = 'TLSv1.3'",
    'select pg_reload_conf()',
  );
}

/** What the set-up process would be given, with the addresses as an operator writes them. */
async function input(): Promise<PlacesInput> {
  const { port } = door.address() as AddressInfo;
  const inHome = `localhost/${HOME}?host=${home.socketDirectory}`;
  const inSouth = `localhost:${port}/any?sslmode=verify-full&sslrootcert=${join(folder, 'ours.pem')}`;
  const urls = (place: string, password: string) => ({
    url: `postgresql://app@${place}`,
    migrateUrl: `postgresql://admin:${password}@${place}`,
  });
  const file = join(folder, 'regions.json');
  const north = urls(inHome, home.superuserPassword!);
  const other = { ...urls(inSouth, south.superuserPassword!), objects: join(folder, 'objects') };
  writeFileSync(file, JSON.stringify({ north, south: other }), { mode: 0o600 });
  const settings = { databaseUrl: north.url, databaseMigrateUrl: north.migrateUrl, regionsFile: file };
  const given = { settings, state: { path: folder } } as Parameters<typeof openHouseDatabase>[0];
  const clusters = await (await openHouseDatabase(given)).clusters();
  return {
    clusters: new Map(
      clusters.map(({ region, address: { host, port: at, tls }, creator }) => [
        region,
        { region, server: { host, port: at, ...(tls === undefined ? {} : { ssl: verifiedTls(tls) }) }, creator },
      ]),
    ),
    home: { region: 'north', database: HOME },
    logins,
    dedicatedPassword: (role) => `of-${role}`,
    roots: [join(ROOT, 'app')],
    log: () => undefined,
  };
}

const order = { tenantId: TENANT, kind: 'database', region: 'south' } as const;
const make = async () => makePlace(await input(), order);

beforeAll(async () => {
  authority('ours');
  authority('theirs');
  [home, south] = await Promise.all([launch('home', {}), launch('south', { listen_addresses: ADDRESS })]);
  appendFileSync(join(south.dataDirectory, 'pg_hba.conf'), 'host all all 127.0.0.0/8 scram-sha-256\n');
  await asAdmin(south, 'postgres', 'select pg_reload_conf()');
  door = createServer((from) => {
    const to = connect({ host: ADDRESS, port: south.port });
    from.pipe(to).pipe(from);
    for (const socket of [from, to]) socket.on('error', () => (from.destroy(), to.destroy()));
  });
  await new Promise<void>((resolve) => void door.listen(0, 'localhost', resolve));
  const { socketDirectory: host, port, superuserPassword: password } = home;
  const creator = { host, port, user: 'admin', password: password! };
  await setUpRoles({ connection: { ...creator, database: 'postgres' }, database: HOME, logins });
  const migrator = { host, port, database: HOME, user: MIGRATE_ROLE, password: logins.ax_migrate };
  await migrate({ connection: migrator, roots: [join(ROOT, 'app')], log: () => undefined });
  await asAdmin(
    home,
    HOME,
    `insert into platform.tenant (id, part, kind, slug, display_name) values ('${TENANT}', 1, 'customer', 'one', 'One')`,
  );
});
afterAll(async () => {
  door?.close();
  for (const server of started) await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a region on a server that others run', () => {
  test('is not opened in plain text, under another name, or by another authority; nothing is made there', async () => {
    await expect(make()).rejects.toMatchObject({ code: 'place_failed', message: expect.stringMatching(/SSL/) });
    await certify('elsewhere.example', 'ours');
    await expect(make()).rejects.toMatchObject({ message: expect.stringMatching(/does not match|altnames/) });
    await certify('localhost', 'theirs');
    await expect(make()).rejects.toMatchObject({ message: expect.stringMatching(/certificate/) });
    const client = new Client({
      host: south.socketDirectory,
      port: south.port,
      database: 'postgres',
      user: 'admin',
      password: south.superuserPassword!,
    });
    await client.connect();
    const { rows } = await client.query(`select datname from pg_database where datname like 'ax\\_%'`);
    await client.end();
    expect(rows).toEqual([]);
  });

  test('is opened over TLS 1.3 with the name verified, by the set-up and by the processes', async () => {
    await certify('localhost', 'ours');
    const made = await make();
    expect(made.cell).toMatch(/^south\/ax_[0-9a-f]{16}$/);
    const { server } = (await input()).clusters.get('south')!;
    const passwordFile = join(folder, 'role.secret');
    writeFileSync(passwordFile, `of-${made.role}`, { mode: 0o600 });
    const tls = { ca: readFileSync(join(folder, 'ours.pem'), 'utf8'), servername: 'localhost' };
    const address = { host: server.host!, port: server.port!, database: made.cell.split('/')[1]!, tls };
    const database = openDatabase({
      connection: databaseConnection({ ...address, user: made.role, passwordFile }),
      poolSize: 1,
      clock: systemClock,
      onRefusal: () => Promise.resolve(),
      systemTables: [],
    });
    const context = { tenantId: TENANT, tenantPart: 1, requestId: 'r' };
    const seen = await database.tenant.scoped(
      context,
      sql<{ id: string }>`select e.id from app.engagement e where e.tenant_id = ${TENANT}`,
    );
    expect(seen).toEqual([]);
    await database.close();
    const connections = new Client({
      ...server,
      user: 'admin',
      password: south.superuserPassword!,
      database: 'postgres',
    });
    await connections.connect();
    const { rows } = await connections.query('select ssl, version from pg_stat_ssl where pid = pg_backend_pid()');
    await connections.end();
    expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
  });
});
