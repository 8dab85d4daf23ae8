// For database tests of any room: lets the commit guard see a running log without a ledger process, or runs one here.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, systemClock } from '@auditrax/base';
import { openDatabase, type Connection } from '@auditrax/tenancy';
import { Client } from 'pg';
import type { TestDatabase } from '../db/testing.ts';
import { ledgerRoutes, remoteLedger, type LedgerClient } from './index.ts';
import { LEDGER_FUNCTIONS } from './ledger-queries.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { createSigner } from './signer.ts';
import { SUPER_TABLES } from './super-queries.ts';
import { memoryKeys } from './testing/log-keys.ts';

/** One statement as the test superuser; never used by product code. */
export async function asSuperuser<Row>(database: TestDatabase, text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new Client(database.connectionFor('superuser'));
  await client.connect();
  try {
    return (await client.query(text, values)).rows as Row[];
  } finally {
    await client.end();
  }
}

/** Sets the sequencer's heartbeat: `running` never grows old, `stopped` is older than any bound. */
export async function setBeat(database: TestDatabase, state: 'running' | 'stopped'): Promise<void> {
  await asSuperuser(database, 'update audit.beat set beat = $1::timestamptz', [
    state === 'running' ? 'infinity' : '-infinity',
  ]);
}

/** Tables that the ledger asks for at the system door. */
export const LEDGER_TABLES = [
  ...['log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat', 'pending'].map((name) => `audit.${name}`),
  ...SUPER_TABLES,
  'platform.placement',
];

/** The ledger's own routes, called without the network. */
export function ledgerInProcess(ledger: Pick<Ledger, 'routes'>): LedgerClient {
  return remoteLedger(async (path, body) => {
    const name = Object.entries(ledgerRoutes).find(([, route]) => route.path === path)![0];
    const handler = ledger.routes.handlers[name] as unknown as (call: {
      body: unknown;
    }) => Promise<{ status: number; body: unknown }>;
    try {
      return await handler({ body });
    } catch (error) {
      if (error instanceof AppError) return { status: error.code === 'audit_entry_unknown' ? 404 : 503, body: {} };
      throw error;
    }
  });
}

export interface TestLedger {
  readonly client: LedgerClient;
  stop(): Promise<void>;
}

/** Sequences and signs the log of one database, with a key of its own. */
export async function startTestLedger(connection: Connection): Promise<TestLedger> {
  const database = openDatabase({
    connection,
    poolSize: 4,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: LEDGER_TABLES,
    functions: LEDGER_FUNCTIONS,
  });
  const folder = mkdtempSync(join(tmpdir(), 'ax-ledger-'));
  const originPrefix = 'test.example/log/';
  const signer = createSigner({ journalDirectory: folder, keys: memoryKeys(), originPrefix });
  const ledger = createLedger({ home: database.system, signer, originPrefix, onTrouble: () => undefined });
  await ledger.start();
  return {
    client: ledgerInProcess(ledger),
    stop: async () => {
      await ledger.stop();
      await signer.close();
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
