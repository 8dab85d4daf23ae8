// Approvals: what a person confirmed with a passkey, so kept that anybody can check it later without the house. Imports
// only ./core.ts.
import { bytesOf, concatBytes, equalBytes, HASH_BYTES, textOf, type PasskeyVerify, type Primitives } from './core.ts';

/** The withheld value of an entry that holds its approval. */
export const APPROVAL_NAME = 'approval';
/** Type of the entry that says that a passkey was registered. */
export const PASSKEY_REGISTERED_TYPE = 'passkey.registered';
const APPROVAL_VERSION = 1;
/** Separates the digest that a passkey signs from every other use of SHA-256. */
const CHALLENGE_LABEL = 'auditrax-stepup-v1\0';
/** RP id hash, flags, counter (WebAuthn level 3, section 6.1). */
const AUTHENTICATOR_DATA_BYTES_MIN = 37;
const FLAGS_AT = 32;
const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;

/** One approval. All bytes are base64url without padding. */
export interface Approval {
  /** What was approved, in canonical JSON (RFC 8785); null when it held a secret or somebody's name: its hash is left. */
  readonly action: string | null;
  /** SHA-256 of the action. */
  readonly actionHash: string;
  /** 32 bytes that make the challenge of the same action different each time. */
  readonly nonce: string;
  /** The answer of the authenticator as the service received it; its SHA-256 is the entry's `stepUp`. */
  readonly answer: string;
  /** Id of the passkey's own record; its registration names the SHA-256 of the public key. */
  readonly credential: string;
  /** SubjectPublicKeyInfo (DER). */
  readonly publicKey: string;
  readonly origin: string;
  readonly rpId: string;
}

const TEXTS = ['actionHash', 'nonce', 'answer', 'credential', 'publicKey', 'origin', 'rpId'] as const;

/** The text that is kept; one spelling. */
export function formatApproval(approval: Approval): string {
  const { action, actionHash, nonce, answer, credential, publicKey, origin, rpId } = approval;
  return JSON.stringify({
    v: APPROVAL_VERSION,
    action,
    actionHash,
    nonce,
    answer,
    credential,
    publicKey,
    origin,
    rpId,
  });
}

/** Undefined for anything but the one spelling. */
export function parseApproval(text: string): Approval | undefined {
  try {
    const value = JSON.parse(text) as Approval;
    const isShaped =
      (value.action === null || typeof value.action === 'string') &&
      TEXTS.every((name) => typeof value[name] === 'string');
    return isShaped && formatApproval(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Which check an approval failed. */
export type ApprovalCheck =
  | 'form'
  | 'action-hash'
  | 'step-up-hash'
  | 'challenge'
  | 'ceremony'
  | 'origin'
  | 'relying-party'
  | 'user-presence'
  | 'user-verification'
  | 'signature'
  | 'person'
  | 'registered-key';

export type ApprovalVerdict =
  | { readonly ok: true; readonly origin: string; readonly hasAction: boolean }
  | { readonly ok: false; readonly check: ApprovalCheck };

/** What the entry says that the approval must fit. */
export interface ApprovedEntry {
  /** base64url SHA-256 of the answer. */
  readonly stepUp: string;
  /** The person who acted. */
  readonly person: string;
}

/** One value, one spelling: undefined for padding, a foreign character or stray bits. */
function fromBase64Url(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0));
  return toBase64Url(bytes) === text ? bytes : undefined;
}

function toBase64Url(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Canonical JSON (RFC 8785): members in the order of their UTF-16 units, everything else as ECMAScript writes it. */
function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((one) => canonicalText(one)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, one]) => `${JSON.stringify(name)}:${canonicalText(one)}`).join(',')}}`;
}

function jsonOf(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

interface Answer {
  readonly clientDataText: string;
  readonly clientData: Uint8Array;
  readonly authenticatorData: Uint8Array;
  readonly signature: Uint8Array;
}

/** The parts that the authenticator signed, out of the answer as it travelled. */
function readAnswer(answer: string): Answer | undefined {
  const bytes = fromBase64Url(answer);
  const envelope = jsonOf(bytes === undefined ? undefined : textOf(bytes));
  const assertion = envelope?.['assertion'] as { response?: Record<string, unknown> } | undefined;
  const part = (name: string) => {
    const text = assertion?.response?.[name];
    return typeof text === 'string' ? fromBase64Url(text) : undefined;
  };
  const [clientData, authenticatorData, signature] = [
    part('clientDataJSON'),
    part('authenticatorData'),
    part('signature'),
  ];
  const clientDataText = clientData === undefined ? undefined : textOf(clientData);
  if (clientData === undefined || clientDataText === undefined) return undefined;
  if (authenticatorData === undefined || signature === undefined) return undefined;
  if (authenticatorData.length < AUTHENTICATOR_DATA_BYTES_MIN) return undefined;
  return { clientDataText, clientData, authenticatorData, signature };
}

/** A passkey of `rpId` answers pages of that host and of those below it. */
function isAtHome(origin: string, rpId: string): boolean {
  try {
    const { hostname, origin: whole } = new URL(origin);
    return whole === origin && (hostname === rpId || hostname.endsWith(`.${rpId}`));
  } catch {
    return false;
  }
}

async function judgeAction(crypto: Primitives, approval: Approval, person: string): Promise<ApprovalCheck | undefined> {
  const { action, actionHash } = approval;
  const hash = fromBase64Url(actionHash);
  if (hash?.length !== HASH_BYTES) return 'form';
  if (action === null) return undefined;
  const value = jsonOf(action);
  if (value === undefined || canonicalText(value) !== action) return 'form';
  if (!equalBytes(await crypto.sha256(bytesOf(action)), hash)) return 'action-hash';
  return value['person'] === person ? undefined : 'person';
}

async function judgeClientData(
  crypto: Primitives,
  approval: Approval,
  answer: Answer,
): Promise<ApprovalCheck | undefined> {
  const clientData = jsonOf(answer.clientDataText);
  const nonce = fromBase64Url(approval.nonce);
  const hash = fromBase64Url(approval.actionHash);
  if (clientData === undefined || nonce?.length !== HASH_BYTES || hash === undefined) return 'form';
  const challenge = await crypto.sha256(concatBytes(bytesOf(CHALLENGE_LABEL), nonce, hash));
  if (clientData['challenge'] !== toBase64Url(challenge)) return 'challenge';
  if (clientData['type'] !== 'webauthn.get') return 'ceremony';
  if (clientData['origin'] !== approval.origin || !isAtHome(approval.origin, approval.rpId)) return 'origin';
  return undefined;
}

async function judgeAuthenticator(
  crypto: Primitives,
  approval: Approval,
  answer: Answer,
): Promise<ApprovalCheck | undefined> {
  const data = answer.authenticatorData;
  if (!equalBytes(data.slice(0, FLAGS_AT), await crypto.sha256(bytesOf(approval.rpId)))) return 'relying-party';
  const flags = data[FLAGS_AT]!;
  if ((flags & USER_PRESENT) === 0) return 'user-presence';
  if ((flags & USER_VERIFIED) === 0) return 'user-verification';
  return undefined;
}

/**
 * Checks an approval offline: that its answer is the one the entry names, that the challenge in it is
 * SHA-256(label || nonce || SHA-256(action)), origin and relying party, that the person was there and verified, and the
 * signature under the public key. Names the first check that failed. Never throws.
 */
export async function checkApproval(
  crypto: Primitives & { readonly passkeyVerify: PasskeyVerify },
  approval: Approval,
  entry: ApprovedEntry,
): Promise<ApprovalVerdict> {
  const refused = (check: ApprovalCheck) => ({ ok: false, check }) as const;
  const answer = readAnswer(approval.answer);
  const spki = fromBase64Url(approval.publicKey);
  if (answer === undefined || spki === undefined) return refused('form');
  if (toBase64Url(await crypto.sha256(bytesOf(approval.answer))) !== entry.stepUp) return refused('step-up-hash');
  const check =
    (await judgeAction(crypto, approval, entry.person)) ??
    (await judgeClientData(crypto, approval, answer)) ??
    (await judgeAuthenticator(crypto, approval, answer));
  if (check !== undefined) return refused(check);
  const message = concatBytes(answer.authenticatorData, await crypto.sha256(answer.clientData));
  if (!(await crypto.passkeyVerify({ spki, message, signature: answer.signature }))) return refused('signature');
  return { ok: true, origin: approval.origin, hasAction: approval.action !== null };
}

/** base64url SHA-256 of an approval's public key, as the registration of the passkey names it. */
export async function publicKeyHashOf(crypto: Primitives, { publicKey }: Pick<Approval, 'publicKey'>): Promise<string> {
  return toBase64Url(await crypto.sha256(fromBase64Url(publicKey) ?? new Uint8Array()));
}

/** The approval among an entry's withheld values: lines in the form of RFC 9901. Undefined for a line that is none. */
export function approvalIn(line: string): string | undefined {
  const bytes = fromBase64Url(line);
  const value: unknown = jsonOf(bytes === undefined ? undefined : textOf(bytes));
  return Array.isArray(value) && value[1] === APPROVAL_NAME && typeof value[2] === 'string' ? value[2] : undefined;
}
