import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The whole of it takes some six seconds; a compiler that hangs must not keep the house from starting. */
const COMPILE_MS_MAX = 120_000;
/** What the compiler said is kept for one line of the log. */
const SAID_CHARACTERS_MAX = 64 * 1024;
const HEADERS = 'node_modules/node-api-headers/include';
/** The runtime brings N-API and OpenSSL: nothing is linked, and what is loaded cannot be redirected afterwards. */
const COMMON_FLAGS = [
  '-O2',
  '-fPIC',
  '-shared',
  '-fstack-protector-strong',
  '-Wl,-z,relro,-z,now',
  '-Wl,-z,noexecstack',
];

/** One shared object that the runtime can load. Paths are below the checkout. */
export interface NativePart {
  readonly name: 'seal engine' | 'HSM driver';
  readonly compiler: 'cc' | 'c++';
  readonly flags: readonly string[];
  readonly sources: readonly string[];
  readonly includes: readonly string[];
  /** Patterns of every file that is read; a change of one makes a new build. */
  readonly inputs: readonly string[];
  readonly output: string;
  /** What a person is told when it cannot be had. */
  readonly without: string;
}

const DRIVER = 'node_modules/pkcs11js';

export const NATIVE_PARTS: readonly NativePart[] = [
  {
    name: 'seal engine',
    compiler: 'cc',
    flags: ['-std=c11', '-Wall', '-Wextra'],
    sources: ['packages/seal/native/seal.c'],
    includes: [HEADERS],
    inputs: ['packages/seal/native/*.c', `${HEADERS}/*.h`],
    output: 'packages/seal/native/build/seal.node',
    without: 'the slower reference engine encrypts',
  },
  {
    name: 'HSM driver',
    compiler: 'c++',
    flags: ['-std=c++17', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNODE_GYP_MODULE_NAME=pkcs11'],
    sources: ['dl', 'common', 'main'].map((file) => `${DRIVER}/src/${file}.cpp`),
    includes: [HEADERS, `${DRIVER}/includes`],
    inputs: [`${DRIVER}/src/*.{cpp,h}`, `${DRIVER}/includes/**/*.h`, `${HEADERS}/*.h`],
    output: `${DRIVER}/build/Release/pkcs11.node`,
    without: 'PKCS#11 key stores cannot be used',
  },
];

export type NativeOutcome =
  | { readonly name: NativePart['name']; readonly ready: true; readonly path: string }
  | { readonly name: NativePart['name']; readonly ready: false; readonly why: string };

/**
 * Compiles what is not current, straight with the machine's compiler: no install script of any package runs, and nothing
 * is downloaded. Never throws: without a compiler, or in a checkout that cannot be written to, the house runs on its
 * reference parts, and `log` says so in one line for each part.
 */
export async function buildNative(root: string, log: (line: string) => void): Promise<readonly NativeOutcome[]> {
  const outcomes: NativeOutcome[] = [];
  // One after the other: the browser part is being built at the same time.
  for (const part of NATIVE_PARTS) {
    const outcome = await buildPart(root, part, () => log(`compiling the ${part.name}`));
    if (!outcome.ready) log(`the ${part.name} is not compiled, ${part.without}: ${outcome.why}`);
    outcomes.push(outcome);
  }
  return outcomes;
}

/** Builds one part into its place unless it is current. `begin` is called when there is something to do. */
export async function buildPart(root: string, part: NativePart, begin: () => void = () => {}): Promise<NativeOutcome> {
  const { name } = part;
  const path = join(root, part.output);
  const stamp = `${path}.sha256`;
  const wanted = hashInputs(root, part);
  if (isCurrent(path, stamp, wanted)) return { name, ready: true, path };
  begin();
  const beside = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    await compile({ root, part, output: beside });
    // Moved into place: a process that has the old one loaded keeps it, and nobody ever loads half a file.
    renameSync(beside, path);
    writeFileSync(stamp, wanted, { mode: 0o644 });
    return { name, ready: true, path };
  } catch (error) {
    // The place itself may be what is wrong.
    if (existsSync(beside)) rmSync(beside, { force: true });
    return { name, ready: false, why: reasonOf(error as NodeJS.ErrnoException, part) };
  }
}

function isCurrent(path: string, stamp: string, wanted: string): boolean {
  return existsSync(path) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}

function hashInputs(root: string, part: NativePart): string {
  const hash = createHash('sha256').update(JSON.stringify([process.arch, COMMON_FLAGS, part]));
  for (const file of part.inputs.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  }
  return hash.digest('hex');
}

/** Rejects with the compiler's own first complaint, or the system's error when there is no compiler. */
async function compile(order: { root: string; part: NativePart; output: string }): Promise<void> {
  const { root, part, output } = order;
  const includes = part.includes.flatMap((folder) => ['-I', folder]);
  const child = spawn(part.compiler, [...part.flags, ...COMMON_FLAGS, ...includes, ...part.sources, '-o', output], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    timeout: COMPILE_MS_MAX,
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (piece: string) => {
    if (said.length < SAID_CHARACTERS_MAX) said += piece;
  });
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? signal ?? 1));
  });
  if (code !== 0) throw new Error(said.split('\n').find((line) => line.includes('error')) ?? `it ended with ${code}`);
}

function reasonOf(error: NodeJS.ErrnoException, part: NativePart): string {
  if (error.code === 'ENOENT' && error.syscall?.startsWith('spawn') === true)
    return `there is no C compiler \`${part.compiler}\` (Debian: apt-get install g++)`;
  if (error.code === 'EACCES' || error.code === 'EROFS' || error.code === 'EPERM')
    return 'this user cannot write to the checkout; start it once as its owner';
  return error.message;
}
