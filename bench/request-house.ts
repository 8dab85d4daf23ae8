import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Agent, request } from 'undici';
import { startHouse, type House } from '../app/bin/house.ts';
import { ROOT } from '../app/bin/root.ts';
import { readSettings } from '../app/bin/settings.ts';
import { systemClock } from '@auditrax/base';
import { startBareServer } from './bare.ts';
import { runRequestBench, type RequestBench } from './request.ts';

/**
 * Only the rate limits are lifted, by the tests' module hook and in this process tree alone: a load of one client would
 * measure the limiter otherwise. The product has no switch for it.
 */
function unlimited(): string {
  const url = new URL(pathToFileURL(join(ROOT, 'e2e/mutants/replace-export.mjs')));
  url.searchParams.set('file', 'app/platform/edge/limits.ts');
  url.searchParams.set('export', 'EDGE_LIMITS');
  const open = '{ burst: 1e9, perSecond: 1e9 }';
  url.searchParams.set('nothing', `{ client: ${open}, session: ${open}, signIn: ${open} }`);
  return url.href;
}

interface Client {
  readonly origin: string;
  readonly agent: Agent;
  cookie: string;
}

/** Posts when there is a body, else reads. */
async function call(client: Client, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const method = body === undefined ? 'GET' : 'POST';
  const reply = await request(client.origin + path, {
    method,
    dispatcher: client.agent,
    headers: {
      origin: client.origin,
      'sec-fetch-site': 'same-origin',
      ...(client.cookie === '' ? {} : { cookie: client.cookie }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await reply.body.text();
  if (reply.statusCode >= 300) throw new Error(`${method} ${path} answered ${reply.statusCode}: ${text.slice(0, 300)}`);
  const set = [reply.headers['set-cookie'] ?? []].flat()[0];
  if (set !== undefined) client.cookie = set.split(';')[0]!;
  return JSON.parse(text) as Record<string, unknown>;
}

/** Signs the sample's lead in at the TLS edge and opens an engagement in fieldwork. */
async function prepare(house: House, ca: string) {
  const links = (await house.supervisor.ask('issuer', 'seed', null)) as { role: string; linkPath: string }[];
  const lead = links.find(({ role }) => role === 'Lead auditor')!;
  const client: Client = { origin: house.edgeUrl, agent: new Agent({ connect: { ca } }), cookie: '' };
  await call(client, '/api/identity/link', { token: lead.linkPath.split('#')[1] });
  const period = { periodStart: '2026-01-01', periodEnd: '2026-12-31' };
  const made = await call(client, '/api/engagements', {
    title: 'Load',
    clientName: 'Sample organisation',
    ...period,
    catalogue: { source: 'sample' },
  });
  const path = `/api/engagements/${String(made['id'])}`;
  await call(client, `${path}/state`, { to: 'fieldwork', revision: made['revision'] ?? 1 });
  const { criteria } = (await call(client, `${path}/criteria?limit=100`)) as unknown as {
    criteria: { id: string }[];
  };
  return { client, engagementId: String(made['id']), criterionIds: criteria.map(({ id }) => id) };
}

/** The bare side's tables lie in a schema of its own, made by the superuser; the house's roles never see it. */
function superuser({ database }: House) {
  return {
    host: database.socketDirectory,
    port: database.port,
    database: 'auditrax',
    user: 'ax_super',
    ...(database.superuserPassword === undefined ? {} : { password: database.superuserPassword }),
  };
}

/** `bench -- request`: a house of its own in a throw-away folder, measured against the bare handler in one run. */
export async function run(progress: (line: string) => void): Promise<RequestBench> {
  const state = mkdtempSync(join(tmpdir(), 'axb-'));
  const house = await startHouse({
    settings: { ...readSettings({ AUDITRAX_STATE: state }), port: 0, tryoutPort: 0 },
    progress,
    log: () => {},
    execArgv: { gateway: ['--import', unlimited()] },
  });
  try {
    const ca = house.supervisor.peers().facts['edgeAuthority'] as string;
    const { client, engagementId, criterionIds } = await prepare(house, ca);
    return await runRequestBench({
      edgeOrigin: house.edgeUrl,
      ca,
      cookie: client.cookie,
      engagementId,
      criterionIds,
      pids: { services: { ...house.supervisor.pids(), supervisor: process.pid }, postmaster: house.database.pid },
      bareStart: (rows) => startBareServer({ rows, clock: systemClock, connection: superuser(house) }),
      progress,
    });
  } finally {
    await house.stop();
    rmSync(state, { recursive: true, force: true });
  }
}
