import { AppError, systemClock, type Clock, type ServiceName, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext, TenantDoor } from '@auditrax/tenancy';
import {
  budgetOf,
  countAttempt,
  markTold,
  readBudget,
  TELL_EVERY_MS,
  type Budget,
  type BudgetKind,
  type BudgetRow,
} from './attempt-budget.ts';
import type { AuditCode } from './errors.ts';
import { withGuardErrors } from './guard-errors.ts';
import type { AuditInput } from './leaf.ts';
import { recordAudit, type RecordAudit } from './record.ts';

/** Type of the entry about an attempt across tenants; its fact `code` says where it was stopped. */
export const ATTEMPT_REFUSED = 'tenant.attempt.refused';
/** Type of the entry that stands for what was only counted within a window: noise of the outside, and between processes. */
export const ATTEMPTS_COUNTED = 'attempts.counted';
/** Sums waiting to be told at once; beyond it the next attempt of that subject tells. */
const WAITING_MAX = 10_000;

/** What became of a denied attempt. */
export interface RecordedAttempt {
  /** Undefined when it is past its budget: counted, durably, and told in a sum. */
  readonly entryId?: Uuid;
  /** The session behind it has used up its budget and is over: the issuer mints no token for it any more. */
  readonly sessionOver: boolean;
}

export interface AttemptRecorder {
  /**
   * Durable and on its way to be seen when it resolves: the entry, or past the budget its count, is committed, and the log
   * is running. While the log is not, the evidence is committed all the same and this rejects with `audit_log_down`; when
   * the database is away, with the driver's error. Either way the answer must be 503.
   */
  record(context: TenantContext, input: AuditInput): Promise<RecordedAttempt>;
}

/** The recorder of a process, which tells what it has counted before it stops. */
export interface TellingRecorder extends AttemptRecorder {
  /** Writes at once what is only counted so far. */
  flush(): Promise<void>;
}

export interface AttemptRecorderOptions {
  readonly record?: RecordAudit;
  readonly clock?: Clock;
  /** Whose process this is; sums are written in its name. */
  readonly service?: ServiceName;
  /** Told when a sum could not be written; it stays counted and is told with the next. */
  readonly onFailure?: (error: unknown) => void;
}

const kindOf = (input: AuditInput): BudgetKind => (input.type === ATTEMPT_REFUSED ? 'walls' : 'rules');

/**
 * The entry that stands for `count` attempts of which only the newest is known. The process says so, in its own name: by
 * the time of the telling the token of the person may be over, and an entry under a person's name needs a living one.
 */
function sumOf(input: AuditInput, count: number, service: ServiceName): AuditInput {
  const {
    actor,
    tokenHash: _tokenHash,
    stepUpHash: _stepUpHash,
    disclosures: _disclosures,
    personal: _personal,
    ...rest
  } = input;
  const who: Record<string, string> =
    'personId' in actor
      ? {
          person: actor.personId,
          ...(actor.sessionId === undefined ? {} : { session: actor.sessionId }),
          ...(actor.agents?.length ? { handedTo: actor.agents.at(-1)! } : {}),
        }
      : {};
  return { ...rest, actor: { service }, public: { ...input.public, ...who, count } };
}

interface Waiting {
  readonly context: TenantContext;
  readonly budget: Budget;
  input: AuditInput;
  readonly timer: NodeJS.Timeout;
}

/**
 * Denied and failed attempts get a connection and a transaction of their own: in the transaction that fails, the
 * rollback would delete the evidence. Commit comes first, then the sequencer's sign and publish, as for every entry: an
 * entry and its place in the queue commit together, so that an answer given after the commit cannot outlive its record.
 */
export function attemptRecorder(door: TenantDoor, options: AttemptRecorderOptions = {}): TellingRecorder {
  const { record = recordAudit, clock = systemClock, service = 'workspace', onFailure = () => undefined } = options;
  const guarded = withGuardErrors(door);
  const waiting = new Map<string, Waiting>();

  const tell = async (tx: ScopedTransaction, row: BudgetRow, { budget, input }: Pick<Waiting, 'budget' | 'input'>) => {
    const count = Number(row.over) - Number(row.told);
    if (count === 0) return;
    await record(tx, sumOf(input, count, service));
    await tx.query(markTold(tx.context.tenantId, budget, new Date(clock.nowMs())));
  };
  const tellNow = async (key: string): Promise<void> => {
    const one = waiting.get(key);
    if (one === undefined) return;
    waiting.delete(key);
    clearTimeout(one.timer);
    await guarded.transaction(one.context, async (tx) => {
      const [row] = await tx.query(readBudget(one.context.tenantId, one.budget));
      if (row !== undefined) await tell(tx, row, one);
    });
  };
  /** What is counted now is told soon, whether or not another attempt follows. */
  const remember = (context: TenantContext, budget: Budget, input: AuditInput): void => {
    const key = `${context.tenantId} ${budget.subject} ${budget.kind}`;
    const known = waiting.get(key);
    if (known !== undefined) {
      known.input = input;
      return;
    }
    if (waiting.size >= WAITING_MAX) return;
    const timer = setTimeout(() => void tellNow(key).catch(onFailure), TELL_EVERY_MS);
    timer.unref();
    waiting.set(key, { context, budget, input, timer });
  };

  return {
    record: async (context, input) => {
      const now_ms = clock.nowMs();
      const budget = budgetOf(input, kindOf(input), now_ms);
      const outcome: RecordedAttempt & { seen: boolean; later: boolean } = await guarded.transaction(
        context,
        async (tx) => {
          const [row] = await tx.query(countAttempt(context.tenantId, budget, new Date(now_ms)));
          const { single, told_at, recorded, log_running: seen } = row!; // an upsert returns its row
          const facts = { sessionOver: budget.ends && recorded >= budget.max, seen, later: false };
          if (single) return { ...facts, entryId: (await record(tx, input)).entryId };
          if (told_at !== null && now_ms - told_at.getTime() < TELL_EVERY_MS) return { ...facts, later: true };
          await tell(tx, row!, { budget, input });
          return facts;
        },
      );
      const { later, seen, ...recorded } = outcome;
      if (later) remember(context, budget, input);
      if (!seen) throw new AppError<AuditCode>('audit_log_down', 'the denial is written, and nobody sees it yet');
      return recorded;
    },
    flush: async () => {
      for (const key of waiting.keys()) await tellNow(key).catch(onFailure);
    },
  };
}
