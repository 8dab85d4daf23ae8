import { canonicalJson, fromBase64Url, parseUuid, toBase64Url } from '@auditrax/base';
import type { Json, Random, Uuid } from '@auditrax/base';
import { lengthPrefixed, uint32, uuidBytes } from './encode.ts';
import { sealError } from './errors.ts';
import { createPrivateFile, exists, readPrivateFile, replacePrivateFile } from './private-file.ts';
import type { KeyRing } from './ring.ts';
import { XAES_NONCE_BYTES } from './sizes.ts';
import { xaesDecrypt, xaesEncrypt } from './xaes.ts';

const FORMAT = 'AXD1';
const SUITE = 1;
const GENERATION_MAX = 0xffff_ffff;

/** A document in one file that only the holder of the key ring reads and writes. */
export interface SealedDocument {
  /** 0 while there is no file. */
  readonly generation: number;
  /** As last read or saved; undefined while there is no file. */
  readonly content: Json | undefined;
  /** Durable when it resolves. Throws `ring_changed` when somebody else has written meanwhile. */
  save(content: Json): Promise<void>;
}

export interface SealedDocumentPlace {
  readonly path: string;
  readonly ring: KeyRing;
  /** Whose key of the ring seals it: an id that no tenant has. The key is made with the first save. */
  readonly owner: Uuid;
  /** What the document is, bound into the seal: a file under another name is refused. */
  readonly name: string;
  readonly random: Random;
}

interface Header {
  readonly format: typeof FORMAT;
  readonly suite: typeof SUITE;
  readonly name: string;
  readonly ringId: Uuid;
  readonly kekId: Uuid;
  readonly generation: number;
}

/**
 * Opens a document beside the key ring: sealed as a whole under a key of the ring, so that it moves with the ring's
 * backup and opens after a restore under another root key. Replaced atomically, the generation before stays as
 * `<path>.previous`. Throws `ring_permissions`, `ring_corrupt`, `ring_tampered`, `suite_unknown`, `kek_unknown` (the
 * file belongs to another ring).
 */
export async function openSealedDocument(place: SealedDocumentPlace): Promise<SealedDocument> {
  let current = (await exists(place.path)) ? readDocument(place, await readPrivateFile(place.path)) : undefined;
  const save = async (content: Json): Promise<void> => {
    const found = (await exists(place.path)) ? readDocument(place, await readPrivateFile(place.path)) : undefined;
    if (found?.generation !== current?.generation) {
      throw sealError(
        'ring_changed',
        `${place.path}: expected generation ${current?.generation ?? 0}, found ${found?.generation ?? 0}; another process writes it`,
      );
    }
    const generation = (current?.generation ?? 0) + 1;
    const bytes = await sealDocument(place, { generation, content });
    await (found === undefined ? createPrivateFile(place.path, bytes) : replacePrivateFile(place.path, bytes));
    current = { generation, content };
  };
  return {
    get generation() {
      return current?.generation ?? 0;
    },
    get content() {
      return current?.content;
    },
    save,
  };
}

async function sealDocument(
  place: SealedDocumentPlace,
  state: { readonly generation: number; readonly content: Json },
): Promise<Buffer> {
  if (state.generation > GENERATION_MAX) throw sealError('input_too_long', `${place.path} was saved too often`);
  const kek = await place.ring.kekOfTenant(place.owner);
  const header: Header = {
    format: FORMAT,
    suite: SUITE,
    name: place.name,
    ringId: place.ring.ringId,
    kekId: kek.kekId,
    generation: state.generation,
  };
  const nonce = Buffer.from(place.random.bytes(XAES_NONCE_BYTES));
  const plaintext = Buffer.from(canonicalJson(state.content), 'utf8');
  const ciphertext = xaesEncrypt({ key: kek.key, nonce, aad: bindingOf(header) }, plaintext);
  plaintext.fill(0);
  const sealed = toBase64Url(Buffer.concat([nonce, ciphertext]));
  return Buffer.from(`${canonicalJson({ ...header, sealed })}\n`, 'utf8');
}

function readDocument(place: SealedDocumentPlace, bytes: Uint8Array): { generation: number; content: Json } {
  const { header, sealed } = parseDocument(place, bytes);
  const { ring } = place;
  if (header.ringId !== ring.ringId) {
    throw sealError('kek_unknown', `${place.path} belongs to key ring ${header.ringId}, this is ${ring.ringId}`);
  }
  const kek = ring.kek(header.kekId);
  if (kek.tenantId !== place.owner || header.name !== place.name) {
    throw sealError('ring_tampered', `${place.path} is not the document ${place.name}`);
  }
  const nonce = sealed.subarray(0, XAES_NONCE_BYTES);
  let plaintext: Buffer;
  try {
    plaintext = xaesDecrypt({ key: kek.key, nonce, aad: bindingOf(header) }, sealed.subarray(XAES_NONCE_BYTES));
  } catch (cause) {
    throw sealError('ring_tampered', `${place.path} was changed by something that does not hold the key ring`, cause);
  }
  const content = JSON.parse(plaintext.toString('utf8')) as Json; // authenticated: we wrote it
  plaintext.fill(0);
  return { generation: header.generation, content };
}

function parseDocument(place: SealedDocumentPlace, bytes: Uint8Array): { header: Header; sealed: Buffer } {
  const corrupt = (what: string, cause?: unknown) =>
    sealError('ring_corrupt', `${place.path} ${what}; its previous generation stands beside it`, cause);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw corrupt('is not JSON', cause);
  }
  const { format, suite, name, ringId, kekId, generation, sealed } = Object(value) as Record<string, unknown>;
  if (format !== FORMAT) throw corrupt('is not a sealed document');
  if (suite !== SUITE)
    throw sealError('suite_unknown', `${place.path}: suite ${String(suite)} is unknown to this build`);
  const isWhole = typeof name === 'string' && isUuid(ringId) && isUuid(kekId) && isGeneration(generation);
  const body = typeof sealed === 'string' ? fromBase64Url(sealed) : undefined;
  if (!isWhole || body === undefined) throw corrupt('lacks a part');
  return { header: { format: FORMAT, suite: SUITE, name, ringId, kekId, generation }, sealed: Buffer.from(body) };
}

function bindingOf(header: Header): Buffer {
  return lengthPrefixed(
    Buffer.from('auditrax/sealed-document/v1'),
    Buffer.from(header.name, 'utf8'),
    uuidBytes(header.ringId, 'the ring id'),
    uuidBytes(header.kekId, 'the key id'),
    uint32(header.generation),
  );
}

function isUuid(value: unknown): value is Uuid {
  return typeof value === 'string' && parseUuid(value) !== undefined;
}

function isGeneration(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= GENERATION_MAX;
}
