import { beforeAll, describe, expect, it } from 'vitest';
import * as tlog from './index.ts';
import { handedOver, logOf, testKey, type TestLog } from './testing.ts';

const ORIGIN = 'log.example/log/4f3a/1';
const SECOND = 'log.example/log/4f3a/2';
const ROTATED_AT = 20;
const OVERLAP = 19;
const UNTIL = ROTATED_AT + 1 + OVERLAP;
const entry = (type: string, facts: Record<string, unknown>) => Buffer.from(JSON.stringify({ public: facts, type }));
const parse = async (text: string) => (await tlog.parseVerifierKey(text))!;

let oldSigner: tlog.NoteSigner;
let newSigner: tlog.NoteSigner;
let rotation: Buffer;
const filler = (count: number, word = 'x'): Uint8Array[] =>
  Array.from({ length: count }, (_, at) => Buffer.from(`${word}${at}`));

beforeAll(async () => {
  oldSigner = await testKey().named(ORIGIN);
  newSigner = await testKey().named(ORIGIN);
  rotation = entry(tlog.KEY_ROTATED_TYPE, await handedOver(oldSigner, newSigner, OVERLAP));
});

/** A log of `size` entries that names its new key at `ROTATED_AT`. */
function rotated(size: number, leaf = rotation): TestLog {
  const leaves = filler(size);
  leaves[ROTATED_AT] = leaf;
  return logOf(oldSigner, leaves);
}

async function handover(size: number, leaf = rotation, signers = [oldSigner]) {
  const log = rotated(size, leaf);
  return { note: log.note(signers), leaf, index: ROTATED_AT, proof: await log.inclusion(ROTATED_AT) };
}

describe('T22: a new key is the log’s only when the old one has named it, and only from there on', () => {
  const follow = async (input: Awaited<ReturnType<typeof handover>>, key = oldSigner.verifierKey) =>
    tlog.followRotationWith(tlog.nodePrimitives, [await parse(key)], input);

  it('leads from the old key to the new one while both sign', async () => {
    expect(await follow(await handover(25))).toMatchObject({ index: ROTATED_AT, until: UNTIL });
    expect(await follow(await handover(UNTIL, rotation, [newSigner, oldSigner]))).toMatchObject({
      newKey: { text: newSigner.verifierKey },
    });
  });

  it('leads back from the new key to the one before, over a checkpoint that the new one signed', async () => {
    const back = await follow(await handover(25, rotation, [newSigner, oldSigner]), newSigner.verifierKey);
    expect(back).toMatchObject({ oldKey: { text: oldSigner.verifierKey }, until: UNTIL });
    expect(await follow(await handover(25), newSigner.verifierKey)).toBeUndefined();
  });

  it('not from a key that nobody trusts, not too late, not for another log, not without the proof', async () => {
    const stranger = await testKey().named(ORIGIN);
    const elsewhere = await testKey().named('log.example/log/ffff/1');
    const facts = await handedOver(oldSigner, newSigner, OVERLAP);
    expect(await follow(await handover(25), stranger.verifierKey)).toBeUndefined();
    expect(await follow(await handover(25, rotation, [newSigner]))).toBeUndefined();
    expect(await follow(await handover(UNTIL + 1))).toBeUndefined();
    expect(await follow({ ...(await handover(25)), index: ROTATED_AT + 1 })).toBeUndefined();
    for (const bad of [
      entry('log.key.other', facts),
      entry(tlog.KEY_ROTATED_TYPE, await handedOver(oldSigner, elsewhere, OVERLAP)),
      entry(tlog.KEY_ROTATED_TYPE, { ...facts, newKey: 'none' }),
      entry(tlog.KEY_ROTATED_TYPE, await handedOver(oldSigner, newSigner, 0)),
      entry(tlog.KEY_ROTATED_TYPE, { ...facts, overlap: '19' }),
      entry(tlog.KEY_ROTATED_TYPE, { ...facts, overlap: OVERLAP + 1 }),
      // Whoever writes entries, but has not the old key, signs with what he has.
      entry(tlog.KEY_ROTATED_TYPE, {
        ...(await handedOver(stranger, stranger, OVERLAP)),
        oldKey: oldSigner.verifierKey,
      }),
      entry(tlog.KEY_ROTATED_TYPE, {
        ...(await handedOver(newSigner, newSigner, OVERLAP)),
        oldKey: oldSigner.verifierKey,
      }),
      Buffer.from('no json'),
    ])
      expect(await follow(await handover(25, bad)), bad.toString()).toBeUndefined();
  });

  it('the old key until its size, the new key from its entry, both in between', async () => {
    const [oldKey, newKey] = [await parse(oldSigner.verifierKey), await parse(newSigner.verifierKey)];
    const known = (await follow(await handover(25)))!;
    const counts = (size: number, ...keys: tlog.VerifierKey[]) =>
      tlog.isSignedInTime({ origin: ORIGIN, size, root: Buffer.alloc(32) }, keys, [known]);
    expect([ROTATED_AT, ROTATED_AT + 1, UNTIL, UNTIL + 1].map((size) => counts(size, oldKey))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect([ROTATED_AT, ROTATED_AT + 1, UNTIL + 1].map((size) => counts(size, newKey))).toEqual([false, true, true]);
    expect(counts(UNTIL + 1, oldKey, newKey)).toBe(true);
    expect(counts(5)).toBe(false);
  });
});

describe('T23: a new generation goes on from what was held, or says, signed, what is lost', () => {
  const KEPT = 30;
  const SIGNED = 34;
  let first: TestLog;
  let key: tlog.VerifierKey[];
  let second: tlog.NoteSigner;

  beforeAll(async () => {
    first = logOf(oldSigner, filler(KEPT));
    const after = testKey();
    second = await after.named(SECOND);
    key = [await parse(oldSigner.verifierKey), await parse(second.verifierKey)];
  });

  const opening = (over: Record<string, unknown> = {}) =>
    entry(tlog.GENERATION_OPENED_TYPE, {
      previousOrigin: ORIGIN,
      keptSize: KEPT,
      keptRoot: tlog.toBase64(first.root()),
      signedSize: SIGNED,
      signedRoot: tlog.toBase64(logOf(oldSigner, filler(SIGNED)).root()),
      reason: 'restored',
      ...over,
    });

  async function succeed(leaf: Uint8Array, held: TestLog, consistency: readonly Uint8Array[] = []) {
    const log = logOf(second, [leaf, ...filler(9)]);
    const proof = await log.inclusion(0);
    const input = { note: log.note(), leaf, proof, held: held.note(), consistency };
    return tlog.verifySuccessionWith(tlog.nodePrimitives, key, input);
  }

  it('accepts what was held before, at and inside the stated gap', async () => {
    const expected = { ok: true, lost: { from: KEPT, to: SIGNED }, generation: { reason: 'restored' } };
    expect(await succeed(opening(), first)).toMatchObject(expected);
    const before = logOf(oldSigner, filler(12));
    expect(await succeed(opening(), before, await first.consistency(12))).toMatchObject(expected);
    const inside = logOf(oldSigner, filler(32));
    expect(await succeed(opening(), inside, await inside.consistency(KEPT))).toMatchObject(expected);
    const whole = opening({ signedSize: undefined, signedRoot: undefined });
    expect(await succeed(whole, first)).toMatchObject({ ok: true, lost: { from: KEPT, to: KEPT } });
  });

  it('refuses a rewritten past, entries beyond the gap, and an opening that is none', async () => {
    const rewritten = logOf(oldSigner, filler(KEPT, 'y'));
    expect(await succeed(opening(), rewritten)).toMatchObject({ ok: false, reason: 'fork' });
    const beyond = logOf(oldSigner, filler(SIGNED + 1));
    expect(await succeed(opening(), beyond, await beyond.consistency(KEPT))).toMatchObject({
      reason: 'held-beyond-signed',
    });
    const inside = logOf(oldSigner, [...filler(KEPT - 1), Buffer.from('z'), ...filler(2)]);
    expect(await succeed(opening(), inside, await inside.consistency(KEPT))).toMatchObject({ reason: 'fork' });
    for (const bad of [
      opening({ previousOrigin: SECOND }),
      opening({ previousOrigin: 'log.example/log/ffff/1' }),
      opening({ keptSize: KEPT + 5 }),
      opening({ keptRoot: 'x' }),
      entry('other.type', {}),
    ])
      expect(await succeed(bad, first), bad.toString()).toMatchObject({ ok: false, reason: 'no-opening' });
    const stolen = await tlog.verifySuccessionWith(tlog.nodePrimitives, key.slice(0, 1), {
      note: logOf(second, [opening()]).note(),
      leaf: opening(),
      proof: [],
      held: first.note(),
      consistency: [],
    });
    expect(stolen).toMatchObject({ ok: false, reason: 'new-log' });
  });
});
