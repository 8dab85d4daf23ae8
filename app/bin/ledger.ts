// The ledger: one sequencer per cell. Sees hashes and sizes, never a leaf; asks the signer to sign growth.
import type { Json } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import { readAuthorities } from '@auditrax/tlog';
import { problems as auditProblems } from '../platform/audit/errors.ts';
import { HOME_CELL } from '../platform/audit/index.ts';
import { createLedger, type Ledger, type LedgerDeps } from '../platform/audit/ledger.ts';
import { LEDGER_FUNCTIONS } from '../platform/audit/ledger-queries.ts';
import { SUPER_TABLES } from '../platform/audit/super-queries.ts';
import { superOrigin } from '../platform/audit/super-log.ts';
import { readWitnessPolicy } from '../platform/audit/witness-setting.ts';
import { remoteSigner } from '../platform/audit/signer-client.ts';
import type { DatabaseAccess } from '../platform/supervisor/messages.ts';
import { cellAccess, followCells } from './cells.ts';
import { databaseConnection, openFloor, postTo, type Floor } from './floor.ts';
import { readGenerationOrder, readKeyOrder, takeGenerationOrder } from './generation-order.ts';
import { LOG_ORIGIN_PREFIX } from './log-origin.ts';
import { serve } from './serve.ts';

/** The sequencer is one connection; proofs are asked for beside it. */
const POOL_SIZE = 8;
/** Of a cell of one tenant. A cluster counts the connections of all its cells together. */
const CELL_POOL_SIZE = 2;
const TABLES = [
  ...['pending', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat'].map((name) => `audit.${name}`),
  ...SUPER_TABLES,
];

/** Witnesses and the timestamping authority, as the supervisor read them. Throws `bad_setting`. */
async function readOutside(options: Readonly<Record<string, Json>>): Promise<NonNullable<LedgerDeps['outside']>> {
  const { witnessPolicy, timestamps } = options;
  const authority = timestamps as { url: string; certificates: string } | null | undefined;
  return {
    policy:
      typeof witnessPolicy === 'string'
        ? await readWitnessPolicy(witnessPolicy, superOrigin(LOG_ORIGIN_PREFIX, 1))
        : undefined,
    authority: authority ? { url: authority.url, certificates: readAuthorities(authority.certificates) } : undefined,
  };
}

/**
 * An order that was left while the house stood still: a home that knows less than was signed does not start without it.
 * It is taken away first, so that it is carried out once.
 */
async function carryOutOrder(ledger: Ledger, { member, log }: Floor): Promise<void> {
  const order = takeGenerationOrder(member.boot.stateDirectory);
  if (order === undefined) return;
  const { opened, troubles } = await ledger.newGeneration(order);
  for (const one of opened)
    log.warn('log-generation-opened', { reason: `${one.origin}: ${one.keptSize} of ${one.signedSize} kept` });
  for (const { cell, why } of troubles) log.error('log-generation-trouble', { cell, reason: why });
}

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
      functions: LEDGER_FUNCTIONS,
    });
  const home = open(floor.member.boot.database, POOL_SIZE);
  const databases = new Map<string, Database>([[HOME_CELL, home]]);
  await floor.member.whenPeers((peers) => peers.addresses.signer !== undefined);
  const ledger = createLedger({
    home: home.system,
    signer: remoteSigner(postTo(floor, 'signer')),
    originPrefix: LOG_ORIGIN_PREFIX,
    clock: floor.clock,
    random: floor.random,
    outside: await readOutside(floor.member.boot.options),
    onTrouble: (error, { cell, stopped }) => floor.log.error(stopped ? 'log-stopped' : 'log-trouble', { cell, error }),
  });
  await carryOutOrder(ledger, floor);
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
  ledger.startEpochs(floor.member.boot.options['epoch_ms'] as number | undefined);
  floor.member.onAsk('log-keys', async () => (await ledger.verifierKeys()).map(({ verifierKey }) => verifierKey));
  floor.member.onAsk('log-key-entries', async () => (await ledger.verifierKeys()).map((entry) => ({ ...entry })));
  floor.member.onAsk('new-generation', async (input) => {
    const { opened, troubles } = await ledger.newGeneration(readGenerationOrder(input));
    return { opened: opened.map((one) => ({ ...one })), troubles: troubles.map((one) => ({ ...one })) };
  });
  floor.member.onAsk('change-key', async (input) => {
    const { changed, troubles, isResumed } = await ledger.changeKey(readKeyOrder(input));
    return {
      changed: changed.map((one) => ({ ...one })),
      troubles: troubles.map((one) => ({ ...one })),
      isResumed,
    };
  });
  await serve(floor, 'ledger', {
    rooms: [ledger.routes],
    problems: [auditProblems],
    readiness: () => {
      // Home alone: another cell's trouble stops that cell's writers, and nobody else is to be turned away for it.
      const trouble = ledger.trouble(HOME_CELL);
      // Told, but no reason to turn anybody away: no writer waits for the super-log.
      const { size, away } = ledger.superLog.status();
      const isAway = away.length === 0 ? '' : `; away: ${away.map(({ cell }) => cell).join(', ')}`;
      const superDetail = `${ledger.superTrouble() ?? `${size} epochs`}${isAway}`;
      return Promise.resolve([
        { check: 'sequencer', ok: trouble === undefined, detail: trouble ?? 'running' },
        { check: 'super-log', ok: true, detail: superDetail },
      ]);
    },
    release: async () => {
      await ledger.stop();
      await Promise.all([...databases.values()].map((database) => database.close()));
    },
  });
} catch (error) {
  floor.member.fatal(error);
}
