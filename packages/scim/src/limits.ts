/** Of one message. A group of 10,000 members with names and addresses is below it. */
export const MESSAGE_BYTES_MAX = 2 * 1024 * 1024;
/** A PATCH of a resource nests six deep; whoever nests deeper wants the stack. */
export const JSON_DEPTH_MAX = 12;
/** Values of one message, names not counted: 10,000 members with four sub-attributes each. */
export const JSON_VALUES_MAX = 50_000;
/** Of one name in a message: a schema's address with the attribute after it. */
export const NAME_CHARACTERS_MAX = 256;
/** Of one text, also of a formatted address. */
export const TEXT_CHARACTERS_MAX = 1024;
/** Ids and names that are looked up are stored under an index. */
export const KEY_CHARACTERS_MAX = 256;
/** E-mail addresses, telephone numbers, roles of one person. */
export const VALUES_MAX = 64;
/** Members of one group; Okta and Entra send large groups in parts. */
export const MEMBERS_MAX = 10_000;
/** Names of left-out attributes that are reported. */
export const IGNORED_MAX = 32;
/** Of one PATCH: Entra sends members in hundreds. Together with {@link MEMBERS_MAX} it bounds the work. */
export const OPERATIONS_MAX = 500;
/**
 * Comparisons with single values that one PATCH may cost: half a second of a slow core. Additions and removals of members
 * by their id cost none.
 */
export const PATCH_COMPARISONS_MAX = 500_000;
/** Of one filter; provider's filters have below 200. */
export const FILTER_CHARACTERS_MAX = 2048;
/** Brackets, groups and negations within each other. */
export const FILTER_DEPTH_MAX = 16;
/** Comparisons of one filter, each of which is tried on every resource of a scan. */
export const FILTER_COMPARISONS_MAX = 64;
/** Of a PATCH path: a schema's address, an attribute and a filter for one value. */
export const PATH_CHARACTERS_MAX = 1024;
/** Of a query as it stands in the address. */
export const QUERY_CHARACTERS_MAX = 8192;
/** Names in `attributes` or `excludedAttributes`. */
export const SELECTION_MAX = 64;
/** Resources in one answer, also published as `filter.maxResults`. */
export const COUNT_MAX = 200;
/** Resources in one answer when nothing was asked for. */
export const COUNT_DEFAULT = 100;
/** Tags in one If-Match; everybody sends one. */
export const TAGS_MAX = 16;
export const TAG_HEADER_CHARACTERS_MAX = 1024;
/** Characters of foreign text that an error quotes. */
export const QUOTED_CHARACTERS_MAX = 120;
/** Random bytes of a token: 256 bits. */
export const TOKEN_BYTES = 32;
