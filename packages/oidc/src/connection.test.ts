import { generateKeyPairSync } from 'node:crypto';
import { isAppError } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import { OIDC_CHECKS, parseOidcConnection, PROFILES, type OidcConnectionInput, type ProviderProfile } from './index.ts';
import { INPUT, makeEcKey, makeRsaKey } from './testing/forger.ts';

function verdict(over: Readonly<Record<string, unknown>>, options = {}): string {
  try {
    parseOidcConnection({ ...INPUT, ...over } as OidcConnectionInput, options);
    return 'accepted';
  } catch (error) {
    if (!isAppError(error)) throw error;
    return `${error.code} ${error.field ?? ''}`.trim();
  }
}

const TENANT = '11111111-2222-4333-8444-555555555555';
const DOMAIN = { hostedDomain: 'acme.test' };

describe('O1: settings', () => {
  it('takes a plain connection, and fills in what is not said', () => {
    expect(parseOidcConnection(INPUT)).toMatchObject({
      algorithm: 'RS256',
      claims: { groups: undefined, email: 'email', name: 'name' },
      authnAge_seconds_max: undefined,
      isRehearsal: false,
    });
  });

  it('refuses what is not usable, and names the field', () => {
    const secret = 'a-secret';
    const bad: [Readonly<Record<string, unknown>>, string][] = [
      [{ profile: 'auth0' }, 'profile'],
      [{ profile: '__proto__' }, 'profile'],
      [{ clientId: '' }, 'clientId'],
      [{ clientId: 'a b' }, 'clientId'],
      [{ clientId: 'a'.repeat(257) }, 'clientId'],
      [{ algorithm: 'none' }, 'algorithm'],
      [{ algorithm: 'HS256' }, 'algorithm'],
      [{ algorithm: 'RS512' }, 'algorithm'],
      [{ clientAuthentication: { method: 'none', secret } }, 'clientAuthentication'],
      [{ clientAuthentication: { method: 'client_secret_jwt', secret } }, 'clientAuthentication'],
      [{ clientAuthentication: { method: 'client_secret_post', secret: '' } }, 'secret'],
      [{ clientAuthentication: { method: 'client_secret_post', secret: 'pasted with\nbreak' } }, 'secret'],
      [{ clientAuthentication: { method: 'private_key_jwt', privateKey: 'no key' } }, 'privateKey'],
      [{ redirectUri: 'http://auditrax.test/cb' }, 'redirectUri'],
      [{ redirectUri: 'https://auditrax.test/cb?tenant=a' }, 'redirectUri'],
      [{ redirectUri: 'https://auditrax.test/cb?' }, 'redirectUri'],
      [{ redirectUri: 'https://auditrax.test/cb#x' }, 'redirectUri'],
      [{ redirectUri: 'https://AUDITRAX.test/cb' }, 'redirectUri'],
      [{ redirectUri: 'https://auditrax.test/a/../cb' }, 'redirectUri'],
      [{ redirectUri: 'https://u:p@auditrax.test/cb' }, 'redirectUri'],
      [{ postLogoutRedirectUri: 'javascript:alert(1)' }, 'postLogoutRedirectUri'],
      [{ claims: { groups: '' } }, 'claims.groups'],
      [{ claims: { email: 'a b' } }, 'claims.email'],
      [{ authnAge_seconds_max: 59 }, 'authnAge_seconds_max'],
      [{ authnAge_seconds_max: 60.5 }, 'authnAge_seconds_max'],
      [{ authnAge_seconds_max: 30 * 86_400 + 1 }, 'authnAge_seconds_max'],
      [{ hostedDomain: 'acme.test' }, 'hostedDomain'],
    ];
    for (const [over, field] of bad) expect([over, verdict(over)]).toEqual([over, `oidc_setting_invalid ${field}`]);
  });

  it('takes RSA and P-256 keys of this side, and no weaker or other ones', () => {
    const own = (privateKey: string) => verdict({ clientAuthentication: { method: 'private_key_jwt', privateKey } });
    const pem = ({ privateKey }: ReturnType<typeof makeRsaKey>) =>
      privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    expect(own(pem(makeRsaKey('a')))).toBe('accepted');
    expect(own(pem(makeEcKey('a')))).toBe('accepted');
    expect(own(pem(makeRsaKey('a', 1024)))).toBe('oidc_setting_invalid privateKey');
    expect(own(pem(makeEcKey('a', 'P-384')))).toBe('oidc_setting_invalid privateKey');
    const ed = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    expect(own(ed)).toBe('oidc_setting_invalid privateKey');
  });

  it('never quotes a secret', () => {
    const secret = 'very secret with blanks';
    expect(() =>
      parseOidcConnection({ ...INPUT, clientAuthentication: { method: 'client_secret_post', secret } }),
    ).toThrow(expect.objectContaining({ message: expect.not.stringContaining('very') }));
  });
});

describe('O2 O3: issuers', () => {
  it('O2: an issuer is one address in one spelling', () => {
    for (const issuer of [
      '',
      'provider.test',
      'http://provider.test',
      'https://provider.test?a',
      'https://provider.test#a',
      'https://u@provider.test',
      'https://PROVIDER.test',
      'https://provider.test:443',
      'https://provider.test/a/../b',
      'https://provider.test/{tenantid}',
      ' https://provider.test',
      `https://provider.test/${'a'.repeat(1024)}`,
    ])
      expect([issuer, verdict({ issuer })]).toEqual([issuer, 'oidc_issuer_form issuer']);
    for (const issuer of ['https://provider.test', 'https://provider.test/', 'https://provider.test:8443/realms/a'])
      expect([issuer, verdict({ issuer })]).toEqual([issuer, 'accepted']);
  });

  it('O2: http is for a rehearsal on this machine only', () => {
    const issuer = 'http://127.0.0.1:4000';
    expect(verdict({ issuer })).toBe('oidc_issuer_form issuer');
    expect(verdict({ issuer }, { rehearsal: true })).toBe('accepted');
    for (const other of [
      'http://provider.test',
      'http://127.0.0.2',
      'http://localhost:1',
      'http://127.0.0.1.evil.test',
    ])
      expect(verdict({ issuer: other }, { rehearsal: true })).toBe('oidc_issuer_form issuer');
  });

  it.each<[ProviderProfile, string, 'accepted' | 'refused']>([
    ['entra', `https://login.microsoftonline.com/${TENANT}/v2.0`, 'accepted'],
    ['entra', `https://login.microsoftonline.us/${TENANT}/v2.0`, 'accepted'],
    ['entra', 'https://login.microsoftonline.com/common/v2.0', 'refused'],
    ['entra', 'https://login.microsoftonline.com/organizations/v2.0', 'refused'],
    ['entra', 'https://login.microsoftonline.com/acme.test/v2.0', 'refused'],
    ['entra', `https://login.microsoftonline.com/${TENANT}/v2.0/`, 'refused'],
    ['entra', `https://login.microsoftonline.com/${TENANT}`, 'refused'],
    ['entra', `https://sts.windows.net/${TENANT}/`, 'refused'],
    ['entra', `https://login.microsoftonline.com.evil.test/${TENANT}/v2.0`, 'refused'],
    // Personal accounts: anybody.
    ['entra', 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0', 'refused'],
    ['okta', 'https://acme.okta.com', 'accepted'],
    ['okta', 'https://acme.okta.com/oauth2/default', 'accepted'],
    ['okta', 'https://acme.okta.com/', 'refused'],
    ['okta', 'https://acme.okta.com/oauth2', 'refused'],
    ['google', 'https://accounts.google.com', 'accepted'],
    ['google', 'https://accounts.google.com/', 'refused'],
    ['google', 'https://provider.test', 'refused'],
    ['jumpcloud', 'https://oauth.id.jumpcloud.com/', 'accepted'],
    ['jumpcloud', 'https://oauth.id.jumpcloud.com', 'refused'],
    ['adfs', 'https://adfs.acme.test/adfs', 'accepted'],
    ['adfs', 'https://adfs.acme.test/adfs/', 'refused'],
    // What its metadata name as the issuer of access tokens.
    ['adfs', 'https://adfs.acme.test/adfs/services/trust', 'refused'],
    ['pingfederate', 'https://ping.acme.test:9031', 'accepted'],
    ['pingfederate', 'https://ping.acme.test/virtual/acme', 'accepted'],
    // Rules are not dodged by calling the provider another one.
    ['other', `https://login.microsoftonline.com/${TENANT}/v2.0`, 'refused'],
    ['other', 'https://login.microsoftonline.com/common/v2.0', 'refused'],
    ['pingfederate', 'https://accounts.google.com', 'refused'],
    ['okta', 'https://oauth.id.jumpcloud.com', 'refused'],
  ])('O3: %s: %s is %s', (profile, issuer, expected) => {
    const outcome = expected === 'accepted' ? 'accepted' : 'oidc_issuer_profile issuer';
    expect(verdict({ profile, issuer, ...(profile === 'google' ? DOMAIN : {}) })).toBe(outcome);
  });

  it('O3: the other rules of the table', () => {
    const google = { profile: 'google', issuer: 'https://accounts.google.com' };
    expect(verdict(google)).toBe('oidc_setting_invalid hostedDomain');
    for (const hostedDomain of ['', 'ACME.test', 'acme', 'https://acme.test', 'acme.test.'])
      expect(verdict({ ...google, hostedDomain })).toBe('oidc_setting_invalid hostedDomain');
    expect(verdict({ ...google, ...DOMAIN, claims: { groups: 'groups' } })).toBe('oidc_setting_invalid claims.groups');
    expect(verdict({ ...google, ...DOMAIN, authnAge_seconds_max: 60 })).toBe(
      'oidc_setting_invalid authnAge_seconds_max',
    );
    const privateKey = makeEcKey('a').privateKey.export({ type: 'pkcs8', format: 'pem' });
    const entra = { profile: 'entra', issuer: `https://login.microsoftonline.com/${TENANT}/v2.0` };
    expect(verdict({ ...entra, clientAuthentication: { method: 'private_key_jwt', privateKey } })).toBe(
      'oidc_setting_invalid clientAuthentication',
    );
    expect(PROFILES.entra.key).toEqual(['tid', 'oid']);
  });
});

describe('the refusals', () => {
  it('each have a sentence of their own', () => {
    const rows = Object.values(OIDC_CHECKS);
    expect(new Set(rows.map(([, sentence]) => sentence)).size).toBe(rows.length);
    for (const [check, sentence] of rows) {
      expect(check).toMatch(/^O\d{1,2}$/);
      expect(sentence).toMatch(/^[A-Z].*\.$/);
    }
  });
});
