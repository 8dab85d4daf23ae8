import type { Uuid } from '@auditrax/base';
import { auditFromCall } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import type { StepUpSubjects } from '../access/index.ts';
import { activeConnections, connectionName, openConnectionIds } from '../connections/index.ts';
import { accountUses, liveSession, PROVIDER_SIGN_IN_SECONDS_MAX, removeOwnAccount } from '../identity/index.ts';
import type { SsoDeps } from './deps.ts';
import { notFound } from './errors.ts';
import { mayConnect } from './sign-in.ts';

/** Of a connection that nobody can name any more. */
const UNNAMED = 'A connection that is gone';

/** The caller's own accounts at providers, and what they may do about them now. */
export async function ownIdentities(deps: SsoDeps, caller: Caller, { isAtEdge }: { readonly isAtEdge: boolean }) {
  const { tenant: context, personId } = caller;
  const rows = await deps.tenant.scoped(context, accountUses(context, personId));
  const active = await activeConnections(deps, context);
  const nameOf = async (id: Uuid) =>
    active.find((one) => one.id === id)?.name ?? (await connectionName(deps, context, id)) ?? UNNAMED;
  const session = await liveSession(deps, context, { memberId: personId, sessionId: caller.sessionId });
  const now_ms = deps.clock.nowMs();
  const until_ms = (session?.confirmedAtMs ?? -Infinity) + PROVIDER_SIGN_IN_SECONDS_MAX * 1000;
  const identities = await Promise.all(
    rows.map(async ({ id, connection_id, origin, created_at, last_used_at }) => ({
      id: deps.formatId('acc', context, id),
      connection: await nameOf(connection_id),
      /** Where a sign-in by it begins; null where nobody comes in by that connection now. */
      path: isAtEdge && active.some((one) => one.id === connection_id) ? `/sso/${connection_id}/start` : null,
      isManaged: origin === 'scim',
      connectedAt: created_at.toISOString(),
      lastUsedAt: last_used_at?.toISOString() ?? null,
    })),
  );
  return {
    identities,
    connectable: isAtEdge ? active.map(({ id, name }) => ({ id: deps.formatId('con', context, id), name })) : [],
    isRecent: session !== undefined && mayConnect(caller, session, now_ms),
    confirmedUntil: until_ms > now_ms ? new Date(until_ms).toISOString() : null,
  };
}

/** Who takes one of their identities away, with the confirmation that this process has verified. */
interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
  readonly stepUp: StepUp;
}

/** Takes one of the caller's own identities away; what came by it is over. Throws what `removeOwnAccount` throws. */
export async function disconnect(deps: SsoDeps, who: Asker, accountId: Uuid): Promise<void> {
  const { tenant: context, personId: memberId } = who.caller;
  const { requestId: _requestId, ...facts } = auditFromCall(who);
  const by = { ...facts, stepUpHash: who.stepUp.assertionHash };
  await deps.tenant.transaction(context, (tx) =>
    removeOwnAccount(deps, tx, { accountId, memberId, openIn: openConnectionIds, by }),
  );
}

/** What stands in the database about an identity when its person approves to take it away. */
export function ssoSubjects(deps: Pick<SsoDeps, 'tenant' | 'system' | 'sealer' | 'doors'>): StepUpSubjects {
  return {
    'sso.disconnect': async ({ caller, ids }) => {
      const { tenant: context, personId } = caller;
      const rows = await deps.tenant.scoped(context, accountUses(context, personId));
      const found = rows.find(({ id }) => id === ids['accountId']);
      // The same answer for another member's as for a foreign or forged id.
      if (found === undefined) throw notFound();
      const connection = (await connectionName(deps, context, found.connection_id)) ?? UNNAMED;
      return { connection, connectedAt: found.created_at.toISOString() };
    },
  };
}
