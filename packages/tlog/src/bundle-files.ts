// What an exported bundle consists of: names, manifest, sums. Imports only ./core.ts.
import { bytesOf, textOf, toHex, type Primitives } from './core.ts';

/** Version 1 had entries and proofs only; a bundle of it is one of version 2 without epochs. */
export const BUNDLE_FORMAT = 'tlog-bundle@2';
const BUNDLE_FORMATS: readonly string[] = ['tlog-bundle@1', BUNDLE_FORMAT];
/** More entries than this are exported in several bundles. */
export const BUNDLE_ENTRIES_MAX = 10_000;
/** Those that bracket a range, and one an hour for three weeks between them. */
export const BUNDLE_EPOCHS_MAX = 512;
/** Changes of the log's key that one bundle can lead across. */
export const BUNDLE_HANDOVERS_MAX = 16;
/** Twelve digits keep files in order and reach a thousand years of a busy log. */
const INDEX_DIGITS = 12;
const POSITION_DIGITS = 4;

/** Files that the sums cannot cover, because they are made after the sums are committed to the log. */
export const UNSUMMED_FILES: readonly string[] = ['SHA256SUMS', 'checkpoint', 'export.json', 'export.tlog-proof'];
export const SUMMED_FILES: readonly string[] = ['README.md', 'manifest.json', 'policy', 'verify.mjs', 'verify.sh'];
/** Everything in these folders is a proof to the final checkpoint, so it is checked against that instead. */
const UNSUMMED_FOLDERS: readonly string[] = ['proofs/', 'related-proofs/', 'consistency/', 'handover/'];
export const EPOCHS_FILE = 'epochs.json';

function indexed(index: number): string {
  return String(index).padStart(INDEX_DIGITS, '0');
}
export function entryName(index: number): string {
  return `entries/${indexed(index)}.json`;
}
export function proofName(index: number): string {
  return `proofs/${indexed(index)}.tlog-proof`;
}
export function disclosuresName(index: number): string {
  return `disclosures/${indexed(index)}.txt`;
}
/** An entry outside the range that is needed to read it: an erasure, a change of the log's key. */
export function relatedName(index: number): string {
  return `related/${indexed(index)}.json`;
}
export function relatedProofName(index: number): string {
  return `related-proofs/${indexed(index)}.tlog-proof`;
}
/** Consistency between two sizes, as the body of a tlog-witness request. */
export function consistencyName(from: number, to: number): string {
  return `consistency/${indexed(from)}-${indexed(to)}.add-checkpoint`;
}
export function handoverName(position: number): string {
  return `handover/${String(position).padStart(POSITION_DIGITS, '0')}.tlog-proof`;
}
/** Files of the epoch at a position of `epochs.json`, in forms that other programs read. */
export function epochName(position: number, ending: 'tlog-proof' | 'tsr' | 'txt'): string {
  return `epochs/${String(position).padStart(POSITION_DIGITS, '0')}.${ending}`;
}

/** What the bundle says it holds: the half-open range of entries. Covered by the sums, thus by the log. */
export interface BundleManifest {
  readonly format: string;
  readonly origin: string;
  readonly from: number;
  readonly to: number;
}

export type BundleFiles = ReadonlyMap<string, Uint8Array>;

/** The manifest has one spelling: re-formatting what was read must give the same bytes. */
export function formatManifest(manifest: BundleManifest): string {
  const { format, origin, from, to } = manifest;
  return `${JSON.stringify({ format, from, origin, to })}\n`;
}

/** Undefined for anything but the one spelling of a known format and a range within the limit. */
export function parseManifest(bytes: Uint8Array | undefined): BundleManifest | undefined {
  const text = bytes === undefined ? undefined : textOf(bytes);
  if (text === undefined) return undefined;
  try {
    const manifest = JSON.parse(text) as BundleManifest;
    const { from, to } = manifest;
    const inRange = Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0;
    const sized = to >= from && to - from <= BUNDLE_ENTRIES_MAX;
    const known = BUNDLE_FORMATS.includes(manifest.format) && typeof manifest.origin === 'string';
    return known && inRange && sized && formatManifest(manifest) === text ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** `sha256sum`'s format over everything that existed before the export was logged; sorted, so there is one spelling. */
export async function formatSums(crypto: Primitives, files: BundleFiles): Promise<string> {
  const lines: string[] = [];
  for (const name of [...files.keys()].sort()) {
    if (UNSUMMED_FILES.includes(name) || UNSUMMED_FOLDERS.some((folder) => name.startsWith(folder))) continue;
    lines.push(`${toHex(await crypto.sha256(files.get(name)!))}  ${name}\n`);
  }
  return lines.join('');
}

/** Hex SHA-256 of SHA256SUMS: the one value of the bundle that its own log entry commits to. */
export async function bundleDigest(crypto: Primitives, sums: string): Promise<string> {
  return toHex(await crypto.sha256(bytesOf(sums)));
}
