import { setTimeout as sleep } from 'node:timers/promises';
import { isAppError, uuidV4, type Uuid } from '@auditrax/base';
import { pushOnce, type PushResult } from '@auditrax/signals';
import type { TenantContext } from '@auditrax/tenancy';
import type { GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import { findTenant } from '../identity/index.ts';
import type { Sender, SendingDeps } from './deps.ts';
import { tendKeys } from './keys.ts';
import { lockQueue, openStream, saveStream, type OpenedStream } from './outbox.ts';
import * as queries from './queries.ts';
import { createTurns } from './turns.ts';

/** Longer than one push may take (10 s) with all that is stored around it; a process that died holds a stream no longer. */
const HELD_SECONDS = 45;
/** Of one stream in one turn, so that one that always has more does not keep the others waiting. */
const PUSHES_PER_TURN_MAX = 100;
const DUE_MAX = 200;
const TENANTS_PER_PAGE = 500;
const FIRST_ID = '00000000-0000-0000-0000-000000000000' as Uuid;
const LETTER_AGE_MS_MAX = 90 * 86_400_000;
/** Waiting and given up together; beyond it a stream that nobody reads is switched off. */
const EVENTS_MAX = 10_000;

export interface SignalSender extends Sender {
  /** What has become due; every second. */
  sendDue(): Promise<void>;
  /** Every tenant with a stream: what a crash left behind, what is too old, and keys; at the start and every minute. */
  tend(requestId: string): Promise<void>;
  /** Resolves when what could go out for a tenant has gone out, or after `within_ms` at the latest. */
  settled(tenantId: Uuid, within_ms: number): Promise<void>;
  /** Resolves when nothing is under way. For tests and for the end. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

export interface SenderDeps extends SendingDeps {
  readonly onFailure: (error: unknown) => void;
}

type Turn = 'held' | 'more' | 'done';

/** The code with which the guarded way out has refused says more than that nobody could be reached. */
function watched(fetch: GuardedFetch) {
  const seen: { code: string | undefined } = { code: undefined };
  const watching: GuardedFetch = async (url, init) => {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (isAppError(error)) seen.code = error.code;
      throw error;
    }
  };
  return { fetch: watching, seen };
}

const troubleOf = (result: PushResult | undefined, code: string | undefined): string | null =>
  result?.kind === 'retry' ? (code ?? result.reason) : null;

/** One push of a stream that this process holds. False: nothing was due. */
async function pushNext(
  deps: SenderDeps,
  context: TenantContext,
  { row, by }: { readonly row: queries.StreamRow; readonly by: Uuid },
): Promise<boolean> {
  const before = await deps.tenant.transaction(context, async (tx) => {
    const [held] = await tx.query(queries.hold(context, { streamId: row.id, by, seconds: HELD_SECONDS }));
    return held === undefined ? undefined : openStream(deps, tx, { row, limit: 1 });
  });
  const target = before?.settings.push;
  if (before === undefined || target == null) return false;
  const way = watched(deps.fetch);
  const to = { url: target.url, authorization: target.authorization ?? undefined };
  const ports = { fetch: way.fetch, clock: deps.clock, random: deps.random };
  const { outbox, result } = await pushOnce(before.outbox, to, ports);
  if (result === undefined) {
    await rest(deps, context, before);
    return false;
  }
  await deps.tenant.transaction(context, async (tx) => {
    const [queue] = await tx.query(queries.queueForUpdate(context, row.id));
    // Too slow, and somebody else sends by now: what it has stored counts.
    if (queue?.held_by !== by) return;
    const trouble = troubleOf(result, way.seen.code);
    await saveStream(deps, tx, { before, after: outbox, trouble });
  });
  return result.kind !== 'retry';
}

/** Nothing goes out although a try was due: the stream rests or is empty. Otherwise it would be due every second. */
async function rest(deps: SenderDeps, context: TenantContext, { queue }: OpenedStream): Promise<void> {
  const { stream_id: streamId, next_at, trouble } = queue;
  if (next_at === null || next_at.getTime() > deps.clock.nowMs()) return;
  await deps.tenant.scoped(context, queries.noteTry(context, { streamId, failures: 0, nextAt: null, trouble }));
}

async function sendStream(
  deps: SenderDeps,
  context: TenantContext,
  { row, by }: { readonly row: queries.StreamRow; readonly by: Uuid },
): Promise<Turn> {
  const [held] = await deps.tenant.scoped(
    context,
    queries.hold(context, { streamId: row.id, by, seconds: HELD_SECONDS }),
  );
  if (held === undefined) return 'held';
  try {
    for (let pushes = 0; pushes < PUSHES_PER_TURN_MAX; pushes += 1)
      if (!(await pushNext(deps, context, { row, by }))) return 'done';
    return 'more';
  } finally {
    await deps.tenant.scoped(context, queries.letGo(context, row.id, by));
  }
}

/** A stream that nobody reads, and that has grown too long, is switched off by this house. */
async function tendStream(deps: SenderDeps, context: TenantContext, row: queries.StreamRow): Promise<void> {
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    if ((await lockQueue(deps, tx, row.id)) === undefined) return;
    const before = new Date(at.getTime() - LETTER_AGE_MS_MAX);
    await tx.query(queries.forgetDead(context, { streamId: row.id, before }));
    const [depth] = await tx.query(queries.depthOf(context, row.id));
    if (row.status === 'disabled' || Number(depth?.events ?? 0) < EVENTS_MAX) return;
    await tx.query(queries.setStreamStatus(context, row.id, 'disabled'));
    await tx.query(queries.setQueueStatus(context, row.id, 'disabled'));
    await tx.query(queries.buryAll(context, row.id, at));
    await deps.recordAudit(tx, {
      type: 'signal-stream.turned',
      actor: { service: 'issuer' },
      resource: ['signal-stream', row.id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { from: row.status, to: 'disabled', reason: 'full' },
    });
  });
}

async function tenantsOf(deps: SenderDeps): Promise<Uuid[]> {
  const found: Uuid[] = [];
  for (const { system } of deps.system.everywhere()) {
    let after = FIRST_ID;
    for (;;) {
      const page = await system.system(queries.tenantsWithStreams(after, TENANTS_PER_PAGE));
      found.push(...page.map(({ tenant_id }) => tenant_id));
      if (page.length < TENANTS_PER_PAGE) break;
      after = page.at(-1)!.tenant_id;
    }
  }
  return [...new Set(found)];
}

/** All streams of a tenant side by side. `again` where one of them has to be looked at once more. */
async function sendTenant(deps: SenderDeps, tenantId: Uuid, by: Uuid): Promise<'again' | 'later' | undefined> {
  const tenant = await findTenant(deps, tenantId, uuidV4(deps.random));
  if (tenant === undefined) return undefined;
  const { context } = tenant;
  const rows = await deps.tenant.scoped(context, queries.streamsOf(context));
  const pushed = rows.filter(({ method }) => method === 'push');
  const turns = await Promise.allSettled(pushed.map((row) => sendStream(deps, context, { row, by })));
  for (const turn of turns) if (turn.status === 'rejected') deps.onFailure(turn.reason);
  const ended = turns.flatMap((turn) => (turn.status === 'fulfilled' ? [turn.value] : []));
  if (ended.includes('more')) return 'again';
  return ended.includes('held') ? 'later' : undefined;
}

async function tendTenant(deps: SenderDeps, tenantId: Uuid, requestId: string): Promise<boolean> {
  const tenant = await findTenant(deps, tenantId, requestId);
  if (tenant === undefined) return false;
  for (const row of await deps.tenant.scoped(tenant.context, queries.streamsOf(tenant.context)))
    await tendStream(deps, tenant.context, row);
  await deps.tenant.scoped(tenant.context, queries.sweepNames(tenant.context));
  await tendKeys(deps, tenant.context);
  return true;
}

/**
 * Sends what waits in streams that are pushed: each in its order, several streams side by side, a stream by one process at a
 * time. It is told when something was noted here; what it is not told of (another process noted it and ended) it finds
 * within a minute, and what waits for its next try when that is due. Nothing is kept here that the database does not know.
 */
export function createSender(deps: SenderDeps): SignalSender {
  const by = uuidV4(deps.random);
  const { onFailure } = deps;
  const turns = createTurns({ work: (tenantId) => sendTenant(deps, tenantId, by), onFailure });
  return {
    wake: turns.wake,
    async sendDue() {
      const now = new Date(deps.clock.nowMs());
      for (const { system } of deps.system.everywhere())
        for (const { tenant_id } of await system.system(queries.dueQueues(now, DUE_MAX))) turns.wake(tenant_id);
    },
    async tend(requestId) {
      for (const tenantId of await tenantsOf(deps)) {
        try {
          if (await tendTenant(deps, tenantId, requestId)) turns.wake(tenantId);
        } catch (error) {
          onFailure(error);
        }
      }
    },
    async settled(tenantId, within_ms) {
      const timer = new AbortController();
      const late = sleep(within_ms, undefined, { signal: timer.signal }).catch(() => undefined);
      await Promise.race([turns.settled(tenantId), late]);
      timer.abort();
    },
    idle: turns.idle,
    close: turns.close,
  };
}
