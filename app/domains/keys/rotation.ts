import type { Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { keyPurpose } from './contract.ts';
import type { KeyPurpose } from './contract.ts';
import { followInstallation } from './installation.ts';
import { BACKUP_RETENTION_DAYS, settleKeys } from './lifecycle.ts';
import { resealTenant } from './reseal.ts';
import type { ResealDeps } from './reseal.ts';
import type { ColumnProgress, RotationView } from './rotation-contract.ts';
import { countVersions, listLives, listProgress } from './rotation-queries.ts';
import type { KeyLife } from './rotation-queries.ts';
import type { Sealer } from './sealer.ts';
import { DEK_AGE_MS_MAX, rotateAtOnce, rotatesAtMs } from './service.ts';
import type { KeyActor, KeyDeps } from './service.ts';

/** One tenant's share of a round of the job; a larger one goes on in the next round, from where it stopped. */
const ROUND_SHARE_MS = 300_000;

export interface RotationDeps extends KeyDeps, Pick<ResealDeps, 'columns'> {
  readonly sealer: Pick<Sealer, 'resealMany' | 'rotateIfDue' | 'forgetActive'>;
  /** Told what went wrong after the answer had been given. */
  readonly onFailure: (error: unknown) => void;
  /** Days that a retired key is kept for backups. */
  readonly backupRetention_days?: number;
}

/** Rotation of one process's share: new keys in time, old values moved to them, keys nobody needs any more taken away. */
export interface Rotation {
  /** One round for a tenant; a second call while one runs gets that one. */
  tend(context: TenantContext): Promise<void>;
  /** Makes new keys now, in the name of `by`, and begins to move old values without being waited for. */
  rotateNow(context: TenantContext, by: KeyActor): Promise<{ purpose: KeyPurpose; version: number }[]>;
  progress(context: TenantContext): Promise<RotationView>;
  /** The rounds that run end after their batch. */
  stop(): void;
}

/**
 * Makes the job. The workspace makes new keys and settles old ones; every other service only moves the values that its
 * role alone may touch.
 */
export function createRotation(deps: RotationDeps): Rotation {
  const retention = { backupRetention_days: deps.backupRetention_days ?? BACKUP_RETENTION_DAYS };
  const running = new Map<Uuid, Promise<void>>();
  let stopped = false;

  // Tenants whose keys another source of theirs holds, or none: looked at once, and again after a restart.
  const settled = new Set<Uuid>();
  const follow = async (context: TenantContext): Promise<void> => {
    if (settled.has(context.tenantId)) return;
    const moved = await followInstallation(deps, context);
    if (moved === undefined || moved.rewrapped === 0) settled.add(context.tenantId);
  };
  const round = async (context: TenantContext): Promise<void> => {
    const endsAtMs = performance.now() + ROUND_SHARE_MS;
    const leads = deps.service === 'workspace';
    if (leads) await deps.sealer.rotateIfDue(context);
    await resealTenant(deps, context, () => stopped || performance.now() >= endsAtMs);
    if (!leads) return;
    await settleKeys({ ...deps, ...retention }, context);
    await follow(context);
  };
  const tend: Rotation['tend'] = (context) => {
    const known = running.get(context.tenantId);
    if (known !== undefined) return known;
    const started = round(context).finally(() => running.delete(context.tenantId));
    running.set(context.tenantId, started);
    return started;
  };
  return {
    tend,
    async rotateNow(context, by) {
      const versions: { purpose: KeyPurpose; version: number }[] = [];
      for (const purpose of keyPurpose.options) {
        versions.push({ purpose, version: await rotateAtOnce(deps, { context, purpose }, by) });
      }
      deps.sealer.forgetActive(context.tenantId);
      // A round that runs already may have passed columns that now hold old values again: one more follows it.
      const before = running.get(context.tenantId) ?? Promise.resolve();
      before
        .then(
          () => tend(context),
          () => tend(context),
        )
        .catch(deps.onFailure);
      return versions;
    },
    progress: (context) => rotationProgress({ ...deps, ...retention }, context),
    stop: () => {
      stopped = true;
    },
  };
}

/** Key versions that seal now, and for each sealed column how many values name an older one. */
async function rotationProgress(
  deps: Pick<RotationDeps, 'tenantDoor' | 'columns'> & { readonly backupRetention_days: number },
  context: TenantContext,
): Promise<RotationView> {
  const lives = await deps.tenantDoor.scoped(context, listLives(context.tenantId));
  const active = lives.filter((life) => life.state === 'ACTIVE');
  const columns = await columnProgress(deps, context, active);
  return {
    purposes: active.map((life) => {
      const createdAtMs = new Date(life.created_at).getTime();
      return {
        purpose: life.purpose,
        version: life.version,
        createdAt: new Date(createdAtMs).toISOString(),
        rotatesAt: new Date(rotatesAtMs({ id: life.id, createdAtMs })).toISOString(),
        sealsUntil: new Date(createdAtMs + DEK_AGE_MS_MAX).toISOString(),
      };
    }),
    columns,
    left: columns.reduce((sum, column) => sum + column.left, 0),
    backupRetentionDays: deps.backupRetention_days,
  };
}

async function columnProgress(
  deps: Pick<RotationDeps, 'tenantDoor' | 'columns'>,
  context: TenantContext,
  active: readonly KeyLife[],
): Promise<ColumnProgress[]> {
  const noted = await deps.tenantDoor.scoped(context, listProgress(context.tenantId));
  const byColumn = new Map(noted.map((row) => [`${row.relation}.${row.column_name}`, row]));
  const columns: ColumnProgress[] = [];
  for (const column of deps.columns) {
    const version = active.find((life) => life.purpose === column.purpose)?.version ?? 0;
    const counts = await deps.tenantDoor.scoped(context, countVersions(context.tenantId, column));
    const tally = { current: 0, left: 0 };
    for (const row of counts) tally[Number(row.version) < version ? 'left' : 'current'] += Number(row.rows);
    const note = byColumn.get(column.column);
    const now = note?.version === version ? note : undefined;
    columns.push({
      column: column.column,
      purpose: column.purpose,
      ...tally,
      done: Number(now?.done ?? 0),
      unreadable: Number(now?.unreadable ?? 0),
      updatedAt: now === undefined ? null : new Date(now.updated_at).toISOString(),
    });
  }
  return columns;
}

/** Values of a tenant that still name an older key than the one that seals; for the claim's measurement. */
export async function valuesOnOldKeys(
  deps: Pick<RotationDeps, 'tenantDoor' | 'columns'>,
  context: TenantContext,
): Promise<number> {
  return (await rotationProgress({ ...deps, backupRetention_days: BACKUP_RETENTION_DAYS }, context)).left;
}
