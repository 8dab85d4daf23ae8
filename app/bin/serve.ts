import type { IdKeys } from '@auditrax/tenancy/ids';
import { createAttemptCounter, type AttemptCounter } from '../platform/http/attempt-counter.ts';
import type { RecordAttempt } from '../platform/http/attempts.ts';
import type { RoomRoutes } from '../platform/http/handler.ts';
import type { RoutePolicy } from '../platform/http/policy-gate.ts';
import type { ProblemTable } from '../platform/http/problems.ts';
import type { Finding } from '../platform/http/readiness.ts';
import { startService, type RunningService, type ServiceOptions } from '../platform/http/service.ts';
import type { StepUpVerifier } from '../platform/http/step-up.ts';
import { AppError, type ServiceName } from '@auditrax/base';
import { peerNames } from '@auditrax/workload';
import { noIdKeys, type Floor } from './floor.ts';
import { readPeerSetting, sidecarSocket } from './peer-setting.ts';

/** What a process adds to the common floor. The inner services need none of the optional parts. */
export interface Served {
  readonly rooms: readonly RoomRoutes[];
  readonly problems: readonly ProblemTable[];
  readonly readiness?: () => Promise<readonly Finding[]>;
  readonly tagKeys?: IdKeys;
  readonly policy?: RoutePolicy;
  readonly onAttempt?: RecordAttempt;
  readonly stepUp?: StepUpVerifier;
  /** The edge counts in the same place. */
  readonly counter?: AttemptCounter;
}

/** A service without people's routes: a policy that knows no operation refuses to start with one. */
const NO_POLICY: RoutePolicy = { allows: () => false, has: () => false };

function unexpected(what: string): () => Promise<never> {
  return () => Promise.reject(new AppError('not_served_here', `${what} has no place in this process`));
}

/** Not a fault of ours: it is told, so that nobody wonders why a receiver hears nothing. */
function egressFinding({ egress }: Floor): Finding {
  const refused = egress.refused();
  return { check: 'egress-tls', ok: true, detail: `${refused} peers without TLS 1.3 refused since the start` };
}

/** The door of this process's proxy, where the operator has put it into a mesh. */
function sidecarOf({ member }: Floor, name: ServiceName): Pick<ServiceOptions, 'sidecar'> {
  const told = readPeerSetting(member.boot.options);
  if (told.kind === 'own' || told.kind === 'spiffe') return {};
  return { sidecar: { mesh: told.kind, names: peerNames(told.names), path: sidecarSocket(told.folder, name) } };
}

/** Starts the mTLS service of a process and tells the supervisor its port; draining runs `beforeClose`, closes it, then runs `release`. */
export async function serve(
  floor: Floor,
  name: ServiceName,
  parts: Served & { readonly beforeClose?: () => Promise<void>; readonly release?: () => Promise<void> },
): Promise<RunningService> {
  const service = await startService({
    name,
    clock: floor.clock,
    log: floor.log,
    identity: floor.identity,
    tokenVerifier: floor.tokenVerifier,
    tagKeys: parts.tagKeys ?? noIdKeys(floor.random),
    policy: parts.policy ?? NO_POLICY,
    rooms: parts.rooms,
    problems: parts.problems,
    readiness: async () => [...((await parts.readiness?.()) ?? []), egressFinding(floor)],
    onAttempt: parts.onAttempt ?? unexpected('an attempt'),
    stepUp: parts.stepUp ?? unexpected('a step-up'),
    counter: parts.counter ?? createAttemptCounter(),
    ...sidecarOf(floor, name),
  });
  floor.member.onAsk('findings', async () => (await service.findings()).map((finding) => ({ ...finding })));
  floor.member.onDrain(async () => {
    await parts.beforeClose?.();
    await service.drain();
    await parts.release?.();
    await floor.pools.close();
    floor.identity.close();
  });
  floor.member.ready(service.port);
  return service;
}
