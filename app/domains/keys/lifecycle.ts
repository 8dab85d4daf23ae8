import type { TenantContext } from '@auditrax/tenancy';
import { recordAudit } from '../../platform/audit/index.ts';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import { DEK_TTL_MS } from './dek-cache.ts';
import { keysError } from './errors.ts';
import { isStillNeeded } from './reseal.ts';
import { countVersions, destroyWrap, listLives, stepState } from './rotation-queries.ts';
import type { KeyLife } from './rotation-queries.ts';
import type { KeyDeps } from './service.ts';
import { KEY_MACHINE } from './states.ts';

/**
 * A closed key is not retired before every process has forgotten that it once sealed (its cache) and what was being
 * written then has committed.
 */
export const RETIREMENT_WAIT_MS = 3 * DEK_TTL_MS;
/**
 * Unless the operator says otherwise (AUDITRAX_BACKUP_RETENTION_DAYS), backups older than this are gone; until then a
 * restored row may need its key.
 */
export const BACKUP_RETENTION_DAYS = 30;
const DAY_MS = 86_400_000;

export interface LifecycleDeps extends Pick<KeyDeps, 'service' | 'tenantDoor' | 'clock'> {
  readonly columns: readonly SealedColumn[];
  readonly backupRetention_days: number;
}

/**
 * Takes each key of a tenant the step that is due: closed keys that no value names any more are retired, retired ones
 * that one names after all are reopened, and those that no backup can name either are destroyed. The database counts
 * again before it retires one. Returns how many steps were taken.
 */
export async function settleKeys(deps: LifecycleDeps, context: TenantContext): Promise<number> {
  const lives = await deps.tenantDoor.scoped(context, listLives(context.tenantId));
  const settled = lives.filter((life) => life.state === 'DECRYPT_ONLY' || life.state === 'RETIRED');
  if (settled.length === 0) return 0;
  const used = await versionsInUse(deps, context);
  let steps = 0;
  for (const life of settled) {
    const event = eventDue(deps, life, used.has(`${life.purpose}/${life.version}`));
    if (event !== undefined && (await takeStep(deps, context, { life, event }))) steps += 1;
  }
  return steps;
}

function eventDue(deps: LifecycleDeps, life: KeyLife, used: boolean): Step | undefined {
  const since_ms = deps.clock.nowMs() - new Date(life.state_since).getTime();
  if (life.state === 'DECRYPT_ONLY') return !used && since_ms >= RETIREMENT_WAIT_MS ? 'retire' : undefined;
  if (used) return 'reopen';
  return since_ms >= deps.backupRetention_days * DAY_MS ? 'destroy' : undefined;
}

/** `purpose/version` of every key that a stored value names, over every registered column. */
async function versionsInUse(deps: LifecycleDeps, context: TenantContext): Promise<ReadonlySet<string>> {
  const used = new Set<string>();
  for (const column of deps.columns) {
    const counts = await deps.tenantDoor.scoped(context, countVersions(context.tenantId, column));
    for (const { version } of counts) used.add(`${column.purpose}/${version}`);
  }
  return used;
}

type Step = 'retire' | 'reopen' | 'destroy';

function entryTypeOf(step: Step): string {
  if (step === 'retire') return 'key.retired';
  if (step === 'reopen') return 'key.reopened';
  return 'key.destroyed';
}

/** False when somebody else was faster, or values that need the key have appeared. Throws `dek_not_usable`. */
async function takeStep(
  deps: LifecycleDeps,
  context: TenantContext,
  { life, event }: { readonly life: KeyLife; readonly event: Step },
): Promise<boolean> {
  const outcome = KEY_MACHINE[life.state][event];
  if ('refused' in outcome) throw keysError('dek_not_usable', `key ${life.id} cannot ${event} from ${life.state}`);
  const { tenantId } = context;
  const statement =
    outcome.to === 'DESTROYED'
      ? destroyWrap(tenantId, { id: life.id, from: life.state })
      : stepState(tenantId, { id: life.id, from: life.state, to: outcome.to });
  const step = deps.tenantDoor.transaction(context, async (tx) => {
    const [changed] = await tx.query(statement);
    if (changed === undefined) return false;
    await recordAudit(tx, {
      type: entryTypeOf(event),
      actor: { service: deps.service },
      resource: ['dek', life.id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { purpose: life.purpose, version: life.version, commitment: life.commitment.toString('hex') },
    });
    return true;
  });
  return step.catch((error: unknown) => {
    if (isStillNeeded(error)) return false;
    throw error;
  });
}
