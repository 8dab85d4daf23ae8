// The token of the HSM in the keys process: one for all tenants, opened when the first key source of the kind is used.
import { join } from 'node:path';
import type { Random, Uuid } from '@auditrax/base';
import type { HsmMeans } from './key-means.ts';

/** Opens tenants' key sources in the HSM. `close` of a source leaves the token to the others. */
export function hsmStores(means: HsmMeans, place: { readonly stateDirectory: string; readonly random: Random }) {
  let opening: ReturnType<typeof openParts> | undefined;
  return async ({ keyLabel }: { readonly tenantId: Uuid; readonly keyLabel: string }) => {
    opening ??= openParts(means, place);
    const { token, book, pkcs11KekProvider } = await opening;
    const provider = pkcs11KekProvider({ token, book, keyLabel, mayCreate: true, random: place.random });
    return { provider, isStandIn: false, close: () => undefined };
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
