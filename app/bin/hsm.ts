// The token of the HSM in the keys process: one for all tenants, opened when the first key source of the kind is used.
import { join } from 'node:path';
import type { Random, Uuid } from '@auditrax/base';
import type { HsmMeans } from './key-means.ts';

const HSM_PREFIX = 'pkcs11:';

/** Key sources of tenants in the HSM, and the end of a deleted tenant's keys there. */
export function hsmStores(means: HsmMeans, place: { readonly stateDirectory: string; readonly random: Random }) {
  let opening: ReturnType<typeof openParts> | undefined;
  const provider = async (options: { readonly keyLabel?: string; readonly mayCreate: boolean }) => {
    opening ??= openParts(means, place);
    const { token, book, pkcs11KekProvider } = await opening;
    return pkcs11KekProvider({ token, book, random: place.random, ...options });
  };
  return {
    /** `close` of a source leaves the token to the others. */
    open: async ({ tenantId, keyLabel }: { readonly tenantId: Uuid; readonly keyLabel: string }) => {
      const own = await provider({ keyLabel, mayCreate: true });
      return { provider: own, isStandIn: false, isUnmade: () => own.isUnmade(tenantId), close: () => undefined };
    },
    /** As the store of the installation itself: one key for each tenant that has no source of its own. */
    installation: ({ mayCreate }: { readonly mayCreate: boolean }) => provider({ mayCreate }),
    /** The first of `kekRefs` that the token has not, with what the token is. Throws `kek_unavailable`, `kek_denied`. */
    async missing(
      kekRefs: readonly string[],
    ): Promise<{ readonly kekRef: string; readonly found: string } | undefined> {
      opening ??= openParts(means, place);
      const { token } = await opening;
      for (const kekRef of kekRefs.filter((ref) => ref.startsWith(HSM_PREFIX))) {
        if ((await token.findKey({ id: kekRef.slice(kekRef.lastIndexOf('/') + 1) })) !== undefined) continue;
        const { serial, label } = await token.facts();
        return { kekRef, found: `token ${serial} ("${label}")` };
      }
      return undefined;
    },
    /** Those of `kekRefs` that are keys of this HSM and were destroyed now. Throws `kek_foreign`, `kek_unavailable`. */
    async destroyKeks(tenantId: Uuid, kekRefs: readonly string[]): Promise<string[]> {
      const own = kekRefs.filter((ref) => ref.startsWith(HSM_PREFIX));
      if (own.length === 0) return [];
      const { destroyKek } = await provider({ mayCreate: false });
      const destroyed: string[] = [];
      for (const ref of own) if (await destroyKek(ref, tenantId)) destroyed.push(ref);
      return destroyed;
    },
  };
}

/** The driver is loaded here, so that a house without an HSM does not; the token connects at its first call. */
async function openParts(means: HsmMeans, place: { readonly stateDirectory: string; readonly random: Random }) {
  const { pkcs11Token, fileTokenKeyBook, pkcs11KekProvider } = await import('@auditrax/seal/pkcs11');
  const { modulePath, tokenLabel, pin, environment } = means;
  return {
    token: pkcs11Token({ modulePath, tokenLabel, pin, environment, random: place.random }),
    book: fileTokenKeyBook(join(place.stateDirectory, 'token-keys')),
    pkcs11KekProvider,
  };
}
