// The real command line in a process of its own, as a person would run it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { askHouse } from '../../app/platform/supervisor/control.ts';
import { bringCompiledCode } from './compile-cache.ts';
import { Person, type SampleLink } from './house.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Longer than the supervisor waits for a process, so that its own words are what a test fails with. */
const LINE_MS_MAX = 200_000;

export interface Running {
  readonly child: ChildProcess;
  /** Everything it has said so far, both streams. */
  said(): string;
  /** Resolves with the match when it has said it; rejects when it ends without. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

export interface CommandOptions {
  readonly state: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** A program and its arguments put in front, e.g. `setpriv …`; of the checkout when not given. */
  readonly prefix?: readonly string[];
  readonly root?: string;
  readonly nodeOptions?: readonly string[];
}

/** Runs `auditrax …` with free ports. */
export function runCommand(args: readonly string[], options: CommandOptions): Running {
  const { state, environment = {}, prefix = [], root = ROOT, nodeOptions = [] } = options;
  bringCompiledCode(state);
  const words = [...prefix, process.execPath, ...nodeOptions, join(root, 'start.mjs'), ...args];
  const child = spawn(words[0]!, words.slice(1), {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: state,
      AUDITRAX_STATE: state,
      AUDITRAX_PORT: '0',
      AUDITRAX_TRYOUT_PORT: '0',
      ...environment,
    },
  });
  return follow(child);
}

/** The same in a terminal of its own: what is written to `child.stdin` is typed. */
export function runInTerminal(args: readonly string[], options: CommandOptions): Running {
  bringCompiledCode(options.state);
  const command = [process.execPath, join(ROOT, 'start.mjs'), ...args].map((word) => `'${word}'`).join(' ');
  // Replaces the shell, which would die of the Ctrl-C itself and report that instead of our exit code.
  const child = spawn('script', ['-qefc', `exec ${command}`, '/dev/null'], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: options.state,
      TERM: 'dumb',
      AUDITRAX_STATE: options.state,
      AUDITRAX_PORT: '0',
      AUDITRAX_TRYOUT_PORT: '0',
      ...options.environment,
    },
  });
  return follow(child);
}

function follow(child: ChildProcess): Running {
  let said = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      for (const listener of listeners) listener();
    });
  }
  const ended = once(child, 'close').then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  const until = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const done = (): void => {
        listeners.delete(look);
        clearTimeout(timer);
      };
      const look = (): void => {
        const match = pattern.exec(said);
        if (match === null) return;
        done();
        resolve(match);
      };
      const give = (why: string) => () => {
        done();
        reject(new Error(`${why} without ${String(pattern)}:\n${said}`));
      };
      const timer = setTimeout(give('it went on'), LINE_MS_MAX);
      listeners.add(look);
      void ended.then(give('it ended'));
      look();
    });
  return { child, said: () => said, until, ended };
}

/** The number of the supervisor that holds a state folder. */
export function supervisorOf(state: string): number {
  return Number.parseInt(readFileSync(join(state, 'supervisor.pid'), 'utf8'), 10);
}

/** A person of the running house of that folder, through its own control socket and a fresh link. */
export async function enterHouse(state: string, role = 'Lead auditor'): Promise<Person> {
  const socket = join(state, 'supervisor/control');
  const ask = (name: string) => askHouse(socket, { name, input: null }, () => undefined);
  const { tryout } = (await ask('status')) as { tryout: string };
  const links = (await ask('links')) as unknown as SampleLink[];
  return Person.enter(tryout, links, { role, tenant: 'Harbour Street Audit' });
}
