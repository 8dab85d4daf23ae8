import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@auditrax/base';
import type { ProbeResponse } from '../claims/probe.ts';
import { CANARY_ISSUER, canaryRoutes, type CanaryStream } from '../domains/signal-receiver/canary-contract.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { RehearsedTransmitter, SetForgery } from '../rehearsal/index.ts';
import type { EdgeClient } from './edge-client.ts';
import { lookAtCookie, sender, type Held } from './leaver-holding.ts';
import type { Leaving } from './leaver-people.ts';
import { failed } from './leaver-program.ts';

const BASE = 'https://schemas.openid.net/secevent/';
const REVOKED = `${BASE}caep/event-type/session-revoked`;
const DISABLED = `${BASE}risc/event-type/account-disabled`;
const ENABLED = `${BASE}risc/event-type/account-enabled`;
/** Longer than the receiver takes anything: a week, and a minute for two clocks. */
const OLD_SECONDS = 8 * 86_400;
const AHEAD_SECONDS = 3_600;
/** A session that was revoked is refused within so many looks; a gateway that nobody tells keeps it for half a minute. */
const LOOKS_MAX = 25;
const LOOK_MS = 200;

/** Opens a stand-in for one departure. */
export type TransmitterPlay = () => Promise<RehearsedTransmitter>;

interface Streams {
  readonly own: CanaryStream;
  /** Of the same transmitter and connection. */
  readonly twin: CanaryStream;
  /** Of another organisation, by the same transmitter. */
  readonly theirs: CanaryStream;
}

interface Ground extends Streams {
  readonly edge: EdgeClient;
  readonly transmitter: RehearsedTransmitter;
  readonly subject: string;
  /** The id of the token that is sent in earnest: who uses it up beforehand keeps a leaver in. */
  readonly jti: string;
}

interface Token {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly forged?: SetForgery;
  readonly typ?: string;
}

const personOf = (subject: string, iss: string = CANARY_ISSUER) => ({ format: 'iss_sub', iss, sub: subject });

/** Right in every way, but for what is said. */
function tokenOf({ transmitter, own, subject, jti }: Ground, { claims, ...how }: Token): string {
  const iat = Math.floor(Date.now() / 1000);
  const sub_id = personOf(subject);
  const right = { iss: CANARY_ISSUER, aud: own.audience, iat, jti, sub_id, events: { [DISABLED]: {} } };
  return transmitter.sign({ claims: { ...right, ...claims }, ...how });
}

/** As a provider's server does, at the public address. */
function push(
  { edge }: Pick<Ground, 'edge'>,
  to: { readonly id: string; readonly authorization: string | undefined },
  body: string,
): Promise<ProbeResponse> {
  const authorization = to.authorization === undefined ? {} : { authorization: to.authorization };
  const headers = { 'content-type': 'application/secevent+jwt', accept: 'application/json', ...authorization };
  return sender(edge)(`/ssf/${to.id}/events`, { method: 'POST', isServer: true, headers, body });
}

/** Sends what is right. Throws when it is not taken. */
async function pushRight(ground: Ground, claims: Readonly<Record<string, unknown>>, what: string): Promise<string> {
  const token = tokenOf(ground, { claims });
  const reply = await push(ground, ground.own, token);
  if (reply.status !== 202) throw failed(what, reply);
  return token;
}

interface Attack {
  /** In words of people. */
  readonly name: string;
  /** Believed, and about nobody whom the stream may speak of: only what it ends tells. */
  readonly isBelieved?: true;
  send(ground: Ground): Promise<ProbeResponse>;
}

const bent = (name: string, token: (ground: Ground) => Token): Attack => ({
  name,
  send: (ground) => push(ground, ground.own, tokenOf(ground, token(ground))),
});
const forged = (name: string, how: SetForgery): Attack => bent(name, () => ({ forged: how }));
const timed = (name: string, seconds: number): Attack =>
  bent(name, () => ({ claims: { iat: Math.floor(Date.now() / 1000) + seconds } }));
/** A token that is right, by whoever was not told to push here. */
const brought = (name: string, authorization: (ground: Ground) => string | undefined): Attack => ({
  name,
  send: (ground) => push(ground, { id: ground.own.id, authorization: authorization(ground) }, tokenOf(ground, {})),
});

/** Signals that must end nothing; those that are believed come first, so that what they end has ended at the last look. */
const ATTACKS: readonly Attack[] = [
  {
    name: 'a signal over another organisation’s stream',
    isBelieved: true,
    send: (ground) => push(ground, ground.theirs, tokenOf(ground, { claims: { aud: ground.theirs.audience } })),
  },
  {
    ...bent('a signal about another provider’s person', ({ subject }) => ({
      claims: { jti: randomUUID(), sub_id: personOf(subject, 'https://another.invalid') },
    })),
    isBelieved: true,
  },
  forged('a signal signed by a stranger', 'stranger'),
  forged('a signal that is not signed', 'none'),
  forged('a signal authenticated with the public key', 'mac'),
  forged('a signal changed after it was signed', 'changed'),
  bent('a signal of another issuer', () => ({ claims: { iss: 'https://another.invalid' } })),
  bent('a signal for another audience', () => ({ claims: { aud: 'https://another.invalid' } })),
  bent('a signal for another stream', ({ twin }) => ({ claims: { aud: twin.audience } })),
  bent('a signal for another organisation’s stream', ({ theirs }) => ({ claims: { aud: theirs.audience } })),
  bent('a signal for two audiences', ({ own, twin }) => ({ claims: { aud: [own.audience, twin.audience] } })),
  bent('a token of another type', () => ({ typ: 'JWT' })),
  timed('a signal of last week', -OLD_SECONDS),
  timed('a signal of tomorrow', AHEAD_SECONDS),
  brought('a signal without a token', () => undefined),
  brought('a signal with another stream’s token', ({ twin }) => twin.authorization),
  brought('a signal with another organisation’s token', ({ theirs }) => theirs.authorization),
];

/** Beside them: one that was sent twice, before and afterwards, and one that says that they are back. */
export const SIGNALS_TRIED = ATTACKS.length + 3;

const unseen = (what: string) => new AppError('leaver_drill_failed', what);
const isRefused = ({ status }: ProbeResponse): boolean =>
  status >= 400 && status < 500 && status !== 408 && status !== 429;

/** Names of what was taken, or has ended anything. Throws when the house said neither yes nor no. */
async function attackBefore(ground: Ground, holds: readonly Held[]): Promise<string[]> {
  const taken: string[] = [];
  for (const { name, isBelieved, send } of ATTACKS) {
    const reply = await send(ground);
    if (reply.status !== 202 && !isRefused(reply)) throw failed(name, reply);
    if (reply.status === 202 && isBelieved !== true) taken.push(name);
  }
  const looks = await Promise.all(holds.map(async ({ name, look }) => [name, await look()] as const));
  const unsure = looks.find(([, look]) => look === 'unknown');
  if (unsure !== undefined) throw unseen(`no answer about the ${unsure[0]}`);
  const ended = looks.filter(([, look]) => look !== 'works').map(([name]) => name);
  return ended.length === 0 ? taken : [...taken, `a signal that must end nothing (${ended.join(' and ')} ended)`];
}

/** Somebody who stays. */
export interface Bystander {
  readonly subject: string;
  /** As at the provider; gives the cookie. */
  signIn(): Promise<string>;
}

/** A signal ends sessions once: those of whoever signs in again are theirs. */
async function sendTwice(ground: Ground, { subject, signIn }: Bystander): Promise<string[]> {
  const { edge } = ground;
  const before = await signIn();
  if ((await lookAtCookie(edge, before)) !== 'works') throw unseen('a new session did not work');
  const claims = { jti: randomUUID(), sub_id: personOf(subject), events: { [REVOKED]: {} } };
  const token = await pushRight(ground, claims, 'revoking sessions');
  let look = await lookAtCookie(edge, before);
  for (let left = LOOKS_MAX; look !== 'refused' && left > 0; left -= 1) {
    await sleep(LOOK_MS);
    look = await lookAtCookie(edge, before);
  }
  if (look === 'unknown') throw unseen('no answer about a session that was revoked');
  const alive = look === 'works' ? ['a session that a signal revoked'] : [];
  const after = await signIn();
  const reply = await push(ground, ground.own, token);
  if (reply.status !== 202 && !isRefused(reply)) throw failed('a signal sent twice', reply);
  return (await lookAtCookie(edge, after)) === 'works' ? alive : [...alive, 'a signal that was sent twice'];
}

export interface LeaverSignals {
  /** Whom a signal has put out before; it is what a lead would do. */
  letIn(subject: string): Promise<void>;
  /** Opens the stand-in and tries every signal that must end nothing, on somebody who has everything. */
  prepare(of: {
    readonly subject: string;
    readonly holds: readonly Held[];
    readonly bystander: Bystander;
  }): Promise<Leaving>;
}

export interface LeaverSignalsDeps {
  readonly client: InternalClient;
  readonly edge: EdgeClient;
  readonly tenant: string;
  readonly neighbour: string;
  readonly transmitter: TransmitterPlay;
}

/** A provider of a canary that tells by shared signals who has left, at the address that is everybody's. */
export function createLeaverSignals(deps: LeaverSignalsDeps): LeaverSignals {
  const { client, edge, tenant, neighbour } = deps;
  const streamsOf = async (slug: string, { origin, authority }: RehearsedTransmitter) => {
    const body = { tenant: slug, standIn: { origin, authority } };
    return (await client.call(canaryRoutes.streams, { requestId: randomUUID(), body })).body.streams;
  };
  return {
    async letIn(subject) {
      await client.call(canaryRoutes.letIn, { requestId: randomUUID(), body: { tenant, subject } });
    },
    async prepare({ subject, holds, bystander }) {
      const transmitter = await deps.transmitter();
      try {
        const [own, twin] = await streamsOf(tenant, transmitter);
        const [theirs] = await streamsOf(neighbour, transmitter);
        const ground: Ground = { edge, transmitter, subject, own, twin, theirs, jti: randomUUID() };
        const taken = [...(await attackBefore(ground, holds)), ...(await sendTwice(ground, bystander))];
        let sent = '';
        return {
          async leave() {
            await pushRight(ground, { jti: randomUUID(), events: { [REVOKED]: {} } }, 'revoking sessions');
            sent = await pushRight(ground, {}, 'disabling the account');
          },
          async attack() {
            await pushRight(ground, { jti: randomUUID(), events: { [ENABLED]: {} } }, 'enabling the account');
            const again = await push(ground, own, sent);
            if (again.status !== 202) throw failed('a signal sent twice', again);
            return taken;
          },
          taken,
          attacks: SIGNALS_TRIED,
          close: () => transmitter.close(),
        };
      } catch (error) {
        await transmitter.close();
        throw error;
      }
    },
  };
}
