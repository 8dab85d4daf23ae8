import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { SystemDoor } from '@auditrax/tenancy';
import { feedEnd, reconcileMints, type Observation } from '../platform/audit/index.ts';

export interface ReconcilerDeps {
  /** The cell whose entries are compared. */
  readonly entries: SystemDoor;
  /** Home, where the issuer keeps its list. */
  readonly mints: SystemDoor;
  /** Where the position is kept between starts; lost, it begins at the end of the log. */
  readonly file: string;
  readonly record: (observation: Observation) => Promise<unknown>;
  readonly interval_ms: number;
  readonly onFailure: (error: unknown) => void;
}

export interface Reconciler {
  /** Compares everything that is new; resolves with the number of entries looked at. */
  runOnce(): Promise<number>;
  /** Position up to which everything was compared; undefined before the first look. */
  position(): number | undefined;
  start(): void;
  stop(): Promise<void>;
}

/**
 * Compares who acted, by the workspace's word, with whom the issuer vouched for. A mismatch is written into the
 * operator's log, where the detections page it; the position moves afterwards, so that a crash tells twice rather than
 * never.
 */
export function createReconciler(deps: ReconcilerDeps): Reconciler {
  let position: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();

  const load = async (): Promise<number> =>
    existsSync(deps.file) ? Number(readFileSync(deps.file, 'utf8')) : feedEnd(deps.entries);
  const keep = (value: number): void => {
    writeFileSync(`${deps.file}.new`, String(value), { mode: 0o600 });
    renameSync(`${deps.file}.new`, deps.file);
    position = value;
  };

  const pass = async (): Promise<number> => {
    if (position === undefined) keep(await load());
    let checked = 0;
    for (;;) {
      const found = await reconcileMints(deps, position!);
      for (const { entryId, tenantId, type, reason } of found.mismatches) {
        await deps.record({
          type: 'audit.mint.mismatch',
          resource: ['entry', entryId],
          outcome: 'failed',
          requestId: entryId,
          public: { entry: entryId, tenant: tenantId, type, reason },
        });
      }
      checked += found.checked;
      if (found.position === position) return checked;
      keep(found.position);
    }
  };

  /** One after the other: two passes at once would tell the same mismatch twice. */
  const runOnce = (): Promise<number> => {
    const turn = running.then(pass);
    running = turn.catch(() => undefined);
    return turn;
  };

  return {
    runOnce,
    position: () => position,
    start: () => {
      timer = setInterval(() => void runOnce().catch(deps.onFailure), deps.interval_ms);
    },
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
