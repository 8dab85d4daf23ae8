import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';

export type Purpose = 'sign-in' | 'test' | 'connect' | 'invitation' | 'confirm';

export interface RequestRow {
  readonly state_hash: Uint8Array;
  readonly browser_hash: Uint8Array;
  readonly tenant_id: Uuid;
  readonly connection_id: Uuid;
  readonly purpose: Purpose;
  readonly payload: Uint8Array;
  readonly return_to: number;
  readonly member_id: Uuid | null;
  readonly session_id: Uuid | null;
  readonly link_hash: Uint8Array | null;
  readonly expires_at: Date;
}

export const insertRequest = (row: RequestRow): Statement =>
  sql`insert into identity.sso_request
      (state_hash, browser_hash, tenant_id, connection_id, purpose, payload, return_to, member_id, session_id, link_hash,
       expires_at)
    values (${row.state_hash}, ${row.browser_hash}, ${row.tenant_id}, ${row.connection_id}, ${row.purpose}, ${row.payload},
      ${row.return_to}, ${row.member_id}, ${row.session_id}, ${row.link_hash}, ${row.expires_at})`;

/** Taking a request deletes it, so that of two answers at once only one finds it. */
export const takeRequest = (stateHash: Uint8Array): Statement<RequestRow> =>
  sql<RequestRow>`delete from identity.sso_request where state_hash = ${stateHash}
    returning state_hash, browser_hash, tenant_id, connection_id, purpose, payload, return_to, member_id, session_id,
      link_hash, expires_at`;

export const deleteRequestsOf = (tenantId: Uuid, memberId: Uuid): Statement<{ expires_at: Date }> =>
  sql<{ expires_at: Date }>`delete from identity.sso_request
    where tenant_id = ${tenantId} and member_id = ${memberId} returning expires_at`;

export const sweepRequests = (now: Date): Statement => sql`delete from identity.sso_request where expires_at < ${now}`;

/** No row when it was there already. */
export const rememberToken = (row: {
  readonly tenantId: Uuid;
  readonly connectionId: Uuid;
  readonly tokenHash: Uint8Array;
  readonly forgetAt: Date;
}): Statement<{ connection_id: Uuid }> =>
  sql<{ connection_id: Uuid }>`insert into identity.seen_token (connection_id, token_hash, tenant_id, forget_at)
    values (${row.connectionId}, ${row.tokenHash}, ${row.tenantId}, ${row.forgetAt})
    on conflict (connection_id, token_hash) do nothing returning connection_id`;

export const tokenKnown = (connectionId: Uuid, tokenHash: Uint8Array): Statement<{ connection_id: Uuid }> =>
  sql<{ connection_id: Uuid }>`select t.connection_id from identity.seen_token t
    where t.connection_id = ${connectionId} and t.token_hash = ${tokenHash}`;

export const sweepTokens = (now: Date): Statement => sql`delete from identity.seen_token where forget_at < ${now}`;
