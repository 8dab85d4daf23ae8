import type { Random, Uuid } from '@auditrax/base';
import { parseUuid, isAppError } from '@auditrax/base';
import { sealEngine } from './engine-choice.ts';
import { sealError } from './errors.ts';
import { KEY_BYTES } from './gcm.ts';
import type { DekContext, KekProvider, WrappedDek } from './kek.ts';
import type { Kek, KeyRing } from './ring.ts';
import { unwrapDek, wrapDek, wrappedKekId } from './wrap.ts';

const LOCAL_PREFIX = 'local:';

/**
 * Where a ring's root key comes from: a credential that the operating system keeps (systemd), a passphrase, or a file
 * beside the ring, which protects against nothing but the loss of one of the two files and is for development.
 */
export type RootKeyFrom = 'credential' | 'passphrase' | 'development-file';

/**
 * The embedded provider: key-encryption keys in a key ring file, in this process's memory while in use. Honest about
 * what it is: `hardware` is false.
 */
export function localKekProvider(input: {
  readonly ring: KeyRing;
  readonly random: Random;
  /** For `describe`. Default: the weakest. */
  readonly rootKeyFrom?: RootKeyFrom;
}): KekProvider {
  const { ring, random } = input;
  const wrap = async (dek: Uint8Array, context: DekContext): Promise<WrappedDek> => {
    const kek = await ring.kekOfTenant(context.tenantId);
    return {
      wrapped: wrapDek({ kek: kek.key, kekId: kek.kekId, context, random }, dek),
      kekRef: `${LOCAL_PREFIX}${kek.kekId}`,
    };
  };
  return {
    wrap,
    async generateDek(context) {
      const dek = Buffer.from(random.bytes(KEY_BYTES));
      return { ...(await wrap(dek, context)), dek };
    },
    async unwrap(wrapped, context) {
      const kek = kekOf(ring, wrapped);
      if (kek.tenantId !== context.tenantId) {
        throw sealError('kek_foreign', `key ${kek.kekId} does not belong to tenant ${context.tenantId}`);
      }
      return unwrapDek({ kek: kek.key, context }, wrapped.wrapped);
    },
    async describe() {
      return {
        provider: 'local',
        hardware: false,
        fingerprint: ring.fingerprint,
        keyCount: ring.keyCount,
        details: {
          ringId: ring.ringId,
          rootKey: input.rootKeyFrom ?? 'development-file',
          generation: ring.generation,
          engine: sealEngine().name,
          recoveryConfirmed: ring.recoveryConfirmedAtMs !== undefined,
        },
      };
    },
    async health() {
      try {
        probe(ring, random);
        return { ok: true };
      } catch (cause) {
        return {
          ok: false,
          code: isAppError(cause) ? cause.code : 'unknown',
          message: cause instanceof Error ? cause.message : '',
        };
      }
    },
  };
}

function kekOf(ring: KeyRing, wrapped: WrappedDek): Kek {
  const kekId = wrappedKekId(wrapped.wrapped);
  const named: Uuid | undefined = wrapped.kekRef.startsWith(LOCAL_PREFIX)
    ? parseUuid(wrapped.kekRef.slice(LOCAL_PREFIX.length))
    : undefined;
  if (named !== kekId) {
    throw sealError(
      'kek_unknown',
      `the record names key ${wrapped.kekRef}, the wrapped bytes name ${LOCAL_PREFIX}${kekId}`,
    );
  }
  return ring.kek(kekId);
}

/** Uses a real key for a real wrap and unwrap; a ring without keys yet is healthy. */
function probe(ring: KeyRing, random: Random): void {
  const kek = ring.anyKek();
  if (kek === undefined) return;
  const context: DekContext = { tenantId: kek.tenantId, purpose: 'health', dekId: kek.kekId, version: 1 };
  const sample = Buffer.from(random.bytes(KEY_BYTES));
  const opened = unwrapDek(
    { kek: kek.key, context },
    wrapDek({ kek: kek.key, kekId: kek.kekId, context, random }, sample),
  );
  if (!opened.equals(sample)) throw sealError('authentication_failed', `key ${kek.kekId} does not open what it sealed`);
}
