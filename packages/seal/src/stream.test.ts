import { isAppError, systemRandom, uuidV4 } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openedMessageBytes, sealedMessageBytes } from './chunked.ts';
import { CHUNK_BYTES, SALT_BYTES, SEALED_CHUNK_BYTES } from './sizes.ts';
import { checkPartHeader, decodePartHeader, encodePartHeader, partContext, sealedPartBytes } from './part.ts';
import { decryptRange } from './range.ts';
import { decryptStream, encryptStream } from './stream.ts';
import type { SealEngine } from './engine.ts';
import { referenceEngine } from './engine-reference.ts';
import { MessageOpener, MessageSealer } from './message.ts';
import { ENGINES } from './testing/engines.ts';

const EMPTY = Buffer.alloc(0);
/** Sizes around the chunk boundaries, where off-by-one errors live. */
const SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 5];

async function all(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const held: Uint8Array[] = [];
  for await (const piece of pieces) held.push(piece);
  return Buffer.concat(held);
}

async function sealAll(plaintext: Uint8Array, context: Buffer = EMPTY, engine: SealEngine = referenceEngine) {
  const input = { key: systemRandom.bytes(32), salt: systemRandom.bytes(SALT_BYTES), context, engine };
  return { input, sealed: await all(encryptStream(input, [plaintext])) };
}

/** Feeds `bytes` in steps through a transformer that has only so much room for each call. */
function drive(
  transformer: Pick<MessageSealer, 'update' | 'finish'>,
  bytes: Uint8Array,
  { step, room }: { step: number; room: number },
): Buffer {
  const pieces: Buffer[] = [];
  const output = Buffer.alloc(room);
  for (let at = 0; at < bytes.length;) {
    const { read, written } = transformer.update(bytes.subarray(at, at + step), output);
    at += read;
    pieces.push(Buffer.from(output.subarray(0, written)));
    expect(read + written).toBeGreaterThan(0);
  }
  pieces.push(Buffer.from(output.subarray(0, transformer.finish(output))));
  return Buffer.concat(pieces);
}

async function released(input: Parameters<typeof decryptStream>[0], sealed: Uint8Array) {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of decryptStream(input, [sealed])) pieces.push(piece);
  } catch (error) {
    return { bytes: Buffer.concat(pieces), code: isAppError(error) ? error.code : String(error) };
  }
  return { bytes: Buffer.concat(pieces), code: undefined };
}

describe.each(ENGINES)('S7: a stream is whole or refused ($name engine)', (engine) => {
  it.each(SIZES)('%d bytes come back, and the lengths agree with the formulas', async (size) => {
    const plaintext = systemRandom.bytes(size);
    const { input, sealed } = await sealAll(plaintext, EMPTY, engine);
    expect(sealed.length).toBe(sealedMessageBytes(size));
    expect(openedMessageBytes(sealed.length)).toBe(size);
    expect((await all(decryptStream(input, [sealed]))).equals(plaintext)).toBe(true);
  });

  it('how the bytes arrive does not matter', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40_000 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 50_000 }),
        async (pieces, cut) => {
          const input = { key: systemRandom.bytes(32), salt: systemRandom.bytes(SALT_BYTES), context: EMPTY, engine };
          const sealed = await all(encryptStream(input, pieces));
          const arriving: Buffer[] = [];
          for (let at = 0; at < sealed.length; at += cut) arriving.push(sealed.subarray(at, at + cut));
          expect((await all(decryptStream(input, arriving))).equals(Buffer.concat(pieces))).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('every truncation is noticed and releases only a true prefix', async () => {
    const plaintext = Buffer.from(systemRandom.bytes(2 * CHUNK_BYTES + 5));
    const { input, sealed } = await sealAll(plaintext, EMPTY, engine);
    const cuts = [
      0,
      1,
      55,
      56,
      57,
      72,
      56 + SEALED_CHUNK_BYTES,
      57 + SEALED_CHUNK_BYTES,
      56 + 2 * SEALED_CHUNK_BYTES,
      sealed.length - 1,
    ];
    for (const cut of cuts) {
      const found = await released(input, sealed.subarray(0, cut));
      expect(found.code, `cut at ${cut}`).toMatch(/^(truncated|authentication_failed)$/);
      expect(plaintext.subarray(0, found.bytes.length).equals(found.bytes)).toBe(true);
      expect(found.bytes.length).toBeLessThanOrEqual(Math.max(0, cut - 56));
    }
  });

  it('no chunk is released before its own tag is verified', async () => {
    const plaintext = Buffer.from(systemRandom.bytes(3 * CHUNK_BYTES));
    const { input, sealed } = await sealAll(plaintext, EMPTY, engine);
    for (const chunk of [0, 1, 2]) {
      const changed = Buffer.from(sealed);
      changed[56 + chunk * SEALED_CHUNK_BYTES]! ^= 1;
      const found = await released(input, changed);
      expect(found.code).toBe('authentication_failed');
      expect(found.bytes.equals(plaintext.subarray(0, chunk * CHUNK_BYTES))).toBe(true);
    }
  });

  it('a lent buffer is used again for every yield, with the same bytes', async () => {
    const plaintext = systemRandom.bytes(70 * CHUNK_BYTES + 5);
    const { input, sealed } = await sealAll(plaintext, EMPTY, engine);
    const output = Buffer.alloc(3 * SEALED_CHUNK_BYTES);
    const again: Buffer[] = [];
    for await (const piece of encryptStream({ ...input, output }, [plaintext])) {
      expect(again.length === 0 || piece.buffer === output.buffer).toBe(true);
      again.push(Buffer.from(piece));
    }
    expect(Buffer.concat(again).equals(sealed)).toBe(true);
    const opened: Buffer[] = [];
    for await (const piece of decryptStream({ ...input, output }, [sealed])) opened.push(Buffer.from(piece));
    expect(Buffer.concat(opened).equals(plaintext)).toBe(true);
    await expect(all(encryptStream({ ...input, output: Buffer.alloc(100) }, [plaintext]))).rejects.toThrow(RangeError);
  });

  it('the event loop gets a turn after each MiB, also when the source never waits', async () => {
    const turns = { seen: 0 };
    const ticking = setInterval(() => (turns.seen += 1), 0);
    const source = Array.from({ length: 32 }, () => new Uint8Array(1024 * 1024));
    const input = { key: systemRandom.bytes(32), salt: systemRandom.bytes(SALT_BYTES), context: EMPTY, engine };
    for await (const piece of encryptStream(input, source)) expect(piece.length).toBeGreaterThan(0);
    clearInterval(ticking);
    expect(turns.seen).toBeGreaterThan(3);
  });

  it('piece by piece into any room: each call says what it took and what it gave', () => {
    const plaintext = systemRandom.bytes(5 * CHUNK_BYTES + 9);
    const input = { key: systemRandom.bytes(32), salt: systemRandom.bytes(SALT_BYTES), context: EMPTY };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50_000 }), fc.integer({ min: 0, max: 3 * CHUNK_BYTES }), (step, extra) => {
        const sealer = new MessageSealer(input, engine);
        const sealed = drive(sealer, plaintext, { step, room: SEALED_CHUNK_BYTES + extra });
        sealer.destroy();
        expect(sealed.length + 56).toBe(sealedMessageBytes(plaintext.length));
        const opener = new MessageOpener({ ...input, prefix: sealer.prefix }, engine);
        expect(drive(opener, sealed, { step, room: SEALED_CHUNK_BYTES + extra }).equals(plaintext)).toBe(true);
        opener.destroy();
        expect(() => opener.update(sealed, Buffer.alloc(SEALED_CHUNK_BYTES))).toThrow();
      }),
      { numRuns: 30 },
    );
  });

  it('the sender is asked for no more than the consumer wants', async () => {
    let pulled = 0;
    function* source() {
      for (; pulled < 1000; pulled += 1) yield new Uint8Array(CHUNK_BYTES);
    }
    const stream = encryptStream(
      { key: systemRandom.bytes(32), salt: systemRandom.bytes(SALT_BYTES), context: EMPTY, engine },
      source(),
    );
    for (let i = 0; i < 4; i += 1) await stream.next();
    expect(pulled).toBeLessThanOrEqual(4);
    await stream.return();
  });
});

describe.each(ENGINES)('S8: random access answers like the whole stream ($name engine)', (engine) => {
  it('any range of any message', async () => {
    const plaintext = Buffer.from(systemRandom.bytes(3 * CHUNK_BYTES + 77));
    const { input, sealed } = await sealAll(plaintext, EMPTY, engine);
    const message = {
      size_bytes: sealed.length,
      read: (offset: number, length: number) => Promise.resolve(sealed.subarray(offset, offset + length)),
    };
    await fc.assert(
      fc.asyncProperty(fc.nat(plaintext.length), fc.nat(plaintext.length), async (a, b) => {
        const [start, end] = a < b ? [a, b] : [b, a];
        expect((await all(decryptRange(input, message, { start, end }))).equals(plaintext.subarray(start, end))).toBe(
          true,
        );
      }),
      { numRuns: 60 },
    );
    const cut = { ...message, size_bytes: 56 + 2 * SEALED_CHUNK_BYTES };
    await expect(all(decryptRange(input, cut, { start: 0, end: 1 }))).rejects.toMatchObject({ code: 'truncated' });
    const outside = all(decryptRange(input, message, { start: 0, end: plaintext.length + 1 }));
    await expect(outside).rejects.toMatchObject({ code: 'input_too_long' });
  });
});

describe('S9: a part belongs to one place of one object of one row of one tenant', () => {
  const header = {
    last: false,
    dekVersion: 3,
    objectId: uuidV4(systemRandom),
    partIndex: 7,
    size_bytes: 8 * 1024 * 1024,
  };
  const owner = { tenantId: uuidV4(systemRandom), rowId: uuidV4(systemRandom) };

  it('the header has 40 bytes and one reading', () => {
    const bytes = encodePartHeader(header);
    expect(bytes.length).toBe(40);
    expect(decodePartHeader(bytes)).toEqual(header);
    checkPartHeader(bytes, header);
    expect(sealedPartBytes(0)).toBe(40 + 56 + 16);
  });

  it.each([
    [0, 'blob_malformed'],
    [4, 'suite_unknown'],
    [5, 'blob_malformed'],
    [6, 'blob_malformed'],
  ] as const)('a changed byte %d is refused as %s', (at, code) => {
    const bytes = encodePartHeader(header);
    bytes[at]! ^= 0x80;
    expect(() => decodePartHeader(bytes)).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    { ...header, last: true },
    { ...header, dekVersion: 4 },
    { ...header, partIndex: 8 },
    { ...header, size_bytes: 1 },
    { ...header, objectId: uuidV4(systemRandom) },
  ])('another header is another context, and is refused against the record', (other) => {
    expect(partContext(other, owner).equals(partContext(header, owner))).toBe(false);
    expect(() => checkPartHeader(encodePartHeader(other), header)).toThrow(
      expect.objectContaining({ code: 'part_mismatch' }),
    );
  });

  it('a suite that the tenant’s list does not hold is neither written nor read', () => {
    const bytes = encodePartHeader(header);
    const refused = expect.objectContaining({ code: 'suite_refused' });
    expect(() => encodePartHeader(header, { write: [], read: [1] })).toThrow(refused);
    expect(() => decodePartHeader(bytes, { write: [1], read: [] })).toThrow(refused);
    expect(() => checkPartHeader(bytes, header, { write: [1], read: [] })).toThrow(refused);
    checkPartHeader(bytes, header, { write: [], read: [1] });
  });

  it('a message of another tenant or row fails at the commitment', async () => {
    const { input, sealed } = await sealAll(Buffer.from('evidence'), partContext(header, owner));
    for (const other of [
      { ...owner, tenantId: uuidV4(systemRandom) },
      { ...owner, rowId: uuidV4(systemRandom) },
    ]) {
      const found = await released({ key: input.key, context: partContext(header, other) }, sealed);
      expect(found).toEqual({ bytes: EMPTY, code: 'commitment_mismatch' });
    }
  });
});
