import { isRawList, isRawObject, type Raw, type RawObject } from './json.ts';

/** What a message means for whether its person may work: to be carried out whatever else becomes of the message. */
export type Standing = 'suspend' | 'reactivate' | 'keep';

/** `active` as a word; what nobody sees between its letters does not hide it. */
const ACTIVE = /(?<![a-z0-9])active(?![a-z0-9])/i;
const INVISIBLE = /(?![\t\n\r])[\p{Cf}\p{Cc}\p{Default_Ignorable_Code_Point}]/gu;
const speaks = (text: string): boolean => ACTIVE.test(text.replace(INVISIBLE, ''));

/** Whether a value says nothing but yes. */
function isPlainlyTrue(value: Raw | undefined): boolean {
  if (isRawList(value)) return value.length > 0 && value.every(isPlainlyTrue);
  if (isRawObject(value)) return value.size > 0 && [...value.values()].every(isPlainlyTrue);
  return value === true || (typeof value === 'string' && value.trim().toLowerCase() === 'true');
}

/** Of a text that is no JSON, or is JSON within JSON: `active` without a plain yes, or with a no beside it. */
function textSuspends(text: string): boolean {
  const plain = text.replace(INVISIBLE, '');
  return ACTIVE.test(plain) && !(/(?<![a-z])true(?![a-z])/i.test(plain) && !/(?<![a-z])false(?![a-z])/i.test(plain));
}

/** All that stands under a name, however it is written. */
const under = (object: RawObject, name: string): readonly Raw[] =>
  [...object].filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);

function operationSuspends(operation: RawObject): boolean {
  if (!under(operation, 'path').some((path) => typeof path === 'string' && speaks(path))) return false;
  const isRemoval = under(operation, 'op').some((op) => typeof op === 'string' && op.trim().toLowerCase() === 'remove');
  return isRemoval || !isPlainlyTrue(under(operation, 'value'));
}

/**
 * P17: whether a message that was refused nevertheless speaks of `active` otherwise than plainly true: by a name of any
 * case, behind any address or point, in a path, in a text. When in doubt, yes: somebody who wrongly waits can be let in
 * again, somebody who left and still gets in cannot be undone.
 */
export function speaksOfLeaving(raw: Raw): boolean {
  if (typeof raw === 'string') return /^\s*[{[]/.test(raw) && textSuspends(raw);
  if (isRawList(raw)) return raw.some(speaksOfLeaving);
  if (!isRawObject(raw)) return false;
  if (operationSuspends(raw)) return true;
  for (const [name, value] of raw) {
    if (speaks(name) && !isPlainlyTrue(value)) return true;
    if (speaksOfLeaving(value)) return true;
  }
  return false;
}

/** {@link speaksOfLeaving} for bytes that are no JSON at all: cut off, in another encoding, or with escapes. */
export function bytesSpeakOfLeaving(bytes: Uint8Array): boolean {
  const text = new TextDecoder('utf-8')
    .decode(bytes)
    .replaceAll('\0', '')
    .replace(/\\u([0-9A-Fa-f]{4})/g, (_whole, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return textSuspends(text);
}
