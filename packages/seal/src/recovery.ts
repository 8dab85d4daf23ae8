import { createHash } from 'node:crypto';
import type { Random } from '@auditrax/base';
import { sealError } from './errors.ts';
import { KEY_BYTES } from './gcm.ts';

/** Crockford's alphabet: no I, L, O or U, so that a key read from paper has few ways to go wrong. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** 24 bits: with the 256 of the key they fill 56 characters exactly. */
const CHECKSUM_BYTES = 3;
const CHARACTER_COUNT = ((KEY_BYTES + CHECKSUM_BYTES) * 8) / 5;
const GROUP_CHARACTERS = 4;
const CHECKSUM_DOMAIN = 'auditrax/recovery-key/v1\0';

/** 32 fresh random bytes: full strength, so no password hashing is needed. */
export function generateRecoveryKey(random: Random): Buffer {
  return Buffer.from(random.bytes(KEY_BYTES));
}

/** 14 groups of four characters. The caller shows them once and stores them nowhere. */
export function formatRecoveryKey(key: Uint8Array): string {
  if (key.length !== KEY_BYTES)
    throw sealError('key_length', `a recovery key has ${KEY_BYTES} bytes, not ${key.length}`);
  let bits = BigInt(`0x${Buffer.concat([key, checksum(key)]).toString('hex')}`);
  let text = '';
  for (let i = 0; i < CHARACTER_COUNT; i += 1) {
    text = ALPHABET[Number(bits & 31n)]! + text;
    bits >>= 5n;
  }
  return text.match(new RegExp(`.{${GROUP_CHARACTERS}}`, 'g'))!.join('-');
}

/**
 * Reads a recovery key as a person typed it: any case, spaces or hyphens, O for 0, I and L for 1. Throws
 * `recovery_key_malformed` on a wrong length, character or checksum.
 */
export function parseRecoveryKey(text: string): Buffer {
  const plain = text.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1');
  if (plain.length !== CHARACTER_COUNT) {
    throw sealError('recovery_key_malformed', `a recovery key has ${CHARACTER_COUNT} characters, not ${plain.length}`);
  }
  let bits = 0n;
  for (const character of plain) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) throw sealError('recovery_key_malformed', 'the recovery key has a character that none has');
    bits = (bits << 5n) | BigInt(value);
  }
  const bytes = Buffer.from(bits.toString(16).padStart((KEY_BYTES + CHECKSUM_BYTES) * 2, '0'), 'hex');
  const key = bytes.subarray(0, KEY_BYTES);
  if (!checksum(key).equals(bytes.subarray(KEY_BYTES))) {
    throw sealError('recovery_key_malformed', 'the recovery key has a typing error (its checksum does not match)');
  }
  return key;
}

function checksum(key: Uint8Array): Buffer {
  return createHash('sha256').update(CHECKSUM_DOMAIN).update(key).digest().subarray(0, CHECKSUM_BYTES);
}
