import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, isAppError, type Json } from '@auditrax/base';
import { askHouse } from '../platform/supervisor/control.ts';
import { answerControl } from './control-commands.ts';
import { startHouse, type House } from './house.ts';
import { readSettings, type Settings } from './settings.ts';
import { stopSignal, untilAborted } from './stop-signal.ts';

type Ask = (name: string, input: Json) => Promise<Json>;

/**
 * Runs `work` against the house that is running here, or against one of its own in a throw-away folder, on ports of its
 * own, stopped and removed afterwards.
 */
export async function withHouse<T>(progress: (line: string) => void, work: (ask: Ask) => Promise<T>): Promise<T> {
  const settings = readSettings(process.env);
  const socket = join(settings.state, 'supervisor/control');
  const running: Ask = (name, input) => askHouse(socket, { name, input }, progress);
  const isRunning = await running('status', null).then(
    () => true,
    (error: unknown) => {
      if (isAppError(error, 'not_running')) return false;
      throw error;
    },
  );
  if (isRunning) return work(running);
  progress('no house is running here: starting one in a throw-away folder');
  return withOwnHouse(settings, progress, work);
}

async function withOwnHouse<T>(
  settings: Settings,
  progress: (line: string) => void,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const stopped = stopSignal();
  const state = mkdtempSync(join(tmpdir(), 'axh-'));
  try {
    const house = await startHouse({
      settings: {
        ...settings,
        state,
        port: 0,
        publicPort: undefined,
        tryoutPort: settings.tryoutPort === undefined ? undefined : 0,
      },
      progress,
      log: () => {},
      signal: stopped,
      ephemeral: true,
    });
    try {
      const asked = askOwnHouse(house, progress, work);
      asked.catch(() => undefined); // what a stop cuts off fails afterwards
      return await Promise.race([asked, untilAborted(stopped).then(() => interrupted())]);
    } finally {
      await house.stop();
    }
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}

async function askOwnHouse<T>(
  house: House,
  progress: (line: string) => void,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  await house.supervisor.ask('issuer', 'seed', null);
  await house.supervisor.ask('sentinel', 'begin', null);
  return work((name, input) => answerControl(house, { name, input }, progress));
}

function interrupted(): never {
  throw new AppError('interrupted', 'stopped before it was done');
}
