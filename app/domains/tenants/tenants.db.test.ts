import { systemClock } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTenant, listTenants } from './service.ts';
import { type SeededIssuer, startSeededIssuer } from './testing/seeded-issuer.ts';

let house: SeededIssuer;
beforeAll(async () => {
  house = await startSeededIssuer(systemClock);
});
afterAll(() => house?.stop());

describe('tenants', () => {
  it('the sample organisation is there, with keys, entries and persons of each role', async () => {
    expect(house.seeded.created).toBe(true);
    expect((await listTenants(house.deps)).map(({ slug }) => slug)).toEqual([
      'canary-a',
      'canary-b',
      'harbour',
      'lakeside',
      'operator',
    ]);
    const tiers = (await listTenants(house.deps)).filter(({ tier }) => tier === 'enterprise');
    expect(tiers.map(({ slug }) => slug)).toEqual(['canary-b', 'lakeside']);
    expect(house.seeded.people).toHaveLength(14);
    expect(await house.audited('tenant.created')).toHaveLength(5);
    const keys = await house.rows<{ tenants: string }>('select count(distinct tenant_id) as tenants from app.dek');
    expect(Number(keys[0]!.tenants)).toBe(5);
  });

  it('labels of persons are sealed at rest', async () => {
    const rows = await house.rows<{ label: Buffer }>('select label from identity.member');
    expect(rows).toHaveLength(14);
    for (const { label } of rows) expect(label.toString('latin1')).not.toMatch(/auditor|contact|operator/i);
  });

  it('only persons of sample tenants and the sample operator get links; canary persons none', () => {
    for (const person of house.seeded.people) {
      expect(Boolean(person.signInPath), person.tenantSlug).toBe(person.tenantKind !== 'canary');
      expect(Boolean(person.enrolmentPath), person.tenantSlug).toBe(person.tenantKind !== 'canary');
    }
  });

  it('seeding again makes nothing new but links, and the old ones die', async () => {
    const again = await house.reseed();
    expect(again.created).toBe(false);
    expect(again.people.map(({ personId }) => personId)).toEqual(house.seeded.people.map(({ personId }) => personId));
    const links = await house.rows('select token_hash from identity.one_time_link');
    expect(links).toHaveLength(16);
  });

  it('a tenant that was interrupted between its row and its keys is finished by the next call', async () => {
    const input = { slug: 'half', displayName: 'Half', kind: 'customer' } as const;
    const broken = {
      ...house.deps,
      sealer: { ...house.deps.sealer, provision: async () => Promise.reject(new Error('gone')) },
    };
    await expect(createTenant(broken, input, 'r1')).rejects.toThrow('gone');
    const first = await createTenant(house.deps, input, 'r2');
    expect(first.created).toBe(true);
    expect((await createTenant(house.deps, input, 'r3')).created).toBe(false);
  });

  it('the parts are random and the slug belongs to one kind', async () => {
    const parts = house.seeded.tenants.map(({ context }) => context.tenantPart);
    expect(new Set(parts).size).toBe(5);
    expect(Math.max(...parts)).toBeGreaterThan(1000);
    await expect(
      createTenant(house.deps, { slug: 'harbour', displayName: 'X', kind: 'canary' }, 'r'),
    ).rejects.toMatchObject({ code: 'tenant_slug_taken' });
    await expect(
      createTenant(house.deps, { slug: 'Bad Slug', displayName: 'X', kind: 'sample' }, 'r'),
    ).rejects.toMatchObject({ code: 'tenant_input_invalid' });
  });
});
