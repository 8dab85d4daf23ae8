import { randomUUID } from 'node:crypto';
import { AppError, type Clock, type Random, type RouteContract, type ServiceName, type Uuid } from '@auditrax/base';
import { formatId, parseId, type IdKeys } from '@auditrax/tenancy/ids';
import type {
  AnyCanaryName,
  CanaryName,
  CanaryProgram,
  CanaryRole,
  CanarySession,
  CanaryTenant,
  DrillOutcome,
  InnerRoute,
  PasskeyPerson,
  ReviewDrill,
  ProbeHouse,
  Whereabouts,
} from '../claims/probe.ts';
import type { Observation } from '../claims/grade.ts';
import { canaryRoutes as programRoutes } from '../domains/authorisation-server/canary-contract.ts';
import { routes as drillContract, type DrillName } from '../domains/drills/index.ts';
import { canaryRoutes } from '../domains/identity/contract.ts';
import { canaryRoutes as ssoCanaryRoutes } from '../domains/sso/contract.ts';
import { canaryRoutes as reviewRoutes } from '../domains/access-reviews/canary-contract.ts';
import { createSoftwareAuthenticator, type SoftwareAuthenticator } from './software-authenticator.ts';
import { makeProviderKeys, startRehearsedProvider } from '../rehearsal/index.ts';
import { WALL_ATTEMPTS_PER_SESSION_MAX } from '../platform/audit/index.ts';
import type { InternalClient } from '../platform/http/client.ts';
import type { HouseInventory } from '../platform/supervisor/messages.ts';
import { newKey } from './leaver-program.ts';
import { createDialControl, dial, plaintext } from './dial.ts';
import type { EdgeClient } from './edge-client.ts';
import type { LogReader } from './log-key.ts';
import type { rehearsals } from './rehearse.ts';
import type { KnockAtService } from './service-door.ts';
import { canConnect, knockAtDatabase } from './unix-doors.ts';
import { houseListeners, houseSockets, type Declarations } from './sockets.ts';
import type { Watch } from './watch.ts';

/** A canary session is opened anew well before it ends (an hour) or idles out (half of one). */
const SESSION_MS_MAX = 15 * 60_000;
/** A canary is worth no more attempts than anybody: its session is left before they are used up. */
const ATTEMPTS_USED_MAX = WALL_ATTEMPTS_PER_SESSION_MAX - 2;
/** What a probe may make of them with the session it is handed; the most that one makes is nine. */
const ATTEMPTS_OF_A_PROBE = 10;

export interface HouseParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly edge: EdgeClient;
  readonly client: InternalClient;
  readonly idKeys: IdKeys;
  readonly routes: readonly RouteContract[];
  readonly service: KnockAtService;
  readonly watch: Watch;
  readonly log: LogReader;
  /** `users`: a uid belongs to one process of the house and to nobody else. */
  readonly separation: 'users' | 'passwords';
  readonly peerIdentity: ProbeHouse['peerIdentity'];
  readonly inventory: () => Promise<HouseInventory>;
  readonly declarations: () => Omit<Declarations, 'playedPorts'>;
  readonly innerRoutes: readonly InnerRoute[];
  readonly observations: (probeId: string) => Promise<readonly Observation[]>;
  readonly attempt: ProbeHouse['attempt'];
  readonly recentAttempts: ProbeHouse['recentAttempts'];
  readonly departures: ProbeHouse['departures'];
  /** Where the transmitter of somebody who leaves is played just now. */
  readonly playedPorts: () => readonly number[];
  readonly pageKey: string;
  readonly rehearse: ReturnType<typeof rehearsals>;
  readonly whereabouts: (tenantId: Uuid) => Promise<Whereabouts>;
}

/** Those with a place of their own are there once they were seeded and their rows were planted. */
export type Canaries = Readonly<Record<CanaryName, CanaryTenant>> &
  Readonly<Partial<Record<AnyCanaryName, CanaryTenant>>>;

/** The value of the session cookie that a reply sets; undefined when it sets none. */
export function sessionCookieOf(setCookie: string | undefined): string | undefined {
  return /^__Host-auditrax=([A-Za-z0-9_-]{16,});/m.exec(setCookie ?? '')?.[0].slice(0, -1);
}

export interface CanarySessions {
  /** `attempts`: how many the caller is going to make with it on another tenant's data. */
  (slug: string, role: CanaryRole, attempts?: number): Promise<CanarySession>;
  /**
   * The next use opens anew. Probes sign the same persons in as well, and a person's oldest session is closed when there
   * are too many: whoever asks for proofs often would be shown a house that is red for want of a session.
   */
  renew(): void;
}

/** Sessions of canary persons by the issuer's internal door, one per person at a time. */
export function canarySessions(client: InternalClient, clock: Clock): CanarySessions {
  const open = new Map<string, { session: Promise<CanarySession>; until_ms: number; used: number }>();
  const make = async (tenant: string, role: CanaryRole): Promise<CanarySession> => {
    const { body } = await client.call(canaryRoutes.canarySession, {
      requestId: randomUUID(),
      body: { tenant, role, door: 'edge' },
    });
    return { personId: body.personId as Uuid, cookie: `__Host-auditrax=${body.cookie}` };
  };
  const session = (slug: string, role: CanaryRole, attempts = 0): Promise<CanarySession> => {
    const name = `${slug} ${role}`;
    const known = open.get(name);
    if (known !== undefined && known.until_ms > clock.nowMs() && known.used + attempts <= ATTEMPTS_USED_MAX) {
      known.used += attempts;
      return known.session;
    }
    const made = make(slug, role);
    open.set(name, { session: made, until_ms: clock.nowMs() + SESSION_MS_MAX, used: attempts });
    made.catch(() => open.delete(name));
    return made;
  };
  return Object.assign(session, { renew: () => open.clear() });
}

async function postOk<T>(
  { edge, source }: { edge: EdgeClient; source: number },
  path: string,
  json: object,
): Promise<{ body: T; setCookie: string | undefined }> {
  const reply = await edge.fetch(path, { method: 'POST', json: json as never, source });
  if (reply.status !== 200) throw new AppError('enrolment_failed', `${path}: ${reply.status} ${reply.problem() ?? ''}`);
  return { body: reply.json() as T, setCookie: reply.headers['set-cookie'] };
}

/** The real ceremony, through the edge, with an authenticator in software. */
async function enrolWith(
  from: { readonly edge: EdgeClient; readonly source: number },
  link: { readonly token: string; readonly personId: string },
): Promise<PasskeyPerson> {
  const { token } = link;
  const authenticator = createSoftwareAuthenticator({ origin: from.edge.origin });
  const begun = await postOk<{ challengeId: string; options: never }>(from, '/api/identity/enrolment/options', {
    token,
  });
  const response = authenticator.register(begun.body.options);
  const done = await postOk(from, '/api/identity/enrolment', { token, challengeId: begun.body.challengeId, response });
  const cookie = sessionCookieOf(done.setCookie);
  if (cookie === undefined) throw new AppError('enrolment_failed', 'the enrolment opened no session');
  const person = { authenticator, cookie, personId: link.personId as Uuid };
  return { ...person, addPasskey: () => addPasskey(from, person) };
}

/** A canary person, by a link that the issuer gives for them. */
async function enrolPerson(
  { edge, client }: HouseParts,
  { tenant, role, source }: { tenant: string; role: CanaryRole; source: number },
): Promise<PasskeyPerson> {
  const { body: link } = await client.call(canaryRoutes.canaryEnrolment, {
    requestId: randomUUID(),
    body: { tenant, role, door: 'edge' },
  });
  return enrolWith({ edge, source }, link);
}

/** As a client of its own: its ceremonies use up nobody else's share. */
const REVIEW_SOURCE = 210;

function reviewDrill({ edge, client, idKeys }: HouseParts, canary: CanaryTenant): ReviewDrill {
  const tenant = canary.slug;
  const from = { edge, source: REVIEW_SOURCE };
  return {
    async people() {
      const { body } = await client.call(reviewRoutes.people, { requestId: randomUUID(), body: { tenant } });
      const enrolled = new Map<string, PasskeyPerson>();
      for (const { name, ...link } of body.people) enrolled.set(name, await enrolWith(from, link));
      const of = (name: string) => enrolled.get(name)!;
      return { reviewer: of('reviewer'), second: of('second'), undecided: of('undecided'), removed: of('removed') };
    },
    async open(seconds) {
      const { body } = await client.call(reviewRoutes.open, { requestId: randomUUID(), body: { tenant, seconds } });
      return formatId('arv', canary.context, body.reviewId as Uuid, idKeys);
    },
    async tend() {
      await client.call(reviewRoutes.tend, { requestId: randomUUID(), body: { tenant } });
    },
    async standing() {
      return (await client.call(reviewRoutes.standing, { requestId: randomUUID(), body: {} })).body;
    },
  };
}

/** A further passkey of somebody who has just enrolled, by the same ceremony as anybody's. */
async function addPasskey(
  { edge, source }: { edge: EdgeClient; source: number },
  { authenticator, cookie }: Pick<PasskeyPerson, 'cookie'> & { authenticator: SoftwareAuthenticator },
): Promise<void> {
  const post = async (path: string, json: object | undefined) => {
    const reply = await edge.fetch(path, {
      method: 'POST',
      source,
      cookie,
      ...(json === undefined ? {} : { json: json as never }),
    });
    if (reply.status !== 200)
      throw new AppError('enrolment_failed', `${path}: ${reply.status} ${reply.problem() ?? ''}`);
    return reply.json() as { challengeId: string; options: never };
  };
  const { challengeId, options } = await post('/api/identity/passkey/options', undefined);
  await post('/api/identity/passkey', { challengeId, response: authenticator.register(options) });
}

/** One for the life of this process: with another the program and its agent are registered anew. */
let agentKey: ReturnType<typeof newKey> | undefined;

/** A program of a canary and its agent, registered by the issuer's internal door for this process's key. */
async function canaryProgramOf(client: InternalClient, tenant: string): Promise<CanaryProgram> {
  const key = await (agentKey ??= newKey());
  const { x, y } = key as { x: string; y: string };
  const body = { tenant, agentKey: { kty: 'EC', crv: 'P-256', x, y } } as const;
  const { body: made } = await client.call(programRoutes.client, { requestId: randomUUID(), body });
  const { organisation, clientId, redirectUri, agentId } = made;
  if (agentId === null) throw new AppError('canaries_missing', 'the canary has no agent');
  return { organisation: organisation as Uuid, clientId, redirectUri, agentId, agentKey: { ...key } };
}

function canaryOf(canaries: Canaries, name: AnyCanaryName): CanaryTenant {
  const found: CanaryTenant | undefined = canaries[name];
  if (found === undefined) throw new AppError('canaries_missing', `there is no canary ${name}`);
  return found;
}

/** Ports of stand-ins that are open now: not the house's sockets, each there for the length of one probe. */
interface PlayedPorts {
  readonly ports: ReadonlySet<number>;
  readonly play: ProbeHouse['identityProvider'];
}

function identityProviders(parts: HouseParts, tenant: string): PlayedPorts {
  const { clock, random, client } = parts;
  const ports = new Set<number>();
  // Begun long before a probe wants them; whoever waits for them in vain is told why.
  const keys = makeProviderKeys(clock);
  keys.catch(() => undefined);
  const play: PlayedPorts['play'] = async (kind, work) => {
    const provider = await startRehearsedProvider(await keys, { clock, random });
    ports.add(provider.port);
    try {
      const { origin, authority, plans } = provider;
      const body = { tenant, connections: [...plans[kind]], standIn: { origin, authority } };
      const call = { requestId: randomUUID(), body };
      return await work(provider, (await client.call(ssoCanaryRoutes.canaryConnections, call)).body.connections);
    } finally {
      await provider.close();
      ports.delete(provider.port);
    }
  };
  return { ports, play };
}

/** What the house listens at, and knocking there. `own`: ports of listeners of the prober's own, as they are now. */
function doorsOf(parts: HouseParts, own: () => readonly number[]) {
  const played = (): number[] => [...own(), ...parts.playedPorts(), ...parts.rehearse.ports()];
  /** What was played when the question was asked, and what is when the answer is here. */
  const look = async (): Promise<[HouseInventory, Declarations]> => {
    const before = played();
    const inventory = await parts.inventory();
    return [inventory, { ...parts.declarations(), playedPorts: new Set([...before, ...played()]) }];
  };
  const listeners: ProbeHouse['listeners'] = async () => {
    const [inventory, declarations] = await look();
    const { processes, unread, leftOut } = inventory;
    return { listeners: houseListeners(inventory, declarations), processes, unread, leftOut: leftOut.length };
  };
  return {
    sockets: async () => houseSockets(...(await look())),
    listeners,
    knockAtDatabase,
    canConnect,
    innerRoutes: parts.innerRoutes,
  };
}

/** Whom of the canaries a probe may be. */
function whoActs(
  parts: HouseParts,
  slug: (name: AnyCanaryName) => string,
  sessions: CanarySessions,
): Pick<ProbeHouse, 'session' | 'enrol' | 'program'> {
  return {
    session: (tenant, role) => sessions(slug(tenant), role, ATTEMPTS_OF_A_PROBE),
    enrol: (tenant, role, source = 0) => enrolPerson(parts, { tenant: slug(tenant), role, source }),
    program: () => canaryProgramOf(parts.client, slug('a')),
  };
}

/** Everything that the probes may touch, against the running house. */
export function createProbeHouse(
  parts: HouseParts,
  canaries: Canaries,
  sessions: ReturnType<typeof canarySessions>,
): ProbeHouse {
  const { clock, random, edge, client, idKeys, watch, separation, peerIdentity } = parts;
  const canary: ProbeHouse['canary'] = (name) => canaryOf(canaries, name);
  const slug = (name: AnyCanaryName): string => canary(name).slug;
  const control = createDialControl(clock);
  const played = identityProviders(parts, slug('a'));
  const drill: ProbeHouse['drill'] = async (name, { tenant, rowId }): Promise<DrillOutcome> => {
    const requestId = randomUUID();
    const { body } = await client.call(drillContract.run, {
      requestId,
      body: {
        name: name as DrillName, // an unknown one is refused by the contract
        tenant: slug(tenant),
        other: slug(tenant === 'a' ? 'b' : 'a'),
        ...(rowId === undefined ? {} : { rowId }),
      },
    });
    return { ...body, requestId };
  };
  const keySource: ProbeHouse['keySource'] = async (step, source): Promise<DrillOutcome> => {
    const requestId = randomUUID();
    const body = { tenant: slug('b'), step, ...(source === undefined ? {} : { source }) };
    return { ...(await client.call(drillContract.keySource, { requestId, body })).body, requestId };
  };
  return {
    clock,
    random,
    separation,
    peerIdentity,
    origin: edge.origin,
    fetch: edge.fetch,
    dial,
    dialControl: control.dial,
    outwards: control.outwards,
    plaintext,
    ...doorsOf(parts, () => [...control.ports, ...played.ports]),
    routes: parts.routes.map(({ method, path, access }) => ({ method, path, isPublic: access.kind === 'public' })),
    canaries,
    canary,
    whereabouts: (name) => parts.whereabouts(canary(name).context.tenantId),
    ...whoActs(parts, slug, sessions),
    idOf: (kind, tenant, uuid) => formatId(kind, canaries[tenant].context, uuid, idKeys),
    uuidOf: (kind, tenant, id) => {
      const parsed = parseId(kind, id, canary(tenant).context, idKeys);
      if (!parsed.ok) throw new AppError('id_not_of_canary', `an id of ${kind} is ${parsed.reason}`);
      return parsed.uuid;
    },
    service: (destination: ServiceName, request) => parts.service(destination, request),
    drill,
    accessReviews: reviewDrill(parts, canaries.a),
    noticed: watch.noticed,
    attempt: parts.attempt,
    recentAttempts: parts.recentAttempts,
    detectionTimes: watch.detectionTimes,
    departures: parts.departures,
    logProof: (tenantId, entryId) => parts.log.prove(tenantId, entryId),
    observations: parts.observations,
    pageKey: parts.pageKey,
    rehearse: parts.rehearse,
    identityProvider: played.play,
    keySource,
  };
}
