import { systemClock } from '@auditrax/base';
import { openPlacedDatabase, type TenantContext } from '@auditrax/tenancy';
import { Client } from 'pg';
import { asSuperuser, setBeat } from '../../../platform/audit/testing.ts';
import { relocate } from '../../../platform/db/relocation.ts';
import { startTestDatabase, type TestDatabase } from '../../../platform/db/testing.ts';
import { systemTables } from '../../identity/index.ts';
import type { OtherDatabases } from './seeded-issuer.ts';

/** The name of the other one. */
export const CELL = 'south/ax_0123456789abcdef';

/** The database of everybody and one in another region, and the real move (`relocate`) between the two. */
export interface TwoPlaces {
  readonly cell: TestDatabase;
  /** For a house that knows both; it keeps tenants at home until they are moved. */
  readonly databases: OtherDatabases;
  /** What the set-up process does, with the placement as `platform/db/moving.ts` writes it. */
  move(home: TestDatabase, context: TenantContext): Promise<void>;
  /** Rows of the tenant as a move that was cut off would leave them at home. */
  carryBack(home: TestDatabase, context: TenantContext, table: string): Promise<void>;
  /** How many rows the tenant has in each table. */
  rowsAt(
    database: TestDatabase,
    of: Pick<TenantContext, 'tenantId'>,
    tables: readonly string[],
  ): Promise<Record<string, number>>;
  stop(): Promise<void>;
}

export async function startTwoPlaces(): Promise<TwoPlaces> {
  const cell = await startTestDatabase();
  await setBeat(cell, 'running');
  return {
    cell,
    databases: { prepare: () => Promise.resolve(), open: (home) => openBoth(home, cell) },
    move: (home, context) => move({ home, cell }, context),
    carryBack: (home, context, table) => carryBack({ home, cell }, context, table),
    async rowsAt(database, { tenantId }, tables) {
      const counts: Record<string, number> = {};
      for (const table of tables) {
        const text = `select count(*)::int as n from ${table} where tenant_id = $1`;
        counts[table] = (await asSuperuser<{ n: number }>(database, text, [tenantId]))[0]!.n;
      }
      return counts;
    },
    stop: () => cell.stop(),
  };
}

interface Both {
  readonly home: TestDatabase;
  readonly cell: TestDatabase;
}

function openBoth(home: TestDatabase, cell: TestDatabase) {
  return openPlacedDatabase({
    connection: home.connectionFor('ax_issuer'),
    poolSize: 6,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: [...systemTables],
    home: 'home',
    placeOf: async (tenantId) => {
      const [row] = await asSuperuser<{ cell: string; version: number }>(
        home,
        'select cell, version from platform.placement where tenant_id = $1',
        [tenantId],
      );
      const { cell: name, version } = row ?? { cell: 'home', version: 0 };
      return { cell: name, region: 'any', schema: 'app', role: 'ax_issuer', version };
    },
    cells: () => [
      { cell: 'home', region: 'north' },
      { cell: CELL, region: 'south' },
    ],
    connectionOf: (name) => (name === CELL ? cell : home).connectionFor('ax_issuer'),
    roleAt: () => 'ax_issuer',
  });
}

async function move({ home, cell }: Both, { tenantId, tenantPart }: TenantContext): Promise<void> {
  const [tenant] = await asSuperuser<{ slug: string; display_name: string }>(
    home,
    'select slug, display_name from platform.tenant where id = $1',
    [tenantId],
  );
  await asSuperuser(
    cell,
    `insert into platform.tenant (id, part, kind, slug, display_name, tier) values ($1, $2, 'sample', $3, $4, 'enterprise')`,
    [tenantId, tenantPart, tenant!.slug, tenant!.display_name],
  );
  // No sequencer runs here: an empty queue and a signed head, as it would have left them.
  await asSuperuser(
    home,
    `with made as (insert into audit.log (tenant_id, generation, origin) values ($1, 1, 'log.example/1') returning tenant_id, generation),
       head as (insert into audit.log_head (tenant_id, generation, size, root) select tenant_id, generation, 5, sha256('') from made)
     insert into audit.checkpoint (tenant_id, generation, size, root, note) select tenant_id, generation, 5, sha256(''), 'n' from made`,
    [tenantId],
  );
  await asSuperuser(home, 'delete from audit.pending where tenant_id = $1', [tenantId]);
  await relocate({
    tenantId,
    source: { connection: home.connectionFor('superuser'), schema: 'app' },
    target: { connection: cell.connectionFor('superuser'), schema: 'app' },
    targetCell: CELL,
    sameDatabase: false,
    progress: () => Promise.resolve(),
    hold: () => Promise.resolve(),
    followed: () => Promise.resolve(),
    switchOver: async () => {
      await asSuperuser(
        home,
        `insert into platform.placement (tenant_id, kind, region, cell, role_name, state, version)
         values ($1, 'database', 'south', $2, 'ax_t_0123456789abcdef', 'active', 1)`,
        [tenantId, CELL],
      );
    },
  });
}

async function carryBack({ home, cell }: Both, { tenantId }: TenantContext, table: string): Promise<void> {
  const [from, to] = [cell, home].map((one) => new Client(one.connectionFor('superuser')));
  await Promise.all([from!.connect(), to!.connect()]);
  try {
    const { rows } = await from!.query<Record<string, unknown>>(`select * from ${table} where tenant_id = $1`, [
      tenantId,
    ]);
    const columns = await from!.query<{ name: string }>(
      `select attname::text as name from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
      [table],
    );
    const written = columns.rows.map(({ name }) => name);
    // As the move itself writes: without the guards, which have seen these rows where they were made.
    await to!.query('set session_replication_role = replica');
    for (const row of rows) {
      const names = Object.keys(row).filter((name) => written.includes(name));
      const places = names.map((_, at) => `$${at + 1}`).join(', ');
      await to!.query(
        `insert into ${table} (${names.join(', ')}) values (${places})`,
        names.map((name) => row[name]),
      );
    }
  } finally {
    await Promise.all([from!.end(), to!.end()]);
  }
}
