import { randomUUID } from 'node:crypto';
import { manualClock, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { by } from '../connections/testing/asking.ts';
import { recentRefusals } from './keeping.ts';
import { beginStream, setUpByHand, setUpManaged, turnStream } from './setup.ts';
import { loadPlace } from './settings.ts';
import { ANSWER_MS_MAX, ASK_EVERY_MS, UNREACHED_MS_MAX } from './silence.ts';
import { LEASE_MS, LOOK_MS, tendSignals } from './tending.ts';
import { MANAGEMENT, ManagedSide } from './testing/managed.ts';
import { startSignalHouse, type SignalHouse } from './testing/signal-house.ts';
import { CAEP, makeKey, pusherOf, RISC, SSF } from './testing/transmitter.ts';
import { createVerifyNow } from './verifying.ts';
import { readSignals } from './view.ts';

// A transmitter on this machine whose answers to polls are made by packages/signals, and whose tokens by it or by `jose`.
// No live transmitter of a provider has been tried: rehearsed.

const clock = manualClock(Date.now());
let world: SignalHouse;
let lead: Caller;
let streams = 0;
/** An organisation has few connections: all of these streams follow each other at one. */
let connectionId: Uuid;

beforeAll(async () => {
  for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
  world = await startSignalHouse(clock);
  lead = await world.house.callerOf((await world.house.issuer.enrol('harbour', 'lead')).cookie);
  connectionId = await world.connect(lead, 'Harbour');
});
afterAll(async () => {
  await world?.stop();
  vi.restoreAllMocks();
});

interface Opened {
  readonly connectionId: Uuid;
  readonly streamId: Uuid;
  readonly side: ManagedSide;
}

/** A stream that the transmitter has made; every other one of before is off, so that nobody else is asked. */
const opened: Opened[] = [];
async function open(delivery: 'push' | 'poll'): Promise<Opened> {
  for (const { connectionId, streamId } of opened.splice(0))
    await turnStream(world.deps, by(lead), { connectionId, streamId, to: 'off' });
  streams += 1;
  const side = new ManagedSide(world.transmitter, `of-${streams}`);
  const { id } = await beginStream(world.deps, by(lead), { connectionId, delivery });
  const { issuer } = world.transmitter;
  const given = { issuer, authorization: MANAGEMENT, algorithm: 'RS256', opaqueSubjects: false } as const;
  await setUpManaged(world.deps, by(lead), { connectionId, streamId: id, given });
  const made = { connectionId, streamId: id, side };
  opened.push(made);
  return made;
}

const look = () => tendSignals(world.deps, randomUUID());
const person = (subject: string) => ({ format: 'iss_sub', iss: world.transmitter.issuer, sub: subject });
const shown = async ({ connectionId, streamId }: Opened) => {
  const { streams: all } = await readSignals(world.deps, { caller: lead }, connectionId);
  return all.find(({ id }) => id === world.deps.formatId('sst', lead.tenant, streamId))!;
};
const entries = async (type: string, { streamId }: Opened) =>
  (await world.house.issuer.audited(type)).filter(({ resource_id }) => resource_id === streamId);
const stateOf = async (memberId: Uuid) =>
  (await world.house.issuer.rows<{ state: string }>('select state from identity.member where id = $1', [memberId]))[0]!
    .state;

describe('a polled stream', () => {
  it('brings events of packages/signals and of jose, carries them out, and acknowledges what was kept', async () => {
    const stream = await open('poll');
    expect(stream.side.orders).toEqual([{ method: 'urn:ietf:rfc:8936', url: undefined, authorization: undefined }]);
    const [one, two] = [await world.hire(lead, stream.connectionId), await world.hire(lead, stream.connectionId)];
    await stream.side.send({ name: 'session-revoked', detail: {}, subject: person(one.subject) });
    const jti = randomUUID();
    const token = { subject: person(two.subject), events: { [`${RISC}account-disabled`]: {} }, claims: { jti } };
    stream.side.lay(jti, await world.transmitter.sign({ audience: stream.side.audience, ...token }));
    expect(await look()).toBe(1);
    expect([await world.isIn(one.cookie), await stateOf(one.memberId), await stateOf(two.memberId)]).toEqual([
      false,
      'active',
      'suspended',
    ]);
    expect(stream.side.outbox.waiting).toHaveLength(2);
    clock.advance(LOOK_MS + 1000);
    await look();
    expect(stream.side.outbox.waiting).toEqual([]);
    expect((stream.side.polled.at(-1)!['ack'] as string[]).toSorted()).toEqual(
      expect.arrayContaining([jti]) as unknown as string[],
    );
    const { recent, eventsCount } = await shown(stream);
    expect([recent.length, eventsCount]).toEqual([2, 2]);
    expect(recent.map(({ person: who }) => who?.label).toSorted()).toEqual(
      [one, two].map(({ memberId }) => expect.stringContaining('Person') && memberId).map(() => expect.any(String)),
    );
  });

  it('is polled by one of several issuers, and by another one when that one is gone', async () => {
    const stream = await open('poll');
    clock.advance(LOOK_MS);
    expect((await Promise.all([look(), look(), look()])).toSorted()).toEqual([0, 0, 1]);
    expect(stream.side.polled).toHaveLength(1);
    // One takes it and dies.
    clock.advance(LOOK_MS);
    const now = clock.nowMs();
    await world.house.issuer.rows('update identity.received_index set leased_until = $1 where stream_id = $2', [
      new Date(now + LEASE_MS),
      stream.streamId,
    ]);
    expect(await look()).toBe(0);
    clock.advance(LEASE_MS + 1);
    expect(await look()).toBe(1);
    expect(stream.side.polled).toHaveLength(2);
  });

  it('refuses what is not for it, notes why, and tells the transmitter no more than a code', async () => {
    const stream = await open('poll');
    const known = await world.hire(lead, stream.connectionId);
    const events = { [`${CAEP}session-revoked`]: {} };
    for (const [jti, more] of [
      ['foreign', { audience: 'https://receiver.test/another' }],
      ['forged', { audience: stream.side.audience, key: makeKey('now') }],
    ] as const)
      stream.side.lay(
        jti,
        await world.transmitter.sign({ subject: person(known.subject), events, claims: { jti }, ...more }),
      );
    await look();
    clock.advance(LOOK_MS + 1000);
    await look();
    expect(await world.isIn(known.cookie)).toBe(true);
    expect(stream.side.polled.at(-1)!['setErrs']).toMatchObject({
      foreign: { err: 'invalid_audience' },
      forged: { err: 'invalid_key' },
    });
    const place = (await loadPlace(world.deps, { context: lead.tenant }, stream.streamId))!;
    const refused = await recentRefusals(world.deps, place);
    expect(refused.map(({ code, check }) => `${check} ${code}`).toSorted()).toEqual([
      'E13 signals_signature_invalid',
      'E15 signals_audience',
    ]);
  });

  it('what could not be kept comes again', async () => {
    const stream = await open('poll');
    const known = await world.hire(lead, stream.connectionId);
    await stream.side.send({ name: 'account-disabled', detail: {}, subject: person(known.subject) });
    const broken = vi.spyOn(world.deps.sealer, 'seal').mockRejectedValueOnce(new Error('no key at the moment'));
    await look();
    broken.mockRestore();
    expect(await stateOf(known.memberId)).toBe('active');
    clock.advance(LOOK_MS + 10_000);
    await look();
    expect(await stateOf(known.memberId)).toBe('suspended');
  });

  it('backs off from a transmitter that fails, says so, and calls somebody after an hour', async () => {
    const stream = await open('poll');
    await look();
    const before = stream.side.polled.length;
    stream.side.trouble = 500;
    clock.advance(LOOK_MS + 1000);
    await look();
    expect((await shown(stream)).trouble).toMatchObject({ code: 'signals_answer_form', check: 'E5' });
    const asked = () => world.transmitter.asked.filter((line) => line === 'POST /poll').length;
    const failing = asked();
    clock.advance(1000);
    await look();
    expect(asked()).toBe(failing);
    clock.advance(UNREACHED_MS_MAX + ANSWER_MS_MAX);
    await look();
    clock.advance(LOOK_MS + 1000);
    await look();
    expect((await shown(stream)).silentSince).not.toBeNull();
    expect(await entries('signals.silent', stream)).toHaveLength(1);
    stream.side.trouble = undefined;
    clock.advance(3_600_000);
    await look();
    expect(stream.side.polled.length).toBe(before + 1);
    expect(await shown(stream)).toMatchObject({ trouble: null, silentSince: null });
    expect(await entries('signals.heard-again', stream)).toHaveLength(1);
  });
});

describe('SIG-17: a transmitter that holds events back', () => {
  it('is asked for a sign of life, and its answer counts once', async () => {
    const stream = await open('push');
    await look();
    expect(stream.side.verifications).toHaveLength(1);
    const { state } = stream.side.verifications[0]!;
    const [{ url, authorization }] = stream.side.orders as unknown as [{ url: string; authorization: string }];
    const push = pusherOf(world.house);
    const events = { [`${SSF}verification`]: { state } };
    const subject = { format: 'opaque', id: stream.side.streamId };
    const sign = () => world.transmitter.sign({ audience: stream.side.audience, subject, events });
    expect((await push(url, await sign(), { authorization })).status).toBe(202);
    expect((await shown(stream)).answeredAt).not.toBeNull();
    const again = await push(url, await sign(), { authorization });
    expect([again.status, again.json['err']]).toEqual([400, 'invalid_state']);
    // Not asked again before its time.
    clock.advance(ASK_EVERY_MS - LOOK_MS);
    await look();
    expect(stream.side.verifications).toHaveLength(1);
    clock.advance(2 * LOOK_MS);
    await look();
    expect(stream.side.verifications).toHaveLength(2);
  });

  it('unanswered, somebody is told since when, once, and when it speaks again', async () => {
    const stream = await open('push');
    await look();
    clock.advance(ANSWER_MS_MAX - LOOK_MS);
    await look();
    expect((await shown(stream)).silentSince).toBeNull();
    clock.advance(2 * LOOK_MS);
    await look();
    clock.advance(LOOK_MS + 1);
    await look();
    expect((await shown(stream)).silentSince).not.toBeNull();
    expect(await entries('signals.silent', stream)).toHaveLength(1);
    const [{ url, authorization }] = stream.side.orders as unknown as [{ url: string; authorization: string }];
    const known = await world.hire(lead, stream.connectionId);
    const wish = { subject: person(known.subject), events: { [`${CAEP}session-revoked`]: {} } };
    const token = await world.transmitter.sign({ audience: stream.side.audience, ...wish });
    expect((await pusherOf(world.house)(url, token, { authorization })).status).toBe(202);
    expect((await shown(stream)).silentSince).toBeNull();
    expect(await entries('signals.heard-again', stream)).toHaveLength(1);
  });
});

describe('Verify now', () => {
  it('asked again and again it is silent since the first time', async () => {
    const stream = await open('push');
    const verify = createVerifyNow(world.deps);
    const ask = () => verify({ caller: lead, requestId: randomUUID() }, stream);
    await ask();
    const from = clock.nowMs();
    await expect(ask()).rejects.toMatchObject({ code: 'provider_stream_asked' });
    while (clock.nowMs() - from < ANSWER_MS_MAX) {
      clock.advance(LOOK_MS * 2 + 1000);
      await ask();
      await look();
    }
    expect(stream.side.verifications.length).toBeGreaterThan(10);
    clock.advance(LOOK_MS + 1);
    await look();
    expect((await shown(stream)).silentSince).not.toBeNull();
    expect(await entries('signals.silent', stream)).toHaveLength(1);
    // The answer to the last question is the one that counts.
    const { state } = stream.side.verifications.at(-1)!;
    const [{ url, authorization }] = stream.side.orders as unknown as [{ url: string; authorization: string }];
    const events = { [`${SSF}verification`]: { state } };
    const subject = { format: 'opaque', id: stream.side.streamId };
    const token = await world.transmitter.sign({ audience: stream.side.audience, subject, events });
    expect((await pusherOf(world.house)(url, token, { authorization })).status).toBe(202);
    expect(await shown(stream)).toMatchObject({ silentSince: null, answeredAt: expect.any(String) as string });
  });

  it('a polled stream is fetched at once', async () => {
    const stream = await open('poll');
    await look();
    const before = stream.side.polled.length;
    clock.advance(6_000);
    expect(await look()).toBe(0);
    await createVerifyNow(world.deps)({ caller: lead, requestId: randomUUID() }, stream);
    expect(await look()).toBe(1);
    clock.advance(LOOK_MS);
    await look();
    expect(stream.side.polled.length).toBeGreaterThan(before);
  });
});

describe('setting a stream up at its transmitter', () => {
  it('gives it the address and an authorization that nobody else sees, and says what will not come', async () => {
    const stream = await open('push');
    const [order] = stream.side.orders;
    expect(order!.url).toMatch(new RegExp(`/ssf/${stream.streamId}/events$`));
    expect(order!.authorization).toMatch(/^Bearer [A-Za-z0-9_-]{43}$/);
    const seen = await shown(stream);
    expect(seen.settings).toMatchObject({ isManaged: true, mayVerify: true, eventsMissing: ['account-purged'] });
    const { authorization } = order!;
    for (const secret of [authorization!, MANAGEMENT]) expect(JSON.stringify(seen)).not.toContain(secret);
    const stored = await world.house.issuer.rows<{ text: string }>(
      'select s::text as text from identity.received_stream s',
    );
    expect(stored.map(({ text }) => text).join()).not.toContain(MANAGEMENT);
  });

  it('names the failed check when it does not answer as it must', async () => {
    const { id } = await beginStream(world.deps, by(lead), { connectionId, delivery: 'poll' });
    const { issuer } = world.transmitter;
    const attempt = (more: object, side: Record<string, unknown> = {}) => {
      new ManagedSide(world.transmitter, 'refused').more = side;
      const given = { issuer, authorization: MANAGEMENT, algorithm: 'RS256', opaqueSubjects: false, ...more } as const;
      return setUpManaged(world.deps, by(lead), { connectionId, streamId: id, given });
    };
    await expect(attempt({}, { issuer: 'https://other.test' })).rejects.toMatchObject({
      code: 'transmitter_refused',
      publicDetail: expect.stringMatching(/^E6/) as string,
    });
    await expect(attempt({}, { configuration_endpoint: 'http://169.254.169.254/' })).rejects.toMatchObject({
      publicDetail: expect.stringMatching(/^E2/) as string,
    });
    await expect(attempt({ authorization: 'Bearer wrong' })).rejects.toMatchObject({
      publicDetail: expect.stringMatching(/^E5/) as string,
    });
    await expect(attempt({ issuer: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      publicDetail: expect.stringMatching(/^E2/) as string,
    });
    // SSRF: the guard of the house refuses addresses behind it.
    await expect(attempt({ issuer: 'https://169.254.169.254' })).rejects.toMatchObject({
      publicDetail: expect.stringMatching(/^E4/) as string,
    });
    await turnStream(world.deps, by(lead), { connectionId, streamId: id, to: 'off' });
  });

  it('by hand wants addresses over https, and one of a polled stream', async () => {
    const { id } = await beginStream(world.deps, by(lead), { connectionId, delivery: 'poll' });
    const given = {
      issuer: world.transmitter.issuer,
      audience: 'https://receiver.test/hand',
      streamId: null,
      jwksUri: world.transmitter.jwksUri,
      algorithm: 'RS256',
      opaqueSubjects: false,
      pollUrl: `${world.transmitter.issuer}/poll`,
      authorization: MANAGEMENT,
    } as const;
    const of = { connectionId, streamId: id };
    for (const [field, value] of [
      ['jwksUri', 'http://provider.test/jwks'],
      ['pollUrl', null],
      ['pollUrl', 'ftp://provider.test'],
    ] as const)
      await expect(
        setUpByHand(world.deps, by(lead), { ...of, given: { ...given, [field]: value } }),
      ).rejects.toMatchObject({ code: 'provider_stream_invalid', field });
    await setUpByHand(world.deps, by(lead), { ...of, given });
    await turnStream(world.deps, by(lead), { ...of, to: 'off' });
  });

  it('more than two of a connection are refused', async () => {
    const connectionId = await world.connect(lead, 'Full');
    const begin = () => beginStream(world.deps, by(lead), { connectionId, delivery: 'push' });
    await begin();
    await begin();
    await expect(begin()).rejects.toMatchObject({ code: 'provider_streams_full' });
  });
});
