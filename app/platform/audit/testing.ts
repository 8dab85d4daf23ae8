// For database tests of any room: lets the commit guard see a running log without a ledger process.
import { Client } from 'pg';
import type { TestDatabase } from '../db/testing.ts';

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
