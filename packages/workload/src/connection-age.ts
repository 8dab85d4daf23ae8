import type { Socket } from 'node:net';
import type { Server } from 'node:tls';
import type { Clock } from '@auditrax/base';
import type { WorkloadIdentity } from './identity.ts';
import { peerNotAfterMs } from './peer.ts';

/** A client drops a connection of this age; half of the server's cap, so that the client is the one to go first. */
export const CLIENT_CONNECTION_AGE_MS_MAX = 10 * 60_000;
/** A server asks a connection of this age to close after its next reply. Below half of a leaf's life. */
export const SERVER_CONNECTION_AGE_MS_MAX = 20 * 60_000;

export interface ConnectionAges {
  /** True when this connection should be told `connection: close` with the reply at hand. */
  aged(socket: Socket): boolean;
}

/**
 * Sockets do not outlive certificates: an open keep-alive connection would go on answering after the certificate that
 * opened it has expired. At the earlier of the two certificates' ends the socket is destroyed, whatever it is doing.
 */
export function capConnectionAge(server: Server, identity: WorkloadIdentity, clock: Clock): ConnectionAges {
  const agedAt = new WeakMap<Socket, number>();
  server.on('secureConnection', (socket) => {
    const now = clock.nowMs();
    const own = identity.current();
    const end = Math.min(peerNotAfterMs(socket, own.trustDomain), own.notAfterMs);
    agedAt.set(socket, now + SERVER_CONNECTION_AGE_MS_MAX);
    const timer = setTimeout(() => socket.destroy(), Math.max(end - now, 0)).unref();
    socket.once('close', () => clearTimeout(timer));
  });
  return { aged: (socket) => clock.nowMs() >= (agedAt.get(socket) ?? 0) };
}
