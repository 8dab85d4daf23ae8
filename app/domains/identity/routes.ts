import { AppError, parseUuid, type Uuid } from '@auditrax/base';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { isKeyStoreFault } from '../keys/index.ts';
import { bindRoutes, type EdgeDoor, type RoomRoutes } from '../../platform/http/handler.ts';
import {
  CLIENT_HEADER,
  clearSession,
  COOKIE_HEADER,
  DOOR_HEADER,
  REVOKE_HEADER,
  setSession,
} from '../../platform/http/headers.ts';
import { createAttemptLimit } from './attempt-limit.ts';
import { issueCanaryEnrolment, openCanarySession } from './canary.ts';
import { canaryRoutes, routes } from './contract.ts';
import type { IdentityDeps } from './deps.ts';
import { endIfUsedUp, whyEnded } from './ended-session.ts';
import type { IdentityCode } from './errors.ts';
import { passkeysOfMember } from './passkeys.ts';
import { credentialsOf, openRecoveryOf } from './queries.ts';
import type { Arrival, SignedIn } from './service.ts';
import * as service from './service.ts';
import type { LiveSession } from './sessions.ts';
import { closeSession, findSession } from './sessions.ts';

type Headers = Readonly<Record<string, string | undefined>>;

interface PublicCall {
  readonly headers: Headers;
  readonly requestId: string;
}

/** The gateway names the door; only it can reach this service with these headers (mutual TLS). */
function arrivalOf(call: PublicCall): Arrival {
  const door = call.headers[DOOR_HEADER];
  if (door !== 'edge' && door !== 'tryout') throw new AppError<IdentityCode>('door_unknown', 'no door named');
  return { door: door satisfies EdgeDoor, requestId: call.requestId };
}

/** What people call the connection that a session came by; null for any other session, and while nobody can open the name. */
async function nameOfConnection(deps: IdentityDeps, { tenant, connectionId }: LiveSession): Promise<string | null> {
  if (connectionId === undefined || deps.connectionName === undefined) return null;
  const name = await deps.connectionName(tenant.context, connectionId).catch((error: unknown) => {
    if (!isKeyStoreFault(error)) throw error;
    return undefined;
  });
  return name ?? null;
}

async function describe(deps: IdentityDeps, session: LiveSession) {
  const { context, slug, displayName, kind } = session.tenant;
  const place = { context, field: 'identity.member.label', rowId: session.personId } as const;
  const label = await deps.sealer.openText({ ...place, sealed: session.label }).catch((error: unknown) => {
    // A lead who could not sign in could not mend the very key that is missing.
    if (!isKeyStoreFault(error)) throw error;
    return null;
  });
  return {
    signedIn: true as const,
    person: { id: deps.formatId('mem', context, session.personId), label },
    role: session.role,
    tenant: { slug, name: displayName, kind },
    method: session.method,
    connection: await nameOfConnection(deps, session),
    door: session.door,
    expiresAt: new Date(session.expiresAtMs).toISOString(),
    recoveryDueAt: await recoveryDueAt(deps, session),
    passkeys: (await passkeysOfMember(deps, context.tenantId, session.personId)).length,
  };
}

/** A person whose recovery somebody opened is told wherever they are still signed in. */
async function recoveryDueAt(
  deps: IdentityDeps,
  { tenant: { context }, personId }: LiveSession,
): Promise<string | null> {
  const [open] = await deps.tenant.scoped(context, openRecoveryOf(context.tenantId, personId));
  return open?.due_at.toISOString() ?? null;
}

/** Who is signed in with this browser's cookie; to whoever holds the cookie of a session that was ended, that it was. */
async function describeSession(deps: IdentityDeps, call: PublicCall) {
  const arrival = arrivalOf(call);
  const cookie = call.headers[COOKIE_HEADER];
  const session = await findSession(deps, cookie, arrival);
  if (session !== undefined && !(await endIfUsedUp(deps, session))) return describe(deps, session);
  const ended = session === undefined ? await whyEnded(deps, cookie, arrival.requestId) : 'attempts';
  return { signedIn: false as const, ...(ended === undefined ? {} : { ended }) };
}

/** Answers a sign-in and closes the session that the browser had before, so that it does not live on unseen. */
async function welcome(deps: IdentityDeps, call: PublicCall, { opened, session }: SignedIn) {
  const previous = await findSession(deps, call.headers[COOKIE_HEADER], arrivalOf(call));
  if (previous !== undefined && previous.sessionId !== opened.sessionId) await closeSession(deps, previous, 'replaced');
  return {
    status: 200 as const,
    body: await describe(deps, session),
    headers: setSession(opened.token, opened.maxAgeSeconds),
  };
}

function requireUuid(text: string): Uuid {
  const id = parseUuid(text);
  if (id === undefined) throw new AppError<IdentityCode>('challenge_unusable', 'malformed challenge id');
  return id;
}

/** zod spells "absent" as null or undefined; the WebAuthn types only as absent. */
function asAssertion(response: unknown): AuthenticationResponseJSON {
  return withoutNulls(response) as AuthenticationResponseJSON;
}

function asRegistration(response: unknown): RegistrationResponseJSON {
  return withoutNulls(response) as RegistrationResponseJSON;
}

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null && item !== undefined)
      .map(([key, item]) => [key, withoutNulls(item)]),
  );
}

/** The library's option types have no index signature, which the reply's schema wants. */
function ceremony(begun: { readonly challengeId: Uuid; readonly options: { readonly challenge: string } }) {
  return {
    challengeId: begun.challengeId,
    options: { ...begun.options } as { challenge: string; [name: string]: unknown },
  };
}

/** Sign-in, enrolment, sessions and passkeys of people, as routes of the issuer. */
export function identityRoutes(deps: IdentityDeps): RoomRoutes {
  const limit = createAttemptLimit(deps.clock);
  const limited = (call: PublicCall): Arrival => {
    const arrival = arrivalOf(call);
    limit(call.headers[CLIENT_HEADER] ?? 'unknown');
    return arrival;
  };
  return bindRoutes(routes, {
    async session(call) {
      return { status: 200 as const, body: await describeSession(deps, call) };
    },
    async signInOptions(call) {
      return { status: 200 as const, body: ceremony(await service.beginSignIn(deps, limited(call))) };
    },
    async signIn(call) {
      const input = { challengeId: requireUuid(call.body.challengeId), response: asAssertion(call.body.response) };
      return welcome(deps, call, await service.signInWithPasskey(deps, limited(call), input));
    },
    async enrolmentOptions(call) {
      return {
        status: 200 as const,
        body: ceremony(await service.beginEnrolment(deps, limited(call), call.body.token)),
      };
    },
    async enrol(call) {
      const { token, challengeId, response } = call.body;
      const input = { token, challengeId: requireUuid(challengeId), response: asRegistration(response) };
      return welcome(deps, call, await service.enrol(deps, limited(call), input));
    },
    async link(call) {
      return welcome(deps, call, await service.signInWithLink(deps, limited(call), call.body.token));
    },
    async signOut(call) {
      const closed = await service.signOut(deps, arrivalOf(call), call.headers[COOKIE_HEADER]);
      const revoke: Record<string, string> = closed === undefined ? {} : { [REVOKE_HEADER]: closed.personId };
      return { status: 200 as const, body: { signedIn: false }, headers: { ...clearSession, ...revoke } };
    },
    async signOutEverywhere(call) {
      const closed = await service.signOutEverywhere(deps, call.caller);
      return {
        status: 200 as const,
        body: { closed },
        headers: { ...clearSession, [REVOKE_HEADER]: call.caller.personId },
      };
    },
    async listPasskeys(call) {
      const { tenant, personId } = call.caller;
      const rows = await deps.tenant.scoped(tenant, credentialsOf(tenant.tenantId, personId));
      const passkeys = rows.map((row) => ({
        deviceType: row.device_type,
        createdAt: row.created_at.toISOString(),
        lastUsedAt: row.last_used_at?.toISOString() ?? null,
      }));
      return { status: 200 as const, body: { passkeys } };
    },
    async addPasskeyOptions(call) {
      return { status: 200 as const, body: ceremony(await service.beginAddPasskey(deps, call.caller)) };
    },
    async addPasskey(call) {
      const input = { challengeId: requireUuid(call.body.challengeId), response: asRegistration(call.body.response) };
      return { status: 200 as const, body: { passkeys: await service.addPasskey(deps, call.caller, input) } };
    },
  });
}

/** The sentinel's ways in. */
export function canaryIdentityRoutes(deps: IdentityDeps): RoomRoutes {
  return bindRoutes(canaryRoutes, {
    async canarySession(call) {
      const { door, ...wanted } = call.body;
      const { opened, tenant, personId } = await openCanarySession(deps, { door, requestId: call.requestId }, wanted);
      const { tenantId, tenantPart } = tenant.context;
      const expiresAt = deps.clock.nowMs() + opened.maxAgeSeconds * 1000;
      return { status: 200 as const, body: { cookie: opened.token, expiresAt, tenantId, tenantPart, personId } };
    },
    async canaryEnrolment(call) {
      const { door, ...wanted } = call.body;
      const { token, tenant, personId } = await issueCanaryEnrolment(deps, { door, requestId: call.requestId }, wanted);
      const { tenantId, tenantPart } = tenant.context;
      return { status: 200 as const, body: { token, tenantId, tenantPart, personId } };
    },
  });
}
