import { describe, expect, it } from 'vitest';
import type { Departure } from '../../shell/wire.ts';
import { departuresCsv } from './departures-file.ts';

const departure: Departure = {
  id: 'rev_1',
  memberId: 'mem_1',
  label: '=HYPERLINK("https://a.example")',
  cause: 'scim',
  by: null,
  causedAt: '2026-11-23T10:00:00.000Z',
  completedAt: '2026-11-23T10:00:00.080Z',
  effects: [
    { holder: 'sessions', ended: 2, at: '2026-11-23T10:00:00.040Z', after_ms: 40 },
    { holder: 'links', ended: 0, at: '2026-11-23T10:00:00.040Z', after_ms: 40 },
  ],
};

describe('the file of ended access', () => {
  it('has a line for each effect, with its instant and how long after the cause', () => {
    const lines = departuresCsv([departure]).split('\r\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe('person,person_id,cause,by,caused_at,completed_at,effect,ended,effect_at,after_ms');
    expect(lines[1]).toMatch(/,mem_1,scim,,2026-11-23T10:00:00\.000Z,.*,sessions,2,2026-11-23T10:00:00\.040Z,40$/);
    expect(lines[2]).toMatch(/,links,0,/);
  });

  it('has a line for what has not ended yet', () => {
    const lines = departuresCsv([{ ...departure, completedAt: null, effects: [] }]).split('\r\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(/,2026-11-23T10:00:00\.000Z,,,,,$/);
  });

  it('is no formula in anybody’s spreadsheet', () => {
    expect(departuresCsv([departure])).toContain(`"'=HYPERLINK(""https://a.example"")"`);
  });
});
