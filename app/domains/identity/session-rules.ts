import type { EdgeDoor, SignInMethod } from '../../platform/http/handler.ts';

/** No session outlives this, however busy: a stolen cookie is worth half a day at most. */
export const SESSION_SECONDS_MAX: Readonly<Record<SignInMethod, number>> = {
  passkey: 43_200,
  link: 14_400,
  canary: 3600,
  sso: 43_200,
};
/** A browser left alone is signed out after half an hour. */
export const SESSION_IDLE_SECONDS_MAX = 1800;
/** The last use is written at most this often, so that reading does not become writing. */
export const SESSION_TOUCH_SECONDS_MIN = 60;
/** Requests already under way may still carry the cookie that a rotation has just replaced. */
export const SESSION_SUPERSEDED_SECONDS_MAX = 5;
/** A person signed in on more devices than this has lost track of them; the oldest sessions are closed. */
export const SESSIONS_PER_MEMBER_MAX = 20;

export interface SessionFacts {
  readonly door: EdgeDoor;
  readonly expiresAtMs: number;
  readonly lastSeenAtMs: number;
  readonly closed: boolean;
  readonly memberState: 'invited' | 'active' | 'suspended';
}

export type SessionVerdict = 'live' | 'closed' | 'expired' | 'idle' | 'other-door' | 'member-not-active';

/** Decides, without side effects, whether a session may still be used at `door` at `nowMs`. */
export function judgeSession(facts: SessionFacts, door: EdgeDoor, nowMs: number): SessionVerdict {
  if (facts.closed) return 'closed';
  if (facts.door !== door) return 'other-door';
  if (nowMs >= facts.expiresAtMs) return 'expired';
  if (nowMs >= facts.lastSeenAtMs + SESSION_IDLE_SECONDS_MAX * 1000) return 'idle';
  return facts.memberState === 'active' ? 'live' : 'member-not-active';
}
