// Trust policies in the format of C2SP tlog-policy: which logs and witnesses are known, and how many of them must have
// signed. Imports only ./core.ts, like all that travels inside verify.mjs.
import {
  bytesOf,
  equalBytes,
  parseVerifierKeyWith,
  SIGNATURE_COSIGNATURE,
  SIGNATURE_ED25519,
  type Cosignature,
  type Primitives,
  type VerifierKey,
} from './core.ts';

/** C2SP asks for at least 32 of each; more is no policy that a person has read. */
export const POLICY_LOGS_MAX = 64;
export const POLICY_WITNESSES_MAX = 64;
export const POLICY_GROUPS_MAX = 64;
export const POLICY_BYTES_MAX = 64 * 1024;
/** The predefined name of a quorum that asks for nobody. */
export const QUORUM_NONE = 'none';

export interface PolicyLog {
  readonly key: VerifierKey;
  readonly url: string | undefined;
}

export interface PolicyWitness {
  /** Meaningful inside the policy only. */
  readonly name: string;
  readonly key: VerifierKey;
  readonly url: string | undefined;
}

/** Witnesses a checkpoint when at least `threshold` of its members do; members are witnesses or earlier groups. */
export interface PolicyGroup {
  readonly name: string;
  readonly threshold: number;
  readonly members: readonly string[];
}

export interface Policy {
  readonly logs: readonly PolicyLog[];
  readonly witnesses: readonly PolicyWitness[];
  readonly groups: readonly PolicyGroup[];
  /** Name of a witness or a group, or `none`. */
  readonly quorum: string;
}

export type PolicyVerdict =
  | { readonly ok: true; readonly policy: Policy }
  /** `line` counts from 1; 0 speaks of the file as a whole. */
  | { readonly ok: false; readonly line: number; readonly problem: string };

interface PolicyDraft {
  readonly crypto: Primitives;
  readonly logs: PolicyLog[];
  readonly witnesses: PolicyWitness[];
  readonly groups: PolicyGroup[];
  /** Names that are somebody's member already: nobody may count twice. */
  readonly taken: Set<string>;
  quorum: string | undefined;
}

function isNamed(draft: PolicyDraft, name: string): boolean {
  return draft.witnesses.some((witness) => witness.name === name) || draft.groups.some((group) => group.name === name);
}

async function policyKey(
  draft: PolicyDraft,
  text: string,
  { type, known }: { type: number; known: readonly { key: VerifierKey }[] },
): Promise<VerifierKey | string> {
  const key = await parseVerifierKeyWith(draft.crypto, text);
  if (key === undefined) return 'is no verifier key, or of a kind that is not checked here';
  if (key.type !== type) return 'is a key of the wrong type for its place';
  if (known.some((other) => equalBytes(other.key.publicKey, key.publicKey))) return 'names a public key twice';
  return key;
}

async function addLog(draft: PolicyDraft, words: readonly string[]): Promise<string | undefined> {
  if (words.length < 2 || words.length > 3) return 'is not: log VKEY [URL]';
  if (draft.logs.length >= POLICY_LOGS_MAX) return `names more than ${POLICY_LOGS_MAX} logs`;
  const key = await policyKey(draft, words[1]!, { type: SIGNATURE_ED25519, known: draft.logs });
  if (typeof key === 'string') return key;
  draft.logs.push({ key, url: words[2] });
  return undefined;
}

async function addWitness(draft: PolicyDraft, words: readonly string[]): Promise<string | undefined> {
  if (words.length < 3 || words.length > 4) return 'is not: witness NAME VKEY [URL]';
  if (draft.witnesses.length >= POLICY_WITNESSES_MAX) return `names more than ${POLICY_WITNESSES_MAX} witnesses`;
  const name = words[1]!;
  if (name === QUORUM_NONE || isNamed(draft, name)) return `defines ${name} again`;
  const key = await policyKey(draft, words[2]!, { type: SIGNATURE_COSIGNATURE, known: draft.witnesses });
  if (typeof key === 'string') return key;
  draft.witnesses.push({ name, key, url: words[3] });
  return undefined;
}

function thresholdOf(word: string, count: number): number | undefined {
  if (word === 'all') return count;
  if (word === 'any') return 1;
  return /^[1-9][0-9]{0,2}$/.test(word) && Number(word) <= count ? Number(word) : undefined;
}

function addGroup(draft: PolicyDraft, words: readonly string[]): string | undefined {
  const [, name, word, ...members] = words;
  if (name === undefined || word === undefined || members.length === 0) return 'is not: group NAME all|any|K NAME…';
  if (draft.groups.length >= POLICY_GROUPS_MAX) return `names more than ${POLICY_GROUPS_MAX} groups`;
  if (name === QUORUM_NONE || isNamed(draft, name)) return `defines ${name} again`;
  const threshold = thresholdOf(word, members.length);
  if (threshold === undefined) return `asks for ${word} of ${members.length}`;
  for (const member of members) {
    if (!isNamed(draft, member)) return `names ${member} before it is defined`;
    if (draft.taken.has(member)) return `counts ${member} a second time`;
    draft.taken.add(member);
  }
  draft.groups.push({ name, threshold, members });
  return undefined;
}

function setQuorum(draft: PolicyDraft, words: readonly string[]): string | undefined {
  const [, name] = words;
  if (words.length !== 2 || name === undefined) return 'is not: quorum NAME';
  if (draft.quorum !== undefined) return 'is a second quorum';
  if (name !== QUORUM_NONE && !isNamed(draft, name)) return `names ${name} before it is defined`;
  draft.quorum = name;
  return undefined;
}

function policyLine(draft: PolicyDraft, words: readonly string[]): Promise<string | undefined> | string | undefined {
  if (words[0] === 'log') return addLog(draft, words);
  if (words[0] === 'witness') return addWitness(draft, words);
  if (words[0] === 'group') return addGroup(draft, words);
  if (words[0] === 'quorum') return setQuorum(draft, words);
  return `begins with an unknown word: ${words[0]}`;
}

/**
 * Reads a policy strictly: one word too many, a name used before it is defined, a key or a member that counts twice, a
 * control character or a missing quorum refuse the whole file, because a policy that is half understood trusts too much.
 */
export async function parsePolicyWith(crypto: Primitives, text: string): Promise<PolicyVerdict> {
  const refuse = (line: number, problem: string): PolicyVerdict => ({ ok: false, line, problem });
  if (bytesOf(text).length > POLICY_BYTES_MAX) return refuse(0, `is longer than ${POLICY_BYTES_MAX} bytes`);
  // U+0080 to U+009F are control characters of Unicode, but as octets they are none.
  if ([...text].some((c) => (c < ' ' && c !== '\t' && c !== '\n') || c === '\u007f'))
    return refuse(0, 'has a control character');
  if (!text.endsWith('\n')) return refuse(0, 'does not end with a line feed');
  const draft: PolicyDraft = { crypto, logs: [], witnesses: [], groups: [], taken: new Set(), quorum: undefined };
  for (const [at, line] of text.slice(0, -1).split('\n').entries()) {
    const words = line.split(/[ \t]+/).filter((word) => word !== '');
    if (words.length === 0 || words[0]!.startsWith('#')) continue;
    const problem = await policyLine(draft, words);
    if (problem !== undefined) return refuse(at + 1, problem);
  }
  const { logs, witnesses, groups, quorum } = draft;
  if (quorum === undefined) return refuse(0, 'has no quorum');
  return { ok: true, policy: { logs, witnesses, groups, quorum } };
}

/** Witnesses by whom something was co-signed in time, and when the rule was first met. */
export interface QuorumVerdict {
  readonly met: boolean;
  /** POSIX seconds of the signature that completed the quorum; undefined when it is not met or asks for nobody. */
  readonly seconds: number | undefined;
  /** Names of the policy's witnesses that have signed. */
  readonly signed: readonly string[];
}

/**
 * Applies the quorum to cosignatures that were verified. The time is that of the k-th earliest signature, so a minority
 * with a false clock moves it neither way beyond what an honest witness has said.
 */
export function evaluatePolicy(policy: Policy, cosignatures: readonly Cosignature[]): QuorumVerdict {
  const times = new Map<string, number>();
  for (const { name, key } of policy.witnesses) {
    const found = cosignatures.find((cosignature) => cosignature.key.text === key.text);
    if (found !== undefined) times.set(name, found.seconds);
  }
  const signed = [...times.keys()];
  if (policy.quorum === QUORUM_NONE) return { met: true, seconds: undefined, signed };
  for (const { name, threshold, members } of policy.groups) {
    const reached = members
      .map((member) => times.get(member))
      .filter((seconds) => seconds !== undefined)
      .sort((a, b) => a - b);
    const completed = reached[threshold - 1];
    if (completed !== undefined) times.set(name, completed);
  }
  const seconds = times.get(policy.quorum);
  return { met: seconds !== undefined, seconds, signed };
}

/** The policy as text, one spelling. Same policy, same bytes. */
export function formatPolicy(policy: Policy): string {
  const words = (...parts: (string | undefined)[]): string => parts.filter((part) => part !== undefined).join(' ');
  return [
    ...policy.logs.map(({ key, url }) => words('log', key.text, url)),
    ...policy.witnesses.map(({ name, key, url }) => words('witness', name, key.text, url)),
    ...policy.groups.map(({ name, threshold, members }) => words('group', name, String(threshold), ...members)),
    `quorum ${policy.quorum}`,
    '',
  ].join('\n');
}
