import { hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@auditrax/base';

/** Of this process: after a restart every program is told a new nonce, and asks once more. Nothing is kept for anybody. */
export const NONCE_SECRET = randomBytes(32);
/** A nonce changes every minute. */
const STEP_MS = 60_000;
/** The one to come is handed out; it holds until two more have come. So a proof is made two to four minutes ahead at most. */
const STEPS_AROUND = [-2, -1, 0, 1, 2] as const;

/**
 * The nonce of one minute, as the library makes those of the token endpoint: programs keep one for an origin, and ours is one
 * for both. A test takes a nonce from each to the other.
 */
function nonceOf(step: number): string {
  const salt = Buffer.alloc(8);
  salt.writeBigUInt64BE(BigInt(step));
  return Buffer.from(hkdfSync('sha256', NONCE_SECRET, salt, 'DPoP', 32)).toString('base64url');
}

const stepAt = (clock: Clock): number => Math.floor(clock.nowMs() / STEP_MS);

/** What programs are told to put into their next proofs (RFC 9449 8). */
export const nextNonce = (clock: Clock): string => nonceOf(stepAt(clock) + 1);

/** Whether a proof was made for one of the minutes around now, and not long before, to be used when its maker is away. */
export function isFreshNonce(clock: Clock, nonce: unknown): boolean {
  if (typeof nonce !== 'string') return false;
  const given = Buffer.from(nonce);
  return STEPS_AROUND.some((around) => {
    const good = Buffer.from(nonceOf(stepAt(clock) + around));
    return good.length === given.length && timingSafeEqual(good, given);
  });
}
