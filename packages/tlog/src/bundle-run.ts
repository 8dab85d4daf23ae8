// State of one check of a bundle, and the two steps that everything else is made of: a file, and a leaf with its proof.
import {
  equalBytes,
  leafHashWith,
  parseLogProof,
  textOf,
  verifyInclusionWith,
  type Checkpoint,
  type Cosignature,
  type LogProof,
  type Primitives,
  type VerifierKey,
} from './core.ts';
import type { BundleFiles } from './bundle-files.ts';
import type { Policy } from './policy-core.ts';
import type { KeyRotation } from './succession-core.ts';

export const PROBLEMS_MAX = 20;

export interface Run {
  readonly crypto: Primitives;
  readonly files: BundleFiles;
  readonly problems: string[];
  /** Names of files that were accounted for; any other does not belong in the bundle. */
  readonly seen: Set<string>;
}

/** What came from anywhere but the bundle. */
export interface OutsideTrust {
  /** Verifier keys of logs and of witnesses. */
  readonly keys: readonly string[];
  /** Text of a tlog-policy. */
  readonly policy?: string | undefined;
  /** Origins (`https://…`) of the pages where approvals are given; without any, what the approvals say is reported. */
  readonly approvedAt?: readonly string[] | undefined;
}

export interface Trust {
  readonly checkpoint: Checkpoint;
  readonly note: string;
  /** Keys that signed the checkpoint. */
  readonly signed: readonly VerifierKey[];
  readonly cosignatures: readonly Cosignature[];
  readonly source: 'outside' | 'bundle';
  readonly logKeys: readonly VerifierKey[];
  /** Changes of the key that the bundle led across. */
  readonly rotations: readonly KeyRotation[];
  /** Witnesses that the reader named. */
  readonly witnesses: readonly VerifierKey[];
  /** Witnesses that only the bundle named: their signatures are checked, but nobody vouches for them. */
  readonly bundleWitnesses: readonly VerifierKey[];
  /** Decides what is enough: the reader's; without one, any of the reader's witnesses; without any, the bundle's. */
  readonly policy: Policy;
  readonly policySource: 'outside' | 'bundle';
}

export function refuse(run: Run, problem: string): void {
  if (run.problems.length < PROBLEMS_MAX) run.problems.push(problem);
}

export function fileText(run: Run, name: string): string | undefined {
  run.seen.add(name);
  const bytes = run.files.get(name);
  if (bytes === undefined) {
    refuse(run, `${name} is missing`);
    return undefined;
  }
  const text = textOf(bytes);
  if (text === undefined) refuse(run, `${name} is not UTF-8`);
  return text;
}

export interface ProvenLeaf {
  readonly leaf: Uint8Array;
  readonly proof: LogProof;
}

/** A leaf counts only with a proof that ends in the very checkpoint whose signature was checked. */
export async function checkLeaf(
  run: Run,
  { note, checkpoint }: Pick<Trust, 'note' | 'checkpoint'>,
  names: { entry: string; proof: string },
): Promise<ProvenLeaf | undefined> {
  run.seen.add(names.entry).add(names.proof);
  const leaf = run.files.get(names.entry);
  const text = leaf === undefined ? undefined : fileText(run, names.proof);
  if (leaf === undefined || text === undefined) {
    if (leaf === undefined) refuse(run, `${names.entry} is missing`);
    return undefined;
  }
  const proof = parseLogProof(text);
  if (proof === undefined || proof.checkpoint !== note) {
    refuse(run, `${names.proof} is malformed or belongs to another checkpoint`);
    return undefined;
  }
  if (proof.extra === undefined || !equalBytes(proof.extra, leaf)) {
    refuse(run, `${names.proof} carries another leaf than ${names.entry}`);
    return undefined;
  }
  const { size, root } = checkpoint;
  const leafHash = await leafHashWith(run.crypto, leaf);
  if (!(await verifyInclusionWith(run.crypto, { index: proof.index, size, leafHash, proof: proof.proof, root }))) {
    refuse(run, `${names.entry} is not in the log at index ${proof.index}`);
    return undefined;
  }
  return { leaf, proof };
}
