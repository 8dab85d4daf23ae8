import { defineRoutes } from '@auditrax/base/route';
import { secret } from '@auditrax/base/secret';
import { z } from 'zod';

/** A certificate chain or a private key in PEM; longer chains than this are a mistake. */
const PEM_CHARACTERS_MAX = 16_384;
/** Two PEM documents and what stands around them. */
const SOURCE_BODY_BYTES_MAX = 64 * 1024;
/** RSA-4096 around an AES key, in base64url, with room. */
const IMPORT_CHARACTERS_MAX = 8_192;
/** Uses of keys that are shown; more are counted. */
export const KEY_USES_SHOWN_MAX = 50;
/** One for KMS, one for an external store. */
const STAND_INS_MAX = 2;
/** Former sources of one tenant that still hold a data key. */
export const SOURCES_FORMER_MAX = 8;

const text = (charactersMax: number) =>
  z
    .string()
    .min(1)
    .max(charactersMax)
    // Nothing that could break out of a header, a path or a log line.
    .regex(/^[\x21-\x7e]+$/, 'printable ASCII without spaces');
const pem = z
  .string()
  .max(PEM_CHARACTERS_MAX)
  .regex(/^-----BEGIN [A-Z ]+-----\r?\n[A-Za-z0-9+/=\r\n: -]+-----END [A-Z ]+-----\s*$/, 'PEM');
const endpoint = z
  .string()
  .max(512)
  .regex(/^https?:\/\/[A-Za-z0-9.:[\]-]+\/?$/, 'https://host[:port], no path');
const arn = (what: RegExp) => z.string().max(512).regex(what, 'an ARN of the right kind');

const awsKms = z.strictObject({
  kind: z.literal('aws-kms'),
  keyArn: arn(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]{1,64}$/),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region such as eu-central-1'),
  endpoint: endpoint.optional(),
  roleArn: arn(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/).optional(),
  externalId: text(1_224).optional(),
  accessKeyId: text(128).optional(),
  secretAccessKey: secret(text(128)).optional(),
});
const pkcs11 = z.strictObject({
  kind: z.literal('pkcs11'),
  keyLabel: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'letters, digits, dot, dash, underscore'),
});
const xks = z.strictObject({
  kind: z.literal('xks'),
  endpoint,
  uriPathPrefix: z
    .string()
    .max(117)
    .regex(/^(\/[A-Za-z0-9_-]+)*$/, 'empty, or parts that begin with a slash'),
  keyId: z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}$/),
  accessKeyId: z.string().regex(/^[A-Z2-7]{20,30}$/, '20 to 30 characters A-Z and 2-7'),
  secretAccessKey: secret(z.string().regex(/^[A-Za-z0-9+/=]{43,64}$/, '43 to 64 characters')),
  caCertificate: pem.optional(),
  clientCertificate: pem.optional(),
  clientKey: secret(pem).optional(),
});

/** A source that a tenant may bring: everything but the installation's own. */
export const ownKeySource = z.discriminatedUnion('kind', [awsKms, pkcs11, xks]).superRefine((source, context) => {
  const pair = (one: string, other: string) => {
    const given = source as Readonly<Record<string, string | undefined>>;
    if ((given[one] === undefined) !== (given[other] === undefined))
      context.addIssue({ code: 'custom', path: [other], message: `${one} and ${other} belong together` });
  };
  if (source.kind === 'aws-kms') pair('accessKeyId', 'secretAccessKey');
  if (source.kind === 'xks') pair('clientCertificate', 'clientKey');
});
export type OwnKeySource = z.output<typeof ownKeySource>;

export const tenantTier = z.enum(['standard', 'enterprise']);
export type TenantTier = z.output<typeof tenantTier>;
const sourceKind = z.enum(['local', 'pkcs11', 'aws-kms', 'xks']);

/**
 * How much a key store promises. `development`: the key of keys lies beside what it protects. `simulator`: a stand-in
 * speaks the protocol, nothing is really kept elsewhere. `software`: kept apart, in software. `hardware`: cannot leave.
 */
export const keyAssurance = z.enum(['hardware', 'software', 'simulator', 'development']);
export type KeyAssurance = z.output<typeof keyAssurance>;

/** `withdrawn`: whoever owns the key took it away. `unreachable`: asking again may help. `unfit`: it never can work so. */
export const keyHealth = z.object({
  state: z.enum(['usable', 'withdrawn', 'unreachable', 'unfit', 'unknown']),
  code: z.string().nullable(),
  /** What was seen: key id, expected and found where that is known. No secret. */
  message: z.string().nullable(),
  /** What to do, and who. */
  advice: z.string().nullable(),
  checkedAt: z.iso.datetime().nullable(),
});
export type KeyHealth = z.output<typeof keyHealth>;

const sourceView = z.object({
  /** Null for the installation's own. */
  sourceId: z.uuid().nullable(),
  /** What the tenant chose; `local` means the installation's own key store. */
  kind: sourceKind,
  /** `ACTIVE` wraps what is new, `FORMER` only unwraps what has not been moved yet. */
  state: z.enum(['ACTIVE', 'PENDING', 'FORMER']),
  /** What answers: `local`, `pkcs11`, `aws-kms`, `xks`. */
  provider: z.string(),
  kekRef: z.string().nullable(),
  fingerprint: z.string(),
  assurance: keyAssurance,
  /** Settings as registered, without secrets. */
  settings: z.record(z.string(), z.string()),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  activeSince: z.iso.datetime().nullable(),
  health: keyHealth,
});
export type KeySourceView = z.output<typeof sourceView>;

/** One use of a tenant's key-encryption key, as the keys process saw it since it started. */
const keyUse = z.object({
  at: z.iso.datetime(),
  operation: z.enum(['generate', 'wrap', 'unwrap', 'rewrap']),
  /** The process that asked. */
  peer: z.string(),
  purpose: z.string(),
  version: z.number().int(),
  kekRef: z.string(),
  /** `ok`, or the code of the refusal. */
  outcome: z.string(),
  requestId: z.string(),
});
export type KeyUse = z.output<typeof keyUse>;

/** Bounded in memory of the keys process: what is older than `since` is in the log. */
const keyUses = z.object({
  since: z.iso.datetime(),
  total: z.number().int(),
  refused: z.number().int(),
  last: z.array(keyUse).max(KEY_USES_SHOWN_MAX),
});
export type KeyUses = z.output<typeof keyUses>;

const sources = z.object({
  active: sourceView,
  pending: sourceView.nullable(),
  former: z.array(sourceView).max(SOURCES_FORMER_MAX),
  /** Kinds that this installation can use; `pkcs11` only where an HSM is configured. */
  kinds: z.array(sourceKind),
  uses: keyUses,
});

/** Data keys of the tenant, how many of them another key than the active source's still wraps, and why it stopped there. */
const moving = z.object({
  total: z.number().int(),
  left: z.number().int(),
  stopped: z.object({ code: z.string(), advice: z.string() }).nullable(),
});
export type Moving = z.output<typeof moving>;

const checked = z.object({
  ok: z.boolean(),
  health: keyHealth,
  /** Absent when the store could not be asked. */
  provider: z.string().nullable(),
  kekRef: z.string().nullable(),
  fingerprint: z.string().nullable(),
  assurance: keyAssurance.nullable(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  trialMs: z.number().nullable(),
});
export type CheckedSource = z.output<typeof checked>;

const importParameters = z.object({
  keyArn: z.string(),
  /** DER SubjectPublicKeyInfo of the store's wrapping key, base64url. */
  publicKey: z.string(),
  importToken: z.string(),
  wrappingAlgorithm: z.literal('RSA_AES_KEY_WRAP_SHA_256'),
  validUntil: z.iso.datetime(),
});
const importBody = z.strictObject({
  importToken: z.string().max(IMPORT_CHARACTERS_MAX),
  /** Blob of RSA_AES_KEY_WRAP_SHA_256, base64url. */
  encryptedKeyMaterial: z.string().max(IMPORT_CHARACTERS_MAX),
  /** When the store forgets the material again; null: never. */
  validTo: z.iso.datetime().nullable(),
});

const THEIRS = 'of the tenant’s own key store, which is asked with it; nothing of ours is looked up by it';
const storeOfKms = { 'body.source.externalId': THEIRS, 'body.source.accessKeyId': THEIRS } as const;
const storeOfAny = { ...storeOfKms, 'body.source.keyId': THEIRS } as const;

const FROM = 'compared with the caller’s own active source; nothing is looked up by it';
/** Which source is active, as the person saw it; null: the installation's own. */
const from = z.uuid().nullable();

const read = { kind: 'session', class: 'read' } as const;
const write = { kind: 'session', class: 'write' } as const;
const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;

/** A lead's own key source, and the operator's view of all. */
export const sourceContract = defineRoutes({
  read: {
    operation: 'keys.read-source',
    service: 'workspace',
    method: 'GET',
    path: '/api/keys/source',
    access: read,
    ids: {},
    replies: { 200: sources.extend({ tier: tenantTier, mayChange: z.boolean(), moving }) },
  },
  /** A rehearsal: asks the store, wraps and unwraps a throw-away key. Nothing is stored but the entry in the log. */
  check: {
    operation: 'keys.check-source',
    service: 'workspace',
    method: 'POST',
    path: '/api/keys/source/check',
    access: write,
    ids: {},
    untagged: storeOfAny,
    body: z.strictObject({ source: ownKeySource }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: checked },
  },
  /**
   * Registers, verifies and makes active, then moves every data key. Step-up over `sourceApproval(source)` and `from`, the
   * source that is replaced: another one by then is `key_setting_changed`. `left` above zero: the switch is done, some data
   * keys still stand under the former one; `finish` goes on.
   */
  change: {
    operation: 'keys.change-source',
    service: 'workspace',
    method: 'POST',
    path: '/api/keys/source',
    access: privileged,
    ids: {},
    untagged: { ...storeOfAny, 'body.from': FROM },
    body: z.strictObject({ source: ownKeySource, from }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: z.object({ active: sourceView, moving }) },
  },
  /** Back to the installation's own key store; step-up over `{ from }`, as with `change`. */
  giveBack: {
    operation: 'keys.return-source',
    service: 'workspace',
    method: 'POST',
    path: '/api/keys/source/return',
    access: privileged,
    ids: {},
    untagged: { 'body.from': FROM },
    body: z.strictObject({ from }),
    replies: { 200: z.object({ active: sourceView, moving }) },
  },
  /** Moves what a switch has left behind. */
  finish: {
    operation: 'keys.finish-source',
    service: 'workspace',
    method: 'POST',
    path: '/api/keys/source/finish',
    access: write,
    ids: {},
    body: z.strictObject({}),
    replies: { 200: z.object({ active: sourceView, moving }) },
  },
  /** For a KMS key whose material the tenant makes itself: what the material has to be wrapped with. Does not change. */
  importParameters: {
    operation: 'keys.import-parameters',
    service: 'workspace',
    method: 'POST',
    path: '/api/keys/source/import-parameters',
    access: write,
    ids: {},
    untagged: storeOfKms,
    body: z.strictObject({ source: awsKms }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: importParameters },
  },
  /** Step-up over `{ keyArn, encryptedKeyMaterial, validTo }`. */
  import: {
    operation: 'keys.import-material',
    service: 'workspace',
    method: 'POST',
    path: '/api/keys/source/import',
    access: privileged,
    ids: {},
    untagged: storeOfKms,
    body: importBody.extend({ source: awsKms }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: z.object({ keyArn: z.string(), validTo: z.iso.datetime().nullable() }) },
  },
  keyRings: {
    operation: 'keys.list-key-rings',
    service: 'workspace',
    method: 'GET',
    path: '/api/operator/key-rings',
    access: { kind: 'session', class: 'read', operatorOnly: { scope: 'keys' } },
    ids: {},
    replies: {
      200: z.object({
        rings: z.array(
          z.object({
            /** Null: the installation's own, for everybody who has no other. */
            tenant: z.string().nullable(),
            provider: z.string(),
            assurance: keyAssurance,
            kekRef: z.string().nullable(),
            fingerprint: z.string(),
            details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
            health: keyHealth,
            tenants: z.number().int(),
            /** Of them, those whose database does not answer now: the numbers below say nothing of theirs. */
            unseen: z.number().int(),
            dataKeys: z.number().int(),
            /** Of them, still wrapped by the store before; the hourly round moves them. */
            left: z.number().int(),
            oldestActiveDays: z.number(),
            uses: z.number().int(),
            refused: z.number().int(),
            lastUnwrapAt: z.iso.datetime().nullable(),
          }),
        ),
      }),
    },
  },
});

const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a UUID in lower case');
const workspace = { kind: 'internal', callers: ['workspace'], token: false } as const;

/** How a holder of unwrapped data keys stands; `withdrawn`: wipe them now. */
const lease = z.object({
  tenantId: uuid,
  /** `installation`: no source of its own, nothing to ask again. `unreachable`: go on until the keys expire. */
  state: z.enum(['installation', 'usable', 'withdrawn', 'unreachable']),
  code: z.string().nullable(),
});
export type Lease = z.output<typeof lease>;
/** Tenants in one question. */
export const LEASES_PER_CALL_MAX = 1_000;

/** What the keys process answers to its peers about sources. */
export const vaultSourceContract = defineRoutes({
  lease: {
    operation: 'keys.lease',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/lease',
    access: { kind: 'internal', callers: ['workspace', 'issuer'], token: false },
    ids: {},
    /** Null: every tenant that has a source of its own. */
    body: z.strictObject({ tenantIds: z.array(uuid).max(LEASES_PER_CALL_MAX).nullable() }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: z.object({ leases: z.array(lease) }) },
  },
  read: {
    operation: 'keys.sources',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/sources',
    access: workspace,
    ids: {},
    body: z.strictObject({ tenantId: uuid }),
    replies: { 200: sources },
  },
  check: {
    operation: 'keys.sources-check',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/sources/check',
    access: workspace,
    ids: {},
    body: z.strictObject({ tenantId: uuid, source: ownKeySource }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: checked },
  },
  /** Verified by health, wrap and unwrap, then kept as PENDING; a PENDING one from before is replaced. */
  register: {
    operation: 'keys.sources-register',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/sources/register',
    access: workspace,
    ids: {},
    body: z.strictObject({ tenantId: uuid, source: ownKeySource }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 201: sourceView },
  },
  /**
   * PENDING to ACTIVE, ACTIVE to FORMER. Without an id: the installation's own becomes active again. Where `from` is given,
   * only in its place: `key_setting_changed`.
   */
  activate: {
    operation: 'keys.sources-activate',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/sources/activate',
    access: workspace,
    ids: {},
    body: z.strictObject({ tenantId: uuid, sourceId: uuid.nullable(), from: uuid.nullable().optional() }),
    replies: { 200: sourceView },
  },
  /**
   * Forgets every source that is not ACTIVE. The caller has looked that no data key stands under one; `now` says besides
   * that none was ever stored under one, so that nothing has to be waited for.
   */
  drop: {
    operation: 'keys.sources-drop',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/sources/drop',
    access: workspace,
    ids: {},
    body: z.strictObject({ tenantId: uuid, now: z.boolean() }),
    replies: { 200: z.object({ dropped: z.number().int() }) },
  },
  importParameters: {
    operation: 'keys.sources-import-parameters',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/sources/import-parameters',
    access: workspace,
    ids: {},
    body: z.strictObject({ tenantId: uuid, source: awsKms }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: importParameters },
  },
  import: {
    operation: 'keys.sources-import',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/sources/import',
    access: workspace,
    ids: {},
    body: importBody.extend({ tenantId: uuid, source: awsKms }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: z.object({ keyArn: z.string(), validTo: z.iso.datetime().nullable() }) },
  },
  /** Loopback stand-ins that probes rehearse with. Refused by a house in earnest. */
  standIns: {
    operation: 'keys.stand-ins',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/stand-ins',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({
      origins: z.array(z.string().regex(/^https:\/\/(127\.0\.0\.1|localhost):\d{1,5}$/)).max(STAND_INS_MAX),
      ca: pem,
    }),
    bodyBytesMax: SOURCE_BODY_BYTES_MAX,
    replies: { 200: z.object({}) },
  },
  /** Health and use of every source in use: the installation's own first. */
  rings: {
    operation: 'keys.rings',
    service: 'keys',
    method: 'GET',
    path: '/internal/keys/rings',
    access: workspace,
    ids: {},
    replies: {
      200: z.object({
        rings: z.array(
          z.object({
            tenantId: uuid.nullable(),
            source: sourceView,
            uses: z.number().int(),
            refused: z.number().int(),
            lastUnwrapAt: z.iso.datetime().nullable(),
          }),
        ),
      }),
    },
  },
});
