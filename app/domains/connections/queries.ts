import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import type { GroupRole, ConnectionKind, ConnectionState, Profile } from './settings-contract.ts';

export interface ConnectionRow {
  readonly id: Uuid;
  readonly kind: ConnectionKind;
  readonly profile: Profile;
  readonly state: ConnectionState;
  readonly settings: Buffer;
  readonly own_keys: Buffer | null;
  readonly own_warned_days: number | null;
  readonly version: number;
  readonly created_at: Date;
}

export interface CertificateRow {
  readonly id: Uuid;
  readonly connection_id: Uuid;
  readonly fingerprint: Buffer;
  readonly pem: Buffer;
  readonly state: 'pending' | 'active' | 'retired';
  readonly source: 'pasted' | 'metadata';
  readonly not_after: Date;
  readonly seen_at: Date;
  readonly decided_by: Uuid | null;
  readonly decided_at: Date | null;
  readonly vouched_by: Buffer | null;
  readonly warned_days: number | null;
}

export interface GroupRow {
  readonly id: Uuid;
  readonly role: GroupRole;
  readonly content: Buffer;
  readonly mapped_by: Uuid;
  readonly mapped_at: Date;
}

export interface AttemptRow {
  readonly id: Uuid;
  readonly purpose: 'test' | 'sign-in';
  readonly outcome: 'accepted' | 'refused';
  readonly version: number;
  readonly report: Buffer;
  readonly tried_at: Date;
}

export interface IndexRow {
  readonly connection_id: Uuid;
  readonly tenant_id: Uuid;
  readonly look_at: Date | null;
  readonly looked_at: Date | null;
  readonly trouble: string | null;
}

const connection = sql`c.id, c.kind, c.profile, c.state, c.settings, c.own_keys, c.own_warned_days, c.version, c.created_at`;
const certificate = sql`r.id, r.connection_id, r.fingerprint, r.pem, r.state, r.source, r.not_after, r.seen_at, r.decided_by,
  r.decided_at, r.vouched_by, r.warned_days`;
const attempt = sql`a.id, a.purpose, a.outcome, a.version, a.report, a.tried_at`;

export const listConnections = ({ tenantId }: TenantContext): Statement<ConnectionRow> =>
  sql<ConnectionRow>`select ${connection} from identity.connection c where c.tenant_id = ${tenantId} order by c.id`;

export const connectionById = ({ tenantId }: TenantContext, id: Uuid): Statement<ConnectionRow> =>
  sql<ConnectionRow>`select ${connection} from identity.connection c where c.tenant_id = ${tenantId} and c.id = ${id}`;

export const connectionForUpdate = ({ tenantId }: TenantContext, id: Uuid): Statement<ConnectionRow> =>
  sql<ConnectionRow>`select ${connection} from identity.connection c where c.tenant_id = ${tenantId} and c.id = ${id}
    for update`;

export const insertConnection = (
  { tenantId }: TenantContext,
  row: Pick<ConnectionRow, 'id' | 'kind' | 'profile' | 'settings' | 'own_keys'> & { readonly createdAt: Date },
): Statement =>
  sql`insert into identity.connection (tenant_id, id, kind, profile, settings, own_keys, created_at)
    values (${tenantId}, ${row.id}, ${row.kind}, ${row.profile}, ${row.settings}, ${row.own_keys}, ${row.createdAt})`;

export const updateSettings = (
  { tenantId }: TenantContext,
  row: { readonly id: Uuid; readonly settings: Buffer; readonly version: number },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.connection c set settings = ${row.settings}, version = ${row.version + 1}
    where c.tenant_id = ${tenantId} and c.id = ${row.id} and c.version = ${row.version} returning c.id`;

export const updateOwnKeys = (
  { tenantId }: TenantContext,
  row: Pick<ConnectionRow, 'id' | 'own_keys' | 'own_warned_days'>,
): Statement =>
  sql`update identity.connection c set own_keys = ${row.own_keys}, own_warned_days = ${row.own_warned_days}
    where c.tenant_id = ${tenantId} and c.id = ${row.id}`;

export const noteOwnWarning = (
  { tenantId }: TenantContext,
  row: { readonly id: Uuid; readonly days: number },
): Statement =>
  sql`update identity.connection c set own_warned_days = ${row.days}
    where c.tenant_id = ${tenantId} and c.id = ${row.id}`;

export const setState = (
  { tenantId }: TenantContext,
  row: { readonly id: Uuid; readonly state: ConnectionState },
): Statement =>
  sql`update identity.connection c set state = ${row.state} where c.tenant_id = ${tenantId} and c.id = ${row.id}`;

export const deleteConnection = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`delete from identity.connection c where c.tenant_id = ${tenantId} and c.id = ${id}`;

export const certificatesOf = ({ tenantId }: TenantContext, connectionId: Uuid): Statement<CertificateRow> =>
  sql<CertificateRow>`select ${certificate} from identity.connection_certificate r
    where r.tenant_id = ${tenantId} and r.connection_id = ${connectionId} order by r.not_after, r.id`;

export const insertCertificate = ({ tenantId }: TenantContext, row: Omit<CertificateRow, 'warned_days'>): Statement =>
  sql`insert into identity.connection_certificate (tenant_id, id, connection_id, fingerprint, pem, state, source, not_after,
      seen_at, decided_by, decided_at, vouched_by)
    values (${tenantId}, ${row.id}, ${row.connection_id}, ${row.fingerprint}, ${row.pem}, ${row.state}, ${row.source},
      ${row.not_after}, ${row.seen_at}, ${row.decided_by}, ${row.decided_at}, ${row.vouched_by})`;

export const decideCertificate = (
  { tenantId }: TenantContext,
  row: Pick<CertificateRow, 'id' | 'state' | 'decided_by' | 'decided_at'>,
): Statement =>
  sql`update identity.connection_certificate r
    set state = ${row.state}, decided_by = ${row.decided_by}, decided_at = ${row.decided_at}
    where r.tenant_id = ${tenantId} and r.id = ${row.id}`;

export const noteWarning = (
  { tenantId }: TenantContext,
  row: { readonly id: Uuid; readonly days: number },
): Statement =>
  sql`update identity.connection_certificate r set warned_days = ${row.days}
    where r.tenant_id = ${tenantId} and r.id = ${row.id}`;

export const deleteCertificates = ({ tenantId }: TenantContext, connectionId: Uuid): Statement =>
  sql`delete from identity.connection_certificate r where r.tenant_id = ${tenantId} and r.connection_id = ${connectionId}`;

export const groupsOf = ({ tenantId }: TenantContext, connectionId: Uuid): Statement<GroupRow> =>
  sql<GroupRow>`select g.id, g.role, g.content, g.mapped_by, g.mapped_at from identity.connection_group g
    where g.tenant_id = ${tenantId} and g.connection_id = ${connectionId} order by g.id`;

/** How many groups each connection has mapped. */
export const countGroups = ({ tenantId }: TenantContext): Statement<{ connection_id: Uuid; n: number }> =>
  sql<{ connection_id: Uuid; n: number }>`select g.connection_id, count(*)::int as n from identity.connection_group g
    where g.tenant_id = ${tenantId} group by g.connection_id`;

export const insertGroup = ({ tenantId }: TenantContext, row: GroupRow & { readonly connectionId: Uuid }): Statement =>
  sql`insert into identity.connection_group (tenant_id, id, connection_id, role, content, mapped_by, mapped_at)
    values (${tenantId}, ${row.id}, ${row.connectionId}, ${row.role}, ${row.content}, ${row.mapped_by}, ${row.mapped_at})`;

export const deleteGroups = ({ tenantId }: TenantContext, connectionId: Uuid): Statement =>
  sql`delete from identity.connection_group g where g.tenant_id = ${tenantId} and g.connection_id = ${connectionId}`;

/** Newest first. */
export const attemptsOf = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly limit: number },
): Statement<AttemptRow> =>
  sql<AttemptRow>`select ${attempt} from identity.connection_attempt a
    where a.tenant_id = ${tenantId} and a.connection_id = ${of.connectionId} order by a.tried_at desc, a.id desc limit ${of.limit}`;

/** Whether these very settings were tried by an administrator and held. */
export const acceptedTest = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly version: number },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select a.id from identity.connection_attempt a
    where a.tenant_id = ${tenantId} and a.connection_id = ${of.connectionId} and a.version = ${of.version}
      and a.purpose = 'test' and a.outcome = 'accepted' limit 1`;

export const insertAttempt = (
  { tenantId }: TenantContext,
  row: AttemptRow & { readonly connectionId: Uuid },
): Statement =>
  sql`insert into identity.connection_attempt (tenant_id, id, connection_id, purpose, outcome, version, report, tried_at)
    values (${tenantId}, ${row.id}, ${row.connectionId}, ${row.purpose}, ${row.outcome}, ${row.version}, ${row.report},
      ${row.tried_at})`;

/** All but the newest of one purpose go. */
export const forgetAttempts = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly purpose: AttemptRow['purpose']; readonly kept: number },
): Statement =>
  sql`delete from identity.connection_attempt a
    where a.tenant_id = ${tenantId} and a.connection_id = ${of.connectionId} and a.purpose = ${of.purpose}
      and a.id not in (select k.id from identity.connection_attempt k
        where k.tenant_id = ${tenantId} and k.connection_id = ${of.connectionId} and k.purpose = ${of.purpose}
        order by k.tried_at desc, k.id desc limit ${of.kept})`;

export const deleteAttempts = ({ tenantId }: TenantContext, connectionId: Uuid): Statement =>
  sql`delete from identity.connection_attempt a where a.tenant_id = ${tenantId} and a.connection_id = ${connectionId}`;

// Global: where a public address leads, and when the house looks at a provider's metadata.

export const indexById = (connectionId: Uuid): Statement<IndexRow> =>
  sql<IndexRow>`select i.connection_id, i.tenant_id, i.look_at, i.looked_at, i.trouble from identity.connection_index i
    where i.connection_id = ${connectionId}`;

export const dueLooks = (now: Date, limit: number): Statement<IndexRow> =>
  sql<IndexRow>`select i.connection_id, i.tenant_id, i.look_at, i.looked_at, i.trouble from identity.connection_index i
    where i.look_at <= ${now} order by i.look_at, i.connection_id limit ${limit}`;

export const insertIndex = (row: Pick<IndexRow, 'connection_id' | 'tenant_id' | 'look_at'>): Statement =>
  sql`insert into identity.connection_index (connection_id, tenant_id, look_at)
    values (${row.connection_id}, ${row.tenant_id}, ${row.look_at})`;

export const planLook = (row: Pick<IndexRow, 'connection_id' | 'look_at'>): Statement =>
  sql`update identity.connection_index set look_at = ${row.look_at} where connection_id = ${row.connection_id}`;

export const noteLook = (row: Omit<IndexRow, 'tenant_id'>): Statement =>
  sql`update identity.connection_index
    set look_at = ${row.look_at}, looked_at = ${row.looked_at}, trouble = ${row.trouble}
    where connection_id = ${row.connection_id}`;

export const deleteIndex = (connectionId: Uuid): Statement =>
  sql`delete from identity.connection_index where connection_id = ${connectionId}`;

/** When a tenant is deleted: its public addresses lead nowhere. */
export const deleteIndexOf = (tenantId: Uuid): Statement =>
  sql`delete from identity.connection_index where tenant_id = ${tenantId}`;
