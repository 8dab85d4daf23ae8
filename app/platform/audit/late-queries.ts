import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

/** The tenant's newest key pair, as far as a writer needs it. */
export const lateKey = ({ tenantId }: TenantContext): Statement<{ id: Uuid; public_key: Buffer }> =>
  sql<{ id: Uuid; public_key: Buffer }>`select k.id, k.public_key from audit.late_key k
    where k.tenant_id = ${tenantId} order by k.created_at desc, k.id limit 1`;

export const insertLateKey = (
  { tenantId }: TenantContext,
  key: { readonly id: Uuid; readonly publicKey: Uint8Array; readonly sealed: Uint8Array },
): Statement =>
  sql`insert into audit.late_key (tenant_id, id, public_key, sealed)
    values (${tenantId}, ${key.id}, ${key.publicKey}, ${key.sealed})`;

export const lateKeyById = ({ tenantId }: TenantContext, id: Uuid): Statement<{ id: Uuid; sealed: Buffer }> =>
  sql<{ id: Uuid; sealed: Buffer }>`select k.id, k.sealed from audit.late_key k
    where k.tenant_id = ${tenantId} and k.id = ${id}`;

export const insertLate = (
  { tenantId }: TenantContext,
  row: { readonly entryId: Uuid; readonly digest: string; readonly keyId: Uuid; readonly sealed: Uint8Array },
): Statement =>
  sql`insert into audit.late_disclosure (tenant_id, entry_id, digest, key_id, sealed)
    values (${tenantId}, ${row.entryId}, ${row.digest}, ${row.keyId}, ${row.sealed})`;

export const lateDisclosures = (
  { tenantId }: TenantContext,
  limit: number,
): Statement<{ entry_id: Uuid; digest: string }> =>
  sql<{ entry_id: Uuid; digest: string }>`select l.entry_id, l.digest from audit.late_disclosure l
    where l.tenant_id = ${tenantId} order by l.created_at limit ${limit}`;

export const takeLate = (
  { tenantId }: TenantContext,
  of: { readonly entryId: Uuid; readonly digest: string },
): Statement<{ key_id: Uuid; sealed: Buffer }> =>
  sql<{ key_id: Uuid; sealed: Buffer }>`delete from audit.late_disclosure l
    where l.tenant_id = ${tenantId} and l.entry_id = ${of.entryId} and l.digest = ${of.digest}
    returning l.key_id, l.sealed`;
