// How a log goes on after its key was changed, and after a generation was closed. Imports only ./core.ts and
// ./evidence-core.ts.
import {
  bytesOf,
  equalBytes,
  fromBase64,
  leafHashWith,
  openCheckpointWith,
  parseNote,
  parseVerifierKeyWith,
  SIGNATURE_ED25519,
  textOf,
  verifyConsistencyWith,
  verifyInclusionWith,
  type Checkpoint,
  type Primitives,
  type VerifierKey,
} from './core.ts';
import { splitOrigin } from './evidence-core.ts';

/**
 * Entry of a log whose key changes. Its public facts: `oldKey`, `newKey` (verifier keys named like the origin), `overlap`
 * (for how many entries after it both keys sign; then the old one has ended) and `handover`, the old key's own signature
 * over `handoverText`. Without that signature whoever can write entries, but does not have the log's key, could name a key
 * of his own.
 */
export const KEY_ROTATED_TYPE = 'log.key.rotated';

/** What the old key signs when it names the new one. No checkpoint reads like this: its second line is no size. */
export function handoverText({ newKey, overlap }: { newKey: VerifierKey; overlap: number }): string {
  return `${newKey.name}\nlog-key-handover\n${newKey.text}\n${overlap}\n`;
}

/**
 * Entry 0 of every generation but the first. Its public facts: `previousOrigin`; `keptSize`, `keptRoot` (base64) of the
 * last good checkpoint of the generation before; `signedSize`, `signedRoot` of the last one that was signed, if that is
 * known to be further; `reason`. What lies between the two is lost, and this entry is the log's signed word for it.
 */
export const GENERATION_OPENED_TYPE = 'log.generation.opened';

/** Entry about a person's values that were destroyed by law. */
export const PERSON_ERASED_TYPE = 'person.erased';
/**
 * Where an entry of that type names the digests that can never be opened again: an array of base64url digests as a member
 * of the leaf, or, for a few, separated by spaces, the public fact of the same name.
 */
export const ERASED_DIGESTS_MEMBER = 'digests';

/** A leaf as an object; empty for anything else. */
export function leafObject(leaf: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(textOf(leaf) ?? '');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

export function publicFactsOf(leaf: Uint8Array): Record<string, unknown> {
  const facts = leafObject(leaf)['public'];
  return typeof facts === 'object' && facts !== null ? (facts as Record<string, unknown>) : {};
}

function factText(facts: Record<string, unknown>, name: string): string {
  const value = facts[name];
  return typeof value === 'string' ? value : '';
}

/** Digests that an entry declares erased; empty when it is no such entry. */
export function erasedDigests(leaf: Uint8Array): string[] {
  const entry = leafObject(leaf);
  if (entry['type'] !== PERSON_ERASED_TYPE) return [];
  const listed = entry[ERASED_DIGESTS_MEMBER];
  const spaced = publicFactsOf(leaf)[ERASED_DIGESTS_MEMBER];
  return [
    ...(Array.isArray(listed) ? listed.filter((digest): digest is string => typeof digest === 'string') : []),
    ...(typeof spaced === 'string' ? spaced.split(' ').filter((digest) => digest !== '') : []),
  ];
}

export interface KeyRotation {
  /** Index of the entry. */
  readonly index: number;
  readonly oldKey: VerifierKey;
  readonly newKey: VerifierKey;
  /** The largest checkpoint that the old key signs; the new one signs those of more than `index` entries. */
  readonly until: number;
}

/** Undefined when the leaf is no change of a key, names keys of another log, or the old key has not signed for it. */
export async function readRotation(
  crypto: Primitives,
  { leaf, index, origin }: { leaf: Uint8Array; index: number; origin: string },
): Promise<KeyRotation | undefined> {
  const facts = publicFactsOf(leaf);
  if (leafObject(leaf)['type'] !== KEY_ROTATED_TYPE) return undefined;
  const keys = await Promise.all(
    ['oldKey', 'newKey'].map((name) => parseVerifierKeyWith(crypto, factText(facts, name))),
  );
  const [oldKey, newKey] = keys;
  const overlap = facts['overlap'];
  const signature = fromBase64(factText(facts, 'handover'));
  if (oldKey === undefined || newKey === undefined || signature === undefined) return undefined;
  if (!Number.isSafeInteger(overlap) || (overlap as number) < 1) return undefined;
  if ([oldKey, newKey].some((key) => key.name !== origin || key.type !== SIGNATURE_ED25519)) return undefined;
  const message = bytesOf(handoverText({ newKey, overlap: overlap as number }));
  const isNamed = await crypto.ed25519Verify({ publicKey: oldKey.publicKey, message, signature });
  return isNamed ? { index, oldKey, newKey, until: index + 1 + (overlap as number) } : undefined;
}

/**
 * Whether one of the keys that signed a checkpoint was the log's key at that size. A key counts from the entry that named
 * it, and until the size at which the next one took over.
 */
export function isSignedInTime(
  checkpoint: Checkpoint,
  signed: readonly VerifierKey[],
  rotations: readonly KeyRotation[],
): boolean {
  return signed.some((key) => {
    if (key.type !== SIGNATURE_ED25519 || key.name !== checkpoint.origin) return false;
    const retired = rotations.find((rotation) => rotation.oldKey.text === key.text);
    const named = rotations.find((rotation) => rotation.newKey.text === key.text);
    return (
      !(retired !== undefined && checkpoint.size > retired.until) &&
      !(named !== undefined && checkpoint.size <= named.index)
    );
  });
}

/** Of notes that hold the entry of a change, the first that more than one key signed: it leads both ways. */
export function handoverNote(notes: readonly string[]): string | undefined {
  return notes.find((note) => (parseNote(note)?.signatures.length ?? 0) > 1) ?? notes[0];
}

export interface HandoverInput {
  /** A checkpoint that one of the two keys signed, holding the entry. */
  readonly note: string;
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly proof: readonly Uint8Array[];
}

/**
 * Follows a change of keys from the one that is trusted to the other; undefined unless everything holds. Backwards too: a
 * log under its new key says by the entry which one it had before.
 */
export async function followRotationWith(
  crypto: Primitives,
  trusted: readonly VerifierKey[],
  { note, leaf, index, proof }: HandoverInput,
): Promise<KeyRotation | undefined> {
  const opened = await openCheckpointWith(crypto, note, trusted);
  if (!opened.ok) return undefined;
  const { origin, size, root } = opened.checkpoint;
  const rotation = await readRotation(crypto, { leaf, index, origin });
  if (rotation === undefined || !isSignedInTime(opened.checkpoint, opened.verified, [rotation])) return undefined;
  const isKnown = opened.verified.some(({ text }) => text === rotation.oldKey.text || text === rotation.newKey.text);
  if (!isKnown) return undefined;
  const leafHash = await leafHashWith(crypto, leaf);
  return (await verifyInclusionWith(crypto, { index, size, leafHash, proof, root })) ? rotation : undefined;
}

export interface Generation {
  readonly previousOrigin: string;
  readonly kept: Checkpoint;
  /** The last state that was signed, when entries were lost; equal to `kept` otherwise. */
  readonly signed: Checkpoint;
  readonly reason: string;
}

function checkpointFact(facts: Record<string, unknown>, word: string, origin: string): Checkpoint | undefined {
  const size = facts[`${word}Size`];
  const root = fromBase64(factText(facts, `${word}Root`));
  if (!Number.isSafeInteger(size) || (size as number) < 0 || root?.length !== 32) return undefined;
  return { origin, size: size as number, root };
}

/** Undefined unless the leaf opens the next generation of the same log. */
export function readGeneration(leaf: Uint8Array, origin: string): Generation | undefined {
  const facts = publicFactsOf(leaf);
  const previousOrigin = factText(facts, 'previousOrigin');
  const [own, previous] = [splitOrigin(origin), splitOrigin(previousOrigin)];
  if (leafObject(leaf)['type'] !== GENERATION_OPENED_TYPE || own === undefined || previous === undefined)
    return undefined;
  if (own.prefix !== previous.prefix || own.log !== previous.log || own.generation <= previous.generation)
    return undefined;
  const kept = checkpointFact(facts, 'kept', previousOrigin);
  const signed = 'signedSize' in facts ? checkpointFact(facts, 'signed', previousOrigin) : kept;
  if (kept === undefined || signed === undefined || signed.size < kept.size) return undefined;
  return { previousOrigin, kept, signed, reason: factText(facts, 'reason') };
}

export interface SuccessionInput {
  /** Newest checkpoint of the new generation that proves its entry 0. */
  readonly note: string;
  readonly leaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
  /** A checkpoint of the generation before that somebody holds. */
  readonly held: string;
  /** Consistency between the smaller and the larger of `held` and the kept checkpoint; empty when they are of one size. */
  readonly consistency: readonly Uint8Array[];
}

export type SuccessionVerdict =
  /** `lost`: entries of the old generation, [from, to), that the new one does not go on from. */
  | { readonly ok: true; readonly generation: Generation; readonly lost: { from: number; to: number } }
  | { readonly ok: false; readonly reason: 'new-log' | 'no-opening' | 'held-note' | 'held-beyond-signed' | 'fork' };

/**
 * Whether a new generation goes on from what somebody holds of the one before, and what it says was lost. A held
 * checkpoint inside the stated gap is accepted: the log says, signed, that those entries are gone. One beyond it is not.
 */
export async function verifySuccessionWith(
  crypto: Primitives,
  keys: readonly VerifierKey[],
  { note, leaf, proof, held, consistency }: SuccessionInput,
): Promise<SuccessionVerdict> {
  const opened = await openCheckpointWith(crypto, note, keys);
  if (!opened.ok) return { ok: false, reason: 'new-log' };
  const { origin, size, root } = opened.checkpoint;
  const leafHash = await leafHashWith(crypto, leaf);
  if (!(await verifyInclusionWith(crypto, { index: 0, size, leafHash, proof, root })))
    return { ok: false, reason: 'no-opening' };
  const generation = readGeneration(leaf, origin);
  if (generation === undefined) return { ok: false, reason: 'no-opening' };
  const holding = await openCheckpointWith(crypto, held, keys);
  if (!holding.ok || holding.checkpoint.origin !== generation.previousOrigin) return { ok: false, reason: 'held-note' };
  const { kept, signed } = generation;
  if (holding.checkpoint.size > signed.size) return { ok: false, reason: 'held-beyond-signed' };
  const agrees = await isOneHistory(crypto, [holding.checkpoint, kept], consistency);
  if (!agrees) return { ok: false, reason: 'fork' };
  return { ok: true, generation, lost: { from: kept.size, to: signed.size } };
}

/** Two checkpoints of one log, in either order. An empty log is a prefix of every other. */
export async function isOneHistory(
  crypto: Primitives,
  [a, b]: readonly [Checkpoint, Checkpoint],
  proof: readonly Uint8Array[],
): Promise<boolean> {
  const [first, second] = a.size <= b.size ? [a, b] : [b, a];
  if (first.origin !== second.origin) return false;
  if (first.size === 0) return proof.length === 0 && equalBytes(first.root, await crypto.sha256(bytesOf('')));
  return verifyConsistencyWith(crypto, {
    size1: first.size,
    size2: second.size,
    root1: first.root,
    root2: second.root,
    proof,
  });
}
