import { createHash } from 'node:crypto';
import type { Random } from '@auditrax/base';
import { toBase64Url } from '@auditrax/base';
import { refusal } from './errors.ts';
import { TOKEN_BYTES } from './limits.ts';

const FORM = /^[Bb][Ee][Aa][Rr][Ee][Rr] (scim_[A-Za-z0-9_-]{43})$/;

/** A token with the hash that is kept instead of it. */
export interface NewToken {
  /** Shown once. The prefix lets scanners of leaked secrets find it. */
  readonly token: string;
  /** SHA-256: enough, because 256 random bits cannot be guessed from it. */
  readonly hash: Uint8Array;
}

export const tokenHash = (token: string): Uint8Array => createHash('sha256').update(token, 'ascii').digest();

/** P31: a new token of 256 random bits. */
export function newToken(random: Random): NewToken {
  const token = `scim_${toBase64Url(random.bytes(TOKEN_BYTES))}`;
  return { token, hash: tokenHash(token) };
}

/**
 * P31: the hash of the token in an Authorization header, under which its tenant and connection are found. Throws
 * `scim_token`, which never quotes.
 */
export function bearerHash(authorization: string | undefined): Uint8Array {
  const token = FORM.exec(authorization ?? '')?.[1];
  if (token === undefined) throw refusal('scim_token');
  return tokenHash(token);
}
