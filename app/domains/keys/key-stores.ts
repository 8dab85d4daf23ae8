import type { Clock, Uuid } from '@auditrax/base';
import { isAppError } from '@auditrax/base';
import { sealError } from '@auditrax/seal';
import type { KekHealth, KekProvider } from '@auditrax/seal';
import { healthOfError, isWithdrawal } from './diagnosis.ts';
import type { KeptSource, SourceBook, SourceEntry } from './source-book.ts';

/** The slowest driver gives up on its own before this; a driver that hangs must not hold a request for ever. */
const STORE_MS_MAX = 15_000;
/** A withdrawal is felt within this and the holders' own interval; and a key store is asked no more often. */
export const HEALTH_FRESH_MS = 5_000;
/** A question about a lease is not held up longer by a slow store: it is answered from what was last seen. */
const HEALTH_WAIT_MS = 2_000;

/** The customer's own key material for a key store that takes it. Times are milliseconds since the epoch. */
export interface MaterialStore {
  importParameters(): Promise<{ keyArn: string; publicKey: Buffer; importToken: Buffer; validToMs: number }>;
  importKeyMaterial(input: {
    readonly wrappedMaterial: Uint8Array;
    readonly importToken: Uint8Array;
    readonly expiresAtMs?: number;
  }): Promise<void>;
}

/** A driver that is ready to be used. */
export interface OpenedStore {
  readonly provider: KekProvider;
  /** True for a stand-in that speaks the protocol only: never shown as the real thing. */
  readonly isStandIn: boolean;
  readonly material?: MaterialStore | undefined;
  /** Stores that make the key of a name at its first use: whether this one is still to be made. */
  readonly isUnmade?: (() => Promise<boolean>) | undefined;
  close(): unknown;
}

/** Opens the driver of a source. Throws `kek_misconfigured`, `source_unavailable`. */
export type OpenStore = (source: {
  readonly sourceId: Uuid;
  readonly tenantId: Uuid;
  readonly source: KeptSource;
}) => Promise<OpenedStore>;

export interface Seen {
  readonly health: KekHealth;
  readonly atMs: number;
}

/** Every key store of the installation: its own, and those that tenants brought. As a provider it picks by tenant. */
export interface KeyStores extends KekProvider {
  /** The installation's own. */
  readonly installation: KekProvider;
  open(entry: SourceEntry): Promise<OpenedStore>;
  /** For a trial: the caller closes it. */
  readonly openOnce: OpenStore;
  /** Asks the store, at most every `HEALTH_FRESH_MS`; never throws. */
  look(entry: SourceEntry): Promise<Seen>;
  /** When a data key was last unwrapped under this source. */
  lastUnwrapMs(sourceId: Uuid): number | undefined;
  /** Closes the drivers of sources that are in the book no more. */
  tidy(): Promise<void>;
}

interface Deps {
  readonly installation: KekProvider;
  readonly book: SourceBook;
  readonly openStore: OpenStore;
  readonly clock: Clock;
}

/** Providers by the word before the colon of a `kekRef`: what the installation wraps with now, and what it once did. */
export function installationProvider(primary: KekProvider, former: Readonly<Record<string, KekProvider>>): KekProvider {
  return {
    generateDek: (context) => primary.generateDek(context),
    wrap: (dek, context) => primary.wrap(dek, context),
    describe: () => primary.describe(),
    health: () => primary.health(),
    unwrap: (wrapped, context) => {
      const word = wrapped.kekRef.slice(0, wrapped.kekRef.indexOf(':'));
      const provider = Object.hasOwn(former, word) ? former[word] : undefined;
      return (provider ?? primary).unwrap(wrapped, context);
    },
  };
}

export function openKeyStores(deps: Deps): KeyStores {
  const { installation, book, clock } = deps;
  const opened = new Map<Uuid, Promise<OpenedStore>>();
  const unwrapped = new Map<Uuid, number>();
  const open = (entry: SourceEntry): Promise<OpenedStore> => {
    const known = opened.get(entry.sourceId);
    if (known !== undefined) return known;
    const opening = deps.openStore(entry);
    opened.set(entry.sourceId, opening);
    opening.catch(() => opened.delete(entry.sourceId)); // the next use tries again
    return opening;
  };
  const watch = healthWatch(clock, async (entry) => (await open(entry)).provider.health());
  /** Runs at a store of a tenant; a withdrawal that shows itself here is known to the leases at once. */
  const at = async <T>(entry: SourceEntry, work: (provider: KekProvider) => Promise<T>): Promise<T> => {
    try {
      return await inTime(open(entry).then(({ provider }) => work(provider)));
    } catch (error) {
      if (isAppError(error) && isWithdrawal(error.code)) watch.saw(entry.sourceId, healthOfError(error));
      throw error;
    }
  };
  const active = (tenantId: Uuid): SourceEntry | undefined =>
    book.ofTenant(tenantId).find((entry) => entry.state === 'ACTIVE');
  return {
    installation,
    open,
    openOnce: deps.openStore,
    look: watch.look,
    lastUnwrapMs: (sourceId) => unwrapped.get(sourceId),
    async tidy() {
      const kept = new Set(book.entries().map(({ sourceId }) => sourceId));
      for (const [sourceId, opening] of opened) {
        if (kept.has(sourceId)) continue;
        opened.delete(sourceId);
        unwrapped.delete(sourceId);
        await opening.then((store) => store.close()).catch(() => undefined); // it is out of use either way
      }
    },
    async generateDek(context) {
      const entry = active(context.tenantId);
      if (entry === undefined) return inTime(installation.generateDek(context));
      return at(entry, (provider) => provider.generateDek(context));
    },
    async wrap(dek, context) {
      const entry = active(context.tenantId);
      return entry === undefined ? inTime(installation.wrap(dek, context)) : at(entry, (one) => one.wrap(dek, context));
    },
    async unwrap(wrapped, context) {
      const entry = sourceOf(book, wrapped.kekRef, context.tenantId);
      if (entry === undefined) return inTime(installation.unwrap(wrapped, context));
      const dek = await at(entry, (provider) => provider.unwrap(wrapped, context));
      unwrapped.set(entry.sourceId, clock.nowMs());
      return dek;
    },
    describe: () => installation.describe(),
    health: () => installation.health(),
  };
}

/**
 * The tenant's own source of this name; undefined when the name is none of a source, so that the installation's store
 * judges it. A name that is another tenant's only is refused here: no store is even asked.
 */
function sourceOf(book: SourceBook, kekRef: string, tenantId: Uuid): SourceEntry | undefined {
  const named = book.entries().filter((entry) => entry.kekRef === kekRef && entry.state !== 'PENDING');
  const own = named.filter((entry) => entry.tenantId === tenantId);
  if (named.length > 0 && own.length === 0) {
    throw sealError('kek_foreign', `key ${kekRef} does not belong to tenant ${tenantId}`);
  }
  // New credentials for the same key: the newer ones are the ones that work.
  return own.find((entry) => entry.state === 'ACTIVE') ?? own.at(-1);
}

interface HealthWatch {
  look(entry: SourceEntry): Promise<Seen>;
  saw(sourceId: Uuid, health: KekHealth): void;
}

function healthWatch(clock: Clock, ask: (entry: SourceEntry) => Promise<KekHealth>): HealthWatch {
  const seen = new Map<Uuid, Seen>();
  const asking = new Map<Uuid, Promise<Seen>>();
  const note = (sourceId: Uuid, health: KekHealth): Seen => {
    const now = { health, atMs: clock.nowMs() };
    seen.set(sourceId, now);
    return now;
  };
  const started = (entry: SourceEntry): Promise<Seen> => {
    const running = asking.get(entry.sourceId);
    if (running !== undefined) return running;
    const run = inTime(ask(entry))
      .catch(healthOfError)
      .then((health) => note(entry.sourceId, health))
      .finally(() => asking.delete(entry.sourceId));
    asking.set(entry.sourceId, run);
    return run;
  };
  return {
    saw: note,
    async look(entry) {
      const last = seen.get(entry.sourceId);
      if (last !== undefined && clock.nowMs() < last.atMs + HEALTH_FRESH_MS) return last;
      const late = healthOfError(sealError('kek_unavailable', 'the key store has not answered yet'));
      return within(started(entry), HEALTH_WAIT_MS, () => last ?? { health: late, atMs: clock.nowMs() });
    },
  };
}

function inTime<T>(work: Promise<T>): Promise<T> {
  return within(work, STORE_MS_MAX, () => {
    throw sealError('kek_unavailable', `the key store did not answer within ${STORE_MS_MAX} ms`);
  });
}

/** `otherwise` decides when the work takes longer; what it then still brings is not waited for. */
async function within<T>(work: Promise<T>, limitMs: number, otherwise: () => T): Promise<T> {
  const late = Symbol('late');
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<typeof late>((resolve) => {
    timer = setTimeout(() => resolve(late), limitMs);
  });
  try {
    const first = await Promise.race([work, limit]);
    return first === late ? otherwise() : first;
  } finally {
    clearTimeout(timer);
  }
}
