import { systemClock, systemRandom } from '@auditrax/base';
import {
  acceptResponse,
  applyMetadata,
  makeAuthnRequest,
  parseConnection,
  parseIdpMetadata,
  type AcceptedResponse,
  type Departure,
  type SamlConnection,
  type SsoBinding,
  type StoredRequest,
} from '@auditrax/saml';
import { makeTestKey, type TestKey } from '@auditrax/saml/testing/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formOf, HeadlessBrowser, type Form, type Page } from './browser.ts';
import { missingForSimpleSaml, startSimpleSaml, type KnownService, type SimpleSaml } from './simplesamlphp.ts';

const missing = missingForSimpleSaml();
const isMissing = missing.length > 0 && process.env['CI'] !== 'true';
if (isMissing) console.warn(`skipped: SimpleSAMLphp needs ${missing.join(', ')}`);

const KINDS = {
  both: { signResponse: true, signAssertion: true, encrypt: false },
  response: { signResponse: true, signAssertion: false, encrypt: false },
  assertion: { signResponse: false, signAssertion: true, encrypt: false },
  encrypted: { signResponse: true, signAssertion: true, encrypt: true },
  'encrypted-alone': { signResponse: false, signAssertion: true, encrypt: true },
} as const;
type Kind = keyof typeof KINDS;
const NAME_ID_FORMAT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

describe.skipIf(isMissing)('SimpleSAMLphp, a live identity provider', () => {
  let idpKey: TestKey;
  let spKey: TestKey;
  let provider: SimpleSaml;
  const used = new Set<string>();

  beforeAll(async () => {
    idpKey = await makeTestKey('simplesamlphp');
    spKey = await makeTestKey('service');
    provider = await startSimpleSaml(idpKey, () =>
      Object.entries(KINDS).map(([kind, signs]): KnownService => ({
        entityId: `https://auditrax.test/saml/${kind}`,
        acsUrl: `https://auditrax.test/api/saml/acs/${kind}`,
        certificate: spKey.certificate,
        ...signs,
      })),
    );
  });
  afterAll(() => provider?.stop());

  const connectionOf = (kind: Kind, ssoBinding: SsoBinding = 'redirect'): SamlConnection =>
    parseConnection({
      idpEntityId: provider.entityId,
      ssoUrl: provider.ssoUrl,
      ssoBinding,
      spEntityId: `https://auditrax.test/saml/${kind}`,
      acsUrl: `https://auditrax.test/api/saml/acs/${kind}`,
      certificates: [{ pem: idpKey.certificate, state: 'active' }],
      nameIdFormat: NAME_ID_FORMAT,
    });
  const ask = (connection: SamlConnection, options: { forceAuthn?: boolean; signingKey?: string } = {}) =>
    makeAuthnRequest(connection, {
      signingKey: spKey.privateKey,
      clock: systemClock,
      random: systemRandom,
      ...options,
    });
  const depart = (browser: HeadlessBrowser, departure: Departure): Promise<Page> =>
    departure.binding === 'redirect'
      ? browser.get(departure.url)
      : browser.submit({ action: departure.url, fields: departure.fields });

  /** Signs in where a form asks for it, and returns what the browser would post to us. */
  async function answerOf(browser: HeadlessBrowser, departure: Departure): Promise<Form & { readonly asked: boolean }> {
    let form = formOf(await depart(browser, departure));
    const asked = form !== undefined && 'password' in form.fields;
    if (asked)
      form = formOf(
        await browser.submit({ ...form!, fields: { ...form!.fields, username: 'alice', password: 'alicepass' } }),
      );
    if (form?.fields['SAMLResponse'] === undefined) throw new Error('the provider sent no response');
    return { ...form, asked };
  }
  const accept = (
    connection: SamlConnection,
    request: StoredRequest | undefined,
    form: Form,
  ): Promise<AcceptedResponse> =>
    acceptResponse(
      {
        samlResponse: form.fields['SAMLResponse']!,
        relayState: form.fields['RelayState'],
        request,
        connection,
        decryptionKeys: [spKey.privateKey],
      },
      { clock: systemClock, once: (id) => Promise.resolve(!used.has(id) && used.add(id).size > 0) },
    );

  it.each([
    ['both', 'both', false],
    ['response', 'response', false],
    ['assertion', 'assertion', false],
    ['encrypted', 'both', true],
  ] as const)('signs alice in: %s', async (kind, signed, isEncrypted) => {
    const connection = connectionOf(kind);
    const { request, departure } = ask(connection);
    const form = await answerOf(new HeadlessBrowser(), departure);
    expect(form.action).toBe(connection.acsUrl);
    const result = await accept(connection, request, form);
    expect(result).toMatchObject({
      issuer: provider.entityId,
      subject: { nameId: 'alice-0451', format: NAME_ID_FORMAT, spNameQualifier: connection.spEntityId },
      signed,
      isEncrypted,
      signedBy: idpKey.fingerprint,
    });
    expect(result.sessionIndex).toMatch(/^_/);
    expect(Object.fromEntries(result.attributes)).toEqual({
      uid: ['alice-0451'],
      mail: ['alice@acme.test'],
      groups: ['g-1', 'g-2'],
    });
    // The same answer once more, to another request, at another connection, and changed by one letter.
    await expect(accept(connection, request, form)).rejects.toMatchObject({ code: 'saml_replayed' });
    await expect(accept(connection, undefined, form)).rejects.toMatchObject({ code: 'saml_unsolicited' });
    await expect(
      accept(connection, { ...ask(connection).request, relayState: request.relayState }, form),
    ).rejects.toMatchObject({ code: 'saml_in_response_to' });
    const other = connectionOf(kind === 'both' ? 'response' : 'both');
    await expect(accept(other, request, form)).rejects.toMatchObject({ code: 'saml_destination' });
  });

  it('refuses its AES-CBC without a signature over the response', async () => {
    const connection = connectionOf('encrypted-alone');
    const { request, departure } = ask(connection);
    const form = await answerOf(new HeadlessBrowser(), departure);
    await expect(accept(connection, request, form)).rejects.toMatchObject({ code: 'saml_encryption_unauthenticated' });
  });

  it('takes our request by post as well, and its signature is checked', async () => {
    const connection = connectionOf('both', 'post');
    const { request, departure } = ask(connection);
    const form = await answerOf(new HeadlessBrowser(), departure);
    expect((await accept(connection, request, form)).subject.nameId).toBe('alice-0451');
    const { privateKey } = await makeTestKey('somebody');
    for (const binding of ['redirect', 'post'] as const) {
      const forged = ask(connectionOf('both', binding), { signingKey: privateKey });
      const page = await depart(new HeadlessBrowser(), forged.departure);
      expect(page.text).toMatch(/Unable to validate (signature on query string|Signature)/);
      expect(formOf(page)?.fields).not.toHaveProperty('password');
    }
  });

  it('asks again for the password when a new sign-in is forced, and the instant proves it', async () => {
    const browser = new HeadlessBrowser();
    const connection = connectionOf('both');
    const first = ask(connection);
    expect((await answerOf(browser, first.departure)).asked).toBe(true);
    const second = ask(connection);
    const silent = await answerOf(browser, second.departure);
    expect(silent.asked).toBe(false);
    const forced = ask(connection, { forceAuthn: true });
    const answer = await answerOf(browser, forced.departure);
    expect(answer.asked).toBe(true);
    const result = await accept(connection, forced.request, answer);
    expect(result.authnInstant_ms).toBeGreaterThanOrEqual(Math.floor(forced.request.issuedAt_ms / 1000) * 1000);
    await expect(
      accept(
        connection,
        { ...second.request, forceAuthn: true, issuedAt_ms: second.request.issuedAt_ms + 120_000 },
        silent,
      ),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^saml_(authn_too_old|issue_instant|request_expired)$/) });
  });

  it('gives nothing for a wrong password', async () => {
    const browser = new HeadlessBrowser();
    const { departure } = ask(connectionOf('both'));
    const form = formOf(await depart(browser, departure))!;
    const page = await browser.submit({ ...form, fields: { ...form.fields, username: 'alice', password: 'wrong' } });
    expect(formOf(page)?.fields['SAMLResponse']).toBeUndefined();
  });

  it('publishes metadata that is read, and changes nothing when nothing is new', async () => {
    const connection = connectionOf('both');
    const bytes = new Uint8Array(await (await fetch(provider.metadataUrl)).arrayBuffer());
    const metadata = parseIdpMetadata(bytes, connection.certificates, systemClock);
    expect(metadata.entityId).toBe(provider.entityId);
    expect(applyMetadata(connection, metadata)).toMatchObject({
      pending: [],
      activated: [],
      withdrawn: [],
      ssoUrl: undefined,
    });
    const fresh = { ...connection, certificates: [] };
    expect(applyMetadata(fresh, metadata).pending).toEqual([idpKey.fingerprint]);
  });
});
