/** Of a discovery document. Entra's and Okta's are below 8 KiB. */
export const METADATA_BYTES_MAX = 128 * 1024;
/** Of a token endpoint's answer: an ID token with 200 groups beside an access token of the same size. */
export const TOKEN_ANSWER_BYTES_MAX = 256 * 1024;
/** Of one JWT; JSON of this size is parsed in a millisecond. */
export const TOKEN_CHARACTERS_MAX = 64 * 1024;
export const KEY_ID_CHARACTERS_MAX = 256;
/** Clocks of two well-kept machines; NTP keeps them within a second. */
export const CLOCK_SKEW_MS = 60_000;
/** From leaving for the provider until coming back, second factor and forgotten password included. */
export const REQUEST_AGE_MS_MAX = 15 * 60_000;
/** Of the whole query that a provider sends back; Entra's codes have about 1,500 characters. */
export const CALLBACK_CHARACTERS_MAX = 16_384;
/** OpenID Connect Core 2: a subject has at most 255 ASCII characters. */
export const SUBJECT_CHARACTERS_MAX = 255;
/** Session ids and token ids are stored and compared. */
export const ID_CHARACTERS_MAX = 256;
export const ISSUER_CHARACTERS_MAX = 1024;
export const URL_CHARACTERS_MAX = 2048;
export const CLIENT_ID_CHARACTERS_MAX = 256;
export const SECRET_CHARACTERS_MAX = 1024;
/** Claim names are sometimes URIs. */
export const CLAIM_NAME_CHARACTERS_MAX = 256;
/** Entra puts at most 200 groups into a token; a directory that lists everything is refused with an error. */
export const GROUPS_MAX = 1000;
export const GROUP_CHARACTERS_MAX = 1024;
/** Methods of authentication; RFC 8176 registers about twenty. */
export const AMR_MAX = 32;
/** Longer display values are cut to nothing: they are not a person's name. */
export const DISPLAY_CHARACTERS_MAX = 512;
export const AUTHN_AGE_SECONDS_MIN = 60;
export const AUTHN_AGE_SECONDS_MAX = 30 * 86_400;
/** Back-Channel Logout 2.4 recommends two minutes for the life of a logout token. */
export const LOGOUT_AGE_MS_MAX = 2 * 60_000;
