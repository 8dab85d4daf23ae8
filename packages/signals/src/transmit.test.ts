import { createPublicKey, generateKeyPairSync, verify as verifyBytes, constants, type JsonWebKey } from 'node:crypto';
import { manualClock, systemRandom } from '@auditrax/base';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  answerPoll,
  answerVerification,
  buildSet,
  configurationDocument,
  createSetSigner,
  EMPTY_OUTBOX,
  enqueue,
  EVENT_RULES,
  parseTransmitterStream,
  publicKeySet,
  pushOnce,
  pushSet,
  setStatus,
  streamUpdatedEvent,
  verificationEvent,
  type EventName,
  type OutgoingEvent,
  type SetAlgorithm,
  type SetSigner,
  type SignalsFetch,
} from './index.ts';
import { parseConfiguration } from './configuration.ts';
import type { EventRule } from './events.ts';
import { parseKeys } from './keys.ts';
import { OUTBOX_AGE_MS_MAX, POLL_SETS_MAX, RETRY_AFTER_MS_MAX, TOKEN_CHARACTERS_MAX } from './limits.ts';
import {
  AUDIENCE,
  codeOf,
  ISSUER,
  jsonAnswer,
  NOW_MS,
  NOW_SECONDS,
  Receiver,
  STREAM_ID,
  SUBJECT,
} from './testing/forger.ts';

const clock = manualClock(NOW_MS);
const ports = { clock, random: systemRandom };
const STREAM = parseTransmitterStream({ issuer: ISSUER, audience: AUDIENCE, streamId: STREAM_ID });
const EVENT: OutgoingEvent = {
  name: 'session-revoked',
  detail: { event_timestamp: NOW_SECONDS, initiating_entity: 'admin', reason_admin: { en: 'left the firm' } },
  subject: SUBJECT,
  transactionId: 'cause-1',
};

const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ec = (namedCurve = 'P-256') => generateKeyPairSync('ec', { namedCurve }).privateKey;

let signers: Readonly<Record<SetAlgorithm, SetSigner>>;
beforeAll(() => {
  signers = {
    RS256: createSetSigner({ algorithm: 'RS256', kid: 'rs', privateKey: rsa() }),
    PS256: createSetSigner({ algorithm: 'PS256', kid: 'ps', privateKey: rsa() }),
    ES256: createSetSigner({ algorithm: 'ES256', kid: 'es', privateKey: ec() }),
  };
});
const build = (event: OutgoingEvent, signer = signers.ES256) => buildSet(event, { stream: STREAM, signer }, ports);

describe('E37 E38: tokens', () => {
  it('E37: node:crypto alone finds header, claims and signature as they have to be', async () => {
    for (const algorithm of ['RS256', 'PS256', 'ES256'] as const) {
      const { token, tokenId, issuedAt_ms } = await build(EVENT, signers[algorithm]);
      const [head, payload, signature] = token.split('.') as [string, string, string];
      const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as unknown;
      expect(read(head)).toEqual({ alg: algorithm, typ: 'secevent+jwt', kid: signers[algorithm].kid });
      expect(read(payload)).toEqual({
        iss: ISSUER,
        aud: AUDIENCE,
        jti: tokenId,
        iat: NOW_SECONDS,
        txn: 'cause-1',
        sub_id: SUBJECT,
        events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': EVENT.detail },
      });
      expect([tokenId.length, issuedAt_ms]).toEqual([22, NOW_MS]);
      const key = createPublicKey({ key: signers[algorithm].publicKey as JsonWebKey, format: 'jwk' });
      const options = {
        RS256: { key },
        PS256: { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
        ES256: { key, dsaEncoding: 'ieee-p1363' as const },
      }[algorithm];
      const bytes = Buffer.from(signature, 'base64url');
      expect(verifyBytes('sha256', Buffer.from(`${head}.${payload}`), options, bytes)).toBe(true);
      expect(verifyBytes('sha256', Buffer.from(`${head}.${payload}x`), options, bytes)).toBe(false);
    }
  });

  it('E38: a key fits its algorithm, and its public half alone is published', async () => {
    const sign = (algorithm: SetAlgorithm, privateKey: ReturnType<typeof rsa>, kid = 'k') =>
      codeOf(() => Promise.resolve(createSetSigner({ algorithm, kid, privateKey }).kid));
    expect(await sign('RS256', ec())).toBe('signals_signing_key');
    expect(await sign('ES256', rsa())).toBe('signals_signing_key');
    expect(await sign('ES256', ec('P-384'))).toBe('signals_signing_key');
    expect(await sign('RS256', generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)).toBe(
      'signals_signing_key',
    );
    expect(await sign('RS256', createPublicKey(rsa()))).toBe('signals_signing_key');
    expect(await sign('RS256', generateKeyPairSync('ed25519').privateKey)).toBe('signals_signing_key');
    expect(await sign('ES256', ec(), '')).toBe('signals_signing_key');
    const set = publicKeySet(Object.values(signers));
    expect(parseKeys(set)).toHaveLength(3);
    expect(JSON.stringify(set)).not.toMatch(/"(d|p|q|dp|dq|qi)":/);
    expect(set.keys.map(({ alg, use }) => [alg, use])).toEqual([
      ['RS256', 'sig'],
      ['PS256', 'sig'],
      ['ES256', 'sig'],
    ]);
  });

  it('E37: what a receiver could not take is not built', async () => {
    const refused: readonly Partial<OutgoingEvent>[] = [
      { subject: {} },
      { subject: { format: 'iss_sub', iss: ISSUER } },
      { name: 'credential-change', detail: {} },
      { name: 'credential-change', detail: { change_type: 'forgotten' } },
      { name: 'verification', detail: {}, subject: { format: 'opaque', id: 'another' } },
      { name: 'verification', detail: { state: '' }, subject: { format: 'opaque', id: STREAM_ID } },
      { name: 'stream-updated', detail: { status: 'off' }, subject: { format: 'opaque', id: STREAM_ID } },
      { transactionId: '' },
      { detail: { padding: 'a'.repeat(TOKEN_CHARACTERS_MAX) } },
      { detail: JSON.parse(`{"a":${'['.repeat(20)}${']'.repeat(20)}}`) as OutgoingEvent['detail'] },
    ];
    for (const over of refused) expect(await codeOf(() => build({ ...EVENT, ...over }))).toBe('signals_set_invalid');
    for (const over of [{ issuer: 'http://x.test' }, { audience: '' }, { streamId: 'a b' }])
      expect(await codeOf(() => Promise.resolve(parseTransmitterStream({ ...STREAM, ...over })))).toBe(
        'signals_setting_invalid',
      );
  });

  it('E37: every event that is built is believed by the receiver, with the verdict of the table', async () => {
    const receiver = new Receiver([signers.ES256.publicKey], { algorithm: 'ES256' });
    const names = (Object.keys(EVENT_RULES) as EventName[]).filter(
      (name) => !['verification', 'stream-updated'].includes(name),
    );
    const text = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' });
    const subject = text
      .map((sub) => sub.replaceAll(/[\s\p{Cc}]/gu, '') || 'x')
      .map((sub) => ({ format: 'iss_sub', iss: ISSUER, sub }));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), subject, text, async (name, whom, reason) => {
        const rule: EventRule = EVENT_RULES[name];
        const detail = {
          reason,
          ...(rule.by === undefined ? {} : { [rule.by.member]: Object.keys(rule.by.verdicts)[0] }),
        };
        const set = await receiver.verify((await build({ name, detail, subject: whom })).token);
        expect(set.found.account).toEqual({ issuer: ISSUER, subject: whom.sub });
        expect(set.events[0]).toMatchObject({ name, detail, isUnreadable: false });
      }),
      { numRuns: 40 },
    );
    receiver.states.add('asked');
    expect(await receiver.verdict((await build(verificationEvent(STREAM, 'asked'))).token)).toBe(
      'nothing for the stream',
    );
    expect(await receiver.verdict((await build(streamUpdatedEvent(STREAM, 'paused', 'x'))).token)).toBe(
      'alert for the stream',
    );
  });
});

describe('E42: the address for polling', () => {
  const filled = async (count: number) => {
    let outbox = EMPTY_OUTBOX;
    for (let at = 0; at < count; at += 1) outbox = enqueue(outbox, await build(EVENT)).outbox;
    return outbox;
  };
  const idsOf = (body: Readonly<Record<string, unknown>>) => Object.keys(body['sets'] as object);

  it('E42: gives what waits in order, again until it was acknowledged, and says whether there is more', async () => {
    const outbox = await filled(3);
    const all = outbox.waiting.map(({ tokenId }) => tokenId);
    const first = answerPoll('{"maxEvents":2,"returnImmediately":true}', outbox, clock);
    expect([idsOf(first.body).toSorted(), first.body['moreAvailable']]).toEqual([all.slice(0, 2).toSorted(), true]);
    expect(first.outbox.waiting).toHaveLength(3);
    const again = answerPoll(JSON.stringify({ ack: [all[0], 'unknown'] }), first.outbox, clock);
    expect([idsOf(again.body).toSorted(), again.body['moreAvailable']]).toEqual([all.slice(1).toSorted(), false]);
    const errors = {
      setErrs: { [all[1]!]: { err: 'invalid_key', description: 'x' }, unknown: { err: 'x' } },
      maxEvents: 0,
    };
    const last = answerPoll(JSON.stringify(errors), again.outbox, clock);
    expect([idsOf(last.body), last.body['moreAvailable']]).toEqual([[], true]);
    expect(last.outbox.dead.map(({ entry, err }) => [entry.tokenId, err])).toEqual([[all[1], 'invalid_key']]);
  });

  it('E42: a paused stream gives nothing, a huge wish gets its bound, old events are dead letters', async () => {
    const outbox = await filled(POLL_SETS_MAX + 1);
    const paused = setStatus(outbox, 'paused', { now_ms: NOW_MS });
    expect(answerPoll('{}', paused, clock).body).toEqual({ sets: {}, moreAvailable: false });
    expect(idsOf(answerPoll('{"maxEvents":1000000}', outbox, clock).body)).toHaveLength(POLL_SETS_MAX);
    const later = manualClock(NOW_MS + OUTBOX_AGE_MS_MAX + 1);
    expect(answerPoll('{}', outbox, later).outbox.dead).toHaveLength(POLL_SETS_MAX + 1);
  });

  it('E42: a request that cannot be read changes nothing', async () => {
    const outbox = await filled(1);
    for (const text of [
      '',
      '[]',
      '{',
      '{"ack":"a"}',
      '{"ack":[7]}',
      '{"ack":[],"ack":[]}',
      '{"maxEvents":-1}',
      '{"maxEvents":"2"}',
      '{"setErrs":[]}',
      '{"setErrs":{"a":"x"}}',
      '{"setErrs":{"a":{"err":""}}}',
      JSON.stringify({ ack: Array.from({ length: 1001 }, () => 'a') }),
      JSON.stringify({ ack: ['a'.repeat(300_000)] }),
    ])
      expect(await codeOf(() => Promise.resolve(answerPoll(text, outbox, clock)))).toBe('signals_request_form');
  });
});

describe('E43: pushing', () => {
  const TARGET = { url: 'https://receiver.test/events', authorization: 'Bearer for-the-push' };
  const pushed = (answer: () => Promise<Response>) =>
    pushSet('a.token.x', TARGET, { fetch: answer, clock, answer_ms_max: 40 });

  it('E43: taken is 202 alone; refused is 400 with a code about the event; all else is tried again', async () => {
    expect(await pushed(() => Promise.resolve(new Response(null, { status: 202 })))).toEqual({ kind: 'taken' });
    for (const err of ['invalid_request', 'invalid_key', 'invalid_issuer', 'invalid_audience', 'invalid_state'])
      expect(await pushed(() => Promise.resolve(jsonAnswer({ err }, 400)))).toEqual({ kind: 'refused', err });
    for (const err of ['authentication_failed', 'access_denied', '', 7, undefined, 'a'.repeat(65)])
      expect((await pushed(() => Promise.resolve(jsonAnswer({ err }, 400)))).kind).toBe('retry');
    for (const status of [200, 204, 302, 401, 403, 404, 413, 500, 502])
      expect((await pushed(() => Promise.resolve(new Response(null, { status })))).kind).toBe('retry');
    expect((await pushed(() => Promise.reject(new Error('away')))).kind).toBe('retry');
    expect((await pushed(() => new Promise(() => undefined))).kind).toBe('retry');
    const busy = () => Promise.resolve(new Response(null, { status: 503, headers: { 'retry-after': '99999999' } }));
    expect(await pushed(busy)).toEqual({ kind: 'retry', reason: 'status 503', wait_ms: RETRY_AFTER_MS_MAX });
  });

  it('E43: one step sends the first, as RFC 8935 has it, and moves on', async () => {
    const asked: unknown[] = [];
    const fetch: SignalsFetch = (url, { method, headers, body, redirect }) => {
      asked.push([url, method, headers['content-type'], headers['authorization'], body, redirect]);
      return Promise.resolve(new Response(null, { status: 202 }));
    };
    const built = await build(EVENT);
    const outbox = enqueue(EMPTY_OUTBOX, built).outbox;
    const step = await pushOnce(outbox, TARGET, { fetch, ...ports });
    expect(asked).toEqual([
      [TARGET.url, 'POST', 'application/secevent+jwt', TARGET.authorization, built.token, 'manual'],
    ]);
    expect([step.outbox.waiting, step.result]).toEqual([[], { kind: 'taken' }]);
    expect((await pushOnce(step.outbox, TARGET, { fetch, ...ports })).result).toBeUndefined();
  });
});

describe('E44 E45: what a transmitter says of itself', () => {
  it('E44: its document is read by the reader here as meant', () => {
    const addresses = {
      issuer: `${ISSUER}/acme`,
      jwksUri: `${ISSUER}/acme/keys`,
      configurationEndpoint: `${ISSUER}/acme/stream`,
      statusEndpoint: `${ISSUER}/acme/status`,
      verificationEndpoint: `${ISSUER}/acme/verify`,
    };
    const document = configurationDocument(addresses);
    expect(parseConfiguration(document, addresses.issuer, { clock })).toMatchObject({
      ...addresses,
      deliveryMethods: ['push', 'poll'],
    });
    expect(document['spec_version']).toBe('1_0');
    const bare = configurationDocument({ issuer: ISSUER, jwksUri: `${ISSUER}/keys` });
    expect(Object.hasOwn(bare, 'status_endpoint')).toBe(false);
  });

  it('E45: a verification is sent when its receiver asks, with its state, at most once a minute', async () => {
    const ask = (value: unknown, lastAsked_ms?: number) =>
      codeOf(() => {
        const text = typeof value === 'string' ? value : JSON.stringify(value);
        return Promise.resolve(JSON.stringify(answerVerification(text, { stream: STREAM, lastAsked_ms }, clock)));
      });
    const event = (state?: string) => JSON.stringify(verificationEvent(STREAM, state));
    expect(await ask({ stream_id: STREAM_ID, state: 'VGhpcyBpcyBh' })).toBe(event('VGhpcyBpcyBh'));
    expect(await ask({ stream_id: STREAM_ID })).toBe(event());
    expect(await ask({ stream_id: STREAM_ID }, NOW_MS - 60_000)).toBe(event());
    expect(await ask({ stream_id: STREAM_ID }, NOW_MS - 59_999)).toBe('signals_verification_early');
    expect(await ask({ stream_id: STREAM_ID }, NOW_MS + 86_400_000)).toBe(event());
    for (const stream_id of [undefined, 'another', [STREAM_ID]])
      expect(await ask({ stream_id })).toBe('signals_stream_unknown');
    for (const value of ['', '[]', { stream_id: STREAM_ID, state: '' }, { stream_id: STREAM_ID, state: 7 }])
      expect(await ask(value)).toBe('signals_request_form');
  });
});
