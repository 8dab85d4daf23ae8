import { systemRandom } from '@auditrax/base';
import type { Random } from '@auditrax/base';
import { XAES_NONCE_BYTES } from './sizes.ts';

/**
 * One call of the system's generator for so many nonces: asked for each, it would cost more than the encryption. Few
 * enough that a copy of a running machine's memory could repeat only these, and 192 bits of the next are fresh again.
 */
const POOL_NONCES = 256;

let pool: Uint8Array = new Uint8Array(0);
let used_bytes = 0;

/** Writes 24 bytes that were never given before to `at`. Only the system's own source is pooled. */
export function writeNonce(random: Random, target: Uint8Array, at: number): void {
  if (random !== systemRandom) {
    target.set(random.bytes(XAES_NONCE_BYTES), at);
    return;
  }
  if (used_bytes + XAES_NONCE_BYTES > pool.length) {
    pool = systemRandom.bytes(POOL_NONCES * XAES_NONCE_BYTES);
    used_bytes = 0;
  }
  const from = used_bytes;
  used_bytes += XAES_NONCE_BYTES;
  for (let i = 0; i < XAES_NONCE_BYTES; i += 1) target[at + i] = pool[from + i]!;
}
