import type { Clock, Random } from '@auditrax/base';
import { retryAfterOf } from './backoff.ts';
import { isSignalsError } from './errors.ts';
import { ask, type Answer, type ReachPorts } from './http.ts';
import { isPlainText, memberOf, parseObject } from './json.ts';
import { PUSH_ANSWER_BYTES_MAX } from './limits.ts';
import { afterPush, expire, nextPush, type Outbox, type PushResult } from './outbox.ts';

/** Where a receiver wants its events. */
export interface PushTarget {
  readonly url: string;
  /** The whole value of the header that the receiver gave us; secret. */
  readonly authorization: string | undefined;
}

/** These say that the receiver does not know us just now, and nothing about the event. */
const ABOUT_US = ['authentication_failed', 'access_denied'];

/** E43: what a receiver's answer to a push means. */
export function readPushAnswer(answer: Answer, now_ms: number): PushResult {
  if (answer.status === 202) return { kind: 'taken' };
  const err = memberOf(parseObject(answer.text) ?? {}, 'err');
  if (answer.status === 400 && isPlainText(err, 64) && !ABOUT_US.includes(err)) return { kind: 'refused', err };
  return { kind: 'retry', reason: `status ${answer.status}`, wait_ms: retryAfterOf(answer.retryAfter, now_ms) };
}

/** E43: pushes one token (RFC 8935). Never throws: what it cannot reach is to be tried again. */
export async function pushSet(
  token: string,
  target: PushTarget,
  ports: ReachPorts & { readonly clock: Clock },
): Promise<PushResult> {
  const headers = {
    'content-type': 'application/secevent+jwt',
    accept: 'application/json',
    ...(target.authorization === undefined ? {} : { authorization: target.authorization }),
  };
  const asked = { url: target.url, method: 'POST' as const, headers, body: token, bytes_max: PUSH_ANSWER_BYTES_MAX };
  try {
    return readPushAnswer(await ask(asked, ports), ports.clock.nowMs());
  } catch (error) {
    if (!isSignalsError(error)) throw error;
    return { kind: 'retry', reason: error.code, wait_ms: 0 };
  }
}

/**
 * One step of pushing a stream: the first token that is due, if there is one. The caller stores the outbox after each
 * step; from an older one a token is sent again, which its receiver answers with 202.
 */
export async function pushOnce(
  outbox: Outbox,
  target: PushTarget,
  ports: ReachPorts & { readonly clock: Clock; readonly random: Random },
): Promise<{ readonly outbox: Outbox; readonly result: PushResult | undefined }> {
  const current = expire(outbox, ports.clock.nowMs());
  const entry = nextPush(current, ports.clock.nowMs());
  if (entry === undefined) return { outbox: current, result: undefined };
  const result = await pushSet(entry.token, target, ports);
  const moment = { now_ms: ports.clock.nowMs(), random: ports.random };
  return { outbox: afterPush(current, { tokenId: entry.tokenId, result }, moment), result };
}
