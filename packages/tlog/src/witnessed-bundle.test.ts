import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as tlog from './index.ts';
import {
  handedOver,
  logOf,
  superLogOf,
  testKey,
  testWitness,
  type TestKey,
  type TestLog,
  type TestWitness,
} from './testing.ts';
import { browserPrimitives } from './verify-browser.ts';

const HOST = 'log.example/log/';
const ORIGIN = `${HOST}4f3a/1`;
const SUPER = `${HOST}super/1`;
const T0 = 1_800_000_000;
const [FROM, TO, EXPORTED_AT, SIZE] = [30, 70, 110, 120];
const ERASED_BY = 90;
const ERASED_IN = 35;
const EPOCH_SIZES = [20, 60, 100];
const OPENSSL = '/usr/bin/openssl';

const digestOf = (name: string) =>
  Buffer.from(tlog.nodePrimitives.sha256(Buffer.from(name)) as Uint8Array).toString('base64url');
const DIGESTS = [digestOf('e-mail'), digestOf('reason')];

interface Plan {
  /** Leaves at these places, instead of the ordinary ones. */
  readonly leaves?: Readonly<Record<number, object>>;
  /** Who signs the log at a size; the first key all the time. */
  readonly signerAt?: (size: number) => tlog.NoteSigner;
  readonly witnesses?: (epoch: number) => readonly TestWitness[];
  readonly policyWitnesses?: string;
  readonly timestamp?: (noteText: string) => string;
  /** What the epochs saw, when that is another log than the bundle's. */
  readonly seen?: (leaves: readonly Uint8Array[]) => readonly Uint8Array[];
  readonly handovers?: ((log: TestLog) => Promise<tlog.LogProof[]>) | undefined;
  readonly related?: readonly number[];
  /** First entry that is not in the bundle. */
  readonly to?: number;
  /** Seconds between an epoch and its cosignatures. */
  readonly lateBy?: number;
}

let key: TestKey;
let signer: tlog.NoteSigner;
let witnesses: TestWitness[];
let own: TestWitness;
let policy: string;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'tlog-witnessed-'));
  key = testKey();
  signer = await key.named(ORIGIN);
  witnesses = await Promise.all(['a', 'b', 'c'].map((name) => testWitness(`witness-${name}.example/w`)));
  own = await testWitness('log.example/second-site');
  policy = policyOf(signer.verifierKey, 2);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const named = () => witnesses.map(({ vkey }, at) => `witness w${at} ${vkey}\n`).join('');
function policyOf(logKey: string, threshold: number): string {
  return `log ${logKey}\n${named()}group all-of-them ${threshold} w0 w1 w2\nquorum all-of-them\n`;
}

const leafAt = (at: number, more: object = {}) =>
  Buffer.from(JSON.stringify({ id: at, time: (T0 + at) * 1000, ...more }));

/** A bundle of [30, 70) of a log of 120 entries, with three epochs at 20, 60 and 100 entries. */
async function bundle(plan: Plan = {}): Promise<Map<string, Uint8Array>> {
  const { to = TO, signerAt = () => signer, witnesses: by = () => witnesses.slice(0, 2) } = plan;
  const leaves: Uint8Array[] = Array.from({ length: SIZE }, (_, at) => leafAt(at, plan.leaves?.[at]));
  if (plan.leaves === undefined) {
    leaves[ERASED_IN] = leafAt(ERASED_IN, { _sd: DIGESTS });
    leaves[ERASED_BY] = leafAt(ERASED_BY, { type: tlog.PERSON_ERASED_TYPE, digests: [DIGESTS[0]] });
  }
  const superLog = superLogOf(await key.named(SUPER));
  const epochs: tlog.EpochEvidence[] = [];
  const seen = plan.seen?.(leaves) ?? leaves;
  for (const [at, size] of EPOCH_SIZES.entries()) {
    const checkpoint = logOf(signerAt(size), seen.slice(0, size)).note();
    const seconds = T0 + size;
    const collectedMs = (seconds - (plan.lateBy ?? 0)) * 1000;
    const evidence = await superLog.epoch({ epoch: at, checkpoint, seconds, collectedMs, witnesses: by(at) });
    const timestamp = plan.timestamp?.(tlog.parseNote(evidence.note)!.text);
    epochs.push(timestamp === undefined ? evidence : { ...evidence, timestamp });
  }
  const base = await tlog.beginBundle({
    origin: ORIGIN,
    from: FROM,
    leaves: leaves.slice(FROM, to),
    verifierKey: signerAt(SIZE).verifierKey,
    title: 'Example',
    witnesses: plan.policyWitnesses,
    epochs,
    related: new Map((plan.related ?? [ERASED_BY]).map((index) => [index, leaves[index]!])),
  });
  leaves[EXPORTED_AT] = leafAt(EXPORTED_AT, { public: { bundle: base.digest } });
  const log = logOf(signerAt(SIZE), leaves);
  const handovers = (await plan.handovers?.(log)) ?? [];
  const handedAt = handovers.map(({ checkpoint }) => tlog.parseCheckpointText(tlog.parseNote(checkpoint)!.text)!.size);
  const proofs = await Promise.all(Array.from({ length: to - FROM }, (_, at) => log.inclusion(FROM + at)));
  const consistency = await Promise.all(
    tlog
      .consistencyNeeds(base, { size: SIZE, also: handedAt })
      .map(async (need) => ({ ...need, proof: await log.consistency(need.from) })),
  );
  return tlog.completeBundle(base, {
    checkpoint: log.note(),
    proofs,
    relatedProofs: await Promise.all(base.related.map((index) => log.inclusion(index))),
    exported: { leaf: leaves[EXPORTED_AT]!, index: EXPORTED_AT, proof: await log.inclusion(EXPORTED_AT) },
    consistency,
    handovers,
  });
}

const verify = (files: tlog.BundleFiles, trust: tlog.OutsideTrust) =>
  tlog.verifyBundleFiles(tlog.nodePrimitives, { files, ...trust });

function unpack(files: tlog.BundleFiles): string {
  const folder = mkdtempSync(join(scratch, 'bundle-'));
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

describe('T12 T11: what a witnessed bundle says', () => {
  it('counts, range, who has co-signed since when, brackets, erasures, and what was not checked', async () => {
    const files = await bundle();
    const report = await verify(files, { keys: [], policy });
    expect(report).toMatchObject({
      exitCode: 0,
      problems: [],
      keySource: 'outside',
      witnesses: 2,
      range: { from: FROM, to: TO },
      entries: { expected: 40, verified: 40, missing: 0 },
      disclosures: { opened: 0, erased: 1, withheld: 1, erasures: [{ entry: ERASED_IN, values: 1, by: ERASED_BY }] },
      witnessing: {
        policy: 'outside',
        independent: 3,
        cosigned: 2,
        epochs: 3,
        since: new Date((T0 + 20) * 1000).toISOString(),
        until: 100,
        bracketed: 40,
        halfBracketed: 0,
      },
    });
    const text = tlog.formatReport(report);
    expect(text).toContain('co-signed by 2 of 3 independent witnesses since 2027-');
    expect(text).toContain(`entry ${ERASED_IN}: 1 erased, see entry ${ERASED_BY}`);
    expect(text).toContain('40 expected, 40 verified, 0 missing');
    expect(text).toContain('not checked: whether what an entry says is true');
    expect(await tlog.verifyBundleFiles(browserPrimitives, { files, keys: [], policy })).toEqual(report);
    expect(await bundle()).toEqual(files);
  });

  it('T18: a quorum that is not met for the whole range is exit code 3; nobody asked, 0; no key, 2', async () => {
    const files = await bundle();
    const exit = async (trust: tlog.OutsideTrust, of = files) => (await verify(of, trust)).exitCode;
    const log = signer.verifierKey;
    expect(await exit({ keys: [], policy: policyOf(log, 3) })).toBe(3);
    expect(await exit({ keys: [log, witnesses[2]!.vkey] })).toBe(3);
    expect(await exit({ keys: [log, witnesses[1]!.vkey] })).toBe(0);
    expect(await exit({ keys: [log] })).toBe(0);
    expect(await exit({ keys: [], policy: policyOf(log, 2).replace(`log ${log}\n`, '') })).toBe(2);
    expect(await exit({ keys: [log], policy: 'quorum nobody\n' })).toBe(1);
    const late = await bundle({ witnesses: (epoch) => (epoch === 2 ? [] : witnesses.slice(0, 2)) });
    const report = await verify(late, { keys: [], policy });
    expect(report).toMatchObject({ exitCode: 3, witnessing: { until: 60, bracketed: 30, halfBracketed: 10 } });
    expect(tlog.formatReport(report)).toContain('not yet co-signed: the newest 10 entries, [60, 70)');
  });

  it('witnesses that only the bundle names vouch for nothing; the operator’s own count as the operator', async () => {
    const files = await bundle({ policyWitnesses: `${named()}quorum w0\n` });
    const alone = await verify(files, { keys: [signer.verifierKey] });
    expect(alone).toMatchObject({ exitCode: 0, witnesses: 0, witnessing: { unvouched: 2, policy: 'bundle' } });
    expect(tlog.formatReport(alone)).toContain('no outside witness');
    const site = await bundle({ witnesses: () => [own] });
    const report = await verify(site, { keys: [signer.verifierKey, own.vkey] });
    expect(report).toMatchObject({ exitCode: 0, witnesses: 0, witnessing: { independent: 0, cosigned: 0, own: 1 } });
    expect(tlog.formatReport(report)).toContain('no outside witness');
  });
});

describe('T10 T19 T20: nothing of a witnessed bundle can be exchanged', () => {
  it('any byte of the evidence, any file of it missing, any more refuses it', async () => {
    const files = await bundle({ to: FROM + 3 });
    const refused = async (changed: Map<string, Uint8Array>, what: string) =>
      expect((await verify(changed, { keys: [], policy })).exitCode, what).toBe(1);
    for (const [name, bytes] of files) {
      if (!/^(epochs|consistency|related|policy)/.test(name)) continue;
      const step = Math.max(1, Math.floor(bytes.length / 12));
      for (let at = 0; at < bytes.length; at += step) {
        const bent = Buffer.from(bytes);
        bent[at]! ^= 1;
        await refused(new Map([...files, [name, bent]]), `${name} byte ${at}`);
      }
      const without = new Map(files);
      without.delete(name);
      await refused(without, `without ${name}`);
    }
    for (const name of [
      'epochs/0003.tlog-proof',
      'consistency/x',
      'related/000000000091.json',
      'handover/0000.tlog-proof',
    ])
      await refused(new Map([...files, [name, Buffer.from('x')]]), name);
  });

  it('an epoch that saw another history, or a shorter one, refuses it, whatever the witnesses signed', async () => {
    const forked = await bundle({ seen: (leaves) => [...leaves.slice(0, 40), leafAt(0), ...leaves.slice(41)] });
    const report = await verify(forked, { keys: [], policy });
    expect(report).toMatchObject({ exitCode: 1 });
    expect(report.problems.join('\n')).toContain('the log that was co-signed is not the log of this bundle');
  });

  it('T21: entries dated back or forward by the operator refuse it', async () => {
    const dated = async (at: number, seconds: number) => {
      const files = await bundle({ leaves: { [at]: { time: (T0 + seconds) * 1000 } } });
      return verify(files, { keys: [], policy });
    };
    expect((await dated(65, 55)).exitCode).toBe(0);
    for (const report of [await dated(65, -86_400), await dated(65, 103), await dated(35, 9)]) {
      expect(report.exitCode).toBe(1);
      expect(report.problems.join('\n')).toMatch(/entry (65|35) says 20.*, but was sealed between/);
    }
    const undated = await bundle({ leaves: { 40: { time: 'yesterday' } } });
    expect((await verify(undated, { keys: [], policy })).problems.join()).toContain('entry 40 says nothing readable');
    // Witnesses that come late bound from above only: entries were sealed after the epoch and before they looked.
    const late = { witnesses: () => witnesses.slice(0, 2), lateBy: 30 };
    expect(await verify(await bundle(late), { keys: [], policy })).toMatchObject({
      exitCode: 0,
      witnessing: { bracketed: 0, halfBracketed: 40 },
    });
    const unwitnessed = await bundle({ leaves: { 65: { time: 0 } }, witnesses: () => [] });
    expect((await verify(unwitnessed, { keys: [signer.verifierKey] })).exitCode).toBe(0);
  });
});

describe('T22: a bundle across a change of the log’s key', () => {
  const ROTATED_AT = 80;
  let next: tlog.NoteSigner;
  let facts: ReadonlyMap<number, object>;

  beforeAll(async () => {
    next = await testKey().named(ORIGIN);
    const entries = [90, 95, SIZE].map(async (until) => {
      return [until, await handedOver(signer, next, until - ROTATED_AT - 1)] as const;
    });
    facts = new Map(await Promise.all(entries));
  });

  const rotation = (until: number) => ({ type: tlog.KEY_ROTATED_TYPE, public: facts.get(until) });

  const plan = (): Plan => ({
    leaves: { [ROTATED_AT]: rotation(90) },
    related: [ROTATED_AT],
    signerAt: (size) => (size > ROTATED_AT ? next : signer),
    handovers: async (log) => {
      const before = logOf(signer, log.leaves.slice(0, 85));
      const proof = await before.inclusion(ROTATED_AT);
      return [{ extra: log.leaves[ROTATED_AT], index: ROTATED_AT, proof, checkpoint: before.note() }];
    },
  });
  const exit = async (files: tlog.BundleFiles, ...keys: string[]) => (await verify(files, { keys })).exitCode;

  it('is read with the old key alone, which has named the new one; epochs of both keys hold', async () => {
    const files = await bundle(plan());
    expect(await verify(files, { keys: [signer.verifierKey] })).toMatchObject({
      exitCode: 0,
      problems: [],
      keysUsed: [next.verifierKey],
      witnessing: { epochs: 3 },
    });
    expect(await exit(files, (await testKey().named(ORIGIN)).verifierKey)).toBe(1);
    const without = await bundle({ ...plan(), handovers: undefined });
    expect(await exit(without, signer.verifierKey)).toBe(1);
    expect(await exit(without, next.verifierKey, signer.verifierKey)).toBe(0);
    const unconnected = new Map(files);
    unconnected.delete(tlog.consistencyName(85, SIZE));
    expect(await exit(unconnected, signer.verifierKey)).toBe(1);
  });

  it('is read with the new key alone when both signed the handover: the log says which key it had before', async () => {
    const both = (): Plan => ({
      ...plan(),
      handovers: async (log) => {
        const during = logOf(signer, log.leaves.slice(0, 85));
        const proof = await during.inclusion(ROTATED_AT);
        return [{ extra: log.leaves[ROTATED_AT], index: ROTATED_AT, proof, checkpoint: during.note([signer, next]) }];
      },
    });
    expect(await verify(await bundle(both()), { keys: [next.verifierKey] })).toMatchObject({
      exitCode: 0,
      problems: [],
      witnessing: { epochs: 3 },
    });
    expect(await exit(await bundle(plan()), next.verifierKey)).toBe(1);
  });

  it('is refused when only the key that was given up has signed it', async () => {
    const late = await bundle({ ...plan(), signerAt: (size) => (size === SIZE ? next : signer) });
    const report = await verify(late, { keys: [signer.verifierKey] });
    expect(report).toMatchObject({ exitCode: 1 });
    expect(report.problems.join()).toContain("100 entries is signed with a key that was not the log's at that size");
    const old = await bundle({ leaves: { [ROTATED_AT]: rotation(95) }, related: [ROTATED_AT] });
    expect(await exit(old, signer.verifierKey)).toBe(1);
    const inTime = await bundle({ leaves: { [ROTATED_AT]: rotation(SIZE) }, related: [ROTATED_AT] });
    expect(await exit(inTime, signer.verifierKey)).toBe(0);
  });
});

describe('T13: programs from elsewhere read the evidence', () => {
  const missing = existsSync(OPENSSL) ? undefined : 'openssl is not installed';
  if (missing !== undefined && process.env['CI'] === 'true') throw new Error(missing);

  /** A time authority of its own: a key, a certificate for time stamping, OpenSSL's own program. */
  function authority(): { ca: string; stamp: (text: string) => string } {
    const folder = mkdtempSync(join(scratch, 'tsa-'));
    const at = (name: string) => join(folder, name);
    const openssl = (...args: string[]) => execFileSync(OPENSSL, args, { cwd: folder, stdio: 'ignore' });
    const config = [
      '[tsa]',
      'serial = serial',
      'default_policy = 1.2.3.4',
      'digests = sha256',
      'signer_digest = sha256',
    ];
    writeFileSync(at('serial'), '01\n');
    writeFileSync(at('tsa.cnf'), `${config.join('\n')}\n`);
    const subject = ['-nodes', '-subj', '/CN=Time authority of a test', '-days', '2'];
    const use = ['-addext', 'extendedKeyUsage=critical,timeStamping'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    openssl('req', '-x509', ...curve, ...subject, ...use, '-keyout', 'key.pem', '-out', 'ca.pem');
    return {
      ca: at('ca.pem'),
      stamp: (text) => {
        writeFileSync(at('text'), text);
        openssl('ts', '-query', '-data', 'text', '-sha256', '-cert', '-out', 'query');
        const signing = ['-config', 'tsa.cnf', '-section', 'tsa', '-signer', 'ca.pem', '-inkey', 'key.pem'];
        openssl('ts', '-reply', '-queryfile', 'query', ...signing, '-out', 'reply');
        return readFileSync(at('reply')).toString('base64');
      },
    };
  }

  it.skipIf(missing !== undefined)(
    'time tokens with openssl, the rest with the verifiers that travel along',
    async () => {
      const [ours, foreign] = [authority(), authority()];
      const files = await bundle({ timestamp: ours.stamp, to: FROM + 6 });
      const report = await verify(files, { keys: [], policy });
      expect(report).toMatchObject({ exitCode: 0, problems: [], witnessing: { timestamps: 3 } });
      expect(tlog.formatReport(report)).toContain('not checked: the signatures of 3 RFC 3161 time tokens');
      const folder = unpack(files);
      const run = (program: string, ...args: string[]) => {
        const { status, stdout } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' });
        return { status, stdout };
      };
      expect(run('sh', 'verify.sh', signer.verifierKey, ours.ca)).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('time tokens: 3 present, 3 verified'),
      });
      expect(run('sh', 'verify.sh', signer.verifierKey, foreign.ca).status).toBe(1);
      writeFileSync(join(scratch, 'policy'), policy);
      const script = run(process.execPath, 'verify.mjs', unpack(files), '--policy', join(scratch, 'policy'));
      expect(script).toEqual({ status: 0, stdout: tlog.formatReport(report) });
      const stranger = ['--key', signer.verifierKey, '--witness-key', witnesses[2]!.vkey];
      expect(run(process.execPath, 'verify.mjs', unpack(files), ...stranger).status).toBe(3);
      const swapped = await bundle({ timestamp: () => ours.stamp('another text') });
      expect((await verify(swapped, { keys: [], policy })).problems.join()).toContain('is about something else');
    },
  );
});
