// What others have seen of the log, checked in the reader's browser: from the witness's signature down to the entry.
import {
  browserPrimitives,
  evaluatePolicy,
  isEpochEvidence,
  parsePolicyWith,
  verifyEpochWith,
  type Checkpoint,
  type EpochEvidence,
  type VerifiedEpoch,
  type VerifierKey,
} from '@auditrax/tlog/verify-browser';
import { superLogKeys } from '@auditrax/tlog/bundle-trust';

/** The earliest epoch of the super-log that holds an entry, or the last one of a range. */
export interface OutsideProof {
  readonly evidence: EpochEvidence;
  /**
   * base64. For an entry: from it to the root of this log's checkpoint in that epoch. For a range: from the smaller to the
   * larger of that checkpoint and the one that the range leads to.
   */
  readonly path: readonly string[];
  /** C2SP tlog-policy of the house; null when no outside witness is configured. */
  readonly policy: string | null;
}

/** `ok` is null for what cannot be said: nobody outside has looked, or not yet. */
export interface OutsideStep {
  readonly name: string;
  readonly ok: boolean | null;
  readonly detail: string;
}

const utc = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('T', ' ').slice(0, 19);

async function witnessStep(policyText: string | null, epoch: VerifiedEpoch): Promise<OutsideStep> {
  const name = 'Outside witnesses co-signed it';
  const noted = `the operator noted epoch ${epoch.leaf.epoch} at ${utc(epoch.leaf.time / 1000)} UTC`;
  if (policyText === null) return { name, ok: null, detail: `no outside witness is configured; ${noted}` };
  const read = await parsePolicyWith(browserPrimitives, policyText);
  if (!read.ok) return { name, ok: false, detail: `the policy cannot be read: ${read.problem}` };
  const { met, signed, seconds } = evaluatePolicy(read.policy, epoch.cosignatures);
  const count = `${signed.length} of ${read.policy.witnesses.length}`;
  if (read.policy.witnesses.length === 0) return { name, ok: null, detail: `no outside witness is named; ${noted}` };
  if (!met) return { name, ok: null, detail: `${count}, fewer than the policy asks for; ${noted}` };
  const when = seconds === undefined ? noted : `by ${utc(seconds)} UTC by their clocks`;
  return { name, ok: signed.length > 0 ? true : null, detail: `${count} (${signed.join(', ')}), ${when}` };
}

/** What was verified against the log itself, and is now looked for in what others have seen of it. */
export interface Verified {
  readonly checkpoint: Checkpoint;
  /** Keys of the log that the trusted one leads to: an epoch of long ago was signed with another. */
  readonly keys: readonly VerifierKey[];
  /** Whether this log's checkpoint in an epoch holds it. */
  readonly holds: (epoch: { readonly size: number; readonly root: Uint8Array }) => Promise<boolean>;
}

/**
 * Walks from the co-signed super-log down to what was verified: the epoch is in the super-log, this log's checkpoint is in
 * its slot, and that checkpoint holds it. Every step is told. Never throws on its input.
 */
export async function checkOutside(
  { checkpoint: { origin }, keys, holds }: Verified,
  outside: OutsideProof | null,
): Promise<OutsideStep[]> {
  const name = 'The super-log holds it';
  if (outside === null)
    return [{ name, ok: null, detail: 'not yet: the super-log takes every log once a minute; ask again later' }];
  const { evidence, policy } = outside;
  if (!isEpochEvidence(evidence)) return [{ name, ok: false, detail: 'it is no evidence of an epoch' }];
  const policyRead = policy === null ? undefined : await parsePolicyWith(browserPrimitives, policy);
  const witnessKeys = policyRead?.ok === true ? policyRead.policy.witnesses.map((witness) => witness.key) : [];
  const verdict = await verifyEpochWith(browserPrimitives, evidence, {
    tenantOrigin: origin,
    logKeys: [...keys, ...(await superLogKeys(browserPrimitives, evidence.note, { origin, logKeys: keys }))],
    witnessKeys,
  });
  if (!verdict.ok) return [{ name, ok: false, detail: `${verdict.reason}: ${verdict.detail}` }];
  const { epoch } = verdict;
  const isIn = await holds(epoch.tenant);
  const where = `epoch ${epoch.leaf.epoch}, at ${epoch.tenant.size} entries of this log`;
  const detail = isIn ? where : `${where}: what was given does not lead to that checkpoint`;
  return [{ name, ok: isIn, detail }, ...(isIn ? [await witnessStep(policy, epoch)] : [])];
}
