import { createPublicKey } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock, systemRandom } from '@auditrax/base';
import {
  createKeySource,
  discoverProvider,
  finishSignIn,
  parseOidcConnection,
  startSignIn,
  type OidcConnectionInput,
} from '@auditrax/oidc';
import {
  acceptResponse,
  makeAuthnRequest,
  parseConnection,
  parseIdpMetadata,
  spMetadata,
  type SamlConnection,
  type StoredRequest,
} from '@auditrax/saml';
import { makeTestKey, type TestKey } from '@auditrax/saml/testing/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formOf, HeadlessBrowser, type Form, type Page } from './browser.ts';
import { missingForLemonLdap, startLemonLdap, type LemonLdap } from './lemonldap.ts';

const missing = missingForLemonLdap();
const isMissing = missing.length > 0 && process.env['CI'] !== 'true';
if (isMissing) console.warn(`skipped: LemonLDAP::NG needs ${missing.join(', ')}`);

const CLIENT = {
  id: 'auditrax',
  secret: 'a-secret-of-a-live-test',
  redirectUri: 'https://auditrax.test/sso/1/callback',
};
/** The second one is promised two days. */
const SERVICES = { usual: { validity_seconds: 300 }, lasting: { validity_seconds: 172_800 } } as const;
type ServiceName = keyof typeof SERVICES;
const PERSISTENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';
const PORTS = { fetch, clock: systemClock };
const PORTS_OF_START = { clock: systemClock, random: systemRandom };

let provider: LemonLdap;
let idpKey: TestKey;
let spKey: TestKey;

/** Forms on the way of one sign-in: a question whether to sign in anew, and the sign-in. */
const FORMS_MAX = 3;

/** Fills in the provider's forms where there are any, until it hands over an answer. */
async function pass(browser: HeadlessBrowser, first: Page): Promise<Page & { asked: boolean }> {
  let page = first;
  let asked = false;
  for (let count = 0; count < FORMS_MAX; count += 1) {
    const form = formOf(page);
    if (form === undefined || 'SAMLResponse' in form.fields) break;
    const wantsPassword = 'password' in form.fields;
    asked ||= wantsPassword;
    const credentials = wantsPassword ? { user: 'dwho', password: 'dwho' } : {};
    page = await browser.submit({ ...form, fields: { ...form.fields, ...credentials } });
  }
  return { ...page, asked };
}

function samlConnection(
  url: string,
  service: ServiceName = 'usual',
  change: Partial<Parameters<typeof parseConnection>[0]> = {},
): SamlConnection {
  return parseConnection({
    idpEntityId: `${url}/saml/metadata`,
    ssoUrl: `${url}/saml/singleSignOn`,
    ssoBinding: 'redirect',
    spEntityId: `https://auditrax.test/sso/${service}/metadata`,
    acsUrl: `https://auditrax.test/sso/${service}/acs`,
    certificates: [{ pem: idpKey.certificate, state: 'active' }],
    nameIdFormat: PERSISTENT,
    ...change,
  });
}

describe.skipIf(isMissing)('LemonLDAP::NG, a live identity provider', () => {
  beforeAll(async () => {
    [idpKey, spKey] = await Promise.all([makeTestKey('lemonldap'), makeTestKey('service')]);
    const publicKey = createPublicKey(idpKey.privateKey).export({ type: 'spki', format: 'pem' }) as string;
    provider = await startLemonLdap({ ...idpKey, publicKey }, (origin) => ({
      clients: [CLIENT],
      services: Object.entries(SERVICES).map(([name, { validity_seconds }]) => ({
        metadata: spMetadata(samlConnection(origin, name as ServiceName), {
          signing: [spKey.certificate],
          encryption: [],
        }),
        validity_seconds,
      })),
    }));
  }, 90_000);
  afterAll(() => provider?.stop());

  describe('by OpenID Connect', () => {
    const connect = async (change: Partial<OidcConnectionInput> = {}) => {
      const connection = parseOidcConnection(
        {
          profile: 'other',
          issuer: provider.issuer,
          clientId: CLIENT.id,
          clientAuthentication: { method: 'client_secret_post', secret: CLIENT.secret },
          redirectUri: CLIENT.redirectUri,
          ...change,
        },
        { rehearsal: true },
      );
      const document = await discoverProvider(connection, PORTS);
      return { connection, provider: document, keys: createKeySource(connection, document, PORTS) };
    };

    /** As far as the redirect to our address, which nobody serves here. */
    async function codeFor(browser: HeadlessBrowser, url: string): Promise<{ query: string; asked: boolean }> {
      const page = await pass(browser, await browser.get(url));
      if (!page.url.startsWith(CLIENT.redirectUri))
        throw new Error(`stopped at ${page.url}: ${page.text.slice(0, 300)}`);
      return { query: new URL(page.url).search.slice(1), asked: page.asked };
    }

    it('signs somebody in: strict algorithm and PKCE although it offers none and plain, and no name in its answer', async () => {
      const connected = await connect();
      expect(connected.provider.namesItself).toBe(false);
      const { request, url } = startSignIn(connected.connection, connected.provider, PORTS_OF_START);
      const { query } = await codeFor(new HeadlessBrowser(CLIENT.redirectUri), url);
      const person = await finishSignIn({ query, request, ...connected }, PORTS);
      expect(person).toMatchObject({ key: 'dwho', email: 'dwho@badwolf.org' });
      // A code is spent by its first use.
      await expect(finishSignIn({ query, request, ...connected }, PORTS)).rejects.toMatchObject({
        code: 'oidc_token_refused',
      });
    });

    it('asks again when a new sign-in is wanted, and the time proves it', async () => {
      const connected = await connect();
      const browser = new HeadlessBrowser(CLIENT.redirectUri);
      const first = startSignIn(connected.connection, connected.provider, PORTS_OF_START);
      expect((await codeFor(browser, first.url)).asked).toBe(true);
      const silent = startSignIn(connected.connection, connected.provider, PORTS_OF_START);
      expect((await codeFor(browser, silent.url)).asked).toBe(false);
      await delay(2_100);
      const fresh = startSignIn(connected.connection, connected.provider, { ...PORTS_OF_START, isFresh: true });
      const { query, asked } = await codeFor(browser, fresh.url);
      expect(asked).toBe(true);
      await expect(finishSignIn({ query, request: fresh.request, ...connected }, PORTS)).resolves.toMatchObject({
        key: 'dwho',
      });
    });

    it('another secret, verifier or state gives nothing', async () => {
      const wrong = await connect({
        clientAuthentication: { method: 'client_secret_post', secret: 'another-secret-0001' },
      });
      const started = startSignIn(wrong.connection, wrong.provider, PORTS_OF_START);
      const { query } = await codeFor(new HeadlessBrowser(CLIENT.redirectUri), started.url);
      await expect(finishSignIn({ query, request: started.request, ...wrong }, PORTS)).rejects.toMatchObject({
        code: 'oidc_token_refused',
      });
      const connected = await connect();
      const mine = startSignIn(connected.connection, connected.provider, PORTS_OF_START);
      const theirs = startSignIn(connected.connection, connected.provider, PORTS_OF_START);
      const answer = await codeFor(new HeadlessBrowser(CLIENT.redirectUri), mine.url);
      await expect(
        finishSignIn({ query: answer.query, request: theirs.request, ...connected }, PORTS),
      ).rejects.toMatchObject({ code: 'oidc_state' });
      const stolen = { ...theirs.request, state: mine.request.state };
      await expect(finishSignIn({ query: answer.query, request: stolen, ...connected }, PORTS)).rejects.toMatchObject({
        code: 'oidc_token_refused',
      });
    });
  });

  describe('by SAML', () => {
    const used = new Set<string>();
    const ask = (connection = samlConnection(provider.issuer), signingKey = spKey.privateKey) =>
      makeAuthnRequest(connection, {
        signingKey,
        clock: systemClock,
        random: systemRandom,
      });
    const answerTo = async (browser: HeadlessBrowser, url: string): Promise<Form> => {
      const page = await pass(browser, await browser.get(url));
      const form = formOf(page);
      if (form?.fields['SAMLResponse'] === undefined) throw new Error(`no response: ${page.text.slice(0, 400)}`);
      return form;
    };
    const accept = (connection: SamlConnection, request: StoredRequest, form: Form) =>
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

    it('its metadata is read, and gives what we dial and trust', async () => {
      const bytes = new Uint8Array(await (await fetch(provider.metadataUrl)).arrayBuffer());
      const metadata = parseIdpMetadata(bytes, [], systemClock);
      expect(metadata.entityId).toBe(`${provider.issuer}/saml/metadata`);
      expect(metadata.certificates.map(({ fingerprint }) => fingerprint)).toContain(idpKey.fingerprint);
    });

    it('signs somebody in, once, for this connection and this request', async () => {
      const connection = samlConnection(provider.issuer);
      const { request, departure } = ask();
      const form = await answerTo(new HeadlessBrowser(), departure.url);
      expect(form.action).toBe(connection.acsUrl);
      const result = await accept(connection, request, form);
      expect(result).toMatchObject({ issuer: connection.idpEntityId, signedBy: idpKey.fingerprint });
      expect(result.subject).toMatchObject({ format: PERSISTENT });
      expect(result.attributes.get('uid')).toEqual(['dwho']);
      await expect(accept(connection, request, form)).rejects.toMatchObject({ code: 'saml_replayed' });
      await expect(
        accept(connection, { ...ask().request, relayState: request.relayState }, form),
      ).rejects.toMatchObject({ code: 'saml_in_response_to' });
      const foreign = samlConnection(provider.issuer, 'usual', {
        certificates: [{ pem: (await makeTestKey('somebody')).certificate, state: 'active' }],
      });
      await expect(accept(foreign, request, form)).rejects.toMatchObject({ code: /^saml_signature/ });
    });

    it('what it promises to hold for two days is refused by name', async () => {
      const connection = samlConnection(provider.issuer, 'lasting');
      const { request, departure } = ask(connection);
      const form = await answerTo(new HeadlessBrowser(), departure.url);
      await expect(accept(connection, request, form)).rejects.toMatchObject({ code: 'saml_lifetime_excessive' });
    });

    it('answers no request that we have not signed', async () => {
      const { privateKey } = await makeTestKey('somebody');
      const browser = new HeadlessBrowser();
      const page = await pass(
        browser,
        await browser.get(ask(samlConnection(provider.issuer), privateKey).departure.url),
      );
      expect(page.asked).toBe(true);
      expect(page.text).not.toContain('SAMLResponse');
    });
  });
});
