import { JSON_DEPTH_MAX } from './limits.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member, never something inherited. */
export function memberOf(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** The index of the quote that ends the string beginning at `at`. The text is valid JSON. */
function endOfString(text: string, at: number): number {
  let end = at + 1;
  while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
  return end;
}

function isName(text: string, end: number): boolean {
  let after = end + 1;
  while (/\s/.test(text[after] ?? '')) after += 1;
  return text[after] === ':';
}

/** Whether valid JSON is shallow and has each name once in its object. */
function isUnambiguous(text: string): boolean {
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === '{' || character === '[') {
      open.push(new Set());
      if (open.length > JSON_DEPTH_MAX) return false;
    } else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const end = endOfString(text, at);
      if (isName(text, end)) {
        // Unescaped: "iss" and "\u0069ss" are one name.
        const name = JSON.parse(text.slice(at, end + 1)) as string;
        if (open.at(-1)!.has(name)) return false;
        open.at(-1)!.add(name);
      }
      at = end;
    }
  }
  return true;
}

/**
 * A JSON object, or undefined: also for one that is nested deeper than 16 levels or names a member twice, which two
 * readers would read in two ways.
 */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && isUnambiguous(text) ? value : undefined;
  } catch {
    return undefined;
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
