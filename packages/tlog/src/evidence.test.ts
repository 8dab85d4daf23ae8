import { beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import * as tlog from './index.ts';
import { logOf, superLogOf, testKey, testWitness, type TestLog, type TestWitness } from './testing.ts';
import { browserPrimitives } from './verify-browser.ts';

const ORIGIN = 'log.example/log/4f3a/1';
const SUPER = 'log.example/log/super/1';
const T0 = 1_800_000_000;
const leaves = (count: number, word = 'leaf') =>
  Array.from({ length: count }, (_, at) => Buffer.from(`{"n":"${word} ${at}"}`));

let tenant: TestLog;
let witness: TestWitness;
let stranger: TestWitness;
let evidence: tlog.EpochEvidence;
let trust: tlog.EpochTrust;
let superKey: ReturnType<typeof testKey>;
let tenantKey: ReturnType<typeof testKey>;
const parse = async (text: string) => (await tlog.parseVerifierKey(text))!;

beforeAll(async () => {
  tenantKey = testKey();
  superKey = testKey();
  tenant = logOf(await tenantKey.named(ORIGIN), leaves(300));
  witness = await testWitness('witness.example/w1');
  stranger = await testWitness('stranger.example/s');
  const superLog = superLogOf(await superKey.named(SUPER));
  await superLog.epoch({ epoch: 1, checkpoint: tenant.note(), seconds: T0 - 60, witnesses: [] });
  evidence = await superLog.epoch({
    epoch: 2,
    checkpoint: tenant.note(),
    seconds: T0,
    witnesses: [stranger, witness],
  });
  trust = {
    tenantOrigin: ORIGIN,
    logKeys: [await parse(tenant.signer.verifierKey), await parse(superLog.signer.verifierKey)],
    witnessKeys: [await parse(witness.vkey)],
  };
});

const both = async (changed: tlog.EpochEvidence, by: tlog.EpochTrust = trust) => {
  const verdict = await tlog.verifyEpochWith(tlog.nodePrimitives, changed, by);
  expect(await tlog.verifyEpochWith(browserPrimitives, changed, by)).toEqual(verdict);
  return verdict;
};

describe('T19: an epoch is accepted exactly when slot, entry, super-log and both signatures hold together', () => {
  it('holds, says who has co-signed and when, and ignores witnesses that nobody named', async () => {
    expect(await both(evidence)).toMatchObject({
      ok: true,
      epoch: {
        leaf: { epoch: 2, slots: 8 },
        superLog: { origin: SUPER, size: 2 },
        tenant: { origin: ORIGIN, size: 300 },
        cosignatures: [{ seconds: T0, key: { name: 'witness.example/w1' } }],
      },
    });
    expect(await both(evidence, { ...trust, witnessKeys: [] })).toMatchObject({
      ok: true,
      epoch: { cosignatures: [] },
    });
  });

  it('refuses every other slot, salt, path, entry, place and signer', async () => {
    const other = logOf(tenant.signer, leaves(300, 'other'));
    const foreign = logOf(await tenantKey.named('log.example/log/0000/1'), tenant.leaves);
    const leaf = tlog.parseEpochLeaf(evidence.leaf)!;
    const swap = (hashes: readonly string[]) => [hashes[1]!, hashes[0]!, ...hashes.slice(2)];
    const unsigned = evidence.note.slice(0, evidence.note.indexOf('\n\n') + 2);
    const cosigned = evidence.note.split('\n').slice(-2).join('\n');
    const changes: [string, string, Partial<tlog.EpochEvidence>][] = [
      ['another slot', 'not-in-slot', { slot: 4 }],
      ['a slot behind the last', 'not-in-slot', { slot: 13 }],
      ['another salt', 'not-in-slot', { salt: Buffer.alloc(32, 1).toString('base64') }],
      ['a salt that is too short', 'not-in-slot', { salt: Buffer.alloc(31, 1).toString('base64') }],
      ['a path in another order', 'not-in-slot', { slotProof: swap(evidence.slotProof) }],
      ['a path that is too short', 'not-in-slot', { slotProof: evidence.slotProof.slice(1) }],
      ['another checkpoint of the same size', 'not-in-slot', { checkpoint: other.note() }],
      ['the same with the slot forged', 'not-in-super-log', forgeSlot(other.note(), leaf)],
      ['another index', 'not-in-super-log', { index: 0 }],
      ['an entry that says another time', 'not-in-super-log', { leaf: tlog.formatEpochLeaf({ ...leaf, time: 1 }) }],
      ['an entry in another spelling', 'malformed', { leaf: evidence.leaf.replace(':', ': ') }],
      ['slots that are no power of two', 'malformed', { leaf: evidence.leaf.replace('"slots":8', '"slots":7') }],
      ['no signature of the super-log', 'super-log', { note: `${unsigned}${cosigned}` }],
      ['a witness with a false time', 'super-log', { note: withFalseTime() }],
      ['a witness that signs twice', 'super-log', { note: evidence.note + witness.line(textOf(evidence), T0 + 1) }],
      ['a tenant checkpoint that nobody signed', 'tenant-log', { checkpoint: tenant.note([]) + unknownLine() }],
    ];
    for (const [what, reason, change] of changes)
      expect(await both({ ...evidence, ...change }), what).toMatchObject({ ok: false, reason });
    const superLog = superLogOf(await superKey.named(SUPER));
    const elsewhere = { epoch: 3, seconds: T0, witnesses: [witness] };
    const about = await superLog.epoch({ ...elsewhere, checkpoint: foreign.note() });
    const keys = [...trust.logKeys, await parse(foreign.signer.verifierKey)];
    expect(await both(about, { ...trust, logKeys: keys })).toMatchObject({ ok: false, reason: 'tenant-log' });
    const strange = superLogOf(await superKey.named('elsewhere.example/log/super/1'));
    const strangeKeys = [...trust.logKeys, await parse(strange.signer.verifierKey)];
    const fromElsewhere = await strange.epoch({ ...elsewhere, checkpoint: tenant.note() });
    expect(await both(fromElsewhere, { ...trust, logKeys: strangeKeys })).toMatchObject({
      ok: false,
      reason: 'super-log',
    });
    for (const junk of [
      null,
      7,
      {},
      { ...evidence, more: 1 },
      { ...evidence, proof: ['x'] },
      { ...evidence, slot: -1 },
    ])
      expect(await both(junk as tlog.EpochEvidence)).toMatchObject({ ok: false, reason: 'malformed' });
  });

  const textOf = ({ note }: tlog.EpochEvidence) => tlog.parseNote(note)!.text;
  const unknownLine = () => stranger.line('x\n', 1);
  const withFalseTime = () =>
    `${evidence.note.slice(0, evidence.note.lastIndexOf('\u2014'))}${witness.line(textOf(evidence), T0, T0 - 3600)}`;
  /** The operator makes up a slot tree for another checkpoint; the entry in the super-log gives it away. */
  function forgeSlot(checkpoint: string, leaf: tlog.EpochLeaf): Partial<tlog.EpochEvidence> {
    const text = tlog.parseNote(checkpoint)!.text;
    const slot = tlog.leafHash(tlog.slotLeaf(Buffer.from(evidence.salt, 'base64'), text));
    const forged = { ...leaf, slots: 1, root: slot.toString('base64') };
    return { checkpoint, slot: 0, slotProof: [], leaf: tlog.formatEpochLeaf(forged) };
  }
});

describe('T20: epochs about one log agree with each other', () => {
  it('one slot for ever; numbers, sizes and places in one order', async () => {
    const superLog = superLogOf(await superKey.named(SUPER));
    const grown = logOf(tenant.signer, leaves(310));
    const rewritten = logOf(tenant.signer, leaves(310, 'rewritten'));
    const make = async (epoch: number, log: TestLog, slot = 5) => {
      const made = await superLog.epoch({ epoch, checkpoint: log.note(), seconds: T0 + epoch, witnesses: [], slot });
      const verdict = await tlog.verifyEpochWith(tlog.nodePrimitives, made, trust);
      if (!verdict.ok) throw new Error(verdict.detail);
      return { evidence: made, epoch: verdict.epoch };
    };
    const [one, two] = [await make(1, tenant), await make(2, grown)];
    const moved = await make(3, grown, 6);
    const again = await make(3, grown);
    const shorter = await make(4, tenant);
    const forked = await make(5, rewritten);
    expect(tlog.epochsDisagree([two, one, again])).toBeUndefined();
    expect(tlog.epochsDisagree([one, one])).toContain('one place');
    expect(tlog.epochsDisagree([one, two, moved])).toContain('different slots');
    expect(tlog.epochsDisagree([one, moved, again])).toContain('different slots');
    expect(tlog.epochsDisagree([two, { ...again, epoch: { ...again.epoch, leaf: two.epoch.leaf } }])).toContain(
      'order',
    );
    expect(tlog.epochsDisagree([two, shorter])).toContain('shorter');
    expect(tlog.epochsDisagree([two, forked])).toContain('two logs of one size');
  });

  it('T8: the list of epochs has one spelling', () => {
    const text = tlog.formatEpochs([evidence, { ...evidence, timestamp: 'AAAA' }]);
    expect(tlog.parseEpochs(text)).toHaveLength(2);
    expect(tlog.parseEpochs(tlog.formatEpochs([]))).toEqual([]);
    for (const bad of [`${text} `, text.replace('[\n', '['), text.replace('"index"', '"Index"'), '{}\n', ''])
      expect(tlog.parseEpochs(bad), bad.slice(0, 20)).toBeUndefined();
  });
});

describe('T21: an entry that is dated outside the times at which witnesses saw the log is refused', () => {
  const marks: tlog.TimeMark[] = [
    { size: 200, timeMs: 2_000_000 },
    { size: 100, timeMs: 1_000_000 },
  ];

  it('between two marks, before the first and behind the last, with the slack of two clocks', () => {
    expect(tlog.bracketOf(marks, 150)).toEqual({ fromMs: 1_000_000, untilMs: 2_000_000 });
    expect(tlog.bracketOf(marks, 99)).toEqual({ fromMs: undefined, untilMs: 1_000_000 });
    expect(tlog.bracketOf(marks, 100)).toEqual({ fromMs: 1_000_000, untilMs: 2_000_000 });
    expect(tlog.bracketOf(marks, 200)).toEqual({ fromMs: 2_000_000, untilMs: undefined });
    const inside = (timeMs: number, index: number) => tlog.isInBracket(timeMs, tlog.bracketOf(marks, index));
    expect([990_000, 989_999, 2_002_000, 2_002_001].map((time) => inside(time, 150))).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect([0, 1_002_000, 1_002_001].map((time) => inside(time, 0))).toEqual([true, true, false]);
    expect([1_989_999, 1_990_000, 9e15].map((time) => inside(time, 500))).toEqual([false, true, true]);
    expect(tlog.isInBracket(5, tlog.bracketOf([], 5))).toBe(true);
    const late = marks.map((mark) => ({ ...mark, isLate: true }));
    expect(tlog.bracketOf(late, 150)).toEqual({ fromMs: undefined, untilMs: 2_000_000 });
  });

  it('more marks never widen a bracket', () => {
    const mark = fc.record({ size: fc.nat(1000), timeMs: fc.nat(1_000_000) });
    const entry = fc.record({ index: fc.nat(1000), timeMs: fc.nat(1_000_000) });
    fc.assert(
      fc.property(fc.array(mark), mark, entry, (some, more, { index, timeMs }) => {
        const narrow = tlog.isInBracket(timeMs, tlog.bracketOf([...some, more], index));
        if (narrow) expect(tlog.isInBracket(timeMs, tlog.bracketOf(some, index))).toBe(true);
      }),
    );
  });

  it('a larger log that was seen long before a smaller one is a lie of somebody', () => {
    expect(tlog.marksDisagree(marks)).toBe(false);
    expect(tlog.marksDisagree([...marks, { size: 300, timeMs: 1_990_000 }])).toBe(false);
    expect(tlog.marksDisagree([...marks, { size: 300, timeMs: 1_900_000 }])).toBe(true);
    expect(tlog.marksDisagree([...marks, { size: 200, timeMs: 1 }])).toBe(false);
  });
});

describe('T6: two signatures of one known key', () => {
  it('refuse the note, so that no reader can choose a time; two of unknown keys do not', async () => {
    const key = await parse(tenant.signer.verifierKey);
    const note = tenant.note();
    expect(await tlog.openCheckpoint(tenant.note([tenant.signer, tenant.signer]), [key])).toMatchObject({
      ok: false,
      reason: 'duplicate-signature',
    });
    const text = tlog.parseNote(note)!.text;
    const twice = note + stranger.line(text, 1) + stranger.line(text, 2);
    expect(await tlog.openCheckpoint(twice, [key])).toMatchObject({ ok: true, cosignatures: [] });
    expect(await tlog.openCheckpoint(twice, [key, await parse(stranger.vkey)])).toMatchObject({ ok: false });
    expect(
      await tlog.openCheckpoint(note + witness.line(text, 2 ** 50), [key, await parse(witness.vkey)]),
    ).toMatchObject({ ok: false, reason: 'bad-signature' });
  });
});
