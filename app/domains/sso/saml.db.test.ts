import { X509Certificate } from 'node:crypto';
import { systemClock, systemRandom, uuidV7, type Uuid } from '@auditrax/base';
import { makeTestKey, type TestKey } from '@auditrax/saml/testing/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formOf, type Form } from '../../../e2e/identity-providers/browser.ts';
import {
  missingForSimpleSaml,
  startSimpleSaml,
  type SimpleSaml,
} from '../../../e2e/identity-providers/simplesamlphp.ts';
import { openTlsFront, type TlsFront } from '../../../e2e/identity-providers/tls-front.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { recentAttempts } from '../connections/attempts.ts';
import { loadConnection, type SamlSettings } from '../connections/index.ts';
import { insertCertificate } from '../connections/queries.ts';
import { stepOwnKeys, type OwnKeyStep } from '../connections/own-key-steps.ts';
import * as connections from '../connections/service.ts';
import type { JustInTime, SamlValues } from '../connections/settings-contract.ts';
import type { TestBrowser } from './testing/browser.ts';
import { askerOf, startSsoHouse, type SsoHouse } from './testing/sso-house.ts';

// SimpleSAMLphp of Debian, behind a TLS front, signs alice in through the real gateway and issuer.

const missing = missingForSimpleSaml();
const isMissing = missing.length > 0 && process.env['CI'] !== 'true';
if (isMissing) console.warn(`skipped: SimpleSAMLphp needs ${missing.join(', ')}`);

const PERSISTENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';
const SESSION = '__Host-auditrax';
const HOST = 'localhost:8443';
const ANYBODY: JustInTime = { allowed: true, roleWithoutGroup: 'client' };

describe.skipIf(isMissing)('SAML through gateway and issuer', () => {
  let house: SsoHouse;
  let provider: SimpleSaml;
  let front: TlsFront;
  let idpKey: TestKey;
  let lead: Caller;
  let leadCookie: string;
  let id: Uuid;
  /** To whose certificate the provider encrypts. */
  let hidden: Uuid;

  beforeAll(async () => {
    house = await startSsoHouse();
    leadCookie = (await house.issuer.enrol('harbour', 'lead')).cookie;
    lead = await house.callerOf(leadCookie);
    const what = { kind: 'saml', profile: 'other', name: 'Harbour directory' } as const;
    id = await connections.createConnection(house.deps, askerOf(lead), what);
    idpKey = await makeTestKey('simplesamlphp');
    front = await openTlsFront(house.tls);
    await setUp(front.origin);
    hidden = await connections.createConnection(house.deps, askerOf(lead), { ...what, name: 'Harbour, encrypted' });
    const values = valuesAt(front.origin);
    const change = { id: hidden, version: 1, name: 'Harbour, encrypted', justInTime: ANYBODY, values };
    await connections.changeSettings(house.deps, askerOf(lead), { ...change, certificates: [idpKey.certificate] });
    const services = [await serviceOf(id, false), await serviceOf(hidden, true)];
    provider = await startSimpleSaml(idpKey, () => services, front.origin);
    front.lead(provider.port);
  });
  afterAll(async () => {
    await provider?.stop();
    front?.close();
    await house?.stop();
  });

  const at = (what: string, of: Uuid = id) => `${house.origin}/sso/${of}/${what}`;
  const serviceOf = async (of: Uuid, encrypt: boolean) => {
    const { certificates } = (await loadConnection(house.deps, lead.tenant, of))!.settings as SamlSettings;
    return {
      entityId: at('metadata', of),
      acsUrl: at('acs', of),
      certificate: certificates.signing[0]!,
      encryptionCertificate: certificates.encryption[0]!,
      signResponse: true,
      signAssertion: true,
      encrypt,
    };
  };
  const stop = () => ({ from: front.origin, stopAt: `${house.origin}/app/` });
  const sessionOf = (browser: TestBrowser) => browser.cookie(HOST, SESSION);
  const lastFailure = async (of: Uuid = id) =>
    (await recentAttempts(house.deps, lead.tenant, of)).find(({ outcome }) => outcome === 'refused')?.report.failure;

  const valuesAt = (origin: string): SamlValues => ({
    kind: 'saml',
    idpEntityId: `${origin}/provider`,
    ssoUrl: `${origin}/simplesaml/saml2/idp/SSOService.php`,
    ssoBinding: 'redirect',
    metadataUrl: null,
    nameIdFormat: PERSISTENT,
    subjectAttribute: null,
    groupsAttribute: 'groups',
    emailAttribute: 'mail',
    nameAttribute: null,
    authnAge_seconds_max: null,
  });

  async function setUp(origin: string): Promise<void> {
    const values = valuesAt(origin);
    const change = { id, version: 1, name: 'Harbour directory', justInTime: ANYBODY, values };
    await connections.changeSettings(house.deps, askerOf(lead), change);
    await trust(idpKey.certificate);
    const groups = [{ group: 'g-2', name: null, role: 'auditor' }] as const;
    await connections.mapGroups(house.deps, askerOf(lead), { id, groups });
  }

  /** As an administrator who has pasted it. */
  async function trust(certificate: string): Promise<void> {
    const { tenant: context, personId } = lead;
    const rowId = uuidV7(systemClock, systemRandom);
    const field = 'identity.connection_certificate.pem' as const;
    const pem = await house.deps.sealer.seal({ context, field, rowId, value: certificate });
    const parsed = new X509Certificate(certificate);
    const now = new Date();
    await house.deps.tenant.transaction(context, async (tx) => {
      await tx.query(
        insertCertificate(context, {
          id: rowId,
          connection_id: id,
          fingerprint: Buffer.from(parsed.fingerprint256.replaceAll(':', ''), 'hex'),
          pem,
          state: 'active',
          source: 'pasted',
          not_after: new Date(parsed.validTo),
          seen_at: now,
          decided_by: personId,
          decided_at: now,
          vouched_by: null,
        }),
      );
      await house.deps.recordAudit(tx, {
        type: 'connection.certificate-trusted',
        actor: { personId },
        resource: ['connection', id],
        outcome: 'allowed',
        requestId: 'test',
      });
    });
  }

  /** From an address of ours to the form that the provider would have the browser post. */
  async function leave(browser: TestBrowser, url: string): Promise<Form> {
    const page = await browser.go(url, { from: `${house.origin}/app/sign-in` });
    let form = formOf(page);
    if (form !== undefined && 'password' in form.fields) {
      const fields = { ...form.fields, username: 'alice', password: 'alicepass' };
      form = formOf(await browser.submit({ ...form, fields }, { from: page.url }));
    }
    if (form?.fields['SAMLResponse'] === undefined)
      throw new Error(`no answer: ${page.status} ${page.text.slice(0, 300)}`);
    return form;
  }

  /** A test that the administrator begins, up to the form that comes back. */
  async function tried(of: Uuid): Promise<{ browser: TestBrowser; form: Form }> {
    const browser = house.browser();
    browser.cookies.set(HOST, new Map([[SESSION, { value: leadCookie, sameSite: 'strict' }]]));
    const asked = await browser.ask(`${house.origin}/api/sso/test`, { connectionId: house.idOf(lead, of) });
    return { browser, form: await leave(browser, (JSON.parse(asked.text) as { url: string }).url) };
  }

  it('a test shows what the provider says, and signs nobody in', async () => {
    const { browser, form } = await tried(id);
    expect(form.action).toBe(at('acs'));
    const seen = await browser.submit(form, stop());
    expect([seen.status, seen.url]).toEqual([303, `${house.origin}/app/connections/${house.idOf(lead, id)}`]);
    const [attempt] = await recentAttempts(house.deps, lead.tenant, id);
    expect(attempt!.report).toMatchObject({ subject: 'alice-0451', groups: ['g-1', 'g-2'], failure: null });
    expect(sessionOf(browser)).toBe(leadCookie);
    await connections.turnConnection(house.deps, askerOf(lead), { id, to: 'active' });
  });

  it('a test that fails ends at the connection too, where the check is named', async () => {
    const { browser, form } = await tried(id);
    const xml = Buffer.from(form.fields['SAMLResponse']!, 'base64').toString('utf8');
    const forged = Buffer.from(xml.replaceAll('alice-0451', 'admin-0451'), 'utf8').toString('base64');
    const seen = await browser.submit({ ...form, fields: { ...form.fields, SAMLResponse: forged } }, stop());
    expect([seen.status, seen.url]).toEqual([303, `${house.origin}/app/connections/${house.idOf(lead, id)}`]);
    const [attempt] = await recentAttempts(house.deps, lead.tenant, id);
    expect(attempt).toMatchObject({ purpose: 'test', outcome: 'refused', report: { failure: { check: 'G18' } } });
    expect(sessionOf(browser)).toBe(leadCookie);
  });

  it('its form from another site signs alice in, with the role of her group, no longer than the provider’s session', async () => {
    const browser = house.browser();
    const form = await leave(browser, at('start'));
    const seen = await browser.submit(form, stop());
    expect([seen.status, seen.url]).toEqual([303, `${house.origin}/app/`]);
    expect(await house.whoIs(browser)).toMatchObject({
      method: 'sso',
      role: 'auditor',
      connection: 'Harbour directory',
      person: { label: 'alice@acme.test' },
    });
    const [row] = await house.issuer.rows<{ left: number }>(
      `select extract(epoch from expires_at - auth_time)::int as left from identity.session where method = 'sso'`,
    );
    // SimpleSAMLphp ends its own after eight hours; ours would last twelve.
    expect(row!.left).toBeGreaterThan(28_000);
    expect(row!.left).toBeLessThanOrEqual(28_800);
  });

  it('an answer counts once, in the browser that asked, for the request that was made', async () => {
    const browser = house.browser();
    const form = await leave(browser, at('start'));
    expect((await house.browser().submit(form, stop())).status).toBe(409);
    expect((await browser.submit(form, stop())).status).toBe(409);
    const next = await leave(browser, at('start'));
    const swapped = { ...next, fields: { ...next.fields, SAMLResponse: form.fields['SAMLResponse']! } };
    expect((await browser.submit(swapped, stop())).status).toBe(401);
    expect(await lastFailure()).toMatchObject({
      code: expect.stringMatching(/^saml_/),
      check: expect.stringMatching(/^G/),
    });
    expect(sessionOf(browser)).toBeUndefined();
  });

  it('a changed answer is refused, and the check is named to administrators alone', async () => {
    const browser = house.browser();
    const form = await leave(browser, at('start'));
    const xml = Buffer.from(form.fields['SAMLResponse']!, 'base64').toString('utf8');
    const forged = Buffer.from(xml.replaceAll('alice-0451', 'admin-0451'), 'utf8').toString('base64');
    const seen = await browser.submit({ ...form, fields: { ...form.fields, SAMLResponse: forged } }, stop());
    expect([seen.status, seen.text.includes('saml_')]).toEqual([401, false]);
    expect(await lastFailure()).toMatchObject({ code: 'saml_signature_invalid' });
  });

  it('what the provider starts by itself begins a sign-in from here instead', async () => {
    const form = await leave(house.browser(), at('start'));
    for (const fields of [
      { SAMLResponse: form.fields['SAMLResponse']! },
      { SAMLResponse: form.fields['SAMLResponse']!, RelayState: 'https://evil.example/' },
    ]) {
      const browser = house.browser();
      const seen = await browser.submit({ action: form.action, fields }, { from: front.origin, stopAt: house.origin });
      expect([seen.status, seen.url]).toEqual([303, at('start')]);
      expect(sessionOf(browser)).toBeUndefined();
    }
  });

  const xmlOf = (form: Form) => Buffer.from(form.fields['SAMLResponse']!, 'base64').toString('utf8');
  const withXml = (form: Form, xml: string): Form => ({
    ...form,
    fields: { ...form.fields, SAMLResponse: Buffer.from(xml, 'utf8').toString('base64') },
  });

  it('an assertion that the provider encrypts to our certificate is read, and a changed one is not', async () => {
    const test = await tried(hidden);
    expect(xmlOf(test.form)).toContain('EncryptedAssertion');
    expect(xmlOf(test.form)).not.toContain('alice-0451');
    expect((await test.browser.submit(test.form, stop())).status).toBe(303);
    const [attempt] = await recentAttempts(house.deps, lead.tenant, hidden);
    expect(attempt!.report).toMatchObject({ subject: 'alice-0451', failure: null });
    await connections.turnConnection(house.deps, askerOf(lead), { id: hidden, to: 'active' });

    const browser = house.browser();
    const form = await leave(browser, at('start', hidden));
    const changed = xmlOf(form).replace(/(<xenc:CipherValue>)......../g, '$1AAAAAAAA');
    expect(changed).not.toBe(xmlOf(form));
    expect((await browser.submit(withXml(form, changed), stop())).status).toBe(401);
    expect(await lastFailure(hidden)).toMatchObject({ code: 'saml_signature_invalid' });
    // Without the response's signature the ciphertext has nothing that vouches for it.
    const again = await leave(browser, at('start', hidden));
    const bare = xmlOf(again).replace(/<ds:Signature\b.*?<\/ds:Signature>/s, '');
    expect(bare).not.toBe(xmlOf(again));
    expect((await browser.submit(withXml(again, bare), stop())).status).toBe(401);
    expect(await lastFailure(hidden)).toMatchObject({ code: 'saml_encryption_unauthenticated', check: 'G17' });
    expect(sessionOf(browser)).toBeUndefined();
    const last = house.browser();
    expect((await last.submit(await leave(last, at('start', hidden)), stop())).status).toBe(303);
    expect(await house.whoIs(last)).toMatchObject({ signedIn: true, connection: 'Harbour, encrypted' });
  });

  it('our own keys change without anybody being turned away, until the old one is ended', async () => {
    const step = (name: OwnKeyStep) => stepOwnKeys(house.deps, askerOf(lead), { id: hidden, step: name });
    const certificates = async () =>
      [...(await house.browser().go(at('metadata', hidden))).text.matchAll(/<ds:X509Certificate>([^<]*)/g)].map(
        ([, text]) => text!,
      );
    const before = await certificates();
    expect(before).toHaveLength(2);
    const browsers = [house.browser(), house.browser(), house.browser()];
    const forms: Form[] = [];
    for (const browser of browsers) forms.push(await leave(browser, at('start', hidden)));
    await step('prepare');
    const beside = await certificates();
    expect(beside).toHaveLength(4);
    expect(beside).toEqual(expect.arrayContaining(before));
    expect((await browsers[0]!.submit(forms[0]!, stop())).status).toBe(303);
    await step('use');
    expect(await certificates()).toEqual(beside.filter((one) => !before.includes(one)));
    // Still encrypted to the old one: the provider was not asked again.
    expect((await browsers[1]!.submit(forms[1]!, stop())).status).toBe(303);
    await step('end');
    expect((await browsers[2]!.submit(forms[2]!, stop())).status).toBe(401);
    expect(await lastFailure(hidden)).toMatchObject({ code: 'saml_decryption_failed', check: 'G20' });
  });

  it('our own metadata is there before anything of the provider is known', async () => {
    const what = { kind: 'saml', profile: 'adfs', name: 'Harbour, begun' } as const;
    const begun = await connections.createConnection(house.deps, askerOf(lead), what);
    const seen = await house.browser().go(at('metadata', begun));
    expect(seen.status).toBe(200);
    expect(seen.text).toContain(`entityID="${at('metadata', begun)}"`);
    expect(seen.text).toContain(`<md:NameIDFormat>${PERSISTENT}</md:NameIDFormat>`);
    expect(seen.text.match(/<ds:X509Certificate>/g)).toHaveLength(2);
  });

  it('our own metadata is there for the provider to read', async () => {
    const seen = await house.browser().go(at('metadata'));
    expect([seen.status, seen.headers['content-type']]).toEqual([200, 'application/samlmetadata+xml']);
    expect(seen.text).toContain(`entityID="${at('metadata')}"`);
    expect(seen.text).toContain(`Location="${at('acs')}"`);
  });
});
