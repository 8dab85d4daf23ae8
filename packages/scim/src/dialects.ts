/** Kinds of provider that deviate from the RFC in known ways, and `other`, which does not. */
export type ScimDialect = 'entra' | 'entra-compliant' | 'okta-wizard' | 'okta-catalogue' | 'other';

/**
 * What differs, in one table, written after the providers' public documents and not recorded from live tenants. A
 * deviation is understood only where its provider is known to send it: elsewhere it is an error, and if it is about
 * somebody's leaving, the error suspends.
 */
export interface DialectRules {
  /** `"True"` and `"False"`, in any case, where a boolean is due. */
  readonly booleanTexts: boolean;
  /** Names like `name.givenName` or `emails[type eq "work"].value` in the object of a PATCH without a path. */
  readonly pathsAsNames: boolean;
  /** A `remove` with a list of values takes away exactly these. By the RFC it would take away all. */
  readonly removeByValue: boolean;
  /** A `replace` whose filter selects nothing creates the value. By the RFC it is `noTarget`. */
  readonly replaceCreates: boolean;
  /** `[{"value": "x"}]` for a single text, and a bare text for an attribute with a `value`, like `manager`. */
  readonly looseValues: boolean;
  /** Operations may carry a `name`, as in Entra's oldest form; it says nothing. */
  readonly namedOperations: boolean;
}

const STRICT: DialectRules = {
  booleanTexts: false,
  pathsAsNames: false,
  removeByValue: false,
  replaceCreates: false,
  looseValues: false,
  namedOperations: false,
};

/** Entra without its flag: the behaviour since December 2018, and what remains of the time before. */
const ENTRA: DialectRules = {
  booleanTexts: true,
  pathsAsNames: true,
  removeByValue: true,
  replaceCreates: true,
  looseValues: true,
  namedOperations: true,
};

export const DIALECTS: Readonly<Record<ScimDialect, DialectRules>> = {
  entra: ENTRA,
  // With `?aadOptscim062020`: true booleans and removal by filter, but names of roles still carry texts.
  'entra-compliant': { ...ENTRA, removeByValue: false, namedOperations: false },
  // Applications of the wizard send the whole user by PUT.
  'okta-wizard': STRICT,
  // Those of the catalogue send a PATCH without a path, `{"active": false}`.
  'okta-catalogue': STRICT,
  other: STRICT,
};
