import { uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import type { ApiAccess } from './access-words.ts';
import type { RevocationHolder } from '../identity/index.ts';
import type { AuthorisationDeps } from './deps.ts';
import { refuse } from './errors.ts';
import { GRANT_SECONDS } from './lifetimes.ts';
import * as queries from './queries.ts';

type Deps = Pick<AuthorisationDeps, 'tenant' | 'system' | 'recordAudit' | 'clock' | 'random'>;

/** In whose name, as entries say it. */
export type By = Pick<AuditInput, 'actor' | 'decision' | 'tokenHash'>;

/** The issuer itself, at the word of a client or of its own rules. */
export const BY_SERVICE: By = { actor: { service: 'issuer' } };

/**
 * Writes down what a person has allowed a client, as it was registered when they read it. Returns the grant's id. Throws
 * `api_request_unusable` when it was changed or removed meanwhile.
 */
export async function giveGrant(
  deps: Deps,
  context: TenantContext,
  of: {
    readonly client: Pick<queries.ClientRow, 'id' | 'revision'>;
    readonly memberId: Uuid;
    readonly access: ApiAccess;
    readonly agents: readonly Uuid[];
    readonly by: By & Pick<AuditInput, 'stepUpHash'>;
  },
): Promise<Uuid> {
  const id = uuidV7(deps.clock, deps.random);
  const given_at = new Date(deps.clock.nowMs());
  const { client, memberId, access, agents } = of;
  await deps.tenant.transaction(context, async (tx) => {
    if ((await tx.query(queries.holdClient(context, client))).length === 0)
      throw refuse('api_request_unusable', 'The program was changed meanwhile. Go back to it and start again.');
    const expires_at = new Date(given_at.getTime() + GRANT_SECONDS * 1000);
    const row = { id, client_id: client.id, member_id: memberId, access, agents, given_at, expires_at };
    await tx.query(queries.insertGrant(context, row));
    await deps.recordAudit(tx, {
      ...of.by,
      type: 'api-grant.given',
      resource: ['api-grant', id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { program: client.id, member: memberId, scope: access },
      ...(agents.length === 0 ? {} : { disclosures: { agents: agents.join('\n') } }),
    });
  });
  return id;
}

/** Writes down that a person's work went on to one more agent, the last of them. */
export async function recordHandOn(
  deps: Deps,
  context: TenantContext,
  of: { readonly grant: queries.GrantRow; readonly agents: readonly Uuid[]; readonly access: ApiAccess },
): Promise<void> {
  const { grant, agents, access } = of;
  await deps.tenant.transaction(context, (tx) =>
    deps.recordAudit(tx, {
      ...BY_SERVICE,
      type: 'api-grant.handed-on',
      resource: ['api-grant', grant.id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { program: grant.client_id, member: grant.member_id, handedTo: agents.at(-1)!, scope: access },
    }),
  );
}

async function endOne(
  deps: Pick<AuthorisationDeps, 'recordAudit' | 'clock'>,
  tx: ScopedTransaction,
  of: { readonly id: Uuid; readonly reason: queries.EndReason; readonly by: By },
): Promise<boolean> {
  const at = new Date(deps.clock.nowMs());
  const [ended] = await tx.query(queries.endGrant(tx.context, { id: of.id, at, reason: of.reason }));
  if (ended === undefined) return false;
  await deps.recordAudit(tx, {
    ...of.by,
    type: 'api-grant.ended',
    resource: ['api-grant', of.id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    public: { program: ended.client_id, member: ended.member_id, reason: of.reason },
  });
  return true;
}

/** Ends grants in the caller's transaction, each with its entry. Returns how many were still open. */
export async function endGrantsIn(
  deps: Pick<AuthorisationDeps, 'recordAudit' | 'clock'>,
  tx: ScopedTransaction,
  of: { readonly ids: readonly Uuid[]; readonly reason: queries.EndReason; readonly by: By },
): Promise<number> {
  let count = 0;
  for (const id of of.ids) if (await endOne(deps, tx, { id, reason: of.reason, by: of.by })) count += 1;
  return count;
}

/** Codes and tokens of grants that have ended, which no longer work: every use asks for the grant. */
export async function forgetTokens(
  deps: Pick<Deps, 'system'>,
  { tenantId }: TenantContext,
  grantIds: readonly Uuid[],
): Promise<void> {
  for (const id of grantIds) await deps.system.at(tenantId).system(queries.deleteArtifactsOfGrant(tenantId, id));
}

/**
 * Ends grants, each with its entry, in one transaction; then forgets their codes and tokens, which no longer work from
 * the commit on: every use asks for the grant. Returns how many were still open.
 */
export async function endGrants(
  deps: Deps,
  context: TenantContext,
  of: { readonly ids: readonly Uuid[]; readonly reason: queries.EndReason; readonly by: By },
): Promise<number> {
  const count = await deps.tenant.transaction(context, (tx) => endGrantsIn(deps, tx, of));
  await forgetTokens(deps, context, of.ids);
  return count;
}

/** Every permission that somebody of the tenant has given a program and that is open, for an access review. */
export function openProgramGrants(
  deps: Pick<Deps, 'tenant' | 'clock'>,
  context: TenantContext,
): Promise<queries.GrantRow[]> {
  return deps.tenant.scoped(context, queries.openGrantsIn(context, new Date(deps.clock.nowMs())));
}

/** Ends a permission that an access review has not kept. False: it had ended already. */
export async function endProgramGrantByReview(
  deps: Deps,
  context: TenantContext,
  { id, by }: { readonly id: Uuid; readonly by: By },
): Promise<boolean> {
  return (await endGrants(deps, context, { ids: [id], reason: 'review', by })) > 0;
}

/** Ends whatever people of a tenant have allowed, in the transaction that ends their access, and forgets every code and token. */
export async function endGrantsOfTenant(
  deps: Pick<AuthorisationDeps, 'recordAudit' | 'clock'>,
  tx: ScopedTransaction,
): Promise<void> {
  const ids = (await tx.query(queries.openGrantsOfTenant(tx.context))).map(({ id }) => id);
  await endGrantsIn(deps, tx, { ids, reason: 'tenant-deleted', by: BY_SERVICE });
  await tx.query(queries.deleteArtifactsOf(tx.context.tenantId));
}

/**
 * What programs hold for a person: ends with the person's access. Until then the member's own state refuses each call, and so
 * does a proof of employment that has run out: with a fresh one the programs go on.
 */
export function programGrants(deps: Deps): RevocationHolder {
  return {
    name: 'programs',
    async end(context, memberId, { cause, by }) {
      if (cause === 'lapsed') return 0;
      const now = new Date(deps.clock.nowMs());
      const open = await deps.tenant.scoped(context, queries.openGrantsOfMember(context, memberId, now));
      const ids = open.map(({ id }) => id);
      return ids.length === 0 ? 0 : endGrants(deps, context, { ids, reason: 'left', by });
    },
  };
}
