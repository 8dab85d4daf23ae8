import { createNoteSigner } from '@auditrax/tlog';
import { superLogOf, testWitness } from '@auditrax/tlog/testing';
import { sealSmallLog } from './gallery-log.ts';
/** Canned answers for looking at the app without its services. Shapes are the rooms' contracts; nothing here is real. */

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const now = Date.now();
export const at = (ms: number): string => new Date(now + ms).toISOString();
const day = (days: number): string => at(days * DAY).slice(0, 10);

/** A tagged id of the right form. */
export function id(prefix: string, seed: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  let state = seed * 2_654_435_761 + 12_345;
  const text = Array.from({ length: 38 }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return alphabet[(state >>> 10) % 64];
  });
  return `${prefix}_${text.join('')}`;
}

function hex(seed: number, length = 64): string {
  let state = seed + 99;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 12) % 16;
  })
    .map((digit) => digit.toString(16))
    .join('');
}

export type MockRole = 'lead' | 'auditor' | 'client' | 'operator' | 'link';
const people = {
  lead: ['Lead auditor', 1],
  auditor: ['Auditor', 2],
  client: ['Client contact', 3],
  operator: ['Operator', 4],
  link: ['Lead auditor', 1],
} as const;

export function session(role: MockRole): unknown {
  const operator = role === 'operator';
  return {
    signedIn: true,
    person: { id: id('mem', people[role][1]), label: people[role][0] },
    role: role === 'link' ? 'lead' : role,
    tenant: operator
      ? { slug: 'operator', name: 'Auditrax sample organisation', kind: 'operator' }
      : { slug: 'harbour', name: 'Harbour Street Audit', kind: 'sample' },
    method: role === 'link' ? 'link' : 'passkey',
    door: role === 'link' ? 'tryout' : 'edge',
    expiresAt: at(7 * 60 * MINUTE),
    passkeys: role === 'link' ? 0 : 2,
    connection: null,
    recoveryDueAt: null,
  };
}

/** What two organisations offer to sign in with. */
export const ssoOffers = {
  offers: [
    { name: 'Harbour people', path: '/sso/01890000-0000-7000-8000-000000000001/start' },
    { name: 'Harbour partners (ADFS)', path: '/sso/01890000-0000-7000-8000-000000000002/start' },
  ],
};
export const invitationOffers = {
  offers: [{ connection: '01890000-0000-7000-8000-000000000001', name: 'Harbour people' }],
};

export const members = [
  { id: id('mem', 1), label: 'Lead auditor', role: 'lead', state: 'active', self: true },
  { id: id('mem', 2), label: 'Auditor', role: 'auditor', state: 'active', self: false },
  { id: id('mem', 3), label: 'Client contact', role: 'client', state: 'active', self: false },
  { id: id('mem', 5), label: 'Auditor, night shift', role: 'auditor', state: 'invited', self: false },
  { id: id('mem', 6), label: 'Client contact, previous', role: 'client', state: 'suspended', self: false },
];
/** What an erasure of this person would take. */
export function erasureOf(memberId: string): unknown {
  const member = members.find((one) => one.id === memberId);
  return { member, values: 7, invitations: 1, backupRetentionDays: 30, deadlineDays: 30 };
}

export const invitations = [
  {
    id: id('inv', 1),
    memberId: id('mem', 5),
    label: 'Auditor, night shift',
    name: null,
    role: 'auditor',
    state: 'open',
    createdAt: at(-2 * 60 * MINUTE),
    expiresAt: at(22 * 60 * MINUTE),
  },
];
const effectsAfter = (caused: string, counts: Readonly<Record<string, number>>, after_ms: number) =>
  Object.entries(counts).map(([holder, ended], index) => ({
    holder,
    ended,
    at: new Date(Date.parse(caused) + after_ms + index * 4).toISOString(),
    after_ms: after_ms + index * 4,
  }));
const departure = (
  of: { readonly n: number; readonly label: string; readonly cause: string; readonly ago_minutes: number },
  counts: Readonly<Record<string, number>> | null,
  after_ms: number,
) => {
  const causedAt = at(-of.ago_minutes * MINUTE);
  return {
    id: id('rev', of.n),
    memberId: id('mem', of.n),
    label: of.label,
    cause: of.cause,
    by: of.cause === 'administrator' ? 'Lead auditor' : null,
    causedAt,
    completedAt: counts === null ? null : new Date(Date.parse(causedAt) + after_ms + 30).toISOString(),
    effects: counts === null ? [] : effectsAfter(causedAt, counts, after_ms),
  };
};
const everything = { sessions: 2, links: 1, approvals: 1, gateways: 2, 'provider-steps': 0, 'api-keys': 3 };
export const departures = {
  departures: [
    departure({ n: 1, label: 'Auditor, night shift', cause: 'scim', ago_minutes: 12 }, everything, 41),
    departure({ n: 2, label: 'Client contact, previous', cause: 'administrator', ago_minutes: 95 }, null, 0),
    departure({ n: 3, label: 'Auditor, day shift', cause: 'lapsed', ago_minutes: 300 }, { sessions: 1, gateways: 2 }, 38_400), // prettier-ignore
    departure({ n: 4, label: 'Second lead auditor', cause: 'back-channel', ago_minutes: 1600 }, { sessions: 1 }, 24),
    departure(
      { n: 5, label: 'Auditor for a season', cause: 'signal', ago_minutes: 9000 },
      { sessions: 0, links: 0 },
      19,
    ),
  ],
  older: null,
};
export const recoveries = [
  {
    id: id('rec', 1),
    memberId: id('mem', 2),
    label: 'Auditor, day shift',
    openedBy: 'Lead auditor',
    openedAt: at(-25 * 60 * MINUTE),
    dueAt: at(-60 * MINUTE),
    endedAt: null,
    state: 'due',
  },
  {
    id: id('rec', 2),
    memberId: id('mem', 3),
    label: 'Client contact',
    openedBy: 'Second lead auditor',
    openedAt: at(-3 * 60 * MINUTE),
    dueAt: at(21 * 60 * MINUTE),
    endedAt: null,
    state: 'waiting',
  },
];
/** Two accounts of one person, the older one of a connection that is switched off. */
export const identities = {
  identities: [
    {
      id: id('acc', 1),
      connection: 'Harbour staff (until May)',
      path: null,
      isManaged: false,
      connectedAt: at(-410 * DAY),
      lastUsedAt: at(-61 * DAY),
    },
    {
      id: id('acc', 2),
      connection: 'Harbour staff',
      path: '/sso/01890000-0000-7000-8000-000000000001/start',
      isManaged: true,
      connectedAt: at(-60 * DAY),
      lastUsedAt: at(-2 * 60 * MINUTE),
    },
  ],
  connectable: [
    { id: id('con', 1), name: 'Harbour staff' },
    { id: id('con', 2), name: 'Lakeside, by Entra' },
  ],
  isRecent: false,
  confirmedUntil: null,
};
const apiKey = { createdAt: at(-20 * DAY), endedAt: null, endedBecause: null, owner: 'Lead auditor 1' };
export const apiKeys = [
  {
    ...apiKey,
    id: 'axk_1',
    ownerId: 'mem_1',
    name: 'Nightly export',
    scope: 'read',
    expiresAt: at(10 * DAY),
    lastUsedAt: at(-14 * MINUTE),
    state: 'active',
  },
  {
    ...apiKey,
    id: 'axk_2',
    ownerId: 'mem_1',
    name: 'Evidence from the ticket system',
    scope: 'write',
    expiresAt: at(70 * DAY),
    lastUsedAt: null,
    state: 'active',
  },
  {
    ...apiKey,
    id: 'axk_3',
    ownerId: 'mem_2',
    owner: 'Auditor 1',
    name: 'Spreadsheet',
    scope: 'read',
    expiresAt: at(40 * DAY),
    lastUsedAt: at(-8 * DAY),
    state: 'ended',
    endedAt: at(-7 * DAY),
    endedBecause: 'administrator',
  },
];
export const passkeys = [{ deviceType: 'multiDevice', createdAt: at(-9 * DAY), lastUsedAt: at(-14 * MINUTE) }];

const groupNames = [
  'Access Control',
  'Audit and Accountability',
  'Configuration Management',
  'Contingency Planning',
  'Identification and Authentication',
  'Incident Response',
  'Risk Assessment',
  'System and Communications Protection',
];
const groupCodes = ['AC', 'AU', 'CM', 'CP', 'IA', 'IR', 'RA', 'SC'];
const topics = [
  'Policy and procedures',
  'Account management',
  'Enforcement of decisions',
  'Flow between zones',
  'Separation of duties',
  'Least privilege',
  'Failed attempts',
  'Notice before use',
  'Session lock',
  'Remote access',
  'Wireless access',
  'Devices that move',
];
const outcomes = ['satisfied', 'satisfied', 'not-satisfied', null, 'satisfied', 'not-applicable', null] as const;

export const criteria = groupNames.flatMap((group, groupIndex) =>
  topics.map((topic, index) => {
    const position = groupIndex * topics.length + index;
    const outcome = outcomes[(position * 5 + groupIndex) % outcomes.length] ?? null;
    return {
      id: id('crt', position),
      position,
      key: `${groupCodes[groupIndex]!.toLowerCase()}-${index + 1}`,
      label: `${groupCodes[groupIndex]}-${index + 1}`,
      title: topic,
      groupIndex,
      path: [group],
      statement: `The organisation:\n  a. writes down how ${topic.toLowerCase()} is done and who answers for it;\n  b. does it in the way that is written down; and\n  c. looks at it again at least every 12 months.`,
      guidance:
        'Look at the written form, at one example from the period, and at what happened when it was not followed.',
      parameters: [],
      result: outcome && {
        id: id('res', position),
        outcome,
        note:
          outcome === 'satisfied'
            ? 'Compared the written procedure with 20 of 214 cases of the period; all 20 followed it.'
            : 'Two of 20 sampled accounts had no owner on record.',
        observedOn: day(-6),
        recordedAt: at(-(position + 3) * 37 * MINUTE),
        recordedBy: id('mem', 2),
        revision: 1,
      },
    };
  }),
);

function progressOf(list: readonly (typeof criteria)[number][]) {
  const count = (outcome: string | null) =>
    list.filter((criterion) => (criterion.result?.outcome ?? null) === outcome).length;
  return {
    total: list.length,
    satisfied: count('satisfied'),
    notSatisfied: count('not-satisfied'),
    notApplicable: count('not-applicable'),
    open: count(null),
  };
}

const summary = ([seed, title, clientName, state]: readonly [
  seed: number,
  title: string,
  clientName: string,
  state: string,
]) => ({
  id: id('eng', seed),
  title,
  clientName,
  periodStart: day(-200),
  periodEnd: day(-20),
  state,
  revision: 3,
  createdAt: at(-seed * 8 * DAY),
  progress:
    state === 'draft'
      ? { ...progressOf(criteria), satisfied: 0, notSatisfied: 0, notApplicable: 0, open: criteria.length }
      : state === 'final'
        ? { total: 96, satisfied: 88, notSatisfied: 2, notApplicable: 6, open: 0 }
        : progressOf(criteria),
});

export const engagements = [
  summary([1, 'Security controls, first half of the year', 'Lakeside Ferries', 'fieldwork']),
  summary([2, 'Auditrax audits its own claims', 'Auditrax sample organisation', 'review']),
  summary([3, 'Moderate baseline, readiness', 'Northgate Clinics', 'draft']),
  summary([
    4,
    'Annual review of the payment platform and of everything that touches it',
    'Merchant House Holdings and Subsidiaries',
    'final',
  ]),
];

export function engagement(engagementId: string): unknown {
  const found = engagements.find((item) => item.id === engagementId);
  if (!found) return null;
  return {
    ...found,
    catalogue: {
      title: 'Sample baseline of eight families',
      version: '1.2.0',
      oscalVersion: '1.1.3',
      uuid: '3f6c1f0e-8a52-4a4e-9b7a-6a2e2c6d9b10',
      sha256: hex(7),
    },
    groups: groupNames.map((name, index) => ({
      index,
      id: groupCodes[index]!.toLowerCase(),
      path: [name],
      progress:
        found.state === 'draft'
          ? { total: 12, satisfied: 0, notSatisfied: 0, notApplicable: 0, open: 12 }
          : progressOf(criteria.filter((criterion) => criterion.groupIndex === index)),
    })),
    contacts: [id('mem', 3)],
    createdBy: id('mem', 1),
    finalisedAt: found.state === 'final' ? at(-2 * DAY) : null,
  };
}

export const evidence = [
  {
    id: id('ev', 1),
    criterionId: criteria[1]!.id,
    fileName: 'account-review-q2.xlsx',
    mediaType: 'application/vnd.ms-excel',
    sizeBytes: 184_220,
    sha256: hex(11),
    speaksAbout: { from: day(-110), to: day(-20) },
    receivedAt: at(-50 * MINUTE),
    receivedBy: id('mem', 3),
    cardFlag: false,
  },
  {
    id: id('ev', 2),
    criterionId: criteria[6]!.id,
    fileName: 'edge-logs-2026-05.tar.zst',
    mediaType: 'application/octet-stream',
    sizeBytes: 2_684_354_560,
    sha256: hex(12),
    speaksAbout: { from: day(-180), to: day(-150) },
    receivedAt: at(-3 * DAY),
    receivedBy: id('mem', 2),
    cardFlag: false,
  },
  {
    id: id('ev', 3),
    criterionId: criteria[1]!.id,
    fileName: 'till-receipts-sample.pdf',
    mediaType: 'application/pdf',
    sizeBytes: 912_004,
    sha256: hex(13),
    speaksAbout: { from: day(-60), to: day(-60) },
    receivedAt: at(-5 * DAY),
    receivedBy: id('mem', 3),
    cardFlag: true,
  },
];

export const keys = {
  ageDaysMax: 90,
  keys: [
    {
      purpose: 'fields',
      version: 3,
      state: 'ACTIVE',
      createdAt: at(-41 * DAY),
      ageDays: 41.2,
      nextRotationAt: at(49 * DAY),
    },
    {
      purpose: 'fields',
      version: 2,
      state: 'DECRYPT_ONLY',
      createdAt: at(-130 * DAY),
      ageDays: 130,
      nextRotationAt: null,
    },
    {
      purpose: 'objects',
      version: 1,
      state: 'ACTIVE',
      createdAt: at(-88 * DAY),
      ageDays: 88.4,
      nextRotationAt: at(1.6 * DAY),
    },
  ],
};

const delivery = (channel: string, opened: number, seconds: number) => ({
  channel,
  attempts: 1,
  acceptedAt: at(opened + seconds * 1000),
  outcome: 'accepted',
});
const attempt = (at_: number, rest: Record<string, unknown>) => ({
  entryId: `0190a0a0-0000-7000-8000-${String(at_).replace('-', '').padStart(12, '0')}`,
  logIndex: 4_211,
  ownEntry: null,
  severity: 'high',
  operation: 'engagements.read',
  who: { kind: 'person', label: '0190a0a0-1111-7000-8000-00000000c0de' },
  sessionId: '0190a0a0-2222-7000-8000-00000000beef',
  source: null,
  tenant: 'harbour',
  target: null,
  times: 1,
  canary: false,
  at: at(at_),
  requestId: '0190a0a0-3333-7000-8000-000000000001',
  page: { id: id('pge', 1), acceptedAt: at(at_ + 640), channel: 'webhook', latency_ms: 640 },
  ...rest,
});
export const deniedAttempts = {
  attempts: [
    attempt(-2 * MINUTE, {
      code: 'gateway.id-foreign',
      says: 'A genuine id of another tenant was presented.',
      layer: 'gateway',
      target: 'lakeside',
    }),
    attempt(-3 * MINUTE, {
      code: 'gateway.id-foreign',
      says: 'A genuine id of another tenant was presented.',
      layer: 'gateway',
      target: 'lakeside',
      times: 970,
      who: { kind: 'person', label: '0190a0a0-1111-7000-8000-00000000c0de' },
    }),
    attempt(-4 * MINUTE, {
      code: 'tripwire.row',
      says: 'A statement met a row of another tenant.',
      layer: 'tripwire',
      severity: 'critical',
      operation: 'tenant-door',
      who: { kind: 'service', label: 'workspace' },
      sessionId: null,
      page: { id: id('pge', 1), acceptedAt: null, channel: null, latency_ms: null },
    }),
    attempt(-9 * MINUTE, {
      code: 'policy.operation',
      says: 'Somebody’s role does not include what they asked for.',
      layer: 'policy',
      severity: 'low',
      operation: 'access.invite',
      tenant: 'lakeside',
    }),
    attempt(-11 * MINUTE, {
      code: 'edge.session-missing',
      says: 'A route behind the door was asked without a session.',
      layer: 'edge',
      severity: 'low',
      operation: null,
      who: { kind: 'service', label: 'sentinel' },
      source: 'edge internet',
      sessionId: null,
      tenant: 'operator',
      ownEntry: id('ent', 5),
      times: 412,
      page: null,
    }),
  ],
  canaryLastHour: 61,
  tenants: ['harbour', 'lakeside', 'operator'],
  next: null,
};
export const oncall = {
  pages: [
    {
      id: id('pge', 1),
      detection: 'gateway.id-foreign',
      says: 'A request named an id of another tenant',
      severity: 'critical',
      openedAt: at(-6 * MINUTE),
      lastAt: at(-2 * MINUTE),
      count: 4,
      facts: { layer: 'gateway', reason: 'foreign', operation: 'engagements.read' },
      tenant: 'lakeside',
      deliveries: [delivery('inbox', -6 * MINUTE, 1), delivery('webhook', -6 * MINUTE, 3)],
      acknowledgedAt: null,
    },
    {
      id: id('pge', 2),
      detection: 'identity.step-up-refused',
      says: 'A confirmation was refused three times in a row',
      severity: 'high',
      openedAt: at(-52 * MINUTE),
      lastAt: at(-50 * MINUTE),
      count: 3,
      facts: { operation: 'access.invite' },
      tenant: 'harbour',
      deliveries: [
        delivery('inbox', -52 * MINUTE, 2),
        { channel: 'webhook', attempts: 4, acceptedAt: null, outcome: 'connection refused' },
      ],
      acknowledgedAt: null,
    },
    {
      id: id('pge', 3),
      detection: 'ledger.mint-mismatch',
      says: 'A token in the log was never minted',
      severity: 'critical',
      openedAt: at(-2 * DAY),
      lastAt: at(-2 * DAY),
      count: 1,
      facts: {},
      tenant: null,
      deliveries: [delivery('inbox', -2 * DAY, 4)],
      acknowledgedAt: at(-2 * DAY + 5 * MINUTE),
    },
  ],
  canary: { lastHour: 60, delivered: 60, lastAt: at(-MINUTE / 2) },
  next: null,
};

const kinds = [
  ['engagement.created', 'allowed', 1, 'engagement'],
  ['result.recorded', 'allowed', 2, 'result'],
  ['evidence.received', 'allowed', 3, 'evidence'],
  ['tenant.attempt.refused', 'denied', 3, 'engagement'],
  ['result.recorded', 'allowed', 2, 'result'],
  ['access.invite', 'allowed', 1, 'invitation'],
  ['engagement.moved', 'failed', 2, 'engagement'],
] as const;
const ENTRIES = 41;

function entryAt(index: number) {
  const [type, outcome, person, kind] = kinds[(ENTRIES - 1 - index) % kinds.length]!;
  const service = index % 13 === 5;
  return {
    id: id('ent', index),
    type: service ? 'keys.rotated' : type,
    at: at(-(ENTRIES - index) * 11 * MINUTE),
    actor: service ? { kind: 'service', label: 'keys' } : { kind: 'person', label: id('mem', person) },
    resource: [kind, `0190a0a0-0000-7000-8000-${String(index).padStart(12, '0')}`],
    session: service ? null : `0190b0b0-0000-4000-8000-00000000000${person}`,
    grant: !service && index % 11 === 4 ? `0190c0c0-0000-7000-8000-${String(index).padStart(12, '0')}` : null,
    agents: service || index % 7 !== 2 ? [] : [id('cli', 2)],
    steppedUp: type === 'access.invite',
    decision: index % 4 === 3 ? null : { policies: [`${kind}s/lead-and-auditor`], revision: hex(31).slice(0, 16) },
    generation: index === ENTRIES - 1 ? null : 1,
    outcome: service ? 'allowed' : outcome,
    requestId: `01981f6e-7c1a-7b3e-9d54-${String(index).padStart(12, '0')}`,
    position: index === ENTRIES - 1 ? null : index,
    public:
      outcome === 'denied' && !service ? { layer: 'gateway', reason: 'foreign', operation: 'engagements.read' } : {},
  };
}

const sealed = Array.from({ length: ENTRIES - 1 }, (_, index) =>
  JSON.stringify({ v: 1, index, type: entryAt(index).type, at: entryAt(index).at, salted: hex(index) }),
);
const log = sealSmallLog('auditrax.example/log/harbour/1', sealed);
/** Two witnesses of the sample, one of which has signed: keys made here, nobody's. */
const witnesses = [await testWitness('witness.lakeside.example'), await testWitness('witness.orchard.example')];
const superLog = superLogOf(await createNoteSigner('auditrax.example/log/super/1', log.privateKey));
const seenOutside = {
  evidence: await superLog.epoch({
    epoch: 7,
    checkpoint: log.checkpoint,
    seconds: Math.floor(now / 1000) - 60,
    witnesses: witnesses.slice(0, 1),
  }),
  policy: `witness lakeside ${witnesses[0]!.vkey}\nwitness orchard ${witnesses[1]!.vkey}\ngroup any 1 lakeside orchard\nquorum any\n`,
};

export const entries = Array.from({ length: ENTRIES }, (_, index) => entryAt(ENTRIES - 1 - index));

/** Sample of what an entry shows of its approval; nothing signed it. */
const shownApproval = {
  action: JSON.stringify({
    input: { label: 'Auditor, night shift', role: 'auditor' },
    operation: 'access.invite',
    person: '0d5ef3a1-9a0a-4d0e-8a6a-6a9e4d1c2b3f',
    tenant: '5b1c0f62-3a77-4c65-8f0f-3a4c0e6b9d21',
  }),
  actionHash: hex(28, 43),
  passkey: '7c1f0a52-6e0d-4b0c-9d4b-2a7f5c3e8d10',
  publicKeyHash: hex(29, 43),
  origin: 'https://localhost:8443',
  failed: null,
};

export function entry(entryId: string): unknown {
  const found = entries.find((item) => item.id === entryId);
  if (!found) return null;
  return {
    ...found,
    leaf: sealed[found.position ?? 0],
    tokenHash: hex(21, 43),
    stepUpHash: found.type === 'access.invite' ? hex(22, 43) : null,
    approval: found.type === 'access.invite' ? shownApproval : null,
    disclosures: [
      { name: 'label', value: 'Auditor, night shift', digest: hex(23), state: 'open', erasedBy: null },
      { name: 'name', value: null, digest: hex(24), state: 'withheld', erasedBy: null },
      { name: 'old.role', value: 'auditor', digest: hex(25), state: 'open', erasedBy: null },
      { name: 'new.role', value: 'lead', digest: hex(26), state: 'open', erasedBy: null },
      {
        name: 'email',
        value: null,
        digest: hex(27),
        state: 'erased',
        erasedBy: { id: id('ent', 30), position: 30 },
      },
    ],
  };
}

export function entryProof(entryId: string): unknown {
  const index = entries.find((item) => item.id === entryId)?.position;
  if (index === null || index === undefined) return null;
  return {
    origin: log.origin,
    treeSize: log.size,
    checkpoint: log.checkpoint,
    vkey: log.vkey,
    witnesses: 0,
    cosigned: null,
    index,
    changes: [],
    outside: { ...seenOutside, path: log.proof(index).path },
    ...log.proof(index),
  };
}

/** The list as the server tells it, with what was looked through and how far the log is signed. */
export function entryPage(shown: typeof entries): unknown {
  return {
    entries: shown,
    nextCursor: null,
    searched: entries.length,
    log: { generation: 1, size: log.size, cosigned: null },
  };
}

/** The same log after a restore, with an entry that the database has lost. */
export function brokenPage(): unknown {
  const shown = entries.slice(0, 8).map((item, at) => ({
    ...item,
    position: at < 3 ? 2 - at : at < 5 ? 40 - at : 37 - at,
    generation: at < 3 ? 2 : 1,
  }));
  const cosigned = { by: 2, of: 3, since: at(-90 * MINUTE) };
  return { entries: shown, nextCursor: null, searched: 8, log: { generation: 2, size: 2, cosigned } };
}

export function rangeLeaves(from: number, to: number): unknown {
  return { from, leaves: sealed.slice(from, to) };
}

export function rangeProof(from: number, to: number): unknown {
  const { origin, size: treeSize, checkpoint, vkey } = log;
  const ends = { first: log.proof(from).path, last: log.proof(to - 1).path };
  return {
    origin,
    treeSize,
    checkpoint,
    vkey,
    witnesses: 0,
    cosigned: null,
    from,
    to,
    ...ends,
    changes: [],
    outside: null,
  };
}

export const exportPreview = {
  entries: 40,
  complete: true,
  entriesMax: 100_000,
  bundleMax: 10_000,
  upTo: 40,
  first: 0,
  last: 39,
};

const stream = {
  id: id('str', 1),
  kind: 'splunk-hec',
  host: 'siem.harbour.example',
  port: 8088,
  path: '/services/collector/event',
  ownAuthority: true,
  enabled: true,
  version: 2,
  state: 'streaming',
  lastPosition: 38,
  generation: 1,
  lag: 1,
  sent: 39,
  repeated: 0,
  lastSentAt: at(-1 * MINUTE),
  failingSince: null,
  error: null,
  retryAt: null,
};

export const streams = {
  streamsMax: 4,
  streams: [
    stream,
    {
      ...stream,
      id: id('str', 2),
      kind: 'syslog-tls',
      host: 'log.harbour.example',
      port: 6514,
      path: null,
      ownAuthority: false,
      state: 'failing',
      lastPosition: 12,
      lag: 27,
      sent: 15,
      repeated: 2,
      failingSince: at(-40 * MINUTE),
      error: 'tls: CERT_HAS_EXPIRED',
      retryAt: at(3 * MINUTE),
    },
  ],
};

export const triedStream = {
  steps: [
    { step: 'address', ok: true, detail: '198.51.100.7' },
    { step: 'connect', ok: true, detail: 'port 6514' },
    { step: 'tls', ok: false, detail: 'CERT_HAS_EXPIRED' },
  ],
};
