// What an epoch of the super-log says about one tenant's log: at this time the tenant's log had this checkpoint, and
// those witnesses saw it. Also the rule for times. Imports only ./core.ts and
// ./epoch-leaf.ts.
import {
  concatBytes,
  bytesOf,
  equalBytes,
  fromBase64,
  HASH_BYTES,
  leafHashWith,
  openCheckpointWith,
  parseNote,
  PROOF_HASHES_MAX,
  rootFromInclusion,
  toBase64,
  verifyInclusionWith,
  type Checkpoint,
  type Cosignature,
  type Primitives,
  type VerifierKey,
} from './core.ts';
import { parseEpochLeaf, type EpochEvidence, type EpochLeaf } from './epoch-leaf.ts';

export const SALT_BYTES = 32;
function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isHash(text: unknown): text is string {
  return typeof text === 'string' && fromBase64(text)?.length === HASH_BYTES;
}

/** What a slot's leaf hash is taken over: the salt, then the text of the tenant's checkpoint (empty without a log). */
export function slotLeaf(salt: Uint8Array, checkpointText: string): Uint8Array {
  return concatBytes(salt, bytesOf(checkpointText));
}

/** `<prefix><id>/<generation>`: the log's name without its generation, and the generation. */
export function splitOrigin(origin: string): { prefix: string; log: string; generation: number } | undefined {
  const match = /^(.+\/)([^/]+)\/([1-9][0-9]{0,8})$/.exec(origin);
  return match === null ? undefined : { prefix: match[1]!, log: match[2]!, generation: Number(match[3]) };
}

/** Whether `origin` names the super-log of the house that keeps the tenant's log. */
export function isSuperLogOf(origin: string, tenantOrigin: string): boolean {
  const own = splitOrigin(origin);
  const tenant = splitOrigin(tenantOrigin);
  return own !== undefined && tenant !== undefined && own.log === 'super' && own.prefix === tenant.prefix;
}

const EVIDENCE_KEYS = ['checkpoint', 'index', 'leaf', 'note', 'proof', 'salt', 'slot', 'slotProof', 'timestamp'];

function isHashList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= PROOF_HASHES_MAX && value.every(isHash);
}

/** Reads evidence from somewhere else: shapes and limits only, nothing is proven by it. */
export function isEpochEvidence(value: unknown): value is EpochEvidence {
  if (typeof value !== 'object' || value === null) return false;
  if (Object.keys(value).some((key) => !EVIDENCE_KEYS.includes(key))) return false;
  const { note, leaf, index, proof, slot, salt, slotProof, checkpoint, timestamp } = value as EpochEvidence;
  const texts = [note, leaf, salt, checkpoint].every((text) => typeof text === 'string');
  const token = timestamp === undefined || (typeof timestamp === 'string' && fromBase64(timestamp) !== undefined);
  return texts && token && isPlace(index) && isPlace(slot) && isHashList(proof) && isHashList(slotProof);
}

/** One spelling of a list of evidence, one epoch a line: the file `epochs.json` of a bundle. */
export function formatEpochs(epochs: readonly EpochEvidence[]): string {
  const lines = epochs.map(({ note, leaf, index, proof, slot, salt, slotProof, checkpoint, timestamp }) =>
    JSON.stringify({ checkpoint, index, leaf, note, proof, salt, slot, slotProof, timestamp }),
  );
  return lines.length === 0 ? '[]\n' : `[\n${lines.join(',\n')}\n]\n`;
}

/** Undefined unless the text is exactly what `formatEpochs` writes. */
export function parseEpochs(text: string): EpochEvidence[] | undefined {
  try {
    const epochs: unknown = JSON.parse(text);
    if (!Array.isArray(epochs) || !epochs.every(isEpochEvidence)) return undefined;
    return formatEpochs(epochs) === text ? epochs : undefined;
  } catch {
    return undefined;
  }
}

/** Whose word counts for an epoch. */
export interface EpochTrust {
  readonly tenantOrigin: string;
  /** Keys of the tenant's log and of the super-log. */
  readonly logKeys: readonly VerifierKey[];
  readonly witnessKeys: readonly VerifierKey[];
}

export interface VerifiedEpoch {
  readonly leaf: EpochLeaf;
  readonly superLog: Checkpoint;
  /** The signed text of the super-log's checkpoint: what witnesses and time authorities have signed. */
  readonly noteText: string;
  readonly tenant: Checkpoint;
  /** Keys that signed the tenant's checkpoint. */
  readonly tenantKeys: readonly VerifierKey[];
  /** Of known witnesses, over the super-log's checkpoint. */
  readonly cosignatures: readonly Cosignature[];
}

export type EpochVerdict =
  | { readonly ok: true; readonly epoch: VerifiedEpoch }
  | { readonly ok: false; readonly reason: EpochProblem; readonly detail: string };
export type EpochProblem = 'malformed' | 'super-log' | 'not-in-super-log' | 'not-in-slot' | 'tenant-log';

function epochProblem(reason: EpochProblem, detail: string): EpochVerdict {
  return { ok: false, reason, detail };
}

function decodeAll(hashes: readonly string[]): Uint8Array[] {
  return hashes.map((hash) => fromBase64(hash)!);
}

/** Whether the slot's place in the epoch's tree holds this checkpoint text under this salt. */
export async function verifySlotWith(
  crypto: Primitives,
  { leaf, evidence, checkpointText }: { leaf: EpochLeaf; evidence: EpochEvidence; checkpointText: string },
): Promise<boolean> {
  const salt = fromBase64(evidence.salt);
  if (salt === undefined || salt.length !== SALT_BYTES) return false;
  const root = await rootFromInclusion(crypto, {
    index: evidence.slot,
    size: leaf.slots,
    leafHash: await leafHashWith(crypto, slotLeaf(salt, checkpointText)),
    proof: decodeAll(evidence.slotProof),
  });
  return root !== undefined && toBase64(root) === leaf.root;
}

/**
 * Checks one epoch from the witness's signature down to the tenant's checkpoint: super-log's checkpoint signed by the
 * super-log, epoch entry in it, slot in the entry, the tenant's own signature on what stands in the slot. Signatures of
 * unknown witnesses are ignored; which ones are enough is the policy's business. Never throws on the evidence.
 */
export async function verifyEpochWith(
  crypto: Primitives,
  evidence: EpochEvidence,
  trust: EpochTrust,
): Promise<EpochVerdict> {
  if (!isEpochEvidence(evidence)) return epochProblem('malformed', 'it is no evidence of an epoch');
  const leaf = parseEpochLeaf(evidence.leaf);
  const text = parseNote(evidence.checkpoint)?.text;
  if (leaf === undefined || text === undefined)
    return epochProblem('malformed', 'its entry or checkpoint is malformed');
  const opened = await openCheckpointWith(crypto, evidence.note, [...trust.logKeys, ...trust.witnessKeys]);
  if (!opened.ok) return epochProblem('super-log', opened.reason);
  const superLog = opened.checkpoint;
  if (!isSuperLogOf(superLog.origin, trust.tenantOrigin))
    return epochProblem('super-log', `${superLog.origin} is not the super-log of this house`);
  const leafHash = await leafHashWith(crypto, bytesOf(evidence.leaf));
  const place = { index: evidence.index, size: superLog.size, leafHash, proof: decodeAll(evidence.proof) };
  if (!(await verifyInclusionWith(crypto, { ...place, root: superLog.root })))
    return epochProblem('not-in-super-log', `no entry ${evidence.index} like this among ${superLog.size}`);
  if (!(await verifySlotWith(crypto, { leaf, evidence, checkpointText: text })))
    return epochProblem('not-in-slot', `slot ${evidence.slot} holds something else`);
  const tenant = await openCheckpointWith(crypto, evidence.checkpoint, trust.logKeys);
  if (!tenant.ok) return epochProblem('tenant-log', tenant.reason);
  if (tenant.checkpoint.origin !== trust.tenantOrigin)
    return epochProblem('tenant-log', `it is about ${tenant.checkpoint.origin}`);
  const { cosignatures } = opened;
  const noteText = parseNote(evidence.note)!.text;
  const { checkpoint, verified: tenantKeys } = tenant;
  return { ok: true, epoch: { leaf, superLog, noteText, tenant: checkpoint, tenantKeys, cosignatures } };
}

/**
 * Whether epochs about one tenant agree with each other: one slot for ever, and epochs that are numbered, dated and
 * sized in the order in which they stand in the super-log. Returns what is wrong.
 */
export function epochsDisagree(
  epochs: readonly { evidence: EpochEvidence; epoch: VerifiedEpoch }[],
): string | undefined {
  const sorted = [...epochs].sort((a, b) => a.evidence.index - b.evidence.index);
  for (const [at, { evidence, epoch }] of sorted.entries()) {
    const before = sorted[at - 1];
    if (before === undefined) continue;
    const where = `epochs ${before.epoch.leaf.epoch} and ${epoch.leaf.epoch}`;
    if (before.epoch.superLog.origin !== epoch.superLog.origin) continue;
    if (before.evidence.index === evidence.index) return `${where} stand at one place`;
    if (before.evidence.slot !== evidence.slot) return `${where} show different slots of one log`;
    if (before.epoch.leaf.epoch >= epoch.leaf.epoch) return `${where} are out of order`;
    if (before.epoch.tenant.size > epoch.tenant.size) return `${where}: the log became shorter`;
    if (before.epoch.tenant.size === epoch.tenant.size && !equalBytes(before.epoch.tenant.root, epoch.tenant.root))
      return `${where} show two logs of one size`;
  }
  return undefined;
}

// ---- times -------------------------------------------------------------------------------------------------------

/**
 * How much older than the witness's last look an entry may say it is: it was written before it was sequenced, and two
 * clocks differ. Ten seconds are more than a receipt is waited for.
 */
export const ENTRY_OLDER_MS_MAX = 10_000;
/** How much newer than the witness's look an entry may say it is: clocks differ, but nothing is sealed before it happens. */
export const ENTRY_NEWER_MS_MAX = 2000;

/**
 * A witness that looks later than this at an epoch says nothing about the oldest age of what came after: entries were
 * sealed between. Together with the two seconds an entry may have waited it stays within `ENTRY_OLDER_MS_MAX`.
 */
export const COSIGNED_LATE_MS_MAX = 8000;

/** By this time the log had this many entries, and no other of that size: said by witnesses. */
export interface TimeMark {
  readonly size: number;
  readonly timeMs: number;
  /** Co-signed long after the log stood there: bounds the entries it holds, not those that came after. */
  readonly isLate?: boolean;
}

export interface TimeBracket {
  /** Not older than this, less `ENTRY_OLDER_MS_MAX`; undefined before the first mark. */
  readonly fromMs: number | undefined;
  /** Not newer than this, plus `ENTRY_NEWER_MS_MAX`; undefined behind the last mark. */
  readonly untilMs: number | undefined;
}

/**
 * Between which times the entry at `index` was sealed: after every mark that did not hold it yet and was made in time,
 * before every mark that did. Marks in any order; false orders are found by `marksDisagree`.
 */
export function bracketOf(marks: readonly TimeMark[], index: number): TimeBracket {
  let fromMs: number | undefined;
  let untilMs: number | undefined;
  for (const { size, timeMs, isLate = false } of marks) {
    if (size <= index && !isLate) fromMs = fromMs === undefined ? timeMs : Math.max(fromMs, timeMs);
    else if (size > index) untilMs = untilMs === undefined ? timeMs : Math.min(untilMs, timeMs);
  }
  return { fromMs, untilMs };
}

/** Whether an entry's own time lies in its bracket. What a tree cannot see, this does: an entry dated back. */
export function isInBracket(timeMs: number, { fromMs, untilMs }: TimeBracket): boolean {
  if (fromMs !== undefined && timeMs < fromMs - ENTRY_OLDER_MS_MAX) return false;
  return untilMs === undefined || timeMs <= untilMs + ENTRY_NEWER_MS_MAX;
}

/** A larger log that was seen before a smaller one, by more than clocks differ: one of both is a lie. */
export function marksDisagree(marks: readonly TimeMark[]): boolean {
  const sorted = [...marks].sort((a, b) => a.size - b.size);
  let latestMs = Number.NEGATIVE_INFINITY;
  let size = -1;
  for (const mark of sorted) {
    if (mark.size > size && mark.timeMs < latestMs - ENTRY_OLDER_MS_MAX - ENTRY_NEWER_MS_MAX) return true;
    latestMs = Math.max(latestMs, mark.timeMs);
    size = mark.size;
  }
  return false;
}
