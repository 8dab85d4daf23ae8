/** 28 bytes in base64url without padding. */
export const ID_BODY_CHARACTERS = 38;
/** Any tagged id, whatever its kind. Says only that the form is right; `parseId` decides. */
export const ID_PATTERN = /^[a-z]{2,4}_[A-Za-z0-9_-]{38}$/;
const KIND_PATTERN = /^[a-z]{2,4}$/;

/** Throws RangeError on a kind that is not two to four lower-case letters. */
export function requireKind(kind: string): void {
  if (!KIND_PATTERN.test(kind)) throw new RangeError('an id kind has two to four lower-case letters');
}

/** The form of an id of one kind, for schemas. Throws RangeError as `requireKind`. */
export function idPattern(kind: string): RegExp {
  requireKind(kind);
  return new RegExp(`^${kind}_[A-Za-z0-9_-]{${ID_BODY_CHARACTERS}}$`);
}
