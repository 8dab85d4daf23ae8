import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Where the kernel lists what is open in a process's network namespace (proc(5)), and which states await strangers. */
const TABLES = [
  { file: 'tcp', kind: 'tcp', state: '0A' }, // LISTEN
  { file: 'tcp6', kind: 'tcp', state: '0A' },
  { file: 'udp', kind: 'udp', state: '07' }, // bound and connected to nobody: takes datagrams of everybody
  { file: 'udp6', kind: 'udp', state: '07' },
] as const;
/** `__SO_ACCEPTCON`: a Unix socket that listens. */
const ACCEPTING = 0x1_0000;

/** One that awaits whoever comes. */
export interface KernelSocket {
  readonly kind: 'tcp' | 'udp' | 'unix';
  /** Address; of a Unix socket its path, `@…` in the abstract namespace, empty when it has no name. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  readonly inode: string;
  /** Of its owner; the kernel does not tell it of Unix sockets. */
  readonly uid?: number;
}

export interface FoundSocket extends KernelSocket {
  /** Every process of the house that holds it; empty when only its owner is known. */
  readonly pids: readonly number[];
}

export interface Inventory {
  readonly sockets: readonly FoundSocket[];
  /** Processes that were looked into. */
  readonly processes: number;
  /** Of these, how many did not show their descriptors: what they listen at is told by its owner alone. */
  readonly unread: number;
  /** Sockets of such an owner under whom others run as well; they may be theirs. */
  readonly leftOut: readonly FoundSocket[];
}

/** Which processes are the house's. */
export interface HouseRoots {
  /** With everything that descends from them. */
  readonly trees: readonly number[];
  /** By themselves. */
  readonly alone: readonly number[];
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

function rowsOf(text: string): string[][] {
  return text
    .split('\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => line.trim().split(/\s+/));
}

/** Sockets that await strangers, of a table in the form of /proc/net/tcp or /proc/net/udp. */
export function parseInternet(text: string, { kind, state }: { kind: 'tcp' | 'udp'; state: string }): KernelSocket[] {
  return rowsOf(text)
    .filter((fields) => fields[3] === state)
    .map((fields) => {
      const [address, port] = fields[1]!.split(':');
      const host = addressOf(address!);
      return { kind, host, port: Number.parseInt(port!, 16), uid: Number(fields[7]), inode: fields[9]! };
    });
}

/** Listening sockets of a table in the form of /proc/net/unix. A path may hold spaces; nothing comes after it. */
export function parseUnix(text: string): KernelSocket[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const match = /^\S+: \S+ \S+ ([0-9A-Fa-f]+) \S+ \S+ +(\d+)(?: (.*))?$/.exec(line);
      if (match === null || (Number.parseInt(match[1]!, 16) & ACCEPTING) === 0) return [];
      return [{ kind: 'unix' as const, host: match[3] ?? '', port: 0, inode: match[2]! }];
    });
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
    return undefined; // ended meanwhile
  }
}

function everyProcess(): ProcessStatus[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => statusOf(Number(pid)) ?? []);
}

function membersOf({ trees, alone }: HouseRoots, all: readonly ProcessStatus[]): Set<number> {
  const children = Map.groupBy(all, ({ parent }) => parent);
  const members = new Set<number>();
  const waiting = [...trees];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    if (members.has(pid)) continue;
    members.add(pid);
    waiting.push(...(children.get(pid) ?? []).map((child) => child.pid));
  }
  for (const pid of alone) members.add(pid);
  return members;
}

/** Inodes of the sockets that a process holds; undefined when the kernel does not show them to us. */
function inodesOf(pid: number): readonly string[] | undefined {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(join(folder, fd)))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? undefined : []; // else it has ended
  }
}

/** A name of the process's network namespace; one of its own where the kernel does not tell. */
function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return `of ${pid}`;
  }
}

/** What listens in a process's network namespace, whoever holds it. */
function socketsBeside(pid: number): KernelSocket[] {
  const read = (file: string): string => {
    try {
      return readFileSync(`/proc/${pid}/net/${file}`, 'utf8');
    } catch {
      return ''; // ended meanwhile, or a machine without IPv6
    }
  };
  const internet = TABLES.flatMap((table) => parseInternet(read(table.file), table));
  return [...internet, ...parseUnix(read('unix'))];
}

/**
 * Every socket at which a process of the house awaits strangers, as the kernel tells it: TCP, UDP and Unix, in each
 * network namespace that one of them is in. Nothing here knows what there should be.
 *
 * A process whose descriptors are not shown (another user's, without CAP_SYS_PTRACE) is told by the owner of a socket.
 */
export function takeInventory(roots: HouseRoots): Inventory {
  const all = everyProcess();
  const members = membersOf(roots, all);
  const holders = new Map<string, number[]>();
  const unread: number[] = [];
  for (const pid of members) {
    const inodes = inodesOf(pid);
    if (inodes === undefined) unread.push(pid);
    for (const inode of new Set(inodes)) holders.set(inode, [...(holders.get(inode) ?? []), pid]);
  }
  const namespaces = new Map([...members].map((pid) => [namespaceOf(pid), pid]));
  const open = new Map([...namespaces.values()].flatMap(socketsBeside).map((socket) => [socket.inode, socket]));
  const held = [...open.values()].flatMap((socket) => {
    const pids = holders.get(socket.inode);
    return pids === undefined ? [] : [{ ...socket, pids }];
  });
  // Root's cannot be told apart from the machine's.
  const owners = new Set(all.filter(({ pid, uid }) => unread.includes(pid) && uid !== 0).map(({ uid }) => uid));
  const isShared = all.some(({ pid, uid }) => owners.has(uid) && !members.has(pid));
  const owned = [...open.values()]
    .filter(({ inode, uid }) => uid !== undefined && owners.has(uid) && !holders.has(inode))
    .map((socket) => ({ ...socket, pids: [] }));
  return {
    sockets: isShared ? held : [...held, ...owned],
    processes: members.size,
    unread: unread.length,
    leftOut: isShared ? owned : [],
  };
}
