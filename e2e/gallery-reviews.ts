import type { AccessReviewAnswer, AccessReviewItem, AccessReviewsAnswer } from '../app/shell/wire.ts';
import { at, id } from './gallery-data.ts';

const DAY = 86_400_000;
const HASH = '9f2c4b7be1d80a5c6b3e4f7a8d9c0e1f2a3b4c5d6e7f8091a2b3c4d5e6f70812';

const summary = {
  id: id('arv', 1),
  state: 'open',
  openedAt: at(-5 * DAY),
  openedBy: null,
  dueAt: at(9 * DAY),
  closedAt: null,
  snapshotHash: HASH,
  items: 6,
  undecided: 4,
  removed: 1,
  unproven: 0,
  stillThere: 0,
} as const;

export const reviews: AccessReviewsAnswer = {
  eachQuarter: true,
  isMandatory: false,
  managers: 2,
  days: { least: 3, usual: 14, most: 30 },
  reviews: [
    summary,
    {
      ...summary,
      id: id('arv', 2),
      state: 'closed',
      openedAt: at(-96 * DAY),
      openedBy: 'Lead auditor',
      dueAt: at(-82 * DAY),
      closedAt: at(-84 * DAY),
      items: 9,
      undecided: 0,
      removed: 2,
    },
  ],
};

const LEAD = ['access.list-members', 'access.invite', 'engagements.read', 'engagements.create', 'keys.list'];
const AUDITOR = ['access.list-members', 'engagements.read', 'engagements.move', 'evidence.list', 'audit-trail.list'];
const READS = ['engagements.read', 'evidence.list'];

const base: AccessReviewItem = {
  n: 1,
  kind: 'member',
  name: 'Lead auditor',
  isOwn: false,
  role: 'lead',
  scope: null,
  methods: ['passkey', 'sso'],
  connections: 1,
  holds: 0,
  access: 'lead',
  createdAt: at(-400 * DAY),
  expiresAt: null,
  lastUsedAt: at(-DAY / 24),
  provedAt: at(-DAY / 12),
  isGone: false,
  growth: [],
  grown: HASH,
  decision: null,
  decidedBecause: null,
  decidedBy: null,
  decidedAt: null,
  newRole: null,
  reason: null,
  carriedOutAt: null,
  lookedAt: null,
  proof: null,
};

export const review: AccessReviewAnswer = {
  review: summary,
  operations: {
    'access.list-members': 'read',
    'access.invite': 'privileged',
    'engagements.read': 'read',
    'engagements.create': 'privileged',
    'engagements.move': 'write',
    'evidence.list': 'read',
    'audit-trail.list': 'read',
    'keys.list': 'read',
  },
  rules: { version: 0, sha256: null, versionNow: 0 },
  access: { lead: LEAD, auditor: AUDITOR, reads: READS, none: [] },
  items: [
    { ...base, isOwn: true },
    { ...base, n: 2, name: 'Second lead', lastUsedAt: at(-3 * DAY), holds: 1 },
    {
      ...base,
      n: 3,
      name: 'Auditor, night shift',
      role: 'auditor',
      access: 'auditor',
      lastUsedAt: at(-71 * DAY),
      growth: ['operation access.invite', 'role lead', 'key or program'],
    },
    {
      ...base,
      n: 4,
      name: 'Client contact, mill',
      role: 'client',
      access: 'reads',
      methods: ['link'],
      connections: 0,
      provedAt: null,
      lastUsedAt: null,
      decision: 'remove',
      decidedBecause: 'person',
      decidedBy: 'Second lead',
      decidedAt: at(-2 * DAY),
      reason: 'The engagement is over.',
      carriedOutAt: at(-2 * DAY + 400),
      lookedAt: at(-2 * DAY + 65_000),
      proof: 'gone',
    },
    {
      ...base,
      n: 5,
      kind: 'api-key',
      name: 'Second lead',
      scope: 'read',
      access: 'reads',
      methods: [],
      connections: 0,
      provedAt: null,
      createdAt: at(-30 * DAY),
      expiresAt: at(60 * DAY),
      lastUsedAt: at(-DAY),
    },
    {
      ...base,
      n: 6,
      kind: 'directory-token',
      name: 'Company directory',
      role: null,
      access: 'none',
      methods: [],
      connections: 0,
      provedAt: null,
      lastUsedAt: null,
      expiresAt: at(40 * DAY),
      decision: 'keep',
      decidedBecause: 'person',
      decidedBy: 'Lead auditor',
      decidedAt: at(-DAY),
    },
  ],
};

export const none: AccessReviewsAnswer = { ...reviews, eachQuarter: false, managers: 1, reviews: [] };
export const reviewPath = `/app/access-reviews/${summary.id}`;
