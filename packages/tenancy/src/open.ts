import type { Clock } from '@auditrax/base';
import { makeTenantDoor, type TenantDoor } from './driver.ts';
import { openPool, type Connection } from './pool.ts';
import { checkPosture, type Finding, type PostureExpectations } from './posture.ts';
import type { Refusal } from './refusal.ts';
import { fixedPath, fixedRouter, presentPath, type Path } from './route.ts';
import { makeSystemDoor, systemDemands, type PlacedSystemDoor, type SystemDoor } from './system.ts';

export interface DatabaseOptions {
  /** Of this process's own login role. */
  readonly connection: Connection;
  /** Connections held at most. */
  readonly poolSize: number;
  readonly clock: Clock;
  /** Records a refused statement; must resolve only when the record is durable. The caller's error waits for it. */
  readonly onRefusal: (event: Refusal) => Promise<void>;
  /** `schema.table` of the global tables this process may use at the system door. */
  readonly systemTables: readonly string[];
  /** Schema-qualified functions that statements may call at either door. */
  readonly functions?: readonly string[];
}

export interface Database {
  readonly tenant: TenantDoor;
  readonly system: PlacedSystemDoor;
  /** A round trip. Throws `database_unavailable`. */
  ping(): Promise<void>;
  /** Reads the catalogue and says what is not as it must be; empty means green. */
  posture(expectations: PostureExpectations): Promise<Finding[]>;
  /** Waits for connections in use. */
  close(): Promise<void>;
}

/** Name of the one database where there are no others. */
const ONLY_CELL = 'home';

/** Opens both doors over one pool; nothing is connected before the first statement. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = openPool(options.connection, options.poolSize);
  const sink = { nowMs: () => options.clock.nowMs(), onRefusal: options.onRefusal };
  const functions: ReadonlySet<string> = new Set(options.functions ?? []);
  const router = fixedRouter(pool);
  const demands = systemDemands(options.systemTables, functions);
  const doorOf = (path: Path): SystemDoor => makeSystemDoor({ path, sink, demands });
  const system = doorOf(fixedPath(pool));
  return {
    tenant: makeTenantDoor({ router, sink, functions }),
    system: {
      ...system,
      at: (tenantId) => doorOf(presentPath(router, tenantId)),
      everywhere: () => [{ cell: ONLY_CELL, region: ONLY_CELL, system }],
    },
    ping: async () => {
      await pool.run([{ text: 'select 1', values: [] }]);
    },
    posture: (expectations) =>
      checkPosture(async (text, values) => (await pool.run([{ text, values }])).rows, expectations),
    close: () => pool.close(),
  };
}
