import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';
import type { Role } from '../../platform/http/handler.ts';
import type { MemberRow } from '../identity/index.ts';

export interface InvitationRow {
  readonly id: Uuid;
  readonly member_id: Uuid;
  readonly role: Role;
  readonly label: Uint8Array;
  readonly name: Uint8Array | null;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly accepted_at: Date | null;
}

export const listMembers = (tenantId: Uuid, limit: number): Statement<MemberRow> =>
  sql<MemberRow>`select m.id, m.role, m.state, m.label, m.created_at from identity.member m
    where m.tenant_id = ${tenantId} order by m.created_at, m.id limit ${limit}`;

export const memberById = (tenantId: Uuid, id: Uuid): Statement<MemberRow> =>
  sql<MemberRow>`select m.id, m.role, m.state, m.label, m.created_at from identity.member m
    where m.tenant_id = ${tenantId} and m.id = ${id}`;

export const countMembers = (tenantId: Uuid): Statement<{ members: string | number }> =>
  sql<{ members: string | number }>`select count(*) as members from identity.member m where m.tenant_id = ${tenantId}`;

/** Passkeys of a member that were not removed. */
export const countPasskeys = (tenantId: Uuid, id: Uuid): Statement<{ passkeys: string | number }> =>
  sql<{ passkeys: string | number }>`select count(*) as passkeys from identity.credential c
    where c.tenant_id = ${tenantId} and c.member_id = ${id} and c.removed_at is null`;

export const insertMember = (tenantId: Uuid, row: MemberRow): Statement =>
  sql`insert into identity.member (tenant_id, id, role, state, label, created_at)
    values (${tenantId}, ${row.id}, ${row.role}, ${row.state}, ${row.label}, ${row.created_at})`;

export const setMemberRole = (tenantId: Uuid, id: Uuid, role: Role): Statement =>
  sql`update identity.member set role = ${role} where tenant_id = ${tenantId} and id = ${id}`;

export const insertInvitation = (tenantId: Uuid, row: InvitationRow & { readonly invited_by: Uuid }): Statement =>
  sql`insert into identity.invitation
      (tenant_id, id, member_id, role, label, name, invited_by, created_at, expires_at)
    values (${tenantId}, ${row.id}, ${row.member_id}, ${row.role}, ${row.label}, ${row.name}, ${row.invited_by},
      ${row.created_at}, ${row.expires_at})`;

export const listInvitations = (tenantId: Uuid, limit: number): Statement<InvitationRow> =>
  sql<InvitationRow>`select i.id, i.member_id, i.role, i.label, i.name, i.created_at, i.expires_at, i.accepted_at
    from identity.invitation i where i.tenant_id = ${tenantId} order by i.created_at desc, i.id limit ${limit}`;

/** Invitations of one person that still carry a name or a label of theirs. */
export const invitationsOf = (tenantId: Uuid, memberId: Uuid, limit: number): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select i.id from identity.invitation i
    where i.tenant_id = ${tenantId} and i.member_id = ${memberId} order by i.id limit ${limit}`;

export const blankInvitation = (tenantId: Uuid, id: Uuid, label: Uint8Array): Statement =>
  sql`update identity.invitation set label = ${label}, name = null where tenant_id = ${tenantId} and id = ${id}`;

export const setMemberLabel = (tenantId: Uuid, id: Uuid, label: Uint8Array): Statement =>
  sql`update identity.member set label = ${label} where tenant_id = ${tenantId} and id = ${id}`;
