import { quoted, refusal } from './errors.ts';
import { isObject, isPlainText, memberOf, type JsonObject } from './json.ts';
import { ALIASES_MAX, SUBJECT_CHARACTERS_MAX, SUBJECT_MEMBERS_MAX } from './limits.ts';
import type { ReceiverStream } from './stream.ts';

/** Simple formats of RFC 9493 and SSF 1.0 with exactly the texts that each has, and the form of each. */
const SIMPLE_FORMATS = {
  iss_sub: { iss: /^\S+$/, sub: /^\S(?:.*\S)?$/s },
  opaque: { id: /^\S(?:.*\S)?$/s },
  email: { email: /^[^\s@]+@[^\s@]+$/ },
  account: { uri: /^acct:\S+$/ },
  phone_number: { phone_number: /^\+\d{3,15}$/ },
  did: { url: /^did:\S+$/ },
  uri: { uri: /^[A-Za-z][A-Za-z0-9+.-]*:\S+$/ },
  jwt_id: { iss: /^\S+$/, jti: /^\S+$/ },
  saml_assertion_id: { issuer: /^\S+$/, assertion_id: /^\S+$/ },
} as const satisfies Readonly<Record<string, Readonly<Record<string, RegExp>>>>;

type SimpleFormat = keyof typeof SIMPLE_FORMATS;

/** A subject of one of the known simple formats; `parts` are its texts by name. */
export interface SimpleSubject {
  readonly format: SimpleFormat;
  readonly parts: Readonly<Record<string, string>>;
}

/** One name, or several names of one and the same subject; `unknown` is a format that is not of this table. */
export type PlainSubject =
  | { readonly kind: 'simple'; readonly subject: SimpleSubject }
  | { readonly kind: 'aliases'; readonly names: readonly PlainSubject[] }
  | { readonly kind: 'unknown'; readonly format: string };

/** The subject of an event as it was written. */
export type Subject = PlainSubject | { readonly kind: 'complex'; readonly members: ReadonlyMap<string, PlainSubject> };

/** Why a well-formed subject finds nobody here. */
export type UnusableReason =
  | 'format'
  | 'email'
  | 'foreign_issuer'
  | 'opaque'
  | 'no_person'
  | 'critical_member'
  | 'contradiction';

/** Whom a subject means: an account by its immutable name, a session of the transmitter, or nobody that we could find. */
export interface FoundSubject {
  /** Issuer and subject, to be compared text for text with those of a sign-in. */
  readonly account: { readonly issuer: string; readonly subject: string } | undefined;
  /** The transmitter's id of a session. With an account, only that session is meant. */
  readonly sessionId: string | undefined;
  /** Set when neither account nor session can be looked for: store it and tell somebody. */
  readonly unusable: UnusableReason | undefined;
}

const malformed = (detail: string) => refusal('signals_subject_form', detail, { field: 'sub_id' });

function parseSimple(format: SimpleFormat, value: JsonObject): SimpleSubject {
  const forms: Readonly<Record<string, RegExp>> = SIMPLE_FORMATS[format];
  const names = Object.keys(forms);
  // RFC 9493 3: nothing but what the format describes. A second name beside the first could be read by another reader.
  if (Object.keys(value).length !== names.length + 1) throw malformed(`members of ${format}`);
  const parts: Record<string, string> = {};
  for (const name of names) {
    const text = memberOf(value, name);
    if (!isPlainText(text, SUBJECT_CHARACTERS_MAX) || !forms[name]!.test(text)) throw malformed(`${format}.${name}`);
    parts[name] = text;
  }
  return { format, parts };
}

function formatOf(value: unknown): { readonly format: string; readonly value: JsonObject } {
  if (!isObject(value)) throw malformed('not an object');
  const format = memberOf(value, 'format');
  if (!isPlainText(format, 64)) throw malformed('format');
  return { format, value };
}

function parsePlain(given: unknown, mayBeAliases: boolean): PlainSubject {
  const { format, value } = formatOf(given);
  if (format === 'aliases') {
    const identifiers = memberOf(value, 'identifiers');
    if (!mayBeAliases || Object.keys(value).length !== 2) throw malformed('aliases');
    if (!Array.isArray(identifiers) || identifiers.length === 0 || identifiers.length > ALIASES_MAX)
      throw malformed('aliases.identifiers');
    return { kind: 'aliases', names: identifiers.map((one) => parsePlain(one, false)) };
  }
  if (format === 'complex') throw malformed('a complex subject inside of a subject');
  if (Object.hasOwn(SIMPLE_FORMATS, format))
    return { kind: 'simple', subject: parseSimple(format as SimpleFormat, value) };
  return { kind: 'unknown', format };
}

/** E20 and E22: reads a subject strictly. Throws `signals_subject_form`. */
export function parseSubject(given: unknown): Subject {
  const { format, value } = formatOf(given);
  if (format !== 'complex') return parsePlain(given, true);
  const names = Object.keys(value).filter((name) => name !== 'format');
  if (names.length === 0 || names.length > SUBJECT_MEMBERS_MAX) throw malformed('members of complex');
  if (!names.every((name) => isPlainText(name, 64))) throw malformed('a name in complex');
  return { kind: 'complex', members: new Map(names.map((name) => [name, parsePlain(value[name], true)])) };
}

const nobody = (unusable: UnusableReason): FoundSubject => ({ account: undefined, sessionId: undefined, unusable });

function findSimple({ format, parts }: SimpleSubject, stream: ReceiverStream): FoundSubject {
  if (format === 'iss_sub') {
    // A transmitter speaks for its own people only: another provider's are not its to sign out.
    if (!stream.subjectIssuers.includes(parts['iss']!)) return nobody('foreign_issuer');
    return {
      account: { issuer: parts['iss']!, subject: parts['sub']! },
      sessionId: undefined,
      unusable: undefined,
    };
  }
  if (format === 'opaque') {
    if (!stream.isOpaqueAccount) return nobody('opaque');
    return { account: { issuer: stream.issuer, subject: parts['id']! }, sessionId: undefined, unusable: undefined };
  }
  // Addresses change hands, and whoever runs a directory writes into it what he likes.
  return nobody(format === 'email' || format === 'account' || format === 'phone_number' ? 'email' : 'format');
}

function findPlain(plain: PlainSubject, stream: ReceiverStream): FoundSubject {
  if (plain.kind === 'unknown') return nobody('format');
  if (plain.kind === 'simple') return findSimple(plain.subject, stream);
  const found = plain.names.map((name) => findPlain(name, stream));
  const accounts = found.flatMap(({ account }) => (account === undefined ? [] : [account]));
  const [first] = accounts;
  if (first === undefined) return found[0]!;
  if (accounts.some(({ issuer, subject }) => issuer !== first.issuer || subject !== first.subject))
    return nobody('contradiction');
  return { account: first, sessionId: undefined, unusable: undefined };
}

/** Members of a complex subject that decide here. The others only narrow: without them more ends, never less. */
const UNDERSTOOD_MEMBERS = ['user', 'session'];

/** E21 and E22: whom a subject means on a stream. */
export function findSubject(subject: Subject, stream: ReceiverStream): FoundSubject {
  if (subject.kind !== 'complex') return findPlain(subject, stream);
  const { members } = subject;
  const isCritical = (name: string) => stream.criticalMembers.includes(name) && !UNDERSTOOD_MEMBERS.includes(name);
  if ([...members.keys()].some(isCritical)) return nobody('critical_member');
  const user = members.get('user');
  const session = members.get('session');
  const sessionId =
    session?.kind === 'simple' && session.subject.format === 'opaque' ? session.subject.parts['id'] : undefined;
  const found = user === undefined ? nobody('no_person') : findPlain(user, stream);
  if (sessionId === undefined) return found;
  // A person who contradicts himself has no session either; one who is merely unknown to us may have.
  if (found.unusable === 'foreign_issuer' || found.unusable === 'contradiction') return found;
  return { account: found.account, sessionId, unusable: undefined };
}

/** For logs and administrators: the form of a subject without its content. */
export function describeSubject(subject: Subject): string {
  if (subject.kind === 'complex')
    return `complex of ${[...subject.members.keys()].map((name) => quoted(name)).join(' ')}`;
  if (subject.kind === 'simple') return subject.subject.format;
  return subject.kind === 'aliases' ? `aliases of ${subject.names.length}` : `format ${quoted(subject.format)}`;
}
