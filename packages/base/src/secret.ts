import type { ZodType } from 'zod';
import type { Json } from './json.ts';
import type { RouteContract } from './route.ts';

/** Schemas of values that are entered, and never shown again. */
const SECRETS = new WeakSet<object>();

/**
 * Marks a value of a request as secret: it is neither shown in what is approved nor kept with the approval. The last thing
 * said of a schema before `nullable` and `optional`, since whatever else is said makes another schema.
 */
export function secret<Schema extends ZodType>(schema: Schema): Schema {
  const marked = schema.clone();
  SECRETS.add(marked);
  return marked;
}

/** Names from the outside to the inside; `*` is every element. */
export type Place = readonly string[];
const EACH = '*';

/** What the walk below needs to know of a schema. */
interface Inside {
  readonly shape?: Readonly<Record<string, ZodType>>;
  readonly options?: readonly ZodType[];
  readonly element?: ZodType;
  readonly valueType?: ZodType;
  readonly innerType?: ZodType;
  readonly in?: ZodType;
}

/** Where a value of this schema holds secrets, whichever of its alternatives it is. */
export function secretPlaces(schema: ZodType, path: Place = []): readonly Place[] {
  if (SECRETS.has(schema)) return [path];
  const inside = schema.def as unknown as Inside;
  const next = [inside.innerType, inside.in, ...(inside.options ?? [])].filter((one) => one !== undefined);
  const each = [inside.element, inside.valueType].filter((one) => one !== undefined);
  return [
    ...Object.entries(inside.shape ?? {}).flatMap(([name, one]) => secretPlaces(one, [...path, name])),
    ...each.flatMap((one) => secretPlaces(one, [...path, EACH])),
    ...next.flatMap((one) => secretPlaces(one, path)),
  ];
}

/** Where the body of a call holds secrets. */
export const secretsOfRoute = ({ body }: Pick<RouteContract, 'body'>): readonly Place[] =>
  body === undefined || body === 'stream' ? [] : secretPlaces(body);

/** Where the input of an operation holds secrets, by the contracts of all rooms. */
export function secretsOf(routes: readonly RouteContract[]): (operation: string) => readonly Place[] {
  const places = new Map(routes.map((route) => [route.operation as string, secretsOfRoute(route)]));
  return (operation) => places.get(operation) ?? [];
}

/** A value as it may be shown. */
export interface Shown<Value> {
  readonly value: Value;
  /** Places where something is hidden. */
  readonly hidden: string[];
}

const sizeOf = (value: Json): string => (typeof value === 'string' ? `hidden, ${value.length} characters` : 'hidden');

/** The same value with its secrets replaced by how long they are. An absent one stays absent: that is no secret. */
export function hideSecrets<Value extends Json>(value: Value, places: readonly Place[]): Shown<Value> {
  const hidden: string[] = [];
  const hide = (one: Json, rest: readonly Place[], path: Place): Json => {
    if (rest.length === 0 || one === null || one === undefined) return one;
    if (rest.some((place) => place.length === 0)) {
      hidden.push(path.join('.'));
      return sizeOf(one);
    }
    const inside = (name: string) =>
      rest.flatMap(([first, ...more]) => (first === name || first === EACH ? [more] : []));
    if (Array.isArray(one)) return one.map((each, at) => hide(each as Json, inside(EACH), [...path, String(at)]));
    if (typeof one !== 'object') return one;
    return Object.fromEntries(
      Object.entries(one).map(([name, each]) => [name, hide(each as Json, inside(name), [...path, name])]),
    );
  };
  return { value: hide(value, places, []) as Value, hidden };
}
