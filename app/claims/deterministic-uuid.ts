import { createHash } from 'node:crypto';
import { uuidFromBytes, uuidToBytes } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';

/** Namespace of every name-based UUID that this house publishes. Random, fixed once. */
const NAMESPACE = '6f0f3a52-6a0e-4c55-9f3c-0d1c9b5e7a41' as Uuid;

/**
 * Name-based UUID, version 5 (RFC 9562 section 5.5), so that the same thing has the same id in each revision of a
 * document. SHA-1 serves as a spreader here, not as a defence: the names are ours and public.
 */
export function namedUuid(...name: readonly string[]): Uuid {
  const hash = createHash('sha1').update(uuidToBytes(NAMESPACE)).update(JSON.stringify(name)).digest().subarray(0, 16);
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return uuidFromBytes(hash);
}
