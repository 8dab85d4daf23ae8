import { AppError } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import type { FigureTable, Probe, ProbeHouse } from '../claims/probe.ts';
import { tablesOf } from './publisher.ts';

const table: FigureTable = { summary: 'So far 3.', caption: 'Counted.', columns: ['a'], rows: [] };
const probe = (more: Partial<Probe>): Probe => ({
  id: 'room.what',
  claims: ['people.revocation'],
  everySeconds: 60,
  run: () => Promise.reject(new Error('is not run')),
  ...more,
});

describe('what has been measured so far', () => {
  it('comes from the probes that say it, without a run, for each of their claims', () => {
    const house = { pageKey: 'key' } as ProbeHouse;
    const asked: ProbeHouse[] = [];
    const soFar = (given: ProbeHouse) => {
      asked.push(given);
      return table;
    };
    const probes = [
      probe({ claims: ['access.step-up'] }),
      probe({ claims: ['people.revocation', 'access.saml'], soFar }),
    ];
    const onFailure = () => expect.unreachable();
    expect(tablesOf({ probes, house, onFailure })).toEqual({ 'people.revocation': table, 'access.saml': table });
    expect(asked).toEqual([house]);
  });

  it('is left out where a probe cannot tell, which is noted and keeps no other from the page', () => {
    const failures: unknown[] = [];
    const broken = new AppError('leaver_drill_failed', 'nothing kept');
    const soFar = () => {
      throw broken;
    };
    const probes = [probe({ claims: ['access.step-up'], soFar }), probe({ soFar: () => table })];
    const onFailure = (error: unknown) => failures.push(error);
    expect(tablesOf({ probes, house: {} as ProbeHouse, onFailure })).toEqual({ 'people.revocation': table });
    expect(failures).toEqual([broken]);
  });
});
