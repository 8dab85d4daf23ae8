import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '@auditrax/base';
import { afterEach, describe, expect, it } from 'vitest';
import { createAuthority, type CertificateAuthority } from './authority.ts';
import { startIdentity, type TlsMaterial, type WorkloadIdentity } from './identity.ts';
import { peerService } from './peer.ts';
import { openSvidFiles } from './svid-files.ts';
import { clientTls, followIdentity, serverTls } from './tls.ts';

const trustDomain = 'example.org';
const undo: (() => unknown)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

/** What an agent would write: a key, its certificate, the authorities. */
async function svidOf(authority: CertificateAuthority, service: string, clock: Clock): Promise<TlsMaterial> {
  const obtain = (csrPem: string) => authority.sign({ csrPem, service });
  const identity = await startIdentity({ service, trustDomain, clock, obtain, onFailure: () => {} });
  identity.close();
  return identity.current();
}

function folderWith(material?: TlsMaterial): string {
  const folder = mkdtempSync(join(tmpdir(), 'svid-'));
  undo.push(() => rmSync(folder, { recursive: true }));
  if (material !== undefined) write(folder, material);
  return folder;
}

function write(folder: string, material: Partial<TlsMaterial>): void {
  const put = (name: string, text?: string) => text !== undefined && writeFileSync(join(folder, name), text);
  put('svid.pem', material.certificatePem);
  put('svid_key.pem', material.keyPem);
  put('svid_bundle.pem', material.bundlePem);
}

async function open(folder: string, service: string, failures: unknown[] = []): Promise<WorkloadIdentity> {
  const onFailure = (error: unknown) => void failures.push(error);
  const identity = await openSvidFiles({ folder, service, trustDomain, clock: systemClock, onFailure, look_ms: 20 });
  undo.push(() => identity.close());
  return identity;
}

/** Who the server takes the client for. */
async function askedAs(client: WorkloadIdentity, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { ...clientTls(client.current(), 'workspace'), host: '127.0.0.1', port, agent: false as const };
    httpsRequest(options, (reply) => reply.setEncoding('utf8').once('data', resolve))
      .once('error', reject)
      .end();
  });
}

describe('an identity from SPIRE’s files', () => {
  it('W33 is rehearsed: two processes know each other by it, and after it was replaced', async () => {
    const authority = await createAuthority({ trustDomain, clock: systemClock });
    const folder = folderWith(await svidOf(authority, 'workspace', systemClock));
    const workspace = await open(folder, 'workspace');
    const gateway = await open(folderWith(await svidOf(authority, 'gateway', systemClock)), 'gateway');
    const server = createServer(serverTls(workspace.current()), (request, response) =>
      response.end(peerService(request.socket, { trustDomain, clock: systemClock }) ?? 'nobody'),
    );
    followIdentity(server, workspace);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    undo.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    expect(await askedAs(gateway, port)).toBe('gateway');
    const before = workspace.current().certificatePem;
    const rotated = new Promise<TlsMaterial>((resolve) => workspace.onRotate(resolve));
    write(folder, await svidOf(authority, 'workspace', systemClock));
    expect((await rotated).certificatePem).not.toBe(before);
    expect(await askedAs(gateway, port)).toBe('gateway');
  });

  it('W33 follows a new bundle, and then refuses whom the old authority signed', async () => {
    const [old, fresh] = [await authorityNow(), await authorityNow()];
    const folder = folderWith(await svidOf(old, 'workspace', systemClock));
    const workspace = await open(folder, 'workspace');
    write(folder, await svidOf(fresh, 'workspace', systemClock));
    await expect.poll(() => workspace.current().bundlePem).toBe(fresh.bundlePem);
  });

  it('W34 leaves alone what does not belong together yet', async () => {
    const authority = await authorityNow();
    const folder = folderWith(await svidOf(authority, 'workspace', systemClock));
    const failures: unknown[] = [];
    const workspace = await open(folder, 'workspace', failures);
    const before = workspace.current();
    const next = await svidOf(authority, 'workspace', systemClock);
    write(folder, { certificatePem: next.certificatePem });
    await expect.poll(() => failures.length).toBeGreaterThan(0);
    expect(workspace.current()).toBe(before);
    write(folder, { keyPem: next.keyPem });
    await expect.poll(() => workspace.current().certificatePem).toBe(next.certificatePem);
  });

  it('W34 refuses another service’s, an expired one, another key, and a folder with nothing in it', async () => {
    const authority = await authorityNow();
    const good = await svidOf(authority, 'workspace', systemClock);
    const past: Clock = { nowMs: () => Date.now() - 7_200_000 };
    const expired = await svidOf(await createAuthority({ trustDomain, clock: past }), 'workspace', past);
    const other = await svidOf(authority, 'keys', systemClock);
    const refused = { code: 'certificate_refused' };
    await expect(open(folderWith(other), 'workspace')).rejects.toMatchObject(refused);
    await expect(open(folderWith(expired), 'workspace')).rejects.toMatchObject(refused);
    await expect(open(folderWith({ ...good, keyPem: other.keyPem }), 'workspace')).rejects.toMatchObject(refused);
    await expect(open(folderWith({ ...good, bundlePem: 'none' }), 'workspace')).rejects.toMatchObject(refused);
    await expect(open(folderWith(), 'workspace')).rejects.toMatchObject(refused);
    await expect(open(folderWith(good), 'workspace')).resolves.toBeDefined();
  });
});

function authorityNow(): Promise<CertificateAuthority> {
  return createAuthority({ trustDomain, clock: systemClock });
}
