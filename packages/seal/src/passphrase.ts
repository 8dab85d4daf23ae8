import { scrypt } from 'node:crypto';
import type { Random, Uuid } from '@auditrax/base';
import { fromBase64Url, toBase64Url } from '@auditrax/base';
import { lengthPrefixed, uint32, uuidBytes } from './encode.ts';
import { sealError } from './errors.ts';
import { KEY_BYTES } from './gcm.ts';
import { hkdfExpand } from './hkdf.ts';
import { XAES_NONCE_BYTES } from './sizes.ts';
import { xaesDecrypt, xaesEncrypt, XaesKey } from './xaes.ts';

/**
 * scrypt (RFC 7914) with N = 2^17, r = 8, p = 1: 128 MiB and about half a second for one guess, on the attacker's machine
 * as on ours. They stand in the ring, so that a later build may raise them.
 */
const COST = 2 ** 17;
const BLOCK_SIZE = 8;
const PARALLEL = 1;
/** What a ring may ask of us before it is authenticated: 1 GiB, once. Less than COST is nobody's wish but an attacker's. */
const COST_MAX = 2 ** 20;
const SALT_BYTES = 16;
const CHECK_BYTES = 16;
/** Four words of a large list, or twelve random letters and digits; whoever holds the file may guess for years. */
export const PASSPHRASE_CHARACTERS_MIN = 12;
/** A larger file is not a passphrase. */
const PASSPHRASE_CHARACTERS_MAX = 1_024;

/** The root key under a passphrase, as it stands in the ring. Binary values are base64url. */
export interface PassphraseHeader {
  readonly kdf: 'scrypt';
  readonly cost: number;
  readonly blockSize: number;
  readonly parallel: number;
  readonly salt: string;
  /** Fingerprint of the derived key: names a wrong passphrase without trying it on the root key. */
  readonly check: string;
  readonly sealedRoot: string;
}

interface Derived {
  readonly wrap: XaesKey;
  readonly check: string;
}

/**
 * A passphrase as typed or read: line end removed, in Unicode's NFC, so that one keyboard's spelling opens what another's
 * closed. Throws `passphrase_weak`.
 */
export function parsePassphrase(text: string): string {
  const plain = text.replace(/\r?\n$/, '').normalize('NFC');
  const { length } = [...plain];
  if (length < PASSPHRASE_CHARACTERS_MIN || length > PASSPHRASE_CHARACTERS_MAX) {
    throw sealError(
      'passphrase_weak',
      `a passphrase has ${PASSPHRASE_CHARACTERS_MIN} to ${PASSPHRASE_CHARACTERS_MAX} characters, not ${length}`,
    );
  }
  return plain;
}

/** Puts a root key under a passphrase, with a new salt. Throws `passphrase_weak`. */
export async function sealUnderPassphrase(
  input: { readonly ringId: Uuid; readonly passphrase: string; readonly random: Random },
  rootKey: Uint8Array,
): Promise<PassphraseHeader> {
  const { ringId, random } = input;
  const salt = toBase64Url(random.bytes(SALT_BYTES));
  const frame = { kdf: 'scrypt', cost: COST, blockSize: BLOCK_SIZE, parallel: PARALLEL, salt } as const;
  const { wrap, check } = await derive(frame, ringId, parsePassphrase(input.passphrase));
  const nonce = random.bytes(XAES_NONCE_BYTES);
  const sealed = Buffer.concat([nonce, xaesEncrypt({ key: wrap, nonce, aad: binding(frame, ringId) }, rootKey)]);
  wrap.destroy();
  return { ...frame, check, sealedRoot: toBase64Url(sealed) };
}

/**
 * The root key of a ring. Throws `root_key_mismatch` (naming ring, expected and found), `passphrase_weak`,
 * `authentication_failed`, `ring_corrupt`.
 */
export async function openWithPassphrase(header: PassphraseHeader, ringId: Uuid, passphrase: string): Promise<Buffer> {
  const { wrap, check } = await derive(header, ringId, parsePassphrase(passphrase));
  try {
    if (check !== header.check) {
      throw sealError(
        'root_key_mismatch',
        `key ring ${ringId} expects the passphrase with check value ${header.check}; the one given has ${check}`,
      );
    }
    const sealed = fromBase64Url(header.sealedRoot);
    if (sealed === undefined) throw sealError('ring_corrupt', 'the sealed root key in the ring is not base64url');
    const nonce = sealed.subarray(0, XAES_NONCE_BYTES);
    return xaesDecrypt({ key: wrap, nonce, aad: binding(header, ringId) }, sealed.subarray(XAES_NONCE_BYTES));
  } finally {
    wrap.destroy();
  }
}

/** Whether a value read from a ring has this shape, with costs that this build agrees to pay. */
export function isPassphraseHeader(value: unknown): value is PassphraseHeader {
  if (typeof value !== 'object' || value === null) return false;
  const { kdf, cost, blockSize, parallel, salt, check, sealedRoot } = value as Record<string, unknown>;
  return (
    kdf === 'scrypt' &&
    Number.isSafeInteger(cost) &&
    (cost as number) >= COST &&
    (cost as number) <= COST_MAX &&
    Number.isInteger(Math.log2(cost as number)) &&
    blockSize === BLOCK_SIZE &&
    parallel === PARALLEL &&
    typeof salt === 'string' &&
    fromBase64Url(salt)?.length === SALT_BYTES &&
    typeof check === 'string' &&
    typeof sealedRoot === 'string'
  );
}

type Frame = Pick<PassphraseHeader, 'kdf' | 'cost' | 'blockSize' | 'parallel' | 'salt'>;

async function derive(frame: Frame, ringId: Uuid, passphrase: string): Promise<Derived> {
  const stretched = await new Promise<Buffer>((resolve, reject) => {
    const { cost, blockSize, parallel } = frame;
    // 128 · N · r bytes are what it takes; the runtime's own limit is lower.
    const options = { N: cost, r: blockSize, p: parallel, maxmem: 2 * 128 * cost * blockSize };
    scrypt(passphrase, fromBase64Url(frame.salt)!, KEY_BYTES, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
  const expand = (label: string, length_bytes: number): Buffer =>
    hkdfExpand('sha512', stretched, {
      info: lengthPrefixed(Buffer.from('auditrax/key-ring/v1'), Buffer.from(label), uuidBytes(ringId, 'the ring id')),
      length_bytes,
    });
  const wrapBytes = expand('passphrase-wrap', KEY_BYTES);
  const derived = { wrap: new XaesKey(wrapBytes), check: toBase64Url(expand('passphrase-check', CHECK_BYTES)) };
  wrapBytes.fill(0);
  stretched.fill(0);
  return derived;
}

/** The parameters too: a ring that was told to stretch less must not open. */
function binding(frame: Frame, ringId: Uuid): Buffer {
  return lengthPrefixed(
    Buffer.from('auditrax/key-ring/passphrase/v1'),
    uuidBytes(ringId, 'the ring id'),
    Buffer.from(frame.kdf),
    uint32(frame.cost),
    uint32(frame.blockSize),
    uint32(frame.parallel),
    Buffer.from(frame.salt),
  );
}
