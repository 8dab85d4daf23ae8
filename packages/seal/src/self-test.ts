import type { ChunkJob, SealEngine } from './engine.ts';
import { sealError } from './errors.ts';
import { CHUNK_BYTES, SEALED_CHUNK_BYTES, XAES_NONCE_BYTES } from './sizes.ts';
import { TAG_BYTES } from './gcm.ts';

/** The two published vectors of c2sp.org/XAES-256-GCM: the byte that the key repeats, associated data, sealed bytes. */
const XAES_VECTORS = [
  { keyByte: 0x01, aad: '', sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271' },
  { keyByte: 0x03, aad: 'c2sp.org/XAES-256-GCM', sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d' },
] as const;
const XAES_NONCE = 'ABCDEFGHIJKLMNOPQRSTUVWX';
const XAES_PLAINTEXT = 'XAES-256-GCM';

/** Test case 14 of "The Galois/Counter Mode of Operation" (McGrew, Viega): everything zero. */
const GCM_ZERO = 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919';

/**
 * Known answers, and refusals, that an engine must give before it is used. Throws `self_test_failed`. Takes some tenths
 * of a millisecond.
 */
export function selfTest(engine: SealEngine): void {
  for (const vector of XAES_VECTORS) checkRecord(engine, vector);
  checkChunks(engine);
}

function checkRecord(engine: SealEngine, vector: (typeof XAES_VECTORS)[number]): void {
  const key = engine.recordKey(Buffer.alloc(32, vector.keyByte));
  const aad = Buffer.from(vector.aad);
  const plaintext = Buffer.from(XAES_PLAINTEXT);
  const sealed = Buffer.alloc(XAES_NONCE_BYTES + plaintext.length + TAG_BYTES);
  sealed.write(XAES_NONCE);
  const sealing = Uint32Array.of(0, aad.length, 0, plaintext.length, 0);
  const done = key.run({ seals: true, count: 1, table: sealing, aad, input: plaintext, output: sealed });
  demand(engine, done === 1 && sealed.toString('hex', XAES_NONCE_BYTES) === vector.sealed, 'XAES-256-GCM');
  const output = Buffer.alloc(plaintext.length);
  const opening = { seals: false, count: 1, table: Uint32Array.of(0, aad.length, 0, sealed.length, 0), aad, output };
  demand(engine, key.run({ ...opening, input: sealed }) === 1 && output.equals(plaintext), 'XAES-256-GCM');
  sealed[sealed.length - 1]! ^= 1;
  demand(engine, key.run({ ...opening, input: sealed }) === 0 && isZero(output), 'refusing a changed tag');
  key.destroy();
}

function checkChunks(engine: SealEngine): void {
  const zero = { key: Buffer.alloc(32), baseNonce: Buffer.alloc(12) };
  const run = (seals: boolean, job: ChunkJob, baseNonce = zero.baseNonce): number => {
    const key = engine.chunkKey({ ...zero, baseNonce, seals });
    const done = key.run(job);
    key.destroy();
    return done;
  };
  const block = Buffer.alloc(16);
  const sealedBlock = Buffer.alloc(32);
  const first = { firstIndex: 0, isEnd: true };
  demand(engine, run(true, { ...first, input: block, output: sealedBlock }) === 1, 'AES-256-GCM');
  demand(engine, sealedBlock.toString('hex') === GCM_ZERO, 'AES-256-GCM');
  // A base nonce that the counter cancels out gives the same known answer.
  const counter = { ...first, firstIndex: 0x01_2345_6789, input: block, output: sealedBlock.fill(0) };
  demand(engine, run(true, counter, Buffer.from('000000000000000123456789', 'hex')) === 1, 'the chunk counter');
  demand(engine, sealedBlock.toString('hex') === GCM_ZERO, 'the chunk counter');
  // Two whole chunks and a final one, from an index whose counter spans several bytes.
  const place = { firstIndex: 0x01ff_ffff, isEnd: true };
  const plaintext = Buffer.alloc(2 * CHUNK_BYTES + 5, 0x5a);
  const sealed = Buffer.alloc(2 * SEALED_CHUNK_BYTES + 5 + TAG_BYTES);
  const output = Buffer.alloc(plaintext.length);
  demand(engine, run(true, { ...place, input: plaintext, output: sealed }) === 3, 'chunks');
  demand(engine, run(false, { ...place, input: sealed, output }) === 3 && output.equals(plaintext), 'chunks');
  // At its own index a chunk opens alone; at another it does not.
  const second = { isEnd: false, input: sealed.subarray(SEALED_CHUNK_BYTES, 2 * SEALED_CHUNK_BYTES), output };
  demand(engine, run(false, { ...second, firstIndex: place.firstIndex + 1 }) === 1, 'the chunk counter');
  demand(engine, run(false, { ...second, firstIndex: place.firstIndex }) === 0, 'the chunk counter');
  demand(engine, isZero(output.subarray(0, CHUNK_BYTES)), 'wiping what does not open');
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function demand(engine: SealEngine, holds: boolean, what: string): void {
  if (!holds) throw sealError('self_test_failed', `the ${engine.name} engine fails its self-test: ${what}`);
}
