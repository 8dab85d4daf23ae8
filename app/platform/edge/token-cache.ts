import type { Clock, RouteClass, RouteContract, Uuid } from '@auditrax/base';
import { isAppError } from '@auditrax/base';
import type { InternalClient } from '../http/client.ts';
import type { EdgeDoor } from '../http/handler.ts';
import type { Evicted } from './follow-evictions.ts';
import { tokenRoutes } from './token-contract.ts';

/** A token this close to its end is not handed out any more: it must still live when it arrives. */
const TOKEN_MARGIN_MS = 3000;
export const TOKENS_MAX = 20_000;

/** What the gateway may know of a session: enough to check tags, nothing of the cookie's meaning. */
export interface SessionToken {
  readonly token: string;
  readonly expiresAtMs: number;
  readonly tenantPart: number;
  readonly personId: string;
  readonly sessionId: string;
}

export interface TokenQuestion {
  readonly cookie: string;
  /** SHA-256 of the cookie; the cache holds no cookie. */
  readonly cookieHash: string;
  /** The cookie is an API key, sent as a bearer. */
  readonly isKey?: true;
  readonly door: EdgeDoor;
  readonly destination: 'issuer' | 'workspace';
  readonly routeClass: RouteClass;
  readonly operation: RouteContract['operation'];
  readonly requestId: Uuid;
}

export interface TokenCache extends Evicted {
  /** The session's token, at once when it is at hand; undefined when there is no live session. Rejects when the issuer cannot say. */
  get(question: TokenQuestion): SessionToken | Promise<SessionToken | undefined>;
  /** A token that vouches for one step-up assertion; never kept. */
  stepUp(question: TokenQuestion & { readonly stepUp: string }): Promise<SessionToken | undefined>;
  forgetCookie(cookieHash: string): void;
  forgetPerson(personId: string): void;
}

interface Entry extends SessionToken {
  readonly cookieHash: string;
}

function orderOf({ cookie, isKey, door, destination, routeClass, operation }: TokenQuestion, stepUp?: string) {
  return {
    cookie,
    ...(isKey === true ? { key: isKey } : {}),
    door,
    destination,
    routeClass,
    operation,
    ...(stepUp === undefined ? {} : { stepUp }),
  };
}

/** One mint per session, destination and class in 30 seconds, however many requests ask at once. */
export function createTokenCache({
  client,
  clock,
  isHeard,
}: {
  readonly client: InternalClient;
  readonly clock: Clock;
  /** Whether the issuer would be heard if it ended a session: without its word nothing that is cached counts. */
  readonly isHeard: () => boolean;
}): TokenCache {
  const entries = new Map<string, Entry>();
  const minting = new Map<string, Promise<SessionToken | undefined>>();
  // Counts forgettings: a token whose minting began before one must not be kept after it.
  let forgettings = 0;
  const mint = async (question: TokenQuestion, stepUp?: string): Promise<SessionToken | undefined> => {
    try {
      const { requestId } = question;
      const { body } = await client.call(tokenRoutes.mint, { requestId, body: orderOf(question, stepUp) });
      const { token, expiresAt: expiresAtMs, tenantPart, personId, sessionId } = body;
      return { token, expiresAtMs, tenantPart, personId, sessionId };
    } catch (error) {
      if (isAppError(error, 'session_required')) return undefined;
      throw error;
    }
  };
  const mintAndKeep = async (key: string, question: TokenQuestion) => {
    const began = forgettings;
    const minted = await mint(question);
    if (minted === undefined || began !== forgettings) return minted;
    if (entries.size >= TOKENS_MAX) {
      const oldest = entries.keys().next();
      if (!oldest.done) entries.delete(oldest.value);
    }
    entries.set(key, { ...minted, cookieHash: question.cookieHash });
    return minted;
  };
  const forget = (matches: (entry: Entry) => boolean) => {
    forgettings += 1;
    minting.clear();
    for (const [key, entry] of entries) if (matches(entry)) entries.delete(key);
  };
  return {
    get(question) {
      const key = `${question.cookieHash} ${question.door} ${question.destination} ${question.routeClass}`;
      const known = entries.get(key);
      if (known !== undefined) {
        const isFresh = known.expiresAtMs - TOKEN_MARGIN_MS > clock.nowMs();
        if (isFresh && isHeard()) return known;
        entries.delete(key);
      }
      const pending = minting.get(key);
      if (pending !== undefined) return pending;
      const begun: Promise<SessionToken | undefined> = mintAndKeep(key, question).finally(() => {
        if (minting.get(key) === begun) minting.delete(key);
      });
      minting.set(key, begun);
      return begun;
    },
    stepUp: (question) => mint(question, question.stepUp),
    forgetCookie: (cookieHash) => forget((entry) => entry.cookieHash === cookieHash),
    forgetPerson: (personId) => forget((entry) => entry.personId === personId),
    evict: (eviction) =>
      forget((entry) =>
        'sessionId' in eviction ? entry.sessionId === eviction.sessionId : entry.personId === eviction.personId,
      ),
    clear: () => forget(() => true),
  };
}
