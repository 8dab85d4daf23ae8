import type { Uuid } from '@auditrax/base';
import type { Demands } from './analysis.ts';
import type { Statement } from './context.ts';
import { TenancyError } from './errors.ts';
import { decide, type Decision } from './guard.ts';
import { recordRefusal, type RefusalSink } from './refusal.ts';
import { runOnce, type Path } from './route.ts';
import { inTransaction } from './transaction.ts';

/** Global tables by name; never a tenant's rows. */
export interface SystemDoor {
  system<Row>(statement: Statement<Row>): Promise<Row[]>;
  transaction<T>(work: (tx: SystemTransaction) => Promise<T>): Promise<T>;
}

/** A database of its own. */
export interface Cell {
  readonly cell: string;
  /** Where it stands. */
  readonly region: string;
}

/** The system door of one cell. */
export interface CellDoor extends Cell {
  readonly system: SystemDoor;
}

/** Home's global tables, and those of other cells. */
export interface PlacedSystemDoor extends SystemDoor {
  /**
   * The global tables where this tenant lives. Each transaction is refused there when the tenant has moved, and begins
   * anew where it is now.
   */
  at(tenantId: Uuid): SystemDoor;
  /** One door for each cell, home first: to look for what may be anywhere. */
  everywhere(): readonly CellDoor[];
}

export interface SystemTransaction {
  query<Row>(statement: Statement<Row>): Promise<Row[]>;
}

export interface SystemDoorOptions {
  /** The way to the database whose tables these are. */
  readonly path: Path;
  readonly sink: RefusalSink;
  readonly demands: Demands;
}

/** What the door asks of a statement. `tables`: `schema.table` of every table this process may name here. */
export function systemDemands(tables: readonly string[], functions: ReadonlySet<string>): Demands {
  return { tables: new Set(tables), functions };
}

/**
 * Decides whether a statement may pass the system door: the same grammar as at the tenant door, and every relation on
 * the list. Keep `demands` between calls; the decisions are cached with it.
 */
export function checkSystemStatement(text: string, demands: Demands): Decision {
  return decide(text, demands);
}

export function makeSystemDoor({ path, sink, demands }: SystemDoorOptions): SystemDoor {
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
      return (await runOnce(path, statement)).rows as Row[];
    } catch (error) {
      if (!(error instanceof TenancyError)) throw error;
      throw await refused(error, statement);
    }
  };

  const transaction = <T>(work: (tx: SystemTransaction) => Promise<T>): Promise<T> =>
    inTransaction(path, (runner) => {
      const query = async <Row>(statement: Statement<Row>): Promise<Row[]> => {
        const denial = verdict(statement);
        if (denial !== undefined) {
          await runner.abandon(denial);
          throw await refused(denial, statement);
        }
        try {
          return (await runner.run((route) => route.step(statement))).rows as Row[];
        } catch (error) {
          if (!(error instanceof TenancyError)) throw error;
          throw await refused(error, statement);
        }
      };
      return work({ query });
    });

  return { system, transaction };
}
