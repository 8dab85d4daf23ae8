import { chmodSync, rmSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { AppError, type ServiceName } from '@auditrax/base';
import { meshPeer, type Mesh, type PeerNames } from '@auditrax/workload';

/** Others may not so much as look into the folder: whoever reaches the socket is whoever it says it is. */
const OTHERS = 0o007;
/** Owner and group; the group is the proxy's, by the folder's set-group-id bit. */
const SOCKET_MODE = 0o660;
const HEADER_BYTES_MAX = 32 * 1024;

export interface SidecarOptions {
  readonly mesh: Mesh;
  readonly names: PeerNames;
  /** Of the Unix socket, in a folder of this process's own that only its proxy may enter. */
  readonly path: string;
}

export interface SidecarDoor {
  /** The peer that the proxy names; undefined for every request that did not come by this door. */
  peerOf(request: IncomingMessage): string | undefined;
  listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<void>;
  close(): Promise<void>;
}

/** Attacker: any process of the machine that could open the socket and name itself in a header. */
function refuseOpenFolder(path: string): void {
  const folder = statSync(dirname(path));
  const isOwn = folder.uid === process.getuid!() || folder.uid === 0;
  if (folder.isDirectory() && isOwn && (folder.mode & OTHERS) === 0) return;
  throw new AppError(
    'sidecar_door_open',
    `the folder of ${path} must belong to this process or root and be closed to others (mode 2770 or less)`,
  );
}

/**
 * The door of a mesh's proxy: a Unix socket on which, and on which alone, the proxy's header names the peer. The proxy
 * ends the mesh's mutual TLS in front of it. On every other listener the header is nothing. Throws `sidecar_door_open`
 * when others could reach the socket.
 */
export function createSidecarDoor(self: ServiceName, { mesh, names, path }: SidecarOptions): SidecarDoor {
  refuseOpenFolder(path);
  const sockets = new WeakSet<Socket>();
  const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX });
  server.on('connection', (socket: Socket) => sockets.add(socket));
  return {
    peerOf: (request) =>
      sockets.has(request.socket) ? meshPeer(mesh, request.rawHeaders, { names, self }) : undefined,
    async listen(answer) {
      rmSync(path, { force: true });
      server.on('request', answer);
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
      chmodSync(path, SOCKET_MODE);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}
