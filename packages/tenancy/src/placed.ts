import { setTimeout as sleep } from 'node:timers/promises';
import { makeTenantDoor } from './driver.ts';
import { SQLSTATE_MOVED, TenancyError } from './errors.ts';
import { checkStatement } from './guard.ts';
import type { Database, DatabaseOptions } from './open.ts';
import { openPlaceBook, type Place, type PlaceSource } from './place.ts';
import { placeText, SHARED_SCHEMA } from './placing.ts';
import { openPool, type ConnectionPool } from './pool.ts';
import { openPoolBook, type ConnectionSource, type PoolBook, type PoolLimits } from './pool-book.ts';
import { checkPosture } from './posture.ts';
import { fixedPath, presentPath, type Path, type Route, type Router } from './route.ts';
import { makeSystemDoor, systemDemands, type Cell, type SystemDoor } from './system.ts';

export interface PlacedDatabaseOptions extends DatabaseOptions {
  /** Name of the cell that `connection` leads to. Its pool stays open; tenants without a place are there. */
  readonly home: string;
  /** Where each tenant lives; asked once a tenant and then rarely. May use the system door that this opens. */
  readonly placeOf: PlaceSource;
  /** Every cell, home first; asked whenever all are wanted. */
  readonly cells: () => readonly Cell[];
  readonly connectionOf: ConnectionSource;
  /** Who this process logs in as where a tenant lives: the place's own role, or the process's. */
  readonly roleAt: (place: Place) => string;
  /** Bounds of the pools beside home's. */
  readonly limits?: PoolLimits;
}

/** After a move the place is known everywhere within milliseconds; a request waits this long at most. */
const SWITCH_LOOKS_MAX = 10;
const SWITCH_LOOK_MS = 100;

/** What a place that is no longer there answers: no such table, schema or database, or no right to it. */
const GONE_STATES: ReadonlySet<string> = new Set(['42P01', '3F000', '3D000', '42501', 'AX004']);

/** A shared place does not vanish: only the database's own word counts there, and an outage asks no questions. */
function mayHaveMoved(error: TenancyError, place: Place): boolean {
  if (error.code === 'tenant_moved') return true;
  return place.version > 0 && (error.code === 'database_unavailable' || GONE_STATES.has(error.sqlState ?? ''));
}

/**
 * Opens both doors over every cell: each statement goes to its tenant's database and schema as the role that is made for
 * it. Nothing is connected before the first statement; a tenant in the shared tables costs a look-up in memory.
 */
export function openPlacedDatabase(options: PlacedDatabaseOptions): Database {
  const home = openPool(options.connection, options.poolSize);
  const pools = openPoolBook(options.connectionOf, options.limits);
  const functions: ReadonlySet<string> = new Set(options.functions ?? []);
  const sink = { nowMs: () => options.clock.nowMs(), onRefusal: options.onRefusal };
  const demands = systemDemands(options.systemTables, functions);
  const poolOf = (cell: string, role: string): ConnectionPool =>
    cell === options.home && role === options.connection.user ? home : pools.pool(cell, role);
  const router = openRouter(options, poolOf, functions);
  const doorOf = (path: Path): SystemDoor => makeSystemDoor({ path, sink, demands });
  return {
    tenant: makeTenantDoor({ router, sink, functions }),
    system: {
      ...doorOf(fixedPath(home)),
      at: (tenantId) => doorOf(presentPath(router, tenantId)),
      everywhere: () =>
        options
          .cells()
          .map((cell) => ({ ...cell, system: doorOf(fixedPath(poolOf(cell.cell, options.connection.user))) })),
    },
    ping: async () => {
      await home.run([{ text: 'select 1', values: [] }]);
    },
    posture: (expectations) =>
      checkPosture(async (text, values) => (await home.run([{ text, values }])).rows, expectations),
    close: () => closeAll(home, pools),
  };
}

async function closeAll(home: ConnectionPool, pools: PoolBook): Promise<void> {
  await Promise.all([home.close(), pools.close()]);
}

interface PlacedRoute extends Route {
  readonly place: Place;
}

function openRouter(
  options: PlacedDatabaseOptions,
  poolOf: (cell: string, role: string) => ConnectionPool,
  functions: ReadonlySet<string>,
): Router {
  const book = openPlaceBook(options.placeOf, options.clock);
  const routes = new WeakMap<Place, PlacedRoute>();
  const routeTo = (place: Place): PlacedRoute => {
    let route = routes.get(place);
    if (route === undefined) {
      const pool = poolOf(place.cell, options.roleAt(place));
      routes.set(place, (route = { place, pool, version: place.version, step: stepFor(place.schema, functions) }));
    }
    return route;
  };
  return {
    of: (tenantId) => {
      const place = book.of(tenantId);
      return place instanceof Promise ? place.then(routeTo) : routeTo(place);
    },
    again: async (tenantId, route, error) => {
      const { place } = route as PlacedRoute;
      if (!mayHaveMoved(error, place)) return undefined;
      // The old place knows first; between it and the new one's first answer lie milliseconds.
      const looks = error.sqlState === SQLSTATE_MOVED ? SWITCH_LOOKS_MAX : 1;
      for (let look = 1; look <= looks; look += 1) {
        const now = await book.ask(tenantId, place).catch(() => place);
        if (now.version > place.version) return routeTo(now);
        if (look < looks) await sleep(SWITCH_LOOK_MS);
      }
      return undefined;
    },
  };
}

function stepFor(schema: string, functions: ReadonlySet<string>): Route['step'] {
  if (schema === SHARED_SCHEMA) return (statement) => ({ text: statement.sql, values: statement.parameters });
  return (statement) => ({
    text: placeText(statement.sql, checkStatement(statement.sql, functions), schema),
    values: statement.parameters,
  });
}
