import { manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asSuperuser } from '../../platform/audit/testing.ts';
import type { TestDatabase } from '../../platform/db/testing.ts';
import { startSeededIssuer, type Enrolled, type SeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { CELL, startTwoPlaces, type TwoPlaces } from '../tenants/testing/two-places.ts';
import { consumeChallenge, issueChallenge } from './challenges.ts';
import * as service from './service.ts';
import { findSession } from './sessions.ts';

// Lakeside lives in a database of its own, in another cluster; everybody else at home.
const LAKESIDE = uuidV4(systemRandom);
const ROLE = 'ax_t_0123456789abcdef';
const TABLES = [
  'identity.member',
  'identity.session',
  'identity.session_index',
  'identity.credential',
  'identity.credential_index',
  'identity.one_time_link',
  'identity.challenge',
  'audit.entry',
  'audit.mint',
  'app.dek',
];

const clock = manualClock(Date.UTC(2026, 10, 1));
let house: SeededIssuer;
let places: TwoPlaces;
let cell: TestDatabase;
let inCell: Enrolled;
let atHome: Enrolled;

async function prepare(home: TestDatabase): Promise<void> {
  const tenant = `insert into platform.tenant (id, part, kind, slug, display_name, tier)
    values ($1, 77, 'sample', 'lakeside', 'Lakeside Internal Audit', 'enterprise')`;
  for (const database of [home, cell]) await asSuperuser(database, tenant, [LAKESIDE]);
  const place = `insert into platform.placement (tenant_id, kind, region, cell, role_name, state)
    values ($1, 'database', 'south', $2, $3, 'active')`;
  await asSuperuser(home, place, [LAKESIDE, CELL, ROLE]);
}

const rowsOf = (database: TestDatabase) => places.rowsAt(database, { tenantId: LAKESIDE }, TABLES);

const at = () => ({ door: 'edge' as const, requestId: uuidV4(systemRandom) });
const signIn = async (person: Enrolled) => {
  const { challengeId, options } = await service.beginSignIn(house.deps, at());
  const response = person.device.authenticate(options);
  return service.signInWithPasskey(house.deps, at(), { challengeId, response });
};

beforeAll(async () => {
  places = await startTwoPlaces();
  ({ cell } = places);
  house = await startSeededIssuer(clock, { ...places.databases, prepare });
  inCell = await house.enrol('lakeside', 'lead');
  atHome = await house.enrol('harbour', 'lead');
});
afterAll(async () => {
  await house?.stop();
  await places?.stop();
});

describe('people of a tenant with a database of its own', () => {
  it('enrol, sign in, get tokens and confirm like everybody, and nothing of them is at home', async () => {
    const { opened } = await signIn(inCell);
    const caller = await house.callerOf(opened.token);
    expect(caller).toMatchObject({ personId: inCell.personId, role: 'lead', tenant: { tenantId: LAKESIDE } });
    const challenge = { purpose: 'step-up', door: 'edge', tenant_id: LAKESIDE, member_id: inCell.personId } as const;
    const [one, two] = [await issueChallenge(house.deps, challenge), await issueChallenge(house.deps, challenge)];
    const wanted = { purpose: 'step-up', door: 'edge' } as const;
    expect(await consumeChallenge(house.deps, one.id, { ...wanted, tenantId: LAKESIDE })).toMatchObject(challenge);
    // What was issued for a tenant is not found by somebody whose tenant is not known.
    await expect(consumeChallenge(house.deps, two.id, { ...wanted, tenantId: undefined })).rejects.toMatchObject({
      code: 'challenge_unusable',
    });
    const [home, own] = [await rowsOf(house.database), await rowsOf(cell)];
    expect(home).toEqual(Object.fromEntries(TABLES.map((table) => [table, 0])));
    for (const table of TABLES) expect(own[table], table).toBeGreaterThan(0);
  });

  it('are found by their cookie among those of home, and are signed out where they live', async () => {
    const [own, other] = [await signIn(inCell), await signIn(atHome)];
    expect((await findSession(house.deps, own.opened.token, at()))?.personId).toBe(inCell.personId);
    expect((await findSession(house.deps, other.opened.token, at()))?.personId).toBe(atHome.personId);
    expect(await findSession(house.deps, Buffer.alloc(32, 7).toString('base64url'), at())).toBeUndefined();
    await service.signOut(house.deps, at(), own.opened.token);
    expect(await findSession(house.deps, own.opened.token, at())).toBeUndefined();
  });

  it('sign in although somebody else registered a passkey with the same id elsewhere', async () => {
    const [row] = await asSuperuser<Record<string, unknown>>(
      cell,
      'select * from identity.credential_index where member_id = $1 order by last_used_at nulls last limit 1',
      [inCell.personId],
    );
    await house.rows(
      `insert into identity.credential_index (credential_hash, tenant_id, credential_id, member_id, external_id, public_key, counter, transports)
       select $1, c.tenant_id, c.credential_id, c.member_id, $2, c.public_key, 0, '{}' from identity.credential_index c where c.member_id = $3 limit 1`,
      [row!['credential_hash'], row!['external_id'], atHome.personId],
    );
    expect((await signIn(inCell)).session.personId).toBe(inCell.personId);
    await house.rows('delete from identity.credential_index where credential_hash = $1', [row!['credential_hash']]);
  });

  it('have what ran out swept in every cell', async () => {
    await service.beginSignIn(house.deps, at());
    const left = async (database: TestDatabase): Promise<number> =>
      (
        await asSuperuser<{ n: number }>(
          database,
          'select (select count(*) from identity.session_index)::int + (select count(*) from identity.challenge)::int as n',
        )
      )[0]!.n;
    expect(await left(cell)).toBeGreaterThan(0);
    clock.advance(40 * 86_400_000);
    await service.sweepIdentity(house.deps);
    expect([await left(house.database), await left(cell)]).toEqual([0, 0]);
  });

  it('are turned away while their database is, and nobody else is', async () => {
    const [own, other] = [await signIn(inCell), await signIn(atHome)];
    await cell.stop();
    expect((await findSession(house.deps, other.opened.token, at()))?.personId).toBe(atHome.personId);
    expect(await findSession(house.deps, own.opened.token, at())).toBeUndefined();
    expect((await signIn(atHome)).session.personId satisfies Uuid).toBe(atHome.personId);
    await expect(signIn(inCell)).rejects.toMatchObject({ code: 'sign_in_refused' });
    await expect(service.sweepIdentity(house.deps)).rejects.toMatchObject({ code: 'database_unavailable' });
  });
});
