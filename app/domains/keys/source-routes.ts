import { AppError, fromBase64Url, isAppError, toBase64Url } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import { bindRoutes } from '../../platform/http/handler.ts';
import type { RoomRoutes } from '../../platform/http/handler.ts';
import { keysError } from './errors.ts';
import type { KeptSource } from './source-book.ts';
import { vaultSourceContract } from './source-contract.ts';
import type { VaultSources } from './vault-sources.ts';

/** Routes of the `keys` service about key sources of tenants. Nothing in a reply is secret. */
export function vaultSourceRoutes({
  sources,
  onStandIns,
}: {
  readonly sources: VaultSources;
  /** Absent in a house in earnest: nothing of a tenant may ever lead to this machine's own loopback there. */
  readonly onStandIns?: ((standIns: { readonly origins: readonly string[]; readonly ca: string }) => void) | undefined;
}): RoomRoutes {
  return bindRoutes(vaultSourceContract, {
    async lease(call) {
      return { status: 200 as const, body: { leases: await sources.lease(call.body.tenantIds as Uuid[] | null) } };
    },
    async read(call) {
      return { status: 200 as const, body: await sources.read(call.body.tenantId as Uuid) };
    },
    async check(call) {
      const checked = await sources.check(call.body.tenantId as Uuid, call.body.source as KeptSource);
      return { status: 200 as const, body: checked };
    },
    async register(call) {
      const { tenantId, source } = call.body;
      return { status: 201 as const, body: await told(sources.register(tenantId as Uuid, source as KeptSource)) };
    },
    async activate(call) {
      const { tenantId, sourceId, from } = call.body;
      const activating = sources.activate(tenantId as Uuid, sourceId as Uuid | null, from as Uuid | null | undefined);
      return { status: 200 as const, body: await told(activating) };
    },
    async drop(call) {
      const { tenantId, now } = call.body;
      return { status: 200 as const, body: { dropped: await sources.drop(tenantId as Uuid, { now }) } };
    },
    async importParameters(call) {
      const { tenantId, source } = call.body;
      const given = await told(sources.importParameters(tenantId as Uuid, source as KeptSource));
      const body = {
        keyArn: given.keyArn,
        publicKey: toBase64Url(given.publicKey),
        importToken: toBase64Url(given.importToken),
        wrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256' as const,
        validUntil: new Date(given.validToMs).toISOString(),
      };
      return { status: 200 as const, body };
    },
    async import(call) {
      const { tenantId, source, validTo } = call.body;
      const material = {
        wrappedMaterial: bytesOf(call.body.encryptedKeyMaterial),
        importToken: bytesOf(call.body.importToken),
        ...(validTo === null ? {} : { expiresAtMs: Date.parse(validTo) }),
      };
      await told(sources.importMaterial(tenantId as Uuid, source as KeptSource, material));
      return { status: 200 as const, body: { keyArn: source.keyArn, validTo } };
    },
    standIns(call) {
      if (onStandIns === undefined) throw keysError('source_unavailable', 'this house rehearses nothing');
      onStandIns(call.body);
      return Promise.resolve({ status: 200 as const, body: {} });
    },
    async rings() {
      return { status: 200 as const, body: { rings: await sources.rings() } };
    },
  });
}

/** The store's words reach the tenant who brought the store: they name what it set, and hold no secret. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isAppError(error)) throw error;
    throw new AppError(error.code, error.message, { publicDetail: error.message, cause: error });
  }
}

function bytesOf(text: string): Buffer {
  const bytes = fromBase64Url(text);
  if (bytes === undefined) throw keysError('source_import_malformed', 'token or material is not canonical base64url');
  return Buffer.from(bytes);
}
