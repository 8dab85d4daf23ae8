import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';
import type { RevocationCause } from '../identity/index.ts';

export interface DepartureRow {
  readonly id: Uuid;
  readonly member_id: Uuid;
  readonly label: Uint8Array;
  readonly cause: RevocationCause;
  readonly caused_at: Date;
  readonly by_member: Uuid | null;
  readonly by_label: Uint8Array | null;
  readonly effects: readonly { readonly holder: string; readonly ended: number; readonly at: string }[];
  readonly completed_at: Date | null;
}

/** Whose access ended, the latest first. */
export const listDepartures = (
  tenantId: Uuid,
  of: { readonly cause: RevocationCause | undefined; readonly until: Date | undefined; readonly limit: number },
): Statement<DepartureRow> =>
  sql<DepartureRow>`select r.id, r.member_id, m.label, r.cause, r.caused_at, r.by_member, b.label as by_label, r.effects,
      r.completed_at
    from identity.revocation r
    join identity.member m on m.tenant_id = ${tenantId} and m.id = r.member_id
    left join identity.member b on b.tenant_id = ${tenantId} and b.id = r.by_member
    where r.tenant_id = ${tenantId}
      and (${of.cause ?? null}::text is null or r.cause = ${of.cause ?? null})
      and (${of.until ?? null}::timestamptz is null or r.caused_at <= ${of.until ?? null})
    order by r.caused_at desc, r.id limit ${of.limit}`;
