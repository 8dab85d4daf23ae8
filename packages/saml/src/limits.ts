/** Of a decoded response. Entra's largest, with 150 groups, is below 60 KiB. */
export const RESPONSE_BYTES_MAX = 256 * 1024;
/** Of a metadata document. ADFS publishes about 100 KiB. */
export const METADATA_BYTES_MAX = 512 * 1024;
/** The verifier walks the whole tree several times: this many cost it about half a second. */
export const ELEMENTS_MAX = 1500;
/** The deepest legal place, a key inside an encrypted key inside an assertion, is at 12. */
export const DEPTH_MAX = 24;
/** A name identifier is a key of an account; SAML Core 8.3.7 allows 256 characters. */
export const NAME_ID_CHARACTERS_MAX = 256;
export const SESSION_INDEX_CHARACTERS_MAX = 256;
/** Claim names are URIs; the longest known (xmlsoap) has 70 characters. */
export const ATTRIBUTE_NAME_CHARACTERS_MAX = 512;
export const ATTRIBUTES_MAX = 256;
/** Entra lists 150 groups, Google 75; a directory that lists everything is refused with an error. */
export const ATTRIBUTE_VALUES_MAX = 1000;
export const ATTRIBUTE_VALUE_CHARACTERS_MAX = 16_384;
export const ENTITY_ID_CHARACTERS_MAX = 1024;
export const URL_CHARACTERS_MAX = 2048;
/** An ID is echoed into queries and logs. */
export const ID_CHARACTERS_MAX = 256;
/** Two for a change of certificates, two more for a provider that signs from several nodes. */
export const CERTIFICATES_ACTIVE_MAX = 4;
export const CERTIFICATES_MAX = 16;
/** Ours: the old and the new one while a provider still encrypts for the old. */
export const DECRYPTION_KEYS_MAX = 2;
export const RSA_BITS_MIN = 2048;
/** Verification time grows with the key; nobody needs more. */
export const RSA_BITS_MAX = 8192;
/** Clocks of two well-kept machines; NTP keeps them within a second. */
export const CLOCK_SKEW_MS = 60_000;
/** From leaving for the provider until coming back, second factor and forgotten password included. */
export const REQUEST_AGE_MS_MAX = 15 * 60_000;
/** A longer promise would make the store of used assertions grow without need. */
export const ASSERTION_LIFETIME_MS_MAX = 24 * 3_600_000;
/** The absolute lifetime of a session; who proved himself longer ago must do it again. */
export const AUTHN_AGE_SECONDS_DEFAULT = 12 * 3600;
export const AUTHN_AGE_SECONDS_MIN = 60;
export const AUTHN_AGE_SECONDS_MAX = 30 * 86_400;
/** Days before the end of a certificate on which somebody is told. */
export const EXPIRY_WARNING_DAYS = [60, 30, 7] as const;
