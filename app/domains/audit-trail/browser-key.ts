// Opens a signed checkpoint in the reader's browser, also where the key that the reader trusts is no longer, or not yet, the
// one that signed it: each change of the log's key stands in the log, under the key before.
import {
  browserPrimitives,
  followRotationWith,
  fromBase64,
  isOneHistory,
  isSignedInTime,
  openCheckpointWith,
  parseCheckpointText,
  parseNote,
  parseVerifierKeyWith,
  toBase64,
  type Checkpoint,
  type KeyRotation,
  type VerifierKey,
} from '@auditrax/tlog/verify-browser';

/** One change of the log's key, and its way to the checkpoint that is opened. All hashes in base64. */
export interface KeyChange {
  /** A checkpoint that holds the entry of the change, signed by one of its two keys. */
  readonly note: string;
  /** The entry, base64. */
  readonly leaf: string;
  readonly index: number;
  readonly proof: readonly string[];
  /** From the smaller to the larger of `note` and the checkpoint that is opened; empty when they are of one size. */
  readonly consistency: readonly string[];
}

export interface SignedInput {
  /** The signed note. */
  readonly checkpoint: string;
  /** The key that the reader trusts. */
  readonly vkey: string;
  readonly changes: readonly KeyChange[];
}

export interface VerifyStep {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What was opened, and every key of the log that the trusted one leads to, itself included. */
export interface OpenedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly keys: readonly VerifierKey[];
}

interface Followed {
  readonly keys: VerifierKey[];
  readonly rotations: KeyRotation[];
  /** Those that lead from no trusted key to another: somebody else's, or altered. */
  readonly left: ReadonlySet<KeyChange>;
}

/** Undefined when one of them is no base64. */
export function hashesOf(texts: readonly string[]): Uint8Array[] | undefined {
  const hashes = texts.map((text) => fromBase64(text));
  return hashes.every((hash) => hash !== undefined) ? hashes : undefined;
}

async function followOne(trusted: readonly VerifierKey[], change: KeyChange): Promise<KeyRotation | undefined> {
  const leaf = fromBase64(change.leaf);
  const proof = hashesOf(change.proof);
  if (leaf === undefined || proof === undefined) return undefined;
  return followRotationWith(browserPrimitives, trusted, { note: change.note, leaf, index: change.index, proof });
}

/** Whoever trusts the newest key comes to the first one backwards: each round follows what can be followed by then. */
async function followAll(key: VerifierKey, changes: readonly KeyChange[]): Promise<Followed> {
  const keys = [key];
  const rotations: KeyRotation[] = [];
  const left = new Set(changes);
  for (let before = -1; before !== rotations.length && left.size > 0;) {
    before = rotations.length;
    for (const change of left) {
      const rotation = await followOne(keys, change);
      if (rotation === undefined) continue;
      for (const named of [rotation.oldKey, rotation.newKey])
        if (!keys.some(({ text }) => text === named.text)) keys.push(named);
      rotations.push(rotation);
      left.delete(change);
    }
  }
  return { keys, rotations, left };
}

/** A change that was shown in another history of the log would lend its key to this one. */
async function isOfThisLog(checkpoint: Checkpoint, change: KeyChange): Promise<boolean> {
  const held = parseCheckpointText(parseNote(change.note)?.text ?? '');
  const proof = hashesOf(change.consistency);
  return held !== undefined && proof !== undefined && isOneHistory(browserPrimitives, [held, checkpoint], proof);
}

async function changesStep(
  opened: Checkpoint | undefined,
  { left }: Followed,
  changes: readonly KeyChange[],
): Promise<VerifyStep> {
  const name = 'The log’s key was changed, each time in the log itself';
  if (left.size > 0)
    return { name, ok: false, detail: `${left.size} of ${changes.length} do not lead on from the key that you trust` };
  const held = opened && (await Promise.all(changes.map((change) => isOfThisLog(opened, change))));
  const ok = held?.every(Boolean) === true;
  const times = changes.length === 1 ? 'one change' : `${changes.length} changes`;
  return { name, ok, detail: ok ? `${times}, signed by the key before` : 'a change is of another history of the log' };
}

/** Opens the checkpoint with the key or one that it leads to, telling each step; undefined when it does not hold. */
export async function openSigned(input: SignedInput, steps: VerifyStep[]): Promise<OpenedCheckpoint | undefined> {
  const key = await parseVerifierKeyWith(browserPrimitives, input.vkey);
  const said =
    key === undefined
      ? 'not a verifier key'
      : `${key.name}, id ${key.id}. Compare it with one from elsewhere: this one came from the server`;
  steps.push({ name: 'The key is well formed', ok: key !== undefined, detail: said });
  if (key === undefined) return undefined;
  const followed = await followAll(key, input.changes);
  const opened = await openCheckpointWith(browserPrimitives, input.checkpoint, followed.keys);
  const checkpoint = opened.ok ? opened.checkpoint : undefined;
  if (input.changes.length > 0) steps.push(await changesStep(checkpoint, followed, input.changes));
  const inTime = opened.ok && isSignedInTime(opened.checkpoint, opened.verified, followed.rotations);
  const detail = opened.ok
    ? inTime
      ? `${opened.checkpoint.size} entries, root ${toBase64(opened.checkpoint.root)}`
      : 'the key that signed it was not the log’s key at this size'
    : opened.reason;
  steps.push({ name: 'The checkpoint is signed with it', ok: inTime, detail });
  return checkpoint !== undefined && inTime ? { checkpoint, keys: followed.keys } : undefined;
}
