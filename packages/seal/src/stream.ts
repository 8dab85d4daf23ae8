import {
  CHUNK_BYTES,
  CHUNKED_PREFIX_BYTES,
  deriveMessageKeys,
  openChunk,
  openMessageKeys,
  SEALED_CHUNK_BYTES,
  sealChunk,
} from './chunked.ts';
import { sealError } from './errors.ts';

export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Encrypts a stream of any length as one chunked message. Yields the 56-byte prefix, then each sealed chunk and its tag;
 * holds one chunk of input at a time and reads on only when the consumer asks, so back-pressure reaches the sender.
 *
 * `salt` must never have been used with `key` before: the caller takes 24 fresh random bytes for every attempt, also for
 * a retry, because other bytes under the same salt would repeat nonces. Throws `key_length`, `nonce_length`.
 */
export async function* encryptStream(
  input: { key: Uint8Array; salt: Uint8Array; context: Uint8Array },
  source: ByteSource,
): AsyncGenerator<Buffer, void, undefined> {
  const keys = deriveMessageKeys(input);
  try {
    yield Buffer.concat([input.salt, keys.commitment]);
    let index = 0;
    const rest = yield* regroup(source, CHUNK_BYTES, (chunk) => sealChunk(keys, index++, chunk));
    yield* sealChunk(keys, index, rest);
  } finally {
    keys.key.fill(0);
  }
}

/**
 * Decrypts one chunked message. Each yielded buffer has been authenticated; a consumer that is told `truncated` or
 * `authentication_failed` later has seen a true prefix of the message and nothing else. The message is only whole when
 * the generator ends without throwing. A buffer of the source may be used again once the next one is asked for. Throws
 * `commitment_mismatch` before the first chunk, `key_length`.
 */
export async function* decryptStream(
  input: { key: Uint8Array; context: Uint8Array },
  source: ByteSource,
): AsyncGenerator<Buffer, void, undefined> {
  const reader = iterate(source);
  try {
    const { head, rest } = await readExactly(reader, CHUNKED_PREFIX_BYTES);
    const keys = openMessageKeys(input, head);
    try {
      let index = 0;
      const remaining = prepend(rest, reader);
      const tail = yield* regroup(remaining, SEALED_CHUNK_BYTES, (chunk) => [openChunk(keys, index++, chunk)]);
      // A message that ends on a chunk boundary has lost its short final chunk: the tail is empty and has no tag.
      yield openChunk(keys, index, tail);
    } finally {
      keys.key.fill(0);
    }
  } finally {
    await reader.return?.();
  }
}

/** Cuts a stream into pieces of exactly `size_bytes`, yields what each maps to, and returns the shorter remainder. */
async function* regroup(
  source: ByteSource,
  size_bytes: number,
  map: (piece: Uint8Array) => readonly Buffer[],
): AsyncGenerator<Buffer, Buffer, undefined> {
  let held: Buffer = Buffer.allocUnsafe(size_bytes);
  let heldBytes = 0;
  for await (const bytes of source) {
    let offset = 0;
    while (offset < bytes.length) {
      if (heldBytes === 0 && bytes.length - offset >= size_bytes) {
        yield* map(bytes.subarray(offset, offset + size_bytes));
        offset += size_bytes;
        continue;
      }
      const taken = Math.min(size_bytes - heldBytes, bytes.length - offset);
      held.set(bytes.subarray(offset, offset + taken), heldBytes);
      heldBytes += taken;
      offset += taken;
      if (heldBytes === size_bytes) {
        yield* map(held);
        heldBytes = 0;
      }
    }
  }
  held = held.subarray(0, heldBytes);
  return held;
}

type Reader = AsyncIterator<Uint8Array> | Iterator<Uint8Array>;

function iterate(source: ByteSource): Reader {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

async function readExactly(reader: Reader, size_bytes: number): Promise<{ head: Buffer; rest: Buffer }> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < size_bytes) {
    const next = await reader.next();
    if (next.done === true) throw sealError('truncated', 'the message ends inside its prefix');
    pieces.push(next.value);
    length += next.value.length;
  }
  const all = Buffer.concat(pieces);
  return { head: all.subarray(0, size_bytes), rest: all.subarray(size_bytes) };
}

async function* prepend(first: Uint8Array, reader: Reader): AsyncGenerator<Uint8Array, void, undefined> {
  if (first.length > 0) yield first;
  for (let next = await reader.next(); next.done !== true; next = await reader.next()) yield next.value;
}
