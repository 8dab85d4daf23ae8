import { isAppError, parseUuid, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { Caller, Role } from '../../platform/http/handler.ts';
import { loadConnection, recordAttempt, roleOfGroups, type LoadedConnection } from '../connections/index.ts';
import {
  arrive,
  closeSession,
  confirmSession,
  findTenant,
  liveSession,
  openSession,
  PROVIDER_SIGN_IN_SECONDS_MAX,
  proveBySignIn,
  providerHash,
  redeemLink,
  type Arrived,
  type KnownTenant,
  type Newcomer,
  type OpenedSession,
} from '../identity/index.ts';
import { found, notFound, outward, refuse } from './errors.ts';
import { canAskAnew, depart, prove, type Answer, type Ports, type Proven } from './proof.ts';
import type { Purpose } from './queries.ts';
import { browserSecret, keepRequest, takeRequest, type Pending, type Previous, type Return } from './requests.ts';

/** Adding an identity gives lasting access, so the member must have proved presence this recently. */
export const CONNECT_SECONDS_MAX = 600;

/** Where a sign-in is begun from. */
export interface Beginning {
  readonly tenant: KnownTenant;
  readonly connectionId: Uuid;
  readonly purpose: Purpose;
  readonly returnTo: Return;
  /** The browser's cookie of an earlier sign-in, if it has one. */
  readonly browser?: string | undefined;
  readonly by?: { readonly memberId: Uuid; readonly sessionId: Uuid };
  readonly linkHash?: Uint8Array;
  /** The session of this browser that a new one replaces. */
  readonly previous?: Previous;
}

export interface Begun {
  readonly url: string;
  /** For the browser's cookie. */
  readonly secret: string;
}

/** A test tries what is not in use yet; everything else wants a connection that is. */
function isUsable(connection: LoadedConnection, purpose: Purpose): boolean {
  return connection.state === 'active' || (purpose === 'test' && connection.state === 'draft');
}

/**
 * Begins a sign-in at the provider of a connection. Throws `not_found` (there is none that is in use), the outward form of
 * whatever check failed, and keeps that among the connection's attempts when an administrator tries it.
 */
export async function begin(deps: Ports, beginning: Beginning): Promise<Begun> {
  const { tenant, connectionId, purpose } = beginning;
  const { context } = tenant;
  const connection = await loadConnection(deps, context, connectionId);
  if (connection === undefined || !isUsable(connection, purpose)) throw notFound();
  if (purpose === 'confirm' && !canAskAnew(connection)) throw refuse('sso_fresh_unsupported', connection.profile);
  try {
    // Whoever adds an identity or a first passkey, or comes by a link that anybody could have found, is to be there in person.
    const isFresh = purpose !== 'sign-in' && purpose !== 'test';
    const { url, state, request } = await depart(deps, connection, { isFresh });
    const secret = browserSecret(deps, beginning.browser);
    const { tenantId } = context;
    const pending: Pending = {
      purpose,
      returnTo: beginning.returnTo,
      by: beginning.by,
      linkHash: beginning.linkHash,
      payload: { request, previous: beginning.previous ?? null },
    };
    await keepRequest(deps, pending, { tenantId, connectionId, state, secret });
    return { url, secret };
  } catch (error) {
    throw await refused(deps, { tenant, connection, purpose, by: beginning.by }, error);
  }
}

interface Tried {
  readonly tenant: KnownTenant;
  readonly connection: LoadedConnection;
  readonly purpose: Purpose;
  readonly by: Beginning['by'] | undefined;
  readonly proven?: Proven | undefined;
}

/** Writes down which check failed, for the administrators, and gives what the person is told. */
async function refused(deps: Ports, tried: Tried, error: unknown): Promise<unknown> {
  const told = isAppError(error) ? outward(error) : undefined;
  if (told === undefined || !isAppError(error)) return error;
  const { tenant, connection, purpose, by } = tried;
  const { context } = tenant;
  await note(deps, tried, error);
  // A test is recorded with the attempt itself.
  if (purpose === 'test') return told;
  await deps.attempts.record(context, {
    type: 'sign-in.refused',
    actor: by === undefined ? { service: 'issuer' } : { personId: by.memberId, sessionId: by.sessionId },
    resource: ['connection', connection.id],
    outcome: 'denied',
    requestId: context.requestId,
    public: { reason: error.code },
  });
  return told;
}

function note(deps: Ports, { tenant, connection, purpose, by, proven }: Tried, refusal?: unknown): Promise<Uuid> {
  return recordAttempt(deps, tenant.context, {
    connectionId: connection.id,
    purpose: purpose === 'test' ? 'test' : 'sign-in',
    version: connection.version,
    ...(refusal === undefined ? {} : { refusal }),
    ...(by === undefined ? {} : { startedBy: { personId: by.memberId, sessionId: by.sessionId } }),
    ...(proven === undefined ? {} : { subject: proven.subject, groups: proven.groups, claims: proven.claims }),
  });
}

/** What somebody's groups make of them here; undefined when the provider said nothing or nothing is mapped. */
function roleOf(connection: LoadedConnection, groups: readonly string[] | undefined): Role | null | undefined {
  if (groups === undefined || connection.groups.length === 0) return undefined;
  const { allowed, roleWithoutGroup } = connection.justInTime;
  return roleOfGroups(groups, connection.groups) ?? (allowed ? roleWithoutGroup : null);
}

function newcomerOf(
  { tenant, connection, proven }: { tenant: KnownTenant; connection: LoadedConnection; proven: Proven },
  is: Newcomer['is'],
): Newcomer {
  const role = roleOf(connection, proven.groups);
  const { allowed, roleWithoutGroup } = connection.justInTime;
  return {
    connectionId: connection.id,
    subject: proven.subject,
    shown: proven.shown,
    role,
    newRole: allowed ? (role ?? roleWithoutGroup ?? undefined) : undefined,
    tenantKind: tenant.kind,
    ...(is === undefined ? {} : { is }),
  };
}

/** Where the browser goes, and its new session when there is one. */
export interface Finished {
  readonly returnTo: Return;
  readonly tenant: KnownTenant;
  readonly connectionId: Uuid;
  readonly opened: OpenedSession | undefined;
}

export interface ComingBack {
  readonly tenant: KnownTenant;
  readonly connectionId: Uuid;
  readonly state: string | undefined;
  readonly browser: string | undefined;
  readonly answer: Answer;
}

/**
 * Ends a sign-in with what the browser brought back. The request is taken first, so that each is answered once, whatever
 * comes of it. Throws `sso_request_unusable`, `not_found`, and the outward form of the check that failed; a test ends at its
 * connection either way.
 */
export async function finish(deps: Ports, back: ComingBack): Promise<Finished> {
  const { tenant, connectionId } = back;
  const pending = await takeRequest(deps, tenant, back);
  const connection = await loadConnection(deps, tenant.context, connectionId);
  if (connection === undefined) throw notFound();
  const tried: Tried = { tenant, connection, purpose: pending.purpose, by: pending.by };
  let proven: Proven | undefined;
  try {
    if (!isUsable(connection, pending.purpose))
      throw found('sso_connection_inactive', `The connection is ${connection.state}.`);
    const { tenantId } = tenant.context;
    proven = await prove(deps, { connection, tenantId }, { answer: back.answer, request: pending.payload.request });
    const opened = await settle(deps, { tenant, connection, proven, pending });
    const { returnTo } = pending;
    if (opened !== undefined) await endPrevious(deps, pending, tenant.context.requestId);
    return { returnTo, tenant, connectionId, opened };
  } catch (error) {
    const told = await refused(deps, { ...tried, proven }, error);
    // Whoever tests is led back to the connection, where the check that failed stands: the page for everybody else names none.
    const isFinding = pending.purpose === 'test' && told !== error;
    if (isFinding) return { returnTo: pending.returnTo, tenant, connectionId, opened: undefined };
    throw told;
  }
}

interface Settling {
  readonly tenant: KnownTenant;
  readonly connection: LoadedConnection;
  readonly proven: Proven;
  readonly pending: Pending;
}

async function settle(deps: Ports, settling: Settling): Promise<OpenedSession | undefined> {
  const { pending, tenant, connection, proven } = settling;
  if (pending.purpose === 'test') {
    await requireSession(deps, settling);
    await note(deps, { tenant, connection, proven, purpose: 'test', by: pending.by });
    return undefined;
  }
  const work = (tx: ScopedTransaction) => settleIn(deps, tx, settling);
  try {
    return await deps.tenant.transaction(tenant.context, work);
  } catch (error) {
    // Two windows of one person, at their very first sign-in: the second finds what the first has made.
    if (!isAppError(error, 'account_again')) throw error;
    return deps.tenant.transaction(tenant.context, work);
  }
}

/** The session that began it must still be there: whoever was signed out meanwhile adds and tries nothing. */
async function requireSession(deps: Ports, { pending, tenant }: Settling, tx?: ScopedTransaction): Promise<Uuid> {
  const session =
    pending.by === undefined
      ? undefined
      : await liveSession(deps, tenant.context, { ...pending.by, ...(tx === undefined ? {} : { tx }) });
  if (session === undefined || pending.by === undefined)
    throw found('sso_session_over', 'The session in which this was begun is over.');
  return pending.by.memberId;
}

async function settleIn(deps: Ports, tx: ScopedTransaction, settling: Settling): Promise<OpenedSession | undefined> {
  const { pending, tenant, connection } = settling;
  const enter = (is?: Newcomer['is']) => arrive(deps, tx, newcomerOf(settling, is));
  switch (pending.purpose) {
    case 'connect': {
      const arrived = await enter({ memberId: await requireSession(deps, settling, tx), origin: 'connect' });
      await proveBySignIn(deps, tx, arrived.memberId);
      await deps.signals.named(tx, { ...arrived, name: settling.proven.name });
      return undefined;
    }
    case 'invitation': {
      const memberId = pending.linkHash === undefined ? undefined : await redeemLink(deps, tx, pending.linkHash);
      if (memberId === undefined)
        throw found('sso_link_over', 'The enrolment link was used, has expired, or its member is suspended.');
      return openFor(deps, tx, { settling, arrived: await enter({ memberId, origin: 'invitation' }) });
    }
    case 'confirm': {
      await confirmIn(deps, tx, settling);
      return undefined;
    }
    case 'sign-in':
      return openFor(deps, tx, { settling, arrived: await enter() });
    case 'test':
      throw new Error(`a test of ${connection.id} in ${tenant.slug} opens nothing`);
  }
}

/**
 * A first passkey outlasts this session and confirms what matters, so its person has just been asked at the provider by
 * which the session came: neither a browser that was left open nor somebody else's account there is enough.
 */
async function confirmIn(deps: Ports, tx: ScopedTransaction, settling: Settling): Promise<void> {
  const { pending, connection, proven } = settling;
  await requireSession(deps, settling, tx);
  const { signedIn_ms, subject } = proven;
  if (signedIn_ms === undefined || deps.clock.nowMs() - signedIn_ms > PROVIDER_SIGN_IN_SECONDS_MAX * 1000)
    throw found('sso_sign_in_stale', 'The provider did not ask the person anew, or did not say when it did.');
  const { sessionId } = pending.by!;
  const isSame = await confirmSession(deps, tx, { sessionId, connectionId: connection.id, subject, signedIn_ms });
  if (!isSame) throw found('sso_other_person', 'The sign-in was by another identity than the session’s own.');
}

async function openFor(
  deps: Ports,
  tx: ScopedTransaction,
  { settling, arrived }: { readonly settling: Settling; readonly arrived: Arrived },
): Promise<OpenedSession> {
  const { connection, proven } = settling;
  const { providerSession, providerSubject, endsAt_ms, name } = proven;
  await proveBySignIn(deps, tx, arrived.memberId);
  await deps.signals.named(tx, { ...arrived, name });
  return openSession(deps, tx, {
    memberId: arrived.memberId,
    door: 'edge',
    method: 'sso',
    provider: {
      connectionId: connection.id,
      accountId: arrived.accountId,
      session: providerSession === undefined ? null : providerHash('session', providerSession),
      subject: providerSubject === undefined ? null : providerHash('sub', providerSubject),
      endsAtMs: endsAt_ms,
    },
  });
}

/** The session that this browser had before does not live on unseen; of another tenant as well. */
async function endPrevious(deps: Ports, { payload }: Pending, requestId: string): Promise<void> {
  const tenantId = parseUuid(payload.previous?.tenantId ?? '');
  const sessionId = parseUuid(payload.previous?.sessionId ?? '');
  const personId = parseUuid(payload.previous?.personId ?? '');
  const tenant = tenantId === undefined ? undefined : await findTenant(deps, tenantId, requestId);
  if (tenant === undefined || sessionId === undefined || personId === undefined) return;
  await closeSession(deps, { tenant, sessionId, personId }, 'replaced');
}

/** Whether a caller may add an identity now: their own proof must be recent, by passkey or by a provider. */
export function mayConnect(caller: Caller, session: { readonly authTimeMs: number }, now_ms: number): boolean {
  const isPerson = caller.method === 'passkey' || caller.method === 'sso';
  return isPerson && now_ms - session.authTimeMs <= CONNECT_SECONDS_MAX * 1000;
}
