import { isAppError } from '@auditrax/base';
import type { Clock, Uuid } from '@auditrax/base';
import type { DekContext } from '@auditrax/seal';
import { KEY_USES_SHOWN_MAX } from './source-contract.ts';
import type { KeyUse, KeyUses } from './source-contract.ts';
import type { Vault, VaultCaller } from './vault.ts';

/** Tenants whose uses are remembered: 50 small records each, some tens of megabytes at most. */
const TENANTS_MAX = 4_096;

interface Remembered {
  total: number;
  refused: number;
  lastUnwrapAtMs: number | undefined;
  /** Newest last. */
  readonly last: KeyUse[];
}

/** Who used a tenant's key-encryption key and when, since this process started. Bounded; the log keeps what must last. */
export interface KeyUseBook {
  record(tenantId: Uuid, use: Omit<KeyUse, 'at'>): void;
  /** Newest first. */
  of(tenantId: Uuid): KeyUses;
  summary(tenantId: Uuid): { readonly uses: number; readonly refused: number; readonly lastUnwrapAt: string | null };
  /** Of all tenants but these. */
  summaryOfOthers(but: ReadonlySet<Uuid>): { uses: number; refused: number; lastUnwrapAt: string | null };
}

export function keyUseBook(clock: Clock): KeyUseBook {
  const since = new Date(clock.nowMs()).toISOString();
  const byTenant = new Map<Uuid, Remembered>();
  const remembered = (tenantId: Uuid): Remembered => {
    const known = byTenant.get(tenantId) ?? { total: 0, refused: 0, lastUnwrapAtMs: undefined, last: [] };
    byTenant.delete(tenantId);
    byTenant.set(tenantId, known); // least recently used is first
    for (const oldest of byTenant.keys()) {
      if (byTenant.size <= TENANTS_MAX) break;
      byTenant.delete(oldest);
    }
    return known;
  };
  const shown = (all: readonly Remembered[]) => {
    const lastMs = Math.max(0, ...all.map(({ lastUnwrapAtMs }) => lastUnwrapAtMs ?? 0));
    return {
      uses: all.reduce((sum, one) => sum + one.total, 0),
      refused: all.reduce((sum, one) => sum + one.refused, 0),
      lastUnwrapAt: lastMs === 0 ? null : new Date(lastMs).toISOString(),
    };
  };
  return {
    record(tenantId, use) {
      const book = remembered(tenantId);
      book.total += 1;
      if (use.outcome !== 'ok') book.refused += 1;
      else if (use.operation !== 'generate') book.lastUnwrapAtMs = clock.nowMs();
      book.last.push({ ...use, at: new Date(clock.nowMs()).toISOString() });
      if (book.last.length > KEY_USES_SHOWN_MAX) book.last.shift();
    },
    of(tenantId) {
      const { total, refused, last } = byTenant.get(tenantId) ?? { total: 0, refused: 0, last: [] };
      return { since, total, refused, last: last.toReversed() };
    },
    summary: (tenantId) => shown([byTenant.get(tenantId)].filter((one) => one !== undefined)),
    summaryOfOthers: (but) => shown([...byTenant].filter(([id]) => !but.has(id)).map(([, one]) => one)),
  };
}

/** The vault with every use of a key written down, also what was refused. */
export function recordedVault(vault: Vault, uses: KeyUseBook): Vault {
  const noted = async <T>(
    use: { operation: KeyUse['operation']; context: DekContext; caller: VaultCaller; kekRef?: string },
    work: () => Promise<T>,
    refOf: (done: T) => string | undefined,
  ): Promise<T> => {
    const { operation, context, caller } = use;
    const { tenantId, purpose, version } = context;
    const note = (kekRef: string | undefined, outcome: string) =>
      uses.record(tenantId, {
        operation,
        purpose,
        version,
        kekRef: kekRef ?? use.kekRef ?? '',
        outcome,
        peer: caller.peer,
        requestId: caller.requestId,
      });
    try {
      const done = await work();
      note(refOf(done), 'ok');
      return done;
    } catch (error) {
      note(undefined, isAppError(error) ? error.code : 'unknown');
      throw error;
    }
  };
  return {
    generate: (context, caller) =>
      noted(
        { operation: 'generate', context, caller },
        () => vault.generate(context, caller),
        ({ kekRef }) => kekRef,
      ),
    unwrap: (wrapped, context, caller) =>
      noted(
        { operation: 'unwrap', context, caller, kekRef: wrapped.kekRef },
        () => vault.unwrap(wrapped, context, caller),
        () => undefined,
      ),
    rewrap: (wrapped, context, caller) =>
      noted(
        { operation: 'rewrap', context, caller, kekRef: wrapped.kekRef },
        () => vault.rewrap(wrapped, context, caller),
        ({ kekRef }) => kekRef,
      ),
    describe: () => vault.describe(),
  };
}
