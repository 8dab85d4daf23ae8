import { fromBase64Url, type Clock } from '@auditrax/base';
import { compactVerify, importJWK } from 'jose';
import type { SetAlgorithm } from './algorithms.ts';
import { quoted, refusal } from './errors.ts';
import { parseEvents, stateOf, STREAM_EVENTS, strongest, timeOf, type ReceivedEvent, type Verdict } from './events.ts';
import { isPlainText, memberOf, parseObject, type JsonObject } from './json.ts';
import type { KeySource } from './keys.ts';
import {
  CLOCK_SKEW_MS,
  ID_CHARACTERS_MAX,
  KEY_ID_CHARACTERS_MAX,
  SET_AGE_MS_MAX,
  TOKEN_CHARACTERS_MAX,
} from './limits.ts';
import type { ReceiverStream } from './stream.ts';
import { findSubject, parseSubject, type FoundSubject, type Subject } from './subject.ts';

/** A security event token that is believed. */
export interface ReceivedSet {
  readonly tokenId: string;
  readonly issuedAt_ms: number;
  /** The transmitter's name for what happened; several tokens may share it. */
  readonly transactionId: string | undefined;
  readonly subject: Subject;
  /** Whom it means here. */
  readonly found: FoundSubject;
  readonly events: readonly ReceivedEvent[];
  /** What has to be done: the strongest of its events, or `alert` where it would hit somebody whom we cannot find. */
  readonly verdict: Verdict;
  /** The token itself, to be kept as evidence. */
  readonly token: string;
}

/** Keeps events under a unique key. */
export interface SetStore {
  /**
   * E27: keeps an event and remembers (this stream, `tokenId`) until `forget_ms`, both in one transaction, and says
   * whether it was new. Called last, once, and for believed tokens only. When it returns, the event survives a crash.
   */
  keep(set: ReceivedSet, forget_ms: number): Promise<boolean>;
}

export interface SetPorts {
  readonly clock: Clock;
  /** Whether a verification with this state was asked for on this stream. Without it nothing was. */
  expectsState?(state: string): Promise<boolean>;
}

/** E9 to E11: three parts, strict base64url, the one algorithm, the type. Nothing of it is believed yet. */
function readHeader(token: string, algorithm: SetAlgorithm): { readonly kid: string | undefined } {
  if (token.length > TOKEN_CHARACTERS_MAX) throw refusal('signals_token_form', 'too large');
  const parts = token.split('.');
  if (parts.length !== 3) throw refusal('signals_token_form', `${parts.length} parts`);
  const [head, payload, signature] = parts.map((part) => fromBase64Url(part));
  const header = head === undefined ? undefined : parseObject(head.toString('utf8'));
  if (header === undefined || payload === undefined || signature === undefined) throw refusal('signals_token_form');
  const alg = memberOf(header, 'alg');
  if (alg !== algorithm) throw refusal('signals_algorithm_refused', quoted(alg));
  for (const name of ['crit', 'b64', 'zip', 'enc'])
    if (Object.hasOwn(header, name)) throw refusal('signals_token_form', `${name} in the header`);
  const typ = memberOf(header, 'typ');
  if (typeof typ !== 'string' || !/^(?:application\/)?secevent\+jwt$/i.test(typ))
    throw refusal('signals_token_typ', quoted(typ));
  const kid = memberOf(header, 'kid');
  if (kid !== undefined && !isPlainText(kid, KEY_ID_CHARACTERS_MAX)) throw refusal('signals_token_form', 'kid');
  return { kid };
}

/** E9 to E13. Keys and addresses that the token itself brings (`jwk`, `x5c`, `jku`, `x5u`) are not looked at. */
async function verifySignature(token: string, algorithm: SetAlgorithm, keys: KeySource): Promise<JsonObject> {
  const { kid } = readHeader(token, algorithm);
  const key = await keys.find(kid);
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(token, await importJWK(key, algorithm), { algorithms: [algorithm] }));
  } catch (cause) {
    throw refusal('signals_signature_invalid', undefined, { cause });
  }
  const claims = parseObject(Buffer.from(payload).toString('utf8'));
  if (claims === undefined) throw refusal('signals_token_form', 'claims');
  return claims;
}

/** E14 and E15: from this transmitter, for this receiver and nobody beside it. */
function checkParties(claims: JsonObject, stream: ReceiverStream): void {
  const issuer = memberOf(claims, 'iss');
  if (issuer !== stream.issuer) throw refusal('signals_issuer', quoted(issuer));
  const audience = memberOf(claims, 'aud');
  const list: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  if (list.length !== 1 || list[0] !== stream.audience)
    throw refusal('signals_audience', list.slice(0, 4).map(quoted).join(' '));
}

/** E16 and E17: issued not long ago, and nothing in it that would make it a token for signing in. */
function checkKind(claims: JsonObject, now_ms: number): number {
  for (const name of ['sub', 'exp', 'nonce'])
    if (Object.hasOwn(claims, name)) throw refusal('signals_other_token', name);
  const issuedAt_ms = timeOf(memberOf(claims, 'iat'));
  if (issuedAt_ms === undefined) throw refusal('signals_issued_at', 'iat');
  if (issuedAt_ms > now_ms + CLOCK_SKEW_MS) throw refusal('signals_issued_at', 'in the future');
  if (issuedAt_ms < now_ms - SET_AGE_MS_MAX - CLOCK_SKEW_MS) throw refusal('signals_issued_at', 'too old');
  return issuedAt_ms;
}

/** E26: an event about a stream is about this stream and stands alone, and a verification answers what was asked. */
async function checkStreamEvents(
  events: readonly ReceivedEvent[],
  subject: Subject,
  { stream, ports }: { readonly stream: ReceiverStream; readonly ports: SetPorts },
): Promise<boolean> {
  const own = events.filter(({ name }) => name !== undefined && STREAM_EVENTS.includes(name));
  if (own.length === 0) return false;
  if (own.length !== events.length) throw refusal('signals_events_form', 'events about a stream and about somebody');
  const named =
    subject.kind === 'simple' && subject.subject.format === 'opaque' ? subject.subject.parts['id'] : undefined;
  if (stream.streamId === undefined || named !== stream.streamId) throw refusal('signals_stream_subject');
  for (const event of own) {
    const state = event.name === 'verification' ? stateOf(event) : undefined;
    if (state !== undefined && (await ports.expectsState?.(state)) !== true) throw refusal('signals_state');
  }
  return true;
}

function identifier(claims: JsonObject, name: string): string | undefined {
  const value = memberOf(claims, name);
  if (value === undefined) return undefined;
  if (!isPlainText(value, ID_CHARACTERS_MAX)) throw refusal('signals_token_id', name);
  return value;
}

/**
 * E22: a session narrows only what speaks of sessions, and nobody can be suspended who is not named. Returns whom the
 * events mean and what has to be done.
 */
function judge(
  events: readonly ReceivedEvent[],
  found: FoundSubject,
): { readonly found: FoundSubject; readonly verdict: Verdict } {
  const asked = strongest(events.map(({ verdict }) => verdict));
  if (found.unusable !== undefined) return { found, verdict: asked === 'nothing' ? 'nothing' : 'alert' };
  if (found.sessionId === undefined) return { found, verdict: asked };
  if (found.account === undefined) return { found, verdict: asked === 'suspend' ? 'end_sessions' : asked };
  const isOfSession = events.every(({ name }) => name === 'session-revoked');
  return { found: isOfSession ? found : { ...found, sessionId: undefined }, verdict: asked };
}

/**
 * E9 to E26: verifies a security event token (RFC 8417 as SSF 1.0 profiles it), or throws an AppError<SignalsCode> that
 * names the failed check. It says nothing about whether the token was seen before: see {@link receiveSet}.
 */
export async function verifySet(
  input: { readonly token: string; readonly stream: ReceiverStream; readonly keys: KeySource },
  ports: SetPorts,
): Promise<ReceivedSet> {
  const { token, stream, keys } = input;
  const claims = await verifySignature(token, stream.algorithm, keys);
  checkParties(claims, stream);
  const issuedAt_ms = checkKind(claims, ports.clock.nowMs());
  const tokenId = identifier(claims, 'jti');
  if (tokenId === undefined) throw refusal('signals_token_id', 'jti');
  const transactionId = identifier(claims, 'txn');
  const events = parseEvents(memberOf(claims, 'events'));
  const subject = parseSubject(memberOf(claims, 'sub_id'));
  const isAboutStream = await checkStreamEvents(events, subject, { stream, ports });
  const found: FoundSubject = isAboutStream
    ? { account: undefined, sessionId: undefined, unusable: undefined }
    : findSubject(subject, stream);
  return { tokenId, issuedAt_ms, transactionId, subject, events, token, ...judge(events, found) };
}

/**
 * Verifies a token and has it kept. `isNew` is false for one that was kept before: acknowledge it and do nothing.
 * `listedAs` is the id under which a poll gave it.
 */
export async function receiveSet(
  input: {
    readonly token: string;
    readonly stream: ReceiverStream;
    readonly keys: KeySource;
    readonly listedAs?: string;
  },
  ports: SetPorts & { readonly store: SetStore },
): Promise<{ readonly set: ReceivedSet; readonly isNew: boolean }> {
  const set = await verifySet(input, ports);
  if (input.listedAs !== undefined && input.listedAs !== set.tokenId) throw refusal('signals_poll_id');
  const isNew = await ports.store.keep(set, set.issuedAt_ms + SET_AGE_MS_MAX + 2 * CLOCK_SKEW_MS);
  return { set, isNew };
}
