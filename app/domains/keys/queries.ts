import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';
import { KEYS_LISTED_MAX } from './contract.ts';
import type { KeyPurpose, KeyState } from './contract.ts';

/** One row of app.dek as the driver gives it. */
export interface DekRow {
  readonly id: Uuid;
  readonly purpose: KeyPurpose;
  readonly version: number;
  readonly kek_ref: string;
  readonly wrapped: Buffer;
  readonly commitment: Buffer;
  readonly state: KeyState;
  readonly created_at: Date;
  readonly not_after: Date;
}

const COLUMNS = 'id, purpose, version, kek_ref, wrapped, commitment, state, created_at, not_after';

interface KeyName {
  readonly tenantId: Uuid;
  readonly purpose: KeyPurpose;
}

export function selectActive({ tenantId, purpose }: KeyName): Statement<DekRow> {
  return {
    sql: `select ${COLUMNS} from app.dek where tenant_id = $1 and purpose = $2 and state = 'ACTIVE'`,
    parameters: [tenantId, purpose],
  };
}

/** Holds the active key's row until the transaction ends, so that two rotations follow each other. */
export function lockActive({ tenantId, purpose }: KeyName): Statement<DekRow> {
  return {
    sql: `select ${COLUMNS} from app.dek where tenant_id = $1 and purpose = $2 and state = 'ACTIVE' for update`,
    parameters: [tenantId, purpose],
  };
}

export function selectVersion({
  tenantId,
  purpose,
  version,
}: KeyName & { readonly version: number }): Statement<DekRow> {
  return {
    sql: `select ${COLUMNS} from app.dek where tenant_id = $1 and purpose = $2 and version = $3`,
    parameters: [tenantId, purpose, version],
  };
}

export function insertDek(tenantId: Uuid, row: DekRow): Statement {
  return {
    sql: `insert into app.dek (tenant_id, ${COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    parameters: [
      tenantId,
      row.id,
      row.purpose,
      row.version,
      row.kek_ref,
      row.wrapped,
      row.commitment,
      row.state,
      row.created_at,
      row.not_after,
    ],
  };
}

export function closeToWriting(key: { readonly tenantId: Uuid; readonly id: Uuid }): Statement<{ id: Uuid }> {
  return {
    sql: `update app.dek set state = 'DECRYPT_ONLY' where tenant_id = $1 and id = $2 and state = 'ACTIVE' returning id`,
    parameters: [key.tenantId, key.id],
  };
}

export function listKeys(
  tenantId: Uuid,
): Statement<Pick<DekRow, 'id' | 'purpose' | 'version' | 'kek_ref' | 'state' | 'created_at' | 'not_after'>> {
  return {
    sql: `select id, purpose, version, kek_ref, state, created_at, not_after from app.dek where tenant_id = $1
          order by purpose, version desc limit ${KEYS_LISTED_MAX}`,
    parameters: [tenantId],
  };
}

/** Every key that may still open something, oldest first; also retired ones, which a restored row may need again. */
export function selectWrapped(tenantId: Uuid): Statement<DekRow> {
  return {
    sql: `select ${COLUMNS} from app.dek where tenant_id = $1 and state <> 'DESTROYED'
          order by purpose, version limit ${KEYS_LISTED_MAX}`,
    parameters: [tenantId],
  };
}

/** Compare-and-swap: nothing changes when somebody else has changed the wrap meanwhile. */
export function swapWrapped(input: {
  readonly tenantId: Uuid;
  readonly id: Uuid;
  readonly from: Pick<DekRow, 'kek_ref' | 'wrapped'>;
  readonly to: Pick<DekRow, 'kek_ref' | 'wrapped'>;
}): Statement<{ id: Uuid }> {
  return {
    sql: `update app.dek set wrapped = $5, kek_ref = $6
          where tenant_id = $1 and id = $2 and wrapped = $3 and kek_ref = $4 and state <> 'DESTROYED' returning id`,
    parameters: [input.tenantId, input.id, input.from.wrapped, input.from.kek_ref, input.to.wrapped, input.to.kek_ref],
  };
}

/** What the tenant has subscribed to. */
export function selectTier(tenantId: Uuid): Statement<{ tier: 'standard' | 'enterprise' }> {
  return { sql: 'select t.tier from platform.tenant t where t.id = $1', parameters: [tenantId] };
}

/** The last that the log says of a withdrawal of the tenant's own key. */
export function lastWithdrawal(tenantId: Uuid): Statement<{ type: string }> {
  return {
    sql: `select e.type from audit.entry e where e.tenant_id = $1 and e.resource_kind = 'key-source' and e.resource_id = $1
          and e.type in ('key.withdrawn', 'key.restored') order by e.id desc limit 1`,
    parameters: [tenantId],
  };
}

/** Tenants of the operator's overview; more are not counted. */
export const KEY_TENANTS_MAX = 1_000;

export function selectTenants(limit: number): Statement<{ id: Uuid; part: string; display_name: string }> {
  return {
    sql: 'select t.id, t.part, t.display_name from platform.tenant t where t.closed_at is null order by t.created_at limit $1',
    parameters: [limit],
  };
}
