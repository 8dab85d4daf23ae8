import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '@auditrax/base';
import { serviceFromAltName } from './spiffe.ts';

interface Peer {
  readonly service: string | undefined;
  readonly notAfterMs: number;
}

// A certificate cannot change during a TLS 1.3 connection of ours (no renegotiation, no post-handshake request).
const peers = new WeakMap<Socket, Peer>();

/**
 * The service at the other end of a mutually authenticated connection; undefined without an accepted certificate, for
 * names outside the trust domain, for more than one name, and once the certificate has expired.
 */
export function peerService(
  socket: Socket,
  options: { readonly trustDomain: string; readonly clock: Clock },
): string | undefined {
  let peer = peers.get(socket);
  if (peer === undefined) {
    peer = readPeer(socket, options.trustDomain);
    peers.set(socket, peer);
  }
  return options.clock.nowMs() < peer.notAfterMs ? peer.service : undefined;
}

/** When the certificate at the other end expires (ms since the epoch); 0 without one. */
export function peerNotAfterMs(socket: Socket, trustDomain: string): number {
  return (peers.get(socket) ?? readPeer(socket, trustDomain)).notAfterMs;
}

function readPeer(socket: Socket, trustDomain: string): Peer {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return { service: undefined, notAfterMs: 0 };
  const certificate = socket.getPeerCertificate();
  const notAfterMs = Date.parse(certificate.valid_to);
  return {
    service: serviceFromAltName(certificate.subjectaltname, trustDomain),
    notAfterMs: Number.isFinite(notAfterMs) ? notAfterMs : 0,
  };
}
