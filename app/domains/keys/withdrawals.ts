import type { ServiceName, Uuid } from '@auditrax/base';
import type { SystemDoor, TenantContext, TenantDoor } from '@auditrax/tenancy';
import type { RecordAudit } from '../../platform/audit/index.ts';
import { diagnose } from './diagnosis.ts';
import { KEY_TENANTS_MAX, lastWithdrawal, selectTenants } from './queries.ts';
import type { KeySourcesClient } from './source-client.ts';
import type { Lease } from './source-contract.ts';

/** A withdrawal is in the log, and with the operator, this long after it is felt; holders wipe at once on their own. */
const WATCH_MS = 15_000;

type Standing = 'withdrawn' | 'usable';

export interface WithdrawalWatch {
  /** One look at every source in use; never throws. */
  look(): Promise<void>;
  stop(): void;
}

export interface WithdrawalDeps {
  readonly service: ServiceName;
  readonly client: Pick<KeySourcesClient, 'leases'>;
  readonly tenantDoor: TenantDoor;
  readonly system: SystemDoor;
  readonly recordAudit: RecordAudit;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Writes into an organisation's log that its own key was withdrawn, and that it is back: once for each change, also over
 * restarts, since the last entry is asked for first. A store that does not answer changes nothing. One process watches.
 */
export function watchWithdrawals(deps: WithdrawalDeps): WithdrawalWatch {
  const known = new Map<Uuid, Standing>();
  const parts = new Map<Uuid, number>();
  const contextOf = async (tenantId: Uuid): Promise<TenantContext | undefined> => {
    if (!parts.has(tenantId)) {
      for (const row of await deps.system.system(selectTenants(KEY_TENANTS_MAX))) parts.set(row.id, Number(row.part));
    }
    const tenantPart = parts.get(tenantId);
    return tenantPart === undefined ? undefined : { tenantId, tenantPart, requestId: 'key-watch' };
  };
  const compare = async (lease: Lease): Promise<void> => {
    if (lease.state !== 'withdrawn' && lease.state !== 'usable') return;
    const tenantId = lease.tenantId as Uuid;
    const context = await contextOf(tenantId);
    if (context === undefined) return; // deleted meanwhile
    if (!known.has(tenantId)) {
      const [last] = await deps.tenantDoor.scoped(context, lastWithdrawal(tenantId));
      known.set(tenantId, last?.type === 'key.withdrawn' ? 'withdrawn' : 'usable');
    }
    if (known.get(tenantId) === lease.state) return;
    await recordChange(deps, context, { ...lease, state: lease.state });
    known.set(tenantId, lease.state);
  };
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      for (const lease of await deps.client.leases('key-watch')) await compare(lease);
    } catch (error) {
      deps.onFailure(error);
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), WATCH_MS);
  timer.unref();
  return { look, stop: () => clearInterval(timer) };
}

async function recordChange(
  deps: Pick<WithdrawalDeps, 'service' | 'tenantDoor' | 'recordAudit'>,
  context: TenantContext,
  lease: { readonly state: Standing; readonly code: string | null },
): Promise<void> {
  const isWithdrawn = lease.state === 'withdrawn';
  await deps.tenantDoor.transaction(context, (tx) =>
    deps.recordAudit(tx, {
      type: isWithdrawn ? 'key.withdrawn' : 'key.restored',
      actor: { service: deps.service },
      resource: ['key-source', context.tenantId],
      outcome: 'allowed',
      requestId: context.requestId,
      public: isWithdrawn ? { code: lease.code ?? '', advice: diagnose(lease.code ?? '').advice } : {},
    }),
  );
}

/**
 * Writes that one organisation's data key was asked for under a key of another one. A row that was exchanged would be read
 * again and again: once an hour is on record.
 */
export function foreignKeyRecorder(
  deps: Pick<WithdrawalDeps, 'service' | 'tenantDoor' | 'recordAudit' | 'onFailure'> & { readonly nowMs: () => number },
): (context: TenantContext) => void {
  const told = new Map<Uuid, number>();
  return (context) => {
    const lastMs = told.get(context.tenantId);
    if (lastMs !== undefined && deps.nowMs() < lastMs + FOREIGN_TOLD_MS) return;
    if (told.size >= FOREIGN_TENANTS_MAX) told.clear();
    told.set(context.tenantId, deps.nowMs());
    const entry = deps.tenantDoor.transaction({ ...context }, (tx) =>
      deps.recordAudit(tx, {
        type: 'key.foreign-refused',
        actor: { service: deps.service },
        resource: ['tenant', context.tenantId],
        outcome: 'denied',
        requestId: context.requestId,
        public: { code: 'kek_foreign' },
      }),
    );
    entry.catch((error: unknown) => {
      told.delete(context.tenantId);
      deps.onFailure(error);
    });
  };
}

const FOREIGN_TOLD_MS = 3_600_000;
const FOREIGN_TENANTS_MAX = 4_096;
