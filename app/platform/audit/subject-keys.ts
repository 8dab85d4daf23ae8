import { AppError, type Random, type Uuid } from '@auditrax/base';
import { openField, sealField, XaesKey, type FieldBinding, type FieldKey } from '@auditrax/seal';
import type { ScopedTransaction, TenantContext, TenantDoor } from '@auditrax/tenancy';
import type { Erasure } from './erasure-register.ts';
import type { AuditCode } from './errors.ts';
import { disclosureDigest, ERASED_DIGESTS_MAX, readLeafBody, type AuditInput } from './leaf.ts';
import * as queries from './queries.ts';
import type { RecordAudit } from './record.ts';

/**
 * Days within which a person's values must be gone everywhere: one month from the request, by law (Regulation (EU)
 * 2016/679, article 12(3)). Backups that are kept longer still hold the key, and whoever erases is told so.
 */
export const ERASURE_DEADLINE_DAYS = 30;
/** Values about one person; what is more is an erasure in several steps that somebody looks at. */
export const ERASED_VALUES_MAX = 64_000;

const KEY_BYTES = 32;
/** A person has one key for good; its values are never encrypted anew, what is around them is. */
const KEY_VERSION = 1;
/** Numbers below 100 belong to the platform: 1 is the key of a stored object. */
const SUBJECT_VALUE_FIELD = 2;
const SCHEMA_REVISION = 1;
const KEY_FIELD = 'audit.subject_key.sealed';
const VALUE_FIELD = 'audit.disclosure.sealed';

/** What is asked of the tenant's ring; the composition root hands in the room that has it. */
export interface RingSealer {
  seal(input: {
    context: TenantContext;
    field: typeof KEY_FIELD;
    rowId: Uuid;
    value: Uint8Array;
    tx: ScopedTransaction;
  }): Promise<Uint8Array>;
  openBytes(input: {
    context: TenantContext;
    field: typeof KEY_FIELD;
    rowId: Uuid;
    sealed: Uint8Array;
    tx?: ScopedTransaction;
  }): Promise<Uint8Array>;
}

/** Keys of persons, for writers of entries. */
export interface SubjectKeys {
  /**
   * A withheld value under the person's key, as text to be sealed under the tenant's like any other. The key is made with
   * the first value about them. Throws `audit_subject_erased` and what the ring throws.
   */
  seal(tx: ScopedTransaction, value: { subject: Uuid; entryId: Uuid; text: string }): Promise<string>;
}

function bindingOf(tenantId: Uuid, entryId: Uuid): FieldBinding {
  return { tenantId, fieldId: SUBJECT_VALUE_FIELD, rowId: entryId, schemaRevision: SCHEMA_REVISION };
}

/** Uses a key once and wipes it: none is kept in memory, so an erasure holds from its commit on. */
function withKey<T>(bytes: Uint8Array, use: (key: FieldKey) => T): T {
  const key = new XaesKey(bytes);
  bytes.fill(0);
  try {
    return use({ version: KEY_VERSION, key });
  } finally {
    key.destroy();
  }
}

/** Makes the keys of persons out of the tenant's ring. */
export function createSubjectKeys({ ring, random }: { ring: RingSealer; random: Random }): SubjectKeys {
  const keyOf = async (tx: ScopedTransaction, subject: Uuid): Promise<Uint8Array> => {
    const { context } = tx;
    const find = async () => (await tx.query(queries.subjectKey(context.tenantId, subject)))[0]!;
    const open = (sealed: Uint8Array) => ring.openBytes({ context, field: KEY_FIELD, rowId: subject, sealed, tx });
    const known = await find();
    if (known.erased) throw new AppError<AuditCode>('audit_subject_erased', `${subject} was erased`);
    if (known.sealed !== null) return open(known.sealed);
    const made = random.bytes(KEY_BYTES);
    const sealed = await ring.seal({ context, field: KEY_FIELD, rowId: subject, value: made, tx });
    const [own] = await tx.query(queries.insertSubjectKey({ tenantId: context.tenantId, subject, sealed }));
    if (own !== undefined) return made;
    // Somebody else's first value about this person was committed meanwhile.
    made.fill(0);
    return open((await find()).sealed!);
  };
  return {
    async seal(tx, { subject, entryId, text }) {
      const binding = bindingOf(tx.context.tenantId, entryId);
      return withKey(await keyOf(tx, subject), (key) =>
        sealField({ key, binding, random }, Buffer.from(text, 'utf8')).toString('base64url'),
      );
    },
  };
}

/** A withheld value as it is found: its RFC 9901 text, or why there is none. */
export interface FoundDisclosure {
  readonly digest: string;
  /** Null: erased, or not what the leaf committed to. */
  readonly text: string | null;
  readonly subject: Uuid | null;
  /** The entry that says who destroyed it and when, and its index once it has one. */
  readonly erasedBy: { readonly entryId: Uuid; readonly index: number | null } | null;
}

export interface DisclosureDeps {
  readonly door: TenantDoor;
  readonly ring: Pick<RingSealer, 'openBytes'> & {
    openTexts(input: {
      context: TenantContext;
      values: readonly { field: typeof VALUE_FIELD; rowId: Uuid; sealed: Uint8Array }[];
    }): Promise<string[]>;
  };
}

/**
 * Opens what an entry withholds. Values about a person whose key was destroyed come back without text, and name the entry
 * of the erasure. Looking is the caller's to record. Throws what the ring throws.
 */
export async function openDisclosures(
  { door, ring }: DisclosureDeps,
  context: TenantContext,
  entryId: Uuid,
): Promise<FoundDisclosure[]> {
  const { tenantId } = context;
  const rows = await door.scoped(context, queries.disclosuresOfEntry(tenantId, entryId));
  const outer = await ring.openTexts({
    context,
    values: rows.map(({ sealed }) => ({ field: VALUE_FIELD, rowId: entryId, sealed })),
  });
  const subjects = [...new Set(rows.flatMap(({ subject }) => (subject === null ? [] : [subject])))];
  const keys = new Map<Uuid, Uint8Array>();
  for (const subject of subjects) {
    const [found] = await door.scoped(context, queries.subjectKey(tenantId, subject));
    if (found?.sealed == null) continue;
    const sealed = await ring.openBytes({ context, field: KEY_FIELD, rowId: subject, sealed: found.sealed });
    keys.set(subject, Uint8Array.from(sealed));
  }
  const erasures = await readErasures(
    door,
    context,
    subjects.filter((subject) => !keys.has(subject)),
  );
  const found = rows.map(({ digest, subject }, at): FoundDisclosure => {
    const key = subject === null ? undefined : keys.get(subject);
    const text =
      subject === null
        ? outer[at]!
        : key === undefined
          ? null
          : openInner(key, { tenantId, entryId, sealed: outer[at]! });
    const isWhole = text !== null && disclosureDigest(text) === digest;
    return { digest, subject, text: isWhole ? text : null, erasedBy: erasures.get(digest) ?? null };
  });
  for (const key of keys.values()) key.fill(0);
  return found;
}

function openInner(key: Uint8Array, at: { tenantId: Uuid; entryId: Uuid; sealed: string }): string {
  const binding = bindingOf(at.tenantId, at.entryId);
  return withKey(Uint8Array.from(key), (field) =>
    openField({ key: field, binding }, Buffer.from(at.sealed, 'base64url')).toString('utf8'),
  );
}

/** Digest to the entry that erased it. */
async function readErasures(
  door: TenantDoor,
  context: TenantContext,
  subjects: readonly Uuid[],
): Promise<Map<string, { entryId: Uuid; index: number | null }>> {
  if (subjects.length === 0) return new Map();
  const rows = await door.scoped(context, queries.erasuresOf(context.tenantId, subjects));
  return new Map(
    rows.flatMap(({ id, leaf, idx }) =>
      (readLeafBody(leaf).digests ?? []).map(
        (digest) => [digest, { entryId: id, index: idx === null ? null : Number(idx) }] as const,
      ),
    ),
  );
}

/** Ids of erased people that one question is about. */
const ERASED_ASKED_MAX = 1_000;

/** Who of these was not erased in the tenant's log, as the database says now. */
export async function notErased(door: TenantDoor, context: TenantContext, subjects: readonly Uuid[]): Promise<Uuid[]> {
  const missing: Uuid[] = [];
  for (let first = 0; first < subjects.length; first += ERASED_ASKED_MAX) {
    const some = subjects.slice(first, first + ERASED_ASKED_MAX);
    const rows = await door.scoped(context, queries.erasedAmong(context.tenantId, some));
    const erased = new Set(rows.map(({ subject }) => subject));
    missing.push(...some.filter((subject) => !erased.has(subject)));
  }
  return missing;
}

/** Everybody who was erased in the tenant's log, and when. */
export async function listErased(door: TenantDoor, context: TenantContext): Promise<Erasure[]> {
  const { tenantId } = context;
  const found: Erasure[] = [];
  for (let after: Uuid | null = null; ;) {
    const rows: readonly { subject: Uuid; erased_at: Date }[] = await door.scoped(
      context,
      queries.erasedSubjects(tenantId, { after, limit: ERASED_ASKED_MAX }),
    );
    found.push(...rows.map(({ subject, erased_at }) => ({ tenantId, subject, at: erased_at.getTime() })));
    if (rows.length < ERASED_ASKED_MAX) return found;
    after = rows.at(-1)!.subject;
  }
}

/** How many withheld values are about a person. */
export async function countPersonal(door: TenantDoor, context: TenantContext, subject: Uuid): Promise<number> {
  const [row] = await door.scoped(context, queries.countOfSubject(context.tenantId, subject));
  return Number(row?.values ?? 0);
}

/**
 * Erases a person in the log, inside the caller's transaction: destroys their key and writes entries `person.erased` that
 * name every digest that can never be opened again, at most `ERASED_DIGESTS_MAX` each. Nothing else changes: leaves, proofs
 * and checkpoints stay as they are. Throws `audit_subject_erased` when it was done before, `audit_input_invalid` for more
 * than `ERASED_VALUES_MAX` values.
 */
export async function erasePerson(
  tx: ScopedTransaction,
  recordAudit: RecordAudit,
  facts: Pick<AuditInput, 'actor' | 'tokenHash' | 'stepUpHash' | 'requestId' | 'decision'> & {
    readonly subject: Uuid;
    /** Public-safe ground of the erasure, an enumeration. */
    readonly ground: string;
  },
): Promise<{ values: number; entries: number }> {
  const { tenantId } = tx.context;
  const { subject, ground, ...who } = facts;
  if ((await tx.query(queries.subjectKey(tenantId, subject)))[0]!.erased)
    throw new AppError<AuditCode>('audit_subject_erased', `${subject} was erased before`);
  await tx.query(queries.insertErasedSubject(tenantId, subject));
  const rows = await tx.query(queries.digestsOfSubject(tenantId, subject, ERASED_VALUES_MAX + 1));
  if (rows.length > ERASED_VALUES_MAX)
    throw new AppError<AuditCode>('audit_input_invalid', `more than ${ERASED_VALUES_MAX} values are about ${subject}`);
  const digests = rows.map(({ digest }) => digest);
  const parts = Math.max(1, Math.ceil(digests.length / ERASED_DIGESTS_MAX));
  for (let part = 0; part < parts; part += 1) {
    await recordAudit(tx, {
      ...who,
      type: 'person.erased',
      resource: ['member', subject],
      outcome: 'allowed',
      public: { ground, values: digests.length, part: part + 1, parts },
      digests: digests.slice(part * ERASED_DIGESTS_MAX, (part + 1) * ERASED_DIGESTS_MAX),
    });
  }
  await tx.query(queries.deleteSubjectKey(tenantId, subject));
  return { values: digests.length, entries: parts };
}
