import { toBase64 } from '@auditrax/tlog';
import { logOf, superLogOf, testKey, testWitness, type TestWitness } from '@auditrax/tlog/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { OutsideProof } from './browser-outside.ts';
import { verifyEntryInBrowser, type EntryProofInput } from './browser-verify.ts';

const PREFIX = 'auditrax.example/log/';
const ORIGIN = `${PREFIX}a1b2/1`;
const SECONDS = 1_795_000_000;
const leaves = Array.from({ length: 12 }, (_, at) => Buffer.from(`{"v":1,"n":${at}}`));
const AT = 7;

let entry: Omit<EntryProofInput, 'outside'>;
let outside: OutsideProof;
let witnesses: TestWitness[];

const policyOf = (some: readonly TestWitness[], k: number) =>
  `${some.map((one, at) => `witness w${at} ${one.vkey}`).join('\n')}\ngroup g ${k} ${some.map((_, at) => `w${at}`).join(' ')}\nquorum g\n`;
/** The steps about others; those about the log itself come first, and are the same five each time. */
const OWN_STEPS = 5;
const check = async (more: Partial<OutsideProof> = {}, other: Partial<EntryProofInput> = {}) =>
  (await verifyEntryInBrowser({ ...entry, outside: { ...outside, ...more }, ...other })).steps.slice(OWN_STEPS);

beforeAll(async () => {
  const key = testKey();
  const log = logOf(await key.named(ORIGIN), leaves);
  entry = {
    leaf: leaves[AT]!.toString('utf8'),
    index: AT,
    proof: (await log.inclusion(AT)).map(toBase64),
    checkpoint: log.note(),
    vkey: log.signer.verifierKey,
    changes: [],
  };
  witnesses = [await testWitness('one.example'), await testWitness('two.example'), await testWitness('three.example')];
  const superLog = superLogOf(await key.named(`${PREFIX}super/1`));
  await superLog.epoch({ epoch: 1, checkpoint: log.note(), seconds: SECONDS - 60, witnesses: [] });
  const evidence = await superLog.epoch({
    epoch: 2,
    checkpoint: log.note(),
    seconds: SECONDS,
    witnesses: witnesses.slice(0, 2),
  });
  outside = { evidence, path: (await log.inclusion(AT)).map(toBase64), policy: policyOf(witnesses, 2) };
});

describe('what others have seen, in the browser', () => {
  it('says how many co-signed and when, and names them', async () => {
    const [held, seen] = await check();
    expect(held).toMatchObject({ ok: true, detail: 'epoch 2, at 12 entries of this log' });
    expect(seen).toMatchObject({ ok: true, detail: expect.stringContaining('2 of 3 (w0, w1), by 2026-11-18') });
  });

  it('says nothing where there is nothing to say: no epoch yet, no witness, too few', async () => {
    expect(await check({}, { outside: null })).toMatchObject([{ ok: null }]);
    expect(await check({ policy: null })).toMatchObject([{ ok: true }, { ok: null }]);
    expect(await check({ policy: policyOf(witnesses, 3) })).toMatchObject([
      { ok: true },
      { ok: null, detail: expect.stringContaining('2 of 3, fewer than') },
    ]);
    expect(await check({ policy: 'quorum none\n' })).toMatchObject([{ ok: true }, { ok: null }]);
  });

  it('fails for another entry, another place, another path, a changed slot, another house, another key, a broken policy', async () => {
    const other = testKey();
    const foreign = await other.named(ORIGIN);
    const elsewhere = superLogOf(await other.named(`${PREFIX}super/1`));
    const forged = await elsewhere.epoch({
      epoch: 2,
      checkpoint: outside.evidence.checkpoint,
      seconds: SECONDS,
      witnesses,
    });
    const failing = [
      await check({}, { leaf: leaves[AT + 1]!.toString('utf8') }),
      await check({}, { index: AT + 1 }),
      await check({ path: outside.path.slice(1) }),
      await check({ path: ['?'] }),
      await check({ evidence: { ...outside.evidence, slot: 4 } }),
      await check({ evidence: forged }),
      await check({ evidence: {} as never }),
      await check({}, { vkey: foreign.verifierKey, checkpoint: logOf(foreign, leaves).note() }),
      await check({ policy: 'witness\n' }),
    ];
    expect(await verifyEntryInBrowser({ ...entry, outside, vkey: 'x' })).toMatchObject({ ok: false });
    for (const steps of failing) expect(steps.at(-1)!.ok, JSON.stringify(steps)).toBe(false);
  });
});
