import { AppError, isAppError, uuidV7, type Json, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { TokenMinter } from '@auditrax/workload';
import type { recordMint } from '../../platform/audit/index.ts';
import { tokenRoutes } from '../../platform/edge/token-contract.ts';
import { callerClaims, type CallerFacts } from '../../platform/http/caller.ts';
import { bindRoutes, type EdgeDoor, type ProductionGrant, type RoomRoutes } from '../../platform/http/handler.ts';
import type { IdentityDeps } from './deps.ts';
import { mayStepUp } from './door-rules.ts';
import { endIfUsedUp, whyEnded } from './ended-session.ts';
import type { IdentityCode } from './errors.ts';
import { acceptAssertion } from './passkeys.ts';
import type { LiveSession } from './sessions.ts';
import { findSession } from './sessions.ts';
import type { KnownTenant } from './tenant-lookup.ts';
import { readStepUpHeader, type StepUpClaims, stepUpClaims } from './step-up-header.ts';

export interface MintDeps extends IdentityDeps {
  readonly minter: TokenMinter;
  /** The audit floor's `recordMint`: what the reconciler compares entries with. */
  readonly recordMint: typeof recordMint;
  /** True while people who were erased may be readable again in this tenant: nobody gets a token for it. */
  readonly heldBack: (tenantId: Uuid) => boolean;
  /** What of the house this operator is let into now; asked at each mint of one, so that an end is felt at once. */
  readonly productionOf: (context: TenantContext, personId: Uuid) => Promise<ProductionGrant | undefined>;
}

interface MintRequest {
  readonly cookie: string;
  readonly door: EdgeDoor;
  readonly destination: 'issuer' | 'workspace';
  readonly routeClass: 'read' | 'write' | 'privileged';
  readonly operation: string;
  readonly stepUp?: string | undefined;
}

/**
 * Turns a session cookie into a transaction token of 30 seconds for one destination and class. The mint is recorded
 * before the token leaves. Throws `session_required` (whatever is wrong with the session), `session_ended`,
 * `company_sign_in_required`, `step_up_refused`, `erasures_outstanding`.
 */
export async function mintToken(deps: MintDeps, request: MintRequest, requestId: string) {
  const session = await findSession(deps, request.cookie, { door: request.door, requestId });
  const ended =
    session === undefined
      ? await whyEnded(deps, request.cookie, requestId)
      : (await endIfUsedUp(deps, session)) && 'attempts';
  if (ended === 'attempts') throw new AppError<IdentityCode>('session_ended', 'this session has used up its attempts');
  if (ended === 'company')
    throw new AppError<IdentityCode>('company_sign_in_required', 'nobody has vouched for the person for too long');
  // A cookie that was just replaced may finish reading; it changes nothing any more.
  if (session === undefined || (session.superseded && request.routeClass !== 'read')) {
    throw new AppError<IdentityCode>('session_required', 'no live session behind this cookie');
  }
  const stepUp =
    request.stepUp === undefined
      ? undefined
      : await acceptStepUp(deps, session, { ...request, stepUp: request.stepUp, requestId });
  const { tenant, personId, sessionId, role, method, door } = session;
  const { destination, routeClass } = request;
  // Whoever came by a link could not have asked for it either.
  const mayHold = role === 'operator' && tenant.kind === 'operator' && mayStepUp(method);
  const production = mayHold ? await deps.productionOf(tenant.context, personId) : undefined;
  return issueToken(
    deps,
    { tenant, personId, sessionId, role, method, door, production },
    { destination, routeClass, ...(stepUp === undefined ? {} : { context: { stepUp: { ...stepUp } } }) },
  );
}

/**
 * The transaction token of somebody whose cookie, key or program has been accepted; `context` is added to what services read
 * of them. Its mint is durable before it leaves: no service can put a name under a deed that the issuer does not know of.
 * Asked here and nowhere else, since all three come by: throws `erasures_outstanding` while erasures of the tenant have to be
 * repeated in a restored database.
 */
export async function issueToken(
  deps: Pick<MintDeps, 'minter' | 'recordMint' | 'heldBack' | 'system' | 'clock' | 'random'>,
  { tenant, ...who }: Omit<CallerFacts, 'tenantId' | 'tenantPart' | 'tenantKind'> & { readonly tenant: KnownTenant },
  order: Pick<MintRequest, 'destination' | 'routeClass'> & { readonly context?: Readonly<Record<string, Json>> },
) {
  const { tenantId, tenantPart } = tenant.context;
  if (deps.heldBack(tenantId))
    throw new AppError<IdentityCode>('erasures_outstanding', 'erasures are repeated in a restored database first');
  const { personId, sessionId, production } = who;
  const claims = callerClaims({ ...who, tenantId, tenantPart, tenantKind: tenant.kind });
  const token = {
    ...claims,
    tctx: { ...claims.tctx, ...order.context },
    aud: order.destination,
    azp: 'gateway',
    txn: uuidV7(deps.clock, deps.random),
    scope: order.routeClass,
  } as const;
  const { compact, expiresAtMs, hash } = await deps.minter.mint(token, production?.endsAtMs);
  const mint = { tokenHash: hash, tenantId, personId, sessionId, expiresAtMs };
  await deps.recordMint({ query: (statement) => deps.system.at(tenantId).system(statement) }, mint);
  return { token: compact, expiresAt: expiresAtMs, tenantId, tenantPart, personId, sessionId };
}

/** Logs a refused confirmation under the person whose session tried it. */
async function refuseStepUp(
  deps: IdentityDeps,
  session: LiveSession,
  refusal: { operation: string; reason: string },
): Promise<never> {
  await deps.attempts.record(session.tenant.context, {
    type: 'step-up.refused',
    actor: { personId: session.personId, sessionId: session.sessionId },
    resource: ['session', session.sessionId],
    outcome: 'denied',
    requestId: session.tenant.context.requestId,
    public: {
      code: 'step-up.does-not-fit',
      layer: 'step-up',
      operation: refusal.operation,
      reason: refusal.reason,
    },
  });
  throw new AppError<IdentityCode>('step_up_refused', refusal.reason);
}

/**
 * Accepts a step-up assertion once: issued to this session for this operation at this door, answered by a passkey of
 * the same person with user verification. Sessions opened without a passkey can never get here.
 */
async function acceptStepUp(
  deps: IdentityDeps,
  session: LiveSession,
  request: { readonly stepUp: string; readonly operation: string; readonly door: EdgeDoor; readonly requestId: string },
): Promise<StepUpClaims> {
  const { operation } = request;
  const refuse = (reason: string) => refuseStepUp(deps, session, { operation, reason });
  if (!mayStepUp(session.method)) return refuse('method');
  const header = readStepUpHeader(request.stepUp);
  if (header === undefined) return refuse('malformed');
  const accepted = await acceptAssertion(deps, {
    challengeId: header.challengeId,
    purpose: 'step-up',
    door: request.door,
    response: header.assertion,
    requestId: request.requestId,
    tenantId: session.tenant.context.tenantId,
  }).catch((error: unknown) => {
    if (isAppError<IdentityCode>(error, 'challenge_unusable')) return undefined;
    throw error;
  });
  if (accepted === undefined) return refuse('challenge');
  const { challenge, outcome } = accepted;
  if (!outcome.ok) return refuse(outcome.reason);
  const own =
    outcome.memberId === session.personId && outcome.tenant.context.tenantId === session.tenant.context.tenantId;
  if (!own || challenge.session_id !== session.sessionId || challenge.member_id !== session.personId)
    return refuse('other-person');
  if (challenge.operation !== operation || challenge.nonce === null || challenge.action_hash === null)
    return refuse('other-operation');
  return stepUpClaims({
    operation,
    nonce: challenge.nonce,
    actionHash: challenge.action_hash,
    passkey: outcome.passkey,
    credential: outcome.credentialId,
    assertionHash: header.hash,
  });
}

/** As `mintToken`, for an API key in the place of a cookie. */
export type KeyMint = (request: MintRequest, requestId: string) => ReturnType<typeof mintToken>;

/** The route by which the gateway turns cookies, and keys, into tokens. */
export function tokenMintRoutes(deps: MintDeps & { readonly mintForKey?: KeyMint }): RoomRoutes {
  return bindRoutes(tokenRoutes, {
    async mint(call) {
      const { key, ...request } = call.body;
      const mint: KeyMint | undefined = key === true ? deps.mintForKey : (asked, id) => mintToken(deps, asked, id);
      if (mint === undefined) throw new AppError<IdentityCode>('session_required', 'no keys here');
      return { status: 200 as const, body: await mint(request, call.requestId) };
    },
  });
}
