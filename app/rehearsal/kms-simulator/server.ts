import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isAppError, uuidV4, type Clock, type Random } from '@auditrax/base';
import { headerPairs, verifySigV4, type SigV4Result } from '@auditrax/sigv4';
import { ADMIN_OPERATIONS } from './admin-operations.ts';
import { Callers, type SimulatedRole, type SimulatedUser } from './callers.ts';
import { CRYPTO_OPERATIONS } from './crypto-operations.ts';
import { Faults, type Fault } from './faults.ts';
import type { Origin } from './key.ts';
import type { Operation } from './operation.ts';
import type { Caller, PolicyDocument } from './policy.ts';
import { refusal, type RefusalName } from './refusal.ts';
import { Input } from './request.ts';
import { answerSts, stsError } from './sts.ts';
import { World } from './world.ts';

const TARGET_PREFIX = 'TrentService.';
const BODY_BYTES_MAX = 256 * 1024;
const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  Object.entries({ ...CRYPTO_OPERATIONS, ...ADMIN_OPERATIONS }),
);

export interface KmsSimulatorInput {
  /** Key and certificate, PEM. Clients must be told to trust it. */
  readonly tls: { readonly key: string; readonly cert: string };
  readonly clock: Clock;
  readonly random: Random;
  readonly users: readonly SimulatedUser[];
  readonly roles?: readonly SimulatedRole[];
  readonly region?: string;
  /** 0, a free one, when absent. */
  readonly port?: number;
}

/** What a trail of the account would say of one request; never a plaintext. */
export interface KmsEvent {
  readonly operation: string;
  /** ARN; absent when the request was not let in. */
  readonly caller: string | undefined;
  readonly encryptionContext: Readonly<Record<string, string>> | undefined;
  /** What the client says of itself. */
  readonly userAgent: string;
  /** `ok`, the name of the error, or of the injected fault. */
  readonly outcome: string;
}

/** A running simulator and what can be done to it from outside the protocol. */
export interface KmsSimulator {
  /** `https://localhost:<port>`, for KMS and STS alike. */
  readonly endpoint: string;
  readonly region: string;
  createKey(input: { account: string; origin?: Origin; policy?: PolicyDocument }): { readonly arn: string };
  setEnabled(arn: string, isEnabled: boolean): void;
  /** The store behind the key stops answering, or answers again. */
  setUnavailable(arn: string, isUnavailable: boolean): void;
  setPolicy(arn: string, policy: PolicyDocument): void;
  fault(fault: Fault): void;
  clearFaults(): void;
  /** The simulator's clock goes ahead by so much (back, when negative). */
  skewBy(milliseconds: number): void;
  events(): readonly KmsEvent[];
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly outcome: string;
  readonly caller?: string | undefined;
}

interface Question {
  readonly request: IncomingMessage;
  readonly body: Buffer;
  readonly operation: string;
  readonly isSts: boolean;
  readonly requestId: string;
}

const JSON_TYPE = 'application/x-amz-json-1.1';

/** Error names of request signing, in the words of KMS and of STS. */
const SIGNING: Readonly<Record<Exclude<SigV4Result, { ok: true }>['reason'], [RefusalName, RefusalName]>> = {
  missing: ['MissingAuthenticationTokenException', 'MissingAuthenticationTokenException'],
  malformed: ['IncompleteSignatureException', 'IncompleteSignatureException'],
  scope: ['InvalidSignatureException', 'SignatureDoesNotMatch'],
  'unsigned-header': ['InvalidSignatureException', 'SignatureDoesNotMatch'],
  skew: ['InvalidSignatureException', 'SignatureDoesNotMatch'],
  'body-hash': ['InvalidSignatureException', 'SignatureDoesNotMatch'],
  'unknown-credential': ['UnrecognizedClientException', 'InvalidClientTokenId'],
  'session-token': ['UnrecognizedClientException', 'InvalidClientTokenId'],
  signature: ['InvalidSignatureException', 'SignatureDoesNotMatch'],
};

class Simulator {
  readonly world: World;
  readonly faults = new Faults();
  readonly events: KmsEvent[] = [];
  skew_ms = 0;
  readonly clock: Clock;
  readonly #callers: Callers;

  constructor(input: KmsSimulatorInput) {
    this.clock = { nowMs: () => input.clock.nowMs() + this.skew_ms };
    const { random } = input;
    this.world = new World({ region: input.region ?? 'eu-west-1', clock: this.clock, random });
    this.#callers = new Callers({ users: input.users, roles: input.roles ?? [], random, clock: this.clock });
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const target = request.headers['x-amz-target'];
    const isSts = target === undefined;
    const operation = isSts
      ? (new URLSearchParams(body.toString('utf8')).get('Action') ?? '')
      : String(target).replace(TARGET_PREFIX, '');
    const question = { request, body, operation, isSts, requestId: uuidV4(this.world.random) };
    const fault = this.faults.next(operation);
    const early = fault && earlyReply(fault);
    if (fault && (fault.kind === 'hang' || (fault.kind === 'cut' && fault.after !== true))) {
      this.#record(question, { outcome: `fault: ${fault.kind}` });
      if (fault.kind === 'cut') request.socket.destroy();
      return;
    }
    const reply = early ?? (await this.#answer(question));
    this.#record(question, reply);
    if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.delay_ms));
    if (fault?.kind === 'cut') request.socket.destroy();
    else this.#send(response, question, fault ? spoiled(reply, fault) : reply);
  }

  #record(question: Question, reply: { readonly outcome: string; readonly caller?: string | undefined }): void {
    let encryptionContext: KmsEvent['encryptionContext'];
    try {
      if (!question.isSts) encryptionContext = new Input(question.body).map('EncryptionContext');
    } catch {
      // The request is not one; its outcome says so.
    }
    const { operation, request } = question;
    const userAgent = request.headers['user-agent'] ?? '';
    this.events.push({ operation, caller: reply.caller, encryptionContext, userAgent, outcome: reply.outcome });
  }

  #send(response: ServerResponse, question: Question, reply: Reply): void {
    response.writeHead(reply.status, {
      'content-type': reply.type,
      'x-amzn-requestid': question.requestId,
      date: new Date(this.clock.nowMs()).toUTCString(),
    });
    response.end(reply.body);
  }

  async #answer(question: Question): Promise<Reply> {
    let caller: Caller | undefined;
    try {
      caller = this.#admit(question);
      if (question.isSts) {
        const form = new URLSearchParams(question.body.toString('utf8'));
        const xml = answerSts(form, { caller, callers: this.#callers, requestId: question.requestId });
        return { status: 200, type: 'text/xml', body: xml, outcome: 'ok', caller: caller.arn };
      }
      const operation = OPERATIONS.get(question.operation);
      if (!operation) throw refusal('UnknownOperationException', '');
      const answer = await operation({ input: new Input(question.body), caller, world: this.world });
      return { status: 200, type: JSON_TYPE, body: JSON.stringify(answer), outcome: 'ok', caller: caller.arn };
    } catch (cause) {
      const isOwn = isAppError(cause);
      const name = isOwn ? cause.code : 'KMSInternalException';
      const message = isOwn ? cause.message : '';
      return { ...errorReply(question, name, message), caller: caller?.arn };
    }
  }

  /** Who asks. Throws in the words of the service that is asked. */
  #admit(question: Question): Caller {
    const { request, body, isSts } = question;
    const [path, query] = (request.url ?? '/').split('?') as [string, string?];
    const result = verifySigV4({
      method: request.method ?? '',
      path,
      query: query ?? '',
      headers: headerPairs(request.rawHeaders),
      body,
      credentials: (id) => this.#callers.credential(id),
      service: isSts ? 'sts' : 'kms',
      region: this.world.region,
      clock: this.clock,
      requiredSignedHeaders: isSts ? [] : ['x-amz-target'],
    });
    if (!result.ok) throw refusal(SIGNING[result.reason][isSts ? 1 : 0], spokenRefusal(result, this.clock));
    const caller = this.#callers.caller(result.accessKeyId);
    if (caller) return caller;
    throw refusal('ExpiredTokenException', 'The security token included in the request is expired');
  }
}

function spokenRefusal(result: Exclude<SigV4Result, { ok: true }>, clock: Clock): string {
  if (result.reason === 'unknown-credential' || result.reason === 'session-token') {
    return 'The security token included in the request is invalid.';
  }
  if (result.reason !== 'skew') return `The request signature is not the one that was expected (${result.reason}).`;
  const at = new Date(clock.nowMs()).toISOString();
  return result.skewSeconds! > 0
    ? `Signature not yet current: made ${result.skewSeconds} s after ${at}`
    : `Signature expired: made ${-result.skewSeconds!} s before ${at}`;
}

function errorReply(question: Question, name: string, message: string): Reply {
  const { isSts, requestId } = question;
  if (isSts) {
    const status = name === 'ValidationException' ? 400 : 403;
    return { status, type: 'text/xml', body: stsError(name, message, requestId), outcome: name };
  }
  const status = name === 'KMSInternalException' ? 500 : 400;
  return { status, type: JSON_TYPE, body: JSON.stringify({ __type: name, message }), outcome: name };
}

/** The answer of a fault that keeps the request from being carried out. */
function earlyReply(fault: Fault): Reply | undefined {
  const outcome = `fault: ${fault.kind}`;
  switch (fault.kind) {
    case 'throttle': {
      const body = JSON.stringify({ __type: 'ThrottlingException', message: 'Rate exceeded' });
      return { status: 400, type: JSON_TYPE, body, outcome };
    }
    case 'error': {
      const body = JSON.stringify({ __type: fault.name, message: fault.message ?? '' });
      return { status: fault.status ?? 400, type: JSON_TYPE, body, outcome };
    }
    case 'outage':
      return { status: 503, type: 'text/html', body: '<html>no service</html>', outcome };
    case 'slow':
    case 'hang':
    case 'cut':
    case 'garble':
    case 'forge':
      return undefined;
  }
}

function spoiled(reply: Reply, fault: Fault): Reply {
  if (fault.kind === 'garble') return { ...reply, body: reply.body.slice(0, -2) };
  if (fault.kind !== 'forge') return reply;
  const members = { ...(JSON.parse(reply.body) as object), ...fault.members };
  return { ...reply, body: JSON.stringify(members) };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length_bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length_bytes += chunk.length;
    if (length_bytes > BODY_BYTES_MAX) throw new Error('the request is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/**
 * A protocol simulator of AWS KMS (awsJson 1.1) with the two operations of STS around it, on the loopback address. It
 * verifies signatures, binds encryption contexts, keeps key states, backing keys, imports, policies and grants, answers
 * with AWS's error names, and can be told to fail. It proves that we speak the protocol; it proves nothing about AWS.
 * Keys live in memory and end with it.
 *
 * Source: AWS KMS API reference 2014-11-01; STS API reference 2011-06-15.
 */
export async function startKmsSimulator(input: KmsSimulatorInput): Promise<KmsSimulator> {
  const simulator = new Simulator(input);
  const server = createServer({ ...input.tls, minVersion: 'TLSv1.3' }, (request, response) => {
    simulator.handle(request, response).catch(() => request.socket.destroy());
  });
  const port = await listen(server, input.port ?? 0);
  const { world, faults } = simulator;
  return {
    endpoint: `https://localhost:${port}`,
    region: world.region,
    createKey: ({ account, origin, policy }) =>
      world.create({ account, origin: origin ?? 'AWS_KMS', policy, description: '' }),
    setEnabled: (arn, isEnabled) => (world.find(arn, '').isEnabled = isEnabled),
    setUnavailable: (arn, isUnavailable) => (world.find(arn, '').isUnavailable = isUnavailable),
    setPolicy: (arn, policy) => (world.find(arn, '').policy = policy),
    fault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    skewBy: (milliseconds) => (simulator.skew_ms += milliseconds),
    events: () => simulator.events,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
