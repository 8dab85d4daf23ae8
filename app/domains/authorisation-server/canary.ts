import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { findTenantBySlug, memberByRole } from '../identity/index.ts';
import { canaryRoutes } from './canary-contract.ts';
import { listClients, sealClient, type ClientContent } from './clients.ts';
import type { AuthorisationDeps } from './deps.ts';
import * as queries from './queries.ts';

/** Nobody listens there: the code is read from the answer that would have led the browser to it. */
const REDIRECT_URI = 'http://127.0.0.1/back';
const CANARY: ClientContent = { name: 'Canary program', redirectUris: [REDIRECT_URI], key: null, handsTo: [] };

const refuse = (detail: string): AppError<'canary_tenant_required'> =>
  new AppError<'canary_tenant_required'>('canary_tenant_required', detail);

/** The program of a canary tenant; registered when there is none. The caller has made sure that it is a canary tenant. */
async function canaryClient(deps: AuthorisationDeps, context: TenantContext): Promise<Uuid> {
  const known = (await listClients(deps, context)).find(({ name }) => name === CANARY.name);
  if (known !== undefined) return known.id;
  const id = uuidV7(deps.clock, deps.random);
  const content = await sealClient(deps, context, { id, content: CANARY });
  const facts = { kind: 'application', access: 'write' } as const;
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

/** A program for the sentinel to be. Any tenant but a canary gives `canary_tenant_required`. */
export function canaryProgram(deps: AuthorisationDeps): RoomRoutes {
  return bindRoutes(canaryRoutes, {
    async client({ body, requestId }) {
      const tenant = await findTenantBySlug(deps, body.tenant, requestId);
      if (tenant?.kind !== 'canary') throw refuse(`${body.tenant} is no canary tenant`);
      const { context } = tenant;
      const clientId = await canaryClient(deps, context);
      return {
        status: 200 as const,
        body: { organisation: context.tenantId, clientId, redirectUri: REDIRECT_URI },
      };
    },
  });
}
