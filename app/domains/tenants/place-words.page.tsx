import type { PlacesAnswer, TenantsAnswer } from '../../shell/wire.ts';

export type PlaceName = TenantsAnswer['tenants'][number]['place'];
type PlaceKind = PlaceName['kind'];
export type Region = PlacesAnswer['regions'][number];

/** What a person reads instead of the kind. */
export const placeWords: Readonly<Record<PlaceKind, string>> = {
  shared: 'shared tables',
  schema: 'tables of its own',
  database: 'database of its own',
};

/** What each kind means, where somebody chooses. */
const placeHelp: Readonly<Record<PlaceKind, string>> = {
  shared: 'Rows beside those of others, behind the row wall. Standard tier.',
  schema: 'Its work in tables that only its own database role can read. Enterprise tier.',
  database: 'Everything, people and log included, in a database of its own, in the region you choose. Enterprise tier.',
};

export function placeText(place: PlaceName): string {
  return `${placeWords[place.kind]} in ${place.region}`;
}

/** Kinds that a region has, as choices. */
export function placeChoices(regions: readonly Region[], tier: 'standard' | 'enterprise') {
  const kinds: readonly PlaceKind[] = tier === 'standard' ? ['shared'] : ['shared', 'schema', 'database'];
  return kinds
    .filter((kind) => regions.some((region) => region.kinds.includes(kind)))
    .map((kind) => ({
      value: kind,
      label: placeWords[kind].charAt(0).toUpperCase() + placeWords[kind].slice(1),
      help: placeHelp[kind],
    }));
}

/** Regions that can hold this kind, as choices. */
export function regionChoices(regions: readonly Region[], kind: PlaceKind) {
  return regions
    .filter((region) => region.kinds.includes(kind))
    .map(({ name, isHome }) => ({ value: name, label: isHome ? `${name} (home)` : name }));
}
