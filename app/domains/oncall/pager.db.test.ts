import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asSuperuser } from '../../platform/audit/testing.ts';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';
import { verifyWebhook } from '../../platform/supervisor/alarm.ts';
import { COLLAPSE_SECONDS, createPager, type PagerAlert } from './pager.ts';
import { detectionTimesSince, receiptsOfRequest } from './queries.ts';

const TENANT = uuidV4(systemRandom);
const { privateKey } = generateKeyPairSync('ed25519');
const raw = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x!, 'base64url');
const PUBLIC_KEY = `whpk_${raw.toString('base64')}`;

let server: TestDatabase;
let database: Database;
let receiver: Server;
let url: string;
let heard: { body: { data: { detection: string; count: number } }; trusted: boolean }[];
let answer: number;
const clock = manualClock(Date.now());

beforeAll(async () => {
  server = await startTestDatabase();
  await asSuperuser(
    server,
    `insert into platform.tenant (id, part, kind, slug, display_name) values ('${TENANT}', 1, 'canary', 'canary-a', 'A')`,
  );
  database = openDatabase({
    connection: server.connectionFor('ax_sentinel'),
    poolSize: 2,
    clock,
    onRefusal: (event) => Promise.reject(new Error(event.code)),
    systemTables: ['page', 'page_entry', 'delivery', 'cursor'].map((name) => `oncall.${name}`),
  });
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      heard.push({
        body: JSON.parse(body),
        trusted: verifyWebhook(PUBLIC_KEY, { headers: request.headers, body }, clock.nowMs()),
      });
      response.writeHead(answer).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
});
afterAll(async () => {
  receiver?.closeAllConnections();
  receiver?.close();
  await database?.close();
  await server?.stop();
});
beforeEach(async () => {
  heard = [];
  answer = 204;
  await asSuperuser(server, 'truncate oncall.page, oncall.page_entry, oncall.delivery');
});

function pager(webhook = true) {
  const target = { url, key: privateKey, clock };
  const onFailure = (error: unknown): never => {
    throw error;
  };
  return createPager({
    door: database.system,
    clock,
    random: systemRandom,
    canary: target,
    webhook: webhook ? target : undefined,
    onFailure,
  });
}

function alert(change: Partial<PagerAlert> & { requestId?: string } = {}): PagerAlert {
  const event = {
    entryId: uuidV4(systemRandom),
    tenantId: TENANT,
    requestId: change.requestId ?? 'r1',
    occurred_ms: clock.nowMs(),
    facts: { layer: 'gateway' },
  };
  return {
    detection: 'a.b',
    severity: 'high',
    canary: true,
    collapseKey: uuidV4(systemRandom),
    times: 1,
    event,
    ...change,
  };
}

const raise = (alerts: PagerAlert[]) => database.system.transaction((tx) => pager().raise(tx, alerts));

describe('the pager', () => {
  it('O1, O4: gets an alert to its channel, signed, and keeps the receipt under the request', async () => {
    await raise([alert()]);
    expect(await pager().deliverOnce()).toBe(1);
    expect(heard).toEqual([expect.objectContaining({ trusted: true })]);
    const [receipt] = await database.system.system(receiptsOfRequest('r1'));
    expect(receipt).toMatchObject({ channel: 'canary', detection: 'a.b' });
    expect(receipt!.accepted_at).not.toBeNull();
    expect(await pager().deliverOnce()).toBe(0);
  });

  it('O1: tries again, later and later, until the channel accepts; nothing is dropped', async () => {
    await raise([alert()]);
    answer = 500;
    expect(await pager().deliverOnce()).toBe(0);
    expect(await pager().deliverOnce()).toBe(0);
    expect(heard).toHaveLength(1); // the second look came before the wait was over
    clock.advance(600);
    expect(await pager().deliverOnce()).toBe(0);
    answer = 204;
    clock.advance(2_100);
    expect(await pager().deliverOnce()).toBe(1);
    expect(heard).toHaveLength(3);
  });

  it('raises an entry once, however often the tail repeats it', async () => {
    const one = alert();
    await raise([one]);
    await raise([one]);
    expect(await pager().deliverOnce()).toBe(1);
  });

  it('O2: folds a storm into one page that is told at 1 and at 10', async () => {
    const collapseKey = 'storm';
    for (let at = 0; at < 12; at += 1) await raise([alert({ collapseKey, canary: false })]);
    await pager().deliverOnce();
    expect(heard.map((one) => one.body.data.count)).toEqual([1, 10]);
    const pages = await asSuperuser<{ count: number }>(server, 'select count from oncall.page');
    expect(pages).toEqual([{ count: 12 }]);
  });

  it('O2: makes of a thousand attempts one page that says a thousand, in the few rows of those that were written singly', async () => {
    const storm = { collapseKey: 'flood', canary: false };
    for (let at = 0; at < 30; at += 1) await raise([alert(storm)]);
    await raise([alert({ ...storm, times: 70 })]);
    await pager().deliverOnce();
    await raise([alert({ ...storm, times: 900, severity: 'critical' })]);
    await pager().deliverOnce();
    const pages = await asSuperuser<{ count: number }>(server, 'select id, count, severity from oncall.page');
    expect(pages).toEqual([expect.objectContaining({ count: 1000, severity: 'critical' })]);
    expect(await asSuperuser(server, 'select 1 from oncall.page_entry')).toHaveLength(32);
    expect(heard.map((one) => one.body.data.count)).toEqual([1, 10, 100, 1000]);
  });

  it('O2: opens a new page after a quiet time, and keeps what somebody acknowledged while a page grows', async () => {
    const storm = { collapseKey: 'again', canary: false };
    await raise([alert(storm)]);
    const [first] = await asSuperuser<{ id: string }>(server, 'select id from oncall.page');
    const acknowledged = `select 1 from oncall.acknowledgement where id = '${first!.id}'`;
    await asSuperuser(
      server,
      `begin; alter table oncall.acknowledgement disable trigger user;
       insert into oncall.acknowledgement (tenant_id, id, person_id, acknowledged_at)
         values ('${TENANT}', '${first!.id}', '${TENANT}', now());
       alter table oncall.acknowledgement enable trigger user; commit`,
    );
    clock.advance((COLLAPSE_SECONDS - 1) * 1000);
    await raise([alert(storm)]);
    expect(await asSuperuser(server, 'select count from oncall.page')).toEqual([{ count: 2 }]);
    expect(await asSuperuser(server, acknowledged)).toHaveLength(1);
    clock.advance((COLLAPSE_SECONDS + 1) * 1000);
    await raise([alert(storm)]);
    expect(await asSuperuser(server, 'select count from oncall.page order by opened_at')).toEqual([
      { count: 2 },
      { count: 1 },
    ]);
    expect(await asSuperuser(server, acknowledged)).toHaveLength(1);
  });

  it('shows what is of little weight in the inbox and sends it to nobody', async () => {
    await raise([alert({ canary: false, severity: 'low' })]);
    expect(await pager().deliverOnce()).toBe(1);
    expect(heard).toEqual([]);
    expect(await asSuperuser(server, 'select channel from oncall.delivery')).toEqual([{ channel: 'inbox' }]);
  });

  it('measures to the first channel that reaches somebody; the inbox counts only where there is no other', async () => {
    const since = clock.nowMs() - 1000;
    await raise([alert({ canary: false })]);
    answer = 500;
    await pager().deliverOnce(); // the inbox shows it, the webhook does not take it
    const [waiting] = await database.system.system(detectionTimesSince(since));
    expect(waiting!.accepted_ms).toBeNull();
    await asSuperuser(server, 'truncate oncall.page, oncall.page_entry, oncall.delivery');
    await database.system.transaction((tx) => pager(false).raise(tx, [alert({ canary: false })]));
    await pager(false).deliverOnce();
    const [shown] = await database.system.system(detectionTimesSince(since));
    expect(Number(shown!.accepted_ms)).toBe(clock.nowMs());
  });
});
