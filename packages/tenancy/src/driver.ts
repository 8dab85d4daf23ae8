import type { Uuid } from '@auditrax/base';
import type { TenantContext, Statement } from './context.ts';
import { TenancyError } from './errors.ts';
import { checkParameters, checkStatement } from './guard.ts';
import type { Step } from './pipeline.ts';
import { recordRefusal, type RefusalSink } from './refusal.ts';
import { runOnce, type Path, type Route, type Router } from './route.ts';
import { streamRows, type StreamOptions } from './stream.ts';
import { inTransaction, type AfterCommit, type MakeStep, type TransactionRunner } from './transaction.ts';

/** Tenant rows, behind the tenant wall. There is no method without a tenant. */
export interface TenantDoor {
  /**
   * One statement for one tenant, in one round trip. Throws TenancyError; a refusal has been recorded before it is
   * thrown.
   */
  scoped<Row>(context: TenantContext, statement: Statement<Row>): Promise<Row[]>;
  /**
   * Several statements for one tenant, all or nothing. A statement that fails ends the transaction, whatever `work` does
   * with its error. `work` must not keep the transaction.
   */
  transaction<T>(context: TenantContext, work: (tx: ScopedTransaction) => Promise<T>): Promise<T>;
  /**
   * The rows of one SELECT in batches, for what is too much at once: one transaction, one scope, one snapshot. Whoever
   * leaves the loop ends it; whoever takes longer than 30 s over a batch gets `database_timeout`. Holds a connection
   * until then. Throws TenancyError at any batch; a refusal has been recorded by then.
   */
  stream<Row>(context: TenantContext, statement: Statement<Row>, options?: StreamOptions): AsyncIterable<Row[]>;
}

export interface ScopedTransaction {
  readonly context: TenantContext;
  query<Row>(statement: Statement<Row>): Promise<Row[]>;
  /**
   * A statement of which nobody needs the answer: it travels with the next one, or with the COMMIT, and saves a round trip.
   * Guarded at once. When the server refuses it, what it travelled with fails, and the transaction with it.
   */
  defer(statement: Statement): Promise<void>;
  /**
   * Runs `work` when the transaction is through, before its promise resolves; never after a rollback. For telling others
   * of what they must not learn of before it holds.
   */
  afterCommit(work: AfterCommit): void;
}

export interface TenantDoorOptions {
  readonly router: Router;
  readonly sink: RefusalSink;
  /** Schema-qualified functions that statements may call. */
  readonly functions: ReadonlySet<string>;
}

/**
 * The scope step: the only way to tell the database whose rows may be touched, once per transaction. It also says which
 * version of the tenant's place we know; the database refuses an older one than its own.
 */
export function enterStep(context: TenantContext, route: Pick<Route, 'version'>): Step {
  return route.version === 0
    ? { text: 'select app.enter($1)', values: [context.tenantId] }
    : { text: 'select app.enter($1, $2)', values: [context.tenantId, route.version] };
}

/** The way of one tenant's statements, the scope step first. */
export function tenantPath(router: Router, context: TenantContext): Path {
  const tenantId: Uuid = context.tenantId;
  return {
    first: () => router.of(tenantId),
    again: (route, error) => router.again(tenantId, route, error),
    opening: (route) => [enterStep(context, route)],
  };
}

const COMMIT_STATEMENT: Statement = { sql: 'commit', parameters: [] };

/** The guard's verdict on a statement with its values; undefined when it may pass. */
function verdict(
  context: TenantContext,
  statement: Statement,
  functions: ReadonlySet<string>,
): TenancyError | undefined {
  const decision = checkStatement(statement.sql, functions);
  if (!decision.allowed) {
    const message = `the statement is refused (${decision.reason}: ${decision.subject})`;
    return new TenancyError('tenant_statement_refused', message, { reason: decision.reason });
  }
  if (!checkParameters(decision, statement.parameters, context.tenantId)) {
    const message = 'a tenant parameter is not the tenant of the context';
    return new TenancyError('tenant_foreign_parameter', message, { reason: 'foreign_parameter' });
  }
  return undefined;
}

export function makeTenantDoor({ router, sink, functions }: TenantDoorOptions): TenantDoor {
  const refused = (error: TenancyError, context: TenantContext, statement: Statement): Promise<TenancyError> =>
    recordRefusal(error, { door: 'tenant', text: statement.sql, context }, sink);

  const scoped = async <Row>(context: TenantContext, statement: Statement<Row>): Promise<Row[]> => {
    const denial = verdict(context, statement, functions);
    if (denial !== undefined) throw await refused(denial, context, statement);
    try {
      return (await runOnce(tenantPath(router, context), statement)).rows as Row[];
    } catch (error) {
      if (!(error instanceof TenancyError)) throw error;
      throw await refused(error, context, statement);
    }
  };

  /** Hands a statement that the guard lets pass to the runner; every refusal is recorded and ends the transaction. */
  const within =
    (context: TenantContext, runner: TransactionRunner) =>
    async <T>(statement: Statement, hand: (make: MakeStep) => Promise<T>): Promise<T> => {
      const denial = verdict(context, statement, functions);
      if (denial !== undefined) {
        await runner.abandon(denial);
        throw await refused(denial, context, statement);
      }
      try {
        return await hand((route) => route.step(statement));
      } catch (error) {
        if (!(error instanceof TenancyError)) throw error;
        throw await refused(error, context, statement);
      }
    };

  const transaction = async <T>(context: TenantContext, work: (tx: ScopedTransaction) => Promise<T>): Promise<T> => {
    try {
      return await inTransaction(tenantPath(router, context), (runner) => {
        const pass = within(context, runner);
        return work({
          context,
          query: async <Row>(statement: Statement<Row>) => (await pass(statement, runner.run)).rows as Row[],
          defer: (statement) => pass(statement, runner.defer),
          afterCommit: runner.afterCommit,
        });
      });
    } catch (error) {
      // Deferred checks speak at the commit only.
      throw error instanceof TenancyError ? await refused(error, context, COMMIT_STATEMENT) : error;
    }
  };

  async function* stream<Row>(
    context: TenantContext,
    statement: Statement<Row>,
    options?: StreamOptions,
  ): AsyncGenerator<Row[], void, undefined> {
    const denial = verdict(context, statement, functions);
    if (denial !== undefined) throw await refused(denial, context, statement);
    try {
      yield* streamRows(tenantPath(router, context), statement, options);
    } catch (error) {
      throw error instanceof TenancyError ? await refused(error, context, statement) : error;
    }
  }

  return { scoped, transaction, stream };
}
