import { AppError, type ServiceName } from '@auditrax/base';
import type { HouseListener, ListenerUse, ListeningSocket, OpenSockets } from '../claims/probe.ts';
import type { FoundSocket } from '../platform/supervisor/inventory.ts';
import type { HouseInventory } from '../platform/supervisor/messages.ts';

/** What processes of the house have said about where they listen: only who says so may hold the socket. */
export interface Declarations {
  /** Where each process said it serves the others, and who it is. */
  readonly services: Readonly<Partial<Record<ServiceName, { readonly port: number; readonly pid: number }>>>;
  readonly supervisorPid: number;
  readonly edgePort: number;
  readonly tryoutPort: number | null;
  /** Where the supervisor's alarm listens. */
  readonly alarmPort: number;
  /** Of this process's own: controls of a dial, and what is played to rehearse. They last as long as that. */
  readonly playedPorts: ReadonlySet<number>;
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '0:0:0:0:0:0:0:1' || host.startsWith('0:0:0:0:0:ffff:7f');
}

interface Declared {
  readonly use: ListenerUse;
  readonly pid: number | undefined;
}

function declaredPorts(told: Declarations): Map<number, Declared> {
  const { services, supervisorPid, edgePort, tryoutPort, alarmPort, playedPorts } = told;
  const gateway = services.gateway?.pid;
  const declared = new Map<number, Declared>();
  for (const port of playedPorts) declared.set(port, { use: 'played', pid: process.pid });
  declared.set(alarmPort, { use: 'alarm', pid: supervisorPid });
  if (tryoutPort !== null) declared.set(tryoutPort, { use: 'try-out', pid: gateway });
  declared.set(edgePort, { use: 'edge', pid: gateway });
  for (const { port, pid } of Object.values(services)) declared.set(port, { use: 'service', pid });
  return declared;
}

/**
 * A path that another process listens at than the one that made it was taken over. A database server is a parent: for a
 * moment each of its children holds what it holds.
 */
function unixUse({ host, pids }: FoundSocket, { known }: HouseInventory): ListenerUse | undefined {
  const found = known.find(({ path }) => path === host);
  if (found === undefined || pids.length === 0) return found?.use;
  const isIts = found.use === 'database' ? pids.includes(found.pid) : pids.every((pid) => pid === found.pid);
  return isIts ? found.use : undefined;
}

/** A port that another process listens at than the one that said so is nobody's: it was taken over, or handed on. */
function useOf(socket: FoundSocket, inventory: HouseInventory, told: Declarations): ListenerUse | undefined {
  if (socket.kind === 'unix') return unixUse(socket, inventory);
  if (socket.kind === 'udp') return undefined; // the house takes datagrams of nobody
  const declared = declaredPorts(told).get(socket.port);
  return declared !== undefined && socket.pids.every((pid) => pid === declared.pid) ? declared.use : undefined;
}

/** Every socket of the inventory, and what it is there for where somebody who may has said so. */
export function houseListeners(inventory: HouseInventory, told: Declarations): HouseListener[] {
  return inventory.sockets.map((socket): HouseListener => {
    const { kind, host, port, inode } = socket;
    const use = useOf(socket, inventory, told);
    const service = Object.entries(told.services).find(([, one]) => one.port === port)?.[0] as ServiceName | undefined;
    return {
      kind,
      host,
      port,
      id: inode,
      loopbackOnly: kind === 'tcp' || kind === 'udp' ? isLoopback(host) : true,
      ...(use === undefined ? {} : { use }),
      ...(use === 'service' && service !== undefined ? { service } : {}),
    };
  });
}

/** Every TCP socket that the house has open. Throws `sockets_unseen` when the kernel tells of none. */
export function houseSockets(inventory: HouseInventory, told: Declarations): OpenSockets {
  const sockets = houseListeners(inventory, told)
    .filter(({ kind, use }) => kind === 'tcp' && use !== 'played')
    .map(({ host, port, loopbackOnly, use }): ListeningSocket => {
      const exception = use === 'try-out' || use === 'alarm' ? use : undefined;
      return { host, port, loopbackOnly, ...(exception === undefined ? {} : { exception }) };
    });
  if (sockets.length === 0) throw new AppError('sockets_unseen', 'the kernel shows no listening socket of the house');
  return { sockets, leftOut: inventory.leftOut.length };
}
