import { TenancyError } from './errors.ts';
import { openPool, type Connection, type ConnectionPool, type Lease } from './pool.ts';

/** Places that have connections at the same time. With `PLACED_POOL_SIZE` it bounds what one process holds open. */
const POOLS_MAX = 64;
/** Connections for one tenant with a role of its own; the role itself may not have many more. */
const PLACED_POOL_SIZE = 4;
/** How long a place waits for another one's connections to be idle. */
const POOL_WAIT_MS_MAX = 5_000;

/** Looks up how to log in to a cell as a role. Throws when the cell is not known (yet). */
export type ConnectionSource = (cell: string, role: string) => Connection | Promise<Connection>;

export interface PoolLimits {
  readonly poolsMax?: number;
  readonly poolSize?: number;
}

interface Entry {
  readonly opened: Promise<ConnectionPool>;
  /** Connections held or waited for. */
  users: number;
  isEnded: boolean;
}

export interface PoolBook {
  /** The pool of one cell and role: it is opened with its first connection, and closed when others need the room. */
  pool(cell: string, role: string): ConnectionPool;
  /** Waits for connections in use. */
  close(): Promise<void>;
}

/**
 * One pool for each cell and role, never one that changes sides. At most `poolsMax` are open; the one that was not used
 * for the longest time is closed for another. Throws `database_unavailable` when every one is in use for too long.
 */
export function openPoolBook(connectionOf: ConnectionSource, limits: PoolLimits = {}): PoolBook {
  const book = new Book(connectionOf, limits);
  return {
    pool: (cell, role) => poolOf(book, { key: JSON.stringify([cell, role]), cell, role }),
    close: () => book.close(),
  };
}

interface Named {
  readonly key: string;
  readonly cell: string;
  readonly role: string;
}

function poolOf(book: Book, named: Named): ConnectionPool {
  const lease = (): Promise<Lease> => book.lease(named);
  const run: ConnectionPool['run'] = async (steps) => {
    const held = await lease();
    try {
      return await held.run(steps);
    } finally {
      held.release();
    }
  };
  return { run, lease, close: () => Promise.resolve() };
}

class Book {
  readonly #connectionOf: ConnectionSource;
  readonly #poolsMax: number;
  readonly #poolSize: number;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new Set<Promise<void>>();
  readonly #waiting = new Set<() => void>();
  #closed = false;

  constructor(connectionOf: ConnectionSource, limits: PoolLimits) {
    this.#connectionOf = connectionOf;
    this.#poolsMax = limits.poolsMax ?? POOLS_MAX;
    this.#poolSize = limits.poolSize ?? PLACED_POOL_SIZE;
  }

  async lease(named: Named): Promise<Lease> {
    const entry = await this.#entry(named);
    let held: Lease;
    try {
      held = await (await entry.opened).lease();
    } catch (error) {
      // Nobody has a connection: the cell may have another address by the next try.
      if (entry.users === 1 && this.#entries.get(named.key) === entry) this.#entries.delete(named.key);
      this.#done(named.key, entry);
      throw error;
    }
    let released = false;
    return {
      run: held.run,
      release: (broken) => {
        held.release(broken);
        if (!released) this.#done(named.key, entry);
        released = true;
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const wake of this.#waiting) wake();
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      this.#end(entry);
    }
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  async #entry(named: Named): Promise<Entry> {
    const until = performance.now() + POOL_WAIT_MS_MAX;
    for (;;) {
      if (this.#closed) throw new TenancyError('database_unavailable', 'the doors are closed');
      const entry = this.#entries.get(named.key) ?? this.#open(named);
      if (entry !== undefined) {
        entry.users += 1;
        this.#entries.delete(named.key);
        this.#entries.set(named.key, entry); // the most recent one stands last
        return entry;
      }
      const left_ms = until - performance.now();
      if (left_ms <= 0) throw new TenancyError('database_unavailable', 'too many places are in use at once');
      await this.#idle(left_ms);
    }
  }

  /** Undefined while every pool is in use. */
  #open({ key, cell, role }: Named): Entry | undefined {
    if (this.#entries.size >= this.#poolsMax) {
      const idle = [...this.#entries].find(([, entry]) => entry.users === 0);
      if (idle === undefined) return undefined;
      this.#entries.delete(idle[0]);
      this.#end(idle[1]);
    }
    const opened = Promise.resolve()
      .then(() => this.#connectionOf(cell, role))
      .then((connection) => openPool(connection, this.#poolSize));
    opened.catch(() => undefined); // whoever asked for it is told
    const entry: Entry = { opened, users: 0, isEnded: false };
    this.#entries.set(key, entry);
    return entry;
  }

  #idle(timeout_ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeout_ms);
    this.#waiting.add(resolve);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    });
  }

  #done(key: string, entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    if (this.#entries.get(key) !== entry) this.#end(entry);
    this.#waiting.values().next().value?.();
  }

  #end(entry: Entry): void {
    if (entry.isEnded) return;
    entry.isEnded = true;
    const ended: Promise<void> = entry.opened
      .then((pool) => pool.close())
      .catch(() => undefined)
      .finally(() => this.#closing.delete(ended));
    this.#closing.add(ended);
  }
}
