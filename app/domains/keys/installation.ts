// The key store of the installation itself, where it is another one than the key ring: proven at each start to be the
// one that holds the keys of these data, and the move of data keys that still stand under the store before.
import { fromBase64Url, isAppError, toBase64Url } from '@auditrax/base';
import type { Random, Uuid } from '@auditrax/base';
import { checkCommitment, dekCommitment } from '@auditrax/seal';
import type { DekContext, KekProvider, KeyRing } from '@auditrax/seal';
import { openSealedDocument } from '@auditrax/seal/sealed-document';
import type { TenantContext } from '@auditrax/tenancy';
import { keysError } from './errors.ts';
import { selectWrapped } from './queries.ts';
import { rewrapKeys } from './rewrap.ts';
import type { RewrapOutcome } from './rewrap.ts';
import type { KeyDeps } from './service.ts';

/** Whose key on the store is tried, and whose key of the ring seals what is remembered of it: an id that no tenant has. */
const CHECK_OWNER = '00000000-0000-4000-8000-00000000c4ec' as Uuid;
const DOCUMENT_NAME = 'installation-key';
const CHECK_CONTEXT: DekContext = { tenantId: CHECK_OWNER, purpose: 'installation', dekId: CHECK_OWNER, version: 1 };
/** Shown of a commitment, enough to tell two keys apart. */
const CHECK_VALUE_CHARS = 16;

/** Stores that an installation may have had before the one it has; sources of tenants only use other words or say so. */
const INSTALLATION_WORDS: readonly string[] = ['local', 'pkcs11'];

/** Which store, in the words of a `kekRef` before its colon. */
export function storeOf(kekRef: string): string {
  return kekRef.slice(0, Math.max(0, kekRef.indexOf(':')));
}

interface Remembered {
  readonly provider: string;
  readonly kekRef: string;
  readonly wrapped: string;
  readonly commitment: string;
}

/**
 * Unwraps, through the store that is to hold the installation's keys, a key that was wrapped by it when it was first used;
 * the first time there is none, and one is made and remembered in `path`, sealed by the ring. Throws
 * `installation_key_unfit`, with the key expected and the store found: nothing may be wrapped by a stranger, and a house
 * whose keys are away is better told so at its start than at the first reading.
 */
export async function checkInstallationKey(at: {
  readonly path: string;
  readonly ring: KeyRing;
  readonly random: Random;
  readonly provider: KekProvider;
  /** Before a key is made: whether the store may be a new one at all. */
  readonly beforeFirstUse: () => Promise<void>;
}): Promise<{ readonly kekRef: string; readonly isNew: boolean }> {
  const { path, ring, random, provider } = at;
  const document = await openSealedDocument({ path, ring, random, owner: CHECK_OWNER, name: DOCUMENT_NAME });
  const kept = document.content as unknown as Remembered | undefined;
  const description = await provider.describe().catch((error: unknown) => {
    throw unfit({ kept, error });
  });
  if (kept?.provider === description.provider) {
    await openRemembered(provider, kept);
    return { kekRef: kept.kekRef, isNew: false };
  }
  await at.beforeFirstUse();
  const made = await firstUse(provider);
  await document.save({ provider: description.provider, ...made });
  return { kekRef: made.kekRef, isNew: true };
}

async function firstUse(provider: KekProvider): Promise<Omit<Remembered, 'provider'>> {
  try {
    const { dek, ...wrap } = await provider.generateDek(CHECK_CONTEXT);
    const commitment = dekCommitment(dek, CHECK_CONTEXT);
    dek.fill(0);
    const opened = await provider.unwrap(wrap, CHECK_CONTEXT);
    checkCommitment(opened, CHECK_CONTEXT, commitment);
    opened.fill(0);
    return { kekRef: wrap.kekRef, wrapped: toBase64Url(wrap.wrapped), commitment: toBase64Url(commitment) };
  } catch (error) {
    throw unfit({ kept: undefined, error });
  }
}

async function openRemembered(provider: KekProvider, kept: Remembered): Promise<void> {
  try {
    const wrapped = { kekRef: kept.kekRef, wrapped: fromBase64Url(kept.wrapped)! };
    const opened = await provider.unwrap(wrapped, CHECK_CONTEXT);
    checkCommitment(opened, CHECK_CONTEXT, fromBase64Url(kept.commitment)!);
    opened.fill(0);
  } catch (error) {
    const found = await provider.describe().then(
      ({ fingerprint, details }) => `${fingerprint} ("${String(details['token'] ?? '')}")`,
      () => 'a store that does not answer',
    );
    throw unfit({ kept, found, error });
  }
}

function unfit(what: { kept: Remembered | undefined; found?: string; error: unknown }): Error {
  const { kept, found, error } = what;
  if (!isAppError(error)) return error instanceof Error ? error : new Error(String(error));
  const expected =
    kept === undefined
      ? ''
      : ` expected key ${kept.kekRef} (check value ${kept.commitment.slice(0, CHECK_VALUE_CHARS)})`;
  const seen = found === undefined ? '' : `, found ${found}`;
  return keysError(
    'installation_key_unfit',
    `the installation’s key store:${expected}${seen}; it answers ${error.code}: ${error.message}. Attach the store that holds this key, or restore it there`,
    error,
  );
}

/** Data keys of the installation's former store: names only, whichever the store is now. */
export function underFormerStore(kekRef: string, provider: string): boolean {
  const word = storeOf(kekRef);
  return word !== provider && INSTALLATION_WORDS.includes(word);
}

/**
 * Moves the data keys of a tenant that still stand under the store that the installation had before: each is wrapped
 * anew, opened again and compared before the old wrap goes. Undefined when there are none. Throws like `rewrapKeys`.
 */
export async function followInstallation(
  deps: Pick<KeyDeps, 'service' | 'tenantDoor' | 'keysClient'>,
  context: TenantContext,
): Promise<RewrapOutcome | undefined> {
  const rows = await deps.tenantDoor.scoped(context, selectWrapped(context.tenantId));
  if (rows.length === 0) return undefined;
  const { provider } = await deps.keysClient.describe(context.requestId);
  if (!rows.some((row) => underFormerStore(row.kek_ref, provider))) return undefined;
  return rewrapKeys(deps, context, { reason: 'installation-switched' });
}
