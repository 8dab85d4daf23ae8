import { openDatabase, type Database } from '@auditrax/tenancy';
import { Client } from 'pg';
import { startTestDatabase, type TestDatabase } from '../../../platform/db/testing.ts';

/** A real database as the workspace opens it, and a superuser beside it. */
export interface WorkspaceDatabase {
  readonly server: TestDatabase;
  readonly admin: Client;
  readonly database: Database;
  stop(): Promise<void>;
}

export async function startWorkspaceDatabase(systemTables: readonly string[] = []): Promise<WorkspaceDatabase> {
  const server = await startTestDatabase();
  const admin = new Client(server.connectionFor('superuser'));
  await admin.connect();
  // Stands for a running ledger: the guard refuses changed rows while the log's heartbeat is old.
  await admin.query(`update audit.beat set beat = 'infinity'`);
  const database = openDatabase({
    connection: server.connectionFor('ax_workspace'),
    poolSize: 4,
    clock: { nowMs: () => Date.now() },
    onRefusal: async () => undefined,
    systemTables: [...systemTables],
  });
  return {
    server,
    admin,
    database,
    async stop() {
      await database.close();
      await admin.end();
      await server.stop();
    },
  };
}
