import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';
import type { ListeningSocket, OpenSockets } from '../claims/probe.ts';

/** Where the kernel lists sockets; a state of 0A is LISTEN (see proc(5)). */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const;
const LISTEN = '0A';

export interface KernelSocket {
  readonly host: string;
  readonly port: number;
  readonly uid: number;
  readonly inode: string;
}

export interface HouseProcesses {
  /** Of every process of the house that has told where it listens, and of this one. */
  readonly pids: readonly number[];
  /** `users`: a uid belongs to one process of the house and to nobody else. */
  readonly separation: 'users' | 'passwords';
  /** Folder of the database's Unix socket, when the house runs the database itself. */
  readonly databaseDirectory: string | undefined;
  readonly tryoutPort: number | null;
  /** Where the supervisor's alarm listens. */
  readonly alarmPort: number;
  /** Ports that the house knows itself to have; asked only where another house cannot be told apart. */
  readonly knownPorts: readonly number[];
}

/** Little-endian words of four bytes, as the kernel prints them. */
function addressOf(hex: string): string {
  const bytes: number[] = [];
  for (let word = 0; word < hex.length; word += 8) {
    for (let byte = 6; byte >= 0; byte -= 2) bytes.push(Number.parseInt(hex.slice(word + byte, word + byte + 2), 16));
  }
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[at * 2]! << 8) | bytes[at * 2 + 1]!).toString(16));
  return groups.join(':');
}

/** The listening sockets of a table in the form of /proc/net/tcp. */
export function parseSocketTable(text: string): KernelSocket[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN)
    .map((fields) => {
      const [address, port] = fields[1]!.split(':');
      return { host: addressOf(address!), port: Number.parseInt(port!, 16), uid: Number(fields[7]), inode: fields[9]! };
    });
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '0:0:0:0:0:0:0:1' || host.startsWith('0:0:0:0:0:ffff:7f');
}

interface ProcessStatus {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
}

/** Who a process is. Its status can be read by everybody, also when its folder belongs to root (not dumpable). */
function statusOf(pid: number): ProcessStatus | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
    return { pid, parent: field('PPid'), uid: field('Uid') };
  } catch {
    return undefined; // gone between two looks
  }
}

function everyProcess(): ProcessStatus[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => statusOf(Number(pid)) ?? []);
}

function inodesOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return [/^socket:\[(\d+)\]$/.exec(readlinkSync(join(folder, fd)))?.[1] ?? []].flat();
    } catch {
      return []; // closed meanwhile
    }
  });
}

function databasePid(directory: string): number | undefined {
  const lock = readdirSync(directory).find((name) => name.endsWith('.lock'));
  return lock === undefined ? undefined : Number(readFileSync(join(directory, lock), 'utf8').split('\n', 1)[0]);
}

interface Ownership {
  readonly isOurs: (socket: KernelSocket) => boolean;
  /** Another house on this machine runs under the same users: what is not known to be ours may be its own. */
  readonly shared: boolean;
}

/** Where each process has a user of its own, the kernel's table tells whose a socket is. */
function ownershipByUser(house: HouseProcesses): Ownership {
  const own = house.pids.flatMap((pid) => statusOf(pid) ?? []);
  // Root's sockets cannot be told apart from the machine's; the house has none but the supervisor's alarm.
  const uids = new Set(own.map(({ uid }) => uid).filter((uid) => uid !== 0));
  const shared = everyProcess().some(
    ({ pid, parent, uid }) => uids.has(uid) && parent !== process.ppid && !house.pids.includes(pid),
  );
  if (house.databaseDirectory !== undefined) uids.add(statSync(house.databaseDirectory).uid);
  return { isOurs: ({ uid }) => uids.has(uid), shared };
}

/** Where they share one, their open file descriptors do. */
function ownershipByDescriptor(house: HouseProcesses): Ownership {
  const database = house.databaseDirectory === undefined ? undefined : databasePid(house.databaseDirectory);
  const pids = [...house.pids, process.ppid, ...(database === undefined ? [] : [database])];
  const inodes = new Set(pids.flatMap(inodesOf));
  return { isOurs: ({ inode }) => inodes.has(inode), shared: false };
}

/** Every TCP socket that the house has open, as the kernel tells it. Throws `sockets_unseen` when it tells of none. */
export function houseSockets(house: HouseProcesses): OpenSockets {
  const { isOurs, shared } = house.separation === 'users' ? ownershipByUser(house) : ownershipByDescriptor(house);
  const found = TABLES.flatMap((table) => parseSocketTable(readFileSync(table, 'utf8'))).filter(
    (socket) => isOurs(socket) || socket.port === house.alarmPort,
  );
  const told = shared ? found.filter(({ port }) => house.knownPorts.includes(port)) : found;
  const sockets = told.map(({ host, port }): ListeningSocket => {
    const exception = port === house.tryoutPort ? 'try-out' : port === house.alarmPort ? 'alarm' : undefined;
    return { host, port, loopbackOnly: isLoopback(host), ...(exception === undefined ? {} : { exception }) };
  });
  if (sockets.length === 0) throw new AppError('sockets_unseen', 'the kernel shows no listening socket of the house');
  return { sockets, leftOut: found.length - told.length };
}
