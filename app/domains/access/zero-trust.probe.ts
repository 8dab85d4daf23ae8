import type { ServiceName } from '@auditrax/base';
import {
  PROBE_SECONDS_MINUTES,
  type Probe,
  type ProbeHouse,
  type ServiceReply,
  type TokenFault,
} from '../../claims/probe.ts';
import { checks, verdict, type Checks } from '../../claims/verdict.ts';

const INNER: readonly ServiceName[] = ['gateway', 'issuer', 'workspace', 'keys', 'ledger', 'signer', 'sentinel'];

/** Routes that a process other than the sentinel may call, one a service. */
const OTHERS_ROUTES: readonly {
  readonly service: ServiceName;
  readonly method: string;
  readonly path: string;
  readonly body?: object;
}[] = [
  { service: 'issuer', method: 'POST', path: '/internal/identity/token', body: {} },
  { service: 'workspace', method: 'GET', path: '/api/engagements' },
  { service: 'keys', method: 'POST', path: '/internal/keys/unwrap', body: {} },
  { service: 'signer', method: 'POST', path: '/internal/signer/checkpoint', body: {} },
];

const WRONG_TOKENS: readonly TokenFault[] = [
  'none',
  'expired',
  'other-audience',
  'other-presenter',
  'foreign-key',
  'tampered',
];

/** Never to be reached from outside. */
const INNER_PATHS = ['/internal/keys/describe', '/internal/drills/knock', '/internal/published'];

function told(reply: ServiceReply): string {
  return reply.kind === 'answered' ? `answered ${reply.status} ${reply.code ?? ''}`.trim() : reply.kind;
}

async function tryCertificates(house: ProbeHouse, service: ServiceName, done: Checks): Promise<void> {
  const own = await house.service(service, { method: 'GET', path: '/healthz', credential: 'own' });
  done.expect(own.status === 200, `${service} did not answer a process of the house (${told(own)}).`);
  for (const credential of ['none', 'stranger'] as const) {
    const reply = await house.service(service, { method: 'GET', path: '/healthz', credential });
    const who = credential === 'none' ? 'no certificate' : 'a stranger’s certificate';
    done.expect(reply.kind === 'refused', `${service} ${told(reply)} to a caller with ${who}.`);
  }
}

async function tryPeer(house: ProbeHouse, route: (typeof OTHERS_ROUTES)[number], done: Checks): Promise<void> {
  const { service, method, path, body } = route;
  const request = { method, path, credential: 'own', ...(body === undefined ? {} : { body: {} }) } as const;
  const reply = await house.service(service, request);
  const refused = reply.status === 403 && reply.code === 'peer_refused';
  done.expect(refused, `${service} let a process call a route of another one (${told(reply)}).`);
}

type TokenService = 'workspace' | 'issuer';

/** A route that asks for more than reading, and does nothing: a right token of the lower class is wrong there. */
async function tryClass(house: ProbeHouse, service: TokenService, done: Checks): Promise<void> {
  const request = { method: 'POST', path: '/internal/drills/knock-to-write', credential: 'own' } as const;
  const right = await house.service(service, { ...request, token: 'valid' });
  done.expect(right.status === 200, `${service} did not take a right token for writing (${told(right)}).`);
  const tryOne = async (token: TokenFault): Promise<void> => {
    const reply = await house.service(service, { ...request, token });
    done.expect(
      reply.status === 401,
      `${service} ${told(reply)} on a route for writing with a token that is ${token}.`,
    );
  };
  await Promise.all((['none', 'lower-class'] as const).map(tryOne));
}

async function tryTokens(house: ProbeHouse, service: TokenService, done: Checks): Promise<void> {
  const knock = '/internal/drills/knock';
  const path = service === 'issuer' ? knock : `${knock}/${house.canaries.a.ids['eng']}`;
  const right = await house.service(service, { method: 'GET', path, credential: 'own', token: 'valid' });
  done.expect(right.status === 200, `${service} did not take a right token (${told(right)}).`);
  const tryOne = async (token: TokenFault): Promise<void> => {
    const reply = await house.service(service, { method: 'GET', path, credential: 'own', token });
    done.expect(reply.status === 401, `${service} ${told(reply)} with a token that is ${token}.`);
  };
  await Promise.all(WRONG_TOKENS.map(tryOne));
  if (service === 'issuer') return; // its knock names no row, and to its own tenant a token of the other canary is right
  const other = await house.service(service, { method: 'GET', path, credential: 'own', token: 'other-tenant' });
  const hidden = other.status === 404 && other.code === 'not_found';
  done.expect(hidden, `${service} ${told(other)} to another tenant’s token for this tenant’s row.`);
}

async function tryEdge(house: ProbeHouse, done: Checks): Promise<number> {
  const closed = house.routes.filter((route) => !route.isPublic);
  const tryRoute = async ({ method, path }: { method: string; path: string }): Promise<void> => {
    const reply = await house.fetch(path.replaceAll(/:[A-Za-z]+/g, 'none'), { method });
    done.expect(reply.status === 401 || reply.status === 404, `${method} ${path} answered ${reply.status} to nobody.`);
  };
  const tryInner = async (path: string): Promise<void> => {
    done.expect((await house.fetch(path)).status === 404, `${path} is reachable from outside.`);
  };
  await Promise.all([...closed.map(tryRoute), ...INNER_PATHS.map(tryInner)]);
  return closed.length;
}

/** Knocks at every service with what should not be let in, and once with what should. */
export const zeroTrustProbe: Probe = {
  id: 'access.zero-trust',
  claims: ['access.zero-trust'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    const [routes] = await Promise.all([
      tryEdge(house, done),
      ...INNER.map((service) => tryCertificates(house, service, done)),
      ...OTHERS_ROUTES.map((route) => tryPeer(house, route, done)),
      tryTokens(house, 'workspace', done),
      tryTokens(house, 'issuer', done),
      tryClass(house, 'workspace', done),
      tryClass(house, 'issuer', done),
    ]);
    const separation =
      house.separation === 'users'
        ? ''
        : ' The processes share one user of this machine here, so their separation from each other on disk is asserted.';
    return verdict(done, {
      green: `${INNER.length} services refused callers without a certificate and with a stranger’s; routes of others were refused, and so were ${WRONG_TOKENS.length} kinds of wrong token, one made for reading where more was asked, and another tenant’s right one; ${routes} routes of the edge gave nothing without a session.${separation}`,
      evidence: { services: [...INNER], tokens: [...WRONG_TOKENS, 'lower-class', 'other-tenant'], routes },
    });
  },
};
