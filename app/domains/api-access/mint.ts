import { AppError, isAppError, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { wallAttemptsOf, WALL_ATTEMPTS_PER_SESSION_MAX } from '../../platform/audit/index.ts';
import { findTenant, issueToken, isVouched, type KeyMint, type MintDeps } from '../identity/index.ts';
import { isSecretOf, readApiKey } from './key-text.ts';
import * as queries from './queries.ts';
import { endForAttempts } from './service.ts';

/** A use within this of the one before is not written down again. */
const TOUCH_MS_MIN = 60_000;

const refused = (why: string) => new AppError<'session_required'>('session_required', why);

/** What is asked of a key whose secret was right, whatever it is wanted for. Throws `session_required`. */
async function requireUsable(
  deps: Pick<MintDeps, 'tenant' | 'clock'>,
  context: TenantContext,
  row: queries.KeyWithOwner,
): Promise<void> {
  if (row.ended_at !== null || row.expires_at.getTime() <= deps.clock.nowMs() || row.state !== 'active')
    throw refused('over, or its owner is not here any more');
  const whose = { context, memberId: row.member_id };
  if (!(await isVouched(deps, (statement) => deps.tenant.scoped(context, statement), whose)))
    throw refused('nobody has vouched for its owner for too long');
}

/** Whether somebody who came with this key now would be minted a token; asked of what the mint asks, and none is made. */
export async function isKeyLetIn(
  deps: Pick<MintDeps, 'tenant' | 'clock'>,
  context: TenantContext,
  id: Uuid,
): Promise<boolean> {
  const [row] = await deps.tenant.scoped(context, queries.keyWithOwner(context, id));
  if (row === undefined) return false;
  try {
    await requireUsable(deps, context, row);
    return true;
  } catch (error) {
    if (isAppError(error, 'session_required')) return false;
    throw error;
  }
}

/** Of all keys that somebody ever had, how many there are and how many would be minted a token now. */
export async function keysLetIn(
  deps: Pick<MintDeps, 'tenant' | 'clock'>,
  context: TenantContext,
  memberId: Uuid,
): Promise<{ readonly keys: number; readonly minted: number }> {
  const keys = await deps.tenant.scoped(context, queries.keysOf(context, memberId));
  let minted = 0;
  for (const { id } of keys) minted += (await isKeyLetIn(deps, context, id)) ? 1 : 0;
  return { keys: keys.length, minted };
}

/**
 * Turns an API key into a transaction token, as `mintToken` does with a cookie: for the workspace alone, with no more than
 * the key's scope, in the role that its owner has now. Whatever is wrong with the key is `session_required`.
 */
export function keyMint(deps: MintDeps): KeyMint {
  return async ({ cookie, door, destination, routeClass, stepUp }, requestId) => {
    // People, passkeys, connections and keys themselves are the issuer's: no key reaches them. Nor does one approve.
    if (door !== 'edge' || destination !== 'workspace' || routeClass === 'privileged' || stepUp !== undefined)
      throw refused('not for a key');
    const given = readApiKey(cookie);
    const tenant = given === undefined ? undefined : await findTenant(deps, given.tenantId, requestId);
    if (given === undefined || tenant === undefined) throw refused('no key');
    const { context } = tenant;
    const [row] = await deps.tenant.scoped(context, queries.keyWithOwner(context, given.keyId));
    const now_ms = deps.clock.nowMs();
    if (row === undefined || !isSecretOf(given.secret, row.secret_hash)) throw refused('no such key');
    await requireUsable(deps, context, row);
    if (routeClass === 'write' && row.scope !== 'write') throw refused('for reading alone');
    const [attempts] = await deps.tenant.scoped(context, wallAttemptsOf(context.tenantId, row.id));
    if ((attempts?.recorded ?? 0) >= WALL_ATTEMPTS_PER_SESSION_MAX) {
      await endForAttempts(deps, context, row.id);
      throw refused('used up its attempts');
    }
    if (now_ms - (row.last_used_at?.getTime() ?? 0) >= TOUCH_MS_MIN)
      await deps.tenant.scoped(context, queries.touchKey(context, row.id, new Date(now_ms)));
    return issueToken(
      deps,
      { tenant, personId: row.member_id, sessionId: row.id, role: row.role, method: 'api-key', door },
      { destination, routeClass },
    );
  };
}
