import { LEAVER_HOLDS, type LeaverHolds, type ProbeAuthenticator, type ProbeResponse } from '../claims/probe.ts';
import type { EdgeClient } from './edge-client.ts';
import { sessionCookieOf } from './house.ts';
import {
  allowProgram,
  callAsProgram,
  failed,
  renewTokens,
  type HeldProgram,
  type ProgramPlace,
  type Send,
} from './leaver-program.ts';
import { createSoftwareAuthenticator, type KeptPasskey, type SoftwareAuthenticator } from './software-authenticator.ts';

/** Any route that asks for a session, by which a gateway has a token to keep. */
const SESSION_PATH = '/api/identity/passkeys';
/** Any route of the workspace, the only place that keys and programs reach. */
const WORK_PATH = '/api/engagements';
/** As a client of its own: its ceremonies use up nobody else's share. */
const SOURCE = 200;
/** Says nothing about whether the access works: asked too often, or too slowly. */
const SAYS_NOTHING: ReadonlySet<number> = new Set([408, 429]);
/** A day is the least that a key is made for. */
const KEY_DAYS = 1;

/** Whether something that a person holds opens anything. `unknown`: no answer that says so. */
export type Look = 'works' | 'refused' | 'unknown';

export interface Held {
  readonly name: LeaverHolds;
  look(): Promise<Look>;
}

/**
 * All that a person of a canary was given, as plain data: it is kept over a restart of whoever looks. What is renewed in use
 * (a program's tokens, a passkey's counter) is changed in it by looking.
 */
export interface Holding {
  readonly provider: string;
  readonly passkeySession: string;
  passkey: readonly KeptPasskey[];
  readonly link: string;
  readonly apiKey: string;
  readonly program: HeldProgram;
}

/** What only the issuer's internal door can give. */
export interface Given {
  /** Cookie of a sign-in at the provider. */
  readonly provider: string;
  /** Tokens of two enrolment links: one is used, one lies in a mailbox. */
  readonly links: readonly [string, string];
  readonly program: ProgramPlace;
}

/** A refusal is one only when the house says so: what went wrong on the way there is none. */
function lookOf({ status }: ProbeResponse): Look {
  if (status === 200) return 'works';
  return status >= 400 && status < 500 && !SAYS_NOTHING.has(status) ? 'refused' : 'unknown';
}

export const sender =
  (edge: Pick<EdgeClient, 'fetch'>): Send =>
  (path, request) =>
    edge.fetch(path, { ...request, source: SOURCE });

interface Post {
  readonly json?: object | undefined;
  readonly cookie?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function posted(
  edge: Pick<EdgeClient, 'fetch'>,
  path: string,
  { json, ...request }: Post = {},
): Promise<ProbeResponse> {
  return sender(edge)(path, { method: 'POST', ...request, ...(json === undefined ? {} : { json: json as never }) });
}

interface Ceremony {
  readonly challengeId: string;
  readonly options: never;
}

/** A person at a browser of theirs, with a passkey of the real ceremony. Each confirmation renews the cookie. */
export class Person<Device extends Pick<ProbeAuthenticator, 'authenticate'> = SoftwareAuthenticator> {
  readonly #edge: Pick<EdgeClient, 'fetch'>;
  readonly authenticator: Device;
  cookie: string;

  constructor(edge: Pick<EdgeClient, 'fetch'>, of: { readonly authenticator: Device; readonly cookie: string }) {
    this.#edge = edge;
    this.authenticator = of.authenticator;
    this.cookie = of.cookie;
  }

  async #post(path: string, json: object, stepUp?: string): Promise<ProbeResponse> {
    const headers = stepUp === undefined ? {} : { headers: { 'x-step-up': stepUp } };
    const reply = await posted(this.#edge, path, { json, cookie: this.cookie, ...headers });
    this.cookie = sessionCookieOf(reply.headers['set-cookie']) ?? this.cookie;
    return reply;
  }

  /** Does what a passkey has to confirm. */
  async approve(operation: string, path: string, input: object): Promise<ProbeResponse> {
    const begun = await this.#post('/api/access/step-up', { operation, input });
    if (begun.status !== 200) throw failed(`confirming ${operation}`, begun);
    const { challengeId, options } = begun.json() as Ceremony;
    const confirmed = { challengeId, assertion: this.authenticator.authenticate(options) };
    return this.#post(path, input, Buffer.from(JSON.stringify(confirmed)).toString('base64url'));
  }
}

async function enrol(edge: EdgeClient, token: string): Promise<Person> {
  const authenticator = createSoftwareAuthenticator({ origin: edge.origin });
  const begun = await posted(edge, '/api/identity/enrolment/options', { json: { token } });
  if (begun.status !== 200) throw failed('beginning an enrolment', begun);
  const { challengeId, options } = begun.json() as Ceremony;
  const response = authenticator.register(options);
  const done = await posted(edge, '/api/identity/enrolment', { json: { token, challengeId, response } });
  const cookie = sessionCookieOf(done.headers['set-cookie']);
  if (done.status !== 200 || cookie === undefined) throw failed('enrolling', done);
  return new Person(edge, { authenticator, cookie });
}

async function makeKey(person: Person): Promise<string> {
  const wanted = { name: 'Canary key', scope: 'write', days: KEY_DAYS };
  const made = await person.approve('api-keys.create', '/api/api-keys', wanted);
  if (made.status !== 201) throw failed('making an API key', made);
  return (made.json() as { key: string }).key;
}

/** Says yes to a program on our page, with a passkey: the address that the browser goes to. */
export async function allowAs(
  person: Pick<Person, 'approve'>,
  question: { readonly clientId: string; readonly request: string },
  agents: readonly string[],
): Promise<string> {
  const path = '/api/authorisation-server/allow';
  const decided = await person.approve('authorisation-server.allow', path, { ...question, agents });
  if (decided.status !== 200) throw failed('allowing a program', decided);
  return (decided.json() as { url: string }).url;
}

/** Everything that a person can hold, by the ways in which people come to it. */
export async function takeHold(edge: EdgeClient, { provider, links, program }: Given): Promise<Holding> {
  const person = await enrol(edge, links[0]);
  const apiKey = await makeKey(person);
  const held = await allowProgram({ edge, send: sender(edge) }, program, (question) => allowAs(person, question, []));
  return {
    provider,
    passkeySession: person.cookie,
    passkey: person.authenticator.keep(),
    link: links[1],
    apiKey,
    program: held,
  };
}

export async function lookAtCookie(edge: EdgeClient, cookie: string): Promise<Look> {
  return lookOf(await sender(edge)(SESSION_PATH, { cookie }));
}

/** A sign-in by passkey. What it opens is closed again: of too many sessions the oldest ends, and it may be looked at. */
async function lookAtPasskey(edge: EdgeClient, holding: Holding): Promise<Look> {
  const asked = await posted(edge, '/api/identity/passkey/sign-in/options');
  if (asked.status !== 200) return 'unknown';
  const { challengeId, options } = asked.json() as Ceremony;
  const authenticator = createSoftwareAuthenticator({ origin: edge.origin }, holding.passkey);
  const response = authenticator.authenticate(options);
  holding.passkey = authenticator.keep();
  const reply = await posted(edge, '/api/identity/passkey/sign-in', { json: { challengeId, response } });
  const cookie = sessionCookieOf(reply.headers['set-cookie']);
  if (cookie !== undefined) await posted(edge, '/api/identity/sign-out', { cookie });
  return lookOf(reply);
}

async function lookAtRenewal(edge: EdgeClient, program: HeldProgram): Promise<Look> {
  const parts = { edge, send: sender(edge) };
  // Of a house that does not answer nothing is asked that can be asked once only.
  if (lookOf(await callAsProgram(parts, program, WORK_PATH)) === 'unknown') return 'unknown';
  const renewed = lookOf(await renewTokens(parts, program));
  // Tokens that open nothing are no access.
  return renewed === 'works' ? lookOf(await callAsProgram(parts, program, WORK_PATH)) : renewed;
}

/** Ways to look at each thing that was given, in the order of `LEAVER_HOLDS`. */
export function looksAt(edge: EdgeClient, holding: Holding): readonly Held[] {
  const looks: Readonly<Record<LeaverHolds, () => Promise<Look>>> = {
    'provider session': () => lookAtCookie(edge, holding.provider),
    'passkey session': () => lookAtCookie(edge, holding.passkeySession),
    passkey: () => lookAtPasskey(edge, holding),
    link: async () => lookOf(await posted(edge, '/api/identity/enrolment/options', { json: { token: holding.link } })),
    'API key': async () => {
      const headers = { authorization: `Bearer ${holding.apiKey}` };
      return lookOf(await sender(edge)(WORK_PATH, { isServer: true, headers }));
    },
    'program access token': async () =>
      lookOf(await callAsProgram({ edge, send: sender(edge) }, holding.program, WORK_PATH)),
    'program refresh token': () => lookAtRenewal(edge, holding.program),
  };
  return LEAVER_HOLDS.map((name) => ({ name, look: looks[name] }));
}
