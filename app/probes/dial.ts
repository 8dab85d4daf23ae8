import { connect as connectPlain } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@auditrax/base';
import { expectRefusal, issueEdgeCertificate, whileExpectingRefusals } from '@auditrax/workload';
import { dialWithEveryClient } from './egress-clients.ts';
import type { DialOptions, DialOutcome, EgressOutcome, TlsVersion } from '../claims/probe.ts';

const DIAL_MS_MAX = 8_000;
const PLAINTEXT_MS_MAX = 1_000;
const FIRST_BYTES_MAX = 64;
/** Who asked for an inventory while a control was open may get it after it has closed. */
const REMEMBERED_MS = 5_000;
/** OpenSSL refuses the old versions and short tags by itself above level 0; the dialler must be able to offer them. */
const ANYTHING = 'ALL:@SECLEVEL=0';
/** Nobody was there to refuse. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
]);

function outcomeOf(socket: TLSSocket): DialOutcome {
  const key = socket.getEphemeralKeyInfo();
  const group = (key as { readonly name?: string } | null)?.name ?? 'none';
  return { kind: 'connected', protocol: socket.getProtocol() ?? 'none', cipher: socket.getCipher().name, group };
}

/** One handshake with exactly these options, whoever answers: certificates are judged elsewhere. */
export function dial(options: DialOptions): Promise<DialOutcome> {
  const { host, port, minVersion, maxVersion } = options;
  const ciphers = options.ciphers === undefined ? ANYTHING : `${options.ciphers}:@SECLEVEL=0`;
  return new Promise((resolve) => {
    let socket: TLSSocket;
    const end = (outcome: DialOutcome): void => {
      socket?.destroy();
      resolve(outcome);
    };
    try {
      socket = connect({
        host,
        port,
        minVersion,
        maxVersion,
        ciphers,
        ...(options.groups === undefined ? {} : { ecdhCurve: options.groups }),
        rejectUnauthorized: false,
        servername: 'localhost',
      });
    } catch (error) {
      // The dialler itself could not make this offer: that refutes nothing and proves nothing.
      return resolve({ kind: 'unreachable', reason: (error as NodeJS.ErrnoException).code ?? 'cannot-offer' });
    }
    expectRefusal(socket);
    socket.setTimeout(DIAL_MS_MAX, () => end({ kind: 'unreachable', reason: 'timeout' }));
    socket.once('secureConnect', () => end(outcomeOf(socket)));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? 'failed';
      end(
        UNREACHABLE.has(reason) ||
          reason === 'ERR_SSL_NO_CIPHERS_AVAILABLE' ||
          reason === 'ERR_SSL_NO_PROTOCOLS_AVAILABLE'
          ? { kind: 'unreachable', reason }
          : { kind: 'refused', reason },
      );
    });
    socket.once('close', () => end({ kind: 'refused', reason: 'closed' }));
  });
}

/** What a socket says to a client that speaks plain HTTP; empty when it says nothing readable. */
export function plaintext(target: { readonly host: string; readonly port: number }): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectPlain(target);
    let heard = '';
    const end = (): void => {
      socket.destroy();
      resolve(heard.slice(0, FIRST_BYTES_MAX));
    };
    socket.setTimeout(PLAINTEXT_MS_MAX, end);
    socket.once('connect', () => socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'));
    socket.on('data', (piece) => {
      heard += piece.toString('latin1');
      if (heard.length >= FIRST_BYTES_MAX) end();
    });
    socket.once('error', end);
    socket.once('close', end);
  });
}

/** The same dial at a listener of our own, and where such listeners stand now. */
export interface DialControl {
  readonly dial: (options: Omit<DialOptions, 'host' | 'port'>) => Promise<DialOutcome>;
  /** What each kind of client here does with a peer that speaks TLS 1.2 at most; empty when that peer does not work. */
  readonly outwards: () => Promise<readonly EgressOutcome[]>;
  /** Not the house's sockets: each exists for the length of one dial, on loopback, and serves nothing. Some just did. */
  readonly ports: ReadonlySet<number>;
}

/**
 * A listener of our own that agrees to everything: when the same dial fails there too, the others' refusals say nothing
 * about them.
 */
export function createDialControl(clock: Clock): DialControl {
  let material: ReturnType<typeof issueEdgeCertificate> | undefined;
  const ports = new Set<number>();
  const withListener = async <T>(maxVersion: TlsVersion, use: (port: number) => Promise<T>): Promise<T> => {
    material ??= issueEdgeCertificate({ clock, name: 'Dial control' });
    const { keyPem, certificatePem } = await material;
    const server = createServer({
      key: keyPem,
      cert: certificatePem,
      minVersion: 'TLSv1',
      maxVersion,
      ciphers: `TLS_AES_128_CCM_8_SHA256:TLS_AES_128_CCM_SHA256:TLS_AES_256_GCM_SHA384:${ANYTHING}`,
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    ports.add(port);
    try {
      return await use(port);
    } finally {
      server.close(() => void setTimeout(() => ports.delete(port), REMEMBERED_MS).unref());
    }
  };
  return {
    ports,
    dial: (options) => withListener('TLSv1.3', (port) => dial({ ...options, host: '127.0.0.1', port })),
    outwards: () =>
      withListener('TLSv1.2', async (port) => {
        const old = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', host: '127.0.0.1', port } as const;
        if ((await dial(old)).kind !== 'connected') return [];
        return whileExpectingRefusals(() => dialWithEveryClient(port));
      }),
  };
}
