import { AppError, type Uuid } from '@auditrax/base';
import { sql } from '@auditrax/tenancy';
import type { Whereabouts } from '../claims/probe.ts';
import { HOME_CELL, type CellDoor } from '../platform/audit/index.ts';

interface PlaceRow {
  readonly kind: string;
  readonly region: string;
  readonly cell: string;
}

/**
 * Where a canary lives by home's table, and where it left traces: every database of the house is asked for entries of
 * its log, under the sentinel's own role, which sees the entries of all tenants. Rejects when one cannot be asked.
 */
export function createWhereabouts(deps: {
  /** Home first. */
  readonly cells: () => readonly CellDoor[];
  /** Region of each cell, as the supervisor says. */
  readonly regions: () => ReadonlyMap<string, string>;
}): (tenantId: Uuid) => Promise<Whereabouts> {
  return async (tenantId) => {
    const cells = deps.cells();
    const regions = deps.regions();
    const [place] = await cells[0]!.door.system(
      sql<PlaceRow>`select p.kind, p.region, p.cell from platform.placement p where p.tenant_id = ${tenantId}`,
    );
    if (place === undefined) throw new AppError('canary_not_placed', 'this canary has no place of its own');
    const unseen = [...regions.keys()].filter((name) => cells.every(({ cell }) => cell !== name));
    if (unseen.length > 0) throw new AppError('cell_not_open', `${unseen.length} databases are not open`);
    const found = await Promise.all(
      cells.map(async ({ cell, door }) => {
        const [row] = await door.system(
          sql<{ has: boolean }>`select exists (select from audit.entry e where e.tenant_id = ${tenantId}) as has`,
        );
        return row!.has ? [cell] : [];
      }),
    );
    return {
      ...place,
      homeRegion: regions.get(HOME_CELL) ?? '',
      loggedIn: found.flat(),
      cells: cells.length,
      regionOf: Object.fromEntries(regions),
    };
  };
}
