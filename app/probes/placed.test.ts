import { systemRandom, uuidV4 } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import type { DrillOutcome, Probe, ProbeHouse, ProbeResponse, Whereabouts } from '../claims/probe.ts';
import { dedicatedDatabaseProbe, dedicatedSchemaProbe, regionProbe } from './placed.probe.ts';

const requestId = 'r';
const found = (rows: number): DrillOutcome => ({ kind: 'happened', facts: { rows }, requestId });
const lying = (regions: string): DrillOutcome => ({ kind: 'happened', facts: { regions }, requestId });
const refused = (sqlState: string): DrillOutcome => ({ kind: 'refused', code: 'refused', sqlState, requestId });

/** As a house answers whose walls stand. */
const STANDING: Readonly<Record<string, DrillOutcome>> = {
  'placed-own-role': found(1),
  'placed-shared-tables': found(0),
  'placed-shared-role': refused('42501'),
  'placed-role-at-home': refused('42501'),
  'placed-role-elsewhere': refused('AX004'),
  'object-regions': { kind: 'happened', facts: { regions: 'south' }, requestId },
};
const OWN_CELL = 'south/ax_00000000000000aa';
const PLACE: Readonly<Record<'c' | 'd', Whereabouts>> = {
  c: {
    kind: 'schema',
    region: 'north',
    cell: 'home',
    homeRegion: 'north',
    loggedIn: ['home'],
    cells: 2,
    regionOf: { home: 'north', [OWN_CELL]: 'south' },
  },
  d: {
    kind: 'database',
    region: 'south',
    cell: OWN_CELL,
    homeRegion: 'north',
    loggedIn: [OWN_CELL],
    cells: 2,
    regionOf: { home: 'north', [OWN_CELL]: 'south' },
  },
};

interface Bent {
  readonly drills?: Readonly<Record<string, DrillOutcome>>;
  readonly place?: Partial<Whereabouts>;
}

function houseOf({ drills = {}, place = {} }: Bent): ProbeHouse {
  const house: Partial<ProbeHouse> = {
    session: () => Promise.resolve({ personId: uuidV4(systemRandom), cookie: 'c' }),
    canary: () => ({ ids: {}, rows: {} }) as never,
    fetch: (_path, request) =>
      Promise.resolve({
        status: request?.method === 'POST' ? 201 : 200,
        json: () => (request?.method === 'POST' ? { id: 'res_1', uploadId: 'upl_1' } : { result: null }),
      } as ProbeResponse),
    uuidOf: () => uuidV4(systemRandom),
    drill: (name) => Promise.resolve({ ...STANDING, ...drills }[name]!),
    whereabouts: (name) => Promise.resolve({ ...PLACE[name], ...place }),
  };
  return house as ProbeHouse;
}

const PROBES = { dedicatedSchemaProbe, dedicatedDatabaseProbe, regionProbe };

describe('probes of tenants with a place of their own', () => {
  it.each(Object.entries(PROBES))('%s is green where every wall stands', async (_name, probe: Probe) => {
    expect(await probe.run(houseOf({}))).toMatchObject({ state: 'green' });
    const moved = { drills: { 'placed-shared-tables': refused('AX005') } };
    expect(await probe.run(houseOf(moved))).toMatchObject({ state: 'green' });
  });

  const each: readonly (readonly [string, readonly (keyof typeof PROBES)[], Bent])[] = [
    [
      'the row is not in its place',
      ['dedicatedSchemaProbe', 'dedicatedDatabaseProbe', 'regionProbe'],
      { drills: { 'placed-own-role': found(0) } },
    ],
    [
      'the row is in the shared tables',
      ['dedicatedSchemaProbe', 'dedicatedDatabaseProbe', 'regionProbe'],
      { drills: { 'placed-shared-tables': found(1) } },
    ],
    [
      'its role enters another tenant',
      ['dedicatedSchemaProbe', 'dedicatedDatabaseProbe', 'regionProbe'],
      { drills: { 'placed-role-elsewhere': found(0) } },
    ],
    [
      'everybody’s role reads there',
      ['dedicatedSchemaProbe', 'dedicatedDatabaseProbe'],
      { drills: { 'placed-shared-role': found(1) } },
    ],
    [
      'its role reads the shared tables',
      ['dedicatedSchemaProbe', 'dedicatedDatabaseProbe'],
      { drills: { 'placed-role-at-home': found(0) } },
    ],
    [
      'a server that does not answer is no refusal',
      ['dedicatedSchemaProbe', 'dedicatedDatabaseProbe'],
      { drills: { 'placed-shared-role': refused('57P03') } },
    ],
    [
      'it lives in the shared tables',
      ['dedicatedSchemaProbe', 'dedicatedDatabaseProbe'],
      { place: { kind: 'shared' } },
    ],
    [
      'another database has its log as well',
      ['dedicatedDatabaseProbe', 'regionProbe'],
      { place: { loggedIn: ['home', OWN_CELL] } },
    ],
    [
      'its database is in another region',
      ['regionProbe'],
      { place: { regionOf: { home: 'north', [OWN_CELL]: 'east' } } },
    ],
    ['its file is at home', ['regionProbe'], { drills: { 'object-regions': lying('north') } }],
    ['its file is at home as well', ['regionProbe'], { drills: { 'object-regions': lying('north,south') } }],
    ['its file is nowhere', ['regionProbe'], { drills: { 'object-regions': lying('') } }],
    ['it is in the house’s own region', ['regionProbe'], { place: { region: 'north' } }],
  ];
  it.each(each)('are red when %s', async (_what, names, bent) => {
    for (const name of names) expect(await PROBES[name].run(houseOf(bent)), name).toMatchObject({ state: 'red' });
  });
});
