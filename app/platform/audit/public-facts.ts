/**
 * What a public fact may be: everybody who ever holds a copy of the log reads it, for good. There is no kind for what is
 * personal or confidential: that is withheld (`disclosures`, `personal`).
 *
 * `id`: of a row, random. `word`: of an enumeration, a number of a version, a name of ours; never with a space or an `@`.
 * `hash`, `time`: as text. `count`: a number or a yes or no. `ours`: a sentence that this product wrote, not a person.
 * `reference`: how a supplier calls a model, or a key store a key; that names a tenant's account there and nobody in person,
 * and has to be writable while that store, and so everything sealed, is out of reach. `operator`: what the operator typed
 * for everybody to read.
 */
export type FactKind = 'id' | 'word' | 'hash' | 'time' | 'count' | 'ours' | 'reference' | 'operator';

/** Every name of a public fact. A new one is added here by whoever has asked: could it ever say who, or what a client does? */
export const PUBLIC_FACTS: Readonly<Record<string, FactKind>> = {
  activated: 'count',
  advice: 'ours',
  alive: 'ours',
  allowed: 'word',
  approvalKept: 'count',
  approvals: 'count',
  assurance: 'word',
  attempt: 'ours',
  belongs: 'count',
  bundle: 'hash',
  canaryFields: 'ours',
  canaryObjects: 'ours',
  cardFlag: 'count',
  cause: 'word',
  cell: 'word',
  certificate: 'hash',
  changeover: 'id',
  characters: 'count',
  code: 'word',
  column: 'word',
  commitment: 'hash',
  connection: 'id',
  contacts: 'count',
  count: 'count',
  criteria: 'count',
  criterion: 'id',
  dataKeys: 'count',
  days: 'count',
  daysLeft: 'count',
  detail: 'ours',
  detection: 'word',
  deviceType: 'word',
  digest: 'hash',
  door: 'word',
  due: 'time',
  dueDays: 'count',
  effects: 'ours',
  engagement: 'id',
  engagements: 'count',
  entries: 'count',
  entry: 'id',
  error: 'ours',
  errors: 'ours',
  evidence: 'id',
  failed: 'word',
  field: 'word',
  files: 'count',
  fingerprint: 'hash',
  foreignPart: 'count',
  format: 'word',
  from: 'reference',
  frozenMs: 'count',
  ground: 'word',
  handedTo: 'id',
  handover: 'hash',
  held: 'ours',
  kekRef: 'reference',
  kept: 'count',
  keptRoot: 'hash',
  keptSize: 'count',
  keyArn: 'reference',
  keyEncryptionKeys: 'count',
  keyRefs: 'reference',
  kind: 'word',
  layer: 'word',
  manifest: 'hash',
  member: 'id',
  method: 'word',
  minutes: 'count',
  model: 'reference',
  network: 'ours',
  newKey: 'word',
  nonce: 'id',
  objectBytes: 'count',
  observedOn: 'time',
  office: 'id',
  oldKey: 'word',
  ok: 'count',
  openSessions: 'count',
  operation: 'word',
  origin: 'word',
  outcome: 'word',
  overlap: 'count',
  page_latency_ms: 'count',
  paged: 'count',
  part: 'count',
  parts: 'count',
  people: 'count',
  periodEnd: 'time',
  periodFrom: 'time',
  periodStart: 'time',
  periodTo: 'time',
  person: 'id',
  place: 'word',
  port: 'count',
  profile: 'word',
  program: 'id',
  previousOrigin: 'word',
  probe: 'word',
  prompt: 'id',
  proofSha256: 'hash',
  provider: 'reference',
  publicKey: 'hash',
  purpose: 'word',
  ran: 'count',
  reached: 'word',
  reason: 'word',
  refused: 'count',
  restores: 'count',
  revision: 'count',
  role: 'word',
  rows: 'count',
  scope: 'word',
  seen: 'count',
  service: 'word',
  session: 'id',
  sessions: 'count',
  shown: 'count',
  signedRoot: 'hash',
  signedSize: 'count',
  since: 'time',
  sizeBytes: 'count',
  slug: 'word',
  source: 'ours',
  speaksFrom: 'time',
  speaksTo: 'time',
  state: 'word',
  stillOpen: 'ours',
  tenant: 'id',
  tier: 'word',
  to: 'reference',
  took_ms: 'count',
  type: 'word',
  upTo: 'count',
  validTo: 'time',
  values: 'count',
  version: 'word',
  way: 'word',
};

/** Of one type of entry, where a name means something else. */
const OF_TYPE: Readonly<Record<string, FactKind>> = {
  'log.generation.opened reason': 'operator',
  'log.key.rotated reason': 'operator',
};

/** They have spaces; and what this product did not write itself has no address of a person in it. */
const FROM_OUTSIDE: ReadonlySet<FactKind> = new Set(['reference', 'operator']);
const MAIL_ADDRESS = /[^\s@]@[^\s@]+\.[^\s@]/;

/**
 * What is wrong with a public fact, or undefined. Of a name that is not in the list it is asked what is asked of a word, so
 * that a text that somebody typed does not get into the log for good before anybody has thought about it.
 */
export function faultOfFact(type: string, name: string, value: string | number | boolean): string | undefined {
  const kind = OF_TYPE[`${type} ${name}`] ?? PUBLIC_FACTS[name] ?? 'word';
  if (typeof value !== 'string') return undefined;
  if (kind === 'count') return /^-?\d+$/.test(value) ? undefined : 'is a text where a number was declared';
  if (kind === 'ours') return undefined;
  if (FROM_OUTSIDE.has(kind)) return MAIL_ADDRESS.test(value) ? 'holds an address of a person' : undefined;
  return /[\s@]/.test(value) ? 'is a text and not a word: withhold it' : undefined;
}
