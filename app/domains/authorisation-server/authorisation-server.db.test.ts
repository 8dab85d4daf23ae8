import { createHmac, randomUUID } from 'node:crypto';
import { systemClock, type Uuid } from '@auditrax/base';
import { calculateJwkThumbprint, exportJWK, SignJWT } from 'jose';
import * as oauth from 'openid-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { auditFromCall } from '../../platform/audit/index.ts';
import { attemptsContract } from '../../platform/http/attempts-contract.ts';
import { bindRoutes, type Caller } from '../../platform/http/handler.ts';
import { apiTokenRoutes } from '../../platform/edge/token-contract.ts';
import { routes as engagementsContract } from '../engagements/contract.ts';
import { suspendMember } from '../access/service.ts';
import { PROOF_MS_MAX } from '../identity/employment.ts';
import { knownAtConnection } from '../identity/testing/known-at.ts';
import { askerOf, startSsoHouse, type SsoHouse } from '../sso/testing/sso-house.ts';
import type { TestBrowser } from '../sso/testing/browser.ts';
import type { SoftwareAuthenticator } from '../../probes/software-authenticator.ts';
import { routes } from './contract.ts';
import { giveGrant } from './grants.ts';
import {
  apiTokenMintRoutes,
  authorisationServerProblems,
  authorisationServerRoutes,
  programSubjects,
  programGrants,
} from './index.ts';
import { isFreshNonce, nextNonce } from './nonces.ts';
import { askFor, fetchAt, questionOf, startProgram, type Pending, type Program } from './testing/program.ts';

// openid-client, as somebody else's program, goes the whole way through the real gateway and issuer.

const HOST = 'localhost:8443';
const BACK = 'https://program.example/back';
const LIST = '/api/engagements';
const ALLOW = '/api/authorisation-server/allow';

let house: SsoHouse;
const seen: Caller[] = [];
const attempts: unknown[] = [];
let isHeldBack = false;
interface Somebody {
  readonly browser: TestBrowser;
  readonly caller: Caller;
  readonly device: SoftwareAuthenticator;
}
const people = {} as Record<'lead' | 'auditor' | 'helper' | 'stranger', Somebody>;
const issuers = {} as Record<'harbour' | 'lakeside', string>;
type Agent = 'agent' | 'second' | 'third' | 'fourth' | 'reading' | 'unnamed' | 'elsewhere';
const ids = {} as Record<'writer' | 'reader' | 'hander' | 'foreign' | Agent, string>;
/** Those that people may have work handed to. */
const NAMED = ['agent', 'second', 'third', 'fourth', 'reading'] as const;
const agentKeys = {} as Record<Agent, oauth.CryptoKeyPair>;

/** Stands for the workspace: says who called. */
const { list, create, finalise } = engagementsContract;
const workspace = [
  bindRoutes(
    { list, create, finalise },
    {
      list: ({ caller }) => {
        seen.push(caller);
        return Promise.resolve({ status: 200 as const, body: { engagements: [], nextCursor: null } });
      },
      create: () => Promise.reject(new Error('not asked here')),
      finalise: () => Promise.reject(new Error('not asked here')),
    },
  ),
  bindRoutes(attemptsContract, {
    record: ({ body }) => {
      attempts.push(body);
      return Promise.resolve({ status: 200 as const, body: { entryId: null, sessionOver: false } });
    },
  }),
];

async function arrive(tenant: string, role: 'lead' | 'auditor' | 'client') {
  const { cookie, device } = await house.issuer.enrol(tenant, role);
  const browser = house.browser();
  browser.cookies.set(HOST, new Map([['__Host-auditrax', { value: cookie, sameSite: 'strict' }]]));
  return { browser, device, caller: await house.callerOf(cookie) };
}

const url = (path: string) => `${house.origin}${path}`;
const ask = async (browser: TestBrowser, path: string, body?: unknown) => {
  const { status, text } = await browser.ask(url(path), body);
  return { status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, never> };
};

/** The value of the header that confirms exactly this, by the person's passkey; a number: no confirmation was offered. */
async function confirmation({ browser, device }: Somebody, operation: string, input: object): Promise<string | number> {
  const { status, body } = await ask(browser, '/api/access/step-up', { operation, input });
  if (status !== 200) return status;
  const assertion = device.authenticate(body['options']!);
  return Buffer.from(JSON.stringify({ challengeId: body['challengeId']!, assertion })).toString('base64url');
}

const approved = (browser: TestBrowser, path: string, { body, stepUp }: { body: object; stepUp: string }) =>
  browser.ask(url(path), body, { 'x-step-up': stepUp }).then(({ status, text }) => ({
    status,
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, never>,
  }));

/** Does what wants a passkey, as a page does it. */
async function confirmed(who: Somebody, path: string, { operation, body }: { operation: string; body: object }) {
  const stepUp = await confirmation(who, operation, body);
  if (typeof stepUp === 'number') return { status: stepUp, body: {} as Record<string, never> };
  return approved(who.browser, path, { body, stepUp });
}

async function register(
  who: Somebody,
  input: { name: string; handsTo?: string[] } & Partial<Record<'kind' | 'access' | 'publicKey', string>> & {
      redirectUris?: string[];
    },
) {
  const body = { kind: 'application', access: 'write', redirectUris: [BACK], publicKey: null, handsTo: [], ...input };
  return confirmed(who, '/api/authorisation-server/clients', {
    operation: 'authorisation-server.register-client',
    body,
  });
}

/** Registers a program and says what it calls itself. */
async function registered(input: Parameters<typeof register>[1], who = people.lead): Promise<string> {
  const { status, body } = await register(who, input);
  expect(status).toBe(201);
  return body['clientId']!;
}

/** Registers an agent with a key of its own. */
async function registerAgent(name: Agent, { who = people.lead, access = 'write' } = {}): Promise<void> {
  agentKeys[name] = await oauth.randomDPoPKeyPair('ES256', { extractable: true });
  const { kty, crv, x, y } = await exportJWK(agentKeys[name].publicKey);
  const publicKey = JSON.stringify({ kty, crv, x, y });
  ids[name] = await registered({ name: `Agent ${name}`, kind: 'agent', access, publicKey }, who);
}

beforeAll(async () => {
  house = await startSsoHouse(systemClock, {
    names: ['authorisation-server', 'engagements'],
    contracts: [routes, apiTokenRoutes, { list, create, finalise }].flatMap((table) => Object.values(table)),
    problems: [authorisationServerProblems],
    subjects: programSubjects,
    rooms: (deps) => [authorisationServerRoutes(deps), apiTokenMintRoutes({ ...deps, heldBack: () => isHeldBack })],
    workspace,
  });
  people.lead = await arrive('harbour', 'lead');
  people.auditor = await arrive('harbour', 'auditor');
  people.helper = await arrive('harbour', 'client');
  people.stranger = await arrive('lakeside', 'lead');
  for (const [name, who] of [
    ['harbour', people.lead],
    ['lakeside', people.stranger],
  ] as const)
    issuers[name] = (await ask(who.browser, '/api/authorisation-server/clients')).body['issuer']!;
  ids.writer = await registered({ name: 'Ledger sync' });
  serverNonce = await toldNonce();
  ids.reader = await registered({
    name: 'Read only',
    access: 'read',
    redirectUris: [BACK, 'http://127.0.0.1/back'],
  });
  for (const name of ['agent', 'second', 'third', 'fourth', 'unnamed'] as const) await registerAgent(name);
  await registerAgent('reading', { access: 'read' });
  await registerAgent('elsewhere', { who: people.stranger });
  ids.hander = await registered({ name: 'Hander', handsTo: NAMED.map((name) => ids[name]) });
  ids.foreign = await registered({ name: 'Elsewhere' }, people.stranger);
});
afterAll(() => house?.stop());

const program = (name: keyof typeof ids = 'writer') =>
  startProgram(house, {
    issuer: name === 'foreign' || name === 'elsewhere' ? issuers.lakeside : issuers.harbour,
    clientId: ids[name],
    ...(name in agentKeys ? { authentication: oauth.PrivateKeyJwt(agentKeys[name as Agent].privateKey) } : {}),
  });

/** The person answers on our page. */
const decide = (
  pending: Pick<Pending, 'url'>,
  allow = true,
  { who = 'lead', agents = [] }: { who?: keyof typeof people; agents?: readonly string[] } = {},
) =>
  allow
    ? confirmed(people[who], ALLOW, {
        operation: 'authorisation-server.allow',
        body: { ...questionOf(pending.url), agents },
      })
    : ask(people[who].browser, '/api/authorisation-server/refuse', questionOf(pending.url));

const redeem = ({ config, dpop }: Program, back: string, { verifier, state }: Pick<Pending, 'verifier' | 'state'>) =>
  oauth.authorizationCodeGrant(config, new URL(back), { pkceCodeVerifier: verifier, expectedState: state }, undefined, {
    DPoP: dpop,
  });

/** The whole way for one person: tokens of a program that they have allowed. */
async function allowed(name: keyof typeof ids = 'writer', scope?: string, more: Parameters<typeof decide>[2] = {}) {
  const one = await program(name);
  const pending = await askFor(one, { redirectUri: BACK, ...(scope === undefined ? {} : { scope }) });
  const { status, body } = await decide(pending, true, more);
  expect(status).toBe(200);
  return { one, pending, back: body['url']! as string, tokens: await redeem(one, body['url']!, pending) };
}

const call = (one: Program, token: string, [path, method = 'GET']: readonly [string, string?] = [LIST]) =>
  oauth
    .fetchProtectedResource(one.config, token, new URL(url(path)), method, undefined, undefined, { DPoP: one.dpop })
    .then((response) => response.status)
    .catch((error: unknown) => (error as { status: number }).status);

/** What the server said to a program that it refused. */
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (error as { error?: string; code?: string }).error ?? (error as { code?: string }).code,
  );

/** What the server told a program that came without: good for some minutes, for every program. */
let serverNonce: string;

/** A proof of the test's own making. */
async function proofBy(
  { keys }: Program,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
) {
  const jwk = await exportJWK(keys.publicKey);
  return new SignJWT({ jti: randomUUID(), iat: Math.floor(Date.now() / 1000), nonce: serverNonce, ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
    .sign(keys.privateKey);
}

async function athOf(token: string): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(token))).toString('base64url');
}

/** Asks without a nonce, as nobody in particular: the refusal tells one. */
async function toldNonce(): Promise<string> {
  const htu = `${issuers.harbour}/token`;
  const dpop = await proofBy(await program(), { htm: 'POST', htu, nonce: undefined });
  const form = new URLSearchParams({ client_id: ids.writer, grant_type: 'refresh_token', refresh_token: 'x' });
  const answer = await raw(new URL(htu).pathname, { dpop }, form.toString());
  expect([answer.status, await answer.json()]).toEqual([400, { error: 'use_dpop_nonce' }]);
  return answer.headers.get('dpop-nonce')!;
}

const raw = (path: string, headers: Readonly<Record<string, string>>, body?: string) =>
  fetchAt(house)(url(path), {
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }) },
    body: body as never,
    redirect: 'manual',
  });

const reasonOfLastEnd = async () => {
  const entries = await house.issuer.audited('api-grant.ended');
  return (entries.at(-1)!.leaf['public'] as Record<string, string>)['reason'];
};

describe('a program that a person has allowed', () => {
  it('gets tokens by openid-client and reads in the person’s name, with the permission in the place of the session', async () => {
    const { one, tokens } = await allowed();
    expect(tokens.token_type).toBe('dpop');
    expect(tokens.expires_in).toBe(300);
    expect(tokens.scope).toBe('read write');
    expect(await call(one, tokens.access_token)).toBe(200);
    const { personId, role, method, tenant, routeClass } = seen.at(-1)!;
    expect({ personId, role, method, tenantId: tenant.tenantId, routeClass }).toEqual({
      personId: people.lead.caller.personId,
      role: 'lead',
      method: 'oauth',
      tenantId: people.lead.caller.tenant.tenantId,
      routeClass: 'read',
    });
    const given = (await house.issuer.audited('api-grant.given')).at(-1)!;
    expect(given.resource_id).toBe(seen.at(-1)!.sessionId);
    const next = await oauth.refreshTokenGrant(one.config, tokens.refresh_token!, undefined, { DPoP: one.dpop });
    expect(await call(one, next.access_token)).toBe(200);
  });

  it('is an agent with a key of its own, and nobody without that key', async () => {
    const { one, tokens } = await allowed('agent');
    expect(await call(one, tokens.access_token)).toBe(200);
    const other = await oauth.randomDPoPKeyPair('ES256');
    const impostor = await startProgram(house, {
      issuer: issuers.harbour,
      clientId: ids.agent,
      authentication: oauth.PrivateKeyJwt(other.privateKey),
    });
    expect(await refusal(askFor(impostor, { redirectUri: BACK }))).toBe('invalid_client');
    const nameless = await startProgram(house, { issuer: issuers.harbour, clientId: ids.agent });
    expect(await refusal(askFor(nameless, { redirectUri: BACK }))).toBe('invalid_client');
  });

  it('does no more than was allowed, than it was registered for, and than the person may', async () => {
    const narrow = await allowed('writer', 'read');
    expect(narrow.tokens.scope).toBe('read');
    expect(await call(narrow.one, narrow.tokens.access_token)).toBe(200);
    expect(await call(narrow.one, narrow.tokens.access_token, [LIST, 'POST'])).toBe(403);
    expect(await refusal(askFor(await program('reader'), { redirectUri: BACK, scope: 'read write' }))).toBe(
      'invalid_scope',
    );
    const byAuditor = await allowed('writer', undefined, { who: 'auditor' });
    await call(byAuditor.one, byAuditor.tokens.access_token);
    expect(seen.at(-1)!.role).toBe('auditor');
  });

  it('reaches nothing that is confirmed with a passkey and nothing of who comes in', async () => {
    const { one, tokens } = await allowed();
    for (const [path, method] of [
      ['/api/authorisation-server/clients', 'GET'],
      ['/api/identity/passkeys', 'GET'],
      ['/api/access/members', 'GET'],
      ['/api/authorisation-server/grants', 'GET'],
    ] as const)
      expect([path, await call(one, tokens.access_token, [path, method])]).not.toEqual([path, 200]);
    const confirmed = finalise.path.replace(':engagementId', 'eng_x');
    expect(await call(one, tokens.access_token, [confirmed, finalise.method])).toBe(403);
  });

  it('is asked again by nobody else: what a person refused is told to the program, and nothing stays', async () => {
    const one = await program();
    const pending = await askFor(one, { redirectUri: BACK });
    const before = await house.issuer.rows('select id from identity.api_grant');
    const { body } = await decide(pending, false);
    expect(await refusal(redeem(one, body['url']!, pending))).toBe('access_denied');
    expect(await house.issuer.rows('select id from identity.api_grant')).toHaveLength(before.length);
  });
});

describe('what a passkey approves', () => {
  const body = {
    name: 'Unapproved',
    kind: 'application',
    access: 'read',
    redirectUris: [BACK],
    publicKey: null,
    handsTo: [],
  };
  const REGISTER = 'authorisation-server.register-client';
  const clients = '/api/authorisation-server/clients';

  it('is the registration of exactly this program, by somebody who leads, and it is in the entry', async () => {
    const { lead, auditor } = people;
    expect((await ask(lead.browser, clients, body)).status).toBe(403);
    const stepUp = String(await confirmation(lead, REGISTER, body));
    const wider = { ...body, access: 'write' };
    expect((await approved(lead.browser, clients, { body: wider, stepUp })).status).toBe(403);
    expect((await approved(lead.browser, clients, { body, stepUp })).status).toBe(403);
    expect(await confirmation(auditor, REGISTER, body)).toBe(403);
    expect((await confirmed(lead, clients, { operation: REGISTER, body: { ...body, name: 'Approved' } })).status).toBe(
      201,
    );
    const entry = (await house.issuer.audited('api-client.registered')).at(-1)!;
    expect(entry.leaf['stepUp']).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it('is the permission as it was shown: this program, these agents, this address, by this person, once', async () => {
    const operation = 'authorisation-server.allow';
    const pending = await askFor(await program('hander'), { redirectUri: BACK });
    const shown = { ...questionOf(pending.url), agents: [ids.agent] };
    expect((await ask(people.lead.browser, ALLOW, shown)).status).toBe(403);
    const begun = await ask(people.lead.browser, '/api/access/step-up', { operation, input: shown });
    expect((begun.body['action'] as unknown as { subject: object }).subject).toEqual({
      program: 'Hander',
      organisation: expect.any(String) as string,
      access: 'write',
      leadsTo: 'program.example',
      days: 90,
      agents: 'Agent agent',
    });
    const stepUp = String(await confirmation(people.lead, operation, shown));
    const more = { ...shown, agents: [ids.agent, ids.second] };
    expect((await approved(people.lead.browser, ALLOW, { body: more, stepUp })).status).toBe(403);
    const byOther = String(await confirmation(people.auditor, operation, shown));
    expect((await approved(people.lead.browser, ALLOW, { body: shown, stepUp: byOther })).status).toBe(403);
    expect((await confirmed(people.lead, ALLOW, { operation, body: shown })).status).toBe(200);
    const entry = (await house.issuer.audited('api-grant.given')).at(-1)!;
    expect(entry.leaf['stepUp']).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect((await confirmed(people.lead, ALLOW, { operation, body: shown })).status).toBe(409);
  });

  it('is asked of nobody to say no', async () => {
    const pending = await askFor(await program(), { redirectUri: BACK });
    expect((await decide(pending, false)).status).toBe(200);
  });

  it('cannot be given by somebody without a passkey, and by no sign-in link: they are told to make one first', async () => {
    const pending = await askFor(await program(), { redirectUri: BACK });
    const body = { ...questionOf(pending.url), agents: [] };
    const operation = 'authorisation-server.allow';
    const { tenant, personId } = people.helper.caller;
    const kept = await house.issuer.rows<{ external_id: string }>(
      'select credential_hash from identity.credential_index where member_id = $1',
      [personId],
    );
    expect(kept).toHaveLength(1);
    const hidden = (whose: Uuid, from: Uuid) =>
      house.issuer.rows('update identity.credential_index set member_id = $1 where tenant_id = $2 and member_id = $3', [
        whose,
        tenant.tenantId,
        from,
      ]);
    const nobody = randomUUID() as Uuid;
    await hidden(nobody, personId);
    const begun = await people.helper.browser.ask(url('/api/access/step-up'), { operation, input: body });
    await hidden(personId, nobody);
    expect(JSON.parse(begun.text)).toMatchObject({ code: 'no_passkey_for_step_up' });
    expect((await ask(people.helper.browser, ALLOW, body)).status).toBe(403);
    expect((await decide(pending, true, { who: 'helper' })).status).toBe(200);
  });
});

describe('the registration of a program is changed', () => {
  const CHANGE = 'authorisation-server.change-client';
  interface Listed {
    id: string;
    clientId: string;
    name: string;
    access: string;
    redirectUris: string[];
    handsTo: { clientId: string }[];
    revision: number;
  }
  const listed = async (clientId: string) => {
    const { body } = await ask(people.lead.browser, '/api/authorisation-server/clients');
    return (body['clients'] as unknown as Listed[]).find((one) => one.clientId === clientId)!;
  };
  /** Changes it as the page does: what is not named stays. */
  async function change(clientId: string, to: object, who = people.lead) {
    const { id, name, access, redirectUris, handsTo, revision } = await listed(clientId);
    const now = { name, access, redirectUris, handsTo: handsTo.map((agent) => agent.clientId), revision };
    const body = { ...now, ...to };
    const path = `/api/authorisation-server/clients/${id}/change`;
    const stepUp = await confirmation(who, CHANGE, { apiClientId: id, ...body });
    if (typeof stepUp === 'number') return { status: stepUp, body: {} as Record<string, never> };
    return approved(who.browser, path, { body, stepUp });
  }
  let before: readonly [typeof ids, typeof agentKeys];
  beforeEach(() => {
    before = [{ ...ids }, { ...agentKeys }];
  });
  afterEach(() => {
    Object.assign(ids, before[0]);
    Object.assign(agentKeys, before[1]);
  });

  const OTHER = 'https://program.example/other';
  /** A program of this test alone, with permissions of two people. */
  async function own(input: Partial<Parameters<typeof register>[1]> = {}) {
    ids.hander = await registered({ name: 'Own', redirectUris: [BACK, OTHER], ...input });
    const wide = await allowed('hander', input.access, { agents: input.handsTo?.slice(0, 1) ?? [] });
    const narrow = await allowed('hander', 'read', { who: 'helper' });
    const clientId = ids.hander;
    const works = async () => [
      await call(wide.one, wide.tokens.access_token),
      await call(narrow.one, narrow.tokens.access_token),
    ];
    expect(await works()).toEqual([200, 200]);
    return { clientId, wide, narrow, works };
  }

  it('by a lead, over exactly this and what it is now, once; the entry holds old and new', async () => {
    const clientId = await registered({ name: 'Before' });
    const { id } = await listed(clientId);
    const path = `/api/authorisation-server/clients/${id}/change`;
    const body = { name: 'After', access: 'write', redirectUris: [BACK, OTHER], handsTo: [ids.agent], revision: 1 };
    expect((await ask(people.lead.browser, path, body)).status).toBe(403);
    expect(await confirmation(people.auditor, CHANGE, { apiClientId: id, ...body })).toBe(403);
    const begun = await ask(people.lead.browser, '/api/access/step-up', {
      operation: CHANGE,
      input: { apiClientId: id, ...body },
    });
    expect((begun.body['action'] as unknown as { subject: object }).subject).toEqual({
      name: 'Before',
      access: 'write',
      redirectUris: BACK,
      handsTo: 'nobody',
      permissionsThatEnd: 0,
    });
    const stepUp = String(await confirmation(people.lead, CHANGE, { apiClientId: id, ...body }));
    expect((await approved(people.lead.browser, path, { body: { ...body, name: 'Else' }, stepUp })).status).toBe(403);
    expect((await change(clientId, { name: 'After', redirectUris: [BACK, OTHER], handsTo: [ids.agent] })).status).toBe(
      200,
    );
    expect(await listed(clientId)).toMatchObject({ name: 'After', redirectUris: [BACK, OTHER], revision: 2 });
    const entry = (await house.issuer.audited('api-client.changed')).at(-1)!;
    expect(entry.leaf['stepUp']).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(entry.leaf['public']).toMatchObject({ kind: 'application', scope: 'write', revision: 2 });
    // Somebody who has read the first one, and a program that is not there.
    expect((await change(clientId, { name: 'Again', revision: 1 })).status).toBe(409);
    expect((await change(clientId, {})).status).toBe(422);
    const foreign = {
      apiClientId: house.deps.formatId('cli', people.lead.caller.tenant, randomUUID() as Uuid),
      ...body,
    };
    expect(await confirmation(people.lead, CHANGE, foreign)).toBe(404);
  });

  it('to nothing odd: addresses, names and agents are looked at as at the first time', async () => {
    const clientId = await registered({ name: 'Plain' });
    for (const odd of [
      { redirectUris: ['http://program.example/back'] },
      { redirectUris: [] },
      { name: 'Turned\u202Earound' },
      { handsTo: [ids.reader] },
      { handsTo: [ids.elsewhere] },
    ])
      expect([odd, (await change(clientId, odd)).status]).toEqual([odd, 422]);
    await registerAgent('fourth');
    expect((await change(ids.fourth, { handsTo: [ids.fourth] })).status).toBe(422);
  });

  it('wider: what people have allowed goes on, and becomes no wider', async () => {
    const { clientId, narrow, works } = await own({ access: 'read' });
    expect((await change(clientId, { access: 'write', redirectUris: [BACK, OTHER, `${OTHER}/2`] })).body).toEqual({
      ended: 0,
    });
    expect(await works()).toEqual([200, 200]);
    expect(await call(narrow.one, narrow.tokens.access_token, [LIST, 'POST'])).toBe(403);
  });

  it('to reading alone: a permission to change ends, with codes and tokens; one to read goes on', async () => {
    const { clientId, wide, works } = await own();
    expect((await change(clientId, { access: 'read' })).body).toEqual({ ended: 1 });
    expect(await works()).toEqual([401, 200]);
    expect(await reasonOfLastEnd()).toBe('client-narrowed');
    const renewal = oauth.refreshTokenGrant(wide.one.config, wide.tokens.refresh_token!, undefined, {
      DPoP: wide.one.dpop,
    });
    expect(await refusal(renewal)).toBe('invalid_grant');
    // And does not come back with the wider registration.
    expect((await change(clientId, { access: 'write' })).body).toEqual({ ended: 0 });
    expect(await works()).toEqual([401, 200]);
  });

  it('without an address that it had: every permission ends, since any may have come through it', async () => {
    const { clientId, works } = await own();
    expect((await change(clientId, { redirectUris: [BACK] })).body).toEqual({ ended: 2 });
    expect(await works()).toEqual([401, 401]);
  });

  it('without an agent: permissions that name it end; an agent that was removed before ends none', async () => {
    for (const name of ['second', 'third'] as const) await registerAgent(name);
    const { clientId, works } = await own({ handsTo: [ids.second, ids.third] });
    const third = await listed(ids.third);
    await ask(people.lead.browser, `/api/authorisation-server/clients/${third.id}/remove`, {});
    expect((await change(clientId, { name: 'Renamed', handsTo: [ids.second] })).body).toEqual({ ended: 0 });
    expect(await works()).toEqual([200, 200]);
    expect((await change(clientId, { handsTo: [] })).body).toEqual({ ended: 1 });
    expect(await works()).toEqual([401, 200]);
  });

  it('while somebody is asked: nothing is sent to an address that is gone, and no more is allowed than there is now', async () => {
    const clientId = await registered({ name: 'Moving', redirectUris: [BACK, OTHER] });
    const one = await startProgram(house, { issuer: issuers.harbour, clientId });
    const toOther = await askFor(one, { redirectUri: OTHER });
    const toChange = await askFor(one, { redirectUri: BACK });
    const read = await askFor(one, { redirectUri: BACK, scope: 'read' });
    expect((await change(clientId, { access: 'read', redirectUris: [BACK] })).status).toBe(200);
    for (const pending of [toOther, toChange]) {
      expect((await decide(pending, false)).status).toBe(409);
      expect((await decide(pending, true)).status).toBe(409);
    }
    const { status, body } = await decide(read);
    expect([status, (await redeem(one, body['url']!, read)).scope]).toEqual([200, 'read']);
  });

  it('at the same moment as somebody allows it: what they have read is what holds, or nothing', async () => {
    const clientId = (await registered({ name: 'Raced' })) as Uuid;
    expect((await change(clientId, { redirectUris: [OTHER] })).status).toBe(200);
    const { tenant: context, personId: memberId } = people.lead.caller;
    const by = { actor: { service: 'issuer' } } as const;
    const given = giveGrant(house.deps, context, {
      client: { id: clientId, revision: 1 },
      memberId,
      access: 'write',
      agents: [],
      by,
    });
    await expect(given).rejects.toMatchObject({ code: 'api_request_unusable' });
  });
});

describe('whoever attacks', () => {
  it('mix-up: each answer names its issuer, and another organisation’s server takes none of its codes', async () => {
    const one = await program();
    const pending = await askFor(one, { redirectUri: BACK });
    const back = new URL((await decide(pending)).body['url']!);
    expect(back.searchParams.get('iss')).toBe(issuers.harbour);
    const elsewhere = await startProgram(house, { issuer: issuers.lakeside, clientId: ids.writer });
    expect(await refusal(redeem(elsewhere, back.href, pending))).not.toBe('accepted');
    const form = new URLSearchParams({
      client_id: ids.writer,
      grant_type: 'authorization_code',
      code: back.searchParams.get('code')!,
      redirect_uri: BACK,
      code_verifier: pending.verifier,
    });
    const htu = `${issuers.lakeside}/token`;
    const answer = await raw(
      new URL(htu).pathname,
      { dpop: await proofBy(one, { htm: 'POST', htu }) },
      form.toString(),
    );
    expect(answer.status).toBe(401);
  });

  it('open redirect: only a registered address is taken, exactly, and the browser goes to a page of ours first', async () => {
    const one = await program();
    for (const redirectUri of [
      `${BACK}/`,
      `${BACK}?a=b`,
      'https://program.example.attacker.example/back',
      'https://program.example/back/../steal',
      'http://127.0.0.1/back',
    ])
      expect([redirectUri, await refusal(askFor(one, { redirectUri }))]).not.toEqual([redirectUri, 'accepted']);
    const pending = await askFor(one, { redirectUri: BACK });
    const page = await house.browser().go(pending.url.href, { stopAt: `${house.origin}/app/` });
    expect(page.url).toBe(`${house.origin}/app/authorise/${ids.writer}/${questionOf(pending.url).request}`);
    const odd = new URL(pending.url);
    odd.searchParams.set('request_uri', 'https://attacker.example/request');
    expect((await house.browser().go(odd.href)).status).toBe(404);
    const direct = new URL(pending.url);
    direct.searchParams.delete('request_uri');
    direct.searchParams.set('redirect_uri', 'https://attacker.example/');
    expect((await house.browser().go(direct.href)).status).toBe(400);
    const reader = await program('reader');
    expect(await refusal(askFor(reader, { redirectUri: 'http://127.0.0.1:49152/back', scope: 'read' }))).toBe(
      'accepted',
    );
  });

  it('code injection: a code is worth nothing with another verifier, another redirect address or another key', async () => {
    const one = await program();
    const verifier = oauth.randomPKCECodeVerifier();
    const pending = await askFor(one, { redirectUri: BACK });
    const back = (await decide(pending)).body['url']! as string;
    expect(await refusal(redeem(one, back, { ...pending, verifier }))).toBe('invalid_grant');
    const again = await askFor(one, { redirectUri: BACK });
    const stolen = (await decide(again)).body['url']! as string;
    const thief = await program();
    expect(await refusal(redeem(thief, stolen, again))).toBe('invalid_grant');
  });

  it('PKCE downgrade: no challenge and a plain one are refused', async () => {
    const one = await program();
    const request = (more: Readonly<Record<string, string>>) =>
      oauth.buildAuthorizationUrlWithPAR(one.config, { redirect_uri: BACK, scope: 'read', ...more });
    expect(await refusal(request({}))).toBe('invalid_request');
    const code_challenge = 'a'.repeat(43);
    expect(await refusal(request({ code_challenge, code_challenge_method: 'plain' }))).toBe('invalid_request');
    expect(await refusal(request({ code_challenge }))).toBe('invalid_request');
  });

  it('DPoP replay: a proof works once, at the token endpoint and at the API, also when it is sent twice at once', async () => {
    const { one, tokens } = await allowed();
    const token = tokens.access_token;
    const proof = await proofBy(one, { htm: 'GET', htu: url(LIST), ath: await athOf(token) });
    const headers = { authorization: `DPoP ${token}`, dpop: proof };
    const both = await Promise.all([raw(LIST, headers), raw(LIST, headers)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
    expect((await raw(LIST, headers)).status).toBe(401);
    const htu = `${issuers.harbour}/token`;
    const dpop = await proofBy(one, { htm: 'POST', htu });
    const form = new URLSearchParams({
      client_id: ids.writer,
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh_token!,
    }).toString();
    const first = await raw(new URL(htu).pathname, { dpop }, form);
    expect(first.status).toBe(200);
    const next = ((await first.json()) as Record<string, string>)['refresh_token']!;
    const second = await raw(new URL(htu).pathname, { dpop }, form.replace(tokens.refresh_token!, next));
    expect(await second.json()).toEqual({ error: expect.stringMatching(/^invalid_(?:grant|dpop_proof)$/) as string });
  });

  it('a stolen token: refused without a proof, as a bearer, and with a proof by another key, method, address, time or token', async () => {
    const { one, tokens } = await allowed();
    const token = tokens.access_token;
    const good = { htm: 'GET', htu: url(LIST), ath: await athOf(token) };
    const at = (proof: string, scheme = 'DPoP') => raw(LIST, { authorization: `${scheme} ${token}`, dpop: proof });
    expect((await at(await proofBy(one, good))).status).toBe(200);
    const now = Math.floor(Date.now() / 1000);
    const wrong = {
      bearer: at(await proofBy(one, good), 'Bearer'),
      none: raw(LIST, { authorization: `DPoP ${token}` }),
      key: at(await proofBy(await program(), good)),
      method: at(await proofBy(one, { ...good, htm: 'POST' })),
      address: at(await proofBy(one, { ...good, htu: url('/api/other') })),
      host: at(await proofBy(one, { ...good, htu: `https://attacker.example${LIST}` })),
      old: at(await proofBy(one, { ...good, iat: now - 300 })),
      early: at(await proofBy(one, { ...good, iat: now + 300 })),
      token: at(await proofBy(one, { ...good, ath: await athOf('another') })),
      type: at(await proofBy(one, good, { typ: 'JWT' })),
    };
    for (const [what, answer] of Object.entries(wrong)) expect([what, (await answer).status]).toEqual([what, 401]);
    const page = await raw(LIST, {
      authorization: `DPoP ${token}`,
      dpop: await proofBy(one, good),
      origin: house.origin,
    });
    expect(page.status).toBe(403);
  });

  it('algorithm confusion: a proof with alg none, or by HMAC with the public key, is refused', async () => {
    const { one, tokens } = await allowed();
    const token = tokens.access_token;
    const jwk = await exportJWK(one.keys.publicKey);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      jti: randomUUID(),
      iat: Math.floor(Date.now() / 1000),
      htm: 'GET',
      htu: url(LIST),
      ath: await athOf(token),
    };
    const none = `${part({ alg: 'none', typ: 'dpop+jwt', jwk })}.${part(claims)}.`;
    const text = `${part({ alg: 'HS256', typ: 'dpop+jwt', jwk })}.${part(claims)}`;
    const hmac = `${text}.${createHmac('sha256', JSON.stringify(jwk)).update(text).digest('base64url')}`;
    for (const dpop of [none, hmac]) {
      expect((await raw(LIST, { authorization: `DPoP ${token}`, dpop })).status).toBe(401);
      const form = new URLSearchParams({
        client_id: ids.writer,
        grant_type: 'refresh_token',
        refresh_token: tokens.refresh_token!,
      });
      const answer = await raw(`${new URL(issuers.harbour).pathname}/token`, { dpop }, form.toString());
      expect([answer.status, await answer.json()]).toEqual([400, { error: 'invalid_dpop_proof' }]);
    }
    expect(await calculateJwkThumbprint(jwk)).toHaveLength(43);
  });

  it('refresh reuse: the second use of a refresh token ends the whole permission and is written down', async () => {
    const { one, tokens } = await allowed();
    const next = await oauth.refreshTokenGrant(one.config, tokens.refresh_token!, undefined, { DPoP: one.dpop });
    expect(
      await refusal(oauth.refreshTokenGrant(one.config, tokens.refresh_token!, undefined, { DPoP: one.dpop })),
    ).toBe('invalid_grant');
    expect(await reasonOfLastEnd()).toBe('reused');
    expect(await call(one, next.access_token)).toBe(401);
    expect(await refusal(oauth.refreshTokenGrant(one.config, next.refresh_token!, undefined, { DPoP: one.dpop }))).toBe(
      'invalid_grant',
    );
  });

  it('code reuse: the second use of a code ends the whole permission', async () => {
    const { one, pending, back, tokens } = await allowed();
    expect(await refusal(redeem(one, back, pending))).toBe('invalid_grant');
    expect(await reasonOfLastEnd()).toBe('reused');
    expect(await call(one, tokens.access_token)).toBe(401);
  });

  it('request_uri reuse: a request is answered once, by one person, and not after it is over', async () => {
    const one = await program();
    const pending = await askFor(one, { redirectUri: BACK });
    const body = { ...questionOf(pending.url), agents: [] };
    const operation = 'authorisation-server.allow';
    // Two people: of one, the passkey's counter alone would refuse the slower answer.
    const both = [people.lead, people.auditor];
    const given = await Promise.all(both.map((who) => confirmation(who, operation, body)));
    const answers = await Promise.all(
      both.map(({ browser }, at) => approved(browser, ALLOW, { body, stepUp: String(given[at]) })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect((await decide(pending)).status).toBe(409);
    expect((await decide(pending, false)).status).toBe(409);
    const late = await askFor(one, { redirectUri: BACK });
    await house.issuer.rows(
      `update identity.api_artifact set expires_at = now() - interval '1 second' where kind = 'request'`,
    );
    expect((await decide(late)).status).toBe(409);
  });

  it('client confusion: a code, a refresh token and a request belong to one program and one organisation', async () => {
    const one = await program();
    const pending = await askFor(one, { redirectUri: BACK });
    const question = questionOf(pending.url);
    const asOther = await confirmed(people.lead, ALLOW, {
      operation: 'authorisation-server.allow',
      body: { ...question, clientId: ids.reader, agents: [] },
    });
    expect(asOther.status).toBe(409);
    expect((await decide(pending, true, { who: 'stranger' })).status).toBe(409);
    const back = (await decide(pending)).body['url']! as string;
    const reader = await program('reader');
    expect(await refusal(redeem(reader, back, pending))).toBe('invalid_grant');
    const { tokens } = await allowed();
    expect(
      await refusal(oauth.refreshTokenGrant(reader.config, tokens.refresh_token!, undefined, { DPoP: reader.dpop })),
    ).toBe('invalid_grant');
  });

  it('resource confusion: a token is made for no API but that of its organisation', async () => {
    const one = await program();
    const other = { resource: `${issuers.lakeside}/api` };
    expect(await refusal(askFor(one, { redirectUri: BACK, more: other }))).toBe('invalid_target');
    expect(await refusal(askFor(one, { redirectUri: BACK, more: { resource: 'https://attacker.example/' } }))).toBe(
      'invalid_target',
    );
    expect(await refusal(askFor(one, { redirectUri: BACK, more: { resource: `${issuers.harbour}/api` } }))).toBe(
      'accepted',
    );
  });

  it('no implicit flow, no password, no client credentials, no request that was not pushed', async () => {
    const one = await program();
    expect(await refusal(askFor(one, { redirectUri: BACK, more: { response_type: 'token' } }))).toBe(
      'unsupported_response_type',
    );
    for (const grant_type of ['password', 'client_credentials', 'urn:ietf:params:oauth:grant-type:device_code']) {
      const form = new URLSearchParams({ client_id: ids.writer, grant_type, username: 'a', password: 'b' }).toString();
      const answer = await raw(`${new URL(issuers.harbour).pathname}/token`, {}, form);
      expect([grant_type, answer.status, await answer.json()]).toEqual([
        grant_type,
        400,
        { error: 'unsupported_grant_type' },
      ]);
    }
  });

  it('a page of another site, a cookie and the try-out door reach no address of the server', async () => {
    const path = `${new URL(issuers.harbour).pathname}/token`;
    const form = new URLSearchParams({
      client_id: ids.writer,
      grant_type: 'refresh_token',
      refresh_token: 'x',
    }).toString();
    for (const headers of [
      { origin: 'https://attacker.example' },
      { 'sec-fetch-site': 'cross-site' },
      { cookie: 'a=b' },
    ])
      expect((await raw(path, headers as unknown as Record<string, string>, form)).status).toBe(403);
    const answer = await raw(path, {}, form);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect(answer.headers.get('set-cookie')).toBeNull();
    expect(await answer.json()).toEqual({ error: 'invalid_grant' });
    const long = await raw(path, {}, `client_id=${'a'.repeat(40_000)}`);
    expect([long.status, await long.json()]).toEqual([413, { error: 'invalid_request' }]);
    const unknown = await raw(path.replace(/[0-9a-f-]{36}/, randomUUID()), {}, form);
    expect(unknown.status).toBe(404);
  });

  it('an id of another organisation in a program’s call is refused and written down', async () => {
    const { one, tokens } = await allowed();
    const foreign = house.deps.formatId('ecu', people.stranger.caller.tenant, randomUUID() as Uuid);
    expect(await call(one, tokens.access_token, [`${LIST}?cursor=${foreign}`])).toBe(404);
    expect(attempts.at(-1)).toMatchObject({ kind: 'tenant-id', reason: 'foreign', operation: 'engagements.list' });
  });
});

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** Work that the person has let the program hand to all of `NAMED`. */
const handing = (scope?: string, who: keyof typeof people = 'lead') =>
  allowed('hander', scope, { who, agents: NAMED.map((name) => ids[name]) });

/** An agent asks for a token of its own out of one that it was given, as openid-client does it. */
async function takeOver(
  name: keyof typeof ids,
  subjectToken: string,
  more: Readonly<Record<string, string>> = {},
): Promise<{ one: Program; token: string; told: oauth.TokenEndpointResponse }> {
  const one = await program(name);
  const parameters = { subject_token: subjectToken, subject_token_type: ACCESS_TOKEN, ...more };
  const told = await oauth.genericGrantRequest(one.config, EXCHANGE, parameters, { DPoP: one.dpop });
  return { one, token: told.access_token, told };
}

describe('the server’s nonce in a proof', () => {
  const good = async (token: string) => ({ htm: 'GET', htu: url(LIST), ath: await athOf(token) });
  const at = async (one: Program, token: string, claims: Readonly<Record<string, unknown>>) =>
    raw(LIST, { authorization: `DPoP ${token}`, dpop: await proofBy(one, { ...(await good(token)), ...claims }) });

  it('is wanted at the API: without one, and with one of another time or place, a new one is told and nothing is done', async () => {
    const { one, tokens } = await allowed();
    const token = tokens.access_token;
    const calls = seen.length;
    for (const nonce of [undefined, 'x'.repeat(43), serverNonce.slice(0, -1), '', 7]) {
      const answer = await at(one, token, { nonce });
      expect([nonce, answer.status]).toEqual([nonce, 401]);
      expect(answer.headers.get('www-authenticate')).toContain('error="use_dpop_nonce"');
      expect(answer.headers.get('dpop-nonce')).toMatch(/^[A-Za-z0-9_-]{43}$/);
    }
    expect(seen).toHaveLength(calls);
    const told = (await at(one, token, { nonce: undefined })).headers.get('dpop-nonce')!;
    expect((await at(one, token, { nonce: told })).status).toBe(200);
    // Whoever has the wrong key is told nothing but that.
    const thief = await at(await program(), token, {});
    expect([thief.status, thief.headers.get('www-authenticate')]).toEqual([401, 'DPoP algs="ES256 Ed25519"']);
  });

  it('is one for the token endpoint and the API, and a program that keeps it is asked once', async () => {
    const { one, tokens } = await allowed();
    expect((await at(one, tokens.access_token, { nonce: serverNonce })).status).toBe(200);
    let requests = 0;
    const counted = await program();
    counted.config[oauth.customFetch] = (...asked) => {
      requests += 1;
      return fetchAt(house)(...asked);
    };
    const pending = await askFor(counted, { redirectUri: BACK });
    expect(requests).toBe(2);
    const tokensOfIt = await redeem(counted, (await decide(pending)).body['url']!, pending);
    expect(requests).toBe(3);
    expect(await call(counted, tokensOfIt.access_token)).toBe(200);
    expect(await call(counted, tokensOfIt.access_token)).toBe(200);
    expect(requests).toBe(5);
  });

  it('changes each minute, is told before the old one is over, and a proof made long ago is worth nothing', () => {
    let now_ms = Date.now();
    const clock = { nowMs: () => now_ms };
    const first = nextNonce(clock);
    expect(isFreshNonce(clock, first)).toBe(true);
    now_ms += 60_000;
    expect(nextNonce(clock)).not.toBe(first);
    now_ms += 60_000;
    expect(isFreshNonce(clock, first)).toBe(true);
    now_ms += 120_000;
    expect(isFreshNonce(clock, first)).toBe(false);
    expect(isFreshNonce({ nowMs: () => now_ms - 600_000 }, first)).toBe(false);
    expect(isFreshNonce(clock, undefined)).toBe(false);
  });
});

describe('work that is handed on to an agent', () => {
  it('is done by a token of the agent’s own, narrower, no longer, and naming it: for the call and for its entry', async () => {
    const { one, tokens } = await handing();
    const grant = await grantOf(one, tokens.access_token);
    const agent = await takeOver('agent', tokens.access_token, { scope: 'read' });
    expect(agent.told).toMatchObject({
      issued_token_type: ACCESS_TOKEN,
      token_type: 'dpop',
      scope: 'read',
      act: { sub: ids.agent },
    });
    expect(agent.told.refresh_token).toBeUndefined();
    expect(agent.told.expires_in).toBeLessThanOrEqual(tokens.expires_in!);
    expect(await call(agent.one, agent.token)).toBe(200);
    const caller = seen.at(-1)!;
    expect(caller).toMatchObject({ personId: people.lead.caller.personId, sessionId: grant, agents: [ids.agent] });
    expect(auditFromCall({ caller, requestId: 'x' }).actor).toEqual({
      personId: people.lead.caller.personId,
      sessionId: grant,
      agents: [ids.agent],
    });
    expect(await call(agent.one, agent.token, [LIST, 'POST'])).toBe(403);
    expect(await call(one, agent.token)).toBe(401);
    expect(await call(agent.one, tokens.access_token)).toBe(401);
    expect(await call(one, tokens.access_token)).toBe(200);
    expect(seen.at(-1)!.agents).toBeUndefined();
    const [entry] = (await house.issuer.audited('api-grant.handed-on')).slice(-1);
    expect(entry).toMatchObject({
      resource_id: grant,
      leaf: { public: { program: ids.hander, handedTo: ids.agent, scope: 'read' } },
    });
  });

  it('goes on in a chain that names everybody, at most three, nobody twice', async () => {
    const { tokens } = await handing();
    const first = await takeOver('agent', tokens.access_token);
    const second = await takeOver('second', first.token, { scope: 'read' });
    const third = await takeOver('third', second.token);
    expect(third.told).toMatchObject({
      scope: 'read',
      act: { sub: ids.third, act: { sub: ids.second, act: { sub: ids.agent } } },
    });
    expect(await call(third.one, third.token)).toBe(200);
    expect(seen.at(-1)!.agents).toEqual([ids.agent, ids.second, ids.third]);
    expect(await refusal(takeOver('fourth', third.token))).toBe('invalid_request');
    expect(await refusal(takeOver('agent', second.token))).toBe('invalid_request');
    expect(await refusal(takeOver('fourth', second.token, { scope: 'read write' }))).toBe('invalid_scope');
  });

  it('never is more than there was: no wider scope, no other resource, not more than the agent is registered for', async () => {
    const { tokens } = await handing('read');
    const of = (more: Readonly<Record<string, string>>) => refusal(takeOver('agent', tokens.access_token, more));
    expect(await of({ scope: 'read write' })).toBe('invalid_scope');
    expect(await of({ scope: 'read admin' })).toBe('invalid_scope');
    expect(await of({ resource: `${issuers.lakeside}/api` })).toBe('invalid_target');
    expect(await of({ audience: 'https://attacker.example/' })).toBe('invalid_target');
    expect(await of({ resource: `${issuers.harbour}/api` })).toBe('accepted');
    const wide = await handing();
    expect(await refusal(takeOver('reading', wide.tokens.access_token, { scope: 'read write' }))).toBe('invalid_scope');
    expect((await takeOver('reading', wide.tokens.access_token)).told.scope).toBe('read');
  });

  it('goes to nobody whom the person has not named, and to no program that proves itself by no key', async () => {
    const { tokens } = await handing();
    expect(await refusal(takeOver('unnamed', tokens.access_token))).toBe('invalid_request');
    expect(await refusal(takeOver('hander', tokens.access_token))).not.toBe('accepted');
    expect(await refusal(takeOver('reader', tokens.access_token))).not.toBe('accepted');
    const unasked = await allowed('hander');
    expect(await refusal(takeOver('agent', unasked.tokens.access_token))).toBe('invalid_request');
    const pending = await askFor(await program('hander'), { redirectUri: BACK });
    expect((await decide(pending, true, { agents: [ids.unnamed] })).status).toBe(409);
    const own = await allowed('agent');
    expect(await refusal(takeOver('agent', own.tokens.access_token))).toBe('invalid_request');
  });

  it('is refused with the key of another, without a proof, and with one that was used', async () => {
    const { tokens } = await handing();
    const impostor = await startProgram(house, {
      issuer: issuers.harbour,
      clientId: ids.agent,
      authentication: oauth.PrivateKeyJwt(agentKeys.second.privateKey),
    });
    const parameters = { subject_token: tokens.access_token, subject_token_type: ACCESS_TOKEN };
    const ask = ({ config, dpop }: Program) => oauth.genericGrantRequest(config, EXCHANGE, parameters, { DPoP: dpop });
    expect(await refusal(ask(impostor))).toBe('invalid_client');
    const agent = await program('agent');
    expect(await refusal(oauth.genericGrantRequest(agent.config, EXCHANGE, parameters))).toBe('invalid_dpop_proof');
    const htu = `${issuers.harbour}/token`;
    const proof = await proofBy(agent, { htm: 'POST', htu });
    const send = async () =>
      raw(
        new URL(htu).pathname,
        { dpop: proof },
        new URLSearchParams({
          ...parameters,
          grant_type: EXCHANGE,
          client_id: ids.agent,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: await assertionOf('agent'),
        }).toString(),
      );
    const first = await send();
    expect([first.status, await first.clone().json()]).toEqual([200, expect.objectContaining({ scope: 'read write' })]);
    const again = await send();
    expect([again.status, await again.json()]).toEqual([400, { error: 'invalid_dpop_proof' }]);
  });

  it('is an access token of this organisation, alive, and of nothing else', async () => {
    const { tokens } = await handing();
    const refused = async (subject: string, more: Readonly<Record<string, string>> = {}) =>
      expect(await refusal(takeOver('agent', subject, more))).toBe('invalid_request');
    await refused(tokens.refresh_token!);
    await refused(tokens.refresh_token!, { subject_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' });
    await refused(tokens.access_token, { actor_token: tokens.access_token, actor_token_type: ACCESS_TOKEN });
    await refused(tokens.access_token, { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' });
    expect(await refusal(takeOver('elsewhere', tokens.access_token))).toBe('invalid_request');
    await house.issuer.rows(
      `update identity.api_artifact set expires_at = now() + interval '20 seconds' where kind = 'access'`,
    );
    expect((await takeOver('agent', tokens.access_token)).told.expires_in).toBeLessThanOrEqual(20);
    await house.issuer.rows(
      `update identity.api_artifact set expires_at = now() - interval '1 second' where kind = 'access'`,
    );
    await refused(tokens.access_token);
  });

  it('ends with the permission, the program, an agent of the chain and the person, at once', async () => {
    const chain = async (who: keyof typeof people = 'lead') => {
      const { one, tokens } = await handing(undefined, who);
      const first = await takeOver('agent', tokens.access_token);
      const second = await takeOver('second', first.token);
      expect(await call(second.one, second.token)).toBe(200);
      return { one, tokens, first, second, id: seen.at(-1)!.sessionId };
    };
    const context = people.lead.caller.tenant;
    const ended = await chain();
    const path = `/api/authorisation-server/grants/${house.deps.formatId('agr', context, ended.id)}/end`;
    expect((await ask(people.lead.browser, path, {})).status).toBe(200);
    expect(await call(ended.second.one, ended.second.token)).toBe(401);
    expect(await refusal(takeOver('third', ended.second.token))).toBe('invalid_request');
    const given = await chain();
    await oauth.tokenRevocation(given.first.one.config, given.first.token);
    expect(await call(given.first.one, given.first.token)).toBe(401);
    expect(await call(given.one, given.tokens.access_token)).toBe(200);
    const byHelper = await chain('helper');
    await suspendMember(house.deps, askerOf(people.lead.caller), people.helper.caller.personId);
    expect(await call(byHelper.second.one, byHelper.second.token)).toBe(401);
    expect(await refusal(takeOver('third', byHelper.second.token))).toBe('invalid_request');
  });

  it.each(['hander', 'agent', 'second'] as const)('ends when the program of its %s is removed', async (removed) => {
    const before = [{ ...ids }, { ...agentKeys }] as const;
    for (const name of ['agent', 'second'] as const) await registerAgent(name);
    ids.hander = await registered({ name: 'For a while', handsTo: NAMED.map((name) => ids[name]) });
    const { tokens } = await handing();
    const first = await takeOver('agent', tokens.access_token);
    const second = await takeOver('second', first.token);
    expect(await call(second.one, second.token)).toBe(200);
    const id = house.deps.formatId('cli', people.lead.caller.tenant, ids[removed] as Uuid);
    expect((await ask(people.lead.browser, `/api/authorisation-server/clients/${id}/remove`, {})).status).toBe(200);
    expect(await call(second.one, second.token)).toBe(401);
    expect(await refusal(takeOver('third', second.token))).toBe('invalid_request');
    Object.assign(ids, before[0]);
    Object.assign(agentKeys, before[1]);
  });

  it('stands on the person’s page with each agent, and when it last acted', async () => {
    const { one, tokens } = await handing();
    const id = house.deps.formatId('agr', people.lead.caller.tenant, await grantOf(one, tokens.access_token));
    const agents = async () => {
      const { body } = await ask(people.lead.browser, '/api/authorisation-server/grants');
      const shown = body['grants'] as unknown as {
        id: string;
        agents: { name: string; lastActedAt: string | null }[];
      }[];
      return shown.find((grant) => grant.id === id)!.agents;
    };
    expect(await agents()).toHaveLength(NAMED.length);
    expect((await agents()).every(({ lastActedAt }) => lastActedAt === null)).toBe(true);
    const agent = await takeOver('agent', tokens.access_token);
    await call(agent.one, agent.token);
    const acted = (await agents()).filter(({ lastActedAt }) => lastActedAt !== null);
    expect(acted.map(({ name }) => name)).toEqual(['Agent agent']);
    expect(Date.now() - Date.parse(acted[0]!.lastActedAt!)).toBeLessThan(60_000);
  });

  it('is registered by a lead, to agents of the organisation alone', async () => {
    const { lead } = people;
    for (const handsTo of [[ids.reader], [ids.elsewhere], [randomUUID()]])
      expect((await register(lead, { name: 'To whom', handsTo })).status).toBe(422);
    const many = Array.from({ length: 11 }, () => randomUUID());
    expect((await register(lead, { name: 'To many', handsTo: many })).status).toBe(400);
  });
});

/** An agent's own assertion, as RFC 7523 writes it. */
async function assertionOf(name: Agent): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ jti: randomUUID(), iat: now, exp: now + 60 })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(ids[name])
    .setSubject(ids[name])
    .setAudience(issuers.harbour)
    .sign(agentKeys[name].privateKey);
}

describe('what was allowed ends', () => {
  it('for as long as erasures have to be repeated after a restore', async () => {
    const { one, tokens } = await allowed();
    isHeldBack = true;
    const held = await call(one, tokens.access_token);
    isHeldBack = false;
    expect([held, await call(one, tokens.access_token)]).toEqual([503, 200]);
  });

  it('when the person ends it, at once', async () => {
    const { one, tokens } = await allowed();
    const id = house.deps.formatId('agr', people.lead.caller.tenant, await grantOf(one, tokens.access_token));
    const { body } = await ask(people.lead.browser, '/api/authorisation-server/grants');
    expect((body['grants'] as unknown as { id: string }[]).map((grant) => grant.id)).toContain(id);
    expect((await ask(people.auditor.browser, `/api/authorisation-server/grants/${id}/end`, {})).status).toBe(404);
    expect((await ask(people.lead.browser, `/api/authorisation-server/grants/${id}/end`, {})).status).toBe(200);
    expect(await call(one, tokens.access_token)).toBe(401);
    expect(await reasonOfLastEnd()).toBe('person');
  });

  it('when the organisation is closed: its server is not there any more, and no token of it opens anything', async () => {
    const { one, tokens } = await allowed('foreign', undefined, { who: 'stranger' });
    expect(await call(one, tokens.access_token)).toBe(200);
    const close = (at: string) =>
      house.issuer.rows(`update platform.tenant set closed_at = ${at} where slug = 'lakeside'`);
    await close('now()');
    const { pathname } = new URL(issuers.lakeside);
    const seenClosed = [
      await call(one, tokens.access_token),
      (await raw(`/.well-known/oauth-authorization-server${pathname}`, {})).status,
      (await raw(`${pathname}/token`, {}, 'grant_type=refresh_token&client_id=x')).status,
      await refusal(oauth.refreshTokenGrant(one.config, tokens.refresh_token!, undefined, { DPoP: one.dpop })),
    ];
    await close('null');
    expect(seenClosed).toEqual([401, 404, 404, 'invalid_request']);
    expect(await call(one, tokens.access_token)).toBe(200);
  });

  it('when the program gives its token back', async () => {
    const { one, tokens } = await allowed();
    await oauth.tokenRevocation(one.config, tokens.refresh_token!);
    expect(await call(one, tokens.access_token)).toBe(401);
    expect(await reasonOfLastEnd()).toBe('client');
  });

  it('when the program is removed', async () => {
    const { body } = await register(people.lead, { name: 'Short-lived' });
    const one = await startProgram(house, { issuer: issuers.harbour, clientId: body['clientId']! });
    const pending = await askFor(one, { redirectUri: BACK });
    const tokens = await redeem(one, (await decide(pending)).body['url']!, pending);
    const removal = await ask(people.lead.browser, `/api/authorisation-server/clients/${body['id']!}/remove`, {});
    expect(removal.status).toBe(200);
    expect(await call(one, tokens.access_token)).toBe(401);
    expect(await refusal(askFor(one, { redirectUri: BACK }))).toBe('invalid_client');
  });

  it('when the person may no longer come in', async () => {
    const { one, tokens } = await allowed('writer', undefined, { who: 'auditor' });
    await suspendMember(house.deps, askerOf(people.lead.caller), people.auditor.caller.personId);
    expect(await call(one, tokens.access_token)).toBe(401);
    expect(
      await refusal(oauth.refreshTokenGrant(one.config, tokens.refresh_token!, undefined, { DPoP: one.dpop })),
    ).toBe('invalid_grant');
  });
});

describe('a permission of somebody who comes by their company', () => {
  it('is worth nothing four hours after its last word, goes on with the next one, and ends when they leave', async () => {
    const { personId, tenant } = people.lead.caller;
    const { one, tokens } = await allowed();
    const grant = await grantOf(one, tokens.access_token);
    await knownAtConnection(house.issuer, tenant, personId);
    const vouched = (ms_ago: number) =>
      house.issuer.rows(
        `insert into identity.employment (tenant_id, member_id, proved_at, source) values ($1, $2, $3, 'scim')
         on conflict (tenant_id, member_id) do update set proved_at = excluded.proved_at, lapsed_at = null`,
        [tenant.tenantId, personId, new Date(Date.now() - ms_ago)],
      );
    await vouched(PROOF_MS_MAX);
    expect(await call(one, tokens.access_token)).toBe(401);
    const holder = programGrants(house.deps);
    const by = { actor: { service: 'issuer' } } as const;
    expect(await holder.end(tenant, personId, { cause: 'lapsed', by })).toBe(0);
    await vouched(0);
    expect(await grantOf(one, tokens.access_token)).toBe(grant);
    expect(await holder.end(tenant, personId, { cause: 'scim', by })).toBeGreaterThan(0);
    expect(await call(one, tokens.access_token)).toBe(401);
  });
});

async function grantOf(one: Program, token: string): Promise<Uuid> {
  expect(await call(one, token)).toBe(200);
  return seen.at(-1)!.sessionId;
}

describe('what is kept', () => {
  it('holds no code, token or request that could be used, and no name or address in the clear', async () => {
    const { back, tokens } = await allowed();
    const code = new URL(back).searchParams.get('code')!;
    const kept = JSON.stringify([
      await house.issuer.rows(
        `select encode(value_hash, 'escape') as a, encode(payload, 'escape') as b from identity.api_artifact`,
      ),
      await house.issuer.rows(`select encode(content, 'escape') as a, c::text as b from identity.api_client c`),
      await house.issuer.rows(`select g::text as a from identity.api_grant g`),
    ]);
    for (const secret of [code, tokens.access_token, tokens.refresh_token!, 'Ledger sync', 'program.example'])
      expect(kept).not.toContain(secret);
  });

  it('only a lead registers programs, and no odd address, name or key', async () => {
    const { lead } = people;
    expect((await register(people.auditor, { name: 'Mine' })).status).not.toBe(201);
    for (const redirect of [
      'http://program.example/back',
      'http://localhost/back',
      'https://program.example/back#part',
      'https://user@program.example/back',
      'https://*.program.example/back',
      'javascript:alert(1)',
      'https://PROGRAM.example/back',
      'com.example.program:/back',
    ])
      expect([redirect, (await register(lead, { name: 'Odd', redirectUris: [redirect] })).status]).toEqual([
        redirect,
        422,
      ]);
    expect((await register(lead, { name: 'Turned\u202Earound' })).status).toBe(422);
    expect((await register(lead, { name: 'No key', kind: 'agent' })).status).toBe(422);
    const secret = JSON.stringify(await exportJWK(agentKeys.agent.privateKey));
    expect((await register(lead, { name: 'Private', kind: 'agent', publicKey: secret })).status).toBe(422);
  });
});
