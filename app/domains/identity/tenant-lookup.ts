import type { Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { IdentityDeps } from './deps.ts';
import type { TenantKind, TenantRow } from './queries.ts';
import { tenantById, tenantBySlug } from './queries.ts';

/** A tenant as the rooms of the issuer need it; `context` carries the request's id into every statement. */
export interface KnownTenant {
  readonly context: TenantContext;
  readonly kind: TenantKind;
  readonly slug: string;
  readonly displayName: string;
}

function toKnown(row: TenantRow | undefined, requestId: string): KnownTenant | undefined {
  if (row === undefined) return undefined;
  const context = { tenantId: row.id, tenantPart: Number(row.part), requestId };
  return { context, kind: row.kind, slug: row.slug, displayName: row.display_name };
}

/** By id, as stored beside a cookie, a passkey or a link. */
export async function findTenant(
  deps: Pick<IdentityDeps, 'system'>,
  id: Uuid,
  requestId: string,
): Promise<KnownTenant | undefined> {
  return toKnown((await deps.system.system(tenantById(id)))[0], requestId);
}

/** By its public short name. */
export async function findTenantBySlug(
  deps: Pick<IdentityDeps, 'system'>,
  slug: string,
  requestId: string,
): Promise<KnownTenant | undefined> {
  return toKnown((await deps.system.system(tenantBySlug(slug)))[0], requestId);
}
