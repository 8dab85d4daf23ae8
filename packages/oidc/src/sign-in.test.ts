import { createHash, createHmac, createPublicKey, constants, sign } from 'node:crypto';
import { systemRandom } from '@auditrax/base';
import { beforeAll, describe, expect, it } from 'vitest';
import { finishSignIn, startSignIn } from './index.ts';
import { AMR_MAX, CALLBACK_CHARACTERS_MAX, GROUPS_MAX, REQUEST_AGE_MS_MAX, TOKEN_CHARACTERS_MAX } from './limits.ts';
import {
  ACCESS_TOKEN_HASH,
  CLIENT_ID,
  ForgedProvider,
  INPUT,
  ISSUER,
  makeEcKey,
  makeRsaKey,
  makeToken,
  NOW_MS,
  NOW_SECONDS,
  rs256,
  signedToken,
  SUBJECT,
  verdict,
  type SigningKey,
  type World,
} from './testing/forger.ts';

const ACCEPTED = `accepted as ${SUBJECT}`;
const TENANT = '11111111-2222-4333-8444-555555555555';
const OBJECT = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
const ENTRA = { profile: 'entra', issuer: `https://login.microsoftonline.com/${TENANT}/v2.0` } as const;
const GOOGLE = { profile: 'google', issuer: 'https://accounts.google.com', hostedDomain: 'acme.test' } as const;

let key: SigningKey;
let attacker: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
  attacker = makeRsaKey('key-1');
});

const outcome = (world: World = {}) => verdict(() => new ForgedProvider(key, world).signIn());
const withClaims = (claims: Readonly<Record<string, unknown>>, world: World = {}) => outcome({ ...world, claims });

describe('an ordinary sign-in', () => {
  it('O11: asks for a code with PKCE S256, state and nonce, all of them new each time', async () => {
    const [first, second] = [new ForgedProvider(key), new ForgedProvider(key)];
    await Promise.all([first.signIn(), second.signIn()]);
    const asked = Object.fromEntries(first.url.searchParams);
    expect(asked).toMatchObject({
      response_type: 'code',
      client_id: CLIENT_ID,
      redirect_uri: INPUT.redirectUri,
      scope: 'openid profile email',
      code_challenge_method: 'S256',
    });
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(asked[name]).toMatch(/^[\w-]{43}$/);
      expect(asked[name]).not.toBe(second.url.searchParams.get(name));
    }
    expect(asked).not.toHaveProperty('max_age');
    expect(first.url.href).not.toContain(first.tokenRequest.get('code_verifier'));
    expect(first.tokenRequest.get('redirect_uri')).toBe(INPUT.redirectUri);
  });

  it('gives out the person, with what is only shown beside it', async () => {
    const claims = {
      sid: 'session-1',
      auth_time: NOW_SECONDS - 60,
      acr: 'phr',
      amr: ['hwk', 'user'],
      email: 'alice@acme.test',
      name: 'Alice',
      at_hash: ACCESS_TOKEN_HASH,
      azp: CLIENT_ID,
      nbf: NOW_SECONDS,
      roles: ['g-1', 'g-2', 'g-1'],
      __proto__: { admin: true },
    };
    const person = await new ForgedProvider(key, { claims, connection: { claims: { groups: 'roles' } } }).signIn();
    expect(person).toMatchObject({
      key: SUBJECT,
      subject: SUBJECT,
      sessionId: 'session-1',
      signedIn_ms: NOW_MS - 60_000,
      acr: 'phr',
      amr: ['hwk', 'user'],
      email: 'alice@acme.test',
      name: 'Alice',
      groups: ['g-1', 'g-2'],
    });
    expect(person.claims.get('iss')).toBe(ISSUER);
    expect(person.idToken.split('.')).toHaveLength(3);
  });

  it('O11: asks for a new sign-in with prompt and max_age, and O30 looks whether there was one', async () => {
    const provider = new ForgedProvider(key, { isFresh: true, claims: { auth_time: NOW_SECONDS + 2 } });
    await provider.signIn();
    expect(Object.fromEntries(provider.url.searchParams)).toMatchObject({ prompt: 'login', max_age: '0' });
    expect(await withClaims({ auth_time: NOW_SECONDS - 61 }, { isFresh: true })).toBe('oidc_authn_too_old');
    expect(await withClaims({}, { isFresh: true })).toBe('oidc_auth_time_missing');
  });

  it('O11: says at once that Google cannot be asked for a new sign-in', async () => {
    expect(await outcome({ connection: GOOGLE, isFresh: true })).toBe('oidc_fresh_unsupported');
  });

  it('asks Okta’s own server for groups by scope, and its custom one not', async () => {
    const scopeOf = async (issuer: string) => {
      const claims = { groups: ['g'] };
      const world = { claims, connection: { profile: 'okta', issuer, claims: { groups: 'groups' } } };
      const provider = new ForgedProvider(key, world);
      await provider.signIn();
      return provider.url.searchParams.get('scope');
    };
    expect(await scopeOf('https://acme.okta.com')).toBe('openid profile email groups');
    expect(await scopeOf('https://acme.okta.com/oauth2/default')).toBe('openid profile email');
  });

  it('takes PS256 and ES256 where the connection is set to them', async () => {
    const ps = (text: string) =>
      sign('sha256', Buffer.from(text), {
        key: key.privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: 32,
      });
    const pss = (claims: unknown) => makeToken({ alg: 'PS256', kid: key.kid }, claims, ps);
    expect(await outcome({ token: pss, connection: { algorithm: 'PS256' } })).toBe(ACCEPTED);
    expect(await outcome({ token: pss })).toBe('oidc_algorithm_refused');
    const ec = makeEcKey('ec-1');
    const es = (text: string) => sign('sha256', Buffer.from(text), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
    const ecdsa = (claims: unknown) => makeToken({ alg: 'ES256', kid: ec.kid }, claims, es);
    expect(await outcome({ token: ecdsa, keys: [ec.jwk], connection: { algorithm: 'ES256' } })).toBe(ACCEPTED);
    // The key is there and the signature holds: what is missing is the connection's consent.
    expect(await outcome({ token: ecdsa, keys: [ec.jwk] })).toBe('oidc_algorithm_refused');
  });

  it('proves itself by a secret in the header, in the form, or by a key', async () => {
    const form = new ForgedProvider(key, {
      connection: { clientAuthentication: { method: 'client_secret_post', secret: 'a+b%c' } },
    });
    await form.signIn();
    expect(form.tokenRequest.get('client_secret')).toBe('a+b%c');
    for (const own of [makeRsaKey('own'), makeEcKey('own')]) {
      const privateKey = own.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
      const signer = new ForgedProvider(key, {
        connection: { clientAuthentication: { method: 'private_key_jwt', privateKey, kid: 'own' } },
      });
      await signer.signIn();
      const [header, claims] = signer.tokenRequest
        .get('client_assertion')!
        .split('.')
        .slice(0, 2)
        .map((text) => JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>);
      expect(header).toMatchObject({ kid: 'own', alg: own.jwk.kty === 'RSA' ? 'RS256' : 'ES256' });
      expect(claims).toMatchObject({ iss: CLIENT_ID, sub: CLIENT_ID, aud: ISSUER });
      expect(signer.tokenRequest.has('client_secret')).toBe(false);
    }
  });
});

describe('O12 to O18: what comes back by the browser', () => {
  it('O16: mix-up: refuses an answer that names another issuer, or none where one was promised', async () => {
    expect(await outcome()).toBe(ACCEPTED);
    expect(await outcome({ answer: { iss: 'https://evil.test' } })).toBe('oidc_answer_issuer');
    expect(await outcome({ answer: { iss: `${ISSUER}/` } })).toBe('oidc_answer_issuer');
    expect(await outcome({ answer: { iss: '' } })).toBe('oidc_answer_issuer');
    expect(await outcome({ answer: { iss: null } })).toBe('oidc_answer_issuer');
  });

  it('O16: a provider that promised nothing may be silent, and may not name another', async () => {
    const silent = { metadata: { authorization_response_iss_parameter_supported: undefined } };
    expect(await outcome({ ...silent, answer: { iss: null } })).toBe(ACCEPTED);
    expect(await outcome({ ...silent, answer: { iss: 'https://evil.test' } })).toBe('oidc_answer_issuer');
    // The promise is kept with the request, whatever the discovery document says meanwhile.
    const request = (stored: Parameters<NonNullable<World['request']>>[0]) => ({ ...stored, mustNameItself: true });
    expect(await outcome({ ...silent, request, answer: { iss: null } })).toBe('oidc_answer_issuer');
  });

  it('O13: refuses an answer without a request, and one with another state', async () => {
    expect(await outcome({ request: () => undefined })).toBe('oidc_unsolicited');
    expect(await outcome({ answer: { state: 'guessed' } })).toBe('oidc_state');
    expect(await outcome({ answer: { state: null } })).toBe('oidc_state');
  });

  it('O14: the state of another connection opens nothing here', async () => {
    for (const change of [
      { redirectUri: 'https://auditrax.test/api/oidc/other/callback' },
      { issuer: 'https://other.test' },
      { clientId: 'another' },
    ])
      expect(await outcome({ request: (stored) => ({ ...stored, ...change }) })).toBe('oidc_other_connection');
  });

  it('O15: refuses the answer to an old request', async () => {
    const claims = { exp: NOW_SECONDS + 3600 };
    expect(await outcome({ wait_ms: REQUEST_AGE_MS_MAX, claims })).toBe(ACCEPTED);
    expect(await outcome({ wait_ms: REQUEST_AGE_MS_MAX + 1, claims })).toBe('oidc_request_expired');
    expect(await outcome({ wait_ms: -60_001 })).toBe('oidc_request_expired');
  });

  it('O12: refuses doubled parameters and an overlong query', async () => {
    for (const name of ['code', 'state', 'iss', 'error', 'x'])
      expect(await outcome({ query: ({ state }) => `code=a&state=${state}&iss=${ISSUER}&error=&x=1&${name}=b` })).toBe(
        'oidc_parameter_repeated',
      );
    const padding = 'a'.repeat(CALLBACK_CHARACTERS_MAX);
    expect(await outcome({ answer: { code: padding } })).toBe('oidc_callback_too_large');
  });

  it('O17: an error of the provider is an error, but not that of another provider', async () => {
    const answer = { error: 'access_denied', error_description: 'no\r\nforged line', code: null };
    expect(await outcome({ answer })).toBe('oidc_answer_error');
    expect(await outcome({ answer: { ...answer, iss: 'https://evil.test' } })).toBe('oidc_answer_issuer');
    await expect(new ForgedProvider(key, { answer }).signIn()).rejects.toThrow(/^[^\r\n]*$/);
  });

  it('O18: takes a code and nothing else', async () => {
    expect(await outcome({ answer: { code: null } })).toBe('oidc_code_missing');
    expect(await outcome({ answer: { code: '' } })).toBe('oidc_code_missing');
    for (const name of ['id_token', 'access_token', 'response', 'token'])
      expect(await outcome({ answer: { [name]: 'x' } })).toBe('oidc_answer_mode');
  });

  it('sends nothing anywhere before all of that holds', async () => {
    const provider = new ForgedProvider(key, { answer: { state: 'guessed' } });
    expect(await verdict(() => provider.signIn())).toBe('oidc_state');
    expect(provider.asked).toEqual([`${ISSUER}/.well-known/openid-configuration`]);
  });
});

describe('O19 O20: the code for tokens', () => {
  it('O19: an injected code fails, because it belongs to another verifier', async () => {
    const provider = new ForgedProvider(key);
    const { connection, provider: known, keys } = await provider.connect();
    const options = { clock: provider.clock, random: systemRandom };
    const [victim, thief] = [startSignIn(connection, known, options), startSignIn(connection, known, options)];
    provider.codes.set('stolen', new URL(victim.url).searchParams.get('code_challenge')!);
    const claims = { iss: ISSUER, aud: CLIENT_ID, sub: SUBJECT, iat: NOW_SECONDS, exp: NOW_SECONDS + 300 };
    provider.idToken = signedToken(key, { ...claims, nonce: victim.request.nonce });
    const bring = ({ request }: typeof victim) =>
      verdict(() =>
        finishSignIn(
          {
            query: `code=stolen&state=${request.state}&iss=${encodeURIComponent(ISSUER)}`,
            request,
            connection,
            provider: known,
            keys,
          },
          provider,
        ),
      );
    expect(await bring(thief)).toBe('oidc_token_refused');
    expect(await bring(victim)).toBe(ACCEPTED);
  });

  it('O19: answers of the token endpoint that are none', async () => {
    expect(await outcome({ token: () => undefined })).toBe('oidc_id_token_missing');
    expect(await outcome({ token: () => 7 })).toBe('oidc_token_answer');
    expect(await outcome({ tokenAnswer: { access_token: 7 } })).toBe('oidc_token_answer');
  });

  it('O20: what only the library objects to is refused too', async () => {
    expect(await outcome({ tokenAnswer: { token_type: 'mac' } })).toBe('oidc_library_refused');
    expect(await outcome({ tokenAnswer: { expires_in: {} } })).toBe('oidc_library_refused');
  });
});

describe('O21 to O25: signatures', () => {
  it('O22: alg none, and every other way to write it', async () => {
    for (const alg of ['none', 'None', 'NONE', '', undefined, null, ['RS256'], 'rs256'])
      expect(await outcome({ token: (claims) => makeToken({ alg }, claims, () => Buffer.alloc(0)) })).toBe(
        'oidc_algorithm_refused',
      );
    const unsigned = (claims: unknown) => makeToken({ alg: 'RS256', kid: key.kid }, claims, () => Buffer.alloc(0));
    expect(await outcome({ token: unsigned })).toBe('oidc_signature_invalid');
  });

  it('O22: HS256 with the public key, or with the client’s secret, as its secret', async () => {
    const spki = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' });
    for (const secret of [spki, JSON.stringify(key.jwk), 'a-secret-of-a-test'])
      expect(
        await outcome({
          token: (claims) =>
            makeToken({ alg: 'HS256', kid: key.kid }, claims, (text) =>
              createHmac('sha256', secret).update(text).digest(),
            ),
        }),
      ).toBe('oidc_algorithm_refused');
  });

  it('O22: RS512 with the right key is not what the connection is set to', async () => {
    const token = (claims: unknown) =>
      makeToken({ alg: 'RS512', kid: key.kid }, claims, (text) => sign('sha512', Buffer.from(text), key.privateKey));
    expect(await outcome({ token })).toBe('oidc_algorithm_refused');
  });

  it('O24: kid injection finds no key', async () => {
    for (const kid of ['../../etc/passwd', "' OR 1=1 --", '__proto__', 'constructor', 'KEY-1', 'key-1\0'])
      expect(await outcome({ token: (claims) => signedToken(key, claims, { kid }) })).toBe('oidc_key_unknown');
    for (const kid of ['', 7, { toString: 'key-1' }, ['key-1'], 'k'.repeat(257)])
      expect(await outcome({ token: (claims) => signedToken(key, claims, { kid }) })).toBe('oidc_token_form');
  });

  it('O25: jku, x5u, jwk and x5c in the header are never fetched and never believed', async () => {
    const header = {
      jku: 'https://evil.test/keys',
      x5u: 'https://evil.test/cert',
      jwk: attacker.jwk,
      x5c: ['AAAA'],
    };
    const forged = new ForgedProvider(key, { token: (claims) => signedToken(attacker, claims, header) });
    expect(await verdict(() => forged.signIn())).toBe('oidc_signature_invalid');
    expect(forged.asked.filter((url) => url.includes('evil'))).toEqual([]);
    const honest = new ForgedProvider(key, { token: (claims) => signedToken(key, claims, header) });
    expect(await verdict(() => honest.signIn())).toBe(ACCEPTED);
    expect(honest.asked.filter((url) => url.includes('evil'))).toEqual([]);
  });

  it('O25: one changed character of header, claims or signature', async () => {
    for (const place of [0, 1, 2])
      expect(
        await outcome({
          token: (claims) => {
            const parts = signedToken(key, claims).split('.');
            if (place === 2) parts[2] = Buffer.from(parts[2]!, 'base64url').reverse().toString('base64url');
            else parts[place] = parts[place]!.replace(/^ey/, 'ew');
            return parts.join('.');
          },
        }),
      ).toMatch(place === 0 ? /^oidc_(token_form|signature_invalid)$/ : /^oidc_signature_invalid$/);
  });

  it('O23: an access token, a logout token or a typ that is no text is no ID token', async () => {
    for (const typ of ['at+jwt', 'application/at+jwt', 'logout+jwt', 'dpop+jwt', 'JOSE', 7, null, ['JWT']])
      expect(await outcome({ token: (claims) => signedToken(key, claims, { typ }) })).toBe('oidc_token_typ');
    for (const typ of ['JWT', 'jwt', undefined])
      expect(await outcome({ token: (claims) => signedToken(key, claims, { typ }) })).toBe(ACCEPTED);
  });

  it('O21: encrypted, padded, extended, overlong and torn tokens', async () => {
    const tokens: ((token: string) => string)[] = [
      (token) => `${token}.x.y`,
      (token) => `${token}=`,
      (token) => token.replace('.', ' .'),
      (token) => token.split('.').slice(0, 2).join('.'),
      () => '',
      () => 'a'.repeat(TOKEN_CHARACTERS_MAX + 1),
    ];
    for (const change of tokens)
      expect(await outcome({ token: (claims) => change(signedToken(key, claims)) })).toBe('oidc_token_form');
    for (const header of [{ crit: ['b64'], b64: false }, { crit: [] }, { zip: 'DEF' }])
      expect(await outcome({ token: (claims) => signedToken(key, claims, header) })).toBe('oidc_token_form');
    for (const claims of [[], 'text', null])
      expect(await outcome({ token: () => makeToken({ alg: 'RS256', kid: key.kid }, claims, rs256(key)) })).toBe(
        'oidc_token_form',
      );
  });
});

describe('O26 to O31: what the token says about itself', () => {
  it('O26: another issuer, and the templated one', async () => {
    for (const iss of [undefined, `${ISSUER}/`, 'https://evil.test', [ISSUER], ISSUER.toUpperCase()])
      expect(await withClaims({ iss })).toBe('oidc_token_issuer');
    const templated = 'https://login.microsoftonline.com/{tenantid}/v2.0';
    expect(await withClaims({ iss: templated, tid: TENANT, oid: OBJECT }, { connection: ENTRA })).toBe(
      'oidc_token_issuer',
    );
  });

  it('O27: a missing, foreign or additional audience', async () => {
    for (const aud of [undefined, 'another', '', [], ['another'], [CLIENT_ID, 'another'], [CLIENT_ID, CLIENT_ID]])
      expect(await withClaims({ aud })).toBe('oidc_audience');
    expect(await withClaims({ aud: [CLIENT_ID] })).toBe(ACCEPTED);
  });

  it('O27: an authorized party that is somebody else', async () => {
    expect(await withClaims({ azp: 'another' })).toBe('oidc_authorized_party');
    expect(await withClaims({ azp: [CLIENT_ID] })).toBe('oidc_authorized_party');
    expect(await withClaims({ azp: CLIENT_ID })).toBe(ACCEPTED);
  });

  it('O28: times, with a minute for the clocks', async () => {
    const now = NOW_SECONDS + 5;
    expect(await withClaims({ exp: now - 60 })).toBe('oidc_expired');
    expect(await withClaims({ exp: now - 59 })).toBe(ACCEPTED);
    expect(await withClaims({ nbf: now + 61 })).toBe('oidc_not_yet_valid');
    expect(await withClaims({ nbf: now + 60 })).toBe(ACCEPTED);
    expect(await withClaims({ iat: now + 61 })).toBe('oidc_issued_at');
    expect(await withClaims({ iat: NOW_SECONDS - 61 })).toBe('oidc_issued_at');
    expect(await withClaims({ iat: NOW_SECONDS - 60 })).toBe(ACCEPTED);
    for (const value of [undefined, 'soon', -1, 1e15, null, true])
      expect([await withClaims({ exp: value }), await withClaims({ iat: value })]).toEqual([
        'oidc_time_form',
        'oidc_time_form',
      ]);
  });

  it('O29: nonce swap: the token of another request', async () => {
    for (const nonce of [undefined, '', 'of-another-request', null])
      expect(await withClaims({ nonce })).toBe('oidc_nonce');
  });

  it('O30: a stale auth_time, one from the future, and none', async () => {
    const connection = { authnAge_seconds_max: 3600 };
    const now = NOW_SECONDS + 5;
    const at = (auth_time: unknown) => withClaims({ auth_time }, { connection });
    expect(await at(now - 3660)).toBe(ACCEPTED);
    expect(await at(now - 3661)).toBe('oidc_authn_too_old');
    expect(await at(now + 61)).toBe('oidc_auth_time_future');
    expect(await at(undefined)).toBe('oidc_auth_time_missing');
    expect(await at('yesterday')).toBe('oidc_time_form');
    expect(await withClaims({})).toBe(ACCEPTED);
    const provider = new ForgedProvider(key, { connection, claims: { auth_time: now } });
    await provider.signIn();
    expect(provider.url.searchParams.get('max_age')).toBe('3600');
  });

  it('O31: an access token that belongs to another ID token', async () => {
    expect(await withClaims({ at_hash: ACCESS_TOKEN_HASH })).toBe(ACCEPTED);
    const foreign = createHash('sha256').update('foreign').digest().subarray(0, 16).toString('base64url');
    for (const at_hash of [foreign, `${ACCESS_TOKEN_HASH}=`, '', null, 7])
      expect(await withClaims({ at_hash })).toBe('oidc_access_token_hash');
  });
});

describe('O32 to O37: the person', () => {
  it('O32: subjects with two spellings, none, or too long', async () => {
    for (const sub of [undefined, '', ' a', 'a ', 'a\n', 'ä', 'a\u200b', 7, ['a'], 'a'.repeat(256)])
      expect(await withClaims({ sub })).toBe('oidc_subject_form');
    expect(await withClaims({ sub: 'a'.repeat(255) })).toBe(`accepted as ${'a'.repeat(255)}`);
    expect(await withClaims({ sub: '__proto__' })).toBe('accepted as __proto__');
  });

  it('O33: nOAuth: the e-mail of a victim makes no key, verified or not', async () => {
    const victim = { email: 'ceo@acme.test', email_verified: true, preferred_username: 'ceo@acme.test' };
    expect(await withClaims(victim)).toBe(ACCEPTED);
    expect(await withClaims({ ...victim, tid: TENANT, oid: OBJECT }, { connection: ENTRA })).toBe(
      `accepted as ${TENANT}/${OBJECT}`,
    );
  });

  it('O33 O34: Entra: the person is directory and object, in the directory of the connection', async () => {
    const entra = (claims: Readonly<Record<string, unknown>>) => withClaims(claims, { connection: ENTRA });
    const foreign = '99999999-2222-4333-8444-555555555555';
    expect(await entra({ tid: TENANT, oid: OBJECT, sub: 'changes-with-the-application' })).toBe(
      `accepted as ${TENANT}/${OBJECT}`,
    );
    expect(await entra({ tid: foreign, oid: OBJECT })).toBe('oidc_tenant');
    for (const claims of [
      { tid: TENANT },
      { oid: OBJECT },
      { tid: TENANT, oid: OBJECT.toUpperCase() },
      { tid: 1, oid: 2 },
    ])
      expect(await entra(claims)).toBe('oidc_subject_claims');
  });

  it('O34: Google: only accounts of the domain, and a personal account has none', async () => {
    const google = (claims: Readonly<Record<string, unknown>>) => withClaims(claims, { connection: GOOGLE });
    expect(await google({ hd: 'acme.test' })).toBe(ACCEPTED);
    for (const hd of [undefined, 'evil.test', 'ACME.test', 'sub.acme.test', ['acme.test'], ''])
      expect(await google({ hd, email: 'ceo@acme.test', email_verified: true })).toBe('oidc_hosted_domain');
  });

  it('O35: more groups than a token holds is an error, not no groups', async () => {
    const connection = { ...ENTRA, claims: { groups: 'groups' } };
    const person = { tid: TENANT, oid: OBJECT };
    const overage = { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://graph.test' } } };
    const provider = new ForgedProvider(key, { connection, claims: { ...person, ...overage } });
    expect(await verdict(() => provider.signIn())).toBe('oidc_groups_overage');
    expect(provider.asked.filter((url) => url.includes('graph'))).toEqual([]);
    expect(await withClaims({ ...person, hasgroups: true }, { connection })).toBe('oidc_groups_overage');
    expect(await withClaims({ ...person, ...overage }, { connection: { ...ENTRA, claims: { groups: 'roles' } } })).toBe(
      `accepted as ${TENANT}/${OBJECT}`,
    );
  });

  it('O36: absent is not empty, one is a list, and nonsense is refused', async () => {
    const groupsOf = async (claims: Readonly<Record<string, unknown>>, groups: string | undefined = 'groups') =>
      (
        await new ForgedProvider(key, {
          claims,
          connection: { claims: groups === '' ? {} : { groups } },
        }).signIn()
      ).groups;
    expect(await groupsOf({})).toBeUndefined();
    expect(await groupsOf({ groups: [] })).toEqual([]);
    expect(await groupsOf({ groups: 'Auditors' })).toEqual(['Auditors']);
    expect(await groupsOf({ groups: ['a'] }, '')).toBeUndefined();
    expect(await groupsOf({}, 'constructor')).toBeUndefined();
    expect(await groupsOf({}, '__proto__')).toBeUndefined();
    const bad = [null, 7, [7], [''], {}, ['a'.repeat(1025)], Array.from({ length: GROUPS_MAX + 1 }, (_, n) => `g${n}`)];
    for (const groups of bad)
      expect(await withClaims({ groups }, { connection: { claims: { groups: 'groups' } } })).toBe('oidc_groups_form');
  });

  it('O37: session, acr and amr have their forms; what is only shown refuses nobody', async () => {
    for (const claims of [{ sid: '' }, { sid: 7 }, { sid: 'a'.repeat(257) }, { acr: [] }, { amr: [7] }])
      expect(await withClaims(claims)).toBe('oidc_claim_form');
    expect(await withClaims({ amr: Array.from({ length: AMR_MAX + 1 }, () => 'pwd') })).toBe('oidc_claim_form');
    const claims = { amr: 'pwd', email: ['a'], name: 'a\u0000b' };
    const person = await new ForgedProvider(key, { claims }).signIn();
    expect(person).toMatchObject({ amr: ['pwd'], email: undefined, name: undefined });
    expect(person.claims.get('email')).toEqual(['a']);
  });
});
