import type { TenantContext, Statement } from './context.ts';
import { TenancyError } from './errors.ts';
import { checkParameters, checkStatement } from './guard.ts';
import type { Step } from './pipeline.ts';
import type { ConnectionPool } from './pool.ts';
import { recordRefusal, type RefusalSink } from './refusal.ts';
import { inTransaction } from './transaction.ts';

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
}

export interface ScopedTransaction {
  readonly context: TenantContext;
  query<Row>(statement: Statement<Row>): Promise<Row[]>;
}

export interface TenantDoorOptions {
  readonly pool: ConnectionPool;
  readonly sink: RefusalSink;
  /** Schema-qualified functions that statements may call. */
  readonly functions: ReadonlySet<string>;
}

/** The scope step: the only way to tell the database whose rows may be touched, once per transaction. */
export function enterStep(context: TenantContext): Step {
  return { text: 'select app.enter($1)', values: [context.tenantId] };
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

export function makeTenantDoor({ pool, sink, functions }: TenantDoorOptions): TenantDoor {
  const refused = (error: TenancyError, context: TenantContext, statement: Statement): Promise<TenancyError> =>
    recordRefusal(error, { door: 'tenant', text: statement.sql, context }, sink);

  const scoped = async <Row>(context: TenantContext, statement: Statement<Row>): Promise<Row[]> => {
    const denial = verdict(context, statement, functions);
    if (denial !== undefined) throw await refused(denial, context, statement);
    try {
      const result = await pool.run([enterStep(context), { text: statement.sql, values: statement.parameters }]);
      return result.rows as Row[];
    } catch (error) {
      if (!(error instanceof TenancyError)) throw error;
      throw await refused(error, context, statement);
    }
  };

  const run = <T>(context: TenantContext, work: (tx: ScopedTransaction) => Promise<T>): Promise<T> =>
    inTransaction(pool, [enterStep(context)], (runner) => {
      const query = async <Row>(statement: Statement<Row>): Promise<Row[]> => {
        const denial = verdict(context, statement, functions);
        if (denial !== undefined) {
          await runner.abandon(denial);
          throw await refused(denial, context, statement);
        }
        try {
          const result = await runner.run({ text: statement.sql, values: statement.parameters });
          return result.rows as Row[];
        } catch (error) {
          if (!(error instanceof TenancyError)) throw error;
          throw await refused(error, context, statement);
        }
      };
      return work({ context, query });
    });

  const transaction = async <T>(context: TenantContext, work: (tx: ScopedTransaction) => Promise<T>): Promise<T> => {
    try {
      return await run(context, work);
    } catch (error) {
      // Deferred checks speak at the commit only.
      throw error instanceof TenancyError ? await refused(error, context, COMMIT_STATEMENT) : error;
    }
  };

  return { scoped, transaction };
}
