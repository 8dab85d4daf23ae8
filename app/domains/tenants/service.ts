import { AppError, uuidV4 } from '@auditrax/base';
import { findTenantBySlug, type IdentityDeps, type KnownTenant } from '../identity/index.ts';
import type { TenantsCode } from './errors.ts';
import type { PlaceName } from './moving.ts';
import type { Placer } from './placer.ts';
import type { TenantKind, TenantListRow, TenantTier } from './queries.ts';
import * as queries from './queries.ts';

export type TenantsDeps = Pick<IdentityDeps, 'tenant' | 'system' | 'sealer' | 'recordAudit' | 'clock' | 'random'> & {
  /** Needed for tenants with a place of their own. */
  readonly placer?: Pick<Placer, 'settle'>;
};

export interface NewTenant {
  readonly slug: string;
  readonly displayName: string;
  readonly kind: TenantKind;
  /** Default: `standard`. */
  readonly tier?: TenantTier;
  /** Default: the shared tables. Made, and the tenant's home, before anything is stored for it. */
  readonly place?: PlaceName;
}

const SLUG_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;
const DISPLAY_NAME_CHARACTERS_MAX = 200;
/** The part is 32 random bits; even with a million tenants a collision is one in four thousand. */
const PART_TRIES_MAX = 8;
/** Read at once by the operator's page. */
const TENANTS_SHOWN_MAX = 1000;

function checkNewTenant(input: NewTenant): void {
  const named = input.displayName.length >= 1 && input.displayName.length <= DISPLAY_NAME_CHARACTERS_MAX;
  if (SLUG_PATTERN.test(input.slug) && named) return;
  throw new AppError<TenantsCode>('tenant_input_invalid', `slug ${input.slug} or its display name is not valid`);
}

function needPlacer(deps: TenantsDeps): Pick<Placer, 'settle'> {
  if (deps.placer === undefined) throw new AppError<TenantsCode>('place_unknown', 'this process makes no places');
  return deps.placer;
}

/** Random, so that an id neither counts tenants nor tells which came first. */
function randomPart(deps: TenantsDeps): number {
  return Buffer.from(deps.random.bytes(4)).readUInt32BE(0);
}

/** The row in the global table, made now or found. */
async function reserve(deps: TenantsDeps, input: NewTenant, requestId: string): Promise<KnownTenant> {
  for (let attempt = 0; attempt < PART_TRIES_MAX; attempt += 1) {
    const found = await findTenantBySlug(deps, input.slug, requestId);
    if (found !== undefined) return found;
    const row = {
      tier: 'standard' as const,
      ...input,
      id: uuidV4(deps.random),
      part: randomPart(deps),
      createdAt: new Date(deps.clock.nowMs()),
    };
    // Nothing inserted: the part or the slug was taken meanwhile; looking again tells which.
    await deps.system.system(queries.insertTenant(row));
  }
  throw new AppError<TenantsCode>('tenant_input_invalid', 'no free tenant part');
}

/**
 * Creates a tenant: its row, then keys and the first audit entry in one transaction. Interrupted in between, calling
 * again with the same slug finishes it; a tenant without keys can store nothing. `created` is false when it was there.
 * Throws `tenant_slug_taken` when the slug belongs to a tenant of another kind, `tenant_input_invalid`.
 */
export async function createTenant(
  deps: TenantsDeps,
  input: NewTenant,
  requestId: string,
): Promise<{ readonly tenant: KnownTenant; readonly created: boolean }> {
  checkNewTenant(input);
  const tenant = await reserve(deps, input, requestId);
  if (tenant.kind !== input.kind)
    throw new AppError<TenantsCode>('tenant_slug_taken', `${input.slug} is a ${tenant.kind} tenant`);
  const { context } = tenant;
  if (input.place !== undefined && input.place.kind !== 'shared')
    await needPlacer(deps).settle(context.tenantId, input.place);
  const created = await deps.tenant.transaction(context, async (tx) => {
    if ((await tx.query(queries.creationEntry(context.tenantId))).length > 0) return false;
    await deps.sealer.provision(context, tx);
    await deps.recordAudit(tx, {
      type: 'tenant.created',
      actor: { service: 'issuer' },
      resource: ['tenant', context.tenantId],
      outcome: 'allowed',
      requestId,
      public: { kind: input.kind, slug: input.slug, tier: input.tier ?? 'standard' },
    });
    return true;
  });
  return { tenant, created };
}

/** Every tenant by short name, for the operator. Names only: no ids, nothing of their content. */
export function listTenants(deps: Pick<TenantsDeps, 'system'>): Promise<TenantListRow[]> {
  return deps.system.system(queries.listTenants(TENANTS_SHOWN_MAX));
}
