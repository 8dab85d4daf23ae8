import { randomUUID } from 'node:crypto';
import { AppError } from '@auditrax/base';
import type { LeavingWay, ProbeResponse } from '../claims/probe.ts';
import { canaryRoutes as programRoutes } from '../domains/authorisation-server/canary-contract.ts';
import { canaryRoutes } from '../domains/provisioning/canary-contract.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { EdgeClient } from './edge-client.ts';
import { looksAt, sender, takeHold, type Held, type Holding } from './leaver-holding.ts';
import { failed } from './leaver-program.ts';

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
/** Ways in which a directory says that somebody has left. */
export type SpokenWay = Exclude<LeavingWay, 'silence'>;

/** People of a canary tenant as their directory, their provider and they themselves act, all through the edge. */
export interface LeaverPeople {
  /** The directory names the person as active; the same one each time, with nothing left of what they held before. */
  hire(subject: string): Promise<void>;
  /** Gets ready to say that they have left: one message, sent by what this gives, which comes back with its answer. */
  prepareLeaving(subject: string, way: SpokenWay): Promise<() => Promise<void>>;
  /** Everything that a person can hold, newly given. */
  hold(subject: string): Promise<Holding>;
  /** Ways to look at all of it, also after a restart. */
  looksAt(holding: Holding): readonly Held[];
}

export interface LeaverPeopleDeps {
  readonly client: InternalClient;
  readonly edge: EdgeClient;
  /** Slug of a canary. */
  readonly tenant: string;
}

interface Directory {
  readonly connectionId: string;
  readonly token: string;
}

interface Found {
  readonly id: string;
  readonly active: boolean;
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
    return sender(edge)(`/scim/v2/${connectionId}/${path}`, {
      method,
      isServer: true,
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
  const find = async (subject: string): Promise<Found | undefined> => {
    const reply = await say('GET', `Users?filter=${encodeURIComponent(`userName eq "${subject}"`)}`);
    if (reply.status !== 200) throw failed('finding the person', reply);
    return (reply.json() as { Resources: Found[] }).Resources[0];
  };
  const change = async (id: string, operation: object): Promise<void> => {
    const reply = await say('PATCH', `Users/${id}`, { schemas: [PATCH], Operations: [operation] });
    if (reply.status !== 200) throw failed('changing the person', reply);
  };
  return { say, find, change };
}

/** Through the edge, and through the issuer's internal door for what only a provider could do. */
export function createLeaverPeople(deps: LeaverPeopleDeps): LeaverPeople {
  const { client, edge, tenant } = deps;
  const directory = createDirectory(deps);
  const set = (active: boolean) => ({ op: 'replace', path: 'active', value: active });
  const providerSession = async (subject: string): Promise<string> => {
    const { body } = await client.call(canaryRoutes.session, { requestId: randomUUID(), body: { tenant, subject } });
    return `__Host-auditrax=${body.cookie}`;
  };
  const linkOf = async (subject: string, isFirst: boolean): Promise<string> => {
    const body = { tenant, subject, isFirst };
    return (await client.call(canaryRoutes.link, { requestId: randomUUID(), body })).body.token;
  };
  return {
    async hire(subject) {
      const known = await directory.find(subject);
      if (known !== undefined) {
        // Keys and programs of a round before would be one more each time.
        if (known.active) await directory.change(known.id, set(false));
        return directory.change(known.id, set(true));
      }
      const person = { schemas: [USER], externalId: subject, userName: subject, displayName: subject, active: true };
      const reply = await directory.say('POST', 'Users', person);
      if (reply.status !== 201) throw failed('making the person', reply);
    },
    async prepareLeaving(subject, way) {
      const known = await directory.find(subject);
      if (known === undefined) throw new AppError('leaver_drill_failed', 'the directory names nobody so');
      // Entra capitalises what it asks for and says texts where truth values belong.
      const entra = { op: 'Replace', path: 'active', value: 'False' };
      return () => directory.change(known.id, way === 'scim-entra' ? entra : set(false));
    },
    async hold(subject) {
      const provider = await providerSession(subject);
      const links = [await linkOf(subject, true), await linkOf(subject, false)] as const;
      const { body: program } = await client.call(programRoutes.client, { requestId: randomUUID(), body: { tenant } });
      return takeHold(edge, { provider, links, program });
    },
    looksAt: (holding) => looksAt(edge, holding),
  };
}
