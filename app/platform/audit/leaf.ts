import { hash } from 'node:crypto';
import {
  AppError,
  canonicalJson,
  toBase64Url,
  uuidV7,
  type Clock,
  type Json,
  type Random,
  type ServiceName,
  type Uuid,
} from '@auditrax/base';
import type { AuditCode } from './errors.ts';

/** A leaf stays small, so that it can be public-safe by eye and a tile of entries stays downloadable. */
export const LEAF_BYTES_MAX = 4096;
/** Public facts are a handful of labels, not a payload. */
export const PUBLIC_FACTS_MAX = 24;
export const PUBLIC_TEXT_CHARS_MAX = 400;
/** One leaf names at most this many withheld values (44 bytes each). */
export const DISCLOSURES_MAX = 24;
/** A withheld value is a field, not a file (files are referenced by digest). */
export const DISCLOSURE_CHARS_MAX = 65_536;
/** RFC 9901 section 4.2.1 asks for 128 bits. */
const SALT_BYTES = 16;

export type AuditOutcome = 'allowed' | 'denied' | 'failed';
export type AuditActor = { readonly personId: Uuid; readonly sessionId?: Uuid } | { readonly service: ServiceName };
export type PublicFacts = Readonly<Record<string, string | number | boolean>>;

/** What happened, in the caller's words. `type` is `<room>.<verb>`, e.g. `engagement.created`. */
export interface AuditInput {
  readonly type: string;
  readonly actor: AuditActor;
  /** Kind and row id of what was touched; the commit guard compares both with the changed row. */
  readonly resource: readonly [kind: string, id: Uuid];
  readonly outcome: AuditOutcome;
  /** base64url SHA-256 of the transaction token; the issuer's list of mints is compared with it. */
  readonly tokenHash?: string;
  /** base64url SHA-256 of the step-up assertion. */
  readonly stepUpHash?: string;
  readonly requestId: string;
  /** Small, public-safe facts: everyone who ever holds an export can read them. Integers only. */
  readonly public?: PublicFacts;
  /** Personal or confidential: only a salted digest enters the leaf; the value is sealed and can be destroyed. */
  readonly disclosures?: Readonly<Record<string, string>>;
}

/** One withheld value in the form of RFC 9901: `text` is base64url(JSON [salt, name, value]). */
export interface Disclosure {
  readonly digest: string;
  readonly text: string;
}

export interface BuiltLeaf {
  readonly entryId: Uuid;
  readonly leaf: Buffer;
  readonly disclosures: readonly Disclosure[];
}

const TYPE_PATTERN = /^[a-z][A-Za-z0-9-]*(\.[a-z][A-Za-z0-9-]*)+$/;
const KEY_PATTERN = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
const KIND_PATTERN = /^[a-z][a-z0-9_-]{0,39}$/;

function invalid(field: string, why: string): AppError<AuditCode> {
  return new AppError<AuditCode>('audit_input_invalid', `audit entry: ${field} ${why}`, { field });
}

function checkFacts(facts: PublicFacts): void {
  const entries = Object.entries(facts);
  if (entries.length > PUBLIC_FACTS_MAX) throw invalid('public', `has more than ${PUBLIC_FACTS_MAX} facts`);
  for (const [key, value] of entries) {
    if (!KEY_PATTERN.test(key)) throw invalid(`public.${key}`, 'is not an ASCII name');
    // JSON readers elsewhere lose digits above 2^53, and fractions print differently.
    if (typeof value === 'number' && !Number.isSafeInteger(value)) throw invalid(`public.${key}`, 'is no safe integer');
    if (typeof value === 'string' && value.length > PUBLIC_TEXT_CHARS_MAX)
      throw invalid(`public.${key}`, 'is too long');
  }
}

function checkInput(input: AuditInput): void {
  if (!TYPE_PATTERN.test(input.type) || input.type.length > 80) throw invalid('type', 'is not room.verb');
  if (!KIND_PATTERN.test(input.resource[0])) throw invalid('resource', 'has no such kind');
  checkFacts(input.public ?? {});
  const withheld = Object.entries(input.disclosures ?? {});
  if (withheld.length > DISCLOSURES_MAX) throw invalid('disclosures', `has more than ${DISCLOSURES_MAX} values`);
  for (const [key, value] of withheld) {
    if (!KEY_PATTERN.test(key)) throw invalid(`disclosures.${key}`, 'is not an ASCII name');
    if (value.length > DISCLOSURE_CHARS_MAX) throw invalid(`disclosures.${key}`, 'is too long');
  }
}

/** Digest of a disclosure: SHA-256 over its ASCII text, base64url (RFC 9901 section 4.2.3). */
export function disclosureDigest(text: string): string {
  return toBase64Url(hash('sha256', text, 'buffer'));
}

function withhold(name: string, value: string, random: Random): Disclosure {
  const salt = toBase64Url(random.bytes(SALT_BYTES));
  const text = Buffer.from(JSON.stringify([salt, name, value]), 'utf8').toString('base64url');
  return { digest: disclosureDigest(text), text };
}

function actorJson(actor: AuditActor): Json {
  return 'service' in actor ? ['service', actor.service] : ['person', actor.personId];
}

/**
 * Builds the bytes that get hashed and signed: canonical JSON (RFC 8785), ASCII keys, safe integers, at most
 * `LEAF_BYTES_MAX` bytes. Withheld values appear only as salted digests, sorted so that their order tells nothing.
 * Throws `audit_input_invalid` or `audit_leaf_too_large`.
 */
export function buildLeaf(input: AuditInput, { clock, random }: { clock: Clock; random: Random }): BuiltLeaf {
  checkInput(input);
  const entryId = uuidV7(clock, random);
  const disclosures = Object.entries(input.disclosures ?? {}).map(([name, value]) => withhold(name, value, random));
  const digests = disclosures.map((disclosure) => disclosure.digest).sort();
  const text = canonicalJson({
    v: 1,
    id: entryId,
    time: clock.nowMs(),
    type: input.type,
    actor: actorJson(input.actor),
    session: 'sessionId' in input.actor ? input.actor.sessionId : undefined,
    resource: [input.resource[0], input.resource[1]],
    outcome: input.outcome,
    token: input.tokenHash,
    stepUp: input.stepUpHash,
    request: input.requestId,
    public: input.public,
    _sd: digests.length > 0 ? digests : undefined,
    _sd_alg: digests.length > 0 ? 'sha-256' : undefined,
  });
  const leaf = Buffer.from(text, 'utf8');
  if (leaf.length > LEAF_BYTES_MAX) {
    throw new AppError<AuditCode>('audit_leaf_too_large', `audit entry ${input.type}: ${leaf.length} bytes`);
  }
  return { entryId, leaf, disclosures };
}
