import type { Clock, Uuid } from '@auditrax/base';
import type { FieldKey } from '@auditrax/seal';

/** Also the promise for a withdrawn key: five minutes later nothing opens any more. There is no grace after it. */
export const DEK_TTL_MS = 300_000;
/** Two keys for two thousand busy tenants; 64 bytes each. What is evicted is wiped. */
export const DEK_CACHE_ENTRIES_MAX = 4_096;

interface Held<T> {
  readonly value: T;
  readonly expiresAtMs: number;
}

/** A data key in use, with what decides whether it may still seal. */
export interface DekHandle extends FieldKey {
  readonly dekId: Uuid;
  /** Which key-encryption key wraps it. */
  readonly kekRef: string;
  readonly createdAtMs: number;
}

/**
 * Bounded, expiring, least-recently-used first out; concurrent loads of one name happen once. Keys are wiped when they
 * leave, and a wiped key refuses all work, so a reference that outlives its stay cannot be misused.
 */
export class DekCache {
  readonly #clock: Clock;
  readonly #entriesMax: number;
  readonly #held = new Map<string, Held<DekHandle>>();
  readonly #loading = new Map<string, Promise<DekHandle>>();

  constructor(clock: Clock, entriesMax: number = DEK_CACHE_ENTRIES_MAX) {
    this.#clock = clock;
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#held.size;
  }

  get(name: string): DekHandle | undefined {
    const held = this.#held.get(name);
    if (held === undefined) return undefined;
    if (held.expiresAtMs <= this.#clock.nowMs()) {
      this.#drop(name);
      return undefined;
    }
    this.#held.delete(name);
    this.#held.set(name, held); // most recently used is last
    return held.value;
  }

  put(name: string, value: DekHandle): void {
    const before = this.#held.get(name);
    if (before !== undefined && before.value.key !== value.key) this.#drop(name);
    this.#held.set(name, { value, expiresAtMs: this.#clock.nowMs() + DEK_TTL_MS });
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= this.#entriesMax) break;
      this.#drop(oldest);
    }
  }

  /** Runs `load` unless the same name is being loaded already. A failure is shared too, and not remembered. */
  once(name: string, load: () => Promise<DekHandle>): Promise<DekHandle> {
    const running = this.#loading.get(name);
    if (running !== undefined) return running;
    const started = load().finally(() => this.#loading.delete(name));
    this.#loading.set(name, started);
    return started;
  }

  /** First parts of the names (up to a slash) of what is held and not expired. */
  owners(): ReadonlySet<string> {
    const found = new Set<string>();
    for (const [name, held] of this.#held) {
      if (held.expiresAtMs > this.#clock.nowMs()) found.add(name.slice(0, name.indexOf('/')));
    }
    return found;
  }

  /** Drops and wipes all whose name begins with `prefix`. */
  purge(prefix = ''): void {
    for (const name of this.#held.keys()) if (name.startsWith(prefix)) this.#drop(name);
  }

  #drop(name: string): void {
    const held = this.#held.get(name);
    this.#held.delete(name);
    held?.value.key.destroy();
  }
}
