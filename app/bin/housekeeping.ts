import type { SystemDoor, TenantContext } from '@auditrax/tenancy';
import { everyTenant } from '../domains/tenants/index.ts';
import type { Floor } from './floor.ts';
import { systemContext } from './refusals.ts';

/** Nothing that waits for it is due sooner: uploads expire after a day, keys after ninety. */
const ROUND_MS = 3_600_000;
/** The first round soon after the start, when the log is running. */
const FIRST_ROUND_MS = 30_000;

/** What is due for one tenant. */
export type Chore = (context: TenantContext) => Promise<unknown>;

/**
 * Does the chores of every tenant, hourly unless told otherwise; one tenant's failure is logged and does not stop the
 * others. A round that takes longer than its time is not overtaken by the next.
 */
export function startHousekeeping(
  floor: Floor,
  system: SystemDoor,
  work: { readonly chores: readonly Chore[]; readonly round_ms?: number },
): { stop(): void } {
  let busy = false;
  const round = async (): Promise<void> => {
    const tenants = await system.system(everyTenant());
    for (const tenant of tenants) {
      for (const chore of work.chores) {
        const context = systemContext({ id: tenant.id, part: Number(tenant.part) });
        await chore(context).catch((error: unknown) => floor.log.error('chore-failed', { error }));
      }
    }
  };
  const run = (): void => {
    if (busy) return;
    busy = true;
    void round()
      .catch((error: unknown) => floor.log.error('housekeeping-failed', { error }))
      .finally(() => {
        busy = false;
      });
  };
  const first = setTimeout(run, FIRST_ROUND_MS);
  const timer = setInterval(run, work.round_ms ?? ROUND_MS);
  return {
    stop: () => {
      clearTimeout(first);
      clearInterval(timer);
    },
  };
}
