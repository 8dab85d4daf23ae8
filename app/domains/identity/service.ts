import { createHash } from 'node:crypto';
import { AppError, fromBase64Url, type Uuid } from '@auditrax/base';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { decisionOf } from '../../platform/http/decisions.ts';
import type { Caller, EdgeDoor, SignInMethod } from '../../platform/http/handler.ts';
import { consumeChallenge, issueChallenge } from './challenges.ts';
import { findBySecret, sweepEverywhere } from './everywhere.ts';
import type { IdentityDeps } from './deps.ts';
import { doorAdmits } from './door-rules.ts';
import { requireVouched } from './employment.ts';
import type { IdentityCode } from './errors.ts';
import { assertionOptions } from './passkey.ts';
import type { AssertionOutcome } from './passkeys.ts';
import { acceptAssertion, beginRegistration, checkRegistration, passkeysOfMember, storePasskey } from './passkeys.ts';
import type { LinkRow, MemberRow } from './queries.ts';
import * as queries from './queries.ts';
import type { LiveSession, OpenedSession } from './sessions.ts';
import { closeSession, closeSessionsOf, findSession, openSession } from './sessions.ts';
import type { KnownTenant } from './tenant-lookup.ts';
import { findTenant } from './tenant-lookup.ts';

/** Adding a passkey gives lasting access, so the person must have proved presence this recently. */
export const FRESH_SIGN_IN_SECONDS_MAX = 600;

/**
 * A first passkey outlasts the session that makes it, so the provider must have asked the person this recently: long enough
 * to find a device, too short for a browser that somebody has left.
 */
export const PROVIDER_SIGN_IN_SECONDS_MAX = 300;

/** Where a request came in. */
export interface Arrival {
  readonly door: EdgeDoor;
  readonly requestId: string;
}

/** A sign-in that succeeded: the cookie for the browser and who it is. */
export interface SignedIn {
  readonly opened: OpenedSession;
  readonly session: LiveSession;
}

function refuse(code: IdentityCode, message: string): AppError<IdentityCode> {
  return new AppError<IdentityCode>(code, message);
}

/** Reads back a session that was just opened, through the same checks as any other request. */
async function signedIn(deps: IdentityDeps, opened: OpenedSession, arrival: Arrival): Promise<SignedIn> {
  const session = await findSession(deps, opened.token, arrival);
  if (session === undefined) throw refuse('sign_in_refused', 'the new session is not live');
  return { opened, session };
}

/** Sign-in options: no name is asked and no passkey is listed, so nothing tells who exists. */
export async function beginSignIn(deps: IdentityDeps, arrival: Arrival) {
  const { id, challenge } = await issueChallenge(deps, { purpose: 'sign-in', door: arrival.door });
  return { challengeId: id, options: await assertionOptions({ door: deps.doors[arrival.door], challenge }) };
}

/** Logs a refused sign-in where it belongs; an unknown passkey belongs to nobody's log. */
async function logRefusal(
  deps: IdentityDeps,
  known: Extract<AssertionOutcome, { ok: false }>['known'],
  reason: string,
): Promise<void> {
  if (known === undefined) return;
  await deps.attempts.record(known.context, {
    type: reason === 'counter' ? 'passkey.clone-suspected' : 'sign-in.refused',
    actor: { personId: known.memberId },
    resource: ['credential', known.credentialId],
    outcome: 'denied',
    requestId: known.context.requestId,
    public: { reason },
  });
}

/** Opens a session for an active member, holding their row, so that a suspension under way wins or waits. */
export async function openForActive(
  deps: Pick<IdentityDeps, 'recordAudit' | 'clock' | 'random' | 'evictions' | 'signals'>,
  tx: ScopedTransaction,
  input: { readonly memberId: Uuid; readonly door: EdgeDoor; readonly method: SignInMethod },
): Promise<OpenedSession | undefined> {
  const member = (await tx.query(queries.memberForUpdate(tx.context.tenantId, input.memberId)))[0];
  if (member?.state !== 'active') return undefined;
  await requireVouched(deps, tx, member.id);
  await endRecovery(deps, tx, member.id);
  return openSession(deps, tx, input);
}

/** Whoever signs in with a passkey has not lost them all: a recovery that somebody opened ends here. */
async function endRecovery(
  deps: Pick<IdentityDeps, 'clock' | 'recordAudit'>,
  tx: ScopedTransaction,
  memberId: Uuid,
): Promise<void> {
  const { tenantId, requestId } = tx.context;
  for (const { id } of await tx.query(queries.endRecoveryOf(tenantId, memberId, new Date(deps.clock.nowMs())))) {
    await deps.recordAudit(tx, {
      type: 'recovery.cancelled',
      actor: { personId: memberId },
      resource: ['recovery', id],
      outcome: 'allowed',
      requestId,
      public: { member: memberId, reason: 'signed-in' },
    });
  }
}

/**
 * Signs in with a passkey. Throws `challenge_unusable` or `sign_in_refused` (one answer for every reason; the log says
 * which), and `company_sign_in_required`.
 */
export async function signInWithPasskey(
  deps: IdentityDeps,
  arrival: Arrival,
  input: { readonly challengeId: Uuid; readonly response: AuthenticationResponseJSON },
): Promise<SignedIn> {
  const { outcome } = await acceptAssertion(deps, { ...input, ...arrival, purpose: 'sign-in', tenantId: undefined });
  if (!outcome.ok) {
    await logRefusal(deps, outcome.known, outcome.reason);
    throw refuse('sign_in_refused', outcome.reason);
  }
  const { tenant, memberId, credentialId } = outcome;
  const known = { context: tenant.context, memberId, credentialId };
  if (!doorAdmits(arrival.door, 'passkey', tenant.kind)) {
    await logRefusal(deps, known, 'door');
    throw refuse('sign_in_refused', `a ${tenant.kind} tenant is not open at ${arrival.door}`);
  }
  const opened = await deps.tenant.transaction(tenant.context, (tx) =>
    openForActive(deps, tx, { memberId, door: arrival.door, method: 'passkey' }),
  );
  if (opened === undefined) {
    await logRefusal(deps, known, 'member-not-active');
    throw refuse('sign_in_refused', 'the member is not active');
  }
  return signedIn(deps, opened, arrival);
}

interface UsableLink {
  readonly link: LinkRow;
  readonly tenant: KnownTenant;
  readonly member: MemberRow;
}

/** The link behind a token, when it may still be used at this door. Throws `link_unusable`, always the same. */
async function usableLink(
  deps: IdentityDeps,
  arrival: Arrival,
  { token, kind }: { readonly token: string; readonly kind: LinkRow['kind'] },
): Promise<UsableLink> {
  const bytes = fromBase64Url(token);
  const hash = bytes === undefined ? undefined : createHash('sha256').update(bytes).digest();
  const link = hash === undefined ? undefined : await findBySecret(deps.system, queries.linkByHash(hash));
  const live =
    link !== undefined && link.kind === kind && link.used_at === null && link.expires_at.getTime() > deps.clock.nowMs();
  const tenant = live ? await findTenant(deps, link.tenant_id, arrival.requestId) : undefined;
  if (!live || tenant === undefined) throw refuse('link_unusable', 'no live link of this token');
  const method = kind === 'enrol' ? 'passkey' : 'link';
  const member = (await deps.tenant.scoped(tenant.context, queries.memberById(link.tenant_id, link.member_id)))[0];
  if (member === undefined || member.state === 'suspended' || !doorAdmits(arrival.door, method, tenant.kind)) {
    throw refuse('link_unusable', 'the link does not open anything here');
  }
  return { link, tenant, member };
}

/** Options for the first passkey behind a one-time enrolment link; the link is not used up yet. */
export async function beginEnrolment(deps: IdentityDeps, arrival: Arrival, token: string) {
  const { link, tenant, member } = await usableLink(deps, arrival, { token, kind: 'enrol' });
  return beginRegistration(deps, {
    tenant,
    memberId: member.id,
    sealedLabel: member.label,
    door: arrival.door,
    bind: { purpose: 'enrol', link_hash: link.token_hash },
  });
}

/** Marks the link used and the member active, both at most once, in the transaction of what the link opens. */
async function redeem(deps: IdentityDeps, tx: ScopedTransaction, link: LinkRow): Promise<void> {
  const { tenantId, requestId } = tx.context;
  const now = new Date(deps.clock.nowMs());
  const used = await tx.query(queries.useLink(tenantId, link.token_hash, now));
  const member = (await tx.query(queries.memberForUpdate(tenantId, link.member_id)))[0];
  if (used.length === 0 || member === undefined || member.state === 'suspended') {
    throw refuse('link_unusable', 'the link was used or the member suspended meanwhile');
  }
  const actor = { personId: member.id };
  if (member.state === 'invited') await tx.query(queries.setMemberState(tenantId, member.id, 'active'));
  await deps.recordAudit(tx, {
    type: 'link.used',
    actor,
    resource: ['member', member.id],
    outcome: 'allowed',
    requestId,
    public: { kind: link.kind, activated: member.state === 'invited' },
  });
  for (const { id } of await tx.query(queries.acceptInvitations(tenantId, member.id, now))) {
    await deps.recordAudit(tx, {
      type: 'invitation.accepted',
      actor,
      resource: ['invitation', id],
      outcome: 'allowed',
      requestId,
    });
  }
}

/** The live enrolment link behind a token, and whose tenant it is of. Throws `link_unusable`, always the same. */
export async function enrolmentOf(
  deps: IdentityDeps,
  arrival: Arrival,
  token: string,
): Promise<{ readonly tenant: KnownTenant; readonly linkHash: Uint8Array }> {
  const { tenant, link } = await usableLink(deps, arrival, { token, kind: 'enrol' });
  return { tenant, linkHash: link.token_hash };
}

/**
 * Uses an enrolment link up in the transaction of what it opens; gives the member whom it is for, active from now on.
 * Throws `link_unusable`.
 */
export async function redeemLink(deps: IdentityDeps, tx: ScopedTransaction, linkHash: Uint8Array): Promise<Uuid> {
  const [link] = await deps.system.at(tx.context.tenantId).system(queries.linkByHash(linkHash));
  if (link === undefined || link.tenant_id !== tx.context.tenantId || link.kind !== 'enrol')
    throw refuse('link_unusable', 'no such link in this tenant');
  await redeem(deps, tx, link);
  return link.member_id;
}

/** Registers the first passkey and signs in: one transaction, one use of the link. */
export async function enrol(
  deps: IdentityDeps,
  arrival: Arrival,
  input: { readonly token: string; readonly challengeId: Uuid; readonly response: RegistrationResponseJSON },
): Promise<SignedIn> {
  const { link, tenant, member } = await usableLink(deps, arrival, { token: input.token, kind: 'enrol' });
  const wanted = { purpose: 'enrol', door: arrival.door, tenantId: link.tenant_id } as const;
  const challenge = await consumeChallenge(deps, input.challengeId, wanted);
  // Options fetched with one person's link must not enrol a passkey for another.
  if (challenge.link_hash === null || !Buffer.from(challenge.link_hash).equals(Buffer.from(link.token_hash))) {
    throw refuse('challenge_unusable', 'the challenge belongs to another link');
  }
  const verified = await checkRegistration(deps, challenge, input.response);
  const opened = await deps.tenant.transaction(tenant.context, async (tx) => {
    await requireVouched(deps, tx, member.id);
    await redeem(deps, tx, link);
    await storePasskey(deps, tx, { memberId: member.id, ...verified, actor: { personId: member.id } });
    return openSession(deps, tx, { memberId: member.id, door: arrival.door, method: 'passkey' });
  });
  return signedIn(deps, opened, arrival);
}

/** Signs in with a one-time link (sample tenants only). Such a session can never satisfy step-up nor add a passkey. */
export async function signInWithLink(deps: IdentityDeps, arrival: Arrival, token: string): Promise<SignedIn> {
  const { link, tenant, member } = await usableLink(deps, arrival, { token, kind: 'sign-in' });
  const opened = await deps.tenant.transaction(tenant.context, async (tx) => {
    await requireVouched(deps, tx, member.id);
    await redeem(deps, tx, link);
    return openSession(deps, tx, { memberId: member.id, door: arrival.door, method: 'link' });
  });
  return signedIn(deps, opened, arrival);
}

/** Signs out the session behind a cookie; an unknown cookie is signed out already. */
export async function signOut(
  deps: IdentityDeps,
  arrival: Arrival,
  cookie: string | undefined,
): Promise<LiveSession | undefined> {
  const session = await findSession(deps, cookie, arrival);
  if (session !== undefined) await closeSession(deps, session, 'sign-out');
  return session;
}

/** Ends every session of the caller on every device. */
export function signOutEverywhere(deps: IdentityDeps, caller: Caller): Promise<number> {
  return deps.tenant.transaction(caller.tenant, (tx) =>
    closeSessionsOf(deps, tx, {
      memberId: caller.personId,
      reason: 'everywhere',
      actor: { personId: caller.personId, sessionId: caller.sessionId },
      decision: decisionOf(caller),
    }),
  );
}

/** Whoever has a passkey adds the next one with it: a provider that is taken over gets none beside those. */
function requireNoPasskey(passkeys: number): void {
  if (passkeys > 0) throw refuse('passkey_sign_in_required', 'a provider vouches for the first passkey only');
}

/** That the provider of this session has asked its person anew just now, and that they have no passkey. */
async function requireFreshProvider(deps: IdentityDeps, caller: Caller, row: queries.SessionRow): Promise<void> {
  requireNoPasskey((await passkeysOfMember(deps, caller.tenant.tenantId, caller.personId)).length);
  const age_ms = deps.clock.nowMs() - (row.confirmed_at?.getTime() ?? -Infinity);
  if (age_ms > PROVIDER_SIGN_IN_SECONDS_MAX * 1000)
    throw refuse(
      'provider_sign_in_required',
      `no sign-in of the last ${PROVIDER_SIGN_IN_SECONDS_MAX} s at the provider`,
    );
}

/** The caller's own session row, when it was opened with a passkey just now, or may make the first one. */
async function requireFreshProof(deps: IdentityDeps, caller: Caller): Promise<{ label: Uint8Array }> {
  if (caller.method !== 'passkey' && caller.method !== 'sso')
    throw refuse('passkey_sign_in_required', `the session was opened by ${caller.method}`);
  const { tenantId } = caller.tenant;
  const row = (await deps.tenant.scoped(caller.tenant, queries.sessionWithMember(tenantId, caller.sessionId)))[0];
  if (row === undefined || row.closed_at !== null) throw refuse('session_required', 'the session is closed');
  if (caller.method === 'sso') await requireFreshProvider(deps, caller, row);
  else if (deps.clock.nowMs() - row.auth_time.getTime() > FRESH_SIGN_IN_SECONDS_MAX * 1000) {
    throw refuse('fresh_sign_in_required', `the sign-in is older than ${FRESH_SIGN_IN_SECONDS_MAX} s`);
  }
  return row;
}

function callerTenant(caller: Caller): KnownTenant {
  return { context: caller.tenant, kind: caller.tenantKind, slug: '', displayName: '' };
}

/**
 * Options for a further passkey of the caller, or for the first one after a new sign-in at their provider. Throws
 * `passkey_sign_in_required`, `fresh_sign_in_required`, `provider_sign_in_required`.
 */
export async function beginAddPasskey(deps: IdentityDeps, caller: Caller) {
  const { label } = await requireFreshProof(deps, caller);
  return beginRegistration(deps, {
    tenant: callerTenant(caller),
    memberId: caller.personId,
    sealedLabel: label,
    door: caller.door,
    bind: { purpose: 'add-passkey', session_id: caller.sessionId },
  });
}

/** Stores a further, or the first, passkey of the caller; returns how many they have now. */
export async function addPasskey(
  deps: IdentityDeps,
  caller: Caller,
  input: { readonly challengeId: Uuid; readonly response: RegistrationResponseJSON },
): Promise<number> {
  const { tenantId } = caller.tenant;
  const wanted = { purpose: 'add-passkey', door: caller.door, tenantId } as const;
  const challenge = await consumeChallenge(deps, input.challengeId, wanted);
  await requireFreshProof(deps, caller);
  if (challenge.session_id !== caller.sessionId || challenge.member_id !== caller.personId) {
    throw refuse('challenge_unusable', 'the challenge belongs to another session');
  }
  const verified = await checkRegistration(deps, challenge, input.response);
  const actor = { personId: caller.personId, sessionId: caller.sessionId };
  await deps.tenant.transaction(caller.tenant, async (tx) => {
    if (caller.method === 'sso') {
      // Held, so that of two ceremonies at once only one makes a first passkey.
      await tx.query(queries.memberForUpdate(tenantId, caller.personId));
      requireNoPasskey((await tx.query(queries.credentialsOf(tenantId, caller.personId))).length);
    }
    await storePasskey(deps, tx, { memberId: caller.personId, ...verified, actor, decision: decisionOf(caller) });
  });
  return (await passkeysOfMember(deps, caller.tenant.tenantId, caller.personId)).length;
}

/** How long a used or expired link is kept, so that "already used" can still be told from "never was" by an operator. */
const LINK_KEPT_MS = 7 * 86_400_000;

/** Deletes what has run out; called by the issuer every minute. */
export async function sweepIdentity(deps: Pick<IdentityDeps, 'system' | 'clock'>): Promise<void> {
  const now = deps.clock.nowMs();
  await sweepEverywhere(deps.system, queries.sweepChallenges(new Date(now)));
  await sweepEverywhere(deps.system, queries.sweepSessionIndex(new Date(now)));
  await sweepEverywhere(deps.system, queries.sweepLinks(new Date(now - LINK_KEPT_MS)));
}
