import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { confirmer } from '../access/index.ts';
import { routes } from './contract.ts';
import { markReviewed } from './judging.ts';
import type { GrantRow } from './queries.ts';
import { askAccess, confirmAccess, endAccess, GLASS, type PrivilegedAccessDeps, vouchingOf } from './service.ts';
import { listGrants, privilegedAccessSubjects, showGrants } from './showing.ts';

/** Routes of the issuer. */
export function privilegedAccessRoutes(deps: PrivilegedAccessDeps): RoomRoutes {
  const confirm = confirmer({ subjects: privilegedAccessSubjects(deps) });
  const show = async ({ caller }: Pick<Call, 'caller'>, row: GrantRow) => ({
    grant: (await showGrants(deps, caller, [row]))[0]!,
  });
  return bindRoutes(routes, {
    async list({ caller }) {
      const grants = await showGrants(deps, caller, await listGrants(deps, caller.tenant));
      const now = new Date(deps.clock.nowMs()).toISOString();
      return { status: 200 as const, body: { grants, vouching: await vouchingOf(deps, caller), now } };
    },
    async ask(call) {
      const who = await confirm(call, 'production-access.ask', { input: call.body });
      const row = await askAccess(deps, who, { ...call.body, kind: 'grant' });
      return { status: 201 as const, body: await show(call, row) };
    },
    async breakGlass(call) {
      const who = await confirm(call, 'production-access.break-glass', { input: call.body });
      const row = await askAccess(deps, who, { ...GLASS, ...call.body });
      return { status: 201 as const, body: await show(call, row) };
    },
    async confirm(call) {
      const grantId = call.ids['params.grantId'];
      const order = { input: { ...call.params }, ids: { grantId } };
      const who = await confirm(call, 'production-access.confirm', order);
      return { status: 200 as const, body: await show(call, await confirmAccess(deps, who, grantId)) };
    },
    async end(call) {
      return { status: 200 as const, body: await show(call, await endAccess(deps, call, call.ids['params.grantId'])) };
    },
    async review(call) {
      const order = { id: call.ids['params.grantId'], outcome: call.body.outcome };
      return { status: 200 as const, body: await show(call, await markReviewed(deps, call, order)) };
    },
  });
}
