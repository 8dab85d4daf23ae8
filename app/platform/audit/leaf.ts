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
import { faultOfFact } from './public-facts.ts';

/** A leaf stays small, so that it can be public-safe by eye and a tile of entries stays downloadable. */
export const LEAF_BYTES_MAX = 4096;
/** Public facts are a handful of labels, not a payload. */
export const PUBLIC_FACTS_MAX = 24;
export const PUBLIC_TEXT_CHARS_MAX = 400;
/** One leaf names at most this many withheld values (44 bytes each). */
export const DISCLOSURES_MAX = 24;
/** A withheld value is a field, not a file (files are referenced by digest). */
export const DISCLOSURE_CHARS_MAX = 65_536;
/** The withheld value that holds what somebody approved with a passkey. */
export const APPROVAL_VALUE = 'approval';
/** Digests that one entry about an erasure names (46 bytes each); of more there are several entries. */
export const ERASED_DIGESTS_MAX = 64;
/** Rules that an entry names as those that decided. */
export const DECISION_POLICIES_MAX = 8;
/** RFC 9901 section 4.2.1 asks for 128 bits. */
const SALT_BYTES = 16;

export type AuditOutcome = 'allowed' | 'denied' | 'failed';
export type AuditActor =
  | {
      readonly personId: Uuid;
      readonly sessionId?: Uuid;
      /** The production access by which an operator was let in. */
      readonly grantId?: Uuid;
      readonly agents?: readonly Uuid[] | undefined;
    }
  | { readonly service: ServiceName };
export type PublicFacts = Readonly<Record<string, string | number | boolean>>;

/** Which rules of the policy text decided, by id, and the revision of that text. */
export interface AuditDecision {
  readonly policies: readonly string[];
  readonly revision: string;
}

/** A leaf as it reads: what `buildLeaf` wrote, in an order that a reader need not know. */
export interface LeafBody {
  readonly v: number;
  readonly id: Uuid;
  /** Milliseconds since 1970, by the clock of the process that wrote the entry. */
  readonly time: number;
  readonly type: string;
  readonly actor: readonly ['person' | 'service', string];
  readonly session?: string;
  /** Agents that did it for the person, first to last: their programs' ids, random. */
  readonly agents?: readonly Uuid[];
  /** The production access that the operator held. */
  readonly grant?: string;
  readonly resource: readonly [kind: string, id: Uuid];
  readonly outcome: AuditOutcome;
  readonly request: string;
  readonly token?: string;
  readonly stepUp?: string;
  readonly decision?: AuditDecision;
  readonly public?: PublicFacts;
  /** Of an entry about an erasure: what can never be opened again. */
  readonly digests?: readonly string[];
  /** Digests of the withheld values, sorted. */
  readonly _sd?: readonly string[];
}

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
  /** The same about a person, under a key of theirs: it can be erased by law. Names as in `disclosures`, none twice. */
  readonly personal?: { readonly subject: Uuid; readonly values: Readonly<Record<string, string>> };
  /** Which rules of the policy text allowed or refused it. */
  readonly decision?: AuditDecision | undefined;
  /** For an entry about an erasure: digests of values that can never be opened again. */
  readonly digests?: readonly string[];
}

/** One withheld value in the form of RFC 9901: `text` is base64url(JSON [salt, name, value]). */
export interface Disclosure {
  readonly digest: string;
  readonly text: string;
  /** The person that it is about, or null. */
  readonly subject: Uuid | null;
}

export interface BuiltLeaf {
  readonly entryId: Uuid;
  readonly leaf: Buffer;
  readonly disclosures: readonly Disclosure[];
}

const TYPE_PATTERN = /^[a-z][A-Za-z0-9-]*(\.[a-z][A-Za-z0-9-]*)+$/;
const KEY_PATTERN = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
/** Withheld values may also be named `old.<field>` and `new.<field>`. */
const WITHHELD_PATTERN = /^((old|new)\.)?[A-Za-z][A-Za-z0-9_]{0,63}$/;
const POLICY_PATTERN = /^[a-z][a-z0-9-]*\/[a-z0-9][a-z0-9-]{0,79}$/;
const REVISION_PATTERN = /^[A-Za-z0-9_.:-]{1,80}$/;
const DIGEST_PATTERN = /^[A-Za-z0-9_-]{43}$/;
const KIND_PATTERN = /^[a-z][a-z0-9_-]{0,39}$/;

function invalid(field: string, why: string): AppError<AuditCode> {
  return new AppError<AuditCode>('audit_input_invalid', `audit entry: ${field} ${why}`, { field });
}

function checkFacts(type: string, facts: PublicFacts): void {
  const entries = Object.entries(facts);
  if (entries.length > PUBLIC_FACTS_MAX) throw invalid('public', `has more than ${PUBLIC_FACTS_MAX} facts`);
  for (const [key, value] of entries) {
    if (!KEY_PATTERN.test(key)) throw invalid(`public.${key}`, 'is not an ASCII name');
    // JSON readers elsewhere lose digits above 2^53, and fractions print differently.
    if (typeof value === 'number' && !Number.isSafeInteger(value)) throw invalid(`public.${key}`, 'is no safe integer');
    if (typeof value === 'string' && value.length > PUBLIC_TEXT_CHARS_MAX)
      throw invalid(`public.${key}`, 'is too long');
    const fault = faultOfFact(type, key, value);
    if (fault !== undefined) throw invalid(`public.${key}`, fault);
  }
}

function checkInput(input: AuditInput): void {
  if (!TYPE_PATTERN.test(input.type) || input.type.length > 80) throw invalid('type', 'is not room.verb');
  if (!KIND_PATTERN.test(input.resource[0])) throw invalid('resource', 'has no such kind');
  checkFacts(input.type, input.public ?? {});
  checkWithheld(input);
  checkDecision(input.decision);
  const digests = input.digests ?? [];
  if (digests.length > ERASED_DIGESTS_MAX) throw invalid('digests', `has more than ${ERASED_DIGESTS_MAX}`);
  if (!digests.every((digest) => DIGEST_PATTERN.test(digest))) throw invalid('digests', 'names no digest');
}

function checkWithheld({ disclosures = {}, personal }: AuditInput): void {
  const withheld = [...Object.entries(disclosures), ...Object.entries(personal?.values ?? {})];
  if (withheld.length > DISCLOSURES_MAX) throw invalid('disclosures', `has more than ${DISCLOSURES_MAX} values`);
  if (new Set(withheld.map(([key]) => key)).size < withheld.length) throw invalid('disclosures', 'names a value twice');
  for (const [key, value] of withheld) {
    if (!WITHHELD_PATTERN.test(key)) throw invalid(`disclosures.${key}`, 'is not an ASCII name');
    if (value.length > DISCLOSURE_CHARS_MAX) throw invalid(`disclosures.${key}`, 'is too long');
  }
}

function checkDecision(decision: AuditDecision | undefined): void {
  if (decision === undefined) return;
  const { policies, revision } = decision;
  if (policies.length > DECISION_POLICIES_MAX)
    throw invalid('decision', `names more than ${DECISION_POLICIES_MAX} rules`);
  if (!policies.every((id) => POLICY_PATTERN.test(id))) throw invalid('decision', 'names what is no rule');
  if (!REVISION_PATTERN.test(revision)) throw invalid('decision', 'has no revision');
}

/** Digest of a disclosure: SHA-256 over its ASCII text, base64url (RFC 9901 section 4.2.3). */
export function disclosureDigest(text: string): string {
  return toBase64Url(hash('sha256', text, 'buffer'));
}

function withhold([name, value]: readonly [string, string], subject: Uuid | null, random: Random): Disclosure {
  const salt = toBase64Url(random.bytes(SALT_BYTES));
  const text = Buffer.from(JSON.stringify([salt, name, value]), 'utf8').toString('base64url');
  return { digest: disclosureDigest(text), text, subject };
}

function actorJson(actor: AuditActor): Json {
  return 'service' in actor ? ['service', actor.service] : ['person', actor.personId];
}

/** Nobody reads a chain of nobody: what people do themselves says nothing of agents. */
function agentsJson(actor: AuditActor): Json | undefined {
  if (!('personId' in actor) || actor.agents === undefined || actor.agents.length === 0) return undefined;
  return [...actor.agents];
}

/**
 * Builds the bytes that get hashed and signed: canonical JSON (RFC 8785), ASCII keys, safe integers, at most
 * `LEAF_BYTES_MAX` bytes. Withheld values appear only as salted digests, sorted so that their order tells nothing.
 * Throws `audit_input_invalid` or `audit_leaf_too_large`.
 */
export function buildLeaf(input: AuditInput, { clock, random }: { clock: Clock; random: Random }): BuiltLeaf {
  checkInput(input);
  const entryId = uuidV7(clock, random);
  const { disclosures: plain = {}, personal, decision } = input;
  const disclosures = [
    ...Object.entries(plain).map((one) => withhold(one, null, random)),
    ...Object.entries(personal?.values ?? {}).map((one) => withhold(one, personal!.subject, random)),
  ];
  const digests = disclosures.map((disclosure) => disclosure.digest).sort();
  const text = canonicalJson({
    v: 1,
    id: entryId,
    time: clock.nowMs(),
    type: input.type,
    actor: actorJson(input.actor),
    session: 'sessionId' in input.actor ? input.actor.sessionId : undefined,
    agents: agentsJson(input.actor),
    grant: 'grantId' in input.actor ? input.actor.grantId : undefined,
    resource: [input.resource[0], input.resource[1]],
    outcome: input.outcome,
    token: input.tokenHash,
    stepUp: input.stepUpHash,
    request: input.requestId,
    decision: decision === undefined ? undefined : { policies: [...decision.policies], revision: decision.revision },
    public: input.public,
    digests: input.digests === undefined ? undefined : [...input.digests],
    _sd: digests.length > 0 ? digests : undefined,
    _sd_alg: digests.length > 0 ? 'sha-256' : undefined,
  });
  const leaf = Buffer.from(text, 'utf8');
  if (leaf.length > LEAF_BYTES_MAX) {
    throw new AppError<AuditCode>('audit_leaf_too_large', `audit entry ${input.type}: ${leaf.length} bytes`);
  }
  return { entryId, leaf, disclosures };
}

/** Leaf bytes to what they say. Throws `audit_input_invalid` for anything that is no leaf of version 1. */
export function readLeafBody(leaf: Uint8Array): LeafBody {
  let body: Partial<LeafBody> | null = null;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(leaf)) as Partial<LeafBody> | null;
  } catch {
    // Falls through to the refusal below.
  }
  if (body?.v !== 1 || typeof body.type !== 'string' || !Array.isArray(body.actor) || !Array.isArray(body.resource))
    throw new AppError<AuditCode>('audit_input_invalid', 'these bytes are no leaf of version 1');
  return body as LeafBody;
}
