import { manualClock, type Uuid } from '@auditrax/base';
import { parseCertificate } from '@auditrax/saml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { RULES } from '../detections/index.ts';
import { type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { loadConnection, recordAttempt, type SamlSettings } from './index.ts';
import { stepOwnKeys, type OwnKeyStep } from './own-key-steps.ts';
import { lookAtConnection, type RefreshDeps } from './refresh.ts';
import { changeSettings, createConnection, turnConnection } from './service.ts';
import { connectionSubjects } from './subjects.ts';
import { by, NOBODY, oidc, saml } from './testing/asking.ts';
import { readConnection } from './view.ts';

const DAY_MS = 86_400_000;
const clock = manualClock(Date.parse('2027-03-01T00:00:00Z'));
let house: SeededIssuer;
let lead: Caller;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
});
afterAll(() => house?.stop());

const deps = (): RefreshDeps => ({ ...house.deps, fetch: async () => Promise.reject(new Error('nobody is asked')) });
const withCode = (code: string) => expect.objectContaining({ code });
const step = (id: Uuid, name: OwnKeyStep) => stepOwnKeys(deps(), by(lead), { id, step: name });
async function made(): Promise<Uuid> {
  const id = await createConnection(deps(), by(lead), { kind: 'saml', profile: 'adfs', name: 'Harbour' });
  const settings = { id, version: 1, name: 'Harbour', justInTime: NOBODY, values: saml };
  await changeSettings(deps(), by(lead), settings);
  return id;
}
const settingsOf = async (id: Uuid) => (await loadConnection(house.deps, lead.tenant, id))!.settings as SamlSettings;
const shown = async (id: Uuid) => (await readConnection(house.deps, lead.tenant, id)).ownKeys!;

describe('a change of our own keys', () => {
  it('shows the next ones beside the current, uses them, and ends the old', async () => {
    const id = await made();
    const first = await settingsOf(id);
    await step(id, 'prepare');
    const prepared = await settingsOf(id);
    expect(prepared.signingKey).toBe(first.signingKey);
    expect(prepared.certificates.signing).toEqual([first.certificates.signing[0], expect.any(String)]);
    expect(prepared.certificates.encryption).toEqual([first.certificates.encryption[0], expect.any(String)]);
    expect(prepared.decryptionKeys).toEqual([first.decryptionKeys[0], expect.any(String)]);
    const { next } = await shown(id);
    expect(next).toMatchObject({ signing: prepared.certificates.signing[1], madeAt: '2027-03-01T00:00:00.000Z' });
    clock.advance(DAY_MS);
    await step(id, 'use');
    const used = await settingsOf(id);
    expect(used.signingKey).not.toBe(first.signingKey);
    expect(used.certificates.signing).toEqual([prepared.certificates.signing[1]]);
    expect(used.decryptionKeys.toSorted()).toEqual(prepared.decryptionKeys.toSorted());
    expect(await shown(id)).toMatchObject({ next: null, previous: { replacedAt: '2027-03-02T00:00:00.000Z' } });
    await step(id, 'end');
    expect((await settingsOf(id)).decryptionKeys).toEqual([prepared.decryptionKeys[1]]);
    expect((await shown(id)).previous).toBeNull();
    const old = parseCertificate(first.certificates.signing[0]!, 'active').fingerprint;
    expect((await house.audited('connection.own-key-ended')).at(-1)!.leaf).toMatchObject({
      public: { certificate: old },
    });
  });

  it('goes no step twice and none out of turn', async () => {
    const id = await made();
    for (const name of ['use', 'end', 'withdraw'] as const)
      await expect(step(id, name)).rejects.toEqual(withCode('connection_state'));
    const before = await settingsOf(id);
    await step(id, 'prepare');
    await expect(step(id, 'prepare')).rejects.toEqual(withCode('connection_state'));
    await expect(step(id, 'end')).rejects.toEqual(withCode('connection_state'));
    await step(id, 'withdraw');
    expect(await settingsOf(id)).toEqual(before);
    await step(id, 'prepare');
    await step(id, 'use');
    await expect(step(id, 'prepare')).rejects.toEqual(withCode('connection_state'));
    const other = await createConnection(deps(), by(lead), { kind: 'oidc', profile: 'other', name: 'Other' });
    await changeSettings(deps(), by(lead), { id: other, version: 1, name: 'Other', justInTime: NOBODY, values: oidc });
    await expect(step(other, 'prepare')).rejects.toEqual(withCode('connection_state'));
  });

  it('is approved by the fingerprints that the provider was given', async () => {
    const id = await made();
    const factsOf = () =>
      connectionSubjects(house.deps)['connections.own-keys']!({
        caller: lead,
        requestId: 'test',
        ids: { connectionId: id },
        input: {},
      });
    expect(await factsOf()).toMatchObject({ name: 'Harbour', next: 'none', old: 'none' });
    await step(id, 'prepare');
    const { next } = await shown(id);
    expect(await factsOf()).toMatchObject({ next: parseCertificate(next!.signing, 'active').fingerprint });
  });
});

describe('the end of our own certificate', () => {
  it('is told once at 60, 30 and 7 days and when it has come, and not of new keys', async () => {
    const id = await made();
    await recordAttempt(deps(), lead.tenant, { connectionId: id, purpose: 'test', version: 2 });
    await turnConnection(deps(), by(lead), { id, to: 'active' });
    const told = async () =>
      (await house.audited('connection.own-certificate-ending'))
        .filter(({ resource_id }) => resource_id === id)
        .map(({ leaf }) => (leaf['public'] as { dueDays: number }).dueDays);
    const look = async (days: number) => {
      clock.advance(Date.parse((await shown(id)).endsAt) - days * DAY_MS - clock.nowMs());
      await lookAtConnection(deps(), lead.tenant, id);
      await lookAtConnection(deps(), lead.tenant, id);
      return told();
    };
    expect(await look(61)).toEqual([]);
    expect(await look(60)).toEqual([60]);
    expect(await look(30)).toEqual([60, 30]);
    expect(await look(7)).toEqual([60, 30, 7]);
    const rules = (await house.audited('connection.own-certificate-ending')).map(({ leaf }) => {
      const event = { type: 'connection.own-certificate-ending', outcome: 'allowed', facts: leaf['public'] } as never;
      return RULES.filter((rule) => rule.matches(event)).map(({ severity }) => severity);
    });
    expect(rules).toEqual([['low'], ['low'], ['high']]);
    await step(id, 'prepare');
    await step(id, 'use');
    await lookAtConnection(deps(), lead.tenant, id);
    expect(await told()).toEqual([60, 30, 7]);
    expect(await look(30)).toEqual([60, 30, 7, 30]);
  });
});
