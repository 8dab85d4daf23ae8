import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import {
  AppError,
  isAppError,
  parseUuid,
  systemRandom,
  uuidV7,
  type Clock,
  type Json,
  type ServiceName,
} from '@auditrax/base';
import { hideSecrets, secretsOfRoute } from '@auditrax/base/secret';
import type { IdKeys } from '@auditrax/tenancy/ids';
import {
  capConnectionAge,
  followIdentity,
  peerService,
  serverTls,
  type ConnectionAges,
  type TokenClaims,
  type TokenVerdict,
  type TokenVerifier,
  type WorkloadIdentity,
} from '@auditrax/workload';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { safeEncode } from 'zod';
import { COUNTED_PATH, type AttemptCounter } from './attempt-counter.ts';
import type { RecordAttempt } from './attempts.ts';
import { callerFromClaims } from './caller.ts';
import { watchClockSkew, type ClockSkewWatch } from './clock-skew.ts';
import { drainable } from './drain.ts';
import type { ApprovalKeeping, Call, Caller, RoomRoutes, StepUp } from './handler.ts';
import { REQUEST_ID_HEADER, STEP_UP_HEADER, TOKEN_HEADER } from './headers.ts';
import { bodyType, FORM_TYPE, readForm } from './body-forms.ts';
import { readIds, type IdSources } from './id-gate.ts';
import { isProcess, requirePeer } from './peer-gate.ts';
import { requirePolicy, type PolicyVerdict, type RoutePolicy } from './policy-gate.ts';
import {
  PROBLEM_MEDIA_TYPE,
  isUnforeseen,
  mergeProblems,
  toProblem,
  type CoreCode,
  type ProblemTable,
} from './problems.ts';
import type { Finding } from './readiness.ts';
import { describeRoutes, type RouteDescription } from './registry.ts';
import type { Log } from './request-log.ts';
import { BODY_BYTES_MAX, servedRoutes, strictly, type ServedRoute } from './route-check.ts';
import type { Confirmation, StepUpVerifier } from './step-up.ts';
import { limitStream } from './stream-limit.ts';
import { createSidecarDoor, type SidecarDoor, type SidecarOptions } from './sidecar-door.ts';
import { requireToken, tokenClassOf } from './token-gate.ts';

/** Longer than any client of ours keeps an idle connection, so that none sends into a closing one. */
const KEEP_ALIVE_MS = 72_000;
/** No path segment of ours is longer; ids have 42 characters. */
const PARAM_CHARACTERS_MAX = 200;
const HEADER_BYTES_MAX = 32 * 1024;
/** A tenant that is being moved takes changes again after about this long. */
const READ_ONLY_SECONDS = 5;
const MOVING: ReadonlySet<string> = new Set(['tenant_read_only', 'tenant_moved']);
/** A certificate with less life than this will not be renewed in time any more. */
const CERTIFICATE_SECONDS_MIN = 60;

export interface ServiceOptions {
  readonly name: ServiceName;
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: WorkloadIdentity;
  readonly tokenVerifier: TokenVerifier;
  readonly tagKeys: IdKeys;
  readonly policy: RoutePolicy;
  readonly rooms: readonly RoomRoutes[];
  /** Merged tables of the rooms (the core's codes are added). */
  readonly problems: readonly ProblemTable[];
  readonly readiness: () => Promise<readonly Finding[]>;
  readonly onAttempt: RecordAttempt;
  readonly stepUp: StepUpVerifier;
  /** Counts what is refused without an entry of its own; the sentinel fetches the sums. */
  readonly counter: AttemptCounter;
  /** A mesh's proxy stands before this process as well; without it no header names a peer. */
  readonly sidecar?: SidecarOptions;
  /** Loopback unless told. */
  readonly host?: string;
  /** 0 lets the system choose. */
  readonly port?: number;
}

export interface RunningService {
  readonly port: number;
  readonly routes: readonly RouteDescription[];
  /** What `/readyz` would say. */
  findings(): Promise<readonly Finding[]>;
  readonly clockSkew: ClockSkewWatch;
  /** Takes no new connections, answers what is under way, then closes. */
  drain(): Promise<void>;
}

/** What the gates found out about a request, before its handler runs. */
interface Admission {
  peer: ServiceName;
  caller: Caller | undefined;
  claims: TokenClaims | undefined;
  ids: Record<string, string>;
}

interface Floor extends ServiceOptions {
  readonly door: SidecarDoor | undefined;
  readonly table: ProblemTable;
  readonly ages: ConnectionAges;
  readonly clockSkew: ClockSkewWatch;
  readonly admissions: WeakMap<FastifyRequest, Admission>;
  draining: boolean;
}

const refuse = (
  code: CoreCode,
  message: string,
  options: { publicDetail?: string; field?: string; needs?: string } = {},
) => new AppError<CoreCode>(code, message, options);

/**
 * Starts a service: mutual TLS, and for each request peer, token, policy, ids, schemas, in this order, whatever the
 * gateway has checked before. Throws, naming every fault, when a route is not fully declared (`servedRoutes`).
 */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const routes = servedRoutes(options.rooms, { service: options.name, policy: options.policy });
  const table = mergeProblems(...options.problems);
  const app = createApp(options.identity);
  const server = app.server as unknown as Server;
  const floor: Floor = {
    ...options,
    table,
    ages: capConnectionAge(server, options.identity, options.clock),
    clockSkew: watchClockSkew(options.clock),
    admissions: new WeakMap(),
    door: options.sidecar === undefined ? undefined : createSidecarDoor(options.name, options.sidecar),
    draining: false,
  };
  const drain = drainable(server);
  const unfollow = followIdentity(server, options.identity);
  reportProblems(app, floor); // first, so that nothing is ever answered in another form
  addBodyParsers(app);
  addHealth(app, floor);
  addCounted(app, floor);
  for (const route of routes) addRoute(app, floor, route);
  await app.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 });
  await floor.door?.listen((request, response) => server.emit('request', request, response));
  return {
    port: (app.server.address() as AddressInfo).port,
    routes: describeRoutes(options.rooms.map((room) => room.contract)),
    findings: () => findingsOf(floor),
    clockSkew: floor.clockSkew,
    async drain() {
      floor.draining = true;
      unfollow();
      await floor.door?.close();
      await drain(() => app.close());
    },
  };
}

function createApp(identity: WorkloadIdentity): FastifyInstance {
  const app = fastify({
    https: { ...serverTls(identity.current()), maxHeaderSize: HEADER_BYTES_MAX },
    logger: false,
    exposeHeadRoutes: false,
    trustProxy: false,
    forceCloseConnections: 'idle',
    keepAliveTimeout: KEEP_ALIVE_MS,
    bodyLimit: BODY_BYTES_MAX,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    routerOptions: {
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      maxParamLength: PARAM_CHARACTERS_MAX,
    },
    genReqId: (request: IncomingMessage) => requestIdOf(request),
  }) as unknown as FastifyInstance; // the framework's type names the kind of server; nothing below depends on it
  app.setValidatorCompiler(validatorCompiler as never);
  return app;
}

/** The gateway's id, when it has the gateway's form; an own one on calls that begin here. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers[REQUEST_ID_HEADER];
  return (typeof given === 'string' ? parseUuid(given) : undefined) ?? uuidV7({ nowMs: Date.now }, systemRandom);
}

function reportProblems(app: FastifyInstance, floor: Floor): void {
  app.setErrorHandler((error, request, reply) => {
    if (isUnforeseen(error, floor.table))
      floor.log.error('request-failed', { requestId: request.id, operation: operationOf(request), error });
    return sendProblem(error, reply, floor);
  });
  app.setNotFoundHandler((_request, reply) => sendProblem(refuse('not_found', 'no such route'), reply, floor));
  app.addHook('onResponse', (request, reply, done) => {
    floor.log.info('request', {
      requestId: request.id,
      operation: operationOf(request),
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
      peer: floor.admissions.get(request)?.peer ?? 'refused',
    });
    done();
  });
}

function operationOf(request: FastifyRequest): string {
  return (request.routeOptions.config as { operation?: string }).operation ?? 'none';
}

function sendProblem(error: unknown, reply: FastifyReply, floor: Floor): FastifyReply {
  const { request } = reply;
  const problem = toProblem(error, request.id, floor.table);
  // Whoever is refused in the middle of a body must not keep the connection busy with the rest of it.
  if (!request.raw.complete) reply.header('connection', 'close');
  return reply
    .code(problem.status)
    .header('content-type', PROBLEM_MEDIA_TYPE)
    .header(REQUEST_ID_HEADER, request.id)
    .headers(MOVING.has(problem.code) ? { 'retry-after': String(READ_ONLY_SECONDS) } : {})
    .send(JSON.stringify(problem));
}

/**
 * JSON and raw bytes, and forms for the routes that declare them; every other content type is refused with 415, forms
 * elsewhere above all (they need no preflight): `bodyFormFault` asks before a byte is read.
 */
function addBodyParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  app.addContentTypeParser(FORM_TYPE, { parseAs: 'string' }, (_request, text, done) => {
    const fields = readForm(text as string);
    if (fields === undefined) done(refuse('body_unreadable', 'not a form with each name once'));
    else done(null, fields);
  });
}

function addHealth(app: FastifyInstance, floor: Floor): void {
  const admitPeer = (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) =>
    done(isProcess(peerOf(request, floor)) ? undefined : wrongPeer(floor, undefined, 'no process of the house'));
  app.get('/healthz', { onRequest: admitPeer }, (_request, reply) => reply.send({ status: 'ok' }));
  app.get('/readyz', { onRequest: admitPeer }, async (_request, reply) => {
    const findings = await findingsOf(floor);
    const ready = findings.every((finding) => finding.ok);
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not-ready', findings });
  });
}

/** Sums of what was refused; for the sentinel, which writes them down. */
function addCounted(app: FastifyInstance, floor: Floor): void {
  const admitSentinel = (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
    const peer = peerOf(request, floor);
    done(peer === 'sentinel' ? undefined : wrongPeer(floor, peer, 'only the sentinel'));
  };
  app.get(COUNTED_PATH, { onRequest: admitSentinel }, (_request, reply) => reply.send(floor.counter.read()));
}

/** Between processes nobody errs by hand: a wrong caller is counted under the name in its certificate. */
function wrongPeer(floor: Floor, peer: string | undefined, message: string): Error {
  floor.counter.count('peer.wrong', peer ?? 'nobody');
  return refuse('peer_refused', message);
}

async function findingsOf(floor: Floor): Promise<readonly Finding[]> {
  const left_seconds = Math.floor((floor.identity.current().notAfterMs - floor.clock.nowMs()) / 1000);
  const own: Finding[] = [
    { check: 'draining', ok: !floor.draining, detail: floor.draining ? 'stopping' : 'serving' },
    { check: 'certificate', ok: left_seconds >= CERTIFICATE_SECONDS_MIN, detail: `${left_seconds} s left` },
    floor.clockSkew.finding(),
  ];
  try {
    return [...own, ...(await floor.readiness())];
  } catch (error) {
    floor.log.error('readiness-failed', { error });
    return [...own, { check: 'readiness', ok: false, detail: 'the checks themselves failed' }];
  }
}

/** Who is at the other end: the one place that says so. By the certificate, or by the proxy where it is the proxy's door. */
function peerOf(request: FastifyRequest, floor: Floor): string | undefined {
  const named = floor.door?.peerOf(request.raw);
  if (named !== undefined) return named;
  return peerService(request.raw.socket, { trustDomain: floor.identity.current().trustDomain, clock: floor.clock });
}

function addRoute(app: FastifyInstance, floor: Floor, { contract, handler }: ServedRoute): void {
  const gates = gatesOf(floor, contract);
  app.route({
    method: contract.method,
    url: contract.path,
    bodyLimit: contract.bodyBytesMax ?? BODY_BYTES_MAX,
    config: { operation: contract.operation } as never,
    schema: {
      ...(contract.params === undefined ? {} : { params: strictly(contract.params) }),
      ...(contract.query === undefined ? {} : { querystring: strictly(contract.query) }),
      ...(contract.body === undefined || contract.body === 'stream' ? {} : { body: strictly(contract.body) }),
    },
    onRequest: gates.admit,
    preValidation: gates.readAddressIds,
    preHandler: gates.readBodyIds,
    handler: async (request, reply) => {
      const { call, steppedUp } = callOf(floor, contract, request);
      const result = await handler(call as never);
      if (contract.access.kind === 'session' && contract.access.stepUp === true && !steppedUp()) {
        throw new Error(`${contract.operation} answered without verifying its step-up assertion`);
      }
      return sendReply(contract, result, reply);
    },
  });
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;
/** Undefined lets the request through. */
type Verdict = Error | undefined;
type Gate = (request: FastifyRequest, reply: FastifyReply) => Verdict | Promise<Verdict>;

/** Runs a gate as a hook, without waiting where nothing has to be waited for (most requests). */
function hookOf(gate: Gate): Hook {
  return (request, reply, proceed) => {
    const verdict = gate(request, reply);
    if (verdict instanceof Promise) void verdict.then(proceed, proceed);
    else proceed(verdict);
  };
}

/** The gates in front of one route. */
function gatesOf(
  floor: Floor,
  contract: ServedRoute['contract'],
): { admit: Hook; readAddressIds: Hook; readBodyIds: Hook } {
  const places = Object.entries(contract.ids);
  const bodyPlaces = Object.fromEntries(places.filter(([place]) => place.startsWith('body.')));
  const addressPlaces = Object.fromEntries(places.filter(([place]) => !place.startsWith('body.')));
  const checkIds = (placesHere: Record<string, string>, sourcesOf: (request: FastifyRequest) => IdSources): Hook =>
    Object.keys(placesHere).length === 0
      ? (_request, _reply, done) => done()
      : hookOf((request) => idVerdict(floor, contract, { request, places: placesHere, sources: sourcesOf(request) }));
  return {
    admit: admission(floor, contract),
    readAddressIds: checkIds(addressPlaces, (request) => ({ params: request.params, query: request.query })),
    readBodyIds: checkIds(bodyPlaces, (request) => ({ body: request.body })),
  };
}

function idVerdict(
  floor: Floor,
  contract: ServedRoute['contract'],
  { request, places, sources }: { request: FastifyRequest; places: Record<string, string>; sources: IdSources },
): Verdict | Promise<Verdict> {
  const admitted = floor.admissions.get(request)!; // set by `admission`, which has let this request in
  const { caller } = admitted;
  if (caller === undefined) return refuse('token_refused', 'ids without a caller');
  const verdict = readIds(places, sources, { context: caller.tenant, keys: floor.tagKeys });
  if (verdict.ok) {
    Object.assign(admitted.ids, verdict.ids);
    return undefined;
  }
  if (verdict.reason === 'malformed') {
    floor.counter.count('parser.id-malformed', admitted.peer);
    return refuse('not_found', 'malformed id');
  }
  const event = {
    kind: 'tenant-id',
    layer: 'parser',
    operation: contract.operation,
    caller,
    requestId: request.id,
  } as const;
  const part = verdict.foreignPart === undefined ? {} : { foreignPart: verdict.foreignPart };
  return recorded(floor, { ...event, reason: verdict.reason, ...part }, refuse('not_found', `${verdict.reason} id`));
}

/** Peer, outer form, token, policy: what can be decided before a byte of the body is read. */
function admission(floor: Floor, contract: ServedRoute['contract']): Hook {
  const needed = tokenClassOf(contract);
  return hookOf((request, reply) => {
    const peer = peerOf(request, floor);
    if (!requirePeer(contract, peer))
      return wrongPeer(floor, peer, `${peer ?? 'nobody'} may not call ${contract.operation}`);
    const admitted: Admission = { peer, caller: undefined, claims: undefined, ids: {} };
    floor.admissions.set(request, admitted);
    if (floor.draining || floor.ages.aged(request.raw.socket)) reply.header('connection', 'close');
    const form = bodyFormFault(contract, request);
    if (form !== undefined || needed === undefined) return form;
    const compact = request.headers[TOKEN_HEADER];
    const verdict = requireToken(floor.tokenVerifier, needed, {
      compact: typeof compact === 'string' ? compact : undefined,
      peer,
    });
    const judge = (settled: TokenVerdict) => callerVerdict(floor, contract, { request, admitted, verdict: settled });
    return verdict instanceof Promise ? verdict.then(judge) : judge(verdict);
  });
}

function callerVerdict(
  floor: Floor,
  contract: ServedRoute['contract'],
  { request, admitted, verdict }: { request: FastifyRequest; admitted: Admission; verdict: TokenVerdict },
): Verdict | Promise<Verdict> {
  if (!verdict.ok) {
    if (verdict.skewSeconds !== undefined)
      floor.clockSkew.observe(floor.clock.nowMs() + verdict.skewSeconds * 1000, 1000);
    floor.counter.count(verdict.reason === 'missing' ? 'token.missing' : 'token.invalid', admitted.peer);
    floor.log.warn('token-refused', {
      requestId: request.id,
      operation: contract.operation,
      peer: admitted.peer,
      reason: verdict.reason,
    });
    return refuse('token_refused', `token refused: ${verdict.reason}`);
  }
  const caller = callerFromClaims(verdict.claims, verdict.hash, request.id);
  if (caller === undefined) return refuse('token_refused', 'token with facts unknown here');
  admitted.caller = caller;
  admitted.claims = verdict.claims;
  const allowed = requirePolicy(floor.policy, contract, { caller, now_ms: floor.clock.nowMs() });
  if (allowed === 'allowed') return undefined;
  return recorded(
    floor,
    { kind: 'operation', reason: allowed, operation: contract.operation, caller, requestId: request.id },
    policyRefusal(allowed, contract),
  );
}

/** An operator's operation does not exist for anybody else; a role's limits, and what is missing, are known to its holder. */
function policyRefusal(verdict: Exclude<PolicyVerdict, 'allowed'>, { access }: ServedRoute['contract']): Error {
  if (verdict === 'operator-only') return refuse('not_found', 'operator only');
  if (verdict === 'role') return refuse('operation_refused', 'role');
  const needed = access.kind === 'session' ? access.operatorOnly : undefined;
  const needs = needed !== undefined && 'scope' in needed ? needed.scope : '';
  return refuse('production_access_required', `no live grant covers ${needs}`, {
    needs,
    publicDetail: `No production access of yours covers “${needs}” now. Ask for it under Production access.`,
  });
}

/** Resolves to `refusal` once the attempt is durable, to a 503 when it cannot be made so: seen, or not answered. */
async function recorded(floor: Floor, event: Parameters<RecordAttempt>[0], refusal: Error): Promise<Error> {
  try {
    await floor.onAttempt(event);
    return refusal;
  } catch (error) {
    floor.log.error('attempt-not-recorded', { requestId: event.requestId, operation: event.operation, error });
    return refuse('attempt_not_recorded', 'the attempt could not be recorded');
  }
}

/** Faults of a body's outer form, before a byte of it is read. */
function bodyFormFault(contract: ServedRoute['contract'], request: FastifyRequest): Error | undefined {
  const { 'content-type': type, 'content-length': length, 'transfer-encoding': chunked } = request.headers;
  const present = (length !== undefined && length !== '0') || chunked !== undefined;
  if (!present) {
    if (contract.body === undefined) return undefined;
    return contract.body === 'stream'
      ? undefined
      : refuse('input_invalid', 'no body', { field: 'body', publicDetail: 'a body is needed' });
  }
  if (contract.body === undefined)
    return refuse('input_invalid', 'unexpected body', { field: 'body', publicDetail: 'no body is expected' });
  const wanted = bodyType(contract);
  if (type?.split(';', 1)[0]?.trim().toLowerCase() !== wanted)
    return refuse('content_type_refused', 'content type', { publicDetail: `send ${wanted}` });
  if (length !== undefined && Number(length) > (contract.bodyBytesMax ?? BODY_BYTES_MAX))
    return refuse('body_too_large', 'announced length');
  return undefined;
}

function callOf(
  floor: Floor,
  contract: ServedRoute['contract'],
  request: FastifyRequest,
): { call: Call; steppedUp: () => boolean } {
  const admission = floor.admissions.get(request)!; // set by `admission`, which has let this request in
  if (contract.query === undefined && Object.keys(request.query as object).length > 0) {
    throw refuse('input_invalid', 'unexpected query', { field: 'query', publicDetail: 'no query is expected' });
  }
  let verified = false;
  const call = {
    requestId: request.id,
    peer: admission.peer,
    caller: admission.caller as Caller, // absent on routes that take no token, as the type's comment says
    params: contract.params === undefined ? {} : request.params,
    query: contract.query === undefined ? {} : request.query,
    rawQuery: request.url.split('?', 2)[1] ?? '',
    body: contract.body === 'stream' ? streamBody(contract, request) : request.body,
    ids: admission.ids,
    headers: request.headers as Readonly<Record<string, string | undefined>>,
    async stepUp(action: Json, keeping?: ApprovalKeeping): Promise<StepUp> {
      const result = await confirmation(floor, contract, { request, admission, asked: { action, keeping } });
      verified = true;
      return result;
    },
  };
  return { call: call as unknown as Call, steppedUp: () => verified };
}

/**
 * What the person confirmed. A refusal is recorded before it is told: an assertion for another action is how a script in
 * the page, or a gateway that was taken over, would have one thing approved and another done.
 */
async function confirmation(
  floor: Floor,
  contract: ServedRoute['contract'],
  { request, admission, asked }: { request: FastifyRequest; admission: Admission; asked: Omit<Confirmation, 'header'> },
): Promise<StepUp> {
  const { caller, claims } = admission;
  if (caller === undefined || claims === undefined) throw refuse('step_up_required', 'step-up without a caller');
  const event = { kind: 'step-up', operation: contract.operation, caller, requestId: request.id } as const;
  const header = request.headers[STEP_UP_HEADER];
  if (typeof header !== 'string')
    throw await recorded(floor, { ...event, reason: 'missing' }, refuse('step_up_required', 'no step-up assertion'));
  try {
    return await floor.stepUp(claims, { ...asked, keeping: keepingOf(contract, asked), header });
  } catch (error) {
    if (!isAppError<CoreCode>(error, 'step_up_refused')) throw error;
    throw await recorded(floor, { ...event, reason: 'does-not-fit' }, error);
  }
}

/** An action that holds a secret is in nobody's copy of the log. */
function keepingOf(
  contract: ServedRoute['contract'],
  { action, keeping }: Omit<Confirmation, 'header'>,
): ApprovalKeeping | undefined {
  const { input = null } = action as { readonly input?: Json };
  const { hidden } = hideSecrets(input, secretsOfRoute(contract));
  return hidden.length === 0 ? keeping : { ...keeping, hashOnly: true };
}

function streamBody(contract: ServedRoute['contract'], request: FastifyRequest): Readable {
  const source = (request.body ?? request.raw) as Readable;
  return limitStream(source, contract.bodyBytesMax ?? BODY_BYTES_MAX);
}

/** Nothing leaves that the contract does not declare: neither a status, nor a member, nor a value of another type. */
function sendReply(
  contract: ServedRoute['contract'],
  result: { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> },
  reply: FastifyReply,
): FastifyReply {
  const schema = contract.replies[result.status];
  if (schema === undefined)
    throw new Error(`${contract.operation} answered ${result.status}, which its contract does not declare`);
  reply.code(result.status).header(REQUEST_ID_HEADER, reply.request.id);
  if (result.headers !== undefined) reply.headers(result.headers);
  if (schema === 'stream') {
    if (reply.getHeader('content-type') === undefined) reply.header('content-type', 'application/octet-stream');
    return reply.send(result.body);
  }
  const encoded = safeEncode(schema, result.body as never);
  if (!encoded.success)
    throw new Error(`${contract.operation} answered a body that its contract does not declare`, {
      cause: encoded.error,
    });
  if (encoded.data === undefined) return reply.send();
  return reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(encoded.data));
}
