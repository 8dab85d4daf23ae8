import {
  fromBase64,
  equalBytes,
  leafHash,
  readGeneration,
  splitOrigin,
  verifyInclusion,
  type AddCheckpoint,
  type Checkpoint,
} from '@auditrax/tlog';
import type { SignedState } from '@auditrax/tlog/journal';

/** Origin of the generation after this one; undefined for a name that has no generation. */
export function nextOrigin(origin: string): string | undefined {
  const parts = splitOrigin(origin);
  return parts && `${parts.prefix}${parts.log}/${parts.generation + 1}`;
}

/** Origin of the generation before a later one; undefined for the first, and for a name that has no generation. */
export function previousOrigin(origin: string): string | undefined {
  const parts = splitOrigin(origin);
  return parts && parts.generation > 1 ? `${parts.prefix}${parts.log}/${parts.generation - 1}` : undefined;
}

export interface OpeningInput {
  readonly request: AddCheckpoint;
  readonly checkpoint: Checkpoint;
  /** The leaf of entry 0, as the ledger hands it in. */
  readonly opening: Uint8Array | undefined;
  /** What was last signed of the generation before. */
  readonly previous: SignedState | undefined;
}

/**
 * The first signature of a later generation: its entry 0 must name the generation before, and as the last thing signed of
 * it exactly what the journal knows. So nobody opens one without saying, under our signature, all that is lost. The
 * request's proof is that of entry 0 in the new tree. Enforcer, replaceable as a module.
 */
export async function judgeOpening(input: OpeningInput): Promise<'ok' | 'old-size' | 'no-opening'> {
  const { request, checkpoint, opening, previous } = input;
  if (request.oldSize !== 0) return 'old-size';
  const said = opening && readGeneration(opening, checkpoint.origin);
  if (said === undefined || previous === undefined) return 'no-opening';
  const { signed, previousOrigin: from } = said;
  if (from !== previousOrigin(checkpoint.origin)) return 'no-opening';
  if (signed.size !== previous.size || !equalBytes(signed.root, fromBase64(previous.root)!)) return 'no-opening';
  const isThere = await verifyInclusion({
    index: 0,
    size: checkpoint.size,
    leafHash: leafHash(opening!),
    proof: request.proof,
    root: checkpoint.root,
  });
  return isThere ? 'ok' : 'no-opening';
}
