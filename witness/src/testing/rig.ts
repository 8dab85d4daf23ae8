// A log of a test, and programs around it. The log signs with a key of its own and serves no tiles: bodies are all that a
// witness sees.
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import {
  appendLeaves,
  consistencyProof,
  createNoteSigner,
  edgeRoot,
  EMPTY_EDGE,
  formatAddCheckpoint,
  formatCheckpointText,
  leafHash,
  signNote,
  type TileReader,
} from '@auditrax/tlog';

const READY_MS_MAX = 15_000;

export interface TestLog {
  readonly origin: string;
  readonly privateKey: KeyObject;
  readonly verifierKey: string;
  /** The body for growth; `past` `other` is the same log with another third entry. */
  body(from: number, to: number, past?: 'own' | 'other'): Promise<string>;
  textAt(size: number): string;
}

/** A log of forty entries under a name that may depend on its key. */
export async function makeLog(nameOf: (rawKey: Buffer) => string): Promise<TestLog> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const origin = nameOf(Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url'));
  const signer = await createNoteSigner(origin, privateKey);
  const own = Array.from({ length: 40 }, (_, at) => leafHash(Buffer.from(`epoch ${at}`)));
  const other = own.map((hash, at) => (at === 2 ? leafHash(Buffer.from('another epoch')) : hash));
  const text = (hashes: Uint8Array[], size: number): string =>
    formatCheckpointText({ origin, size, root: edgeRoot(appendLeaves(EMPTY_EDGE, hashes.slice(0, size)).edge) });
  return {
    origin,
    privateKey,
    verifierKey: signer.verifierKey,
    textAt: (size) => text(own, size),
    body: async (from, to, past = 'own') => {
      const hashes = past === 'own' ? own : other;
      const reader: TileReader = async () => Buffer.concat(hashes.slice(0, to));
      const proof = from === 0 || from >= to ? [] : await consistencyProof({ from, to }, reader);
      return formatAddCheckpoint({ oldSize: from, proof, checkpoint: signNote(text(hashes, to), [signer]) });
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface Program {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  /** Asked for by path, until it answers at all. */
  post(path: string, body: string): Promise<{ status: number; type: string | null; body: string }>;
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a witness program that listens on this port of loopback. */
export function startProgram(
  command: readonly string[],
  { port, env = {} }: { port: number; env?: Record<string, string> },
): Program {
  const lines: string[] = [];
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...env },
  });
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => lines.push(...data.toString('utf8').split('\n').filter(Boolean)));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    child,
    lines,
    post: async (path, body) => {
      const until = performance.now() + READY_MS_MAX;
      for (;;) {
        try {
          const reply = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body });
          return { status: reply.status, type: reply.headers.get('content-type'), body: await reply.text() };
        } catch (error) {
          if (performance.now() > until || child.exitCode !== null)
            throw new Error(`no answer: ${lines.join(' | ')}`, { cause: error });
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    },
    end: async (signal) => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await ended;
    },
  };
}
