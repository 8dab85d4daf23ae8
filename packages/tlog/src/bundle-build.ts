import { hash } from 'node:crypto';
import {
  BUNDLE_FORMAT,
  bundleDigest,
  entryName,
  formatManifest,
  formatSums,
  proofName,
  type BundleManifest,
} from './bundle-core.ts';
import { bytesOf, formatLogProof } from './core.ts';
import { nodePrimitives } from './verify.ts';
import { SHELL_VERIFIER, verifierScript } from './verify-script.ts';

/** What is in the bundle before its export is logged. */
export interface BundleBase {
  readonly manifest: BundleManifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly sums: string;
  /** Hex; goes into the log entry of the export as the public fact `bundle`. */
  readonly digest: string;
}

export interface BundleInput {
  readonly origin: string;
  /** Index of the first leaf. */
  readonly from: number;
  readonly leaves: readonly Uint8Array[];
  /** The log's verifier key; a reader must get it elsewhere as well. */
  readonly verifierKey: string;
  readonly title: string;
}

/** First half: everything but checkpoint and proofs, and the digest to be logged. Same input, same bytes. */
export async function beginBundle(input: BundleInput): Promise<BundleBase> {
  const { origin, from } = input;
  const manifest: BundleManifest = { format: BUNDLE_FORMAT, origin, from, to: from + input.leaves.length };
  const files = new Map<string, Uint8Array>([
    ['README.md', bytesOf(readme(input, manifest))],
    ['manifest.json', bytesOf(formatManifest(manifest))],
    [
      'policy',
      bytesOf(
        `# The log's key, as the log itself says it. Compare it with one from elsewhere.\nlog ${input.verifierKey}\nquorum none\n`,
      ),
    ],
    ['verify.mjs', bytesOf(verifierScript())],
    ['verify.sh', bytesOf(SHELL_VERIFIER)],
  ]);
  for (const [at, leaf] of input.leaves.entries()) files.set(entryName(from + at), leaf);
  const sums = await formatSums(nodePrimitives, files);
  return { manifest, files, sums, digest: await bundleDigest(nodePrimitives, sums) };
}

export interface BundleProofs {
  /** The signed note that every proof ends in. */
  readonly checkpoint: string;
  /** One for each leaf, in order. */
  readonly proofs: readonly (readonly Uint8Array[])[];
  readonly exported: { readonly leaf: Uint8Array; readonly index: number; readonly proof: readonly Uint8Array[] };
}

/** Second half: all files of the bundle, in the order in which they are packed. */
export function completeBundle(
  base: BundleBase,
  { checkpoint, proofs, exported }: BundleProofs,
): Map<string, Uint8Array> {
  const files = new Map(base.files);
  files.set('SHA256SUMS', bytesOf(base.sums));
  files.set('checkpoint', bytesOf(checkpoint));
  for (const [at, proof] of proofs.entries()) {
    const index = base.manifest.from + at;
    const extra = base.files.get(entryName(index));
    files.set(proofName(index), bytesOf(formatLogProof({ extra, index, proof, checkpoint })));
  }
  files.set('export.json', exported.leaf);
  files.set(
    'export.tlog-proof',
    bytesOf(formatLogProof({ extra: exported.leaf, index: exported.index, proof: exported.proof, checkpoint })),
  );
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

## Check it

Get the log's key from somewhere else than this bundle: the operator's published page, an earlier bundle, a person.

    sh verify.sh KEY        # openssl and coreutils only; KEY is a verifier key or a PEM file
    node verify.mjs --key KEY

KEY looks like \`${input.verifierKey}\`.

Expected, with the right key (exit code 0):

    verdict: verified
    entries: ${count} expected, ${count} verified, 0 missing

Exit code 1: refused; something was changed, or the key is another log's. Exit code 2: only the key in this bundle was
used, which shows no more than that the bundle agrees with itself. "0 independent witnesses" means that nobody but the
log's operator has signed the checkpoint: the operator cannot change what you hold, but could show others a different log.

The verifier in here (SHA-256 ${verifierDigest}) is a convenience. Any program that reads C2SP tlog-proof files does.
`;
}
