import {
  checkStatement,
  TenancyError,
  type PlacedDatabaseOptions,
  type Refusal,
  type Statement,
  type TenantContext,
} from '@auditrax/tenancy';
import { enterStep } from '@auditrax/tenancy/driver';
import { placeText } from '@auditrax/tenancy/placing';
import { openPoolBook } from '@auditrax/tenancy/pool-book';
import { recordRefusal } from '@auditrax/tenancy/refusal';
import type { Clock, Uuid } from '@auditrax/base';
import { ATTEMPT_REFUSED, DRIVER_REFUSALS, type AttemptRecorder } from '../../platform/audit/index.ts';
import type { BareDoor } from './service.ts';

/** Drills come one by one, and there are four canaries. */
const POOL_LIMITS = { poolsMax: 4, poolSize: 2 };
const NO_FUNCTIONS: ReadonlySet<string> = new Set();

export interface BareDoorDeps {
  readonly places: Pick<PlacedDatabaseOptions, 'placeOf' | 'connectionOf' | 'roleAt'>;
  readonly attempts: AttemptRecorder;
  readonly clock: Clock;
}

/**
 * The database as an attacker would see it who has got past the driver: the role and the place that the application
 * itself uses for the tenant, no guard. What a wall refuses is recorded the way the driver records it, so that it is
 * seen and paged.
 */
export function openBareDoor(deps: BareDoorDeps): BareDoor {
  const pools = openPoolBook(deps.places.connectionOf, POOL_LIMITS);
  const onRefusal = async (event: Refusal): Promise<void> => {
    const context = event.context!; // every drill has one
    await deps.attempts.record(context, {
      type: ATTEMPT_REFUSED,
      actor: { service: 'workspace' },
      resource: ['tenant', context.tenantId],
      outcome: 'denied',
      requestId: context.requestId,
      public: {
        code: DRIVER_REFUSALS[event.code as keyof typeof DRIVER_REFUSALS],
        layer: event.layer,
        reason: event.reason,
        operation: 'bare-door',
      },
    });
  };
  const sink = { nowMs: () => deps.clock.nowMs(), onRefusal };
  return {
    run: async (context: TenantContext, scope: readonly Uuid[], statement: Statement) => {
      const place = await deps.places.placeOf(context.tenantId);
      const steps = scope.map((tenantId) => enterStep({ ...context, tenantId }, place));
      const text = placeText(statement.sql, checkStatement(statement.sql, NO_FUNCTIONS), place.schema);
      try {
        const pool = pools.pool(place.cell, deps.places.roleAt(place));
        return (await pool.run([...steps, { text, values: statement.parameters }])).rows;
      } catch (error) {
        if (!(error instanceof TenancyError)) throw error;
        throw await recordRefusal(error, { door: 'tenant', text: statement.sql, context }, sink);
      }
    },
    close: () => pools.close(),
  };
}
