import { wallAttemptsOf, WALL_ATTEMPTS_PER_SESSION_MAX } from '../../platform/audit/index.ts';
import type { IdentityDeps } from './deps.ts';
import { isLapsed } from './employment.ts';
import { findBySecret } from './everywhere.ts';
import * as queries from './queries.ts';
import { closeSession, proofOfSession, tokenDigest, type LiveSession } from './sessions.ts';
import { findTenant } from './tenant-lookup.ts';

type Deps = Pick<IdentityDeps, 'system' | 'tenant' | 'clock' | 'recordAudit' | 'evictions' | 'signals'>;

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
 * Why the session behind this cookie is over: for its attempts, or because nobody has said for too long that the person
 * still works at their company. Only who holds the cookie can ask, and is told: so a person whose browser was misused
 * learns of it, and one who has only been away knows how to come back. Undefined: for any other reason, or not at all.
 */
export async function whyEnded(
  deps: Pick<IdentityDeps, 'system' | 'tenant' | 'clock'>,
  cookie: string | undefined,
  requestId: string,
): Promise<'attempts' | 'company' | undefined> {
  const hash = cookie === undefined ? undefined : tokenDigest(cookie);
  if (hash === undefined) return undefined;
  const index = await findBySecret(deps.system, queries.sessionIndexByHash(hash));
  const tenant = index === undefined ? undefined : await findTenant(deps, index.tenant_id, requestId);
  if (index === undefined || tenant === undefined) return undefined;
  const { context } = tenant;
  const [row] = await deps.tenant.scoped(context, queries.sessionWithMember(index.tenant_id, index.session_id));
  if (row === undefined) return undefined;
  if (row.closed_reason === 'attempts') return 'attempts';
  if (row.state !== 'active') return undefined;
  if (row.closed_reason === 'lapsed') return 'company';
  const now_ms = deps.clock.nowMs();
  if (row.closed_at !== null || row.expires_at.getTime() <= now_ms) return undefined;
  const ask = <Row>(statement: Parameters<typeof deps.tenant.scoped<Row>>[1]) => deps.tenant.scoped(context, statement);
  return (await isLapsed(ask, context, { ...proofOfSession(row), now_ms })) ? 'company' : undefined;
}
