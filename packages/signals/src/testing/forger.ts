import { generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import { manualClock } from '@auditrax/base';
import { isSignalsError } from '../errors.ts';
import {
  createKeySource,
  parseReceiverStream,
  verifySet,
  type KeySource,
  type ReceivedSet,
  type ReceiverStream,
  type ReceiverStreamInput,
  type SetStore,
  type SignalsFetch,
} from '../index.ts';

/** A transmitter in memory that says whatever a test wants it to say; nothing of it is a real transmitter's code. */
export const ISSUER = 'https://signals.provider.test';
export const AUDIENCE = 'https://receiver.test/streams/1';
export const STREAM_ID = 'f67e39a0a4d34d56b3aa1bc4cff0069f';
export const NOW_MS = Date.UTC(2026, 10, 23, 9, 0, 0);
export const NOW_SECONDS = NOW_MS / 1000;
const BASE = 'https://schemas.openid.net/secevent/';
export const SESSION_REVOKED = `${BASE}caep/event-type/session-revoked`;
export const VERIFICATION = `${BASE}ssf/event-type/verification`;

export const INPUT: ReceiverStreamInput = { issuer: ISSUER, audience: AUDIENCE, streamId: STREAM_ID };

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: JsonWebKey & Record<string, unknown>;
}

export function makeRsaKey(kid: string, modulusLength = 2048): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } };
}

export function makeEcKey(kid: string, namedCurve = 'P-256'): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } };
}

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value), 'utf8').toString('base64url');

/** A JWT of any header and claims, texts as they are; `signature` makes it from the signed text. */
export function makeToken(header: unknown, claims: unknown, signature: (text: string) => Buffer): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${signature(text).toString('base64url')}`;
}

export function rs256(key: SigningKey): (text: string) => Buffer {
  return (text) => sign('sha256', Buffer.from(text, 'ascii'), key.privateKey);
}

export const SUBJECT = { format: 'iss_sub', iss: ISSUER, sub: 'f1d2c3b4' } as const;

/** The claims of an ordinary event. */
export function claimsOf(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    jti: 'event-1',
    iat: NOW_SECONDS,
    txn: 'cause-1',
    sub_id: SUBJECT,
    events: { [SESSION_REVOKED]: { event_timestamp: NOW_SECONDS - 10, initiating_entity: 'policy' } },
    ...over,
  };
}

/** An ordinary event with the header that transmitters write; undefined takes a member away. */
export function signedSet(
  key: SigningKey,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): string {
  return makeToken({ alg: 'RS256', typ: 'secevent+jwt', kid: key.kid, ...header }, claimsOf(claims), rs256(key));
}

export function jsonAnswer(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } });
}

/** A receiver with a stream, a clock, the keys of a transmitter and a store in memory. */
export class Receiver {
  readonly clock = manualClock(NOW_MS);
  readonly asked: string[] = [];
  readonly kept = new Map<string, { readonly set: ReceivedSet; readonly forget_ms: number }>();
  readonly states = new Set<string>();
  readonly stream: ReceiverStream;
  readonly keys: KeySource;
  published: unknown;

  constructor(keys: readonly unknown[], input: Partial<ReceiverStreamInput> = {}) {
    this.published = { keys };
    this.stream = parseReceiverStream({ ...INPUT, ...input });
    const fetch: SignalsFetch = (url) => {
      this.asked.push(url);
      return Promise.resolve(jsonAnswer(this.published));
    };
    this.keys = createKeySource(this.stream, `${ISSUER}/keys`, { fetch, clock: this.clock });
  }

  readonly store: SetStore = {
    keep: (set, forget_ms) => {
      const isNew = !this.kept.has(set.tokenId);
      if (isNew) this.kept.set(set.tokenId, { set, forget_ms });
      return Promise.resolve(isNew);
    },
  };

  readonly expectsState = (state: string): Promise<boolean> => Promise.resolve(this.states.has(state));

  verify(token: string): Promise<ReceivedSet> {
    return verifySet({ token, stream: this.stream, keys: this.keys }, this);
  }

  /** `verdict for whom`, or the code of the refusal. */
  async verdict(token: string): Promise<string> {
    return await codeOf(async () => {
      const { verdict, found } = await this.verify(token);
      const whom = found.unusable ?? [found.account?.subject, found.sessionId].filter(Boolean).join(' in ');
      return `${verdict} for ${whom === '' ? 'the stream' : whom}`;
    });
  }
}

/** What came of it, or the code of the refusal; anything that is no refusal of ours is thrown on. */
export async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    return String(await work());
  } catch (error) {
    if (isSignalsError(error)) return error.code;
    throw error;
  }
}
