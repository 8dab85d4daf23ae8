import type { Uuid } from '@auditrax/base';

/** Tenants at the same time; within one, each stream goes its own way. */
const TENANTS_AT_ONCE_MAX = 32;
/** What another process holds is looked at again. */
const LATER_MS = 1_000;

export interface Turns {
  /** The tenant has a turn, or another one after that which is under way. Returns at once. */
  wake(tenantId: Uuid): void;
  /** Resolves when no turn is under way. */
  idle(): Promise<void>;
  /** Resolves when the tenant has no turn under way and waits for none. */
  settled(tenantId: Uuid): Promise<void>;
  close(): Promise<void>;
}

/** Turns of tenants: one of a tenant at a time, a bounded number side by side, and none that was asked for is forgotten. */
export function createTurns(options: {
  readonly work: (tenantId: Uuid) => Promise<'again' | 'later' | undefined>;
  readonly onFailure: (error: unknown) => void;
}): Turns {
  const waiting = new Set<Uuid>();
  const underWay = new Map<Uuid, Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();
  let isClosed = false;

  const wake = (tenantId: Uuid): void => {
    if (isClosed) return;
    waiting.add(tenantId);
    pump();
  };
  const later = (tenantId: Uuid): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      wake(tenantId);
    }, LATER_MS);
    timers.add(timer);
  };
  const turn = async (tenantId: Uuid): Promise<void> => {
    try {
      const outcome = await options.work(tenantId);
      if (isClosed) return;
      if (outcome === 'again') waiting.add(tenantId);
      if (outcome === 'later') later(tenantId);
    } catch (error) {
      options.onFailure(error);
    } finally {
      underWay.delete(tenantId);
      pump();
    }
  };
  const pump = (): void => {
    for (const tenantId of waiting) {
      if (underWay.size >= TENANTS_AT_ONCE_MAX) return;
      if (underWay.has(tenantId)) continue;
      waiting.delete(tenantId);
      underWay.set(tenantId, turn(tenantId));
    }
  };
  const idle = async (): Promise<void> => {
    while (underWay.size > 0) await Promise.all(underWay.values());
  };
  const settled = async (tenantId: Uuid): Promise<void> => {
    while (waiting.has(tenantId) || underWay.has(tenantId))
      await (underWay.get(tenantId) ?? Promise.race(underWay.values()));
  };
  return {
    wake,
    idle,
    settled,
    async close() {
      isClosed = true;
      waiting.clear();
      for (const timer of timers) clearTimeout(timer);
      await idle();
    },
  };
}
