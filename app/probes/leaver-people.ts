import { randomUUID } from 'node:crypto';
import { AppError } from '@auditrax/base';
import type { LeavingWay, ProbeResponse } from '../claims/probe.ts';
import { canaryRoutes as programRoutes } from '../domains/authorisation-server/canary-contract.ts';
import { canaryRoutes } from '../domains/provisioning/canary-contract.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { EdgeClient } from './edge-client.ts';
import { looksAt, sender, takeHold, type Held, type Holding } from './leaver-holding.ts';
import { failed } from './leaver-program.ts';
import { messageOf, RETURNS_TRIED, tryToReturn, type Directory, type Say } from './leaver-return.ts';
import { createLeaverSignals, type TransmitterPlay } from './leaver-signals.ts';

/** Of whom a signal is sent twice. */
const BYSTANDER = 'canary-bystander';
const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
/** Ways in which a directory or a provider says that somebody has left. */
export type SpokenWay = Exclude<LeavingWay, 'silence'>;

/** Somebody who is about to leave. */
export interface Leaving {
  /** Says that they have left, and comes back with the answer. */
  leave(): Promise<void>;
  /**
   * Tries what nobody may when they have nothing any more, and gives the names of what was taken: ways in which they were
   * brought back, and signals that ended something before. None, it is hoped.
   */
  attack(): Promise<readonly string[]>;
  /** What of it was taken before they left. */
  readonly taken: readonly string[];
  /** How much is tried, before and afterwards. */
  readonly attacks: number;
  close(): Promise<void>;
}

/** People of a canary tenant as their directory, their provider and they themselves act, all through the edge. */
export interface LeaverPeople {
  /** The directory names the person as active; the same one each time, with nothing left of what they held before. */
  hire(subject: string, way: LeavingWay): Promise<void>;
  /** Gets ready to say that they have left: nothing of theirs has ended when this is back. */
  prepareLeaving(of: {
    readonly subject: string;
    readonly way: SpokenWay;
    readonly holds: readonly Held[];
  }): Promise<Leaving>;
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
  /** Stands in for the transmitter of a provider; each is open for one departure. */
  readonly transmitter: TransmitterPlay;
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
const LEAVING: Readonly<Record<Exclude<SpokenWay, 'signal'>, readonly [operation: object, status: number]>> = {
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
  const signals = createLeaverSignals(deps);
  /** A word of the directory, and afterwards words that others would put into its mouth. */
  const byDirectory = async (subject: string, way: keyof typeof LEAVING): Promise<Leaving> => {
    const { id } = await named(subject);
    return {
      leave: () => directory.change(id, ...LEAVING[way]),
      async attack() {
        const { token: withdrawn } = await directory.current();
        const [own, other] = [await directory.renew(), await neighbour.current()];
        if ((await named(subject)).active) throw new AppError('leaver_drill_failed', 'they have not left');
        const isOut = async () => !(await named(subject)).active;
        return tryToReturn({ say: directory.sayAs, own, withdrawn, other, id, subject }, isOut);
      },
      taken: [],
      attacks: RETURNS_TRIED,
      close: () => Promise.resolve(),
    };
  };
  const people: LeaverPeople = {
    async hire(subject, way) {
      const known = await directory.find(subject);
      if (known !== undefined) {
        if (way === 'signal') await signals.letIn(subject);
        // Keys and programs of a round before would be one more each time.
        if (known.active) await directory.change(known.id, set(false));
        return directory.change(known.id, set(true));
      }
      const person = { schemas: [USER], externalId: subject, userName: subject, displayName: subject, active: true };
      const reply = await directory.say({ path: 'Users', method: 'POST', json: person });
      if (reply.status !== 201) throw failed('making the person', reply);
    },
    async prepareLeaving({ subject, way, holds }) {
      if (way !== 'signal') return byDirectory(subject, way);
      await people.hire(BYSTANDER, way);
      return signals.prepare({
        subject,
        holds,
        bystander: { subject: BYSTANDER, signIn: () => providerSession(BYSTANDER) },
      });
    },
    async hold(subject) {
      const provider = await providerSession(subject);
      const links = [await linkOf(subject, true), await linkOf(subject, false)] as const;
      const { body: program } = await client.call(programRoutes.client, { requestId: randomUUID(), body: { tenant } });
      return takeHold(edge, { provider, links, program });
    },
    looksAt: (holding) => looksAt(edge, holding),
  };
  return people;
}
