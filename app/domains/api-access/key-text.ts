import { hash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Random, Uuid } from '@auditrax/base';

/** Says what it is wherever it turns up: scanners of repositories and logs look for it (docs/api-keys.md). */
export const API_KEY_PREFIX = 'axk_';
const UUID_BYTES = 16;
const SECRET_BYTES = 32;
const CHECK_BYTES = 4;
/** Tenant, key, secret and checksum. */
const KEY_BYTES = 2 * UUID_BYTES + SECRET_BYTES + CHECK_BYTES;
const FORM = /^axk_[A-Za-z0-9_-]{91}$/;

export interface ReadKey {
  readonly tenantId: Uuid;
  readonly keyId: Uuid;
  readonly secret: Buffer;
}

function uuidBytes(id: Uuid): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

function uuidOf(bytes: Buffer): Uuid {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as Uuid;
}

function checkOf(bytes: Buffer): Buffer {
  const check = Buffer.alloc(CHECK_BYTES);
  check.writeUInt32BE(crc32(bytes));
  return check;
}

/** A new key as its owner gets it, and what is kept of it. */
export function newApiKey(random: Random, tenantId: Uuid, keyId: Uuid): { text: string; secretHash: Buffer } {
  const secret = Buffer.from(random.bytes(SECRET_BYTES));
  const bytes = Buffer.concat([uuidBytes(tenantId), uuidBytes(keyId), secret]);
  const text = `${API_KEY_PREFIX}${Buffer.concat([bytes, checkOf(bytes)]).toString('base64url')}`;
  return { text, secretHash: secretHash(secret) };
}

/**
 * What stands in a key; undefined for anything that is none. The checksum tells a mistyped key, or a scanner's find, from
 * a real one without asking anybody; it proves nothing.
 */
export function readApiKey(text: string): ReadKey | undefined {
  if (!FORM.test(text)) return undefined;
  const bytes = Buffer.from(text.slice(API_KEY_PREFIX.length), 'base64url');
  // One spelling each: the last character holds bits that say nothing.
  if (bytes.length !== KEY_BYTES || `${API_KEY_PREFIX}${bytes.toString('base64url')}` !== text) return undefined;
  const body = bytes.subarray(0, -CHECK_BYTES);
  if (!checkOf(body).equals(bytes.subarray(-CHECK_BYTES))) return undefined;
  return {
    tenantId: uuidOf(body.subarray(0, UUID_BYTES)),
    keyId: uuidOf(body.subarray(UUID_BYTES, 2 * UUID_BYTES)),
    secret: body.subarray(2 * UUID_BYTES),
  };
}

/** SHA-256: of 256 random bits nothing slower is needed. */
function secretHash(secret: Buffer): Buffer {
  return Buffer.from(hash('sha256', secret, 'hex'), 'hex');
}

/** In the same time, whatever differs. */
export function isSecretOf(secret: Buffer, kept: Uint8Array): boolean {
  const given = secretHash(secret);
  return given.length === kept.length && timingSafeEqual(given, kept);
}
