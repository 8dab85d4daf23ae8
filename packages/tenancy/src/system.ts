import type { Demands } from './analysis.ts';
import type { Statement } from './context.ts';
import { TenancyError } from './errors.ts';
import { decide, type Decision } from './guard.ts';
import type { ConnectionPool } from './pool.ts';
import { recordRefusal, type RefusalSink } from './refusal.ts';
import { inTransaction } from './transaction.ts';

/** Global tables by name; never a tenant's rows. */
export interface SystemDoor {
  system<Row>(statement: Statement<Row>): Promise<Row[]>;
  transaction<T>(work: (tx: SystemTransaction) => Promise<T>): Promise<T>;
}

export interface SystemTransaction {
  query<Row>(statement: Statement<Row>): Promise<Row[]>;
}

export interface SystemDoorOptions {
  readonly pool: ConnectionPool;
  readonly sink: RefusalSink;
  /** `schema.table` of every table this process may name at this door. */
  readonly tables: readonly string[];
  readonly functions: ReadonlySet<string>;
}

/**
 * Decides whether a statement may pass the system door: the same grammar as at the tenant door, and every relation on
 * the list. Keep `demands` between calls; the decisions are cached with it.
 */
export function checkSystemStatement(text: string, demands: Demands): Decision {
  return decide(text, demands);
}

export function makeSystemDoor({ pool, sink, tables, functions }: SystemDoorOptions): SystemDoor {
  const demands: Demands = { tables: new Set(tables), functions };

  const verdict = (statement: Statement): TenancyError | undefined => {
    const decision = checkSystemStatement(statement.sql, demands);
    if (decision.allowed) return undefined;
    const message = `the statement is refused (${decision.reason}: ${decision.subject})`;
    return new TenancyError('tenant_statement_refused', message, { reason: decision.reason });
  };
  const refused = (error: TenancyError, statement: Statement): Promise<TenancyError> =>
    recordRefusal(error, { door: 'system', text: statement.sql }, sink);

  const system = async <Row>(statement: Statement<Row>): Promise<Row[]> => {
    const denial = verdict(statement);
    if (denial !== undefined) throw await refused(denial, statement);
    try {
      return (await pool.run([{ text: statement.sql, values: statement.parameters }])).rows as Row[];
    } catch (error) {
      if (!(error instanceof TenancyError)) throw error;
      throw await refused(error, statement);
    }
  };

  const transaction = <T>(work: (tx: SystemTransaction) => Promise<T>): Promise<T> =>
    inTransaction(pool, [], (runner) => {
      const query = async <Row>(statement: Statement<Row>): Promise<Row[]> => {
        const denial = verdict(statement);
        if (denial !== undefined) {
          await runner.abandon(denial);
          throw await refused(denial, statement);
        }
        try {
          return (await runner.run({ text: statement.sql, values: statement.parameters })).rows as Row[];
        } catch (error) {
          if (!(error instanceof TenancyError)) throw error;
          throw await refused(error, statement);
        }
      };
      return work({ query });
    });

  return { system, transaction };
}
