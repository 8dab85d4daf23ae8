import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { systemRandom, uuidV4 } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeUuid, uuidBytes } from './encode.ts';
import { chooseEngine, sealEngine } from './engine-choice.ts';
import type { Addon } from './engine-native.ts';
import { nativeEngine } from './engine-native.ts';
import { referenceEngine } from './engine-reference.ts';
import type { ChunkJob, RecordJob, SealEngine } from './engine.ts';
import { selfTest } from './self-test.ts';
import { CHUNK_BYTES, CHUNK_COUNT_MAX, SEALED_CHUNK_BYTES } from './sizes.ts';
import { compiledAddon } from './testing/engines.ts';

const addon = compiledAddon();
const both = describe.skipIf(addon === undefined);
const native = addon === undefined ? referenceEngine : nativeEngine(addon);
const NOTHING = new Uint8Array(0);

/** What an engine made of a job: how many, and every byte of the output, which began as 0xcc. */
function record(engine: SealEngine, key: Uint8Array, job: RecordJob): string {
  const output = Buffer.from(job.output);
  const held = engine.recordKey(key);
  try {
    return `${held.run({ ...job, output })} ${output.toString('hex')}`;
  } catch (error) {
    return (error as Error).name;
  } finally {
    held.destroy();
  }
}

function chunks(engine: SealEngine, secret: Parameters<SealEngine['chunkKey']>[0], job: ChunkJob): string {
  const output = Buffer.from(job.output);
  const held = engine.chunkKey(secret);
  try {
    return `${held.run({ ...job, output })} ${output.toString('base64')}`;
  } catch (error) {
    return (error as Error).name;
  } finally {
    held.destroy();
  }
}

both('E1: both engines give the same bytes and the same refusals', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

  it('records: any key, nonce, data and associated data, sealed, opened and tampered with', () => {
    const values = fc.array(fc.tuple(bytes(24), fc.uint8Array({ maxLength: 90 }), fc.uint8Array({ maxLength: 300 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(bytes(32), values, fc.nat(), (key, items, flip) => {
        const aad = Buffer.concat(items.map(([, bound]) => bound));
        const input = Buffer.concat(items.map(([, , value]) => value));
        const output = Buffer.concat(
          items.map(([nonce, , value]) => Buffer.concat([nonce, Buffer.alloc(value.length + 16, 0xcc)])),
        );
        const places = { aad: 0, input: 0, output: 0 };
        const table = new Uint32Array(items.length * 5);
        const opening = new Uint32Array(items.length * 5);
        for (const [index, [, bound, value]] of items.entries()) {
          table.set([places.aad, bound.length, places.input, value.length, places.output], index * 5);
          opening.set([places.aad, bound.length, places.output, value.length + 40, places.input], index * 5);
          places.aad += bound.length;
          places.input += value.length;
          places.output += value.length + 40;
        }
        const job = { seals: true, count: items.length, table, aad, input, output };
        const sealed = record(referenceEngine, key, job);
        expect(record(native, key, job)).toBe(sealed);
        const blob = Buffer.from(sealed.split(' ')[1]!, 'hex');
        const room = Buffer.alloc(input.length, 0xcc);
        const open = { seals: false, count: items.length, table: opening, aad, input: blob, output: room };
        expect(record(native, key, open)).toBe(`${items.length} ${input.toString('hex')}`);
        expect(record(referenceEngine, key, open)).toBe(record(native, key, open));
        const changed = Buffer.from(blob);
        changed[flip % changed.length]! ^= 1 << (flip % 8);
        const tampered = { ...open, input: changed };
        expect(record(native, key, tampered)).toBe(record(referenceEngine, key, tampered));
        expect(record(native, key, tampered).startsWith(`${items.length} `)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  it('chunks: any number, index, end and damage', () => {
    const sizes = fc.tuple(fc.integer({ min: 0, max: 4 }), fc.boolean(), fc.nat(CHUNK_BYTES - 1));
    const index = fc.oneof(fc.nat(70_000), fc.constantFrom(CHUNK_COUNT_MAX - 5, 2 ** 32 - 2, 2 ** 37 + 12_345));
    fc.assert(
      fc.property(
        fc.tuple(bytes(32), bytes(12)),
        sizes,
        fc.tuple(index, fc.nat()),
        ([key, baseNonce], [full, isEnd, rest], [firstIndex, flip]) => {
          const input = systemRandom.bytes(full * CHUNK_BYTES + (isEnd ? rest : 0));
          const output = Buffer.alloc(full * SEALED_CHUNK_BYTES + (isEnd ? rest + 16 : 0), 0xcc);
          const job = { firstIndex, isEnd, input, output };
          const sealed = chunks(referenceEngine, { key, baseNonce, seals: true }, job);
          expect(chunks(native, { key, baseNonce, seals: true }, job)).toBe(sealed);
          const message = Buffer.from(sealed.split(' ')[1] ?? '', 'base64');
          if (message.length === 0) return;
          message[flip % message.length]! ^= flip % 3 === 0 ? 0 : 1;
          const open = { firstIndex, isEnd, input: message, output: Buffer.alloc(input.length, 0xcc) };
          const opened = chunks(referenceEngine, { key, baseNonce, seals: false }, open);
          expect(chunks(native, { key, baseNonce, seals: false }, open)).toBe(opened);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    ['too many chunks', { input: new Uint8Array(65 * CHUNK_BYTES), output: new Uint8Array(65 * SEALED_CHUNK_BYTES) }],
    ['a rest that is no end', { input: new Uint8Array(5), output: new Uint8Array(100) }],
    ['no room', { input: new Uint8Array(CHUNK_BYTES), output: new Uint8Array(CHUNK_BYTES) }],
    ['no room for the end', { input: new Uint8Array(5), output: new Uint8Array(20), isEnd: true }],
    ['an index below', { firstIndex: -1 }],
    ['an index beyond', { firstIndex: CHUNK_COUNT_MAX, isEnd: true, output: new Uint8Array(16) }],
  ])('chunks: %s is a RangeError', (_what, change) => {
    const job = { firstIndex: 0, isEnd: false, input: NOTHING, output: NOTHING, ...change };
    const secret = { key: systemRandom.bytes(32), baseNonce: systemRandom.bytes(12), seals: true };
    expect([chunks(native, secret, job), chunks(referenceEngine, secret, job)]).toEqual(['RangeError', 'RangeError']);
  });

  it('records: every hostile place is a RangeError, in whichever number it stands', () => {
    const big = [1, 2, 33, 64, 65, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
    for (const seals of [true, false]) {
      const valid = seals ? [0, 8, 0, 24, 0] : [0, 8, 0, 64, 0];
      for (const number of [0, 1, 2, 3, 4]) {
        for (const value of big) {
          const table = Uint32Array.from(valid);
          table[number] = valid[number]! + value > 2 ** 32 - 1 ? value : valid[number]! + value;
          const output = Buffer.alloc(seals ? 64 : 24);
          const job = { seals, count: 1, table, aad: Buffer.alloc(8), input: Buffer.alloc(seals ? 24 : 64), output };
          const key = systemRandom.bytes(32);
          const seen = [record(native, key, job), record(referenceEngine, key, job)];
          expect(seen, `seals ${seals}, number ${number} + ${value}`).toEqual(['RangeError', 'RangeError']);
        }
      }
    }
    const short = {
      seals: true,
      count: 2,
      table: new Uint32Array(5),
      aad: NOTHING,
      input: NOTHING,
      output: Buffer.alloc(40),
    };
    const key = systemRandom.bytes(32);
    expect([record(native, key, short), record(referenceEngine, key, short)]).toEqual(['RangeError', 'RangeError']);
  });
});

both('E2: the addon throws whatever it is given, and never touches memory that is not its own', () => {
  // Skipped as a whole without the addon.
  const raw = addon as Addon;
  const call = (name: keyof Addon, args: unknown[]) => (): unknown =>
    (raw[name] as unknown as (...args: unknown[]) => unknown)(...args);
  const anything = fc.oneof(
    fc.constantFrom<unknown>(undefined, null, true, false, Number.NaN, Infinity, -1, 0, 1.5, 2 ** 53, '', {}, [], 5n),
    fc.constantFrom<unknown>(new Float64Array(9), new Uint8Array(0), new DataView(new ArrayBuffer(8)), Symbol('x')),
    fc.uint8Array({ maxLength: 80 }),
    fc.uint32Array({ maxLength: 12 }),
  );

  it('arguments of any kind and number', () => {
    const names = fc.constantFrom('xaesKey', 'messageKey', 'records', 'chunks', 'destroy' as const);
    fc.assert(
      fc.property(names, fc.array(anything, { maxLength: 8 }), (name, args) => {
        try {
          call(name, args)();
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^SEAL_/);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('a detached or shrunk buffer is refused', () => {
    const handle = raw.xaesKey(new Uint8Array(32));
    const output = new Uint8Array(56);
    structuredClone(output, { transfer: [output.buffer] });
    const table = Uint32Array.of(0, 0, 0, 16, 0);
    expect(() => raw.records(handle, true, 1, table, NOTHING, new Uint8Array(16), output)).toThrow();
    const resizable = new ArrayBuffer(56, { maxByteLength: 56 });
    const shrunk = new Uint8Array(resizable);
    resizable.resize(10);
    expect(() => raw.records(handle, true, 1, table, NOTHING, new Uint8Array(16), shrunk)).toThrow();
    raw.destroy(handle);
  });

  it('places that overlap by a part are refused, the very same place is not', () => {
    const handle = raw.xaesKey(new Uint8Array(32));
    const arena = new Uint8Array(100);
    const run = (inputAt: number) => () =>
      raw.records(handle, true, 1, Uint32Array.of(0, 0, inputAt, 20, 0), NOTHING, arena, arena);
    for (const at of [5, 23, 25, 43]) expect(run(at), `at ${at}`).toThrow(/bounds/);
    for (const at of [24, 60, 80]) expect(run(at)()).toBe(1);
  });

  it('a handle is of one kind and one life: destroyed, guessed, of the other kind, of an earlier life', () => {
    const first = raw.xaesKey(new Uint8Array(32));
    const use = (handle: number) => () => raw.records(handle, true, 0, new Uint32Array(0), NOTHING, NOTHING, NOTHING);
    const pump = (handle: number) => () => raw.chunks(handle, 0, true, NOTHING, new Uint8Array(16));
    expect(use(first)()).toBe(0);
    expect(pump(first)).toThrow(/wiped/);
    raw.destroy(first);
    raw.destroy(first);
    expect(use(first)).toThrow(/wiped/);
    // The next key takes the same slot; the old handle must not reach it.
    const second = raw.xaesKey(new Uint8Array(32));
    expect(second % 2 ** 20).toBe(first % 2 ** 20);
    expect(second).not.toBe(first);
    expect(use(first)).toThrow(/wiped/);
    raw.destroy(first);
    expect(use(second)()).toBe(0);
    for (const guess of [second + 1, second + 2 ** 20, second - 2 ** 20, 0.5, -1, 2 ** 60])
      expect(use(guess)).toThrow(/wiped/);
    const message = raw.messageKey(new Uint8Array(32), new Uint8Array(12), true);
    expect(use(message)).toThrow(/wiped/);
    expect(pump(message)()).toBe(1);
    raw.destroy(message);
    raw.destroy(second);
  });

  it('thousands of keys at once, in any order of their ends', () => {
    const keys = Array.from({ length: 5000 }, (_, i) => ({
      i,
      handle: raw.messageKey(Buffer.alloc(32, i), Buffer.alloc(12), true),
    }));
    const sealWith = (handle: number): string => {
      const output = Buffer.alloc(32);
      raw.chunks(handle, 0, true, Buffer.alloc(16), output);
      return output.toString('hex');
    };
    const expected = Array.from({ length: 256 }, (_, i) => sealWith(keys[i]!.handle));
    for (const { i, handle } of keys) if (i % 3 === 0) raw.destroy(handle);
    for (const { i, handle } of keys) if (i % 3 !== 0) expect(sealWith(handle)).toBe(expected[i % 256]);
    for (const { handle } of keys) raw.destroy(handle);
  });

  it('forgotten keys are collected, and a worker that ends takes its own along', async () => {
    const file = fileURLToPath(new URL('../native/build/seal.node', import.meta.url));
    const program = `
      const addon = require(${JSON.stringify(file)});
      for (let i = 0; i < 1000; i += 1) addon.xaesKey(new Uint8Array(32));
      require('node:worker_threads').parentPort.postMessage(addon.xaesKey(new Uint8Array(32)) % 2 ** 20);
    `;
    for (let round = 0; round < 3; round += 1) {
      const worker = new Worker(program, { eval: true });
      const index = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      // Its own table: the handles of this thread are not counted in it.
      expect(index).toBe(1000);
      await worker.terminate();
    }
    const engine = fileURLToPath(new URL('./engine-native.ts', import.meta.url));
    const collected = execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', collecting(engine)], {
      encoding: 'utf8',
    });
    expect(Number(collected)).toBeLessThan(5000);
  });
});

/** Makes ten thousand keys and forgets them; prints the slot of the last one, which collected keys made room for. */
function collecting(engine: string): string {
  return `
    const { loadAddon, nativeEngine } = await import(${JSON.stringify(engine)});
    const addon = loadAddon();
    const engine = nativeEngine(addon);
    for (let i = 0; i < 10; i += 1) {
      for (let j = 0; j < 1000; j += 1) engine.recordKey(new Uint8Array(32));
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    process.stdout.write(String(addon.xaesKey(new Uint8Array(32)) % 2 ** 20));
  `;
}

describe('E3: an engine serves only after it has given the published answers', () => {
  it('without an addon the reference serves and says why', () => {
    const missing = Object.assign(new Error('Cannot find module seal.node'), { code: 'MODULE_NOT_FOUND' });
    const choice = chooseEngine(() => {
      throw missing;
    });
    expect(choice).toEqual({ engine: referenceEngine, reason: 'it is not compiled' });
  });

  it('an addon of another machine or another build is not used', () => {
    const other = chooseEngine(() => {
      throw new Error('wrong ELF class: ELFCLASS32\nmore');
    });
    expect(other.reason).toBe('wrong ELF class: ELFCLASS32');
    expect(chooseEngine(() => ({ abi: 0 }) as Addon)).toMatchObject({ engine: referenceEngine, reason: /version 0/ });
  });

  it.each(['records', 'chunks'] as const)('an addon whose %s give one wrong bit is not used', (name) => {
    const real = addon ?? fakeOver(referenceEngine);
    const broken = {
      ...real,
      [name]: (...args: [unknown]) => {
        const done = (real[name] as (...all: unknown[]) => number)(...args);
        const output = args.at(-1) as unknown as Uint8Array;
        if (output.length > 0) output[output.length - 1]! ^= 1;
        return done;
      },
    } as Addon;
    const choice = chooseEngine(() => broken);
    expect(choice.engine).toBe(referenceEngine);
    expect(choice.reason).toMatch(/fails its self-test/);
  });

  it.each(['reference', ...(addon === undefined ? [] : ['native'])])('the %s engine passes', (name) => {
    selfTest(name === 'native' ? native : referenceEngine);
  });

  it('this process says which one serves it', () => {
    expect(sealEngine()).toEqual(
      addon === undefined ? { name: 'reference', reason: 'it is not compiled' } : { name: 'native' },
    );
  });
});

/** An addon made of the reference, for a checkout where nothing is compiled. */
function fakeOver(engine: SealEngine): Addon {
  const keys: ReturnType<SealEngine['recordKey']>[] = [];
  const messages: ReturnType<SealEngine['chunkKey']>[] = [];
  return {
    abi: 1,
    xaesKey: (key) => keys.push(engine.recordKey(key)) - 1,
    messageKey: (key, baseNonce, seals) => messages.push(engine.chunkKey({ key, baseNonce, seals })) - 1,
    destroy: () => undefined,
    records: (...[handle, seals, count, table, aad, input, output]) =>
      keys[handle]!.run({ seals, count, table, aad, input, output }),
    chunks: (...[handle, firstIndex, isEnd, input, output]) =>
      messages[handle]!.run({ firstIndex, isEnd, input, output }),
  };
}

describe('S6: an id has one form, also on the fast way', () => {
  it('any canonical UUID gives its bytes, anything else is refused', () => {
    fc.assert(
      fc.property(fc.uuid(), (text) => {
        const target = Buffer.alloc(18);
        writeUuid(target, 1, text as Uuid);
        expect(target.subarray(1, 17).equals(uuidBytes(text as Uuid, 'id'))).toBe(true);
      }),
    );
    const id = uuidV4(systemRandom);
    const wrong = [id.toUpperCase(), id.slice(1), `${id}0`, id.replace('-', '0'), id.replaceAll('-', ''), ''];
    const replaced = Array.from(
      { length: 36 },
      (_, at) => `${id.slice(0, at)}${at % 2 ? 'g' : 'é'}${id.slice(at + 1)}`,
    );
    const beyond = `${id.slice(0, 35)}\u0130`;
    for (const text of [...wrong, ...replaced, beyond]) {
      if (text === id) continue;
      expect(() => writeUuid(Buffer.alloc(16), 0, text as Uuid), text).toThrow(/canonical/);
    }
  });
});
