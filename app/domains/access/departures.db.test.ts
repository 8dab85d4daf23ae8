import { manualClock } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { revokePrincipal } from '../identity/index.ts';
import { type Enrolled, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { departuresOf } from './departures.ts';

const clock = manualClock(Date.now());
let house: SeededIssuer;
let lead: Caller;
let person: Enrolled;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
  person = await house.enrol('harbour', 'auditor');
});
afterAll(() => house?.stop());

const revoke = (cause: 'scim' | 'lapsed' | 'administrator', causedAt: Date, personId = person.personId) =>
  revokePrincipal(house.deps, lead.tenant, {
    memberId: personId,
    cause,
    causedAt,
    by: { actor: cause === 'administrator' ? { personId: lead.personId } : { service: 'issuer' } },
  });

describe('whose access ended', () => {
  it('is told with each effect and how long after the cause, by whom, the latest first', async () => {
    expect(await departuresOf(house.deps, lead, {})).toEqual({ departures: [], older: null });
    await revoke('lapsed', new Date(clock.nowMs() - 40_000));
    clock.advance(60_000);
    const client = await house.enrol('harbour', 'client');
    await revoke('administrator', new Date(clock.nowMs() - 250), client.personId);
    const { departures, older } = await departuresOf(house.deps, lead, {});
    expect(older).toBeNull();
    expect(departures.map(({ cause }) => cause)).toEqual(['administrator', 'lapsed']);
    const [byLead, byClock] = departures;
    expect(byLead).toMatchObject({ member_id: client.personId, byLabel: expect.stringMatching(/./) as string });
    expect(byLead!.label).not.toBe(byLead!.byLabel);
    expect(byLead!.effects.find(({ holder }) => holder === 'sessions')).toMatchObject({ ended: 1, after_ms: 250 });
    expect(byClock).toMatchObject({ member_id: person.personId, byLabel: null });
    expect(byClock!.effects.find(({ holder }) => holder === 'sessions')).toMatchObject({ ended: 1, after_ms: 40_000 });
  });

  it('can be asked by cause, and page by page without a gap', async () => {
    const found = await departuresOf(house.deps, lead, { cause: 'lapsed' });
    expect(found.departures.map(({ cause }) => cause)).toEqual(['lapsed']);
    expect((await departuresOf(house.deps, lead, { cause: 'scim' })).departures).toEqual([]);
    await house.rows('alter table identity.revocation disable trigger user');
    await house.rows(
      `insert into identity.revocation (tenant_id, id, member_id, cause, caused_at)
       select $1, gen_random_uuid(), $2, 'signal', $3::timestamptz - n * interval '1 minute' from generate_series(1, 150) n`,
      [lead.tenant.tenantId, person.personId, new Date(clock.nowMs() - 3_600_000)],
    );
    await house.rows('alter table identity.revocation enable trigger user');
    const seen = new Set<string>();
    let until: Date | undefined;
    do {
      const page = await departuresOf(house.deps, lead, { until });
      for (const { id } of page.departures) seen.add(id);
      until = page.older ?? undefined;
    } while (until !== undefined);
    expect(seen.size).toBe(152);
  });

  it('is told of the own organisation alone', async () => {
    const stranger = await house.callerOf((await house.enrol('lakeside', 'lead')).cookie);
    expect(await departuresOf(house.deps, stranger, {})).toEqual({ departures: [], older: null });
  });
});
