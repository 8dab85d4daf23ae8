import { timingSafeEqual } from 'node:crypto';
import type { Clock, Random, Uuid } from '@auditrax/base';
import { uuidV4 } from '@auditrax/base';
import { sealError } from '@auditrax/seal';
import type { KekDescription, KekHealth } from '@auditrax/seal';
import { publicKeySource } from '@auditrax/seal/key-source';
import type { KeySourceKind } from '@auditrax/seal/key-source';
import { DEK_TTL_MS } from './dek-cache.ts';
import { healthOfError, isWithdrawal, shownHealth } from './diagnosis.ts';
import { keysError } from './errors.ts';
import type { KeyStores, MaterialStore, OpenedStore } from './key-stores.ts';
import type { KeyUseBook } from './key-uses.ts';
import { newSourceId } from './source-book.ts';
import type { KeptSource, SourceBook, SourceEntry } from './source-book.ts';
import type { CheckedSource, KeyAssurance, KeySourceView, KeyUses, Lease } from './source-contract.ts';

export interface TenantSources {
  readonly active: KeySourceView;
  readonly pending: KeySourceView | null;
  readonly former: KeySourceView[];
  readonly kinds: KeySourceKind[];
  readonly uses: KeyUses;
}

export type Material = Parameters<MaterialStore['importKeyMaterial']>[0];

export interface RingView {
  readonly tenantId: Uuid | null;
  readonly source: KeySourceView;
  readonly uses: number;
  readonly refused: number;
  readonly lastUnwrapAt: string | null;
}

/** What the keys process does about sources of tenants. Errors are those of the stores, and `source_*`. */
export interface VaultSources {
  /** How holders of unwrapped keys stand: `withdrawn` means wipe now. Null: all tenants with a source of their own. */
  lease(tenantIds: readonly Uuid[] | null): Promise<Lease[]>;
  read(tenantId: Uuid): Promise<TenantSources>;
  /** Tries a source for real and keeps nothing. Never throws for a store that refuses: that is its answer. */
  check(tenantId: Uuid, source: KeptSource): Promise<CheckedSource>;
  register(tenantId: Uuid, source: KeptSource): Promise<KeySourceView>;
  activate(tenantId: Uuid, sourceId: Uuid | null, from?: Uuid | null): Promise<KeySourceView>;
  drop(tenantId: Uuid, options: { readonly now: boolean }): Promise<number>;
  /** Forgets all of a tenant that is no more; how many. */
  forget(tenantId: Uuid): Promise<number>;
  importParameters(tenantId: Uuid, source: KeptSource): ReturnType<MaterialStore['importParameters']>;
  importMaterial(tenantId: Uuid, source: KeptSource, material: Material): Promise<void>;
  rings(): Promise<RingView[]>;
}

export interface VaultSourcesDeps {
  readonly stores: KeyStores;
  readonly book: SourceBook;
  readonly uses: KeyUseBook;
  readonly clock: Clock;
  readonly random: Random;
  /** Kinds that this installation can open. */
  readonly kinds: readonly KeySourceKind[];
  /** What the installation's own store is worth when it is no hardware. */
  readonly installationAssurance: 'software' | 'development';
}

const NO_DESCRIPTION: Omit<KekDescription, 'provider'> = { hardware: false, fingerprint: '', keyCount: 0, details: {} };

export function vaultSources(deps: VaultSourcesDeps): VaultSources {
  const { stores, book, uses, kinds } = deps;
  const viewOf = (entry: SourceEntry) => sourceView(deps, entry);
  return {
    lease(tenantIds) {
      const own = () => [...new Set(book.entries().map(({ tenantId }) => tenantId))];
      return Promise.all((tenantIds ?? own()).map((tenantId) => leaseOf(deps, tenantId)));
    },
    async read(tenantId) {
      const own = book.ofTenant(tenantId);
      const entry = own.find(({ state }) => state === 'ACTIVE');
      const pending = own.find(({ state }) => state === 'PENDING');
      return {
        active: entry === undefined ? await installationView(deps) : await viewOf(entry),
        pending: pending === undefined ? null : await viewOf(pending),
        former: await Promise.all(own.filter(({ state }) => state === 'FORMER').map(viewOf)),
        kinds: [...kinds],
        uses: uses.of(tenantId),
      };
    },
    async check(tenantId, source) {
      try {
        const { tried, store } = await tryOut(deps, { tenantId, source, isDry: true });
        await store.close();
        return tried;
      } catch (error) {
        return refusedCheck(deps, error);
      }
    },
    async register(tenantId, source) {
      const { tried, store, sourceId } = await tryOut(deps, { tenantId, source, isDry: false });
      await store.close();
      const entry = await book.register({ sourceId, tenantId, source, kekRef: tried.kekRef! });
      await stores.tidy();
      return viewOf(entry);
    },
    async activate(tenantId, sourceId, from) {
      await book.activate(tenantId, sourceId, from);
      const entry = book.ofTenant(tenantId).find(({ state }) => state === 'ACTIVE');
      return entry === undefined ? installationView(deps) : viewOf(entry);
    },
    async drop(tenantId, options) {
      const dropped = await book.drop(tenantId, options);
      await stores.tidy();
      return dropped;
    },
    async forget(tenantId) {
      const forgotten = await book.forget(tenantId);
      await stores.tidy();
      return forgotten;
    },
    importParameters: (tenantId, source) => withMaterial(deps, { tenantId, source }, (one) => one.importParameters()),
    importMaterial: (tenantId, source, material) =>
      withMaterial(deps, { tenantId, source }, (one) => one.importKeyMaterial(material)),
    rings: () => ringViews(deps),
  };
}

interface Trial {
  readonly tried: CheckedSource;
  readonly store: OpenedStore;
  readonly sourceId: Uuid;
}

/**
 * Health, then a throw-away data key wrapped and unwrapped. The caller closes the store. A dry trial makes no key: where
 * one would have to be made first, it ends after health and says so.
 */
async function tryOut(
  deps: VaultSourcesDeps,
  given: { readonly tenantId: Uuid; readonly source: KeptSource; readonly isDry: boolean },
): Promise<Trial> {
  const { tenantId, source, isDry } = given;
  const { stores, random, clock } = deps;
  if (!deps.kinds.includes(source.kind))
    throw keysError('source_unavailable', `this installation has no ${source.kind} key store`);
  const sourceId = newSourceId(random);
  const startedMs = clock.nowMs();
  const store = await stores.openOnce({ sourceId, tenantId, source });
  try {
    const health = await store.provider.health();
    if (!health.ok) throw sealError(health.code as 'kek_unavailable', health.message);
    if (isDry && (await store.isUnmade?.()) === true)
      return { tried: await unmade(deps, store, startedMs), store, sourceId };
    const context = { tenantId, purpose: 'trial', dekId: uuidV4(random), version: 1 };
    const { dek, ...wrapped } = await store.provider.generateDek(context);
    const opened = await store.provider.unwrap(wrapped, context);
    const isSame = opened.length === dek.length && timingSafeEqual(opened, dek);
    dek.fill(0);
    opened.fill(0);
    if (!isSame) throw sealError('kek_misconfigured', 'the key store does not unwrap what it wrapped');
    refuseForeignKey(deps, { tenantId, source, kekRef: wrapped.kekRef });
    const description = await store.provider.describe();
    const tried: CheckedSource = {
      ok: true,
      health: shownHealth(health, clock.nowMs()),
      provider: description.provider,
      kekRef: wrapped.kekRef,
      fingerprint: description.fingerprint,
      assurance: assuranceOf(description, store.isStandIn),
      details: { ...description.details },
      trialMs: Math.round(clock.nowMs() - startedMs),
    };
    return { tried, store, sourceId };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function unmade(deps: VaultSourcesDeps, store: OpenedStore, startedMs: number): Promise<CheckedSource> {
  const { provider, fingerprint, details, hardware } = await store.provider.describe();
  return {
    ok: true,
    health: shownHealth({ ok: true }, deps.clock.nowMs()),
    provider,
    kekRef: null,
    fingerprint,
    assurance: assuranceOf({ provider, fingerprint, details, hardware, keyCount: 0 }, store.isStandIn),
    details: { ...details, key: 'is not there yet; it is made when the source is registered' },
    trialMs: Math.round(deps.clock.nowMs() - startedMs),
  };
}

async function withMaterial<T>(
  deps: VaultSourcesDeps,
  at: { readonly tenantId: Uuid; readonly source: KeptSource },
  work: (material: MaterialStore) => Promise<T>,
): Promise<T> {
  const store = await deps.stores.openOnce({ sourceId: newSourceId(deps.random), ...at });
  try {
    if (store.material === undefined)
      throw keysError('source_unavailable', 'this key store takes no key material of others');
    return await work(store.material);
  } finally {
    await store.close();
  }
}

/**
 * One HSM serves everybody here, so a label proves nothing about who names it: a key of it belongs to one tenant. A key
 * of KMS or behind a proxy is proven by credentials, and each data key is bound to its tenant besides.
 */
function refuseForeignKey(
  deps: VaultSourcesDeps,
  wanted: { readonly tenantId: Uuid; readonly source: KeptSource; readonly kekRef: string },
): void {
  if (wanted.source.kind !== 'pkcs11') return;
  const taken = deps.book.entries().some((one) => one.kekRef === wanted.kekRef && one.tenantId !== wanted.tenantId);
  if (taken) throw sealError('kek_foreign', `key ${wanted.kekRef} of the HSM belongs to another tenant`);
}

function refusedCheck(deps: VaultSourcesDeps, error: unknown): CheckedSource {
  return {
    ok: false,
    health: shownHealth(healthOfError(error), deps.clock.nowMs()),
    provider: null,
    kekRef: null,
    fingerprint: null,
    assurance: null,
    details: {},
    trialMs: null,
  };
}

async function leaseOf(deps: VaultSourcesDeps, tenantId: Uuid): Promise<Lease> {
  const own = deps.book.ofTenant(tenantId).filter((entry) => isInUse(deps, entry));
  if (own.length === 0) return { tenantId, state: 'installation', code: null };
  const seen = await Promise.all(own.map((entry) => deps.stores.look(entry)));
  const codes = seen.flatMap(({ health }) => (health.ok ? [] : [health.code]));
  const withdrawn = codes.find(isWithdrawal);
  if (withdrawn !== undefined) return { tenantId, state: 'withdrawn', code: withdrawn };
  return codes.length === 0
    ? { tenantId, state: 'usable', code: null }
    : { tenantId, state: 'unreachable', code: codes[0]! };
}

/** A former source matters as long as somebody may still hold a data key that it has unwrapped. */
function isInUse({ stores, clock }: VaultSourcesDeps, entry: SourceEntry): boolean {
  if (entry.state === 'ACTIVE') return true;
  const lastMs = stores.lastUnwrapMs(entry.sourceId);
  return lastMs !== undefined && clock.nowMs() < lastMs + DEK_TTL_MS;
}

function assuranceOf(description: KekDescription, isStandIn: boolean): KeyAssurance {
  if (isStandIn) return 'simulator';
  return description.hardware ? 'hardware' : 'software';
}

async function sourceView(deps: VaultSourcesDeps, entry: SourceEntry): Promise<KeySourceView> {
  const { health, atMs } = await deps.stores.look(entry);
  const { description, isStandIn } = await describeOrLittle(deps, entry, health);
  return {
    sourceId: entry.sourceId,
    kind: entry.source.kind,
    state: entry.state,
    provider: description.provider,
    kekRef: entry.kekRef,
    fingerprint: description.fingerprint,
    assurance: assuranceOf(description, isStandIn),
    settings: { ...publicKeySource(entry.source) },
    details: { ...description.details },
    activeSince: entry.activeSinceMs === null ? null : new Date(entry.activeSinceMs).toISOString(),
    health: shownHealth(health, atMs),
  };
}

/** A store that is not there is not asked for its description as well: a screen must not wait twice. */
async function describeOrLittle(
  deps: VaultSourcesDeps,
  entry: SourceEntry,
  health: KekHealth,
): Promise<{ description: KekDescription; isStandIn: boolean }> {
  const little = { ...NO_DESCRIPTION, provider: entry.source.kind };
  try {
    const store = await deps.stores.open(entry);
    const description = health.ok ? await store.provider.describe() : little;
    return { description, isStandIn: store.isStandIn };
  } catch {
    return { description: little, isStandIn: false };
  }
}

async function installationView(deps: VaultSourcesDeps): Promise<KeySourceView> {
  const { installation } = deps.stores;
  const [description, health] = await Promise.all([installation.describe(), installation.health()]);
  return {
    sourceId: null,
    kind: 'local',
    state: 'ACTIVE',
    provider: description.provider,
    kekRef: null,
    fingerprint: description.fingerprint,
    assurance: description.hardware ? 'hardware' : deps.installationAssurance,
    settings: {},
    details: { ...description.details },
    activeSince: null,
    health: shownHealth(health, deps.clock.nowMs()),
  };
}

async function ringViews(deps: VaultSourcesDeps): Promise<RingView[]> {
  const active = deps.book.entries().filter(({ state }) => state === 'ACTIVE');
  const own = new Set(active.map(({ tenantId }) => tenantId));
  const others = await Promise.all(
    active.map(async (entry) => ({
      tenantId: entry.tenantId,
      source: await sourceView(deps, entry),
      ...deps.uses.summary(entry.tenantId),
    })),
  );
  return [{ tenantId: null, source: await installationView(deps), ...deps.uses.summaryOfOthers(own) }, ...others];
}
