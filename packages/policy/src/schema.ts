import { schemaToJsonWithResolvedTypes } from '@cedar-policy/cedar-wasm/nodejs';
import { AppError } from '@auditrax/base';
import type { PolicyErrorCode } from './errors.ts';

/** The part of Cedar's type system that has a SQL form, plus records (walked through) and `other` (never compiled). */
export type AttributeType =
  | { readonly kind: 'string' | 'long' | 'boolean' | 'other' }
  | { readonly kind: 'entity'; readonly name: string }
  | { readonly kind: 'set'; readonly element: AttributeType }
  | { readonly kind: 'record'; readonly attributes: Readonly<Record<string, Attribute>> };

export interface Attribute {
  readonly type: AttributeType;
  readonly required: boolean;
}

export interface ActionDeclaration {
  readonly principalTypes: readonly string[];
  readonly resourceTypes: readonly string[];
  readonly context: AttributeType;
  /** The action itself and every action group above it. */
  readonly ancestors: ReadonlySet<string>;
}

/** What the compiler and the marshaller know about entity types and actions. */
export interface PolicySchema {
  readonly entities: ReadonlyMap<string, AttributeType>;
  readonly actions: ReadonlyMap<string, ActionDeclaration>;
}

interface RawType {
  readonly type?: string;
  readonly name?: string;
  readonly element?: RawType;
  readonly attributes?: Readonly<Record<string, RawType & { readonly required?: boolean }>>;
}

const EMPTY_RECORD: AttributeType = { kind: 'record', attributes: {} };

function readType(raw: RawType, common: Readonly<Record<string, RawType>>): AttributeType {
  const named = raw.type !== undefined && Object.hasOwn(common, raw.type) ? common[raw.type] : undefined;
  if (named !== undefined) return readType(named, common);
  switch (raw.type ?? '') {
    case 'String':
      return { kind: 'string' };
    case 'Long':
      return { kind: 'long' };
    case 'Bool':
    case 'Boolean':
      return { kind: 'boolean' };
    case 'Entity':
      return { kind: 'entity', name: raw.name ?? '' };
    case 'Set':
      return { kind: 'set', element: readType(raw.element ?? {}, common) };
    case 'Record':
      return { kind: 'record', attributes: readAttributes(raw, common) };
    default:
      return { kind: 'other' };
  }
}

function readAttributes(raw: RawType, common: Readonly<Record<string, RawType>>): Record<string, Attribute> {
  return Object.fromEntries(
    Object.entries(raw.attributes ?? {}).map(([name, attribute]) => [
      name,
      { type: readType(attribute, common), required: attribute.required !== false },
    ]),
  );
}

function ancestorsOf(id: string, parents: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const open = [id];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    open.push(...(parents.get(next) ?? []));
  }
  return seen;
}

/**
 * Reads a schema in Cedar's text form (one namespace, the unnamed one). Throws `policy_invalid` when it does not parse
 * and `policy_hierarchy_unsupported` when an entity type has parents or tags (SPEC P3).
 */
export function readSchema(text: string): PolicySchema {
  const answer = schemaToJsonWithResolvedTypes(text);
  if (answer.type === 'failure') {
    const message = answer.errors.map((error) => error.message).join('; ');
    throw new AppError<PolicyErrorCode>('policy_invalid', `schema: ${message}`);
  }
  const namespaces = Object.keys(answer.json);
  if (namespaces.some((name) => name !== '')) {
    throw new AppError<PolicyErrorCode>(
      'policy_invalid',
      `schema: named namespaces are not used (${namespaces.join()})`,
    );
  }
  const raw = (answer.json[''] ?? { entityTypes: {}, actions: {} }) as unknown as {
    commonTypes?: Record<string, RawType>;
    entityTypes: Record<string, { shape?: RawType; memberOfTypes?: string[]; tags?: unknown; enum?: unknown }>;
    actions: Record<
      string,
      {
        appliesTo?: { principalTypes: string[]; resourceTypes: string[]; context?: RawType };
        memberOf?: { id: string }[];
      }
    >;
  };
  const common = raw.commonTypes ?? {};
  const entities = new Map<string, AttributeType>();
  for (const [name, entity] of Object.entries(raw.entityTypes)) {
    if ((entity.memberOfTypes ?? []).length > 0 || entity.tags !== undefined || entity.enum !== undefined) {
      throw new AppError<PolicyErrorCode>(
        'policy_hierarchy_unsupported',
        `entity type ${name} has parents, tags or an enumeration`,
      );
    }
    entities.set(name, entity.shape === undefined ? EMPTY_RECORD : readType(entity.shape, common));
  }
  const parents = new Map(
    Object.entries(raw.actions).map(([id, action]) => [id, (action.memberOf ?? []).map((parent) => parent.id)]),
  );
  const actions = new Map<string, ActionDeclaration>();
  for (const [id, action] of Object.entries(raw.actions)) {
    actions.set(id, {
      principalTypes: action.appliesTo?.principalTypes ?? [],
      resourceTypes: action.appliesTo?.resourceTypes ?? [],
      context: action.appliesTo?.context === undefined ? EMPTY_RECORD : readType(action.appliesTo.context, common),
      ancestors: ancestorsOf(id, parents),
    });
  }
  return { entities, actions };
}
