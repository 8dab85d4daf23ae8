import { parseOidcConnection } from '@auditrax/oidc';
import { describe, expect, it } from 'vitest';
import { addressesOf } from './addresses.ts';
import { PROFILE_NAMES, profileWords } from './profile-words.ts';
import { PROFILES } from './settings-contract.ts';
import { checkValues } from './validate.ts';

const addresses = addressesOf('https://auditrax.example', '01890a5d-ac96-774b-bcce-b302099a8057' as never);

describe('what an administrator is told', () => {
  it('is there for every kind of provider, and names addresses that exist', () => {
    expect([...PROFILE_NAMES].sort()).toEqual([...PROFILES].sort());
    for (const { oidc, saml } of Object.values(profileWords)) {
      expect(oidc.there.map(({ address }) => address)).toContain('callback');
      expect(saml.there.map(({ address }) => address)).toEqual(expect.arrayContaining(['acs', 'metadata']));
      for (const { address } of [...oidc.there, ...saml.there]) expect(addresses[address]).toMatch(/^https:/);
    }
  });

  it.each(PROFILES)('presets for %s pass the rules that the values are checked by', (profile) => {
    const { oidc, saml } = profileWords[profile];
    const issuer = oidc.issuer
      .replace('login.microsoftonline.com/…', 'login.microsoftonline.com/11111111-2222-3333-4444-555555555555')
      .replace('…', 'idp');
    const given = { profile, addresses, isRehearsal: false } as const;
    const secret = 'secret';
    const values = { clientId: 'a', clientAuthentication: 'client_secret_basic', algorithm: 'RS256', secret } as const;
    const rest = { hostedDomain: profile === 'google' ? 'harbour.example' : null, authnAge_seconds_max: null };
    checkValues({ kind: 'oidc', issuer, groupsClaim: oidc.groupsClaim, ...values, ...rest }, given);
    checkValues(
      {
        kind: 'saml',
        idpEntityId: 'https://idp.example',
        ssoUrl: 'https://idp.example/sso',
        ssoBinding: 'redirect',
        metadataUrl: null,
        nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
        subjectAttribute: saml.subject,
        groupsAttribute: saml.groups,
        emailAttribute: saml.email,
        nameAttribute: saml.name,
        authnAge_seconds_max: null,
      },
      given,
    );
  });

  it('does not offer groups where a provider never sends any', () => {
    const google = { profile: 'google', issuer: 'https://accounts.google.com', clientId: 'a' } as const;
    const clientAuthentication = { method: 'client_secret_basic', secret: 'secret' } as const;
    const input = { ...google, clientAuthentication, redirectUri: addresses.callback, hostedDomain: 'harbour.example' };
    expect(() => parseOidcConnection({ ...input, claims: { groups: 'groups' } })).toThrow(/never sends groups/);
    expect(profileWords.google.oidc.groupsClaim).toBeNull();
  });
});
