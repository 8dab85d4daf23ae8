import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';

/** Where home says that a tenant lives. */
export interface PlacementRow {
  readonly cell: string;
  readonly region: string;
  readonly schema_name: string;
  readonly role_name: string;
  readonly version: number;
}

/** Gives no row for a tenant that never had a place of its own. */
export const placementOf = (tenantId: Uuid): Statement<PlacementRow> =>
  sql<PlacementRow>`select p.cell, p.region, p.schema_name, p.role_name, p.version from platform.placement p
    where p.tenant_id = ${tenantId}`;
