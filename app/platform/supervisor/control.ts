import { chmodSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { AppError, type Json } from '@auditrax/base';

/** A line of the control channel is a small command or a report; a larger one is a mistake. */
const LINE_BYTES_MAX = 32 * 1024 * 1024;

export type ControlHandler = (name: string, input: Json, progress: (line: string) => void) => Promise<Json>;

/**
 * The operator's door to a running house: a Unix socket in the supervisor's 0700 folder, so that only who may become
 * the supervisor's user can use it. One JSON line asks, `progress` lines and one `done` or `failed` line answer.
 */
export async function openControl(path: string, handle: ControlHandler): Promise<{ close(): Promise<void> }> {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    const say = (message: Json): void => void socket.write(`${JSON.stringify(message)}\n`);
    socket.on('error', () => {});
    createInterface({ input: socket }).once('line', (line) => {
      if (line.length > LINE_BYTES_MAX) return socket.destroy();
      const { name, input } = JSON.parse(line) as { name: string; input: Json };
      handle(name, input, (text) => say({ progress: text })).then(
        (output) => socket.end(`${JSON.stringify({ done: output })}\n`),
        (error: unknown) => {
          const code = error instanceof AppError ? error.code : 'unexpected';
          socket.end(
            `${JSON.stringify({ failed: { code, message: error instanceof Error ? error.message : String(error) } })}\n`,
          );
        },
      );
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  chmodSync(path, 0o600);
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** Asks a running house; rejects `not_running` when nobody listens there. */
export function askHouse(
  path: string,
  question: { name: string; input: Json },
  progress: (line: string) => void,
): Promise<Json> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let answered = false;
    socket.once('error', () =>
      reject(new AppError('not_running', 'Auditrax is not running here: start it with `npm start`')),
    );
    socket.once('connect', () => socket.write(`${JSON.stringify(question)}\n`));
    const lines = createInterface({ input: socket });
    lines.on('error', () => {}); // said once, by the socket
    lines.on('line', (line) => {
      const message = JSON.parse(line) as {
        progress?: string;
        done?: Json;
        failed?: { code: string; message: string };
      };
      if (message.progress !== undefined) return progress(message.progress);
      answered = true;
      if (message.failed !== undefined) reject(new AppError(message.failed.code, message.failed.message));
      else resolve(message.done ?? null);
    });
    lines.on('close', () => {
      if (!answered) reject(new AppError('not_running', 'the house stopped before it had answered'));
    });
  });
}
