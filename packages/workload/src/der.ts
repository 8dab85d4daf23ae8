/** Just enough DER (X.690) to write the one extension that the certificate library has no class for. */
function tlv(tag: number, content: Uint8Array): Buffer {
  if (content.length > 0xffff) throw new RangeError('longer than any extension of ours');
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

/** Object identifier of the name constraints extension (RFC 5280 section 4.2.1.10). */
export const NAME_CONSTRAINTS_OID = '2.5.29.30';

export interface PermittedNames {
  readonly dns?: readonly string[];
  /** Host part of URIs. */
  readonly uriHosts?: readonly string[];
  /** Single addresses as raw bytes, 4 or 16 each. */
  readonly addresses?: readonly Uint8Array[];
}

const DNS_NAME = 0x82;
const URI = 0x86;
const IP_ADDRESS = 0x87;
const SEQUENCE = 0x30;
const PERMITTED_SUBTREES = 0xa0;
const EXCLUDED_SUBTREES = 0xa1;

/**
 * NameConstraints that permits exactly `names`. Kinds that are not named are excluded altogether: a kind without a
 * constraint would be unconstrained (RFC 5280), so a stolen key could still sign names of that kind.
 */
export function nameConstraints(names: PermittedNames): Buffer {
  const subtree = (tag: number, value: Uint8Array) => tlv(SEQUENCE, tlv(tag, value));
  const permitted = [
    ...(names.dns ?? []).map((name) => subtree(DNS_NAME, Buffer.from(name, 'ascii'))),
    ...(names.uriHosts ?? []).map((host) => subtree(URI, Buffer.from(host, 'ascii'))),
    ...(names.addresses ?? []).map((address) =>
      subtree(IP_ADDRESS, Buffer.concat([address, Buffer.alloc(address.length, 0xff)])),
    ),
  ];
  const excluded = [
    ...(names.dns === undefined ? [subtree(DNS_NAME, Buffer.alloc(0))] : []),
    ...(names.addresses === undefined
      ? [subtree(IP_ADDRESS, Buffer.alloc(8)), subtree(IP_ADDRESS, Buffer.alloc(32))]
      : []),
  ];
  return tlv(
    SEQUENCE,
    Buffer.concat([
      tlv(PERMITTED_SUBTREES, Buffer.concat(permitted)),
      ...(excluded.length === 0 ? [] : [tlv(EXCLUDED_SUBTREES, Buffer.concat(excluded))]),
    ]),
  );
}
