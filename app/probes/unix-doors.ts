import { connect } from 'node:net';
import type { DatabaseReply } from '../claims/probe.ts';

const ANSWER_MS_MAX = 5_000;
/** Version 3.0 of PostgreSQL's protocol ("Message Formats", StartupMessage). */
const PROTOCOL = 196_608;
const DATABASE = 'auditrax';
/** Kind, length and, of an authentication request, its code. */
const HEAD_BYTES = 9;
/** AuthenticationOk; every other code asks for something more. */
const LET_IN = 0;

function startupMessage(role: string): Buffer {
  const text = Buffer.from(`user\0${role}\0database\0${DATABASE}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + text.length, 0);
  head.writeInt32BE(PROTOCOL, 4);
  return Buffer.concat([head, text]);
}

function judge(heard: Buffer): DatabaseReply | undefined {
  if (heard[0] === 'E'.charCodeAt(0)) return 'refused';
  if (heard.length < HEAD_BYTES) return undefined;
  return heard[0] === 'R'.charCodeAt(0) && heard.readInt32BE(5) === LET_IN ? 'let-in' : 'asked';
}

/** One start of a connection, ended by us before anything is done with it. */
export function knockAtDatabase(path: string, role: string): Promise<DatabaseReply> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let heard: Buffer = Buffer.alloc(0);
    let isConnected = false;
    const end = (reply: DatabaseReply): void => {
      socket.destroy();
      resolve(reply);
    };
    socket.setTimeout(ANSWER_MS_MAX, () => end('unreachable'));
    socket.once('connect', () => {
      isConnected = true;
      socket.write(startupMessage(role));
    });
    socket.on('data', (piece) => {
      heard = Buffer.concat([heard, piece]);
      const reply = judge(heard);
      if (reply !== undefined) end(reply);
    });
    socket.once('error', () => end(isConnected ? 'refused' : 'unreachable'));
    socket.once('close', () => end(isConnected ? 'refused' : 'unreachable'));
  });
}

/** Whether the kernel lets this process connect. Says nothing, and hangs up. */
export function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.setTimeout(ANSWER_MS_MAX, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
