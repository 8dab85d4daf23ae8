import type { Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import { placedTenants, type CellScope } from './ledger-queries.ts';

/** The cell of the shared tables, which also says where everybody else lives. */
export const HOME_CELL = 'home';

/** One cell, by name, and this process's system door into it. */
export interface CellDoor {
  readonly cell: string;
  readonly door: SystemDoor;
}

/** A log that has just moved is found at the next look; in between its readers are told to look again. */
const PLACEMENTS_AGE_MS_MAX = 1_000;

/** Where tenants live, as home's table says, read again when what is known is older than a second. */
export interface Placements {
  /** `age_ms_max`: what is known must not be older. */
  cellOf(tenantId: Uuid, age_ms_max?: number): Promise<string>;
  /** Whose logs a cell grows: in home everybody's who is placed nowhere else, elsewhere only those placed there. */
  scopeOf(cell: string): Promise<CellScope>;
}

/**
 * Home being out of reach does not stop the other cells: nobody is moved meanwhile, so what was known last still holds.
 * Rejects only when nothing was ever known.
 */
export function createPlacements(home: SystemDoor): Placements {
  let known: ReadonlyMap<Uuid, string> | undefined;
  let readAt = -Infinity;
  let reading: Promise<void> | undefined;

  const read = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      const rows = await home.system(placedTenants);
      known = new Map(rows.map((row) => [row.tenant_id, row.cell]));
    } catch (error) {
      if (known === undefined) throw error;
    }
    readAt = startedAt;
  };
  const current = async (age_ms_max: number): Promise<ReadonlyMap<Uuid, string>> => {
    if (known === undefined || performance.now() - readAt > age_ms_max) {
      reading ??= read().finally(() => {
        reading = undefined;
      });
      await reading;
    }
    return known!;
  };

  return {
    cellOf: async (tenantId, age_ms_max = PLACEMENTS_AGE_MS_MAX) =>
      (await current(age_ms_max)).get(tenantId) ?? HOME_CELL,
    scopeOf: async (cell) => {
      const placed = [...(await current(PLACEMENTS_AGE_MS_MAX))];
      const inside = cell !== HOME_CELL;
      return { inside, tenants: placed.flatMap(([id, at]) => ((at === cell) === inside ? [id] : [])) };
    },
  };
}
