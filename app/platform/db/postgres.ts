import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRandom, toBase64Url } from '@auditrax/base';
import {
  asUser,
  createDataDirectory,
  makeServerDirectory,
  POSTGRES_ENVIRONMENT,
  scramVerifier,
  setVerifierOffline,
  writeConfiguration,
  type Authentication,
  type PeerMapping,
} from './cluster.ts';
import { databaseError } from './errors.ts';
import { isReachable, prepareNative, type RunAs } from './native.ts';

/** `sun_path` holds 108 bytes including the closing NUL (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;
/** The name of the socket; nothing listens on a TCP port. */
const SOCKET_PORT = 5432;
/** Crash recovery after a hard kill may replay a lot of log. */
const START_TIMEOUT_MS = 120_000;
const STOP_FAST_TIMEOUT_MS = 30_000;
const STOP_IMMEDIATE_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 10;
/** A log bigger than this is started anew, so that it can never fill the disk. */
const LOG_BYTES_MAX = 32 * 1024 * 1024;

export interface LaunchOptions {
  /** A folder of ours; data, socket, log and secret lie below it. Created when missing. */
  readonly stateDirectory: string;
  /** `embeddedPackageDirectory(root)`. */
  readonly packageDirectory: string;
  /** Only as root: the user the server drops to (default: `postgres`, else `nobody`). */
  readonly runAs?: RunAs;
  /** Only as root: which operating-system user may log in as which role. `root` may always be the superuser. */
  readonly peerMap?: readonly PeerMapping[];
  /** Default: `peer` as root, `scram` as an ordinary user, who has only one operating-system user to tell apart. */
  readonly authentication?: Authentication['kind'];
  /** Name of the bootstrap superuser; used for roles and base backups only. */
  readonly superuser: string;
  readonly log: (message: string) => void;
  /** A data folder to copy instead of running initdb. */
  readonly templateDirectory?: string;
  /**
   * A data folder of another server that gets a copy of a newly made one, which costs a tenth of making a second. The
   * two then carry the same system identifier: neither may ever be given the other's log to replay.
   */
  readonly twinDirectory?: string;
  /** More server settings (`postgresql.conf` names). */
  readonly settings?: Readonly<Record<string, string>>;
  /** Prefix of the server's command, e.g. `setpriv --pdeathsig INT`, for servers that must die with this process. */
  readonly commandPrefix?: readonly string[];
}

export interface Launched {
  readonly socketDirectory: string;
  readonly port: number;
  /** True when a server from an earlier start was found running and taken over. */
  readonly adopted: boolean;
  readonly authentication: Authentication['kind'];
  /** Only with SCRAM. */
  readonly superuserPassword?: string;
  readonly pid: number;
  readonly dataDirectory: string;
  readonly native: string;
  /** Ends sessions, writes a checkpoint, leaves nothing running. Safe to call twice. */
  stop(): Promise<void>;
}

interface Layout {
  readonly data: string;
  readonly socket: string;
  readonly log: string;
  readonly secret: string;
}

/**
 * Starts PostgreSQL on a Unix socket, or adopts the one an earlier start left running (a supervisor killed with
 * SIGKILL leaves it behind). Never opens a network port; there is no `trust` line. As root the server runs as another
 * user and asks the kernel who calls (peer); as an ordinary user it asks for SCRAM passwords.
 *
 * Errors: `socket_path_too_long`, `state_directory_unreachable`, `state_directory_foreign`, `postgres_user_unknown`,
 * `postgres_init_failed`, `postgres_start_failed`.
 */
export async function launchPostgres(options: LaunchOptions): Promise<Launched> {
  const asRoot = process.getuid?.() === 0;
  const runAs = asRoot ? (options.runAs ?? defaultServerUser()) : { uid: process.getuid!(), gid: process.getgid!() };
  const layout = prepareLayout(resolve(options.stateDirectory), runAs);
  const native = prepareNative({
    packageDirectory: options.packageDirectory,
    copyDirectory: resolve(options.stateDirectory),
    runAs,
  });
  const authentication: Authentication =
    (options.authentication ?? (asRoot ? 'peer' : 'scram')) === 'peer'
      ? { kind: 'peer', map: [{ osUser: 'root', role: options.superuser }, ...(options.peerMap ?? [])] }
      : { kind: 'scram' };
  const context: Context = { options, runAs, layout, native, authentication };

  const running = await findRunning(layout);
  const adopted = running !== undefined;
  if (!adopted && !existsSync(join(layout.data, 'PG_VERSION'))) {
    options.log('creating the database');
    const template = options.templateDirectory === undefined ? {} : { templateDirectory: options.templateDirectory };
    createDataDirectory({ native, dataDirectory: layout.data, superuser: options.superuser, runAs, ...template });
    rmSync(layout.secret, { force: true });
    if (options.twinDirectory !== undefined) copyNewData(layout.data, options.twinDirectory);
  }
  const password = authentication.kind === 'scram' ? superuserPassword(context, adopted) : undefined;
  writeConfiguration({
    dataDirectory: layout.data,
    socketDirectory: layout.socket,
    port: SOCKET_PORT,
    superuser: options.superuser,
    authentication,
    settings: options.settings ?? {},
    runAs,
  });
  if (running !== undefined) {
    options.log(`adopting the database server that is already running (pid ${running})`);
    process.kill(running, 'SIGHUP'); // reread who may log in as what
  }
  const pid = running ?? (await start(context));
  return {
    socketDirectory: layout.socket,
    port: SOCKET_PORT,
    adopted,
    authentication: authentication.kind,
    ...(password === undefined ? {} : { superuserPassword: password }),
    pid,
    dataDirectory: layout.data,
    native,
    stop: () => stop(layout, pid),
  };
}

/** Replaces nothing: a folder that is there already has rows. */
function copyNewData(data: string, twin: string): void {
  if (existsSync(twin)) return;
  mkdirSync(dirname(twin), { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  const partial = `${twin}.partial`;
  rmSync(partial, { recursive: true, force: true });
  execFileSync('cp', ['-a', '--reflink=auto', data, partial]);
  renameSync(partial, twin);
}

interface Context {
  readonly options: LaunchOptions;
  readonly runAs: RunAs;
  readonly layout: Layout;
  readonly native: string;
  readonly authentication: Authentication;
}

/** `postgres` when the machine has that user, else `nobody`. Throws `postgres_user_unknown` when there is neither. */
export function defaultServerUser(): RunAs {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw databaseError('postgres_user_unknown', 'PostgreSQL refuses to run as root: create a user named postgres');
}

function prepareLayout(wanted: string, runAs: RunAs): Layout {
  const asRoot = process.getuid?.() === 0;
  mkdirSync(wanted, { recursive: true, mode: asRoot ? 0o711 : 0o700 });
  const state = realpathSync(wanted); // compared later with what the kernel says about a process
  const socket = join(state, 'socket');
  const path_bytes = Buffer.byteLength(join(socket, `.s.PGSQL.${SOCKET_PORT}`));
  if (path_bytes > SOCKET_PATH_BYTES_MAX) {
    throw databaseError(
      'socket_path_too_long',
      `the socket path below ${state} has ${path_bytes} bytes, the system allows ${SOCKET_PATH_BYTES_MAX}: choose a state folder with a shorter path`,
    );
  }
  const owner = statSync(state).uid;
  if (!asRoot && owner !== process.getuid?.()) {
    throw databaseError(
      'state_directory_foreign',
      `${state} belongs to user id ${owner}: run as that user or choose another state folder`,
    );
  }
  if (!isReachable(state, runAs)) {
    throw databaseError(
      'state_directory_unreachable',
      `user id ${runAs.uid} cannot pass through a folder above ${state}: choose a state folder below /var/lib or /srv`,
    );
  }
  makeServerDirectory(socket, asRoot ? 0o711 : 0o700, runAs);
  return {
    data: join(state, 'data'),
    socket,
    log: join(state, 'postgres.log'),
    secret: join(state, 'superuser.secret'),
  };
}

interface PidFile {
  readonly pid: number;
  readonly status: string;
}

function readPidFile(layout: Layout): PidFile | undefined {
  try {
    const lines = readFileSync(join(layout.data, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number(lines[0]);
    return Number.isInteger(pid) && pid > 1 ? { pid, status: (lines[7] ?? '').trim() } : undefined;
  } catch {
    return undefined;
  }
}

/** The pid file may be stale and its number taken by a stranger: only a process that works in our data folder counts. */
function isOurServer(pid: number, layout: Layout): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === layout.data;
  } catch {
    return false;
  }
}

async function findRunning(layout: Layout): Promise<number | undefined> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const file = readPidFile(layout);
    if (file === undefined) return undefined;
    if (!isOurServer(file.pid, layout)) {
      // The server itself refuses to start when the number lives on as some other process of the same user.
      rmSync(join(layout.data, 'postmaster.pid'), { force: true });
      return undefined;
    }
    if (file.status === 'ready' && (await answers(layout))) return file.pid;
    await sleep(POLL_INTERVAL_MS); // starting, recovering or stopping: wait for what it becomes
  }
  throw databaseError(
    'postgres_start_failed',
    `a database server in ${layout.data} neither answers nor ends: stop it by hand`,
  );
}

/** Asks for TLS, which this server declines with one byte: only a living server answers, a dying one merely accepts. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const ANSWER_TIMEOUT_MS = 2_000;

function answers(layout: Layout): Promise<boolean> {
  const { promise, resolve: settle } = Promise.withResolvers<boolean>();
  const socket = connect(join(layout.socket, `.s.PGSQL.${SOCKET_PORT}`));
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => settle(false));
  socket.once('connect', () => socket.write(SSL_REQUEST));
  socket.once('data', (bytes) => settle(bytes[0] === 'N'.charCodeAt(0)));
  socket.on('error', () => settle(false));
  socket.once('close', () => settle(false));
  void promise.then(() => socket.destroy());
  return promise;
}

function superuserPassword(context: Context, adopted: boolean): string {
  const { layout, native, runAs, options } = context;
  if (existsSync(layout.secret)) return readFileSync(layout.secret, 'utf8').trim();
  if (adopted) {
    throw databaseError(
      'postgres_start_failed',
      `${layout.secret} is missing while the server runs: stop the server, then start again`,
    );
  }
  const password = toBase64Url(systemRandom.bytes(32));
  const verifier = scramVerifier(password, systemRandom);
  setVerifierOffline({ native, dataDirectory: layout.data, role: options.superuser, verifier, runAs });
  writeFileSync(layout.secret, `${password}\n`, { mode: 0o600, flag: 'wx' });
  return password;
}

async function start(context: Context): Promise<number> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const outcome = await startOnce(context, deadline);
    if ('pid' in outcome) return outcome.pid;
    // After a hard kill the children of the old server need a moment to notice; until then the segment is taken.
    const transient = /pre-existing shared memory block|lock file ".*" (already exists|is empty)/.test(outcome.failure);
    if (!transient || performance.now() > deadline) {
      throw databaseError('postgres_start_failed', `PostgreSQL did not start: ${outcome.failure}`);
    }
    await sleep(100);
  }
}

async function startOnce(context: Context, deadline: number): Promise<{ pid: number } | { failure: string }> {
  const { layout, options } = context;
  const before_bytes = prepareLog(layout.log);
  const child = spawnServer(context);
  let exited = false;
  child.once('exit', () => (exited = true));
  child.once('error', () => (exited = true));
  while (performance.now() < deadline) {
    const file = readPidFile(layout);
    if (file !== undefined && file.pid === child.pid && file.status === 'ready' && (await answers(layout))) {
      child.unref();
      options.log(`the database is ready (pid ${file.pid})`);
      return { pid: file.pid };
    }
    if (exited) return { failure: lastLogLine(layout.log, before_bytes) };
    await sleep(POLL_INTERVAL_MS);
  }
  child.kill('SIGQUIT');
  return { failure: `it was not ready after ${START_TIMEOUT_MS / 1000} seconds` };
}

function spawnServer(context: Context): ChildProcess {
  const { layout, native, runAs, options } = context;
  const command = [...(options.commandPrefix ?? []), join(native, 'bin', 'postgres'), '-D', layout.data];
  const log = openSync(layout.log, 'a', 0o600);
  try {
    // Detached: Ctrl-C in a terminal reaches the supervisor, which ends the services before their database.
    return spawn(command[0]!, command.slice(1), {
      ...asUser(runAs),
      cwd: layout.data,
      env: POSTGRES_ENVIRONMENT,
      stdio: ['ignore', log, log],
      detached: true,
    });
  } finally {
    closeSync(log);
  }
}

function prepareLog(path: string): number {
  const size_bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size_bytes <= LOG_BYTES_MAX) return size_bytes;
  truncateSync(path, 0);
  return 0;
}

function lastLogLine(path: string, from_bytes: number): string {
  const text = readFileSync(path).subarray(from_bytes).toString('utf8').trim();
  const lines = text.split('\n').filter((line) => /FATAL|ERROR|PANIC|error while loading/.test(line));
  return lines.at(0) ?? (text.split('\n').at(-1) || 'it ended without a word');
}

/**
 * What the operating system says of a process. While it dies it loses its working folder before it is gone, so its end
 * is told by its state, and by its start: the number may be given to a stranger at once.
 */
function lifeOf(pid: number): { readonly state: string; readonly started: string } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { state: fields[0] ?? '', started: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

const ENDED_STATES: readonly string[] = ['Z', 'X', 'x'];

async function stop(layout: Layout, pid: number): Promise<void> {
  const steps: readonly [NodeJS.Signals, number][] = [
    ['SIGINT', STOP_FAST_TIMEOUT_MS], // fast: ends sessions, writes a checkpoint
    ['SIGQUIT', STOP_IMMEDIATE_TIMEOUT_MS], // immediate: the next start replays the log
  ];
  const started = lifeOf(pid)?.started;
  if (!isOurServer(pid, layout)) return;
  const isAlive = (): boolean => {
    const life = lifeOf(pid);
    return life !== undefined && life.started === started && !ENDED_STATES.includes(life.state);
  };
  for (const [signal, patience_ms] of steps) {
    if (!isAlive()) return;
    try {
      process.kill(pid, signal);
    } catch {
      return; // gone between the look and the signal
    }
    const deadline = performance.now() + patience_ms;
    while (isAlive() && performance.now() < deadline) await sleep(POLL_INTERVAL_MS);
  }
  if (isAlive()) throw databaseError('postgres_stop_failed', `the database server (pid ${pid}) does not end`);
}
