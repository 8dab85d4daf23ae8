// The offline check of an exported bundle. Imports only ./core.ts, so that both together become the verify.mjs that
// travels inside the bundle.
import {
  bytesOf,
  equalBytes,
  leafHashWith,
  openCheckpointWith,
  parseLogProof,
  parsePolicy,
  parseVerifierKeyWith,
  SIGNATURE_COSIGNATURE,
  textOf,
  toHex,
  verifyInclusionWith,
  type Checkpoint,
  type LogProof,
  type Primitives,
  type VerifierKey,
} from './core.ts';

export const BUNDLE_FORMAT = 'tlog-bundle@1';
/** More entries than this are exported in several bundles. */
export const BUNDLE_ENTRIES_MAX = 10_000;
/** Twelve digits keep files in order and reach a thousand years of a busy log. */
const INDEX_DIGITS = 12;

/** Files that the sums cannot cover, because they are made after the sums are committed to the log. */
const UNSUMMED = ['SHA256SUMS', 'checkpoint', 'export.json', 'export.tlog-proof'] as const;
const FIXED = ['README.md', 'manifest.json', 'policy', 'verify.mjs', 'verify.sh'] as const;

export function entryName(index: number): string {
  return `entries/${String(index).padStart(INDEX_DIGITS, '0')}.json`;
}
export function proofName(index: number): string {
  return `proofs/${String(index).padStart(INDEX_DIGITS, '0')}.tlog-proof`;
}
export function disclosuresName(index: number): string {
  return `disclosures/${String(index).padStart(INDEX_DIGITS, '0')}.txt`;
}

/** What the bundle says it holds: the half-open range of entries. Covered by the sums, thus by the log. */
export interface BundleManifest {
  readonly format: typeof BUNDLE_FORMAT;
  readonly origin: string;
  readonly from: number;
  readonly to: number;
}

export type BundleFiles = ReadonlyMap<string, Uint8Array>;

/** Exit codes: 0 verified with a key from outside, 1 refused, 2 verified, but only with the key the bundle brought along. */
export interface BundleReport {
  readonly exitCode: 0 | 1 | 2;
  readonly verdict: 'verified' | 'refused' | 'verified-with-own-key-only';
  /** First reasons of a refusal. */
  readonly problems: readonly string[];
  readonly origin: string | undefined;
  readonly keysUsed: readonly string[];
  readonly keySource: 'outside' | 'bundle' | 'none';
  /** Cosignatures by witness keys that came from outside. */
  readonly witnesses: number;
  readonly treeSize: number | undefined;
  readonly range: { readonly from: number; readonly to: number } | undefined;
  readonly entries: { readonly expected: number; readonly verified: number; readonly missing: number };
  readonly disclosures: { readonly opened: number };
}

const PROBLEMS_MAX = 20;

interface Run {
  readonly crypto: Primitives;
  readonly files: BundleFiles;
  readonly problems: string[];
}

function refuse(run: Run, problem: string): void {
  if (run.problems.length < PROBLEMS_MAX) run.problems.push(problem);
}

function fileText(run: Run, name: string): string | undefined {
  const bytes = run.files.get(name);
  if (bytes === undefined) {
    refuse(run, `${name} is missing`);
    return undefined;
  }
  const text = textOf(bytes);
  if (text === undefined) refuse(run, `${name} is not UTF-8`);
  return text;
}

/** The manifest has one spelling: re-formatting what was read must give the same bytes. */
export function formatManifest(manifest: BundleManifest): string {
  const { format, origin, from, to } = manifest;
  return `${JSON.stringify({ format, from, origin, to })}\n`;
}

function readManifest(run: Run): BundleManifest | undefined {
  const text = fileText(run, 'manifest.json');
  if (text === undefined) return undefined;
  try {
    const manifest = JSON.parse(text) as BundleManifest;
    const inRange = Number.isSafeInteger(manifest.from) && Number.isSafeInteger(manifest.to) && manifest.from >= 0;
    const sized = manifest.to >= manifest.from && manifest.to - manifest.from <= BUNDLE_ENTRIES_MAX;
    if (manifest.format === BUNDLE_FORMAT && inRange && sized && formatManifest(manifest) === text) return manifest;
  } catch {
    // refused below
  }
  refuse(run, 'manifest.json is malformed');
  return undefined;
}

/** The expected names: nothing may be missing, nothing may ride along. */
function checkNames(run: Run, manifest: BundleManifest): void {
  const allowed = new Set<string>([...UNSUMMED, ...FIXED]);
  for (let index = manifest.from; index < manifest.to; index += 1) {
    allowed.add(entryName(index)).add(proofName(index)).add(disclosuresName(index));
  }
  for (const name of run.files.keys()) if (!allowed.has(name)) refuse(run, `${name} does not belong in the bundle`);
  for (const name of [...UNSUMMED, ...FIXED]) if (!run.files.has(name)) refuse(run, `${name} is missing`);
}

/** `sha256sum`'s format over everything that existed before the export was logged; sorted, so there is one spelling. */
export async function formatSums(crypto: Primitives, files: BundleFiles): Promise<string> {
  const lines: string[] = [];
  for (const name of [...files.keys()].sort()) {
    if ((UNSUMMED as readonly string[]).includes(name) || name.startsWith('proofs/')) continue;
    lines.push(`${toHex(await crypto.sha256(files.get(name)!))}  ${name}\n`);
  }
  return lines.join('');
}

/** Hex SHA-256 of SHA256SUMS: the one value of the bundle that its own log entry commits to. */
export async function bundleDigest(crypto: Primitives, sums: string): Promise<string> {
  return toHex(await crypto.sha256(bytesOf(sums)));
}

interface Trust {
  readonly checkpoint: Checkpoint;
  readonly note: string;
  readonly keys: readonly VerifierKey[];
  readonly source: 'outside' | 'bundle';
}

async function parseKeys(run: Run, texts: readonly string[], from: string): Promise<VerifierKey[]> {
  const keys: VerifierKey[] = [];
  for (const text of texts) {
    const key = await parseVerifierKeyWith(run.crypto, text);
    if (key === undefined) refuse(run, `${from} is no verifier key: ${text}`);
    else keys.push(key);
  }
  return keys;
}

/** Keys from outside decide alone: a bundle never gets a second chance with a key of its own. */
async function openBundleCheckpoint(run: Run, outside: readonly string[]): Promise<Trust | undefined> {
  const note = fileText(run, 'checkpoint');
  const policyText = fileText(run, 'policy');
  const policy = policyText === undefined ? undefined : parsePolicy(policyText);
  if (policy === undefined) refuse(run, 'policy is malformed');
  if (note === undefined || policy === undefined) return undefined;
  const source = outside.length > 0 ? 'outside' : 'bundle';
  const keys = await parseKeys(
    run,
    source === 'outside' ? outside : policy.logs,
    source === 'outside' ? '--key' : 'policy',
  );
  const opened = await openCheckpointWith(run.crypto, note, keys);
  if (!opened.ok) {
    refuse(run, `checkpoint: ${opened.reason}`);
    return undefined;
  }
  return { checkpoint: opened.checkpoint, note, keys: opened.verified, source };
}

interface ProvenLeaf {
  readonly leaf: Uint8Array;
  readonly proof: LogProof;
}

/** A leaf counts only with a proof that ends in the very checkpoint whose signature was checked. */
async function checkLeaf(
  run: Run,
  trust: Trust,
  names: { entry: string; proof: string },
): Promise<ProvenLeaf | undefined> {
  const leaf = run.files.get(names.entry);
  const text = leaf === undefined ? undefined : fileText(run, names.proof);
  if (leaf === undefined || text === undefined) {
    if (leaf === undefined) refuse(run, `${names.entry} is missing`);
    return undefined;
  }
  const proof = parseLogProof(text);
  if (proof === undefined || proof.checkpoint !== trust.note) {
    refuse(run, `${names.proof} is malformed or belongs to another checkpoint`);
    return undefined;
  }
  if (proof.extra === undefined || !equalBytes(proof.extra, leaf)) {
    refuse(run, `${names.proof} carries another leaf than ${names.entry}`);
    return undefined;
  }
  const { size, root } = trust.checkpoint;
  const leafHash = await leafHashWith(run.crypto, leaf);
  if (!(await verifyInclusionWith(run.crypto, { index: proof.index, size, leafHash, proof: proof.proof, root }))) {
    refuse(run, `${names.entry} is not in the log at index ${proof.index}`);
    return undefined;
  }
  return { leaf, proof };
}

function leafObject(leaf: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(textOf(leaf) ?? '');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Each opened value must hash to a digest that its leaf names (RFC 9901). */
async function checkDisclosures(run: Run, index: number, leaf: Uint8Array): Promise<number> {
  if (!run.files.has(disclosuresName(index))) return 0;
  const text = fileText(run, disclosuresName(index)) ?? '';
  const digests = leafObject(leaf)['_sd'];
  const lines = text.split('\n');
  if (lines.pop() !== '' || !Array.isArray(digests)) {
    refuse(run, `${disclosuresName(index)} is malformed`);
    return 0;
  }
  let opened = 0;
  for (const line of lines) {
    const digest = toBase64UrlText(await run.crypto.sha256(bytesOf(line)));
    if (digests.includes(digest)) opened += 1;
    else refuse(run, `${disclosuresName(index)} opens a value that entry ${index} does not name`);
  }
  return opened;
}

function toBase64UrlText(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

/** The export was logged before it was handed out; its entry names the digest of all that the bundle holds. */
async function checkExportEntry(run: Run, trust: Trust, sums: string): Promise<void> {
  const proven = await checkLeaf(run, trust, { entry: 'export.json', proof: 'export.tlog-proof' });
  if (proven === undefined) return;
  const facts = leafObject(proven.leaf)['public'] as Record<string, unknown> | undefined;
  if (facts?.['bundle'] !== (await bundleDigest(run.crypto, sums))) {
    refuse(run, 'the log entry of this export names another bundle');
  }
}

async function checkEntries(
  run: Run,
  trust: Trust,
  manifest: BundleManifest,
): Promise<{ verified: number; missing: number; opened: number }> {
  const counts = { verified: 0, missing: 0, opened: 0 };
  for (let index = manifest.from; index < manifest.to; index += 1) {
    if (!run.files.has(entryName(index))) counts.missing += 1;
    const proven = await checkLeaf(run, trust, { entry: entryName(index), proof: proofName(index) });
    if (proven === undefined) continue;
    if (proven.proof.index !== index) {
      refuse(run, `${proofName(index)} proves index ${proven.proof.index}`);
      continue;
    }
    counts.verified += 1;
    counts.opened += await checkDisclosures(run, index, proven.leaf);
  }
  return counts;
}

/**
 * Checks a whole bundle offline. `keys` are verifier keys that came from anywhere but the bundle; without any, the best
 * verdict is `verified-with-own-key-only`. Never throws on the bundle's content.
 */
export async function verifyBundleFiles(
  crypto: Primitives,
  { files, keys }: { files: BundleFiles; keys: readonly string[] },
): Promise<BundleReport> {
  const run: Run = { crypto, files, problems: [] };
  const manifest = readManifest(run);
  const trust = await openBundleCheckpoint(run, keys);
  let counts = { verified: 0, missing: 0, opened: 0 };
  if (manifest !== undefined && trust !== undefined) {
    checkNames(run, manifest);
    if (manifest.origin !== trust.checkpoint.origin) refuse(run, 'manifest.json and checkpoint name different logs');
    const sums = await formatSums(crypto, files);
    if (fileText(run, 'SHA256SUMS') !== sums) refuse(run, 'SHA256SUMS does not fit the files');
    counts = await checkEntries(run, trust, manifest);
    await checkExportEntry(run, trust, sums);
  }
  const expected = manifest === undefined ? 0 : manifest.to - manifest.from;
  if (manifest !== undefined && counts.verified !== expected && run.problems.length === 0)
    refuse(run, 'entries are missing');
  const refused = run.problems.length > 0 || manifest === undefined || trust === undefined;
  const verdict = refused ? 'refused' : trust.source === 'outside' ? 'verified' : 'verified-with-own-key-only';
  return {
    exitCode: refused ? 1 : trust.source === 'outside' ? 0 : 2,
    verdict,
    problems: run.problems,
    origin: trust?.checkpoint.origin,
    keysUsed: trust?.keys.map((key) => key.text) ?? [],
    keySource: trust?.source ?? 'none',
    witnesses: trust?.source === 'outside' ? trust.keys.filter((key) => key.type === SIGNATURE_COSIGNATURE).length : 0,
    treeSize: trust?.checkpoint.size,
    range: manifest === undefined ? undefined : { from: manifest.from, to: manifest.to },
    entries: { expected, verified: counts.verified, missing: counts.missing },
    disclosures: { opened: counts.opened },
  };
}

/** The report as lines for a person. */
export function formatReport(report: BundleReport): string {
  const lines = [
    `verdict: ${report.verdict}`,
    `log: ${report.origin ?? 'unknown'}`,
    ...report.keysUsed.map(
      (key) => `key (${report.keySource === 'outside' ? 'given by you' : 'from the bundle itself'}): ${key}`,
    ),
    `${report.witnesses} independent witness${report.witnesses === 1 ? '' : 'es'}`,
    `entries: ${report.entries.expected} expected, ${report.entries.verified} verified, ${report.entries.missing} missing`,
    report.range === undefined
      ? 'range: unknown'
      : `range: [${report.range.from}, ${report.range.to}) of ${report.treeSize ?? 'unknown'} entries in the log`,
    `disclosures opened: ${report.disclosures.opened}`,
    ...report.problems.map((problem) => `refused: ${problem}`),
  ];
  if (report.exitCode === 2) {
    lines.push(
      'This only shows that the bundle agrees with itself. Get the key of the log elsewhere and pass it with --key.',
    );
  }
  return `${lines.join('\n')}\n`;
}
