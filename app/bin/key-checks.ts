// What `auditrax doctor` says of the key stores, house running or not: which key was expected, and which was found.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAppError, type Json } from '@auditrax/base';
import { inspectRing } from '@auditrax/seal';
import { openRootKey, readKeyMeans, type HsmMeans, type KeyMeans } from './key-means.ts';
import type { Settings } from './settings.ts';

export interface Line {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** The keys that the data of this house need, as of its last start; in a backup too, since the data are. */
interface ExpectedKeys {
  readonly ringId: string;
  readonly rootKey: string;
  /** A ring that is older than this lacks keys; a newer one may have lost some on purpose. */
  readonly generation: number;
  /** `provider:id` of key-encryption keys in the database; the first hundred. */
  readonly kekRefs: readonly string[];
}

const EXPECTED_KEYS = 'supervisor/expected-keys.json';
/** A person waits, and the machine may be a busy one. */
const DOCTOR_MS = 15_000;
const LOCAL_PREFIX = 'local:';
const HSM_REF = /^pkcs11:([^/]+)\/([0-9a-f]+)$/;

/** Keeps what a start has found to fit together. `facts` are those that the keys process has announced. */
export function writeExpectedKeys(
  statePath: string,
  found: { readonly facts: Readonly<Record<string, Json>>; readonly kekRefs: readonly string[] },
): void {
  const { ringId, ringFingerprint, ringGeneration } = found.facts;
  const expected = { ringId, rootKey: ringFingerprint, generation: ringGeneration, kekRefs: found.kekRefs };
  writeFileSync(join(statePath, EXPECTED_KEYS), `${JSON.stringify(expected)}\n`, { mode: 0o600 });
}

/** A line for each key store that this house needs; none before its first start. */
export async function keyLines(settings: Settings): Promise<Line[]> {
  if (!existsSync(join(settings.state, 'initialised'))) return [];
  try {
    const file = join(settings.state, EXPECTED_KEYS);
    const expected = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ExpectedKeys) : undefined;
    const means = readKeyMeans(settings);
    return [
      await ringLine(settings, means, expected),
      ...(await hsmLines(means.hsm, expected)),
      storeLine(means, expected),
    ];
  } catch (error) {
    if (isAppError(error)) return [{ check: 'key ring', ok: false, detail: error.message }];
    if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return [{ check: 'key ring', ok: true, detail: 'not readable by this user' }];
  }
}

/** Opens the ring with its root key, as the keys process would, and compares it with what the data need. */
async function ringLine(settings: Settings, { root }: KeyMeans, expected: ExpectedKeys | undefined): Promise<Line> {
  const check = 'key ring';
  const bad = (detail: string): Line => ({ check, ok: false, detail });
  const folder = join(settings.state, 'keys');
  const path = join(folder, 'key-ring');
  if (!existsSync(path)) return bad(`the ring is missing below ${folder}: restore a backup with \`auditrax restore\``);
  if (root.kind === 'file' && !existsSync(join(folder, 'root-key')))
    return bad(`the root key is missing below ${folder}: restore a backup with \`auditrax restore\``);
  try {
    const rootKey = await openRootKey(root, folder);
    const found = inspectRing(readFileSync(path), rootKey);
    rootKey.fill(0);
    const held = new Set(found.keyIds.map((id) => `${LOCAL_PREFIX}${id}`));
    if (expected !== undefined && (expected.ringId !== found.ringId || found.generation < expected.generation)) {
      const lost = expected.kekRefs.find((ref) => ref.startsWith(LOCAL_PREFIX) && !held.has(ref));
      const wanted = `key ring ${expected.ringId}, generation ${expected.generation} (root key ${expected.rootKey})${lost === undefined ? '' : `, with key ${lost}`}`;
      return bad(
        `the data expect ${wanted}; found key ring ${found.ringId}, generation ${found.generation} (root key ${found.fingerprint}), with ${held.size} other keys: put back the ring of these data, or restore a backup with \`auditrax restore\``,
      );
    }
    const from = { credential: 'from a credential', passphrase: 'under a passphrase', file: 'in a file: development' };
    return {
      check,
      ok: true,
      detail: `${found.ringId}, ${held.size} keys, root key ${found.fingerprint} ${from[root.kind]}`,
    };
  } catch (error) {
    if (!isAppError(error)) throw error;
    return bad(`${error.message}: put back the key that belongs to it, or restore a backup with \`auditrax restore\``);
  }
}

/** Which store wraps what is new, and how much of the data still stands under the one before. */
function storeLine({ kekProvider }: KeyMeans, expected: ExpectedKeys | undefined): Line {
  const name = { local: 'the key ring', pkcs11: 'the HSM' };
  const other = kekProvider === 'local' ? 'pkcs11' : 'local';
  const left = (expected?.kekRefs ?? []).filter((ref) => ref.startsWith(`${other}:`)).length;
  const also = { local: 'the key ring', pkcs11: 'the HSM, tenants’ own keys among them' }[other];
  const rest = left === 0 ? '' : `; at the last start ${left} keys in use were in ${also}: keep it`;
  return {
    check: 'installation’s keys',
    ok: true,
    detail: `in ${name[kekProvider]} (AUDITRAX_KEK_PROVIDER=${kekProvider})${rest}`,
  };
}

/** Asks the token itself: one login, so that a wrong PIN costs one of its attempts and no more. */
async function hsmLines(means: HsmMeans | null, expected: ExpectedKeys | undefined): Promise<Line[]> {
  const check = 'HSM';
  const wanted = (expected?.kekRefs ?? []).flatMap((ref) => {
    const [, serial, id] = HSM_REF.exec(ref) ?? [];
    return serial === undefined || id === undefined ? [] : [{ serial, id }];
  });
  if (means === null) {
    if (wanted.length === 0) return [];
    const { serial, id } = wanted[0]!;
    const detail = `the data expect key ${id} of token ${serial}; no HSM is configured: set AUDITRAX_PKCS11_MODULE`;
    return [{ check, ok: false, detail }];
  }
  const { openToken } = await import('@auditrax/seal/pkcs11');
  try {
    const token = await openToken({ ...means, sessions: 1, deadline_ms: DOCTOR_MS });
    try {
      const facts = await token.facts();
      for (const { serial, id } of wanted) {
        if ((await token.findKey({ id })) !== undefined) continue;
        const detail = `the data expect key ${id} of token ${serial}; found token ${facts.serial} ("${facts.label}"), which has no such key`;
        return [{ check, ok: false, detail }];
      }
      const { gcm, kwp } = await token.mechanisms();
      const works =
        [...(gcm ? ['AES-GCM'] : []), ...(kwp === undefined ? [] : ['AES-KWP'])].join(', ') || 'no wrapping';
      const detail = `token ${facts.serial} ("${facts.label}", ${facts.manufacturer}), ${works}, ${wanted.length} keys of these data`;
      return [{ check, ok: gcm || kwp !== undefined, detail }];
    } finally {
      token.close();
    }
  } catch (error) {
    if (!isAppError(error)) throw error;
    return [{ check, ok: false, detail: error.message }];
  }
}
