import { execFile } from 'node:child_process';
import { readFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket, type SecureContextOptions } from 'node:tls';
import { systemClock } from '@auditrax/base';
import { issueEdgeCertificate, strictTls, TLS_FLOOR_ARGUMENTS, type EdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './root.ts';

// Peers of our own on loopback; the clients run in a process with the arguments of a process of the house.

const CLIENTS = ['tls', 'https', 'fetch', 'undici', 'webhook', 'database of a room', 'database of the set-up'];
const DATABASES: readonly string[] = CLIENTS.slice(5);
/** SSLRequest of the PostgreSQL protocol is answered with this when TLS follows. */
const WILLING = 'S';

let certificate: EdgeCertificate;
let folder: string;
const open: (HttpsServer | NetServer)[] = [];

beforeAll(async () => {
  certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Egress' });
  folder = mkdtempSync(join(tmpdir(), 'auditrax-egress-'));
  writeFileSync(join(folder, 'ca.pem'), certificate.authorityPem);
});
afterAll(() => {
  for (const server of open) server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function listen(server: HttpsServer | NetServer): Promise<number> {
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

interface Peers {
  readonly httpsPort: number;
  readonly databasePort: number;
  /** Handshakes that the server of the database's protocol has completed. */
  readonly handshakes: () => number;
}

/** A web server and the first words of a PostgreSQL server, both with these options and a certificate that is believed. */
async function openPeers(options: SecureContextOptions): Promise<Peers> {
  const secure = { ...options, key: certificate.keyPem, cert: certificate.certificatePem };
  let handshakes = 0;
  const web = createHttpsServer(secure, (_request, response) => response.end('hello')).on('tlsClientError', () => {});
  const database = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(WILLING);
      const inner = new TLSSocket(socket, { ...secure, isServer: true });
      inner.on('error', () => {});
      inner.once('data', () => {
        handshakes += 1;
        inner.destroy();
      });
    });
  });
  return { httpsPort: await listen(web), databasePort: await listen(database), handshakes: () => handshakes };
}

type Outcomes = Readonly<Record<string, { readonly outcome: string; readonly counted: number }>>;

function dialWith(args: readonly string[], { httpsPort, databasePort }: Peers): Promise<Outcomes> {
  const order = JSON.stringify({ httpsPort, databasePort, ca: certificate.authorityPem });
  const program = join(ROOT, 'app/bin/testing/egress-clients.ts');
  const env = { PATH: '/usr/bin:/bin', NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--no-warnings', ...args, program, order], { env }, (error, said) =>
      error === null ? resolve(JSON.parse(said) as Outcomes) : reject(error),
    );
  });
}

describe('W26: a connection outwards, by whatever client', () => {
  it('is refused to a peer that speaks TLS 1.2 at most, and the refusal is counted', async () => {
    const peers = await openPeers({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
    const outcomes = await dialWith(TLS_FLOOR_ARGUMENTS, peers);
    expect(Object.keys(outcomes)).toEqual(CLIENTS);
    for (const name of CLIENTS) {
      expect(outcomes[name]!.outcome, name).not.toBe('connected');
      // The set-up runs once and ends the start with its error; everything that goes on running counts.
      expect(outcomes[name]!.counted, name).toBe(name === 'database of the set-up' ? 0 : 1);
    }
    expect(peers.handshakes()).toBe(0);
  });

  it('is refused to a peer with a suite that is not ours', async () => {
    const peers = await openPeers({ minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' });
    const outcomes = await dialWith(TLS_FLOOR_ARGUMENTS, peers);
    for (const name of CLIENTS) expect(outcomes[name]!.outcome, name).not.toBe('connected');
    expect(peers.handshakes()).toBe(0);
  });

  it('is made by TLS 1.3 and the hybrid group alone, where the peer wants no other', async () => {
    const peers = await openPeers({ ...strictTls(), ecdhCurve: 'X25519MLKEM768' });
    const outcomes = await dialWith(TLS_FLOOR_ARGUMENTS, peers);
    for (const name of CLIENTS) {
      if (!DATABASES.includes(name)) expect(outcomes[name]!.outcome, name).toBe('connected');
      expect(outcomes[name]!.counted, name).toBe(0);
    }
    expect(peers.handshakes()).toBe(DATABASES.length);
  });

  it('would be made to the old peer without the floor: the peer is no reason for a refusal', async () => {
    const outcomes = await dialWith([], await openPeers({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }));
    for (const name of ['tls', 'https', 'fetch', 'undici', 'webhook']) {
      expect(outcomes[name]!.outcome, name).toBe('connected');
    }
  });
});

describe('the floor', () => {
  it('is the same for every command and for the processes of the house', () => {
    const starter = readFileSync(join(ROOT, 'start.mjs'), 'utf8');
    expect(starter).toContain(`const TLS_FLOOR = [${TLS_FLOOR_ARGUMENTS.map((one) => `'${one}'`).join(', ')}];`);
    expect(starter).toContain("'--disable-warning=ExperimentalWarning', ...TLS_FLOOR, join(ROOT, 'app/bin/main.ts')");
    const house = ['house', 'house-setup'].map((name) => readFileSync(join(ROOT, `app/bin/${name}.ts`), 'utf8'));
    const starts = [...house.join('').matchAll(/execArgv: \[([^\]]*)\]/g)].map(([, args]) => args);
    expect(starts.length).toBeGreaterThan(1);
    for (const args of starts) expect(args).toContain('...TLS_FLOOR_ARGUMENTS');
  });
});
