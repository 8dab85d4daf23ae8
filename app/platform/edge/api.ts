import { hash } from 'node:crypto';
import { isAppError, type Clock, type RouteContract } from '@auditrax/base';
import type { IdKeys } from '@auditrax/tenancy/ids';
import type { WorkloadPools } from '@auditrax/workload';
import type { z } from 'zod';
import type { AttemptCounter } from '../http/attempt-counter.ts';
import { attemptsContract } from '../http/attempts-contract.ts';
import type { InternalClient } from '../http/client.ts';
import { bodyType } from '../http/body-forms.ts';
import {
  BROWSER_HEADER,
  CLIENT_HEADER,
  COOKIE_HEADER,
  DOOR_HEADER,
  PROOF_HEADER,
  REQUEST_ID_HEADER,
  SAID_TYPE_HEADER,
  STEP_UP_HEADER,
  TOKEN_HEADER,
} from '../http/headers.ts';
import type { CoreCode } from '../http/problems.ts';
import type { Log } from '../http/request-log.ts';
import { BODY_BYTES_MAX } from '../http/route-check.ts';
import { limitStream } from '../http/stream-limit.ts';
import { addressKind, limitName } from './client-address.ts';
import { BROWSER_COOKIE, readCookie } from './cookies.ts';
import { type Exchange, sendNotFound, sendProblem, sendTokenRefused } from './exchange.ts';
import type { Buckets } from './limits.ts';
import { checkForeign, checkOrigin } from './origin.ts';
import { programToken } from './program-token.ts';
import { relay, type Upstream } from './relay.ts';
import { readBody } from './request-body.ts';
import type { Match } from './router.ts';
import { checkTenantTag, type TagVerdict } from './tenant-tag.ts';
import type { SessionToken, TokenCache, TokenQuestion } from './token-cache.ts';

/** What the API side of the edge works with. */
export interface ApiParts {
  readonly route: (method: string, path: string) => Match | undefined;
  readonly origins: Readonly<Record<'edge' | 'tryout', ReadonlySet<string>>>;
  readonly tokens: TokenCache;
  readonly pools: WorkloadPools;
  readonly client: InternalClient;
  readonly tagKeys: IdKeys;
  readonly counter: AttemptCounter;
  readonly sessionBuckets: Buckets;
  readonly signInBuckets: Buckets;
  readonly clock: Clock;
  readonly log: Log;
}

/** A request of a live session, or of a program by its token, on its way. */
interface Journey {
  readonly exchange: Exchange;
  readonly match: Match;
  /** Undefined: a program asks, which has no cookie. */
  readonly question: TokenQuestion | undefined;
  readonly session: SessionToken;
}

const TOKEN_HEADER_CHARACTERS_MAX = 8192;
/** Of a session that is over, where its holder is told why. */
const SESSION_OVER = ['session_ended', 'company_sign_in_required'] as const satisfies readonly CoreCode[];

/** Answers `/api/…` and what others reach (`FOREIGN_PATHS`): origin, session, tenant tags, then on to the service, which checks everything again. */
export function handleApi(parts: ApiParts, exchange: Exchange): void {
  const match = parts.route(exchange.method, exchange.path);
  if (match === undefined) return sendNotFound(exchange);
  const { contract } = match;
  exchange.operation = contract.operation;
  if (contract.foreign !== undefined) return handleForeign(parts, exchange, match);
  const { authorization } = exchange.request.headers;
  if (authorization?.startsWith('DPoP ') === true && contract.access.kind === 'session')
    return handleProgram(parts, exchange, { match, authorization });
  const key = contract.access.kind === 'public' ? undefined : bearerOf(exchange);
  if (key !== undefined) return handleKey(parts, exchange, { match, key });
  if (!checkOrigin(exchange.method, exchange.request.headers, parts.origins[exchange.door]))
    return sendProblem(exchange, 'origin_refused');
  const cookie = readCookie(exchange.request.headers.cookie, exchange.cookieName);
  if (contract.access.kind === 'public') return handlePublic(parts, exchange, { match, cookie });
  if (cookie === undefined) {
    counted(parts, exchange, 'edge.session-missing');
    return sendProblem(exchange, 'session_required');
  }
  return withToken(parts, { exchange, match, question: questionOf(exchange, contract, cookie) });
}

/** Asks for the token of whoever calls, and goes on with it. */
function withToken(
  parts: ApiParts,
  { exchange, match, question }: Omit<Journey, 'session' | 'question'> & { readonly question: TokenQuestion },
): void {
  if (!parts.sessionBuckets.take(question.cookieHash))
    return sendProblem(exchange, 'rate_limited', { retryAfter_seconds: 1 });
  const session = parts.tokens.get(question);
  const go = (found: SessionToken | undefined) => {
    if (found === undefined) {
      counted(parts, exchange, 'edge.session-dead');
      return sendProblem(exchange, 'session_required');
    }
    return handleSession(parts, { exchange, match, question, session: found });
  };
  if (session instanceof Promise) session.then(go).catch((error: unknown) => fail(parts, exchange, error));
  else go(session);
}

/** Anything that could be a key; what it is, the issuer knows. */
const BEARER = /^Bearer ([A-Za-z0-9_-]{16,512})$/;

/** The API key that a program sends; undefined without one. The form of it decides nothing. */
function bearerOf({ request }: Exchange): string | undefined {
  const { authorization } = request.headers;
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
}

/**
 * A program with an API key of somebody's. No browser sends one: a page that could have it sent along would act for
 * whoever looks at it. Only the edge's own door takes it, only for what no passkey is asked for, and only on its way to
 * the workspace; the issuer says the same once more.
 */
function handleKey(parts: ApiParts, exchange: Exchange, { match, key }: { match: Match; key: string }): void {
  const { contract } = match;
  const { access } = contract;
  if (!checkForeign('server', exchange.request.headers)) return sendProblem(exchange, 'origin_refused');
  if (exchange.door !== 'edge') {
    counted(parts, exchange, 'edge.session-dead');
    return sendProblem(exchange, 'session_required');
  }
  const isOpen = access.kind === 'session' && access.class !== 'privileged' && access.stepUp !== true;
  if (!isOpen || contract.service !== 'workspace') return sendProblem(exchange, 'operation_refused');
  const question = { ...questionOf(exchange, contract, key), isKey: true } as const;
  // Of another kind than a cookie of the same text: neither may stand for the other in the cache.
  return withToken(parts, {
    exchange,
    match,
    question: { ...question, cookieHash: hash('sha256', `bearer ${key}`, 'base64url') },
  });
}

/** RFC 9449 7.1 and 9: by what a program proves itself. */
const PROOF_CHALLENGE = 'DPoP algs="ES256 Ed25519"';
const NONCE_CHALLENGE = 'DPoP error="use_dpop_nonce", algs="ES256 Ed25519"';

/**
 * A program calls, with what a person has allowed it. It never comes with what a browser adds by itself: no page can have a
 * browser make such a call, and no cookie counts beside a token. Only the workspace is there for it: who comes in and how,
 * and whatever wants a passkey, is for people alone.
 */
function handleProgram(
  parts: ApiParts,
  exchange: Exchange,
  { match, authorization }: { readonly match: Match; readonly authorization: string },
): void {
  const { contract } = match;
  if (exchange.door !== 'edge' || contract.access.kind !== 'session') return sendNotFound(exchange);
  if (!checkForeign('server', exchange.request.headers)) return sendProblem(exchange, 'origin_refused');
  const { access, service } = contract;
  if (service !== 'workspace' || access.stepUp === true || access.class === 'privileged')
    return sendProblem(exchange, 'operation_refused');
  if (!parts.sessionBuckets.take(`program ${limitName(exchange.clientAddress)}`))
    return sendProblem(exchange, 'rate_limited', { retryAfter_seconds: 1 });
  programToken(parts.client, exchange, { authorization, routeClass: access.class })
    .then(({ session, nonce }) => {
      exchange.nonce = nonce;
      if (session !== undefined) return handleSession(parts, { exchange, match, question: undefined, session });
      // Whoever has to say it once more has done nothing wrong.
      if (nonce !== undefined) return sendProblem(exchange, 'token_refused', { challenge: NONCE_CHALLENGE });
      counted(parts, exchange, 'edge.session-dead');
      return sendTokenRefused(exchange, PROOF_CHALLENGE);
    })
    .catch((error: unknown) => fail(parts, exchange, error));
}

/**
 * A route that others reach (`RouteContract.foreign`). It acts for no session, whatever cookies come along; what it is
 * told counts only with what the issuer has kept of this browser.
 */
function handleForeign(parts: ApiParts, exchange: Exchange, match: Match): void {
  const { caller, protocol } = match.contract.foreign!;
  // The try-out door is for sample data by passkey and link; nobody's provider sends anybody there.
  if (exchange.door !== 'edge') return sendNotFound(exchange);
  exchange.answers = caller === 'navigation' ? 'page' : (protocol ?? 'problem');
  if (!checkForeign(caller, exchange.request.headers)) return sendProblem(exchange, 'origin_refused');
  return handlePublic(parts, exchange, {
    match,
    cookie: readCookie(exchange.request.headers.cookie, exchange.cookieName),
  });
}

/** What anybody may do as often as they like is counted by the kind of place it came from, and not written singly. */
function counted(
  parts: ApiParts,
  exchange: Exchange,
  code: 'edge.session-missing' | 'edge.session-dead' | 'gateway.id-malformed',
): void {
  parts.counter.count(code, `${exchange.door} ${addressKind(exchange.clientAddress)}`);
}

function questionOf(exchange: Exchange, contract: RouteContract, cookie: string): TokenQuestion {
  const { access } = contract;
  return {
    cookie,
    cookieHash: hash('sha256', cookie, 'base64url'),
    door: exchange.door,
    destination: contract.service === 'issuer' ? 'issuer' : 'workspace',
    // A step-up route gets its own token later; until then the least will do to know whose tags to expect.
    routeClass: access.kind === 'session' && access.stepUp !== true ? access.class : 'read',
    operation: contract.operation,
    requestId: exchange.requestId,
  };
}

function handlePublic(
  parts: ApiParts,
  exchange: Exchange,
  { match, cookie }: { match: Match; cookie: string | undefined },
): void {
  // A provider that signs a thousand people out at once speaks from one address, and each of its words is verified.
  const isPerson = match.contract.foreign?.caller !== 'server';
  if (exchange.method !== 'GET' && isPerson && !parts.signInBuckets.take(limitName(exchange.clientAddress)))
    return sendProblem(exchange, 'rate_limited', { retryAfter_seconds: 5 });
  const headers: Record<string, string> =
    cookie !== undefined && match.contract.service === 'issuer' ? { [COOKIE_HEADER]: cookie } : {};
  const browser =
    match.contract.foreign?.caller === 'navigation'
      ? readCookie(exchange.request.headers.cookie, BROWSER_COOKIE)
      : undefined;
  if (browser !== undefined) headers[BROWSER_HEADER] = browser;
  if (match.contract.foreign?.protocol === 'scim') Object.assign(headers, directoryHeaders(exchange));
  if (match.contract.foreign?.protocol === 'ssf') Object.assign(headers, signalHeaders(exchange));
  const proof = exchange.request.headers[PROOF_HEADER];
  if (match.contract.foreign?.protocol === 'oauth' && typeof proof === 'string') headers[PROOF_HEADER] = proof;
  withBody({ parts, exchange, contract: match.contract }, (body) =>
    send(parts, exchange, {
      contract: match.contract,
      headers,
      body,
      cookieHash: cookie === undefined ? undefined : hash('sha256', cookie, 'base64url'),
    }),
  );
}

/** What a directory says beside its message. Node joins what comes twice, and two tokens are none. */
function directoryHeaders({ request }: Exchange): Record<string, string> {
  const { authorization, 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers;
  const said = { authorization, 'if-match': ifMatch, 'if-none-match': ifNoneMatch };
  return Object.fromEntries(Object.entries(said).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** What a transmitter or receiver of shared signals says beside its message. */
function signalHeaders({ request }: Exchange): Record<string, string> {
  const { authorization, 'content-type': said } = request.headers;
  return {
    ...(authorization === undefined ? {} : { authorization }),
    ...(said === undefined ? {} : { [SAID_TYPE_HEADER]: said }),
  };
}

function handleSession(parts: ApiParts, journey: Journey): void {
  const { exchange, match } = journey;
  const verdict = checkTenantTag(addressPlaces(match.contract), addressValues(journey), tagsOf(parts, journey));
  if (!verdict.ok) return refuseId(parts, journey, verdict);
  const { access } = match.contract;
  if (access.kind !== 'session' || access.stepUp !== true) return carry(parts, journey);
  const header = exchange.request.headers[STEP_UP_HEADER];
  if (typeof header !== 'string' || header === '') return refuseUnconfirmed(parts, journey);
  if (header.length > TOKEN_HEADER_CHARACTERS_MAX || journey.question === undefined)
    return sendProblem(exchange, 'step_up_refused');
  return carry(parts, journey, { ...journey.question, routeClass: 'privileged', stepUp: header });
}

/** An id of somebody else in the body is told as such, confirmed or not: otherwise whoever asks unconfirmed tries ids unseen. */
function refuseUnconfirmed(parts: ApiParts, journey: Journey): void {
  const { exchange, match } = journey;
  const refuse = (): void =>
    refuseRecorded(parts, journey, {
      event: { kind: 'step-up', reason: 'missing', operation: exchange.operation },
      answer: () => sendProblem(exchange, 'step_up_required'),
    });
  if (bodyPlaces(match.contract) === undefined) return refuse();
  withCheckedBody(parts, journey, refuse);
}

/**
 * Body, its ids, and off to the service, with a token that is asked for again once the body is here: whoever is put out
 * while theirs is on its way must not have it carried out afterwards.
 */
function carry(parts: ApiParts, journey: Journey, confirmed?: TokenQuestion & { readonly stepUp: string }): void {
  const { exchange, match, question } = journey;
  withCheckedBody(parts, journey, (body) => {
    const go = (session: SessionToken | undefined) => {
      if (session === undefined) return sendProblem(exchange, 'session_required');
      const stepUp: Record<string, string> = confirmed === undefined ? {} : { [STEP_UP_HEADER]: confirmed.stepUp };
      return send(parts, exchange, {
        contract: match.contract,
        headers: { ...stepUp, [TOKEN_HEADER]: session.token },
        body,
        cookieHash: question?.cookieHash,
        personId: session.personId,
      });
    };
    const session = confirmed === undefined ? sessionNow(parts, journey, body) : parts.tokens.stepUp(confirmed);
    if (session instanceof Promise) session.then(go).catch((error: unknown) => fail(parts, exchange, error));
    else go(session);
  });
}

/** The session's token as it is now. A program's proof was for this one request, and is not asked about again. */
function sessionNow(
  { tokens }: ApiParts,
  { question, session }: Journey,
  body: Upstream['body'],
): ReturnType<TokenCache['get']> {
  return question === undefined || !Buffer.isBuffer(body) ? session : tokens.get(question);
}

/** Gives `use` the body once its ids are those of the session's tenant. */
function withCheckedBody(parts: ApiParts, journey: Journey, use: (body: Upstream['body']) => void): void {
  const { exchange, match } = journey;
  const { contract } = match;
  withBody({ parts, exchange, contract }, (body) => {
    if (bodyPlaces(contract) !== undefined && Buffer.isBuffer(body)) {
      const verdict = checkBodyTags(parts, journey, body);
      if (verdict === 'unreadable') return sendProblem(exchange, 'body_unreadable');
      if (!verdict.ok) return refuseId(parts, journey, verdict);
    }
    return use(body);
  });
}

function checkBodyTags(parts: ApiParts, journey: Journey, body: Buffer): TagVerdict | 'unreadable' {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return 'unreadable';
  }
  return checkTenantTag(
    bodyPlaces(journey.match.contract)!,
    (place) => memberAt(value, place.split('.').slice(1)),
    tagsOf(parts, journey),
  );
}

function memberAt(value: unknown, names: readonly string[]): unknown {
  let member = value;
  for (const name of names) {
    if (typeof member !== 'object' || member === null || !Object.hasOwn(member, name)) return undefined;
    member = (member as Record<string, unknown>)[name];
  }
  return member;
}

function tagsOf(parts: ApiParts, journey: Journey): { tenantPart: number; keys: IdKeys } {
  return { tenantPart: journey.session.tenantPart, keys: parts.tagKeys };
}

type Places = RouteContract['ids'];
const placesByContract = new WeakMap<RouteContract, { readonly address: Places; readonly body: Places | undefined }>();

function placesOf(contract: RouteContract): { readonly address: Places; readonly body: Places | undefined } {
  let places = placesByContract.get(contract);
  if (places === undefined) {
    const all = Object.entries(contract.ids);
    const body = all.filter(([place]) => place.startsWith('body.'));
    places = {
      address: Object.fromEntries(all.filter(([place]) => !place.startsWith('body.'))),
      body: body.length === 0 ? undefined : Object.fromEntries(body),
    };
    placesByContract.set(contract, places);
  }
  return places;
}

const addressPlaces = (contract: RouteContract): Places => placesOf(contract).address;
const bodyPlaces = (contract: RouteContract): Places | undefined => placesOf(contract).body;

/** Reads `params.x` and `query.x`; a name given twice is a list, which is no id. */
function addressValues({ exchange, match }: Journey): (place: string) => unknown {
  let query: URLSearchParams | undefined;
  return (place) => {
    if (place.startsWith('params.')) return match.params[place.slice(7)];
    query ??= new URLSearchParams(exchange.query);
    const values = query.getAll(place.slice(6));
    return values.length > 1 ? values : values[0];
  };
}

/** A foreign or forged id ends as a 404 that is recorded first. Noise is only counted. */
function refuseId(parts: ApiParts, journey: Journey, verdict: Exclude<TagVerdict, { ok: true }>): void {
  const { exchange } = journey;
  if (verdict.reason === 'malformed') {
    parts.log.info('malformed-id', { requestId: exchange.requestId, operation: exchange.operation });
    counted(parts, exchange, 'gateway.id-malformed');
    return sendNotFound(exchange);
  }
  const { reason } = verdict;
  const part = verdict.foreignPart === undefined ? {} : { foreignPart: verdict.foreignPart };
  refuseRecorded(parts, journey, {
    event: { kind: 'tenant-id', reason, operation: exchange.operation, ...part },
    answer: () => sendNotFound(exchange),
  });
}

type Refusal = z.input<typeof attemptsContract.record.body>;

/** The attempt is durable before its answer leaves; when it cannot be made so, the answer is 503. */
function refuseRecorded(
  parts: ApiParts,
  { exchange, question, session }: Journey,
  { event, answer }: { event: Refusal; answer: () => void },
): void {
  // A program's token is for the workspace already, which writes attempts down.
  const token =
    question === undefined ? session : parts.tokens.get({ ...question, destination: 'workspace', routeClass: 'read' });
  Promise.resolve(token)
    .then(async (found) => {
      if (found === undefined) return sendProblem(exchange, 'session_required');
      const order = { requestId: exchange.requestId, token: found.token, body: event };
      const { body } = await parts.client.call(attemptsContract.record, order);
      if (body.sessionOver && question !== undefined) await leaveSession(parts, question);
      return answer();
    })
    .catch((error: unknown) => {
      const over = SESSION_OVER.find((code) => isAppError(error, code));
      if (over !== undefined) return sendProblem(exchange, over);
      parts.log.error('attempt-not-recorded', { requestId: exchange.requestId, operation: exchange.operation, error });
      return sendProblem(exchange, 'attempt_not_recorded');
    });
}

/**
 * The session has used up its attempts: its tokens are dropped here, and asking for another has the issuer close it now.
 * When that fails the issuer closes it at the next request; the tokens are gone all the same.
 */
async function leaveSession(parts: ApiParts, question: TokenQuestion): Promise<void> {
  parts.tokens.forgetCookie(question.cookieHash);
  try {
    await parts.tokens.get(question);
  } catch (error) {
    if (!isAppError(error, 'session_ended')) parts.log.warn('session-not-closed', { error });
  }
}

/** Gives `use` the body in the form that the contract declares, or answers why not. */
function withBody(
  { parts, exchange, contract }: { parts: ApiParts; exchange: Exchange; contract: RouteContract },
  use: (body: Upstream['body']) => void,
): void {
  const { request } = exchange;
  const length = request.headers['content-length'];
  const present = (length !== undefined && length !== '0') || request.headers['transfer-encoding'] !== undefined;
  if (contract.body === undefined) {
    if (present) return sendProblem(exchange, 'input_invalid', { field: 'body', detail: 'no body is expected' });
    return use(null);
  }
  const bytes_max = contract.bodyBytesMax ?? BODY_BYTES_MAX;
  const wanted = bodyType(contract);
  // A directory proves itself by its token, which no page has; and a message that somebody left is not lost for its type.
  // Of shared signals the room looks at the type, so that its refusal is noted.
  const { protocol } = contract.foreign ?? {};
  const isAnyType = protocol === 'scim' || protocol === 'ssf';
  if (!isAnyType && request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() !== wanted)
    return sendProblem(exchange, 'content_type_refused', { detail: `send ${wanted}` });
  if (length !== undefined && Number(length) > bytes_max)
    return sendProblem(exchange, 'body_too_large', { detail: `at most ${bytes_max} bytes` });
  if (contract.body === 'stream') return use(length === undefined ? limitStream(request, bytes_max) : request);
  readBody(request, bytes_max)
    .then((outcome) => {
      if (outcome.ok) return use(outcome.bytes);
      if (outcome.reason === 'too-large')
        return sendProblem(exchange, 'body_too_large', { detail: `at most ${bytes_max} bytes` });
      exchange.response.destroy();
      return undefined;
    })
    .catch((error: unknown) => fail(parts, exchange, error));
}

interface Sending {
  readonly contract: RouteContract;
  readonly headers: Record<string, string>;
  readonly body: Upstream['body'];
  readonly cookieHash: string | undefined;
  readonly personId?: string;
}

function send(parts: ApiParts, exchange: Exchange, { contract, headers, body, cookieHash, personId }: Sending): void {
  headers[REQUEST_ID_HEADER] = exchange.requestId;
  headers[DOOR_HEADER] = exchange.door;
  headers[CLIENT_HEADER] = limitName(exchange.clientAddress);
  if (body !== null) {
    headers['content-type'] = bodyType(contract);
    const length = Buffer.isBuffer(body) ? String(body.length) : exchange.request.headers['content-length'];
    if (length !== undefined) headers['content-length'] = length;
  }
  const forgetCookie = () => {
    if (cookieHash !== undefined) parts.tokens.forgetCookie(cookieHash);
  };
  relay(
    exchange,
    { service: contract.service === 'issuer' ? 'issuer' : 'workspace', headers, body },
    {
      pools: parts.pools,
      onUnauthorised: forgetCookie,
      onSessionChange(kind) {
        forgetCookie();
        if (kind === 'clear' && personId !== undefined) parts.tokens.forgetPerson(personId);
      },
      onRevoke(personIds) {
        for (const id of personIds) parts.tokens.forgetPerson(id);
      },
    },
  );
}

/** Refusals of the issuer are passed on by their code; anything else means that it cannot say. */
function fail(parts: ApiParts, exchange: Exchange, error: unknown): void {
  const passed: readonly CoreCode[] = [
    ...SESSION_OVER,
    'step_up_refused',
    'step_up_required',
    'rate_limited',
    'database_unavailable',
    'operation_refused',
  ];
  const code = passed.find((candidate) => isAppError(error, candidate));
  if (SESSION_OVER.some((over) => over === code)) counted(parts, exchange, 'edge.session-dead');
  if (code === undefined)
    parts.log.error('edge-failed', { requestId: exchange.requestId, operation: exchange.operation, error });
  sendProblem(exchange, code ?? 'service_unavailable', code === undefined ? { retryAfter_seconds: 1 } : {});
}
