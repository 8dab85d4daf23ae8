import type { Uuid } from '@auditrax/base';
import type { Statement } from './context.ts';
import { TenancyError } from './errors.ts';
import type { PipelineResult, Step } from './pipeline.ts';
import type { ConnectionPool } from './pool.ts';

/** One way to a tenant's rows. */
export interface Route {
  readonly pool: ConnectionPool;
  /** Of the place it leads to; the database refuses a transaction of an older one (AX005). 0: never placed. */
  readonly version: number;
  /** The statement as it is sent there. Throws TenancyError when it cannot be. */
  step(statement: Statement): Step;
}

/** Knows the way for each tenant. */
export interface Router {
  /** At once where the place is known. */
  of(tenantId: Uuid): Route | Promise<Route>;
  /** After the first statement on `route` failed with `error`: the way to where the tenant is now, when it has moved. */
  again(tenantId: Uuid, route: Route, error: TenancyError): Promise<Route | undefined>;
}

/** The way that one piece of work goes, and the statements that travel before its first one. */
export interface Path {
  first(): Route | Promise<Route>;
  again(route: Route, error: TenancyError): Promise<Route | undefined>;
  opening(route: Route): readonly Step[];
}

const asWritten = (statement: Statement): Step => ({ text: statement.sql, values: statement.parameters });

/** Everything lies in one place, which never changes. */
export function fixedRouter(pool: ConnectionPool): Router {
  const route: Route = { pool, version: 0, step: asWritten };
  return { of: () => route, again: () => Promise.resolve(undefined) };
}

/** A path without a tenant: the global tables of one database. */
export function fixedPath(pool: ConnectionPool): Path {
  const router = fixedRouter(pool);
  const [of, nobody] = [router.of, '' as Uuid];
  return { first: () => of(nobody), again: () => Promise.resolve(undefined), opening: () => [] };
}

/** A transaction that first asks whether the tenant is still here, and which knows no scope. */
export function presentPath(router: Router, tenantId: Uuid): Path {
  return {
    first: () => router.of(tenantId),
    again: (route, error) => router.again(tenantId, route, error),
    opening: (route) => [{ text: 'select app.present($1, $2)', values: [tenantId, route.version] }],
  };
}

/**
 * One statement in one round trip with what comes before it. A place that is no longer the tenant's is noticed before
 * the statement runs; then it is sent once more, to where the tenant is now. Throws TenancyError.
 */
export async function runOnce(path: Path, statement: Statement): Promise<PipelineResult> {
  const first = path.first();
  const route = first instanceof Promise ? await first : first;
  let isSent = false;
  const send = async (way: Route): Promise<PipelineResult> => {
    const steps = [...path.opening(way), way.step(statement)];
    const leased = way.pool.lease();
    const lease = leased instanceof Promise ? await leased : leased;
    isSent = true;
    try {
      return await lease.run(steps);
    } finally {
      lease.release();
    }
  };
  try {
    return await send(route);
  } catch (error) {
    // A connection that was lost under way may have done its work: nobody may do it a second time.
    if (!(error instanceof TenancyError) || (isSent && error.code === 'database_unavailable')) throw error;
    const other = await path.again(route, error);
    if (other === undefined) throw error;
    return await send(other);
  }
}
