import { type Clock, type Uuid } from '@auditrax/base';
import type { JSONWebKeySet } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createAddressGuard } from '../../platform/outward/address-guard.ts';
import { createGuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { revokePrincipal } from '../identity/index.ts';
import { directoryOf } from '../provisioning/testing/directory.ts';
import { askerOf } from '../sso/testing/sso-house.ts';
import { announceEndOfTenant, endStreamsOfTenant } from './ending.ts';
import { createSender } from './sender.ts';
import { createStream, removeStream, resendLetter, sendTest, turnStream, type NewStream } from './streams.ts';
import { FORMER_SHOWN_MS, KEY_AGE_MS_MAX, NEXT_SHOWN_MS, tendKeys } from './keys.ts';
import { startTransmitterHouse, type TransmitterHouse } from './testing/house.ts';
import { believe, startPushAddress, type PushAddress } from './testing/receiver.ts';
import { listLetters, listStreams } from './view.ts';

// Streams that are pushed, from the commit in the issuer to a receiver over real https that verifies with `jose` alone.

let skew_ms = 0;
const clock: Clock = { nowMs: () => Date.now() + skew_ms };
const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';
const STREAM_UPDATED = 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated';
const PUSHED: Omit<NewStream, 'push'> = {
  name: 'Night watch',
  audience: '',
  topics: { sessions: true, accounts: true, passkeys: true },
  subjects: 'own',
};

let house: TransmitterHouse;
let lead: Caller;
let address: PushAddress;

beforeAll(async () => {
  house = await startTransmitterHouse(clock);
  lead = await house.sso.callerOf((await house.sso.issuer.enrol('harbour', 'lead')).cookie);
});
beforeEach(async () => {
  address = await startPushAddress(house.sso.tls);
});
afterEach(async () => {
  await house.sender.idle();
  await address.stop();
  for (const { streamId } of (await listStreams(house.deps, lead.tenant)).streams)
    await removeStream(house.deps, askerOf(lead), streamId as never);
  house.failures.length = 0;
});
afterAll(() => house?.stop());

interface Opened {
  readonly id: Uuid;
  readonly issuer: string;
  readonly audience: string;
}

async function open(url = address.url, more: Partial<NewStream> = {}): Promise<Opened> {
  const push = { url, token: 'harbour-secret' };
  const { id } = await createStream(house.deps, askerOf(lead), { ...PUSHED, push, ...more });
  const { issuer, streams } = await listStreams(house.deps, lead.tenant);
  return { id, issuer, audience: streams.find(({ streamId }) => streamId === id)!.audience };
}

async function keysOf({ issuer }: Opened): Promise<JSONWebKeySet> {
  return (await directoryOf(house.sso)('GET', `${issuer}/jwks`)).json as unknown as JSONWebKeySet;
}

const revoke = (memberId: Uuid, cause: 'administrator' | 'lapsed' = 'lapsed') =>
  revokePrincipal(house.sso.deps, lead.tenant, { memberId, cause, by: { actor: { personId: lead.personId } } });
/** One event: the sessions of somebody new end. */
async function happens(): Promise<string> {
  const { memberId } = await house.somebody(lead.tenant);
  await revoke(memberId);
  return house.deps.formatId('mem', lead.tenant, memberId);
}
const streamNow = async (id: Uuid) => {
  const { streams } = await listStreams(house.deps, lead.tenant);
  return streams.find(({ streamId }) => streamId === id)!;
};
const until = (what: () => Promise<boolean> | boolean) => vi.waitUntil(what, { timeout: 10_000, interval: 10 });
async function believed(stream: Opened) {
  const keys = await keysOf(stream);
  return Promise.all(address.came.map(({ token }) => believe(token, { keys, ...stream })));
}
/** What is due by now, after the clock was moved. */
async function due() {
  await house.sender.sendDue();
  await house.sender.idle();
}

describe('a stream that is pushed', () => {
  it('is told at once, with the receiver’s token, in order', async () => {
    const stream = await open();
    const subs = [await happens(), await happens(), await happens()];
    await until(() => address.came.length === 3);
    const events = await believed(stream);
    expect(events.map(({ subject }) => subject['sub'])).toEqual(subs);
    expect(events.every(({ uri }) => uri === SESSION_REVOKED)).toBe(true);
    expect(address.came.every(({ authorization }) => authorization === 'Bearer harbour-secret')).toBe(true);
    await house.sender.idle();
    expect(await streamNow(stream.id)).toMatchObject({ waiting: 0, dead: 0, taken: 3, failures: 0, trouble: null });
    expect(house.failures).toEqual([]);
  });

  it('keeps order and loses nothing while the receiver is away, and goes on when it is back', async () => {
    const stream = await open();
    await address.stop();
    const subs = [await happens(), await happens()];
    await until(async () => (await streamNow(stream.id)).failures > 0);
    await house.sender.idle();
    expect(await streamNow(stream.id)).toMatchObject({ waiting: 2, trouble: { code: 'outward_unreachable' } });
    await address.restart();
    await due();
    expect(address.came).toEqual([]); // its time has not come
    skew_ms += 60_000;
    await due();
    expect((await believed(stream)).map(({ subject }) => subject['sub'])).toEqual(subs);
    expect(await streamNow(stream.id)).toMatchObject({ waiting: 0, failures: 0, taken: 2 });
  });

  it('lays aside what the receiver refuses and goes on with the next; it is sent again on request', async () => {
    const stream = await open();
    let refused = 0;
    address.react(() => {
      refused += 1;
      return refused === 1 ? { status: 400, body: { err: 'invalid_audience', description: 'no' } } : { status: 202 };
    });
    await happens();
    await until(() => address.came.length === 1);
    await happens();
    await until(() => address.came.length === 2);
    await house.sender.idle();
    const [letter, ...more] = await listLetters(house.deps, lead.tenant, stream.id);
    expect(more).toEqual([]);
    expect(letter).toMatchObject({ event: 'session-revoked', reason: 'refused', error: 'invalid_audience' });
    const [row] = await house.sso.issuer.rows<{ id: Uuid }>(
      `select id from identity.signal_event where state = 'dead'`,
    );
    await resendLetter(house.deps, askerOf(lead), { streamId: stream.id, id: row!.id });
    await until(() => address.came.length === 3);
    const events = await believed(stream);
    expect(events[2]!.subject).toEqual(events[0]!.subject);
    expect(events[2]!.claims.jti).not.toBe(events[0]!.claims.jti);
    await house.sender.idle();
    expect(await streamNow(stream.id)).toMatchObject({ waiting: 0, dead: 0, taken: 2 });
  });

  it('takes a refusal of our token for what it is: the event waits, and the administrator reads why', async () => {
    const stream = await open();
    address.react(() => ({ status: 401 }));
    await happens();
    await until(async () => (await streamNow(stream.id)).failures === 1);
    await house.sender.idle();
    const { trouble, waiting, dead } = await streamNow(stream.id);
    expect({ waiting, dead, code: trouble?.code }).toEqual({ waiting: 1, dead: 0, code: 'status 401' });
    expect(trouble?.sentence).toContain('token that we send');
  });

  it('waits as long as a busy receiver asks', async () => {
    const stream = await open();
    address.react(() => ({ status: 503, headers: { 'retry-after': '1800' } }));
    await happens();
    await until(async () => (await streamNow(stream.id)).failures === 1);
    await house.sender.idle();
    const { nextTryAt } = await streamNow(stream.id);
    expect(Date.parse(nextTryAt!) - clock.nowMs()).toBeGreaterThan(1_700_000);
  });

  it('a slow receiver keeps no other one waiting', async () => {
    const slow = await startPushAddress(house.sso.tls);
    slow.react(() => ({ status: 202, wait_ms: 1_500 }));
    await open(slow.url);
    const stream = await open();
    const began = performance.now();
    await happens();
    await until(() => address.came.length === 1);
    expect(address.came[0]!.at_ms - began).toBeLessThan(1_000);
    await house.sender.idle();
    await slow.stop();
    expect(await streamNow(stream.id)).toMatchObject({ taken: 1 });
  });

  it('says first that it rests, and a test event arrives', async () => {
    const stream = await open();
    await sendTest(house.deps, askerOf(lead), stream.id);
    await until(() => address.came.length === 1);
    await turnStream(house.deps, askerOf(lead), { id: stream.id, to: 'paused' });
    await until(() => address.came.length === 2);
    await house.sender.idle();
    await happens();
    await house.sender.idle();
    const events = await believed(stream);
    expect(events.map(({ uri }) => uri.split('/').at(-1))).toEqual(['verification', 'stream-updated']);
    expect(await streamNow(stream.id)).toMatchObject({ status: 'paused', settled: true, waiting: 1 });
  });
});

describe('whatever ends in between', () => {
  it('a crash between commit and send: the next process finds it', async () => {
    const stream = await open();
    const { memberId } = await house.somebody(lead.tenant);
    // The sender of this process never hears of it.
    const wake = vi.spyOn(house.deps.sender, 'wake').mockImplementation(() => undefined);
    await revoke(memberId);
    wake.mockRestore();
    await house.sender.idle();
    expect(address.came).toEqual([]);
    const next = createSender(house.sending);
    await next.tend('after the crash');
    await next.idle();
    await next.close();
    expect(await believed(stream)).toHaveLength(1);
  });

  it('two processes do not send the same at the same time', async () => {
    const stream = await open();
    address.react(() => ({ status: 202, wait_ms: 20 }));
    const others = [createSender(house.sending), createSender(house.sending)];
    const wake = vi.spyOn(house.deps.sender, 'wake').mockImplementation(() => undefined);
    for (let index = 0; index < 5; index += 1) await happens();
    wake.mockRestore();
    for (const one of [...others, house.sender]) one.wake(lead.tenant.tenantId);
    await until(async () => (await streamNow(stream.id)).taken === 5);
    await Promise.all([...others, house.sender].map((one) => one.idle()));
    await Promise.all(others.map((one) => one.close()));
    const ids = (await believed(stream)).map(({ claims }) => claims.jti);
    expect(ids).toHaveLength(5);
    expect(new Set(ids).size).toBe(5);
  });

  it('a process that dies with a push under way: the same token goes out again', async () => {
    const stream = await open();
    address.react(() => ({ status: 202 }));
    const { fetch } = house.sending;
    const dying = createSender({
      ...house.sending,
      fetch: async (url, init) => {
        await fetch(url, init);
        throw new Error('killed before it could write down that the event was taken');
      },
    });
    const wake = vi.spyOn(house.deps.sender, 'wake').mockImplementation(() => undefined);
    await happens();
    wake.mockRestore();
    dying.wake(lead.tenant.tenantId);
    await dying.idle();
    await dying.close();
    skew_ms += 60_000;
    await due();
    const [first, second, ...more] = await believed(stream);
    expect(more).toEqual([]);
    expect(second!.claims.jti).toBe(first!.claims.jti);
  });
});

describe('where it may lead', () => {
  it('refuses addresses that are not plain https when they are written', async () => {
    for (const url of [
      'http://siem.example/',
      'https://user:pass@siem.example/',
      'ftp://siem.example',
      'nonsense',
      'https://a.example/#x',
    ])
      await expect(open(url)).rejects.toMatchObject({ code: 'signal_stream_invalid' });
  });

  it('dials nothing that is not public, whatever the address says, and tells the administrator', async () => {
    const guarded = createGuardedFetch({ guard: createAddressGuard({ allowed: [] }), authorities: [house.sso.tls.ca] });
    const strict = createSender({ ...house.sending, fetch: guarded });
    const wake = vi.spyOn(house.deps.sender, 'wake').mockImplementation(() => undefined);
    const urls = [
      address.url,
      'https://169.254.169.254/latest',
      'https://10.0.0.1/',
      'https://[::1]/',
      'https://localhost:5432/',
    ];
    const streams = [];
    for (const url of urls) streams.push(await open(url));
    await happens();
    wake.mockRestore();
    strict.wake(lead.tenant.tenantId);
    await strict.idle();
    await strict.close();
    for (const { id } of streams)
      expect(await streamNow(id)).toMatchObject({ waiting: 1, trouble: { code: 'outward_address_refused' } });
    expect(address.came).toEqual([]);
  });

  it('follows no redirect', async () => {
    const elsewhere = await startPushAddress(house.sso.tls);
    address.react(() => ({ status: 307, headers: { location: elsewhere.url } }));
    const stream = await open();
    await happens();
    await until(async () => (await streamNow(stream.id)).failures === 1);
    expect(elsewhere.came).toEqual([]);
    expect((await streamNow(stream.id)).trouble?.code).toBe('outward_redirected');
    await elsewhere.stop();
  });
});

describe('signing keys', () => {
  it('change with overlap: what was signed is always verified by the set that is published', async () => {
    const stream = await open();
    const kidOf = async () => {
      const before = address.came.length;
      await happens();
      await until(() => address.came.length === before + 1);
      return (await believed(stream)).at(-1)!.kid;
    };
    const tend = () => tendKeys(house.deps, lead.tenant);
    const states = async () => (await listStreams(house.deps, lead.tenant)).keys.map(({ state }) => state).toSorted();
    const first = await kidOf();
    skew_ms += KEY_AGE_MS_MAX;
    await tend();
    expect(await states()).toEqual(['next', 'now']);
    expect((await keysOf(stream)).keys).toHaveLength(2);
    // Published, and not used before receivers could read of it.
    await tend();
    expect(await kidOf()).toBe(first);
    skew_ms += NEXT_SHOWN_MS;
    await Promise.all([tend(), tend()]);
    expect(await states()).toEqual(['former', 'now']);
    const second = await kidOf();
    expect(second).not.toBe(first);
    expect((await keysOf(stream)).keys.map(({ kid }) => kid).toSorted()).toEqual([first, second].toSorted());
    skew_ms += FORMER_SHOWN_MS;
    await tend();
    expect((await keysOf(stream)).keys.map(({ kid }) => kid)).toEqual([second]);
  });
});

describe('an organisation that is deleted', () => {
  const TABLES = ['signal_stream', 'signal_queue', 'signal_event', 'signal_key', 'signal_name'];
  const rowsLeft = async () => {
    const { tenantId } = lead.tenant;
    const counts = TABLES.map((table) =>
      house.sso.issuer.rows<{ n: number }>(`select count(*)::int as n from identity.${table} where tenant_id = $1`, [
        tenantId,
      ]),
    );
    return (await Promise.all(counts)).map(([row]) => row!.n);
  };
  const announce = (within_ms = 10_000) => {
    const settled = (tenantId: Uuid) => house.sender.settled(tenantId, within_ms);
    return announceEndOfTenant({ ...house.deps, sender: { wake: house.sender.wake, settled } }, lead.tenant);
  };
  const end = () => house.deps.tenant.transaction(lead.tenant, (tx) => endStreamsOfTenant(house.deps, tx));

  it('says so to its receivers after what waited; then nothing is sent or handed out, and everything is erased', async () => {
    const stream = await open();
    const off = await open(address.url, { name: 'Switched off before', subjects: 'provider' });
    await turnStream(house.deps, askerOf(lead), { id: off.id, to: 'disabled' });
    await until(() => address.came.length === 1);
    const polled = await createStream(house.deps, askerOf(lead), { ...PUSHED, name: 'Chart room', push: null });
    const sub = await happens();
    await announce();
    const keys = await keysOf(stream);
    const told = await Promise.all(address.came.slice(1).map(({ token }) => believe(token, { keys, ...stream })));
    expect(told.map(({ uri, detail, subject }) => [uri, detail['status'], subject['sub']])).toEqual([
      [SESSION_REVOKED, undefined, sub],
      [STREAM_UPDATED, 'disabled', undefined],
    ]);
    expect(await streamNow(stream.id)).toMatchObject({ status: 'disabled', settled: true });
    await end();
    expect(await rowsLeft()).toEqual(TABLES.map(() => 0));
    await happens();
    await due();
    expect(address.came).toHaveLength(3);
    const say = directoryOf(house.sso);
    expect((await say('GET', `${stream.issuer}/jwks`)).status).toBe(404);
    const poll = `${stream.issuer}/streams/${polled.id}/poll`;
    expect((await say('POST', poll, { token: polled.token, body: {} })).status).toBe(401);
    const ended = (await house.sso.issuer.audited('signal-stream.removed')).filter(
      ({ leaf }) => (leaf['public'] as Record<string, unknown>)['reason'] === 'tenant-deleted',
    );
    expect(ended.map(({ resource_id }) => resource_id).toSorted()).toEqual([stream.id, off.id, polled.id].toSorted());
    expect(house.failures).toEqual([]);
  });

  it('waits for no receiver that hangs, and what that one answers later brings nothing back', async () => {
    await open();
    address.react(() => ({ status: 202, wait_ms: 1_000 }));
    const before = performance.now();
    await announce(50);
    await end();
    expect(performance.now() - before).toBeLessThan(900);
    await house.sender.idle();
    expect(address.came).toHaveLength(1);
    expect(await rowsLeft()).toEqual(TABLES.map(() => 0));
    expect(house.failures).toEqual([]);
  });
});

describe('how long it takes', () => {
  it('from the commit of a revocation to the verified event at the receiver', async () => {
    const stream = await open();
    const times: number[] = [];
    const keys = await keysOf(stream);
    for (let index = 0; index < 100; index += 1) {
      const { memberId } = await house.somebody(lead.tenant);
      const before = address.came.length;
      let committed = 0;
      const wake = house.deps.sender.wake;
      const spy = vi.spyOn(house.deps.sender, 'wake').mockImplementation((tenantId) => {
        committed ||= performance.now();
        wake(tenantId);
      });
      await revoke(memberId);
      await vi.waitUntil(() => address.came.length > before, { timeout: 10_000, interval: 1 });
      spy.mockRestore();
      const { token, at_ms } = address.came.at(-1)!;
      await believe(token, { keys, ...stream });
      times.push(at_ms - committed);
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!.toFixed(1);
    console.info(`signal_delivered_ms p50 ${at(0.5)} p99 ${at(0.99)} (100 revocations, one receiver, in one process)`);
    expect(times.at(-1)).toBeLessThan(10_000);
  });
});
