import { TenancyError, toTenancyError } from './errors.ts';
import type { PipelineResult, Step } from './pipeline.ts';
import type { Lease } from './pool.ts';
import type { Path, Route } from './route.ts';

const BEGIN: Step = { text: 'begin', values: [] };
const COMMIT: Step = { text: 'commit', values: [] };
/** One for all: a stack for every successful commit costs more than its bookkeeping. */
const COMMITTED = new TenancyError('tenant_transaction_ended', 'the transaction is committed');
const ROLLBACK: Step = { text: 'rollback', values: [] };

/** A statement as it is sent along the way that the transaction takes. */
export type MakeStep = (route: Route) => Step;

/** Sends statements of one transaction, in the order of the calls. */
export interface TransactionRunner {
  run(make: MakeStep): Promise<PipelineResult>;
  /** Keeps it for the round trip of the next statement or of the COMMIT, and fails with that. */
  defer(make: MakeStep): Promise<void>;
  /** Ends the transaction at once and frees its connection; later statements are refused. */
  abandon(reason: TenancyError): Promise<void>;
  /** Runs `work` once the server has answered the COMMIT, or when that answer is lost; never after a rollback. */
  afterCommit(work: AfterCommit): void;
}

/**
 * What is done when a transaction is through. `unknown`: the connection was lost with the COMMIT on it, so that it may
 * have taken place; for what does no harm when it has not. Must not throw: the transaction cannot fail any more.
 */
export type AfterCommit = (outcome: 'committed' | 'unknown') => void;

export interface OpenTransaction extends TransactionRunner {
  /** Throws what failed first; a transaction without a statement has nothing to commit. */
  commit(): Promise<void>;
}

/**
 * A transaction that begins with its first statement: what comes before it on `path` (the scope step) travels with BEGIN
 * in the same round trip. When the place turns out to be an old one, nothing has been done there yet, and the
 * transaction begins anew where the tenant is now. Any failed statement fails the whole transaction.
 */
export function openTransaction(path: Path): OpenTransaction {
  const state: State = {
    path,
    route: undefined,
    lease: undefined,
    stage: 'new',
    deferred: [],
    failure: undefined,
    tail: Promise.resolve(),
    afterwards: [],
  };
  return {
    run: (make) => enqueue(state, () => runStep(state, make)),
    defer: (make) => enqueue(state, () => deferStep(state, make)),
    abandon: (reason) => enqueue(state, () => end(state, reason)),
    afterCommit: (work) => {
      requireOpen(state);
      state.afterwards.push(work);
    },
    commit: () => enqueue(state, () => commit(state)),
  };
}

/**
 * Runs `work` in one transaction. A failed statement fails it also when `work` swallows its error: PostgreSQL would
 * answer such a COMMIT with a silent ROLLBACK. Throws what failed first.
 */
export async function inTransaction<T>(path: Path, work: (runner: TransactionRunner) => Promise<T>): Promise<T> {
  const transaction = openTransaction(path);
  let result: T;
  try {
    result = await work(transaction);
  } catch (error) {
    await transaction.abandon(new TenancyError('tenant_transaction_ended', 'the transaction was given up'));
    throw error;
  }
  await transaction.commit();
  return result;
}

interface State {
  readonly path: Path;
  route: Route | undefined;
  lease: Lease | undefined;
  /** `answered`: a statement has been carried out, so it cannot begin anew elsewhere. */
  stage: 'new' | 'begun' | 'answered';
  /** In their order; only ever of a transaction that has been answered, so they never begin anew elsewhere. */
  deferred: readonly Step[];
  failure: TenancyError | undefined;
  tail: Promise<unknown>;
  readonly afterwards: AfterCommit[];
}

/** One statement at a time: two at once on a connection would mix their answers. */
function enqueue<T>(state: State, task: () => Promise<T>): Promise<T> {
  const next = state.tail.then(task, task);
  state.tail = next.catch(() => undefined);
  return next;
}

function requireOpen(state: State): void {
  if (state.failure === undefined) return;
  throw new TenancyError('tenant_transaction_ended', 'the transaction is over', { cause: state.failure });
}

async function deferStep(state: State, make: MakeStep): Promise<void> {
  requireOpen(state);
  if (state.stage === 'answered') state.deferred = [...state.deferred, make(state.route!)];
  else await runStep(state, make);
}

async function runStep(state: State, make: MakeStep): Promise<PipelineResult> {
  requireOpen(state);
  try {
    state.route ??= await state.path.first();
    return await send(state, make);
  } catch (error) {
    const caught = error instanceof TypeError || error instanceof RangeError ? undefined : toTenancyError(error);
    const other = caught === undefined ? undefined : await elsewhere(state, caught);
    if (other !== undefined) return await sendElsewhere(state, other, make);
    await end(state, caught ?? new TenancyError('tenant_transaction_ended', 'a value could not be sent'));
    throw caught ?? error;
  }
}

async function send(state: State, make: MakeStep): Promise<PipelineResult> {
  const route = state.route!;
  const step = make(route);
  state.lease ??= await route.pool.lease();
  const before = state.stage === 'new' ? [BEGIN, ...state.path.opening(route)] : state.deferred;
  state.stage = state.stage === 'new' ? 'begun' : state.stage;
  const result = await state.lease.run([...before, step]);
  state.stage = 'answered';
  state.deferred = [];
  return result;
}

/** Another way for a transaction of which nothing has been done. Its connection is free before anybody is asked. */
async function elsewhere(state: State, error: TenancyError): Promise<Route | undefined> {
  const { route } = state;
  if (state.stage === 'answered' || route === undefined) return undefined;
  await letGo(state);
  return state.path.again(route, error);
}

async function sendElsewhere(state: State, route: Route, make: MakeStep): Promise<PipelineResult> {
  state.route = route;
  state.stage = 'new';
  try {
    return await send(state, make);
  } catch (error) {
    const known = toTenancyError(error);
    await end(state, known);
    throw known;
  }
}

/** Rolls back and frees the connection at once: what records a refusal may need one from the same pool. */
async function end(state: State, reason: TenancyError): Promise<void> {
  state.failure ??= reason;
  await letGo(state);
}

async function letGo(state: State): Promise<void> {
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
  if (lease === undefined) return runAfterwards(state, 'committed'); // no statement, nothing to commit
  try {
    const { command } = await lease.run([...state.deferred, COMMIT]);
    if (command !== 'COMMIT')
      throw new TenancyError('database_failed', 'the transaction was rolled back at its commit');
    state.failure = COMMITTED;
    state.lease = undefined;
    lease.release();
  } catch (error) {
    // A deferred statement that failed has left its transaction open: the COMMIT behind it was never looked at.
    const known = toTenancyError(error);
    await end(state, known);
    if (known.code === 'database_unavailable') runAfterwards(state, 'unknown');
    throw state.failure;
  }
  runAfterwards(state, 'committed');
}

function runAfterwards(state: State, outcome: 'committed' | 'unknown'): void {
  for (const work of state.afterwards) work(outcome);
}
