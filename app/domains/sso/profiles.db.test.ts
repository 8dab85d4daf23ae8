import { systemClock, type Uuid } from '@auditrax/base';
import { makeTestKey, type TestKey } from '@auditrax/saml/testing/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { recentAttempts } from '../connections/attempts.ts';
import {
  ENTRA_TENANT,
  OIDC_REPLAYS,
  oidcValuesOf,
  type OidcReplay,
  type OidcReplayName,
} from '../../rehearsal/oidc-profiles.ts';
import { SAML_REPLAYS, samlValuesOf, type SamlReplay, type SamlReplayName } from '../../rehearsal/saml-profiles.ts';
import * as connections from '../connections/service.ts';
import type { ConnectionValues, OidcValues, Profile } from '../connections/settings-contract.ts';
import type { Seen, TestBrowser } from './testing/browser.ts';
import { ReplayedProviders, type Said } from './testing/replayed-oidc.ts';
import { samlAnswerTo, type SaidInSaml } from './testing/replayed-saml.ts';
import { askerOf, startSsoHouse, type SsoHouse } from './testing/sso-house.ts';

// Six providers, each as its documents say that it speaks, sign people in through the real gateway and issuer. Replayed:
// no tenant of any of them has been tried.

const HOST = 'localhost:8443';
const SESSION = '__Host-auditrax';
const AUDITORS = { allowed: true, roleWithoutGroup: 'auditor' } as const;
/** The same address in the mouth of another account. */
const ADDRESS = 'auditor@harbour.example';

const providers = new ReplayedProviders();
let house: SsoHouse;
let idpKey: TestKey;
/** OpenID Connect in one organisation, SAML in the other: there is a limit for each. */
const people = {} as Record<'oidc' | 'saml', { readonly caller: Caller; readonly cookie: string }>;
const ids = { oidc: new Map<string, Uuid>(), saml: new Map<string, Uuid>() };

const at = (id: Uuid, what: string) => `${house.origin}/sso/${id}/${what}`;
const sessionOf = (browser: TestBrowser) => browser.cookie(HOST, SESSION);

async function create(
  kind: 'oidc' | 'saml',
  given: { readonly profile: Profile; readonly name: string; readonly values: ConnectionValues },
): Promise<Uuid> {
  const { profile, name, values } = given;
  const who = askerOf(people[kind].caller);
  const id = await connections.createConnection(house.deps, who, { kind, profile, name });
  const certificates = kind === 'saml' ? { certificates: [idpKey.certificate] } : {};
  await connections.changeSettings(house.deps, who, {
    id,
    version: 1,
    name,
    justInTime: AUDITORS,
    values,
    ...certificates,
  });
  return id;
}

/** The address of the provider to which a test of a connection leads. */
async function beginTest(kind: 'oidc' | 'saml', id: Uuid): Promise<{ browser: TestBrowser; url: string }> {
  const { caller, cookie } = people[kind];
  const browser = house.browser();
  browser.cookies.set(HOST, new Map([[SESSION, { value: cookie, sameSite: 'strict' }]]));
  const seen = await browser.ask(`${house.origin}/api/sso/test`, { connectionId: house.idOf(caller, id) });
  return { browser, url: (JSON.parse(seen.text) as { url: string }).url };
}

/** And that of a sign-in. */
async function begin(id: Uuid, provider: string): Promise<{ browser: TestBrowser; url: string }> {
  const browser = house.browser();
  const from = `${house.origin}/app/sign-in`;
  return { browser, url: (await browser.go(at(id, 'start'), { from, stopAt: new URL(provider).origin })).url };
}

const stopAt = () => `${house.origin}/app/`;

async function answer(browser: TestBrowser, { url, replay, said }: { url: string; replay: OidcReplay; said?: Said }) {
  return browser.go(providers.answerTo(replay, url, said), { from: url, stopAt: stopAt() });
}

async function answerSaml(
  browser: TestBrowser,
  given: { id: Uuid; url: string; replay: SamlReplay; said?: SaidInSaml; key?: TestKey },
): Promise<Seen> {
  const { id, url, replay, said, key = idpKey } = given;
  const addresses = { acs: at(id, 'acs'), audience: at(id, 'metadata') };
  const form = samlAnswerTo(replay, { departure: url, key, ...addresses }, said);
  return browser.submit(form, { from: replay.ssoUrl, stopAt: stopAt() });
}

async function signIn(name: OidcReplayName, said: Said = {}, replay: OidcReplay = OIDC_REPLAYS[name]) {
  const id = ids.oidc.get(name)!;
  const { browser, url } = await begin(id, OIDC_REPLAYS[name].discovery['authorization_endpoint'] as string);
  return { browser, url, seen: await answer(browser, { url, replay, said }) };
}

async function signInBySaml(name: SamlReplayName, said: SaidInSaml = {}, key = idpKey) {
  const id = ids.saml.get(name)!;
  const replay = SAML_REPLAYS[name];
  const { browser, url } = await begin(id, replay.ssoUrl);
  return { browser, seen: await answerSaml(browser, { id, url, replay, said, key }) };
}

/** Whom a replay speaks of, as the connection reads it. */
function subjectOf({ settings: { subjectAttribute }, attributes, nameId }: SamlReplay): string {
  return subjectAttribute === null ? nameId : attributes[subjectAttribute]![0]!;
}

/** The same answer about somebody else. */
function saidAs({ settings: { subjectAttribute }, attributes }: SamlReplay, subject: string): SaidInSaml {
  return subjectAttribute === null
    ? { nameId: subject }
    : { attributes: { ...attributes, [subjectAttribute]: [subject] } };
}

const personIn = async (browser: TestBrowser) =>
  ((await house.whoIs(browser))['person'] as { id: string } | undefined)?.id;

async function newest(kind: 'oidc' | 'saml', name: string) {
  const [attempt] = await recentAttempts(house.deps, people[kind].caller.tenant, ids[kind].get(name)!);
  return attempt!.report;
}

/** Refused, with this check for the administrators, and nobody signed in. */
async function expectRefused(name: OidcReplayName, said: Said, code: string): Promise<void> {
  const { browser, seen } = await signIn(name, said);
  expect([seen.status, (await newest('oidc', name)).failure?.code]).toEqual([401, code]);
  expect(sessionOf(browser)).toBeUndefined();
}

async function expectRefusedInSaml(
  name: SamlReplayName,
  given: { said?: SaidInSaml; key?: TestKey },
  code: string,
): Promise<void> {
  const { browser, seen } = await signInBySaml(name, given.said, given.key);
  expect([seen.status, (await newest('saml', name)).failure?.code]).toEqual([401, code]);
  expect(sessionOf(browser)).toBeUndefined();
}

beforeAll(async () => {
  house = await startSsoHouse(systemClock, undefined, { fetch: providers.fetch });
  idpKey = await makeTestKey('replayed');
  for (const [kind, tenant] of [
    ['oidc', 'harbour'],
    ['saml', 'lakeside'],
  ] as const) {
    const { cookie } = await house.issuer.enrol(tenant, 'lead');
    people[kind] = { cookie, caller: await house.callerOf(cookie) };
  }
});
afterAll(async () => {
  await house?.stop();
});

describe.each(Object.entries(OIDC_REPLAYS) as [OidcReplayName, OidcReplay][])(
  '%s by OpenID Connect',
  (name, replay) => {
    it('is set up, tested and switched on with what it publishes', async () => {
      const values = oidcValuesOf(replay);
      const id = await create('oidc', { profile: replay.profile, name, values });
      ids.oidc.set(name, id);
      const { browser, url } = await beginTest('oidc', id);
      expect(url.startsWith(replay.discovery['authorization_endpoint'] as string)).toBe(true);
      expect(new URL(url).searchParams.get('scope')).toBe(replay.scope);
      expect((await answer(browser, { url, replay })).status).toBe(303);
      expect(await newest('oidc', name)).toMatchObject({
        subject: replay.subject,
        groups: replay.groups,
        failure: null,
      });
      await connections.turnConnection(house.deps, askerOf(people.oidc.caller), { id, to: 'active' });
    });

    it('signs a person in, and finds the same one again whatever address and name it says', async () => {
      const first = await signIn(name);
      expect([first.seen.status, first.seen.url]).toEqual([303, `${house.origin}/app/`]);
      const person = await personIn(first.browser);
      const renamed = { email: 'renamed@harbour.example', name: 'Renamed', preferred_username: 'renamed' };
      expect(await personIn((await signIn(name, renamed)).browser)).toBe(person);
    });

    it('refuses the answer of another one of the six, though the same key had signed it', async () => {
      const other = OIDC_REPLAYS[name === 'Okta' ? 'ADFS' : 'Okta'];
      await expectRefused(name, { iss: other.issuer }, 'oidc_token_issuer');
    });
  },
);

describe('what each needs by OpenID Connect', () => {
  it('Entra ID: the key is tid and oid; sub is of the application, and the address is anybody’s (nOAuth)', async () => {
    const person = await personIn((await signIn('Entra ID')).browser);
    expect(await personIn((await signIn('Entra ID', { sub: 'of-another-registration' })).browser)).toBe(person);
    const attacker = { oid: '11111111-2222-4333-8444-555555555555', email: ADDRESS, preferred_username: ADDRESS };
    const { browser, seen } = await signIn('Entra ID', attacker);
    expect(seen.status).toBe(303);
    expect(await personIn(browser)).not.toBe(person);
    await expectRefused('Entra ID', { tid: '99999999-8888-4777-8666-555555555555' }, 'oidc_tenant');
    await expectRefused('Entra ID', { oid: undefined }, 'oidc_subject_claims');
  });

  it('Entra ID: more groups than fit are an error and not no groups', async () => {
    const link = {
      _claim_names: { groups: 'src1' },
      _claim_sources: { src1: { endpoint: 'https://graph.windows.net/' } },
    };
    await expectRefused('Entra ID', { groups: undefined, ...link }, 'oidc_groups_overage');
    await expectRefused('Entra ID', { groups: undefined, hasgroups: true }, 'oidc_groups_overage');
  });

  it('Entra ID: version 1 has another issuer, and no directory but one’s own can be set up', async () => {
    await expectRefused('Entra ID', { iss: `https://sts.windows.net/${ENTRA_TENANT}/` }, 'oidc_token_issuer');
    const id = ids.oidc.get('Entra ID')!;
    for (const directory of ['common', 'organizations', '9188040d-6c67-4c5b-b112-36a304b66dad'])
      await expectNotSaved(id, { issuer: `https://login.microsoftonline.com/${directory}/v2.0` });
  });

  it('Okta: the organisation’s server and a custom one are two providers', async () => {
    const [own, custom] = [OIDC_REPLAYS.Okta, OIDC_REPLAYS['Okta, custom server']];
    await expectRefused('Okta', { iss: custom.issuer }, 'oidc_token_issuer');
    await expectRefused('Okta, custom server', { iss: own.issuer }, 'oidc_token_issuer');
    expect(await personIn((await signIn('Okta')).browser)).not.toBe(
      await personIn((await signIn('Okta, custom server')).browser),
    );
  });

  it('Google Workspace: one issuer for the world, so the domain is part of the connection', async () => {
    await expectRefused('Google Workspace', { hd: undefined, email: 'somebody@gmail.com' }, 'oidc_hosted_domain');
    await expectRefused('Google Workspace', { hd: 'elsewhere.example' }, 'oidc_hosted_domain');
    await expectNotSaved(ids.oidc.get('Google Workspace')!, { hostedDomain: null });
    await expectNotSaved(ids.oidc.get('Google Workspace')!, { groupsClaim: 'groups' });
    await expectRefused('Google Workspace', { azp: 'another-client' }, 'oidc_authorized_party');
  });

  it('JumpCloud: the slash is part of the name', async () => {
    await expectRefused('JumpCloud', { iss: 'https://oauth.id.jumpcloud.com' }, 'oidc_token_issuer');
    await expectNotSaved(ids.oidc.get('JumpCloud')!, { issuer: 'https://oauth.id.jumpcloud.com' });
    await expectRefused('JumpCloud', { aud: ['6731de76', 'another-client'] }, 'oidc_audience');
  });

  it('ADFS: the issuer of its access tokens signs nobody in', async () => {
    await expectRefused('ADFS', { iss: OIDC_REPLAYS.ADFS.discovery.access_token_issuer }, 'oidc_token_issuer');
  });

  it('PingFederate: a virtual issuer is not its host', async () => {
    await expectRefused('PingFederate', { iss: 'https://sso.harbour.example' }, 'oidc_token_issuer');
  });

  async function expectNotSaved(id: Uuid, change: Partial<OidcValues>): Promise<void> {
    const [name] = [...ids.oidc].find(([, one]) => one === id)!;
    const values = { ...oidcValuesOf(OIDC_REPLAYS[name as OidcReplayName]), ...change };
    const input = { id, version: 2, name, justInTime: AUDITORS, values };
    const saved = connections.changeSettings(house.deps, askerOf(people.oidc.caller), input);
    await expect(saved, JSON.stringify(change)).rejects.toMatchObject({ code: 'connection_setting_invalid' });
  }
});

describe.each(Object.entries(SAML_REPLAYS) as [SamlReplayName, SamlReplay][])('%s by SAML', (name, replay) => {
  it('is set up, tested and switched on with what it sends', async () => {
    const id = await create('saml', { profile: replay.profile, name, values: samlValuesOf(replay) });
    ids.saml.set(name, id);
    const { browser, url } = await beginTest('saml', id);
    expect(url.startsWith(replay.ssoUrl)).toBe(true);
    expect((await answerSaml(browser, { id, url, replay })).status).toBe(303);
    expect(await newest('saml', name)).toMatchObject({
      subject: subjectOf(replay),
      groups: replay.groups,
      failure: null,
    });
    await connections.turnConnection(house.deps, askerOf(people.saml.caller), { id, to: 'active' });
  });

  it('signs a person in, and finds the same one again whatever address and name it says', async () => {
    const first = await signInBySaml(name);
    expect([first.seen.status, first.seen.url]).toEqual([303, `${house.origin}/app/`]);
    const person = await personIn(first.browser);
    const { emailAttribute } = replay.settings;
    const attributes = { ...replay.attributes, [emailAttribute!]: ['renamed@harbour.example'] };
    expect(await personIn((await signInBySaml(name, { attributes })).browser)).toBe(person);
    // And somebody else with the same address is somebody else.
    const other = await signInBySaml(name, saidAs(replay, 'somebody-else'));
    expect(other.seen.status).toBe(303);
    expect(await personIn(other.browser)).not.toBe(person);
  });

  it('names people by an address where nobody has set it up otherwise: refused, with the reason', async () => {
    // Whatever it writes beside it: an administrator at Google may choose any Format for the primary address.
    for (const format of ['email', 'unspecified', 'persistent'] as const)
      await expectRefusedInSaml(name, { said: { ...saidAs(replay, ADDRESS), format } }, 'sso_subject_changes');
  });
});

describe('what each needs by SAML', () => {
  it('Google: the address may be anybody’s next year, the employee id is not; without it nobody is known', async () => {
    const { attributes: usual, settings } = SAML_REPLAYS['Google Workspace'];
    const name = 'Google Workspace';
    const person = await personIn((await signInBySaml(name)).browser);
    // The person has married, and the address has gone to a newcomer.
    expect(await personIn((await signInBySaml(name, { nameId: 'married@harbour.example' })).browser)).toBe(person);
    const newcomer = await signInBySaml(name, { attributes: { ...usual, employee_id: ['004712'] } });
    expect(newcomer.seen.status).toBe(303);
    expect(await personIn(newcomer.browser)).not.toBe(person);
    const { employee_id: _, ...without } = usual;
    for (const attributes of [
      without,
      { ...usual, employee_id: [''] },
      { ...usual, employee_id: [' 004711'] },
      { ...usual, employee_id: ['004711', '004712'] },
    ])
      await expectRefusedInSaml(name, { said: { attributes } }, 'sso_subject_absent');
    expect(settings.subjectAttribute).toBe('employee_id');
  });

  it('Google: a connection without such an attribute is not saved, nor one by what changes', async () => {
    const replay = SAML_REPLAYS['Google Workspace'];
    const { caller } = people.saml;
    const what = { kind: 'saml', profile: 'google', name: 'Google, begun' } as const;
    const id = await connections.createConnection(house.deps, askerOf(caller), what);
    const saving = (subjectAttribute: string | null) => {
      const values = { ...samlValuesOf(replay), subjectAttribute };
      const input = { id, version: 1, name: what.name, justInTime: AUDITORS, values };
      return connections.changeSettings(house.deps, askerOf(caller), input);
    };
    const refused = { code: 'connection_setting_invalid', field: 'subjectAttribute' };
    for (const wrong of [null, '', 'email', 'name'])
      await expect(saving(wrong), String(wrong)).rejects.toMatchObject(refused);
    await saving('employee_id');
    await connections.deleteDraft(house.deps, askerOf(caller), id);
  });

  it('what people are known by stays as it was once the connection is on', async () => {
    for (const [name, subjectAttribute] of [
      ['Okta', 'staff'],
      ['Google Workspace', 'staff'],
      ['Google Workspace', null],
    ] as const) {
      const values = { ...samlValuesOf(SAML_REPLAYS[name]), subjectAttribute };
      const input = { id: ids.saml.get(name)!, version: 2, name, justInTime: AUDITORS, values };
      await expect(
        connections.changeSettings(house.deps, askerOf(people.saml.caller), input),
        `${name} ${String(subjectAttribute)}`,
      ).rejects.toMatchObject({ code: 'connection_setting_invalid', field: 'subjectAttribute' });
    }
  });

  it('Entra ID: a link in place of the groups says nothing about them, and takes no role', async () => {
    const groups = [{ group: SAML_REPLAYS['Entra ID'].groups[0]!, name: null, role: 'lead' }] as const;
    const id = ids.saml.get('Entra ID')!;
    await connections.mapGroups(house.deps, askerOf(people.saml.caller), { id, groups });
    const roleOf = async (said: SaidInSaml = {}) =>
      (await house.whoIs((await signInBySaml('Entra ID', said)).browser))['role'];
    expect(await roleOf()).toBe('lead');
    const { attributes: usual, settings } = SAML_REPLAYS['Entra ID'];
    const others = Object.entries(usual).filter(([name]) => name !== settings.groupsAttribute);
    const link = { 'http://schemas.microsoft.com/claims/groups.link': ['https://graph.windows.net/x'] };
    expect(await roleOf({ attributes: { ...Object.fromEntries(others), ...link } })).toBe('lead');
  });

  it('JumpCloud: whoever else is called the same has another key, and that decides', async () => {
    await expectRefusedInSaml('JumpCloud', { key: await makeTestKey('JumpCloud') }, 'saml_signer_unknown');
  });

  it('ADFS and PingFederate: another name of the same server is another provider', async () => {
    await expectRefusedInSaml('ADFS', { said: { entityId: 'https://fs.harbour.example/adfs' } }, 'saml_issuer');
    await expectRefusedInSaml('PingFederate', { said: { entityId: 'harbour:virtual:another' } }, 'saml_issuer');
  });
});
