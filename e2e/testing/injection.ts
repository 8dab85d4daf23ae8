// sqlmap over the API of a running house, and over a handler that is made to be injectable.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PRODUCTION_SCOPES } from '@auditrax/base';
import type { House } from '../../app/bin/house.ts';
import { EDGE_CONTRACTS } from '../../app/bin/rooms.ts';
import { describeRoutes, type RouteDescription } from '../../app/platform/http/registry.ts';
import { Person, seedSample } from './house.ts';
import { openAsSuperuser } from './log-check.ts';
import { Operator } from './operator.ts';
import { runSqlmap, sqlTargets, unmarked, type Samples, type SqlmapVerdict, type SqlTarget } from './sqlmap.ts';
import { beginWork } from './writers.ts';

/** sqlmap computes more than it waits; each runs on a session of its own. */
const RUNS_AT_ONCE = 3;
/** Not tried, with the reason. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  // Each request would make an engagement of hundreds of sealed criteria.
  'engagements.create',
  // Each request would keep a place for a file; past a few a minute the answer is 429, and nothing behind it is tried.
  'evidence.start-upload',
]);

/** Everything that a session reaches without confirming it, by a request that sqlmap can speak. */
function triedRoutes(isOperator: boolean): RouteDescription[] {
  return describeRoutes(EDGE_CONTRACTS).filter(
    ({ access, method, body, operation }) =>
      access.kind === 'session' &&
      access.stepUp !== true &&
      (access.operatorOnly !== undefined) === isOperator &&
      (method === 'GET' || method === 'POST') &&
      body !== 'stream' &&
      !LEFT_OUT.has(operation),
  );
}

const idIn = (body: unknown, ...path: readonly (string | number)[]): string =>
  path.reduce<unknown>((value, name) => (value as Record<string | number, unknown>)[name], body) as string;

/** Rows of every kind that a lead's requests name. */
async function makeSamples(lead: Person): Promise<Samples> {
  const get = async (path: string): Promise<unknown> => (await lead.send('GET', path)).body;
  const work = await beginWork(lead, 'To be injected into');
  // One more than fits on the page below, so that its list has a cursor.
  await beginWork(lead, 'Newer than that');
  const [crt] = work.criteria;
  const office = await lead.send('POST', '/api/rules/offices', { label: 'North' });
  const upload = await lead.send('POST', `/api/engagements/${work.engagement}/evidence/uploads`, {
    criterionId: crt,
    fileName: 'a.txt',
    mediaType: 'text/plain',
    sizeBytes: 5,
    speaksAbout: { from: '2026-01-01', to: '2026-01-31' },
  });
  const trail = await get('/api/audit-trail?limit=1');
  return {
    ids: {
      eng: work.engagement,
      crt: crt!,
      off: idIn(office.body, 'id'),
      upl: idIn(upload.body, 'uploadId'),
      mem: idIn(await get('/api/access/members'), 'members', 0, 'id'),
      ent: idIn(trail, 'entries', 0, 'id'),
      tcu: idIn(trail, 'nextCursor'),
      ecu: idIn(await get('/api/engagements?limit=1'), 'nextCursor'),
      ccu: idIn(await get(`/api/engagements/${work.engagement}/criteria?limit=1`), 'nextCursor'),
    },
    values: { limit: 5, from: 1, mediaType: 'text/plain', fileName: 'b.txt', sizeBytes: 5 },
  };
}

export interface InjectionReport {
  readonly targets: readonly SqlTarget[];
  /** Requests that were not answered as they are, so that nothing behind them was tried. */
  readonly unanswered: readonly string[];
  readonly verdicts: readonly SqlmapVerdict[];
  /** What a plain request of each session answers afterwards. */
  readonly statusesAfter: readonly number[];
}

/** An operator who is let into everything. */
async function enterHouse(house: House): Promise<Operator> {
  const links = await seedSample(house);
  const operator = await Operator.enrol(
    house.tryoutUrl!,
    links.find(({ role }) => role === 'Operator')!,
  );
  await operator.letIn(PRODUCTION_SCOPES);
  return operator;
}

/** Lets sqlmap try everything that a lead and an operator can ask for. */
export async function injectEverywhere(house: House): Promise<InjectionReport> {
  const letIn = await enterHouse(house);
  const lead = await Person.signIn(house, 'Lead auditor');
  const operator = letIn.person;
  const samples = {
    lead: await makeSamples(lead),
    operator: { ids: {}, values: { slug: 'harbour', tenant: 'harbour' } },
  };
  const wanted = [
    ...triedRoutes(false).flatMap((route) => sqlTargets(route, samples.lead).map((target) => ({ target, who: 0 }))),
    ...triedRoutes(true).flatMap((route) => sqlTargets(route, samples.operator).map((target) => ({ target, who: 1 }))),
  ];
  const unanswered: string[] = [];
  const waiting: typeof wanted = [];
  for (const one of wanted) {
    const { path, body } = unmarked(one.target);
    const { status } = await [lead, operator][one.who]!.send(one.target.method as 'GET' | 'POST', path, body);
    // 409: it had been looked at as far as the state of what it names.
    if ((status >= 200 && status < 300) || status === 409) waiting.push(one);
    else unanswered.push(`${one.target.name}: ${status}`);
  }
  const targets = waiting.map(({ target }) => target);
  const verdicts: SqlmapVerdict[] = [];
  const crews: Person[][] = [];
  // One after the other: new links of the sample people end the ones before.
  for (let at = 0; at < RUNS_AT_ONCE; at += 1)
    crews.push([await Person.signIn(house, 'Lead auditor'), (await letIn.again()).person]);
  const worker = async (people: readonly Person[]): Promise<number[]> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const door = { origin: house.tryoutUrl!, cookie: people[next.who]!.cookie };
      verdicts.push(await runSqlmap(next.target, door));
    }
    const after = await Promise.all(people.map((person) => person.send('GET', '/api/audit-trail?limit=1')));
    await Promise.all(people.map((person) => person.close()));
    return after.map(({ status }) => status);
  };
  const statusesAfter = (await Promise.all(crews.map(worker))).flat();
  await Promise.all([lead.close(), operator.close()]);
  return { targets, unanswered, verdicts, statusesAfter };
}

/** What sqlmap says of a handler that puts a client's text into its statement: without this, silence would prove nothing. */
export async function injectControl(house: House): Promise<SqlmapVerdict> {
  const client = await openAsSuperuser(house);
  const server = createServer((request, response) => {
    const name = new URL(request.url!, 'http://localhost').searchParams.get('name') ?? '';
    client.query(`select n from (values ('a', 1), ('b', 2)) t (name, n) where name = '${name}'`).then(
      ({ rows }) => response.end(JSON.stringify(rows)),
      () => response.writeHead(400).end('{}'),
    );
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    return await runSqlmap({ name: 'control', method: 'GET', path: '/find?name=a*', places: 1 }, { origin });
  } finally {
    server.close();
    await client.end();
  }
}
