// The offline check of an exported bundle. It and the files it imports become the verify.mjs that travels inside the
// bundle; nothing else is imported, so that a reader can read all of it.
import { bytesOf, parseNote, type Primitives, type VerifierKey } from './core.ts';
import { checkApprovals, NOTHING_APPROVED, type ApprovalCounts } from './bundle-approvals.ts';
import { QUORUM_NONE } from './policy-core.ts';
import { erasedDigests, leafObject, publicFactsOf, readRotation, type KeyRotation } from './succession-core.ts';
import {
  bundleDigest,
  disclosuresName,
  entryName,
  formatSums,
  parseManifest,
  proofName,
  relatedProofName,
  SUMMED_FILES,
  UNSUMMED_FILES,
  type BundleFiles,
  type BundleManifest,
} from './bundle-files.ts';
import { checkLeaf, fileText, refuse, type OutsideTrust, type Run, type Trust } from './bundle-run.ts';
import { openBundleTrust } from './bundle-trust.ts';
import { checkEpochs, checkKeysInTime, checkWitnessing, type Witnessing } from './bundle-epochs.ts';

/**
 * Exit codes: 0 verified with keys from outside, 1 refused, 2 verified, but only with the key the bundle brought along, 3
 * verified with the log's key from outside, but the witnesses asked for have not seen all of it.
 */
export type BundleExitCode = 0 | 1 | 2 | 3;
export type BundleVerdict = 'verified' | 'refused' | 'verified-with-own-key-only' | 'verified-but-not-witnessed';

export interface BundleReport {
  readonly exitCode: BundleExitCode;
  readonly verdict: BundleVerdict;
  /** First reasons of a refusal. */
  readonly problems: readonly string[];
  readonly origin: string | undefined;
  readonly keysUsed: readonly string[];
  readonly keySource: 'outside' | 'bundle' | 'none';
  /** Independent witnesses, named from outside, that have co-signed. */
  readonly witnesses: number;
  readonly witnessing: Witnessing | undefined;
  readonly treeSize: number | undefined;
  readonly range: { readonly from: number; readonly to: number } | undefined;
  readonly entries: { readonly expected: number; readonly verified: number; readonly missing: number };
  readonly disclosures: DisclosureCounts;
  readonly approvals: ApprovalCounts;
  /** What this check cannot say, in words. */
  readonly notChecked: readonly string[];
}

export interface DisclosureCounts {
  /** Withheld values that the bundle opens. */
  readonly opened: number;
  /** Values that were destroyed by law, with the entry that says so. */
  readonly erased: number;
  /** Neither: the log's keeper has them, or they were never anything (decoys). */
  readonly withheld: number;
  readonly erasures: readonly { readonly entry: number; readonly values: number; readonly by: number }[];
}

export const NOTHING_DISCLOSED: DisclosureCounts = { opened: 0, erased: 0, withheld: 0, erasures: [] };

/** Everything in the bundle must have been looked at: nothing may ride along. */
function checkNames(run: Run): void {
  for (const name of [...UNSUMMED_FILES, ...SUMMED_FILES]) {
    if (!run.files.has(name)) refuse(run, `${name} is missing`);
    run.seen.add(name);
  }
  for (const name of run.files.keys()) if (!run.seen.has(name)) refuse(run, `${name} does not belong in the bundle`);
}

function base64UrlText(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

function digestsOf(leaf: Uint8Array): string[] {
  const digests = leafObject(leaf)['_sd'];
  return Array.isArray(digests) ? digests.filter((digest) => typeof digest === 'string') : [];
}

/** Each opened value must hash to a digest that its leaf names (RFC 9901). Returns the lines by digest. */
async function checkDisclosures(run: Run, index: number, leaf: Uint8Array): Promise<Map<string, string>> {
  const opened = new Map<string, string>();
  if (!run.files.has(disclosuresName(index))) return opened;
  const digests = digestsOf(leaf);
  const lines = (fileText(run, disclosuresName(index)) ?? '').split('\n');
  if (lines.pop() !== '') refuse(run, `${disclosuresName(index)} is malformed`);
  for (const line of lines) {
    const digest = base64UrlText(await run.crypto.sha256(bytesOf(line)));
    if (!digests.includes(digest))
      refuse(run, `${disclosuresName(index)} opens a value that entry ${index} does not name`);
    else if (opened.has(digest)) refuse(run, `${disclosuresName(index)} opens a value twice`);
    else opened.set(digest, line);
  }
  return opened;
}

/** The export was logged before it was handed out; its entry names the digest of all that the bundle holds. */
async function checkExportEntry(run: Run, trust: Trust, sums: string): Promise<void> {
  const proven = await checkLeaf(run, trust, { entry: 'export.json', proof: 'export.tlog-proof' });
  if (proven !== undefined && publicFactsOf(proven.leaf)['bundle'] !== (await bundleDigest(run.crypto, sums)))
    refuse(run, 'the log entry of this export names another bundle');
}

interface Entries {
  /** Proven leaves of the range by index. */
  readonly leaves: Map<number, Uint8Array>;
  /** The same of entries outside the range that came along. */
  readonly related: Map<number, Uint8Array>;
  readonly missing: number;
  readonly opened: ReadonlyMap<number, ReadonlyMap<string, string>>;
}

async function checkEntries(run: Run, trust: Trust, manifest: BundleManifest): Promise<Entries> {
  const leaves = new Map<number, Uint8Array>();
  const opened = new Map<number, ReadonlyMap<string, string>>();
  let missing = 0;
  for (let index = manifest.from; index < manifest.to; index += 1) {
    if (!run.files.has(entryName(index))) missing += 1;
    const proven = await checkLeaf(run, trust, { entry: entryName(index), proof: proofName(index) });
    if (proven === undefined) continue;
    if (proven.proof.index !== index) {
      refuse(run, `${proofName(index)} proves index ${proven.proof.index}`);
      continue;
    }
    leaves.set(index, proven.leaf);
    opened.set(index, await checkDisclosures(run, index, proven.leaf));
  }
  return { leaves, opened, missing, related: await checkRelated(run, trust, manifest) };
}

async function checkRelated(run: Run, trust: Trust, manifest: BundleManifest): Promise<Map<number, Uint8Array>> {
  const related = new Map<number, Uint8Array>();
  for (const name of run.files.keys()) {
    const match = /^related\/([0-9]{12})\.json$/.exec(name);
    if (match === null) continue;
    const index = Number(match[1]);
    const proven = await checkLeaf(run, trust, { entry: name, proof: relatedProofName(index) });
    if (proven === undefined) continue;
    const isInRange = index >= manifest.from && index < manifest.to;
    if (proven.proof.index !== index || isInRange) refuse(run, `${name} is not where it says`);
    else related.set(index, proven.leaf);
  }
  return related;
}

/** Which digests can never be opened again, and which entry says so. */
function erasuresIn(entries: Entries): Map<string, number> {
  const erased = new Map<string, number>();
  for (const [index, leaf] of [...entries.leaves, ...entries.related])
    for (const digest of erasedDigests(leaf)) erased.set(digest, index);
  return erased;
}

function countDisclosures(entries: Entries): DisclosureCounts {
  const erased = erasuresIn(entries);
  const counts = { opened: 0, erased: 0, withheld: 0 };
  const erasures: { entry: number; values: number; by: number }[] = [];
  for (const [entry, leaf] of entries.leaves) {
    const byErasure = new Map<number, number>();
    for (const digest of digestsOf(leaf)) {
      const by = erased.get(digest);
      if (entries.opened.get(entry)?.has(digest)) counts.opened += 1;
      else if (by === undefined) counts.withheld += 1;
      else {
        counts.erased += 1;
        byErasure.set(by, (byErasure.get(by) ?? 0) + 1);
      }
    }
    for (const [by, values] of byErasure) erasures.push({ entry, values, by });
  }
  return { ...counts, erasures };
}

async function rotationsIn(run: Run, trust: Trust, entries: Entries): Promise<KeyRotation[]> {
  const rotations = [...trust.rotations];
  for (const [index, leaf] of [...entries.leaves, ...entries.related]) {
    const rotation = await readRotation(run.crypto, { leaf, index, origin: trust.checkpoint.origin });
    if (rotation !== undefined && !rotations.some((known) => known.index === index)) rotations.push(rotation);
  }
  return rotations;
}

interface Checked {
  readonly entries: Entries;
  readonly approvals: ApprovalCounts;
  readonly witnessing: Witnessing;
}

async function checkAll(
  run: Run,
  trust: Trust,
  { manifest, approvedAt }: { manifest: BundleManifest } & Pick<OutsideTrust, 'approvedAt'>,
): Promise<Checked> {
  if (manifest.origin !== trust.checkpoint.origin) refuse(run, 'manifest.json and checkpoint name different logs');
  const sums = await formatSums(run.crypto, run.files);
  if (fileText(run, 'SHA256SUMS') !== sums) refuse(run, 'SHA256SUMS does not fit the files');
  const entries = await checkEntries(run, trust, manifest);
  await checkExportEntry(run, trust, sums);
  const approvals = await checkApprovals(run, entries, approvedAt);
  const epochs = await checkEpochs(run, trust);
  checkKeysInTime(run, trust, { epochs, rotations: await rotationsIn(run, trust, entries) });
  const witnessing = checkWitnessing(run, trust, { epochs, leaves: entries.leaves });
  checkNames(run);
  if (entries.leaves.size !== manifest.to - manifest.from && run.problems.length === 0)
    refuse(run, 'entries are missing');
  return { entries, approvals, witnessing };
}

function verdictOf(
  run: Run,
  trust: Trust | undefined,
  { manifest, checked }: { manifest: BundleManifest | undefined; checked: Checked | undefined },
): { exitCode: BundleExitCode; verdict: BundleVerdict } {
  if (run.problems.length > 0 || manifest === undefined || trust === undefined || checked === undefined)
    return { exitCode: 1, verdict: 'refused' };
  if (trust.source === 'bundle') return { exitCode: 2, verdict: 'verified-with-own-key-only' };
  const isAsked = trust.policySource === 'outside' && trust.policy.quorum !== QUORUM_NONE;
  if (isAsked && checked.witnessing.until < manifest.to) return { exitCode: 3, verdict: 'verified-but-not-witnessed' };
  return { exitCode: 0, verdict: 'verified' };
}

function unchecked(trust: Trust, { witnessing, entries, approvals }: Checked): string[] {
  const said: string[] = [];
  const { timestamps, unvouched, epochs } = witnessing;
  if (timestamps > 0)
    said.push(`the signatures of ${timestamps} RFC 3161 time tokens: sh verify.sh KEY TSA_CA_FILE checks them`);
  if (trust.witnesses.length === 0)
    said.push(
      unvouched > 0
        ? `who the ${unvouched} witnesses named by the bundle are: give --policy or --witness-key from elsewhere`
        : 'whether anybody but the operator has seen this log: no witness was named',
    );
  if (epochs === 0) said.push('the times of the entries: no epoch of the super-log came along');
  const foreign = foreignSignatures(trust);
  if (foreign > 0) said.push(`${foreign} signatures on the checkpoint by keys that were not given`);
  const unproven = approvals.approved - approvals.verified;
  if (unproven > 0) said.push(`${unproven} approvals by passkey: they are not in this bundle`);
  if (entries.leaves.size > 0)
    said.push('whether what an entry says is true: the log shows that it was said, and when');
  return said;
}

function foreignSignatures({ note, signed }: { note: string; signed: readonly VerifierKey[] }): number {
  return (parseNote(note)?.signatures.length ?? 0) - signed.length;
}

/**
 * Checks a whole bundle offline. `keys` are verifier keys and `policy` a tlog-policy that came from anywhere but the
 * bundle; without a log key among them the best verdict is `verified-with-own-key-only`. Never throws on the bundle's
 * content.
 */
export async function verifyBundleFiles(
  crypto: Primitives,
  { files, keys, policy, approvedAt }: { files: BundleFiles } & OutsideTrust,
): Promise<BundleReport> {
  const run: Run = { crypto, files, problems: [], seen: new Set() };
  const manifest = parseManifest(files.get('manifest.json'));
  if (manifest === undefined) refuse(run, 'manifest.json is malformed');
  const trust = await openBundleTrust(run, { keys, policy });
  const checked =
    manifest === undefined || trust === undefined ? undefined : await checkAll(run, trust, { manifest, approvedAt });
  const expected = manifest === undefined ? 0 : manifest.to - manifest.from;
  return {
    ...verdictOf(run, trust, { manifest, checked }),
    problems: run.problems,
    origin: trust?.checkpoint.origin,
    keysUsed: trust?.signed.map((key) => key.text) ?? [],
    keySource: trust?.source ?? 'none',
    witnesses: checked?.witnessing.cosigned ?? 0,
    witnessing: checked?.witnessing,
    treeSize: trust?.checkpoint.size,
    range: manifest === undefined ? undefined : { from: manifest.from, to: manifest.to },
    entries: { expected, verified: checked?.entries.leaves.size ?? 0, missing: checked?.entries.missing ?? 0 },
    disclosures: checked === undefined ? NOTHING_DISCLOSED : countDisclosures(checked.entries),
    approvals: checked?.approvals ?? NOTHING_APPROVED,
    notChecked: trust === undefined || checked === undefined ? [] : unchecked(trust, checked),
  };
}
