import { AppError, systemClock, systemRandom, uuidV4, type RouteContract } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { safeEncode, type ZodType } from 'zod';
import type { Caller, RoomRoutes } from '../../platform/http/handler.ts';
import { COOKIE_HEADER, DOOR_HEADER, REVOKE_HEADER, SESSION_HEADER } from '../../platform/http/headers.ts';
import { canaryIdentityRoutes, identityRoutes, tokenMintRoutes } from '../identity/index.ts';
import { createSoftwareAuthenticator, type SoftwareAuthenticator } from '../../probes/software-authenticator.ts';
import { createSealer } from '../keys/index.ts';
import { tenantsRoutes } from '../tenants/index.ts';
import { doors, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { accessRoutes } from './routes.ts';
import { CHANGED_SINCE } from './step-up-subject.ts';
import { createStepUpVerifier } from './step-up-verifier.ts';

/** The rooms of the issuer as the browser meets them: contract in, handler, contract out. */

interface Reply {
  readonly status: number;
  /** Members differ by route; each test knows which. */
  readonly body: Readonly<
    Record<'action' | 'challengeId' | 'cookie' | 'members' | 'options' | 'passkeys' | 'token', never>
  >;
  readonly headers: Record<string, string>;
}

let house: SeededIssuer;
let rooms: RoomRoutes[];
let device: SoftwareAuthenticator;
let cookie = '';

beforeAll(async () => {
  house = await startSeededIssuer(systemClock);
  const { deps } = house;
  rooms = [
    identityRoutes(deps),
    canaryIdentityRoutes(deps),
    tokenMintRoutes(deps),
    accessRoutes(deps),
    tenantsRoutes({ ...deps, placer: { regions: () => [{ name: 'north', isHome: true }] } }),
  ];
  device = createSoftwareAuthenticator({ origin: doors.edge.origins[0]! });
});
afterAll(() => house?.stop());

interface Shot {
  readonly body?: unknown;
  readonly params?: Record<string, string>;
  readonly ids?: Record<string, string>;
  readonly stepUp?: string;
}

/** What the gateway and the harness do between them, without a wire. */
async function shoot(operation: string, shot: Shot = {}): Promise<Reply> {
  const room = rooms.find(({ contract }) => Object.values(contract).some((route) => route.operation === operation))!;
  const [name, contract] = Object.entries(room.contract).find(([, route]) => route.operation === operation)! as [
    string,
    RouteContract,
  ];
  const requestId = uuidV4(systemRandom);
  let caller: Caller | undefined;
  let claims: Awaited<ReturnType<SeededIssuer['claimsOf']>> | undefined;
  if (contract.access.kind === 'session') {
    const mint = {
      cookie,
      door: 'edge',
      destination: 'workspace',
      routeClass: contract.access.class,
      operation,
      ...(shot.stepUp === undefined ? {} : { stepUp: shot.stepUp }),
    };
    const { body } = await shoot('identity.mint-token', { body: mint });
    claims = await house.claimsOf(body['token'] as unknown as string);
    caller = { ...(await house.callerOf(cookie)), routeClass: contract.access.class };
    expect(house.deps.policy.allows(operation, caller), operation).toBe(true);
  }
  const verify = createStepUpVerifier({ doors, clock: systemClock });
  const call = {
    requestId,
    peer: 'gateway',
    caller,
    params: shot.params ?? {},
    query: {},
    body: contract.body === undefined ? undefined : (contract.body as ZodType).parse(shot.body),
    ids: shot.ids ?? {},
    headers: { [DOOR_HEADER]: 'edge', ...(cookie === '' ? {} : { [COOKIE_HEADER]: cookie }) },
    stepUp: (action: never, keeping?: never) => verify(claims!, { header: shot.stepUp ?? '', action, keeping }),
  };
  const reply = (await room.handlers[name]!(call as never)) as {
    status: number;
    body: unknown;
    headers?: Record<string, string>;
  };
  const checked = safeEncode(contract.replies[reply.status] as ZodType, reply.body as never);
  expect(checked.error, operation).toBeUndefined();
  const session = reply.headers?.[SESSION_HEADER];
  if (session !== undefined) cookie = session === 'clear' ? '' : session.split(';')[1]!;
  return { status: reply.status, body: checked.data as never, headers: reply.headers ?? {} };
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

async function invitee(): Promise<{ id: string }> {
  return (await house.rows<{ id: string }>(`select member_id as id from identity.invitation`))[0]!;
}

async function confirm(operation: string, input: Record<string, unknown>): Promise<string> {
  const memberId = input['memberId'] === undefined ? undefined : (await invitee()).id;
  const ids = memberId === undefined ? {} : { 'body.input.memberId': memberId };
  const { body } = await shoot('access.step-up', { body: { operation, input }, ids });
  expect(body['action']).toMatchObject({ operation, input });
  const assertion = device.authenticate(body['options']);
  return encoded({ challengeId: body['challengeId'], assertion });
}

describe('the journey of a lead auditor, over the routes', () => {
  let memberTag = '';

  it('nobody is signed in at first', async () => {
    expect((await shoot('identity.session')).body).toEqual({ signedIn: false });
  });

  it('enrols with the link, and the cookie is set with its life', async () => {
    const person = house.seeded.people.find(({ tenantSlug, role }) => tenantSlug === 'harbour' && role === 'lead')!;
    const token = person.enrolmentPath!.split('#')[1];
    const { body } = await shoot('identity.enrolment-options', { body: { token } });
    const response = device.register(body['options']);
    const reply = await shoot('identity.enrol', { body: { token, challengeId: body['challengeId'], response } });
    expect(reply.headers[SESSION_HEADER]).toMatch(/^set;[A-Za-z0-9_-]{43};43200$/);
    expect(reply.body).toMatchObject({
      signedIn: true,
      role: 'lead',
      method: 'passkey',
      door: 'edge',
      passkeys: 1,
      tenant: { slug: 'harbour' },
    });
    expect((await shoot('identity.session')).body).toEqual(reply.body);
  });

  it('signing in again closes the session before', async () => {
    const before = cookie;
    const { body } = await shoot('identity.sign-in-options');
    await shoot('identity.sign-in', {
      body: { challengeId: body['challengeId'], response: device.authenticate(body['options']) },
    });
    expect(cookie).not.toBe(before);
    await expect(house.callerOf(before)).rejects.toMatchObject({ code: 'session_required' });
  });

  it('with one passkey reads and is told to add another; then approves', async () => {
    const early = { operation: 'access.invite', input: { label: 'New auditor', role: 'auditor' } };
    expect((await shoot('access.list-members')).status).toBe(200);
    await expect(shoot('access.step-up', { body: early })).rejects.toMatchObject({ code: 'second_passkey_needed' });
    const { body } = await shoot('identity.add-passkey-options');
    const added = await shoot('identity.add-passkey', {
      body: { challengeId: body['challengeId'], response: device.register(body['options']) },
    });
    expect(added.body).toEqual({ passkeys: 2 });
  });

  it('invites with a confirmation, and the link of the reply enrols somebody', async () => {
    const input = { label: 'New auditor', role: 'auditor' };
    const reply = await shoot('access.invite', { body: input, stepUp: await confirm('access.invite', input) });
    expect(reply.status).toBe(201);
    expect(reply.body).toMatchObject({
      invitation: { label: 'New auditor', state: 'open' },
      enrolmentUrl: expect.stringMatching(/^\/app\/enrol#/),
    });
    expect((await shoot('access.list-invitations')).body).toMatchObject({ invitations: [{ label: 'New auditor' }] });
  });

  it('lists colleagues under tagged ids', async () => {
    const { body } = await shoot('access.list-members');
    const members = body['members'] as unknown as { id: string; label: string; self: boolean }[];
    expect(members.filter(({ self }) => self)).toHaveLength(1);
    for (const { id } of members) expect(id).toMatch(/^mem_[A-Za-z0-9_-]{38}$/);
    memberTag = members.find(({ label }) => label === 'New auditor')!.id;
  });

  it('changes a role and suspends; the gateway is told whose tokens to drop', async () => {
    const row = await invitee();
    const change = { memberId: memberTag, role: 'client' };
    const ids = { 'params.memberId': row.id };
    const changed = await shoot('access.change-role', {
      params: { memberId: memberTag },
      body: { role: 'client' },
      ids,
      stepUp: await confirm('access.change-role', change),
    });
    expect(changed.headers[REVOKE_HEADER]).toBe(row.id);
    expect(changed.body).toMatchObject({ member: { id: memberTag, role: 'client' } });
    const suspended = await shoot('access.suspend-member', {
      params: { memberId: memberTag },
      ids,
      stepUp: await confirm('access.suspend-member', { memberId: memberTag }),
    });
    expect(suspended.body).toMatchObject({ member: { state: 'suspended' }, sessionsClosed: 0 });
  });

  it.each([
    ['access.change-role', { role: 'auditor' }, 'role', 'client', 'lead'],
    ['access.suspend-member', undefined, 'state', 'active', 'invited'],
    ['access.erase-member', { name: 'New auditor', ground: 'request' }, 'state', 'suspended', 'active'],
  ])('%s shows what the database says, and a row that changed since refuses it', async (...given) => {
    const [operation, body, column, shown, meanwhile] = given;
    const row = await invitee();
    const set = async (value: string) => {
      await house.rows('alter table identity.member disable trigger user');
      await house.rows(`update identity.member set ${column} = $2 where id = $1`, [row.id, value]);
      await house.rows('alter table identity.member enable trigger user');
    };
    await set(shown);
    const input = { memberId: memberTag, ...body };
    const begun = await shoot('access.step-up', {
      body: { operation, input },
      ids: { 'body.input.memberId': row.id },
    });
    expect(begun.body['action']).toMatchObject({ subject: { label: 'New auditor', [column]: shown } });
    const assertion = device.authenticate(begun.body['options']);
    const stepUp = encoded({ challengeId: begun.body['challengeId'], assertion });
    await set(meanwhile);
    const shot = { params: { memberId: memberTag }, ids: { 'params.memberId': row.id }, stepUp };
    await expect(shoot(operation, body === undefined ? shot : { ...shot, body })).rejects.toMatchObject({
      code: 'step_up_refused',
      publicDetail: CHANGED_SINCE,
    });
  });

  it('an answer for one role does not confirm another', async () => {
    const stepUp = await confirm('access.invite', { label: 'X', role: 'client' });
    await expect(shoot('access.invite', { body: { label: 'X', role: 'lead' }, stepUp })).rejects.toMatchObject({
      code: 'step_up_refused',
    });
  });

  it('adds a further passkey, lists them, and signs out everywhere', async () => {
    const { body } = await shoot('identity.add-passkey-options');
    const second = createSoftwareAuthenticator({ origin: doors.edge.origins[0]! });
    const added = await shoot('identity.add-passkey', {
      body: { challengeId: body['challengeId'], response: second.register(body['options']) },
    });
    expect(added.body).toEqual({ passkeys: 3 });
    expect((await shoot('identity.list-passkeys')).body['passkeys']).toHaveLength(3);
    const out = await shoot('identity.sign-out-everywhere');
    expect(out.headers[SESSION_HEADER]).toBe('clear');
    expect((await shoot('identity.session')).body).toEqual({ signedIn: false });
  });

  it('a sentinel gets canary cookies over its own route', async () => {
    const { body } = await shoot('identity.canary-session', { body: { tenant: 'canary-a', role: 'client' } });
    cookie = body['cookie'];
    expect((await shoot('identity.session')).body).toMatchObject({
      signedIn: true,
      method: 'canary',
      tenant: { kind: 'canary' },
    });
    expect((await shoot('identity.sign-out')).headers[SESSION_HEADER]).toBe('clear');
  });
});

describe('an organisation whose own key is withdrawn', () => {
  it('is signed in all the same, and sees its people by role, with words in place of their names', async () => {
    const refuse = () => Promise.reject(new AppError('kek_disabled', 'withdrawn'));
    // A process that holds no key, and whose keys process refuses every one.
    const sealer = createSealer({
      service: 'issuer',
      tenantDoor: house.deps.tenant,
      keysClient: { generate: refuse, open: refuse, unwrap: refuse, rewrap: refuse, describe: refuse },
      fields: { 'identity.member.label': 1 },
      clock: systemClock,
      random: systemRandom,
    });
    const withdrawn = { ...house.deps, sealer };
    rooms.unshift(identityRoutes(withdrawn), tokenMintRoutes(withdrawn), accessRoutes(withdrawn));
    cookie = '';
    const { body } = await shoot('identity.sign-in-options');
    const assertion = device.authenticate(body['options']);
    const signedIn = await shoot('identity.sign-in', {
      body: { challengeId: body['challengeId'], response: assertion },
    });
    const words = 'unreadable while the key is withdrawn';
    expect(signedIn.body).toMatchObject({ signedIn: true, role: 'lead', person: { label: null } });
    expect((await shoot('identity.session')).body).toMatchObject({ signedIn: true, person: { label: null } });
    const people = (await shoot('access.list-members')).body['members'] as { label: string; role: string }[];
    expect(people.length).toBeGreaterThan(1);
    expect(people.every(({ label }) => label === words)).toBe(true);
    // What has to be sealed is refused as what it is, not as a fault of this house.
    await expect(shoot('identity.add-passkey-options', { body: {} })).rejects.toThrow(
      expect.objectContaining({ code: 'kek_disabled' }),
    );
  });
});
