import { manualClock } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import type { HouseListener, ProbeHouse, ServiceReply, ServiceRequest } from '../../claims/probe.ts';
import { zeroTrustProbe } from './zero-trust.probe.ts';

const SERVICES = ['gateway', 'issuer', 'workspace', 'keys', 'ledger', 'signer', 'sentinel'] as const;
const DATABASE = '/srv/house/postgres/socket/.s.PGSQL.5432';

const LISTENERS: readonly HouseListener[] = [
  ...SERVICES.map((service, at) => ({
    kind: 'tcp' as const,
    host: '127.0.0.1',
    port: 1000 + at,
    id: `s${at}`,
    loopbackOnly: true,
    use: 'service' as const,
    service,
  })),
  { kind: 'tcp', host: '127.0.0.1', port: 9000, id: 'alarm', loopbackOnly: true, use: 'alarm' },
  { kind: 'unix', host: DATABASE, port: 0, id: 'db', loopbackOnly: true, use: 'database' },
  { kind: 'unix', host: '/srv/house/supervisor/control', port: 0, id: 'control', loopbackOnly: true, use: 'control' },
];

/** A house that answers as it should. */
function rightAnswer({ path, credential, token }: ServiceRequest): ServiceReply {
  if (credential === 'nobody') return { kind: 'answered', status: 403, code: 'peer_refused' };
  if (credential !== 'own') return { kind: 'refused', reason: 'alert' };
  if (path === '/healthz') return { kind: 'answered', status: 200 };
  if (!path.startsWith('/internal/drills/')) return { kind: 'answered', status: 403, code: 'peer_refused' };
  if (token === 'valid') return { kind: 'answered', status: 200 };
  if (token === 'other-tenant') return { kind: 'answered', status: 404, code: 'not_found' };
  return { kind: 'answered', status: 401, code: 'token_refused' };
}

function houseThat(change: Partial<Record<keyof ProbeHouse, unknown>> = {}): ProbeHouse {
  const house = {
    clock: manualClock(0),
    separation: 'users',
    peerIdentity: 'own',
    listeners: async () => ({ listeners: LISTENERS, processes: 30, unread: 0, leftOut: 0 }),
    routes: [
      { method: 'GET', path: '/api/engagements', isPublic: false },
      { method: 'POST', path: '/api/identity/link', isPublic: true },
    ],
    innerRoutes: SERVICES.map((service) => ({
      service,
      method: 'POST',
      path: `/internal/${service}/do/:thing`,
      callers: ['issuer'],
    })),
    canaries: { a: { ids: { eng: 'eng_1' } } },
    session: async () => ({ cookie: 'session' }),
    fetch: async (path: string, request: { cookie?: string } = {}) => ({
      status: request.cookie === undefined ? (path.startsWith('/api') ? 401 : 404) : 200,
    }),
    service: async (_service: string, request: ServiceRequest) => rightAnswer(request),
    plaintext: async () => 'HTTP/1.1 401 Unauthorized',
    knockAtDatabase: async (_path: string, role: string) => (role === 'ax_sentinel' ? 'let-in' : 'refused'),
    canConnect: async () => false,
    ...change,
  };
  return house as unknown as ProbeHouse;
}

/** Answers wrongly where `where` holds. */
function lax(where: (service: string, request: ServiceRequest) => boolean, reply: ServiceReply) {
  return {
    service: async (service: string, request: ServiceRequest) =>
      where(service, request) ? reply : rightAnswer(request),
  };
}

function withListener(extra: HouseListener) {
  return { listeners: async () => ({ listeners: [...LISTENERS, extra], processes: 30, unread: 0, leftOut: 0 }) };
}

const OK: ServiceReply = { kind: 'answered', status: 200 };

describe('the prober of zero trust', () => {
  it('is green where everybody who is right is let in, and nobody else', async () => {
    const { state, detail } = await zeroTrustProbe.run(houseThat());
    expect(detail).toContain('10 sockets are open in 30 processes');
    expect(state).toBe('green');
  });

  it('says what it has not tried: sockets that may be another house’s, and other ways of knowing peers', async () => {
    const { detail } = await zeroTrustProbe.run(houseThat());
    expect(detail).toContain('SPIRE, Istio and Linkerd were not tried');
    expect(detail).not.toContain('left out');
    const listeners = async () => ({ listeners: LISTENERS, processes: 30, unread: 4, leftOut: 3 });
    const shared = await zeroTrustProbe.run(houseThat({ listeners, peerIdentity: 'istio' }));
    expect(shared.detail).toContain('3 sockets under the same users, which may be another house’s');
    expect(shared.detail).toContain('by the header of Istio’s proxy');
    expect(shared.detail).not.toContain('Istio and Linkerd were not tried');
    expect(shared.evidence).toMatchObject({ leftOut: 3, peers: 'istio' });
  });

  it('turns red for a socket that nobody has declared, of every kind', async () => {
    for (const kind of ['tcp', 'udp', 'unix'] as const) {
      const extra = { kind, host: '127.0.0.1', port: 4444, id: 'x', loopbackOnly: true };
      const { state, detail } = await zeroTrustProbe.run(houseThat(withListener(extra)));
      expect([state, detail]).toEqual(['red', expect.stringContaining('nobody has declared')]);
    }
  });

  it('looks again at what is there for a moment only: a process that is just coming up has not yet said so', async () => {
    let looks = 0;
    const listeners = async () => {
      looks += 1;
      const passing: HouseListener = { kind: 'tcp', host: '127.0.0.1', port: 4444, id: 'x', loopbackOnly: true };
      return { listeners: looks === 1 ? [...LISTENERS, passing] : LISTENERS, processes: 30, unread: 0, leftOut: 0 };
    };
    expect((await zeroTrustProbe.run(houseThat({ listeners }))).state).toBe('green');
    expect(looks).toBe(2);
  });

  it.each(['none', 'stranger', 'expired', 'nobody'] as const)(
    'turns red where one service answers a caller whose certificate is: %s',
    async (credential) => {
      const house = houseThat(lax((service, request) => service === 'keys' && request.credential === credential, OK));
      const { state, detail } = await zeroTrustProbe.run(house);
      expect([state, detail]).toEqual(['red', expect.stringContaining('keys answered 200 to a caller with')]);
    },
  );

  it('takes no answer for a refusal: neither an error, nor a redirect, nor a missing page', async () => {
    for (const status of [500, 302, 404]) {
      const reply = { kind: 'answered', status } as const;
      const house = houseThat(lax((service, { credential }) => service === 'ledger' && credential === 'none', reply));
      expect((await zeroTrustProbe.run(house)).state).toBe('red');
    }
  });

  it('turns red where nobody is there to refuse', async () => {
    const reply = { kind: 'unreachable', reason: 'ECONNREFUSED' } as const;
    const house = houseThat(lax((service, { credential }) => service === 'ledger' && credential === 'expired', reply));
    expect((await zeroTrustProbe.run(house)).state).toBe('red');
  });

  it('turns red where a process may call a route of another one', async () => {
    const inner = (service: string, { path, credential, forging }: ServiceRequest) =>
      service === 'signer' && credential === 'own' && forging === undefined && path === '/internal/signer/do/none';
    const { state, detail } = await zeroTrustProbe.run(houseThat(lax(inner, OK)));
    expect([state, detail]).toEqual(['red', 'signer let a process call a route of another one (answered 200).']);
  });

  it('turns red where a header says who calls, beside a certificate of another process or of none', async () => {
    for (const credential of ['own', 'nobody'] as const) {
      const forged = (service: string, request: ServiceRequest) =>
        service === 'ledger' && request.forging !== undefined && request.credential === credential;
      const { state, detail } = await zeroTrustProbe.run(houseThat(lax(forged, OK)));
      expect([state, detail]).toEqual(['red', 'ledger believed a header about who calls (answered 200).']);
    }
  });

  it('turns red where one route among many lets in a name that no process has', async () => {
    const innerRoutes = ['one', 'two', 'three'].map((name) => {
      return { service: 'keys', method: 'POST', path: `/internal/keys/${name}`, callers: ['issuer'] };
    });
    const open = (_service: string, { path, credential }: ServiceRequest) =>
      credential === 'nobody' && path === '/internal/keys/three';
    expect((await zeroTrustProbe.run(houseThat({ innerRoutes, ...lax(open, OK) }))).state).toBe('red');
  });

  it.each([
    'none',
    'expired',
    'other-audience',
    'other-presenter',
    'foreign-key',
    'tampered',
    'other-tenant',
    'lower-class',
  ])('turns red where a token passes that is: %s', async (fault) => {
    const house = houseThat(lax((service, { token }) => service === 'workspace' && token === fault, OK));
    expect((await zeroTrustProbe.run(house)).state).toBe('red');
  });

  it('turns red where the database takes it for somebody else, and where the operator’s door opens', async () => {
    const knockAtDatabase = async () => 'let-in';
    expect((await zeroTrustProbe.run(houseThat({ knockAtDatabase }))).detail).toContain('took the prober for');
    expect((await zeroTrustProbe.run(houseThat({ canConnect: async () => true }))).state).toBe('red');
    expect((await zeroTrustProbe.run(houseThat({ plaintext: async () => 'HTTP/1.1 204' }))).state).toBe('red');
  });

  it('turns red where the edge answers anything but its public routes without a session', async () => {
    for (const open of ['/api/engagements', '/internal/keys/do/none', '/metrics', '/internal/attempts/counted']) {
      const fetch = async (path: string, request: { cookie?: string } = {}) => ({
        status: request.cookie !== undefined || path === open ? 200 : 404,
      });
      expect((await zeroTrustProbe.run(houseThat({ fetch }))).state, open).toBe('red');
    }
  });

  it('turns red where a public route answers by a method that it does not have', async () => {
    const fetch = async (path: string, request: { cookie?: string; method?: string } = {}) => ({
      status: request.cookie !== undefined || (path === '/api/identity/link' && request.method === 'TRACE') ? 200 : 404,
    });
    const { state, detail } = await zeroTrustProbe.run(houseThat({ fetch }));
    expect([state, detail]).toEqual(['red', 'TRACE /api/identity/link answered 200 to nobody.']);
  });

  it('turns red where the try-out listener, in a house that has one, answers what the edge does not', async () => {
    const listener = {
      kind: 'tcp',
      host: '127.0.0.1',
      port: 8080,
      id: 't',
      loopbackOnly: true,
      use: 'try-out',
    } as const;
    const fetch = async (_path: string, request: { cookie?: string; door?: string } = {}) => ({
      status: request.cookie !== undefined || request.door === 'try-out' ? 200 : 404,
    });
    expect((await zeroTrustProbe.run(houseThat({ fetch }))).state).toBe('green');
    const { state, detail } = await zeroTrustProbe.run(houseThat({ fetch, ...withListener(listener) }));
    expect([state, detail]).toEqual(['red', expect.stringContaining('to nobody at the try-out listener')]);
  });

  it('has not looked where a proper caller is refused too', async () => {
    const down = lax((service, { credential }) => service === 'keys' && credential === 'own', { kind: 'refused' });
    await expect(zeroTrustProbe.run(houseThat(down))).rejects.toMatchObject({ code: 'proper_caller_unanswered' });
    const fetch = async () => ({ status: 401 });
    await expect(zeroTrustProbe.run(houseThat({ fetch }))).rejects.toMatchObject({ code: 'proper_caller_unanswered' });
  });

  it('turns red where a process is missing among those that listen', async () => {
    const listeners = async () => ({ listeners: LISTENERS.slice(1), processes: 29, unread: 0, leftOut: 0 });
    expect((await zeroTrustProbe.run(houseThat({ listeners }))).detail).toContain('Only 6 processes');
  });

  it('says what the kernel did not show', async () => {
    const listeners = async () => ({ listeners: LISTENERS, processes: 30, unread: 4, leftOut: 0 });
    expect((await zeroTrustProbe.run(houseThat({ listeners }))).detail).toContain('descriptors of 4 processes');
  });
});
