import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { canConnect, knockAtDatabase } from './unix-doors.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** Answers whoever begins with these bytes; hangs up without a word when there are none. */
async function door(answer: readonly number[]): Promise<{ path: string; heard: () => string }> {
  const folder = mkdtempSync(join(tmpdir(), 'unix-door-'));
  undo.push(() => rmSync(folder, { recursive: true }));
  let heard = '';
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (piece) => {
      heard = piece.toString('latin1');
      socket.end(Buffer.from(answer));
    });
  });
  const path = join(folder, 'socket');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  undo.push(() => new Promise((resolve) => server.close(resolve)));
  return { path, heard: () => heard };
}

const authentication = (code: number): number[] => ['R'.charCodeAt(0), 0, 0, 0, 8, 0, 0, 0, code];
const ERROR = ['E'.charCodeAt(0), 0, 0, 0, 4];

it('a database that lets in, asks for more, refuses or hangs up is told apart', async () => {
  const answers = [authentication(0), authentication(10), authentication(5), ERROR, []];
  const replies = [];
  for (const answer of answers) replies.push(await knockAtDatabase((await door(answer)).path, 'ax_workspace'));
  expect(replies).toEqual(['let-in', 'asked', 'asked', 'refused', 'refused']);
});

it('the role is named as PostgreSQL wants it', async () => {
  const { path, heard } = await door(ERROR);
  await knockAtDatabase(path, 'ax_ledger');
  expect(heard().slice(8)).toBe('user\0ax_ledger\0database\0auditrax\0\0');
  expect(heard().charCodeAt(3)).toBe(heard().length);
});

it('nobody there is no refusal, and no open door', async () => {
  expect(await knockAtDatabase('/nonexistent/socket', 'ax_ledger')).toBe('unreachable');
  expect(await canConnect('/nonexistent/socket')).toBe(false);
  expect(await canConnect((await door([])).path)).toBe(true);
});
