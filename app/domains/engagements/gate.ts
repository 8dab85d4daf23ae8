import { AppError, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, Statement, TenantContext } from '@auditrax/tenancy';
import { auditFromCall, type AuditInput } from '../../platform/audit/index.ts';
import type { EngagementCode } from './errors.ts';
import type { Asker, CardOverride, EngagementDeps } from './ports.ts';
import { readGate, readGateAlone, readGateShared, type EngagementGateRow, type GateKey } from './queries.ts';
import { MACHINE, type EngagementEvent, type EngagementState } from './states.ts';

/** `free`: a plain read. `shared`: the state stays as it is until commit. `alone`: nobody else may change or add. */
export type Hold = 'free' | 'shared' | 'alone';

const READ: Readonly<Record<Hold, (context: TenantContext, key: GateKey) => Statement<EngagementGateRow>>> = {
  free: readGate,
  shared: readGateShared,
  alone: readGateAlone,
};

/** Thrown inside a transaction; becomes a recorded denial and the same 404 as a row that does not exist. */
class RowDenied extends AppError<'not_found'> {
  readonly engagementId: Uuid;
  constructor(operation: string, engagementId: Uuid) {
    super('not_found', `${operation} is not granted on this row`);
    this.engagementId = engagementId;
  }
}

export function notFound(what: string): AppError<'not_found'> {
  return new AppError('not_found', `no such ${what}`);
}

/** For rooms whose own rules withhold a row of this engagement; treated like a refusal of the policies. */
export function rowDenied(operation: string, engagementId: Uuid): AppError<'not_found'> {
  return new RowDenied(operation, engagementId);
}

type GateDeps = Pick<EngagementDeps, 'policy' | 'rules'>;
type Runner = Pick<ScopedTransaction, 'query'>;

/** The product's policies and the tenant's own rules on one engagement; both must say yes. */
export async function permits(
  deps: GateDeps & Runner,
  { caller }: Asker,
  { operation, row }: { operation: string; row: EngagementGateRow },
): Promise<boolean> {
  const attributes = { state: row.state, contacts: row.contact_ids };
  if (!deps.policy.decide(operation, caller, { type: 'Engagement', id: row.id, attributes })) return false;
  const narrowing = await deps.rules.narrowing({ query: deps.query, caller, standing: row });
  return narrowing === undefined || narrowing.decide(operation, { ...attributes, id: row.id, office: row.office_id });
}

/** The policies' last word on one engagement. Throws `not_found`; `withRecordedDenials` turns it into an entry. */
export async function permitEngagement(
  deps: GateDeps & Runner,
  who: Asker,
  about: { operation: string; row: EngagementGateRow },
): Promise<void> {
  if (!(await permits(deps, who, about))) {
    throw rowDenied(about.operation, about.row.id);
  }
}

/** Reads the engagement that a verb is about, holds it, and asks the policies. Throws `not_found`. */
export async function enterEngagement(
  deps: GateDeps,
  tx: Pick<ScopedTransaction, 'context' | 'query'>,
  about: { who: Asker; operation: string; engagementId: Uuid; hold: Hold },
): Promise<EngagementGateRow> {
  const key = { id: about.engagementId, personId: about.who.caller.personId };
  const [row] = await tx.query(READ[about.hold](tx.context, key));
  if (row === undefined) throw notFound('engagement');
  const query: Runner['query'] = (statement) => tx.query(statement);
  await permitEngagement({ ...deps, query }, about.who, { operation: about.operation, row });
  return row;
}

/**
 * Runs `work`; when the policies refused the row, the denial is on record (in a transaction of its own) before the
 * caller is told that there is no such thing. When it cannot be recorded, that error is thrown instead.
 */
export async function withRecordedDenials<T>(
  deps: Pick<EngagementDeps, 'attempts'>,
  about: { who: Asker; operation: string; resource: readonly [kind: string, id: Uuid] },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RowDenied) {
      await deps.attempts.record(about.who.caller.tenant, {
        ...auditOf(about.who),
        type: 'access.row-denied',
        resource: about.resource,
        outcome: 'denied',
        public: {
          code: 'row.withheld',
          layer: 'row',
          operation: about.operation,
          role: about.who.caller.role,
          engagement: error.engagementId,
        },
      });
    }
    throw error;
  }
}

/** The part of an audit entry that says who. */
export function auditOf(who: Asker): Pick<AuditInput, 'actor' | 'tokenHash' | 'requestId' | 'decision'> {
  return auditFromCall(who);
}

/** Where `event` leads. Throws `engagement_state_forbids` with the machine's own words. */
export function requireEvent(state: EngagementState, event: EngagementEvent): EngagementState {
  const outcome = MACHINE[state][event];
  if ('refused' in outcome) {
    throw new AppError<EngagementCode>('engagement_state_forbids', `${event} in ${state}`, {
      publicDetail: outcome.refused,
    });
  }
  return outcome.to;
}

/** Throws `engagement_revision_stale` when the person decided on another version than the one stored. */
export function requireRevision(stored: number, seen: number): void {
  if (stored === seen) return;
  throw new AppError<EngagementCode>('engagement_revision_stale', `revision ${seen} is not ${stored}`, {
    field: 'revision',
    publicDetail: `You saw revision ${seen}; it is at ${stored} now. Read it again and decide anew.`,
  });
}

/** Each needed "this is not a card" declaration becomes an entry of its own, in the transaction of the row. */
export async function recordCardOverrides(
  deps: Pick<EngagementDeps, 'recordAudit'>,
  tx: ScopedTransaction,
  about: {
    who: Asker;
    resource: readonly [kind: string, id: Uuid];
    engagementId: Uuid;
    overrides: readonly CardOverride[];
  },
): Promise<void> {
  for (const { field, network } of about.overrides) {
    await deps.recordAudit(tx, {
      ...auditOf(about.who),
      type: 'card-number.overridden',
      resource: about.resource,
      outcome: 'allowed',
      public: { field, network, engagement: about.engagementId },
    });
  }
}
