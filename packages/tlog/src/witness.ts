import {
  equalBytes,
  parseAddCheckpoint,
  parseCheckpointText,
  parseNote,
  parseSize,
  verifyNoteWith,
  type Checkpoint,
  type VerifierKey,
} from './core.ts';
import { readCosignatures, type CosignatureLine } from './cosign.ts';
import { nodePrimitives, verifyConsistency } from './verify.ts';

/** Sixty-four hashes, a checkpoint and sixteen signatures fit; C2SP tlog-witness bodies are no longer. */
export const ADD_CHECKPOINT_BYTES_MAX = 16_384;
/** Media type of the answer 409: the size that the witness stands at. */
export const SIZE_MEDIA_TYPE = 'text/x.tlog.size';

/** What a witness last put its name under. */
export interface WitnessedState {
  readonly size: number;
  readonly root: Uint8Array;
}

/** A log that a witness knows. */
export interface WitnessedLog {
  readonly keys: readonly VerifierKey[];
  /** Undefined: never seen. */
  readonly state: WitnessedState | undefined;
}

/** Statuses of C2SP tlog-witness. */
export type WitnessVerdict =
  | { readonly status: 200; readonly checkpoint: Checkpoint; readonly text: string }
  /** Malformed, or an old size above the new one. */
  | { readonly status: 400; readonly reason: 'malformed' | 'old-size-above' }
  /** No known key of the log signed it. */
  | { readonly status: 403 }
  /** A log that this witness was not told about. */
  | { readonly status: 404 }
  /** Another old size than the witness has, or two trees of one size. */
  | { readonly status: 409; readonly size: number; readonly reason: 'old-size' | 'fork' }
  /** The tree is not what was witnessed before, and more. */
  | { readonly status: 422 };

/** The log's name in a body, before anything is believed; undefined when there is none. */
export function originOf(body: string): string | undefined {
  const request = parseAddCheckpoint(body);
  const note = request && parseNote(request.checkpoint);
  return note && parseCheckpointText(note.text)?.origin;
}

/** The rule of a witness for one body about one log: growth from what it has seen, and nothing else. */
export async function judgeAddCheckpoint(body: string, log: WitnessedLog | undefined): Promise<WitnessVerdict> {
  const request = parseAddCheckpoint(body);
  const note = request && parseNote(request.checkpoint);
  const checkpoint = note && parseCheckpointText(note.text);
  if (request === undefined || note === undefined || checkpoint === undefined)
    return { status: 400, reason: 'malformed' };
  if (log === undefined) return { status: 404 };
  const own = log.keys.filter(({ name }) => name === checkpoint.origin);
  if (!(await verifyNoteWith(nodePrimitives, note, own)).ok) return { status: 403 };
  if (request.oldSize > checkpoint.size) return { status: 400, reason: 'old-size-above' };
  const known = log.state?.size ?? 0;
  if (request.oldSize !== known) return { status: 409, size: known, reason: 'old-size' };
  const accepted = { status: 200, checkpoint, text: note.text } as const;
  if (log.state === undefined || log.state.size === 0) {
    // Size 0 is no proof of anything: a first sight brings none along.
    return request.proof.length === 0 ? accepted : { status: 422 };
  }
  if (checkpoint.size === known) {
    if (request.proof.length > 0) return { status: 422 };
    return equalBytes(checkpoint.root, log.state.root) ? accepted : { status: 409, size: known, reason: 'fork' };
  }
  const grown = await verifyConsistency({
    size1: known,
    size2: checkpoint.size,
    root1: log.state.root,
    root2: checkpoint.root,
    proof: request.proof,
  });
  return grown ? accepted : { status: 422 };
}

/** What a log makes of a witness's answer. */
export type WitnessAnswer =
  | { readonly kind: 'cosigned'; readonly cosignature: CosignatureLine }
  /** The witness stands elsewhere than the log thought. */
  | { readonly kind: 'resume'; readonly size: number }
  | { readonly kind: 'refused'; readonly why: string };

/** Reads the answer to an `add-checkpoint` whose checkpoint has this text. */
export async function readWitnessAnswer(
  reply: { status: number; body: string },
  { text, key }: { text: string; key: VerifierKey },
): Promise<WitnessAnswer> {
  if (reply.status === 409) {
    const size = parseSize(reply.body.replace(/\n$/, ''));
    return size === undefined ? { kind: 'refused', why: '409 without a size' } : { kind: 'resume', size };
  }
  if (reply.status !== 200) return { kind: 'refused', why: `status ${reply.status}` };
  const [cosignature] = (await readCosignatures({ text, lines: reply.body }, [key])) ?? [];
  return cosignature === undefined
    ? { kind: 'refused', why: 'no cosignature of its key that holds' }
    : { kind: 'cosigned', cosignature };
}
