import { parseFilter, type Filter, type Grammar } from './filter.ts';
import { refusal } from './errors.ts';
import { COUNT_DEFAULT, COUNT_MAX, QUERY_CHARACTERS_MAX, SELECTION_MAX } from './limits.ts';
import { resolvePath, type AttributePath, type ExtensionPath } from './path.ts';

export const LIST_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';

/** Which attributes an answer shows: all, only these, or all but these. */
export interface Selection {
  readonly mode: 'all' | 'only' | 'without';
  readonly paths: readonly (AttributePath | ExtensionPath)[];
}

export interface ListQuery {
  /** From 1. */
  readonly startIndex: number;
  /** 0 asks for the total alone. */
  readonly count: number;
  readonly filter: Filter | undefined;
  readonly selection: Selection;
}

/** Each parameter once, names as they are; others than ours are left alone, like Entra's flag. */
function parametersOf(query: string): ReadonlyMap<string, string> {
  if (query.length > QUERY_CHARACTERS_MAX) throw refusal('scim_query', { detail: `${query.length} characters` });
  const found = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    const key = name.toLowerCase();
    if (found.has(key)) throw refusal('scim_query', { field: name });
    found.set(key, value);
  }
  return found;
}

/** P24: a whole number within bounds; RFC 7644 3.4.2.4 takes what is too small for the smallest. */
function numberOf(
  parameters: ReadonlyMap<string, string>,
  name: string,
  of: { least: number; absent: number },
): number {
  const text = parameters.get(name.toLowerCase());
  if (text === undefined) return of.absent;
  if (!/^-?\d{1,9}$/.test(text)) throw refusal('scim_query', { field: name });
  return Math.max(of.least, Number(text));
}

function selectionOf(parameters: ReadonlyMap<string, string>, { kind }: Grammar): Selection {
  const [only, without] = [parameters.get('attributes'), parameters.get('excludedattributes')];
  if (only !== undefined && without !== undefined) throw refusal('scim_query', { field: 'excludedAttributes' });
  const names = (only ?? without ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (names.length > SELECTION_MAX) throw refusal('scim_query', { field: 'attributes' });
  // Unknown names show nothing and hide nothing.
  const paths = names.map((name) => resolvePath(kind, name)).filter((path) => path !== undefined);
  if (names.length === 0) return { mode: 'all', paths };
  return { mode: only === undefined ? 'without' : 'only', paths };
}

/** P26: `attributes` and `excludedAttributes` of a request for one resource, or of one that changes it. */
export function readSelection(query: string, grammar: Grammar): Selection {
  return selectionOf(parametersOf(query), grammar);
}

/** P24 P25: the query of a list. Throws `scim_query`, `scim_sort`, `scim_filter` and `scim_filter_attribute`. */
export function readListQuery(query: string, grammar: Grammar): ListQuery {
  const parameters = parametersOf(query);
  // An order that was asked for and not given would be a wrong answer to whoever reads page by page.
  if (parameters.has('sortby') || parameters.has('sortorder')) throw refusal('scim_sort');
  const filter = parameters.get('filter');
  return {
    startIndex: numberOf(parameters, 'startIndex', { least: 1, absent: 1 }),
    count: Math.min(COUNT_MAX, numberOf(parameters, 'count', { least: 0, absent: COUNT_DEFAULT })),
    filter: filter === undefined ? undefined : parseFilter(filter, grammar),
    selection: selectionOf(parameters, grammar),
  };
}

/** What a ListResponse carries. */
export interface ListAnswer<Shown> {
  readonly schemas: readonly string[];
  readonly totalResults: number;
  readonly startIndex: number;
  readonly itemsPerPage: number;
  readonly Resources: readonly Shown[];
}

/** One page. `total` is the number of all that the filter selects, whatever is on this page. */
export function listAnswer<Shown>(
  page: readonly Shown[],
  of: { readonly total: number; readonly query: Pick<ListQuery, 'startIndex' | 'count'> },
): ListAnswer<Shown> {
  const shown = page.slice(0, of.query.count);
  return {
    schemas: [LIST_SCHEMA],
    totalResults: of.total,
    startIndex: of.query.startIndex,
    itemsPerPage: shown.length,
    Resources: shown,
  };
}
