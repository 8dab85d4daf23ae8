import { AppError, type Json, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { wallAttemptsOf, WALL_ATTEMPTS_PER_SESSION_MAX } from '../../platform/audit/index.ts';
import { apiTokenRoutes } from '../../platform/edge/token-contract.ts';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { findTenant, issueToken } from '../identity/index.ts';
import type { ApiAccess } from './access-words.ts';
import { findArtifactAnywhere } from './artifacts.ts';
import { originOf, resourceOf, type CallDeps } from './deps.ts';
import { tokenRefused } from './errors.ts';
import { BY_SERVICE, endGrants } from './grants.ts';
import { nextNonce } from './nonces.ts';
import { NONCE_WANTED, takeProof } from './proof.ts';
import * as queries from './queries.ts';
import { standingOf } from './standing.ts';

/** A call of the API as the gateway received it. */
interface ApiCall {
  readonly accessToken: string;
  readonly proof: string;
  readonly method: string;
  readonly path: string;
  readonly routeClass: 'read' | 'write';
}

interface Shown {
  readonly tenantId: Uuid;
  readonly payload: Readonly<Record<string, Json>>;
  readonly nextNonce: string | null;
}

/** The token behind the text, proven to be in its owner's hands, once; undefined: with no nonce of ours. Throws `api_token_refused`. */
async function accept(deps: CallDeps, call: ApiCall): Promise<Shown | undefined> {
  const value = call.accessToken;
  const found = await findArtifactAnywhere(deps, { kind: 'access', value });
  if (found === undefined || found.expiresAt.getTime() <= deps.clock.nowMs()) throw tokenRefused('unknown or over');
  const { payload, tenantId } = found;
  if (payload['aud'] !== resourceOf(deps, tenantId)) throw tokenRefused('for something else');
  const { method, proof } = call;
  const verdict = await takeProof(deps, proof, {
    tenantId,
    method,
    url: `${originOf(deps)}${call.path}`,
    accessToken: value,
  });
  if (!verdict.ok && verdict.reason === NONCE_WANTED) return undefined;
  if (!verdict.ok) throw tokenRefused(`proof: ${verdict.reason}`);
  // A token that was bound to no key would work for everybody: none is made, and none is taken.
  if (typeof payload['jkt'] !== 'string' || payload['jkt'] !== verdict.thumbprint) throw tokenRefused('proof: key');
  return { tenantId, payload, nextNonce: verdict.nextNonce };
}

/** Ends a grant that has used up its attempts on other tenants' data, as a session would be. */
async function refuseUsedUp(deps: CallDeps, context: TenantContext, grant: queries.GrantRow): Promise<void> {
  const [attempts] = await deps.tenant.scoped(context, wallAttemptsOf(context.tenantId, grant.id));
  if (attempts === undefined || attempts.recorded < WALL_ATTEMPTS_PER_SESSION_MAX) return;
  await endGrants(deps, context, { ids: [grant.id], reason: 'attempts', by: BY_SERVICE });
  throw tokenRefused('attempts used up');
}

const mayDo = (access: ApiAccess, routeClass: ApiCall['routeClass']): boolean =>
  routeClass === 'read' || access === 'write';

/**
 * Turns an access token and its proof into a transaction token of 30 seconds, for the workspace alone: no wider than the
 * scopes, the permission, every registration on the way and the person's role as they are at this moment; it names the
 * agents that the work was handed on to. A proof that only lacks a nonce is answered with one (RFC 9449 9). Throws `api_token_refused`, `operation_refused`, `erasures_outstanding`.
 */
export async function tokenForCall(deps: CallDeps, call: ApiCall, requestId: string) {
  const shown = await accept(deps, call);
  if (shown === undefined) return { useNonce: nextNonce(deps.clock) };
  const { tenantId, payload } = shown;
  const tenant = await findTenant(deps, tenantId, requestId);
  if (tenant === undefined) throw tokenRefused('no such organisation');
  const { context } = tenant;
  const { grant, client, agents, role, access } = await standingOf(deps, context, payload);
  await refuseUsedUp(deps, context, grant);
  if (!mayDo(access, call.routeClass)) throw new AppError('operation_refused', 'outside of what was allowed');
  const agent = agents.at(-1);
  if (agent !== undefined) {
    const at = new Date(deps.clock.nowMs());
    await deps.tenant.scoped(context, queries.touchAgent(context, { grantId: grant.id, clientId: agent, at }));
  }
  const token = await issueToken(
    deps,
    { tenant, personId: grant.member_id, sessionId: grant.id, role, method: 'oauth', door: 'edge', agents },
    { destination: 'workspace', routeClass: call.routeClass, context: { client: client.id } },
  );
  return { ...token, nextNonce: shown.nextNonce };
}

/** The route by which the gateway turns access tokens into transaction tokens. */
export function apiTokenMintRoutes(deps: CallDeps): RoomRoutes {
  return bindRoutes(apiTokenRoutes, {
    async mint(call) {
      return { status: 200 as const, body: await tokenForCall(deps, call.body, call.requestId) };
    },
  });
}
