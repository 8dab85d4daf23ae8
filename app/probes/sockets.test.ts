import { describe, expect, it } from 'vitest';
import type { FoundSocket } from '../platform/supervisor/inventory.ts';
import type { HouseInventory } from '../platform/supervisor/messages.ts';
import { houseListeners, houseSockets, type Declarations } from './sockets.ts';

const TOLD: Declarations = {
  services: { gateway: { port: 1001, pid: 10 }, keys: { port: 1002, pid: 11 } },
  supervisorPid: 1,
  edgePort: 8443,
  tryoutPort: 8080,
  alarmPort: 9000,
  playedPorts: new Set([7000]),
};
const DATABASE = '/srv/house/postgres/socket/.s.PGSQL.5432';

const DOOR = '/run/peers/keys/peer.sock';
const KNOWN = [
  { path: DATABASE, use: 'database', pid: 77 },
  { path: DOOR, use: 'sidecar', pid: 11 },
] as const;

let inode = 0;
function tcp(port: number, pids: readonly number[], host = '127.0.0.1'): FoundSocket {
  return { kind: 'tcp', host, port, inode: String((inode += 1)), uid: 0, pids };
}

function inventory(...sockets: FoundSocket[]): HouseInventory {
  return { sockets, processes: 9, unread: 0, leftOut: [], known: KNOWN };
}

function usesOf(...sockets: FoundSocket[]): (string | undefined)[] {
  return houseListeners(inventory(...sockets), TOLD).map(({ use, service }) => service ?? use);
}

describe('what the house listens at', () => {
  it('is what its processes have said, each about itself', () => {
    const played = tcp(7000, [process.pid]);
    const sockets = [tcp(1002, [11]), tcp(8443, [10], '0.0.0.0'), tcp(8080, [10]), tcp(9000, [1]), played];
    expect(usesOf(...sockets)).toEqual(['keys', 'edge', 'try-out', 'alarm', 'played']);
    const database: FoundSocket = { kind: 'unix', host: DATABASE, port: 0, inode: 'u', pids: [77] };
    expect(usesOf(database)).toEqual(['database']);
  });

  it('is undeclared where nobody said so, whoever holds it', () => {
    const udp: FoundSocket = { kind: 'udp', host: '0.0.0.0', port: 53, inode: 'd', pids: [10] };
    const hidden: FoundSocket = { kind: 'unix', host: '@hidden', port: 0, inode: 'h', pids: [10] };
    const namesake: FoundSocket = { kind: 'unix', host: `${DATABASE}x`, port: 0, inode: 'n', pids: [77] };
    expect(usesOf(tcp(4444, [11]), udp, hidden, namesake)).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('is undeclared where another process holds what one has declared, alone or beside it', () => {
    expect(usesOf(tcp(1002, [12]), tcp(8443, [11]), tcp(1001, [10, 99]), tcp(7000, [11]))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('is undeclared where another process listens at the path of one, also by a Unix socket', () => {
    const at = (host: string, ...pids: number[]): FoundSocket => ({ kind: 'unix', host, port: 0, inode: 'u', pids });
    expect(usesOf(at(DOOR, 11), at(DOOR, 10), at(DOOR, 11, 10), at(DOOR))).toEqual([
      'sidecar',
      undefined,
      undefined,
      'sidecar', // the kernel did not show who holds it, which the prober says
    ]);
    expect(usesOf(at(DATABASE, 77, 78), at(DATABASE, 10))).toEqual(['database', undefined]);
  });

  it('is dialled with old versions wherever it is TCP, but not what is played here for a moment', () => {
    const { sockets, leftOut } = houseSockets(inventory(tcp(1002, [11]), tcp(8080, [10]), tcp(7000, [process.pid])), {
      ...TOLD,
    });
    expect(sockets).toEqual([
      { host: '127.0.0.1', port: 1002, loopbackOnly: true },
      { host: '127.0.0.1', port: 8080, loopbackOnly: true, exception: 'try-out' },
    ]);
    expect(leftOut).toBe(0);
  });

  it('is never nothing', () => {
    expect(() => houseSockets(inventory(), TOLD)).toThrow('no listening socket');
  });
});
