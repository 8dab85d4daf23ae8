// The outside view of a bundle: epochs of the super-log, who co-signed them and when, and the times of the entries.
import {
  bytesOf,
  concatBytes,
  equalBytes,
  formatLogProof,
  fromBase64,
  type Cosignature,
  type VerifierKey,
} from './core.ts';
import {
  bracketOf,
  COSIGNED_LATE_MS_MAX,
  epochsDisagree,
  isInBracket,
  marksDisagree,
  parseEpochs,
  verifyEpochWith,
  type TimeMark,
  type VerifiedEpoch,
} from './evidence-core.ts';
import type { EpochEvidence } from './epoch-leaf.ts';
import { BUNDLE_EPOCHS_MAX, EPOCHS_FILE, epochName } from './bundle-files.ts';
import { fileText, refuse, type Run, type Trust } from './bundle-run.ts';
import { checkConsistency, superLogKeys } from './bundle-trust.ts';
import { evaluatePolicy } from './policy-core.ts';
import { isSignedInTime, leafObject, type KeyRotation } from './succession-core.ts';

export interface CheckedEpoch {
  readonly evidence: EpochEvidence;
  readonly epoch: VerifiedEpoch;
}

function isFile(run: Run, name: string, expected: Uint8Array): boolean {
  run.seen.add(name);
  const bytes = run.files.get(name);
  return bytes !== undefined && equalBytes(bytes, expected);
}

/** The same evidence in forms that other programs read must say the same. */
async function checkEpochFiles(run: Run, position: number, { evidence, epoch }: CheckedEpoch): Promise<void> {
  const { index, leaf, note, timestamp } = evidence;
  const proof = evidence.proof.map((hash) => fromBase64(hash)!);
  const name = epochName(position, 'tlog-proof');
  if (!isFile(run, name, bytesOf(formatLogProof({ extra: bytesOf(leaf), index, proof, checkpoint: note }))))
    refuse(run, `${name} is not what ${EPOCHS_FILE} says`);
  if (timestamp === undefined) return;
  const token = fromBase64(timestamp)!;
  const same = isFile(run, epochName(position, 'tsr'), token);
  if (!same || !isFile(run, epochName(position, 'txt'), bytesOf(epoch.noteText)))
    refuse(run, `${epochName(position, 'tsr')} is not what ${EPOCHS_FILE} says`);
  // Not a check of the token: only that it speaks of this checkpoint. An OCTET STRING of 32 bytes begins 04 20.
  const imprint = concatBytes(Uint8Array.of(4, HASH_LENGTH), await run.crypto.sha256(bytesOf(epoch.noteText)));
  if (!holds(token, imprint)) refuse(run, `${epochName(position, 'tsr')} is about something else`);
}

const HASH_LENGTH = 32;

function holds(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = 0; at + part.length <= bytes.length; at += 1)
    if (bytes[at] === part[0] && equalBytes(bytes.subarray(at, at + part.length), part)) return true;
  return false;
}

async function checkEpoch(
  run: Run,
  trust: Trust,
  { evidence, position }: { evidence: EpochEvidence; position: number },
): Promise<CheckedEpoch | undefined> {
  const tenantOrigin = trust.checkpoint.origin;
  const derived = await superLogKeys(run.crypto, evidence.note, { origin: tenantOrigin, logKeys: trust.logKeys });
  const verdict = await verifyEpochWith(run.crypto, evidence, {
    tenantOrigin,
    logKeys: [...trust.logKeys, ...derived],
    witnessKeys: [...trust.witnesses, ...trust.bundleWitnesses],
  });
  const name = `${EPOCHS_FILE}, epoch ${position}`;
  if (!verdict.ok) {
    refuse(run, `${name}: ${verdict.reason}, ${verdict.detail}`);
    return undefined;
  }
  const checked = { evidence, epoch: verdict.epoch };
  await checkEpochFiles(run, position, checked);
  const held = { checkpoint: verdict.epoch.tenant, note: evidence.checkpoint };
  if (!(await checkConsistency(run, held, trust)))
    refuse(run, `${name}: the log that was co-signed is not the log of this bundle`);
  return checked;
}

/** Every epoch that the bundle brings along must hold; one that does not refuses the bundle. */
export async function checkEpochs(run: Run, trust: Trust): Promise<CheckedEpoch[]> {
  if (!run.files.has(EPOCHS_FILE)) return [];
  const epochs = parseEpochs(fileText(run, EPOCHS_FILE) ?? '');
  if (epochs === undefined || epochs.length > BUNDLE_EPOCHS_MAX) {
    refuse(run, `${EPOCHS_FILE} is malformed`);
    return [];
  }
  const checked: CheckedEpoch[] = [];
  for (const [position, evidence] of epochs.entries()) {
    const epoch = await checkEpoch(run, trust, { evidence, position });
    if (epoch !== undefined) checked.push(epoch);
  }
  const disagreement = epochsDisagree(checked);
  if (disagreement !== undefined) refuse(run, disagreement);
  return checked;
}

/** Checkpoints signed only by a key that was not the log's at that size are refused. */
export function checkKeysInTime(
  run: Run,
  trust: Trust,
  { epochs, rotations }: { epochs: readonly CheckedEpoch[]; rotations: readonly KeyRotation[] },
): void {
  const signed = [
    { checkpoint: trust.checkpoint, keys: trust.signed },
    ...epochs.map(({ epoch }) => ({ checkpoint: epoch.tenant, keys: epoch.tenantKeys })),
  ];
  for (const { checkpoint, keys } of signed)
    if (!isSignedInTime(checkpoint, keys, rotations))
      refuse(
        run,
        `the checkpoint of ${checkpoint.size} entries is signed with a key that was not the log's at that size`,
      );
}

/** A witness under the name of the house's own host is the operator's, however it is called. */
export function isOwnWitness(origin: string, witness: VerifierKey): boolean {
  const host = (name: string): string => name.split('/')[0]!.split(':')[0]!.toLowerCase();
  return host(origin) === host(witness.name);
}

export interface Witnessing {
  /** Where the rule that was applied came from. */
  readonly policy: 'outside' | 'bundle';
  /** Witnesses that the reader named and that are not the operator's own. */
  readonly independent: number;
  /** How many of those have co-signed. */
  readonly cosigned: number;
  /** Of the operator's own witnesses, how many have co-signed. */
  readonly own: number;
  /** Witnesses named by the bundle alone, how many have co-signed: nobody vouches for them. */
  readonly unvouched: number;
  /** Epochs of the super-log that held. */
  readonly epochs: number;
  /** ISO time of the first co-signature that met the policy. */
  readonly since: string | undefined;
  /** Entries below this index are in a log of which the policy's witnesses know. */
  readonly until: number;
  /** Entries of the range whose time lies between two marks, and those with one side open. */
  readonly bracketed: number;
  readonly halfBracketed: number;
  /** RFC 3161 tokens that came along. */
  readonly timestamps: number;
}

function signedBy(cosignatures: readonly Cosignature[], witnesses: readonly VerifierKey[]): VerifierKey[] {
  return witnesses.filter((witness) => cosignatures.some(({ key }) => key.text === witness.text));
}

function marksOf(trust: Trust, epochs: readonly CheckedEpoch[]): TimeMark[] {
  const sources = [
    { size: trust.checkpoint.size, cosignatures: trust.cosignatures, collectedMs: Number.POSITIVE_INFINITY },
    ...epochs.map(({ epoch: { tenant, cosignatures, leaf } }) => ({
      size: tenant.size,
      cosignatures,
      collectedMs: leaf.time,
    })),
  ];
  return sources.flatMap(({ size, cosignatures, collectedMs }) => {
    const { met, seconds } = evaluatePolicy(trust.policy, cosignatures);
    if (!met || seconds === undefined) return [];
    const timeMs = seconds * 1000;
    return [{ size, timeMs, isLate: timeMs - collectedMs > COSIGNED_LATE_MS_MAX }];
  });
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function checkTimes(
  run: Run,
  marks: readonly TimeMark[],
  leaves: ReadonlyMap<number, Uint8Array>,
): { bracketed: number; halfBracketed: number } {
  const counts = { bracketed: 0, halfBracketed: 0 };
  if (marks.length === 0) return counts;
  if (marksDisagree(marks)) refuse(run, 'witnesses saw a larger log before a smaller one');
  for (const [index, leaf] of leaves) {
    const bracket = bracketOf(marks, index);
    const time = leafObject(leaf)['time'];
    if (typeof time !== 'number' || !isInBracket(time, bracket)) {
      const from = bracket.fromMs === undefined ? 'the beginning' : isoTime(bracket.fromMs);
      const until = bracket.untilMs === undefined ? 'now' : isoTime(bracket.untilMs);
      const said = typeof time === 'number' && Math.abs(time) < 8.64e15 ? isoTime(time) : 'nothing readable';
      refuse(run, `entry ${index} says ${said}, but was sealed between ${from} and ${until}`);
    } else if (bracket.fromMs !== undefined && bracket.untilMs !== undefined) counts.bracketed += 1;
    else counts.halfBracketed += 1;
  }
  return counts;
}

/** Who has seen this log, since when, and whether the entries' times agree with it. */
export function checkWitnessing(
  run: Run,
  trust: Trust,
  { epochs, leaves }: { epochs: readonly CheckedEpoch[]; leaves: ReadonlyMap<number, Uint8Array> },
): Witnessing {
  const all = [...trust.cosignatures, ...epochs.flatMap(({ epoch }) => epoch.cosignatures)];
  const isOwn = (key: VerifierKey): boolean => isOwnWitness(trust.checkpoint.origin, key);
  const independent = trust.witnesses.filter((key) => !isOwn(key));
  const marks = marksOf(trust, epochs);
  const times = checkTimes(run, marks, leaves);
  const firstMs = marks.reduce((first, { timeMs }) => Math.min(first, timeMs), Number.POSITIVE_INFINITY);
  return {
    policy: trust.policySource,
    independent: independent.length,
    cosigned: signedBy(all, independent).length,
    own: signedBy(all, [...trust.witnesses, ...trust.bundleWitnesses].filter(isOwn)).length,
    unvouched: signedBy(
      all,
      trust.bundleWitnesses.filter((key) => !isOwn(key)),
    ).length,
    epochs: epochs.length,
    since: marks.length === 0 ? undefined : isoTime(firstMs),
    until: marks.reduce((until, { size }) => Math.max(until, size), 0),
    ...times,
    timestamps: epochs.filter(({ evidence }) => evidence.timestamp !== undefined).length,
  };
}
