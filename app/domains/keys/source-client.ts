import { isAppError } from '@auditrax/base';
import type { RouteContract, Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { output, ZodType } from 'zod';
import type { InternalClient } from './client.ts';
import { keysError } from './errors.ts';
import { vaultSourceContract } from './source-contract.ts';
import type { CheckedSource, KeySourceView, Lease, OwnKeySource } from './source-contract.ts';

type Answer<Route extends { readonly replies: { readonly 200: ZodType } }> = output<Route['replies'][200]>;
type KmsSource = Extract<OwnKeySource, { kind: 'aws-kms' }>;

/** What a tenant sends to bring its own key material into a key store. */
export interface MaterialInput {
  readonly source: KmsSource;
  readonly importToken: string;
  readonly encryptedKeyMaterial: string;
  readonly validTo: string | null;
}

/**
 * Asks the keys process about key sources. Throws `keys_unavailable` (no answer, or none that fits the contract), and
 * what the key store said: `kek_*`, `clock_skew`, `source_*`, with the store's own words for the tenant.
 */
export interface KeySourcesClient {
  lease(tenantIds: readonly Uuid[], requestId: string): Promise<Lease[]>;
  /** Of every tenant that has a source of its own. */
  leases(requestId: string): Promise<Lease[]>;
  read(context: TenantContext): Promise<Answer<typeof vaultSourceContract.read>>;
  check(context: TenantContext, source: OwnKeySource): Promise<CheckedSource>;
  register(context: TenantContext, source: OwnKeySource): Promise<KeySourceView>;
  /** With `from`, only in place of that source (null: the installation's own); throws `key_setting_changed`. */
  activate(context: TenantContext, sourceId: string | null, from?: string | null): Promise<KeySourceView>;
  drop(context: TenantContext, options?: { readonly now: boolean }): Promise<number>;
  importParameters(
    context: TenantContext,
    source: KmsSource,
  ): Promise<Answer<typeof vaultSourceContract.importParameters>>;
  importMaterial(context: TenantContext, input: MaterialInput): Promise<Answer<typeof vaultSourceContract.import>>;
  rings(requestId: string): Promise<Answer<typeof vaultSourceContract.rings>['rings']>;
}

export function createKeySourcesClient(client: InternalClient): KeySourcesClient {
  const ask = async <T extends ZodType>(
    contract: RouteContract,
    schema: T,
    input: { readonly body?: unknown; readonly requestId: string },
  ): Promise<output<T>> => {
    const answer = await client.call(contract, input).catch((cause: unknown) => {
      if (isAppError(cause) && cause.code !== 'service_unavailable') throw cause;
      throw keysError('keys_unavailable', `${contract.operation}: the keys process did not answer`, cause);
    });
    const parsed = schema.safeParse(answer.body);
    if (parsed.success) return parsed.data;
    throw keysError('keys_unavailable', `${contract.operation}: the answer does not fit the contract`);
  };
  const about = ({ tenantId, requestId }: TenantContext, more: object = {}) => ({
    body: { tenantId, ...more },
    requestId,
  });
  const routes = vaultSourceContract;
  return {
    lease: async (tenantIds, requestId) =>
      (await ask(routes.lease, routes.lease.replies[200], { body: { tenantIds }, requestId })).leases,
    leases: async (requestId) =>
      (await ask(routes.lease, routes.lease.replies[200], { body: { tenantIds: null }, requestId })).leases,
    read: (context) => ask(routes.read, routes.read.replies[200], about(context)),
    check: (context, source) => ask(routes.check, routes.check.replies[200], about(context, { source })),
    register: (context, source) => ask(routes.register, routes.register.replies[201], about(context, { source })),
    activate: (context, sourceId, from) =>
      ask(
        routes.activate,
        routes.activate.replies[200],
        about(context, { sourceId, ...(from === undefined ? {} : { from }) }),
      ),
    drop: async (context, { now } = { now: false }) =>
      (await ask(routes.drop, routes.drop.replies[200], about(context, { now }))).dropped,
    importParameters: (context, source) =>
      ask(routes.importParameters, routes.importParameters.replies[200], about(context, { source })),
    importMaterial: (context, input) => ask(routes.import, routes.import.replies[200], about(context, input)),
    rings: async (requestId) => (await ask(routes.rings, routes.rings.replies[200], { requestId })).rings,
  };
}
