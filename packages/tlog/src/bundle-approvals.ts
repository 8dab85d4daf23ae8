// Approvals by passkey in a bundle: each opened one is checked against its entry, all are counted. Part of verify.mjs.
import {
  approvalIn,
  checkApproval,
  parseApproval,
  PASSKEY_REGISTERED_TYPE,
  publicKeyHashOf,
  type Approval,
  type ApprovalVerdict,
} from './approval-core.ts';
import { refuse, type Run } from './bundle-run.ts';
import { leafObject, publicFactsOf } from './succession-core.ts';

export interface ApprovalCounts {
  /** Entries that say they were approved. */
  readonly approved: number;
  /** Of them: the approval is here and holds. */
  readonly verified: number;
  /** Of those: only the hash of what was approved is kept, because it held a secret or a name. */
  readonly hashOnly: number;
  /** Of the verified: the passkey's registration is in this bundle and names the same public key. */
  readonly registered: number;
  /** Where the approvals were given. */
  readonly origins: readonly string[];
}

export const NOTHING_APPROVED: ApprovalCounts = { approved: 0, verified: 0, hashOnly: 0, registered: 0, origins: [] };

export interface ApprovedLeaves {
  readonly leaves: ReadonlyMap<number, Uint8Array>;
  readonly related: ReadonlyMap<number, Uint8Array>;
  /** Digest to line, of each entry that the bundle opens values of. */
  readonly opened: ReadonlyMap<number, ReadonlyMap<string, string>>;
}

/** Credential to the hash of the public key that its registration names. */
function registrationsIn({ leaves, related }: ApprovedLeaves): Map<string, string> {
  const registered = new Map<string, string>();
  for (const leaf of [...leaves.values(), ...related.values()]) {
    const { type, resource } = leafObject(leaf);
    const hash = publicFactsOf(leaf)['publicKey'];
    if (type !== PASSKEY_REGISTERED_TYPE || typeof hash !== 'string' || !Array.isArray(resource)) continue;
    registered.set(String(resource[1]), hash);
  }
  return registered;
}

/** Undefined where this platform has no way to check a passkey. */
async function judge(
  run: Run,
  leaf: Uint8Array,
  { approval, registered }: { approval: Approval; registered: ReadonlyMap<string, string> },
): Promise<ApprovalVerdict | undefined> {
  const { passkeyVerify } = run.crypto;
  const { stepUp, actor } = leafObject(leaf);
  if (passkeyVerify === undefined) return undefined;
  const person = Array.isArray(actor) && actor[0] === 'person' ? String(actor[1]) : '';
  const verdict = await checkApproval({ ...run.crypto, passkeyVerify }, approval, { stepUp: String(stepUp), person });
  const named = registered.get(approval.credential);
  if (!verdict.ok || named === undefined) return verdict;
  return named === (await publicKeyHashOf(run.crypto, approval)) ? verdict : { ok: false, check: 'registered-key' };
}

/**
 * Checks every approval that the bundle opens; one that does not hold refuses the bundle and names the check. `origins`
 * are the pages that the reader knows to be the product's; without any, those that the approvals name are reported.
 */
export async function checkApprovals(
  run: Run,
  entries: ApprovedLeaves,
  origins: readonly string[] | undefined,
): Promise<ApprovalCounts> {
  const registered = registrationsIn(entries);
  const counts = { approved: 0, verified: 0, hashOnly: 0, registered: 0 };
  const seen = new Set<string>();
  for (const [index, leaf] of entries.leaves) {
    const isApproved = typeof leafObject(leaf)['stepUp'] === 'string';
    if (isApproved) counts.approved += 1;
    const texts = [...(entries.opened.get(index)?.values() ?? [])].flatMap((line) => approvalIn(line) ?? []);
    if (texts.length === 0) continue;
    const approval = parseApproval(texts[0]!);
    if (!isApproved || texts.length > 1 || approval === undefined) {
      refuse(run, `entry ${index}: its approval failed the check form`);
      continue;
    }
    const verdict = await judge(run, leaf, { approval, registered });
    if (verdict === undefined) continue;
    if (!verdict.ok) refuse(run, `entry ${index}: its approval failed the check ${verdict.check}`);
    else if (origins !== undefined && origins.length > 0 && !origins.includes(verdict.origin))
      refuse(run, `entry ${index}: its approval was given at ${verdict.origin}, not where you said`);
    else {
      counts.verified += 1;
      if (!verdict.hasAction) counts.hashOnly += 1;
      if (registered.has(approval.credential)) counts.registered += 1;
      seen.add(verdict.origin);
    }
  }
  return { ...counts, origins: [...seen].sort() };
}
