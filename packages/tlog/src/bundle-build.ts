import { hash } from 'node:crypto';
import { AppError } from '@auditrax/base';
import {
  BUNDLE_EPOCHS_MAX,
  BUNDLE_FORMAT,
  bundleDigest,
  consistencyName,
  disclosuresName,
  entryName,
  epochName,
  EPOCHS_FILE,
  formatManifest,
  formatSums,
  handoverName,
  proofName,
  relatedName,
  relatedProofName,
  type BundleManifest,
} from './bundle-files.ts';
import {
  bytesOf,
  formatAddCheckpoint,
  formatLogProof,
  fromBase64,
  parseCheckpointText,
  parseNote,
  type LogProof,
} from './core.ts';
import type { EpochEvidence } from './epoch-leaf.ts';
import { formatEpochs } from './evidence-core.ts';
import { parsePolicyWith } from './policy-core.ts';
import type { TlogCode } from './tiles.ts';
import { nodePrimitives } from './verify.ts';
import { SHELL_VERIFIER, verifierScript } from './verify-script.ts';

/** What is in the bundle before its export is logged. */
export interface BundleBase {
  readonly manifest: BundleManifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly sums: string;
  /** Hex; goes into the log entry of the export as the public fact `bundle`. */
  readonly digest: string;
  readonly epochs: readonly EpochEvidence[];
  /** Indexes of entries outside the range whose proofs are needed as well. */
  readonly related: readonly number[];
}

export interface BundleInput {
  readonly origin: string;
  /** Index of the first leaf. */
  readonly from: number;
  readonly leaves: readonly Uint8Array[];
  /** The log's verifier key; a reader must get it elsewhere as well. */
  readonly verifierKey: string;
  readonly title: string;
  /** Witnesses, groups and quorum in words of tlog-policy; none when nobody outside co-signs. */
  readonly witnesses?: string | undefined;
  /** Epochs of the super-log that bracket the range, in its order; at most `BUNDLE_EPOCHS_MAX`. */
  readonly epochs?: readonly EpochEvidence[] | undefined;
  /** Entries outside the range that are needed to read it: erasures, changes of the key. */
  readonly related?: ReadonlyMap<number, Uint8Array> | undefined;
  /** Withheld values that the bundle opens: lines of RFC 9901 by index of their entry. */
  readonly disclosures?: ReadonlyMap<number, readonly string[]> | undefined;
}

function policyText({ verifierKey, witnesses }: BundleInput): string {
  const said = '# As the operator says it. Compare the keys with those from elsewhere.';
  return `${said}\nlog ${verifierKey}\n${witnesses ?? 'quorum none\n'}`;
}

function addEpochs(files: Map<string, Uint8Array>, epochs: readonly EpochEvidence[]): void {
  if (epochs.length === 0) return;
  files.set(EPOCHS_FILE, bytesOf(formatEpochs(epochs)));
  for (const [position, { leaf, index, proof, note, timestamp }] of epochs.entries()) {
    const hashes = proof.map((text) => fromBase64(text)!);
    const text = formatLogProof({ extra: bytesOf(leaf), index, proof: hashes, checkpoint: note });
    files.set(epochName(position, 'tlog-proof'), bytesOf(text));
    if (timestamp === undefined) continue;
    files.set(epochName(position, 'tsr'), fromBase64(timestamp)!);
    files.set(epochName(position, 'txt'), bytesOf(parseNote(note)!.text));
  }
}

/**
 * First half: everything but checkpoint and proofs, and the digest to be logged. Same input, same bytes. Throws
 * `tlog_policy_malformed`, `tlog_range_invalid` for too many epochs.
 */
export async function beginBundle(input: BundleInput): Promise<BundleBase> {
  const { origin, from, epochs = [], related = new Map<number, Uint8Array>() } = input;
  if (epochs.length > BUNDLE_EPOCHS_MAX)
    throw new AppError<TlogCode>('tlog_range_invalid', `a bundle holds ${BUNDLE_EPOCHS_MAX} epochs`);
  const policy = await parsePolicyWith(nodePrimitives, policyText(input));
  if (!policy.ok)
    throw new AppError<TlogCode>('tlog_policy_malformed', `policy, line ${policy.line}: ${policy.problem}`);
  const manifest: BundleManifest = { format: BUNDLE_FORMAT, origin, from, to: from + input.leaves.length };
  const files = new Map<string, Uint8Array>([
    ['README.md', bytesOf(readme(input, manifest))],
    ['manifest.json', bytesOf(formatManifest(manifest))],
    ['policy', bytesOf(policyText(input))],
    ['verify.mjs', bytesOf(verifierScript())],
    ['verify.sh', bytesOf(SHELL_VERIFIER)],
  ]);
  for (const [at, leaf] of input.leaves.entries()) files.set(entryName(from + at), leaf);
  for (const [index, leaf] of related) files.set(relatedName(index), leaf);
  for (const [index, lines] of input.disclosures ?? [])
    files.set(disclosuresName(index), bytesOf(lines.map((line) => `${line}\n`).join('')));
  addEpochs(files, epochs);
  const sums = await formatSums(nodePrimitives, files);
  const digest = await bundleDigest(nodePrimitives, sums);
  return { manifest, files, sums, digest, epochs, related: [...related.keys()] };
}

/** A consistency proof that the bundle needs, between `from` and `to` entries; both at least 1 and different. */
export interface ConsistencyNeed {
  readonly from: number;
  readonly to: number;
}

function tenantSize(evidence: EpochEvidence): number {
  return parseCheckpointText(parseNote(evidence.checkpoint)?.text ?? '')?.size ?? 0;
}

/**
 * Every epoch's checkpoint is tied to the bundle's own by a proof: which ones, for a final checkpoint of `size`. `also`
 * names the sizes of handovers.
 */
export function consistencyNeeds(
  base: BundleBase,
  { size, also = [] }: { size: number; also?: readonly number[] },
): ConsistencyNeed[] {
  const sizes = [...new Set([...base.epochs.map(tenantSize), ...also])];
  return sizes
    .filter((other) => other > 0 && other !== size)
    .sort((a, b) => a - b)
    .map((other) => ({ from: Math.min(other, size), to: Math.max(other, size) }));
}

export interface BundleProofs {
  /** The signed note that every proof ends in: one, so that no two sizes can be mixed. */
  readonly checkpoint: string;
  /** One for each leaf, in order. */
  readonly proofs: readonly (readonly Uint8Array[])[];
  /** One for each related entry, in the order of `base.related`. */
  readonly relatedProofs?: readonly (readonly Uint8Array[])[] | undefined;
  readonly exported: { readonly leaf: Uint8Array; readonly index: number; readonly proof: readonly Uint8Array[] };
  /** One for each of `consistencyNeeds`. */
  readonly consistency?: readonly (ConsistencyNeed & { readonly proof: readonly Uint8Array[] })[] | undefined;
  /** Changes of the key, oldest first, each with the entry as `extra`, to a checkpoint that the old key signed. */
  readonly handovers?: readonly LogProof[] | undefined;
}

function addConsistency(files: Map<string, Uint8Array>, base: BundleBase, proofs: BundleProofs): void {
  const { checkpoint, consistency = [], handovers = [] } = proofs;
  const size = parseCheckpointText(parseNote(checkpoint)!.text)!.size;
  for (const { from, to, proof } of consistency) {
    // The larger one is written out: the bundle's own, or the epoch's when that is newer.
    const newer = base.epochs.find((evidence) => tenantSize(evidence) === to)?.checkpoint;
    const body = formatAddCheckpoint({ oldSize: from, proof, checkpoint: to === size ? checkpoint : newer! });
    files.set(consistencyName(from, to), bytesOf(body));
  }
  for (const [position, handover] of handovers.entries())
    files.set(handoverName(position), bytesOf(formatLogProof(handover)));
}

/** Second half: all files of the bundle, in the order in which they are packed. */
export function completeBundle(base: BundleBase, bundle: BundleProofs): Map<string, Uint8Array> {
  const { checkpoint, proofs, exported, relatedProofs = [] } = bundle;
  const files = new Map(base.files);
  const prove = (name: string, entry: { leaf: Uint8Array; index: number; proof: readonly Uint8Array[] }): void => {
    const { leaf, index, proof } = entry;
    files.set(name, bytesOf(formatLogProof({ extra: leaf, index, proof, checkpoint })));
  };
  files.set('SHA256SUMS', bytesOf(base.sums));
  files.set('checkpoint', bytesOf(checkpoint));
  for (const [at, proof] of proofs.entries()) {
    const index = base.manifest.from + at;
    prove(proofName(index), { leaf: base.files.get(entryName(index))!, index, proof });
  }
  for (const [at, index] of base.related.entries())
    prove(relatedProofName(index), { leaf: base.files.get(relatedName(index))!, index, proof: relatedProofs[at]! });
  files.set('export.json', exported.leaf);
  prove('export.tlog-proof', exported);
  addConsistency(files, base, bundle);
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function readme(input: BundleInput, manifest: BundleManifest): string {
  const count = manifest.to - manifest.from;
  const verifierDigest = hash('sha256', verifierScript(), 'hex');
  return `# ${input.title}

${count} entries, [${manifest.from}, ${manifest.to}), of the log ${input.origin}.

Each entry is a file in \`entries/\`. Its proof in \`proofs/\` (C2SP tlog-proof, the entry as \`extra\`) shows that it stands in
the log at that place; \`checkpoint\` is the log's signed statement of its size and root. \`export.json\` is the log's own
entry about this export; it names the digest of \`SHA256SUMS\`, so that nothing in here can be exchanged later. Values of
\`_sd\` are salted digests of what is withheld (RFC 9901).

\`epochs.json\`, if it is there, ties this log to the super-log of the house: every minute one entry there commits to the
checkpoint of every log, each in a fixed and salted slot, and witnesses co-sign that entry with their own time.
\`epochs/*.tlog-proof\` says the same for other programs, \`consistency/*.add-checkpoint\` shows that the log that was
co-signed is the log of this bundle, \`epochs/*.tsr\` are RFC 3161 time tokens over the \`.txt\` beside them.

\`disclosures/*.txt\` opens withheld values: one line a value, base64url of \`[salt, name, value]\`, its SHA-256 in the entry's
\`_sd\`. A value named \`approval\` is what somebody confirmed with a passkey: the action in canonical JSON, the nonce, the
answer of the authenticator (its SHA-256 is the entry's \`stepUp\`) and the public key. What the passkey signed is
\`authenticatorData || SHA-256(clientDataJSON)\`, and the challenge in clientDataJSON is
SHA-256("auditrax-stepup-v1" || 0 || nonce || SHA-256(action)).

## Check it

Get the log's key from somewhere else than this bundle: the operator's published page, an earlier bundle, a person.

    sh verify.sh KEY [TSA_CA_FILE]    # openssl and coreutils only; KEY is a verifier key or a PEM file
    node verify.mjs --key KEY [--policy FILE] [--witness-key KEY] [--approved-at ORIGIN]

KEY looks like \`${input.verifierKey}\`.

Expected, with the right key (exit code 0):

    verdict: verified
    entries: ${count} expected, ${count} verified, 0 missing

Exit code 1: refused; something was changed, or the key is another log's. Exit code 2: only the key in this bundle was
used, which shows no more than that the bundle agrees with itself. Exit code 3: the log's key holds, but the witnesses
that you named have not seen all of these entries. "no outside witness" means that nobody but the log's operator is known
to have signed: the operator cannot change what you hold, but could show others a different log.

The verifier in here (SHA-256 ${verifierDigest}) is a convenience. Any program that reads C2SP tlog-proof files does.
`;
}
