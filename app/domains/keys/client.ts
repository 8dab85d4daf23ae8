import { AppError, fromBase64Url, isAppError, toBase64Url } from '@auditrax/base';
import type { RouteContract, Uuid } from '@auditrax/base';
import type { WrappedDek } from '@auditrax/seal';
import type { TenantContext } from '@auditrax/tenancy';
import type { output, ZodType } from 'zod';
import { vaultContract } from './contract.ts';
import type { KeyPurpose } from './contract.ts';
import { diagnose } from './diagnosis.ts';
import { keysError } from './errors.ts';
import type { KeysErrorCode } from './errors.ts';

/** The part of the house's internal client that this room needs; it throws the code of a problem that was answered. */
export interface InternalClient {
  call(
    contract: RouteContract,
    input: { readonly body?: unknown; readonly requestId: string },
  ): Promise<{ readonly status: number; readonly body: unknown }>;
}

/** Names one data key of a tenant. */
export interface DekName {
  readonly purpose: KeyPurpose;
  readonly dekId: Uuid;
  readonly version: number;
}

/** A data key with what the keys process says of its use: the tenant's list of suites, or null for none. */
export interface OpenedDek {
  readonly dek: Buffer;
  readonly suites: readonly number[] | null;
}

/**
 * Asks the keys process. Throws `keys_unavailable` (no answer, or none that fits the contract), `unwrap_refused`, and what
 * a tenant's own key store answers: `kek_disabled`, `kek_denied`, `kek_gone` (withdrawn), `kek_unavailable`,
 * `kek_throttled`, `clock_skew`, `kek_misconfigured`.
 */
export interface KeysClient {
  generate(context: TenantContext, name: DekName): Promise<WrappedDek & { readonly commitment: Buffer }>;
  /** The caller checks the commitment and wipes the key. */
  open(context: TenantContext, name: DekName, wrapped: WrappedDek): Promise<OpenedDek>;
  /** The key of `open` alone. */
  unwrap(context: TenantContext, name: DekName, wrapped: WrappedDek): Promise<Buffer>;
  /** The same key under the tenant's active key source; `wrapped` stays good until the caller has stored the new wrap. */
  rewrap(context: TenantContext, name: DekName, wrapped: WrappedDek): Promise<WrappedDek>;
  describe(requestId: string): Promise<output<(typeof vaultContract.describe.replies)[200]>>;
}

/** Answers that mean "not with this key and context", as against "not now". */
const REFUSALS: readonly string[] = [
  'authentication_failed',
  'blob_malformed',
  'input_invalid',
  'kek_foreign',
  'kek_unknown',
  'peer_refused',
  'suite_unknown',
  'unwrap_refused',
];

/** What the store of a tenant's own key says: told to the tenant with what it can do, since nobody else can mend it. */
const STORE_ANSWERS: readonly string[] = [
  'clock_skew',
  'kek_denied',
  'kek_disabled',
  'kek_gone',
  'kek_misconfigured',
  'kek_throttled',
  'kek_unavailable',
];

export function createKeysClient(client: InternalClient): KeysClient {
  const call = async <T extends ZodType>(
    contract: RouteContract,
    reply: { status: number; schema: T },
    input: { body?: unknown; requestId: string },
  ): Promise<output<T>> => {
    const answer = await client.call(contract, input).catch((cause: unknown) => {
      if (isAppError(cause, ...REFUSALS))
        throw keysError('unwrap_refused', `${contract.operation}: refused as ${cause.code}`, cause);
      if (isAppError(cause, ...STORE_ANSWERS)) {
        const { advice } = diagnose(cause.code);
        throw new AppError(cause.code, `${contract.operation}: the key store answered ${cause.code}`, {
          publicDetail: advice,
          cause,
        });
      }
      throw keysError('keys_unavailable', `${contract.operation}: the keys process did not answer`, cause);
    });
    if (answer.status >= 400 && answer.status < 500) {
      throw keysError('unwrap_refused', `${contract.operation}: refused with status ${answer.status}`);
    }
    if (answer.status !== reply.status)
      throw keysError('keys_unavailable', `${contract.operation}: status ${answer.status}`);
    const parsed = reply.schema.safeParse(answer.body);
    if (!parsed.success)
      throw keysError('keys_unavailable', `${contract.operation}: the answer does not fit the contract`);
    return parsed.data;
  };
  return {
    async generate(context, name) {
      const schema = vaultContract.generate.replies[201];
      const body = { tenantId: context.tenantId, ...name };
      const made = await call(vaultContract.generate, { status: 201, schema }, { body, requestId: context.requestId });
      return { kekRef: made.kekRef, wrapped: bytesOf(made.wrapped), commitment: bytesOf(made.commitment) };
    },
    async open(context, name, wrapped) {
      const schema = vaultContract.unwrap.replies[200];
      const body = wrappedBody(context, name, wrapped);
      const opened = await call(vaultContract.unwrap, { status: 200, schema }, { body, requestId: context.requestId });
      return { dek: bytesOf(opened.dek), suites: opened.suites };
    },
    async unwrap(context, name, wrapped) {
      return (await this.open(context, name, wrapped)).dek;
    },
    async rewrap(context, name, wrapped) {
      const schema = vaultContract.rewrap.replies[200];
      const body = wrappedBody(context, name, wrapped);
      const moved = await call(vaultContract.rewrap, { status: 200, schema }, { body, requestId: context.requestId });
      return { kekRef: moved.kekRef, wrapped: bytesOf(moved.wrapped) };
    },
    describe: (requestId) =>
      call(vaultContract.describe, { status: 200, schema: vaultContract.describe.replies[200] }, { requestId }),
  };
}

function wrappedBody(context: TenantContext, name: DekName, wrapped: WrappedDek) {
  return { tenantId: context.tenantId, ...name, kekRef: wrapped.kekRef, wrapped: toBase64Url(wrapped.wrapped) };
}

function bytesOf(text: string): Buffer {
  const bytes = fromBase64Url(text);
  if (bytes === undefined) {
    throw new AppError<KeysErrorCode>(
      'keys_unavailable',
      'the keys process answered with bytes that are not base64url',
    );
  }
  return bytes;
}
