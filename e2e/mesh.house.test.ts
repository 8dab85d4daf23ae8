// A whole house in each way of knowing peers, with labelled stand-ins: of spiffe-helper, which writes and replaces files,
// and of the proxies of Istio and Linkerd, which end mutual TLS of their own and name the peer in a header. No SPIRE and no
// mesh has been run.
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { createServer, request as tlsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { systemClock, type ServiceName } from '@auditrax/base';
import {
  clientTls,
  createAuthority,
  peerService,
  serverTls,
  startIdentity,
  type CertificateAuthority,
  type TlsMaterial,
} from '@auditrax/workload';
import { afterEach, describe, expect, it } from 'vitest';
import { ensureServiceUsers } from '../app/platform/supervisor/service-users.ts';
import type { ProveReport } from '../app/probes/prove-report.ts';
import { makeStateFolder, openTestHouse, Person, removeFolder, type TestHouse } from './testing/house.ts';

const SERVICES = ['gateway', 'issuer', 'workspace', 'keys', 'ledger', 'signer', 'sentinel'] as const;
/** Longer than a process waits between two looks at its files. */
const ROTATED_MS = 7_000;
const isRoot = process.getuid!() === 0;

let test: TestHouse | undefined;
const undo: (() => unknown)[] = [];
afterEach(async () => {
  await test?.stop();
  test = undefined;
  for (const step of undo.splice(0).reverse()) await step();
});

/** A folder of each process's own, closed to others, as the runbook has it. */
function peerFolders(): string {
  const folder = makeStateFolder();
  undo.push(() => removeFolder(folder));
  const users = isRoot ? ensureServiceUsers(SERVICES, () => undefined) : {};
  for (const service of SERVICES) {
    const own = join(folder, service);
    mkdirSync(own, { mode: 0o700 });
    const user = users[service];
    if (user !== undefined) chownSync(own, user.uid, user.gid);
    chmodSync(own, isRoot ? 0o2750 : 0o700);
  }
  return folder;
}

async function svidOf(authority: CertificateAuthority, service: string, trustDomain: string): Promise<TlsMaterial> {
  const obtain = (csrPem: string) => authority.sign({ csrPem, service });
  const identity = await startIdentity({
    service,
    trustDomain,
    clock: systemClock,
    obtain,
    onFailure: () => undefined,
  });
  identity.close();
  return identity.current();
}

async function openIn(folder: string, environment: Readonly<Record<string, string>>): Promise<TestHouse> {
  const state = makeStateFolder();
  undo.push(() => removeFolder(state));
  test = await openTestHouse(state, { environment: { ...environment, AUDITRAX_PEER_FOLDER: folder } });
  return test;
}

/** Somebody signs in and writes, so every process has asked its neighbours. */
async function work({ house }: TestHouse, title: string): Promise<void> {
  const lead = await Person.signIn(house, 'Lead auditor');
  const made = await lead.send('POST', '/api/engagements', {
    title,
    clientName: 'Auditrax sample organisation',
    periodStart: '2026-01-01',
    periodEnd: '2026-12-31',
    catalogue: { source: 'sample' },
  });
  expect(made.status).toBe(201);
  await lead.close();
}

async function zeroTrust({ house }: TestHouse): Promise<string> {
  await house.supervisor.ask('sentinel', 'begin', null);
  const asked = { claims: ['access.zero-trust'], rehearse: false };
  const report = (await house.supervisor.ask('sentinel', 'prove', asked)) as unknown as ProveReport;
  const claim = report.claims.find(({ id }) => id === 'access.zero-trust')!;
  expect([claim.state, claim.detail]).toEqual(['green', expect.stringContaining('each declared')]);
  return claim.detail;
}

describe('under SPIRE, by a stand-in of spiffe-helper', () => {
  it('the house works, goes on with certificates that are replaced while it runs, and the prober finds no way in', async () => {
    const trustDomain = 'example.org';
    const folder = peerFolders();
    const authority = await createAuthority({ trustDomain, clock: systemClock });
    /** As the helper does: each file beside its place first, then in one step. */
    const write = async (): Promise<void> => {
      for (const service of SERVICES) {
        const { certificatePem, keyPem, bundlePem } = await svidOf(authority, service, trustDomain);
        for (const [name, text] of [
          ['svid.pem', certificatePem],
          ['svid_key.pem', keyPem],
          ['svid_bundle.pem', bundlePem],
        ] as const) {
          const path = join(folder, service, name);
          writeFileSync(`${path}.next`, text, { mode: 0o600 });
          const user = isRoot ? ensureServiceUsers([service], () => undefined)[service] : undefined;
          if (user !== undefined) chownSync(`${path}.next`, user.uid, user.gid);
          renameSync(`${path}.next`, path);
        }
      }
    };
    await write();
    const house = await openIn(folder, {
      AUDITRAX_PEER_IDENTITY: 'spiffe',
      AUDITRAX_PEER_NAMES: `spiffe://${trustDomain}/{service}`,
    });
    await work(house, 'Under SPIRE');
    await write();
    await new Promise((resolve) => setTimeout(resolve, ROTATED_MS));
    await work(house, 'Under SPIRE, replaced');
    expect(await zeroTrust(house)).toContain('by certificates of SPIRE');
    expect(house.lines.filter((line) => line.includes('renewal-failed'))).toEqual([]);
  });
});

interface Heard {
  readonly status: number;
  readonly code: string | undefined;
}

const PATH = '/internal/keys/suites';
const BODY = JSON.stringify({ tenantId: '01890a5d-ac96-774b-bcce-b302099a8057' });

/** Posts a question that the keys process answers to the workspace alone. */
function ask(send: typeof plainRequest, options: object, headers: Readonly<Record<string, string>>): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const own = { host: 'keys', 'content-type': 'application/json', 'content-length': String(BODY.length) };
    const call = send({ ...options, method: 'POST', path: PATH, agent: false, headers: { ...own, ...headers } });
    call.once('response', (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      reply.once('end', () => {
        const { code } = (text.startsWith('{') ? JSON.parse(text) : {}) as { code?: string };
        resolve({ status: reply.statusCode!, code });
      });
    });
    call.once('error', reject);
    call.end(BODY);
  });
}

const MESHES = {
  istio: {
    names: 'spiffe://cluster.local/{service}',
    header: 'x-forwarded-client-cert',
    valueOf: (service: string, certificate: Uint8Array) =>
      `By=spiffe://cluster.local/keys;Hash=${createHash('sha256').update(certificate).digest('hex')};Subject="";URI=spiffe://cluster.local/${service}`,
    words: 'by the header of Istio’s proxy',
  },
  linkerd: {
    names: '{service}.audit.serviceaccount.identity.linkerd.cluster.local',
    header: 'l5d-client-id',
    valueOf: (service: string) => `${service}.audit.serviceaccount.identity.linkerd.cluster.local`,
    words: 'by the header of Linkerd’s proxy',
  },
} as const;
type MeshName = keyof typeof MESHES;

/** What a sidecar does for its process: ends the mesh's mutual TLS, takes away the header that came, writes its own. */
async function openProxy(mesh: MeshName, identity: TlsMaterial, door: string): Promise<Server> {
  const { header, valueOf } = MESHES[mesh];
  const server = createServer(serverTls(identity), (request, response) => {
    const service = peerService(request.socket, { trustDomain: 'cluster.local', clock: systemClock });
    const headers = { ...request.headers };
    delete headers[header];
    const certificate = (request.socket as import('node:tls').TLSSocket).getPeerCertificate().raw;
    if (service !== undefined) headers[header] = valueOf(service, certificate);
    const inner = plainRequest({ socketPath: door, method: request.method, path: request.url, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    inner.once('error', () => response.destroy());
    // As one: whoever is refused by the name alone is answered before a body that comes later is read.
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.once('end', () => inner.end(Buffer.concat(pieces)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

describe.each(Object.keys(MESHES) as MeshName[])('in a mesh, by a stand-in of the proxy of %s', (mesh) => {
  it('the house works, believes its proxy for the peer that a route names, and no header from anywhere else', async () => {
    const { names, header, valueOf, words } = MESHES[mesh];
    const folder = peerFolders();
    const house = await openIn(folder, { AUDITRAX_PEER_IDENTITY: mesh, AUDITRAX_PEER_NAMES: names });
    await work(house, `In a mesh of ${mesh}`);

    const trustDomain = 'cluster.local';
    const authority = await createAuthority({ trustDomain, clock: systemClock });
    const of = (service: ServiceName) => svidOf(authority, service, trustDomain);
    const proxy = await openProxy(mesh, await of('keys'), join(folder, 'keys', 'peer.sock'));
    const { port } = proxy.address() as AddressInfo;
    const asking = async (service: ServiceName, headers: Readonly<Record<string, string>> = {}) =>
      ask(
        tlsRequest as typeof plainRequest,
        { ...clientTls(await of(service), 'keys'), host: '127.0.0.1', port },
        headers,
      );
    const forged = { [header]: valueOf('workspace', Buffer.from('nobody’s certificate')) };
    const refused = { status: 403, code: 'peer_refused' };
    expect(await asking('workspace')).toMatchObject({ status: 200 });
    expect(await asking('gateway')).toEqual(refused);
    expect(await asking('gateway', forged)).toEqual(refused);
    // From outside, by the edge: neither there nor behind it does the header name anybody.
    const edge = new URL(house.house.tryoutUrl!);
    const outside = { host: '127.0.0.1', port: edge.port };
    const host = { host: edge.host, origin: edge.origin, 'sec-fetch-site': 'same-origin' };
    expect((await ask(plainRequest, outside, { ...host, ...forged })).status).toBe(404);
    const session = await fetch(`${edge.origin}/api/engagements`, {
      headers: { ...forged, 'sec-fetch-site': 'same-origin' },
    });
    expect(session.status).toBe(401);

    expect(await zeroTrust(house)).toContain(words);
  });
});
