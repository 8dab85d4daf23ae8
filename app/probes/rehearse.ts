import type { Clock, Random } from '@auditrax/base';
import type { ProbeHouse } from '../claims/probe.ts';
import type { startRehearsal } from '../rehearsal/index.ts';

/**
 * Rehearsals one after the other, each with stand-ins of its own that are gone after it. `tell` lets the keys process
 * dial them. Throws `rehearsal_unavailable` when this house, or this machine, has none.
 */
export function rehearsals(deps: {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly start: typeof startRehearsal;
  readonly tell: (standIns: { readonly origins: readonly string[]; readonly ca: string }) => Promise<void>;
}): ProbeHouse['rehearse'] & { /** Where stand-ins listen now. */ ports(): readonly number[] } {
  const { folder, clock, random, start, tell } = deps;
  let last: Promise<unknown> = Promise.resolve();
  let ports: readonly number[] = [];
  const rehearse: ProbeHouse['rehearse'] = (work) => {
    const before = last;
    const run = async () => {
      await before;
      const rehearsal = await start({ folder, mode: 'try-out', clock, random });
      ports = rehearsal.standIns.origins.map((origin) => Number(new URL(origin).port));
      try {
        await tell(rehearsal.standIns);
        return await work(rehearsal);
      } finally {
        await rehearsal.close();
        ports = [];
      }
    };
    const result = run();
    last = result.catch(() => undefined);
    return result;
  };
  return Object.assign(rehearse, { ports: () => ports });
}
