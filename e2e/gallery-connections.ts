import type { ConnectionDetail, ConnectionSummary } from '../app/domains/connections/contract.ts';
import type { Directory } from '../app/domains/provisioning/console-contract.ts';
import type { AccountSuggestions, ChangeAnswer } from '../app/shell/wire.ts';
import { at, id } from './gallery-data.ts';

const DAY = 86_400_000;
const ORIGIN = 'https://auditrax.harbour.example';

function addresses(name: string): ConnectionDetail['addresses'] {
  const base = `${ORIGIN}/sso/${name}`;
  return {
    start: `${base}/start`,
    callback: `${base}/callback`,
    acs: `${base}/acs`,
    logout: `${base}/logout`,
    metadata: `${base}/metadata`,
  };
}

const saml: ConnectionSummary = {
  id: id('con', 1),
  kind: 'saml',
  profile: 'adfs',
  name: 'Harbour staff',
  state: 'active',
  complete: true,
  tested: true,
  groups: 2,
  daysLeft: 19,
  pending: 1,
};
const draft: ConnectionSummary = {
  id: id('con', 2),
  kind: 'oidc',
  profile: 'entra',
  name: 'Lakeside, by Entra',
  state: 'draft',
  complete: false,
  tested: false,
  groups: 0,
  daysLeft: null,
  pending: 0,
};

const google: ConnectionSummary = { ...draft, id: id('con', 3), profile: 'google', name: 'Harbour, by Google' };
export const googleId = google.id;

export const connections = { connectionsMax: 8, connections: [saml, draft] };

const certificate: ConnectionDetail['certificates'][number] = {
  id: id('cer', 1),
  fingerprint: '5f0c1d'.repeat(11).slice(0, 64),
  subject: 'CN=ADFS Signing - sts.harbour.example',
  notBefore: at(-346 * DAY),
  notAfter: at(19 * DAY),
  daysLeft: 19,
  state: 'active',
  source: 'pasted',
  seenAt: at(-340 * DAY),
  decidedBy: id('mem', 1),
  decidedAt: at(-340 * DAY),
  vouchedBy: null,
};

const attempt: ConnectionDetail['attempts'][number] = {
  at: at(-2 * 3_600_000),
  purpose: 'test',
  outcome: 'accepted',
  current: true,
  failure: null,
  detail: null,
  subject: 'S-1-5-21-1004336348-1177238915-682003330-512',
  groups: ['S-1-5-21-1004336348-513', 'S-1-5-21-1004336348-1107', 'S-1-5-21-1004336348-1120'],
  claims: [
    {
      name: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress',
      value: 'night.auditor@harbour.example',
    },
    {
      name: 'http://schemas.xmlsoap.org/claims/Group',
      value: '["S-1-5-21-1004336348-513","S-1-5-21-1004336348-1107","S-1-5-21-1004336348-1120"]',
    },
  ],
  requestId: '7e1b4a52-0d3c-4a8e-9b61-2f5a6c7d8e9f',
};

const details: readonly ConnectionDetail[] = [
  {
    ...saml,
    version: 3,
    standIns: 1,
    justInTime: { allowed: true, roleWithoutGroup: null },
    values: {
      kind: 'saml',
      idpEntityId: 'http://sts.harbour.example/adfs/services/trust',
      ssoUrl: 'https://sts.harbour.example/adfs/ls/',
      ssoBinding: 'redirect',
      metadataUrl: 'https://sts.harbour.example/FederationMetadata/2007-06/FederationMetadata.xml',
      nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
      subjectAttribute: null,
      groupsAttribute: 'http://schemas.xmlsoap.org/claims/Group',
      emailAttribute: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress',
      nameAttribute: null,
      authnAge_seconds_max: null,
    },
    addresses: addresses('018f3c8e-5b1a-7c2d-8e3f-4a5b6c7d8e9f'),
    groupMap: [
      { group: 'S-1-5-21-1004336348-513', name: 'Audit leads', role: 'lead' },
      { group: 'S-1-5-21-1004336348-1107', name: null, role: 'auditor' },
    ],
    certificates: [
      certificate,
      {
        ...certificate,
        id: id('cer', 2),
        fingerprint: 'a94be2'.repeat(11).slice(0, 64),
        notBefore: at(-1 * DAY),
        notAfter: at(364 * DAY),
        daysLeft: 364,
        state: 'pending',
        source: 'metadata',
        seenAt: at(-5 * 3_600_000),
        decidedBy: null,
        decidedAt: null,
      },
    ],
    ownKeys: {
      signing: '-----BEGIN CERTIFICATE-----\nMIIC…\n-----END CERTIFICATE-----\n',
      encryption: '-----BEGIN CERTIFICATE-----\nMIID…\n-----END CERTIFICATE-----\n',
      since: at(-3_600 * DAY),
      endsAt: at(52 * DAY),
      daysLeft: 52,
      next: {
        signing: '-----BEGIN CERTIFICATE-----\nMIIE…\n-----END CERTIFICATE-----\n',
        encryption: '-----BEGIN CERTIFICATE-----\nMIIF…\n-----END CERTIFICATE-----\n',
        madeAt: at(-2 * DAY),
        endsAt: at(3_650 * DAY),
      },
      previous: null,
    },
    metadata: { lookedAt: at(-5 * 3_600_000), trouble: null },
    attempts: [
      attempt,
      {
        ...attempt,
        at: at(-3 * 3_600_000),
        purpose: 'sign-in',
        outcome: 'refused',
        failure: { code: 'saml_audience', check: 'G29', sentence: 'The audience is not exactly this service.' },
        detail: null,
        subject: null,
        groups: null,
        claims: null,
        requestId: '1c9d0e3f-77aa-4b1c-9d2e-8f3a4b5c6d7e',
      },
    ],
  },
  {
    ...draft,
    version: 1,
    standIns: 0,
    justInTime: { allowed: false, roleWithoutGroup: null },
    values: null,
    addresses: addresses('018f3c8e-6c2b-7d3e-9f4a-5b6c7d8e9fa0'),
    groupMap: [],
    certificates: [],
    ownKeys: null,
    metadata: null,
    attempts: [
      {
        ...attempt,
        outcome: 'refused',
        current: false,
        failure: { code: 'oidc_nonce', check: 'O29', sentence: 'The nonce is not the one of the request.' },
        detail: 'O29: The nonce is not the one of the request.',
        subject: null,
        groups: null,
        claims: null,
      },
    ],
  },
  {
    ...google,
    complete: true,
    version: 2,
    standIns: 1,
    justInTime: { allowed: true, roleWithoutGroup: 'auditor' },
    values: {
      kind: 'oidc',
      issuer: 'https://accounts.google.com',
      clientId: '1234567890-harbour.apps.googleusercontent.com',
      clientAuthentication: 'client_secret_basic',
      algorithm: 'RS256',
      groupsClaim: null,
      hostedDomain: 'harbour.example',
      authnAge_seconds_max: null,
    },
    addresses: addresses('018f3c8e-7d3c-7e4f-8a5b-6c7d8e9fa0b1'),
    groupMap: [],
    certificates: [],
    ownKeys: null,
    metadata: null,
    attempts: [
      {
        ...attempt,
        outcome: 'refused',
        current: true,
        failure: {
          code: 'oidc_token_refused',
          check: 'O19',
          sentence: 'The provider does not give tokens for the code.',
        },
        detail: 'O19: The provider does not give tokens for the code. (invalid_client)',
        subject: null,
        groups: null,
        claims: null,
      },
    ],
  },
];

/** One of them, by its id. */
export function connectionOf(connectionId: string): ConnectionDetail | undefined {
  return details.find((one) => one.id === connectionId);
}

const HOUR = 3_600_000;
const base = `${ORIGIN}/scim/v2/018f3c8e-5b1a-7c2d-8e3f-4a5b6c7d8e9f`;
const nobody: Directory = { base, tokensMax: 2, tokens: [], people: [], groups: [], refusals: [], wave: null };
const token: Directory['tokens'][number] = {
  id: id('stk', 1),
  createdAt: at(-40 * DAY),
  createdBy: id('mem', 1),
  expiresAt: at(50 * DAY),
  endedAt: null,
  state: 'live',
  usedAt: at(-HOUR / 4),
};
const night: Directory['people'][number] = {
  userName: 'night.auditor@harbour.example',
  name: 'Auditor, night shift',
  state: 'in',
  role: 'auditor',
  groups: ['Auditors', 'Harbour staff'],
  changedAt: at(-9 * DAY),
  heardAt: at(-2 * HOUR),
};

const directory: Directory = {
  ...nobody,
  tokens: [
    { ...token, id: id('stk', 2), createdAt: at(-HOUR), expiresAt: at(180 * DAY), usedAt: null },
    token,
    {
      ...token,
      id: id('stk', 3),
      createdAt: at(-200 * DAY),
      endedAt: at(-40 * DAY),
      state: 'ended',
      usedAt: at(-40 * DAY),
    },
  ],
  people: [
    night,
    { ...night, userName: 'lead@harbour.example', name: 'Lead of the harbour', role: 'lead', groups: ['Audit leads'] },
    { ...night, userName: 'gone@harbour.example', name: 'Auditor, day shift', state: 'out', heardAt: at(-HOUR) },
    { ...night, userName: 'desk@harbour.example', name: null, state: 'no-role', role: null, groups: [] },
    {
      ...night,
      userName: 'front@harbour.example',
      name: 'Front desk',
      state: 'no-external-id',
      role: null,
      groups: [],
    },
    { ...night, userName: 'leave@harbour.example', name: 'On leave', state: 'inactive', role: null, heardAt: null },
  ],
  groups: [
    {
      name: 'Audit leads',
      key: '8d1f2c77-1a2b-4c3d-9e8f-0a1b2c3d4e5f',
      role: 'lead',
      members: 1,
      heardAt: at(-9 * DAY),
    },
    { name: 'Auditors', key: 'Auditors', role: 'auditor', members: 2, heardAt: at(-2 * HOUR) },
    { name: 'Harbour staff', key: 'Harbour staff', role: null, members: 6, heardAt: at(-2 * HOUR) },
  ],
  refusals: [
    {
      at: at(-HOUR),
      code: 'scim_path',
      check: 'P9',
      sentence: 'A path is malformed or names no attribute of this resource. At "emails[type eq".',
      message: 'PATCH User',
      requestId: '7e1b4a52-0d3c-4a8e-9b61-2f5a6c7d8e9f',
    },
  ],
  wave: { people: 14, since: at(-2 * HOUR) },
};

/** What stands behind one of the two: a directory with a story, or none yet. */
export function directoryOf(path: string): Directory | undefined {
  const [connection] = details;
  if (!path.endsWith('/people') || !path.startsWith('/api/connections/')) return undefined;
  return path.includes(connection!.id) ? directory : nobody;
}

/** What the server says to settings before a passkey is asked for: the sample's issuer has to name one directory. */
export function checked(body: Record<string, unknown>): { readonly status: number; readonly body: unknown } {
  const { issuer = '' } = body['values'] as { readonly issuer?: string };
  if (!issuer.includes('/common/')) return { status: 200, body: { ok: true } };
  return {
    status: 422,
    body: {
      type: 'urn:auditrax:problem:connection_setting_invalid',
      title: 'A setting of the connection is not valid',
      status: 422,
      code: 'connection_setting_invalid',
      requestId: '7e1b4a52-0d3c-4a8e-9b61-2f5a6c7d8e9f',
      field: 'issuer',
      detail:
        'The issuer does not fit the kind of provider that was chosen. https://login.microsoftonline.com/{the directory’s own id}/v2.0, never common or organizations',
    },
  };
}

const mover = (index: number, label: string, state: 'moved' | 'passkey' | 'orphan') => ({
  id: id('mem', index),
  label,
  state: 'active' as const,
  moved:
    state === 'moved'
      ? { by: index % 2 === 0 ? ('change' as const) : ('person' as const), since: at(-index * 3_600_000) }
      : null,
  passkeys: state === 'orphan' ? 0 : 1,
  isOrphan: state === 'orphan',
});
/** A change that has come half of its way. */
export const change: ChangeAnswer = {
  change: {
    from: { id: saml.id, name: 'Harbour staff' },
    to: { id: draft.id, name: 'Lakeside, by Entra' },
    startedAt: at(-3 * DAY),
    people: [
      mover(1, 'Lead auditor', 'moved'),
      mover(2, 'Auditor', 'moved'),
      mover(3, 'Client contact', 'passkey'),
      mover(5, 'Auditor, night shift', 'orphan'),
    ],
  },
  connections: [
    { id: saml.id, name: 'Harbour staff' },
    { id: draft.id, name: 'Lakeside, by Entra' },
  ],
};

/** What a list with addresses names. */
export const suggested: AccountSuggestions = {
  suggestions: [
    {
      person: id('mem', 5),
      label: 'night.auditor@harbour.example',
      subject: '9a7c0b54-2f43-4d8e-9a10-52b6d1f0c3aa/1f0e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
    },
  ],
  unmatched: [
    { line: 2, why: 'nobody' },
    { line: 3, why: 'moved' },
  ],
};
