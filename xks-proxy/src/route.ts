/** Where a request goes. */
export type Target =
  | { readonly operation: 'health'; readonly prefix: string }
  | { readonly operation: 'metadata' | 'encrypt' | 'decrypt'; readonly prefix: string; readonly keyId: string };

/** The protocol's limit. */
const URI_CHARS_MAX = 256;
const PATH =
  /^((?:\/[A-Za-z0-9_-]+)*?)\/kms\/xks\/v1\/(?:health|keys\/((?!\.{1,2}\/)[A-Za-z0-9._-]{1,128})\/(metadata|encrypt|decrypt))$/;

/**
 * Reads a request target as it stands on the wire: one spelling for each operation, no query, nothing to decode or
 * normalise, so that what is signed and what is routed cannot differ. Undefined for anything else.
 */
export function targetOf(url: string): Target | undefined {
  const match = url.length <= URI_CHARS_MAX ? PATH.exec(url) : null;
  if (!match) return undefined;
  const [, prefix, keyId, operation] = match;
  if (keyId === undefined) return { operation: 'health', prefix: prefix! };
  return { operation: operation as 'metadata' | 'encrypt' | 'decrypt', prefix: prefix!, keyId };
}
