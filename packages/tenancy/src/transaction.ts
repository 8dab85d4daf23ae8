import { TenancyError, toTenancyError } from './errors.ts';
import type { PipelineResult, Step } from './pipeline.ts';
import type { ConnectionPool, Lease } from './pool.ts';

const BEGIN: Step = { text: 'begin', values: [] };
const COMMIT: Step = { text: 'commit', values: [] };
/** One for all: a stack for every successful commit costs more than its bookkeeping. */
const COMMITTED = new TenancyError('tenant_transaction_ended', 'the transaction is committed');
const ROLLBACK: Step = { text: 'rollback', values: [] };

/** Sends statements of one transaction, in the order of the calls. */
export interface TransactionRunner {
  run(step: Step): Promise<PipelineResult>;
  /** Ends the transaction at once and frees its connection; later statements are refused. */
  abandon(reason: TenancyError): Promise<void>;
}

/**
 * Runs `work` in one transaction. `opening` (the scope step) travels with BEGIN and the first statement in one round
 * trip. Any failed statement fails the whole transaction, also when `work` swallows its error: PostgreSQL would answer
 * such a COMMIT with a silent ROLLBACK. Throws what failed first.
 */
export async function inTransaction<T>(
  pool: ConnectionPool,
  opening: readonly Step[],
  work: (runner: TransactionRunner) => Promise<T>,
): Promise<T> {
  const state: State = { pool, opening, lease: undefined, begun: false, failure: undefined, tail: Promise.resolve() };
  const runner: TransactionRunner = {
    run: (step) => enqueue(state, () => runStep(state, step)),
    abandon: (reason) => enqueue(state, () => end(state, reason)),
  };
  let result: T;
  try {
    result = await work(runner);
  } catch (error) {
    await enqueue(state, () =>
      end(state, new TenancyError('tenant_transaction_ended', 'the transaction was given up')),
    );
    throw error;
  }
  await enqueue(state, () => commit(state));
  return result;
}

interface State {
  readonly pool: ConnectionPool;
  readonly opening: readonly Step[];
  lease: Lease | undefined;
  begun: boolean;
  failure: TenancyError | undefined;
  tail: Promise<unknown>;
}

/** One statement at a time: two at once on a connection would mix their answers. */
function enqueue<T>(state: State, task: () => Promise<T>): Promise<T> {
  const next = state.tail.then(task, task);
  state.tail = next.catch(() => undefined);
  return next;
}

async function runStep(state: State, step: Step): Promise<PipelineResult> {
  if (state.failure !== undefined) {
    throw new TenancyError('tenant_transaction_ended', 'the transaction is over', { cause: state.failure });
  }
  try {
    state.lease ??= await state.pool.lease();
    const steps = state.begun ? [step] : [BEGIN, ...state.opening, step];
    state.begun = true;
    return await state.lease.run(steps);
  } catch (error) {
    const known = error instanceof TypeError || error instanceof RangeError ? undefined : toTenancyError(error);
    await end(state, known ?? new TenancyError('tenant_transaction_ended', 'a value could not be sent'));
    throw known ?? error;
  }
}

/** Rolls back and frees the connection at once: what records a refusal may need one from the same pool. */
async function end(state: State, reason: TenancyError): Promise<void> {
  state.failure ??= reason;
  const lease = state.lease;
  state.lease = undefined;
  if (lease === undefined) return;
  try {
    await lease.run([ROLLBACK]);
    lease.release();
  } catch {
    lease.release(true); // the server rolls back what a lost connection had begun
  }
}

async function commit(state: State): Promise<void> {
  if (state.failure !== undefined) throw state.failure;
  const lease = state.lease;
  if (lease === undefined) return; // no statement, nothing to commit
  try {
    const { command } = await lease.run([COMMIT]);
    if (command !== 'COMMIT')
      throw new TenancyError('database_failed', 'the transaction was rolled back at its commit');
    state.failure = COMMITTED;
    lease.release();
  } catch (error) {
    state.failure = toTenancyError(error);
    lease.release(state.failure.code === 'database_unavailable');
    throw state.failure;
  } finally {
    state.lease = undefined;
  }
}
