// Measures in a process of its own; prints one line of JSON. `rates LIMIT` compares CPU times, pinned to one core by whoever
// starts it; `file PATH` watches memory and event loop while a whole file is sealed.
import { createRequire } from 'node:module';
import { open, rm, truncate, writeFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { systemRandom, uuidV4 } from '@auditrax/base';
import {
  decryptStream,
  encryptStream,
  openField,
  openMany,
  SALT_BYTES,
  SEALED_RUN_BYTES,
  sealEngine,
  sealField,
  sealMany,
  XaesKey,
} from '@auditrax/seal';
import { referenceEngine } from '@auditrax/seal/engine-reference';
import { openEsdk } from './esdk.ts';

const MIB = 1024 * 1024;
const STREAM_BYTES = 256 * MIB;
const FILE_BYTES = 2048 * MIB;
/** A memory reading after each. */
const READING_BYTES = 32 * MIB;
const ROUNDS = 5;
const FIELD_BYTES = 64;
const FIELDS = 20_000;
const ROWS_PER_SET = 500;
const SDK_FIELDS = 200;
const IDLE_MS = 1_500;
const NO_CONTEXT = Buffer.alloc(0);

interface Limit {
  limit(input: Buffer, output: Buffer, times: number): void;
}

/** User and system time of this process in seconds, the collector's threads included. */
async function cpuSeconds(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const used = process.cpuUsage(before);
  return (used.user + used.system) / 1e6;
}

/** Contenders take turns, so that what else the machine does meets them all; the best round of each counts. */
async function best(contenders: Readonly<Record<string, () => unknown>>): Promise<Record<string, number>> {
  const seconds: Record<string, number> = {};
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, work] of Object.entries(contenders)) {
      const used = await cpuSeconds(work);
      // The first round warms up.
      if (round > 0) seconds[name] = Math.min(seconds[name] ?? Infinity, used);
    }
  }
  return seconds;
}

const piece = Buffer.from(systemRandom.bytes(MIB));
function* source(length_bytes: number): Generator<Buffer> {
  for (let at = 0; at < length_bytes; at += piece.length) yield piece;
}

const message = () => ({
  key: systemRandom.bytes(32),
  salt: systemRandom.bytes(SALT_BYTES),
  context: NO_CONTEXT,
});

async function drain(pieces: AsyncIterable<Buffer>): Promise<number> {
  let length = 0;
  for await (const bytes of pieces) length += bytes.length;
  return length;
}

/** One sealed message of 256 MiB, yielded as a file would be read. */
async function sealedStream(): Promise<{ input: ReturnType<typeof message>; pieces: () => Generator<Buffer> }> {
  const input = message();
  const kept = Buffer.allocUnsafe(STREAM_BYTES + MIB);
  let length = 0;
  for await (const bytes of encryptStream(input, source(STREAM_BYTES))) length += bytes.copy(kept, length);
  return {
    input,
    *pieces() {
      yield kept.subarray(0, 56);
      for (let at = 56; at < length; at += SEALED_RUN_BYTES)
        yield kept.subarray(at, Math.min(length, at + SEALED_RUN_BYTES));
    },
  };
}

async function streams(limit: Limit): Promise<Record<string, number>> {
  const output = Buffer.allocUnsafe(SEALED_RUN_BYTES);
  const hot = Buffer.allocUnsafe(16 * 1024);
  const sealed = await sealedStream();
  const esdk = openEsdk();
  return best({
    openssl_16k: () => limit.limit(hot, hot, STREAM_BYTES / hot.length),
    openssl_1m: () => limit.limit(piece, output.subarray(0, MIB), STREAM_BYTES / MIB),
    seal: () => drain(encryptStream({ ...message(), output }, source(STREAM_BYTES))),
    open: () => drain(decryptStream({ ...sealed.input, output }, sealed.pieces())),
    seal_js: () => drain(encryptStream({ ...message(), output, engine: referenceEngine }, source(STREAM_BYTES))),
    open_js: () => drain(decryptStream({ ...sealed.input, output, engine: referenceEngine }, sealed.pieces())),
    esdk: () => esdk.encryptStream(source(STREAM_BYTES)),
  });
}

function fieldWork(engine?: typeof referenceEngine) {
  const key = { version: 1, key: new XaesKey(systemRandom.bytes(32), ...(engine === undefined ? [] : [engine])) };
  const tenantId = uuidV4(systemRandom);
  const values = Array.from({ length: ROWS_PER_SET }, () => ({
    binding: { tenantId, fieldId: 1001, rowId: uuidV4(systemRandom), schemaRevision: 1 },
    value: Buffer.from(systemRandom.bytes(FIELD_BYTES)),
  }));
  const sealed = values.map(({ binding, value }) => ({
    binding,
    sealed: sealField({ key, binding, random: systemRandom }, value),
  }));
  const repeat = (work: () => void) => () => {
    for (let done = 0; done < FIELDS; done += ROWS_PER_SET) work();
  };
  return {
    seal: repeat(() => {
      for (const { binding, value } of values) sealField({ key, binding, random: systemRandom }, value);
    }),
    open: repeat(() => {
      for (const { binding, sealed: blob } of sealed) openField({ key, binding }, blob);
    }),
    seal_many: repeat(() => void sealMany({ key, random: systemRandom }, values)),
    open_many: repeat(() => void openMany({ key }, sealed)),
  };
}

/** CPU microseconds for each field. */
async function fields(): Promise<Record<string, number>> {
  const [native, js] = [fieldWork(), fieldWork(referenceEngine)];
  const esdk = openEsdk();
  const value = Buffer.from(systemRandom.bytes(FIELD_BYTES));
  const sealed = await esdk.encrypt(value);
  const seconds = await best({
    ...native,
    ...Object.fromEntries(Object.entries(js).map(([name, work]) => [`${name}_js`, work])),
    esdk_seal: async () => {
      for (let i = 0; i < SDK_FIELDS; i += 1) await esdk.encrypt(value);
    },
    esdk_open: async () => {
      for (let i = 0; i < SDK_FIELDS; i += 1) await esdk.decrypt(sealed);
    },
  });
  const count = (name: string): number => (name.startsWith('esdk') ? SDK_FIELDS : FIELDS);
  return Object.fromEntries(Object.entries(seconds).map(([name, used]) => [name, (used * 1e6) / count(name)]));
}

/** How late an event loop with nothing to do is on this machine, in milliseconds: the floor of what follows. */
async function idleDelay(): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  delay.disable();
  return delay.percentile(99) / 1e6;
}

/** A 2 GiB file is read, sealed and written away; growth of this process's memory, and how late the event loop was. */
async function wholeFile(path: string): Promise<{ rss_growth_mib: number; loop_delay_p99_ms: number }> {
  await writeFile(path, '');
  await truncate(path, FILE_BYTES);
  const [input, target] = [await open(path, 'r'), await open('/dev/null', 'w')];
  const before = process.memoryUsage.rss();
  let peak = before;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  try {
    const buffer = Buffer.allocUnsafeSlow(MIB);
    const output = Buffer.allocUnsafeSlow(SEALED_RUN_BYTES);
    async function* read(): AsyncGenerator<Buffer> {
      for (;;) {
        const { bytesRead } = await input.read(buffer, 0, buffer.length);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    }
    let written = 0;
    let next = READING_BYTES;
    for await (const bytes of encryptStream({ ...message(), output }, read())) {
      written += (await target.write(bytes)).bytesWritten;
      if (written < next) continue;
      next += READING_BYTES;
      peak = Math.max(peak, process.memoryUsage.rss());
    }
    if (written < FILE_BYTES) throw new Error('the file was not sealed whole');
  } finally {
    delay.disable();
    await input.close();
    await target.close();
    await rm(path);
  }
  return { rss_growth_mib: (peak - before) / MIB, loop_delay_p99_ms: delay.percentile(99) / 1e6 };
}

const [what, path] = process.argv.slice(2);
const measured =
  what === 'file'
    ? { idle_loop_delay_p99_ms: await idleDelay(), ...(await wholeFile(path!)) }
    : {
        engine: sealEngine(),
        streams_seconds: await streams(createRequire(import.meta.url)(path!) as Limit),
        fields_us: await fields(),
        esdk: openEsdk().setUp,
        stream_bytes: STREAM_BYTES,
      };
process.stdout.write(`${JSON.stringify(measured)}\n`);
