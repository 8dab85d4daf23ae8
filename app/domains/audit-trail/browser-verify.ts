// Runs in the reader's browser: Web Crypto and the same verifier as everywhere, no word of the server's taken for it.
import {
  browserPrimitives,
  bytesOf,
  equalBytes,
  leafHashWith,
  rootFromInclusion,
  toBase64,
} from '@auditrax/tlog/verify-browser';
import { hashesOf, openSigned, type KeyChange, type VerifyStep } from './browser-key.ts';
import { checkOutside, type OutsideProof, type OutsideStep } from './browser-outside.ts';

export interface EntryProofInput {
  /** The entry's bytes as text. */
  readonly leaf: string;
  readonly index: number;
  /** base64, leaf's sibling first. */
  readonly proof: readonly string[];
  /** The signed note. */
  readonly checkpoint: string;
  /** Verifier key of the log that the reader trusts, and how the log went on from it to other keys. */
  readonly vkey: string;
  readonly changes: readonly KeyChange[];
  /** What others have seen of the log. */
  readonly outside: OutsideProof | null;
}

/**
 * Hashes the entry, walks the path to a root and compares it with the root that the log has signed. Every step is
 * reported; `ok` only when all hold. Never throws on its input.
 */
export async function verifyEntryInBrowser(
  input: EntryProofInput,
): Promise<{ ok: boolean; steps: readonly (VerifyStep | OutsideStep)[] }> {
  const steps: VerifyStep[] = [];
  const opened = await openSigned(input, steps);
  const checkpoint = opened?.checkpoint;
  const leafHash = await leafHashWith(browserPrimitives, bytesOf(input.leaf));
  steps.push({ name: 'The entry was hashed here', ok: true, detail: toBase64(leafHash) });
  const path = hashesOf(input.proof);
  const size = checkpoint?.size ?? 0;
  const root = path
    ? await rootFromInclusion(browserPrimitives, { index: input.index, size, leafHash, proof: path })
    : undefined;
  steps.push({
    name: 'The path leads to a root',
    ok: root !== undefined,
    detail:
      root === undefined
        ? `no path for index ${input.index} of ${size}`
        : `${input.proof.length} hashes give ${toBase64(root)}`,
  });
  const same = root !== undefined && checkpoint !== undefined && equalBytes(root, checkpoint.root);
  steps.push({
    name: 'It is the signed root',
    ok: same,
    detail: same
      ? `entry ${input.index} is in the log as it was written`
      : 'the entry, its place or the path was changed',
  });
  const holds = async (epoch: { size: number; root: Uint8Array }): Promise<boolean> => {
    const hashes = hashesOf(input.outside?.path ?? []);
    if (hashes === undefined) return false;
    const found = await rootFromInclusion(browserPrimitives, { ...epoch, index: input.index, leafHash, proof: hashes });
    return found !== undefined && equalBytes(found, epoch.root);
  };
  // What cannot be said of outsiders is no fault of the entry; what is said and does not hold is.
  const seen = opened === undefined ? [] : await checkOutside({ ...opened, holds }, input.outside);
  return { ok: [...steps, ...seen].every((step) => step.ok !== false), steps: [...steps, ...seen] };
}
