import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import type { ApiAccess } from './access-words.ts';

export type ClientKind = 'application' | 'agent';
export type ArtifactKind = 'request' | 'code' | 'access' | 'refresh' | 'proof';
export type EndReason =
  | 'person'
  | 'client'
  | 'client-removed'
  | 'client-narrowed'
  | 'reused'
  | 'attempts'
  | 'left'
  | 'unused'
  | 'review'
  | 'tenant-deleted';

export interface ClientRow {
  readonly id: Uuid;
  readonly kind: ClientKind;
  readonly access: ApiAccess;
  readonly content: Buffer;
  readonly registered_by: Uuid;
  readonly registered_at: Date;
  readonly removed_at: Date | null;
  /** Of the registration, which can be changed. */
  readonly revision: number;
}

export interface GrantRow {
  readonly id: Uuid;
  readonly client_id: Uuid;
  readonly member_id: Uuid;
  readonly access: ApiAccess;
  /** To whom the program may hand work on. */
  readonly agents: readonly Uuid[];
  readonly given_at: Date;
  readonly expires_at: Date;
  readonly ended_at: Date | null;
}

export interface AgentUseRow {
  readonly grant_id: Uuid;
  readonly client_id: Uuid;
  readonly last_acted_at: Date;
}

export interface ArtifactRow {
  readonly value_hash: Uint8Array;
  readonly tenant_id: Uuid;
  readonly kind: ArtifactKind;
  readonly grant_id: Uuid | null;
  readonly payload: Uint8Array;
  readonly consumed_at: Date | null;
  readonly expires_at: Date;
}

const client = sql`c.id, c.kind, c.access, c.content, c.registered_by, c.registered_at, c.removed_at, c.revision`;
const given = sql`g.id, g.client_id, g.member_id, g.access, g.agents, g.given_at, g.expires_at, g.ended_at`;
const artifact = sql`a.value_hash, a.tenant_id, a.kind, a.grant_id, a.payload, a.consumed_at, a.expires_at`;

export const liveClients = ({ tenantId }: TenantContext): Statement<ClientRow> =>
  sql<ClientRow>`select ${client} from identity.api_client c where c.tenant_id = ${tenantId} and c.removed_at is null
    order by c.id`;

/** Also one that was removed: grants of the past name it. */
export const clientById = ({ tenantId }: TenantContext, id: Uuid): Statement<ClientRow> =>
  sql<ClientRow>`select ${client} from identity.api_client c where c.tenant_id = ${tenantId} and c.id = ${id}`;

export const insertClient = ({ tenantId }: TenantContext, row: Omit<ClientRow, 'removed_at' | 'revision'>): Statement =>
  sql`insert into identity.api_client (tenant_id, id, kind, access, content, registered_by, registered_at)
    values (${tenantId}, ${row.id}, ${row.kind}, ${row.access}, ${row.content}, ${row.registered_by}, ${row.registered_at})`;

/** No row when it was changed meanwhile, or removed. */
export const changeClient = (
  { tenantId }: TenantContext,
  { id, revision, access, content }: Pick<ClientRow, 'id' | 'revision' | 'access' | 'content'>,
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.api_client set access = ${access}, content = ${content}, revision = ${revision + 1}
    where tenant_id = ${tenantId} and id = ${id} and revision = ${revision} and removed_at is null returning id`;

/** Stays as it is until the transaction ends. No row when it was changed meanwhile, or removed. */
export const holdClient = (
  { tenantId }: TenantContext,
  { id, revision }: Pick<ClientRow, 'id' | 'revision'>,
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select c.id from identity.api_client c
    where c.tenant_id = ${tenantId} and c.id = ${id} and c.revision = ${revision} and c.removed_at is null for share`;

/** No row when it was removed before. */
export const removeClient = ({ tenantId }: TenantContext, id: Uuid, at: Date): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.api_client set removed_at = ${at}
    where tenant_id = ${tenantId} and id = ${id} and removed_at is null returning id`;

export const insertGrant = ({ tenantId }: TenantContext, row: Omit<GrantRow, 'ended_at'>): Statement =>
  sql`insert into identity.api_grant (tenant_id, id, client_id, member_id, access, agents, given_at, expires_at)
    values (${tenantId}, ${row.id}, ${row.client_id}, ${row.member_id}, ${row.access}, ${row.agents}::uuid[], ${row.given_at}, ${row.expires_at})`;

/** Only while it is open. */
export const openGrant = ({ tenantId }: TenantContext, id: Uuid, now: Date): Statement<GrantRow> =>
  sql<GrantRow>`select ${given} from identity.api_grant g
    where g.tenant_id = ${tenantId} and g.id = ${id} and g.ended_at is null and g.expires_at > ${now}`;

export const openGrantsOfMember = ({ tenantId }: TenantContext, memberId: Uuid, now: Date): Statement<GrantRow> =>
  sql<GrantRow>`select ${given} from identity.api_grant g
    where g.tenant_id = ${tenantId} and g.member_id = ${memberId} and g.ended_at is null and g.expires_at > ${now}
    order by g.id`;

/** Of somebody whose permissions are asked for again; nobody gives more. */
const ASKED_MAX = 200;

/** Whatever somebody has ever allowed, the newest first: also what has ended. */
export const grantsEverOf = ({ tenantId }: TenantContext, memberId: Uuid): Statement<GrantRow> =>
  sql<GrantRow>`select ${given} from identity.api_grant g
    where g.tenant_id = ${tenantId} and g.member_id = ${memberId} order by g.given_at desc, g.id limit ${ASKED_MAX}`;

/** Also one that has ended. */
export const grantEver = ({ tenantId }: TenantContext, id: Uuid): Statement<GrantRow> =>
  sql<GrantRow>`select ${given} from identity.api_grant g where g.tenant_id = ${tenantId} and g.id = ${id}`;

/** Every permission of the tenant that is open. */
export const openGrantsIn = ({ tenantId }: TenantContext, now: Date): Statement<GrantRow> =>
  sql<GrantRow>`select ${given} from identity.api_grant g
    where g.tenant_id = ${tenantId} and g.ended_at is null and g.expires_at > ${now} order by g.id`;

export const openGrantsOfClient = ({ tenantId }: TenantContext, clientId: Uuid): Statement<GrantRow> =>
  sql<GrantRow>`select ${given} from identity.api_grant g
    where g.tenant_id = ${tenantId} and g.client_id = ${clientId} and g.ended_at is null order by g.id`;

export const openGrantsOfTenant = ({ tenantId }: TenantContext): Statement<GrantRow> =>
  sql<GrantRow>`select ${given} from identity.api_grant g
    where g.tenant_id = ${tenantId} and g.ended_at is null order by g.id`;

/** No row when it had ended before. */
export const endGrant = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly at: Date; readonly reason: EndReason },
): Statement<{ client_id: Uuid; member_id: Uuid }> =>
  sql<{
    client_id: Uuid;
    member_id: Uuid;
  }>`update identity.api_grant set ended_at = ${of.at}, ended_reason = ${of.reason}
    where tenant_id = ${tenantId} and id = ${of.id} and ended_at is null returning client_id, member_id`;

/** An agent has acted by a permission; what lies less than a minute behind is not written again. */
export const touchAgent = (
  { tenantId }: TenantContext,
  of: { readonly grantId: Uuid; readonly clientId: Uuid; readonly at: Date },
): Statement =>
  sql`insert into identity.api_agent_use as u (tenant_id, grant_id, client_id, last_acted_at)
    values (${tenantId}, ${of.grantId}, ${of.clientId}, ${of.at})
    on conflict (tenant_id, grant_id, client_id) do update set last_acted_at = excluded.last_acted_at
    where u.last_acted_at < excluded.last_acted_at - interval '1 minute'`;

/** When the agents of a person's permissions last acted. */
export const agentUses = ({ tenantId }: TenantContext, memberId: Uuid): Statement<AgentUseRow> =>
  sql<AgentUseRow>`select u.grant_id, u.client_id, u.last_acted_at
    from identity.api_agent_use u
    join identity.api_grant g on g.tenant_id = u.tenant_id and g.id = u.grant_id
    where u.tenant_id = ${tenantId} and g.tenant_id = ${tenantId} and g.member_id = ${memberId} and g.ended_at is null`;

/** No row when the same value is there already. */
export const insertArtifact = (row: ArtifactRow): Statement<{ value_hash: Uint8Array }> =>
  sql<{ value_hash: Uint8Array }>`insert into identity.api_artifact
      (value_hash, tenant_id, kind, grant_id, payload, consumed_at, expires_at)
    values (${row.value_hash}, ${row.tenant_id}, ${row.kind}, ${row.grant_id}, ${row.payload}, ${row.consumed_at},
      ${row.expires_at})
    on conflict (value_hash) do nothing returning value_hash`;

export const artifactOf = (tenantId: Uuid, valueHash: Uint8Array): Statement<ArtifactRow> =>
  sql<ArtifactRow>`select ${artifact} from identity.api_artifact a
    where a.value_hash = ${valueHash} and a.tenant_id = ${tenantId}`;

/** Before the tenant is known. */
export const artifactAnywhere = (valueHash: Uint8Array): Statement<ArtifactRow> =>
  sql<ArtifactRow>`select ${artifact} from identity.api_artifact a where a.value_hash = ${valueHash}`;

/** Of two uses at once only one gets the row. */
export const consumeArtifact = (tenantId: Uuid, valueHash: Uint8Array, at: Date): Statement<{ kind: ArtifactKind }> =>
  sql<{ kind: ArtifactKind }>`update identity.api_artifact set consumed_at = ${at}
    where value_hash = ${valueHash} and tenant_id = ${tenantId} and consumed_at is null returning kind`;

export const deleteArtifact = (tenantId: Uuid, valueHash: Uint8Array): Statement =>
  sql`delete from identity.api_artifact where value_hash = ${valueHash} and tenant_id = ${tenantId}`;

export const deleteArtifactsOfGrant = (tenantId: Uuid, grantId: Uuid): Statement =>
  sql`delete from identity.api_artifact where tenant_id = ${tenantId} and grant_id = ${grantId}`;

export const deleteArtifactsOf = (tenantId: Uuid): Statement =>
  sql`delete from identity.api_artifact where tenant_id = ${tenantId}`;

export const sweepArtifacts = (now: Date): Statement =>
  sql`delete from identity.api_artifact where expires_at < ${now}`;
