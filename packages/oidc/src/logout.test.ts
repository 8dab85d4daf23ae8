import { isAppError } from '@auditrax/base';
import { beforeAll, describe, expect, it } from 'vitest';
import { endSessionUrl, verifyLogoutToken } from './index.ts';
import {
  CLIENT_ID,
  ForgedProvider,
  ISSUER,
  makeRsaKey,
  NOW_SECONDS,
  signedToken,
  type SigningKey,
  type World,
} from './testing/forger.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

let key: SigningKey;
let attacker: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
  attacker = makeRsaKey('key-1');
});

const CLAIMS = {
  iss: ISSUER,
  aud: CLIENT_ID,
  iat: NOW_SECONDS,
  exp: NOW_SECONDS + 120,
  jti: 'logout-1',
  sub: 'alice',
  sid: 'session-1',
  events: { [EVENT]: {} },
};

async function order(
  claims: Readonly<Record<string, unknown>> = {},
  options: {
    header?: Readonly<Record<string, unknown>>;
    signer?: SigningKey;
    once?: (id: string, forget_ms: number) => Promise<boolean>;
  } = {},
) {
  const provider = new ForgedProvider(key);
  const { connection, keys } = await provider.connect();
  const token = signedToken(options.signer ?? key, { ...CLAIMS, ...claims }, { typ: 'logout+jwt', ...options.header });
  return verifyLogoutToken(
    { token, connection, keys },
    { clock: provider.clock, once: options.once ?? (() => Promise.resolve(true)) },
  );
}

async function verdict(...parameters: Parameters<typeof order>): Promise<string> {
  try {
    const { subject, sessionId } = await order(...parameters);
    return `ends ${subject ?? '-'} ${sessionId ?? '-'}`;
  } catch (error) {
    if (isAppError(error)) return error.code;
    throw error;
  }
}

describe('back-channel logout', () => {
  it('O40: ends the sessions of a person, one session, or both', async () => {
    expect(await verdict()).toBe('ends alice session-1');
    expect(await verdict({ sub: undefined })).toBe('ends - session-1');
    expect(await verdict({ sid: undefined })).toBe('ends alice -');
    expect(await verdict({ sub: undefined, sid: undefined })).toBe('oidc_logout_target');
    expect(await verdict({ sub: ['alice'] })).toBe('oidc_subject_form');
    expect(await verdict({ sid: 7 })).toBe('oidc_claim_form');
  });

  it('O23: an ID token, or a token without its type, ends nothing', async () => {
    for (const typ of ['JWT', undefined, 'at+jwt', 'secevent+jwt'])
      expect(await verdict({}, { header: { typ } })).toBe('oidc_token_typ');
    expect(await verdict({}, { header: { typ: 'application/logout+jwt' } })).toBe('ends alice session-1');
  });

  it('O22 O25: algorithm and signature are those of the connection', async () => {
    expect(await verdict({}, { header: { alg: 'none' } })).toBe('oidc_algorithm_refused');
    expect(await verdict({}, { header: { alg: 'HS256' } })).toBe('oidc_algorithm_refused');
    expect(await verdict({}, { signer: attacker })).toBe('oidc_signature_invalid');
  });

  it('O26 O27: from our provider, for this client alone', async () => {
    expect(await verdict({ iss: 'https://evil.test' })).toBe('oidc_token_issuer');
    expect(await verdict({ aud: 'another' })).toBe('oidc_audience');
    expect(await verdict({ aud: [CLIENT_ID, 'another'] })).toBe('oidc_audience');
    expect(await verdict({ aud: undefined })).toBe('oidc_audience');
  });

  it('O38: fresh, with a minute for the clocks; exp may be absent', async () => {
    expect(await verdict({ iat: NOW_SECONDS - 180, exp: undefined })).toBe('ends alice session-1');
    expect(await verdict({ iat: NOW_SECONDS - 181, exp: NOW_SECONDS + 3600 })).toBe('oidc_logout_time');
    expect(await verdict({ iat: NOW_SECONDS + 61 })).toBe('oidc_logout_time');
    expect(await verdict({ iat: undefined })).toBe('oidc_logout_time');
    expect(await verdict({ iat: 'now' })).toBe('oidc_time_form');
    expect(await verdict({ exp: NOW_SECONDS - 60 })).toBe('oidc_expired');
  });

  it('O39: carries the event, and no nonce', async () => {
    const wrong = [undefined, {}, [EVENT], EVENT, { [EVENT]: true }, { [EVENT]: [] }, { other: {} }, null];
    for (const events of wrong) expect(await verdict({ events })).toBe('oidc_logout_event');
    for (const nonce of ['n', '', null]) expect(await verdict({ nonce })).toBe('oidc_logout_nonce');
  });

  it('O41: once, remembered until nobody could use it any more, and asked last', async () => {
    const asked: [string, number][] = [];
    const once = (id: string, forget_ms: number) => {
      asked.push([id, forget_ms]);
      return Promise.resolve(asked.length === 1);
    };
    await order({}, { once });
    // The last moment at which its iat is still taken is 180 s after it.
    expect(asked).toEqual([['logout-1', (NOW_SECONDS + 240) * 1000]]);
    expect(await verdict({}, { once })).toBe('oidc_replayed');
    expect(await verdict({ nonce: 'n' }, { once })).toBe('oidc_logout_nonce');
    expect(asked).toHaveLength(2);
    for (const jti of [undefined, '', 7, 'a'.repeat(257)])
      expect(await verdict({ jti }, { once })).toBe('oidc_logout_id');
    await expect(order({}, { once: () => Promise.reject(new Error('store is away')) })).rejects.toThrow(
      'store is away',
    );
  });
});

describe('O42: signing out at the provider', () => {
  const addressOf = async (world: World, idToken?: string) => {
    const forged = new ForgedProvider(key, world);
    const { connection, provider } = await forged.connect();
    const session = { state: 'opaque', clock: forged.clock, ...(idToken === undefined ? {} : { idToken }) };
    return endSessionUrl(connection, provider, session);
  };

  it('names the client, the token and where to come back to', async () => {
    const url = new URL((await addressOf({}, 'an.id.token'))!);
    expect(url.origin + url.pathname).toBe(`${ISSUER}/logout`);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: CLIENT_ID,
      id_token_hint: 'an.id.token',
      post_logout_redirect_uri: 'https://auditrax.test/signed-out',
      state: 'opaque',
    });
    expect(new URL((await addressOf({}))!).searchParams.has('id_token_hint')).toBe(false);
  });

  it('says so where the provider has no such address', async () => {
    expect(await addressOf({ metadata: { end_session_endpoint: undefined } })).toBeUndefined();
  });
});
