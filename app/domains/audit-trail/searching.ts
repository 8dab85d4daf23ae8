import { AppError, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { LeafBody } from '../../platform/audit/index.ts';
import { placeFromUuid, placeToUuid } from '../../platform/http/list-place.ts';
import { refuse } from './errors.ts';
import type { AuditTrailDeps } from './ports.ts';
import * as queries from './queries.ts';

const DAY_MS = 86_400_000;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
/** A tenant has one trail. */
const CURSOR_LIST = 'audit-trail';
/** Above and below every place in a log. */
const NEWEST: queries.Place = { generation: 999_999_999, index: Number.MAX_SAFE_INTEGER };
const OLDEST: queries.Place = { generation: 0, index: 0 };

/** What the bytes of an entry say. */
export function readLeaf(leaf: Buffer): LeafBody {
  return JSON.parse(leaf.toString('utf8')) as LeafBody;
}

/** A filter as it comes in: days or instants, the person apart because ids are parsed at the gate. */
export interface AskedFilter extends Omit<queries.Filter, 'person' | 'fromMs' | 'toMs' | 'object' | 'session'> {
  readonly object?: string | undefined;
  readonly session?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** Days become instants: the last day is included. Throws `export_period_invalid` when it ends before it begins. */
export function filterFrom(asked: AskedFilter, person: Uuid | undefined): queries.Filter {
  const { from, to, object, session, type, kind, outcome, ai, text } = asked;
  const fromMs = from === undefined ? undefined : Date.parse(from);
  const toMs = to === undefined ? undefined : Date.parse(to) + (DAY.test(to) ? DAY_MS : 0);
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs)
    throw refuse('export_period_invalid', 'the period ends before it begins');
  const ids = { object: object as Uuid | undefined, session: session as Uuid | undefined };
  return { type, kind, outcome, ai, text, person, ...ids, fromMs, toMs };
}

/** The cursor of a search that was looked through to this place. */
export function cursorAt(row: queries.PlaceRow): Uuid {
  return placeToUuid(CURSOR_LIST, { major: row.generation, minor: Number(row.idx) });
}

function placeOf(row: queries.PlaceRow): queries.Place {
  return { generation: row.generation, index: Number(row.idx) };
}

/** Where a search begins and ends. Throws `not_found` for a cursor that was made for another list. */
export async function spanOf(
  { door }: Pick<AuditTrailDeps, 'door'>,
  context: TenantContext,
  { cursor, filter }: { readonly cursor: Uuid | undefined; readonly filter: queries.Filter },
): Promise<queries.Span> {
  const { fromMs, toMs } = filter;
  const [low] = fromMs === undefined ? [] : await door.scoped(context, queries.placeBefore(context, fromMs));
  const least = low === undefined ? OLDEST : placeOf(low);
  if (cursor !== undefined) {
    const place = placeFromUuid(CURSOR_LIST, cursor);
    if (place === undefined) throw new AppError('not_found', 'cursor of another list');
    return { before: { generation: place.major, index: place.minor }, least };
  }
  const [high] = toMs === undefined ? [] : await door.scoped(context, queries.placeAfter(context, toMs));
  return { before: high === undefined ? NEWEST : placeOf(high), least };
}

/** How many of the independent witnesses co-sign, and since when; null where none is configured. */
export interface Cosigned {
  readonly by: number;
  readonly of: number;
  readonly since: string | null;
}

export async function cosignedBy({ ledger }: Pick<AuditTrailDeps, 'ledger'>): Promise<Cosigned | null> {
  const { independent, cosigning, since_ms } = await ledger.witnessing();
  if (independent === 0) return null;
  return { by: cosigning, of: independent, since: since_ms === null ? null : new Date(since_ms).toISOString() };
}

export interface KnownLog {
  readonly generation: number;
  readonly origin: string;
  readonly size: number;
  readonly cosigned: Cosigned | null;
}

/** The log as it is signed now; null before its first entry. */
export async function knownLog(
  { ledger }: Pick<AuditTrailDeps, 'ledger'>,
  context: TenantContext,
): Promise<KnownLog | null> {
  try {
    const [{ origin, size }, cosigned] = await Promise.all([
      ledger.checkpoint(context.tenantId),
      cosignedBy({ ledger }),
    ]);
    return { origin, size, generation: Number(origin.slice(origin.lastIndexOf('/') + 1)), cosigned };
  } catch (error) {
    if (error instanceof AppError && error.code === 'audit_entry_unknown') return null;
    throw error;
  }
}
