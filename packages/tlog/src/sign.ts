import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { AppError } from '@auditrax/base';
import { SIGNATURE_ED25519, bytesOf, concatBytes, isKeyName, nameKeyWith, toBase64 } from './core.ts';
import { nodePrimitives } from './verify.ts';
import type { TlogCode } from './tiles.ts';

export interface NoteSigner {
  readonly name: string;
  /** The public half, to be published: `<name>+<id>+<key>`. */
  readonly verifierKey: string;
  /** One signature line, with its newline, over a note text that ends in a newline. */
  signLine(text: string): string;
}

/** The 32 bytes of an Ed25519 public key, given itself or its private half. Throws `tlog_key_malformed`. */
export function rawPublicKey(key: KeyObject): Buffer {
  const jwk = (key.type === 'public' ? key : createPublicKey(key)).export({ format: 'jwk' });
  if (jwk.crv !== 'Ed25519' || jwk.x === undefined) {
    throw new AppError<TlogCode>('tlog_key_malformed', 'a note is signed with an Ed25519 key');
  }
  return Buffer.from(jwk.x, 'base64url');
}

/** Throws `tlog_key_malformed` for what is no key name. */
export function requireKeyName(name: string): void {
  if (!isKeyName(name)) throw new AppError<TlogCode>('tlog_key_malformed', 'a key name has no spaces and no plus');
}

/** Verifier key of a key pair under a name. Throws `tlog_key_malformed`. */
export async function verifierKeyOf(name: string, key: KeyObject): Promise<string> {
  requireKeyName(name);
  return (await nameKeyWith(nodePrimitives, { name, type: SIGNATURE_ED25519, publicKey: rawPublicKey(key) })).text;
}

/** Signer of C2SP notes with an Ed25519 key under `name`. Throws `tlog_key_malformed`. */
export async function createNoteSigner(name: string, privateKey: KeyObject): Promise<NoteSigner> {
  const verifierKey = await verifierKeyOf(name, privateKey);
  const id = verifierKey.slice(name.length + 1, name.length + 9);
  return {
    name,
    verifierKey,
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
