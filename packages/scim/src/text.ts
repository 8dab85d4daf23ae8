const isAscii = (text: string): boolean => /^\p{ASCII}*$/u.test(text);

/** A single character that is not ASCII and yet becomes ASCII when it is normalised: the Kelvin sign, a long s, `ａ`. */
function isImpostor(character: string): boolean {
  return character > '\u007f' && isAscii(character.normalize('NFKC'));
}

/** Whether a text has characters that another reader would take for plain letters. */
export const hasImpostors = (text: string): boolean => !isAscii(text) && Array.from(text).some(isImpostor);

/** Control characters, marks of direction, zero widths, private use: nobody sees them in a list of people. */
export const hasInvisible = (text: string): boolean =>
  /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.test(text);

/**
 * P22: under which a text is compared where case does not matter, and the key to store for look-ups. Small letters of
 * the composed form; never capitals, which would make `ß` into `SS` and `ı` into `I`. A text with impostors is only
 * ever equal to itself, so that no foreign letter becomes somebody's plain one.
 */
export function foldCase(text: string): string {
  if (isAscii(text)) return text.toLowerCase();
  return hasImpostors(text) ? text : text.normalize('NFC').toLowerCase();
}
