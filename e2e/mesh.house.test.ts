// A whole house in each way of knowing peers, with labelled stand-ins: of spiffe-helper, which writes and replaces files,
// and of the proxies of Istio and Linkerd, which end mutual TLS of their own and name the peer in a header. No SPIRE and no
// mesh has been run.
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { createServer, request as tlsRequest } from 'node:https';
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
import { INNER_ROUTES } from '../app/bin/rooms.ts';
import { COUNTED_PATH } from '../app/platform/http/attempt-counter.ts';
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

interface Question {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

/** Whom a header names; what is there twice is sent twice. */
type Headers = Readonly<Record<string, string | readonly string[]>>;

/** The keys process answers it to the workspace alone. */
const SUITES: Question = {
  method: 'POST',
  path: '/internal/keys/suites',
  body: JSON.stringify({ tenantId: '01890a5d-ac96-774b-bcce-b302099a8057' }),
};
/** Every process answers it, to the sentinel alone. */
const COUNTED: Question = { method: 'GET', path: COUNTED_PATH };

function ask(
  by: { readonly send: typeof plainRequest; readonly at: object },
  question: Question,
  headers: Headers = {},
): Promise<Heard> {
  const { method, path, body = '' } = question;
  return new Promise((resolve, reject) => {
    const type = body === '' ? {} : { 'content-type': 'application/json', 'content-length': String(body.length) };
    const call = by.send({ ...by.at, method, path, agent: false, headers: { host: 'peer', ...type, ...headers } });
    call.once('response', (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      reply.once('end', () => {
        const { code } = (text.startsWith('{') ? JSON.parse(text) : {}) as { code?: string };
        resolve({ status: reply.statusCode!, code });
      });
    });
    call.once('error', reject);
    call.end(body);
  });
}

const MESHES = {
  istio: {
    names: 'spiffe://cluster.local/{service}',
    header: 'x-forwarded-client-cert',
    valueOf: (peer: string, self: string) =>
      `By=spiffe://cluster.local/${self};Hash=${createHash('sha256').update(peer).digest('hex')};Subject="";URI=spiffe://cluster.local/${peer}`,
    words: 'by the header of Istio’s proxy',
  },
  linkerd: {
    names: '{service}.audit.serviceaccount.identity.linkerd.cluster.local',
    header: 'l5d-client-id',
    valueOf: (peer: string, _self: string) => `${peer}.audit.serviceaccount.identity.linkerd.cluster.local`,
    words: 'by the header of Linkerd’s proxy',
  },
} as const;
type MeshName = keyof typeof MESHES;

/** What a sidecar does for its process: ends the mesh's mutual TLS, takes away the header that came, writes its own. */
async function openProxy(mesh: MeshName, identity: TlsMaterial, door: string): Promise<number> {
  const { header, valueOf } = MESHES[mesh];
  const server = createServer(serverTls(identity), (request, response) => {
    const service = peerService(request.socket, { trustDomain: 'cluster.local', clock: systemClock });
    const headers = { ...request.headers };
    delete headers[header];
    if (service !== undefined) headers[header] = valueOf(service, identity.service);
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
  return (server.address() as AddressInfo).port;
}

const REFUSED: Heard = { status: 403, code: 'peer_refused' };

interface Mesh {
  readonly name: MeshName;
  /** Asks a process as another one does: by its own certificate of the mesh, at the proxy of the asked one. */
  ask(between: readonly [ServiceName, ServiceName], question: Question, headers?: Headers): Promise<Heard>;
  /** Asks a process at the door behind its proxy, which only that proxy can reach. */
  atDoor(to: ServiceName, question: Question, headers: Headers): Promise<Heard>;
}

/** A proxy in front of every process. */
async function openMesh(name: MeshName, folder: string): Promise<Mesh> {
  const trustDomain = 'cluster.local';
  const authority = await createAuthority({ trustDomain, clock: systemClock });
  const open = async (service: ServiceName) => {
    const identity = await svidOf(authority, service, trustDomain);
    const door = join(folder, service, 'peer.sock');
    return [service, { identity, door, port: await openProxy(name, identity, door) }] as const;
  };
  const proxies = new Map(await Promise.all(SERVICES.map(open)));
  return {
    name,
    ask: ([from, to], question, headers) => {
      const tls = clientTls(proxies.get(from)!.identity, to);
      const at = { ...tls, host: '127.0.0.1', port: proxies.get(to)!.port };
      return ask({ send: tlsRequest as typeof plainRequest, at }, question, headers);
    },
    atDoor: (to, question, headers) =>
      ask({ send: plainRequest, at: { socketPath: proxies.get(to)!.door } }, question, headers),
  };
}

/** Values that no proxy of this process writes, for a peer that it would let in. */
function badValues({ name }: Mesh, to: ServiceName, peer: ServiceName): (string | readonly string[])[] {
  const { valueOf } = MESHES[name];
  const right = valueOf(peer, to);
  const elsewhere = right.replace('cluster.local', 'cluster.example').replace('cluster.local/', 'cluster.example/');
  const other = SERVICES.find((service) => service !== to)!;
  const odd = [[right, right], elsewhere, `${right} `.replace(peer, `${peer}.`), ''];
  return name === 'istio' ? [...odd, `${right},${right}`, valueOf(peer, other)] : odd;
}

/** Whoever is right is let in by the proxy's word, and nobody by a header of their own. */
async function tryProcess(mesh: Mesh, to: ServiceName): Promise<number> {
  const { header, valueOf } = MESHES[mesh.name];
  let tried = 0;
  const refused = async (reply: Promise<Heard>, what: string): Promise<void> => {
    tried += 1;
    expect([to, what, await reply]).toEqual([to, what, REFUSED]);
  };
  expect([to, await mesh.ask(['sentinel', to], COUNTED)]).toMatchObject([to, { status: 200 }]);
  const inner = INNER_ROUTES.filter(({ service }) => service === to).map(({ method, path, callers }) => {
    return { question: { method, path: path.replaceAll(/:[A-Za-z]+/g, 'none') }, callers };
  });
  for (const { question, callers } of [{ question: COUNTED, callers: ['sentinel'] as const }, ...inner]) {
    const stranger = SERVICES.find((service) => !callers.includes(service as never))!;
    const forged = valueOf(callers[0]!, to);
    await refused(mesh.ask([stranger, to], question), `${question.path} as ${stranger}`);
    await refused(mesh.ask([stranger, to], question, { [header]: forged }), `${question.path}, forged`);
    await refused(mesh.ask([stranger, to], question, { [header]: [forged, forged] }), `${question.path}, forged twice`);
  }
  await refused(mesh.atDoor(to, COUNTED, {}), 'the door without a header');
  for (const value of badValues(mesh, to, 'sentinel'))
    await refused(mesh.atDoor(to, COUNTED, { [header]: value }), `the door with ${JSON.stringify(value)}`);
  return tried;
}

describe.each(Object.keys(MESHES) as MeshName[])('in a mesh, by stand-ins of the proxy of %s', (name) => {
  it('every process believes its proxy for the peer that a route names, and no header from anywhere else', async () => {
    const { names, header, valueOf, words } = MESHES[name];
    const folder = peerFolders();
    const house = await openIn(folder, { AUDITRAX_PEER_IDENTITY: name, AUDITRAX_PEER_NAMES: names });
    await work(house, `In a mesh of ${name}`);

    const mesh = await openMesh(name, folder);
    const tried = await Promise.all(SERVICES.map((service) => tryProcess(mesh, service)));
    // Three ways at what all have, and at the door.
    expect(Math.min(...tried)).toBeGreaterThanOrEqual(8);
    expect(await mesh.ask(['workspace', 'keys'], SUITES)).toMatchObject({ status: 200 });
    expect(await mesh.ask(['gateway', 'keys'], SUITES)).toEqual(REFUSED);
    // From outside, by the edge: neither there nor behind it does the header name anybody.
    const forged = { [header]: valueOf('workspace', 'keys') };
    const edge = new URL(house.house.tryoutUrl!);
    const outside = { send: plainRequest, at: { host: '127.0.0.1', port: edge.port } };
    const host = { host: edge.host, origin: edge.origin, 'sec-fetch-site': 'same-origin' };
    expect((await ask(outside, SUITES, { ...host, ...forged })).status).toBe(404);
    const session = await fetch(`${edge.origin}/api/engagements`, {
      headers: { ...forged, 'sec-fetch-site': 'same-origin' },
    });
    expect(session.status).toBe(401);

    expect(await zeroTrust(house)).toContain(words);
  });
});
