import { AppError, type ServiceName } from '@auditrax/base';
import {
  PROBE_SECONDS_MINUTES,
  type HouseListener,
  type HouseListeners,
  type Probe,
  type ProbeHouse,
  type ProbeRequest,
  type ServiceReply,
  type ServiceRequest,
  type TokenFault,
} from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';
import { LOGIN_ROLES } from '../../platform/db/roles.ts';
import { COUNTED_PATH } from '../../platform/http/attempt-counter.ts';

/**
 * What nobody has declared is looked for this often, this far apart: a process that is just coming up, or a stand-in that
 * is just being played, has declared itself by the last look.
 */
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 400;
/** Seven processes, each with its own: with fewer, somebody's has not been looked at. */
const SERVICES_MIN = 7;

const HEALTH = ['/healthz', '/readyz'] as const;

const WRONG_TOKENS: readonly TokenFault[] = [
  'none',
  'expired',
  'other-audience',
  'other-presenter',
  'foreign-key',
  'tampered',
];

/** In words, as the page tells it. */
const CERTIFICATES = {
  none: 'no certificate',
  stranger: 'a certificate of another authority',
  expired: 'an expired certificate',
  nobody: 'a certificate in a name that no process has',
} as const;

/** Of the database: its superusers' customary names, and everybody's role but the sentinel's. */
const OTHERS_ROLES = ['postgres', 'ax_super', ...LOGIN_ROLES.filter((role) => role !== 'ax_sentinel')];
const OWN_ROLE = 'ax_sentinel';

/** No route of any contract: what a scanner tries, and what the processes have for each other. */
const UNROUTED = [
  '/internal',
  COUNTED_PATH,
  '/metrics',
  '/debug/pprof',
  '/.env',
  '/api',
  '/api/none',
  '/api/../internal',
];

/** As a client of its own: hundreds of questions at once use up nobody else's share of the edge's limits. */
const SOURCE = 160;
/** At paths that have another one. */
const METHODS = ['DELETE', 'PATCH', 'PUT', 'OPTIONS', 'TRACE'] as const;

function told(reply: ServiceReply): string {
  return reply.kind === 'answered' ? `answered ${reply.status} ${reply.code ?? ''}`.trim() : reply.kind;
}

function isPeerRefusal(reply: ServiceReply): boolean {
  return reply.kind === 'refused' || (reply.status === 403 && reply.code === 'peer_refused');
}

interface Survey extends HouseListeners {
  /** There at every look. */
  readonly undeclared: readonly HouseListener[];
  readonly services: readonly ServiceName[];
}

async function survey(house: ProbeHouse): Promise<Survey> {
  let seen = await house.listeners();
  let undeclared = seen.listeners.filter(({ use }) => use === undefined);
  for (let look = 1; look < LOOKS && undeclared.length > 0; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS));
    seen = await house.listeners();
    const still = new Set(seen.listeners.filter(({ use }) => use === undefined).map(({ id }) => id));
    undeclared = undeclared.filter(({ id }) => still.has(id));
  }
  const services = [...new Set(seen.listeners.flatMap(({ service }) => service ?? []))];
  return { ...seen, undeclared, services };
}

function nameOf({ kind, port, host }: HouseListener): string {
  if (kind !== 'unix') return `${kind.toUpperCase()} port ${port}`;
  return host.startsWith('@') ? 'a Unix socket without a path' : 'a Unix socket';
}

/** Throws where somebody who is right gets no answer: refusals would then say nothing. */
function insist(reply: ServiceReply, who: string): void {
  if (reply.status !== 200) throw new AppError('proper_caller_unanswered', `${who}: ${told(reply)}`);
}

type TokenService = 'workspace' | 'issuer';
const TOKEN_SERVICES: readonly TokenService[] = ['workspace', 'issuer'];

function knockOf(house: ProbeHouse, service: TokenService): ServiceRequest {
  const knock = '/internal/drills/knock';
  const path = service === 'issuer' ? knock : `${knock}/${house.canaries.a.ids['eng']}`;
  return { method: 'GET', path, credential: 'own' };
}

/** A route that asks for more than reading, and does nothing: a right token of the lower class is wrong there. */
const WRITING: ServiceRequest = { method: 'POST', path: '/internal/drills/knock-to-write', credential: 'own' };

/** Everybody who is right is let in, at every door that is tried afterwards. */
async function tryProper(house: ProbeHouse, services: readonly ServiceName[]): Promise<void> {
  const asProcess = services.map(async (service) => {
    insist(await house.service(service, { method: 'GET', path: '/healthz', credential: 'own' }), service);
  });
  const withToken = TOKEN_SERVICES.flatMap((service) =>
    [knockOf(house, service), WRITING].map(async (request) => {
      insist(await house.service(service, { ...request, token: 'valid' }), `${service} with a token`);
    }),
  );
  const atEdge = async (): Promise<void> => {
    const { cookie } = await house.session('a', 'lead');
    const { status } = await house.fetch('/api/engagements', { cookie });
    insist({ kind: 'answered', status }, 'the edge with a session');
  };
  await Promise.all([...asProcess, ...withToken, atEdge()]);
}

/** Each wrong certificate at what any process may ask, and at what one of them alone may. */
async function tryCertificates(house: ProbeHouse, service: ServiceName, done: Checks): Promise<void> {
  const routes = house.innerRoutes.filter((one) => one.service === service);
  const inner = routes.map(({ method, path }) => ({ method, path: plain(path) }));
  const doors = [...HEALTH, COUNTED_PATH].map((path) => ({ method: 'GET', path }));
  for (const [credential, who] of Object.entries(CERTIFICATES)) {
    // Who cannot end a handshake asks for no route; who can is refused by each of them.
    for (const door of [...doors, ...inner.slice(0, credential === 'nobody' ? inner.length : 1)]) {
      const reply = await house.service(service, { ...door, credential: credential as keyof typeof CERTIFICATES });
      // A right authority ends no handshake; then the answer must be that nobody of that name may ask.
      const isRefused = credential === 'nobody' ? isPeerRefusal(reply) : reply.kind === 'refused';
      done.expect(isRefused, `${service} ${told(reply)} to a caller with ${who}.`);
    }
  }
}

function plain(path: string): string {
  return path.replaceAll(/:[A-Za-z]+/g, 'none');
}

/**
 * A name in a header of a mesh's proxy, beside the own certificate and beside one of nobody: this is not the door of the
 * proxy, so the header says nothing, whether the house is in a mesh or not.
 */
async function tryForged(house: ProbeHouse, service: ServiceName, done: Checks): Promise<void> {
  const routes = house.innerRoutes.filter((one) => one.service === service);
  const tryOne = async (request: ServiceRequest): Promise<void> => {
    const reply = await house.service(service, request);
    done.expect(isPeerRefusal(reply), `${service} believed a header about who calls (${told(reply)}).`);
  };
  for (const { method, path, callers } of routes) {
    const [forging] = callers;
    if (forging === undefined || callers.includes('sentinel')) continue;
    await tryOne({ method, path: plain(path), credential: 'own', forging });
  }
  await tryOne({ method: 'GET', path: COUNTED_PATH, credential: 'nobody', forging: 'sentinel' });
}

/** What this process may not call, with its own right certificate: another process's name is the wrong one there. */
async function tryPeer(house: ProbeHouse, service: ServiceName, done: Checks): Promise<number> {
  const closed = house.innerRoutes.filter((one) => one.service === service && !one.callers.includes('sentinel'));
  const fromEdge = service === 'workspace' ? [{ method: 'GET', path: '/api/engagements' }] : [];
  for (const { method, path } of [...closed, ...fromEdge]) {
    const reply = await house.service(service, { method, path: plain(path), credential: 'own' });
    done.expect(isPeerRefusal(reply), `${service} let a process call a route of another one (${told(reply)}).`);
  }
  await tryForged(house, service, done);
  return closed.length;
}

async function tryTokens(house: ProbeHouse, service: TokenService, done: Checks): Promise<void> {
  const knock = knockOf(house, service);
  const tryOne = async (token: TokenFault): Promise<void> => {
    const reply = await house.service(service, { ...knock, token });
    done.expect(reply.status === 401, `${service} ${told(reply)} with a token that is ${token}.`);
  };
  const tryScope = async (token: TokenFault): Promise<void> => {
    const reply = await house.service(service, { ...WRITING, token });
    const where = 'on a route for writing with a token that is';
    done.expect(reply.status === 401, `${service} ${told(reply)} ${where} ${token}.`);
  };
  await Promise.all([...WRONG_TOKENS.map(tryOne), ...(['none', 'lower-class'] as const).map(tryScope)]);
  if (service === 'issuer') return; // its knock names no row, and to its own tenant a token of the other canary is right
  const other = await house.service(service, { ...knock, token: 'other-tenant' });
  const hidden = other.status === 404 && other.code === 'not_found';
  done.expect(hidden, `${service} ${told(other)} to another tenant’s token for this tenant’s row.`);
}

/** By the kernel or by a password the server knows who calls; a name alone opens nothing. */
async function tryDatabase(house: ProbeHouse, { host }: HouseListener, done: Checks): Promise<void> {
  const own = await house.knockAtDatabase(host, OWN_ROLE);
  const isSeen = house.separation === 'users' ? own === 'let-in' : own === 'asked';
  if (!isSeen && own !== 'refused') throw new AppError('proper_caller_unanswered', `a database: ${own}`);
  for (const role of OTHERS_ROLES) {
    const reply = await house.knockAtDatabase(host, role);
    const isRefused = reply === 'refused' || (reply === 'asked' && house.separation === 'passwords');
    done.expect(isRefused, `A database took the prober for ${role} (${reply}).`);
  }
}

/** What is no process’s service: databases, the alarm, the operator’s door. */
async function tryOthers(house: ProbeHouse, listener: HouseListener, done: Checks): Promise<void> {
  const { use, host, port } = listener;
  if (use === 'database') return tryDatabase(house, listener, done);
  if (use === 'alarm') {
    const heard = await house.plaintext({ host, port });
    done.expect(heard.startsWith('HTTP/1.1 401'), 'The alarm took a message that nobody had signed.');
  }
  if (use === 'sidecar' && !host.endsWith('/sentinel/peer.sock'))
    done.expect(!(await house.canConnect(host)), 'A process of the house reached the door of another one’s proxy.');
  // Where all share a user, the door is open to all of them, which the page says.
  if (use === 'control' && house.separation === 'users')
    done.expect(!(await house.canConnect(host)), 'The operator’s door opened to a process of the house.');
}

type Door = Pick<ProbeRequest, 'door'>;

/** Methods that a public route does not have; a page answers HEAD as GET. */
function otherMethods(house: ProbeHouse): { method: string; path: string }[] {
  const has = Map.groupBy(house.routes, ({ path }) => path);
  return [...has].flatMap(([path, routes]) =>
    routes.some(({ isPublic }) => isPublic)
      ? METHODS.filter((method) => routes.every((one) => one.method !== method)).map((method) => ({ method, path }))
      : [],
  );
}

/** Nobody, at a door to the outside: only the public routes answer, each by its own methods. */
async function tryEdge(house: ProbeHouse, at: Door, done: Checks): Promise<number> {
  const where = at.door === undefined ? '' : ' at the try-out listener';
  const closed = [...house.routes.filter((route) => !route.isPublic), ...otherMethods(house)];
  const tryRoute = async ({ method, path }: { method: string; path: string }): Promise<void> => {
    const { status } = await house.fetch(plain(path), { method, source: SOURCE, ...at });
    done.expect(status === 401 || status === 404, `${method} ${path} answered ${status} to nobody${where}.`);
  };
  const tryInner = async ({ method, path }: { method: string; path: string }): Promise<void> => {
    const { status } = await house.fetch(plain(path), { method, source: SOURCE, ...at });
    done.expect(status === 401 || status === 404, `${path} is reachable from outside${where} (${status}).`);
  };
  const unrouted = UNROUTED.map((path) => ({ method: 'GET', path }));
  await Promise.all([...closed.map(tryRoute), ...[...house.innerRoutes, ...unrouted].map(tryInner)]);
  return closed.length + house.innerRoutes.length + unrouted.length;
}

/** How peers are known in this house, and what of the others is therefore not seen. */
const PEERS: Readonly<Record<ProbeHouse['peerIdentity'], string>> = {
  own: 'Processes know each other by the house’s own authority here; SPIRE, Istio and Linkerd were not tried.',
  spiffe: 'Processes know each other by certificates of SPIRE here; Istio and Linkerd were not tried.',
  istio:
    'Processes know each other by the house’s own authority and by the header of Istio’s proxy here. The doors behind the proxies were tried by whoever is no proxy, the proxies themselves were not, nor were SPIRE and Linkerd.',
  linkerd:
    'Processes know each other by the house’s own authority and by the header of Linkerd’s proxy here. The doors behind the proxies were tried by whoever is no proxy, the proxies themselves were not, nor were SPIRE and Istio.',
};

function notes(house: ProbeHouse, { unread, leftOut }: Survey): string {
  const separation =
    house.separation === 'users'
      ? ''
      : ' The processes share one user of this machine here, so their separation from each other on disk is asserted.';
  const unseen =
    unread === 0
      ? ''
      : ` The kernel did not show the descriptors of ${unread} processes: what they listen at was told by its owner, and their Unix sockets are asserted.`;
  const omitted =
    leftOut === 0
      ? ''
      : ` ${leftOut} sockets under the same users, which may be another house’s on this machine, were left out.`;
  return `${separation}${unseen}${omitted} ${PEERS[house.peerIdentity]}`;
}

/**
 * Asks the kernel where every process of the house listens, knocks there with what should not be let in, and first with
 * what should.
 */
export const zeroTrustProbe: Probe = {
  id: 'access.zero-trust',
  claims: ['access.zero-trust'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    const found = await survey(house);
    const { listeners, services, undeclared, processes } = found;
    done.expect(services.length >= SERVICES_MIN, `Only ${services.length} processes were found to listen.`);
    for (const one of undeclared) done.expect(false, `A process listens at ${nameOf(one)}, which nobody has declared.`);
    await tryProper(house, services);
    const [routes, ...closed] = await Promise.all([
      tryEdge(house, {}, done),
      ...services.map((service) => tryPeer(house, service, done)),
      ...services.map((service) => tryCertificates(house, service, done).then(() => 0)),
      ...TOKEN_SERVICES.map((service) => tryTokens(house, service, done).then(() => 0)),
      ...listeners.map((listener) => tryOthers(house, listener, done).then(() => 0)),
    ]);
    // Afterwards: it is the same process, and counts whoever asks too much.
    if (listeners.some(({ use }) => use === 'try-out')) await tryEdge(house, { door: 'try-out' }, done);
    const others = closed.reduce((sum, count) => sum + count, 0);
    return verdict(done, {
      green: `${listeners.length} sockets are open in ${processes} processes of the house, each declared. ${services.length} services let a proper caller in and refused one with ${Object.values(CERTIFICATES).join(', ')}; ${others} routes of others were refused, also under a name forged in a mesh’s header, and so were ${WRONG_TOKENS.length} kinds of wrong token, one made for reading where more was asked, and another tenant’s right one; the database took the prober for nobody else; ${routes} routes gave nothing at the edge without a session.${notes(house, found)}`,
      evidence: {
        sockets: listeners.length,
        processes,
        services: services.toSorted(),
        certificates: Object.keys(CERTIFICATES),
        tokens: [...WRONG_TOKENS, 'lower-class', 'other-tenant'],
        routes,
        leftOut: found.leftOut,
        peers: house.peerIdentity,
      },
    });
  },
};
