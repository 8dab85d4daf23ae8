import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';
import type { ListeningSocket } from '../claims/probe.ts';

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
  return host.startsWith('127.') || host === '0:0:0:0:0:0:0:1' || /^0:0:0:0:0:ffff:7f/.test(host);
}

function uidOf(pid: number): number | undefined {
  try {
    return statSync(`/proc/${pid}`).uid === 0 ? statusUid(pid) : statSync(`/proc/${pid}`).uid;
  } catch {
    return undefined; // gone between two looks
  }
}

/** A process that has dropped privileges is not dumpable, and its folder belongs to root; its status still says who it is. */
function statusUid(pid: number): number {
  return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN);
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

/** Does this socket belong to the house? By uid where each process has one, by file descriptor where they share one. */
function ownership(house: HouseProcesses): (socket: KernelSocket) => boolean {
  if (house.separation === 'users') {
    const uids = new Set(house.pids.map(uidOf));
    if (house.databaseDirectory !== undefined) uids.add(statSync(house.databaseDirectory).uid);
    // Root's sockets cannot be told apart from the machine's; the house has none but the supervisor's alarm.
    uids.delete(0);
    return ({ uid }) => uids.has(uid);
  }
  const database = house.databaseDirectory === undefined ? undefined : databasePid(house.databaseDirectory);
  const pids = [...house.pids, process.ppid, ...(database === undefined ? [] : [database])];
  const inodes = new Set(pids.flatMap(inodesOf));
  return ({ inode }) => inodes.has(inode);
}

/** Every TCP socket that the house has open, as the kernel tells it. Throws `sockets_unseen` when it tells of none. */
export function houseSockets(house: HouseProcesses): ListeningSocket[] {
  const isOurs = ownership(house);
  const found = TABLES.flatMap((table) => parseSocketTable(readFileSync(table, 'utf8')))
    .filter((socket) => isOurs(socket) || socket.port === house.alarmPort)
    .map(({ host, port }): ListeningSocket => {
      const exception = port === house.tryoutPort ? 'try-out' : port === house.alarmPort ? 'alarm' : undefined;
      return { host, port, loopbackOnly: isLoopback(host), ...(exception === undefined ? {} : { exception }) };
    });
  if (found.length === 0) throw new AppError('sockets_unseen', 'the kernel shows no listening socket of the house');
  return found;
}
