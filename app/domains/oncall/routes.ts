import { formatId, type IdKeys } from '@auditrax/tenancy';
import { auditFromCall } from '../../platform/audit/index.ts';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { RULES } from '../detections/index.ts';
import { attemptsRoomRoutes } from './attempts-service.ts';
import { routes, type OncallPage } from './contract.ts';
import { acknowledgePage, listInbox, type OncallDeps, type ShownPage } from './service.ts';

export interface OncallRouteDeps extends OncallDeps {
  readonly idKeys: () => IdKeys;
}

/** Everything that this room serves: the operator's inbox, and the view of denied attempts. */
export function oncallRooms(deps: OncallRouteDeps): readonly RoomRoutes[] {
  return [inboxRoutes(deps), attemptsRoomRoutes(deps)];
}

function inboxRoutes(deps: OncallRouteDeps): RoomRoutes {
  return bindRoutes(routes, {
    list: async ({ caller, query }) => {
      const before = query.before === undefined ? new Date(deps.clock.nowMs() + 60_000) : new Date(query.before);
      const inbox = await listInbox(deps, caller, before);
      const pages = inbox.pages.map((page) => present(page, caller.tenant, deps));
      const { lastHour, delivered, lastAt } = inbox.canary;
      return {
        status: 200,
        body: {
          pages,
          canary: { lastHour, delivered, lastAt: lastAt?.toISOString() ?? null },
          next: inbox.next?.toISOString() ?? null,
        },
      };
    },
    acknowledge: async (call) => {
      const id = call.ids['params.pageId'];
      const at = await acknowledgePage(deps, call.caller, { id, audit: auditFromCall(call) });
      return {
        status: 200,
        body: { id: formatId('pge', call.caller.tenant, id, deps.idKeys()), acknowledgedAt: at.toISOString() },
      };
    },
  });
}

function present(page: ShownPage, tenant: { tenantPart: number }, deps: OncallRouteDeps): OncallPage {
  const { row } = page;
  return {
    id: formatId('pge', tenant, row.id, deps.idKeys()),
    detection: row.detection,
    says: RULES.find((rule) => rule.id === row.detection)?.says ?? row.detection,
    severity: row.severity,
    openedAt: row.opened_at.toISOString(),
    lastAt: row.last_at.toISOString(),
    count: row.count,
    facts: row.facts as Record<string, string | number | boolean>,
    tenant: page.tenant,
    deliveries: page.deliveries.map((delivery) => ({
      channel: delivery.channel,
      attempts: delivery.attempts,
      acceptedAt: delivery.accepted_at?.toISOString() ?? null,
      outcome: delivery.outcome,
    })),
    acknowledgedAt: page.acknowledgedAt?.toISOString() ?? null,
  };
}
