import { AppError, canonicalJson, fromBase64Url, toBase64Url, type Clock } from '@auditrax/base';
import { checkApproval, formatApproval, nodePrimitives, type Approval } from '@auditrax/tlog';
import { noteApproval } from '../../platform/http/approvals.ts';
import type { EdgeDoor } from '../../platform/http/handler.ts';
import type { Confirmation, StepUpVerifier } from '../../platform/http/step-up.ts';
import {
  type DoorSettings,
  mayStepUp,
  readStepUpClaims,
  readStepUpHeader,
  type StepUpClaims,
  spkiOf,
  verifyAssertion,
} from '../identity/index.ts';
import { actionHash, stepUpDigest } from './step-up-digest.ts';
import { CHANGED_SINCE } from './step-up-subject.ts';

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

/** What an entry can withhold; of a longer action, such as a text of rules, the hash is kept. */
const APPROVAL_CHARS_MAX = 64_000;

/** Where the page was in which the passkey was asked. The signature over it was verified before. */
function originOf(clientDataJSON: string): string {
  return (JSON.parse(fromBase64Url(clientDataJSON)!.toString('utf8')) as { origin: string }).origin;
}

function approvalOf(
  { header, action, keeping }: Confirmation,
  { vouched, clientDataJSON, rpId }: { vouched: StepUpClaims; clientDataJSON: string; rpId: string },
): Approval {
  const approval = {
    action: keeping?.hashOnly === true ? null : canonicalJson(action),
    actionHash: toBase64Url(actionHash(action)),
    nonce: vouched.nonce,
    answer: header,
    credential: vouched.credential,
    publicKey: toBase64Url(spkiOf(fromBase64Url(vouched.publicKey)!)),
    origin: originOf(clientDataJSON),
    rpId,
  };
  return formatApproval(approval).length > APPROVAL_CHARS_MAX ? { ...approval, action: null } : approval;
}

/**
 * Verifies, in each service again, that the person of the token confirmed this very action with a passkey: signature by
 * the key that the issuer named, challenge made of this action, user verified, our origin and relying party, and not
 * used here before. The issuer alone cannot be lied to about the action, nor can the gateway swap it on the way. What was
 * accepted is kept for the entry about it, after the auditor's own offline check of it has said yes. Throws `step_up_refused`.
 */
export function createStepUpVerifier(deps: {
  readonly doors: Readonly<Record<EdgeDoor, DoorSettings>>;
  readonly clock: Clock;
}): StepUpVerifier {
  const once = createOnce(deps.clock);
  const refuse = (reason: string, options?: { publicDetail: string }) =>
    new AppError<'step_up_refused'>('step_up_refused', reason, options);
  return async (claims, confirmation) => {
    const { header: headerText, action, keeping } = confirmation;
    const door = claims.rctx['door'];
    if (!mayStepUp(claims.rctx['amr']) || (door !== 'edge' && door !== 'tryout')) throw refuse('method');
    const header = readStepUpHeader(headerText);
    const vouched = readStepUpClaims(claims.tctx['stepUp']);
    if (header === undefined || vouched === undefined || header.hash !== vouched.assertionHash)
      throw refuse('not-vouched-for');
    const nonce = fromBase64Url(vouched.nonce);
    const publicKey = fromBase64Url(vouched.publicKey);
    if (nonce?.length !== 32 || publicKey === undefined) throw refuse('malformed');
    if (toBase64Url(actionHash(action)) !== vouched.actionHash)
      throw refuse('other-action', { publicDetail: CHANGED_SINCE });
    const verdict = await verifyAssertion({
      response: header.assertion,
      challenge: stepUpDigest(nonce, action),
      door: deps.doors[door],
      // The issuer has judged the counter; here any value is as good as another.
      passkey: { id: vouched.credentialId, publicKey, counter: 0 },
    });
    if (!verdict.ok) throw refuse(verdict.reason);
    if (!once(header.hash)) throw refuse('used-before');
    const { clientDataJSON } = header.assertion.response;
    const approval = approvalOf(confirmation, { vouched, clientDataJSON, rpId: deps.doors[door].rpId });
    const entry = { stepUp: header.hash, person: claims.sub };
    if (!(await checkApproval(nodePrimitives, approval, entry)).ok) throw refuse('not-provable');
    const kept = { text: formatApproval(approval), about: keeping?.about ?? null };
    noteApproval(header.hash, kept, deps.clock.nowMs());
    return { assertionHash: header.hash, credentialId: vouched.credentialId };
  };
}
