import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import { fromBase64Url, toBase64Url, uuidFromBytes, uuidToBytes, type Uuid } from '@auditrax/base';
import type { TenantContext } from './context.ts';
import { ID_BODY_CHARACTERS, idPattern } from './id-pattern.ts';

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

/** Preparing a key from raw bytes costs more than the tag itself; each ring's keys are prepared once. */
const prepared = new WeakMap<Uint8Array, KeyObject>();

function keyObject(key: Uint8Array): KeyObject {
  const known = prepared.get(key);
  if (known !== undefined) return known;
  const made = createSecretKey(key);
  prepared.set(key, made);
  return made;
}

function tagOf(key: Uint8Array, kind: string, body: Uint8Array): Buffer {
  // The kind has a fixed alphabet without NUL, so no two inputs share their bytes.
  return createHmac('sha256', keyObject(key))
    .update(`${LABEL}\0${kind}\0`)
    .update(body)
    .digest()
    .subarray(0, TAG_BYTES);
}

/** The one maker of ids: `<kind>_<base64url(tenant part 4 | uuid 16 | tag 8)>`. */
// oxlint-disable-next-line max-params -- the four things an id is made of
export function formatId(kind: string, context: Pick<TenantContext, 'tenantPart'>, uuid: Uuid, keys: IdKeys): TaggedId {
  idPattern(kind);
  const body = Buffer.alloc(PART_BYTES + UUID_BYTES);
  body.writeUInt32BE(context.tenantPart, 0);
  uuidToBytes(uuid).copy(body, PART_BYTES);
  return `${kind}_${toBase64Url(Buffer.concat([body, tagOf(keys.current.key, kind, body)]))}` as TaggedId;
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
  if (!text.startsWith(`${kind}_`) || text.length !== kind.length + 1 + ID_BODY_CHARACTERS)
    return { ok: false, reason: 'malformed' };
  const bytes = fromBase64Url(text.slice(kind.length + 1));
  if (bytes === undefined || bytes.length !== PART_BYTES + UUID_BYTES + TAG_BYTES)
    return { ok: false, reason: 'malformed' };
  const body = bytes.subarray(0, PART_BYTES + UUID_BYTES);
  const tag = bytes.subarray(PART_BYTES + UUID_BYTES);
  const signer = [keys.current, ...keys.accepted].find((entry) => timingSafeEqual(tag, tagOf(entry.key, kind, body)));
  if (signer === undefined) return { ok: false, reason: 'forged' };
  const tenantPart = body.readUInt32BE(0);
  if (tenantPart !== context.tenantPart) return { ok: false, reason: 'foreign', tenantPart };
  return { ok: true, uuid: uuidFromBytes(body.subarray(PART_BYTES)), keyVersion: signer.version };
}
