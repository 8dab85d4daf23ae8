import type { SealEngine } from './engine.ts';
import { sealError } from './errors.ts';
import { MessageOpener, MessageSealer, OPENED_RUN_BYTES } from './message.ts';
import type { Progress } from './message.ts';
import { CHUNKED_PREFIX_BYTES, SEALED_CHUNK_BYTES } from './sizes.ts';

export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

interface StreamOptions {
  /**
   * Where the bytes are put, from the beginning, for each yield: what was yielded is valid only until the next one is
   * asked for. At least one sealed chunk long; `SEALED_RUN_BYTES` is best. Without it every yield is a buffer of its own.
   */
  readonly output?: Uint8Array;
  /** For comparing engines. */
  readonly engine?: SealEngine;
}

/**
 * Encrypts a stream of any length as one chunked message. Yields the 56-byte prefix, then sealed chunks as soon as they
 * are whole; holds less than one chunk of input and reads on only when the consumer asks, so back-pressure reaches the
 * sender. The event loop gets a turn after each MiB. A buffer of the source may be used again once the next one is asked
 * for.
 *
 * `salt` must never have been used with `key` before: the caller takes 24 fresh random bytes for every attempt, also for
 * a retry, because other bytes under the same salt would repeat nonces. Throws `key_length`, `nonce_length`.
 */
export async function* encryptStream(
  input: { key: Uint8Array; salt: Uint8Array; context: Uint8Array } & StreamOptions,
  source: ByteSource,
): AsyncGenerator<Buffer, void, undefined> {
  const sealer = new MessageSealer(input, input.engine);
  try {
    yield sealer.prefix;
    yield* transform(sealer, source, input.output);
  } finally {
    sealer.destroy();
  }
}

/**
 * Decrypts one chunked message. Each yielded buffer has been authenticated; a consumer that is told `truncated` or
 * `authentication_failed` later has seen a true prefix of the message and nothing else. The message is only whole when
 * the generator ends without throwing. A buffer of the source may be used again once the next one is asked for. Throws
 * `commitment_mismatch` before the first chunk, `key_length`.
 */
export async function* decryptStream(
  input: { key: Uint8Array; context: Uint8Array } & StreamOptions,
  source: ByteSource,
): AsyncGenerator<Buffer, void, undefined> {
  const reader = iterate(source);
  try {
    const { head, rest } = await readExactly(reader, CHUNKED_PREFIX_BYTES);
    const opener = new MessageOpener({ key: input.key, context: input.context, prefix: head }, input.engine);
    try {
      yield* transform(opener, prepend(rest, reader), input.output);
    } finally {
      opener.destroy();
    }
  } finally {
    await reader.return?.();
  }
}

interface Transformer {
  outputBytes(input_bytes: number): number;
  update(input: Uint8Array, output: Uint8Array): Progress;
  finish(output: Uint8Array): number;
}

async function* transform(
  transformer: Transformer,
  source: ByteSource,
  lent: Uint8Array | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const room = lent === undefined ? undefined : Buffer.from(lent.buffer, lent.byteOffset, lent.length);
  if (room !== undefined && room.length < SEALED_CHUNK_BYTES)
    throw new RangeError('an output buffer has room for one sealed chunk at least');
  let sinceTurn_bytes = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const rest = at === 0 ? piece : piece.subarray(at);
      const output = room ?? Buffer.allocUnsafe(transformer.outputBytes(rest.length));
      const { read, written } = transformer.update(rest, output);
      at += read;
      if (written > 0) yield output.subarray(0, written);
      sinceTurn_bytes += read;
      if (sinceTurn_bytes >= OPENED_RUN_BYTES) {
        // A source that always has bytes at hand would otherwise keep everybody else waiting to its end.
        await new Promise((resolve) => setImmediate(resolve));
        sinceTurn_bytes = 0;
      }
    }
  }
  const output = room ?? Buffer.allocUnsafe(SEALED_CHUNK_BYTES);
  yield output.subarray(0, transformer.finish(output));
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
    pieces.push(Buffer.from(next.value));
    length += next.value.length;
  }
  const all = Buffer.concat(pieces);
  return { head: all.subarray(0, size_bytes), rest: all.subarray(size_bytes) };
}

async function* prepend(first: Uint8Array, reader: Reader): AsyncGenerator<Uint8Array, void, undefined> {
  if (first.length > 0) yield first;
  for (let next = await reader.next(); next.done !== true; next = await reader.next()) yield next.value;
}
