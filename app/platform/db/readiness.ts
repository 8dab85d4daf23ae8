import type { Clock } from '@auditrax/base';
import type { Database, Finding, PostureExpectations } from '@auditrax/tenancy';
import { globalTables } from './global-tables.ts';
import { BESIDE_COPIES, COPY_SCHEMAS, WHOLE_CELL } from './place-scopes.ts';
import { MIGRATE_ROLE, OWNER_ROLE, SERVICE_ROLES, WORKSPACE_ROLE } from './roles.ts';

/** The posture is looked at this often; the claim about the tenant wall names the same figure. */
export const POSTURE_INTERVAL_MS = 60_000;
/** Older than this, the last look says nothing any more. */
export const POSTURE_AGE_MS_MAX = 3 * POSTURE_INTERVAL_MS;

/** What the walls of this house must look like. `durable` is false only for throw-away data. */
export function postureExpectations(options: { durable: boolean } = { durable: true }): PostureExpectations {
  return {
    loginRoles: SERVICE_ROLES,
    migrateRole: MIGRATE_ROLE,
    ownerRole: OWNER_ROLE,
    tenantSchemas: ['app', 'identity'],
    logSchemas: ['audit'],
    // The log's machinery sequences and watches every tenant's entries; it reads hashes and public-safe leaves only.
    outsideWall: ['ax_owner', 'ax_ledger', 'ax_sentinel'].map((role) => ({ schema: 'audit', role })),
    globalTables: Object.keys(globalTables),
    globalTablesQuery: `select table_name as name from platform.table_rule where kind = 'global'`,
    pinnedQuery: 'select identity, sha256 from platform.pinned_object',
    // As platform.mark_of names them, which only the database itself may call.
    marksQuery: `select 'moved_' || tenant_id as schema from platform.hold
      union select 'moved_' || tenant_id from platform.departure`,
    copies: {
      model: { schema: 'app', role: WORKSPACE_ROLE },
      schemaPattern: COPY_SCHEMAS,
      rolePattern: '^ax_t_[0-9a-f]{16}$',
      // A cell knows itself by its name; at home the rows of other databases say nothing about this one.
      placesQuery: `select role_name as role, case when kind = 'schema' then 't_' || name end as schema,
        level is not null as complete from platform.place
        where kind = 'schema' or current_database() = 'ax_' || name`,
      besideCopies: BESIDE_COPIES,
      wholeDatabase: WHOLE_CELL,
    },
    extensions: ['plpgsql'],
    durable: options.durable,
  };
}

export interface PostureState {
  readonly ready: boolean;
  /** Null before the first look has ended. */
  readonly observedAtMs: number | null;
  /** Empty when the last look found nothing, or when the database could not be asked. */
  readonly findings: readonly Finding[];
  /** One line for the operator: green, the first finding, or why there is no answer. */
  readonly summary: string;
}

export interface PostureWatch {
  /** The state now: a look that is too old is not ready. */
  state(): PostureState;
  /** Looks at once. */
  look(): Promise<PostureState>;
  stop(): void;
}

/**
 * Looks at the posture at once and then every minute, and calls `onRed` when it turns red or changes its findings. Not
 * ready until the first look is green; a database that does not answer is not ready either.
 */
export function watchPosture(options: {
  readonly database: Pick<Database, 'posture'>;
  readonly expectations: PostureExpectations;
  readonly clock: Clock;
  readonly onRed: (findings: readonly Finding[]) => void;
}): PostureWatch {
  let last: PostureState = { ready: false, observedAtMs: null, findings: [], summary: 'not looked at yet' };
  let paged = '';
  const look = async (): Promise<PostureState> => {
    try {
      const findings = await options.database.posture(options.expectations);
      last = {
        ready: findings.length === 0,
        observedAtMs: options.clock.nowMs(),
        findings,
        summary: summarise(findings),
      };
      const key = JSON.stringify(findings);
      if (findings.length > 0 && key !== paged) options.onRed(findings);
      paged = findings.length > 0 ? key : '';
    } catch (error) {
      last = { ready: false, observedAtMs: options.clock.nowMs(), findings: [], summary: (error as Error).message };
    }
    return last;
  };
  const timer = setInterval(() => void look(), POSTURE_INTERVAL_MS);
  timer.unref();
  void look();
  return {
    look,
    stop: () => clearInterval(timer),
    state: () => {
      const age_ms = last.observedAtMs === null ? 0 : options.clock.nowMs() - last.observedAtMs;
      return age_ms > POSTURE_AGE_MS_MAX ? { ...last, ready: false, summary: 'the last look is too old' } : last;
    },
  };
}

function summarise(findings: readonly Finding[]): string {
  const first = findings[0];
  if (first === undefined) return 'green';
  return `${findings.length} finding(s), first: ${first.code} ${first.object}: ${first.detail}`;
}
