import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';

/** A stop waits this long for requests under way, then ends them. */
export const DRAIN_MS_MAX = 10_000;
const SWEEP_MS = 20;

/**
 * Remembers which connections carry a request. Returns a graceful stop: no new connections, those without a request
 * are closed at once (also ones that never carried any, which the server's own idle list leaves out), the others after
 * their reply, all of them after `DRAIN_MS_MAX`.
 */
export function drainable(server: HttpServer | HttpsServer): (close: () => Promise<void>) => Promise<void> {
  const open = new Set<Socket>();
  const busy = new Set<Socket>();
  const remember = (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      busy.delete(socket);
    });
  };
  server.on('setSecureContext' in server ? 'secureConnection' : 'connection', remember);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    busy.add(request.socket);
    response.once('close', () => busy.delete(request.socket));
  });
  return async (close) => {
    const closeUnused = () => {
      for (const socket of open) if (!busy.has(socket)) socket.destroy();
    };
    const force = setTimeout(() => server.closeAllConnections(), DRAIN_MS_MAX).unref();
    const sweep = setInterval(closeUnused, SWEEP_MS).unref();
    await close();
    clearTimeout(force);
    clearInterval(sweep);
  };
}
