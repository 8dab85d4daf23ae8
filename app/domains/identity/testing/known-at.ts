import { systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { SeededIssuer } from '../../tenants/testing/seeded-issuer.ts';

/** An account of the person at a connection in use, past the commit guard: how it came about is tested elsewhere. */
export async function knownAtConnection(
  { deps, rows }: Pick<SeededIssuer, 'deps' | 'rows'>,
  context: TenantContext,
  memberId: Uuid,
): Promise<Uuid> {
  const id = uuidV4(systemRandom);
  await rows('alter table identity.connection disable trigger user');
  await rows('alter table identity.account disable trigger user');
  const field = 'identity.connection.settings' as const;
  const settings = await deps.sealer.seal({ context, field, rowId: id, value: '{}' });
  await rows(
    `insert into identity.connection (tenant_id, id, kind, profile, state, settings, created_at)
     values ($1, $2, 'oidc', 'other', 'active', $3, now())`,
    [context.tenantId, id, settings],
  );
  await rows(
    `insert into identity.account (tenant_id, id, connection_id, subject_hash, member_id, origin, created_at)
     values ($1, $2, $3, $4, $5, 'connect', now())`,
    [context.tenantId, uuidV4(systemRandom), id, Buffer.alloc(32, 7), memberId],
  );
  await rows('alter table identity.connection enable trigger user');
  await rows('alter table identity.account enable trigger user');
  return id;
}
