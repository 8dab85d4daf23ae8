import { isAppError, parseUuid, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { errors, type Provider, type TokenContext } from 'oidc-provider';
import { AGENTS_MAX } from '../../platform/http/caller.ts';
import { accessOf, least, SCOPES, type ApiAccess } from './access-words.ts';
import { actOf } from './agent-chain.ts';
import { findArtifact } from './artifacts.ts';
import { findClient, type Client } from './clients.ts';
import { issuerOf, resourceOf, type AuthorisationDeps } from './deps.ts';
import { recordHandOn } from './grants.ts';
import { ACCESS_TOKEN_SECONDS } from './lifetimes.ts';
import { nextNonce } from './nonces.ts';
import { NONCE_WANTED, takeProof } from './proof.ts';
import { standingOf, type Standing } from './standing.ts';
import { ACCESS_TOKEN, TOKEN_EXCHANGE } from './token-types.ts';

/** RFC 8693 2.1; all are taken in, so that what is not served is refused and not overlooked. */
export const EXCHANGE_PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'resource',
  'audience',
  'scope',
] as const;

interface Asked {
  readonly subjectToken: string;
  /** What the agent asks for; undefined: whatever there is. */
  readonly access: ApiAccess | undefined;
}

/** What an agent asks for. It names itself by its own authentication, and nobody by a token beside it. */
function readAsked(params: TokenContext['oidc']['params'], resource: string): Asked {
  const { subject_token: subjectToken, scope } = params;
  if (typeof subjectToken !== 'string' || params['subject_token_type'] !== ACCESS_TOKEN)
    throw new errors.InvalidRequest('subject_token must be an access token');
  if (params['actor_token'] !== undefined || params['actor_token_type'] !== undefined)
    throw new errors.InvalidRequest('the actor is whoever authenticates');
  if ((params['requested_token_type'] ?? ACCESS_TOKEN) !== ACCESS_TOKEN)
    throw new errors.InvalidRequest('only access tokens are issued');
  for (const name of ['resource', 'audience'])
    if ((params[name] ?? resource) !== resource) throw new errors.InvalidTarget();
  if (scope === undefined) return { subjectToken, access: undefined };
  const access = typeof scope === 'string' ? accessOf(scope) : undefined;
  const isKnown = typeof scope === 'string' && scope.split(' ').every((one) => one === 'read' || one === 'write');
  if (access === undefined || !isKnown) throw new errors.InvalidScope('unknown scope');
  return { subjectToken, access };
}

interface Subject extends Standing {
  readonly expires_ms: number;
}

/** What the subject token rests on now. Whatever is wrong with it is one refusal (RFC 8693 2.2.2). */
async function readSubject(deps: AuthorisationDeps, context: TenantContext, value: string): Promise<Subject> {
  const unusable = (why: string) => new errors.InvalidRequest(`subject_token: ${why}`);
  // Of this organisation, and of this kind: a refresh token or a code is found under another.
  const found = await findArtifact(deps, { tenantId: context.tenantId, kind: 'access', value });
  const expires_ms = found?.expiresAt.getTime() ?? 0;
  if (found === undefined || expires_ms <= deps.clock.nowMs()) throw unusable('unknown or over');
  if (found.payload['aud'] !== resourceOf(deps, context.tenantId)) throw unusable('for something else');
  try {
    return { ...(await standingOf(deps, context, found.payload)), expires_ms };
  } catch (error) {
    if (isAppError(error, 'api_token_refused')) throw unusable(error.message);
    throw error;
  }
}

/** The chain with one more agent. Only whom the person named is in it, nobody twice, and not the program itself. */
function lengthen({ grant, agents }: Standing, agent: Client): readonly Uuid[] {
  const mayAct = agent.kind === 'agent' && grant.agents.includes(agent.id) && grant.client_id !== agent.id;
  if (!mayAct) throw new errors.InvalidRequest('the person has not named this agent');
  if (agents.includes(agent.id)) throw new errors.InvalidRequest('this agent had the work already');
  if (agents.length >= AGENTS_MAX) throw new errors.InvalidRequest(`work is handed on ${AGENTS_MAX} times at most`);
  return [...agents, agent.id];
}

/** No more than there is; asking for more is refused and not cut, so that nobody believes to have it. */
export function narrow(subject: Standing, agent: Client, asked: ApiAccess | undefined): ApiAccess {
  const most = least(subject.access, agent.access);
  if (asked !== undefined && least(most, asked) !== asked)
    throw new errors.InvalidScope('wider than what was handed on');
  return asked ?? most;
}

/** The key that the agent proves here and now. */
async function provenKey(deps: AuthorisationDeps, ctx: TokenContext, tenantId: Uuid): Promise<string> {
  const url = `${issuerOf(deps, tenantId)}/token`;
  const verdict = await takeProof(deps, ctx.get('DPoP'), { tenantId, method: 'POST', url });
  const next = verdict.ok ? verdict.nextNonce : nextNonce(deps.clock);
  if (next !== null) ctx.set('DPoP-Nonce', next);
  if (!verdict.ok && verdict.reason === NONCE_WANTED) throw new errors.UseDpopNonce('a nonce is wanted in the proof');
  if (!verdict.ok) throw new errors.InvalidDpopProof(verdict.reason);
  return verdict.thumbprint;
}

/**
 * Token exchange (RFC 8693), delegation alone: an agent that proves itself by its registered key gets a token of its own for
 * the work of a person, out of the access token of the program that the person has allowed. The new one is narrower or the
 * same, ends with the old one, is bound to a key of the agent's, names every agent that had the work, and rests on the same
 * permission: whatever ends that ends it. There is no refresh token, and nothing by which an agent passes for the program.
 */
export function tokenExchange(
  deps: AuthorisationDeps,
  { context, provider }: { readonly context: TenantContext; readonly provider: Provider },
): (ctx: TokenContext) => Promise<void> {
  const resource = resourceOf(deps, context.tenantId);
  return async (ctx) => {
    const asked = readAsked(ctx.oidc.params, resource);
    const id = parseUuid(ctx.oidc.client.clientId);
    const agent = id === undefined ? undefined : await findClient(deps, context, id);
    if (agent === undefined) throw new errors.InvalidRequest('no such agent');
    const jkt = await provenKey(deps, ctx, context.tenantId);
    const subject = await readSubject(deps, context, asked.subjectToken);
    const agents = lengthen(subject, agent);
    const access = narrow(subject, agent, asked.access);
    const left_seconds = Math.floor((subject.expires_ms - deps.clock.nowMs()) / 1000);
    if (left_seconds < 1) throw new errors.InvalidRequest('subject_token: over');
    const expiresIn = Math.min(ACCESS_TOKEN_SECONDS, left_seconds);
    const { grant } = subject;
    const act = actOf(agents)!;
    const scope = SCOPES[access];
    const token = new provider.AccessToken({
      accountId: grant.member_id,
      client: ctx.oidc.client,
      grantId: grant.id,
      gty: TOKEN_EXCHANGE,
      aud: resource,
      scope,
      jkt,
      expiresIn,
    });
    token.act = act;
    const value = await token.save();
    // Before the token leaves: nobody has an agent's token of which no entry speaks.
    await recordHandOn(deps, context, { grant, agents, access });
    ctx.body = {
      access_token: value,
      issued_token_type: ACCESS_TOKEN,
      token_type: 'DPoP',
      expires_in: expiresIn,
      scope,
      act,
    };
  };
}
