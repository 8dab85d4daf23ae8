// Runs in the reader's browser: Web Crypto and the same verifier as everywhere, no word of the server's taken for it.
import {
  browserPrimitives,
  bytesOf,
  fromBase64,
  leafHashWith,
  openCheckpointWith,
  parseVerifierKeyWith,
  rootFromInclusion,
  toBase64,
  equalBytes,
  type Checkpoint,
} from '@auditrax/tlog/verify-browser';

export interface EntryProofInput {
  /** The entry's bytes as text. */
  readonly leaf: string;
  readonly index: number;
  /** base64, leaf's sibling first. */
  readonly proof: readonly string[];
  /** The signed note. */
  readonly checkpoint: string;
  /** Verifier key of the log. */
  readonly vkey: string;
}

export interface VerifyStep {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

async function checkSignature(input: EntryProofInput, steps: VerifyStep[]): Promise<Checkpoint | undefined> {
  const key = await parseVerifierKeyWith(browserPrimitives, input.vkey);
  steps.push({
    name: 'The key is well formed',
    ok: key !== undefined,
    detail:
      key === undefined
        ? 'not a verifier key'
        : `${key.name}, id ${key.id}. Compare it with one from elsewhere: this one came from the server`,
  });
  if (key === undefined) return undefined;
  const opened = await openCheckpointWith(browserPrimitives, input.checkpoint, [key]);
  steps.push({
    name: 'The checkpoint is signed with it',
    ok: opened.ok,
    detail: opened.ok ? `${opened.checkpoint.size} entries, root ${toBase64(opened.checkpoint.root)}` : opened.reason,
  });
  return opened.ok ? opened.checkpoint : undefined;
}

/**
 * Hashes the entry, walks the path to a root and compares it with the root that the log has signed. Every step is
 * reported; `ok` only when all hold. Never throws on its input.
 */
export async function verifyEntryInBrowser(
  input: EntryProofInput,
): Promise<{ ok: boolean; steps: readonly VerifyStep[] }> {
  const steps: VerifyStep[] = [];
  const checkpoint = await checkSignature(input, steps);
  const leafHash = await leafHashWith(browserPrimitives, bytesOf(input.leaf));
  steps.push({ name: 'The entry was hashed here', ok: true, detail: toBase64(leafHash) });
  const path = input.proof.map((hash) => fromBase64(hash));
  const readable = path.every((hash) => hash !== undefined);
  const size = checkpoint?.size ?? 0;
  const root = readable
    ? await rootFromInclusion(browserPrimitives, { index: input.index, size, leafHash, proof: path })
    : undefined;
  steps.push({
    name: 'The path leads to a root',
    ok: root !== undefined,
    detail:
      root === undefined
        ? `no path for index ${input.index} of ${size}`
        : `${path.length} hashes give ${toBase64(root)}`,
  });
  const same = root !== undefined && checkpoint !== undefined && equalBytes(root, checkpoint.root);
  steps.push({
    name: 'It is the signed root',
    ok: same,
    detail: same
      ? `entry ${input.index} is in the log as it was written`
      : 'the entry, its place or the path was changed',
  });
  return { ok: steps.every((step) => step.ok), steps };
}
