import { AppError, type Uuid } from '@auditrax/base';
import {
  PROBE_SECONDS_HOUR,
  type DrillOutcome,
  type PlacedCanaryName,
  type Probe,
  type ProbeRequest,
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

const FILE = 'A file of a canary.';

/** A file sent through the edge, as a person of the tenant sends it; gives its id below the edge. */
async function sendFile(house: ProbeHouse, name: PlacedCanaryName): Promise<Uuid> {
  const { cookie } = await house.session(name, 'lead');
  const { ids } = house.canary(name);
  const about = {
    criterionId: ids['crt']!,
    fileName: 'place.txt',
    mediaType: 'text/plain',
    sizeBytes: FILE.length,
    speaksAbout: { from: '2026-01-01', to: '2026-01-02' },
  };
  const send = async (path: string, request: ProbeRequest, status: number): Promise<unknown> => {
    const reply = await house.fetch(path, { ...request, cookie });
    if (reply.status !== status) throw new AppError('file_not_sent', `${reply.status} ${reply.problem() ?? ''}`);
    return reply.json();
  };
  const uploads = `/api/engagements/${ids['eng']}/evidence/uploads`;
  const { uploadId } = (await send(uploads, { method: 'POST', json: about }, 201)) as { uploadId: string };
  const upload = `/api/evidence/uploads/${uploadId}`;
  const headers = { 'content-type': 'application/octet-stream' };
  await send(`${upload}?offset=0`, { method: 'PUT', headers, body: FILE }, 200);
  await send(`${upload}/complete`, { method: 'POST' }, 201);
  return house.uuidOf('upl', name, uploadId);
}

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
    const files = await house.drill('object-regions', { tenant: 'd', rowId: await sendFile(house, 'd') });
    const found = files.kind === 'happened' ? String(files.facts['regions']) : stateOf(files);
    done.expect(found === region, `A fresh file of the tenant lies in: ${found === '' ? 'no store' : found}.`);
    return verdict(done, {
      green:
        'A tenant pinned to another region than the house’s own has its database there; a fresh row was found in it and not in the shared tables, a fresh file in that region’s storage and in no other, and no database of another region holds entries of its log.',
    });
  },
};
