import { AppError, manualClock, systemClock, systemRandom, uuidV4, type Json, type Uuid } from '@auditrax/base';
import { formatId, idKeys, openDatabase, type Database, type TenantContext } from '@auditrax/tenancy';
import { issueEdgeCertificate, type EdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRecorder, type Observation } from '../../platform/audit/index.ts';
import { asSuperuser, setBeat } from '../../platform/audit/testing.ts';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { createAddressGuard } from './address-guard.ts';
import {
  changeStream,
  createStream,
  listAll,
  materialOf,
  removeStream,
  testStream,
  turnStream,
  type SiemDeps,
} from './service.ts';
import { createStreamer, type StreamerDeps } from './streamer.ts';
import type { Target } from './target-contract.ts';
import { openHec, type HecEvent, type Receiver } from './testing/receivers.ts';

const TENANT = uuidV4(systemRandom);
const PERSON = uuidV4(systemRandom);
const ORIGIN = 'log.example/t/1';
const context: TenantContext = { tenantId: TENANT, tenantPart: 7, requestId: 'r-1' };
const keys = idKeys({ version: 1, key: systemRandom.bytes(32) });
const clock = manualClock(Date.UTC(2026, 10, 23));
/** The form that a sealed column demands, around the value. */
const HEAD = Buffer.concat([Buffer.of(0xa7, 1, 0, 0, 0, 1), Buffer.alloc(24)]);
const TAG = Buffer.alloc(16);

let server: TestDatabase;
let workspace: Database;
let sentinel: Database;
let certificate: EdgeCertificate;
let hec: Receiver<HecEvent>;
let deps: SiemDeps;
let size = 0;
const observations: Observation[] = [];
const record = createRecorder({ sealer: { seal: async ({ value }) => sealed(value) } });

function sealed(value: string | Uint8Array): Buffer {
  return Buffer.concat([HEAD, Buffer.from(value as string), TAG]);
}

const asker = (stepUp?: () => Promise<never>) => ({
  caller: {
    tenant: context,
    tenantKind: 'sample',
    personId: PERSON,
    role: 'lead',
    sessionId: uuidV4(systemRandom),
    method: 'passkey',
    door: 'edge',
    routeClass: 'privileged',
    tokenHash: 't',
  } as Caller,
  requestId: 'r-1',
  stepUp: stepUp ?? (async (_action: Json) => ({ assertionHash: 'a', credentialId: 'c' })),
});

/** What was written is sequenced and signed, as the ledger would. */
async function seal(): Promise<void> {
  await asSuperuser(
    server,
    `insert into audit.log_index (tenant_id, generation, idx, entry_id, leaf_hash)
     select e.tenant_id, 1, $2::bigint - 1 + row_number() over (order by e.id), e.id, e.leaf_hash from audit.entry e
     where e.tenant_id = $1 and not exists (select from audit.log_index i where i.entry_id = e.id)`,
    [TENANT, size],
  );
  const [row] = await asSuperuser<{ n: string }>(server, 'select count(*) as n from audit.log_index');
  size = Number(row!.n);
  await asSuperuser(
    server,
    `insert into audit.checkpoint (tenant_id, generation, size, root, note) values ($1, 1, $2, sha256(''), 'note')
     on conflict do nothing`,
    [TENANT, size],
  );
}

async function write(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await workspace.tenant.transaction(context, (tx) =>
      record(tx, {
        type: 'thing.changed',
        actor: { personId: PERSON },
        resource: ['thing', PERSON],
        outcome: 'allowed',
        requestId: 'r',
        public: { n },
        disclosures: { name: 'somebody' },
      }),
    );
  }
  await seal();
}

function streamer(more: Partial<StreamerDeps> = {}) {
  return createStreamer({
    cells: () => [{ cell: 'home', door: sentinel.system }],
    cellOf: async () => 'home',
    material: (asked) => materialOf(deps, { ...asked, requestId: 'r' }),
    guard: createAddressGuard({
      allowed: ['127.0.0.0/8'],
      lookup: async () => [{ address: '127.0.0.1', family: 4 }],
    }),
    clock,
    random: systemRandom,
    record: async (observation) => observations.push(observation),
    onFailure: (error) => {
      throw error;
    },
    ...more,
  });
}

const target = (more: object = {}): Target => ({
  kind: 'splunk-hec',
  host: 'localhost',
  port: hec.port,
  path: '/services/collector/event',
  token: 'token-of-the-test',
  ca: certificate.authorityPem,
  ...more,
});
const positions = () => hec.received.map(({ fields }) => fields.auditrax_position);
const upTo = (end: number) => Array.from({ length: end }, (_, at) => at);
const only = async () => (await listAll(deps, asker()))[0]!;

beforeAll(async () => {
  server = await startTestDatabase();
  await setBeat(server, 'running');
  await asSuperuser(
    server,
    `insert into platform.tenant (id, part, kind, slug, display_name) values ('${TENANT}', 7, 'sample', 'one', 'One')`,
  );
  await asSuperuser(server, 'insert into audit.log (tenant_id, generation, origin) values ($1, 1, $2)', [
    TENANT,
    ORIGIN,
  ]);
  certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Receiver' });
  hec = await openHec(certificate, { token: 'token-of-the-test' });
  const open = (role: 'ax_workspace' | 'ax_sentinel', systemTables: readonly string[]): Database =>
    openDatabase({
      connection: server.connectionFor(role),
      poolSize: 3,
      clock: systemClock,
      onRefusal: (event) => Promise.reject(new Error(`${event.code} ${event.reason}`)),
      systemTables,
    });
  workspace = open('ax_workspace', ['platform.tenant']);
  sentinel = open('ax_sentinel', [
    'audit.stream_cursor',
    'audit.log',
    'audit.log_index',
    'audit.entry',
    'audit.checkpoint',
    'platform.hold',
  ]);
  deps = {
    door: workspace.tenant,
    system: workspace.system,
    sealer: {
      seal: async ({ value }) => sealed(value),
      openText: async (input) => Buffer.from(input.sealed).subarray(HEAD.length, -TAG.length).toString('utf8'),
    },
    ledger: {
      checkpoint: async () => ({ origin: ORIGIN, size, root: '', note: '', verifierKey: '' }),
    },
    clock,
    random: systemRandom,
    recordAudit: record,
    formatId: (kind, tenant, id) => formatId(kind, tenant, id, keys),
    attempt: async () => ({ steps: [{ step: 'tls', ok: false, detail: 'CERT_HAS_EXPIRED' }] }),
  };
});
afterAll(async () => {
  await Promise.all([workspace?.close(), sentinel?.close(), hec?.close()]);
  await server?.stop();
});

describe('a stream', () => {
  let id: Uuid;

  it('is made off, with the passkey, and says where it will begin', async () => {
    await write(3);
    const no = () => Promise.reject(new AppError('step_up_refused', 'no'));
    const input = { target: target(), start: 'oldest' as const };
    await expect(createStream(deps, asker(no), input)).rejects.toMatchObject({ code: 'step_up_refused' });
    id = await createStream(deps, asker(), input);
    await seal();
    expect(await streamer().runOnce()).toBe(0);
    expect(await only()).toMatchObject({ state: 'off', lastPosition: null, lag: size, error: null });
    await expect(
      materialOf(deps, { tenantId: TENANT, streamId: id, version: 1, requestId: 'r' }),
    ).rejects.toMatchObject({ code: 'stream_changed' });
    expect(JSON.stringify(await listAll(deps, asker()))).not.toContain('token-of-the-test');
  });

  it('S1, S2 goes in the order of the log, without a gap, and nothing confidential with it', async () => {
    await turnStream(deps, asker(), { id, asked: {}, on: true, version: 1 });
    await write(150);
    expect(await streamer().runOnce()).toBe(size);
    expect(positions()).toEqual(upTo(size));
    expect(hec.received[0]!.fields.auditrax_id).toBe(`${ORIGIN}#0`);
    expect(JSON.stringify(hec.received)).not.toContain('somebody');
    expect(await only()).toMatchObject({ state: 'waiting', lag: 0, sent: size, repeated: 0, lastPosition: size - 1 });
    expect(await streamer().runOnce()).toBe(0);
  });

  it('S2, S3, S8 an outage loses nothing: it backs off, goes on where it stood, and counts what may have gone twice', async () => {
    const before = size;
    await write(5);
    hec.manner = 'breaks';
    const one = streamer();
    expect(await one.runOnce()).toBe(0);
    expect(await only()).toMatchObject({ state: 'failing', error: 'answer: ECONNRESET', lag: size - before });
    hec.manner = 'takes';
    expect(await one.runOnce()).toBe(0); // not due yet
    clock.advance(2_000);
    hec.manner = 'lost';
    expect(await one.runOnce()).toBe(0);
    clock.advance(5_000);
    hec.manner = 'takes';
    // Another process, as after a restart.
    expect(await streamer().runOnce()).toBe(size - before);
    expect([...new Set(positions())]).toEqual(upTo(size));
    expect(positions()).toHaveLength(size + 5);
    expect(await only()).toMatchObject({ state: 'waiting', error: null, failingSince: null, repeated: 5 });
  });

  it('S8 is a page once it has failed for a quarter of an hour, and one only', async () => {
    await write(1);
    hec.manner = 'refuses';
    const one = streamer();
    for (let minute = 0; minute < 30; minute += 1) {
      await one.runOnce();
      clock.advance(60_000);
    }
    expect(observations).toHaveLength(1);
    expect(observations[0]).toMatchObject({ type: 'stream.failing', public: { error: 'answer: HTTP_503' } });
    hec.manner = 'takes';
    clock.advance(600_000);
    expect(await one.runOnce()).toBe(1);
  });

  it('S4 waits while its tenant is moved, and is left alone where the tenant does not live', async () => {
    await write(1);
    await asSuperuser(server, `insert into platform.hold (tenant_id, reason) values ($1, 'moving')`, [TENANT]);
    expect(await streamer().runOnce()).toBe(0);
    await asSuperuser(server, 'delete from platform.hold');
    expect(await streamer({ cellOf: async () => 'south/ax_0' }).runOnce()).toBe(0);
    expect(await streamer().runOnce()).toBe(1);
  });

  it('S2 stops at a hole and says so', async () => {
    await write(2);
    const take = 'update audit.log_index set idx = idx + 1000 where tenant_id = $1 and idx = $2';
    await asSuperuser(server, take, [TENANT, size - 2]);
    await streamer().runOnce();
    expect(await only()).toMatchObject({ state: 'failing', error: 'here: log_gap' });
    await asSuperuser(server, 'update audit.log_index set idx = idx - 1000 where tenant_id = $1 and idx >= 1000', [
      TENANT,
    ]);
    clock.advance(600_000);
    expect(await streamer().runOnce()).toBe(2);
  });

  it('is switched or removed only as it was approved: the same settings, in the same state', async () => {
    const changed = { code: 'stream_changed' };
    for (const [on, version] of [
      [true, 1],
      [false, 2],
    ] as const)
      await expect(turnStream(deps, asker(), { id, asked: {}, on, version })).rejects.toMatchObject(changed);
    for (const [on, version] of [
      [false, 1],
      [true, 2],
    ] as const)
      await expect(removeStream(deps, asker(), { id, asked: {}, on, version })).rejects.toMatchObject(changed);
    expect(await only()).toMatchObject({ enabled: true, version: 1 });
  });

  it('goes on where it stood under new settings, not under old ones, and is gone when it is removed', async () => {
    const settings = { id, asked: {}, target: target({ token: 'another-token' }) };
    await expect(changeStream(deps, asker(), { ...settings, version: 9 })).rejects.toMatchObject({
      code: 'stream_changed',
    });
    await changeStream(deps, asker(), { ...settings, version: 1 });
    await write(1);
    await streamer().runOnce();
    expect(await only()).toMatchObject({ version: 2, state: 'failing', error: 'answer: HTTP_403' });
    await changeStream(deps, asker(), { id, asked: {}, target: target(), version: 2 });
    await seal();
    await streamer().runOnce();
    expect(await only()).toMatchObject({ state: 'waiting', lastPosition: size - 1 });
    expect((await testStream(deps, asker(), id)).steps).toHaveLength(1);
    const approved = { id, asked: {}, on: true, version: 3 };
    await removeStream(deps, asker(), approved);
    expect(await listAll(deps, asker())).toEqual([]);
    await expect(removeStream(deps, asker(), approved)).rejects.toMatchObject({ code: 'not_found' });
    await expect(turnStream(deps, asker(), approved)).rejects.toMatchObject({ code: 'not_found' });
    const types = await asSuperuser<{ type: string }>(
      server,
      `select distinct e.type from audit.entry e where e.resource_kind = 'stream' order by 1`,
    );
    expect(types.map((row) => row.type)).toEqual([
      'stream.changed',
      'stream.created',
      'stream.enabled',
      'stream.removed',
      'stream.tested',
    ]);
  });
});
