import type { IdPlaces, Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
// Not through the door: the gateway checks ids too, and must load neither the SQL grammar nor a database driver.
import { type IdKeys, parseId } from '@auditrax/tenancy/ids';

export type IdVerdict =
  | { readonly ok: true; readonly ids: Record<string, Uuid> }
  | { readonly ok: false; readonly reason: 'malformed' }
  | { readonly ok: false; readonly reason: 'forged' | 'foreign'; readonly foreignPart?: number };

/** The parts of a request in which ids may stand, as received. */
export interface IdSources {
  readonly params?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
}

/** Value at `params.x` or `body.a.b`; own members only. */
export function valueAt(sources: IdSources, place: string): unknown {
  return valueAlong(sources, place.split('.'));
}

function valueAlong(sources: IdSources, path: readonly string[]): unknown {
  let value: unknown = sources;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

interface ReadPlace {
  readonly place: string;
  readonly path: readonly string[];
  readonly kind: string;
}

/** Of each contract's table, which never changes. */
const readPlaces = new WeakMap<IdPlaces, readonly ReadPlace[]>();

function placesOf(places: IdPlaces): readonly ReadPlace[] {
  let known = readPlaces.get(places);
  if (known === undefined) {
    known = Object.entries(places).map(([place, kind]) => ({ place, path: place.split('.'), kind }));
    readPlaces.set(places, known);
  }
  return known;
}

/**
 * Parses the tagged ids at `places`, a table that is never changed; a place that is absent is left out (the schema says whether it may be). An id of
 * another tenant, however genuine, and one whose tag does not verify are told apart for the record, never outward.
 */
export function readIds(
  places: IdPlaces,
  sources: IdSources,
  whose: { readonly context: Pick<TenantContext, 'tenantPart'>; readonly keys: IdKeys },
): IdVerdict {
  const ids: Record<string, Uuid> = {};
  for (const { place, path, kind } of placesOf(places)) {
    const text = valueAlong(sources, path);
    if (text === undefined) continue;
    if (typeof text !== 'string') return { ok: false, reason: 'malformed' };
    const parsed = parseId(kind, text, whose.context, whose.keys);
    if (parsed.ok) ids[place] = parsed.uuid;
    else if (parsed.reason === 'foreign') return { ok: false, reason: 'foreign', foreignPart: parsed.tenantPart };
    else return { ok: false, reason: parsed.reason };
  }
  return { ok: true, ids };
}
