import { uuidV7, type Uuid } from '@auditrax/base';
import { bearerHash, newToken, refusal, type ScimDialect } from '@auditrax/scim';
import type { TenantContext } from '@auditrax/tenancy';
import { auditFromCall, type AuditInput } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import { findConnection, holdConnection, loadConnection, type LoadedConnection } from '../connections/index.ts';
import type { Place, ProvisioningDeps } from './deps.ts';
import { notFound, refuse } from './errors.ts';
import * as queries from './queries.ts';
import type { TokenRow } from './queries.ts';

/** One that is used and one that follows it: a rotation needs no moment without any. */
export const TOKENS_MAX = 2;
const DAY_MS = 86_400_000;

/** Who makes or ends a token, with the confirmation that this process has verified. */
export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
  readonly stepUp: StepUp;
}

/** What an entry says of who asked, beside its type. */
export function auditOf(who: Asker, resource: AuditInput['resource'], facts: NonNullable<AuditInput['public']>) {
  const asked = { ...auditFromCall(who), stepUpHash: who.stepUp.assertionHash };
  return { ...asked, resource, outcome: 'allowed', public: facts } as const;
}

const isLive = (row: TokenRow, now_ms: number): boolean => row.ended_at === null && row.expires_at.getTime() > now_ms;

/**
 * Makes a token by which a directory speaks for a connection; it is given once and kept as a hash. Throws `not_found`,
 * `provisioning_state` (a draft has nobody yet), `provisioning_tokens_full`.
 */
export async function issueToken(
  deps: ProvisioningDeps,
  who: Asker,
  { connectionId, days }: { readonly connectionId: Uuid; readonly days: number },
): Promise<{ readonly id: Uuid; readonly token: string; readonly expiresAt: Date }> {
  const { tenant: context, personId } = who.caller;
  const { token, hash } = newToken(deps.random);
  const id = uuidV7(deps.clock, deps.random);
  const now_ms = deps.clock.nowMs();
  const expiresAt = new Date(now_ms + days * DAY_MS);
  await deps.tenant.transaction(context, async (tx) => {
    const { state } = await holdConnection(tx, connectionId);
    if (state === 'draft') throw refuse('provisioning_state', 'Switch the connection on first.');
    const live = (await tx.query(queries.tokensOf(context, connectionId))).filter((row) => isLive(row, now_ms));
    if (live.length >= TOKENS_MAX)
      throw refuse('provisioning_tokens_full', `At most ${TOKENS_MAX} are in use at a time.`);
    const created_at = new Date(now_ms);
    const row = { id, connection_id: connectionId, hash, created_by: personId, created_at, expires_at: expiresAt };
    await tx.query(queries.insertToken(context, row));
    await deps.recordAudit(tx, {
      ...auditOf(who, ['connection', connectionId], { validTo: expiresAt.toISOString() }),
      type: 'connection.token-issued',
    });
  });
  return { id, token, expiresAt };
}

/** Ends a token at once. Throws `not_found`. */
export async function endToken(
  deps: ProvisioningDeps,
  who: Asker,
  { connectionId, id }: { readonly connectionId: Uuid; readonly id: Uuid },
): Promise<void> {
  const { tenant: context } = who.caller;
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    const ended = await tx.query(queries.endToken(context, { id, connectionId, at }));
    if (ended.length === 0) throw notFound();
    await deps.recordAudit(tx, {
      ...auditOf(who, ['connection', connectionId], {}),
      type: 'connection.token-ended',
    });
  });
}

type EndingDeps = Pick<ProvisioningDeps, 'tenant' | 'clock' | 'recordAudit'>;

/** Every token of the tenant by which a directory can speak now, for an access review. */
export function liveDirectoryTokens(
  deps: Pick<EndingDeps, 'tenant' | 'clock'>,
  context: TenantContext,
): Promise<TokenRow[]> {
  return deps.tenant.scoped(context, queries.liveTokensIn(context, new Date(deps.clock.nowMs())));
}

/** Whether a directory that came now with this token would be recognised; asked of what each message asks. */
export async function isDirectoryLetIn(
  deps: Pick<EndingDeps, 'tenant' | 'clock'>,
  context: TenantContext,
  id: Uuid,
): Promise<boolean> {
  const [row] = await deps.tenant.scoped(context, queries.tokenById(context, id));
  return row !== undefined && isLive(row, deps.clock.nowMs());
}

/** Ends a token that an access review has not kept. False: it had ended already. */
export async function endDirectoryTokenByReview(
  deps: EndingDeps,
  context: TenantContext,
  { id, by }: { readonly id: Uuid; readonly by: Pick<AuditInput, 'actor' | 'decision' | 'tokenHash' | 'stepUpHash'> },
): Promise<boolean> {
  const live = (await liveDirectoryTokens(deps, context)).find((row) => row.id === id);
  if (live === undefined) return false;
  const { connection_id: connectionId } = live;
  const at = new Date(deps.clock.nowMs());
  return deps.tenant.transaction(context, async (tx) => {
    if ((await tx.query(queries.endToken(context, { id, connectionId, at }))).length === 0) return false;
    await deps.recordAudit(tx, {
      ...by,
      type: 'connection.token-ended',
      resource: ['connection', connectionId],
      outcome: 'allowed',
      requestId: context.requestId,
      decision: by.decision,
    });
    return true;
  });
}

/** Which deviations of a provider are understood; Okta's two kinds of application differ in what they send, not in rules. */
function dialectOf({ profile }: LoadedConnection): ScimDialect {
  return profile === 'entra' ? 'entra' : profile === 'okta' ? 'okta-catalogue' : 'other';
}

/**
 * Whose message it is: the connection of the address, when the token is one of its own that is in use. Throws
 * `scim_token`, always the same, whether connection, tenant or token is another one.
 */
export async function recognise(
  deps: ProvisioningDeps,
  call: {
    readonly connectionId: Uuid | undefined;
    readonly authorization: string | undefined;
    readonly requestId: string;
  },
): Promise<Place & { readonly tokenId: Uuid }> {
  const hash = bearerHash(call.authorization);
  const { connectionId } = call;
  if (connectionId === undefined) throw refusal('scim_token');
  const tenant = await findConnection(deps, connectionId, call.requestId);
  if (tenant === undefined) throw refusal('scim_token');
  const { context, kind } = tenant;
  const [row] = await deps.tenant.scoped(context, queries.tokenByHash(context, { connectionId, hash }));
  if (row === undefined || !isLive(row, deps.clock.nowMs())) throw refusal('scim_token');
  const connection = await connectionOf(deps, context, connectionId);
  const [origin] = deps.doors.edge.origins;
  return {
    context,
    tenantKind: kind,
    connection,
    dialect: dialectOf(connection),
    base: `${origin}/scim/v2/${connectionId}`,
    out: new Map(),
    unended: [],
    tokenId: row.id,
  };
}

async function connectionOf(deps: ProvisioningDeps, context: TenantContext, id: Uuid): Promise<LoadedConnection> {
  const connection = await loadConnection(deps, context, id);
  if (connection === undefined) throw refusal('scim_token');
  return connection;
}
