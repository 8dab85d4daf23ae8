import { beforeAll, describe, expect, it } from 'vitest';
import { manualClock } from '@auditrax/base';
import {
  isUsable,
  KEYS_AGE_MS_MAX,
  KEYS_BYTES_MAX,
  KEYS_MAX,
  KEYS_RELOAD_MS_MIN,
  KEYS_RETRY_MS_MIN,
} from '@auditrax/base/key-set';
import { createKeySource, parseReceiverStream, type SignalsFetch } from './index.ts';
import { ask } from './http.ts';
import { parseKeys } from './keys.ts';
import {
  AUDIENCE,
  codeOf,
  INPUT,
  ISSUER,
  jsonAnswer,
  makeEcKey,
  makeRsaKey,
  NOW_MS,
  Receiver,
  signedSet,
  type SigningKey,
} from './testing/forger.ts';

let key: SigningKey;
let next: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
  next = makeRsaKey('key-2');
});

const ACCEPTED = 'end_sessions for f1d2c3b4';

describe('E1: settings', () => {
  it('are read strictly', async () => {
    const parse = (over: Readonly<Record<string, unknown>>, rehearsal = false) =>
      codeOf(() => Promise.resolve(parseReceiverStream({ ...INPUT, ...over }, { rehearsal }).algorithm));
    expect(await parse({})).toBe('RS256');
    for (const wrong of [
      { issuer: 'http://signals.provider.test' },
      { issuer: 'https://signals.provider.test:443' },
      { issuer: 'HTTPS://signals.provider.test' },
      { issuer: `${ISSUER}/?a=b` },
      { issuer: `${ISSUER}/#a` },
      { issuer: 'https://user:word@signals.provider.test' },
      { issuer: 7 },
      { issuer: '' },
      { audience: '' },
      { audience: 'a'.repeat(1025) },
      { algorithm: 'HS256' },
      { algorithm: 'none' },
      { algorithm: 'constructor' },
      { streamId: '' },
      { subjectIssuers: ['http://people.test'] },
      { subjectIssuers: Array.from({ length: 17 }, () => ISSUER) },
      { criticalMembers: [''] },
      { issuer: 'http://127.0.0.1:1234' },
    ])
      expect(await parse(wrong)).toBe('signals_setting_invalid');
    expect(await parse({ issuer: 'http://127.0.0.1:1234' }, true)).toBe('RS256');
    expect(await parse({ issuer: 'http://192.168.0.1' }, true)).toBe('signals_setting_invalid');
  });
});

describe('E2 to E5: reaching the other side', () => {
  const asked = { url: `${ISSUER}/keys`, method: 'GET' as const, headers: {}, bytes_max: 1000 };
  const reach = (fetch: SignalsFetch, over: Partial<typeof asked> = {}) =>
    codeOf(async () => (await ask({ ...asked, ...over }, { fetch, answer_ms_max: 40 })).text);

  it('E2: https only', async () => {
    const fetch = () => Promise.resolve(new Response('there'));
    expect(await reach(fetch)).toBe('there');
    for (const url of [
      'http://signals.provider.test/',
      'http://127.0.0.1/',
      'file:///etc/passwd',
      'x',
      'https://a:b@c.test/',
    ])
      expect(await reach(fetch, { url })).toBe('signals_address_refused');
  });

  it('E3: a redirect is refused, and nobody is asked where it points', async () => {
    const urls: string[] = [];
    for (const status of [301, 302, 303, 307, 308]) {
      const fetch: SignalsFetch = (url, { redirect }) => {
        urls.push(`${redirect} ${url}`);
        return Promise.resolve(new Response(null, { status, headers: { location: 'http://169.254.169.254/' } }));
      };
      expect(await reach(fetch)).toBe('signals_redirected');
    }
    expect(new Set(urls)).toEqual(new Set([`manual ${ISSUER}/keys`]));
  });

  it('E4: silence, failure and an endless answer end within their bounds', async () => {
    expect(await reach(() => new Promise(() => undefined))).toBe('signals_answer_late');
    expect(await reach(() => Promise.reject(new TypeError('fetch failed')))).toBe('signals_unreachable');
    let given = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        given += 500;
        controller.enqueue(new Uint8Array(500));
      },
    });
    expect(await reach(() => Promise.resolve(new Response(endless)))).toBe('signals_answer_too_large');
    expect(given).toBeLessThan(5_000);
  });

  it('E5: anything but a JSON object under 200 is no key set', async () => {
    for (const answer of [
      () => new Response(''),
      () => new Response('[]'),
      () => new Response('{"keys":[],"keys":[]}'),
      () => jsonAnswer({ keys: [] }, 500),
      () => jsonAnswer({ keys: [] }, 202),
    ]) {
      const fetch = () => Promise.resolve(answer());
      const source = createKeySource(parseReceiverStream(INPUT), `${ISSUER}/keys`, {
        fetch,
        clock: manualClock(NOW_MS),
      });
      expect(await codeOf(() => source.find('key-1'))).toBe('signals_answer_form');
    }
  });
});

describe('keys', () => {
  it('E8: a huge set, too many keys, private keys and sets that are none', async () => {
    const parse = (document: Readonly<Record<string, unknown>>) =>
      codeOf(() => Promise.resolve(parseKeys(document).length));
    const one = { ...key.jwk };
    for (const keys of [undefined, {}, [1], [null], [[]], Array.from({ length: KEYS_MAX + 1 }, () => one)])
      expect(await parse({ keys })).toBe('signals_keys_invalid');
    expect(await parse({ keys: [one, { ...one, d: 'AQAB' }] })).toBe('signals_keys_invalid');
    expect(await parse({ keys: [{ kty: 'oct', k: 'c2VjcmV0' }] })).toBe('signals_keys_invalid');
    expect(await parse({ keys: [one] })).toBe('1');
    const receiver = new Receiver([{ ...one, padding: 'a'.repeat(KEYS_BYTES_MAX) }]);
    expect(await receiver.verdict(signedSet(key))).toBe('signals_answer_too_large');
  });

  it('E8: keys are used for what they were made for', () => {
    const rsa = { ...key.jwk } as never as Parameters<typeof isUsable>[0];
    expect(isUsable(rsa, 'RS256')).toBe(true);
    for (const over of [
      { use: 'enc' },
      { alg: 'RS512' },
      { alg: 'PS256' },
      { key_ops: ['sign'] },
      { n: 'AQAB' },
      { kty: 'EC' },
    ])
      expect(isUsable({ ...rsa, ...over } as typeof rsa, 'RS256')).toBe(false);
    expect(isUsable(makeRsaKey('small', 1024).jwk as typeof rsa, 'RS256')).toBe(false);
    expect(isUsable(makeEcKey('ec').jwk as typeof rsa, 'ES256')).toBe(true);
    expect(isUsable(makeEcKey('ec', 'P-384').jwk as typeof rsa, 'ES256')).toBe(false);
    expect(isUsable(rsa, 'ES256')).toBe(false);
  });

  it('E8: a set is believed for an hour', async () => {
    const receiver = new Receiver([key.jwk]);
    expect(await receiver.verdict(signedSet(key))).toBe(ACCEPTED);
    receiver.published = { keys: [next.jwk] };
    receiver.clock.advance(KEYS_AGE_MS_MAX);
    expect(await receiver.verdict(signedSet(key))).toBe(ACCEPTED);
    receiver.clock.advance(1);
    expect(await receiver.verdict(signedSet(key))).toBe('signals_key_unknown');
    expect(receiver.asked).toHaveLength(2);
  });

  it('E12: an unknown key id reads the set anew at most once a minute, and until then nothing is refused for good', async () => {
    const receiver = new Receiver([key.jwk]);
    const byNext = signedSet(next);
    expect(await receiver.verdict(byNext)).toBe('signals_key_unknown');
    receiver.published = { keys: [key.jwk, next.jwk] };
    for (let attempt = 0; attempt < 50; attempt += 1)
      expect(await receiver.verdict(signedSet(key, {}, { kid: `invented-${attempt}` }))).toBe('signals_key_held_back');
    expect(await receiver.verdict(byNext)).toBe('signals_key_held_back');
    expect(receiver.asked).toHaveLength(1);
    expect(await receiver.verdict(signedSet(key))).toBe(ACCEPTED);
    receiver.clock.advance(KEYS_RELOAD_MS_MIN);
    expect(await receiver.verdict(byNext)).toBe(ACCEPTED);
    expect(receiver.asked).toHaveLength(2);
  });

  it('E12: a transmitter that does not answer is not asked for every token', async () => {
    let asked = 0;
    const clock = manualClock(NOW_MS);
    const fetch: SignalsFetch = () => {
      asked += 1;
      return asked < 2 ? Promise.reject(new Error('away')) : Promise.resolve(jsonAnswer({ keys: [key.jwk] }));
    };
    const source = createKeySource(parseReceiverStream(INPUT), `${ISSUER}/keys`, { fetch, clock });
    expect(await codeOf(() => source.find('key-1'))).toBe('signals_unreachable');
    for (let attempt = 0; attempt < 20; attempt += 1)
      expect(await codeOf(() => source.find('key-1'))).toBe('signals_key_held_back');
    clock.advance(KEYS_RETRY_MS_MIN);
    expect((await source.find('key-1')).kty).toBe('RSA');
    expect(asked).toBe(2);
  });

  it('E12: kid tricks find no key, and two that fit are one too many', async () => {
    const receiver = new Receiver([key.jwk]);
    for (const kid of ['../../../dev/null', "x' OR 1=1 --", '__proto__', 'KEY-1', 'key-1 ', 'https://evil.test/key'])
      expect(await receiver.verdict(signedSet(key, {}, { kid }))).toMatch(/^signals_key_(unknown|held_back)$/);
    expect(await receiver.verdict(signedSet(key, {}, { kid: undefined }))).toBe(ACCEPTED);
    const two = new Receiver([key.jwk, { ...next.jwk, kid: 'key-1' }]);
    expect(await two.verdict(signedSet(key))).toBe('signals_key_ambiguous');
    const both = new Receiver([key.jwk, next.jwk]);
    expect(await both.verdict(signedSet(key, {}, { kid: undefined }))).toBe('signals_key_ambiguous');
    expect(await both.verdict(signedSet(key, { aud: AUDIENCE }))).toBe(ACCEPTED);
  });
});
