import { at, id } from './gallery-data.ts';
/** Canned answers about keys, key stores and deletions; shapes are the rooms' contracts, nothing here is real. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';

const usable = { state: 'usable', code: null, message: null, advice: null, checkedAt: at(-8_000) };
const withdrawn = {
  state: 'withdrawn',
  code: 'kek_disabled',
  message: 'The key 1234abcd-12ab-34cd-56ef-1234567890ab is disabled (expected Enabled).',
  advice:
    'Whoever owns the key has disabled it, scheduled its deletion, or let its material expire. Enable it again in the key store; reading works again within seconds.',
  checkedAt: at(-6_000),
};
const unreachable = {
  state: 'unreachable',
  code: 'kek_unavailable',
  message: 'No answer from keys.lakeside.example within 250 ms.',
  advice: 'The key store does not answer in time. Check that it runs and that its address can be reached from here.',
  checkedAt: at(-4_000),
};

const local = {
  sourceId: null,
  kind: 'local',
  state: 'ACTIVE',
  provider: 'local',
  kekRef: 'local:7f2c',
  fingerprint: 'b1946ac92492d234',
  assurance: 'development',
  settings: {},
  details: {},
  activeSince: at(-130 * DAY),
  health: usable,
};
const own = {
  ...local,
  sourceId: '0d5ef3a1-9a0a-4d0e-8a6a-6a9e4d1c2b3f',
  kind: 'aws-kms',
  provider: 'aws-kms',
  kekRef: `aws-kms:${ARN}`,
  fingerprint: '5891b5b522d5df08',
  assurance: 'hardware',
  settings: { keyArn: ARN, region: 'eu-central-1', roleArn: 'arn:aws:iam::111122223333:role/auditrax-key' },
  activeSince: at(-3 * DAY),
};
const use = (ago: number, peer: string, more: Readonly<Record<string, unknown>> = {}) => ({
  at: at(-ago),
  operation: 'unwrap',
  peer,
  purpose: 'fields',
  version: 3,
  kekRef: 'local:7f2c',
  outcome: 'ok',
  requestId: '01981f6e-7c1a-7b3e-9d54-2f6a8c0e4b17',
  ...more,
});
const uses = {
  since: at(-9 * HOUR),
  total: 412,
  refused: 1,
  last: [
    use(40_000, 'workspace'),
    use(3 * MINUTE, 'issuer'),
    use(5 * MINUTE, 'workspace', { purpose: 'objects', version: 1 }),
    use(2 * HOUR, 'workspace', { version: 2, outcome: 'kek_throttled' }),
    use(3 * HOUR, 'workspace', { operation: 'rewrap' }),
  ],
};
const source = {
  active: own,
  pending: null,
  former: [],
  kinds: ['local', 'aws-kms', 'xks', 'pkcs11'],
  uses,
  tier: 'enterprise',
  mayChange: true,
  moving: { total: 3, left: 0, stopped: null },
};
export const keySource = source;
export const keySourceWithdrawn = { ...source, active: { ...own, health: withdrawn } };
export const keySourceMoving = {
  ...source,
  former: [{ ...local, state: 'FORMER' }],
  moving: {
    total: 3,
    left: 1,
    stopped: { code: 'kek_throttled', advice: 'The key store asks for patience. Raise its limit if this goes on.' },
  },
};
export const checkedSource = {
  ok: true,
  health: usable,
  provider: 'aws-kms',
  kekRef: `aws-kms:${ARN}`,
  fingerprint: '5891b5b522d5df08',
  assurance: 'hardware',
  details: {},
  trialMs: 84.2,
};
export const refusedSource = {
  ok: false,
  health: {
    ...withdrawn,
    code: 'kek_denied',
    message: 'The role arn:aws:iam::111122223333:role/auditrax-key may not use the key.',
    advice:
      'The key store refuses who asks. Check the access key, the key policy or grant, the role and its external id, or the client certificate.',
  },
  provider: 'aws-kms',
  kekRef: null,
  fingerprint: null,
  assurance: null,
  details: {},
  trialMs: null,
};
export const importParameters = {
  keyArn: ARN,
  publicKey: 'MIICIjANBgkqhkiG9w0BAQEFAAOCAg8A',
  importToken: 'AQECAHg',
  wrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256',
  validUntil: at(24 * HOUR),
};

const column = (name: string, current: number, left: number) => ({
  column: name,
  purpose: name.startsWith('app.evidence') ? 'objects' : 'fields',
  current,
  left,
  done: current,
  unreadable: 0,
  updatedAt: left > 0 ? at(-20_000) : at(-41 * DAY),
});
export const keyRotation = {
  purposes: [
    { purpose: 'fields', version: 3, createdAt: at(-41 * DAY), rotatesAt: at(42 * DAY), sealsUntil: at(49 * DAY) },
    { purpose: 'objects', version: 1, createdAt: at(-88 * DAY), rotatesAt: at(1.6 * DAY), sealsUntil: at(2 * DAY) },
  ],
  columns: [
    column('app.criterion_result.note_sealed', 1_204, 388),
    column('app.engagement.title_sealed', 12, 0),
    column('app.evidence.object', 96, 0),
  ],
  left: 388,
  backupRetentionDays: 35,
};

const ring = (
  tenant: string | null,
  of: Pick<typeof local, 'provider' | 'assurance' | 'kekRef' | 'fingerprint'>,
  { health, dataKeys }: { health: object; dataKeys: number },
) => ({
  tenant,
  provider: of.provider,
  assurance: of.assurance,
  kekRef: of.kekRef,
  fingerprint: of.fingerprint,
  details: { region: 'eu-central-1' },
  health,
  tenants: tenant === null ? 4 : 1,
  dataKeys,
  left: 0,
  unseen: 0,
  oldestActiveDays: 41.2,
  uses: 412,
  refused: tenant === null ? 0 : 3,
  lastUnwrapAt: at(-2 * MINUTE),
});
export const keyRings = {
  rings: [
    ring(null, local, { health: usable, dataKeys: 14 }),
    ring('lakeside', own, { health: withdrawn, dataKeys: 3 }),
    ring(
      'canary-b',
      { ...own, provider: 'xks', kekRef: 'xks:5f21', assurance: 'simulator' },
      { health: unreachable, dataKeys: 2 },
    ),
  ],
};

const shared = { kind: 'shared', region: 'north' };
const south = { kind: 'database', region: 'south' };
export const places = {
  regions: [
    { name: 'north', isHome: true, kinds: ['shared', 'schema', 'database'] },
    { name: 'south', isHome: false, kinds: ['database'] },
  ],
};
const move = {
  id: id('mov', 1),
  tenant: { slug: 'lakeside', name: 'Lakeside Internal Audit' },
  state: 'moving',
  from: shared,
  to: south,
  requestedBy: id('mem', 1),
  requestedAt: at(-1 * MINUTE),
  endedAt: null,
  progress: { stage: 'copying', rowsDone: 18_204, rowsTotal: 41_377, updatedAt: at(0) },
  frozenMs: null,
  proof: null,
  files: null,
  failure: null,
  mayCancel: true,
};
const ended = { ...move, progress: null, endedAt: at(-40 * DAY), mayCancel: false };
export const moves = {
  moves: [
    move,
    {
      ...ended,
      id: id('mov', 2),
      tenant: { slug: 'orchard', name: 'Orchard Row Assurance' },
      state: 'done',
      frozenMs: 1840,
      proof: [
        { table: 'app.engagement', rows: 12, sha256: 'a'.repeat(64) },
        { table: 'audit.entry', rows: 9127, sha256: 'b'.repeat(64) },
      ],
      files: { count: 96, bytes: 3_400_000_000, sha256: 'c'.repeat(64) },
    },
    { ...ended, id: id('mov', 3), state: 'failed', failure: 'The database of the region south could not be reached.' },
  ],
};

export const tenants = {
  tenants: [
    {
      slug: 'harbour',
      name: 'Harbour Street Audit',
      kind: 'sample',
      tier: 'standard',
      place: shared,
      createdAt: at(-130 * DAY),
    },
    {
      slug: 'lakeside',
      name: 'Lakeside Internal Audit',
      kind: 'sample',
      tier: 'enterprise',
      place: shared,
      createdAt: at(-90 * DAY),
    },
    {
      slug: 'canary-b',
      name: 'Canary B',
      kind: 'canary',
      tier: 'enterprise',
      place: shared,
      createdAt: at(-130 * DAY),
    },
    {
      slug: 'orchard',
      name: 'Orchard Row Assurance',
      kind: 'customer',
      tier: 'enterprise',
      place: south,
      createdAt: at(-40 * DAY),
    },
  ],
};
const inventory = {
  engagements: 4,
  evidence: 96,
  objectBytes: 3_400_000_000,
  dataKeys: 5,
  keyEncryptionKeys: 1,
  people: 9,
  openSessions: 2,
};
const delay = { seconds: 7 * 86_400, isShortened: false };
const deletion = {
  id: id('del', 1),
  tenant: { slug: 'lakeside', name: 'Lakeside Internal Audit' },
  state: 'confirmed',
  inventory,
  proposedBy: id('mem', 1),
  proposedAt: at(-2 * DAY),
  confirmedBy: id('mem', 4),
  confirmedAt: at(-1 * DAY),
  dueAt: at(6 * DAY),
  cancelledBy: null,
  cancelledAt: null,
  endedAt: null,
  mayConfirm: false,
  mayCancel: true,
  confirmRefused: null,
  stillOpen: [],
};
export const deletions = {
  deletions: [
    {
      ...deletion,
      id: id('del', 2),
      tenant: { slug: 'pier', name: 'Pier Road Partners' },
      state: 'proposed',
      confirmedBy: null,
      confirmedAt: null,
      dueAt: null,
      confirmRefused: 'You proposed it: another operator has to confirm.',
    },
    deletion,
    {
      ...deletion,
      id: id('del', 3),
      tenant: { slug: 'mill', name: 'Mill Lane Review' },
      state: 'destroyed',
      endedAt: at(-20 * DAY),
      mayCancel: false,
    },
  ],
  delay,
};
export const deletionPreview = {
  tenant: { slug: 'harbour', name: 'Harbour Street Audit' },
  inventory,
  delay,
  remains: [
    'The audit log keeps its entries, sealed under keys that are gone: they prove that something happened, and no longer what.',
    'Backups keep the sealed bytes; without the keys they cannot be opened.',
  ],
  refused: null,
};
