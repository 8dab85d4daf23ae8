import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import { newToken } from '@auditrax/scim';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { canaryConnection, holdConnection } from '../connections/index.ts';
import {
  accountOf,
  arrive,
  deleteLinksOf,
  findTenantBySlug,
  issueLink,
  memberByRole,
  memberForUpdate,
  openSession,
  proveBySignIn,
  removePasskeysOf,
} from '../identity/index.ts';
import { canaryRoutes } from './canary-contract.ts';
import type { ProvisioningDeps } from './deps.ts';
import * as queries from './queries.ts';

const SENTINEL = { service: 'sentinel' } as const;
/** The sentinel asks for another one whenever it starts; one that is lost with it is worth nothing the day after. */
const TOKEN_MS = 86_400_000;

type Deps = Omit<ProvisioningDeps, 'counter'>;

const refuse = (detail: string): AppError<'canary_tenant_required'> =>
  new AppError<'canary_tenant_required'>('canary_tenant_required', detail);

async function canaryTenant(deps: Deps, slug: string, requestId: string): Promise<TenantContext> {
  const tenant = await findTenantBySlug(deps, slug, requestId);
  if (tenant?.kind !== 'canary') throw refuse(`${slug} is no canary tenant`);
  return tenant.context;
}

/** Ends the tokens that were given before, and gives one for a day. */
async function renewToken(deps: Deps, context: TenantContext, connectionId: Uuid): Promise<string> {
  const { token, hash } = newToken(deps.random);
  const created_at = new Date(deps.clock.nowMs());
  const expires_at = new Date(created_at.getTime() + TOKEN_MS);
  await deps.tenant.transaction(context, async (tx) => {
    await holdConnection(tx, connectionId);
    const [lead] = await tx.query(memberByRole(context.tenantId, 'lead'));
    if (lead === undefined) throw refuse('the canary has nobody');
    for (const { id, ended_at } of await tx.query(queries.tokensOf(context, connectionId)))
      if (ended_at === null) await tx.query(queries.endToken(context, { id, connectionId, at: created_at }));
    const id = uuidV7(deps.clock, deps.random);
    const row = { id, connection_id: connectionId, hash, created_by: lead.id, created_at, expires_at };
    await tx.query(queries.insertToken(context, row));
    await deps.recordAudit(tx, {
      type: 'connection.canary-token-issued',
      actor: SENTINEL,
      resource: ['connection', connectionId],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { validTo: expires_at.toISOString() },
    });
  });
  return token;
}

interface Person {
  readonly memberId: Uuid;
  readonly accountId: Uuid;
}

/** Whom the canary's directory has made, held until the transaction ends. Nobody else is ever found here. */
async function personOf(
  deps: Deps,
  tx: ScopedTransaction,
  { connectionId, subject }: { readonly connectionId: Uuid; readonly subject: string },
): Promise<Person> {
  if ((await accountOf(tx, { connectionId, subject })) === undefined) throw refuse('the directory names nobody so');
  const standing = { role: undefined, newRole: undefined, shown: subject, tenantKind: 'canary' } as const;
  const person = await arrive(deps, tx, { connectionId, subject, ...standing });
  // As every sign-in: whoever closes old sessions first and meets the person's row afterwards gets into its way.
  await tx.query(memberForUpdate(tx.context.tenantId, person.memberId));
  return person;
}

/** As a sign-in at the provider ends, without the provider: it proves that the person works there as well. */
async function openProviderSession(deps: Deps, context: TenantContext, subject: string) {
  const connectionId = await canaryConnection(deps, context);
  return deps.tenant.transaction(context, async (tx) => {
    const { memberId, accountId } = await personOf(deps, tx, { connectionId, subject });
    const provider = { connectionId, accountId, session: null, subject: null, endsAtMs: undefined };
    const opened = await openSession(deps, tx, { memberId, door: 'edge', method: 'sso', provider });
    await proveBySignIn(deps, tx, memberId);
    return { cookie: opened.token, personId: memberId };
  });
}

/** An enrolment link; with the first one what earlier drills have left goes, so that nothing piles up. */
async function giveLink(
  deps: Deps,
  context: TenantContext,
  { subject, isFirst }: { readonly subject: string; readonly isFirst: boolean },
): Promise<string> {
  const connectionId = await canaryConnection(deps, context);
  return deps.tenant.transaction(context, async (tx) => {
    const { memberId } = await personOf(deps, tx, { connectionId, subject });
    if (isFirst) {
      await tx.query(deleteLinksOf(context.tenantId, memberId));
      await removePasskeysOf(deps, tx, { memberId, actor: SENTINEL });
    }
    return (await issueLink(deps, tx, { kind: 'enrol', memberId, actor: SENTINEL })).token;
  });
}

/**
 * A directory and a provider for the sentinel to play, so that somebody can leave a canary tenant every hour. Any other
 * tenant, and people whom that directory has not made, give `canary_tenant_required`.
 */
export function canaryDirectory(deps: Deps): RoomRoutes {
  return bindRoutes(canaryRoutes, {
    async directory({ body, requestId }) {
      const context = await canaryTenant(deps, body.tenant, requestId);
      const connectionId = await canaryConnection(deps, context);
      const token = await renewToken(deps, context, connectionId);
      return { status: 200 as const, body: { connectionId, token } };
    },
    async session({ body, requestId }) {
      const context = await canaryTenant(deps, body.tenant, requestId);
      return { status: 200 as const, body: await openProviderSession(deps, context, body.subject) };
    },
    async link({ body, requestId }) {
      const context = await canaryTenant(deps, body.tenant, requestId);
      return { status: 200 as const, body: { token: await giveLink(deps, context, body) } };
    },
  });
}
