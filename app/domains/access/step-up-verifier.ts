import { AppError, fromBase64Url, type Clock } from '@auditrax/base';
import type { EdgeDoor } from '../../platform/http/handler.ts';
import type { StepUpVerifier } from '../../platform/http/step-up.ts';
import { type DoorSettings, readStepUpClaims, readStepUpHeader, verifyAssertion } from '../identity/index.ts';
import { stepUpDigest } from './step-up-digest.ts';

/** Longer than any token that could bring the same assertion back. */
const USED_SECONDS_MAX = 120;
/** Confirmations remembered at once; a person gives a few a minute. */
const USED_MAX = 10_000;

/** Remembers what was used; true the first time only. */
function createOnce(clock: Clock): (hash: string) => boolean {
  const used = new Map<string, number>();
  return (hash) => {
    const now = clock.nowMs();
    for (const [old, until] of used) {
      if (until > now) break; // in order of time
      used.delete(old);
    }
    // Full of live ones: refusing is safe, forgetting one would let it be used again.
    if (used.has(hash) || used.size >= USED_MAX) return false;
    used.set(hash, now + USED_SECONDS_MAX * 1000);
    return true;
  };
}

/**
 * Verifies, in each service again, that the person of the token confirmed this very action with a passkey: signature by
 * the key that the issuer named, challenge made of this action, user verified, our origin and relying party, and not
 * used here before. The issuer alone cannot be lied to about the action, nor can the gateway swap it on the way.
 * Throws `step_up_refused`.
 */
export function createStepUpVerifier(deps: {
  readonly doors: Readonly<Record<EdgeDoor, DoorSettings>>;
  readonly clock: Clock;
}): StepUpVerifier {
  const once = createOnce(deps.clock);
  const refuse = (reason: string) => new AppError<'step_up_refused'>('step_up_refused', reason);
  return async (claims, headerText, action) => {
    const door = claims.rctx['door'];
    if (claims.rctx['amr'] !== 'passkey' || (door !== 'edge' && door !== 'tryout')) throw refuse('method');
    const header = readStepUpHeader(headerText);
    const vouched = readStepUpClaims(claims.tctx['stepUp']);
    if (header === undefined || vouched === undefined || header.hash !== vouched.assertionHash)
      throw refuse('not-vouched-for');
    const nonce = fromBase64Url(vouched.nonce);
    const publicKey = fromBase64Url(vouched.publicKey);
    if (nonce?.length !== 32 || publicKey === undefined) throw refuse('malformed');
    const verdict = await verifyAssertion({
      response: header.assertion,
      challenge: stepUpDigest(nonce, action),
      door: deps.doors[door],
      // The issuer has judged the counter; here any value is as good as another.
      passkey: { id: vouched.credentialId, publicKey, counter: 0 },
    });
    if (!verdict.ok) throw refuse(verdict.reason);
    if (!once(header.hash)) throw refuse('used-before');
    return { assertionHash: header.hash, credentialId: vouched.credentialId };
  };
}
