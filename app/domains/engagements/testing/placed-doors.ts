// For tests of rooms whose tenants have places of their own: a schema at home, and a database in another region.
import { openPlacedDatabase, type Connection, type Place } from '@auditrax/tenancy';
import { Client } from 'pg';
import { makePlace, type Cluster, type MadePlace } from '../../../platform/db/places.ts';
import { startTestDatabase, type TestDatabase } from '../../../platform/db/testing.ts';
import type { OpenDoors } from './room.ts';

const APP_ROOT = new URL('../../../', import.meta.url).pathname;
const [HOME, HOME_REGION, OTHER_REGION] = ['auditrax', 'north', 'south'];
const SHARED: Place = { cell: 'home', region: HOME_REGION, schema: 'app', role: 'ax_workspace', version: 0 };

const passwordOf = (role: string): string => `password-of-${role}`;

function clusterOf(region: string, server: TestDatabase): [string, Cluster] {
  const { host, port, user, password } = server.connectionFor('superuser');
  const creator = { user, ...(password === undefined ? {} : { password }) };
  return [region, { region, server: { host, port }, creator }];
}

export interface TestPlaces {
  /** Harbour gets the schema, Lakeside the database. */
  readonly doors: OpenDoors;
  /** How to connect to the database that is Lakeside's alone. */
  cell(role: 'superuser' | 'ax_ledger'): Connection;
}

/** Lets the commit guard of the other database see a running log, as `setBeat` does at home. */
async function beat(connection: object): Promise<void> {
  const client = new Client(connection);
  await client.connect();
  await client.query(`update audit.beat set beat = 'infinity'`);
  await client.end();
}

/** Places for both tenants of a test room; `doors` is handed to `openTestRoom`, and what it opens ends with the room. */
export function testPlaces(): TestPlaces {
  let south: TestDatabase;
  let made: { readonly schema: MadePlace; readonly database: MadePlace };
  const cell: TestPlaces['cell'] = (role) => ({
    ...south.connectionFor(role),
    database: made.database.cell.split('/')[1]!,
  });
  const doors: OpenDoors = async ({ server, clock, onRefusal, harbour, lakeside }) => {
    south = await startTestDatabase({ roots: [] });
    const input = {
      clusters: new Map([clusterOf(HOME_REGION!, server), clusterOf(OTHER_REGION!, south)]),
      home: { region: HOME_REGION!, database: HOME! },
      logins: server.logins,
      dedicatedPassword: passwordOf,
      roots: [APP_ROOT],
      log: () => undefined,
    };
    made = {
      schema: await makePlace(input, { tenantId: harbour.tenantId, kind: 'schema', region: HOME_REGION! }),
      database: await makePlace(input, { tenantId: lakeside.tenantId, kind: 'database', region: OTHER_REGION! }),
    };
    await beat(cell('superuser'));
    const places = new Map<string, Place>([
      [harbour.tenantId, { ...made.schema, region: HOME_REGION!, version: 1 }],
      [lakeside.tenantId, { ...made.database, region: OTHER_REGION!, version: 1 }],
    ]);
    const withPassword = server.connectionFor('ax_workspace').password !== undefined;
    const database = openPlacedDatabase({
      connection: server.connectionFor('ax_workspace'),
      poolSize: 6,
      clock,
      onRefusal,
      systemTables: [],
      home: 'home',
      placeOf: async (tenantId) => places.get(tenantId) ?? SHARED,
      connectionOf: (at, role) => ({
        ...(at === 'home' ? server.connectionFor('ax_workspace') : cell('superuser')),
        user: role,
        ...(withPassword ? { password: passwordOf(role) } : {}),
      }),
      cells: () => [{ cell: 'home', region: HOME_REGION! }],
      roleAt: (place) => place.role,
    });
    const close = async (): Promise<void> => {
      await database.close();
      await south.stop();
    };
    return { ...database, close };
  };
  return { doors, cell };
}
