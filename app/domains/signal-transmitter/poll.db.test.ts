import { systemRandom, uuidV4, type Clock } from '@auditrax/base';
import type { JSONWebKeySet } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { eraseMember } from '../access/erasing.ts';
import { revokePrincipal, reinstatePrincipal } from '../identity/index.ts';
import { signOutEverywhere } from '../identity/service.ts';
import { directoryOf, type Told } from '../provisioning/testing/directory.ts';
import { askerOf } from '../sso/testing/sso-house.ts';
import { createStream, removeStream, renewToken, sendTest, turnStream, type NewStream } from './streams.ts';
import { startTransmitterHouse, type TransmitterHouse } from './testing/house.ts';
import { believe, type BelievedEvent } from './testing/receiver.ts';
import { listLetters, listStreams } from './view.ts';

// Streams that are polled, through the real gateway and issuer on a real database; the receiver verifies with `jose` alone.

const EVENT = 'https://schemas.openid.net/secevent/';
const POLLED: NewStream = {
  name: 'Chart room',
  audience: '',
  topics: { sessions: true, accounts: true, passkeys: true },
  subjects: 'own',
  push: null,
};

let now_ms = Date.now();
const clock: Clock = { nowMs: () => now_ms };
const DAY_MS = 86_400_000;

let house: TransmitterHouse;
let say: ReturnType<typeof directoryOf>;
let lead: Caller;
let stranger: Caller;

beforeAll(async () => {
  house = await startTransmitterHouse(clock);
  say = directoryOf(house.sso);
  lead = await house.sso.callerOf((await house.sso.issuer.enrol('harbour', 'lead')).cookie);
  stranger = await house.sso.callerOf((await house.sso.issuer.enrol('lakeside', 'lead')).cookie);
});
afterEach(async () => {
  for (const who of [lead, stranger])
    for (const { streamId } of (await listStreams(house.deps, who.tenant)).streams)
      await removeStream(house.deps, askerOf(who), streamId as never);
});
afterAll(() => house?.stop());

interface Receiver {
  readonly id: string;
  readonly token: string;
  readonly issuer: string;
  readonly audience: string;
}

async function open(input: Partial<NewStream> = {}, who = lead): Promise<Receiver> {
  const { id, token } = await createStream(house.deps, askerOf(who), { ...POLLED, ...input });
  const { issuer, streams } = await listStreams(house.deps, who.tenant);
  return { id, token, issuer, audience: streams.find(({ streamId }) => streamId === id)!.audience };
}

const pollAt = (of: Receiver, body: object = {}, token = of.token): Promise<Told> =>
  say('POST', `${of.issuer}/streams/${of.id}/poll`, { token, body });

async function keysOf({ issuer }: Receiver): Promise<JSONWebKeySet> {
  const { status, json } = await say('GET', `${issuer}/jwks`);
  expect(status).toBe(200);
  return json as unknown as JSONWebKeySet;
}

/** Everything that waits, verified; acknowledged where `ack`. */
async function take(of: Receiver, ack = true): Promise<BelievedEvent[]> {
  const { status, json } = await pollAt(of);
  expect(status).toBe(200);
  const sets = json['sets'] as Record<string, string>;
  const keys = await keysOf(of);
  const events = [];
  for (const [id, token] of Object.entries(sets)) {
    const event = await believe(token, { keys, ...of });
    expect(event.claims.jti).toBe(id);
    events.push(event);
  }
  if (ack && events.length > 0) await pollAt(of, { ack: Object.keys(sets), maxEvents: 0 });
  return events;
}

const names = (events: readonly BelievedEvent[]) => events.map(({ uri }) => uri.replace(EVENT, ''));

const somebody = (who = lead) => house.somebody(who.tenant);

const revoke = (memberId: Caller['personId'], cause: 'administrator' | 'scim' | 'lapsed' = 'administrator') =>
  revokePrincipal(house.sso.deps, lead.tenant, { memberId, cause, by: { actor: { personId: lead.personId } } });

describe('the transmitter of an organisation', () => {
  it('is not there before somebody has made a stream', async () => {
    const issuer = `${house.sso.origin}/ssf/issuer/${stranger.tenant.tenantId}`;
    const document = `${house.sso.origin}/.well-known/ssf-configuration/ssf/issuer/${stranger.tenant.tenantId}`;
    expect((await say('GET', document)).status).toBe(404);
    expect((await say('GET', `${issuer}/jwks`)).status).toBe(404);
  });

  it('says where everything is, and publishes public keys only', async () => {
    const receiver = await open();
    const { issuer } = receiver;
    const address = issuer.replace('/ssf/', '/.well-known/ssf-configuration/ssf/');
    const { status, json, headers } = await say('GET', address);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    expect(json).toMatchObject({
      issuer,
      jwks_uri: `${issuer}/jwks`,
      status_endpoint: `${issuer}/status`,
      verification_endpoint: `${issuer}/verify`,
      configuration_endpoint: `${issuer}/stream`,
      delivery_methods_supported: ['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936'],
    });
    const { keys } = await keysOf(receiver);
    expect(keys).toHaveLength(1);
    expect(Object.keys(keys[0]!).toSorted()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
    const described = await say('GET', `${issuer}/stream?stream_id=${receiver.id}`, { token: receiver.token });
    expect(described.json).toMatchObject({ stream_id: receiver.id, iss: issuer, aud: receiver.audience });
  });
});

describe('a stream that is polled', () => {
  it('is told what happened to whom, in order, until it acknowledges, and of nobody else', async () => {
    const receiver = await open();
    const foreign = await open({}, stranger);
    const person = await house.sso.issuer.enrol('harbour', 'auditor');
    const [added, ...others] = await take(receiver);
    expect(others).toEqual([]);
    expect(added).toMatchObject({
      uri: `${EVENT}caep/event-type/credential-change`,
      detail: { change_type: 'create', credential_type: 'fido2-platform' },
    });
    await revoke(person.personId);
    const first = await take(receiver, false);
    expect(names(first)).toEqual(['caep/event-type/session-revoked', 'risc/event-type/account-disabled']);
    const sub = house.deps.formatId('mem', lead.tenant, person.personId);
    for (const { subject, claims } of first) {
      expect(subject).toEqual({ format: 'iss_sub', iss: receiver.issuer, sub });
      expect(claims.txn).toBe(first[0]!.claims.txn);
    }
    expect(first[0]!.detail).toMatchObject({ initiating_entity: 'admin', event_timestamp: Math.floor(now_ms / 1000) });
    // Not acknowledged: the very same tokens again.
    expect((await take(receiver)).map(({ claims }) => claims.jti)).toEqual(first.map(({ claims }) => claims.jti));
    expect(await take(receiver)).toEqual([]);
    await reinstatePrincipal(house.sso.deps, lead.tenant, {
      memberId: person.personId,
      cause: 'administrator',
      by: { actor: { personId: lead.personId } },
    });
    expect(names(await take(receiver))).toEqual(['risc/event-type/account-enabled']);
    expect(await take(foreign)).toEqual([]);
  });

  it('is told of sign-out everywhere, and not of what a person does on one device', async () => {
    const receiver = await open();
    const person = await somebody();
    const caller = await house.sso.callerOf(person.cookie);
    await signOutEverywhere(house.sso.deps, caller);
    const [event] = await take(receiver);
    expect(event!.uri).toBe(`${EVENT}caep/event-type/session-revoked`);
    expect(event!.detail['initiating_entity']).toBe('user');
    const again = await somebody();
    const browser = house.sso.browser();
    browser.cookies.set('localhost:8443', new Map([['__Host-auditrax', { value: again.cookie, sameSite: 'strict' }]]));
    expect((await browser.ask(`${house.sso.origin}/api/identity/sign-out`, null)).status).toBeLessThan(300);
    expect(await take(receiver)).toEqual([]);
  });

  it('is told of chosen kinds of events only', async () => {
    const accounts = await open({ topics: { sessions: false, accounts: true, passkeys: false } });
    const person = await somebody();
    await revoke(person.memberId, 'scim');
    expect(names(await take(accounts))).toEqual(['risc/event-type/account-disabled']);
  });

  it('writes nothing for a tenant without a stream', async () => {
    await open();
    const before = await house.sso.issuer.rows('select id from identity.signal_event');
    const person = await somebody(stranger);
    await revokePrincipal(house.sso.deps, stranger.tenant, {
      memberId: person.memberId,
      cause: 'administrator',
      by: { actor: { personId: stranger.personId } },
    });
    expect(await house.sso.issuer.rows('select id from identity.signal_event')).toEqual(before);
  });

  it('notes in the transaction of what happened: when that fails nothing is told', async () => {
    const receiver = await open();
    const person = await somebody();
    const failing = { ...house.sso.deps, recordAudit: () => Promise.reject(new Error('no entry')) };
    const order = { memberId: person.memberId, cause: 'administrator', by: { actor: { personId: lead.personId } } };
    await expect(revokePrincipal(failing, lead.tenant, order as never)).rejects.toThrow('no entry');
    expect(await take(receiver)).toEqual([]);
  });

  it('ends access also while the tenant’s keys are away, and tells of it when they are back', async () => {
    const receiver = await open();
    const person = await somebody();
    const away = () => Promise.reject(new Error('the key store is away'));
    const { seal, openText, openBytes } = house.deps.sealer;
    Object.assign(house.deps.sealer, { seal: away, openText: away, openBytes: away });
    await revoke(person.memberId, 'lapsed');
    expect((await pollAt(receiver)).status).toBeGreaterThanOrEqual(500);
    Object.assign(house.deps.sealer, { seal, openText, openBytes });
    expect(names(await take(receiver))).toEqual(['caep/event-type/session-revoked']);
  });

  it('calls nobody by a provider’s name any more who was erased, also in what was signed already', async () => {
    const receiver = await open({ subjects: 'provider' });
    const person = await somebody();
    const name = { issuer: 'https://id.harbour.example', subject: '00u-harbour-17' };
    const { memberId, accountId } = person;
    const known = { memberId, accountId, name };
    await house.sso.deps.tenant.transaction(lead.tenant, (tx) => house.sso.deps.signals.named(tx, known));
    await revoke(person.memberId);
    const [before] = await take(receiver, false);
    expect(before!.subject).toEqual({ format: 'iss_sub', iss: name.issuer, sub: name.subject });
    await eraseMember(house.sso.deps, askerOf(lead), { memberId, name: person.name, ground: 'request' });
    const after = await take(receiver);
    expect(after.length).toBeGreaterThan(0);
    for (const { subject } of after) expect(JSON.stringify(subject)).not.toContain('00u-harbour-17');
    expect(await house.sso.issuer.rows('select id from identity.signal_name')).toEqual([]);
  });

  it('gives 25 at a time and says that there is more; what the receiver refuses is a dead letter', async () => {
    const receiver = await open({ topics: { sessions: true, accounts: false, passkeys: false } });
    const person = await somebody();
    const note = { kind: 'sessions-ended', memberId: person.memberId, reason: 'everywhere' } as const;
    await house.sso.deps.tenant.transaction(lead.tenant, async (tx) => {
      for (let index = 0; index < 30; index += 1) await house.sso.deps.signals.note(tx, note);
    });
    const first = (await pollAt(receiver)).json;
    const ids = Object.keys(first['sets'] as object);
    expect(ids).toHaveLength(25);
    expect(first['moreAvailable']).toBe(true);
    const [refused, ...acked] = ids;
    const setErrs = { [refused!]: { err: 'invalid_key', description: 'no' } };
    const second = (await pollAt(receiver, { ack: acked, setErrs })).json;
    expect(Object.keys(second['sets'] as object)).toHaveLength(5);
    expect(second['moreAvailable']).toBe(false);
    const letters = await listLetters(house.deps, lead.tenant, receiver.id as never);
    expect(letters).toMatchObject([{ event: 'session-revoked', reason: 'refused', error: 'invalid_key' }]);
  });

  it('gives up after three days, and says so', async () => {
    const receiver = await open({ topics: { sessions: false, accounts: true, passkeys: false } });
    const person = await somebody();
    await revoke(person.memberId);
    now_ms += 3 * DAY_MS + 1000;
    expect(await take(receiver)).toEqual([]);
    const letters = await listLetters(house.deps, lead.tenant, receiver.id as never);
    expect(letters).toMatchObject([{ event: 'account-disabled', reason: 'age' }]);
    now_ms -= 3 * DAY_MS + 1000;
  });

  it('rests once the receiver was told, holds meanwhile, and goes on; off it is told nothing', async () => {
    const receiver = await open();
    const turn = (to: 'paused' | 'enabled' | 'disabled') =>
      turnStream(house.deps, askerOf(lead), { id: receiver.id as never, to });
    const status = async () =>
      (await say('GET', `${receiver.issuer}/status?stream_id=${receiver.id}`, { token: receiver.token })).json[
        'status'
      ];
    await turn('paused');
    expect(await status()).toBe('enabled');
    const [told] = await take(receiver);
    expect(told).toMatchObject({ uri: `${EVENT}ssf/event-type/stream-updated`, detail: { status: 'paused' } });
    expect(told!.subject).toEqual({ format: 'opaque', id: receiver.id });
    expect(await status()).toBe('paused');
    const person = await somebody();
    await revoke(person.memberId, 'lapsed');
    expect(await take(receiver)).toEqual([]);
    await turn('enabled');
    expect(names(await take(receiver))).toEqual(['caep/event-type/session-revoked', 'ssf/event-type/stream-updated']);
    await turn('disabled');
    expect(names(await take(receiver))).toEqual(['ssf/event-type/stream-updated']);
    await revoke(person.memberId);
    expect(await take(receiver)).toEqual([]);
  });
});

describe('who may ask', () => {
  it('a token opens its own stream, and nothing of another one, of another tenant, or after it was changed', async () => {
    const [mine, other] = [await open(), await open()];
    const foreign = await open({}, stranger);
    const statuses = async (asks: readonly Promise<Told>[]) => (await Promise.all(asks)).map(({ status }) => status);
    const at = (of: Receiver, token: string | undefined) =>
      say('POST', `${of.issuer}/streams/${of.id}/poll`, { token, body: {} });
    expect(await statuses([at(mine, mine.token), at(foreign, foreign.token)])).toEqual([200, 200]);
    const wrong = [
      at(other, mine.token),
      at(foreign, mine.token),
      at({ ...mine, issuer: foreign.issuer }, mine.token),
      at({ ...mine, issuer: foreign.issuer }, foreign.token),
      at({ ...mine, id: foreign.id }, mine.token),
      at({ ...mine, id: uuidV4(systemRandom) }, mine.token),
      at(mine, undefined),
      at(mine, 'axr_nonsense'),
      at({ ...mine, issuer: mine.issuer.replace(lead.tenant.tenantId, uuidV4(systemRandom)) }, mine.token),
      say('GET', `${foreign.issuer}/status?stream_id=${foreign.id}`, { token: mine.token }),
      say('POST', `${foreign.issuer}/verify`, { token: mine.token, body: { stream_id: foreign.id } }),
    ];
    expect(await statuses(wrong)).toEqual(wrong.map(() => 401));
    // Within one's own organisation, asked for another stream by its id.
    expect((await say('GET', `${mine.issuer}/status?stream_id=${other.id}`, { token: mine.token })).status).toBe(404);
    expect(
      (await say('POST', `${mine.issuer}/verify`, { token: mine.token, body: { stream_id: other.id } })).status,
    ).toBe(404);
    const renewed = await renewToken(house.deps, askerOf(lead), mine.id as never);
    expect(await statuses([at(mine, mine.token), at(mine, renewed)])).toEqual([401, 200]);
  });

  it('refuses what no poll is, and changes nothing by it', async () => {
    const receiver = await open();
    await revoke((await somebody()).memberId, 'lapsed');
    for (const body of ['', 'no json', '{"ack":"x"}', '{"maxEvents":-1}', '{"setErrs":{"a":1}}', '[]'])
      expect(
        (await say('POST', `${receiver.issuer}/streams/${receiver.id}/poll`, { token: receiver.token, body })).status,
      ).toBe(400);
    expect(await take(receiver)).toHaveLength(1);
  });

  it('verifies a stream by its receiver’s own word, once a minute, however often it is asked', async () => {
    const receiver = await open();
    const ask = (state: string) =>
      say('POST', `${receiver.issuer}/verify`, { token: receiver.token, body: { stream_id: receiver.id, state } });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(`state ${index}`)));
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([204, ...Array<number>(19).fill(429)]);
    const [event, ...more] = await take(receiver);
    expect(more).toEqual([]);
    const kept = answers.findIndex(({ status }) => status === 204);
    expect(event).toMatchObject({ uri: `${EVENT}ssf/event-type/verification`, detail: { state: `state ${kept}` } });
    await expect(sendTest(house.deps, askerOf(lead), receiver.id as never)).rejects.toMatchObject({
      code: 'signal_verification_early',
    });
    now_ms += 61_000;
    expect((await ask('later')).status).toBe(204);
    now_ms += 61_000;
    await sendTest(house.deps, askerOf(lead), receiver.id as never);
    expect((await take(receiver)).map(({ detail }) => detail['state'])).toEqual(['later', undefined]);
  });
});
