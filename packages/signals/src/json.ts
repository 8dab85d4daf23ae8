import { plainJson, readStrictJson } from '@auditrax/base/strict-json';
import { JSON_DEPTH_MAX } from './limits.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member, never something inherited. */
export function memberOf(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

class Refused extends Error {}

/**
 * A JSON object, or undefined: also for one that is nested deeper than 16 levels or names a member twice, which two
 * readers would read in two ways.
 */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value = plainJson(readStrictJson(text, { depth_max: JSON_DEPTH_MAX }, (fault) => new Refused(fault)));
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

/** A text of 1 to `characters_max` characters without control characters or halves of characters. */
export function isPlainText(value: unknown, characters_max: number): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= characters_max &&
    value.isWellFormed() &&
    !/\p{Cc}/u.test(value)
  );
}
