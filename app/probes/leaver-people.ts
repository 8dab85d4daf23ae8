import { randomUUID } from 'node:crypto';
import { AppError } from '@auditrax/base';
import type { LeavingWay, ProbeResponse } from '../claims/probe.ts';
import { canaryRoutes } from '../domains/provisioning/canary-contract.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { EdgeClient } from './edge-client.ts';
import { sessionCookieOf } from './house.ts';
import { createSoftwareAuthenticator } from './software-authenticator.ts';

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
/** Any route that asks for a session, by which a gateway has a token to keep. */
const SESSION_PATH = '/api/identity/passkeys';
/** As a client of its own: its ceremonies use up nobody else's share. */
const SOURCE = 200;
/** Says nothing about whether the access works: asked too often, or too slowly. */
const SAYS_NOTHING: ReadonlySet<number> = new Set([408, 429]);

/** Ways in which a directory says that somebody has left. */
export type SpokenWay = Exclude<LeavingWay, 'silence'>;

/** Whether something that a person holds opens anything. `unknown`: no answer that says so. */
export type Look = 'works' | 'refused' | 'unknown';

export interface Held {
  /** In words of people: `passkey session`. */
  readonly name: string;
  look(): Promise<Look>;
}

/** People of a canary tenant as their directory, their provider and they themselves act, all through the edge. */
export interface LeaverPeople {
  /** The directory names the person as active; the same one each time. */
  hire(subject: string): Promise<void>;
  /** Gets ready to say that they have left: one message, sent by what this gives, which comes back with its answer. */
  prepareLeaving(subject: string, way: SpokenWay): Promise<() => Promise<void>>;
  /** A sign-in at the provider; gives the cookie. */
  signIn(subject: string): Promise<string>;
  /** Everything that a person can hold, newly given. */
  hold(subject: string): Promise<readonly Held[]>;
  lookAt(cookie: string): Promise<Look>;
}

export interface LeaverPeopleDeps {
  readonly client: InternalClient;
  readonly edge: EdgeClient;
  /** Slug of a canary. */
  readonly tenant: string;
}

function failed(what: string, reply: ProbeResponse): AppError {
  return new AppError('leaver_drill_failed', `${what}: ${reply.status} ${reply.problem() ?? ''}`);
}

/** A refusal is one only when the house says so: what went wrong on the way there is none. */
function lookOf({ status }: ProbeResponse): Look {
  if (status === 200) return 'works';
  return status >= 400 && status < 500 && !SAYS_NOTHING.has(status) ? 'refused' : 'unknown';
}

interface Directory {
  readonly connectionId: string;
  readonly token: string;
}

/** The directory of the canary, speaking as a provider's server does. */
function createDirectory({ client, edge, tenant }: LeaverPeopleDeps) {
  let known: Promise<Directory> | undefined;
  const renewed = async (): Promise<Directory> =>
    (await client.call(canaryRoutes.directory, { requestId: randomUUID(), body: { tenant } })).body;
  const send = async (method: string, path: string, message?: object): Promise<ProbeResponse> => {
    known ??= renewed();
    known.catch(() => {
      known = undefined;
    });
    const { connectionId, token } = await known;
    return edge.fetch(`/scim/v2/${connectionId}/${path}`, {
      method,
      isServer: true,
      source: SOURCE,
      headers: {
        authorization: `Bearer ${token}`,
        ...(message === undefined ? {} : { 'content-type': 'application/scim+json' }),
      },
      ...(message === undefined ? {} : { body: JSON.stringify(message) }),
    });
  };
  const say: typeof send = async (...call) => {
    const reply = await send(...call);
    if (reply.status !== 401) return reply;
    known = undefined;
    return send(...call);
  };
  const find = async (subject: string): Promise<string | undefined> => {
    const reply = await say('GET', `Users?filter=${encodeURIComponent(`userName eq "${subject}"`)}`);
    if (reply.status !== 200) throw failed('finding the person', reply);
    return (reply.json() as { Resources: { id: string }[] }).Resources[0]?.id;
  };
  const change = async (id: string, operation: object): Promise<void> => {
    const reply = await say('PATCH', `Users/${id}`, { schemas: [PATCH], Operations: [operation] });
    if (reply.status !== 200) throw failed('changing the person', reply);
  };
  return { say, find, change };
}

async function posted(edge: EdgeClient, path: string, json?: object): Promise<ProbeResponse> {
  return edge.fetch(path, {
    method: 'POST',
    source: SOURCE,
    ...(json === undefined ? {} : { json: json as never }),
  });
}

interface Ceremony {
  readonly challengeId: string;
  readonly options: never;
}

/** A passkey of the person, made by the real ceremony, and the session that it opens. */
async function enrolled(edge: EdgeClient, token: string) {
  const authenticator = createSoftwareAuthenticator({ origin: edge.origin });
  const begun = await posted(edge, '/api/identity/enrolment/options', { token });
  if (begun.status !== 200) throw failed('beginning an enrolment', begun);
  const { challengeId, options } = begun.json() as Ceremony;
  const done = await posted(edge, '/api/identity/enrolment', {
    token,
    challengeId,
    response: authenticator.register(options),
  });
  const cookie = sessionCookieOf(done.headers['set-cookie']);
  if (done.status !== 200 || cookie === undefined) throw failed('enrolling', done);
  const signIn = async (): Promise<Look> => {
    const asked = await posted(edge, '/api/identity/passkey/sign-in/options');
    if (asked.status !== 200) return 'unknown';
    const { challengeId: id, options: given } = asked.json() as Ceremony;
    const response = authenticator.authenticate(given);
    return lookOf(await posted(edge, '/api/identity/passkey/sign-in', { challengeId: id, response }));
  };
  return { cookie, signIn };
}

/** Through the edge, and through the issuer's internal door for what only a provider could do. */
export function createLeaverPeople(deps: LeaverPeopleDeps): LeaverPeople {
  const { client, edge, tenant } = deps;
  const directory = createDirectory(deps);
  const lookAt: LeaverPeople['lookAt'] = async (cookie) =>
    lookOf(await edge.fetch(SESSION_PATH, { cookie, source: SOURCE }));
  const signIn: LeaverPeople['signIn'] = async (subject) => {
    const { body } = await client.call(canaryRoutes.session, { requestId: randomUUID(), body: { tenant, subject } });
    return `__Host-auditrax=${body.cookie}`;
  };
  const linkOf = async (subject: string, isFirst: boolean): Promise<string> => {
    const body = { tenant, subject, isFirst };
    return (await client.call(canaryRoutes.link, { requestId: randomUUID(), body })).body.token;
  };
  return {
    lookAt,
    signIn,
    async hire(subject) {
      const id = await directory.find(subject);
      if (id !== undefined) return directory.change(id, { op: 'replace', path: 'active', value: true });
      const person = { schemas: [USER], externalId: subject, userName: subject, displayName: subject, active: true };
      const reply = await directory.say('POST', 'Users', person);
      if (reply.status !== 201) throw failed('making the person', reply);
    },
    async prepareLeaving(subject, way) {
      const id = await directory.find(subject);
      if (id === undefined) throw new AppError('leaver_drill_failed', 'the directory names nobody so');
      // Entra capitalises what it asks for and says texts where truth values belong.
      const entra = { op: 'Replace', path: 'active', value: 'False' };
      const operation = way === 'scim-entra' ? entra : { op: 'replace', path: 'active', value: false };
      return () => directory.change(id, operation);
    },
    async hold(subject) {
      const cookie = await signIn(subject);
      const passkey = await enrolled(edge, await linkOf(subject, true));
      const token = await linkOf(subject, false);
      return [
        { name: 'provider session', look: () => lookAt(cookie) },
        { name: 'passkey session', look: () => lookAt(passkey.cookie) },
        { name: 'passkey', look: passkey.signIn },
        { name: 'link', look: async () => lookOf(await posted(edge, '/api/identity/enrolment/options', { token })) },
      ];
    },
  };
}
