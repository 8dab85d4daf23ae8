import { systemClock, systemRandom } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { formOf, HeadlessBrowser, type Page } from '../../../e2e/identity-providers/browser.ts';
import {
  createKeySource,
  discoverProvider,
  endSessionUrl,
  finishSignIn,
  parseOidcConnection,
  startSignIn,
  verifyLogoutToken,
  type OidcConnection,
  type OidcConnectionInput,
  type StoredSignIn,
} from './index.ts';
import { LIVE_CLIENT, LIVE_KEY_CLIENT, startLiveProvider, type LiveProvider } from './testing/live-provider.ts';

const PORTS = { fetch, clock: systemClock };

/**
 * A whole provider over real HTTP on loopback. It is by the maker of the library underneath and signs with the same
 * `jose`, so it is no independent reading of the standards.
 */
describe('oidc-provider, a real provider', () => {
  let live: LiveProvider;
  beforeAll(async () => {
    // It tells everybody that its development pages are on.
    for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
    live = await startLiveProvider();
  });
  afterAll(async () => {
    await live.close();
    vi.restoreAllMocks();
  });

  const connect = async (over: Partial<OidcConnectionInput> = {}) => {
    const connection = parseOidcConnection(
      {
        profile: 'other',
        issuer: live.issuer,
        clientId: LIVE_CLIENT.id,
        clientAuthentication: { method: 'client_secret_basic', secret: LIVE_CLIENT.secret },
        redirectUri: live.redirectUri,
        postLogoutRedirectUri: live.postLogoutRedirectUri,
        claims: { groups: 'groups' },
        ...over,
      },
      { rehearsal: true },
    );
    const provider = await discoverProvider(connection, PORTS);
    return { connection, provider, keys: createKeySource(connection, provider, PORTS) };
  };
  type Connected = Awaited<ReturnType<typeof connect>>;

  /** Fills in the pages until the browser is back at the client. */
  async function signInAt(
    browser: HeadlessBrowser,
    url: string,
    login: string,
  ): Promise<{ page: Page; forms: number }> {
    let page = await browser.get(url);
    let forms = 0;
    for (; forms < 3 && !page.url.startsWith(live.redirectUri); forms += 1) {
      const form = formOf(page);
      if (form === undefined) throw new Error(`no form: ${page.status} ${page.text.slice(0, 300)}`);
      page = await browser.submit({ ...form, fields: { ...form.fields, login, password: 'anything' } });
    }
    return { page, forms };
  }

  async function signIn({ connection, provider, keys }: Connected, browser: HeadlessBrowser, isFresh = false) {
    const started = startSignIn(connection, provider, { isFresh, clock: systemClock, random: systemRandom });
    const { page, forms } = await signInAt(browser, started.url, 'alice');
    const answer = { query: new URL(page.url).search.slice(1), request: started.request, connection, provider, keys };
    return { answer, forms, person: await finishSignIn(answer, PORTS) };
  }

  it('O8 O11 O16 O25: signs somebody in with code, PKCE, nonce and its own name in the answer', async () => {
    const connected = await connect();
    expect(connected.provider.namesItself).toBe(true);
    const { answer, person, forms } = await signIn(connected, new HeadlessBrowser());
    expect(forms).toBeGreaterThan(0);
    expect(answer.query).toContain('iss=');
    expect(person).toMatchObject({ key: 'alice', email: 'alice@acme.test', name: 'Alice', groups: ['auditors'] });
    expect(person.sessionId).toMatch(/^[\w-]+$/);
    // The code was spent by the first exchange.
    await expect(finishSignIn(answer, PORTS)).rejects.toMatchObject({ code: 'oidc_token_refused' });
  });

  it('O19: it refuses a code that was asked for with another verifier', async () => {
    const { connection, provider, keys } = await connect();
    const started = startSignIn(connection, provider, { clock: systemClock, random: systemRandom });
    const { page } = await signInAt(new HeadlessBrowser(), started.url, 'alice');
    const request: StoredSignIn = { ...started.request, verifier: 'v'.repeat(43) };
    const query = new URL(page.url).search.slice(1);
    await expect(finishSignIn({ query, request, connection, provider, keys }, PORTS)).rejects.toMatchObject({
      code: 'oidc_token_refused',
    });
  });

  it('O30: asks somebody who is signed in already again, and is told when that was', async () => {
    const connected = await connect();
    const browser = new HeadlessBrowser();
    await signIn(connected, browser);
    expect((await signIn(connected, browser)).forms).toBe(0);
    const again = await signIn(connected, browser, true);
    expect(again.forms).toBeGreaterThan(0);
    expect(again.person.signedIn_ms).toBeGreaterThan(systemClock.nowMs() - 60_000);
  });

  it('O22: takes ES256 from it, and proves itself by a key of its own', async () => {
    const byKey = {
      clientId: LIVE_KEY_CLIENT,
      clientAuthentication: { method: 'private_key_jwt', privateKey: live.clientKey, kid: 'own' },
    } as const;
    const { person } = await signIn(await connect({ ...byKey, algorithm: 'ES256' }), new HeadlessBrowser());
    expect(person.key).toBe('alice');
    await expect(signIn(await connect(byKey), new HeadlessBrowser())).rejects.toMatchObject({
      code: 'oidc_algorithm_refused',
    });
  });

  it('O17: its error answers come back as errors', async () => {
    const { connection, provider, keys } = await connect();
    const started = startSignIn(connection, provider, { clock: systemClock, random: systemRandom });
    const page = await new HeadlessBrowser().get(`${started.url}&prompt=none`);
    expect(page.url.startsWith(live.redirectUri)).toBe(true);
    const answer = { query: new URL(page.url).search.slice(1), request: started.request, connection, provider, keys };
    await expect(finishSignIn(answer, PORTS)).rejects.toMatchObject({ code: 'oidc_answer_error' });
  });

  it('O38 O39 O40 O41: a sign-out there sends a logout token that holds here, once', async () => {
    const connected = await connect();
    const browser = new HeadlessBrowser();
    const { person } = await signIn(connected, browser);
    const url = endSessionUrl(connected.connection, connected.provider, {
      idToken: person.idToken,
      state: 'opaque',
      clock: systemClock,
    });
    const confirmation = formOf(await browser.get(url!))!;
    const page = await browser.submit({ ...confirmation, fields: { ...confirmation.fields, logout: 'yes' } });
    expect(page.url).toBe(`${live.postLogoutRedirectUri}?state=opaque`);
    const token = live.logoutForms.at(-1)!.get('logout_token')!;
    const seen = new Set<string>();
    const judge = (connection: OidcConnection, given: string) =>
      verifyLogoutToken(
        { token: given, connection, keys: connected.keys },
        {
          clock: systemClock,
          once: (id) => Promise.resolve(!seen.has(id) && seen.add(id) !== undefined),
        },
      );
    expect(await judge(connected.connection, token)).toMatchObject({ subject: 'alice', sessionId: person.sessionId });
    await expect(judge(connected.connection, token)).rejects.toMatchObject({ code: 'oidc_replayed' });
    await expect(judge(connected.connection, person.idToken)).rejects.toMatchObject({ code: 'oidc_token_typ' });
  });
});
