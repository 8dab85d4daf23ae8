// A program of somebody else that serves one loopback port from one folder: started, waited for, stopped with what it
// started itself, and its folder removed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The cause of a failed start stands at the beginning; a log of thousands of lines helps nobody. */
const PRINTED_CHARS_MAX = 4_000;
const LOOK_PAUSE_MS = 100;

export interface ForeignServer {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Its own; gone after `stop`. */
  readonly folder: string;
  /** Answers 200 when the program is ready; 500 means that it never will be. */
  readonly readyUrl: string;
  readonly start_ms_max: number;
}

/** Starts it and waits until it answers; returns what stops it. Throws with what it printed. */
export async function startForeignServer(server: ForeignServer): Promise<() => Promise<void>> {
  // A group of its own: such programs have workers that outlive them and keep the port.
  const child = spawn(server.command, server.args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...server.env },
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => (printed = `${printed}${String(chunk)}`.slice(0, PRINTED_CHARS_MAX)));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      process.kill(-child.pid!, 'SIGKILL');
      await once(child, 'exit');
    }
    rmSync(server.folder, { recursive: true, force: true });
  };
  const deadline_ms = Date.now() + server.start_ms_max;
  for (;;) {
    const status = await fetch(server.readyUrl).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return stop;
    if (Date.now() > deadline_ms || status === 500 || child.exitCode !== null) {
      await stop();
      throw new Error(`${server.name} does not answer (${status}): ${printed}`);
    }
    await delay(LOOK_PAUSE_MS);
  }
}
