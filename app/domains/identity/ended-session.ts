import { wallAttemptsOf, WALL_ATTEMPTS_PER_SESSION_MAX } from '../../platform/audit/index.ts';
import type { IdentityDeps } from './deps.ts';
import * as queries from './queries.ts';
import { closeSession, tokenDigest, type LiveSession } from './sessions.ts';
import { findTenant } from './tenant-lookup.ts';

type Deps = Pick<IdentityDeps, 'system' | 'tenant' | 'clock' | 'recordAudit' | 'evictions'>;

/**
 * Closes a session that has used up its attempts on other tenants' data; true when it did. Asked at each mint: whichever
 * process counted the attempts, nothing goes on in that session's name for longer than a token lives.
 */
export async function endIfUsedUp(deps: Deps, session: LiveSession): Promise<boolean> {
  const { context } = session.tenant;
  const [attempts] = await deps.tenant.scoped(context, wallAttemptsOf(context.tenantId, session.sessionId));
  if (attempts === undefined || attempts.recorded < WALL_ATTEMPTS_PER_SESSION_MAX) return false;
  await closeSession(deps, session, 'attempts');
  return true;
}

/**
 * Whether the session behind this cookie was ended for its attempts. Only who holds the cookie can ask, and is told, so
 * that a person whose browser was misused learns of it.
 */
export async function wasEndedForAttempts(
  deps: Pick<IdentityDeps, 'system' | 'tenant'>,
  cookie: string | undefined,
  requestId: string,
): Promise<boolean> {
  const hash = cookie === undefined ? undefined : tokenDigest(cookie);
  if (hash === undefined) return false;
  const [index] = await deps.system.system(queries.sessionIndexByHash(hash));
  if (index === undefined) return false;
  const tenant = await findTenant(deps, index.tenant_id, requestId);
  if (tenant === undefined) return false;
  const [row] = await deps.tenant.scoped(tenant.context, queries.closedReasonOf(index.tenant_id, index.session_id));
  return row?.closed_reason === 'attempts';
}
