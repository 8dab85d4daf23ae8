import { encodeDekContext } from '../../commitment.ts';
import { lengthPrefixed } from '../../encode.ts';
import { sealError } from '../../errors.ts';
import type { DekContext } from '../../kek.ts';

const MAGIC = Buffer.from('AXX1', 'ascii');
const SUITE_AES_256_GCM = 0x01;
const AAD_DOMAIN = Buffer.from('auditrax/dek-wrap-xks/v1\0', 'ascii');
/** What the column of wrapped keys takes. */
const WRAPPED_BYTES_MAX = 4096;
const FIELDS = 6;

/** Both keys that a doubly wrapped data key needs. */
export interface DoubleRef {
  /** `xks:<id>`. */
  readonly outer: string;
  /** Of the installation's own key, such as `local:<id>`. */
  readonly inner: string;
}

/** What the proxy made of the inner wrap. */
export interface OuterWrap {
  readonly ciphertext: Buffer;
  readonly metadata: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
}

/**
 * `"AXX1" | suite u8 = 01 | LP(outer ref) | LP(inner ref) | LP(metadata) | LP(iv) | LP(tag) | LP(ciphertext)`.
 * Throws `input_too_long` above 4096 bytes.
 */
export function encodeEnvelope(refs: DoubleRef, outer: OuterWrap): Buffer {
  const wrapped = Buffer.concat([header(refs), lengthPrefixed(outer.metadata, outer.iv, outer.tag, outer.ciphertext)]);
  if (wrapped.length > WRAPPED_BYTES_MAX) {
    throw sealError('input_too_long', `the wrapped key has ${wrapped.length} bytes, the limit is ${WRAPPED_BYTES_MAX}`);
  }
  return wrapped;
}

/** Throws `blob_malformed`, `suite_unknown`. What it returns is authenticated only once both wraps have been opened. */
export function decodeEnvelope(wrapped: Uint8Array): { refs: DoubleRef; outer: OuterWrap } {
  const bytes = Buffer.from(wrapped);
  if (bytes.length > WRAPPED_BYTES_MAX || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw malformed();
  if (bytes[MAGIC.length] !== SUITE_AES_256_GCM) {
    throw sealError('suite_unknown', `suite ${bytes[MAGIC.length]} is not one that this build may read`);
  }
  const fields: Buffer[] = [];
  let at = MAGIC.length + 1;
  while (at < bytes.length) {
    if (fields.length === FIELDS || at + 2 > bytes.length) throw malformed();
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) throw malformed();
    fields.push(bytes.subarray(at + 2, end));
    at = end;
  }
  const [outerRef, innerRef, metadata, iv, tag, ciphertext] = fields;
  if (!outerRef || !innerRef || !metadata || !iv || !tag || !ciphertext) throw malformed();
  return {
    refs: { outer: outerRef.toString('latin1'), inner: innerRef.toString('latin1') },
    outer: { metadata, iv, tag, ciphertext },
  };
}

/** What the proxy is told to bind: format, both keys and the data key's whole context. Ids only, it may log them. */
export function envelopeAad(refs: DoubleRef, context: DekContext): Buffer {
  return Buffer.concat([AAD_DOMAIN, header(refs), encodeDekContext(context)]);
}

function header(refs: DoubleRef): Buffer {
  return Buffer.concat([
    MAGIC,
    Buffer.of(SUITE_AES_256_GCM),
    lengthPrefixed(Buffer.from(refs.outer, 'ascii'), Buffer.from(refs.inner, 'ascii')),
  ]);
}

function malformed(): Error {
  return sealError('blob_malformed', 'these bytes are not a doubly wrapped data key');
}
