import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { routes } from './contract.ts';
import type { Placer } from './placer.ts';
import { listTenants, type TenantsDeps } from './service.ts';

/** The operator's view of who is hosted here. */
export function tenantsRoutes(
  deps: Pick<TenantsDeps, 'system'> & { readonly placer: Pick<Placer, 'regions'> },
): RoomRoutes {
  const home = () => deps.placer.regions().find(({ isHome }) => isHome)?.name ?? 'home';
  return bindRoutes(routes, {
    async list() {
      const rows = await listTenants(deps);
      const tenants = rows.map((row) => ({
        slug: row.slug,
        name: row.display_name,
        kind: row.kind,
        tier: row.tier,
        place: { kind: row.place_kind ?? 'shared', region: row.place_region ?? home() },
        createdAt: row.created_at.toISOString(),
      }));
      return { status: 200 as const, body: { tenants } };
    },
  });
}
