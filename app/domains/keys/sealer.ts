import { setImmediate } from 'node:timers/promises';
import { isAppError } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import { fieldKeyVersion, openField, openMany, sealField } from '@auditrax/seal';
import type { FieldBinding, FieldToOpen } from '@auditrax/seal';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import { keyPurpose } from './contract.ts';
import type { KeyPurpose } from './contract.ts';
import { DekCache } from './dek-cache.ts';
import type { DekHandle } from './dek-cache.ts';
import { keysError } from './errors.ts';
import { openNames } from './names.ts';
import { resealMany } from './reseal-values.ts';
import type { Resealed } from './reseal-values.ts';
import type { SealedRow } from './rotation-queries.ts';
import { activeKey, createFirstKey, maySeal, rotateWhenDue, versionKey } from './service.ts';
import type { KeyDeps } from './service.ts';

/** `schema.table.column`, as registered in a room's `sealed-fields.ts`. */
export type SealedField = `${string}.${string}.${string}`;

/** Numbers below 100 belong to the platform; 1 is the key of a stored object. */
export const OBJECT_KEY_FIELD = 1;
/** Revision of how values are laid out inside a field: plain UTF-8 or plain bytes. */
const SCHEMA_REVISION = 1;

interface Place {
  readonly context: TenantContext;
  readonly field: SealedField;
  readonly rowId: Uuid;
  /** Give it when a transaction is open: a key that is not cached is then read on the same connection. */
  readonly tx?: ScopedTransaction;
}

/** One value of a row set. */
export interface SealedText {
  readonly field: SealedField;
  readonly rowId: Uuid;
  readonly sealed: Uint8Array;
}

/** Values opened in one turn of the event loop: about a millisecond of work. Other requests go between two turns. */
const TURN_VALUES_MAX = 1_024;

/**
 * Seals and opens values of tenants' rows, one per process. Data keys come from the keys process, are checked against
 * their commitment, kept for 300 seconds at most and wiped. Throws `keys_unavailable`, `unwrap_refused`, `dek_missing`,
 * `dek_not_usable`, `field_unregistered`, `commitment_mismatch`, and what `sealField` and `openField` throw.
 */
export interface Sealer {
  seal(input: Place & { readonly value: string | Uint8Array }): Promise<Buffer>;
  /** Throws `authentication_failed` as well when the bytes are not UTF-8. */
  openText(input: Place & { readonly sealed: Uint8Array }): Promise<string>;
  openBytes(input: Place & { readonly sealed: Uint8Array }): Promise<Buffer>;
  /**
   * The values of a row set, in its order, for a fraction of the work of `openText` for each: one key look-up for each key
   * version, and one call of the engine for 128 values. All or none; throws like `openText`.
   */
  openTexts(input: {
    readonly context: TenantContext;
    readonly values: readonly SealedText[];
    readonly tx?: ScopedTransaction;
  }): Promise<string[]>;
  /**
   * Makes the tenant's keys inside the transaction that makes the tenant. Until it commits they serve only callers that
   * pass the same `context` object: a transaction that is rolled back leaves no key behind that could seal anything.
   */
  provision(context: TenantContext, tx: ScopedTransaction): Promise<void>;
  /**
   * `openTexts` for names that only accompany something else. While the organisation's own key is withdrawn or its store
   * away, words that say so stand in place of each.
   */
  openNames: Sealer['openTexts'];
  /** Wraps the random key of a stored object under the tenant's `objects` key. */
  sealObjectKey(input: {
    context: TenantContext;
    objectId: Uuid;
    key: Uint8Array;
    tx?: ScopedTransaction;
  }): Promise<Buffer>;
  /** The caller wipes the key. */
  openObjectKey(input: { context: TenantContext; objectId: Uuid; sealed: Uint8Array }): Promise<Buffer>;
  /** Replaces keys some days before they may seal nothing more, whether or not somebody writes; for a job. */
  rotateIfDue(context: TenantContext): Promise<void>;
  /**
   * Values of one column under older keys, encrypted anew under the key that seals now. Each new value has been opened
   * again and compared before it is given out; one that does not open is counted and left alone. The old bytes stay good.
   */
  resealMany(input: {
    readonly context: TenantContext;
    readonly column: Pick<SealedColumn, 'field' | 'purpose'>;
    readonly rows: readonly SealedRow[];
  }): Promise<Resealed>;
  /**
   * Tenants of whom keys are held. Whoever has moved to a key source of its own meanwhile is among them: what the former
   * one had unwrapped is to feel the withdrawal of the new one as well.
   */
  tenantsHeld(): readonly Uuid[];
  /** Another key may seal by now: it is asked for at the next write. */
  forgetActive(tenantId?: Uuid): void;
  /** Forgets the tenant's keys at once (withdrawn key, deleted tenant); all tenants' when none is named. */
  purge(tenantId?: Uuid): void;
}

/** The owner of a key has withdrawn it, or it exists no more: as against a key store that is only out of reach. */
const WITHDRAWN: readonly string[] = ['kek_denied', 'kek_disabled', 'kek_gone'];

export interface SealerDeps extends KeyDeps {
  /** Name to number, merged from all rooms (`mergeSealedFields`). */
  readonly fields: Readonly<Record<string, number>>;
  readonly cacheEntriesMax?: number;
  /** Told when a data key of the tenant stands under a key-encryption key of another one. Must not throw. */
  readonly onForeignKey?: (context: TenantContext) => void;
}

export interface KeyUse {
  readonly context: TenantContext;
  readonly purpose: KeyPurpose;
  readonly tx?: ScopedTransaction | undefined;
}

export function createSealer(deps: SealerDeps): Sealer {
  const keys = keyFinder(deps);
  const bind = (input: Pick<Place, 'context' | 'field' | 'rowId'>): FieldBinding => {
    const fieldId = Object.hasOwn(deps.fields, input.field) ? deps.fields[input.field] : undefined;
    if (fieldId === undefined) throw keysError('field_unregistered', `${input.field} is in no sealed-fields.ts`);
    return { tenantId: input.context.tenantId, fieldId, rowId: input.rowId, schemaRevision: SCHEMA_REVISION };
  };
  const bindObject = (input: { context: TenantContext; objectId: Uuid }): FieldBinding => ({
    tenantId: input.context.tenantId,
    fieldId: OBJECT_KEY_FIELD,
    rowId: input.objectId,
    schemaRevision: SCHEMA_REVISION,
  });
  const openBytes: Sealer['openBytes'] = async (input) => {
    const binding = bind(input);
    const use = { context: input.context, purpose: 'fields', tx: input.tx } as const;
    const key = await keys.forOpening(use, fieldKeyVersion(input.sealed));
    return openField({ key, binding }, input.sealed);
  };
  return {
    async seal(input) {
      const binding = bind(input);
      const value = typeof input.value === 'string' ? Buffer.from(input.value, 'utf8') : input.value;
      const key = await keys.forSealing({ context: input.context, purpose: 'fields', tx: input.tx });
      return sealField({ key, binding, random: deps.random }, value);
    },
    openBytes,
    openTexts: (input) => openTexts({ keys, bind }, input),
    openNames: (input) => openNames({ openTexts: (given) => openTexts({ keys, bind }, given) }, input),
    async openText(input) {
      return textOf(await openBytes(input));
    },
    provision: keys.provision,
    async sealObjectKey(input) {
      const key = await keys.forSealing({ context: input.context, purpose: 'objects', tx: input.tx });
      return sealField({ key, binding: bindObject(input), random: deps.random }, input.key);
    },
    async openObjectKey(input) {
      const key = await keys.forOpening({ context: input.context, purpose: 'objects' }, fieldKeyVersion(input.sealed));
      return openField({ key, binding: bindObject(input) }, input.sealed);
    },
    async rotateIfDue(context) {
      for (const purpose of keyPurpose.options)
        if (await rotateWhenDue(deps, { context, purpose })) keys.forgetActive(context.tenantId);
    },
    resealMany: (input) => resealMany({ keys, random: deps.random, schemaRevision: SCHEMA_REVISION }, input),
    tenantsHeld: keys.tenantsHeld,
    forgetActive: keys.forgetActive,
    purge: keys.purge,
  };
}

async function openTexts(
  { keys, bind }: { keys: KeyFinder; bind: (at: Pick<Place, 'context' | 'field' | 'rowId'>) => FieldBinding },
  { context, values, tx }: Parameters<Sealer['openTexts']>[0],
): Promise<string[]> {
  const use = { context, purpose: 'fields', tx } as const;
  const texts: string[] = Array.from({ length: values.length });
  for (let first = 0; first < values.length; first += TURN_VALUES_MAX) {
    if (first > 0) await setImmediate();
    const versions = new Map<number, number[]>();
    for (let index = first; index < Math.min(first + TURN_VALUES_MAX, values.length); index += 1) {
      const version = fieldKeyVersion(values[index]!.sealed);
      const same = versions.get(version);
      if (same === undefined) versions.set(version, [index]);
      else same.push(index);
    }
    for (const [version, indexes] of versions) {
      const fields = indexes.map((index): FieldToOpen => {
        const { field, rowId, sealed } = values[index]!;
        return { binding: bind({ context, field, rowId }), sealed };
      });
      const opened = openMany({ key: await keys.forOpening(use, version) }, fields);
      for (const [place, index] of indexes.entries()) texts[index] = textOf(opened[place]!);
    }
  }
  return texts;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws for bytes that are no UTF-8: such a value was sealed as bytes. */
function textOf(bytes: Uint8Array): string {
  return UTF8.decode(bytes);
}

/** Which data key opens or seals, from the cache or the keys process. */
export interface KeyFinder {
  forSealing(use: KeyUse): Promise<DekHandle>;
  forOpening(use: KeyUse, version: number): Promise<DekHandle>;
  provision(context: TenantContext, tx: ScopedTransaction): Promise<void>;
  purge(tenantId?: Uuid): void;
  /** Which key seals is asked again; what is cached still opens. */
  forgetActive(tenantId?: Uuid): void;
  tenantsHeld(): readonly Uuid[];
}

function keyFinder(deps: SealerDeps): KeyFinder {
  const cache = new DekCache(deps.clock, deps.cacheEntriesMax);
  // Which version seals now; the handle itself is cached under its version, so both expire together.
  const activeVersion = new Map<string, number>();
  const provisional = new WeakMap<TenantContext, Map<KeyPurpose, DekHandle>>();

  const forgetActive = (tenantId?: Uuid): void => {
    for (const name of activeVersion.keys()) {
      if (tenantId === undefined || name.startsWith(`${tenantId}/`)) activeVersion.delete(name);
    }
  };
  const remember = (use: KeyUse, handle: DekHandle): DekHandle => {
    cache.put(nameOf(use, handle.version), handle);
    return handle;
  };
  const purge = (tenantId?: Uuid): void => {
    cache.purge(tenantId === undefined ? '' : `${tenantId}/`);
    forgetActive(tenantId);
  };
  // A load inside a caller's transaction is not shared: its failure would be that caller's, not everybody's.
  const load = async (use: KeyUse, name: string, work: () => Promise<DekHandle>): Promise<DekHandle> => {
    try {
      return await (use.tx === undefined ? cache.once(name, work) : work());
    } catch (error) {
      // Whoever withdraws a key means all that it protects, not only what is not cached yet.
      if (isAppError(error, ...WITHDRAWN)) purge(use.context.tenantId);
      if (isAppError(error, 'unwrap_refused') && isAppError(error.cause, 'kek_foreign'))
        deps.onForeignKey?.(use.context);
      throw error;
    }
  };

  return {
    async forSealing(use) {
      const unborn = provisional.get(use.context)?.get(use.purpose);
      if (unborn !== undefined) return unborn;
      const name = nameOf(use, 'active');
      const version = activeVersion.get(name);
      const cached = version === undefined ? undefined : cache.get(nameOf(use, version));
      if (cached !== undefined && maySeal(deps.clock, cached.createdAtMs)) return cached;
      activeVersion.delete(name);
      return load(use, name, async () => {
        const handle = remember(use, await activeKey(deps, use));
        activeVersion.set(name, handle.version);
        return handle;
      });
    },
    async forOpening(use, version) {
      const unborn = provisional.get(use.context)?.get(use.purpose);
      if (unborn?.version === version) return unborn;
      const name = nameOf(use, version);
      return cache.get(name) ?? load(use, name, async () => remember(use, await versionKey(deps, { ...use, version })));
    },
    async provision(context, tx) {
      const made = new Map<KeyPurpose, DekHandle>();
      for (const purpose of keyPurpose.options) made.set(purpose, await createFirstKey(deps, tx, purpose));
      provisional.set(context, made);
      provisional.set(tx.context, made);
    },
    purge,
    forgetActive,
    tenantsHeld: () => [...cache.owners()] as Uuid[],
  };
}

function nameOf(use: KeyUse, version: number | 'active'): string {
  return `${use.context.tenantId}/${use.purpose}/${version}`;
}
