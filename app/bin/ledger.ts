// The ledger: one sequencer per cell. Sees hashes and sizes, never a leaf; asks the signer to sign growth.
import { openDatabase, type Database } from '@auditrax/tenancy';
import { problems as auditProblems } from '../platform/audit/errors.ts';
import { HOME_CELL } from '../platform/audit/index.ts';
import { createLedger } from '../platform/audit/ledger.ts';
import { remoteSigner } from '../platform/audit/signer-client.ts';
import type { DatabaseAccess } from '../platform/supervisor/messages.ts';
import { cellAccess, followCells } from './cells.ts';
import { databaseConnection, openFloor, postTo } from './floor.ts';
import { LOG_ORIGIN_PREFIX } from './log-origin.ts';
import { serve } from './serve.ts';

/** The sequencer is one connection; proofs are asked for beside it. */
const POOL_SIZE = 8;
/** Of a cell of one tenant. A cluster counts the connections of all its cells together. */
const CELL_POOL_SIZE = 2;
const TABLES = ['pending', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat'].map(
  (name) => `audit.${name}`,
);

const floor = await openFloor('ledger');
try {
  const open = (access: DatabaseAccess | undefined, poolSize: number): Database =>
    openDatabase({
      connection: databaseConnection(access),
      poolSize,
      clock: floor.clock,
      // The ledger acts for no tenant: a refusal here is a bug or a break-in of this process, and it stops.
      onRefusal: (event) => {
        floor.log.error('statement-refused', { code: event.code });
        return Promise.reject(new Error('the ledger sent a statement that it may not send'));
      },
      systemTables: [...TABLES, 'platform.placement'],
    });
  const home = open(floor.member.boot.database, POOL_SIZE);
  const databases = new Map<string, Database>([[HOME_CELL, home]]);
  await floor.member.whenPeers((peers) => peers.addresses.signer !== undefined);
  const ledger = createLedger({
    home: home.system,
    signer: remoteSigner(postTo(floor, 'signer')),
    originPrefix: LOG_ORIGIN_PREFIX,
    onTrouble: (error, { cell, stopped }) => floor.log.error(stopped ? 'log-stopped' : 'log-trouble', { cell, error }),
  });
  await ledger.start();
  followCells(floor, {
    opened: (cell) => {
      const database = open(cellAccess(floor.member.boot, cell), CELL_POOL_SIZE);
      databases.set(cell.cell, database);
      ledger.open({ cell: cell.cell, door: database.system });
    },
    gone: (cell) => {
      const database = databases.get(cell);
      databases.delete(cell);
      void ledger.close(cell).then(() => database?.close());
    },
  });
  floor.member.onAsk('log-keys', () => ledger.verifierKeys());
  await serve(floor, 'ledger', {
    rooms: [ledger.routes],
    problems: [auditProblems],
    readiness: () => {
      // Home alone: another cell's trouble stops that cell's writers, and nobody else is to be turned away for it.
      const trouble = ledger.trouble(HOME_CELL);
      return Promise.resolve([{ check: 'sequencer', ok: trouble === undefined, detail: trouble ?? 'running' }]);
    },
    release: async () => {
      await ledger.stop();
      await Promise.all([...databases.values()].map((database) => database.close()));
    },
  });
} catch (error) {
  floor.member.fatal(error);
}
