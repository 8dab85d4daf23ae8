import { hash, timingSafeEqual } from 'node:crypto';
import type { Uuid } from '@auditrax/base';
import type { TenantContext } from './context.ts';
import { ID_BODY_CHARACTERS, requireKind } from './id-pattern.ts';

export { ID_BODY_CHARACTERS, ID_PATTERN, idPattern } from './id-pattern.ts';

const PART_BYTES = 4;
const UUID_BYTES = 16;
/** 64 bits: a guess costs a request each, and forged tags are counted and paged long before 2^32 of them. */
const TAG_BYTES = 8;
const KEY_BYTES_MIN = 32;
/** Each accepted key costs a parse of a forged id one HMAC; rotation needs two, a botched one three. */
export const ID_KEYS_MAX = 4;
/** Separates this use of a key from every other. */
const LABEL = 'tenancy/id/1';

declare const idBrand: unique symbol;
/** An id as the outside sees it. Made only by `formatId`. */
export type TaggedId = string & { readonly [idBrand]: true };

export interface IdKey {
  readonly version: number;
  /** At least 32 bytes. */
  readonly key: Uint8Array;
}

/** New ids carry a tag of `current`; ids made with an `accepted` key stay valid until that key is taken away. */
export interface IdKeys {
  readonly current: IdKey;
  readonly accepted: readonly IdKey[];
}

/** Three different events: noise, an attack on the tag, and a real id of somebody else. */
export type ParsedId =
  | { readonly ok: true; readonly uuid: Uuid; readonly keyVersion: number }
  | { readonly ok: false; readonly reason: 'malformed' }
  | { readonly ok: false; readonly reason: 'forged' }
  | { readonly ok: false; readonly reason: 'foreign'; readonly tenantPart: number };

/**
 * Checks a key ring once, where it is made. Throws RangeError on a short key, too many keys, or one version twice.
 * Both functions below take the result.
 */
export function idKeys(current: IdKey, accepted: readonly IdKey[] = []): IdKeys {
  const all = [current, ...accepted];
  if (all.length > ID_KEYS_MAX) throw new RangeError(`an id key ring holds at most ${ID_KEYS_MAX} keys`);
  if (all.some((entry) => entry.key.length < KEY_BYTES_MIN)) {
    throw new RangeError(`an id key has at least ${KEY_BYTES_MIN} bytes`);
  }
  if (new Set(all.map((entry) => entry.version)).size !== all.length)
    throw new RangeError('an id key version occurs twice');
  return { current, accepted };
}

/** Of SHA-256. */
const [BLOCK_BYTES, DIGEST_BYTES] = [64, 32];
const [INNER_PAD, OUTER_PAD] = [0x36, 0x5c];
const BODY_BYTES = PART_BYTES + UUID_BYTES;
const ID_BYTES = BODY_BYTES + TAG_BYTES;
/** 28 bytes leave four bits over in the last character; all but zero in them would be a second spelling. */
const BODY_PATTERN = /^[A-Za-z0-9_-]{37}[AQgw]$/;

/**
 * One key and kind at work: an id is laid out in `id` and checked in place. Nothing is allocated for an id but its text,
 * and nothing is left over for the next one, which overwrites every byte or is refused.
 */
interface Tagger {
  /** Padded key, label and kind, then the 28 bytes of an id. */
  readonly bytes: Buffer;
  readonly idAt: number;
  /** Of `bytes`: what the inner hash is over, and the tag behind it. */
  readonly message: Buffer;
  readonly tag: Buffer;
  /** Padded key, then the inner digest. */
  readonly outer: Buffer;
  /** The tag as it must be. */
  readonly expected: Buffer;
}

/** By key, then by kind: a program has some twenty kinds, and they are words of its own. */
const taggers = new WeakMap<Uint8Array, Map<string, Tagger>>();

function paddedKey(key: Uint8Array, pad: number): Buffer {
  const padded = Buffer.alloc(BLOCK_BYTES);
  padded.set(key.length > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key);
  return Buffer.from(padded.map((byte) => byte ^ pad));
}

function makeTagger(key: Uint8Array, kind: string): Tagger {
  // The kind has a fixed alphabet without NUL, so no two inputs share their bytes.
  const head = Buffer.concat([paddedKey(key, INNER_PAD), Buffer.from(`${LABEL}\0${kind}\0`)]);
  const bytes = Buffer.concat([head, Buffer.alloc(ID_BYTES)]);
  return {
    bytes,
    idAt: head.length,
    message: bytes.subarray(0, head.length + BODY_BYTES),
    tag: bytes.subarray(head.length + BODY_BYTES),
    outer: Buffer.concat([paddedKey(key, OUTER_PAD), Buffer.alloc(DIGEST_BYTES)]),
    expected: Buffer.alloc(TAG_BYTES),
  };
}

function taggerOf(key: Uint8Array, kind: string): Tagger {
  let byKind = taggers.get(key);
  if (byKind === undefined) taggers.set(key, (byKind = new Map()));
  let tagger = byKind.get(kind);
  if (tagger === undefined) byKind.set(kind, (tagger = makeTagger(key, kind)));
  return tagger;
}

/**
 * Writes the tag of the message to `to`: HMAC-SHA-256 (RFC 2104) in two hashes of Node's own, each one call that makes no
 * object of the native side. In a process at work such objects cost ten times the hash.
 */
function writeTag({ message, outer }: Tagger, to: Buffer): void {
  outer.write(hash('sha256', message, 'binary'), BLOCK_BYTES, DIGEST_BYTES, 'latin1');
  to.write(hash('sha256', outer, 'binary'), 0, TAG_BYTES, 'latin1');
}

/** The one maker of ids: `<kind>_<base64url(tenant part 4 | uuid 16 | tag 8)>`. */
// oxlint-disable-next-line max-params -- the four things an id is made of
export function formatId(kind: string, context: Pick<TenantContext, 'tenantPart'>, uuid: Uuid, keys: IdKeys): TaggedId {
  requireKind(kind);
  const tagger = taggerOf(keys.current.key, kind);
  const { bytes, idAt, tag } = tagger;
  bytes.writeUInt32BE(context.tenantPart, idAt);
  if (bytes.write(uuid.replaceAll('-', ''), idAt + PART_BYTES, UUID_BYTES, 'hex') !== UUID_BYTES)
    throw new RangeError('an id is made of a UUID');
  writeTag(tagger, tag);
  return `${kind}_${bytes.toString('base64url', idAt)}` as TaggedId;
}

/**
 * Reads an id of `kind` on behalf of `context`. No database is asked. `forged` covers a tag of another kind too; the
 * tenant part of a forged id says nothing and is not returned.
 */
// oxlint-disable-next-line max-params -- the counterpart of formatId
export function parseId(
  kind: string,
  text: string,
  context: Pick<TenantContext, 'tenantPart'>,
  keys: IdKeys,
): ParsedId {
  const body = text.slice(kind.length + 1);
  if (!text.startsWith(`${kind}_`) || body.length !== ID_BODY_CHARACTERS || !BODY_PATTERN.test(body))
    return { ok: false, reason: 'malformed' };
  const version = versionOf(kind, body, keys);
  if (version === undefined) return { ok: false, reason: 'forged' };
  const { bytes, idAt } = taggerOf(version.key, kind);
  const tenantPart = bytes.readUInt32BE(idAt);
  if (tenantPart !== context.tenantPart) return { ok: false, reason: 'foreign', tenantPart };
  const hex = bytes.toString('hex', idAt + PART_BYTES, idAt + BODY_BYTES);
  const uuid =
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Uuid;
  return { ok: true, uuid, keyVersion: version.version };
}

/** The key that the tag was made with; the bytes of the id are in its tagger then. */
function versionOf(kind: string, body: string, keys: IdKeys): IdKey | undefined {
  if (isTaggedWith(keys.current, kind, body)) return keys.current;
  return keys.accepted.find((entry) => isTaggedWith(entry, kind, body));
}

function isTaggedWith({ key }: IdKey, kind: string, body: string): boolean {
  const tagger = taggerOf(key, kind);
  tagger.bytes.write(body, tagger.idAt, ID_BYTES, 'base64url');
  writeTag(tagger, tagger.expected);
  return timingSafeEqual(tagger.tag, tagger.expected);
}
