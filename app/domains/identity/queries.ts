import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';
import type { Caller, EdgeDoor, Role, SignInMethod } from '../../platform/http/handler.ts';

export type TenantKind = Caller['tenantKind'];
export type MemberState = 'invited' | 'active' | 'suspended';
export type ClosedReason =
  | 'sign-out'
  | 'everywhere'
  | 'replaced'
  | 'suspended'
  | 'expired'
  | 'tenant-deleted'
  | 'attempts'
  /** Its identity provider said that the person has left. */
  | 'provider'
  /** Its connection is not in use any more. */
  | 'connection'
  /** Nobody has said for too long that the person still works there. */
  | 'lapsed'
  /** The person has taken away the identity that it came by. */
  | 'disconnected';

export interface TenantRow {
  readonly id: Uuid;
  /** bigint; the driver may hand it over as text. */
  readonly part: string | number;
  readonly kind: TenantKind;
  readonly slug: string;
  readonly display_name: string;
}

export interface MemberRow {
  readonly id: Uuid;
  readonly role: Role;
  readonly state: MemberState;
  readonly label: Uint8Array;
  readonly created_at: Date;
}

export interface SessionRow {
  readonly id: Uuid;
  readonly member_id: Uuid;
  readonly door: EdgeDoor;
  readonly method: SignInMethod;
  readonly auth_time: Date;
  readonly expires_at: Date;
  readonly closed_at: Date | null;
  readonly closed_reason: ClosedReason | null;
  /** Of sessions by an identity provider; null otherwise. */
  readonly connection_id: Uuid | null;
  readonly account_id: Uuid | null;
  /** When the person signed in anew at that provider, for a first passkey. */
  readonly confirmed_at: Date | null;
}

export interface SessionWithMemberRow extends SessionRow {
  readonly role: Role;
  readonly state: MemberState;
  readonly label: Uint8Array;
  /** When the person was last vouched for; null: no provider has ever known them. */
  readonly proved_at: Date | null;
}

/** Where a session by an identity provider came from. */
export interface SessionOriginRow {
  readonly provider_session: Uint8Array | null;
  readonly provider_subject: Uint8Array | null;
}

export interface SessionIndexRow {
  readonly tenant_id: Uuid;
  readonly session_id: Uuid;
  readonly last_seen_at: Date;
  readonly expires_at: Date;
  readonly superseded: boolean;
}

export interface CredentialIndexRow {
  readonly credential_hash: Uint8Array;
  readonly tenant_id: Uuid;
  readonly credential_id: Uuid;
  readonly member_id: Uuid;
  readonly external_id: Uint8Array;
  readonly public_key: Uint8Array;
  readonly counter: string | number;
  readonly transports: string[];
  readonly last_used_at: Date | null;
}

export interface ChallengeRow {
  readonly id: Uuid;
  readonly purpose: 'sign-in' | 'enrol' | 'add-passkey' | 'step-up';
  readonly door: EdgeDoor;
  readonly challenge: Uint8Array;
  readonly expires_at: Date;
  readonly tenant_id: Uuid | null;
  readonly member_id: Uuid | null;
  readonly session_id: Uuid | null;
  readonly link_hash: Uint8Array | null;
  readonly nonce: Uint8Array | null;
  readonly action_hash: Uint8Array | null;
  readonly operation: string | null;
}

export interface LinkRow {
  readonly token_hash: Uint8Array;
  readonly kind: 'enrol' | 'sign-in';
  readonly tenant_id: Uuid;
  readonly member_id: Uuid;
  readonly expires_at: Date;
  readonly used_at: Date | null;
}

// Global: tenants.

/** Not a tenant that is closed for good: whoever comes with a cookie, passkey or link of one finds nobody. */
export const tenantById = (id: Uuid): Statement<TenantRow> =>
  sql<TenantRow>`select t.id, t.part, t.kind, t.slug, t.display_name from platform.tenant t
    where t.id = ${id} and t.closed_at is null`;

export const tenantBySlug = (slug: string): Statement<TenantRow> =>
  sql<TenantRow>`select t.id, t.part, t.kind, t.slug, t.display_name from platform.tenant t where t.slug = ${slug}`;

// Global: where a cookie, a passkey or a one-time token leads.

export const sessionIndexByHash = (tokenHash: Uint8Array): Statement<SessionIndexRow> =>
  sql<SessionIndexRow>`select i.tenant_id, i.session_id, i.last_seen_at, i.expires_at, i.superseded
    from identity.session_index i where i.token_hash = ${tokenHash}`;

export const touchSession = (tokenHash: Uint8Array, now: Date): Statement =>
  sql`update identity.session_index set last_seen_at = ${now} where token_hash = ${tokenHash}`;

export const supersedeSession = (tenantId: Uuid, sessionId: Uuid, until: Date): Statement<{ session_id: Uuid }> =>
  sql<{
    session_id: Uuid;
  }>`update identity.session_index set superseded = true, expires_at = least(expires_at, ${until})
    where tenant_id = ${tenantId} and session_id = ${sessionId} and not superseded returning session_id`;

export const insertSessionIndex = (row: {
  tokenHash: Uint8Array;
  tenantId: Uuid;
  sessionId: Uuid;
  now: Date;
  expiresAt: Date;
}): Statement =>
  sql`insert into identity.session_index (token_hash, tenant_id, session_id, last_seen_at, expires_at)
    values (${row.tokenHash}, ${row.tenantId}, ${row.sessionId}, ${row.now}, ${row.expiresAt})`;

export const deleteSessionIndex = (tenantId: Uuid, sessionId: Uuid): Statement =>
  sql`delete from identity.session_index where tenant_id = ${tenantId} and session_id = ${sessionId}`;

export const sweepSessionIndex = (now: Date): Statement =>
  sql`delete from identity.session_index where expires_at < ${now}`;

export const credentialByHash = (hash: Uint8Array): Statement<CredentialIndexRow> =>
  sql<CredentialIndexRow>`select c.credential_hash, c.tenant_id, c.credential_id, c.member_id, c.external_id,
      c.public_key, c.counter, c.transports, c.last_used_at
    from identity.credential_index c where c.credential_hash = ${hash}`;

export const passkeysOf = (tenantId: Uuid, memberId: Uuid): Statement<CredentialIndexRow> =>
  sql<CredentialIndexRow>`select c.credential_hash, c.tenant_id, c.credential_id, c.member_id, c.external_id,
      c.public_key, c.counter, c.transports, c.last_used_at
    from identity.credential_index c where c.tenant_id = ${tenantId} and c.member_id = ${memberId}`;

/** Moves the counter forward only: of two answers with one counter, the second finds no row. */
export const advanceCounter = (hash: Uint8Array, counter: number, now: Date): Statement<{ credential_id: Uuid }> =>
  sql<{ credential_id: Uuid }>`update identity.credential_index set counter = ${counter}, last_used_at = ${now}
    where credential_hash = ${hash} and (counter < ${counter} or (counter = 0 and ${counter}::bigint = 0))
    returning credential_id`;

export const insertCredentialIndex = (row: {
  credentialHash: Uint8Array;
  tenantId: Uuid;
  credentialId: Uuid;
  memberId: Uuid;
  externalId: Uint8Array;
  publicKey: Uint8Array;
  counter: number;
  transports: readonly string[];
}): Statement =>
  sql`insert into identity.credential_index
      (credential_hash, tenant_id, credential_id, member_id, external_id, public_key, counter, transports)
    values (${row.credentialHash}, ${row.tenantId}, ${row.credentialId}, ${row.memberId}, ${row.externalId}, ${row.publicKey},
      ${row.counter}, ${[...row.transports]}::text[])`;

export const deleteCredentialIndex = (tenantId: Uuid, credentialId: Uuid): Statement =>
  sql`delete from identity.credential_index where tenant_id = ${tenantId} and credential_id = ${credentialId}`;

export const deleteCredentialIndexOfMember = (tenantId: Uuid, memberId: Uuid): Statement =>
  sql`delete from identity.credential_index where tenant_id = ${tenantId} and member_id = ${memberId}`;

/** Every passkey of a tenant that is deleted. */
export const deleteCredentialIndexOf = (tenantId: Uuid): Statement =>
  sql`delete from identity.credential_index where tenant_id = ${tenantId}`;

export const insertChallenge = (row: ChallengeRow): Statement =>
  sql`insert into identity.challenge
      (id, purpose, door, challenge, expires_at, tenant_id, member_id, session_id, link_hash, nonce, action_hash, operation)
    values (${row.id}, ${row.purpose}, ${row.door}, ${row.challenge}, ${row.expires_at}, ${row.tenant_id}, ${row.member_id},
      ${row.session_id}, ${row.link_hash}, ${row.nonce}, ${row.action_hash}, ${row.operation})`;

/** Taking a challenge deletes it, so that of two answers at once only one finds it. */
export const takeChallenge = (id: Uuid): Statement<ChallengeRow> =>
  sql<ChallengeRow>`delete from identity.challenge where id = ${id}
    returning id, purpose, door, challenge, expires_at, tenant_id, member_id, session_id, link_hash, nonce, action_hash, operation`;

export const sweepChallenges = (now: Date): Statement => sql`delete from identity.challenge where expires_at < ${now}`;

export const insertLink = (row: Omit<LinkRow, 'used_at'>): Statement =>
  sql`insert into identity.one_time_link (token_hash, kind, tenant_id, member_id, expires_at)
    values (${row.token_hash}, ${row.kind}, ${row.tenant_id}, ${row.member_id}, ${row.expires_at})`;

export const linkByHash = (hash: Uint8Array): Statement<LinkRow> =>
  sql<LinkRow>`select l.token_hash, l.kind, l.tenant_id, l.member_id, l.expires_at, l.used_at
    from identity.one_time_link l where l.token_hash = ${hash}`;

/** Inside the transaction of what the link opens; of two at once only one gets a row. */
export const useLink = (tenantId: Uuid, hash: Uint8Array, now: Date): Statement<{ member_id: Uuid }> =>
  sql<{ member_id: Uuid }>`update identity.one_time_link set used_at = ${now}
    where tenant_id = ${tenantId} and token_hash = ${hash} and used_at is null and expires_at > ${now}
    returning member_id`;

/** Returns those that could still have been used. */
export const deleteLinksOf = (tenantId: Uuid, memberId: Uuid): Statement<{ used_at: Date | null; expires_at: Date }> =>
  sql<{ used_at: Date | null; expires_at: Date }>`delete from identity.one_time_link
    where tenant_id = ${tenantId} and member_id = ${memberId} returning used_at, expires_at`;

/** What a person, or one session of theirs, was about to confirm. */
export const deleteChallengesOf = (
  tenantId: Uuid,
  of: { readonly memberId: Uuid; readonly sessionIds: readonly Uuid[] | undefined },
): Statement<{ expires_at: Date }> =>
  sql<{ expires_at: Date }>`delete from identity.challenge where tenant_id = ${tenantId} and member_id = ${of.memberId}
      and (${of.sessionIds ?? null}::uuid[] is null or session_id = any(${of.sessionIds ?? null}::uuid[]))
    returning expires_at`;

export const sweepLinks = (before: Date): Statement =>
  sql`delete from identity.one_time_link where expires_at < ${before}`;

// Rows of a tenant.

export const memberById = (tenantId: Uuid, id: Uuid): Statement<MemberRow> =>
  sql<MemberRow>`select m.id, m.role, m.state, m.label, m.created_at from identity.member m
    where m.tenant_id = ${tenantId} and m.id = ${id}`;

/** Locks the row, so that a suspension and a sign-in cannot both win. */
export const memberForUpdate = (tenantId: Uuid, id: Uuid): Statement<MemberRow> =>
  sql<MemberRow>`select m.id, m.role, m.state, m.label, m.created_at from identity.member m
    where m.tenant_id = ${tenantId} and m.id = ${id} for update`;

/**
 * Locks the people who can manage this tenant, so that of two who leave, or put each other out, at once each knows of the
 * other. Before any other member is locked: everybody takes them in this one order.
 */
export const lockManagers = (tenantId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select m.id from identity.member m
    where m.tenant_id = ${tenantId} and m.state = 'active' and m.role in ('lead', 'operator') order by m.id for update`;

/** A recovery of somebody who has just answered with a passkey has no ground any more. */
export const endRecoveryOf = (tenantId: Uuid, memberId: Uuid, now: Date): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.recovery set ended_at = ${now}, ended_by = ${memberId}, outcome = 'signed-in'
    where tenant_id = ${tenantId} and member_id = ${memberId} and ended_at is null returning id`;

/** When an open recovery of a person takes effect. */
export const openRecoveryOf = (tenantId: Uuid, memberId: Uuid): Statement<{ due_at: Date }> =>
  sql<{ due_at: Date }>`select r.due_at from identity.recovery r
    where r.tenant_id = ${tenantId} and r.member_id = ${memberId} and r.ended_at is null`;

/** The oldest with this role; `older` says how many older ones to pass over. */
export const memberByRole = (tenantId: Uuid, role: Role, older = 0): Statement<MemberRow> =>
  sql<MemberRow>`select m.id, m.role, m.state, m.label, m.created_at from identity.member m
    where m.tenant_id = ${tenantId} and m.role = ${role} order by m.created_at, m.id limit 1 offset ${older}`;

export const activeOfRole = (tenantId: Uuid, role: Role): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select m.id from identity.member m
    where m.tenant_id = ${tenantId} and m.role = ${role} and m.state = 'active' limit 1`;

export const setMemberState = (tenantId: Uuid, id: Uuid, state: MemberState): Statement =>
  sql`update identity.member set state = ${state} where tenant_id = ${tenantId} and id = ${id}`;

export const acceptInvitations = (tenantId: Uuid, memberId: Uuid, now: Date): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.invitation set accepted_at = ${now}
    where tenant_id = ${tenantId} and member_id = ${memberId} and accepted_at is null returning id`;

export const insertSession = (
  tenantId: Uuid,
  row: Omit<SessionRow, 'closed_at' | 'closed_reason' | 'confirmed_at'> & SessionOriginRow,
): Statement =>
  sql`insert into identity.session (tenant_id, id, member_id, door, method, auth_time, expires_at, connection_id, account_id,
      provider_session, provider_subject)
    values (${tenantId}, ${row.id}, ${row.member_id}, ${row.door}, ${row.method}, ${row.auth_time}, ${row.expires_at},
      ${row.connection_id}, ${row.account_id}, ${row.provider_session}, ${row.provider_subject})`;

export const confirmSession = (tenantId: Uuid, sessionId: Uuid, at: Date): Statement =>
  sql`update identity.session set confirmed_at = ${at} where tenant_id = ${tenantId} and id = ${sessionId}`;

export const sessionWithMember = (tenantId: Uuid, sessionId: Uuid): Statement<SessionWithMemberRow> =>
  sql<SessionWithMemberRow>`
    select s.id, s.member_id, s.door, s.method, s.auth_time, s.expires_at, s.closed_at, s.closed_reason, s.connection_id,
      s.account_id, s.confirmed_at, m.role, m.state, m.label, e.proved_at
    from identity.session s
    join identity.member m on m.tenant_id = ${tenantId} and m.id = s.member_id
    left join identity.employment e on e.tenant_id = ${tenantId} and e.member_id = s.member_id
    where s.tenant_id = ${tenantId} and s.id = ${sessionId}`;

export const openSessionsOf = (tenantId: Uuid, memberId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select s.id from identity.session s
    where s.tenant_id = ${tenantId} and s.member_id = ${memberId} and s.closed_at is null
    order by s.auth_time desc, s.id`;

export const closeSession = (
  tenantId: Uuid,
  id: Uuid,
  closed: { at: Date; reason: ClosedReason },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.session set closed_at = ${closed.at}, closed_reason = ${closed.reason}
    where tenant_id = ${tenantId} and id = ${id} and closed_at is null returning id`;

export const insertCredential = (
  tenantId: Uuid,
  row: { id: Uuid; memberId: Uuid; credentialHash: Uint8Array; deviceType: string; now: Date },
): Statement =>
  sql`insert into identity.credential (tenant_id, id, member_id, credential_hash, device_type, created_at)
    values (${tenantId}, ${row.id}, ${row.memberId}, ${row.credentialHash}, ${row.deviceType}, ${row.now})`;

export interface CredentialListRow {
  readonly id: Uuid;
  readonly device_type: 'singleDevice' | 'multiDevice';
  readonly created_at: Date;
  readonly last_used_at: Date | null;
}

export const credentialsOf = (tenantId: Uuid, memberId: Uuid): Statement<CredentialListRow> =>
  sql<CredentialListRow>`select c.id, c.device_type, c.created_at, i.last_used_at
    from identity.credential c
    join identity.credential_index i on i.tenant_id = ${tenantId} and i.credential_id = c.id
    where c.tenant_id = ${tenantId} and c.member_id = ${memberId} and c.removed_at is null
    order by c.created_at, c.id`;

export const removeCredential = (tenantId: Uuid, id: Uuid, now: Date): Statement =>
  sql`update identity.credential set removed_at = ${now} where tenant_id = ${tenantId} and id = ${id} and removed_at is null`;
