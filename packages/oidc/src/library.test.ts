import { manualClock, systemRandom } from '@auditrax/base';
import { authorizationCodeGrant, customFetch } from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';
import { startSignIn } from './index.ts';
import { libraryConfiguration } from './library.ts';
import {
  CLIENT_ID,
  ForgedProvider,
  ISSUER,
  jsonAnswer,
  makeRsaKey,
  NOW_SECONDS,
  signedToken,
  verdict,
  type SigningKey,
  type World,
} from './testing/forger.ts';

let key: SigningKey;
let attacker: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
  attacker = makeRsaKey('key-1');
});

/** What the library says alone, as this package sets it up, about a token under these claims. */
async function libraryAlone({ claims, token }: Pick<World, 'claims' | 'token'>): Promise<string> {
  const { connection, provider } = await new ForgedProvider(key).connect();
  const clock = manualClock(NOW_SECONDS * 1000);
  const { request } = startSignIn(connection, provider, { clock, random: systemRandom });
  const configuration = libraryConfiguration(connection, provider, clock);
  const ordinary = {
    iss: ISSUER,
    aud: CLIENT_ID,
    sub: 'alice',
    nonce: request.nonce,
    iat: NOW_SECONDS,
    exp: NOW_SECONDS + 300,
    ...claims,
  };
  const idToken = token === undefined ? signedToken(key, ordinary) : token(ordinary);
  configuration[customFetch] = () =>
    Promise.resolve(jsonAnswer({ access_token: 'a', token_type: 'Bearer', id_token: idToken }));
  const address = new URL(connection.redirectUri);
  address.search = new URLSearchParams({ code: 'c', state: request.state, iss: ISSUER }).toString();
  try {
    const checks = { expectedState: request.state, expectedNonce: request.nonce, pkceCodeVerifier: request.verifier };
    await authorizationCodeGrant(configuration, address, checks);
    return 'accepted';
  } catch {
    return 'refused';
  }
}

/** The README says what the library leaves to us; a new version that changes it shows here. */
describe('O20: the library alone', () => {
  const left: [string, Pick<World, 'claims' | 'token'>, string][] = [
    ['a foreign signature', { token: (claims) => signedToken(attacker, claims) }, 'oidc_signature_invalid'],
    ['an access token’s type', { token: (claims) => signedToken(key, claims, { typ: 'at+jwt' }) }, 'oidc_token_typ'],
    ['a second audience', { claims: { aud: [CLIENT_ID, 'another'], azp: CLIENT_ID } }, 'oidc_audience'],
    ['the hash of another access token', { claims: { at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' } }, 'oidc_access_token_hash'],
    ['a token from last year', { claims: { iat: NOW_SECONDS - 365 * 86_400 } }, 'oidc_issued_at'],
    ['a padded subject', { claims: { sub: 'alice ' } }, 'oidc_subject_form'],
  ];
  it.each(left)('accepts %s, which the gate refuses', async (_, world, code) => {
    expect(await libraryAlone(world)).toBe('accepted');
    expect(await verdict(() => new ForgedProvider(key, world).signIn())).toBe(code);
  });

  it('refuses, as the gate does, what is plainly wrong; its clock is ours', async () => {
    for (const claims of [{ iss: 'https://evil.test' }, { aud: 'another' }, { nonce: 'x' }, { exp: NOW_SECONDS - 70 }])
      expect(await libraryAlone({ claims })).toBe('refused');
    expect(await libraryAlone({})).toBe('accepted');
  });
});
