import { isAppError } from '@auditrax/base';
import type { ServiceName } from '@auditrax/base';
import { dekCommitment } from '@auditrax/seal';
import type { DekContext, KekDescription, KekHealth, KekProvider, SealErrorCode, WrappedDek } from '@auditrax/seal';

/** Somebody asked for a key in a context that it is not bound to. A reason to look, so it is reported at once. */
export interface VaultRefusal {
  readonly code: SealErrorCode | 'unknown';
  readonly context: DekContext;
  readonly peer: ServiceName;
  readonly requestId: string;
}

export interface VaultCaller {
  readonly peer: ServiceName;
  readonly requestId: string;
}

/** The service side of the room, in the one process that holds key-encryption keys. It keeps no data key. */
export interface Vault {
  generate(context: DekContext, caller: VaultCaller): Promise<WrappedDek & { readonly commitment: Buffer }>;
  /** Throws `authentication_failed`, `kek_foreign`, `kek_unknown` when context and wrap do not belong together. */
  unwrap(wrapped: WrappedDek, context: DekContext, caller: VaultCaller): Promise<Buffer>;
  /** Wraps the key of `wrapped` again, under the source that is active for its tenant. Throws like `unwrap`. */
  rewrap(wrapped: WrappedDek, context: DekContext, caller: VaultCaller): Promise<WrappedDek>;
  describe(): Promise<KekDescription & { readonly health: KekHealth }>;
}

/** Puts a provider behind the room's rules. `onRefusal` must not throw; it is told of every refused request. */
export function createVault(deps: { provider: KekProvider; onRefusal(refusal: VaultRefusal): void }): Vault {
  const { provider, onRefusal } = deps;
  const unwrap: Vault['unwrap'] = async (wrapped, context, caller) => {
    try {
      return await provider.unwrap(wrapped, context);
    } catch (error) {
      onRefusal({ code: isAppError<SealErrorCode>(error) ? error.code : 'unknown', context, ...caller });
      throw error;
    }
  };
  return {
    async generate(context) {
      const { dek, wrapped, kekRef } = await provider.generateDek(context);
      try {
        return { wrapped, kekRef, commitment: dekCommitment(dek, context) };
      } finally {
        dek.fill(0);
      }
    },
    unwrap,
    async rewrap(wrapped, context, caller) {
      const dek = await unwrap(wrapped, context, caller);
      try {
        return await provider.wrap(dek, context);
      } finally {
        dek.fill(0);
      }
    },
    async describe() {
      return { ...(await provider.describe()), health: await provider.health() };
    },
  };
}
