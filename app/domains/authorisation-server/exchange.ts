import { AppError, parseUuid, type Json, type Uuid } from '@auditrax/base';
import { wallAttemptsOf, WALL_ATTEMPTS_PER_SESSION_MAX } from '../../platform/audit/index.ts';
import { apiTokenRoutes } from '../../platform/edge/token-contract.ts';
import type { CallerFacts } from '../../platform/http/caller.ts';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { findTenant, issueToken, isVouched, memberById, type KnownTenant } from '../identity/index.ts';
import { accessOf, least, type ApiAccess } from './access-words.ts';
import { findArtifactAnywhere, keepArtifact, textIn } from './artifacts.ts';
import { findClient, type Client } from './clients.ts';
import { originOf, resourceOf, type ExchangeDeps } from './deps.ts';
import { tokenRefused } from './errors.ts';
import { BY_SERVICE, endGrants } from './grants.ts';
import { PROOF_KEPT_SECONDS } from './lifetimes.ts';
import { judgeProof } from './proof.ts';
import * as queries from './queries.ts';

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
}

/** The token behind the text, proven to be in its owner's hands, once. Throws `api_token_refused`. */
async function accept(deps: ExchangeDeps, call: ApiCall): Promise<Shown> {
  const value = call.accessToken;
  const found = await findArtifactAnywhere(deps, { kind: 'access', value });
  if (found === undefined || found.expiresAt.getTime() <= deps.clock.nowMs()) throw tokenRefused('unknown or over');
  const { payload, tenantId } = found;
  if (payload['aud'] !== resourceOf(deps, tenantId)) throw tokenRefused('for something else');
  const url = `${originOf(deps)}${call.path}`;
  const verdict = await judgeProof(deps.clock, call.proof, { method: call.method, url, accessToken: value });
  if (!verdict.ok) throw tokenRefused(`proof: ${verdict.reason}`);
  // A token that was bound to no key would work for everybody: none is made, and none is taken.
  if (typeof payload['jkt'] !== 'string' || payload['jkt'] !== verdict.thumbprint) throw tokenRefused('proof: key');
  const seen = { tenantId, kind: 'proof', value: `${verdict.thumbprint} ${verdict.jti}` } as const;
  const first = await keepArtifact(deps, seen, { payload: {}, seconds: PROOF_KEPT_SECONDS });
  if (!first) throw tokenRefused('proof: used before');
  return { tenantId, payload };
}

interface Standing {
  readonly tenant: KnownTenant;
  readonly grant: queries.GrantRow;
  readonly client: Client;
  readonly role: CallerFacts['role'];
}

/** Everything that the token rests on, as it is now: organisation, permission, program, person. Throws `api_token_refused`. */
async function standingOf(deps: ExchangeDeps, { tenantId, payload }: Shown, requestId: string): Promise<Standing> {
  const tenant = await findTenant(deps, tenantId, requestId);
  if (tenant === undefined) throw tokenRefused('no such organisation');
  const { context } = tenant;
  const grantId = parseUuid(textIn(payload, 'grantId'));
  const now = new Date(deps.clock.nowMs());
  const [grant] =
    grantId === undefined ? [] : await deps.tenant.scoped(context, queries.openGrant(context, grantId, now));
  if (grant === undefined) throw tokenRefused('permission ended');
  const client = await findClient(deps, context, grant.client_id);
  if (client === undefined) throw tokenRefused('program removed');
  const [member] = await deps.tenant.scoped(context, memberById(tenantId, grant.member_id));
  if (member?.state !== 'active') throw tokenRefused('person not active');
  const whose = { context, memberId: member.id };
  if (!(await isVouched(deps, (statement) => deps.tenant.scoped(context, statement), whose)))
    throw tokenRefused('nobody has vouched for the person for too long');
  return { tenant, grant, client, role: member.role };
}

/** Ends a grant that has used up its attempts on other tenants' data, as a session would be. */
async function refuseUsedUp(deps: ExchangeDeps, { tenant: { context }, grant }: Standing): Promise<void> {
  const [attempts] = await deps.tenant.scoped(context, wallAttemptsOf(context.tenantId, grant.id));
  if (attempts === undefined || attempts.recorded < WALL_ATTEMPTS_PER_SESSION_MAX) return;
  await endGrants(deps, context, { ids: [grant.id], reason: 'attempts', by: BY_SERVICE });
  throw tokenRefused('attempts used up');
}

const mayDo = (access: ApiAccess, routeClass: ApiCall['routeClass']): boolean =>
  routeClass === 'read' || access === 'write';

/**
 * Turns an access token and its proof into a transaction token of 30 seconds, for the workspace alone: no wider than the
 * scopes, the permission, the program's registration and the person's role as they are at this moment. Throws
 * `api_token_refused`, `operation_refused`, `erasures_outstanding`.
 */
export async function tokenForCall(deps: ExchangeDeps, call: ApiCall, requestId: string) {
  const shown = await accept(deps, call);
  const standing = await standingOf(deps, shown, requestId);
  await refuseUsedUp(deps, standing);
  const { tenant, grant, client, role } = standing;
  const asked = accessOf(textIn(shown.payload, 'scope'));
  if (asked === undefined) throw tokenRefused('without scope');
  const access = least(least(asked, grant.access), client.access);
  if (!mayDo(access, call.routeClass)) throw new AppError('operation_refused', 'outside of what was allowed');
  return issueToken(
    deps,
    { tenant, personId: grant.member_id, sessionId: grant.id, role, method: 'oauth', door: 'edge' },
    { destination: 'workspace', routeClass: call.routeClass, context: { client: client.id } },
  );
}

/** The route by which the gateway turns access tokens into transaction tokens. */
export function apiTokenMintRoutes(deps: ExchangeDeps): RoomRoutes {
  return bindRoutes(apiTokenRoutes, {
    async mint(call) {
      return { status: 200 as const, body: await tokenForCall(deps, call.body, call.requestId) };
    },
  });
}
