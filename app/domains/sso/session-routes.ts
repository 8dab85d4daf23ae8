import { AppError } from '@auditrax/base';
import { bindRoutes, type Caller, type RoomRoutes } from '../../platform/http/handler.ts';
import { REVOKE_HEADER } from '../../platform/http/headers.ts';
import { confirmer } from '../access/index.ts';
import { liveSession, type KnownTenant } from '../identity/index.ts';
import { isAtEdge, requireEdge, tellUrl, type AnyCall } from './edge-calls.ts';
import { refuse } from './errors.ts';
import { disconnect, ownIdentities, ssoSubjects } from './identities.ts';
import type { Ports } from './proof.ts';
import { sessionRoutes } from './session-contract.ts';
import { begin, mayConnect, type Beginning, type Begun } from './sign-in.ts';

/** The caller's tenant, as the verified token says it. */
function tenantOf({ tenant, tenantKind }: Caller): KnownTenant {
  return { context: tenant, kind: tenantKind, slug: '', displayName: '' };
}

async function byCaller(
  deps: Ports,
  call: AnyCall & { readonly caller: Caller },
  wish: Pick<Beginning, 'purpose' | 'returnTo' | 'connectionId'>,
): Promise<Begun> {
  const { caller } = call;
  const by = { memberId: caller.personId, sessionId: caller.sessionId };
  if (wish.purpose === 'connect') {
    const session = await liveSession(deps, caller.tenant, by);
    if (session === undefined || !mayConnect(caller, session, deps.clock.nowMs()))
      throw new AppError<'fresh_sign_in_required'>(
        'fresh_sign_in_required',
        'an identity is added after a new sign-in',
      );
  }
  return begin(deps, { ...wish, tenant: tenantOf(caller), by });
}

/** At the provider that the caller's session came by, and at no other. Throws `sso_request_unusable` where there is none. */
async function confirmAtOwn(deps: Ports, call: AnyCall & { readonly caller: Caller }): Promise<Begun> {
  const { tenant, personId: memberId, sessionId } = call.caller;
  const session = await liveSession(deps, tenant, { memberId, sessionId });
  if (session?.connectionId === undefined) throw refuse('sso_request_unusable', 'the session came by no provider');
  return byCaller(deps, call, { purpose: 'confirm', returnTo: 'passkeys', connectionId: session.connectionId });
}

/** What people do with providers while they are signed in, as routes of the issuer. */
export function inSessionRoutes(deps: Ports): RoomRoutes {
  const confirmed = confirmer({ subjects: ssoSubjects(deps) });
  return bindRoutes(sessionRoutes, {
    async test(call) {
      requireEdge(call);
      const wish = { purpose: 'test', returnTo: 'connection', connectionId: call.ids['body.connectionId'] } as const;
      return tellUrl(await byCaller(deps, call, wish));
    },
    async connect(call) {
      requireEdge(call);
      const wish = { purpose: 'connect', returnTo: 'passkeys', connectionId: call.ids['body.connectionId'] } as const;
      return tellUrl(await byCaller(deps, call, wish));
    },
    async confirm(call) {
      requireEdge(call);
      return tellUrl(await confirmAtOwn(deps, call));
    },
    async identities(call) {
      const body = await ownIdentities(deps, call.caller, { isAtEdge: isAtEdge(call) });
      return { status: 200 as const, body };
    },
    async disconnect(call) {
      const accountId = call.ids['params.accountId'];
      const who = await confirmed(call, 'sso.disconnect', { input: call.params, ids: { accountId } });
      await disconnect(deps, who, accountId);
      return {
        status: 200 as const,
        body: { removed: true as const },
        headers: { [REVOKE_HEADER]: who.caller.personId },
      };
    },
  });
}
