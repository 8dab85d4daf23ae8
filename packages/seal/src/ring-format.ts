import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalJson, fromBase64Url, parseUuid, toBase64Url } from '@auditrax/base';
import type { Json, Random, Uuid } from '@auditrax/base';
import { lengthPrefixed, uuidBytes } from './encode.ts';
import { sealError } from './errors.ts';
import { KEY_BYTES } from './gcm.ts';
import { hkdfExpand } from './hkdf.ts';
import { isPassphraseHeader } from './passphrase.ts';
import type { PassphraseHeader } from './passphrase.ts';
import { XAES_NONCE_BYTES } from './sizes.ts';
import { xaesDecrypt, xaesEncrypt, XaesKey } from './xaes.ts';

const RING_FORMAT = 'AXR1';
const RING_SUITE = 1;
const CHECK_BYTES = 16;
/** One entry per tenant. */
export const RING_ENTRIES_MAX = 100_000;

/** The key ring as it stands in its file, without the MAC. Binary values are base64url. */
export interface RingDocument {
  readonly ringId: Uuid;
  /** Grows by one with every save. */
  readonly generation: number;
  readonly createdAtMs: number;
  /** Fingerprint of the root key in this ring. */
  readonly rootCheck: string;
  readonly recovery: { readonly check: string; readonly sealedRoot: string; readonly confirmedAtMs: number | null };
  /** The root key under a passphrase; absent where the root key comes from elsewhere. */
  readonly passphrase?: PassphraseHeader;
  readonly entries: readonly RingEntry[];
}

/** One key-encryption key, sealed by the root key. */
export interface RingEntry {
  readonly kekId: Uuid;
  readonly tenantId: Uuid;
  readonly createdAtMs: number;
  readonly sealed: string;
}

/** What the root key is used for: never directly, always through a derived key of one purpose. */
export interface RootKeys {
  readonly wrap: XaesKey;
  readonly mac: Buffer;
  readonly check: string;
}

export function deriveRootKeys(rootKey: Uint8Array, ringId: Uuid): RootKeys {
  if (rootKey.length !== KEY_BYTES)
    throw sealError('key_length', `a root key has ${KEY_BYTES} bytes, not ${rootKey.length}`);
  const wrapBytes = derive(rootKey, 'wrap', { ringId, length_bytes: KEY_BYTES });
  const wrap = new XaesKey(wrapBytes);
  wrapBytes.fill(0);
  return {
    wrap,
    mac: derive(rootKey, 'mac', { ringId, length_bytes: KEY_BYTES }),
    check: toBase64Url(derive(rootKey, 'root-check', { ringId, length_bytes: CHECK_BYTES })),
  };
}

export function deriveRecovery(recoveryKey: Uint8Array, ringId: Uuid): { wrap: XaesKey; check: string } {
  return {
    wrap: new XaesKey(derive(recoveryKey, 'recovery-wrap', { ringId, length_bytes: KEY_BYTES })),
    check: toBase64Url(derive(recoveryKey, 'recovery-check', { ringId, length_bytes: CHECK_BYTES })),
  };
}

function derive(key: Uint8Array, label: string, output: { ringId: Uuid; length_bytes: number }): Buffer {
  const info = lengthPrefixed(
    Buffer.from('auditrax/key-ring/v1'),
    Buffer.from(label),
    uuidBytes(output.ringId, 'the ring id'),
  );
  return hkdfExpand('sha512', key, { info, length_bytes: output.length_bytes });
}

/** The file's bytes: one line of canonical JSON with a MAC over everything else in it. */
export function encodeRing(document: RingDocument, keys: RootKeys): Buffer {
  const body = { format: RING_FORMAT, suite: RING_SUITE, ...document };
  return Buffer.from(`${canonicalJson({ ...body, mac: ringMac(body, keys) } as unknown as Json)}\n`, 'utf8');
}

/**
 * Reads a ring's shape, before any key is known: nothing of it may be trusted until `checkRing`. Throws `ring_corrupt`,
 * `suite_unknown`.
 */
export function parseRing(bytes: Uint8Array): { document: RingDocument; mac: string } {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw sealError('ring_corrupt', 'the key ring is not JSON; its previous generation stands beside it', cause);
  }
  if (!isRecord(value) || value['format'] !== RING_FORMAT)
    throw sealError('ring_corrupt', 'this file is not a key ring');
  if (value['suite'] !== RING_SUITE)
    throw sealError('suite_unknown', `key ring suite ${String(value['suite'])} is unknown to this build`);
  const { format: _format, suite: _suite, mac, ...document } = value;
  if (!isDocument(document) || typeof mac !== 'string') {
    throw sealError('ring_corrupt', 'the key ring lacks a part; its previous generation stands beside it');
  }
  return { document, mac };
}

/** Throws `root_key_mismatch` (naming ring, expected and found), then `ring_tampered`. */
export function checkRing(ring: { document: RingDocument; mac: string }, keys: RootKeys): void {
  const { document } = ring;
  if (document.rootCheck !== keys.check) {
    throw sealError(
      'root_key_mismatch',
      `key ring ${document.ringId} expects the root key with check value ${document.rootCheck}; the one given has ${keys.check}`,
    );
  }
  const expected = Buffer.from(ringMac({ format: RING_FORMAT, suite: RING_SUITE, ...document }, keys));
  const found = Buffer.from(ring.mac);
  if (expected.length !== found.length || !timingSafeEqual(expected, found)) {
    throw sealError(
      'ring_tampered',
      `key ring ${document.ringId} was changed by something that does not hold the root key`,
    );
  }
}

/** Seals key bytes for the ring file, bound to what the key is. */
export function sealRingKey(input: { key: XaesKey; bound: Uint8Array; random: Random }, value: Uint8Array): string {
  const nonce = input.random.bytes(XAES_NONCE_BYTES);
  return toBase64Url(Buffer.concat([nonce, xaesEncrypt({ key: input.key, nonce, aad: input.bound }, value)]));
}

/** Throws `authentication_failed`, `ring_corrupt`. */
export function openRingKey(input: { key: XaesKey; bound: Uint8Array }, sealed: string): Buffer {
  const bytes = fromBase64Url(sealed);
  if (bytes === undefined) throw sealError('ring_corrupt', 'a sealed key in the ring is not base64url');
  const nonce = bytes.subarray(0, XAES_NONCE_BYTES);
  return xaesDecrypt({ key: input.key, nonce, aad: input.bound }, bytes.subarray(XAES_NONCE_BYTES));
}

export function entryBinding(ringId: Uuid, entry: { kekId: Uuid; tenantId: Uuid }): Buffer {
  return lengthPrefixed(
    Buffer.from('auditrax/key-ring/entry/v1'),
    uuidBytes(ringId, 'the ring id'),
    uuidBytes(entry.kekId, 'the key id'),
    uuidBytes(entry.tenantId, 'the tenant id'),
  );
}

export function rootBinding(ringId: Uuid): Buffer {
  return lengthPrefixed(Buffer.from('auditrax/key-ring/root/v1'), uuidBytes(ringId, 'the ring id'));
}

function ringMac(body: object, keys: RootKeys): string {
  return toBase64Url(
    createHmac('sha256', keys.mac)
      .update(canonicalJson(body as Json))
      .digest(),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isUuid(value: unknown): value is Uuid {
  return typeof value === 'string' && parseUuid(value) !== undefined;
}

function isDocument(value: Record<string, unknown>): value is Record<string, unknown> & RingDocument {
  const { ringId, generation, createdAtMs, rootCheck, recovery, entries } = value;
  return (
    isUuid(ringId) &&
    Number.isSafeInteger(generation) &&
    Number.isSafeInteger(createdAtMs) &&
    typeof rootCheck === 'string' &&
    isRecord(recovery) &&
    typeof recovery['check'] === 'string' &&
    typeof recovery['sealedRoot'] === 'string' &&
    (recovery['confirmedAtMs'] === null || Number.isSafeInteger(recovery['confirmedAtMs'])) &&
    (value['passphrase'] === undefined || isPassphraseHeader(value['passphrase'])) &&
    Array.isArray(entries) &&
    entries.length <= RING_ENTRIES_MAX &&
    entries.every(isEntry)
  );
}

function isEntry(value: unknown): value is RingEntry {
  return (
    isRecord(value) &&
    isUuid(value['kekId']) &&
    isUuid(value['tenantId']) &&
    Number.isSafeInteger(value['createdAtMs']) &&
    typeof value['sealed'] === 'string'
  );
}
