import { KEY_ROTATED_TYPE, toBase64, type NoteSigner } from '@auditrax/tlog';
import { handedOver, logOf, testKey } from '@auditrax/tlog/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { openSigned, type KeyChange, type VerifyStep } from './browser-key.ts';

const ORIGIN = 'auditrax.example/log/a1b2/1';
const CHANGED_AT = 6;
const OVERLAP = 4;
/** The largest that the old key signs. */
const UNTIL = CHANGED_AT + 1 + OVERLAP;
const SIZE = 30;

let first: NoteSigner;
let second: NoteSigner;
let leaves: Buffer[];

const logAt = (size: number, signer = first) => logOf(signer, leaves.slice(0, size));

/** The change as the ledger proves it at `size`, on its way to the log of `SIZE` entries. */
async function changeAt(size: number, signers: NoteSigner[]): Promise<KeyChange> {
  const log = logAt(size);
  return {
    note: log.note(signers),
    leaf: toBase64(leaves[CHANGED_AT]!),
    index: CHANGED_AT,
    proof: (await log.inclusion(CHANGED_AT)).map(toBase64),
    consistency: (await logAt(SIZE).consistency(size)).map(toBase64),
  };
}

async function open(input: { note: string; key: NoteSigner; changes: KeyChange[] }) {
  const steps: VerifyStep[] = [];
  const opened = await openSigned(
    { checkpoint: input.note, vkey: input.key.verifierKey, changes: input.changes },
    steps,
  );
  return { opened, steps };
}

beforeAll(async () => {
  first = await testKey().named(ORIGIN);
  second = await testKey().named(ORIGIN);
  const facts = await handedOver(first, second, OVERLAP);
  leaves = Array.from({ length: SIZE }, (_, at) => Buffer.from(`{"n":${at}}`));
  leaves[CHANGED_AT] = Buffer.from(JSON.stringify({ type: KEY_ROTATED_TYPE, public: facts }));
});

describe('a checkpoint after the log’s key was changed, in the browser', () => {
  it('opens for whoever trusts the key of before, over the entry that names the new one', async () => {
    const now = logAt(SIZE).note([second]);
    expect((await open({ note: now, key: first, changes: [] })).opened).toBeUndefined();
    const { opened, steps } = await open({ note: now, key: first, changes: [await changeAt(UNTIL, [first, second])] });
    expect(steps.filter(({ ok }) => !ok)).toEqual([]);
    expect(opened?.keys.map(({ text }) => text)).toEqual([first.verifierKey, second.verifierKey]);
  });

  it('opens for whoever trusts the new key, and knows the old one by which early epochs were signed', async () => {
    const changes = [await changeAt(UNTIL, [first, second])];
    const { opened } = await open({ note: logAt(SIZE).note([second]), key: second, changes });
    expect(opened?.keys).toHaveLength(2);
  });

  it('not under the old key when its time is over, nor by a change of another history, an altered one or a stranger’s', async () => {
    const good = await changeAt(UNTIL, [first, second]);
    const now = logAt(SIZE).note([second]);
    const stranger = await testKey().named(ORIGIN);
    const forged = logOf(first, leaves.with(3, Buffer.from('{}')).slice(0, UNTIL));
    const elsewhere: KeyChange = {
      ...good,
      note: forged.note([first, second]),
      proof: (await forged.inclusion(CHANGED_AT)).map(toBase64),
    };
    const failing = [
      await open({ note: logAt(SIZE).note([first]), key: first, changes: [good] }),
      await open({ note: now, key: first, changes: [elsewhere] }),
      await open({ note: now, key: first, changes: [good, { ...good, index: CHANGED_AT + 1 }] }),
      await open({ note: now, key: first, changes: [{ ...good, leaf: '?' }] }),
      await open({ note: now, key: first, changes: [{ ...good, consistency: [] }] }),
      await open({ note: now, key: first, changes: [{ ...good, consistency: ['?'] }] }),
      await open({ note: now, key: stranger, changes: [good] }),
    ];
    for (const [at, { steps }] of failing.entries())
      expect(
        steps.some(({ ok }) => !ok),
        `case ${at}`,
      ).toBe(true);
  });
});
