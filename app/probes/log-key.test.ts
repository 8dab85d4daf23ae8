import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, uuidV4 } from '@auditrax/base';
import {
  appendLeaves,
  createNoteSigner,
  edgeRoot,
  EMPTY_EDGE,
  formatCheckpointText,
  handoverText,
  inclusionProof,
  KEY_ROTATED_TYPE,
  leafHash,
  parseVerifierKey,
  signNote,
  toBase64,
  type NoteSigner,
} from '@auditrax/tlog';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KeyChangeProof, LedgerClient } from '../platform/audit/index.ts';
import { createLogReader } from './log-key.ts';

const TENANT = uuidV4(systemRandom);
const TENANT_LOG = 'test.example/log/aa/1';
const SUPER_LOG = 'test.example/log/super/1';
const pair = () => generateKeyPairSync('ed25519').privateKey;

/** A change of the super-log's key by its first entry, as the ledger tells it. */
async function change(from: NoteSigner, to: NoteSigner, word = from): Promise<KeyChangeProof> {
  const newKey = (await parseVerifierKey(to.verifierKey))!;
  const line = word.signLine(handoverText({ newKey, overlap: 5 }));
  const handover = Buffer.from(line.split(' ')[2]!, 'base64').subarray(4).toString('base64');
  const facts = { oldKey: from.verifierKey, newKey: to.verifierKey, overlap: 5, handover };
  const leaf = Buffer.from(JSON.stringify({ type: KEY_ROTATED_TYPE, public: facts }));
  const { edge } = appendLeaves(EMPTY_EDGE, [leafHash(leaf)]);
  const proof = await inclusionProof({ index: 0, size: 1 }, async () => Buffer.concat(edge.partial[0]!));
  const note = signNote(formatCheckpointText({ origin: SUPER_LOG, size: 1, root: edgeRoot(edge) }), [from, to]);
  return { note, leaf: toBase64(leaf), index: 0, proof: proof.map(toBase64) };
}

describe('the log’s key as the sentinel trusts it', () => {
  let folder: string;
  let changes: KeyChangeProof[];
  let key = pair();
  const reader = () => {
    const ledger = {
      checkpoint: async () => {
        const signer = await createNoteSigner(TENANT_LOG, key);
        const root = edgeRoot(EMPTY_EDGE);
        const note = signNote(formatCheckpointText({ origin: TENANT_LOG, size: 0, root }), [signer]);
        return { origin: TENANT_LOG, size: 0, root: toBase64(root), note, verifierKey: signer.verifierKey };
      },
      keyChanges: (tenantId: string | null) => Promise.resolve(tenantId === null ? changes : []),
    } as Partial<LedgerClient> as LedgerClient;
    const door = { system: () => Promise.resolve([]) } as never;
    return createLogReader({ doorOf: () => Promise.resolve(door), ledger, pinFile: join(folder, 'log-key') });
  };
  const read = () => reader().proofsOf(TENANT, [TENANT]);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ax-pin-'));
    changes = [];
    key = pair();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is the one first seen; another is refused, whatever the ledger says of it', async () => {
    await read();
    const [old, thief] = [key, pair()];
    key = thief;
    await expect(read()).rejects.toMatchObject({ code: 'log_key_changed' });
    const [from, to] = [await createNoteSigner(SUPER_LOG, old), await createNoteSigner(SUPER_LOG, thief)];
    changes = [await change(from, to, to)];
    await expect(read()).rejects.toMatchObject({ code: 'log_key_changed' });
    changes = [await change(to, to)];
    await expect(read()).rejects.toMatchObject({ code: 'log_key_changed' });
    expect(readFileSync(join(folder, 'log-key'), 'utf8').trim().split('\n')).toHaveLength(1);
  });

  it('leads to those that it handed over to, over several steps, and stays with them', async () => {
    await read();
    const signers = [key, pair(), pair()];
    const named = await Promise.all(signers.map((one) => createNoteSigner(SUPER_LOG, one)));
    changes = [await change(named[0]!, named[1]!), await change(named[1]!, named[2]!)];
    key = signers[2]!;
    await read();
    changes = [];
    await read();
    key = signers[0]!; // a log whose turn has not come yet
    await read();
  });

  it('is forgotten by the operator’s order alone', async () => {
    await read();
    key = pair();
    await expect(read()).rejects.toMatchObject({ code: 'log_key_changed' });
    reader().trustAnew();
    await read();
  });
});
