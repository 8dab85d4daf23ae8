import { AppError, type Uuid } from '@auditrax/base';
import {
  PROBE_SECONDS_HOUR,
  type DrillOutcome,
  type PlacedCanaryName,
  type Probe,
  type ProbeHouse,
} from '../claims/probe.ts';
import { checks, verdict, type Checks } from '../claims/verdict.ts';

/** No right on the schema, or on the database: the server's own word, before any row is looked at. */
const NO_RIGHT = '42501';
/** The server does not know who logs in, or does not believe it. */
const NO_LOGIN: ReadonlySet<string> = new Set([NO_RIGHT, '28000', '28P01']);
/** A role that was made for one tenant enters no other. */
const OTHER_TENANT = 'AX004';
/** The tenant has left, and whoever asks at the old place is told. */
const HAS_LEFT = 'AX005';

const stateOf = (outcome: DrillOutcome): string =>
  outcome.kind === 'refused' ? (outcome.sqlState ?? outcome.code) : 'not refused';
const rowsOf = (outcome: DrillOutcome): number =>
  outcome.kind === 'happened' ? Number(outcome.facts['rows'] ?? -1) : -1;

/** Two probes of one canary may write at the same time; whoever is late reads again, as a person would. */
const MARKER_TRIES_MAX = 5;

/** A row made through the edge, as a person of the tenant makes it; gives its id below the edge. */
async function makeMarker(house: ProbeHouse, name: PlacedCanaryName): Promise<Uuid> {
  const { cookie } = await house.session(name, 'lead');
  const { ids } = house.canary(name);
  const path = `/api/engagements/${ids['eng']}/criteria/${ids['crt']}`;
  for (let attempt = 1; ; attempt += 1) {
    const { result } = (await house.fetch(path, { cookie })).json() as { result: { revision: number } | null };
    const json = { outcome: 'satisfied', note: 'Placed.', observedOn: '2026-01-02', revision: result?.revision ?? 0 };
    const reply = await house.fetch(`${path}/result`, { method: 'POST', json, cookie });
    if (reply.status === 201) return house.uuidOf('res', name, (reply.json() as { id: string }).id);
    if (reply.status !== 409 || attempt >= MARKER_TRIES_MAX)
      throw new AppError('marker_not_made', `${reply.status} ${reply.problem() ?? ''}`);
  }
}

/** The row is where it belongs, found as the role that belongs there, and not in the shared tables. */
async function onlyInItsPlace(house: ProbeHouse, name: PlacedCanaryName, done: Checks): Promise<Uuid> {
  const rowId = await makeMarker(house, name);
  const reach = (drill: string): Promise<DrillOutcome> => house.drill(drill, { tenant: name, rowId });
  const own = await reach('placed-own-role');
  done.expect(rowsOf(own) === 1, `A fresh row is not in the tenant’s own place (${stateOf(own)}).`);
  const shared = await reach('placed-shared-tables');
  const isAbsent = rowsOf(shared) === 0 || stateOf(shared) === HAS_LEFT;
  done.expect(isAbsent, `Looking for the row in the shared tables was ${stateOf(shared)}.`);
  const elsewhere = stateOf(await reach('placed-role-elsewhere'));
  done.expect(elsewhere === OTHER_TENANT, `The tenant’s own role in another tenant’s scope was ${elsewhere}.`);
  return rowId;
}

/** Reading with the wrong login, either way round. */
async function wrongLogins(
  house: ProbeHouse,
  about: { readonly name: PlacedCanaryName; readonly rowId: Uuid; readonly done: Checks },
  wanted: (sqlState: string) => boolean,
): Promise<void> {
  const { name, rowId, done } = about;
  for (const [drill, who] of [
    ['placed-shared-role', 'Everybody else’s role in the tenant’s place'],
    ['placed-role-at-home', 'The tenant’s own role in the shared tables'],
  ] as const) {
    const state = stateOf(await house.drill(drill, { tenant: name, rowId }));
    done.expect(wanted(state), `${who} was ${state}.`);
  }
}

/** A canary with a schema of its own: who may read there, and what is left in the shared tables. */
export const dedicatedSchemaProbe: Probe = {
  id: 'tenancy.dedicated-schema',
  claims: ['tenant.dedicated-schema'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const { kind } = await house.whereabouts('c');
    done.expect(kind === 'schema', 'The canary has no schema of its own.');
    const rowId = await onlyInItsPlace(house, 'c', done);
    await wrongLogins(house, { name: 'c', rowId, done }, (state) => state === NO_RIGHT);
    return verdict(done, {
      green:
        'A fresh row of a tenant with a schema of its own was there and not in the shared tables; the role of the other tenants had no right on that schema, its own role none on the shared tables, and no other tenant could be entered with it.',
    });
  },
};

/** A canary with a database of its own: who may log in there, and in which logs it has entries. */
export const dedicatedDatabaseProbe: Probe = {
  id: 'tenancy.dedicated-db',
  claims: ['tenant.dedicated-db'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const { kind, cell, loggedIn, cells } = await house.whereabouts('d');
    done.expect(kind === 'database', 'The canary has no database of its own.');
    const rowId = await onlyInItsPlace(house, 'd', done);
    await wrongLogins(house, { name: 'd', rowId, done }, (state) => NO_LOGIN.has(state));
    const isAlone = loggedIn.length === 1 && loggedIn[0] === cell;
    done.expect(
      isAlone,
      `${loggedIn.length} of ${cells} databases hold log entries of the tenant, or the wrong one does.`,
    );
    return verdict(done, {
      green: `A fresh row of a tenant with a database of its own was there and not in the shared tables; the role of the other tenants could not log in to it, nor its own role to theirs; of ${cells} databases only its own holds entries of its log.`,
      evidence: { databases: cells },
    });
  },
};

/** A canary whose customer chose another region than the house's own. */
export const regionProbe: Probe = {
  id: 'tenancy.region',
  claims: ['tenant.region'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const { region, homeRegion, cell, loggedIn, regionOf } = await house.whereabouts('d');
    done.expect(region !== homeRegion, 'The canary is in the region of the shared tables, so nothing can be told.');
    done.expect(regionOf[cell] === region, 'The tenant’s database is not in the region that was chosen for it.');
    await onlyInItsPlace(house, 'd', done);
    const astray = loggedIn.filter((one) => regionOf[one] !== region).length;
    done.expect(
      astray === 0 && loggedIn.length > 0,
      `${astray} databases of other regions hold log entries of the tenant.`,
    );
    return verdict(done, {
      green:
        'A tenant pinned to another region than the house’s own has its database there; a fresh row was found in it and not in the shared tables, and no database of another region holds entries of its log.',
    });
  },
};
