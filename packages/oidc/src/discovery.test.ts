import { isAppError, manualClock } from '@auditrax/base';
import {
  isUsable,
  KEYS_AGE_MS_MAX,
  KEYS_BYTES_MAX,
  KEYS_MAX,
  KEYS_RELOAD_MS_MIN,
  KEYS_RETRY_MS_MIN,
} from '@auditrax/base/key-set';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createKeySource,
  discoverProvider,
  parseOidcConnection,
  type OidcConnectionInput,
  type OidcFetch,
} from './index.ts';
import { discoveryAddress } from './discovery.ts';
import { parseKeys } from './keys.ts';
import { METADATA_BYTES_MAX } from './limits.ts';
import {
  INPUT,
  ISSUER,
  jsonAnswer,
  makeEcKey,
  makeRsaKey,
  metadataOf,
  NOW_MS,
  type SigningKey,
} from './testing/forger.ts';

let key: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
});

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'accepted';
  } catch (error) {
    if (isAppError(error)) return error.code;
    throw error;
  }
}

const clock = manualClock(NOW_MS);
const discover = (fetch: OidcFetch, over: Partial<OidcConnectionInput> = {}, answer_ms_max = 5_000) =>
  discoverProvider(parseOidcConnection({ ...INPUT, ...over }), { fetch, clock, answer_ms_max });
const documented = (metadata: Readonly<Record<string, unknown>>, over: Partial<OidcConnectionInput> = {}) =>
  codeOf(() => discover(() => Promise.resolve(jsonAnswer(metadataOf(ISSUER, metadata))), over));

/** Bytes without end, one piece at a time; `given` counts them. */
function endless(piece: number): { body: ReadableStream<Uint8Array>; given: () => number } {
  let given = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      given += piece;
      controller.enqueue(new Uint8Array(piece).fill(0x20));
    },
  });
  return { body, given: () => given };
}

describe('O4 to O7: reaching a provider', () => {
  it('O5: a redirecting discovery is refused, and nobody is asked where it points', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      const asked: string[] = [];
      const fetch: OidcFetch = (url, { redirect }) => {
        asked.push(`${redirect} ${url}`);
        const headers = { location: 'http://169.254.169.254/latest/meta-data' };
        return Promise.resolve(new Response(null, { status, headers }));
      };
      expect(await codeOf(() => discover(fetch))).toBe('oidc_redirected');
      expect(asked).toEqual([`manual ${ISSUER}/.well-known/openid-configuration`]);
    }
    // A port that followed all the same.
    const followed = Object.defineProperty(jsonAnswer(metadataOf(ISSUER)), 'redirected', { value: true });
    expect(await codeOf(() => discover(() => Promise.resolve(followed)))).toBe('oidc_redirected');
  });

  it('O6: slow endpoints: silence, and a body that drips, end at the deadline', async () => {
    const silent: OidcFetch = () => new Promise(() => undefined);
    expect(await codeOf(() => discover(silent, {}, 30))).toBe('oidc_answer_late');
    let timer: NodeJS.Timeout | undefined;
    const dripping = new ReadableStream<Uint8Array>({
      start(controller) {
        timer = setInterval(() => controller.enqueue(new Uint8Array([0x20])), 5);
      },
    });
    let signal: AbortSignal | undefined;
    const fetch: OidcFetch = (_, init) => {
      signal = init.signal;
      return Promise.resolve(new Response(dripping));
    };
    expect(await codeOf(() => discover(fetch, {}, 30))).toBe('oidc_answer_late');
    expect(signal!.aborted).toBe(true);
    clearInterval(timer);
  });

  it('O6: an answer without end is cut off at its bound', async () => {
    const { body, given } = endless(16_384);
    expect(await codeOf(() => discover(() => Promise.resolve(new Response(body))))).toBe('oidc_answer_too_large');
    expect(given()).toBeLessThan(METADATA_BYTES_MAX + 4 * 16_384);
  });

  it('O6: a failure of the network is a code', async () => {
    const fetch: OidcFetch = () => Promise.reject(new TypeError('fetch failed'));
    expect(await codeOf(() => discover(fetch))).toBe('oidc_unreachable');
  });

  it('O7: anything but a JSON object under 200 is refused', async () => {
    for (const text of ['', 'null', '[]', '"text"', '{', '<html></html>'])
      expect(await codeOf(() => discover(() => Promise.resolve(new Response(text))))).toBe('oidc_answer_form');
    for (const status of [201, 204, 400, 404, 500]) {
      const answer = status === 204 ? new Response(null, { status }) : jsonAnswer(metadataOf(ISSUER), status);
      expect(await codeOf(() => discover(() => Promise.resolve(answer)))).toBe('oidc_answer_form');
    }
  });
});

describe('O8 O9: discovery', () => {
  it('asks where the standard says, with one slash', () => {
    for (const issuer of ['https://a.test/x', 'https://a.test/x/'])
      expect(discoveryAddress(issuer)).toBe('https://a.test/x/.well-known/openid-configuration');
  });

  it('O8: the issuer is the same text, to the last slash', async () => {
    expect(await documented({})).toBe('accepted');
    for (const issuer of [
      `${ISSUER}/`,
      ISSUER.toUpperCase(),
      'https://evil.test',
      undefined,
      [ISSUER],
      `${ISSUER}:443`,
    ])
      expect(await documented({ issuer })).toBe('oidc_metadata_issuer');
    const tenant = '11111111-2222-4333-8444-555555555555';
    const entra = { profile: 'entra', issuer: `https://login.microsoftonline.com/${tenant}/v2.0` };
    expect(await documented({ issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' }, entra)).toBe(
      'oidc_metadata_issuer',
    );
    expect(await documented({ issuer: entra.issuer }, entra)).toBe('accepted');
    const jumpcloud = { profile: 'jumpcloud', issuer: 'https://oauth.id.jumpcloud.com/' };
    expect(await documented({ issuer: 'https://oauth.id.jumpcloud.com' }, jumpcloud)).toBe('oidc_metadata_issuer');
  });

  it('O4 O9: addresses are there, and https', async () => {
    for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri']) {
      for (const value of [undefined, 7, '', '/token', `https://a.test/${'a'.repeat(2048)}`, 'https://a.test/#x'])
        expect(await documented({ [name]: value })).toBe('oidc_metadata_invalid');
    }
    for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'end_session_endpoint']) {
      for (const value of [
        'http://login.provider.test/x',
        'file:///etc/passwd',
        'http://127.0.0.1/',
        'https://u:p@a.test/',
      ])
        expect(await documented({ [name]: value })).toBe('oidc_address_refused');
    }
  });

  it('O9: what the connection is going to use is on the lists that are there', async () => {
    const lists = {
      response_types_supported: ['code', 'id_token'],
      code_challenge_methods_supported: ['S256', 'plain'],
      id_token_signing_alg_values_supported: ['none', 'HS256', 'RS256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic'],
    };
    expect(await documented(lists)).toBe('accepted');
    expect(await documented({ ...lists, code_challenge_methods_supported: ['plain'] })).toBe(
      'oidc_metadata_unsupported',
    );
    expect(await documented(lists, { algorithm: 'ES256' })).toBe('oidc_metadata_unsupported');
    for (const name of Object.keys(lists)) {
      expect(await documented({ ...lists, [name]: [] })).toBe('oidc_metadata_unsupported');
      expect(await documented({ ...lists, [name]: 'S256 code RS256' })).toBe('oidc_metadata_invalid');
    }
  });

  it('O9: a promise to name itself is true or false, not a text', async () => {
    for (const value of ['true', 1, 'false'])
      expect(await documented({ authorization_response_iss_parameter_supported: value })).toBe('oidc_metadata_invalid');
  });
});

describe('O10 O24: keys', () => {
  const sourceOf = (sets: (() => Response | Promise<Response>)[], over: Partial<OidcConnectionInput> = {}) => {
    const connection = parseOidcConnection({ ...INPUT, ...over });
    const own = manualClock(NOW_MS);
    const asked: string[] = [];
    const fetch: OidcFetch = (url) => {
      asked.push(url);
      return Promise.resolve(sets[Math.min(asked.length, sets.length) - 1]!());
    };
    const provider = {
      issuer: ISSUER,
      authorizationEndpoint: `${ISSUER}/authorize`,
      tokenEndpoint: `${ISSUER}/token`,
      jwksUri: `${ISSUER}/keys`,
      endSessionEndpoint: undefined,
      namesItself: true,
      readAt_ms: NOW_MS,
    };
    return { source: createKeySource(connection, provider, { fetch, clock: own }), clock: own, asked };
  };
  const setOf = (...keys: unknown[]) => jsonAnswer({ keys });

  it('O10: reads the set once for many, and again after an hour', async () => {
    const { source, clock: own, asked } = sourceOf([() => setOf(key.jwk)]);
    await Promise.all([source.find('key-1'), source.find('key-1'), source.find(undefined)]);
    expect(asked).toHaveLength(1);
    own.advance(KEYS_AGE_MS_MAX);
    await source.find('key-1');
    expect(asked).toHaveLength(1);
    own.advance(1);
    await source.find('key-1');
    expect(asked).toHaveLength(2);
  });

  it('O10: a withdrawn key is forgotten, and an old set is not used when the provider is silent', async () => {
    const next = makeRsaKey('key-2');
    const { source, clock: own } = sourceOf([
      () => setOf(key.jwk),
      () => setOf(next.jwk),
      () => Promise.reject(new Error('away')),
    ]);
    await source.find('key-1');
    own.advance(KEYS_AGE_MS_MAX + 1);
    expect(await codeOf(() => source.find('key-1'))).toBe('oidc_key_unknown');
    own.advance(KEYS_AGE_MS_MAX + 1);
    expect(await codeOf(() => source.find('key-2'))).toBe('oidc_unreachable');
  });

  it('O24: an unknown key id reads the set anew, at most once a minute', async () => {
    const next = makeRsaKey('key-2');
    const { source, clock: own, asked } = sourceOf([() => setOf(key.jwk), () => setOf(key.jwk, next.jwk)]);
    await source.find('key-1');
    for (let count = 0; count < 50; count += 1)
      expect(await codeOf(() => source.find(`invented-${count}`))).toBe('oidc_key_unknown');
    expect(asked).toHaveLength(1);
    own.advance(KEYS_RELOAD_MS_MIN);
    expect(await source.find('key-2')).toMatchObject({ kty: 'RSA' });
    expect(asked).toHaveLength(2);
  });

  it('O10: a provider that is silent or answers nonsense is not asked for every token', async () => {
    for (const [bad, code] of [
      [() => Promise.reject(new Error('away')), 'oidc_unreachable'],
      [() => jsonAnswer({ keys: 'none' }), 'oidc_keys_invalid'],
    ] as const) {
      const { source, clock: own, asked } = sourceOf([bad, () => setOf(key.jwk)]);
      for (let count = 0; count < 20; count += 1) expect(await codeOf(() => source.find('key-1'))).toBe(code);
      own.advance(KEYS_RETRY_MS_MIN - 1);
      expect(await codeOf(() => source.find('key-1'))).toBe(code);
      expect(asked).toHaveLength(1);
      own.advance(1);
      expect(await source.find('key-1')).toMatchObject({ kty: 'RSA' });
      expect(asked).toHaveLength(2);
    }
  });

  it('O10: a key that is known is found while a reading for an unknown one is held back', async () => {
    const { source, clock: own, asked } = sourceOf([() => setOf(key.jwk), () => Promise.reject(new Error('away'))]);
    await source.find('key-1');
    own.advance(KEYS_RELOAD_MS_MIN);
    for (let count = 0; count < 20; count += 1)
      expect(await codeOf(() => source.find(`invented-${count}`))).toBe('oidc_unreachable');
    expect(await source.find('key-1')).toMatchObject({ kty: 'RSA' });
    expect(asked).toHaveLength(2);
  });

  it('O24: invented key ids make nobody ask a silent provider more than once a minute', async () => {
    const { source, clock: own, asked } = sourceOf([() => setOf(key.jwk), () => Promise.reject(new Error('away'))]);
    await source.find('key-1');
    own.advance(KEYS_RELOAD_MS_MIN);
    for (let waited_ms = 0; waited_ms < KEYS_RELOAD_MS_MIN; waited_ms += KEYS_RETRY_MS_MIN) {
      expect(await codeOf(() => source.find(`invented-${waited_ms}`))).toBe('oidc_unreachable');
      own.advance(KEYS_RETRY_MS_MIN);
    }
    expect(asked).toHaveLength(2);
    expect(await codeOf(() => source.find('key-2'))).toBe('oidc_unreachable');
    expect(asked).toHaveLength(3);
    expect(await source.find('key-1')).toMatchObject({ kty: 'RSA' });
  });

  it('O24: a reading that ends while an unknown id asks is everybody’s, and says unknown after it', async () => {
    const next = makeRsaKey('key-2');
    const { source, clock: own, asked } = sourceOf([() => setOf(key.jwk), () => setOf(key.jwk, next.jwk)]);
    await source.find('key-1');
    own.advance(KEYS_RELOAD_MS_MIN);
    const all = await Promise.all([source.find('key-2'), codeOf(() => source.find('invented')), source.find('key-1')]);
    expect([all[1], asked.length]).toEqual(['oidc_key_unknown', 2]);
  });

  it('O24: two keys that fit are none', async () => {
    const twin = makeRsaKey('key-1');
    const { source } = sourceOf([() => setOf(key.jwk, twin.jwk)]);
    expect(await codeOf(() => source.find('key-1'))).toBe('oidc_key_ambiguous');
    expect(await codeOf(() => source.find(undefined))).toBe('oidc_key_ambiguous');
  });

  it('O10: gives out the public part and nothing that the set says beside it', async () => {
    const { source } = sourceOf([() => setOf({ ...key.jwk, x5u: 'https://evil.test', x5c: ['AAAA'], jku: 'x' })]);
    expect(Object.keys(await source.find('key-1')).toSorted()).toEqual(['e', 'kty', 'n']);
  });

  it('O10: a huge key set, too many keys, and sets that are none', async () => {
    const { body, given } = endless(65_536);
    expect(await codeOf(() => sourceOf([() => new Response(body)]).source.find('key-1'))).toBe('oidc_answer_too_large');
    expect(given()).toBeLessThan(KEYS_BYTES_MAX + 4 * 65_536);
    const many = Array.from({ length: KEYS_MAX + 1 }, () => key.jwk);
    for (const document of [{ keys: many }, {}, { keys: {} }, { keys: [null] }, { keys: ['a'] }, { keys: [[]] }])
      expect(await codeOf(() => sourceOf([() => jsonAnswer(document)]).source.find('key-1'))).toBe('oidc_keys_invalid');
  });

  it('O10: a set that shows a private or a shared key is believed by nobody', () => {
    const privateJwk = key.privateKey.export({ format: 'jwk' });
    for (const one of [privateJwk, { kty: 'oct', k: 'c2VjcmV0' }])
      expect(() => parseKeys({ keys: [key.jwk, one] })).toThrow(expect.objectContaining({ code: 'oidc_keys_invalid' }));
  });

  it('O10: keys are used for what they were made for, and weak ones not at all', () => {
    const usable = (over: Readonly<Record<string, unknown>>, base: SigningKey = key) =>
      isUsable({ ...base.jwk, ...over } as never, 'RS256');
    expect(usable({})).toBe(true);
    expect(usable({ alg: 'RS256', key_ops: ['verify'] })).toBe(true);
    for (const over of [
      { use: 'enc' },
      { alg: 'PS256' },
      { alg: 'RSA-OAEP' },
      { key_ops: ['encrypt'] },
      { kty: 'EC' },
      { n: 7 },
    ])
      expect(usable(over)).toBe(false);
    expect(usable({}, makeRsaKey('weak', 1024))).toBe(false);
    expect(usable({ n: Buffer.alloc(1025, 0xff).toString('base64url') })).toBe(false);
    expect(usable({ n: Buffer.alloc(1024, 0xff).toString('base64url') })).toBe(true);
    expect(usable({ n: Buffer.concat([Buffer.alloc(200), Buffer.alloc(128, 0xff)]).toString('base64url') })).toBe(
      false,
    );
    const ec = makeEcKey('ec');
    expect(isUsable(ec.jwk as never, 'ES256')).toBe(true);
    expect(isUsable(makeEcKey('ec', 'P-384').jwk as never, 'ES256')).toBe(false);
    expect(isUsable(key.jwk as never, 'ES256')).toBe(false);
  });
});
