import { systemClock, systemRandom, uuidV4, type Clock, type Uuid } from '@auditrax/base';
import { createAttemptCounter } from '../../../platform/http/attempt-counter.ts';
import type { Caller } from '../../../platform/http/handler.ts';
import { silentLog } from '../../../platform/http/request-log.ts';
import { recordAttempt } from '../../connections/index.ts';
import * as connections from '../../connections/service.ts';
import { by, oidc } from '../../connections/testing/asking.ts';
import { arrive, findSession, openSession, providerHash } from '../../identity/index.ts';
import { startSsoHouse, type SsoHouse } from '../../sso/testing/sso-house.ts';
import { consoleRoutes } from '../console-contract.ts';
import { routes } from '../contract.ts';
import type { SignalReceiverDeps } from '../deps.ts';
import {
  createKeysOfStreams,
  receiverSubjects,
  signalConsole,
  signalReceiverProblems,
  signalReceiverRoutes,
} from '../index.ts';
import { beginStream, pushAddress, setUpByHand, type ByHand } from '../setup.ts';
import { RehearsedTransmitter } from './transmitter.ts';

/** Somebody whom a connection knows, and a session of theirs by it. */
export interface Known {
  readonly connectionId: Uuid;
  readonly memberId: Uuid;
  readonly accountId: Uuid;
  readonly subject: string;
  readonly cookie: string;
}

/** A stream that is on, as a test pushes to it. */
export interface OpenedStream {
  readonly id: Uuid;
  readonly connectionId: Uuid;
  readonly address: string;
  readonly authorization: string;
  readonly audience: string;
}

/** Gateway, issuer and a transmitter, each behind its own socket, on a real database. */
export interface SignalHouse {
  readonly house: SsoHouse;
  readonly deps: SignalReceiverDeps;
  readonly transmitter: RehearsedTransmitter;
  /** A connection in use whose provider is the transmitter. */
  connect(caller: Caller, name: string): Promise<Uuid>;
  stream(caller: Caller, connectionId: Uuid, more?: Partial<ByHand>): Promise<OpenedStream>;
  hire(caller: Caller, connectionId: Uuid, more?: { readonly session?: string }): Promise<Known>;
  /** Another session of somebody. */
  signIn(caller: Caller, known: Known, session?: string): Promise<string>;
  isIn(cookie: string): Promise<boolean>;
  stop(): Promise<void>;
}

export async function startSignalHouse(
  clock: Clock = systemClock,
  limits: Pick<SignalReceiverDeps, 'events_perMinute_max'> = {},
): Promise<SignalHouse> {
  let deps!: SignalReceiverDeps;
  const counter = createAttemptCounter();
  const house = await startSsoHouse(clock, {
    names: ['signal-receiver'],
    contracts: [...Object.values(routes), ...Object.values(consoleRoutes)],
    subjects: receiverSubjects,
    problems: [signalReceiverProblems],
    rooms: (given) => {
      deps = { ...given, counter, log: silentLog, keysOfStreams: createKeysOfStreams(given), ...limits };
      return [signalReceiverRoutes(deps), signalConsole(deps)];
    },
  });
  const transmitter = await RehearsedTransmitter.start(house.tls);
  let people = 0;
  const signIn: SignalHouse['signIn'] = (caller, { connectionId, memberId, accountId }, session) =>
    house.deps.tenant.transaction(caller.tenant, async (tx) => {
      const provider = {
        connectionId,
        accountId,
        session: session === undefined ? null : providerHash('session', session),
        subject: null,
        endsAtMs: undefined,
      };
      return (await openSession(house.deps, tx, { memberId, door: 'edge', method: 'sso', provider })).token;
    });
  return {
    house,
    deps,
    transmitter,
    async connect(caller, name) {
      const id = await connections.createConnection(house.deps, by(caller), { kind: 'oidc', profile: 'other', name });
      const justInTime = { allowed: true, roleWithoutGroup: 'auditor' as const };
      const values = { ...oidc, issuer: transmitter.issuer };
      await connections.changeSettings(house.deps, by(caller), { id, version: 1, name, justInTime, values });
      const startedBy = { personId: caller.personId, sessionId: caller.sessionId };
      await recordAttempt(house.deps, caller.tenant, { connectionId: id, purpose: 'test', version: 2, startedBy });
      await connections.turnConnection(house.deps, by(caller), { id, to: 'active' });
      return id;
    },
    async stream(caller, connectionId, more = {}) {
      const { id, authorization } = await beginStream(deps, by(caller), { connectionId, delivery: 'push' });
      const audience = more.audience ?? `https://receiver.test/${id}`;
      const given: ByHand = {
        issuer: transmitter.issuer,
        audience,
        streamId: `there-${id}`,
        jwksUri: transmitter.jwksUri,
        algorithm: 'RS256',
        opaqueSubjects: false,
        pollUrl: null,
        authorization: null,
        ...more,
      };
      await setUpByHand(deps, by(caller), { connectionId, streamId: id, given });
      return { id, connectionId, address: pushAddress(deps, id), authorization: authorization!, audience };
    },
    async hire(caller, connectionId, { session } = {}) {
      people += 1;
      const subject = `subject-${people}`;
      const newcomer = {
        connectionId,
        subject,
        shown: `Person No ${people}`,
        role: undefined,
        newRole: 'auditor',
        tenantKind: caller.tenantKind,
      } as const;
      const { memberId, accountId } = await house.deps.tenant.transaction(caller.tenant, (tx) =>
        arrive(house.deps, tx, newcomer),
      );
      const known = { connectionId, memberId, accountId, subject, cookie: '' };
      return { ...known, cookie: await signIn(caller, known, session) };
    },
    signIn,
    async isIn(cookie) {
      const requestId = uuidV4(systemRandom);
      return (await findSession(house.deps, cookie, { door: 'edge', requestId })) !== undefined;
    },
    async stop() {
      transmitter.stop();
      await house.stop();
    },
  };
}
