import { AppError, manualClock, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
// The package's own signer of test documents, and keys of providers that exist in its tests only.
import { signRoot } from '../../../packages/saml/src/testing/generator.ts';
import { makeTestKey, type TestKey } from '../../../packages/saml/src/testing/keys.ts';
import type { Caller } from '../../platform/http/handler.ts';
import type { OutwardCode } from '../../platform/outward/guarded-fetch.ts';
import { RULES } from '../detections/index.ts';
import { type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { decideCertificate } from './certificates.ts';
import { recordAttempt, tendConnections } from './index.ts';
import { lookAtConnection, type RefreshDeps } from './refresh.ts';
import { changeSettings, createConnection, deleteDraft, turnConnection } from './service.ts';
import { by, NOBODY, saml } from './testing/asking.ts';
import { describeMetadata, listConnections, readConnection } from './view.ts';

const DAY_MS = 86_400_000;
const METADATA_URL = 'https://idp.harbour.example/metadata';
const clock = manualClock(Date.parse('2027-03-01T00:00:00Z'));
let house: SeededIssuer;
let lead: Caller;
let [first, second, attacker]: TestKey[] = [];
let document: () => Response;
const asked: string[] = [];

const fetch: RefreshDeps['fetch'] = async (url) => {
  asked.push(url);
  return document();
};
const deps = (): RefreshDeps => ({ ...house.deps, fetch });

function metadata(keys: readonly TestKey[], ssoUrl = saml.ssoUrl): string {
  const certificates = keys.map(
    ({ certificate }) =>
      `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>` +
      `<ds:X509Certificate>${certificate.replaceAll(/-----[A-Z ]+-----|\s/g, '')}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`,
  );
  return (
    `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_m" entityID="${saml.idpEntityId}">` +
    `<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">${certificates.join('')}` +
    `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="${ssoUrl}"/>` +
    `</md:IDPSSODescriptor></md:EntityDescriptor>`
  );
}

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
  const ends = (days: number) => ({ notAfter_ms: clock.nowMs() + days * DAY_MS });
  [first, second, attacker] = await Promise.all([
    makeTestKey('first', ends(90)),
    makeTestKey('second', ends(900)),
    makeTestKey('attacker', ends(900)),
  ]);
});
afterAll(() => house?.stop());
beforeEach(() => {
  asked.length = 0;
  document = () => new Response(metadata([first!]));
});

async function made(certificates: readonly string[]): Promise<Uuid> {
  const id = await createConnection(deps(), by(lead), { kind: 'saml', profile: 'adfs', name: 'Harbour' });
  const values = { ...saml, metadataUrl: METADATA_URL };
  const settings = { id, version: 1, name: 'Harbour', justInTime: NOBODY, values, certificates };
  await changeSettings(deps(), by(lead), settings);
  return id;
}
const shown = async (id: Uuid) => readConnection(deps(), lead.tenant, id);
const states = async (id: Uuid) =>
  Object.fromEntries((await shown(id)).certificates.map(({ fingerprint, state }) => [fingerprint, state]));
const idOf = async (id: Uuid, key: TestKey): Promise<Uuid> => {
  const found = await house.rows<{ id: Uuid }>(
    `select id from identity.connection_certificate where connection_id = $1 and fingerprint = decode($2, 'hex')`,
    [id, key.fingerprint],
  );
  return found[0]!.id;
};
const gone = (id: Uuid) => deleteDraft(deps(), by(lead), id);
const withCode = (code: string) => expect.objectContaining({ code });

describe('a certificate', () => {
  it('that is pasted is trusted on the word of the person who saves it', async () => {
    const id = await made([first!.certificate]);
    expect((await shown(id)).certificates).toMatchObject([
      { fingerprint: first!.fingerprint, state: 'active', source: 'pasted', daysLeft: 90, vouchedBy: null },
    ]);
    expect((await shown(id)).certificates[0]!.decidedBy).toMatch(/^mem_/);
    await gone(id);
  });

  it('that cannot be used is refused, and nothing is stored', async () => {
    const id = await made([]);
    const settings = { id, version: 2, name: 'Harbour', justInTime: NOBODY, values: saml };
    await expect(changeSettings(deps(), by(lead), { ...settings, certificates: ['nonsense'] })).rejects.toEqual(
      withCode('connection_certificate_refused'),
    );
    expect(await shown(id)).toMatchObject({ version: 2, certificates: [] });
    await gone(id);
  });

  it('from unsigned metadata, or signed by anybody else, waits until somebody approves it', async () => {
    const id = await made([first!.certificate]);
    document = () => new Response(signRoot(metadata([first!, second!]), { key: attacker! }));
    expect(await lookAtConnection(deps(), lead.tenant, id)).toMatchObject({ trouble: null, pending: 1, activated: 0 });
    expect(asked).toEqual([METADATA_URL]);
    expect(await states(id)).toEqual({ [first!.fingerprint]: 'active', [second!.fingerprint]: 'pending' });
    // Once more changes nothing, and makes no further entry.
    await lookAtConnection(deps(), lead.tenant, id);
    const entries = await house.audited('connection.certificate-found');
    expect(entries.filter(({ resource_id }) => resource_id === id)).toHaveLength(1);
    const at = { connectionId: id, id: await idOf(id, second!) };
    await decideCertificate(deps(), by(lead), { ...at, to: 'active' });
    expect(await states(id)).toMatchObject({ [second!.fingerprint]: 'active' });
    await expect(decideCertificate(deps(), by(lead), { ...at, to: 'active' })).rejects.toEqual(
      withCode('connection_state'),
    );
    await gone(id);
  });

  it('from metadata that a trusted key signed is trusted at once, and says who vouched', async () => {
    const id = await made([first!.certificate]);
    document = () => new Response(signRoot(metadata([first!, second!]), { key: first! }));
    expect(await lookAtConnection(deps(), lead.tenant, id)).toMatchObject({ pending: 0, activated: 1 });
    expect((await shown(id)).certificates.at(-1)).toMatchObject({
      fingerprint: second!.fingerprint,
      state: 'active',
      decidedBy: null,
      vouchedBy: first!.fingerprint,
    });
    await gone(id);
  });

  it('that was retired vouches for nothing, and comes back by no document', async () => {
    const id = await made([first!.certificate, second!.certificate]);
    await decideCertificate(deps(), by(lead), { connectionId: id, id: await idOf(id, first!), to: 'retired' });
    document = () => new Response(signRoot(metadata([first!, attacker!]), { key: first! }));
    await lookAtConnection(deps(), lead.tenant, id);
    expect(await states(id)).toEqual({
      [first!.fingerprint]: 'retired',
      [second!.fingerprint]: 'active',
      [attacker!.fingerprint]: 'pending',
    });
    await gone(id);
  });
});

describe('a look at metadata', () => {
  it('says what is wrong, changes nothing then, and comes again sooner', async () => {
    const id = await made([first!.certificate]);
    const look = () => lookAtConnection(deps(), lead.tenant, id);
    document = () => new Response('<html></html>');
    expect(await look()).toMatchObject({ trouble: 'saml_metadata_invalid' });
    document = () => new Response('', { status: 404 });
    expect(await look()).toMatchObject({ trouble: 'connection_metadata_answer' });
    document = () => {
      throw new AppError<OutwardCode>('outward_address_refused', 'private');
    };
    expect(await look()).toMatchObject({ trouble: 'outward_address_refused', sentence: /public/ as never as string });
    expect((await shown(id)).metadata).toMatchObject({ trouble: 'outward_address_refused' });
    expect(await states(id)).toEqual({ [first!.fingerprint]: 'active' });
    const [due] = await house.rows<{ hours: number }>(
      `select extract(epoch from look_at - looked_at)::int / 3600 as hours from identity.connection_index where connection_id = $1`,
      [id],
    );
    expect(due).toEqual({ hours: 1 });
    await gone(id);
  });

  it('proposes another address for sign-ins, and does not take it', async () => {
    const id = await made([first!.certificate]);
    document = () => new Response(signRoot(metadata([first!], 'https://evil.example/sso'), { key: first! }));
    expect(await lookAtConnection(deps(), lead.tenant, id)).toMatchObject({ trouble: 'connection_address_changed' });
    expect((await shown(id)).values).toMatchObject({ ssoUrl: saml.ssoUrl });
    await gone(id);
  });

  it('is taken once a day of every connection that is due', async () => {
    const id = await made([first!.certificate]);
    expect(await tendConnections(deps(), 'round')).toBe(1);
    expect(await tendConnections(deps(), 'round')).toBe(0);
    clock.advance(DAY_MS);
    expect(await tendConnections(deps(), 'round')).toBe(1);
    await gone(id);
    clock.advance(DAY_MS);
    expect(await tendConnections(deps(), 'round')).toBe(0);
  });

  it('reads a pasted document for the form, and trusts nothing of it', () => {
    const described = describeMetadata(house.deps, metadata([first!]));
    expect(described).toMatchObject({ idpEntityId: saml.idpEntityId, ssoUrl: saml.ssoUrl });
    expect(described.certificates[0]).toMatchObject({ fingerprint: first!.fingerprint });
    expect(() => describeMetadata(house.deps, '<!DOCTYPE x><x/>')).toThrow(
      expect.objectContaining({ code: 'connection_setting_invalid', field: 'document' }),
    );
  });
});

describe('the end of a certificate', () => {
  it('is told once at 60, 30 and 7 days and when it has come, where no other one covers it', async () => {
    const key = await makeTestKey('ending', { notAfter_ms: clock.nowMs() + 90 * DAY_MS });
    const id = await made([key.certificate]);
    document = () => new Response('', { status: 500 });
    await recordAttempt(deps(), lead.tenant, { connectionId: id, purpose: 'test', version: 2 });
    await turnConnection(deps(), by(lead), { id, to: 'active' });
    const told = async () =>
      (await house.audited('connection.certificate-ending'))
        .filter(({ resource_id }) => resource_id === id)
        .map(({ leaf }) => (leaf['public'] as { dueDays: number }).dueDays);
    for (const days of [20, 10, 30, 23, 10]) {
      clock.advance(days * DAY_MS);
      await lookAtConnection(deps(), lead.tenant, id);
      await lookAtConnection(deps(), lead.tenant, id);
    }
    expect(await told()).toEqual([60, 30, 7, 0]);
    expect(
      (await listConnections(deps(), lead.tenant)).find(({ daysLeft }) => daysLeft !== null)!.daysLeft,
    ).toBeLessThan(0);
    const rules = (await house.audited('connection.certificate-ending')).map(({ leaf }) => {
      const event = { type: 'connection.certificate-ending', outcome: 'allowed', facts: leaf['public'] } as never;
      return RULES.filter((rule) => rule.matches(event)).map(({ severity }) => severity);
    });
    expect(rules).toEqual([['low'], ['low'], ['high'], ['high']]);
  });
});
