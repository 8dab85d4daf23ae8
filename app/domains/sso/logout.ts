import { isAppError, type Uuid } from '@auditrax/base';
import { parseOidcConnection, verifyLogoutToken } from '@auditrax/oidc';
import { loadConnection } from '../connections/index.ts';
import { providerHash, revokeProviderSessions, type KnownTenant } from '../identity/index.ts';
import { notFound, outward, refuse } from './errors.ts';
import { isRemembered, once, type Ports } from './proof.ts';

/**
 * A provider's word that somebody has signed out there (Back-Channel Logout 1.0): ends that session of theirs here, or all
 * that this connection has opened for them. Returns whose sessions were ended, so that tokens of theirs go at once. Throws
 * `sso_logout_refused`, `sso_provider_unavailable` while the provider's keys cannot be read, and `not_found` where there is
 * no such connection.
 */
export async function logOut(
  deps: Ports,
  at: { readonly tenant: KnownTenant; readonly connectionId: Uuid },
  token: string,
): Promise<readonly Uuid[]> {
  const { tenant, connectionId } = at;
  const { context } = tenant;
  // Also of a connection that is not in use any more: what it has opened may still be open.
  const loaded = await loadConnection(deps, context, connectionId);
  if (loaded?.settings?.kind !== 'oidc') throw notFound();
  const connection = parseOidcConnection(loaded.settings.input, { rehearsal: deps.isRehearsal ?? false });
  try {
    const { keys } = await deps.providers.reach(connection, loaded);
    const whose = { tenantId: context.tenantId, connectionId, kind: 'logout' } as const;
    let forget_ms = 0;
    const isNew = async (id: string, until_ms: number) => {
      forget_ms = until_ms;
      return !(await isRemembered(deps, { ...whose, id }));
    };
    const order = await verifyLogoutToken({ token, connection, keys }, { clock: deps.clock, once: isNew });
    const { sessionId, subject, tokenId } = order;
    const ended = await revokeProviderSessions(deps, context, {
      connectionId,
      providerSession: sessionId === undefined ? undefined : providerHash('session', sessionId),
      providerSubject: subject === undefined ? undefined : providerHash('sub', subject),
    });
    // Only now: what failed on this side is carried out when the provider says it again.
    await once(deps, whose)(tokenId, forget_ms);
    return ended;
  } catch (error) {
    const told = isAppError(error) ? outward(error) : undefined;
    if (told === undefined || !isAppError(error)) throw error;
    // Nothing is wrong with the token: a provider that is told so tries again.
    throw told.code === 'sso_provider_unavailable' ? told : refuse('sso_logout_refused', error.code);
  }
}
