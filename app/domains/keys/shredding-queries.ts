import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';
import type { DekRow } from './queries.ts';

export type ShreddedRow = Pick<DekRow, 'id' | 'purpose' | 'version' | 'kek_ref' | 'wrapped' | 'commitment' | 'state'>;

/** Every data key of the tenant, also those that are destroyed already. */
export const everyDek = (tenantId: Uuid): Statement<ShreddedRow> =>
  sql<ShreddedRow>`select k.id, k.purpose, k.version, k.kek_ref, k.wrapped, k.commitment, k.state from app.dek k
    where k.tenant_id = ${tenantId} order by k.purpose, k.version for update`;

export const destroyDek = (tenantId: Uuid, id: Uuid, zeros: Uint8Array): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update app.dek set state = 'DESTROYED', wrapped = ${zeros}
    where tenant_id = ${tenantId} and id = ${id} and state <> 'DESTROYED' returning id`;
