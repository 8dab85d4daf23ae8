import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';
import { TLS_FLOOR_ARGUMENTS } from '@auditrax/workload';
import type { LoginRole } from '../platform/db/roles.ts';
import {
  HOME_CELL,
  type CellAddress,
  type ProvisionOrder,
  type RelocationOrder,
  type RelocationReport,
} from '../platform/supervisor/messages.ts';
import type { HouseDatabase } from './database.ts';
import { ROOT } from './root.ts';
import type { Followed, SetupAnswer, SetupMessage, SetupOrder } from './setup.ts';

export type SetupDone = SetupAnswer & { readonly ok: true };

/** The one-shot set-up process, which alone ever holds a superuser's credentials. */
export interface HouseSetup {
  /** Runs it for a start, or for one order to provision; one at a time. Rejects with its own words. */
  run(provision?: ProvisionOrder): Promise<SetupDone>;
  /** Moves a tenant, beside whatever else it is asked: a move takes as long as its rows. Rejects with its own words. */
  relocate(order: RelocationOrder): Promise<RelocationReport>;
  /** Where the databases are, home first, as the last run found them. */
  cells(done: SetupDone): Promise<CellAddress[]>;
}

export function openSetup(input: {
  readonly database: HouseDatabase;
  readonly folders: Readonly<Record<LoginRole, SetupOrder['folders'][LoginRole]>>;
  readonly statePath: string;
  readonly compileCache: string;
  readonly progress: (line: string) => void;
  /** Resolves when whoever follows a cell's log has seen everything up to the position. */
  readonly followed: (cell: string, position: string) => Promise<unknown>;
}): HouseSetup {
  const { database, folders } = input;
  let last: Promise<unknown> = Promise.resolve();
  const order = async (asked: Pick<SetupOrder, 'provision' | 'relocate'>): Promise<SetupOrder> => ({
    address: database.address,
    clusters: await database.clusters(),
    logins: database.logins,
    folders,
    ...asked,
  });
  return {
    run: (provision) => {
      const done = last.then(() => runSetup(input, order(provision === undefined ? {} : { provision })));
      last = done.catch(() => undefined);
      return done;
    },
    relocate: async (relocate) => (await runSetup(input, order({ relocate }))).report!,
    cells: async ({ cells }) => {
      const clusters = new Map((await database.clusters()).map((cluster) => [cluster.region, cluster.address]));
      return [
        { cell: HOME_CELL, region: database.region, address: database.address },
        ...cells.flatMap(({ cell, region, database: name }) => {
          const address = clusters.get(region);
          return address === undefined ? [] : [{ cell, region, address: { ...address, database: name } }];
        }),
      ];
    },
  };
}

async function answer(child: ChildProcess, asked: Promise<unknown>): Promise<void> {
  const reply: Followed = await asked.then(
    () => ({ followed: true }),
    (error: Error) => ({ followed: true, failure: error.message }),
  );
  child.send(reply, () => {}); // a process that is gone already is noticed by its exit
}

/** The process loads while the servers start; it is told what to do when they have. */
async function runSetup(
  { statePath, compileCache, progress, followed }: Parameters<typeof openSetup>[0],
  order: Promise<SetupOrder>,
): Promise<SetupDone> {
  const child = fork(join(ROOT, 'app/bin/setup.ts'), [statePath], {
    execArgv: ['--disable-warning=ExperimentalWarning', ...TLS_FLOOR_ARGUMENTS],
    env: { PATH: '/usr/bin:/bin', NODE_COMPILE_CACHE: compileCache },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const answered = new Promise<SetupAnswer>((resolve) => {
    child.on('message', (message) => {
      const said = message as SetupMessage;
      if ('progress' in said) progress(said.progress);
      else if ('followed' in said) void answer(child, followed(said.followed.cell, said.followed.position));
      else resolve(said);
    });
    child.once('exit', (code, signal) =>
      resolve({ ok: false, code: 'setup_failed', message: `the set-up process ended with ${signal ?? code}` }),
    );
  });
  try {
    child.send(await order, () => {}); // a process that is gone already is noticed by its exit
  } catch (error) {
    child.kill();
    throw error;
  }
  const said = await answered;
  if (!said.ok) throw new AppError(said.code, said.message);
  return said;
}
