import type { Clock, Uuid } from '@auditrax/base';
import { TenancyError } from './errors.ts';
import { isPlaceSchema } from './placing.ts';

/** Where a tenant lives. */
export interface Place {
  /** Name of the database. */
  readonly cell: string;
  /** Where that database stands. */
  readonly region: string;
  /** Schema of the tenant's content tables: the shared one or its own. */
  readonly schema: string;
  /** Who logs in for this tenant's content. */
  readonly role: string;
  /** Grows with every move; 0 when the tenant never had a place of its own. */
  readonly version: number;
}

/** Answers where a tenant lives now. Throws when it cannot find out. */
export type PlaceSource = (tenantId: Uuid) => Promise<Place>;

/** Places kept; an entry is some 200 bytes, and one that is missing costs one look-up. */
const PLACES_MAX = 50_000;
/**
 * A place is asked for again after this long, beside the work and without holding it up. Not what keeps a tenant apart
 * from its old place: every transaction's first statement has the database check the version.
 */
export const PLACE_AGE_MS_MAX = 60_000;

interface Entry {
  readonly place: Place;
  askedAtMs: number;
}

export interface PlaceBook {
  /** At once when it is known. */
  of(tenantId: Uuid): Place | Promise<Place>;
  /** Asks the source because `known` was refused; never answers with an older place than `known`. */
  ask(tenantId: Uuid, known: Place): Promise<Place>;
}

/** Remembers where tenants live. The newest version that was ever heard of wins, whichever answer comes last. */
export function openPlaceBook(placeOf: PlaceSource, clock: Clock): PlaceBook {
  const entries = new Map<Uuid, Entry>();
  const asking = new Map<Uuid, Promise<Place>>();

  const keep = (tenantId: Uuid, place: Place): Place => {
    if (!isPlaceSchema(place.schema)) throw new TenancyError('database_failed', 'the place of a tenant has no name');
    const known = entries.get(tenantId)?.place;
    // The same object as long as nothing has changed: routes are kept by it.
    const newest = known !== undefined && known.version >= place.version ? known : place;
    entries.delete(tenantId);
    if (entries.size >= PLACES_MAX) entries.delete(entries.keys().next().value!);
    entries.set(tenantId, { place: newest, askedAtMs: clock.nowMs() });
    return newest;
  };
  const load = (tenantId: Uuid): Promise<Place> => {
    const answer = placeOf(tenantId)
      .then((place) => keep(tenantId, place))
      .finally(() => {
        if (asking.get(tenantId) === answer) asking.delete(tenantId);
      });
    asking.set(tenantId, answer);
    return answer;
  };

  return {
    of: (tenantId) => {
      const entry = entries.get(tenantId);
      if (entry === undefined) return asking.get(tenantId) ?? load(tenantId);
      const now = clock.nowMs();
      if (now - entry.askedAtMs >= PLACE_AGE_MS_MAX) {
        entry.askedAtMs = now; // one question at a time, and when nobody answers the next one is as far away
        void load(tenantId).catch(() => undefined);
      }
      return entry.place;
    },
    ask: async (tenantId, known) => {
      // A question that is under way may have been answered before the tenant moved.
      const earlier = await asking.get(tenantId)?.catch(() => undefined);
      return earlier !== undefined && earlier.version > known.version ? earlier : load(tenantId);
    },
  };
}
