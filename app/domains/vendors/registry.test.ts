import { describe, expect, it } from 'vitest';
import { checkRegistry, parseRegistry } from './registry.ts';
import sample from './registry.sample.json' with { type: 'json' };

const newcomer = {
  name: 'A newcomer',
  service: 'Search',
  data: 'Search terms',
  region: 'EU',
  attestations: ['ISO/IEC 27001'],
  inForceFrom: '2027-01-30',
  announcedOn: '2026-12-31',
};

describe('the register of sub-processors', () => {
  it('ships six for the sample organisation, each with data, region and attestations', () => {
    expect(parseRegistry(sample).subProcessors.map((one) => one.name)).toEqual([
      'Amazon Web Services',
      'Stripe',
      'Brevo',
      'OpenAI',
      'Cloudflare',
      'Datadog',
    ]);
  });

  it('refuses an entry that comes into force on day 29, and takes it on day 30', () => {
    const before = parseRegistry(sample);
    const with_ = (inForceFrom: string) =>
      checkRegistry({ ...before, subProcessors: [...before.subProcessors, { ...newcomer, inForceFrom }] });
    expect(with_('2027-01-29')).toHaveLength(1);
    expect(with_('2027-01-30')).toEqual([]);
  });

  it('refuses a later entry without announcement, a shorter notice, a double and a misspelt field', () => {
    const before = parseRegistry(sample);
    const { announcedOn: _told, ...untold } = newcomer;
    expect(checkRegistry({ ...before, subProcessors: [...before.subProcessors, untold] })).toHaveLength(1);
    expect(checkRegistry({ ...before, noticeDays: 29 })).toHaveLength(1);
    expect(
      checkRegistry({ ...before, subProcessors: [...before.subProcessors, before.subProcessors[0]!] }),
    ).toHaveLength(1);
    expect(() => parseRegistry({ ...sample, noticeDay: 30 })).toThrow();
    expect(() =>
      parseRegistry({ ...sample, subProcessors: [{ ...sample.subProcessors[0]!, attestations: [] }] }),
    ).toThrow(/attestations/);
  });
});
