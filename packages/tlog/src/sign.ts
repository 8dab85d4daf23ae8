import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { AppError } from '@auditrax/base';
import { SIGNATURE_ED25519, bytesOf, concatBytes, isKeyName, keyIdWith, toBase64 } from './core.ts';
import { nodePrimitives } from './verify.ts';
import type { TlogCode } from './tiles.ts';

export interface NoteSigner {
  readonly name: string;
  /** The public half, to be published: `<name>+<id>+<key>`. */
  readonly verifierKey: string;
  /** One signature line, with its newline, over a note text that ends in a newline. */
  signLine(text: string): string;
}

function rawPublicKey(privateKey: KeyObject): Buffer {
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  if (jwk.crv !== 'Ed25519' || jwk.x === undefined) {
    throw new AppError<TlogCode>('tlog_key_malformed', 'a note is signed with an Ed25519 key');
  }
  return Buffer.from(jwk.x, 'base64url');
}

/** Signer of C2SP notes with an Ed25519 key under `name`. Throws `tlog_key_malformed`. */
export async function createNoteSigner(name: string, privateKey: KeyObject): Promise<NoteSigner> {
  if (!isKeyName(name)) throw new AppError<TlogCode>('tlog_key_malformed', 'a key name has no spaces and no plus');
  const publicKey = rawPublicKey(privateKey);
  const id = await keyIdWith(nodePrimitives, { name, type: SIGNATURE_ED25519, publicKey });
  return {
    name,
    verifierKey: `${name}+${id}+${toBase64(concatBytes(Uint8Array.of(SIGNATURE_ED25519), publicKey))}`,
    signLine: (text) => {
      const signature = sign(null, bytesOf(text), privateKey);
      return `\u2014 ${name} ${toBase64(concatBytes(Buffer.from(id, 'hex'), signature))}\n`;
    },
  };
}

/** The signed note: text, blank line, one line for each signer. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  return `${text}\n${signers.map((signer) => signer.signLine(text)).join('')}`;
}
