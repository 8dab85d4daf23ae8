import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as tlog from './index.ts';
import { logOf, superLogOf, testKey, testWitness } from './testing.ts';
import { chromiumMissing, inChromium } from './testing-browser.ts';

const VECTORS = join(import.meta.dirname, '../../../../shared/vectors/merkle');
const ORIGIN = 'log.example/log/4f3a/1';
const isCi = process.env['CI'] === 'true';
if (isCi && chromiumMissing !== undefined) throw new Error(chromiumMissing);
if (isCi && !existsSync(VECTORS)) throw new Error(`${VECTORS} is missing`);

interface Vector {
  readonly root?: string | null;
  readonly root1?: string | null;
  readonly root2?: string | null;
  readonly leafHash?: string | null;
  readonly leafIdx?: number;
  readonly treeSize?: number;
  readonly size1?: number;
  readonly size2?: number;
  readonly proof?: string[] | null;
  readonly wantErr: boolean;
}

function vectorsIn(folder: string): Vector[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return vectorsIn(path);
    return path.endsWith('.json') ? [JSON.parse(readFileSync(path, 'utf8')) as Vector] : [];
  });
}

describe.skipIf(chromiumMissing !== undefined)('T9: in Debian’s Chromium, on Web Crypto', () => {
  it.skipIf(!existsSync(VECTORS))('T1 T2: the published vectors come out as in Node', async () => {
    const [inclusion, consistency] = ['inclusion', 'consistency'].map((name) => vectorsIn(join(VECTORS, name)));
    const verdicts = await inChromium(
      async (input: { inclusion: Vector[]; consistency: Vector[] }, lib) => {
        // Some vectors hold text that is no Base64 of a hash: whatever comes of it must not be believed.
        const bytes = (text?: string | null): Uint8Array => lib.fromBase64(text ?? '') ?? new Uint8Array(0);
        const said: { inclusion: boolean[]; consistency: boolean[] } = { inclusion: [], consistency: [] };
        for (const { leafIdx = 0, treeSize = 0, root, leafHash, proof } of input.inclusion) {
          const place = { index: leafIdx, size: treeSize, root: bytes(root), leafHash: bytes(leafHash) };
          const all = { ...place, proof: (proof ?? []).map(bytes) };
          said.inclusion.push(await lib.verifyInclusionWith(lib.browserPrimitives, all));
        }
        for (const { size1 = 0, size2 = 0, root1, root2, proof } of input.consistency) {
          const sizes = { size1, size2, root1: bytes(root1), root2: bytes(root2) };
          const all = { ...sizes, proof: (proof ?? []).map(bytes) };
          said.consistency.push(await lib.verifyConsistencyWith(lib.browserPrimitives, all));
        }
        return said;
      },
      { inclusion: inclusion!, consistency: consistency! },
    );
    expect(inclusion!.length + consistency!.length).toBeGreaterThanOrEqual(196);
    expect(verdicts.inclusion).toEqual(inclusion!.map(({ wantErr }) => !wantErr));
    // Size 0 is "first seen", never a proof.
    expect(verdicts.consistency).toEqual(consistency!.map(({ wantErr, size1 = 0 }) => !wantErr && size1 > 0));
  });

  it('T17 T19: policy, epoch, cosignature and a full audit come out as in Node', async () => {
    const key = testKey();
    const log = logOf(
      await key.named(ORIGIN),
      Array.from({ length: 5000 }, (_, at) => Buffer.from(`entry ${at}`)),
    );
    const superLog = superLogOf(await key.named('log.example/log/super/1'));
    const witness = await testWitness('witness.example/w');
    const evidence = await superLog.epoch({
      epoch: 1,
      checkpoint: log.note(),
      seconds: 1_800_000_000,
      witnesses: [witness],
    });
    const keys = [log.signer.verifierKey, superLog.signer.verifierKey];
    const policy = `${keys
      .slice(0, 1)
      .map((text) => `log ${text}`)
      .join('\n')}\nwitness w ${witness.vkey}\nquorum w\n`;
    const input = { evidence, keys, witness: witness.vkey, policy, origin: ORIGIN, note: log.note(), entries: 5000 };
    const said = await inChromium(async (given: typeof input, lib) => {
      const { browserPrimitives: crypto } = lib;
      const parse = async (text: string) => (await lib.parseVerifierKeyWith(crypto, text))!;
      const logKeys = await Promise.all(given.keys.map(parse));
      const trust = { tenantOrigin: given.origin, logKeys, witnessKeys: [await parse(given.witness)] };
      const epoch = await lib.verifyEpochWith(crypto, given.evidence, trust);
      const moved = await lib.verifyEpochWith(crypto, { ...given.evidence, slot: 1 }, trust);
      const policy = await lib.parsePolicyWith(crypto, given.policy);
      const seconds =
        policy.ok && epoch.ok ? lib.evaluatePolicy(policy.policy, epoch.epoch.cosignatures).seconds : undefined;
      const leaves = Array.from({ length: given.entries }, (_, at) => lib.bytesOf(`entry ${at}`));
      const audit = (list: Uint8Array[]) => lib.auditLogWith(crypto, { note: given.note, keys: logKeys }, [list]);
      const whole = await audit(leaves);
      const short = await audit(leaves.slice(1));
      return { epoch: epoch.ok, moved: moved.ok, seconds, whole: whole.ok, short: !short.ok && short.reason };
    }, input);
    expect(said).toEqual({ epoch: true, moved: false, seconds: 1_800_000_000, whole: true, short: 'entries-missing' });
    const trusted = (await Promise.all(keys.map(tlog.parseVerifierKey))).map((parsed) => parsed!);
    const audited = await tlog.auditLogWith(tlog.nodePrimitives, { note: log.note(), keys: trusted }, [log.leaves]);
    expect(audited).toMatchObject({ ok: true, entries: 5000 });
  });
});
