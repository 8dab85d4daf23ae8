import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';
import { isAppError } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import type { TestContext } from 'vitest';
import { deriveMessageKeys, openMessageKeys } from './chunked.ts';
import { CHUNKED_PREFIX_BYTES, SALT_BYTES, SEALED_CHUNK_BYTES } from './sizes.ts';
import { gcmDecrypt, gcmEncrypt } from './gcm.ts';
import { hkdf } from './hkdf.ts';
import { decryptRange } from './range.ts';
import { decryptStream, encryptStream } from './stream.ts';
import { ENGINES } from './testing/engines.ts';
import { XaesKey, xaesDecrypt, xaesEncrypt } from './xaes.ts';

const VECTORS = fileURLToPath(new URL('../../../../shared/vectors/wycheproof/', import.meta.url));
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

interface Case {
  readonly [name: string]: string | number | string[];
}
type File = { testGroups: { keySize: number; ivSize: number; tagSize: number; tests: Case[] }[] };

/** Missing vectors are a failure in CI and a plain note elsewhere. */
function load(context: TestContext, name: string): File {
  if (!existsSync(VECTORS + name) && process.env['CI'] !== 'true') context.skip(`no ${name} beside this checkout`);
  return JSON.parse(readFileSync(VECTORS + name, 'utf8')) as File;
}

async function collect(pieces: AsyncIterable<Buffer>): Promise<{ bytes: Buffer; error: unknown }> {
  const held: Buffer[] = [];
  try {
    for await (const piece of pieces) held.push(piece);
  } catch (error) {
    return { bytes: Buffer.concat(held), error };
  }
  return { bytes: Buffer.concat(held), error: undefined };
}

function inPieces(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

const sha512 = (bytes: Buffer): string => createHash('sha512').update(bytes).digest('hex');

describe('S1: AES-256-GCM agrees with Wycheproof inside the profile and refuses everything outside it', () => {
  it('wycheproof aes_gcm', (context) => {
    let inside = 0;
    let outside = 0;
    for (const group of load(context, 'aes_gcm_test.json').testGroups) {
      for (const test of group.tests) {
        const input = {
          key: hex(test['key'] as string),
          nonce: hex(test['iv'] as string),
          aad: hex(test['aad'] as string),
        };
        const sealed = hex(`${test['ct']}${test['tag']}`);
        if (group.keySize !== 256 || group.ivSize !== 96) {
          expect(() => gcmDecrypt(input, sealed), `case ${test['tcId']}`).toThrow(/bytes, not/);
          outside += 1;
        } else if (test['result'] === 'valid') {
          expect(gcmDecrypt(input, sealed).toString('hex')).toBe(test['msg']);
          expect(gcmEncrypt(input, hex(test['msg'] as string)).toString('hex')).toBe(sealed.toString('hex'));
          inside += 1;
        } else {
          expect(() => gcmDecrypt(input, sealed), `case ${test['tcId']}`).toThrow();
          inside += 1;
        }
      }
    }
    expect(inside).toBeGreaterThan(30);
    expect(outside).toBeGreaterThan(30);
  });
});

describe.each(ENGINES)('S1: a chunk is AES-256-GCM as Wycheproof has it ($name engine)', (engine) => {
  it('wycheproof aes_gcm without associated data, as the only chunk of a message', (context) => {
    let count = 0;
    for (const group of load(context, 'aes_gcm_test.json').testGroups) {
      for (const test of group.tests) {
        if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128 || test['aad'] !== '') continue;
        const input = hex(`${test['ct']}${test['tag']}`);
        const secret = { key: hex(test['key'] as string), baseNonce: hex(test['iv'] as string) };
        const output = Buffer.alloc(input.length - 16, 0xee);
        const done = engine.chunkKey({ ...secret, seals: false }).run({ firstIndex: 0, isEnd: true, input, output });
        expect(done, `case ${test['tcId']}`).toBe(test['result'] === 'valid' ? 1 : 0);
        expect(output.toString('hex')).toBe(done === 1 ? test['msg'] : '00'.repeat(output.length));
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(20);
  });
});

describe('S2: HKDF agrees with Wycheproof', () => {
  it.for([
    ['sha256', 'hkdf_sha256_test.json'],
    ['sha512', 'hkdf_sha512_test.json'],
  ] as const)('%s', ([hash, name], context) => {
    let count = 0;
    for (const group of load(context, name).testGroups) {
      for (const test of group.tests) {
        const run = (): string =>
          hkdf(
            hash,
            { ikm: hex(test['ikm'] as string), salt: hex(test['salt'] as string) },
            { info: hex(test['info'] as string), length_bytes: test['size'] as number },
          ).toString('hex');
        if (test['result'] === 'valid') expect(run()).toBe(test['okm']);
        else expect(run).toThrow(/HKDF gives at most/);
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(40);
  });
});

describe.each(ENGINES)('S3: chunked encryption is Cobblestone-256, byte for byte ($name engine)', (engine) => {
  it('wycheproof c2sp_chunked_encryption, streamed in awkward pieces', async (context) => {
    let valid = 0;
    let invalid = 0;
    for (const group of load(context, 'c2sp_chunked_encryption_aes_256_gcm_test.json').testGroups) {
      for (const test of group.tests) {
        const sealed = inflateSync(hex(test['ct'] as string));
        const input = { key: hex(test['key'] as string), context: hex(test['ctx'] as string), engine };
        const flags = test['flags'] as string[];
        const found = await collect(decryptStream(input, inPieces(sealed, 7001)));
        const name = `case ${test['tcId']}: ${test['comment']}`;
        if (test['result'] === 'valid') {
          expect(found.error, name).toBeUndefined();
          expect(sha512(found.bytes), name).toBe(test['msgSha512']);
          const salt = sealed.subarray(0, SALT_BYTES);
          const again = await collect(encryptStream({ ...input, salt }, inPieces(found.bytes, 333)));
          expect(again.bytes.equals(sealed), `${name}, encrypted again`).toBe(true);
          valid += 1;
        } else {
          expect(isAppError(found.error), name).toBe(true);
          if (test['msgSha512'] === undefined) expect(found.bytes.length, name).toBe(0);
          else expect(sha512(found.bytes), name).toBe(test['msgSha512']);
          if (flags.includes('WrongKey') || flags.includes('WrongContext')) {
            expect(isAppError(found.error, 'commitment_mismatch'), name).toBe(true);
          }
          invalid += 1;
        }
        if (test['aeadKey'] !== undefined) {
          const keys = deriveMessageKeys({ ...input, salt: sealed.subarray(0, SALT_BYTES) });
          expect(keys.key.toString('hex'), name).toBe(test['aeadKey']);
          expect(keys.baseNonce.toString('hex'), name).toBe(test['baseNonce']);
        }
      }
    }
    expect(valid).toBeGreaterThan(3);
    expect(invalid).toBeGreaterThan(8);
  });

  it('a range is refused exactly when the final chunk does not prove the length', async (context) => {
    for (const group of load(context, 'c2sp_chunked_encryption_aes_256_gcm_test.json').testGroups) {
      for (const test of group.tests) {
        const sealed = inflateSync(hex(test['ct'] as string));
        const input = { key: hex(test['key'] as string), context: hex(test['ctx'] as string), engine };
        const message = {
          size_bytes: sealed.length,
          read: (offset: number, length: number) => Promise.resolve(sealed.subarray(offset, offset + length)),
        };
        const found = await collect(decryptRange(input, message, { start: 0, end: 0 }));
        const provable = test['result'] === 'valid' || (test['flags'] as string[]).includes('ValidFinalChunk');
        expect(found.error === undefined, `case ${test['tcId']}: ${test['comment']}`).toBe(provable);
      }
    }
  });

  it('the prefix and chunk sizes are the published ones', () => {
    expect([CHUNKED_PREFIX_BYTES, SEALED_CHUNK_BYTES]).toEqual([56, 16_400]);
    expect(() => openMessageKeys({ key: Buffer.alloc(32), context: Buffer.alloc(0) }, Buffer.alloc(55))).toThrow();
  });
});

describe.each(ENGINES)('S4: fields use XAES-256-GCM as published ($name engine)', (engine) => {
  it.each([
    ['01', '', 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'],
    ['03', 'c2sp.org/XAES-256-GCM', '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'],
  ])('specification vector with key byte %s', (byte, aad, expected) => {
    const input = {
      key: new XaesKey(hex(byte.repeat(32)), engine),
      nonce: Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX'),
      aad: Buffer.from(aad),
    };
    const sealed = xaesEncrypt(input, Buffer.from('XAES-256-GCM'));
    expect(sealed.toString('hex')).toBe(expected);
    expect(xaesDecrypt(input, sealed).toString()).toBe('XAES-256-GCM');
  });

  it('accumulated hash over 10 000 pseudo-random messages', () => {
    // 10 000 cases need at most 32 + 24 + 2 * 256 bytes each.
    const stream = createHash('shake128', { outputLength: 10_000 * 568 }).digest();
    let at = 0;
    const take = (length: number): Buffer => stream.subarray(at, (at += length));
    const all = createHash('shake128', { outputLength: 32 });
    for (let i = 0; i < 10_000; i += 1) {
      const key = new XaesKey(take(32), engine);
      const nonce = take(24);
      const plaintext = take(take(1)[0]!);
      const aad = take(take(1)[0]!);
      const sealed = xaesEncrypt({ key, nonce, aad }, plaintext);
      expect(xaesDecrypt({ key, nonce, aad }, sealed).equals(plaintext)).toBe(true);
      all.update(sealed);
    }
    expect(all.digest('hex')).toBe('e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939');
  });
});
