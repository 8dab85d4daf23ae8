import { AppError, uuidV4 } from '@auditrax/base';
import type { Clock, Json, Random, Uuid } from '@auditrax/base';
import type { KeyRing } from '@auditrax/seal';
import type { TenantKeySource } from '@auditrax/seal/key-source';
import { openSealedDocument } from '@auditrax/seal/sealed-document';
import type { SealedDocument } from '@auditrax/seal/sealed-document';
import { keysError } from './errors.ts';
import { SOURCES_FORMER_MAX } from './source-contract.ts';
import type { OwnKeySource } from './source-contract.ts';

/** The ring's entry that seals the book. The id is nobody's: tenants get random ones. */
const BOOK_OWNER = '00000000-0000-4000-8000-00000000b00c' as Uuid;
const BOOK_NAME = 'source-book';
/** Far above the tenants of one ring that would ever have a source of their own. */
const ENTRIES_MAX = 10_000;

/** Longer than any request that was under way at the switch. */
export const FORMER_KEPT_MS = 120_000;

/** A source that may be kept: its shape as the contract checks it, and as the drivers take it. */
export type KeptSource = OwnKeySource & Exclude<TenantKeySource, { kind: 'local' }>;

/** One source of a tenant, with its secrets. Only the keys process ever holds one. */
export interface SourceEntry {
  readonly sourceId: Uuid;
  readonly tenantId: Uuid;
  readonly source: KeptSource;
  /** As the source names its key: found again by it when something is to be unwrapped. */
  readonly kekRef: string;
  /** `PENDING`: verified, nothing stands under it. `ACTIVE`: wraps what is new. `FORMER`: only unwraps. */
  readonly state: 'PENDING' | 'ACTIVE' | 'FORMER';
  readonly registeredAtMs: number;
  readonly activeSinceMs: number | null;
  /** When another source took over. */
  readonly formerSinceMs: number | null;
}

/**
 * The sources of all tenants, in one sealed file of the keys process. Changes are durable before they count. Throws what
 * `openSealedDocument` throws.
 */
export interface SourceBook {
  entries(): readonly SourceEntry[];
  ofTenant(tenantId: Uuid): readonly SourceEntry[];
  /** Adds a source as PENDING, in place of one that was PENDING. */
  register(entry: Pick<SourceEntry, 'sourceId' | 'tenantId' | 'source' | 'kekRef'>): Promise<SourceEntry>;
  /**
   * PENDING or FORMER to ACTIVE, ACTIVE to FORMER, in one save; without a source the installation's own is active again.
   * With `from`, only in place of that one. Throws `source_unknown`, `source_limit`, `key_setting_changed`.
   */
  activate(tenantId: Uuid, sourceId: Uuid | null, from?: Uuid | null): Promise<void>;
  /**
   * Forgets those that are not ACTIVE, but a FORMER one only after `FORMER_KEPT_MS`: a data key that was made just before
   * the switch may not be stored yet. `now`: the caller knows that there is none. How many.
   */
  drop(tenantId: Uuid, options: { readonly now: boolean }): Promise<number>;
  /** Forgets the tenant with all its sources; how many. */
  forget(tenantId: Uuid): Promise<number>;
}

export async function openSourceBook(deps: {
  readonly path: string;
  readonly ring: KeyRing;
  readonly clock: Clock;
  readonly random: Random;
}): Promise<SourceBook> {
  const document = await openSealedDocument({ ...deps, owner: BOOK_OWNER, name: BOOK_NAME });
  return bookOver(document, deps.clock);
}

/** An id for a new source. */
export function newSourceId(random: Random): Uuid {
  return uuidV4(random);
}

function bookOver(document: SealedDocument, clock: Clock): SourceBook {
  let entries = entriesOf(document);
  let saving: Promise<unknown> = Promise.resolve();
  /** One change after the other; a change counts once it is on disk. */
  const change = (next: (now: readonly SourceEntry[]) => readonly SourceEntry[]): Promise<void> => {
    const before = saving;
    const save = async (): Promise<void> => {
      await before;
      const wanted = next(entries);
      if (wanted === entries) return;
      if (wanted.length > ENTRIES_MAX) throw keysError('source_limit', `the book holds at most ${ENTRIES_MAX} sources`);
      await document.save({ entries: wanted } as unknown as Json);
      entries = wanted;
    };
    const saved = save();
    saving = saved.catch(() => undefined);
    return saved;
  };
  const remove = async (goes: (entry: SourceEntry) => boolean): Promise<number> => {
    let removed = 0;
    await change((now) => {
      const kept = now.filter((one) => !goes(one));
      removed = now.length - kept.length;
      return removed === 0 ? now : kept;
    });
    return removed;
  };
  const ofTenant = (tenantId: Uuid) => entries.filter((entry) => entry.tenantId === tenantId);
  return {
    entries: () => entries,
    ofTenant,
    async register(given) {
      const times = { registeredAtMs: clock.nowMs(), activeSinceMs: null, formerSinceMs: null };
      const entry: SourceEntry = { ...given, state: 'PENDING', ...times };
      await change((now) => [
        ...now.filter((one) => !(one.tenantId === given.tenantId && one.state === 'PENDING')),
        entry,
      ]);
      return entry;
    },
    activate: (tenantId, sourceId, from) =>
      change((now) => activated(now, { tenantId, sourceId, from, nowMs: clock.nowMs() })),
    drop: (tenantId, { now }) =>
      remove((one) => one.tenantId === tenantId && one.state !== 'ACTIVE' && (now || mayGo(one, clock.nowMs()))),
    async forget(tenantId) {
      const forgotten = await remove((one) => one.tenantId === tenantId);
      // Saved once more, so that the generation before holds no secret of a deleted tenant either.
      if (forgotten > 0) await change((now) => [...now]);
      return forgotten;
    },
  };
}

function mayGo(entry: SourceEntry, nowMs: number): boolean {
  if (entry.state === 'FORMER') return entry.formerSinceMs === null || nowMs >= entry.formerSinceMs + FORMER_KEPT_MS;
  return entry.state === 'PENDING';
}

function activated(
  entries: readonly SourceEntry[],
  change: {
    readonly tenantId: Uuid;
    readonly sourceId: Uuid | null;
    readonly from: Uuid | null | undefined;
    readonly nowMs: number;
  },
): readonly SourceEntry[] {
  const { tenantId, sourceId, from, nowMs } = change;
  const own = entries.filter((entry) => entry.tenantId === tenantId);
  const active = own.find(({ state }) => state === 'ACTIVE')?.sourceId ?? null;
  if (from !== undefined && from !== active)
    throw keysError('key_setting_changed', 'another key source is active by now: look at it again and approve that');
  if (sourceId !== null && !own.some((entry) => entry.sourceId === sourceId))
    throw keysError('source_unknown', `tenant ${tenantId} has no source ${sourceId}`);
  const next = entries.map((entry): SourceEntry => {
    if (entry.tenantId !== tenantId) return entry;
    if (entry.sourceId === sourceId) return { ...entry, state: 'ACTIVE', activeSinceMs: nowMs, formerSinceMs: null };
    return entry.state === 'ACTIVE' ? { ...entry, state: 'FORMER', formerSinceMs: nowMs } : entry;
  });
  const former = next.filter((entry) => entry.tenantId === tenantId && entry.state === 'FORMER');
  // Each may still hold the only wrap of some data key, so none is pushed out by another switch.
  if (former.length > SOURCES_FORMER_MAX)
    throw keysError('source_limit', `${former.length} former sources still hold data keys: finish moving them first`);
  return next;
}

function entriesOf(document: SealedDocument): readonly SourceEntry[] {
  if (document.content === undefined) return [];
  const { entries } = document.content as unknown as { entries?: readonly SourceEntry[] };
  if (!Array.isArray(entries)) throw new AppError('ring_corrupt', 'the book of key sources holds no entries');
  return entries;
}
