import { readStrictJson, type JsonRefusal, type Raw, type RawObject } from '@auditrax/base/strict-json';
import { quoted, refusal } from './errors.ts';
import { JSON_DEPTH_MAX, JSON_VALUES_MAX, MESSAGE_BYTES_MAX, NAME_CHARACTERS_MAX } from './limits.ts';

export type { Raw, RawObject } from '@auditrax/base/strict-json';

export const isRawObject = (value: Raw | undefined): value is RawObject => value instanceof Map;
export const isRawList = (value: Raw | undefined): value is readonly Raw[] => Array.isArray(value);

const BOUNDS = {
  depth_max: JSON_DEPTH_MAX,
  values_max: JSON_VALUES_MAX,
  name_characters_max: NAME_CHARACTERS_MAX,
} as const;

const refuse: JsonRefusal = (fault, detail) => {
  if (fault === 'malformed') return refusal('scim_message_json', { detail });
  if (fault === 'name_repeated') return refusal('scim_name_repeated', { field: detail });
  return refusal('scim_message_depth', fault === 'name_too_long' ? { detail: `name ${quoted(detail)}` } : {});
};

/** P1: one JSON object, strictly UTF-8, bounded, each name once. Throws `scim_message_*` and `scim_name_repeated`. */
export function readMessage(bytes: Uint8Array): RawObject {
  if (bytes.byteLength > MESSAGE_BYTES_MAX)
    throw refusal('scim_message_too_large', { detail: `${bytes.byteLength} bytes` });
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch (cause) {
    throw refusal('scim_message_json', { cause });
  }
  const value = readStrictJson(text, BOUNDS, refuse);
  if (!isRawObject(value)) throw refusal('scim_message_json', { detail: 'not an object' });
  return value;
}
