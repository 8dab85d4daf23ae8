import { uuidV7, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor, SystemTransaction } from '@auditrax/tenancy';
import {
  alreadyRaised,
  dueDeliveries,
  enqueueDelivery,
  growPage,
  insertPage,
  insertPageEntry,
  openPageToCollapseInto,
  recordDelivery,
  type DeliveryRow,
  type PageRow,
} from './queries.ts';
import { deliverWebhook, type WebhookTarget } from './webhook.ts';

/** Alerts of one layer, tenant and actor with no longer quiet than this between them are one page that counts. */
export const COLLAPSE_SECONDS = 300;
/** A growing page is told again at these counts only: 1, 10, 100, … */
const RETELL_FACTOR = 10;
/** Waits between tries; afterwards hourly for good: a page is never dropped. */
const RETRY_SECONDS = [0.5, 2, 10, 60, 300, 3_600] as const;
const POLL_MS = 50;
const BATCH_MAX = 50;

/** What the pager needs of an alert; the shape of the detection room's. */
export interface PagerAlert {
  readonly detection: string;
  readonly severity: 'low' | 'high' | 'critical';
  readonly canary: boolean;
  readonly collapseKey: string;
  /** How many times it happened; a sum stands for many. */
  readonly times: number;
  readonly event: {
    readonly entryId: string;
    readonly tenantId: string;
    readonly requestId: string;
    readonly occurred_ms: number;
    readonly facts: Readonly<Record<string, string | number | boolean>>;
  };
}

export interface PagerDeps {
  readonly door: SystemDoor;
  readonly clock: Clock;
  readonly random: Random;
  /** Where canary pages go: the dead man's receiver. */
  readonly canary: WebhookTarget;
  /** Where real pages go besides the inbox. */
  readonly webhook: WebhookTarget | undefined;
  readonly onFailure: (error: unknown) => void;
}

export interface Pager {
  raise(tx: SystemTransaction, alerts: readonly PagerAlert[]): Promise<void>;
  /** Delivers what is due; returns how many were accepted. */
  deliverOnce(): Promise<number>;
  start(): void;
  stop(): Promise<void>;
}

function channelsOf(alert: PagerAlert, deps: PagerDeps): readonly ('inbox' | 'webhook' | 'canary')[] {
  if (alert.canary) return ['canary'];
  if (alert.severity === 'low') return ['inbox'];
  return deps.webhook === undefined ? ['inbox'] : ['inbox', 'webhook'];
}

/** Whether a page that grew has passed 1, 10, 100, …: the next power of ten is told, however large the step was. */
function isTold(before: number, after: number): boolean {
  if (before === 0) return true;
  const power = (count: number): number => Math.floor(Math.log10(count) / Math.log10(RETELL_FACTOR));
  return power(after) > power(before);
}

async function raiseOne(tx: SystemTransaction, alert: PagerAlert, deps: PagerDeps): Promise<void> {
  const { event, detection } = alert;
  if ((await tx.query(alreadyRaised(event.entryId, detection))).length > 0) return;
  const now = deps.clock.nowMs();
  const at = new Date(now);
  const [open] = await tx.query(openPageToCollapseInto(alert.collapseKey, new Date(now - COLLAPSE_SECONDS * 1000)));
  let pageId: Uuid;
  let before = 0;
  let count = alert.times;
  if (open === undefined) {
    pageId = uuidV7(deps.clock, deps.random);
    const { severity, collapseKey, canary } = alert;
    await tx.query(
      insertPage({
        id: pageId,
        detection,
        severity,
        collapseKey,
        aboutTenant: event.tenantId,
        canary,
        facts: event.facts,
        count,
        at,
      }),
    );
  } else {
    pageId = open.id;
    count = (await tx.query(growPage(pageId, { times: alert.times, severity: alert.severity, at })))[0]!.count;
    before = count - alert.times;
  }
  await tx.query(
    insertPageEntry({
      entryId: event.entryId,
      detection,
      pageId,
      requestId: event.requestId,
      occurred_ms: event.occurred_ms,
      at,
    }),
  );
  if (!isTold(before, count)) return;
  for (const channel of channelsOf(alert, deps)) await tx.query(enqueueDelivery({ pageId, channel, count, at }));
}

function message(row: DeliveryRow & PageRow): string {
  return JSON.stringify({
    type: 'page.opened',
    timestamp: row.last_at.toISOString(),
    data: {
      page: row.page_id,
      detection: row.detection,
      severity: row.severity,
      canary: row.canary,
      count: row.count,
      facts: row.facts,
    },
  });
}

async function deliver(row: DeliveryRow & PageRow, deps: PagerDeps): Promise<boolean> {
  const target = row.channel === 'canary' ? deps.canary : deps.webhook;
  // The inbox is the operator's screen: the row being there is the delivery.
  const receipt =
    row.channel === 'inbox'
      ? { accepted: true, outcome: 'shown' }
      : target === undefined
        ? { accepted: false, outcome: 'no-receiver' }
        : await deliverWebhook(target, { id: `${row.page_id}.${row.count}`, body: message(row) });
  const now = deps.clock.nowMs();
  const wait_seconds = RETRY_SECONDS[Math.min(row.attempts, RETRY_SECONDS.length - 1)]!;
  await deps.door.system(
    recordDelivery({
      pageId: row.page_id,
      channel: row.channel,
      count: row.count,
      acceptedAt: receipt.accepted ? new Date(now) : null,
      outcome: receipt.outcome,
      nextAt: new Date(now + wait_seconds * 1000),
    }),
  );
  return receipt.accepted;
}

/**
 * Turns alerts into pages and gets each to its channels, with retries until a receiver has accepted it. A storm of one
 * kind becomes one page that counts; nothing is ever dropped.
 */
export function createPager(deps: PagerDeps): Pager {
  const ending = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const deliverOnce = async (): Promise<number> => {
    const due = await deps.door.system(dueDeliveries(new Date(deps.clock.nowMs()), BATCH_MAX));
    const results = await Promise.all(due.map((row) => deliver(row, deps)));
    return results.filter(Boolean).length;
  };
  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      await deliverOnce().catch(deps.onFailure);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  return {
    raise: async (tx, alerts) => {
      for (const alert of alerts) await raiseOne(tx, alert, deps);
    },
    deliverOnce,
    start: () => {
      running = loop();
    },
    stop: async () => {
      ending.abort();
      await running;
    },
  };
}
