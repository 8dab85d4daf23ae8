// A database that others run: no server of our own, no try-out door, a password for each role, and no weaker connection.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedPackageDirectory } from '../app/platform/db/native.ts';
import { launchPostgres, type Launched } from '../app/platform/db/postgres.ts';
import { runCommand } from './testing/command.ts';
import { makeStateFolder, openTestHouse, Person, removeFolder, seedSample } from './testing/house.ts';
import { processesOf } from './testing/processes.ts';
import { beginWork, historyOf, recordResult, type Work } from './testing/writers.ts';

const ROOT = join(import.meta.dirname, '..');
const [outside, state, refused, earnest] = [0, 1, 2, 3].map(() => makeStateFolder()) as [
  string,
  string,
  string,
  string,
];
/** Never repeated in a message. */
const WRONG = 'not-the-password';
let server: Launched;
let environment: Record<string, string>;
let work: Work;

beforeAll(async () => {
  server = await launchPostgres({
    stateDirectory: outside,
    packageDirectory: embeddedPackageDirectory(ROOT),
    superuser: 'their_admin',
    authentication: 'scram',
    settings: { unix_socket_permissions: '0777' },
    commandPrefix: ['setpriv', '--pdeathsig', 'INT'],
    log: () => undefined,
  });
  const place = `localhost/theirs?host=${server.socketDirectory}`;
  environment = {
    DATABASE_URL: `postgresql://app@${place}`,
    DATABASE_MIGRATE_URL: `postgresql://their_admin:${server.superuserPassword!}@${place}`,
  };
}, 120_000);

afterAll(async () => {
  await server?.stop();
  for (const path of [outside, state, refused, earnest]) removeFolder(path);
});

async function signIn(running: Awaited<ReturnType<typeof openTestHouse>>): Promise<Person> {
  const { supervisor, edgeUrl } = running.house;
  const links = await seedSample(running.house);
  const authority = supervisor.peers().facts['edgeAuthority'] as string;
  return Person.enter(edgeUrl, links, { role: 'Lead auditor', tenant: 'Harbour Street Audit', authority });
}

describe('a database of others', () => {
  test('is set up and used through the TLS edge; nothing of it is launched or opened here', async () => {
    const running = await openTestHouse(state, { environment });
    expect(running.house.tryoutUrl).toBeUndefined();
    expect(() => running.house.database).toThrow(/DATABASE_URL/);
    expect(existsSync(join(state, 'postgres'))).toBe(false);
    expect(processesOf(join(state, 'postgres'))).toEqual([]);
    for (const service of ['issuer', 'workspace', 'ledger', 'sentinel']) {
      expect(readFileSync(join(state, service, 'database.secret'), 'utf8')).toMatch(/^[\w-]{43}$/);
    }
    const lead = await signIn(running);
    work = await beginWork(lead, 'In their database');
    const reply = await recordResult(lead, work, { criterion: work.criteria[0]!, revision: 0, note: 'there' });
    expect(reply.status, JSON.stringify(reply.body)).toBe(201);
    await lead.close();
    running.house.state.markInitialised();
    await running.stop();
  }, 240_000);

  test('keeps the data over a restart, and keeps running when the house stops', async () => {
    const running = await openTestHouse(state, { environment });
    expect(running.house.isNew).toBe(false);
    const lead = await signIn(running);
    expect(await historyOf(lead, work, work.criteria[0]!)).toMatchObject([{ note: 'there' }]);
    await lead.close();
    await running.stop();
    expect(processesOf(server.dataDirectory)).not.toEqual([]);
  }, 240_000);

  test('with data, beside an empty state folder, is refused: its keys are elsewhere, and none is made anew', async () => {
    await expect(openTestHouse(refused, { environment })).rejects.toThrow(/is gone: (put it back|restore it)/);
    expect(existsSync(join(refused, 'keys/key-ring'))).toBe(false);
  }, 240_000);
});

describe('in production', () => {
  test('a new house has its operator, one enrolment link and no sample, and its probes run', async () => {
    const theirs = Object.fromEntries(
      Object.entries(environment).map(([name, url]) => [name, url.replace('/theirs?', '/earnest?')]),
    );
    const running = await openTestHouse(earnest, { environment: { ...theirs, NODE_ENV: 'production' } });
    const { supervisor } = running.house;
    const ways = await seedSample(running.house);
    expect(ways).toMatchObject([
      { role: 'Operator', linkPath: null, enrolPath: expect.stringContaining('/app/enrol#') },
    ]);
    await supervisor.ask('sentinel', 'begin', null);
    const claims = ['tenant.row-scope', 'tenant.deny-default'];
    const report = (await supervisor.ask('sentinel', 'prove', { claims })) as {
      claims: { id: string; state: string }[];
    };
    const seen = report.claims.filter(({ id }) => claims.includes(id)).map(({ id, state: is }) => [id, is]);
    expect(seen).toEqual(claims.map((id) => [id, 'green']));
    await running.stop();
  }, 240_000);
});

describe('no start, one line', () => {
  const tcp = (query: string) => ({
    DATABASE_URL: `postgresql://app@db.example/theirs${query}`,
    DATABASE_MIGRATE_URL: `postgresql://admin:${WRONG}@db.example/theirs${query}`,
  });

  test.each<[string, () => Record<string, string>, RegExp]>([
    [
      'a host without TLS',
      () => tcp(''),
      /DATABASE_URL reaches a host with sslmode=\(none\): only sslmode=verify-full/,
    ],
    [
      'a host with TLS that verifies nothing',
      () => tcp('?sslmode=require'),
      /sslmode="require": only sslmode=verify-full/,
    ],
    ['a host with a name that is not verified', () => tcp('?sslmode=verify-ca'), /only sslmode=verify-full/],
    [
      'a wrong password',
      () => ({
        ...environment,
        DATABASE_MIGRATE_URL: environment['DATABASE_MIGRATE_URL']!.replace(/:[^:@]+@/, `:${WRONG}@`),
      }),
      /database roles could not be set up: .*password authentication failed/,
    ],
    [
      'two databases',
      () => ({ ...environment, DATABASE_URL: environment['DATABASE_URL']!.replace('/theirs', '/another') }),
      /must name the same host, port and database/,
    ],
    [
      'the try-out door beside it',
      () => ({ ...environment, AUDITRAX_TRYOUT_PORT: '8080' }),
      /try-out listener is refused in production and with DATABASE_URL/,
    ],
    [
      'production on the embedded database',
      () => ({ NODE_ENV: 'production' }),
      /NODE_ENV=production needs DATABASE_URL/,
    ],
  ])(
    '%s',
    async (_what, given, line) => {
      const change = given();
      const run = runCommand(['start'], { state: refused, environment: { AUDITRAX_TRYOUT_PORT: 'off', ...change } });
      expect(await run.ended).toBe(1);
      const lines = run
        .said()
        .split('\n')
        .filter((said) => said.startsWith('auditrax: '));
      expect(lines, run.said()).toHaveLength(1);
      expect(lines[0]).toMatch(line);
      expect(run.said()).not.toContain(WRONG);
      expect(processesOf(refused)).toEqual([]);
    },
    90_000,
  );
});
