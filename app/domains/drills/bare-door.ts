import { TenancyError, type Refusal, type Statement, type TenantContext } from '@auditrax/tenancy';
import { openPool, type Connection } from '@auditrax/tenancy/pool';
import { recordRefusal } from '@auditrax/tenancy/refusal';
import type { Clock, Uuid } from '@auditrax/base';
import { ATTEMPT_REFUSED, DRIVER_REFUSALS, type AttemptRecorder } from '../../platform/audit/index.ts';
import type { BareDoor } from './service.ts';

/** Drills come one by one. */
const POOL_SIZE = 2;

/**
 * The database as an attacker would see it who has got past the driver: the application's own role and connection, no
 * guard. What a wall refuses is recorded the way the driver records it, so that it is seen and paged.
 */
export function openBareDoor(deps: { connection: Connection; attempts: AttemptRecorder; clock: Clock }): BareDoor {
  const pool = openPool(deps.connection, POOL_SIZE);
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
      const steps = scope.map((tenantId) => ({ text: 'select app.enter($1)', values: [tenantId] }));
      try {
        return (await pool.run([...steps, { text: statement.sql, values: statement.parameters }])).rows;
      } catch (error) {
        if (!(error instanceof TenancyError)) throw error;
        throw await recordRefusal(error, { door: 'tenant', text: statement.sql, context }, sink);
      }
    },
    close: () => pool.close(),
  };
}
