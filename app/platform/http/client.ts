import { Readable } from 'node:stream';
import { AppError, type RouteContract } from '@auditrax/base';
import type { WorkloadPools } from '@auditrax/workload';
import type { ZodType, input, output } from 'zod';
import type { ClockSkewWatch } from './clock-skew.ts';
import { REQUEST_ID_HEADER, TOKEN_HEADER } from './headers.ts';
import type { CoreCode } from './problems.ts';

/** Internal replies are small; a stream is read by `stream`. */
export const REPLY_BYTES_MAX = 16 * 1024 * 1024;

type Given<T, Key extends string> = T extends ZodType
  ? { readonly [K in Key]: input<T> }
  : { readonly [K in Key]?: undefined };

export type CallInput<C extends RouteContract> = {
  readonly requestId: string;
  /** Compact transaction token, on routes that want one. */
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Tagged ids of the path, when the contract has no params schema. */
  readonly pathIds?: Readonly<Record<string, string>>;
} & Given<C['params'], 'params'> &
  Given<C['query'], 'query'> &
  (C['body'] extends 'stream' ? { readonly body: Readable } : Given<C['body'], 'body'>);

export type CallReply<C extends RouteContract> = {
  [S in keyof C['replies'] & number]: {
    readonly status: S;
    readonly body: C['replies'][S] extends ZodType ? output<C['replies'][S]> : Readable;
    readonly headers: Readonly<Record<string, string | undefined>>;
  };
}[keyof C['replies'] & number];

export interface InternalClient {
  /**
   * Calls another service. Error replies come back as `AppError` with the code of the problem that was answered; no
   * answer at all is `service_unavailable`. Nothing is sent twice: whether an unanswered call took effect is unknown.
   */
  call<C extends RouteContract>(contract: C, request: CallInput<C>): Promise<CallReply<C>>;
}

interface LooseInput {
  readonly requestId: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly pathIds?: Readonly<Record<string, string>>;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

/** A client of the other services over `pools`. `clockSkew` learns from each reply's `Date`. */
export function createInternalClient(options: {
  readonly pools: WorkloadPools;
  readonly clockSkew?: ClockSkewWatch;
}): InternalClient {
  const call = async (contract: RouteContract, request: LooseInput) => {
    const reply = await send(options.pools, contract, request);
    const date = Date.parse(reply.headers['date'] ?? '');
    if (Number.isFinite(date)) options.clockSkew?.observe(date, 1000);
    if (reply.status >= 400) throw problemOf(await readAll(reply.body), reply.status, contract);
    const schema = contract.replies[reply.status];
    if (schema === undefined) {
      reply.body.destroy();
      throw unavailable(contract, `answered ${reply.status}`);
    }
    if (schema === 'stream') return reply;
    const text = await readAll(reply.body);
    const parsed = schema.safeParse(text === '' ? undefined : JSON.parse(text));
    if (!parsed.success) throw unavailable(contract, 'answered what its contract does not declare');
    return { ...reply, body: parsed.data };
  };
  return { call: call as unknown as InternalClient['call'] };
}

/** The contract's path with its parameters filled in, and the query. */
export function addressOf(contract: RouteContract, request: Pick<LooseInput, 'params' | 'pathIds' | 'query'>): string {
  const values: Readonly<Record<string, unknown>> = { ...request.pathIds, ...request.params };
  const path = contract.path.replaceAll(/:([A-Za-z][A-Za-z0-9]*)/g, (_all, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new TypeError(`${contract.operation}: no path parameter ${name}`);
    return encodeURIComponent(value);
  });
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value === undefined) continue;
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new TypeError(`${contract.operation}: ${name} has no form in a query`);
    }
    query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

interface RawReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Readable;
}

async function send(pools: WorkloadPools, contract: RouteContract, request: LooseInput): Promise<RawReply> {
  try {
    const reply = await pools.to(contract.service).request({
      method: contract.method,
      path: addressOf(contract, request),
      headers: {
        ...request.headers,
        [REQUEST_ID_HEADER]: request.requestId,
        ...(request.token === undefined ? {} : { [TOKEN_HEADER]: request.token }),
        ...(request.body === undefined
          ? {}
          : { 'content-type': request.body instanceof Readable ? 'application/octet-stream' : 'application/json' }),
      },
      ...(request.body === undefined
        ? {}
        : { body: request.body instanceof Readable ? request.body : JSON.stringify(request.body) }),
    });
    return { status: reply.statusCode, headers: reply.headers as RawReply['headers'], body: reply.body };
  } catch (error) {
    throw error instanceof TypeError ? error : unavailable(contract, 'did not answer', error);
  }
}

async function readAll(body: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > REPLY_BYTES_MAX) throw new AppError<CoreCode>('service_unavailable', 'a reply beyond every limit');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function unavailable(contract: RouteContract, what: string, cause?: unknown): AppError<CoreCode> {
  return new AppError('service_unavailable', `${contract.service} ${what} (${contract.operation})`, { cause });
}

function problemOf(text: string, status: number, contract: RouteContract): AppError {
  try {
    const { code, detail, field } = JSON.parse(text) as { code?: unknown; detail?: unknown; field?: unknown };
    if (typeof code !== 'string') return unavailable(contract, `answered ${status}`);
    return new AppError(code, `${contract.operation} answered ${code}`, {
      ...(typeof detail === 'string' ? { publicDetail: detail } : {}),
      ...(typeof field === 'string' ? { field } : {}),
    });
  } catch {
    return unavailable(contract, `answered ${status} without a problem`);
  }
}
