import type { Clock, Uuid } from '@auditrax/base';
import { formatId, type IdKeys, type SystemDoor } from '@auditrax/tenancy';
import { isRefusalCode, REFUSALS } from '../../platform/audit/index.ts';
import { bindRoutes, type Caller, type RoomRoutes } from '../../platform/http/handler.ts';
import { RULES } from '../detections/index.ts';
import { ATTEMPTS_PER_PAGE_MAX, attemptsRoutes as contract, type Attempt } from './attempts-contract.ts';
import {
  countCanaryAttempts,
  listAttempts,
  tenantsNamed,
  tenantsWithAttempts,
  type AttemptRow,
  type TenantName,
} from './attempts-queries.ts';
import { deliveriesOf, type DeliveryRow } from './queries.ts';

/** Canaries are due each minute: an hour shows that they are alive. */
const CANARY_WINDOW_MS = 3_600_000;

export interface AttemptsDeps {
  readonly system: SystemDoor;
  readonly clock: Clock;
  readonly idKeys: () => IdKeys;
}

/** The first acceptance that reached somebody: the inbox counts only where a page has no other channel. */
function acceptedOf(deliveries: readonly DeliveryRow[]): DeliveryRow | undefined {
  const sent = deliveries.filter((delivery) => delivery.channel !== 'inbox');
  const counted = (sent.length > 0 ? sent : deliveries).filter((delivery) => delivery.accepted_at !== null);
  return counted.toSorted((a, b) => a.accepted_at!.getTime() - b.accepted_at!.getTime())[0];
}

interface Around {
  readonly caller: Caller;
  readonly keys: IdKeys;
  readonly tenants: readonly TenantName[];
  readonly deliveries: readonly DeliveryRow[];
}

function pageOf(row: AttemptRow, { caller, keys, deliveries }: Around): Attempt['page'] {
  if (row.page_id === null) return null;
  const accepted = acceptedOf(deliveries.filter((delivery) => delivery.page_id === row.page_id));
  const at = accepted?.accepted_at ?? null;
  return {
    id: formatId('pge', caller.tenant, row.page_id, keys),
    acceptedAt: at?.toISOString() ?? null,
    channel: accepted?.channel ?? null,
    // A storm is told once: what joined a page that was out already waited for nothing.
    latency_ms: at === null ? null : Math.max(0, at.getTime() - Number(row.occurred_ms)),
  };
}

function present(row: AttemptRow, around: Around): Attempt {
  const { caller, keys, tenants } = around;
  const known = isRefusalCode(row.code) ? REFUSALS[row.code] : undefined;
  const [kind, label] = row.actor.split(':', 2) as [string, string | undefined];
  const own = row.about_tenant === caller.tenant.tenantId;
  return {
    entryId: row.entry_id,
    logIndex: row.log_index === null ? null : Number(row.log_index),
    ownEntry: own ? formatId('ent', caller.tenant, row.entry_id, keys) : null,
    code: row.code,
    says: known?.says ?? row.code,
    layer: known?.layer ?? 'edge',
    severity: RULES.find((rule) => rule.id === row.code)?.severity ?? 'low',
    operation: row.operation,
    who: { kind: kind === 'person' ? 'person' : 'service', label: label ?? kind },
    sessionId: row.session_id,
    source: row.source,
    tenant: tenants.find((tenant) => tenant.id === row.about_tenant)?.slug ?? null,
    target: tenants.find((tenant) => tenant.part === row.target_part)?.slug ?? null,
    times: Number(row.times),
    canary: row.canary,
    at: new Date(Number(row.occurred_ms)).toISOString(),
    requestId: row.request_id,
    page: pageOf(row, around),
  };
}

/** The operator's view of what was refused, newest first. */
export function attemptsRoomRoutes(deps: AttemptsDeps): RoomRoutes {
  return bindRoutes(contract, {
    attempts: async ({ caller, query, ids }) => {
      const { system, clock } = deps;
      // The id gate leaves an absent place out.
      const before = ids['query.before'] as (typeof ids)['query.before'] | undefined;
      const keys = deps.idKeys();
      const choice = await system.system(tenantsWithAttempts());
      const chosen = query.tenant === undefined ? undefined : choice.find((tenant) => tenant.slug === query.tenant);
      const rows =
        query.tenant !== undefined && chosen === undefined
          ? []
          : await system.system(
              listAttempts({
                layer: query.layer ?? null,
                tenantId: chosen?.id ?? null,
                canary: query.canary === 'shown',
                before: before ?? null,
                limit: ATTEMPTS_PER_PAGE_MAX + 1,
              }),
            );
      const shown = rows.slice(0, ATTEMPTS_PER_PAGE_MAX);
      const pages = [...new Set(shown.flatMap((row) => (row.page_id === null ? [] : [row.page_id])))] satisfies Uuid[];
      const about = shown.flatMap((row) => row.about_tenant ?? []);
      const parts = shown.flatMap((row) => row.target_part ?? []);
      const around: Around = {
        caller,
        keys,
        tenants: await system.system(tenantsNamed(about, parts)),
        deliveries: await system.system(deliveriesOf(pages)),
      };
      const [canary] = await system.system(countCanaryAttempts(clock.nowMs() - CANARY_WINDOW_MS));
      return {
        status: 200 as const,
        body: {
          attempts: shown.map((row) => present(row, around)),
          canaryLastHour: Number(canary!.attempts),
          tenants: choice.map((tenant) => tenant.slug),
          next:
            rows.length > ATTEMPTS_PER_PAGE_MAX ? formatId('acu', caller.tenant, shown.at(-1)!.entry_id, keys) : null,
        },
      };
    },
  });
}
