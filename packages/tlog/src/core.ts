// The verifier's arithmetic and formats, with no import at all: the same text runs in Node, in the browser and, with its
// types removed, inside the verify.mjs of every exported bundle. Hash and signature functions are handed in.

/** Verifies a signature of a passkey: ES256 (DER), RS256 (PKCS #1 v1.5) or Ed25519, as the key says. Never throws. */
export type PasskeyVerify = (input: {
  /** SubjectPublicKeyInfo (DER). */
  readonly spki: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}) => boolean | Promise<boolean>;

/** What a verifier needs from its platform. All may be synchronous. */
export interface Primitives {
  sha256(data: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** The digests of many inputs at once, in order; where a platform answers late, waiting once is what makes it fast. */
  sha256Many?(inputs: readonly Uint8Array[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** RFC 8032. Returns false, never throws, for a key or signature of a wrong shape. */
  ed25519Verify(input: {
    publicKey: Uint8Array;
    message: Uint8Array;
    signature: Uint8Array;
  }): boolean | Promise<boolean>;
  /** Only for approvals; without it they are reported as not checked. */
  readonly passkeyVerify?: PasskeyVerify;
}

/** A tree of 2^53 entries is beyond every clock; 64 hashes are more than any proof needs. */
export const PROOF_HASHES_MAX = 64;
/** C2SP signed-note asks for at least 16. */
export const SIGNATURES_MAX = 32;
export const HASH_BYTES = 32;

export const SIGNATURE_ED25519 = 0x01;
/** Timestamped witness cosignature (C2SP tlog-cosignature). */
export const SIGNATURE_COSIGNATURE = 0x04;

const LINE_FEED = '\n';
const EM_DASH = '\u2014';

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Undefined when the bytes are not UTF-8. A byte order mark is kept, so that it cannot hide. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function concatBytes(...parts: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Standard Base64 with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  const CHUNK_BYTES = 8192; // an argument list has a limit
  let binary = '';
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  return btoa(binary);
}

/** One value, one spelling: undefined for a missing padding, a foreign character or stray trailing bits. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return toBase64(bytes) === text ? bytes : undefined;
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Decimal without leading zeroes, below 2^53; undefined otherwise. */
export function parseSize(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

export async function leafHashWith(crypto: Primitives, leaf: Uint8Array): Promise<Uint8Array> {
  return crypto.sha256(concatBytes(Uint8Array.of(0), leaf));
}

async function nodeHashWith(crypto: Primitives, left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  return crypto.sha256(concatBytes(Uint8Array.of(1), left, right));
}

function half(value: number): number {
  return Math.floor(value / 2); // no bit operators: they cut at 32 bits
}

function isOdd(value: number): boolean {
  return value % 2 === 1;
}

export interface InclusionInput {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

function wellFormedProof(proof: readonly Uint8Array[]): boolean {
  return proof.length <= PROOF_HASHES_MAX && proof.every((hash) => hash.length === HASH_BYTES);
}

/** The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2); undefined when its length cannot be right. */
export async function rootFromInclusion(crypto: Primitives, input: InclusionInput): Promise<Uint8Array | undefined> {
  const { index, size, leafHash, proof } = input;
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return undefined;
  if (leafHash.length !== HASH_BYTES || !wellFormedProof(proof)) return undefined;
  let fn = index;
  let sn = size - 1;
  let root = leafHash;
  for (const hash of proof) {
    if (sn === 0) return undefined;
    if (isOdd(fn) || fn === sn) {
      root = await nodeHashWith(crypto, hash, root);
      while (!isOdd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      root = await nodeHashWith(crypto, root, hash);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 ? root : undefined;
}

/** True only when the leaf is at `index` of the tree with `size` leaves and this root. */
export async function verifyInclusionWith(
  crypto: Primitives,
  input: InclusionInput & { root: Uint8Array },
): Promise<boolean> {
  const root = await rootFromInclusion(crypto, input);
  return root !== undefined && equalBytes(root, input.root);
}

export interface ConsistencyInput {
  readonly size1: number;
  readonly size2: number;
  readonly root1: Uint8Array;
  readonly root2: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value)) && 2 ** Math.round(Math.log2(value)) === value;
}

/**
 * True only when the tree of `size2` starts with the tree of `size1` (RFC 9162 section 2.1.4.2). Size 0 proves nothing
 * about the past and is therefore false: whoever meets a log for the first time has to say so.
 */
export async function verifyConsistencyWith(crypto: Primitives, input: ConsistencyInput): Promise<boolean> {
  const { size1, size2, root1, root2, proof } = input;
  if (!Number.isSafeInteger(size1) || !Number.isSafeInteger(size2) || size1 <= 0 || size1 > size2) return false;
  if (!wellFormedProof(proof)) return false;
  if (size1 === size2) return proof.length === 0 && equalBytes(root1, root2);
  if (proof.length === 0) return false;
  const path = isPowerOfTwo(size1) ? [root1, ...proof] : proof;
  let fn = size1 - 1;
  let sn = size2 - 1;
  while (isOdd(fn)) {
    fn = half(fn);
    sn = half(sn);
  }
  let first = path[0]!;
  let second = path[0]!;
  for (const hash of path.slice(1)) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      first = await nodeHashWith(crypto, hash, first);
      second = await nodeHashWith(crypto, hash, second);
      while (!isOdd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      second = await nodeHashWith(crypto, second, hash);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && equalBytes(first, root1) && equalBytes(second, root2);
}

// ---- signed notes ------------------------------------------------------------------------------------------------

/** A verifier key: `<name>+<key id in hex>+<base64 of type byte and public key>` (C2SP signed-note). */
export interface VerifierKey {
  readonly name: string;
  readonly id: string;
  readonly type: number;
  readonly publicKey: Uint8Array;
  readonly text: string;
}

export interface NoteSignature {
  readonly name: string;
  /** Key id, 8 hexadecimal digits. */
  readonly id: string;
  readonly signature: Uint8Array;
  readonly line: string;
}

export interface SignedNote {
  /** The signed text, with its final newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const KEY_NAME = /^[^\s+\p{Cc}]+$/u;

export function isKeyName(name: string): boolean {
  return KEY_NAME.test(name);
}

export async function keyIdWith(
  crypto: Primitives,
  key: { name: string; type: number; publicKey: Uint8Array },
): Promise<string> {
  const digest = await crypto.sha256(
    concatBytes(bytesOf(`${key.name}${LINE_FEED}`), Uint8Array.of(key.type), key.publicKey),
  );
  return toHex(digest.subarray(0, 4));
}

/** The verifier key that a public key is under a name. */
export async function nameKeyWith(
  crypto: Primitives,
  key: { name: string; type: number; publicKey: Uint8Array },
): Promise<VerifierKey> {
  const id = await keyIdWith(crypto, key);
  return { ...key, id, text: `${key.name}+${id}+${toBase64(concatBytes(Uint8Array.of(key.type), key.publicKey))}` };
}

/** Undefined when the text is no verifier key of a known type or its id does not belong to its key. */
export async function parseVerifierKeyWith(crypto: Primitives, text: string): Promise<VerifierKey | undefined> {
  const match = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text);
  if (!match || !isKeyName(match[1]!)) return undefined;
  const encoded = fromBase64(match[3]!);
  if (encoded === undefined || encoded.length !== 33) return undefined;
  const type = encoded[0]!;
  if (type !== SIGNATURE_ED25519 && type !== SIGNATURE_COSIGNATURE) return undefined;
  const key = { name: match[1]!, type, publicKey: encoded.slice(1) };
  if ((await keyIdWith(crypto, key)) !== match[2]) return undefined;
  return { ...key, id: match[2], text };
}

function parseSignatureLine(line: string): NoteSignature | undefined {
  const parts = line.split(' ');
  if (parts.length !== 3 || parts[0] !== EM_DASH || !isKeyName(parts[1]!)) return undefined;
  const bytes = fromBase64(parts[2]!);
  if (bytes === undefined || bytes.length < 5) return undefined;
  return { name: parts[1]!, id: toHex(bytes.subarray(0, 4)), signature: bytes.slice(4), line };
}

/** Splits a note; undefined for anything that is not one (control characters, no signature, a stray line). */
export function parseNote(note: string): SignedNote | undefined {
  if (/[^\P{Cc}\n]/u.test(note)) return undefined;
  const split = note.lastIndexOf(`${LINE_FEED}${LINE_FEED}`);
  if (split < 0 || !note.endsWith(LINE_FEED)) return undefined;
  const lines = note.slice(split + 2, -1).split(LINE_FEED);
  if (lines.length > SIGNATURES_MAX) return undefined;
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignatureLine(line);
    if (signature === undefined) return undefined;
    signatures.push(signature);
  }
  return { text: note.slice(0, split + 1), signatures };
}

/** POSIX seconds of a cosignature stay below it: beyond, a Date is no date (C2SP allows 2^63, nobody can have signed then). */
const COSIGNATURE_SECONDS_MAX = 8_640_000_000_000n;
const COSIGNATURE_BYTES = 72;

/** What a witness signs: its own time and the whole note text (C2SP tlog-cosignature, `cosignature/v1`). */
export function cosignedText(text: string, seconds: number | bigint): string {
  return `cosignature/v1\ntime ${seconds}\n${text}`;
}

/** Splits the 8 bytes of seconds from the signature; undefined for another shape. */
function splitCosignature(signature: Uint8Array): { seconds: number; signature: Uint8Array } | undefined {
  if (signature.length !== COSIGNATURE_BYTES) return undefined;
  const view = new DataView(signature.buffer, signature.byteOffset, signature.byteLength);
  const seconds = view.getBigUint64(0);
  return seconds > COSIGNATURE_SECONDS_MAX ? undefined : { seconds: Number(seconds), signature: signature.slice(8) };
}

/** One witness's statement: at that time, this was the largest tree of this log that it had seen. */
export interface Cosignature {
  readonly key: VerifierKey;
  /** POSIX seconds, by the witness's clock. */
  readonly seconds: number;
}

/** Undefined when it does not hold; `seconds` only for a witness. */
async function checkSignature(
  crypto: Primitives,
  key: VerifierKey,
  { text, signature }: { text: string; signature: Uint8Array },
): Promise<{ seconds?: number } | undefined> {
  const { publicKey } = key;
  if (key.type === SIGNATURE_ED25519) {
    return (await crypto.ed25519Verify({ publicKey, message: bytesOf(text), signature })) ? {} : undefined;
  }
  const split = splitCosignature(signature);
  if (split === undefined) return undefined;
  const message = bytesOf(cosignedText(text, split.seconds));
  const holds = await crypto.ed25519Verify({ publicKey, message, signature: split.signature });
  return holds ? { seconds: split.seconds } : undefined;
}

export type NoteVerdict =
  | {
      readonly ok: true;
      /** Each known key once, in the note's order. */
      readonly verified: readonly VerifierKey[];
      /** Those of them that are witnesses, with their times. */
      readonly cosignatures: readonly Cosignature[];
    }
  | { readonly ok: false; readonly reason: 'no-known-signature' | 'bad-signature' | 'duplicate-signature' };

/**
 * Signatures of unknown keys are ignored, even when they share a name or an id with a known one; a known key whose
 * signature does not hold refuses the whole note, and so does a second signature by one key (two times by one witness
 * would let a reader choose); a note without any known key is refused.
 */
export async function verifyNoteWith(
  crypto: Primitives,
  note: SignedNote,
  keys: readonly VerifierKey[],
): Promise<NoteVerdict> {
  const verified: VerifierKey[] = [];
  const cosignatures: Cosignature[] = [];
  for (const signature of note.signatures) {
    const key = keys.find((candidate) => candidate.name === signature.name && candidate.id === signature.id);
    if (key === undefined) continue;
    if (verified.includes(key)) return { ok: false, reason: 'duplicate-signature' };
    const held = await checkSignature(crypto, key, { text: note.text, signature: signature.signature });
    if (held === undefined) return { ok: false, reason: 'bad-signature' };
    verified.push(key);
    if (held.seconds !== undefined) cosignatures.push({ key, seconds: held.seconds });
  }
  return verified.length > 0 ? { ok: true, verified, cosignatures } : { ok: false, reason: 'no-known-signature' };
}

// ---- checkpoints -------------------------------------------------------------------------------------------------

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** Text of a checkpoint (C2SP tlog-checkpoint): origin, size, root; extension lines are refused, nobody here writes any. */
export function parseCheckpointText(text: string): Checkpoint | undefined {
  const lines = text.split(LINE_FEED);
  if (lines.length !== 4 || lines[3] !== '') return undefined;
  const size = parseSize(lines[1]!);
  const root = fromBase64(lines[2]!);
  if (!isKeyName(lines[0]!) || size === undefined || root === undefined || root.length !== HASH_BYTES) return undefined;
  return { origin: lines[0]!, size, root };
}

export function formatCheckpointText(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${toBase64(checkpoint.root)}\n`;
}

export type CheckpointVerdict =
  | {
      readonly ok: true;
      readonly checkpoint: Checkpoint;
      readonly verified: readonly VerifierKey[];
      readonly cosignatures: readonly Cosignature[];
    }
  | {
      readonly ok: false;
      readonly reason:
        | 'malformed'
        | 'no-known-signature'
        | 'bad-signature'
        | 'duplicate-signature'
        | 'not-signed-by-log';
    };

/** Opens a checkpoint: at least one of `keys` named like the origin must have signed it as the log. */
export async function openCheckpointWith(
  crypto: Primitives,
  note: string,
  keys: readonly VerifierKey[],
): Promise<CheckpointVerdict> {
  const parsed = parseNote(note);
  const checkpoint = parsed && parseCheckpointText(parsed.text);
  if (parsed === undefined || checkpoint === undefined) return { ok: false, reason: 'malformed' };
  const verdict = await verifyNoteWith(crypto, parsed, keys);
  if (!verdict.ok) return verdict;
  const byLog = verdict.verified.some((key) => key.type === SIGNATURE_ED25519 && key.name === checkpoint.origin);
  if (!byLog) return { ok: false, reason: 'not-signed-by-log' };
  return { ok: true, checkpoint, verified: verdict.verified, cosignatures: verdict.cosignatures };
}

// ---- proofs as text ----------------------------------------------------------------------------------------------

/** C2SP tlog-proof: an inclusion proof that carries its checkpoint. `extra` is not authenticated by itself. */
export interface LogProof {
  readonly extra: Uint8Array | undefined;
  readonly index: number;
  readonly proof: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
}

const PROOF_HEADER = 'c2sp.org/tlog-proof@v1';

export function formatLogProof(proof: LogProof): string {
  const lines = [PROOF_HEADER];
  if (proof.extra !== undefined) lines.push(`extra ${toBase64(proof.extra)}`);
  lines.push(`index ${proof.index}`, ...proof.proof.map(toBase64), '', proof.checkpoint);
  return lines.join(LINE_FEED);
}

function parseHashLines(lines: readonly string[]): Uint8Array[] | undefined {
  if (lines.length > PROOF_HASHES_MAX) return undefined;
  const hashes: Uint8Array[] = [];
  for (const line of lines) {
    const hash = fromBase64(line);
    if (hash === undefined || hash.length !== HASH_BYTES) return undefined;
    hashes.push(hash);
  }
  return hashes;
}

export function parseLogProof(text: string): LogProof | undefined {
  const end = text.indexOf(`${LINE_FEED}${LINE_FEED}`);
  if (end < 0) return undefined;
  const lines = text.slice(0, end).split(LINE_FEED);
  if (lines.shift() !== PROOF_HEADER) return undefined;
  let extra: Uint8Array | undefined;
  if (lines[0]?.startsWith('extra ')) {
    extra = fromBase64(lines.shift()!.slice('extra '.length));
    if (extra === undefined) return undefined;
  }
  const indexLine = lines.shift();
  if (!indexLine?.startsWith('index ')) return undefined;
  const index = parseSize(indexLine.slice('index '.length));
  const proof = parseHashLines(lines);
  if (index === undefined || proof === undefined) return undefined;
  return { extra, index, proof, checkpoint: text.slice(end + 2) };
}

/** Body of tlog-witness `add-checkpoint`: the literal request that any witness program checks. */
export interface AddCheckpoint {
  readonly oldSize: number;
  readonly proof: readonly Uint8Array[];
  /** A signed note; towards the log's own signer, the bare checkpoint text. */
  readonly checkpoint: string;
}

export function formatAddCheckpoint(request: AddCheckpoint): string {
  return [`old ${request.oldSize}`, ...request.proof.map(toBase64), '', request.checkpoint].join(LINE_FEED);
}

export function parseAddCheckpoint(text: string): AddCheckpoint | undefined {
  const end = text.indexOf(`${LINE_FEED}${LINE_FEED}`);
  if (end < 0) return undefined;
  const [first, ...rest] = text.slice(0, end).split(LINE_FEED);
  if (!first?.startsWith('old ')) return undefined;
  const oldSize = parseSize(first.slice('old '.length));
  const proof = parseHashLines(rest);
  if (oldSize === undefined || proof === undefined) return undefined;
  return { oldSize, proof, checkpoint: text.slice(end + 2) };
}
