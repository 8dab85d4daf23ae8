import { uuidV4 } from '@auditrax/base';
import type { Clock, Random, Uuid } from '@auditrax/base';
import { sealError } from './errors.ts';
import { KEY_BYTES } from './gcm.ts';
import { createPrivateFile, exists, readPrivateFile, replacePrivateFile } from './private-file.ts';
import { openWithPassphrase, sealUnderPassphrase } from './passphrase.ts';
import { formatRecoveryKey, generateRecoveryKey, parseRecoveryKey } from './recovery.ts';
import {
  checkRing,
  deriveRecovery,
  deriveRootKeys,
  encodeRing,
  entryBinding,
  openRingKey,
  parseRing,
  RING_ENTRIES_MAX,
  rootBinding,
  sealRingKey,
} from './ring-format.ts';
import type { RingDocument, RingEntry, RootKeys } from './ring-format.ts';
import { XaesKey } from './xaes.ts';

/** A key-encryption key of one tenant. */
export interface Kek {
  readonly kekId: Uuid;
  readonly tenantId: Uuid;
  readonly key: XaesKey;
}

interface RingPlace {
  readonly path: string;
  readonly rootKey: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * An open key ring: one key-encryption key per tenant, each sealed by the root key, in one file. Saves are serial and
 * durable; one process owns the file (`ring_changed` when another has written meanwhile).
 */
export class KeyRing {
  readonly #place: Omit<RingPlace, 'rootKey'>;
  readonly #keys: RootKeys;
  readonly #open = new Map<Uuid, Kek>();
  #document: RingDocument;
  #saving: Promise<unknown> = Promise.resolve();

  /** Use `initKeyRing`, `openKeyRing` or `restoreKeyRing`. */
  constructor(place: Omit<RingPlace, 'rootKey'>, keys: RootKeys, document: RingDocument) {
    this.#place = place;
    this.#keys = keys;
    this.#document = document;
  }

  get ringId(): Uuid {
    return this.#document.ringId;
  }

  /** Check value of the root key: the same exactly as long as the same root key is in use. Not secret. */
  get fingerprint(): string {
    return this.#document.rootCheck;
  }

  get generation(): number {
    return this.#document.generation;
  }

  get keyCount(): number {
    return this.#document.entries.length;
  }

  /** When a person last proved to hold the recovery key; undefined until then. Milliseconds since the epoch. */
  get recoveryConfirmedAtMs(): number | undefined {
    return this.#document.recovery.confirmedAtMs ?? undefined;
  }

  /** Whether a passphrase gives the root key. */
  get hasPassphrase(): boolean {
    return this.#document.passphrase !== undefined;
  }

  /** The named key. Throws `kek_unknown`, with its id: the ring is another one, or an older one than the data. */
  kek(kekId: Uuid): Kek {
    const held = this.#open.get(kekId);
    if (held !== undefined) return held;
    const entry = this.#document.entries.find((candidate) => candidate.kekId === kekId);
    if (entry === undefined) {
      throw sealError('kek_unknown', `key ring ${this.ringId} (generation ${this.generation}) has no key ${kekId}`);
    }
    return this.#openEntry(entry);
  }

  /** Some key of the ring, for a self-test; undefined while it has none. */
  anyKek(): Kek | undefined {
    const first = this.#document.entries[0];
    return first === undefined ? undefined : this.kek(first.kekId);
  }

  /** The tenant's key, made and saved on first use. Throws `ring_changed`, `input_too_long` (the ring is full). */
  async kekOfTenant(tenantId: Uuid): Promise<Kek> {
    return this.#serially(async () => {
      const entry = this.#document.entries.find((candidate) => candidate.tenantId === tenantId);
      if (entry !== undefined) return this.#open.get(entry.kekId) ?? this.#openEntry(entry);
      if (this.keyCount >= RING_ENTRIES_MAX)
        throw sealError('input_too_long', `a key ring has at most ${RING_ENTRIES_MAX} keys`);
      const fresh = this.#sealedEntry(tenantId);
      await this.#save({ ...this.#document, entries: [...this.#document.entries, fresh] });
      return this.#openEntry(fresh);
    });
  }

  /**
   * Destroys the tenant's key, durably, also in the generation before, which is kept beside the file; what it wrapped
   * opens no more (`kek_unknown`). Safe to repeat. Returns its id, undefined when there is none. Copies of the file that
   * were made elsewhere still hold it. Throws `ring_changed`.
   */
  async destroyKekOf(tenantId: Uuid): Promise<Uuid | undefined> {
    return this.#serially(async () => {
      const entry = this.#document.entries.find((candidate) => candidate.tenantId === tenantId);
      if (entry !== undefined) {
        await this.#save({ ...this.#document, entries: this.#document.entries.filter((one) => one !== entry) });
        this.#open.get(entry.kekId)?.key.destroy();
        this.#open.delete(entry.kekId);
      }
      // Once more, also after a crash between the two: the first save left the key in the generation before.
      await this.#save(this.#document);
      return entry?.kekId;
    });
  }

  /**
   * Checks a recovery key that a person typed, and records that they hold it. Throws `recovery_key_malformed`,
   * `recovery_key_mismatch`.
   */
  async confirmRecoveryKey(text: string): Promise<void> {
    openRecovery(this.#document, text).fill(0);
    await this.#serially(async () => {
      const confirmedAtMs = this.#place.clock.nowMs();
      await this.#save({ ...this.#document, recovery: { ...this.#document.recovery, confirmedAtMs } });
    });
  }

  /**
   * Makes a new recovery key in place of one that nobody has; the old one opens nothing any more, except backups made
   * before. `rootKey` must be the ring's (`root_key_mismatch`). Returns the text to show once.
   */
  async renewRecoveryKey(rootKey: Uint8Array): Promise<string> {
    const { random } = this.#place;
    this.#checkRoot(rootKey);
    const recoveryKey = generateRecoveryKey(random);
    const { wrap, check } = deriveRecovery(recoveryKey, this.ringId);
    const sealedRoot = sealRingKey({ key: wrap, bound: rootBinding(this.ringId), random }, rootKey);
    wrap.destroy();
    await this.#serially(() => this.#save({ ...this.#document, recovery: { check, sealedRoot, confirmedAtMs: null } }));
    return formatRecoveryKey(recoveryKey);
  }

  /**
   * Puts the root key under a passphrase, in place of the one before; only the root key is wrapped anew, every other key
   * stays as it is. `rootKey` must be the ring's (`root_key_mismatch`). Throws `passphrase_weak`.
   */
  async setPassphrase(rootKey: Uint8Array, passphrase: string): Promise<void> {
    this.#checkRoot(rootKey);
    const { ringId } = this;
    const header = await sealUnderPassphrase({ ringId, passphrase, random: this.#place.random }, rootKey);
    await this.#serially(() => this.#save({ ...this.#document, passphrase: header }));
  }

  /** Wipes every key that is held. */
  close(): void {
    this.#keys.wrap.destroy();
    this.#keys.mac.fill(0);
    for (const kek of this.#open.values()) kek.key.destroy();
    this.#open.clear();
  }

  #checkRoot(rootKey: Uint8Array): void {
    const given = deriveRootKeys(rootKey, this.ringId);
    given.wrap.destroy();
    given.mac.fill(0);
    if (given.check === this.fingerprint) return;
    throw sealError(
      'root_key_mismatch',
      `key ring ${this.ringId} expects check value ${this.fingerprint}, found ${given.check}`,
    );
  }

  #sealedEntry(tenantId: Uuid): RingEntry {
    const { clock, random } = this.#place;
    const kekId = uuidV4(random);
    const bytes = Buffer.from(random.bytes(KEY_BYTES));
    const bound = entryBinding(this.ringId, { kekId, tenantId });
    const sealed = sealRingKey({ key: this.#keys.wrap, bound, random }, bytes);
    bytes.fill(0);
    return { kekId, tenantId, createdAtMs: clock.nowMs(), sealed };
  }

  #openEntry(entry: RingEntry): Kek {
    const bytes = openRingKey({ key: this.#keys.wrap, bound: entryBinding(this.ringId, entry) }, entry.sealed);
    const kek = { kekId: entry.kekId, tenantId: entry.tenantId, key: new XaesKey(bytes) };
    bytes.fill(0);
    this.#open.set(entry.kekId, kek);
    return kek;
  }

  async #save(next: RingDocument): Promise<void> {
    const stored = parseRing(await readPrivateFile(this.#place.path));
    checkRing(stored, this.#keys);
    if (stored.document.generation !== this.generation) {
      throw sealError(
        'ring_changed',
        `key ring ${this.ringId}: expected generation ${this.generation}, found ${stored.document.generation}; another process writes it`,
      );
    }
    const saved = { ...next, generation: this.generation + 1 };
    await replacePrivateFile(this.#place.path, encodeRing(saved, this.#keys));
    this.#document = saved;
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#saving.then(work);
    this.#saving = result.catch(() => undefined);
    return result;
  }
}

/**
 * Makes a ring, once: refuses when a ring or its previous generation stands there (`ring_exists`) and when the caller's
 * store already holds wrapped keys (`ring_init_refused`), because a new ring could open none of them. With `passphrase`
 * the root key is kept in the ring, under it, and nowhere else (`passphrase_weak`). Returns the recovery key as text; show
 * it once, store it nowhere.
 */
export async function initKeyRing(
  input: RingPlace & { readonly wrappedKeysInStore: number; readonly passphrase?: string | undefined },
): Promise<{ ring: KeyRing; recoveryKey: string }> {
  await refuseExisting(input.path);
  if (input.wrappedKeysInStore !== 0) {
    throw sealError(
      'ring_init_refused',
      `there are ${input.wrappedKeysInStore} wrapped data keys but no key ring at ${input.path}: restore the ring from a backup`,
    );
  }
  const recovery = generateRecoveryKey(input.random);
  const ring = await writeNewRing(input, {
    ringId: uuidV4(input.random),
    generation: 1,
    recovery,
    keks: [],
    confirmedAtMs: null,
    passphrase: input.passphrase,
  });
  return { ring, recoveryKey: formatRecoveryKey(recovery) };
}

/**
 * Opens the ring. Throws `ring_missing` (never makes one), `ring_permissions`, `ring_corrupt`, `suite_unknown`,
 * `root_key_mismatch`, `ring_tampered`.
 */
export async function openKeyRing(input: RingPlace): Promise<KeyRing> {
  const stored = parseRing(await readPrivateFile(input.path));
  const keys = deriveRootKeys(input.rootKey, stored.document.ringId);
  checkRing(stored, keys);
  return new KeyRing(placeOf(input), keys, stored.document);
}

/** What may be said of a ring. Nothing of it is secret. */
export interface RingFacts {
  readonly ringId: Uuid;
  readonly fingerprint: string;
  readonly generation: number;
  readonly keyIds: readonly Uuid[];
  /** The root key is in the ring, under a passphrase. */
  readonly hasPassphrase: boolean;
}

/** What a ring says of itself, with no key to check it by. Throws `ring_corrupt`, `suite_unknown`. */
export function readRingClaims(ringBytes: Uint8Array): RingFacts {
  return factsOf(parseRing(ringBytes).document);
}

function factsOf({ ringId, rootCheck, generation, entries, passphrase }: RingDocument): RingFacts {
  return {
    ringId,
    fingerprint: rootCheck,
    generation,
    keyIds: entries.map((entry) => entry.kekId),
    hasPassphrase: passphrase !== undefined,
  };
}

/**
 * What a ring's bytes are, checked with their root key, for whoever looks into an installation. Throws `ring_corrupt`,
 * `suite_unknown`, `root_key_mismatch` (naming ring, expected and found), `ring_tampered`.
 */
export function inspectRing(ringBytes: Uint8Array, rootKey: Uint8Array): RingFacts {
  const stored = parseRing(ringBytes);
  const keys = deriveRootKeys(rootKey, stored.document.ringId);
  try {
    checkRing(stored, keys);
  } finally {
    keys.wrap.destroy();
    keys.mac.fill(0);
  }
  return factsOf(stored.document);
}

/**
 * The root key of a ring, by its passphrase. Throws `root_key_mismatch` (naming ring, expected and found check value, or a
 * ring that is under no passphrase), `passphrase_weak`, `ring_tampered`, `ring_corrupt`, `suite_unknown`.
 */
export async function rootKeyByPassphrase(ringBytes: Uint8Array, passphrase: string): Promise<Buffer> {
  const stored = parseRing(ringBytes);
  const { ringId, passphrase: header } = stored.document;
  if (header === undefined)
    throw sealError(
      'root_key_mismatch',
      `key ring ${ringId} is not under a passphrase: its root key is kept elsewhere`,
    );
  const rootKey = await openWithPassphrase(header, ringId, passphrase);
  const keys = deriveRootKeys(rootKey, ringId);
  try {
    checkRing(stored, keys);
  } finally {
    keys.wrap.destroy();
    keys.mac.fill(0);
  }
  return rootKey;
}

/**
 * The root key of a ring or of its backup, by the recovery key alone; the ring's MAC is checked with it. Throws
 * `recovery_key_malformed`, `recovery_key_mismatch`, `root_key_mismatch`, `ring_tampered`, `ring_corrupt`.
 */
export function recoverRootKey(ringBytes: Uint8Array, recoveryText: string): Buffer {
  const stored = parseRing(ringBytes);
  const rootKey = openRecovery(stored.document, recoveryText);
  checkRing(stored, deriveRootKeys(rootKey, stored.document.ringId));
  return rootKey;
}

/**
 * Writes a backup of a ring to a new place under a new root key; the recovery key stays valid. Refuses to replace a ring
 * (`ring_exists`). Throws like `recoverRootKey`.
 */
export async function restoreKeyRing(
  input: RingPlace & {
    readonly backup: Uint8Array;
    readonly recoveryKey: string;
    readonly passphrase?: string | undefined;
  },
): Promise<KeyRing> {
  await refuseExisting(input.path);
  const oldRoot = recoverRootKey(input.backup, input.recoveryKey);
  const { document } = parseRing(input.backup);
  const oldKeys = deriveRootKeys(oldRoot, document.ringId);
  const keks = document.entries.map((entry) => ({
    entry,
    bytes: openRingKey({ key: oldKeys.wrap, bound: entryBinding(document.ringId, entry) }, entry.sealed),
  }));
  const ring = await writeNewRing(input, {
    ringId: document.ringId,
    generation: document.generation + 1,
    recovery: parseRecoveryKey(input.recoveryKey),
    keks,
    confirmedAtMs: input.clock.nowMs(),
    passphrase: input.passphrase,
  });
  for (const { bytes } of keks) bytes.fill(0);
  oldRoot.fill(0);
  oldKeys.wrap.destroy();
  return ring;
}

interface NewRing {
  readonly ringId: Uuid;
  readonly generation: number;
  readonly recovery: Buffer;
  readonly keks: readonly { readonly entry: RingEntry; readonly bytes: Buffer }[];
  readonly confirmedAtMs: number | null;
  readonly passphrase: string | undefined;
}

async function writeNewRing(input: RingPlace, content: NewRing): Promise<KeyRing> {
  const { ringId, generation } = content;
  const keys = deriveRootKeys(input.rootKey, ringId);
  const recovery = deriveRecovery(content.recovery, ringId);
  const sealedRoot = sealRingKey(
    { key: recovery.wrap, bound: rootBinding(ringId), random: input.random },
    input.rootKey,
  );
  recovery.wrap.destroy();
  const entries = content.keks.map(({ entry, bytes }) => ({
    ...entry,
    sealed: sealRingKey({ key: keys.wrap, bound: entryBinding(ringId, entry), random: input.random }, bytes),
  }));
  const { passphrase } = content;
  const header =
    passphrase === undefined
      ? undefined
      : await sealUnderPassphrase({ ringId, passphrase, random: input.random }, input.rootKey);
  const document: RingDocument = {
    ringId,
    generation,
    createdAtMs: input.clock.nowMs(),
    rootCheck: keys.check,
    recovery: { check: recovery.check, sealedRoot, confirmedAtMs: content.confirmedAtMs },
    ...(header === undefined ? {} : { passphrase: header }),
    entries,
  };
  await createPrivateFile(input.path, encodeRing(document, keys));
  return new KeyRing(placeOf(input), keys, document);
}

function openRecovery(document: RingDocument, text: string): Buffer {
  const recoveryKey = parseRecoveryKey(text);
  const { wrap, check } = deriveRecovery(recoveryKey, document.ringId);
  try {
    if (check !== document.recovery.check) {
      throw sealError(
        'recovery_key_mismatch',
        `key ring ${document.ringId} expects the recovery key with check value ${document.recovery.check}; the one given has ${check}`,
      );
    }
    return openRingKey({ key: wrap, bound: rootBinding(document.ringId) }, document.recovery.sealedRoot);
  } finally {
    wrap.destroy();
    recoveryKey.fill(0);
  }
}

async function refuseExisting(path: string): Promise<void> {
  for (const candidate of [path, `${path}.previous`]) {
    if (await exists(candidate))
      throw sealError('ring_exists', `${candidate} exists already; a key ring is made only once`);
  }
}

function placeOf(input: RingPlace): Omit<RingPlace, 'rootKey'> {
  return { path: input.path, clock: input.clock, random: input.random };
}
