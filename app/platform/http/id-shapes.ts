import { ID_BODY_CHARACTERS } from '@auditrax/tenancy/id-pattern';
import type { ZodType } from 'zod';

/** Members that are called like an id or like a place in a list. */
const NAMED_LIKE_ID = /^(?:ids?|cursor|uuid)$|(?:Ids?|Cursor|Uuid)$/;
/** What `idPattern` makes; the kind is captured. */
const TAGGED_ID = new RegExp(`^\\^([a-z]{2,4})_\\[A-Za-z0-9_-\\]\\{${ID_BODY_CHARACTERS}\\}\\$$`);
/** A hand-written pattern that takes the first group of a UUID takes all of one. */
const UUID_DIGITS = '[0-9a-f]{8}';
/** Deeper than any contract of ours. */
const DEPTH_MAX = 12;

/**
 * - `id`: is called like an id, has the form of one, or both; `kind` where its pattern names one.
 * - `open`: takes whatever it is given, an id as well.
 */
export interface IdShape {
  readonly place: string;
  readonly what: 'id' | 'open';
  readonly kind?: string;
}

interface SchemaDef {
  readonly type: string;
  readonly innerType?: ZodType;
  readonly in?: ZodType;
  readonly out?: ZodType;
  readonly options?: readonly ZodType[];
  readonly left?: ZodType;
  readonly right?: ZodType;
  readonly element?: ZodType;
  readonly items?: readonly ZodType[];
  readonly rest?: ZodType | null;
  readonly valueType?: ZodType;
  readonly keyType?: ZodType;
  readonly shape?: Readonly<Record<string, ZodType>>;
  readonly catchall?: ZodType;
  readonly format?: string;
  readonly pattern?: RegExp;
  readonly checks?: readonly {
    readonly _zod: { readonly def: { readonly format?: string; readonly pattern?: RegExp } };
  }[];
}

/** Holds nothing further, and nothing that an id would fit into. */
const CLOSED_LEAVES: ReadonlySet<string> = new Set([
  'number',
  'int',
  'bigint',
  'boolean',
  'date',
  'enum',
  'literal',
  'null',
  'undefined',
  'void',
  'never',
  'nan',
]);

/**
 * Every place below `place` at which `schema` takes an id, takes something that is called like one, or takes anything at
 * all. Members of lists stand under `*`. A kind of schema that is not known here counts as open.
 */
export function idShapes(schema: ZodType, place: string): IdShape[] {
  const found = new Map<string, IdShape>();
  visit(schema, { place, depth: 0 }, (shape) => {
    const known = found.get(shape.place);
    if (known === undefined || known.kind === undefined) found.set(shape.place, shape);
  });
  return [...found.values()];
}

interface Spot {
  readonly place: string;
  readonly depth: number;
}
type Report = (shape: IdShape) => void;

function visit(schema: ZodType, { place, depth }: Spot, report: Report): void {
  const def = schema._zod.def as unknown as SchemaDef;
  if (depth > DEPTH_MAX) return report({ place, what: 'open' });
  const below = (inner: ZodType, name?: string) =>
    visit(inner, { place: name === undefined ? place : `${place}.${name}`, depth: depth + 1 }, report);
  if (def.type === 'object') {
    for (const [name, member] of Object.entries(def.shape!)) below(member, name);
    if (def.catchall !== undefined && (def.catchall._zod.def as unknown as SchemaDef).type !== 'never')
      report({ place, what: 'open' });
    return;
  }
  if (def.type === 'string') return visitText(def, place, report);
  // A list of ids is no id, but what it is called says that its members are.
  if (CLOSED_LEAVES.has(def.type)) return isNamedLikeId(place) ? report({ place, what: 'id' }) : undefined;
  if (def.type === 'record' || def.type === 'map') {
    below(def.keyType!, '*');
    return below(def.valueType!, '*');
  }
  if (def.type === 'array' || def.type === 'set') return below((def.element ?? def.valueType)!, '*');
  const inner = innerOf(def);
  if (inner.length === 0) return report({ place, what: 'open' });
  for (const one of inner) below(one, def.type === 'tuple' ? '*' : undefined);
}

/** What a schema that is only a cover, a choice or a pair stands for; empty when it is none of these. */
function innerOf(def: SchemaDef): ZodType[] {
  // `lazy` is not looked into: what names itself goes as deep as its sender likes.
  return [def.innerType, def.in, def.left, def.right, def.rest, ...(def.options ?? []), ...(def.items ?? [])].filter(
    (one): one is ZodType => one != null,
  );
}

function visitText(def: SchemaDef, place: string, report: Report): void {
  const rules = [def, ...(def.checks ?? []).map((check) => check._zod.def)];
  const patterns = rules.flatMap((rule) => rule.pattern?.source ?? []);
  const kind = patterns.flatMap((source) => TAGGED_ID.exec(source)?.[1] ?? [])[0];
  if (kind !== undefined) return report({ place, what: 'id', kind });
  const uuid = rules.some(({ format }) => format === 'uuid' || format === 'guid');
  if (uuid || patterns.some((source) => source.includes(UUID_DIGITS)) || isNamedLikeId(place))
    report({ place, what: 'id' });
}

function isNamedLikeId(place: string): boolean {
  return NAMED_LIKE_ID.test(place.split('.').findLast((name) => name !== '*') ?? '');
}
