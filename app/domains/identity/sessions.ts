import { createHash } from 'node:crypto';
import { fromBase64Url, toBase64Url, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, Statement, TenantContext } from '@auditrax/tenancy';
import type { AuditActor, AuditDecision } from '../../platform/audit/index.ts';
import type { Caller, EdgeDoor, Role, SignInMethod } from '../../platform/http/handler.ts';
import { providerSessions } from './account-queries.ts';
import type { IdentityDeps } from './deps.ts';
import { doorAdmits } from './door-rules.ts';
import { findBySecret } from './everywhere.ts';
import { isLapsed } from './employment.ts';
import type { ClosedReason, SessionWithMemberRow } from './queries.ts';
import * as queries from './queries.ts';
import {
  judgeSession,
  SESSION_SECONDS_MAX,
  SESSION_SUPERSEDED_SECONDS_MAX,
  SESSION_TOUCH_SECONDS_MIN,
  SESSIONS_PER_MEMBER_MAX,
} from './session-rules.ts';
import { isForCause } from './signals.ts';
import type { KnownTenant } from './tenant-lookup.ts';
import { findTenant } from './tenant-lookup.ts';

/** 256 bits: a cookie is not to be guessed, and only its hash is stored, so that a copy of the database opens nothing. */
export const SESSION_TOKEN_BYTES = 32;

/** A session that may be used now. */
export interface LiveSession {
  readonly tenant: KnownTenant;
  readonly sessionId: Uuid;
  readonly personId: Uuid;
  readonly role: Role;
  readonly door: EdgeDoor;
  readonly method: SignInMethod;
  /** The connection that opened it; undefined: no identity provider did. */
  readonly connectionId: Uuid | undefined;
  readonly authTimeMs: number;
  readonly expiresAtMs: number;
  /** Sealed; opened only where it is shown. */
  readonly label: Uint8Array;
  /** True for the few seconds in which a rotated cookie still answers reads. */
  readonly superseded: boolean;
}

/** What goes back to the browser, once. */
export interface OpenedSession {
  readonly sessionId: Uuid;
  readonly token: string;
  readonly maxAgeSeconds: number;
}

export function tokenDigest(token: string): Buffer | undefined {
  const bytes = fromBase64Url(token);
  return bytes?.length === SESSION_TOKEN_BYTES ? createHash('sha256').update(bytes).digest() : undefined;
}

function newToken(deps: Pick<IdentityDeps, 'random'>): { token: string; hash: Buffer } {
  const bytes = deps.random.bytes(SESSION_TOKEN_BYTES);
  return { token: toBase64Url(bytes), hash: createHash('sha256').update(bytes).digest() };
}

/** What a session keeps of the identity provider that vouched for it. */
export interface SessionProvider {
  readonly connectionId: Uuid;
  readonly accountId: Uuid;
  /** Hashes of what the provider calls its session and the person. */
  readonly session: Uint8Array | null;
  readonly subject: Uint8Array | null;
  /** The provider's own end; the session has none later. */
  readonly endsAtMs: number | undefined;
}

export interface SessionOpening {
  readonly memberId: Uuid;
  readonly door: EdgeDoor;
  readonly method: SignInMethod;
  /** With the method `sso`, and with no other. */
  readonly provider?: SessionProvider;
}

/**
 * Opens a session inside the transaction of the sign-in, always under a fresh id and cookie: what an attacker planted
 * before sign-in (session fixation) is worth nothing afterwards.
 */
export async function openSession(
  deps: ClosingDeps & Pick<IdentityDeps, 'random'>,
  tx: ScopedTransaction,
  input: SessionOpening,
): Promise<OpenedSession> {
  const { tenantId, requestId } = tx.context;
  const { provider } = input;
  const now = deps.clock.nowMs();
  const providers_seconds = Math.floor(((provider?.endsAtMs ?? Infinity) - now) / 1000);
  const maxAgeSeconds = Math.max(1, Math.min(SESSION_SECONDS_MAX[input.method], providers_seconds));
  const expiresAt = new Date(now + maxAgeSeconds * 1000);
  const { token, hash } = newToken(deps);
  const sessionId = uuidV7(deps.clock, deps.random);
  const open = await tx.query(queries.openSessionsOf(tenantId, input.memberId));
  for (const old of open.slice(SESSIONS_PER_MEMBER_MAX - 1)) {
    await closeOne(deps, tx, { sessionId: old.id, reason: 'replaced', actor: { personId: input.memberId } });
  }
  await tx.query(
    queries.insertSession(tenantId, {
      id: sessionId,
      member_id: input.memberId,
      door: input.door,
      method: input.method,
      auth_time: new Date(now),
      expires_at: expiresAt,
      connection_id: provider?.connectionId ?? null,
      account_id: provider?.accountId ?? null,
      provider_session: provider?.session ?? null,
      provider_subject: provider?.subject ?? null,
    }),
  );
  await tx.query(queries.insertSessionIndex({ tokenHash: hash, tenantId, sessionId, now: new Date(now), expiresAt }));
  await deps.recordAudit(tx, {
    type: 'session.opened',
    actor: { personId: input.memberId, sessionId },
    resource: ['session', sessionId],
    outcome: 'allowed',
    requestId,
    public: {
      door: input.door,
      method: input.method,
      ...(provider === undefined ? {} : { connection: provider.connectionId }),
    },
  });
  return { sessionId, token, maxAgeSeconds };
}

type ClosingDeps = Pick<IdentityDeps, 'recordAudit' | 'clock' | 'evictions' | 'signals'>;

async function closeOne(
  deps: ClosingDeps,
  tx: ScopedTransaction,
  input: {
    readonly sessionId: Uuid;
    readonly reason: ClosedReason;
    readonly actor: AuditActor;
    readonly decision?: AuditDecision | undefined;
  },
): Promise<boolean> {
  const { tenantId, requestId } = tx.context;
  const at = new Date(deps.clock.nowMs());
  const closed = await tx.query(queries.closeSession(tenantId, input.sessionId, { at, reason: input.reason }));
  // Its cookie still leads here, so that whoever holds it can be told why; to nothing else, and not beyond its life.
  if (input.reason !== 'attempts' && input.reason !== 'lapsed')
    await tx.query(queries.deleteSessionIndex(tenantId, input.sessionId));
  if (closed.length === 0) return false;
  deps.evictions.endSession(tx, input.sessionId);
  await deps.recordAudit(tx, {
    type: 'session.closed',
    actor: input.actor,
    resource: ['session', input.sessionId],
    outcome: 'allowed',
    requestId,
    decision: input.decision,
    public: { reason: input.reason },
  });
  return true;
}

/** Closes one session (sign-out, or because of what was done in it). False: it was closed already. */
export function closeSession(
  deps: ClosingDeps & Pick<IdentityDeps, 'tenant'>,
  session: Pick<LiveSession, 'tenant' | 'sessionId' | 'personId'>,
  reason: ClosedReason,
): Promise<boolean> {
  const { sessionId, personId } = session;
  return deps.tenant.transaction(session.tenant.context, async (tx) => {
    const isClosed = await closeOne(deps, tx, { sessionId, reason, actor: { personId, sessionId } });
    if (isClosed && isForCause(reason))
      await deps.signals.note(tx, { kind: 'sessions-ended', memberId: personId, sessionIds: [sessionId], reason });
    return isClosed;
  });
}

/** Closes every open session of a person, in the caller's transaction. Returns how many. */
export async function closeSessionsOf(
  deps: ClosingDeps,
  tx: ScopedTransaction,
  input: {
    readonly memberId: Uuid;
    readonly reason: ClosedReason;
    readonly actor: AuditActor;
    readonly decision?: AuditDecision | undefined;
  },
): Promise<number> {
  const open = await tx.query(queries.openSessionsOf(tx.context.tenantId, input.memberId));
  const { reason, actor, decision } = input;
  for (const { id } of open) await closeOne(deps, tx, { sessionId: id, reason, actor, decision });
  if (open.length > 0 && isForCause(reason))
    await deps.signals.note(tx, { kind: 'sessions-ended', memberId: input.memberId, reason });
  return open.length;
}

/** Closes these sessions of one person, in the caller's transaction. Returns how many were open still. */
export async function closeThese(
  deps: ClosingDeps,
  tx: ScopedTransaction,
  input: {
    readonly memberId: Uuid;
    readonly sessionIds: readonly Uuid[];
    readonly reason: ClosedReason;
    readonly actor: AuditActor;
    readonly decision?: AuditDecision | undefined;
  },
): Promise<number> {
  const { sessionIds, memberId, ...closing } = input;
  const closed: Uuid[] = [];
  for (const sessionId of sessionIds) if (await closeOne(deps, tx, { sessionId, ...closing })) closed.push(sessionId);
  const { reason } = input;
  if (closed.length > 0 && isForCause(reason))
    await deps.signals.note(tx, { kind: 'sessions-ended', memberId, sessionIds: closed, reason });
  return closed.length;
}

/** Ends all sessions that a connection has opened, because it is not in use any more. Returns whose they were. */
export function closeConnectionSessions(
  deps: ClosingDeps & Pick<IdentityDeps, 'tenant'>,
  context: TenantContext,
  connectionId: Uuid,
): Promise<Uuid[]> {
  return deps.tenant.transaction(context, async (tx) => {
    const open = await tx.query(providerSessions(context, { connectionId }));
    const whose = Map.groupBy(open, ({ member_id }) => member_id);
    for (const [memberId, sessions] of whose) {
      const sessionIds = sessions.map(({ id }) => id);
      await closeThese(deps, tx, { memberId, sessionIds, reason: 'connection', actor: { service: 'issuer' } });
    }
    return [...whose.keys()];
  });
}

/**
 * Whether a session that began something is still open and its member active; by its id, for steps that come back without
 * the session's cookie. `connectionId` is of sessions by a provider.
 */
export async function liveSession(
  deps: Pick<IdentityDeps, 'tenant' | 'clock'>,
  context: TenantContext,
  { sessionId, memberId, tx }: { readonly sessionId: Uuid; readonly memberId: Uuid; readonly tx?: ScopedTransaction },
): Promise<
  | { readonly authTimeMs: number; readonly confirmedAtMs: number | undefined; readonly connectionId: Uuid | undefined }
  | undefined
> {
  const statement = queries.sessionWithMember(context.tenantId, sessionId);
  const [row] = tx === undefined ? await deps.tenant.scoped(context, statement) : await tx.query(statement);
  const now_ms = deps.clock.nowMs();
  const isOpen =
    row?.closed_at === null &&
    row.member_id === memberId &&
    row.state === 'active' &&
    row.expires_at.getTime() > now_ms;
  if (!isOpen) return undefined;
  const ask = <Row>(asked: Statement<Row>) => (tx === undefined ? deps.tenant.scoped(context, asked) : tx.query(asked));
  if (await isLapsed(ask, context, { ...proofOfSession(row), now_ms })) return undefined;
  const { auth_time, confirmed_at, connection_id } = row;
  return {
    authTimeMs: auth_time.getTime(),
    confirmedAtMs: confirmed_at?.getTime(),
    connectionId: connection_id ?? undefined,
  };
}

/** Of a session, what says whether its person is vouched for. One by a provider was proved at its beginning at least. */
export function proofOfSession(row: SessionWithMemberRow) {
  const byProvider = row.method === 'sso';
  return { memberId: row.member_id, provedAt: row.proved_at ?? (byProvider ? row.auth_time : null), byProvider };
}

/** Of somebody's sessions these are asked for again after a removal: twice what one person can have open. */
export const SESSIONS_ASKED_MAX = 2 * SESSIONS_PER_MEMBER_MAX;

/** The session that a cookie leads to, and what its index says of it. */
export interface LedTo {
  readonly sessionId: Uuid;
  readonly expiresAt: Date;
  readonly lastSeenAt: Date;
  /** Undefined: whichever it was opened at. */
  readonly door: EdgeDoor | undefined;
}

/**
 * The row of a session, where it is one that may be used now: every mint asks this of the session behind a cookie, and the
 * later look at a removed person asks it of theirs.
 */
export async function liveRow(
  deps: Pick<IdentityDeps, 'tenant' | 'clock'>,
  { context, kind }: Pick<KnownTenant, 'context' | 'kind'>,
  led: LedTo,
): Promise<SessionWithMemberRow | undefined> {
  const [row] = await deps.tenant.scoped(context, queries.sessionWithMember(context.tenantId, led.sessionId));
  if (row === undefined) return undefined;
  const now_ms = deps.clock.nowMs();
  const facts = {
    door: row.door,
    expiresAtMs: Math.min(row.expires_at.getTime(), led.expiresAt.getTime()),
    lastSeenAtMs: led.lastSeenAt.getTime(),
    closed: row.closed_at !== null,
    memberState: row.state,
  };
  if (judgeSession(facts, led.door ?? row.door, now_ms) !== 'live') return undefined;
  if (!doorAdmits(row.door, row.method, kind)) return undefined;
  const ask = <Row>(statement: Statement<Row>) => deps.tenant.scoped(context, statement);
  return (await isLapsed(ask, context, { ...proofOfSession(row), now_ms })) ? undefined : row;
}

/**
 * The live session behind a cookie at `door`, or undefined: unknown, closed, expired, idle, of the other door, of a
 * member who is not active or was not vouched for lately, or of a tenant that this door does not admit. All of them look
 * the same from outside.
 */
export async function findSession(
  deps: Pick<IdentityDeps, 'system' | 'tenant' | 'clock'>,
  cookie: string | undefined,
  at: { readonly door: EdgeDoor; readonly requestId: string },
): Promise<LiveSession | undefined> {
  const hash = cookie === undefined ? undefined : tokenDigest(cookie);
  if (hash === undefined) return undefined;
  const index = await findBySecret(deps.system, queries.sessionIndexByHash(hash));
  if (index === undefined) return undefined;
  const tenant = await findTenant(deps, index.tenant_id, at.requestId);
  if (tenant === undefined) return undefined;
  const led = { sessionId: index.session_id, expiresAt: index.expires_at, lastSeenAt: index.last_seen_at };
  const row = await liveRow(deps, tenant, { ...led, door: at.door });
  if (row === undefined) return undefined;
  const now = deps.clock.nowMs();
  if (now - index.last_seen_at.getTime() >= SESSION_TOUCH_SECONDS_MIN * 1000) {
    await deps.system.at(index.tenant_id).system(queries.touchSession(hash, new Date(now)));
  }
  return {
    tenant,
    sessionId: row.id,
    personId: row.member_id,
    role: row.role,
    door: row.door,
    method: row.method,
    connectionId: row.connection_id ?? undefined,
    authTimeMs: row.auth_time.getTime(),
    expiresAtMs: Math.min(row.expires_at.getTime(), index.expires_at.getTime()),
    label: row.label,
    superseded: index.superseded,
  };
}

/**
 * Gives a session a new cookie when it is about to be used for something that needs step-up: a cookie that was copied
 * earlier does not come along. The old one answers reads for a few seconds more, for requests already under way.
 * Undefined when the session is over.
 */
export async function rotateSession(
  deps: Pick<IdentityDeps, 'tenant' | 'clock' | 'random' | 'evictions'>,
  session: Pick<Caller, 'tenant' | 'sessionId'>,
): Promise<OpenedSession | undefined> {
  const { tenantId } = session.tenant;
  const { sessionId } = session;
  const now = deps.clock.nowMs();
  const { token, hash } = newToken(deps);
  return deps.tenant.transaction(session.tenant, async (tx) => {
    const row = (await tx.query(queries.sessionWithMember(tenantId, sessionId)))[0];
    if (row === undefined || row.closed_at !== null || row.expires_at.getTime() <= now) return undefined;
    const until = new Date(now + SESSION_SUPERSEDED_SECONDS_MAX * 1000);
    const replaced = await tx.query(queries.supersedeSession(tenantId, sessionId, until));
    if (replaced.length === 0) return undefined;
    // A token that another gateway has cached for the old cookie may change things.
    deps.evictions.endSession(tx, sessionId);
    const { expires_at: expiresAt } = row;
    await tx.query(queries.insertSessionIndex({ tokenHash: hash, tenantId, sessionId, now: new Date(now), expiresAt }));
    return { sessionId, token, maxAgeSeconds: Math.floor((expiresAt.getTime() - now) / 1000) };
  });
}
