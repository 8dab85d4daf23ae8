import { createHmac, randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Caller } from '../../platform/http/handler.ts';
import { by } from '../connections/testing/asking.ts';
import { removeAccountsOf } from '../identity/index.ts';
import type { Enrolled } from '../tenants/testing/seeded-issuer.ts';
import { act, finishEvents, SUSPENSIONS_PER_HOUR_MAX } from './acting.ts';
import { openEvents, recentRefusals } from './keeping.ts';
import { decideHeld, renewAuthorization, turnStream } from './setup.ts';
import type { Signals } from './console-contract.ts';
import { loadPlace } from './settings.ts';
import { ConsoleVisitor } from './testing/console-visitor.ts';
import { MANAGEMENT, ManagedSide } from './testing/managed.ts';
import { startSignalHouse, type Known, type OpenedStream, type SignalHouse } from './testing/signal-house.ts';
import { CAEP, makeKey, pusherOf, RISC, SSF, type SetWishes, type Told } from './testing/transmitter.ts';

// Events signed by `jose`, pushed through the real gateway to the real issuer on a real database. No live transmitter of a
// provider has been tried: rehearsed.

/** What is promised of a revocation, everywhere. */
const EVERYWHERE_MS_MAX = 1000;

let world: SignalHouse;
let push: ReturnType<typeof pusherOf>;
let leadPerson: Enrolled;
let strangerPerson: Enrolled;
let lead: Caller;
let stranger: Caller;
let connectionId: Uuid;
let stream: OpenedStream;

beforeAll(async () => {
  for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
  world = await startSignalHouse(undefined, { events_perMinute_max: 200 });
  push = pusherOf(world.house);
  leadPerson = await world.house.issuer.enrol('harbour', 'lead');
  lead = await world.house.callerOf(leadPerson.cookie);
  strangerPerson = await world.house.issuer.enrol('lakeside', 'lead');
  stranger = await world.house.callerOf(strangerPerson.cookie);
  connectionId = await world.connect(lead, 'Harbour');
  stream = await world.stream(lead, connectionId);
});
afterAll(async () => {
  await world?.stop();
  vi.restoreAllMocks();
});

const person = ({ subject }: Pick<Known, 'subject'>) => ({
  format: 'iss_sub',
  iss: world.transmitter.issuer,
  sub: subject,
});
const session = (id: string) => ({ format: 'opaque', id });
type Said = Partial<SetWishes> & { readonly to?: OpenedStream };
const sign = (subject: object, name: string, { to = stream, ...more }: Said = {}) =>
  world.transmitter.sign({ audience: to.audience, subject, events: { [name]: {} }, ...more });
const send = (token: string, to = stream, headers: Record<string, string | undefined> = {}): Promise<Told> =>
  push(to.address, token, { authorization: to.authorization, ...headers });
const said = async (subject: object, name: string, more: Said = {}): Promise<Told> =>
  send(await sign(subject, name, more), more.to ?? stream);
/** Of the stream that the page calls so. */
const connectionOf = async (tagged: string) => {
  const rows = await world.house.issuer.rows<{ id: Uuid; connection_id: Uuid }>(
    'select id, connection_id from identity.received_stream',
  );
  return rows.find(({ id }) => world.deps.formatId('sst', lead.tenant, id) === tagged)?.connection_id;
};
const place = (of = stream, caller = lead) => loadPlace(world.deps, { context: caller.tenant }, of.id);
const hire = (more: { readonly session?: string } = {}, caller = lead, at = connectionId) =>
  world.hire(caller, at, more);
const stateOf = async ({ memberId }: Pick<Known, 'memberId'>) =>
  (await world.house.issuer.rows<{ state: string }>('select state from identity.member where id = $1', [memberId]))[0]!
    .state;
const lastEvents = (limit = 1, of = stream) =>
  world.house.issuer.rows<{ id: Uuid; verdict: string; state: string; outcome: string; effects: unknown[] }>(
    `select id, verdict, state, outcome, effects from identity.received_event where stream_id = '${of.id}'
     order by received_at desc, id desc limit ${limit}`,
  );
const countEvents = async (of = stream) =>
  (
    await world.house.issuer.rows<{ n: number }>(
      `select count(*)::int as n from identity.received_event where stream_id = '${of.id}'`,
    )
  )[0]!.n;
const refusalOf = async (of = stream, caller = lead) =>
  (await recentRefusals(world.deps, (await place(of, caller))!))[0];
const entries = async (type: string) =>
  (await world.house.issuer.audited(type)).filter(({ resource_id }) => resource_id === stream.id);

describe('what a provider says', () => {
  it('that sessions were revoked ends those of the account, everywhere within a second, and leaves the rest', async () => {
    const [known, other] = [await hire(), await hire()];
    const second = await world.signIn(lead, known);
    const browser = world.house.browser();
    const host = new URL(world.house.origin).host;
    browser.cookies.set(host, new Map([['__Host-auditrax', { value: known.cookie, sameSite: 'strict' }]]));
    const ask = async () => (await browser.ask(`${world.house.origin}/api/identity/passkeys`)).status;
    expect(await ask()).toBe(200);
    const token = await sign(person(known), `${CAEP}session-revoked`);
    const from = performance.now();
    expect((await send(token)).status).toBe(202);
    while ((await ask()) === 200) expect(performance.now() - from).toBeLessThan(EVERYWHERE_MS_MAX);
    expect(performance.now() - from).toBeLessThan(EVERYWHERE_MS_MAX);
    expect([await world.isIn(known.cookie), await world.isIn(second), await world.isIn(other.cookie)]).toEqual([
      false,
      false,
      true,
    ]);
    expect(await stateOf(known)).toBe('active');
    expect(await lastEvents()).toMatchObject([{ verdict: 'end_sessions', state: 'done', outcome: 'sessions-ended' }]);
    expect((await entries('signals.carried-out')).at(-1)!.leaf).toMatchObject({
      public: { member: known.memberId, outcome: 'sessions-ended', type: 'end_sessions' },
    });
  });

  it('of one session ends only that, with the person named or not, and never somebody else’s', async () => {
    const known = await hire({ session: 'one' });
    const second = await world.signIn(lead, known, 'two');
    const third = await world.signIn(lead, known, 'three');
    const both = { format: 'complex', user: person(known), session: session('one') };
    expect((await said(both, `${CAEP}session-revoked`)).status).toBe(202);
    expect([await world.isIn(known.cookie), await world.isIn(second)]).toEqual([false, true]);
    const other = await hire();
    const contrary = { format: 'complex', user: person(other), session: session('two') };
    await said(contrary, `${CAEP}session-revoked`);
    expect([await world.isIn(second), await world.isIn(other.cookie)]).toEqual([true, true]);
    await said({ format: 'complex', session: session('two') }, `${CAEP}session-revoked`);
    expect([await world.isIn(second), await world.isIn(third)]).toEqual([false, true]);
  });

  it('that an account is disabled suspends the member, and nothing that comes later lets them in again', async () => {
    const known = await hire();
    await said(person(known), `${RISC}account-disabled`);
    expect([await stateOf(known), await world.isIn(known.cookie)]).toEqual(['suspended', false]);
    const [revoked] = await world.house.issuer.rows<{ cause: string; effects: unknown[] }>(
      'select cause, effects from identity.revocation where member_id = $1',
      [known.memberId],
    );
    expect(revoked).toMatchObject({ cause: 'signal' });
    const [event] = await lastEvents();
    expect(event!.effects).toEqual(revoked!.effects);
    for (const name of [`${RISC}account-enabled`, `${CAEP}session-established`, `${CAEP}assurance-level-change`])
      await said(person(known), name, { events: { [name]: { change_direction: 'increase' } } });
    expect(await stateOf(known)).toBe('suspended');
    expect((await lastEvents(3)).map(({ outcome }) => outcome)).toEqual(['nothing', 'nothing', 'alerted']);
    expect((await entries('signals.alert')).at(-1)!.leaf).toMatchObject({ public: { code: 'account-enabled' } });
    const [proof] = await world.house.issuer.rows<{ source: string }>(
      'select source from identity.employment where member_id = $1',
      [known.memberId],
    );
    expect(proof?.source).not.toBe('signal');
  });

  it('of somebody who is erased by law afterwards goes with them', async () => {
    const known = await hire();
    await said(person(known), `${RISC}account-disabled`);
    const kept = () =>
      world.house.issuer.rows('select id from identity.received_event where member_id = $1', [known.memberId]);
    expect(await kept()).toHaveLength(1);
    await world.deps.tenant.transaction(lead.tenant, (tx) =>
      removeAccountsOf(world.deps, tx, { memberId: known.memberId, actor: { service: 'issuer' } }),
    );
    expect(await kept()).toEqual([]);
    expect((await entries('signals.person-erased')).at(-1)!.leaf).toMatchObject({ public: { member: known.memberId } });
  });

  it('of somebody whom nobody knows is kept and shown', async () => {
    expect((await said(person({ subject: 'nobody' }), `${RISC}account-disabled`)).status).toBe(202);
    expect(await lastEvents()).toMatchObject([{ verdict: 'suspend', state: 'done', outcome: 'nobody' }]);
  });

  it('that cannot be read counts as the worst, and what is unknown is an alert', async () => {
    const known = await hire();
    await said(person(known), `${CAEP}risk-level-change`);
    expect(await world.isIn(known.cookie)).toBe(false);
    await said(person(known), 'https://provider.test/event/new');
    expect(await lastEvents()).toMatchObject([{ verdict: 'alert', outcome: 'alerted' }]);
    const [row] = await world.house.issuer.rows<{ id: Uuid; content: Buffer }>(
      `select id, content from identity.received_event where stream_id = '${stream.id}' order by received_at desc limit 1`,
    );
    const [content] = await openEvents(world.deps, (await place())!, [row!]);
    expect(content!.events).toEqual([{ uri: 'https://provider.test/event/new', name: null, isUnreadable: false }]);
  });
});

describe('whoever attacks the address', () => {
  /** Refused by 400 with a registered code, for a reason that administrators read, and without any effect. */
  async function expectRefused(token: string, code: string, to = stream): Promise<void> {
    const before = await countEvents(to);
    const told = await send(token, to);
    expect([told.status, Object.keys(told.json).sort()], code).toEqual([400, ['description', 'err']]);
    const caller = to === stream || to.connectionId === connectionId ? lead : stranger;
    expect((await refusalOf(to, caller))?.code).toBe(code);
    expect(await countEvents(to)).toBe(before);
  }

  it('SIG-1: signs with no algorithm, or with the public key as a secret', async () => {
    const known = await hire();
    const claims = { iss: world.transmitter.issuer, aud: stream.audience, jti: randomUUID() };
    const events = { [`${CAEP}session-revoked`]: {} };
    const unsigned = new UnsecuredJWT({ ...claims, sub_id: person(known), events }).setIssuedAt().encode();
    await expectRefused(`${unsigned}AAAA`, 'signals_algorithm_refused');
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'HS256', typ: 'secevent+jwt', kid: 'now' })}.${part({ ...claims, events })}`;
    const secret = JSON.stringify(world.transmitter.key.jwk);
    const forged = `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
    await expectRefused(forged, 'signals_algorithm_refused');
    expect(await world.isIn(known.cookie)).toBe(true);
  });

  it('SIG-2: brings a key along, or signs under a known name with another one', async () => {
    const known = await hire();
    const own = makeKey('now');
    const header = { jwk: own.jwk, jku: `${world.transmitter.issuer}/theirs` };
    await expectRefused(
      await sign(person(known), `${CAEP}session-revoked`, { key: own, header }),
      'signals_signature_invalid',
    );
    expect(world.transmitter.asked.filter((line) => line.endsWith('/theirs'))).toEqual([]);
    expect(await world.isIn(known.cookie)).toBe(true);
  });

  it('SIG-3: sends an ID token or a logout token of the same provider', async () => {
    const known = await hire();
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    const logout = { events, header: { typ: 'logout+jwt' }, claims: { sub: known.subject } };
    await expectRefused(await sign(person(known), '', logout), 'signals_token_typ');
    const typed = await sign(person(known), `${CAEP}session-revoked`, { claims: { sub: known.subject, nonce: 'n' } });
    await expectRefused(typed, 'signals_other_token');
  });

  it('SIG-4: carries over what is for another stream of the same issuer, in this tenant or another', async () => {
    const known = await hire();
    const twin = await world.stream(lead, connectionId);
    const theirs = await world.stream(stranger, await world.connect(stranger, 'Lakeside'));
    const token = await sign(person(known), `${CAEP}session-revoked`);
    await expectRefused(token, 'signals_audience', twin);
    await expectRefused(token, 'signals_audience', theirs);
    const verification = await sign(session(`there-${twin.id}`), `${SSF}stream-updated`, {
      events: { [`${SSF}stream-updated`]: { status: 'disabled' } },
    });
    await expectRefused(verification, 'signals_stream_subject');
    // And with the other stream's authorization nobody gets in at all.
    const before = await countEvents();
    expect((await send(token, { ...stream, authorization: twin.authorization })).json).toMatchObject({
      err: 'authentication_failed',
    });
    expect([await countEvents(), await world.isIn(known.cookie)]).toEqual([before, true]);
    await turnStream(world.deps, by(lead), { connectionId, streamId: twin.id, to: 'off' });
  });

  it('SIG-4: speaks over its own stream of a person with the same name in another tenant', async () => {
    const theirConnection = await world.connect(stranger, 'Lakeside too');
    const theirs = await world.stream(stranger, theirConnection);
    const known = await hire();
    expect((await said(person(known), `${RISC}account-disabled`, { to: theirs })).status).toBe(202);
    expect([await stateOf(known), await world.isIn(known.cookie)]).toEqual(['active', true]);
    expect(await lastEvents(1, theirs)).toMatchObject([{ outcome: 'nobody' }]);
  });

  it('SIG-5: replays, at once and from two sides, and it counts once', async () => {
    const known = await hire();
    const token = await sign(person(known), `${CAEP}session-revoked`);
    const before = await countEvents();
    expect((await Promise.all([send(token), send(token), send(token)])).map(({ status }) => status)).toEqual([
      202, 202, 202,
    ]);
    const back = await world.signIn(lead, known);
    expect((await send(token)).status).toBe(202);
    expect([await countEvents(), await world.isIn(back)]).toEqual([before + 1, true]);
  });

  it('SIG-6: names an e-mail, or somebody of another provider', async () => {
    const known = await hire();
    for (const subject of [
      { format: 'email', email: 'person-1@harbour.test' },
      { ...person(known), iss: 'https://other.provider.test' },
      { format: 'opaque', id: known.subject },
    ]) {
      expect((await said(subject, `${RISC}account-disabled`)).status).toBe(202);
      expect(await lastEvents()).toMatchObject([{ verdict: 'alert', outcome: 'alerted' }]);
    }
    expect([await stateOf(known), await world.isIn(known.cookie)]).toEqual(['active', true]);
  });

  it('SIG-9: invents key ids, and is asked to come again instead of refused for good', async () => {
    const token = await sign(person({ subject: 'x' }), `${CAEP}session-revoked`, { header: { kid: 'invented' } });
    const asked = () => world.transmitter.asked.filter((line) => line === 'GET /jwks').length;
    await send(token);
    const before = asked();
    const told = await Promise.all(Array.from({ length: 5 }, () => send(token)));
    expect(told.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    expect(asked()).toBe(before);
  });

  it('SIG-10: sends what is too large, too deep, or of another type', async () => {
    const large = await send('x'.repeat(70_000));
    expect([large.status, large.json['err']]).toEqual([413, 'invalid_request']);
    const deep = JSON.parse(`${'{"a":'.repeat(20)}{}${'}'.repeat(20)}`) as Record<string, unknown>;
    await expectRefused(await sign(person({ subject: 'x' }), 'x', { claims: { deep } }), 'signals_token_form');
    const token = await sign(person({ subject: 'x' }), `${CAEP}session-revoked`);
    expect((await send(token, stream, { 'content-type': 'application/json' })).status).toBe(400);
    expect((await refusalOf())?.code).toBe('signals_push_form');
  });

  it('SIG-11: has no authorization, and is told the same of a stream that is not there', async () => {
    const token = await sign(person({ subject: 'x' }), `${CAEP}session-revoked`);
    const before = await refusalOf();
    const told = await send(token, stream, { authorization: undefined });
    const wrong = await send(token, stream, { authorization: 'Bearer wrong' });
    const nowhere = await send(token, {
      ...stream,
      address: `${world.house.origin}/ssf/${uuidV4(systemRandom)}/events`,
    });
    const noId = await send(token, { ...stream, address: `${world.house.origin}/ssf/x/events` });
    for (const one of [wrong, nowhere, noId]) expect([one.status, one.json]).toEqual([told.status, told.json]);
    expect([told.status, told.json['err']]).toEqual([400, 'authentication_failed']);
    // Nor do strangers push out what administrators read.
    expect(await refusalOf()).toEqual(before);
  });

  it('SIG-11: is a browser', async () => {
    const token = await sign(person({ subject: 'x' }), `${CAEP}session-revoked`);
    for (const headers of [{ cookie: 'a=b' }, { origin: 'https://evil.test' }, { 'sec-fetch-site': 'cross-site' }])
      expect((await send(token, stream, headers)).status, JSON.stringify(headers)).toBe(403);
  });
});

describe('what came is not lost', () => {
  it('a crash between keeping and carrying out: the event is taken up again from its row', async () => {
    const known = await hire();
    const broken = vi.spyOn(world.deps.evictions, 'endPerson').mockImplementationOnce(() => {
      throw new Error('the process ends here');
    });
    expect((await said(person(known), `${RISC}account-disabled`)).status).toBe(202);
    broken.mockRestore();
    expect(await lastEvents()).toMatchObject([{ state: 'acting', outcome: null }]);
    expect([await stateOf(known), await world.isIn(known.cookie)]).toEqual(['active', true]);
    const later = { ...world.deps, clock: { nowMs: () => Date.now() + 60_000 } };
    await finishEvents(later, (await place())!);
    expect(await lastEvents()).toMatchObject([{ state: 'done', outcome: 'suspended' }]);
    expect([await stateOf(known), await world.isIn(known.cookie)]).toEqual(['suspended', false]);
  });

  it('carried out by two at once it happens once', async () => {
    const known = await hire();
    const broken = vi.spyOn(world.deps.evictions, 'endPerson').mockImplementationOnce(() => {
      throw new Error('the process ends here');
    });
    await said(person(known), `${RISC}account-purged`);
    broken.mockRestore();
    const [event] = await lastEvents();
    const at = (await place())!;
    await Promise.all([act(world.deps, at, event!.id), act(world.deps, at, event!.id)]);
    const done = (await entries('signals.carried-out')).filter(
      ({ leaf }) => (leaf['public'] as Record<string, unknown>)['member'] === known.memberId,
    );
    expect(done).toHaveLength(1);
  });

  it('paused, the transmitter is asked to come again; off, nobody answers', async () => {
    const own = await world.stream(lead, await world.connect(lead, 'Paused'));
    const of = { connectionId: own.connectionId, streamId: own.id };
    const token = await sign(person({ subject: 'x' }), `${CAEP}session-revoked`, { to: own });
    await turnStream(world.deps, by(lead), { ...of, to: 'paused' });
    const told = await send(token, own);
    expect([told.status, told.retryAfter]).toEqual([503, '30']);
    await turnStream(world.deps, by(lead), { ...of, to: 'on' });
    const authorization = await renewAuthorization(world.deps, by(lead), of);
    expect((await send(token, own)).json).toMatchObject({ err: 'authentication_failed' });
    expect((await send(token, { ...own, authorization })).status).toBe(202);
    await turnStream(world.deps, by(lead), { ...of, to: 'off' });
    expect((await send(token, { ...own, authorization })).json).toMatchObject({ err: 'authentication_failed' });
  });
});

describe('SIG-18: a transmitter that lies', () => {
  it('puts out so many people in an hour by itself; of the rest sessions end and somebody decides', async () => {
    const own = await world.stream(lead, await world.connect(lead, 'Liar'));
    const people: Known[] = [];
    for (let n = 0; n < SUSPENSIONS_PER_HOUR_MAX + 2; n += 1) people.push(await hire({}, lead, own.connectionId));
    for (const one of people) await said(person(one), `${RISC}account-disabled`, { to: own });
    const states = await Promise.all(people.map(stateOf));
    expect(states.filter((state) => state === 'suspended')).toHaveLength(SUSPENSIONS_PER_HOUR_MAX);
    expect(await Promise.all(people.map(({ cookie }) => world.isIn(cookie)))).toEqual(people.map(() => false));
    const held = await world.house.issuer.rows<{ id: Uuid; member_id: Uuid; effects: { holder: string }[] }>(
      `select id, member_id, effects from identity.received_event where stream_id = '${own.id}' and state = 'held'
       order by received_at`,
    );
    expect(held.map(({ member_id }) => member_id)).toEqual(people.slice(-2).map(({ memberId }) => memberId));
    expect(held[0]!.effects).toContainEqual(expect.objectContaining({ holder: 'sessions', ended: 1 }));
    expect(
      (await world.house.issuer.audited('signals.held')).filter(({ resource_id }) => resource_id === own.id),
    ).toHaveLength(2);
    // Said again of somebody who is out already it takes no room.
    await said(person(people[0]!), `${RISC}account-purged`, { to: own });
    expect(await lastEvents(1, own)).toMatchObject([{ state: 'done', outcome: 'suspended' }]);

    const of = { connectionId: own.connectionId, streamId: own.id };
    await decideHeld(world.deps, by(lead), { ...of, eventId: held[0]!.id, to: 'suspend' });
    await decideHeld(world.deps, by(lead), { ...of, eventId: held[1]!.id, to: 'dismiss' });
    expect(await Promise.all(people.slice(-2).map(stateOf))).toEqual(['suspended', 'active']);
    const again = decideHeld(world.deps, by(lead), { ...of, eventId: held[1]!.id, to: 'suspend' });
    await expect(again).rejects.toMatchObject({ code: 'not_found' });
    const foreign = decideHeld(world.deps, by(stranger), { ...of, eventId: held[1]!.id, to: 'suspend' });
    await expect(foreign).rejects.toMatchObject({ code: 'not_found' });
  });

  it('all at once finds no more room than one after the other', async () => {
    const own = await world.stream(lead, await world.connect(lead, 'Hasty'));
    const people: Known[] = [];
    for (let n = 0; n < SUSPENSIONS_PER_HOUR_MAX + 3; n += 1) people.push(await hire({}, lead, own.connectionId));
    await Promise.all(people.map((one) => said(person(one), `${RISC}account-disabled`, { to: own })));
    const states = await Promise.all(people.map(stateOf));
    expect(states.filter((state) => state === 'suspended')).toHaveLength(SUSPENSIONS_PER_HOUR_MAX);
  });

  it('floods, and what is too much waits at its side', async () => {
    const own = await world.stream(lead, await world.connect(lead, 'Flood'));
    const token = await sign(person({ subject: 'x' }), `${CAEP}session-revoked`, { to: own });
    const told: number[] = [];
    for (let n = 0; n < 210; n += 1) told.push((await send(token, own)).status);
    expect(told.slice(0, 200)).toEqual(Array(200).fill(202));
    expect(told.slice(200)).toEqual(Array(10).fill(503));
    expect(await countEvents(own)).toBe(1);
    // Another stream is not kept waiting by it.
    expect((await said(person({ subject: 'x' }), `${CAEP}session-revoked`)).status).toBe(202);
  });
});

describe('an administrator at the page, over HTTP with a passkey', () => {
  let page: ConsoleVisitor;
  let at: string;
  let con: string;
  beforeAll(async () => {
    page = new ConsoleVisitor(world.house, leadPerson);
    con = world.house.idOf(lead, await world.connect(lead, 'Console'));
    at = `/api/connections/${con}/signals`;
  });
  afterAll(() => page?.close());

  const approve = (of: { name: string; part?: string; ids?: object; body?: object; approved?: object }) => {
    const { name, part = '', ids = {}, ...more } = of;
    return page.approve({
      operation: `signal-receiver.${name}`,
      path: `${at}${part}`,
      ids: { connectionId: con, ...ids },
      ...more,
    });
  };
  const shownStream = async (id: string) =>
    ((await page.get(at)).json() as Signals).streams.find((one) => one.id === id)!;
  const begin = async () => {
    const reply = await approve({ name: 'begin', body: { delivery: 'push' } });
    expect(reply.status).toBe(201);
    return reply.json() as { id: string; address: string; authorization: string };
  };
  const end = (id: string) =>
    approve({
      name: 'turn',
      part: `/${id}/turn`,
      ids: { receivedStreamId: id },
      body: { to: 'off' },
    });

  it('has the provider make a stream, asks it for a sign of life, and sees the answer', async () => {
    const side = new ManagedSide(world.transmitter, 'console');
    const { id } = await begin();
    const ids = { receivedStreamId: id };
    const { issuer } = world.transmitter;
    const body = { issuer, authorization: MANAGEMENT, algorithm: 'RS256', opaqueSubjects: false };
    expect((await page.post(`${at}/${id}/connect`, body)).status).toBeGreaterThanOrEqual(400);
    expect((await shownStream(id)).state).toBe('draft');
    expect((await page.post(`${at}/${id}/verify`)).problem()).toBe('provider_stream_state');
    expect((await approve({ name: 'connect', part: `/${id}/connect`, ids, body })).status).toBe(200);
    expect(await shownStream(id)).toMatchObject({
      state: 'on',
      settings: { mayVerify: true, isManaged: true },
    });

    const asked = await page.post(`${at}/${id}/verify`);
    expect(asked.status).toBe(200);
    const { askedAt } = asked.json() as { askedAt: string };
    expect(await shownStream(id)).toMatchObject({ askedAt: expect.any(String) as string, answeredAt: null });
    const [order] = side.orders;
    const events = { [`${SSF}verification`]: { state: side.verifications.at(-1)!.state } };
    const token = await world.transmitter.sign({
      audience: side.audience,
      subject: session(side.streamId),
      events,
    });
    const { url, authorization } = order!;
    expect((await push(url!, token, { authorization })).status).toBe(202);
    const { answeredAt } = await shownStream(id);
    expect(Date.parse(answeredAt!)).toBeGreaterThanOrEqual(Date.parse(askedAt));
    const { leaf } = (await world.house.issuer.audited('signals.verification-asked')).at(-1)!;
    expect(leaf).toMatchObject({ actor: ['person', lead.personId], outcome: 'allowed' });
    // A transmitter is not asked as often as somebody clicks.
    const again = await page.post(`${at}/${id}/verify`);
    expect([again.status, again.problem()]).toEqual([429, 'provider_stream_asked']);
    expect(side.verifications).toHaveLength(1);
    expect((await end(id)).status).toBe(200);
    expect((await page.post(`${at}/${id}/verify`)).problem()).toBe('provider_stream_state');
  });

  it('is told which check failed when the provider does not take the question', async () => {
    const side = new ManagedSide(world.transmitter, 'deaf');
    side.verifyTrouble = 500;
    const { id } = await begin();
    const { issuer } = world.transmitter;
    const body = { issuer, authorization: MANAGEMENT, algorithm: 'RS256', opaqueSubjects: false };
    const ids = { receivedStreamId: id };
    await approve({ name: 'connect', part: `/${id}/connect`, ids, body });
    const reply = await page.post(`${at}/${id}/verify`);
    expect([reply.status, reply.problem()]).toEqual([422, 'transmitter_refused']);
    expect((reply.json() as { detail: string }).detail).toMatch(/^E\d+: /);
    expect((await shownStream(id)).trouble).toMatchObject({
      check: expect.stringMatching(/^E\d+$/) as string,
    });
    await end(id);
  });

  it('sets a stream up by hand, renews its token, pauses it and has it go on; nothing without an approval of that very thing', async () => {
    const { id, address, authorization } = await begin();
    const ids = { receivedStreamId: id };
    const body = {
      issuer: world.transmitter.issuer,
      audience: 'https://receiver.test/console',
      theirStream: null,
      jwksUri: world.transmitter.jwksUri,
      algorithm: 'RS256',
      opaqueSubjects: false,
      pollUrl: null,
      authorization: null,
    };
    const exchanged = { ...body, audience: 'https://receiver.test/other' };
    const refused = await approve({
      name: 'set-up',
      part: `/${id}/set-up`,
      ids,
      body,
      approved: exchanged,
    });
    expect(refused.problem()).toMatch(/^step_up_/);
    expect((await shownStream(id)).state).toBe('draft');
    const plain = { ...body, jwksUri: 'http://provider.test/jwks' };
    const invalid = await approve({ name: 'set-up', part: `/${id}/set-up`, ids, body: plain });
    expect([invalid.status, invalid.problem()]).toEqual([422, 'provider_stream_invalid']);
    expect((await approve({ name: 'set-up', part: `/${id}/set-up`, ids, body })).status).toBe(200);
    expect((await page.post(`${at}/${id}/verify`)).problem()).toBe('provider_stream_state');
    const known = await hire({}, lead, (await connectionOf(id))!);
    const events = { [`${CAEP}session-revoked`]: {} };
    const token = () => world.transmitter.sign({ audience: body.audience, subject: person(known), events });
    expect((await push(address, await token(), { authorization })).status).toBe(202);
    expect(await world.isIn(known.cookie)).toBe(false);
    const renewed = await approve({ name: 'renew', part: `/${id}/renew`, ids });
    const next = (renewed.json() as { authorization: string }).authorization;
    expect((await push(address, await token(), { authorization })).status).toBe(400);
    for (const [to, status] of [
      ['paused', 503],
      ['on', 202],
    ] as const) {
      expect((await approve({ name: 'turn', part: `/${id}/turn`, ids, body: { to } })).status).toBe(200);
      expect([to, (await push(address, await token(), { authorization: next })).status]).toEqual([to, status]);
    }
    await end(id);
  });

  it('decides about a suspension that waits, once, and for that person', async () => {
    const { id, address, authorization } = await begin();
    const ids = { receivedStreamId: id };
    const { issuer, jwksUri } = world.transmitter;
    const audience = 'https://receiver.test/held';
    const how = {
      theirStream: null,
      algorithm: 'RS256',
      opaqueSubjects: false,
      pollUrl: null,
      authorization: null,
    };
    await approve({
      name: 'set-up',
      part: `/${id}/set-up`,
      ids,
      body: { issuer, jwksUri, audience, ...how },
    });
    const connection = (await connectionOf(id))!;
    const people = [];
    for (let n = 0; n <= SUSPENSIONS_PER_HOUR_MAX; n += 1) people.push(await hire({}, lead, connection));
    const events = { [`${RISC}account-disabled`]: {} };
    for (const one of people) {
      const token = await world.transmitter.sign({ audience, subject: person(one), events });
      await push(address, token, { authorization });
    }
    const { held } = await shownStream(id);
    expect(held).toHaveLength(1);
    const last = people.at(-1)!;
    const one = {
      name: 'decide',
      part: `/${id}/events/${held[0]!.id}`,
      ids: { ...ids, receivedEventId: held[0]!.id },
    };
    const exchanged = await approve({
      ...one,
      body: { to: 'suspend' },
      approved: { to: 'dismiss' },
    });
    expect(exchanged.problem()).toMatch(/^step_up_/);
    expect(await stateOf(last)).toBe('active');
    expect((await approve({ ...one, body: { to: 'suspend' } })).status).toBe(200);
    expect(await stateOf(last)).toBe('suspended');
    expect((await approve({ ...one, body: { to: 'dismiss' } })).status).toBe(404);
    expect((await shownStream(id)).held).toEqual([]);
    await end(id);
  });

  it('is a lead of this organisation, and nobody else', async () => {
    const { id } = await begin();
    const others = [await world.house.issuer.enrol('harbour', 'auditor'), strangerPerson];
    for (const [index, one] of others.entries()) {
      const visitor = new ConsoleVisitor(world.house, one);
      const replies = [await visitor.get(at), await visitor.post(`${at}/${id}/verify`)];
      // What is refused is an attempt; this house has nobody who writes attempts down, so some are answered 503.
      for (const reply of replies)
        expect([index, reply.status >= 400, reply.text().includes(id)]).toEqual([index, true, false]);
      await visitor.close();
    }
    await end(id);
  });
});
