import { isAppError, type Uuid } from '@auditrax/base';
import { parseOidcConnection, verifyLogoutToken } from '@auditrax/oidc';
import { loadConnection } from '../connections/index.ts';
import { providerHash, revokeProviderSessions, type KnownTenant } from '../identity/index.ts';
import { notFound, outward, refuse } from './errors.ts';
import { once, type Ports } from './proof.ts';

/**
 * A provider's word that somebody has signed out there (Back-Channel Logout 1.0): ends that session of theirs here, or all
 * that this connection has opened for them. Returns whose sessions were ended, so that tokens of theirs go at once. Throws
 * `sso_logout_refused`, and `not_found` where there is no such connection.
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
    const seen = once(deps, { tenantId: context.tenantId, connectionId, kind: 'logout' });
    const order = await verifyLogoutToken({ token, connection, keys }, { clock: deps.clock, once: seen });
    const { sessionId, subject } = order;
    return await revokeProviderSessions(deps, context, {
      connectionId,
      providerSession: sessionId === undefined ? undefined : providerHash('session', sessionId),
      providerSubject: subject === undefined ? undefined : providerHash('sub', subject),
    });
  } catch (error) {
    if (isAppError(error) && outward(error) !== undefined) throw refuse('sso_logout_refused', error.code);
    throw error;
  }
}
