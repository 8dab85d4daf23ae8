import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { errorMonitor, type EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { TLS_GROUPS } from './strict-tls.ts';

/** OpenSSL's names for a peer that would speak only an older version; the first is its own word, by alert 70. */
const VERSION_REFUSALS: ReadonlySet<string> = new Set([
  'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  'ERR_SSL_UNSUPPORTED_PROTOCOL',
  'ERR_SSL_WRONG_VERSION_NUMBER',
]);
/** How the same reaches a client whose first write meets the alert: the code is EPROTO, the text OpenSSL's. */
const VERSION_TEXT = /alert protocol version|unsupported protocol|wrong version number/;
const CAUSES_MAX = 8;

/** Was a connection given up because the other side speaks nothing new enough? Looks through causes. */
export function isVersionRefusal(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < CAUSES_MAX; at = at.cause, depth += 1) {
    const { code } = at as NodeJS.ErrnoException;
    if (code !== undefined && VERSION_REFUSALS.has(code)) return true;
    if (code === 'EPROTO' && VERSION_TEXT.test(at.message)) return true;
  }
  return false;
}

/** Makes the groups of `strictTls` the default of every context that names none. Call it before the first connection. */
export function preferHybridGroups(): void {
  tls.DEFAULT_ECDH_CURVE = TLS_GROUPS;
}

const deliberate = new WeakSet<object>();

/** A socket that offers something old on purpose, to be refused: its refusal says nothing about a peer. */
export function expectRefusal(socket: Socket): void {
  deliberate.add(socket);
}

let expected = 0;

/** Runs `work`, which dials a peer of our own that must be refused; refusals while it runs are not counted. */
export async function whileExpectingRefusals<T>(work: () => Promise<T>): Promise<T> {
  expected += 1;
  try {
    return await work();
  } finally {
    expected -= 1;
  }
}

export interface EgressWatch {
  /** Connections this process gave up since its start because the peer spoke nothing as new as TLS 1.3. */
  refused(): number;
  stop(): void;
}

export interface EgressOptions {
  /** Told of each refusal as it happens; where to is for whoever dialled to say. */
  readonly onRefusal: () => void;
  /**
   * Diagnostics channels whose messages are `{ error }`, for clients that turn a plain socket into a secure one (the
   * database's): Node announces those without their TLS.
   */
  readonly channels?: readonly string[];
}

/** Counts, for all clients of this process whichever library made them, the peers that were refused for their age. */
export function watchEgress({ onRefusal, channels = [] }: EgressOptions): EgressWatch {
  let refused = 0;
  const note = (error: unknown): void => {
    if (expected > 0 || !isVersionRefusal(error)) return;
    refused += 1;
    onRefusal();
  };
  // The monitor sees an error and handles nothing: whoever dialled still gets it.
  const onSocket = (message: unknown): void => {
    const socket: EventEmitter = (message as { readonly socket: Socket }).socket;
    socket.once(errorMonitor, (error) => {
      if (!deliberate.has(socket)) note(error);
    });
  };
  const onFailure = (message: unknown): void => note((message as { readonly error: unknown }).error);
  subscribe('net.client.socket', onSocket);
  for (const name of channels) subscribe(name, onFailure);
  return {
    refused: () => refused,
    stop() {
      unsubscribe('net.client.socket', onSocket);
      for (const name of channels) unsubscribe(name, onFailure);
    },
  };
}
