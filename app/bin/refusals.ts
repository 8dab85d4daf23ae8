import { randomUUID } from 'node:crypto';
import { AppError, type ServiceName, type Uuid } from '@auditrax/base';
import {
  openPlacedDatabase,
  type Database,
  type DatabaseOptions,
  type Refusal,
  type TenantContext,
} from '@auditrax/tenancy';
import {
  ATTEMPT_REFUSED,
  attemptRecorder,
  DRIVER_REFUSALS,
  actorOf,
  recordAudit,
  REFUSALS,
  type AttemptRecorder,
  type RecordedAttempt,
  type RefusalCode,
} from '../platform/audit/index.ts';
import type { AttemptEvent } from '../platform/http/attempts.ts';
import type { Floor } from './floor.ts';
import { databaseConnection } from './floor.ts';
import { tenantPlaces, type TenantPlaces } from './tenant-places.ts';

/** Records of refusals come singly; two connections keep one slow commit from holding up the next. */
const RECORD_POOL_SIZE = 2;
/** For a tenant with a role of its own, whose connections are few. */
const PLACED_RECORD_LIMITS = { poolsMax: 16, poolSize: 1 };

export interface RecordedDatabase {
  readonly database: Database;
  /** Where each tenant lives, for what must go its way beside the doors. */
  readonly places: TenantPlaces;
  /** Denied attempts, on connections of their own: the transaction that was refused is rolled back. */
  readonly attempts: AttemptRecorder;
  close(): Promise<void>;
}

type Wanted = Pick<DatabaseOptions, 'poolSize' | 'systemTables' | 'functions'>;

/** The refusal of a wall as a log entry of the tenant in whose name the statement was sent. */
function refusalEntry(service: ServiceName, event: Refusal) {
  const { context } = event;
  if (context === undefined) throw new AppError('refusal_without_tenant', `${event.code} at the system door`);
  return {
    context,
    input: {
      type: ATTEMPT_REFUSED,
      actor: { service },
      resource: ['tenant', context.tenantId] as const,
      outcome: 'denied' as const,
      requestId: context.requestId,
      public: {
        code: DRIVER_REFUSALS[event.code as keyof typeof DRIVER_REFUSALS],
        layer: event.layer,
        reason: event.reason,
        operation: `${event.door}-door`,
      },
    },
  };
}

/**
 * Opens the databases of every cell so that every refusal of a wall is in the log, durably, before the error reaches the
 * caller. The record stands in the log of the tenant in whose name the statement was sent, where that tenant lives. A
 * refusal at the system door has no tenant: it is a fault of this process and fails closed.
 */
export function openRecordedDatabase(floor: Floor, service: 'issuer' | 'workspace', wanted: Wanted): RecordedDatabase {
  const connection = databaseConnection(floor.member.boot.database);
  const places = tenantPlaces(floor, service, () => records.system);
  const records = openPlacedDatabase({
    ...places,
    connection,
    poolSize: RECORD_POOL_SIZE,
    limits: PLACED_RECORD_LIMITS,
    clock: floor.clock,
    onRefusal: () => Promise.reject(new AppError('refusal_of_record', 'the record of a refusal was itself refused')),
    systemTables: ['platform.placement'],
  });
  const attempts = attemptRecorder(records.tenant, {
    clock: floor.clock,
    service,
    onFailure: (error) => floor.log.warn('attempts-not-told', { error }),
  });
  const database = openPlacedDatabase({
    ...places,
    connection,
    clock: floor.clock,
    ...wanted,
    onRefusal: async (event) => {
      floor.log.warn('statement-refused', { code: event.code, reason: event.reason });
      const { context, input } = refusalEntry(service, event);
      await attempts.record(context, input);
    },
  });
  return {
    database,
    places,
    attempts,
    close: async () => {
      await database.close();
      await attempts.flush();
      await records.close();
    },
  };
}

function typeOf(event: Pick<AttemptEvent, 'kind' | 'reason'>): string {
  if (event.kind === 'tenant-id') return ATTEMPT_REFUSED;
  if (event.kind === 'operation') return 'access.operation.refused';
  return event.reason === 'missing' ? 'step-up.missing' : 'step-up.refused';
}

/** Of the table of refusals. */
function codeOf(event: AttemptEvent): RefusalCode {
  if (event.kind === 'tenant-id') return `${event.layer}.id-${event.reason}`;
  if (event.kind === 'operation') return event.reason === 'role' ? 'policy.operation' : `policy.${event.reason}`;
  return `step-up.${event.reason}`;
}

/** An attempt seen by the gateway, the parser, the role gate or the check of approvals, as a log entry of the caller's tenant. */
export function recordAttemptWith(attempts: AttemptRecorder): (event: AttemptEvent) => Promise<RecordedAttempt> {
  return (event) => {
    const { caller, requestId, operation, reason } = event;
    const code = codeOf(event);
    return attempts.record(caller.tenant, {
      type: typeOf(event),
      actor: actorOf(caller),
      tokenHash: caller.tokenHash,
      resource: ['tenant', caller.tenant.tenantId],
      outcome: 'denied',
      requestId,
      public: {
        code,
        layer: REFUSALS[code].layer,
        operation,
        reason,
        ...(event.kind === 'tenant-id' && event.foreignPart !== undefined ? { foreignPart: event.foreignPart } : {}),
      },
    });
  };
}

/** A context for tasks of the system in a tenant's name, with a request id of its own. */
export function systemContext(tenant: { readonly id: Uuid; readonly part: number }): TenantContext {
  return { tenantId: tenant.id, tenantPart: tenant.part, requestId: randomUUID() };
}

export { recordAudit };
