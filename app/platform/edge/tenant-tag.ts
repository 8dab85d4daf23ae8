import type { IdPlaces } from '@auditrax/base';
import { type IdKeys, parseId } from '@auditrax/tenancy/ids';

export type TagVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'malformed' }
  | { readonly ok: false; readonly reason: 'forged' | 'foreign'; readonly foreignPart?: number };

/**
 * Does every id that `valueOf` finds at `places` carry the tag of the session's tenant? The first of the walls between
 * tenants: keyed tags, no database. It shares no code with the services' own parser but the tag's arithmetic, so that
 * either can fail alone.
 */
export function checkTenantTag(
  places: IdPlaces,
  valueOf: (place: string) => unknown,
  whose: { readonly tenantPart: number; readonly keys: IdKeys },
): TagVerdict {
  for (const place in places) {
    const text = valueOf(place);
    if (text === undefined) continue;
    if (typeof text !== 'string') return { ok: false, reason: 'malformed' };
    const id = parseId(places[place]!, text, whose, whose.keys);
    if (!id.ok)
      return id.reason === 'foreign'
        ? { ok: false, reason: 'foreign', foreignPart: id.tenantPart }
        : { ok: false, reason: id.reason };
  }
  return { ok: true };
}
