// The ledger: the one sequencer of the log. Sees hashes and sizes, never a leaf; asks the signer to sign growth.
import { openDatabase } from '@auditrax/tenancy';
import { problems as auditProblems } from '../platform/audit/errors.ts';
import { createLedger } from '../platform/audit/ledger.ts';
import { logOrigins } from '../platform/audit/ledger-queries.ts';
import { createSequencer } from '../platform/audit/sequencer.ts';
import { remoteSigner } from '../platform/audit/signer-client.ts';
import { databaseConnection, openFloor, postTo } from './floor.ts';
import { LOG_ORIGIN_PREFIX } from './log-origin.ts';
import { serve } from './serve.ts';

/** The sequencer is one connection; proofs are asked for beside it. */
const POOL_SIZE = 8;
const TABLES = ['pending', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat'].map(
  (name) => `audit.${name}`,
);

const floor = await openFloor('ledger');
try {
  const database = openDatabase({
    connection: databaseConnection(floor.member.boot.database),
    poolSize: POOL_SIZE,
    clock: floor.clock,
    // The ledger acts for no tenant: a refusal here is a bug or a break-in of this process, and it stops.
    onRefusal: (event) => {
      floor.log.error('statement-refused', { code: event.code });
      return Promise.reject(new Error('the ledger sent a statement that it may not send'));
    },
    systemTables: TABLES,
  });
  await floor.member.whenPeers((peers) => peers.addresses.signer !== undefined);
  const signer = remoteSigner(postTo(floor, 'signer'));
  const sequencer = createSequencer({ door: database.system, signer, originPrefix: LOG_ORIGIN_PREFIX });
  const ledger = createLedger({
    door: database.system,
    sequencer,
    signer,
    onTrouble: (error, stopped) => floor.log.error(stopped ? 'log-stopped' : 'log-trouble', { error }),
  });
  await ledger.start();
  floor.member.onAsk('log-keys', async () => {
    const logs = await database.system.system(logOrigins());
    return Promise.all(logs.map(async ({ origin }) => (await signer.state(origin)).verifierKey));
  });
  await serve(floor, 'ledger', {
    rooms: [ledger.routes],
    problems: [auditProblems],
    readiness: () => {
      const trouble = ledger.trouble();
      return Promise.resolve([{ check: 'sequencer', ok: trouble === undefined, detail: trouble ?? 'running' }]);
    },
    release: async () => {
      await ledger.stop();
      await database.close();
    },
  });
} catch (error) {
  floor.member.fatal(error);
}
