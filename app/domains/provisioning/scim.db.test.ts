import { performance } from 'node:perf_hooks';
import { systemClock, type Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { createAttemptCounter } from '../../platform/http/attempt-counter.ts';
import { eraseMember } from '../access/erasing.ts';
import { reinstateMember, suspendMember } from '../access/service.ts';
import * as connections from '../connections/service.ts';
import { by, oidc } from '../connections/testing/asking.ts';
import { recordAttempt } from '../connections/index.ts';
import { arrive, memberForUpdate } from '../identity/index.ts';
import { startSsoHouse, type SsoHouse } from '../sso/testing/sso-house.ts';
import { routes } from './contract.ts';
import type { ProvisioningDeps } from './deps.ts';
import { provisioningProblems, provisioningRoutes } from './index.ts';
import { directoryOf, type Saying, type Told } from './testing/directory.ts';
import { endToken, issueToken } from './tokens.ts';
import { readDirectory } from './view.ts';
import { undoWave } from './wave.ts';

// The documented messages of Entra and Okta, through the real gateway and issuer on a real database. No live tenant of a
// provider has been tried: rehearsed.

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
const ERROR = 'urn:ietf:params:scim:api:messages:2.0:Error';

const counter = createAttemptCounter();
let house: SsoHouse;
let deps: ProvisioningDeps;
let lead: Caller;
let stranger: Caller;
let say: ReturnType<typeof directoryOf>;
type Name = 'entra' | 'okta' | 'groups' | 'wave' | 'back' | 'foreign';
const ids = {} as Record<Name, Uuid>;
const tokens = {} as Record<Name, string>;

async function setUp(name: Name, caller: Caller): Promise<void> {
  const profile = name === 'entra' ? 'entra' : 'okta';
  const id = await connections.createConnection(house.deps, by(caller), { kind: 'oidc', profile, name });
  const tenant = '6babcaad-604b-40ac-a9d7-9fd97c0b779f';
  const issuer = name === 'entra' ? `https://login.microsoftonline.com/${tenant}/v2.0` : 'https://harbour.okta.com';
  const justInTime = { allowed: true, roleWithoutGroup: name === 'groups' ? null : ('auditor' as const) };
  const values = { ...oidc, issuer };
  await connections.changeSettings(house.deps, by(caller), { id, version: 1, name, justInTime, values });
  const startedBy = { personId: caller.personId, sessionId: caller.sessionId };
  await recordAttempt(house.deps, caller.tenant, { connectionId: id, purpose: 'test', version: 2, startedBy });
  await connections.turnConnection(house.deps, by(caller), { id, to: 'active' });
  ids[name] = id;
  tokens[name] = (await issueToken(deps, by(caller), { connectionId: id, days: 90 })).token;
}

beforeAll(async () => {
  for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
  house = await startSsoHouse(systemClock, {
    names: [],
    contracts: Object.values(routes),
    problems: [provisioningProblems],
    rooms: (given) => {
      const limits = { messages_perMinute_max: 100_000, refusals_perMinute_max: 40 };
      deps = { ...given, counter, ...limits };
      return [provisioningRoutes(deps)];
    },
  });
  say = directoryOf(house);
  lead = await house.callerOf((await house.issuer.enrol('harbour', 'lead')).cookie);
  stranger = await house.callerOf((await house.issuer.enrol('lakeside', 'lead')).cookie);
  for (const name of ['entra', 'okta', 'groups', 'wave', 'back'] as const) await setUp(name, lead);
  await setUp('foreign', stranger);
});
afterAll(async () => {
  await house?.stop();
  vi.restoreAllMocks();
});

const at = (name: Name, path: string) => `${house.origin}/scim/v2/${ids[name]}/${path}`;
const ask = (name: Name, call: string, saying: Saying = {}): Promise<Told> => {
  const [method, path] = call.split(' ') as [string, string];
  return say(method, at(name, path), { token: tokens[name], ...saying });
};
const patch = (...operations: readonly object[]) => ({ body: { schemas: [PATCH], Operations: operations } });
const idOf = ({ json }: Told) => json['id'] as string;
const memberRows = (where = 'true') =>
  house.issuer.rows<{ id: Uuid; state: string; role: string }>(
    `select id, state, role from identity.member where ${where}`,
  );
/** The member whom a directory's person is. */
async function memberOf(person: string) {
  const [row] = await memberRows(`id = (select member_id from identity.scim_resource where id = '${person}')`);
  return row;
}
/** Locks a row of harbour from another connection until it is called. */
async function holding(statement: Statement): Promise<() => void> {
  const [isHeld, isOver] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const held = house.deps.tenant.transaction(lead.tenant, async (tx) => {
    await tx.query(statement);
    isHeld.resolve();
    await isOver.promise;
  });
  await Promise.race([isHeld.promise, held]);
  return isOver.resolve;
}
const resourceForUpdate = (id: string): Statement =>
  sql`select r.id from identity.scim_resource r where r.tenant_id = ${lead.tenant.tenantId} and r.id = ${id} for update`;
async function somebodyWaits(people = 1): Promise<void> {
  const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  await expect
    .poll(async () => (await house.issuer.rows(waiting)).length, { timeout: 5000, interval: 10 })
    .toBe(people);
}
let people = 0;
/** As Okta sends a new person. */
function person(more: Record<string, unknown> = {}) {
  people += 1;
  return {
    schemas: [USER],
    userName: `person-${people}@acme.test`,
    externalId: `00u${people}`,
    name: { givenName: 'Person', familyName: `No ${people}` },
    emails: [{ primary: true, value: `person-${people}@acme.test`, type: 'work' }],
    displayName: `Person No ${people}`,
    active: true,
    ...more,
  };
}
const added = (name: Name, more: Record<string, unknown> = {}) => ask(name, 'POST Users', { body: person(more) });

describe('the sequence that Entra documents', () => {
  it('tries the connection, creates, finds, changes, disables by a text, enables and deletes a person', async () => {
    const unknown = await ask('entra', `GET Users?filter=${encodeURIComponent('userName eq "9f1d2c"')}`);
    expect([unknown.status, unknown.json]).toMatchObject([200, { totalResults: 0, Resources: [] }]);
    const body = {
      schemas: [USER, 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'],
      externalId: '0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef',
      userName: 'Test_User_ab6490ee@acme.test',
      active: true,
      emails: [{ primary: true, type: 'work', value: 'Test_User_fd0ea19b@acme.test' }],
      meta: { resourceType: 'User' },
      name: { formatted: 'givenName familyName', familyName: 'familyName', givenName: 'givenName' },
      roles: [],
    };
    const made = await ask('entra', 'POST Users', { body });
    expect(made.status, made.text).toBe(201);
    const id = idOf(made);
    expect(made.headers['content-type']).toBe('application/scim+json');
    expect(made.headers['location']).toBe(at('entra', `Users/${id}`));
    expect(made.headers['etag']).toBe((made.json['meta'] as Record<string, unknown>)['version']);
    expect(await memberOf(id)).toMatchObject({ state: 'active', role: 'auditor' });
    const found = await ask(
      'entra',
      `GET Users?filter=${encodeURIComponent('userName eq "TEST_user_ab6490ee@acme.test"')}`,
    );
    expect(found.json).toMatchObject({ totalResults: 1, Resources: [{ id }] });
    const renamed = await ask('entra', `PATCH Users/${id}`, {
      ...patch(
        { op: 'Replace', path: 'emails[type eq "work"].value', value: 'updatedEmail@acme.test' },
        { op: 'Replace', path: 'name.familyName', value: 'updatedFamilyName' },
      ),
    });
    expect([renamed.status, renamed.json]).toMatchObject([200, { name: { familyName: 'updatedFamilyName' } }]);
    const disabled = await ask('entra', `PATCH Users/${id}`, patch({ op: 'Replace', path: 'active', value: 'False' }));
    expect([disabled.status, disabled.json['active']]).toEqual([200, false]);
    expect(await memberOf(id)).toMatchObject({ state: 'suspended' });
    await ask('entra', `PATCH Users/${id}`, patch({ op: 'Replace', path: 'active', value: 'True' }));
    expect(await memberOf(id)).toMatchObject({ state: 'active' });
    const member = (await memberOf(id))!;
    expect((await ask('entra', `DELETE Users/${id}`)).status).toBe(204);
    expect(await memberRows(`id = '${member.id}'`)).toMatchObject([{ state: 'suspended' }]);
    expect((await ask('entra', `GET Users/${id}`)).status).toBe(404);
  });

  it('has the account of a sign-in: by directory and object id, never by an address', async () => {
    const objectId = 'a1b2c3d4-0000-4000-8000-000000000001';
    const subject = `6babcaad-604b-40ac-a9d7-9fd97c0b779f/${objectId}`;
    const newcomer = {
      connectionId: ids.entra,
      subject,
      shown: 'Signed in',
      role: undefined,
      newRole: 'client',
    } as const;
    const arrived = await house.deps.tenant.transaction(lead.tenant, (tx) =>
      arrive(house.deps, tx, { ...newcomer, tenantKind: 'customer' }),
    );
    const other = await added('entra', { externalId: 'another', emails: [{ value: 'signed-in@acme.test' }] });
    expect((await memberOf(idOf(other)))!.id).not.toBe(arrived.memberId);
    const made = await added('entra', { externalId: objectId.toUpperCase() });
    expect((await memberOf(idOf(made)))!.id).toBe(arrived.memberId);
    await ask('entra', `PATCH Users/${idOf(made)}`, patch({ op: 'replace', value: { active: false } }));
    expect(await memberRows(`id = '${arrived.memberId}'`)).toMatchObject([{ state: 'suspended' }]);
  });
});

describe('the sequence that Okta documents', () => {
  it('lists, creates, replaces the whole person, and takes them out by PUT and by a PATCH without a path', async () => {
    expect((await ask('okta', 'GET Users?startIndex=1&count=2')).json).toMatchObject({
      totalResults: 0,
      itemsPerPage: 0,
    });
    const body = person();
    const made = await ask('okta', 'POST Users', { body });
    const id = idOf(made);
    const put = await ask('okta', `PUT Users/${id}`, { body: { ...body, id, displayName: 'Renamed' } });
    expect([put.status, put.json['displayName']]).toEqual([200, 'Renamed']);
    await ask('okta', `PUT Users/${id}`, { body: { ...body, id, active: false } });
    expect(await memberOf(id)).toMatchObject({ state: 'suspended' });
    await ask('okta', `PATCH Users/${id}`, patch({ op: 'replace', value: { active: true } }));
    expect(await memberOf(id)).toMatchObject({ state: 'active' });
    await ask('okta', `PATCH Users/${id}`, patch({ op: 'replace', value: { active: false } }));
    expect(await memberOf(id)).toMatchObject({ state: 'suspended' });
  });

  it('pages from 1, and one page after the other has everybody once', async () => {
    for (let index = 0; index < 4; index += 1) await added('okta');
    const all = (await ask('okta', 'GET Users')).json['Resources'] as { id: string }[];
    const pages = await Promise.all([1, 3, 5].map((start) => ask('okta', `GET Users?startIndex=${start}&count=2`)));
    const seen = pages.flatMap(({ json }) => (json['Resources'] as { id: string }[]).map(({ id }) => id));
    expect(seen.slice(0, all.length)).toEqual(all.map(({ id }) => id));
  });

  it('tells what it can do, in documents of its own', async () => {
    expect((await ask('okta', 'GET ServiceProviderConfig')).json).toMatchObject({ patch: { supported: true } });
    expect((await ask('okta', 'GET ResourceTypes')).json).toMatchObject({ totalResults: 2 });
    expect((await ask('okta', 'GET ResourceTypes/Group')).json).toMatchObject({ id: 'Group' });
    expect((await ask('okta', 'GET Schemas')).json).toMatchObject({ totalResults: 3 });
    expect((await ask('okta', `GET Schemas/${USER}`)).json).toMatchObject({ id: USER });
    expect((await ask('okta', 'POST Bulk', { body: {} })).status).toBe(501);
  });
});

describe('a leaver', () => {
  const gone = async (call: string, saying: Saying) => {
    const made = await added('okta');
    const id = idOf(made);
    const before = await memberOf(id);
    const answer = await ask('okta', call.replace('*', id), saying);
    return { id, before, answer, after: await memberOf(id) };
  };

  it('is out although their message is refused: cut off, misspelt, under a stale version, of another type', async () => {
    const odd: Saying[] = [
      { body: `{"schemas":["${PATCH}"],"Operations":[{"op":"replace","path":"active","value":fal` },
      patch({ op: 'replace', path: 'active', value: 'no' }),
      patch({ op: 'replace', path: 'ACTIVE.value', value: false }),
      { ...patch({ op: 'replace', path: 'active', value: false }), headers: { 'if-match': 'W/"another"' } },
      { ...patch({ op: 'replace', path: 'active', value: 'x' }), headers: { 'content-type': 'text/plain' } },
      { body: `{"active": false, "padding": "${'x'.repeat(2.5 * 1024 * 1024)}"}` },
    ];
    for (const saying of odd) {
      const { id, before, answer, after } = await gone('PATCH Users/*', saying);
      expect(before!.state).toBe('active');
      expect([answer.status >= 400, answer.json['schemas']], answer.text).toEqual([true, [ERROR]]);
      expect(after!.state, JSON.stringify(saying).slice(0, 100)).toBe('suspended');
      expect((await ask('okta', `GET Users/${id}`)).json['active']).toBe(false);
      await ask('okta', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: true }));
      expect(await memberOf(id)).toMatchObject({ state: 'active' });
    }
  });

  it('is out also where the rest of the message cannot be stored', async () => {
    const taken = person();
    await ask('okta', 'POST Users', { body: taken });
    const value = { active: false, userName: taken.userName };
    const { answer, after } = await gone('PATCH Users/*', patch({ op: 'replace', value }));
    expect([answer.status, answer.json['scimType']]).toEqual([409, 'uniqueness']);
    expect(after!.state).toBe('suspended');
  });

  it('whom an administrator has suspended is not let in by the directory', async () => {
    const id = idOf(await added('okta'));
    const member = (await memberOf(id))!;
    await suspendMember(house.issuer.deps, by(lead), member.id);
    await ask('okta', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: true }));
    await ask('okta', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    await ask('okta', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: true }));
    expect(await memberOf(id)).toMatchObject({ state: 'suspended' });
  });

  it('is vouched for by each message that names them active, and by no other', async () => {
    const body = person();
    const id = idOf(await ask('okta', 'POST Users', { body }));
    const member = (await memberOf(id))!.id;
    const proofs = () =>
      house.issuer.rows<{ proved_at: Date }>(`select proved_at from identity.employment where member_id = '${member}'`);
    const provedBy = async (saying: Saying, call = `PATCH Users/${id}`) => {
      const [before] = await proofs();
      await ask('okta', call, saying);
      const [after] = await proofs();
      return after!.proved_at.getTime() > before!.proved_at.getTime();
    };
    expect(await proofs()).toHaveLength(1);
    expect(await provedBy(patch({ op: 'replace', path: 'displayName', value: 'Other' }))).toBe(false);
    expect(await provedBy(patch({ op: 'replace', path: 'active', value: true }))).toBe(true);
    expect(await provedBy({ body: { ...body, displayName: 'Third' } }, `PUT Users/${id}`)).toBe(true);
    expect(await provedBy({ body: { ...body, active: undefined } }, `PUT Users/${id}`)).toBe(false);
    expect(await provedBy(patch({ op: 'replace', path: 'active', value: 'yes' }))).toBe(false);
  });

  it('who was deleted and comes again is the same member', async () => {
    const body = person();
    const id = idOf(await ask('okta', 'POST Users', { body }));
    const member = (await memberOf(id))!;
    await ask('okta', `DELETE Users/${id}`);
    const again = await ask('okta', 'POST Users', { body });
    expect(again.status).toBe(201);
    expect(await memberOf(idOf(again))).toEqual(member);
  });

  it('is put out, and nobody let in, by a connection that is switched off', async () => {
    const id = idOf(await added('wave'));
    const other = idOf(await added('wave', { active: false }));
    await connections.turnConnection(house.deps, by(lead), { id: ids.wave, to: 'disabled' });
    expect((await added('wave')).status).toBe(403);
    const back = await ask('wave', `PATCH Users/${other}`, patch({ op: 'replace', path: 'active', value: true }));
    expect(back.status).toBe(403);
    await ask('wave', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    expect(await memberOf(id)).toMatchObject({ state: 'suspended' });
    await connections.turnConnection(house.deps, by(lead), { id: ids.wave, to: 'active' });
  });
});

describe('groups', () => {
  const inGroup = async (id: string, group: string, op = 'add') =>
    ask(
      'groups',
      `PATCH Groups/${group}`,
      patch(
        op === 'add'
          ? { op: 'add', path: 'members', value: [{ value: id }] }
          : { op: 'remove', path: `members[value eq "${id}"]` },
      ),
    );

  it('give the roles that are mapped, and whoever is in none any more is out', async () => {
    const mapped = [
      { group: 'Audit leads', name: null, role: 'lead' },
      { group: 'Auditors', name: null, role: 'auditor' },
    ] as const;
    await connections.mapGroups(house.deps, by(lead), { id: ids.groups, groups: mapped });
    const id = idOf(await added('groups'));
    expect(await memberOf(id)).toBeUndefined();
    const group = (displayName: string) => ask('groups', 'POST Groups', { body: { schemas: [GROUP], displayName } });
    const [leads, auditors] = [idOf(await group('Audit leads')), idOf(await group('Auditors'))];
    expect((await inGroup(id, auditors)).status).toBe(200);
    expect(await memberOf(id)).toMatchObject({ state: 'active', role: 'auditor' });
    await inGroup(id, leads);
    expect(await memberOf(id)).toMatchObject({ role: 'lead' });
    await inGroup(id, leads, 'remove');
    expect(await memberOf(id)).toMatchObject({ state: 'active', role: 'auditor' });
    const shown = await ask('groups', `GET Users/${id}`);
    expect(shown.json['groups']).toEqual([{ value: auditors, display: 'Auditors' }]);
    await inGroup(id, auditors, 'remove');
    expect(await memberOf(id)).toMatchObject({ state: 'suspended' });
    await inGroup(id, auditors);
    expect(await memberOf(id)).toMatchObject({ state: 'active', role: 'auditor' });
    await ask('groups', `DELETE Groups/${auditors}`);
    expect(await memberOf(id)).toMatchObject({ state: 'suspended' });
  });

  it('may take the role of the last lead, which is told at once', async () => {
    const setRole = (role: string) =>
      house.issuer.rows(
        `begin; set local session_replication_role = replica;
         update identity.member set role = '${role}' where id = '${stranger.personId}'; commit`,
      );
    const mapped = [{ group: 'Audit leads', name: null, role: 'lead' }] as const;
    await connections.mapGroups(house.deps, by(stranger), { id: ids.foreign, groups: mapped });
    const id = idOf(await added('foreign'));
    const body = { schemas: [GROUP], displayName: 'Audit leads', members: [{ value: id }] };
    const group = idOf(await ask('foreign', 'POST Groups', { body }));
    expect(await memberOf(id)).toMatchObject({ state: 'active', role: 'lead' });
    const empty = (members: object[]) => ask('foreign', `PUT Groups/${group}`, { body: { ...body, members } });
    const told = async () => (await house.issuer.audited('tenant.without-lead')).map(({ leaf }) => leaf['public']);
    await empty([]);
    expect(await memberOf(id)).toMatchObject({ state: 'active', role: 'auditor' });
    expect(await told()).toEqual([]);
    await empty([{ value: id }]);
    await setRole('auditor');
    await empty([]);
    expect(await told()).toEqual([{ cause: 'groups', role: 'lead' }]);
    await setRole('lead');
    await connections.mapGroups(house.deps, by(stranger), { id: ids.foreign, groups: [] });
  });

  it('have people of their own connection as members, and nobody else', async () => {
    const made = await ask('groups', 'POST Groups', { body: { schemas: [GROUP], displayName: 'Odd' } });
    const [foreign] = (await ask('foreign', 'GET Users')).json['Resources'] as { id: string }[];
    const other = foreign?.id ?? idOf(await added('foreign'));
    const answer = await inGroup(other, idOf(made));
    expect([answer.status, answer.json['scimType']]).toEqual([400, 'invalidValue']);
  });
});

describe('the token', () => {
  const plain = ({ status, headers, text }: Told) => [
    status,
    headers['www-authenticate'],
    headers['content-type'],
    text,
  ];

  it('is refused the same way whether it, the connection or the tenant is another one', async () => {
    const own = await ask('okta', 'GET Users?count=0', { token: `scim_${'a'.repeat(43)}` });
    expect([own.status, own.json['schemas'], own.headers['www-authenticate']]).toEqual([401, [ERROR], 'Bearer']);
    const others = await Promise.all([
      ask('okta', 'GET Users?count=0', { token: tokens.foreign }),
      ask('okta', 'GET Users?count=0', { token: tokens.entra }),
      ask('okta', 'GET Users?count=0', { token: undefined }),
      say('GET', `${house.origin}/scim/v2/0190d0f0-0000-7000-8000-000000000000/Users`, { token: tokens.okta }),
      say('GET', `${house.origin}/scim/v2/nothing/Users`, { token: tokens.okta }),
    ]);
    for (const other of others) expect(plain(other)).toEqual(plain(own));
    const sum = counter.read().counts.find(({ code }) => code === 'directory.token-unknown');
    expect(sum?.count).toBe(6);
  });

  it('is refused no sooner than after the floor', async () => {
    for (const token of [tokens.foreign, `scim_${'b'.repeat(43)}`]) {
      const began = performance.now();
      await ask('okta', 'GET Users?count=0', { token });
      expect(performance.now() - began).toBeGreaterThanOrEqual(49);
    }
  });

  it('opens nothing of another tenant or connection, by no id', async () => {
    const id = idOf(await added('foreign'));
    const own = idOf(await added('okta'));
    const other = await Promise.all(['GET', 'DELETE'].map((method) => ask('entra', `${method} Users/${own}`)));
    expect(other.map(({ status }) => status)).toEqual([404, 404]);
    expect(await memberOf(own)).toMatchObject({ state: 'active' });
    const answers = await Promise.all([
      ask('okta', `GET Users/${id}`),
      ask('okta', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false })),
      ask('okta', `DELETE Users/${id}`),
      ask('entra', `DELETE Users/${id}`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect(await memberOf(id)).toMatchObject({ state: 'active' });
    expect((await ask('okta', `GET Users?filter=${encodeURIComponent(`id eq "${id}"`)}`)).json['totalResults']).toBe(0);
  });

  it('may overlap with one other, and is over when it is ended', async () => {
    const connectionId = ids.entra;
    const second = await issueToken(deps, by(lead), { connectionId, days: 180 });
    await expect(issueToken(deps, by(lead), { connectionId, days: 90 })).rejects.toMatchObject({
      code: 'provisioning_tokens_full',
    });
    expect((await ask('entra', 'GET Users?count=0', { token: second.token })).status).toBe(200);
    expect((await ask('entra', 'GET Users?count=0')).status).toBe(200);
    await expect(endToken(deps, by(stranger), { connectionId, id: second.id })).rejects.toMatchObject({
      code: 'not_found',
    });
    await endToken(deps, by(lead), { connectionId, id: second.id });
    expect((await ask('entra', 'GET Users?count=0', { token: second.token })).status).toBe(401);
    const { tokens: shown } = await readDirectory(deps, lead.tenant, connectionId);
    expect(shown.map(({ state, usedAt }) => [state, usedAt !== null])).toEqual([
      ['ended', true],
      ['live', true],
    ]);
  });

  it('stands nowhere as it is, nor does what it brings', async () => {
    const secret = await added('okta', { displayName: 'Zebedee Quux', externalId: 'qx-774' });
    expect(secret.status).toBe(201);
    const tables = ['scim_token', 'scim_resource', 'scim_heard', 'scim_refusal', 'member', 'account'];
    const rows = await house.issuer.rows<{ row: string }>(
      tables.map((name) => `select to_jsonb(t)::text as row from identity.${name} t`).join(' union all '),
    );
    expect(rows.length).toBeGreaterThan(10);
    const leaves = await house.issuer.rows<{ leaf: string }>(
      `select convert_from(leaf, 'UTF8') as leaf from audit.entry`,
    );
    const all = JSON.stringify([rows, leaves]);
    expect(all).not.toMatch(/Zebedee|Quux|qx-774|acme\.test|scim_[A-Za-z0-9_-]{43}/);
  });

  it('is refused with a time to wait when somebody tries one after the other', async () => {
    const tries: Told[] = [];
    for (let index = 0; index < 45; index += 1)
      tries.push(await ask('okta', 'GET Users?count=0', { token: `scim_${'c'.repeat(43)}` }));
    const last = tries.at(-1)!;
    expect([last.status, last.headers['retry-after'], last.json['schemas']]).toEqual([429, '60', [ERROR]]);
    // Whoever has a token is not held up by it.
    expect((await ask('okta', 'GET Users?count=0')).status).toBe(200);
  });
});

describe('the door', () => {
  it('is for servers alone, and says so in their form', async () => {
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }, { cookie: 'a=b' }]) {
      const refused = await ask('okta', 'GET Users', { headers: headers as Record<string, string> });
      expect([refused.status, refused.json['schemas']]).toEqual([403, [ERROR]]);
    }
    const nothing = await ask('okta', 'GET Users/nobody');
    expect([nothing.status, nothing.json['schemas'], nothing.json['status']]).toEqual([404, [ERROR], '404']);
  });

  it('answers 304 to whoever has the version, and 412 to whoever has another', async () => {
    const made = await added('okta');
    const etag = made.headers['etag'] as string;
    const again = await ask('okta', `GET Users/${idOf(made)}`, { headers: { 'if-none-match': etag } });
    expect([again.status, again.text]).toEqual([304, '']);
    const change = patch({ op: 'replace', path: 'displayName', value: 'Changed' });
    const stale = await ask('okta', `PATCH Users/${idOf(made)}`, { ...change, headers: { 'if-match': 'W/"x"' } });
    expect(stale.status).toBe(412);
    const fresh = await ask('okta', `PATCH Users/${idOf(made)}`, { ...change, headers: { 'if-match': etag } });
    expect(fresh.status).toBe(200);
  });
});

describe('a person who is erased by law', () => {
  it('is gone from the directory’s rows as well', async () => {
    const id = idOf(await added('okta', { displayName: 'To be erased' }));
    const { id: memberId } = (await memberOf(id))!;
    await ask('okta', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    const order = { memberId, name: 'To be erased', ground: 'request' };
    await eraseMember(house.issuer.deps, by(lead), order);
    expect(await house.issuer.rows(`select id from identity.scim_resource where id = '${id}'`)).toEqual([]);
    expect((await ask('okta', `GET Users/${id}`)).status).toBe(404);
    expect((await house.issuer.audited('directory.person-erased')).map(({ resource_id }) => resource_id)).toContain(id);
  });
});

describe('names', () => {
  it('of a prototype are no names, wherever they stand', async () => {
    const id = idOf(await added('okta'));
    const bodies = [
      `{"schemas":["${PATCH}"],"Operations":[{"op":"add","path":"__proto__.polluted","value":"1"}]}`,
      `{"schemas":["${PATCH}"],"Operations":[{"op":"add","value":{"__proto__":{"polluted":"1"}}}]}`,
      `{"schemas":["${PATCH}"],"Operations":[{"op":"add","path":"constructor.prototype.polluted","value":"1"}]}`,
    ];
    for (const body of bodies) expect((await ask('okta', `PATCH Users/${id}`, { body })).status).toBe(400);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('what administrators see', () => {
  it('is who is there, in which state, and the exact check that refused a message', async () => {
    const shown = await readDirectory(deps, lead.tenant, ids.okta);
    expect(shown.base).toBe(`${house.origin}/scim/v2/${ids.okta}`);
    expect(shown.refusals.length).toBeGreaterThan(3);
    expect(shown.refusals[0]).toMatchObject({ code: 'scim_path', check: 'P9' });
    expect(new Set(shown.people.map(({ state }) => state))).toEqual(new Set(['in', 'out', 'suspended']));
    await expect(readDirectory(deps, stranger.tenant, ids.okta)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('somebody whom a directory has put out', () => {
  const reinstate = async (memberId: Uuid) => reinstateMember(house.issuer.deps, by(lead), memberId);
  const out = async () => {
    const id = idOf(await added('back'));
    await ask('back', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    return { id, member: (await memberOf(id))! };
  };
  const stateOf = async (memberId: Uuid) => (await memberRows(`id = '${memberId}'`))[0]!.state;
  const turn = (to: 'active' | 'disabled') => connections.turnConnection(house.deps, by(lead), { id: ids.back, to });

  it('is not let in by a lead while it says so, by a person’s row or by none any more', async () => {
    const [kept, removed] = [await out(), await out()];
    await ask('back', `DELETE Users/${removed.id}`);
    for (const { member } of [kept, removed]) {
      await expect(reinstate(member.id)).rejects.toMatchObject({ code: 'directory_says_left' });
      expect(await stateOf(member.id)).toBe('suspended');
    }
    await ask('back', `PATCH Users/${kept.id}`, patch({ op: 'replace', path: 'active', value: true }));
    expect(await stateOf(kept.member.id)).toBe('active');
  });

  it('is let in by a lead while its connection is off, and out again at its next word', async () => {
    const { id, member } = await out();
    await turn('disabled');
    expect(await reinstate(member.id)).toMatchObject({ state: 'active' });
    // Whoever is suspended from here on was so by somebody else: no undoing of a wave lets them in.
    await suspendMember(house.issuer.deps, by(lead), member.id);
    await undoWave(deps, by(lead), ids.back);
    expect(await stateOf(member.id)).toBe('suspended');
    await reinstate(member.id);
    await turn('active');
    await ask('back', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    expect(await stateOf(member.id)).toBe('suspended');
  });

  it('is out when a lead lets them in after its word has come and before it is stored', async () => {
    const id = idOf(await added('back'));
    const member = (await memberOf(id))!;
    await suspendMember(house.issuer.deps, by(lead), member.id);
    const release = await holding(resourceForUpdate(id));
    const word = ask('back', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    await somebodyWaits();
    // Nothing that is stored says otherwise.
    expect(await reinstate(member.id)).toMatchObject({ state: 'active' });
    release();
    expect((await word).status).toBe(200);
    expect(await stateOf(member.id)).toBe('suspended');
    // By this directory, whose word lets them in again.
    await ask('back', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: true }));
    expect(await stateOf(member.id)).toBe('active');
  });

  it('is out when its word comes while a lead is about to let them in', async () => {
    const id = idOf(await added('back'));
    const member = (await memberOf(id))!;
    await suspendMember(house.issuer.deps, by(lead), member.id);
    const release = await holding(memberForUpdate(lead.tenant.tenantId, member.id));
    const letIn = reinstate(member.id);
    await somebodyWaits();
    const word = ask('back', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    await somebodyWaits(2);
    release();
    await Promise.all([letIn, word]);
    expect(await stateOf(member.id)).toBe('suspended');
  });

  it('is let in again by nobody’s suspension but its own, also where a lead comes a moment before', async () => {
    const id = idOf(await added('back'));
    const member = (await memberOf(id))!;
    const release = await holding(memberForUpdate(lead.tenant.tenantId, member.id));
    const suspended = suspendMember(house.issuer.deps, by(lead), member.id);
    await somebodyWaits();
    const word = ask('back', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    await somebodyWaits(2);
    release();
    await Promise.all([suspended, word]);
    await ask('back', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: true }));
    expect(await stateOf(member.id)).toBe('suspended');
  });

  it('is let in by a lead whose account there is gone, or when no token of it is in use', async () => {
    const [left, other] = [await out(), await out()];
    // As after the disconnecting that they did themselves while they were in; its entry is of no matter here.
    await house.issuer.rows(
      `begin; set local session_replication_role = replica;
       delete from identity.account where member_id = '${left.member.id}'; commit`,
    );
    expect(await reinstate(left.member.id)).toMatchObject({ state: 'active' });
    await expect(reinstate(other.member.id)).rejects.toMatchObject({ code: 'directory_says_left' });
    for (const { id } of await house.issuer.rows<{ id: Uuid }>(
      'select id from identity.scim_token where connection_id = $1 and ended_at is null',
      [ids.back],
    ))
      await endToken(deps, by(lead), { connectionId: ids.back, id });
    expect(await reinstate(other.member.id)).toMatchObject({ state: 'active' });
    const entries = (await house.issuer.audited('directory.person-reinstated')).map(({ leaf }) => leaf['public']);
    expect(entries).toContainEqual({ connection: ids.back, member: other.member.id });
  });
});

describe('a wave', () => {
  it('of ten people out within an hour is written down, and one person undoes it', async () => {
    const made: string[] = [];
    for (let index = 0; index < 10; index += 1) made.push(idOf(await added('wave')));
    for (const id of made.slice(0, 5))
      await ask('wave', `PATCH Users/${id}`, patch({ op: 'replace', path: 'active', value: false }));
    const members = await Promise.all(made.map((id) => memberOf(id)));
    for (const id of made.slice(5)) await ask('wave', `DELETE Users/${id}`);
    expect((await house.issuer.audited('directory.wave')).length).toBeGreaterThanOrEqual(1);
    const states = () => memberRows(`id in (${members.map((row) => `'${row!.id}'`).join(',')})`);
    expect(new Set((await states()).map(({ state }) => state))).toEqual(new Set(['suspended']));
    await expect(undoWave(deps, by(stranger), ids.wave)).rejects.toMatchObject({ code: 'not_found' });
    expect(await undoWave(deps, by(lead), ids.wave)).toBeGreaterThanOrEqual(10);
    expect(new Set((await states()).map(({ state }) => state))).toEqual(new Set(['active']));
    expect((await readDirectory(deps, lead.tenant, ids.wave)).wave).toBeNull();
    expect((await ask('wave', `GET Users/${made[0]}`)).json['active']).toBe(true);
  });

  it('lets nobody in of whom the directory has spoken again meanwhile, and says how many it let in', async () => {
    const id = idOf(await added('wave'));
    const other = idOf(await added('wave'));
    for (const one of [id, other])
      await ask('wave', `PATCH Users/${one}`, patch({ op: 'replace', path: 'active', value: false }));
    const member = (await memberOf(id))!;
    let messages = 0;
    const openTexts: typeof deps.sealer.openTexts = async (of) => {
      const texts = await deps.sealer.openTexts(of);
      // They are still out by its word; that the message speaks of something else does not change it.
      const said = patch({ op: 'replace', path: 'title', value: `Former auditor ${(messages += 1)}` });
      expect((await ask('wave', `PATCH Users/${id}`, said)).status).toBe(200);
      return texts;
    };
    const back = await undoWave({ ...deps, sealer: { ...deps.sealer, openTexts } }, by(lead), ids.wave);
    expect(await memberRows(`id = '${member.id}'`)).toMatchObject([{ state: 'suspended' }]);
    expect((await ask('wave', `GET Users/${id}`)).json['active']).toBe(false);
    expect((await ask('wave', `GET Users/${other}`)).json['active']).toBe(true);
    expect(back).toBe(1);
  });
});
