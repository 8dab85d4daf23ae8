import { isAppError, type Uuid } from '@auditrax/base';
import type { IdentityDeps } from './deps.ts';
import type { IdentityCode } from './errors.ts';
import * as queries from './holding-queries.ts';
import { openForActive } from './service.ts';
import { liveRow, SESSIONS_ASKED_MAX } from './sessions.ts';
import type { KnownTenant } from './tenant-lookup.ts';

/** What somebody would be given who came now with everything that was ever theirs. */
export interface LetInAgain {
  /** Whether a sign-in would open a session. */
  readonly signsIn: boolean;
  /** Of the newest sessions of theirs, open or over: how many were asked for, and how many would be minted a token. */
  readonly sessions: number;
  readonly minted: number;
}

type Deps = Pick<IdentityDeps, 'tenant' | 'recordAudit' | 'clock' | 'random' | 'evictions' | 'signals'>;

/** Takes a sign-in back that was only tried; nobody sees it. */
class Tried extends Error {
  readonly isIn: boolean;
  constructor(isIn: boolean) {
    super('a sign-in that was only tried');
    this.isIn = isIn;
  }
}

/** A sign-in as after a passkey that was accepted, to its end, in a transaction that is always taken back. */
async function signsIn(deps: Deps, { context }: Pick<KnownTenant, 'context'>, memberId: Uuid): Promise<boolean> {
  try {
    return await deps.tenant.transaction(context, async (tx): Promise<boolean> => {
      const opened = await openForActive(deps, tx, { memberId, door: 'edge', method: 'passkey' });
      throw new Tried(opened !== undefined);
    });
  } catch (error) {
    if (error instanceof Tried) return error.isIn;
    // The other answer that a sign-in has for somebody who is not let in.
    if (isAppError<IdentityCode>(error, 'company_sign_in_required')) return false;
    throw error;
  }
}

/**
 * Asks what decides about tokens and sign-ins, in the person's place and as if their cookies and passkeys were at hand: the
 * same functions that a mint and a sign-in ask, and no count of rows. Makes no token, and no session that lasts. Cookies
 * are taken to have been used just now and to lead to their session still, which is the most that anybody could bring.
 */
export async function letInAgain(
  deps: Deps,
  tenant: Pick<KnownTenant, 'context' | 'kind'>,
  memberId: Uuid,
): Promise<LetInAgain> {
  const { context } = tenant;
  const asked = queries.newestSessions(context, { memberId, limit: SESSIONS_ASKED_MAX });
  const sessions = await deps.tenant.scoped(context, asked);
  let minted = 0;
  for (const { id, expires_at: expiresAt } of sessions) {
    const lastSeenAt = new Date(deps.clock.nowMs());
    const live = await liveRow(deps, tenant, { sessionId: id, expiresAt, lastSeenAt, door: undefined });
    minted += live === undefined ? 0 : 1;
  }
  return { signsIn: await signsIn(deps, tenant, memberId), sessions: sessions.length, minted };
}
