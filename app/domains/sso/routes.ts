import { isAppError, parseUuid, uuidV4, type Uuid } from '@auditrax/base';
import { spMetadata } from '@auditrax/saml';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import {
  bindBrowser,
  BROWSER_HEADER,
  CLIENT_HEADER,
  COOKIE_HEADER,
  REVOKE_HEADER,
  setSession,
} from '../../platform/http/headers.ts';
import { activeConnections, findConnection, ownDocument } from '../connections/index.ts';
import { createAttemptLimit, enrolmentOf, findSession, findTenantBySlug, type KnownTenant } from '../identity/index.ts';
import { routes } from './contract.ts';
import type { SsoDeps } from './deps.ts';
import { isAtEdge, requireEdge, tellUrl, type AnyCall } from './edge-calls.ts';
import { notFound } from './errors.ts';
import { logOut } from './logout.ts';
import type { Answer, Ports } from './proof.ts';
import { createProviders } from './providers.ts';
import { REQUEST_SECONDS_MAX } from './requests.ts';
import { inSessionRoutes } from './session-routes.ts';
import { begin, finish, type Begun, type ComingBack, type Finished } from './sign-in.ts';

/** As our own requests carry it. */
const RELAY_STATE = /^[A-Za-z0-9_-]{43}$/;
const METADATA_TYPE = 'application/samlmetadata+xml';

/** Steps of sign-ins from one address, two or three each: a firm behind one address begins its day at the same time. */
const STEPS_PER_MINUTE_MAX = 600;

type ForeignCall = AnyCall & { readonly params: { readonly connection: string } };

/** Whose connection an address names. Throws `not_found`. */
async function placeOf(deps: SsoDeps, call: ForeignCall): Promise<{ tenant: KnownTenant; connectionId: Uuid }> {
  const connectionId = parseUuid(call.params.connection);
  const tenant = connectionId === undefined ? undefined : await findConnection(deps, connectionId, call.requestId);
  if (tenant === undefined || connectionId === undefined) throw notFound();
  return { tenant, connectionId };
}

/** What a link offers, which may be nothing: that it is used up is told to whoever tries to use it, not to a page that looks. */
async function offersOfLink(deps: Ports, call: AnyCall, token: string) {
  try {
    const { tenant } = await enrolmentOf(deps, { door: 'edge', requestId: call.requestId }, token);
    const offers = await activeConnections(deps, tenant.context);
    return offers.map(({ id, name }) => ({ connection: id, name }));
  } catch (error) {
    if (isAppError(error) && error.code === 'link_unusable') return [];
    throw error;
  }
}

async function startSignIn(deps: Ports, call: ForeignCall): Promise<Begun> {
  const place = await placeOf(deps, call);
  const session = await findSession(deps, call.headers[COOKIE_HEADER], { door: 'edge', requestId: call.requestId });
  const previous =
    session === undefined
      ? {}
      : {
          previous: {
            tenantId: session.tenant.context.tenantId,
            sessionId: session.sessionId,
            personId: session.personId,
          },
        };
  const browser = call.headers[BROWSER_HEADER];
  return begin(deps, { ...place, purpose: 'sign-in', returnTo: 'home', browser, ...previous });
}

/**
 * A provider that starts by itself says nothing about a request of ours, so its word is left alone: the browser begins a
 * sign-in from here, which the same provider answers at once.
 */
function beginInstead(deps: SsoDeps, { connectionId }: { readonly connectionId: Uuid }) {
  const [origin] = deps.doors.edge.origins;
  return { status: 303 as const, body: undefined, headers: { location: `${origin}/sso/${connectionId}/start` } };
}

/** The one value of the state in what came back; which of two would be an attacker's choice. */
function stateOf(query: string): string | undefined {
  const all = new URLSearchParams(query).getAll('state');
  return all.length === 1 ? all[0] : undefined;
}

async function comingBack(deps: SsoDeps, call: ForeignCall, answer: Answer): Promise<ComingBack> {
  const state = answer.kind === 'oidc' ? stateOf(answer.query) : answer.relayState;
  return { ...(await placeOf(deps, call)), state, browser: call.headers[BROWSER_HEADER], answer };
}

function leadOn(deps: SsoDeps, { returnTo, tenant, connectionId, opened }: Finished) {
  const pages = {
    home: '/app/',
    connection: `/app/connections/${deps.formatId('con', tenant.context, connectionId)}`,
    passkeys: '/app/passkeys',
  } as const;
  return {
    status: 303 as const,
    body: undefined,
    headers: {
      location: pages[returnTo],
      ...(opened === undefined ? {} : setSession(opened.token, opened.maxAgeSeconds)),
    },
  };
}

function sendOff({ url, secret }: Begun) {
  const headers = { location: url, ...bindBrowser(secret, REQUEST_SECONDS_MAX) };
  return { status: 303 as const, body: undefined, headers };
}

/** Asks about nobody, so that an unknown name takes the same way as an organisation that offers nothing. */
function nobody(deps: SsoDeps, requestId: string): KnownTenant['context'] {
  return { tenantId: uuidV4(deps.random), tenantPart: 0, requestId };
}

async function offersOf(deps: SsoDeps, slug: string, requestId: string) {
  const tenant = await findTenantBySlug(deps, slug, requestId);
  const offers = await activeConnections(deps, tenant?.context ?? nobody(deps, requestId));
  return offers.map(({ id, name }) => ({ name, path: `/sso/${id}/start` }));
}

async function metadataOf(deps: SsoDeps, call: ForeignCall): Promise<string> {
  const { tenant, connectionId } = await placeOf(deps, call);
  const own = await ownDocument(deps, tenant.context, connectionId);
  if (own === undefined) throw notFound();
  return spMetadata(own, own.certificates);
}

/** Sign-in by identity providers of tenants, as routes of the issuer. */
export function ssoRoutes(given: SsoDeps): readonly RoomRoutes[] {
  const deps: Ports = { ...given, providers: createProviders(given) };
  return [entranceRoutes(deps), inSessionRoutes(deps)];
}

/** What is reached without a session, most of it from a provider's pages. */
function entranceRoutes(deps: Ports): RoomRoutes {
  const limit = createAttemptLimit(deps.clock, deps.steps_perMinute_max ?? STEPS_PER_MINUTE_MAX);
  const counted = (call: AnyCall): void => limit(call.headers[CLIENT_HEADER] ?? 'unknown');
  const limited = (call: AnyCall): void => {
    requireEdge(call);
    counted(call);
  };
  return bindRoutes(routes, {
    async start(call) {
      limited(call);
      return sendOff(await startSignIn(deps, call));
    },
    async callback(call) {
      limited(call);
      const back = await comingBack(deps, call, { kind: 'oidc', query: call.rawQuery });
      return leadOn(deps, await finish(deps, back));
    },
    async acs(call) {
      limited(call);
      const { SAMLResponse: response, RelayState: relayState } = call.body;
      if (relayState === undefined || !RELAY_STATE.test(relayState))
        return beginInstead(deps, await placeOf(deps, call));
      return leadOn(deps, await finish(deps, await comingBack(deps, call, { kind: 'saml', response, relayState })));
    },
    async logout(call) {
      requireEdge(call);
      const closed = await logOut(deps, await placeOf(deps, call), call.body.logout_token);
      const headers: Record<string, string> = closed.length === 0 ? {} : { [REVOKE_HEADER]: closed.join(',') };
      return { status: 200 as const, body: undefined, headers };
    },
    async metadata(call) {
      limited(call);
      return { status: 200 as const, body: await metadataOf(deps, call), headers: { 'content-type': METADATA_TYPE } };
    },
    async offers(call) {
      counted(call);
      // No provider leads back to the try-out door, so nothing is offered there.
      const offers = isAtEdge(call) ? await offersOf(deps, call.query.organisation, call.requestId) : [];
      return { status: 200 as const, body: { offers } };
    },
    async invitation(call) {
      limited(call);
      const { tenant, linkHash } = await enrolmentOf(
        deps,
        { door: 'edge', requestId: call.requestId },
        call.body.token,
      );
      const connectionId = parseUuid(call.body.connection);
      if (connectionId === undefined) throw notFound();
      const wish = { tenant, connectionId, purpose: 'invitation', returnTo: 'home', linkHash } as const;
      return tellUrl(await begin(deps, wish));
    },
    async invitationOffers(call) {
      counted(call);
      const offers = isAtEdge(call) ? await offersOfLink(deps, call, call.body.token) : [];
      return { status: 200 as const, body: { offers } };
    },
  });
}
