import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { AppError } from '@auditrax/base';
import type { PolicyErrorCode } from './errors.ts';
import type { AttributeType } from './schema.ts';

/** Plain values: an entity is its id, a set is an array, a record an object. The schema says which is which. */
export type AttributeValue =
  | string
  | number
  | boolean
  | readonly AttributeValue[]
  | { readonly [name: string]: AttributeValue | undefined };

function refuse(path: string, wanted: string): never {
  throw new AppError<PolicyErrorCode>('policy_request_invalid', `${path}: expected ${wanted}`, { field: path });
}

/**
 * Turns a plain value into Cedar's JSON form by its schema type. Attributes that the schema does not declare are left
 * out, so that a caller may hand over a whole row. Throws `policy_request_invalid` on a missing or ill-typed one.
 */
export function toCedar(value: unknown, type: AttributeType, path: string): CedarValueJson {
  switch (type.kind) {
    case 'string':
      return typeof value === 'string' && value.isWellFormed() ? value : refuse(path, 'a string');
    case 'boolean':
      return typeof value === 'boolean' ? value : refuse(path, 'a boolean');
    case 'long':
      // The bridge to Cedar goes through a double: above 2^53 it would decide on another number than the one stored.
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : refuse(path, 'a safe integer');
    case 'entity':
      return typeof value === 'string' && value.isWellFormed()
        ? { __entity: { type: type.name, id: value } }
        : refuse(path, `the id of a ${type.name}`);
    case 'set':
      return Array.isArray(value)
        ? value.map((item, index) => toCedar(item, type.element, `${path}[${index}]`))
        : refuse(path, 'an array');
    case 'record':
      return toCedarRecord(value, type, path);
    case 'other':
      return refuse(path, 'a type this library supports');
  }
}

/** `toCedar` for the top of an entity or a context. */
export function toCedarRecord(
  value: unknown,
  type: AttributeType & { kind: 'record' },
  path: string,
): Record<string, CedarValueJson> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(path, 'an object');
  const result: Record<string, CedarValueJson> = {};
  for (const [name, attribute] of Object.entries(type.attributes)) {
    const item = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    if (item === undefined || item === null) {
      if (attribute.required) refuse(`${path}.${name}`, 'a value');
      continue;
    }
    result[name] = toCedar(item, attribute.type, `${path}.${name}`);
  }
  return result;
}

type Check = (value: unknown, path: string) => void;

/**
 * The same judgement as `toCedar`, as a function made once for a type and without a copy: for decisions that take a
 * microsecond. Throws `policy_request_invalid` on a missing or ill-typed value.
 */
export function checkOf(type: AttributeType): Check {
  switch (type.kind) {
    case 'set': {
      const item = checkOf(type.element);
      return (value, path) => {
        if (!Array.isArray(value)) refuse(path, 'an array');
        for (const each of value) item(each, path);
      };
    }
    case 'record': {
      const attributes = Object.entries(type.attributes).map(
        ([name, attribute]) => [name, attribute.required, checkOf(attribute.type)] as const,
      );
      return (value, path) => {
        if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(path, 'an object');
        for (const [name, required, check] of attributes) {
          const item = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
          if (item !== undefined && item !== null) check(item, name);
          else if (required) refuse(`${path}.${name}`, 'a value');
        }
      };
    }
    case 'entity':
    case 'string':
      return (value, path) => {
        if (typeof value !== 'string' || !value.isWellFormed()) refuse(path, 'a string');
      };
    case 'long':
    case 'boolean':
    case 'other':
      return (value, path) => void toCedar(value, type, path);
  }
}
