import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '@auditrax/base';
import type { BenchResult } from '../app/bin/commands/bench.ts';
import { buildNative, buildPart, NATIVE_PARTS } from '../app/bin/native-build.ts';
import { ROOT } from '../app/bin/root.ts';
import { measureReading, type Reading } from './seal-calls.ts';

/** What `bench/seal-measure.ts rates` prints. */
interface Rates {
  readonly engine: { readonly name: string; readonly reason?: string };
  readonly streams_seconds: Readonly<Record<string, number>>;
  readonly fields_us: Readonly<Record<string, number>>;
  readonly esdk: string;
  readonly stream_bytes: number;
}

/** What `bench/seal-measure.ts file` prints. */
interface WholeFile {
  readonly rss_growth_mib: number;
  readonly loop_delay_p99_ms: number;
  readonly idle_loop_delay_p99_ms: number;
}

const TASKSET = '/usr/bin/taskset';

async function measure<T>(args: readonly string[], prefix: readonly string[] = []): Promise<T> {
  const program = [process.execPath, '--disable-warning=ExperimentalWarning', join(ROOT, 'bench/seal-measure.ts')];
  const [file, ...rest] = [...prefix, ...program, ...args];
  const { stdout } = await promisify(execFile)(file!, rest, { cwd: ROOT });
  return JSON.parse(stdout) as T;
}

async function measureFile(): Promise<WholeFile> {
  const folder = mkdtempSync(join(tmpdir(), 'axb-'));
  try {
    return await measure<WholeFile>(['file', join(folder, 'file')]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The limit is measured with a program of the bench's own; nothing of it is in the product. */
async function buildLimit(): Promise<string> {
  const engine = NATIVE_PARTS.find(({ name }) => name === 'seal engine')!;
  const outcome = await buildPart(ROOT, {
    ...engine,
    sources: ['bench/native/evp-limit.c'],
    inputs: ['bench/native/*.c'],
    output: 'dist/bench/evp-limit.node',
  });
  if (!outcome.ready)
    throw new AppError('bench_needs_compiler', `OpenSSL's own rate is not measurable: ${outcome.why}`);
  return outcome.path;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function rounded(values: Readonly<Record<string, number>>, digits: number): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, round(value, digits)]));
}

/** The slower of two directions counts, against OpenSSL's faster way. */
function figuresOf(rates: Rates, file: WholeFile, reading: Reading): BenchResult['figures'] {
  const { engine, streams_seconds: s, fields_us: f } = rates;
  const openssl = Math.min(s['openssl_16k']!, s['openssl_1m']!);
  const seal = Math.max(s['seal']!, s['open']!);
  const js = Math.max(s['seal_js']!, s['open_js']!);
  return {
    stream_vs_openssl: round(openssl / seal, 3),
    stream_js_vs_openssl: round(openssl / js, 3),
    stream_vs_aws_esdk: round(s['esdk']! / seal, 1),
    field_us: round(Math.max(f['seal']!, f['open']!), 3),
    field_js_us: round(Math.max(f['seal_js']!, f['open_js']!), 3),
    field_vs_aws_esdk: round(Math.min(f['esdk_seal']! / f['seal']!, f['esdk_open']! / f['open']!), 1),
    engine: engine.name,
    provider_calls_per_10k_fields: reading.calls,
    row_set_gain: round(reading.one_us / reading.set_us, 2),
    rss_growth_mib: round(file.rss_growth_mib, 1),
    loop_delay_p99_ms: round(file.loop_delay_p99_ms, 2),
  };
}

/**
 * Files: a stream of 256 MiB through `encryptStream` and `decryptStream` against a bare loop of `EVP_EncryptUpdate` in the
 * runtime's OpenSSL, and against the AWS Encryption SDK. Fields: `sealField` and `openField` of 64 bytes, one by one.
 * CPU-seconds of one process on one core; contenders take turns, the best of five rounds counts. Then one whole file, with
 * the memory of its process and the lateness of its event loop; that one is not pinned, like a process of the house.
 */
export async function run(progress: (line: string) => void): Promise<BenchResult> {
  await buildNative(ROOT, progress);
  const limitPath = await buildLimit();
  progress('counting the provider’s calls for 10,000 fields, over a real database');
  const reading = await measureReading();
  progress('sealing a file of 2 GiB');
  const load_before = loadavg()[0]!;
  const file = await measureFile();
  progress('streams and fields (about a minute)');
  const pinned = existsSync(TASKSET);
  const core = String(availableParallelism() - 1);
  const measured = await measure<Rates>(['rates', limitPath], pinned ? [TASKSET, '-c', core] : []);
  const gigabytes = Object.entries(measured.streams_seconds).map(
    ([name, seconds]) => [name, measured.stream_bytes / 1e9 / seconds] as const,
  );
  return {
    figures: figuresOf(measured, file, reading),
    conditions: {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      rates_pinned_to_one_core: pinned,
      load_before: round(load_before, 2),
      load_after: round(loadavg()[0]!, 2),
      node: process.version,
      openssl: process.versions.openssl,
      ...(measured.engine.reason === undefined ? {} : { engine_reason: measured.engine.reason }),
      stream_gigabytes_per_cpu_second: rounded(Object.fromEntries(gigabytes), 2),
      field_cpu_us: rounded(measured.fields_us, 3),
      reading_cpu_us: rounded({ one_by_one: reading.one_us, row_sets_of_200: reading.set_us }, 3),
      idle_loop_delay_p99_ms: round(file.idle_loop_delay_p99_ms, 2),
      openssl_limit:
        'EVP_EncryptUpdate in a loop, one message, key set once; 16 KiB in place or 1 MiB, the faster counts',
      aws_esdk: measured.esdk,
      file: '2 GiB read in pieces of 1 MiB, sealed, written to /dev/null; loop delay with a resolution of 1 ms',
      rounds: 'best of 5 after one to warm up, contenders in turns',
    },
  };
}
