import type { RouteContract } from '@auditrax/base';

export const FORM_TYPE = 'application/x-www-form-urlencoded';
/** What providers post has two or three fields. */
const FORM_FIELDS_MAX = 16;

/** The media type that a body of this route comes in. */
export function bodyType(contract: RouteContract): string {
  if (contract.body === 'stream') return 'application/octet-stream';
  return contract.bodyForm === 'form' ? FORM_TYPE : 'application/json';
}

/**
 * A form's fields, without a prototype; undefined when it names one twice (which of two would be an attacker's choice),
 * has too many, or is not UTF-8 in percent signs.
 */
export function readForm(text: string): Readonly<Record<string, string>> | undefined {
  const fields = Object.create(null) as Record<string, string>;
  const pairs = text === '' ? [] : text.split('&');
  if (pairs.length > FORM_FIELDS_MAX) return undefined;
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    const value = decoded(equals < 0 ? '' : pair.slice(equals + 1));
    if (name === undefined || value === undefined || name === '' || name in fields) return undefined;
    fields[name] = value;
  }
  return fields;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
