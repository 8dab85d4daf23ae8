import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAppError, type Json } from '@auditrax/base';
import { askHouse } from '../platform/supervisor/control.ts';
import { answerControl } from './control-commands.ts';
import { startHouse } from './house.ts';
import { readSettings } from './settings.ts';

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
  const state = mkdtempSync(join(tmpdir(), 'axh-'));
  const house = await startHouse({
    settings: { ...settings, state, port: 0, tryoutPort: 0 },
    progress,
    log: () => {},
  });
  try {
    await house.supervisor.ask('issuer', 'seed', null);
    await house.supervisor.ask('sentinel', 'begin', null);
    return await work((name, input) => answerControl(house, { name, input }, progress));
  } finally {
    await house.stop();
    rmSync(state, { recursive: true, force: true });
  }
}
