import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { findTenantBySlug, memberByRole } from '../identity/index.ts';
import { canaryRoutes } from './canary-contract.ts';
import { listClients, sealClient, type ClientContent } from './clients.ts';
import type { AuthorisationDeps } from './deps.ts';
import { BY_SERVICE, endGrants } from './grants.ts';
import * as queries from './queries.ts';

/** Nobody listens there: the code is read from the answer that would have led the browser to it. */
const REDIRECT_URI = 'http://127.0.0.1/back';
const CANARY: ClientContent = { name: 'Canary program', redirectUris: [REDIRECT_URI], key: null, handsTo: [] };

const HANDER = 'Canary program with an agent';
const AGENT = 'Canary agent';

const refuse = (detail: string): AppError<'canary_tenant_required'> =>
  new AppError<'canary_tenant_required'>('canary_tenant_required', detail);

/** Registers a program as the canary's lead would, but for the passkey. */
async function register(
  deps: AuthorisationDeps,
  context: TenantContext,
  of: { readonly kind: queries.ClientKind; readonly content: ClientContent },
): Promise<Uuid> {
  const id = uuidV7(deps.clock, deps.random);
  const content = await sealClient(deps, context, { id, content: of.content });
  const facts = { kind: of.kind, access: 'write' } as const;
  await deps.tenant.transaction(context, async (tx) => {
    const [lead] = await tx.query(memberByRole(context.tenantId, 'lead'));
    if (lead === undefined) throw refuse('the canary has nobody');
    const registered_at = new Date(deps.clock.nowMs());
    await tx.query(queries.insertClient(context, { id, ...facts, content, registered_by: lead.id, registered_at }));
    await deps.recordAudit(tx, {
      type: 'api-client.canary-registered',
      actor: { service: 'sentinel' },
      resource: ['api-client', id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { kind: facts.kind, scope: facts.access },
    });
  });
  return id;
}

/** Of a sentinel that is gone, and its key with it: nothing piles up. */
async function remove(deps: AuthorisationDeps, context: TenantContext, id: Uuid): Promise<void> {
  await deps.tenant.transaction(context, async (tx) => {
    const removed = await tx.query(queries.removeClient(context, id, new Date(deps.clock.nowMs())));
    if (removed.length === 0) return;
    await deps.recordAudit(tx, {
      type: 'api-client.canary-removed',
      actor: { service: 'sentinel' },
      resource: ['api-client', id],
      outcome: 'allowed',
      requestId: context.requestId,
    });
  });
  const open = await deps.tenant.scoped(context, queries.openGrantsOfClient(context, id));
  await endGrants(deps, context, { ids: open.map((one) => one.id), reason: 'client-removed', by: BY_SERVICE });
}

/** The program of a canary tenant; registered when there is none. The caller has made sure that it is a canary tenant. */
async function canaryClient(deps: AuthorisationDeps, context: TenantContext): Promise<Uuid> {
  const known = (await listClients(deps, context)).find(({ name }) => name === CANARY.name);
  return known?.id ?? register(deps, context, { kind: 'application', content: CANARY });
}

/** A program and the agent that it may hand work to, with this key; those with another key are removed. */
async function canaryPair(
  deps: AuthorisationDeps,
  context: TenantContext,
  key: NonNullable<ClientContent['key']>,
): Promise<{ readonly clientId: Uuid; readonly agentId: Uuid }> {
  const known = (await listClients(deps, context)).filter(({ name }) => name === HANDER || name === AGENT);
  const agent = known.find((one) => one.key !== null && one.key.x === key.x);
  const hander = known.find(({ handsTo }) => agent !== undefined && handsTo.includes(agent.id));
  if (agent !== undefined && hander !== undefined) return { clientId: hander.id, agentId: agent.id };
  for (const { id } of known) await remove(deps, context, id);
  const agentId = await register(deps, context, { kind: 'agent', content: { ...CANARY, name: AGENT, key } });
  const content = { ...CANARY, name: HANDER, handsTo: [agentId] };
  return { clientId: await register(deps, context, { kind: 'application', content }), agentId };
}

/** Programs for the sentinel to be. Any tenant but a canary gives `canary_tenant_required`. */
export function canaryProgram(deps: AuthorisationDeps): RoomRoutes {
  return bindRoutes(canaryRoutes, {
    async client({ body: { tenant: slug, agentKey }, requestId }) {
      const tenant = await findTenantBySlug(deps, slug, requestId);
      if (tenant?.kind !== 'canary') throw refuse(`${slug} is no canary tenant`);
      const { context } = tenant;
      const ids =
        agentKey === undefined
          ? { clientId: await canaryClient(deps, context), agentId: null }
          : await canaryPair(deps, context, agentKey);
      return {
        status: 200 as const,
        body: { organisation: context.tenantId, redirectUri: REDIRECT_URI, ...ids },
      };
    },
  });
}
