// The signer and the ledger as processes of their own that a test can kill: each behind a socket in the test's folder.
// `node crash-process.ts signer|ledger <order as JSON>`.
import { createPrivateKey } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { systemClock, type Uuid } from '@auditrax/base';
import { openDatabase } from '@auditrax/tenancy';
import type { TestConnection } from '../../db/testing.ts';
import { createLedger } from '../ledger.ts';
import type { SignerClient } from '../signer-client.ts';
import { createSigner } from '../signer.ts';
import { memoryKeys } from './log-keys.ts';
import { LEDGER_FUNCTIONS } from '../ledger-queries.ts';
import { SUPER_TABLES } from '../super-queries.ts';

/** What the test tells its processes. */
export interface CrashOrder {
  readonly folder: string;
  readonly originPrefix: string;
  readonly keyPem: string;
  readonly connection: TestConnection;
}

const TABLES = ['pending', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat'];
const START_AGAIN_MS = 50;

async function bodyOf(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

/** Asks a process of this file. Rejects when it is not there. */
export function askProcess(socketPath: string, path: string, body: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method: 'POST' }, (reply) => {
      if (reply.statusCode === 200) resolve(bodyOf(reply).then((text) => JSON.parse(text) as unknown));
      else {
        reply.resume();
        reject(new Error(`status ${reply.statusCode}`));
      }
    });
    asked.on('error', reject);
    asked.end(JSON.stringify(body));
  });
}

function serve(socketPath: string, answer: (path: string, body: never) => Promise<unknown>): void {
  rmSync(socketPath, { force: true });
  createServer((message, response) => {
    bodyOf(message)
      .then((text) => answer(message.url!, JSON.parse(text) as never))
      .then(
        (found) => response.end(JSON.stringify(found)),
        () => {
          response.statusCode = 503;
          response.end();
        },
      );
  }).listen(socketPath);
}

function runSigner({ folder, originPrefix, keyPem }: CrashOrder): void {
  const journalDirectory = join(folder, 'journal');
  const signer = createSigner({ journalDirectory, keys: memoryKeys(createPrivateKey(keyPem)), originPrefix });
  serve(join(folder, 'signer'), (path, body: { text: string }) =>
    path === '/state' ? signer.state(body.text) : signer.addCheckpoint(body.text),
  );
}

async function runLedger({ folder, originPrefix, connection }: CrashOrder): Promise<void> {
  const database = openDatabase({
    connection,
    poolSize: 4,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: [...TABLES.map((name) => `audit.${name}`), ...SUPER_TABLES, 'platform.placement'],
    functions: LEDGER_FUNCTIONS,
  });
  const ask = (path: string, text: string): Promise<never> =>
    askProcess(join(folder, 'signer'), path, { text }) as Promise<never>;
  const never = (): Promise<never> => Promise.reject(new Error('no key is changed here'));
  const signer: SignerClient = {
    addCheckpoint: (text) => ask('/checkpoint', text),
    state: (origin) => ask('/state', origin),
    makeKey: never,
    offerKey: never,
    handOver: never,
    retireKeys: never,
  };
  const ledger = createLedger({
    home: database.system,
    signer,
    originPrefix,
    onTrouble: (error, { stopped }) => {
      if (stopped) process.stderr.write(`stopped: ${(error as Error).message}\n`);
    },
  });
  for (;;) {
    try {
      await ledger.start();
      break;
    } catch (error) {
      if ((error as { code?: string }).code === 'audit_log_behind_signer') {
        process.stderr.write(`stopped: ${(error as Error).message}\n`);
        process.exit(3);
      }
      await new Promise((resolve) => setTimeout(resolve, START_AGAIN_MS));
    }
  }
  serve(join(folder, 'ledger'), (_path, body: { tenantId: Uuid; entryId: Uuid }) =>
    ledger.receipt({ ...body, waitMs: 1_000 }),
  );
}

if (process.argv[1] === import.meta.filename) {
  // A test run that is killed takes its processes along.
  process.stdin.on('end', () => process.exit()).resume();
  const order = JSON.parse(process.argv[3]!) as CrashOrder;
  if (process.argv[2] === 'signer') runSigner(order);
  else await runLedger(order);
}
