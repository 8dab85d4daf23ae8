// Whose word counts when a bundle is checked: keys and policy from outside, else, said plainly, the bundle's own.
import {
  nameKeyWith,
  openCheckpointWith,
  parseCheckpointText,
  parseLogProof,
  parseNote,
  parseVerifierKeyWith,
  parseAddCheckpoint,
  SIGNATURE_COSIGNATURE,
  SIGNATURE_ED25519,
  textOf,
  type Checkpoint,
  type Primitives,
  type VerifierKey,
} from './core.ts';
import { isSuperLogOf } from './evidence-core.ts';
import { parsePolicyWith, QUORUM_NONE, type Policy } from './policy-core.ts';
import { followRotationWith, isOneHistory, type KeyRotation } from './succession-core.ts';
import { BUNDLE_HANDOVERS_MAX, consistencyName, handoverName } from './bundle-files.ts';
import { fileText, refuse, type OutsideTrust, type Run, type Trust } from './bundle-run.ts';

async function readKeys(run: Run, texts: readonly string[]): Promise<VerifierKey[]> {
  const keys: VerifierKey[] = [];
  for (const text of texts) {
    const key = await parseVerifierKeyWith(run.crypto, text);
    if (key === undefined) refuse(run, `--key is no verifier key: ${text}`);
    else if (!keys.some((known) => known.text === text)) keys.push(key);
  }
  return keys;
}

async function readPolicy(run: Run, name: string, text: string | undefined): Promise<Policy | undefined> {
  if (text === undefined) return undefined;
  const verdict = await parsePolicyWith(run.crypto, text);
  if (verdict.ok) return verdict.policy;
  refuse(run, `${name}, line ${verdict.line}: ${verdict.problem}`);
  return undefined;
}

/** Any one of these witnesses is enough; nobody, when there are none. */
function anyOf(witnesses: readonly VerifierKey[]): Policy {
  const named = witnesses.map((key, at) => ({ name: `w${at}`, key, url: undefined }));
  const groups = named.length === 0 ? [] : [{ name: 'any', threshold: 1, members: named.map(({ name }) => name) }];
  return { logs: [], witnesses: named, groups, quorum: named.length === 0 ? QUORUM_NONE : 'any' };
}

/** Keys of a log, the same public key under the super-log's name: one signer keeps all logs of a house. */
export async function superLogKeys(
  crypto: Primitives,
  note: string,
  { origin, logKeys }: { origin: string; logKeys: readonly VerifierKey[] },
): Promise<VerifierKey[]> {
  const name = parseCheckpointText(parseNote(note)?.text ?? '')?.origin;
  if (name === undefined || !isSuperLogOf(name, origin)) return [];
  const own = logKeys.filter((key) => key.name === origin && key.type === SIGNATURE_ED25519);
  const derived: VerifierKey[] = [];
  for (const { publicKey } of own) {
    const key = await nameKeyWith(crypto, { name, type: SIGNATURE_ED25519, publicKey });
    if (!logKeys.some(({ text }) => text === key.text)) derived.push(key);
  }
  return derived;
}

/** Consistency of two checkpoints by the bundle's file for their sizes; sizes that are equal need none. */
export async function checkConsistency(
  run: Run,
  a: { checkpoint: Checkpoint; note: string },
  b: { checkpoint: Checkpoint; note: string },
): Promise<boolean> {
  const [first, second] = a.checkpoint.size <= b.checkpoint.size ? [a, b] : [b, a];
  const pair = [first.checkpoint, second.checkpoint] as const;
  if (first.checkpoint.size === second.checkpoint.size || first.checkpoint.size === 0)
    return isOneHistory(run.crypto, pair, []);
  const name = consistencyName(first.checkpoint.size, second.checkpoint.size);
  const text = fileText(run, name);
  const body = text === undefined ? undefined : parseAddCheckpoint(text);
  if (body === undefined || body.oldSize !== first.checkpoint.size || body.checkpoint !== second.note) return false;
  return isOneHistory(run.crypto, pair, body.proof);
}

interface Passed {
  readonly checkpoint: Checkpoint;
  readonly note: string;
}

async function followOne(
  run: Run,
  trusted: readonly VerifierKey[],
  name: string,
): Promise<{ rotation: KeyRotation; passed: Passed } | undefined> {
  const proof = parseLogProof(fileText(run, name) ?? '');
  if (proof?.extra === undefined) return undefined;
  const { checkpoint: note, extra: leaf, index, proof: hashes } = proof;
  const rotation = await followRotationWith(run.crypto, trusted, { note, leaf, index, proof: hashes });
  const checkpoint = parseCheckpointText(parseNote(note)?.text ?? '');
  return rotation && checkpoint && { rotation, passed: { checkpoint, note } };
}

/**
 * Keys before and after a trusted one, each by the entry of the change under a checkpoint that a trusted key signed. Who
 * trusts the newest key comes to the first one backwards, so each round follows whatever can be followed by then.
 */
async function followHandovers(
  run: Run,
  keys: readonly VerifierKey[],
): Promise<{ keys: VerifierKey[]; rotations: KeyRotation[]; passed: Passed[] }> {
  const trusted = [...keys];
  const rotations: KeyRotation[] = [];
  const passed: Passed[] = [];
  const names = Array.from({ length: BUNDLE_HANDOVERS_MAX }, (_, at) => handoverName(at));
  const left = new Set(names.filter((name) => run.files.has(name)));
  for (let followed = -1; followed !== rotations.length && left.size > 0;) {
    followed = rotations.length;
    for (const name of left) {
      const found = await followOne(run, trusted, name);
      if (found === undefined) continue;
      const { oldKey, newKey } = found.rotation;
      for (const key of [oldKey, newKey]) if (!trusted.some(({ text }) => text === key.text)) trusted.push(key);
      rotations.push(found.rotation);
      passed.push(found.passed);
      left.delete(name);
    }
  }
  for (const name of left) refuse(run, `${name} does not lead from a trusted key to another`);
  return { keys: trusted, rotations, passed };
}

interface Keys {
  readonly outside: readonly VerifierKey[];
  readonly outsidePolicy: Policy | undefined;
  readonly own: Policy;
}

function trustedKeys({ outside, outsidePolicy, own }: Keys) {
  const isOutside = outside.length > 0 || (outsidePolicy?.logs.length ?? 0) > 0;
  const logs = [...outside, ...(outsidePolicy?.logs.map(({ key }) => key) ?? [])];
  const logKeys = logs.filter((key) => key.type === SIGNATURE_ED25519);
  const named = [...outside, ...(outsidePolicy?.witnesses.map(({ key }) => key) ?? [])];
  const witnesses = named.filter(
    (key, at) => key.type === SIGNATURE_COSIGNATURE && named.findIndex((other) => other.text === key.text) === at,
  );
  const bundleWitnesses = own.witnesses
    .map(({ key }) => key)
    .filter((key) => !witnesses.some((known) => known.text === key.text));
  const policy = outsidePolicy ?? (witnesses.length > 0 ? anyOf(witnesses) : own);
  return {
    source: isOutside ? ('outside' as const) : ('bundle' as const),
    logKeys: isOutside ? logKeys : own.logs.map(({ key }) => key),
    witnesses,
    bundleWitnesses,
    policy,
    policySource: policy === own ? ('bundle' as const) : ('outside' as const),
  };
}

/** Keys from outside decide alone: a bundle never gets a second chance with a key of its own. */
export async function openBundleTrust(run: Run, outside: OutsideTrust): Promise<Trust | undefined> {
  const note = fileText(run, 'checkpoint');
  const own = await readPolicy(run, 'policy', fileText(run, 'policy'));
  const keys = await readKeys(run, outside.keys);
  const outsidePolicy = await readPolicy(run, '--policy', outside.policy);
  if (note === undefined || own === undefined) return undefined;
  if (outside.policy !== undefined && outsidePolicy === undefined) return undefined;
  const trusted = trustedKeys({ outside: keys, outsidePolicy, own });
  const { keys: logKeys, rotations, passed } = await followHandovers(run, trusted.logKeys);
  const known = [...logKeys, ...trusted.witnesses, ...trusted.bundleWitnesses];
  const opened = await openCheckpointWith(run.crypto, note, known);
  if (!opened.ok) {
    refuse(run, `checkpoint: ${opened.reason}`);
    return undefined;
  }
  const { checkpoint, verified: signed, cosignatures } = opened;
  for (const held of passed) {
    if (!(await checkConsistency(run, held, { checkpoint, note })))
      refuse(run, `the log does not go on from the ${held.checkpoint.size} entries that its old key signed`);
  }
  return { ...trusted, logKeys, rotations, checkpoint, note, signed, cosignatures };
}

/** Text of a bundle's file, without a complaint when it is absent. */
export function optionalText(run: Run, name: string): string | undefined {
  const bytes = run.files.get(name);
  if (bytes === undefined) return undefined;
  run.seen.add(name);
  return textOf(bytes);
}
