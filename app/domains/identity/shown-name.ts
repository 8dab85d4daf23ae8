/** Marks of direction, zero widths, controls, line and paragraph marks: they hide, or turn around what stands beside them. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;
/** Several scripts join their letters with these, and so do families of emoji; between anything else they only hide. */
const JOINER = /^[\u200C\u200D]$/;
const JOINED = /[\p{L}\p{M}\p{Extended_Pictographic}\u{FE0F}]/u;
const SHOWN_CHARACTERS_MAX = 120;

/**
 * What somebody is called, in one line of at most 120 characters; empty when nothing of it can be seen. Whoever may write
 * their own name at their provider must not, by it, change what an administrator reads who approves something about them.
 */
export function shownName(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(UNSEEN, (found, at: number) => {
      const [before, after] = [text.slice(0, at).at(-1) ?? '', text.at(at + found.length) ?? ''];
      return JOINER.test(found) && isJoined(before) && isJoined(after) ? found : ' ';
    })
    .replaceAll(/ {2,}/g, ' ')
    .trim()
    .slice(0, SHOWN_CHARACTERS_MAX)
    .toWellFormed();
}

/** A half of a pair is of an emoji, or of a letter beyond the first plane. */
const isJoined = (character: string): boolean => JOINED.test(character) || /[\uD800-\uDFFF]/.test(character);
