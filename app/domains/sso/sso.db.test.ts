import { AppError, type Uuid } from '@auditrax/base';
import { startLiveProvider, LIVE_CLIENT, type LiveProvider } from '@auditrax/oidc/testing/live-provider';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { STEP_UP_HEADER } from '../../platform/http/headers.ts';
import { createSoftwareAuthenticator, type SoftwareAuthenticator } from '../../probes/software-authenticator.ts';
import { suspendMember } from '../access/service.ts';
import { recentAttempts } from '../connections/attempts.ts';
import { changeoverRoutes } from '../connections/changeover-contract.ts';
import { connectionChangeRoutes } from '../connections/index.ts';
import * as connections from '../connections/service.ts';
import type { JustInTime, OidcValues } from '../connections/settings-contract.ts';
import { formOf } from '../../../e2e/identity-providers/browser.ts';
import { disconnect } from './identities.ts';
import { logOut } from './logout.ts';
import type { TestBrowser, Seen } from './testing/browser.ts';
import { askerOf, startSsoHouse, type SsoHouse } from './testing/sso-house.ts';

// oidc-provider, run live over https on loopback, signs people in through the real gateway and issuer.

const SESSION = '__Host-auditrax';
const BINDING = '__Host-auditrax-sso';
const HOST = 'localhost:8443';
const AUDITORS: JustInTime = { allowed: true, roleWithoutGroup: 'auditor' };
const NOBODY: JustInTime = { allowed: false, roleWithoutGroup: null };

let house: SsoHouse;
/** By how much the rooms' clock goes ahead of everybody else's. */
let shift_ms = 0;
let live: LiveProvider;
let lead: Caller;
let leadCookie: string;
let leadDevice: SoftwareAuthenticator;
let stranger: Caller;
let strangerCookie: string;
/** Of the lead's tenant: lets new people in, does not, is only a draft. And one of another tenant. */
const ids = { open: '', shut: '', draft: '', foreign: '' } as Record<'open' | 'shut' | 'draft' | 'foreign', Uuid>;
const said = new Map<string, Record<string, unknown>>();
const claimsOf = (id: string) => said.get(id) ?? { email: `${id}@acme.test`, name: `Person ${id}` };

const at = (id: Uuid, what: string) => `${house.origin}/sso/${id}/${what}`;

async function setUp(caller: Caller, id: Uuid, justInTime: JustInTime): Promise<void> {
  const values: OidcValues = {
    kind: 'oidc',
    issuer: live.issuer,
    clientId: LIVE_CLIENT.id,
    clientAuthentication: 'client_secret_basic',
    secret: LIVE_CLIENT.secret,
    algorithm: 'RS256',
    groupsClaim: 'groups',
    hostedDomain: null,
    authnAge_seconds_max: null,
  };
  const name = 'Harbour people';
  await connections.changeSettings(house.deps, askerOf(caller), { id, version: 1, name, justInTime, values });
}

beforeAll(async () => {
  for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
  house = await startSsoHouse(
    { nowMs: () => Date.now() + shift_ms },
    {
      names: ['connections'],
      contracts: Object.values(changeoverRoutes),
      problems: [],
      rooms: (deps) => [connectionChangeRoutes(deps)],
    },
  );
  const enrolled = await house.issuer.enrol('harbour', 'lead');
  leadCookie = enrolled.cookie;
  lead = await house.callerOf(enrolled.cookie);
  leadDevice = enrolled.device;
  strangerCookie = (await house.issuer.enrol('lakeside', 'lead')).cookie;
  stranger = await house.callerOf(strangerCookie);
  for (const name of ['open', 'shut', 'draft', 'foreign'] as const) {
    const asker = askerOf(name === 'foreign' ? stranger : lead);
    const what = { kind: 'oidc', profile: 'other', name: 'Harbour people' } as const;
    ids[name] = await connections.createConnection(house.deps, asker, what);
  }
  live = await startLiveProvider({
    tls: house.tls,
    redirectUris: Object.values(ids).map((id) => at(id, 'callback')),
    logoutUri: at(ids.open, 'logout'),
    post: (url, body) => house.post(url, body),
    claimsOf,
  });
  for (const [name, caller, jit] of [
    ['open', lead, AUDITORS],
    ['shut', lead, NOBODY],
    ['draft', lead, NOBODY],
    ['foreign', stranger, AUDITORS],
  ] as const)
    await setUp(caller, ids[name], jit);
});
afterAll(async () => {
  await live?.close();
  await house?.stop();
  vi.restoreAllMocks();
});

/** From an address of ours to the provider's forms, and back to just before our own answer. */
async function leave(browser: TestBrowser, url: string, who: string): Promise<string> {
  const back = `${house.origin}/sso/`;
  let page: Seen = await browser.go(url, { from: `${house.origin}/app/sign-in`, stopAt: back });
  for (let forms = 0; forms < 4 && !page.url.startsWith(back); forms += 1) {
    const form = formOf(page);
    if (form === undefined) throw new Error(`no form: ${page.status} ${page.url} ${page.text.slice(0, 300)}`);
    page = await browser.submit(
      { ...form, fields: { ...form.fields, login: who, password: 'anything' } },
      { from: page.url, stopAt: back },
    );
  }
  return page.url;
}

/** The whole way; what our answer to the provider's word is. */
async function signIn(who: string, id: Uuid = ids.open, browser: TestBrowser = house.browser()) {
  const callback = await leave(browser, at(id, 'start'), who);
  const seen = await browser.go(callback, { from: live.issuer, stopAt: `${house.origin}/app/` });
  return { browser, callback, seen };
}

const attempts = (id: Uuid, caller: Caller = lead) => recentAttempts(house.deps, caller.tenant, id);
const lastFailure = async (id: Uuid, caller: Caller = lead) => (await attempts(id, caller))[0]!.report.failure?.code;
const sessionOf = (browser: TestBrowser) => browser.cookie(HOST, SESSION);
/** A browser that has nothing but a session. */
function withSession(cookie: string): TestBrowser {
  const browser = house.browser();
  browser.cookies.set(HOST, new Map([[SESSION, { value: cookie, sameSite: 'strict' }]]));
  return browser;
}
/** A change without a body, as the page's script sends it. */
const post = (browser: TestBrowser, path: string) => browser.ask(`${house.origin}${path}`, null);
async function apiAs(cookie: string, path: string, body: unknown) {
  const browser = withSession(cookie);
  const seen = await browser.ask(`${house.origin}${path}`, body);
  return { browser, seen, json: JSON.parse(seen.text) as Record<string, unknown> };
}
async function activate(id: Uuid, caller: Caller, cookie: string): Promise<Seen> {
  const { browser, json } = await apiAs(cookie, '/api/sso/test', { connectionId: house.idOf(caller, id) });
  const callback = await leave(browser, json['url'] as string, 'tester');
  const seen = await browser.go(callback, { from: live.issuer, stopAt: `${house.origin}/app/` });
  await connections.turnConnection(house.deps, askerOf(caller), { id, to: 'active' });
  return seen;
}

describe('a test of a connection', () => {
  it('shows the administrator what the provider says, and signs nobody in', async () => {
    said.set('tester', { email: 't@acme.test', name: 'Tester', groups: ['g-7'] });
    const members = await house.issuer.rows('select id from identity.member');
    const seen = await activate(ids.open, lead, leadCookie);
    expect([seen.status, seen.url]).toEqual([303, `${house.origin}/app/connections/${house.idOf(lead, ids.open)}`]);
    expect(seen.headers['set-cookie']).toBeUndefined();
    const [attempt] = await attempts(ids.open);
    expect(attempt).toMatchObject({ purpose: 'test', outcome: 'accepted' });
    expect(attempt!.report).toMatchObject({ subject: 'tester', groups: ['g-7'], failure: null });
    expect(attempt!.report.claims).toContainEqual({ name: 'email', value: 't@acme.test' });
    expect(await house.issuer.rows('select id from identity.member')).toEqual(members);
    expect(await house.issuer.rows('select id from identity.account')).toEqual([]);
    await activate(ids.shut, lead, leadCookie);
    await activate(ids.foreign, stranger, strangerCookie);
  });

  it('is for administrators, in their own tenant', async () => {
    const { cookie } = await house.issuer.enrol('harbour', 'auditor');
    const body = { connectionId: house.idOf(lead, ids.draft) };
    expect((await apiAs(cookie, '/api/sso/test', body)).json).toMatchObject({ code: 'operation_refused' });
    const foreign = { connectionId: house.idOf(stranger, ids.foreign) };
    expect((await apiAs(leadCookie, '/api/sso/test', foreign)).seen.status).not.toBe(200);
    expect(await attempts(ids.foreign, stranger)).toHaveLength(1);
  });
});

describe('a sign-in', () => {
  it('makes a member of somebody new where the connection says so, and finds them again by their subject', async () => {
    const { browser, seen } = await signIn('anna');
    expect([seen.status, seen.url]).toEqual([303, `${house.origin}/app/`]);
    const who = await house.whoIs(browser);
    expect(who).toMatchObject({
      signedIn: true,
      method: 'sso',
      connection: 'Harbour people',
      role: 'auditor',
      tenant: { slug: 'harbour' },
      person: { label: 'Person anna' },
      passkeys: 0,
    });
    // Another address and name: the same person.
    said.set('anna', { email: 'somebody-else@acme.test', name: 'Renamed' });
    const again = await house.whoIs((await signIn('anna')).browser);
    expect(again['person']).toEqual(who['person']);
    expect(await house.issuer.audited('member.arrived')).toHaveLength(1);
    const opened = (await house.issuer.audited('session.opened')).at(-1)!;
    expect(opened.leaf).toMatchObject({ public: { method: 'sso', connection: ids.open } });
  });

  it('stores no token, no address and no subject of anybody in the clear', async () => {
    const tables = ['account', 'session', 'session_index', 'sso_request', 'seen_token', 'member'];
    const rows = await house.issuer.rows<{ row: string }>(
      tables.map((name) => `select to_jsonb(t)::text as row from identity.${name} t`).join(' union all '),
    );
    expect(rows.length).toBeGreaterThan(5);
    expect(JSON.stringify(rows)).not.toMatch(/anna|acme\.test|Person|eyJ/);
  });

  it('gives the roles of mapped groups, takes them at the next sign-in, and keeps them when nothing is said', async () => {
    const groups = [
      { group: 'g-lead', name: null, role: 'lead' },
      { group: 'g-client', name: null, role: 'client' },
    ] as const;
    await connections.mapGroups(house.deps, askerOf(lead), { id: ids.open, groups });
    const roleOf = async () => (await house.whoIs((await signIn('berta')).browser))['role'];
    said.set('berta', { groups: ['g-lead', 'g-other'] });
    expect(await roleOf()).toBe('lead');
    said.set('berta', { groups: ['g-client', 'LEAD', 'lead'] });
    expect(await roleOf()).toBe('client');
    said.set('berta', {});
    expect(await roleOf()).toBe('client');
    expect((await house.issuer.audited('member.role-mapped')).at(-1)!.leaf).toMatchObject({
      public: { from: 'lead', to: 'client' },
    });
    await connections.mapGroups(house.deps, askerOf(lead), { id: ids.open, groups: [] });
  });

  it('turns away whom nobody let in: a page without a reason, and the reason for the administrators', async () => {
    const { browser, seen } = await signIn('nobody', ids.shut);
    expect([seen.status, seen.headers['content-type']]).toEqual([403, 'text/html; charset=utf-8']);
    const reference = seen.headers['x-request-id'] as string;
    expect(seen.text).toContain(reference);
    expect(seen.text).not.toMatch(/account_unknown|nobody@|Harbour/);
    const [attempt] = await attempts(ids.shut);
    expect(attempt!.report).toMatchObject({
      failure: { code: 'account_unknown' },
      subject: 'nobody',
      claims: null,
      requestId: reference,
    });
    expect((await house.issuer.audited('sign-in.refused')).at(-1)).toMatchObject({
      resource_id: ids.shut,
      outcome: 'denied',
      leaf: { public: { reason: 'account_unknown' } },
    });
    expect(sessionOf(browser)).toBeUndefined();
  });

  it('nOAuth: whoever has a victim’s address at another provider, or writes it himself, is somebody else', async () => {
    said.set('victim', { email: 'victim@acme.test', email_verified: true });
    const victim = await house.whoIs((await signIn('victim')).browser);
    said.set('mallory', { email: 'victim@acme.test', email_verified: true, name: 'victim@acme.test' });
    const mallory = await house.whoIs((await signIn('mallory')).browser);
    expect(mallory['person']).not.toEqual(victim['person']);
    const invited = await house.issuer.rows<{ id: string }>('select id from identity.member');
    expect((mallory['person'] as { id: string }).id).not.toBe((victim['person'] as { id: string }).id);
    expect(invited.length).toBeGreaterThan(2);
  });

  it('foreign tenant: the same person at another organisation’s connection is another member, there', async () => {
    const here = await house.whoIs((await signIn('carl')).browser);
    const there = await house.whoIs((await signIn('carl', ids.foreign)).browser);
    expect([here['tenant'], there['tenant']]).toMatchObject([{ slug: 'harbour' }, { slug: 'lakeside' }]);
    expect(there['person']).not.toEqual(here['person']);
  });

  it('of two first sign-ins at once both find the same member', async () => {
    const browsers = [house.browser(), house.browser()];
    const callbacks: string[] = [];
    for (const browser of browsers) callbacks.push(await leave(browser, at(ids.open, 'start'), 'dora'));
    const stop = { from: live.issuer, stopAt: `${house.origin}/app/` };
    const answers = await Promise.all(browsers.map((browser, index) => browser.go(callbacks[index]!, stop)));
    expect(answers.map(({ status }) => status)).toEqual([303, 303]);
    const [one, two] = await Promise.all(browsers.map((browser) => house.whoIs(browser)));
    expect(one!['person']).toEqual(two!['person']);
  });
});

describe('what an attacker tries with a sign-in', () => {
  const stop = () => ({ from: live.issuer, stopAt: `${house.origin}/app/` });

  it('login CSRF: an answer that was asked for by another browser signs nobody in, and is used up', async () => {
    // One that never signed in here, and one that has a secret of its own: each is tried with an answer still unused.
    for (const victim of [house.browser(), (await signIn('anna')).browser]) {
      const attacker = house.browser();
      const callback = await leave(attacker, at(ids.open, 'start'), 'mallory');
      const before = sessionOf(victim);
      expect((await victim.go(callback, stop())).status).toBe(409);
      expect(sessionOf(victim)).toBe(before);
      expect((await attacker.go(callback, stop())).status).toBe(409);
    }
  });

  it('replay: an answer counts once, also in the browser that it is for', async () => {
    const { browser, callback, seen } = await signIn('anna');
    expect(seen.status).toBe(303);
    const before = sessionOf(browser);
    expect((await browser.go(callback, stop())).status).toBe(409);
    expect(sessionOf(browser)).toBe(before);
  });

  it('fixation: each sign-in has a new cookie, and the session before it is over', async () => {
    const { browser } = await signIn('anna');
    const first = sessionOf(browser)!;
    const planted = 'A'.repeat(43);
    const other = house.browser();
    other.cookies.set(HOST, new Map([[SESSION, { value: planted, sameSite: 'strict' }]]));
    await signIn('anna', ids.open, other);
    expect(sessionOf(other)).not.toBe(planted);
    await signIn('berta', ids.open, browser);
    expect(sessionOf(browser)).not.toBe(first);
    expect(await house.whoIs(withSession(first))).toEqual({ signedIn: false });
  });

  it('wrong connection: an answer for one is none at another’s address', async () => {
    const { browser, url } = { browser: house.browser(), url: at(ids.open, 'start') };
    const callback = await leave(browser, url, 'anna');
    const carried = callback.replace(ids.open, ids.shut);
    expect((await browser.go(carried, stop())).status).toBe(409);
    expect((await browser.go(callback, stop())).status).toBe(409);
    const far = await leave(browser, url, 'anna');
    expect((await browser.go(far.replace(ids.open, ids.foreign), stop())).status).toBe(409);
    expect(sessionOf(browser)).toBeUndefined();
  });

  it('mix-up: an answer that names another issuer, or none, is refused and written down', async () => {
    for (const [change, code] of [
      [(url: URL) => url.searchParams.set('iss', 'https://evil.example'), 'oidc_answer_issuer'],
      [(url: URL) => url.searchParams.delete('iss'), 'oidc_answer_issuer'],
      [(url: URL) => url.searchParams.append('code', 'another'), 'oidc_answer_form'],
      [(url: URL) => url.searchParams.set('code', 'a-code-of-somebody-else'), 'oidc_token_refused'],
    ] as const) {
      const browser = house.browser();
      const url = new URL(await leave(browser, at(ids.open, 'start'), 'anna'));
      change(url);
      const seen = await browser.go(url.href, stop());
      expect([401, 502], code).toContain(seen.status);
      expect(await lastFailure(ids.open)).toMatch(/^oidc_/);
      expect(sessionOf(browser)).toBeUndefined();
    }
  });

  it('open redirect: nothing that comes in says where the browser goes', async () => {
    const browser = house.browser();
    for (const query of ['?return_to=https://evil.example', '?to=//evil.example', '?url=/\\\\evil.example'])
      expect((await browser.go(`${at(ids.open, 'start')}${query}`)).status, query).toBe(400);
    const callback = await leave(browser, at(ids.open, 'start'), 'anna');
    const seen = await browser.go(`${callback}&return_to=https%3A%2F%2Fevil.example%2F`, stop());
    expect(seen.url.startsWith(`${house.origin}/`)).toBe(true);
  });

  it('two states, a foreign one, or none open nothing', async () => {
    const browser = house.browser();
    const callback = await leave(browser, at(ids.open, 'start'), 'anna');
    const state = new URL(callback).searchParams.get('state')!;
    for (const query of [
      'code=x',
      'code=x&state=',
      `code=x&state=${'a'.repeat(43)}`,
      `state=${state}&state=${state}&code=x`,
    ])
      expect((await browser.go(`${at(ids.open, 'callback')}?${query}`, stop())).status, query).toBe(409);
    expect((await browser.go(callback, stop())).status).toBe(303);
  });

  it('an unknown connection, a draft and an address of another protocol do not exist', async () => {
    const browser = house.browser();
    const unknown = '01890000-0000-7000-8000-000000000000' as Uuid;
    for (const url of [at(unknown, 'start'), at(ids.draft, 'start'), at(unknown, 'metadata'), at(ids.open, 'metadata')])
      expect((await browser.go(url)).status, url).toBe(404);
    expect((await browser.go(at('not-a-uuid' as Uuid, 'start'))).status).toBe(400);
  });

  it('a late answer is refused', async () => {
    const browser = house.browser();
    const callback = await leave(browser, at(ids.open, 'start'), 'anna');
    await house.issuer.rows(`update identity.sso_request set expires_at = now() - interval '1 second'`);
    expect((await browser.go(callback, stop())).status).toBe(409);
  });

  it('a row that was moved to another purpose or connection does not open', async () => {
    const browser = house.browser();
    const callback = await leave(browser, at(ids.open, 'start'), 'anna');
    await house.issuer.rows(`update identity.sso_request set purpose = 'test'`);
    expect((await browser.go(callback, stop())).status).toBe(500);
    expect(sessionOf(browser)).toBeUndefined();
  });

  it('suspended member: the provider still vouches, and nobody comes in', async () => {
    const { browser } = await signIn('emil');
    const { person } = (await house.whoIs(browser)) as { person: { id: string } };
    expect(person.id).toMatch(/^mem_/);
    const [row] = await house.issuer.rows<{ member_id: Uuid }>(
      `select member_id from identity.session where method = 'sso' order by auth_time desc, id desc limit 1`,
    );
    await suspendMember({ ...house.issuer.deps, ...house.deps }, askerOf(lead), row!.member_id);
    expect((await house.whoIs(browser))['signedIn']).toBe(false);
    const { seen } = await signIn('emil');
    expect(seen.status).toBe(403);
    expect(await lastFailure(ids.open)).toBe('account_member_inactive');
  });
});

describe('what a session by a provider may do', () => {
  it('it confirms nothing without a passkey, says what to do, and cannot make one by itself', async () => {
    const { browser } = await signIn('fritz');
    const action = { operation: 'access.invite', input: { label: 'X', role: 'client' } };
    const asked = await browser.ask(`${house.origin}/api/access/step-up`, action);
    expect(JSON.parse(asked.text)).toMatchObject({ code: 'step_up_not_offered' });
    const groups = [{ group: 'g-lead', name: null, role: 'lead' }] as const;
    await connections.mapGroups(house.deps, askerOf(lead), { id: ids.open, groups });
    said.set('fritz', { groups: ['g-lead'] });
    const { browser: asLead } = await signIn('fritz');
    await connections.mapGroups(house.deps, askerOf(lead), { id: ids.open, groups: [] });
    const refused = JSON.parse((await asLead.ask(`${house.origin}/api/access/step-up`, action)).text) as object;
    expect(refused).toMatchObject({ code: 'no_passkey_for_step_up', title: expect.stringContaining('Your passkeys') });
    const cookie = sessionOf(browser)!;
    const added = await post(withSession(cookie), '/api/identity/passkey/options');
    expect(JSON.parse(added.text)).toMatchObject({ code: 'provider_sign_in_required' });
  });

  it('ends where the house says, and keeps the provider’s session as a hash only', async () => {
    await signIn('gerda');
    const [row] = await house.issuer.rows<{ left: string; connection_id: string; hashed: number }>(
      `select extract(epoch from expires_at - auth_time)::int as left, connection_id, octet_length(provider_session) as hashed
       from identity.session where method = 'sso' order by auth_time desc, id desc limit 1`,
    );
    expect(row).toEqual({ left: 43_200, connection_id: ids.open, hashed: 32 });
  });
});

/** Signs in once more at the provider that the session came by, in a browser that it does not know. */
async function confirm(session: TestBrowser, who: string, late_ms = 0): Promise<Seen> {
  const browser = withSession(sessionOf(session)!);
  const begun = await post(browser, '/api/sso/confirm');
  const callback = await leave(browser, (JSON.parse(begun.text) as { url: string }).url, who);
  shift_ms = late_ms;
  const seen = await browser.go(callback, { from: live.issuer, stopAt: `${house.origin}/app/` });
  shift_ms = 0;
  return seen;
}
interface Begun {
  readonly code?: string;
  readonly challengeId: string;
  readonly options: Parameters<SoftwareAuthenticator['register']>[0];
}
const begin = async (browser: TestBrowser) =>
  JSON.parse((await post(browser, '/api/identity/passkey/options')).text) as Begun;
const newDevice = () => createSoftwareAuthenticator({ origin: house.origin });
async function register(browser: TestBrowser, begun: Begun, device = newDevice()) {
  const answer = { challengeId: begun.challengeId, response: device.register(begun.options) };
  const seen = await browser.ask(`${house.origin}/api/identity/passkey`, answer);
  return { device, json: JSON.parse(seen.text) as { passkeys?: number; code?: string } };
}
interface Own {
  readonly identities: readonly { id: string; path: string | null; isManaged: boolean; lastUsedAt: string | null }[];
  readonly connectable: readonly { id: string; name: string }[];
  readonly isRecent: boolean;
  readonly confirmedUntil: string | null;
}
const ownOf = async (browser: TestBrowser) =>
  JSON.parse((await browser.ask(`${house.origin}/api/sso/identities`)).text) as Own;

describe('a first passkey', () => {
  it('is made right after a new sign-in at the provider, and each further one with it', async () => {
    const { browser } = await signIn('paula');
    expect(await begin(browser)).toMatchObject({ code: 'provider_sign_in_required' });
    const cookie = sessionOf(browser);
    const seen = await confirm(browser, 'paula');
    expect([seen.status, seen.url]).toEqual([303, `${house.origin}/app/passkeys`]);
    expect(seen.headers['set-cookie']).toBeUndefined();
    expect(sessionOf(browser)).toBe(cookie);
    expect((await ownOf(browser)).confirmedUntil).not.toBeNull();
    expect((await register(browser, await begin(browser))).json).toEqual({ passkeys: 1 });
    expect(await house.whoIs(browser)).toMatchObject({ method: 'sso', passkeys: 1 });
    expect(await begin(browser)).toMatchObject({ code: 'passkey_sign_in_required' });
    expect((await house.issuer.audited('session.confirmed')).at(-1)!.leaf).toMatchObject({
      public: { connection: ids.open },
    });
  });

  it('is not made because somebody else signed in there, or nobody did', async () => {
    const { browser } = await signIn('quentin');
    for (const who of ['mallory', 'anna']) {
      expect((await confirm(browser, who)).status).toBe(401);
      expect(await lastFailure(ids.open)).toBe('sso_other_person');
    }
    expect(await begin(browser)).toMatchObject({ code: 'provider_sign_in_required' });
    const withPasskey = withSession(strangerCookie);
    expect(JSON.parse((await post(withPasskey, '/api/sso/confirm')).text)).toMatchObject({
      code: 'sso_request_unusable',
    });
  });

  it('is not made by a sign-in of more than five minutes ago, at the provider or here', async () => {
    const { browser } = await signIn('rita');
    expect((await confirm(browser, 'rita', 301_000)).status).toBe(401);
    expect(await lastFailure(ids.open)).toBe('sso_sign_in_stale');
    await house.issuer.rows(
      `update identity.connection_attempt set tried_at = tried_at - interval '301 seconds' where tried_at > now()`,
    );
    expect((await confirm(browser, 'rita')).status).toBe(303);
    const begun = await begin(browser);
    shift_ms = 301_000;
    expect(await begin(browser)).toMatchObject({ code: 'provider_sign_in_required' });
    shift_ms = 0;
    expect((await register(browser, begun)).json).toEqual({ passkeys: 1 });
  });

  it('is one, also of two ceremonies at once', async () => {
    const { browser } = await signIn('simon');
    await confirm(browser, 'simon');
    const ceremonies = [await begin(browser), await begin(browser)];
    const cookie = sessionOf(browser)!;
    const made = await Promise.all(ceremonies.map((begun) => register(withSession(cookie), begun)));
    expect(made.map(({ json }) => json.code ?? json.passkeys).sort()).toEqual([1, 'passkey_sign_in_required']);
  });

  it('needs the session to be there still when the provider answers', async () => {
    const { browser } = await signIn('tina');
    const begun = await post(browser, '/api/sso/confirm');
    const callback = await leave(browser, (JSON.parse(begun.text) as { url: string }).url, 'tina');
    await post(withSession(sessionOf(browser)!), '/api/identity/sign-out');
    expect((await browser.go(callback, { from: live.issuer, stopAt: `${house.origin}/app/` })).status).toBe(401);
    expect(await lastFailure(ids.open)).toBe('sso_session_over');
  });
});

describe('one’s own identities', () => {
  const stop = () => ({ from: live.issuer, stopAt: `${house.origin}/app/` });
  const connect = async (session: TestBrowser, who: string, id: Uuid = ids.open) => {
    const browser = withSession(sessionOf(session)!);
    const body = { connectionId: house.idOf(lead, id) };
    const begun = await browser.ask(`${house.origin}/api/sso/connect`, body);
    return browser.go(await leave(browser, (JSON.parse(begun.text) as { url: string }).url, who), stop());
  };
  /** Approves with a passkey and takes the identity away, as the page does. */
  const disconnectBy = async (browser: TestBrowser, device: SoftwareAuthenticator, accountId: string) => {
    const action = { operation: 'sso.disconnect', input: { accountId } };
    const asked = await browser.ask(`${house.origin}/api/access/step-up`, action);
    if (asked.status !== 200) return { asked, seen: asked };
    const { challengeId, options } = JSON.parse(asked.text) as { challengeId: string; options: never };
    const proof = JSON.stringify({ challengeId, assertion: device.authenticate(options) });
    const header = { [STEP_UP_HEADER]: Buffer.from(proof).toString('base64url') };
    const path = `${house.origin}/api/sso/identities/${accountId}/disconnect`;
    return { asked, seen: await browser.ask(path, {}, header) };
  };
  const rowOf = async (browser: TestBrowser) => {
    const { personId } = await house.callerOf(sessionOf(browser)!);
    const rows = await house.issuer.rows<{ id: Uuid; connection_id: Uuid }>(
      'select id, connection_id from identity.account where member_id = $1 order by created_at, id',
      [personId],
    );
    return rows;
  };
  const directly = async (browser: TestBrowser, accountId: Uuid) =>
    disconnect(house.deps, askerOf(await house.callerOf(sessionOf(browser)!)), accountId);

  it('are listed, a further one is connected, and taking it away ends what came by it', async () => {
    const { browser } = await signIn('uma');
    await confirm(browser, 'uma');
    const { device } = await register(browser, await begin(browser));
    expect(await ownOf(browser)).toMatchObject({
      identities: [{ path: `/sso/${ids.open}/start`, isManaged: false, lastUsedAt: expect.any(String) }],
      connectable: [{ name: 'Harbour people' }, { name: 'Harbour people' }],
      isRecent: true,
    });
    expect((await connect(browser, 'uma-2')).status).toBe(303);
    const [, second] = (await ownOf(browser)).identities;
    expect(second!.lastUsedAt).toBeNull();
    const { browser: by } = await signIn('uma-2');
    expect((await house.whoIs(by))['person']).toEqual((await house.whoIs(browser))['person']);
    expect((await ownOf(browser)).identities[1]!.lastUsedAt).not.toBeNull();

    const path = `${house.origin}/api/sso/identities/${second!.id}/disconnect`;
    expect((await browser.ask(path, {})).status).not.toBe(200);
    const { asked, seen } = await disconnectBy(browser, device, second!.id);
    expect(JSON.parse(asked.text)).toMatchObject({ action: { subject: { connection: 'Harbour people' } } });
    expect([seen.status, JSON.parse(seen.text)]).toEqual([200, { removed: true }]);
    expect(await house.whoIs(by)).toEqual({ signedIn: false });
    expect(await house.whoIs(browser)).toMatchObject({ signedIn: true });
    expect((await ownOf(browser)).identities).toHaveLength(1);
    const { browser: afterwards } = await signIn('uma-2');
    expect((await house.whoIs(afterwards))['person']).not.toEqual((await house.whoIs(browser))['person']);
    expect((await house.issuer.audited('account.removed')).at(-1)!.leaf).toMatchObject({
      public: { connection: ids.open },
      stepUp: expect.any(String),
    });
    const closed = (await house.issuer.audited('session.closed')).map(({ leaf }) => leaf['public']);
    expect(closed).toContainEqual({ reason: 'disconnected' });
  });

  it('of somebody else are neither shown nor taken away', async () => {
    const { browser } = await signIn('vera');
    await confirm(browser, 'vera');
    const { device } = await register(browser, await begin(browser));
    const theirs = (await ownOf((await signIn('anna')).browser)).identities[0]!.id;
    expect((await ownOf(browser)).identities.map(({ id }) => id)).not.toContain(theirs);
    expect((await disconnectBy(browser, device, theirs)).seen.status).toBe(404);
    const [account] = await rowOf((await signIn('anna')).browser);
    await expect(directly(browser, account!.id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('the last way in stays, whoever removes two at once or counts on a connection that is off', async () => {
    const { browser } = await signIn('wim');
    const [first] = await rowOf(browser);
    await expect(directly(browser, first!.id)).rejects.toMatchObject({ code: 'last_way_in' });
    expect((await connect(browser, 'wim-2', ids.shut)).status).toBe(303);
    await connections.turnConnection(house.deps, askerOf(lead), { id: ids.shut, to: 'disabled' });
    await expect(directly(browser, first!.id)).rejects.toMatchObject({ code: 'last_way_in' });
    await connections.turnConnection(house.deps, askerOf(lead), { id: ids.shut, to: 'active' });
    const asker = askerOf(await house.callerOf(sessionOf(browser)!));
    const rows = await rowOf(browser);
    const both = await Promise.allSettled(rows.map(({ id }) => disconnect(house.deps, asker, id)));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find((one) => one.status === 'rejected')).toMatchObject({ reason: { code: 'last_way_in' } });
  });

  it('one that a directory has made stays its affair', async () => {
    const { browser } = await signIn('xaver');
    expect((await connect(browser, 'xaver-2')).status).toBe(303);
    const [first] = await rowOf(browser);
    await house.issuer.rows(
      `set session_replication_role = replica; update identity.account set origin = 'scim' where id = '${first!.id}'`,
    );
    expect((await ownOf(browser)).identities[0]).toMatchObject({ isManaged: true });
    await expect(directly(browser, first!.id)).rejects.toMatchObject({ code: 'identity_managed' });
  });
});

describe('a change of provider', () => {
  /** Of the lead, in a session of its own: a confirmation gives it another cookie. */
  async function administrator(): Promise<TestBrowser> {
    const browser = house.browser();
    const sign = `${house.origin}/api/identity/passkey/sign-in`;
    const { challengeId, options } = JSON.parse(
      (await post(browser, '/api/identity/passkey/sign-in/options')).text,
    ) as {
      challengeId: string;
      options: never;
    };
    expect((await browser.ask(sign, { challengeId, response: leadDevice.authenticate(options) })).status).toBe(200);
    return browser;
  }
  /** Approves with a passkey and sends the same, or of two what somebody has put in its place on the way. */
  async function approve(
    browser: TestBrowser,
    [name, path]: readonly [string, string],
    given: object | [object, object],
  ) {
    const [input, body] = Array.isArray(given) ? given : [given, given];
    const action = { operation: `connections.${name}`, input };
    const asked = await browser.ask(`${house.origin}/api/access/step-up`, action);
    const { challengeId, options } = JSON.parse(asked.text) as { challengeId: string; options: never };
    const proof = JSON.stringify({ challengeId, assertion: leadDevice.authenticate(options) });
    const header = { [STEP_UP_HEADER]: Buffer.from(proof).toString('base64url') };
    return { asked, seen: await browser.ask(`${house.origin}/api/changeover${path}`, body, header) };
  }

  it('gives the person who was approved their place by the new one, and takes it back when it is undone', async () => {
    const { browser } = await signIn('yara');
    const who = await house.whoIs(browser);
    expect((await browser.ask(`${house.origin}/api/changeover`)).status).toBe(403);
    const asLead = await administrator();
    const from = { fromConnectionId: house.idOf(lead, ids.open), toConnectionId: house.idOf(lead, ids.shut) };
    const foreign = { ...from, toConnectionId: house.idOf(stranger, ids.foreign) };
    const elsewhere = { operation: 'connections.begin-change', input: foreign };
    expect((await asLead.ask(`${house.origin}/api/access/step-up`, elsewhere)).status).not.toBe(200);
    expect((await approve(asLead, ['begin-change', ''], from)).seen.status).toBe(200);
    const pairs = (subject: string) => ({ pairs: [{ person: (who['person'] as { id: string }).id, subject }] });
    const swapped = await approve(asLead, ['approve-accounts', '/accounts'], [pairs('yara-new'), pairs('mallory')]);
    expect(swapped.seen.status).toBe(403);
    const { asked, seen } = await approve(asLead, ['approve-accounts', '/accounts'], pairs('yara-new'));
    expect(JSON.parse(asked.text)).toMatchObject({ action: { subject: { 1: 'Person yara is yara-new' } } });
    expect(seen.status).toBe(200);
    const { browser: byNew } = await signIn('yara-new', ids.shut);
    expect((await house.whoIs(byNew))['person']).toEqual(who['person']);
    expect((await approve(asLead, ['finish-change', '/finish'], {})).seen.status).toBe(409);
    expect((await approve(asLead, ['undo-change', '/undo'], {})).seen.status).toBe(200);
    expect(await house.whoIs(byNew)).toEqual({ signedIn: false });
    expect(await house.whoIs(browser)).toMatchObject({ signedIn: true });
    expect((await signIn('yara-new', ids.shut)).seen.status).toBe(403);
  });
});

describe('a further identity', () => {
  const stop = () => ({ from: live.issuer, stopAt: `${house.origin}/app/` });
  const begin = async (cookie: string, id: Uuid = ids.open) =>
    apiAs(cookie, '/api/sso/connect', { connectionId: house.idOf(lead, id) });

  it('is added by the member in a live session, and then signs that member in', async () => {
    const { cookie, personId } = await house.issuer.enrol('harbour', 'client');
    const { browser, json } = await begin(cookie);
    const callback = await leave(browser, json['url'] as string, 'hugo');
    const seen = await browser.go(callback, stop());
    expect([seen.status, seen.url]).toEqual([303, `${house.origin}/app/passkeys`]);
    expect(sessionOf(browser)).toBe(cookie);
    const { browser: later } = await signIn('hugo');
    expect(await house.whoIs(later)).toMatchObject({ role: 'client', method: 'sso', passkeys: 1 });
    expect((await house.issuer.audited('account.added')).at(-1)!.leaf).toMatchObject({
      public: { origin: 'connect', member: personId },
    });
    // The groups of a directory do not touch the role that an administrator gave.
    const groups = [{ group: 'g-lead', name: null, role: 'lead' }] as const;
    await connections.mapGroups(house.deps, askerOf(lead), { id: ids.open, groups });
    said.set('hugo', { groups: ['g-lead'] });
    expect((await house.whoIs((await signIn('hugo')).browser))['role']).toBe('client');
    await connections.mapGroups(house.deps, askerOf(lead), { id: ids.open, groups: [] });
  });

  it('is never taken from another member', async () => {
    const { browser, json } = await begin(leadCookie);
    const callback = await leave(browser, json['url'] as string, 'anna');
    expect((await browser.go(callback, stop())).status).toBe(403);
    expect(await lastFailure(ids.open)).toBe('account_taken');
  });

  it('needs the session to be there still when the provider answers', async () => {
    const cookie = sessionOf((await signIn('ida')).browser)!;
    const { browser, json } = await begin(cookie);
    const callback = await leave(browser, json['url'] as string, 'ida-2');
    expect((await post(withSession(cookie), '/api/identity/sign-out')).status).toBe(200);
    expect((await browser.go(callback, stop())).status).toBe(401);
    expect(await lastFailure(ids.open)).toBe('sso_session_over');
  });

  it('is refused in a session that is not recent', async () => {
    const cookie = sessionOf((await signIn('ida')).browser)!;
    await house.issuer.rows(
      `set session_replication_role = replica; update identity.session set auth_time = auth_time - interval '11 minutes' where closed_at is null`,
    );
    expect((await begin(cookie)).json).toMatchObject({ code: 'fresh_sign_in_required' });
  });
});

describe('an invitation', () => {
  const stop = () => ({ from: live.issuer, stopAt: `${house.origin}/app/` });
  const linkOf = async (role: string) => {
    const { people } = await house.issuer.reseed();
    const person = people.find((one) => one.tenantSlug === 'lakeside' && one.role === role && one.enrolmentPath);
    return person!.enrolmentPath!.split('#')[1]!;
  };

  it('brings the invited member in by the provider, once, and nobody by an address', async () => {
    const token = await linkOf('client');
    const browser = house.browser();
    const offered = await browser.ask(`${house.origin}/api/sso/invitation/offers`, { token });
    expect(JSON.parse(offered.text)).toEqual({ offers: [{ connection: ids.foreign, name: 'Harbour people' }] });
    const begun = await browser.ask(`${house.origin}/api/sso/invitation`, { token, connection: ids.foreign });
    const callback = await leave(browser, (JSON.parse(begun.text) as { url: string }).url, 'invited');
    expect((await browser.go(callback, stop())).status).toBe(303);
    expect(await house.whoIs(browser)).toMatchObject({ role: 'client', tenant: { slug: 'lakeside' }, method: 'sso' });
    const again = await house.browser().ask(`${house.origin}/api/sso/invitation`, { token, connection: ids.foreign });
    expect(JSON.parse(again.text)).toMatchObject({ status: 404 });
    const afterwards = await house.browser().ask(`${house.origin}/api/sso/invitation/offers`, { token });
    expect([afterwards.status, JSON.parse(afterwards.text)]).toEqual([200, { offers: [] }]);
  });

  it('opens no connection of another organisation', async () => {
    const token = await linkOf('auditor');
    const seen = await house.browser().ask(`${house.origin}/api/sso/invitation`, { token, connection: ids.open });
    expect(seen.status).toBe(404);
  });
});

describe('what a provider calls somebody', () => {
  it('holds nothing that hides or turns around what stands beside it where people decide', async () => {
    const { label } = await calledBy('xenia', 'Xenia \u202Edael\u2066 \u200Bof\u2028all\u061C');
    expect(label).toBe('Xenia dael of all');
    // Joiners are letters' own in several scripts, and in a family.
    expect((await calledBy('nima', 'نمی\u200Cدانم 👩\u200D👧')).label).toBe('نمی\u200Cدانم 👩\u200D👧');
    expect((await calledBy('unseen', '\u202E\u200B')).label).toBe('unseen@acme.test');
  });
  async function calledBy(id: string, name: string) {
    said.set(id, { email: `${id}@acme.test`, name });
    const { browser } = await signIn(id);
    return (await house.whoIs(browser))['person'] as { readonly label: string };
  }
});

describe('a provider’s word that somebody has left', () => {
  it('ends the sessions of that provider’s session at once, and no others', async () => {
    const { browser } = await signIn('jan');
    const { browser: elsewhere } = await signIn('jan');
    const { browser: other } = await signIn('anna');
    expect((await house.whoIs(browser))['signedIn']).toBe(true);
    // The provider's own sign-out page, in the browser that has its session.
    const page = await browser.go(`${live.issuer}/session/end`);
    const form = formOf(page)!;
    const began = performance.now();
    await browser.submit({ ...form, fields: { ...form.fields, logout: 'yes' } }, { from: page.url });
    const ended_ms = performance.now() - began;
    expect(live.logoutForms.at(-1)?.get('logout_token')).toBeDefined();
    expect(await house.whoIs(browser)).toEqual({ signedIn: false });
    expect((await house.whoIs(elsewhere))['signedIn']).toBe(true);
    expect((await house.whoIs(other))['signedIn']).toBe(true);
    expect(ended_ms).toBeLessThan(2_000);
    console.info(`sessions were over ${Math.round(ended_ms)} ms after the sign-out at the provider`);
    const closed = (await house.issuer.audited('session.closed')).at(-1)!;
    expect(closed.leaf).toMatchObject({ public: { reason: 'provider' } });
  });

  it('is heard when it is said again, where the first time failed on this side', async () => {
    const { browser } = await signIn('ines');
    const page = await browser.go(`${live.issuer}/session/end`);
    const form = formOf(page)!;
    const failing = vi.spyOn(house.deps.tenant, 'transaction').mockRejectedValueOnce(new Error('the database is away'));
    await browser.submit({ ...form, fields: { ...form.fields, logout: 'yes' } }, { from: page.url });
    expect(failing).toHaveBeenCalled();
    failing.mockRestore();
    expect((await house.whoIs(browser))['signedIn']).toBe(true);
    const body = new URLSearchParams({ logout_token: live.logoutForms.at(-1)!.get('logout_token')! }).toString();
    expect(await house.post(at(ids.open, 'logout'), body)).toBe(200);
    expect(await house.whoIs(browser)).toEqual({ signedIn: false });
    expect(await house.post(at(ids.open, 'logout'), body)).toBe(400);
  });

  it('is not refused for good while the provider’s keys cannot be read', async () => {
    const away = () => Promise.reject(new AppError('oidc_unreachable', 'no answer'));
    const deps = { ...house.deps, providers: { reach: away } };
    const tenant = { context: lead.tenant, kind: 'customer', slug: 'harbour', displayName: '' } as const;
    await expect(logOut(deps, { tenant, connectionId: ids.open }, 'a.b.c')).rejects.toMatchObject({
      code: 'sso_provider_unavailable',
    });
  });

  it('counts once, and a forged, foreign or broken one not at all', async () => {
    const token = live.logoutForms.at(-1)!.get('logout_token')!;
    const post = (id: Uuid, value: string) =>
      house.post(at(id, 'logout'), new URLSearchParams({ logout_token: value }).toString());
    expect(await post(ids.open, token)).toBe(400);
    expect(await post(ids.open, `${token.slice(0, -6)}AAAAAA`)).toBe(400);
    expect(await post(ids.open, 'nonsense')).toBe(400);
    expect(await post('01890000-0000-7000-8000-000000000000' as Uuid, token)).toBe(404);
    expect(await house.post(at(ids.open, 'logout'), 'logout_token=a&logout_token=b')).toBe(400);
    expect(await house.post(at(ids.open, 'logout'), 'something=else')).toBe(400);
  });
});

describe('the sign-in page', () => {
  it('is told the connections in use by name, and the same nothing of everybody else', async () => {
    const ask = async (organisation: string) => {
      const seen = await house.browser().ask(`${house.origin}/api/sso/offers?organisation=${organisation}`);
      return [seen.status, JSON.parse(seen.text)];
    };
    expect(await ask('lakeside')).toEqual([
      200,
      { offers: [{ name: 'Harbour people', path: `/sso/${ids.foreign}/start` }] },
    ]);
    const nothing = [200, { offers: [] }];
    expect(await ask('no-such-organisation')).toEqual(nothing);
    // It exists, and has published nothing.
    const [operator] = await house.issuer.rows<{ slug: string }>(
      `select slug from platform.tenant where kind = 'operator'`,
    );
    expect(await ask(operator!.slug)).toEqual(nothing);
  });
});

describe('a connection that is not in use any more', () => {
  it('disabled connection: begins nothing, and ends what is under way', async () => {
    const browser = house.browser();
    const callback = await leave(browser, at(ids.open, 'start'), 'anna');
    const { browser: inside } = await signIn('anna');
    await connections.turnConnection(house.deps, askerOf(lead), { id: ids.open, to: 'disabled' });
    expect(await house.whoIs(inside)).toEqual({ signedIn: false });
    const seen = await browser.go(callback, { from: live.issuer, stopAt: `${house.origin}/app/` });
    expect(seen.status).toBe(401);
    expect(await lastFailure(ids.open)).toBe('sso_connection_inactive');
    expect((await house.browser().go(at(ids.open, 'start'))).status).toBe(404);
    expect(browser.cookie(HOST, BINDING)).toBeDefined();
    expect(sessionOf(browser)).toBeUndefined();
  });
});
