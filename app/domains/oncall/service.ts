import { AppError, type Clock, type Uuid } from '@auditrax/base';
import { TenancyError, type SystemDoor, type TenantDoor } from '@auditrax/tenancy';
import type { RecordAudit } from '../../platform/audit/index.ts';
import type { AuditInput } from '../../platform/audit/index.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { PAGES_MAX } from './contract.ts';
import {
  acknowledgementsOf,
  countCanaryPages,
  deliveriesOf,
  insertAcknowledgement,
  listPages,
  pageById,
  tenantSlugs,
  type DeliveryRow,
  type PageRow,
} from './queries.ts';

export type OncallCode = 'page_already_acknowledged';

/** Canary pages are due each minute: an hour shows sixty of them, or a hole. */
const CANARY_WINDOW_MS = 3_600_000;

export interface OncallDeps {
  readonly tenant: TenantDoor;
  readonly system: SystemDoor;
  readonly clock: Clock;
  readonly record: RecordAudit;
}

export interface ShownPage {
  readonly row: PageRow;
  readonly deliveries: readonly DeliveryRow[];
  readonly acknowledgedAt: Date | null;
  /** Slug of the tenant that the event happened in. */
  readonly tenant: string | null;
}

/** Pages newest first, before an instant, with their receipts and acknowledgements. Canary pages are only counted. */
export async function listInbox(deps: OncallDeps, caller: Caller, before: Date) {
  const rows = await deps.system.system(listPages(before, PAGES_MAX + 1));
  const shown = rows.slice(0, PAGES_MAX);
  const ids = shown.map((row) => row.id);
  const deliveries = await deps.system.system(deliveriesOf(ids));
  const acknowledged = await deps.tenant.scoped(caller.tenant, acknowledgementsOf(caller.tenant.tenantId, ids));
  const about = shown.map((row) => row.about_tenant).filter((id) => id !== null);
  const slugs = new Map((await deps.system.system(tenantSlugs(about))).map(({ id, slug }) => [id, slug]));
  const [canary] = await deps.system.system(countCanaryPages(new Date(deps.clock.nowMs() - CANARY_WINDOW_MS)));
  return {
    pages: shown.map((row): ShownPage => ({
      row,
      deliveries: deliveries.filter((delivery) => delivery.page_id === row.id),
      acknowledgedAt: acknowledged.find((entry) => entry.id === row.id)?.acknowledged_at ?? null,
      tenant: slugs.get(row.about_tenant ?? '') ?? null,
    })),
    canary: { lastHour: Number(canary!.pages), delivered: Number(canary!.delivered), lastAt: canary!.last_at },
    next: rows.length > PAGES_MAX ? shown.at(-1)!.opened_at : null,
  };
}

/** Records who took the page. Throws `not_found`, `page_already_acknowledged`. */
export async function acknowledgePage(
  deps: OncallDeps,
  caller: Caller,
  page: { readonly id: Uuid; readonly audit: Pick<AuditInput, 'actor' | 'tokenHash' | 'requestId' | 'decision'> },
): Promise<Date> {
  const [row] = await deps.system.system(pageById(page.id));
  if (row === undefined) throw new AppError('not_found', 'there is no such page');
  const at = new Date(deps.clock.nowMs());
  try {
    await deps.tenant.transaction(caller.tenant, async (tx) => {
      const { tenantId } = caller.tenant;
      await tx.query(insertAcknowledgement({ tenantId, pageId: page.id, personId: caller.personId, at }));
      await deps.record(tx, {
        ...page.audit,
        type: 'oncall.acknowledged',
        resource: ['page', page.id],
        outcome: 'allowed',
        public: { detection: row.detection },
      });
    });
  } catch (error) {
    if (error instanceof TenancyError && error.code === 'database_unique') {
      throw new AppError<OncallCode>('page_already_acknowledged', 'somebody has taken this page already');
    }
    throw error;
  }
  return at;
}
