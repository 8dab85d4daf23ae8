import { constants, createHmac, sign } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { receiveSet } from './index.ts';
import { JSON_DEPTH_MAX, SET_AGE_MS_MAX, TOKEN_CHARACTERS_MAX } from './limits.ts';
import {
  AUDIENCE,
  claimsOf,
  codeOf,
  ISSUER,
  makeEcKey,
  makeRsaKey,
  makeToken,
  NOW_SECONDS,
  Receiver,
  rs256,
  SESSION_REVOKED,
  signedSet,
  STREAM_ID,
  SUBJECT,
  VERIFICATION,
  type SigningKey,
} from './testing/forger.ts';

let key: SigningKey;
let attacker: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
  attacker = makeRsaKey('key-1');
});

const ACCEPTED = 'end_sessions for f1d2c3b4';
const receiver = () => new Receiver([key.jwk]);
const verdict = (claims: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}) =>
  receiver().verdict(signedSet(key, claims, header));
const HEADER = { alg: 'RS256', typ: 'secevent+jwt', kid: 'key-1' };

describe('the token', () => {
  it('is believed when everything holds', async () => {
    const set = await receiver().verify(signedSet(key));
    expect(set).toMatchObject({
      tokenId: 'event-1',
      transactionId: 'cause-1',
      issuedAt_ms: NOW_SECONDS * 1000,
      verdict: 'end_sessions',
      found: { account: { issuer: ISSUER, subject: 'f1d2c3b4' }, sessionId: undefined, unusable: undefined },
    });
    expect(set.events[0]).toMatchObject({
      name: 'session-revoked',
      occurredAt_ms: (NOW_SECONDS - 10) * 1000,
      isUnreadable: false,
    });
  });

  it('E9: is three parts of strict base64url, of bounded size, without extensions', async () => {
    const token = signedSet(key);
    for (const text of ['', 'a', '..', `${token}.`, ` ${token}`, `${token}=`, `${token}\n`, token.replace('.', '..')])
      expect(await receiver().verdict(text)).toBe('signals_token_form');
    expect(await verdict({ padding: 'a'.repeat(TOKEN_CHARACTERS_MAX) })).toBe('signals_token_form');
    for (const extension of [{ crit: ['b64'] }, { b64: false }, { zip: 'DEF' }, { enc: 'A128GCM' }, { crit: null }])
      expect(await verdict({}, extension)).toBe('signals_token_form');
    for (const kid of ['', 7, null, 'a'.repeat(257), ['key-1'], 'key\n1'])
      expect(await verdict({}, { kid })).toBe('signals_token_form');
    const nested = makeToken({ ...HEADER, alg: 'RSA-OAEP', enc: 'A128GCM' }, {}, rs256(key));
    expect(await receiver().verdict(`${nested}.a.b`)).toBe('signals_token_form');
  });

  it('E5 E9: deep JSON and doubled names are refused before anything reads them', async () => {
    const deep = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    expect(await receiver().verdict(makeToken(deep(20_000), {}, rs256(key)))).toBe('signals_token_form');
    expect(await receiver().verdict(makeToken(HEADER, deep(20_000), rs256(key)))).toBe('signals_token_form');
    const text = JSON.stringify(claimsOf());
    for (const second of [
      '"iss":"https://evil.test"',
      '"\\u0069ss":"https://evil.test"',
      '"__proto__":1,"__proto__":2',
    ])
      expect(await receiver().verdict(makeToken(HEADER, `{${second},${text.slice(1)}`, rs256(key)))).toBe(
        'signals_token_form',
      );
    expect(await verdict({ jti: '\ud800' })).toBe('signals_token_form');
    const level = (levels: number): unknown => (levels === 0 ? 1 : [level(levels - 1)]);
    expect(await verdict({ more: level(JSON_DEPTH_MAX - 1) })).toBe(ACCEPTED);
    expect(await verdict({ more: level(JSON_DEPTH_MAX) })).toBe('signals_token_form');
    expect(await verdict({ text: ' {[\\" "iss":', nested: { iss: 1, aud: 2 } })).toBe(ACCEPTED);
  });

  it('E10: alg none, and every other way to write it', async () => {
    for (const alg of ['none', 'None', 'NONE', '', undefined, null, 7, ['RS256'], 'rs256', 'RS256 ']) {
      expect(await verdict({}, { alg })).toBe('signals_algorithm_refused');
      expect(await receiver().verdict(makeToken({ ...HEADER, alg }, claimsOf(), () => Buffer.alloc(0)))).toBe(
        'signals_algorithm_refused',
      );
    }
  });

  it('E10: HS256 with the public key as its secret', async () => {
    const spki = Buffer.from(JSON.stringify(key.jwk));
    for (const secret of [spki, Buffer.from(key.jwk.n!, 'base64url'), Buffer.from(key.jwk.n!)]) {
      const hmac = (text: string) => createHmac('sha256', secret).update(text).digest();
      for (const alg of ['HS256', 'RS256']) {
        const code = alg === 'HS256' ? 'signals_algorithm_refused' : 'signals_signature_invalid';
        expect(await receiver().verdict(makeToken({ ...HEADER, alg }, claimsOf(), hmac))).toBe(code);
      }
    }
  });

  it('E10: another algorithm of the table, with the same key', async () => {
    const pss = (text: string) =>
      sign('sha256', Buffer.from(text), {
        key: key.privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: 32,
      });
    const token = makeToken({ ...HEADER, alg: 'PS256' }, claimsOf(), pss);
    expect(await receiver().verdict(token)).toBe('signals_algorithm_refused');
    expect(await new Receiver([key.jwk], { algorithm: 'PS256' }).verdict(token)).toBe(ACCEPTED);
    const ec = makeEcKey('key-1');
    const es256 = (text: string) =>
      sign('sha256', Buffer.from(text), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
    const other = makeToken({ ...HEADER, alg: 'ES256' }, claimsOf(), es256);
    expect(await new Receiver([ec.jwk, key.jwk], { algorithm: 'ES256' }).verdict(other)).toBe(ACCEPTED);
  });

  it('E11: an ID token, a logout token or a token without a type is no security event', async () => {
    for (const typ of [
      'JWT',
      undefined,
      null,
      7,
      'at+jwt',
      'logout+jwt',
      'secevent',
      'secevent+jwt ',
      'x/secevent+jwt',
    ])
      expect(await verdict({}, { typ })).toBe('signals_token_typ');
    for (const typ of ['secevent+jwt', 'application/secevent+jwt', 'SECEVENT+JWT'])
      expect(await verdict({}, { typ })).toBe(ACCEPTED);
  });

  it('E13: the signature holds, and each changed character breaks it', async () => {
    expect(await receiver().verdict(signedSet(attacker))).toBe('signals_signature_invalid');
    const [head, payload, signature] = signedSet(key).split('.') as [string, string, string];
    expect(await receiver().verdict(`${head}.${payload}.`)).toBe('signals_signature_invalid');
    const other = Buffer.from(JSON.stringify(claimsOf({ sub_id: { ...SUBJECT, sub: 'somebody' } }))).toString(
      'base64url',
    );
    expect(await receiver().verdict(`${head}.${other}.${signature}`)).toBe('signals_signature_invalid');
  });

  it('E13: jku, x5u, jwk and x5c in the header are never fetched and never believed', async () => {
    for (const brought of [
      { jku: 'https://evil.test/keys' },
      { x5u: 'https://evil.test/chain' },
      { jwk: attacker.jwk },
      { x5c: ['MIIB'] },
    ]) {
      const one = receiver();
      expect(await one.verdict(signedSet(attacker, {}, brought))).toBe('signals_signature_invalid');
      expect(one.asked).toEqual([`${ISSUER}/keys`]);
      expect(await one.verdict(signedSet(attacker, {}, { ...brought, kid: undefined }))).toBe(
        'signals_signature_invalid',
      );
      expect(await one.verdict(signedSet(key, {}, brought))).toBe(ACCEPTED);
    }
  });
});

describe('its meaning', () => {
  it('E14: the issuer is the same text, to the last slash', async () => {
    for (const iss of [`${ISSUER}/`, ISSUER.toUpperCase(), 'https://evil.test', undefined, null, [ISSUER], ''])
      expect(await verdict({ iss })).toBe('signals_issuer');
  });

  it('E15: a missing, foreign or additional audience', async () => {
    expect(await verdict({ aud: [AUDIENCE] })).toBe(ACCEPTED);
    for (const aud of [
      undefined,
      null,
      '',
      'https://other.test',
      [],
      [AUDIENCE, 'other'],
      [AUDIENCE, AUDIENCE],
      { 0: AUDIENCE },
    ])
      expect(await verdict({ aud })).toBe('signals_audience');
  });

  it('E15 E26: mix-up: what is for another stream of the same issuer, signed with the same key, does nothing here', async () => {
    const other = new Receiver([key.jwk], { audience: 'https://receiver.test/streams/2', streamId: 'another' });
    expect(await other.verdict(signedSet(key))).toBe('signals_audience');
    // Also where a transmitter has one audience for both.
    const same = new Receiver([key.jwk], { streamId: 'another' });
    same.states.add('asked');
    const ofStream = { sub_id: { format: 'opaque', id: STREAM_ID }, events: { [VERIFICATION]: { state: 'asked' } } };
    expect(await same.verdict(signedSet(key, ofStream))).toBe('signals_stream_subject');
  });

  it('E16: times: missing, of the wrong form, from the future, too old', async () => {
    for (const iat of [undefined, null, 'now', -1, `${NOW_SECONDS}`, 1e15])
      expect(await verdict({ iat })).toBe('signals_issued_at');
    expect(await verdict({ iat: NOW_SECONDS + 60 })).toBe(ACCEPTED);
    expect(await verdict({ iat: NOW_SECONDS + 61 })).toBe('signals_issued_at');
    const oldest = NOW_SECONDS - SET_AGE_MS_MAX / 1000 - 60;
    expect(await verdict({ iat: oldest })).toBe(ACCEPTED);
    expect(await verdict({ iat: oldest - 1 })).toBe('signals_issued_at');
  });

  it('E17: sub, exp and nonce belong to other tokens', async () => {
    for (const name of ['sub', 'exp', 'nonce'])
      for (const value of ['f1d2c3b4', NOW_SECONDS + 60, null, ''])
        expect(await verdict({ [name]: value })).toBe('signals_other_token');
  });

  it('E18: ids are there and bounded', async () => {
    for (const jti of [undefined, null, '', 7, 'a'.repeat(257), 'a\u0000b'])
      expect(await verdict({ jti })).toBe('signals_token_id');
    expect(await verdict({ txn: undefined })).toBe(ACCEPTED);
    expect(await verdict({ txn: 7 })).toBe('signals_token_id');
  });

  it('E19: one to eight events, each an object', async () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`urn:event:${index}`, {}]));
    for (const events of [undefined, null, {}, [], [SESSION_REVOKED], SESSION_REVOKED, many])
      expect(await verdict({ events })).toBe('signals_events_form');
    for (const detail of [null, true, [], 'text', 7])
      expect(await verdict({ events: { [SESSION_REVOKED]: detail } })).toBe('signals_events_form');
    expect(await verdict({ events: { '': {} } })).toBe('signals_events_form');
  });

  it('E26: a verification names this stream and answers what was asked', async () => {
    const one = receiver();
    const ofStream = (detail: unknown, id: unknown = STREAM_ID) =>
      one.verdict(signedSet(key, { sub_id: { format: 'opaque', id }, events: { [VERIFICATION]: detail } }));
    expect(await ofStream({})).toBe('nothing for the stream');
    expect(await ofStream({ state: 'asked' })).toBe('signals_state');
    one.states.add('asked');
    expect(await ofStream({ state: 'asked' })).toBe('nothing for the stream');
    for (const state of ['', 7, null, 'a'.repeat(1025)]) expect(await ofStream({ state })).toBe('signals_state');
    expect(await ofStream({}, 'another')).toBe('signals_stream_subject');
    expect(await verdict({ events: { [VERIFICATION]: {} } })).toBe('signals_stream_subject');
    const both = { sub_id: { format: 'opaque', id: STREAM_ID }, events: { [VERIFICATION]: {}, [SESSION_REVOKED]: {} } };
    expect(await verdict(both)).toBe('signals_events_form');
    const nameless = new Receiver([key.jwk], { streamId: undefined as unknown as string });
    expect(await nameless.verdict(signedSet(key, { ...both, events: { [VERIFICATION]: {} } }))).toBe(
      'signals_stream_subject',
    );
  });

  it('E27: kept once, asked last, and remembered until nobody could use it any more', async () => {
    const one = receiver();
    const receive = (token: string) => receiveSet({ token, stream: one.stream, keys: one.keys }, one);
    expect((await receive(signedSet(key))).isNew).toBe(true);
    expect((await receive(signedSet(key))).isNew).toBe(false);
    expect(await codeOf(() => receive(signedSet(key, { jti: 'event-2', aud: 'other' })))).toBe('signals_audience');
    expect([...one.kept.keys()]).toEqual(['event-1']);
    // The last moment at which its iat is still taken, and a clock that is behind.
    const { forget_ms, set } = one.kept.get('event-1')!;
    expect(forget_ms).toBe(set.issuedAt_ms + SET_AGE_MS_MAX + 120_000);
    const broken = { ...one, clock: one.clock, store: { keep: () => Promise.reject(new Error('store is away')) } };
    await expect(receiveSet({ token: signedSet(key), stream: one.stream, keys: one.keys }, broken)).rejects.toThrow(
      'store is away',
    );
  });

  it('E13 E25: no change of a single character of a signed event changes what is done', async () => {
    const one = receiver();
    const token = signedSet(key);
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...'Aa0-_.9Zz=\n'), async (at, character) => {
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        const result = await one.verdict(changed);
        expect(result.startsWith('signals_')).toBe(changed !== token);
      }),
      { numRuns: 300 },
    );
  });
});
