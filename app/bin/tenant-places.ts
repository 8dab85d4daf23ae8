import { join } from 'node:path';
import { TenancyError, type PlacedDatabaseOptions, type Place, type SystemDoor } from '@auditrax/tenancy';
import { HOME_CELL } from '../platform/audit/index.ts';
import { placementOf, type PlacementRow } from '../platform/db/placement-queries.ts';
import { dedicatedPasswordFile, type CellAddress, type DatabaseAccess } from '../platform/supervisor/messages.ts';
import { cellAccess, cellAddresses } from './cells.ts';
import { databaseConnection, type Floor } from './floor.ts';

/** A cluster without a name of its own: there is only one. */
const ONLY_REGION = 'home';

export type TenantPlaces = Pick<PlacedDatabaseOptions, 'home' | 'placeOf' | 'cells' | 'connectionOf' | 'roleAt'>;

/**
 * Where tenants live, for a process that serves them. The workspace logs in as the role that is made for a tenant; the
 * issuer, which knows people of every tenant before it knows their tenant, as itself everywhere. `home` is asked where a
 * tenant lives; what it says is checked again by the database in every transaction.
 */
export function tenantPlaces(
  floor: Pick<Floor, 'member'>,
  service: 'issuer' | 'workspace',
  home: () => SystemDoor,
): TenantPlaces {
  const { member } = floor;
  const own = member.boot.database?.user ?? '';
  const addresses = (): readonly CellAddress[] => cellAddresses(member.peers());
  const homeRegion = (): string => addresses()[0]?.region ?? ONLY_REGION;
  const addressOf = (cell: string): DatabaseAccess | undefined => {
    if (cell === HOME_CELL) return member.boot.database;
    const known = addresses().find((one) => one.cell === cell);
    return known === undefined ? undefined : cellAccess(member.boot, known);
  };
  return {
    home: HOME_CELL,
    placeOf: async (tenantId) =>
      toPlace((await home().system(placementOf(tenantId)))[0], { own, homeRegion: homeRegion() }),
    cells: () => {
      const known = addresses().map(({ cell, region }) => ({ cell, region }));
      return known.length > 0 ? known : [{ cell: HOME_CELL, region: ONLY_REGION }];
    },
    connectionOf: (cell, role) => {
      const access = addressOf(cell);
      if (access === undefined) throw new TenancyError('database_unavailable', `nothing is known of the cell ${cell}`);
      return databaseConnection(role === own ? access : asDedicated(access, role, member.boot.stateDirectory));
    },
    roleAt: (place) => (service === 'workspace' ? place.role : own),
  };
}

function toPlace(row: PlacementRow | undefined, shared: { own: string; homeRegion: string }): Place {
  if (row === undefined) {
    return { cell: HOME_CELL, region: shared.homeRegion, schema: 'app', role: shared.own, version: 0 };
  }
  return { cell: row.cell, region: row.region, schema: row.schema_name, role: row.role_name, version: row.version };
}

/** Where roles have passwords, that of a tenant's role lies in a file of its own in the workspace's folder. */
function asDedicated(access: DatabaseAccess, role: string, stateDirectory: string): DatabaseAccess {
  const { passwordFile, ...rest } = access;
  const own = passwordFile === undefined ? {} : { passwordFile: join(stateDirectory, dedicatedPasswordFile(role)) };
  return { ...rest, user: role, ...own };
}
