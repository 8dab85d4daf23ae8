import { createHash } from 'node:crypto';
import { toBase64Url, type Random } from '@auditrax/base';

const SECRET_BYTES = 32;
/** So that a scanner of code knows what it has found. */
const PREFIX = 'axr_';
const FORM = /^Bearer (axr_[A-Za-z0-9_-]{43})$/i;

const digest = (text: string): Buffer => createHash('sha256').update(`auditrax-signals-v1\0${text}`).digest();

/** By which a receiver polls and asks; given once, kept as a hash. */
export function newReceiverToken(random: Random): { readonly text: string; readonly hash: Buffer } {
  const text = `${PREFIX}${toBase64Url(random.bytes(SECRET_BYTES))}`;
  return { text, hash: digest(text) };
}

/** The hash of what came in a header (RFC 6750); undefined: no token of ours. */
export function receiverHash(authorization: string | undefined): Buffer | undefined {
  const text = FORM.exec(authorization ?? '')?.[1];
  return text === undefined ? undefined : digest(text);
}
