import type { Uuid } from '@auditrax/base';
import type { Caller } from '../../platform/http/handler.ts';
import type { RevocationCause } from '../identity/index.ts';
import { listDepartures, type DepartureRow } from './departure-queries.ts';
import type { AccessDeps } from './service.ts';

/** Read at once; older ones come with the next page. */
const PAGE_DEPARTURES = 100;

/** What ended of one kind, and how long after its cause. */
export interface DepartureEffect {
  readonly holder: string;
  readonly ended: number;
  readonly at: string;
  /** Milliseconds; never below 0, though the cause may have been timed by another clock. */
  readonly after_ms: number;
}

export interface Departure extends Pick<DepartureRow, 'id' | 'member_id' | 'cause' | 'caused_at' | 'completed_at'> {
  readonly label: string;
  /** Null: a process did it by itself, at the word of a provider, a directory or the clock. */
  readonly byLabel: string | null;
  readonly effects: readonly DepartureEffect[];
}

/**
 * Whose access ended in the caller's tenant, with each effect and its instant, latest first; `older` begins the next page,
 * which may repeat rows of the same instant.
 */
export async function departuresOf(
  deps: Pick<AccessDeps, 'tenant' | 'sealer'>,
  caller: Caller,
  of: { readonly cause?: RevocationCause | undefined; readonly until?: Date | undefined },
): Promise<{ readonly departures: readonly Departure[]; readonly older: Date | null }> {
  const { tenant: context } = caller;
  const statement = listDepartures(context.tenantId, { cause: of.cause, until: of.until, limit: PAGE_DEPARTURES + 1 });
  const found = await deps.tenant.scoped(context, statement);
  const rows = found.slice(0, PAGE_DEPARTURES);
  const labelled = (rowId: Uuid, sealed: Uint8Array) => ({ field: 'identity.member.label' as const, rowId, sealed });
  const values = rows.flatMap((row) => [
    labelled(row.member_id, row.label),
    ...(row.by_member === null || row.by_label === null ? [] : [labelled(row.by_member, row.by_label)]),
  ]);
  const words = (await deps.sealer.openNames({ context, values })).values();
  const departures = rows.map((row) => ({
    ...row,
    label: words.next().value!,
    byLabel: row.by_member === null || row.by_label === null ? null : words.next().value!,
    effects: row.effects.map((effect) => ({
      ...effect,
      after_ms: Math.max(0, Date.parse(effect.at) - row.caused_at.getTime()),
    })),
  }));
  return { departures, older: found[PAGE_DEPARTURES]?.caused_at ?? null };
}
