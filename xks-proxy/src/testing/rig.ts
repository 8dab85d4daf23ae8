// The real program on a SoftHSM token of its own, and curl as an independent signer.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { systemClock, systemRandom } from '@auditrax/base';
import { openToken } from '@auditrax/seal/pkcs11';
import { initSoftToken, type SoftToken } from '@auditrax/seal/providers/pkcs11/soft-token';
import { throwAwayAuthority, type Pair, type ThrowAwayAuthority } from '../../../app/rehearsal/certificates.ts';
import { newCredential } from '../credential.ts';

export const ROOT = join(import.meta.dirname, '../../..');
const LAUNCHER = join(ROOT, 'xks-proxy/auditrax-xks-proxy.mjs');
const READY_MS_MAX = 20_000;
export const PIN = '93718264';
const run = promisify(execFile);

export interface Credential {
  readonly id: string;
  readonly secret: string;
}

export type Settings = Record<string, unknown>;
export type Line = Readonly<Record<string, unknown>> & { readonly event: string };

/** A folder with a token, its keys, certificates and credentials. */
export interface Bench {
  readonly folder: string;
  readonly soft: SoftToken;
  readonly authority: ThrowAwayAuthority;
  /** Writes a private file and returns its name. */
  put(name: string, text: string): Promise<string>;
  putPair(name: string, pair: Pair): Promise<{ certificateFile: string; keyFile: string }>;
  putCredential(name: string, prefix: string): Promise<Credential>;
  putConfig(settings: Settings, name?: string): Promise<string>;
  readonly labels: readonly string[];
  remove(): Promise<void>;
}

/** Makes the folder, with one AES-256 key on the token for each label. */
export async function makeBench(labels: readonly string[]): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'xks-proxy-'));
  const soft = await initSoftToken({ folder, label: 'bench', pin: PIN });
  const token = await openToken({ ...soft, sessions: 1 });
  for (const label of labels) await token.createAesKey({ label, use: 'gcm' });
  token.close();
  const put = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return name;
  };
  await put('pin', `${PIN}\n`);
  const authority = await throwAwayAuthority(systemClock);
  await put('ca.pem', authority.authorityPem);
  const bench: Bench = {
    folder,
    soft,
    authority,
    labels,
    put,
    putPair: async (name, pair) => ({
      certificateFile: await put(`${name}.pem`, pair.certificatePem),
      keyFile: await put(`${name}.key`, pair.keyPem),
    }),
    putCredential: async (name, prefix) => {
      const file = newCredential(prefix, systemRandom);
      await put(name, JSON.stringify(file));
      const { AccessKeyId: id, RawSecretAccessKey: secret } = file.XksProxyAuthenticationCredential;
      return { id, secret };
    },
    putConfig: async (settings, name = 'config.json') => join(folder, await put(name, JSON.stringify(settings))),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  await bench.putPair('server', await authority.server());
  return bench;
}

/** A configuration for the bench's token and certificate. */
export function settingsOf(bench: Bench, more: Settings): Settings {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    tls: { certificateFile: 'server.pem', keyFile: 'server.key' },
    hsm: {
      modulePath: bench.soft.modulePath,
      tokenLabel: bench.soft.tokenLabel,
      pinFile: 'pin',
      environment: bench.soft.environment,
    },
    ...more,
  };
}

export interface Program {
  readonly child: ChildProcess;
  readonly port: number;
  /** Everything it wrote, both streams. */
  said(): string;
  lines(): readonly Line[];
  /** The first line, from now on, that fits. */
  next(fits: (line: Line) => boolean): Promise<Line>;
  stop(): Promise<number | null>;
}

/** Starts `auditrax-xks-proxy --config FILE` and waits until it is ready. */
export async function startProgram(config: string): Promise<Program> {
  const child = spawn(process.execPath, [LAUNCHER, '--config', config], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
  });
  let said = '';
  const lines: Line[] = [];
  const waiting = new Set<(line: Line) => void>();
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  createInterface(child.stdout).on('line', (text) => {
    said += `${text}\n`;
    const line = JSON.parse(text) as Line;
    lines.push(line);
    for (const tell of waiting) tell(line);
  });
  const next = (fits: (line: Line) => boolean) =>
    new Promise<Line>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no such line; it said ${said.slice(-2000)}`)), READY_MS_MAX);
      const tell = (line: Line) => {
        if (!fits(line)) return;
        clearTimeout(timer);
        waiting.delete(tell);
        resolve(line);
      };
      waiting.add(tell);
    });
  const ready = await next(({ event }) => event === 'ready');
  return {
    child,
    port: Number(ready['port']),
    said: () => said,
    lines: () => lines,
    next,
    stop: async () => {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      return child.exitCode;
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly error: string;
  readonly seconds: number;
}

export interface Ask {
  readonly credential: Credential;
  /** After `/kms/xks/v1/`. */
  readonly path: string;
  readonly prefix?: string;
  readonly body?: unknown;
  /** Further arguments of curl. */
  readonly curl?: readonly string[];
  readonly service?: string;
}

/** `curl --aws-sigv4`: signs with code of its own. */
export async function ask(bench: Bench, port: number, wanted: Ask): Promise<Answer> {
  const { credential, path, prefix = '', body, curl = [], service = 'kms-xks-proxy' } = wanted;
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? {});
  const child = run(
    'curl',
    [
      '-sS',
      '--tlsv1.3',
      '--cacert',
      join(bench.folder, 'ca.pem'),
      '--max-time',
      '10',
      '--aws-sigv4',
      `aws:amz:eu-west-1:${service}`,
      '--user',
      `${credential.id}:${credential.secret}`,
      '-H',
      'Content-Type: application/json',
      '--data-binary',
      '@-',
      '-w',
      '\n%{http_code} %{time_total}',
      ...curl,
      `https://localhost:${port}${prefix}/kms/xks/v1/${path}`,
    ],
    { encoding: 'utf8' },
  );
  child.child.stdin!.end(text);
  const { stdout } = await child;
  const end = stdout.lastIndexOf('\n');
  const [status, seconds] = stdout.slice(end + 1).split(' ');
  const reply = stdout.slice(0, end);
  const parsed = reply.startsWith('{') ? (JSON.parse(reply) as Record<string, unknown>) : {};
  return {
    status: Number(status),
    body: parsed,
    error: typeof parsed['errorName'] === 'string' ? parsed['errorName'] : '',
    seconds: Number(seconds),
  };
}

/** Process ids of the sessions that a program holds with its token. */
export async function sessionsOf({ child: { pid } }: Program): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.trim().split(' ').filter(Boolean).map(Number);
}
