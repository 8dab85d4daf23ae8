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

function told(reply: ServiceReply): string {
  return reply.kind === 'answered' ? `answered ${reply.status} ${reply.code ?? ''}`.trim() : reply.kind;
}

async function tryCertificates(house: ProbeHouse, done: Checks): Promise<void> {
  for (const service of INNER) {
    const own = await house.service(service, { method: 'GET', path: '/healthz', credential: 'own' });
    done.expect(own.status === 200, `${service} did not answer a process of the house (${told(own)}).`);
    for (const credential of ['none', 'stranger'] as const) {
      const reply = await house.service(service, { method: 'GET', path: '/healthz', credential });
      const who = credential === 'none' ? 'no certificate' : 'a stranger’s certificate';
      done.expect(reply.kind === 'refused', `${service} ${told(reply)} to a caller with ${who}.`);
    }
  }
}

async function tryPeers(house: ProbeHouse, done: Checks): Promise<void> {
  for (const { service, method, path, body } of OTHERS_ROUTES) {
    const reply = await house.service(service, {
      method,
      path,
      credential: 'own',
      ...(body === undefined ? {} : { body: {} }),
    });
    done.expect(
      reply.status === 403 && reply.code === 'peer_refused',
      `${service} let a process call a route of another one (${told(reply)}).`,
    );
  }
}

async function tryTokens(house: ProbeHouse, done: Checks): Promise<void> {
  const doors = [
    { service: 'workspace', path: `/internal/drills/knock/${house.canaries.a.ids['eng']}` },
    { service: 'issuer', path: '/internal/drills/knock' },
  ] as const;
  for (const { service, path } of doors) {
    const right = await house.service(service, { method: 'GET', path, credential: 'own', token: 'valid' });
    done.expect(right.status === 200, `${service} did not take a right token (${told(right)}).`);
    for (const token of WRONG_TOKENS) {
      const reply = await house.service(service, { method: 'GET', path, credential: 'own', token });
      done.expect(reply.status === 401, `${service} ${told(reply)} with a token that is ${token}.`);
    }
  }
}

async function tryEdge(house: ProbeHouse, done: Checks): Promise<number> {
  const closed = house.routes.filter((route) => !route.isPublic);
  for (const { method, path } of closed) {
    const concrete = path.replaceAll(/:[A-Za-z]+/g, 'none');
    const reply = await house.fetch(concrete, { method });
    done.expect(reply.status === 401 || reply.status === 404, `${method} ${path} answered ${reply.status} to nobody.`);
  }
  for (const path of ['/internal/keys/describe', '/internal/drills/knock', '/internal/published']) {
    const reply = await house.fetch(path);
    done.expect(reply.status === 404, `${path} is reachable from outside.`);
  }
  return closed.length;
}

/** Knocks at every service with what should not be let in, and once with what should. */
export const zeroTrustProbe: Probe = {
  id: 'access.zero-trust',
  claims: ['access.zero-trust'],
  everySeconds: PROBE_SECONDS_MINUTES,
  async run(house) {
    const done = checks();
    const [, , , routes] = await Promise.all([
      tryCertificates(house, done),
      tryPeers(house, done),
      tryTokens(house, done),
      tryEdge(house, done),
    ]);
    const separation =
      house.separation === 'users'
        ? ''
        : ' The processes share one user of this machine here, so their separation from each other on disk is asserted.';
    return verdict(done, {
      green: `${INNER.length} services refused callers without a certificate and with a stranger’s; routes of others were refused, and so were ${WRONG_TOKENS.length} kinds of wrong token; ${routes} routes of the edge gave nothing without a session.${separation}`,
      evidence: { services: [...INNER], tokens: [...WRONG_TOKENS], routes },
    });
  },
};
