import { AppError, manualClock, type Uuid } from '@auditrax/base';
import { parseOidcConnection } from '@auditrax/oidc';
import { parseConnection, SAML_CHECKS } from '@auditrax/saml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { ATTEMPTS_KEPT, recentAttempts } from './attempts.ts';
import {
  activeConnections,
  addressesOf,
  findConnection,
  loadConnection,
  recordAttempt,
  type Attempt,
  type ConnectionDeps,
  type LoadedConnection,
  type OidcSettings,
  type SamlSettings,
} from './index.ts';
import * as service from './service.ts';
import { by, NOBODY, oidc, saml } from './testing/asking.ts';

const ORIGIN = 'https://localhost:8443';
const clock = manualClock(Date.now());
let house: SeededIssuer;
let lead: Caller;
let stranger: Caller;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.callerOf((await house.enrol('harbour', 'lead')).cookie);
  stranger = await house.callerOf((await house.enrol('lakeside', 'lead')).cookie);
});
afterAll(() => house?.stop());

const withCode = (code: string, more: object = {}) => expect.objectContaining({ code, ...more });
async function made(kind: 'oidc' | 'saml' = 'oidc'): Promise<Uuid> {
  const id = await service.createConnection(house.deps, by(lead), { kind, profile: 'other', name: 'Harbour' });
  const values = kind === 'oidc' ? oidc : saml;
  await service.changeSettings(house.deps, by(lead), { id, version: 1, name: 'Harbour', justInTime: NOBODY, values });
  return id;
}
const attempt = (connectionId: Uuid, more: Partial<Attempt> = {}) =>
  recordAttempt(house.deps, lead.tenant, { connectionId, purpose: 'test', version: 2, ...more });
async function load(id: Uuid): Promise<LoadedConnection> {
  const deps: ConnectionDeps = house.deps;
  return (await loadConnection(deps, lead.tenant, id))!;
}
async function dropped(id: Uuid): Promise<void> {
  await service.deleteDraft(house.deps, by(lead), id);
}

describe('a connection', () => {
  it('is a draft with addresses of its own until its values are there', async () => {
    const id = await service.createConnection(house.deps, by(lead), { kind: 'oidc', profile: 'okta', name: 'Harbour' });
    const loaded = await load(id);
    expect(loaded).toMatchObject({ state: 'draft', version: 1, name: 'Harbour', settings: undefined, groups: [] });
    expect(loaded.addresses).toEqual(addressesOf(ORIGIN, id));
    expect(loaded.justInTime).toEqual(NOBODY);
    await dropped(id);
    expect(await loadConnection(house.deps, lead.tenant, id)).toBeUndefined();
    expect(await findConnection(house.deps, id, 'request')).toBeUndefined();
  });

  it('opens as settings that the package for OpenID Connect takes', async () => {
    const id = await made();
    const settings = (await load(id)).settings as OidcSettings;
    expect(parseOidcConnection(settings.input)).toMatchObject({
      issuer: oidc.issuer,
      redirectUri: `${ORIGIN}/sso/${id}/callback`,
      clientAuthentication: { secret: oidc.secret },
      claims: { groups: 'groups' },
    });
    await dropped(id);
  });

  it('opens as settings that the package for SAML takes, with keys of its own', async () => {
    const id = await made('saml');
    const settings = (await load(id)).settings as SamlSettings;
    expect(parseConnection(settings.input)).toMatchObject({
      acsUrl: `${ORIGIN}/sso/${id}/acs`,
      spEntityId: `${ORIGIN}/sso/${id}/metadata`,
    });
    expect(settings.signingKey).not.toBe(settings.decryptionKeys[0]);
    expect(settings.attributes).toEqual({ subject: null, groups: 'groups', email: 'mail', name: null });
    await dropped(id);
  });

  it('is found by its public address, and opened for its own tenant only', async () => {
    const id = await made();
    const found = await findConnection(house.deps, id, 'request');
    expect(found).toMatchObject({ slug: 'harbour', context: { tenantId: lead.tenant.tenantId } });
    expect(await loadConnection(house.deps, found!.context, id)).toMatchObject({ id });
    expect(await loadConnection(house.deps, stranger.tenant, id)).toBeUndefined();
    await expect(service.deleteDraft(house.deps, by(stranger), id)).rejects.toEqual(withCode('not_found'));
    await dropped(id);
  });

  it('stores nothing of what was typed in the clear', async () => {
    const id = await made();
    const groups = [{ group: 'group-of-harbour', name: 'Audit people', role: 'auditor' } as const];
    await service.mapGroups(house.deps, by(lead), { id, groups });
    const tables = ['connection', 'connection_group', 'connection_index'].map(
      (name) => `select to_jsonb(t)::text as row from identity.${name} t`,
    );
    const [stored, logged] = await Promise.all([
      house.rows<{ row: string }>(tables.join(' union all ')),
      house.rows<{ row: string }>(`select encode(leaf, 'escape') as row from audit.entry`),
    ]);
    const text = JSON.stringify([stored, logged]);
    for (const secret of ['idp.harbour.example', oidc.secret!, 'group-of-harbour', 'Audit people'])
      for (const form of [secret, Buffer.from(secret).toString('hex')]) expect(text).not.toContain(form);
    await dropped(id);
  });
});

describe('settings', () => {
  it('that cannot be used are refused with the name of the field', async () => {
    const id = await service.createConnection(house.deps, by(lead), { kind: 'oidc', profile: 'okta', name: 'Harbour' });
    const change = (values: Partial<typeof oidc>, name = 'Harbour') =>
      service.changeSettings(house.deps, by(lead), {
        id,
        version: 1,
        name,
        justInTime: NOBODY,
        values: { ...oidc, ...values },
      });
    const code = 'connection_setting_invalid';
    await expect(change({ issuer: 'http://idp.example' })).rejects.toEqual(withCode(code, { field: 'issuer' }));
    await expect(change({ issuer: 'https://accounts.google.com' })).rejects.toEqual(
      withCode(code, { field: 'issuer' }),
    );
    await expect(change({ clientId: ' a' })).rejects.toEqual(withCode(code, { field: 'clientId' }));
    await expect(change({ secret: '' })).rejects.toEqual(withCode(code, { field: 'secret' }));
    await expect(change({ hostedDomain: 'a.example' })).rejects.toEqual(withCode(code, { field: 'hostedDomain' }));
    await expect(change({ groupsClaim: '' })).rejects.toEqual(withCode(code, { field: 'groupsClaim' }));
    await expect(change({}, ' ')).rejects.toEqual(withCode(code, { field: 'name' }));
    await dropped(id);
  });

  it('keep their secret only for the issuer and client that it was given for', async () => {
    const id = await made();
    const change = (version: number, values: Partial<typeof oidc>) =>
      service.changeSettings(house.deps, by(lead), {
        id,
        version,
        name: 'Harbour',
        justInTime: NOBODY,
        values: { ...oidc, ...values },
      });
    await expect(change(2, { secret: null, issuer: 'https://elsewhere.example' })).rejects.toEqual(
      withCode('connection_setting_invalid', { field: 'secret' }),
    );
    await change(2, { secret: null, groupsClaim: null });
    const { settings } = await load(id);
    expect(settings).toMatchObject({ input: { clientAuthentication: { secret: oidc.secret } } });
    await dropped(id);
  });

  it('are not changed by whoever has read older ones', async () => {
    const id = await made();
    const input = { id, version: 1, name: 'Harbour', justInTime: NOBODY, values: oidc };
    await expect(service.changeSettings(house.deps, by(lead), input)).rejects.toEqual(withCode('connection_changed'));
    await dropped(id);
  });
});

describe('switching on', () => {
  it('wants a test that accepted these very settings', async () => {
    const id = await made();
    const on = () => service.turnConnection(house.deps, by(lead), { id, to: 'active' });
    await expect(on()).rejects.toEqual(withCode('connection_untested'));
    await attempt(id, { refusal: new AppError('oidc_nonce', 'O29') });
    await attempt(id, { version: 1 });
    await attempt(id, { purpose: 'sign-in' });
    await expect(on()).rejects.toEqual(withCode('connection_untested'));
    await attempt(id);
    await on();
    expect(await activeConnections(house.deps, lead.tenant)).toEqual([{ id, profile: 'other', name: 'Harbour' }]);
    await expect(dropped(id)).rejects.toEqual(withCode('connection_state'));
    await service.turnConnection(house.deps, by(lead), { id, to: 'disabled' });
    expect(await activeConnections(house.deps, lead.tenant)).toEqual([]);
    const types = ['created', 'changed', 'tested', 'activated', 'disabled'];
    for (const type of types)
      expect((await house.audited(`connection.${type}`)).some(({ resource_id }) => resource_id === id)).toBe(true);
  });
});

describe('who people are', () => {
  // An account is found by the provider's own name for somebody: under another provider `1` is somebody else.
  it.each([
    ['oidc', 'issuer', { ...oidc, issuer: 'https://idp.elsewhere.example' }],
    ['saml', 'idpEntityId', { ...saml, idpEntityId: 'https://idp.elsewhere.example/saml' }],
  ] as const)('is said by one provider for good once a connection by %s was on', async (kind, field, values) => {
    const id = await made(kind);
    const change = (version: number, other: typeof values | typeof oidc | typeof saml) =>
      service.changeSettings(house.deps, by(lead), { id, version, name: 'Harbour', justInTime: NOBODY, values: other });
    const back = kind === 'oidc' ? oidc : saml;
    await change(2, values);
    await change(3, back);
    await attempt(id, { version: 4 });
    await service.turnConnection(house.deps, by(lead), { id, to: 'active' });
    const refused = withCode('connection_setting_invalid', { field });
    await expect(change(4, values)).rejects.toEqual(refused);
    await expect(
      service.checkSettings(house.deps, lead.tenant, { id, name: 'Harbour', values, certificates: [] }),
    ).rejects.toEqual(refused);
    await service.turnConnection(house.deps, by(lead), { id, to: 'disabled' });
    await expect(change(4, values)).rejects.toEqual(refused);
    await change(4, kind === 'oidc' ? { ...oidc, groupsClaim: null } : { ...saml, groupsAttribute: null });
  });
});

describe('recent attempts', () => {
  it('name the failed check, and show claims of a test only', async () => {
    const id = await made();
    const claims = new Map<string, unknown>([
      ['groups', ['a', 'b']],
      ['email', 'someone@harbour.example'],
    ]);
    await attempt(id, { claims, subject: 'subject-1', groups: ['a', 'b'] });
    clock.advance(1);
    await attempt(id, { purpose: 'sign-in', claims, refusal: new AppError('saml_audience', 'G29: wrong ("other")') });
    const [refused, accepted] = await recentAttempts(house.deps, lead.tenant, id);
    expect(refused).toMatchObject({ outcome: 'refused', report: { claims: null, groups: null } });
    expect(refused!.report.failure).toEqual({
      code: 'saml_audience',
      check: 'G29',
      sentence: SAML_CHECKS.saml_audience[1],
    });
    expect(accepted!.report.claims).toEqual([
      { name: 'groups', value: '["a","b"]' },
      { name: 'email', value: 'someone@harbour.example' },
    ]);
    await dropped(id);
  });

  it('are bounded for each purpose, so that strangers cannot push a test out', async () => {
    const id = await made();
    await attempt(id);
    for (let count = 0; count < ATTEMPTS_KEPT['sign-in'] + 3; count += 1) {
      clock.advance(1);
      await attempt(id, { purpose: 'sign-in' });
    }
    const kept = await recentAttempts(house.deps, lead.tenant, id);
    expect(kept).toHaveLength(ATTEMPTS_KEPT['sign-in'] + 1);
    expect(kept.filter(({ purpose }) => purpose === 'test')).toHaveLength(1);
    await dropped(id);
  });
});

describe('groups', () => {
  it('are replaced as a whole, and the log names what has changed', async () => {
    const id = await made();
    const map = (groups: Parameters<typeof service.mapGroups>[2]['groups']) =>
      service.mapGroups(house.deps, by(lead), { id, groups });
    await map([
      { group: 'a', name: null, role: 'auditor' },
      { group: 'b', name: 'B', role: 'client' },
    ]);
    await map([{ group: 'b', name: 'B', role: 'lead' }]);
    expect((await load(id)).groups).toMatchObject([{ group: 'b', role: 'lead' }]);
    const twice = [
      { group: 'a', name: null, role: 'auditor' },
      { group: 'a', name: null, role: 'lead' },
    ] as const;
    await expect(map(twice)).rejects.toEqual(withCode('connection_setting_invalid', { field: 'groups.1.group' }));
    expect((await house.audited('connection.groups-mapped')).at(-1)!.leaf).toMatchObject({ public: { count: 1 } });
    await dropped(id);
  });
});

describe('a check of settings', () => {
  it('says what saving them would say, and stores nothing', async () => {
    const id = await made();
    const check = (values: Partial<typeof oidc>, certificates: readonly string[] = []) =>
      service.checkSettings(house.deps, lead.tenant, {
        id,
        name: 'Harbour',
        values: { ...oidc, ...values },
        certificates,
      });
    await check({ secret: null });
    await expect(check({ issuer: 'https://elsewhere.example', secret: null })).rejects.toEqual(
      withCode('connection_setting_invalid', { field: 'secret' }),
    );
    await expect(check({}, ['nonsense'])).rejects.toEqual(withCode('connection_certificate_refused'));
    expect(await load(id)).toMatchObject({ version: 2 });
    await dropped(id);
  });
});
