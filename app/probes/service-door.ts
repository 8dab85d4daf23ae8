import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { AppError, type Clock, type ServiceName } from '@auditrax/base';
import {
  clientTls,
  createTokenMinter,
  MESH_HEADERS,
  openAuthority,
  startIdentity,
  type PeerNames,
  type TlsMaterial,
  type WorkloadIdentity,
} from '@auditrax/workload';
import type { ServiceReply, ServiceRequest, TokenFault } from '../claims/probe.ts';

const KNOCK_MS_MAX = 10_000;
const BODY_BYTES_MAX = 64 * 1024;
/** Codes that mean that nobody was there; everything else ended a connection that had begun. */
const UNREACHABLE: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ETIMEDOUT', 'EHOSTUNREACH']);
/** Half of what such a certificate lives: refused for its name, and never for its age. */
const FAULTY_MS_MAX = 30_000;
/** Past a token's life of 30 seconds. */
const EXPIRED_AGE_SECONDS = 90;

export interface ServiceDoorDeps {
  readonly clock: Clock;
  readonly identity: WorkloadIdentity;
  readonly portOf: (service: ServiceName) => number | undefined;
  /** A canary's token by the issuer's drill door. */
  readonly token: (order: {
    destination: 'issuer' | 'workspace';
    presenter: 'sentinel' | 'gateway';
    age_seconds: number;
    class: 'read' | 'write';
    /** Whose: the first canary's, unless told. */
    tenant?: 'b';
  }) => Promise<string>;
  /** A certificate with this fault, by the issuer's drill door. */
  readonly faultyCertificate: (
    csrPem: string,
    fault: 'expired' | 'nobody',
  ) => Promise<{ certificatePem: string; bundlePem: string }>;
  /** Issuer of tokens and the id of its current key, for a forgery that names both. */
  readonly issuer: string;
  readonly tokenKeyId: () => string;
  /** Of the house's own authority, also where SPIRE signs for its processes. */
  readonly trustDomain: string;
  /** Own folder, for the stranger's authority. */
  readonly folder: string;
  /** How a mesh names the processes here, or would. */
  readonly meshNames: PeerNames;
}

export type KnockAtService = (destination: ServiceName, request: ServiceRequest) => Promise<ServiceReply>;

/** A key of this process's own with a certificate by `obtain`. */
async function materialFor(
  deps: ServiceDoorDeps,
  service: string,
  obtain: (csrPem: string) => Promise<{ certificatePem: string; bundlePem: string }>,
): Promise<TlsMaterial> {
  const { trustDomain } = deps;
  const identity = await startIdentity({ service, trustDomain, clock: deps.clock, obtain, onFailure: () => {} });
  const material = identity.current();
  identity.close();
  return material;
}

/** A certificate that is right in every way but its authority: it claims to be the gateway. */
async function strangerMaterial(deps: ServiceDoorDeps): Promise<TlsMaterial> {
  const folder = mkdtempSync(join(deps.folder, 'stranger-'));
  try {
    const { trustDomain } = deps;
    const authority = await openAuthority({ folder, trustDomain, clock: deps.clock });
    return await materialFor(deps, 'gateway', (csrPem) => authority.sign({ csrPem, service: 'gateway' }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What is presented beside the own certificate; one that lives for a minute only is made anew when that is over. */
function otherMaterials(deps: ServiceDoorDeps) {
  let stranger: Promise<TlsMaterial> | undefined;
  const faulty = new Map<'expired' | 'nobody', { until_ms: number; material: Promise<TlsMaterial> }>();
  const faultyMaterial = (fault: 'expired' | 'nobody'): Promise<TlsMaterial> => {
    const known = faulty.get(fault);
    if (known !== undefined && known.until_ms > deps.clock.nowMs()) return known.material;
    const service = fault === 'expired' ? deps.identity.current().service : fault;
    const material = materialFor(deps, service, (csrPem) => deps.faultyCertificate(csrPem, fault));
    faulty.set(fault, { until_ms: deps.clock.nowMs() + FAULTY_MS_MAX, material });
    material.catch(() => faulty.delete(fault));
    return material;
  };
  return (credential: 'stranger' | 'expired' | 'nobody'): Promise<TlsMaterial> => {
    if (credential !== 'stranger') return faultyMaterial(credential);
    stranger ??= strangerMaterial(deps);
    return stranger;
  };
}

/** Changes one character of the signature to another of the same alphabet. */
function tampered(compact: string): string {
  const at = compact.lastIndexOf('.') + 5;
  return compact.slice(0, at) + (compact[at] === 'A' ? 'B' : 'A') + compact.slice(at + 1);
}

function payloadOf(compact: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(compact.split('.')[1]!, 'base64url').toString('utf8')) as Record<string, unknown>;
}

async function forged(deps: ServiceDoorDeps, destination: 'issuer' | 'workspace'): Promise<string> {
  const genuine = await deps.token({ destination, presenter: 'sentinel', age_seconds: 0, class: 'write' });
  const { iss: _iss, iat: _iat, exp: _exp, ...claims } = payloadOf(genuine);
  const { privateKey } = generateKeyPairSync('ed25519');
  const { issuer, clock } = deps;
  const minter = createTokenMinter({ key: privateKey, kid: deps.tokenKeyId(), issuer, clock });
  return (await minter.mint(claims as never)).compact;
}

async function tokenFor(
  deps: ServiceDoorDeps,
  destination: ServiceName,
  fault: TokenFault,
): Promise<string | undefined> {
  if (fault === 'none') return undefined;
  if (destination !== 'issuer' && destination !== 'workspace') {
    throw new AppError('no_token_for', `${destination} takes no tokens`);
  }
  const presenter = fault === 'other-presenter' ? 'gateway' : 'sentinel';
  const age_seconds = fault === 'expired' ? EXPIRED_AGE_SECONDS : 0;
  if (fault === 'foreign-key') return forged(deps, destination);
  const other = destination === 'issuer' ? 'workspace' : 'issuer';
  const aud = fault === 'other-audience' ? other : destination;
  const whose = fault === 'other-tenant' ? ({ tenant: 'b' } as const) : {};
  // Good for everything but what it is to be wrong in.
  const scope = fault === 'lower-class' ? 'read' : 'write';
  const token = await deps.token({ destination: aud, presenter, age_seconds, class: scope, ...whose });
  return fault === 'tampered' ? tampered(token) : token;
}

function codeOf(text: string): string | undefined {
  try {
    const { code } = JSON.parse(text) as { code?: unknown };
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}

/** What the proxies of Istio and of Linkerd would write of a peer, as they write it. */
export function forgedHeaders(names: PeerNames, destination: ServiceName, peer: ServiceName): Record<string, string> {
  const hash = createHash('sha256').update(peer).digest('hex');
  return {
    [MESH_HEADERS.istio]: `By=${names.idOf(destination)};Hash=${hash};Subject="";URI=${names.idOf(peer)}`,
    [MESH_HEADERS.linkerd]: names.idOf(peer),
  };
}

/** One request over a connection of its own, by whatever certificate; never throws for what the other side does. */
export function createServiceDoor(deps: ServiceDoorDeps): KnockAtService {
  const materialOf = otherMaterials(deps);
  const tlsOf = async (destination: ServiceName, credential: ServiceRequest['credential']) => {
    const own = clientTls(deps.identity.current(), destination);
    if (credential === 'own') return own;
    if (credential === 'none') return { ...own, key: undefined, cert: undefined };
    const { keyPem, certificatePem } = await materialOf(credential);
    return { ...own, key: keyPem, cert: certificatePem };
  };
  return async (destination, request) => {
    const port = deps.portOf(destination);
    if (port === undefined) return { kind: 'unreachable', reason: 'no-address' };
    const [tls, token] = await Promise.all([
      tlsOf(destination, request.credential),
      tokenFor(deps, destination, request.token ?? 'none'),
    ]);
    const headers = {
      'x-request-id': randomUUID(),
      ...(token === undefined ? {} : { 'txn-token': token }),
      ...(request.forging === undefined ? {} : forgedHeaders(deps.meshNames, destination, request.forging)),
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    return send({ ...tls, host: '127.0.0.1', port, method: request.method, path: request.path, headers }, request);
  };
}

function send(options: object, request: ServiceRequest): Promise<ServiceReply> {
  return new Promise((resolve) => {
    const call = httpsRequest({ ...options, agent: false, timeout: KNOCK_MS_MAX } as never, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (piece: string) => {
        if (text.length < BODY_BYTES_MAX) text += piece;
      });
      reply.once('error', () => resolve({ kind: 'refused', reason: 'cut' }));
      reply.once('end', () => {
        const code = codeOf(text);
        resolve({ kind: 'answered', status: reply.statusCode!, ...(code === undefined ? {} : { code }) });
      });
    });
    call.once('timeout', () => {
      resolve({ kind: 'unreachable', reason: 'timeout' });
      call.destroy();
    });
    call.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? 'failed';
      resolve({ kind: UNREACHABLE.has(reason) ? 'unreachable' : 'refused', reason });
    });
    call.end(request.body === undefined ? undefined : JSON.stringify(request.body));
  });
}
