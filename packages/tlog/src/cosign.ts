import { sign, type KeyObject } from 'node:crypto';
import {
  bytesOf,
  concatBytes,
  keyIdWith,
  parseNote,
  SIGNATURE_COSIGNATURE,
  toBase64,
  verifyNoteWith,
  type VerifierKey,
} from './core.ts';
import { rawPublicKey, requireKeyName } from './sign.ts';
import { nodePrimitives } from './verify.ts';

/** Bytes before the signature itself: key id, then the witness's time in seconds. */
const TIME_AT = 0;
const TIME_BYTES = 8;

/** A witness's pen (C2SP tlog-cosignature `cosignature/v1`, Ed25519). */
export interface Cosigner {
  readonly name: string;
  /** `<name>+<id>+<key>` with the type byte of a cosignature. */
  readonly verifierKey: string;
  /** One signature line, with its newline, over a checkpoint's text at a time in seconds since 1970. */
  cosignLine(text: string, time_seconds: number): string;
}

/** Throws `tlog_key_malformed`. */
export async function createCosigner(name: string, privateKey: KeyObject): Promise<Cosigner> {
  requireKeyName(name);
  const publicKey = rawPublicKey(privateKey);
  const id = await keyIdWith(nodePrimitives, { name, type: SIGNATURE_COSIGNATURE, publicKey });
  return {
    name,
    verifierKey: `${name}+${id}+${toBase64(concatBytes(Uint8Array.of(SIGNATURE_COSIGNATURE), publicKey))}`,
    cosignLine: (text, time_seconds) => {
      const time = Buffer.alloc(TIME_BYTES);
      time.writeBigUInt64BE(BigInt(time_seconds));
      const signature = sign(null, bytesOf(`cosignature/v1\ntime ${time_seconds}\n${text}`), privateKey);
      return `\u2014 ${name} ${toBase64(concatBytes(Buffer.from(id, 'hex'), time, signature))}\n`;
    },
  };
}

/** A cosignature that holds. */
export interface CosignatureLine {
  readonly key: VerifierKey;
  /** By the witness's clock. */
  readonly seconds: number;
  /** With its newline. */
  readonly line: string;
}

/**
 * The cosignatures by `keys` over `text` among these signature lines. Lines of others are ignored; a line under a known
 * key that does not hold, or that is no line, makes the whole undefined: whoever sent it is not to be believed.
 */
export async function readCosignatures(
  { text, lines }: { text: string; lines: string },
  keys: readonly VerifierKey[],
): Promise<readonly CosignatureLine[] | undefined> {
  const note = parseNote(`${text}\n${lines}`);
  if (note === undefined || note.text !== text) return undefined;
  const found: CosignatureLine[] = [];
  for (const signature of note.signatures) {
    const key = keys.find(
      ({ name, id, type }) => type === SIGNATURE_COSIGNATURE && name === signature.name && id === signature.id,
    );
    if (key === undefined) continue;
    const verdict = await verifyNoteWith(nodePrimitives, { text, signatures: [signature] }, [key]);
    if (!verdict.ok) return undefined;
    const time = Number(Buffer.from(signature.signature).readBigUInt64BE(TIME_AT));
    if (!Number.isSafeInteger(time)) return undefined;
    found.push({ key, seconds: time, line: `${signature.line}\n` });
  }
  return found;
}
