import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';
import type { PlaceKind } from './placement-contract.ts';
import type { Caller } from '../../platform/http/handler.ts';

export type TenantKind = Caller['tenantKind'];

/** What an organisation has subscribed to; `enterprise` may bring a key source of its own. */
export type TenantTier = 'standard' | 'enterprise';

export interface TenantListRow {
  readonly slug: string;
  readonly display_name: string;
  readonly kind: TenantKind;
  readonly tier: TenantTier;
  readonly created_at: Date;
  /** Null: the shared tables of the home region. */
  readonly place_kind: PlaceKind | null;
  readonly place_region: string | null;
}

export const listTenants = (limit: number): Statement<TenantListRow> =>
  sql<TenantListRow>`select t.slug, t.display_name, t.kind, t.tier, t.created_at, p.kind as place_kind, p.region as place_region
    from platform.tenant t left join platform.placement p on p.tenant_id = t.id order by t.slug limit ${limit}`;

export const insertTenant = (row: {
  id: Uuid;
  part: number;
  kind: TenantKind;
  tier: TenantTier;
  slug: string;
  displayName: string;
  createdAt: Date;
}): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`insert into platform.tenant (id, part, kind, tier, slug, display_name, created_at)
    values (${row.id}, ${row.part}, ${row.kind}, ${row.tier}, ${row.slug}, ${row.displayName}, ${row.createdAt})
    on conflict do nothing returning id`;

/** The entry that a finished tenant has; a tenant without it was interrupted half-way. */
export const creationEntry = (tenantId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select e.id from audit.entry e
    where e.tenant_id = ${tenantId} and e.resource_id = ${tenantId} and e.type = 'tenant.created' limit 1`;

/** Every tenant that is not closed, for chores of the system in its name. */
export function everyTenant(): Statement<{ id: Uuid; part: string }> {
  return sql<{ id: Uuid; part: string }>`select t.id, t.part from platform.tenant t
    where t.closed_at is null order by t.created_at`;
}
