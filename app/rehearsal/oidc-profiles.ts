// What six providers publish and sign in OpenID Connect, written after their documents: discovery as they have it, the
// claims of their ID tokens, and what else they put into the answer. No tenant of any of them has been looked at.
import type { OidcValues, Profile } from '../domains/connections/settings-contract.ts';

/** One provider with one person in it. */
export interface OidcReplay {
  readonly profile: Profile;
  readonly issuer: string;
  /** As its discovery address answers. */
  readonly discovery: Readonly<Record<string, unknown>>;
  /** Of its ID tokens beside `alg` and `kid`. */
  readonly header: Readonly<Record<string, unknown>>;
  /** Of its published keys beside the key itself. */
  readonly jwk: Readonly<Record<string, unknown>>;
  /** Beside times and nonce; `auth_time` and `rat` in seconds from now, `at_hash` where there is one. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** In the address that the browser comes back to, beside code and state. */
  readonly answer: Readonly<Record<string, string>>;
  readonly settings: Partial<OidcValues>;
  /** What the account has to be keyed on. */
  readonly subject: string;
  readonly groups: readonly string[] | null;
  /** What the provider needs asked. */
  readonly scope: string;
}

const LIFE_SECONDS = 300;

export const CLIENT_ID = '6731de76-14a6-49ae-97bc-6eba6914391e';

export const ENTRA_TENANT = '3338040d-6c67-4c5b-b112-36a304b66dad';
const ENTRA_OBJECT = '690222be-ff1a-4d56-abd1-7e4f7d38e474';
const ENTRA = `https://login.microsoftonline.com/${ENTRA_TENANT}`;
const ADFS = 'https://fs.harbour.example/adfs';
const PING = 'https://sso.harbour.example';

const entra: OidcReplay = {
  profile: 'entra',
  issuer: `${ENTRA}/v2.0`,
  // No `code_challenge_methods_supported`: it takes S256 and does not say so.
  discovery: {
    token_endpoint: `${ENTRA}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${ENTRA}/discovery/v2.0/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: `${ENTRA}/v2.0`,
    request_uri_parameter_supported: false,
    userinfo_endpoint: 'https://graph.microsoft.com/oidc/userinfo',
    authorization_endpoint: `${ENTRA}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${ENTRA}/oauth2/v2.0/devicecode`,
    http_logout_supported: true,
    frontchannel_logout_supported: true,
    end_session_endpoint: `${ENTRA}/oauth2/v2.0/logout`,
    kerberos_endpoint: `${ENTRA}/kerberos`,
    tenant_region_scope: 'EU',
    cloud_instance_name: 'microsoftonline.com',
    cloud_graph_host_name: 'graph.windows.net',
    msgraph_host: 'graph.microsoft.com',
    rbac_url: 'https://pas.windows.net',
  },
  header: { typ: 'JWT' },
  jwk: { x5t: 'entra-key', issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' },
  claims: {
    ver: '2.0',
    tid: ENTRA_TENANT,
    oid: ENTRA_OBJECT,
    // Of this person for this application alone: another registration would be given another one.
    sub: 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',
    aio: 'ATQAy/8TAAAA',
    rh: '0.AXoA3egzM2dsXUy',
    uti: 'fqiBqXLPj0eQa82S-IYFAA',
    sid: '0f2d7a4e-9a3c-4c1b-8f3a-1c2d3e4f5a6b',
    name: 'Harbour Auditor',
    preferred_username: 'auditor@harbour.example',
    email: 'auditor@harbour.example',
    groups: ['c3a1a2b4-9c0e-4d7f-8a55-0d3e7b1f2c11', '0d9f3f6a-51b7-4a7e-bf1c-6a5e2f9d8e22'],
  },
  answer: { session_state: '5f0e4a4c-2b3d-4a2f-9c1e-7d8b6a5c4e3f' },
  settings: { groupsClaim: 'groups', clientAuthentication: 'client_secret_post' },
  subject: `${ENTRA_TENANT}/${ENTRA_OBJECT}`,
  groups: ['c3a1a2b4-9c0e-4d7f-8a55-0d3e7b1f2c11', '0d9f3f6a-51b7-4a7e-bf1c-6a5e2f9d8e22'],
  scope: 'openid profile email',
};

function okta(issuer: string, groupsScope: boolean): OidcReplay {
  const base = `${issuer}${issuer.includes('/oauth2/') ? '' : '/oauth2'}/v1`;
  return {
    profile: 'okta',
    issuer,
    discovery: {
      issuer,
      authorization_endpoint: `${base}/authorize`,
      token_endpoint: `${base}/token`,
      userinfo_endpoint: `${base}/userinfo`,
      registration_endpoint: 'https://harbour.okta.com/oauth2/v1/clients',
      jwks_uri: `${base}/keys`,
      response_types_supported: ['code', 'id_token', 'code id_token', 'code token', 'id_token token'],
      response_modes_supported: ['query', 'fragment', 'form_post', 'okta_post_message'],
      grant_types_supported: ['authorization_code', 'implicit', 'refresh_token', 'password'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      scopes_supported: ['openid', 'email', 'profile', 'address', 'phone', 'offline_access', 'groups'],
      token_endpoint_auth_methods_supported: [
        'client_secret_basic',
        'client_secret_post',
        'client_secret_jwt',
        'private_key_jwt',
        'none',
      ],
      code_challenge_methods_supported: ['S256'],
      end_session_endpoint: `${base}/logout`,
      request_parameter_supported: true,
    },
    header: {},
    jwk: {},
    claims: {
      sub: '00uid4BxXw6I6TV4m0g3',
      name: 'Harbour Auditor',
      email: 'auditor@harbour.example',
      preferred_username: 'auditor@harbour.example',
      ver: 1,
      jti: 'ID.4eAWJOCMB3SX8XewDfVR',
      amr: ['mfa', 'otp', 'pwd'],
      idp: '00ok1u7AsAkrwdZL3z0g3',
      auth_time: -30,
      at_hash: '',
      groups: ['Everyone', 'Auditors'],
    },
    answer: {},
    settings: { groupsClaim: 'groups' },
    subject: '00uid4BxXw6I6TV4m0g3',
    groups: ['Everyone', 'Auditors'],
    scope: groupsScope ? 'openid profile email groups' : 'openid profile email',
  };
}

const google: OidcReplay = {
  profile: 'google',
  issuer: 'https://accounts.google.com',
  // No end of sessions, and endpoints on three hosts.
  discovery: {
    issuer: 'https://accounts.google.com',
    authorization_endpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
    device_authorization_endpoint: 'https://oauth2.googleapis.com/device/code',
    token_endpoint: 'https://oauth2.googleapis.com/token',
    userinfo_endpoint: 'https://openidconnect.googleapis.com/v1/userinfo',
    revocation_endpoint: 'https://oauth2.googleapis.com/revoke',
    jwks_uri: 'https://www.googleapis.com/oauth2/v3/certs',
    response_types_supported: ['code', 'token', 'id_token', 'code token', 'code id_token', 'none'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: ['openid', 'email', 'profile'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
    code_challenge_methods_supported: ['plain', 'S256'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
  },
  header: { typ: 'JWT' },
  jwk: { alg: 'RS256' },
  claims: {
    azp: CLIENT_ID,
    sub: '110169484474386276334',
    hd: 'harbour.example',
    email: 'auditor@harbour.example',
    email_verified: true,
    at_hash: '',
    name: 'Harbour Auditor',
    picture: 'https://lh3.googleusercontent.com/a-/photo.jpg',
    given_name: 'Harbour',
    family_name: 'Auditor',
  },
  answer: { scope: 'email profile openid', authuser: '0', hd: 'harbour.example', prompt: 'none' },
  settings: { groupsClaim: null, hostedDomain: 'harbour.example' },
  subject: '110169484474386276334',
  groups: null,
  scope: 'openid profile email',
};

const JUMPCLOUD = 'https://oauth.id.jumpcloud.com/';
const jumpcloud: OidcReplay = {
  profile: 'jumpcloud',
  issuer: JUMPCLOUD,
  discovery: {
    issuer: JUMPCLOUD,
    authorization_endpoint: `${JUMPCLOUD}oauth2/auth`,
    token_endpoint: `${JUMPCLOUD}oauth2/token`,
    jwks_uri: `${JUMPCLOUD}.well-known/jwks.json`,
    userinfo_endpoint: `${JUMPCLOUD}userinfo`,
    end_session_endpoint: `${JUMPCLOUD}oauth2/sessions/logout`,
    revocation_endpoint: `${JUMPCLOUD}oauth2/revoke`,
    subject_types_supported: ['public', 'pairwise'],
    response_types_supported: ['code', 'code id_token', 'id_token', 'token id_token', 'token', 'token id_token code'],
    grant_types_supported: ['authorization_code', 'implicit', 'client_credentials', 'refresh_token'],
    response_modes_supported: ['query', 'fragment'],
    scopes_supported: ['offline_access', 'offline', 'openid'],
    claims_supported: ['sub'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'private_key_jwt', 'none'],
    id_token_signing_alg_values_supported: ['RS256'],
    code_challenge_methods_supported: ['plain', 'S256'],
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
  },
  header: { typ: 'JWT' },
  jwk: { alg: 'RS256' },
  claims: {
    // One audience, as a list.
    aud: [CLIENT_ID],
    sub: '64d2c3f1a7b8e900123f4a5b',
    auth_time: -20,
    rat: -40,
    at_hash: '',
    jti: 'b4d6b0f4-5d36-4b53-8c62-0a9a4be5e2f1',
    sid: '7a3c9d4e-6b5f-4a1e-9d2c-3b4a5f6e7d8c',
    email: 'auditor@harbour.example',
    email_verified: true,
    name: 'Harbour Auditor',
    memberOf: ['auditors', 'everybody'],
  },
  answer: { scope: 'openid profile email' },
  settings: { groupsClaim: 'memberOf' },
  subject: '64d2c3f1a7b8e900123f4a5b',
  groups: ['auditors', 'everybody'],
  scope: 'openid profile email',
};

const adfs: OidcReplay = {
  profile: 'adfs',
  issuer: ADFS,
  discovery: {
    issuer: ADFS,
    authorization_endpoint: `${ADFS}/oauth2/authorize/`,
    token_endpoint: `${ADFS}/oauth2/token/`,
    jwks_uri: `${ADFS}/discovery/keys`,
    token_endpoint_auth_methods_supported: [
      'client_secret_post',
      'client_secret_basic',
      'private_key_jwt',
      'windows_client_authentication',
    ],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token', 'code token'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials', 'srv_challenge'],
    subject_types_supported: ['pairwise'],
    scopes_supported: ['profile', 'logon_cert', 'email', 'openid', 'vpn_cert', 'user_impersonation', 'allatclaims'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_signing_alg_values_supported: ['RS256'],
    // The name of another issuer, of access tokens; an ID token in its name is none of ours.
    access_token_issuer: 'http://fs.harbour.example/adfs/services/trust',
    claims_supported: ['aud', 'iss', 'iat', 'exp', 'auth_time', 'nonce', 'at_hash', 'sub', 'upn', 'unique_name'],
    microsoft_multi_refresh_token: true,
    userinfo_endpoint: `${ADFS}/userinfo`,
    end_session_endpoint: `${ADFS}/oauth2/logout`,
    as_access_token_token_binding_supported: true,
    rp_id_token_token_binding_supported: true,
    frontchannel_logout_supported: true,
    frontchannel_logout_session_supported: true,
  },
  header: { typ: 'JWT', x5t: 'adfs-key' },
  jwk: { alg: 'RS256', x5t: 'adfs-key' },
  claims: {
    auth_time: -60,
    sub: 'm8VRPkUOVq2eSgn3fUYIbUX5eG0y9JzQH1Jp5fPz2Xc=',
    upn: 'auditor@harbour.example',
    unique_name: 'HARBOUR\\auditor',
    sid: 'S-1-5-21-1004336348-1177238915-682003330-1104',
    apptype: 'Confidential',
    appid: CLIENT_ID,
    authmethod: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
    ver: '1.0',
    scp: 'allatclaims openid',
    // One group is no list.
    group: 'S-1-5-21-1004336348-1177238915-682003330-1109',
  },
  answer: { 'client-request-id': '7f1b7a77-3c3f-4f3c-2d00-0080010000f0' },
  settings: { groupsClaim: 'group', clientAuthentication: 'client_secret_post' },
  subject: 'm8VRPkUOVq2eSgn3fUYIbUX5eG0y9JzQH1Jp5fPz2Xc=',
  groups: ['S-1-5-21-1004336348-1177238915-682003330-1109'],
  scope: 'openid profile email allatclaims',
};

const pingfederate: OidcReplay = {
  profile: 'pingfederate',
  // A virtual issuer: a path of its own, and the endpoints of the host.
  issuer: `${PING}/harbour`,
  discovery: {
    issuer: `${PING}/harbour`,
    authorization_endpoint: `${PING}/as/authorization.oauth2`,
    token_endpoint: `${PING}/as/token.oauth2`,
    revocation_endpoint: `${PING}/as/revoke_token.oauth2`,
    userinfo_endpoint: `${PING}/idp/userinfo.openid`,
    introspection_endpoint: `${PING}/as/introspect.oauth2`,
    jwks_uri: `${PING}/pf/JWKS`,
    ping_revoked_sris_endpoint: `${PING}/pf-ws/rest/sessionMgmt/revokedSris`,
    ping_end_session_endpoint: `${PING}/idp/startSLO.ping`,
    end_session_endpoint: `${PING}/idp/startSLO.ping`,
    scopes_supported: ['openid', 'profile', 'email', 'address', 'phone'],
    response_types_supported: ['code', 'token', 'id_token', 'code token', 'code id_token', 'code token id_token'],
    response_modes_supported: ['fragment', 'query', 'form_post', 'pi.flow'],
    subject_types_supported: ['public', 'pairwise'],
    id_token_signing_alg_values_supported: ['none', 'HS256', 'RS256', 'RS384', 'ES256', 'PS256', 'PS512'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    claim_types_supported: ['normal'],
    claims_parameter_supported: false,
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    code_challenge_methods_supported: ['plain', 'S256'],
  },
  header: {},
  jwk: { alg: 'RS256' },
  claims: {
    sub: 'harbour-004711',
    jti: 'u2m6rZkqgL9pJv3Yz1x0wA',
    auth_time: -15,
    acr: 'urn:oasis:names:tc:SAML:2.0:ac:classes:Password',
    'pi.sri': 'n0uV5xk1hQd3c8Tq.ZXU.2f5K',
    at_hash: '',
    name: 'Harbour Auditor',
    email: 'auditor@harbour.example',
    groups: ['cn=auditors,ou=groups,dc=harbour,dc=example', 'cn=staff,ou=groups,dc=harbour,dc=example'],
  },
  answer: {},
  settings: { groupsClaim: 'groups' },
  subject: 'harbour-004711',
  groups: ['cn=auditors,ou=groups,dc=harbour,dc=example', 'cn=staff,ou=groups,dc=harbour,dc=example'],
  scope: 'openid profile email',
};

export const OIDC_REPLAYS = {
  'Entra ID': entra,
  Okta: okta('https://harbour.okta.com', true),
  'Okta, custom server': okta('https://harbour.okta.com/oauth2/default', false),
  'Google Workspace': google,
  JumpCloud: jumpcloud,
  ADFS: adfs,
  PingFederate: pingfederate,
} as const satisfies Readonly<Record<string, OidcReplay>>;
export type OidcReplayName = keyof typeof OIDC_REPLAYS;

/** As an administrator would type them. */
export function oidcValuesOf({ issuer, settings }: OidcReplay): OidcValues {
  return {
    kind: 'oidc',
    issuer,
    clientId: CLIENT_ID,
    clientAuthentication: 'client_secret_basic',
    secret: 'of-a-replay',
    algorithm: 'RS256',
    groupsClaim: null,
    hostedDomain: null,
    authnAge_seconds_max: null,
    ...settings,
  };
}

/** What this provider says of its person now, in answer to a request with `nonce`. */
export function claimsOf(
  { issuer, claims }: OidcReplay,
  now: { readonly seconds: number; readonly nonce: string | null; readonly accessTokenHash: string },
): Record<string, unknown> {
  const own = Object.entries(claims).map(([name, value]): [string, unknown] => {
    if (name === 'auth_time' || name === 'rat') return [name, now.seconds + Number(value)];
    return [name, name === 'at_hash' ? now.accessTokenHash : value];
  });
  return {
    iss: issuer,
    aud: CLIENT_ID,
    iat: now.seconds,
    nbf: now.seconds,
    exp: now.seconds + LIFE_SECONDS,
    nonce: now.nonce,
    ...Object.fromEntries(own),
  };
}
