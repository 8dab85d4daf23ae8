import { randomUUID } from 'node:crypto';
import { AppError } from '@auditrax/base';
import type { LeavingWay, ProbeResponse } from '../claims/probe.ts';
import { canaryRoutes as programRoutes } from '../domains/authorisation-server/canary-contract.ts';
import { canaryRoutes } from '../domains/provisioning/canary-contract.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { EdgeClient } from './edge-client.ts';
import { looksAt, sender, takeHold, type Held, type Holding } from './leaver-holding.ts';
import { failed } from './leaver-program.ts';
import { messageOf, tryToReturn, type Directory, type Say } from './leaver-return.ts';

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
  /** Names of the ways in which somebody who has left was brought back by somebody who must not; none, it is hoped. */
  tryToReturn(subject: string): Promise<readonly string[]>;
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
  /** Slug of another one. */
  readonly neighbour: string;
}

interface Found {
  readonly id: string;
  readonly active: boolean;
}

/** The directory of a canary, speaking as a provider's server does. */
function createDirectory({ client, edge }: Pick<LeaverPeopleDeps, 'client' | 'edge'>, tenant: string) {
  let known: Promise<Directory> | undefined;
  /** A new token ends the one before. */
  const renew = async (): Promise<Directory> => {
    known = client.call(canaryRoutes.directory, { requestId: randomUUID(), body: { tenant } }).then(({ body }) => body);
    known.catch(() => {
      known = undefined;
    });
    return known;
  };
  const current = (): Promise<Directory> => known ?? renew();
  const sayAs: Say = ({ connectionId, token }, message) =>
    sender(edge)(`/scim/v2/${connectionId}/${message.path}`, messageOf(token, message));
  const say = async (message: Parameters<Say>[1]): Promise<ProbeResponse> => {
    const reply = await sayAs(await current(), message);
    return reply.status === 401 ? sayAs(await renew(), message) : reply;
  };
  const find = async (subject: string): Promise<Found | undefined> => {
    const reply = await say({ path: `Users?filter=${encodeURIComponent(`userName eq "${subject}"`)}` });
    if (reply.status !== 200) throw failed('finding the person', reply);
    return (reply.json() as { Resources: Found[] }).Resources[0];
  };
  const change = async (id: string, operation: object, expected = 200): Promise<void> => {
    const json = { schemas: [PATCH], Operations: [operation] };
    const reply = await say({ path: `Users/${id}`, method: 'PATCH', json });
    if (reply.status !== expected) throw failed('changing the person', reply);
  };
  return { current, renew, sayAs, say, find, change };
}

const set = (active: boolean) => ({ op: 'replace', path: 'active', value: active });
/** What says that they have left, and with what status it is answered. */
const LEAVING: Readonly<Record<SpokenWay, readonly [operation: object, status: number]>> = {
  scim: [set(false), 200],
  // Entra capitalises what it asks for and says texts where truth values belong.
  'scim-entra': [{ op: 'Replace', path: 'active', value: 'False' }, 200],
  // Nobody knows what it means; who is asked to come again in an hour must not let somebody work on until then.
  'scim-unread': [{ op: 'Replace', path: 'active', value: 'Left' }, 400],
};

/** Through the edge, and through the issuer's internal door for what only a provider could do. */
export function createLeaverPeople(deps: LeaverPeopleDeps): LeaverPeople {
  const { client, edge, tenant } = deps;
  const directory = createDirectory(deps, tenant);
  const neighbour = createDirectory(deps, deps.neighbour);
  const named = async (subject: string): Promise<Found> => {
    const known = await directory.find(subject);
    if (known === undefined) throw new AppError('leaver_drill_failed', 'the directory names nobody so');
    return known;
  };
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
      const reply = await directory.say({ path: 'Users', method: 'POST', json: person });
      if (reply.status !== 201) throw failed('making the person', reply);
    },
    async prepareLeaving(subject, way) {
      const { id } = await named(subject);
      return () => directory.change(id, ...LEAVING[way]);
    },
    async tryToReturn(subject) {
      const { token: withdrawn } = await directory.current();
      const [own, other] = [await directory.renew(), await neighbour.current()];
      const { id, active } = await named(subject);
      if (active) throw new AppError('leaver_drill_failed', 'they have not left');
      const isOut = async () => !(await named(subject)).active;
      return tryToReturn({ say: directory.sayAs, own, withdrawn, other, id, subject }, isOut);
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
