import { openChunks, openedMessageBytes, openMessageKeys } from './chunked.ts';
import { currentEngine } from './engine-choice.ts';
import type { ChunkKey, SealEngine } from './engine.ts';
import { sealError } from './errors.ts';
import { TAG_BYTES } from './gcm.ts';
import { CHUNK_BYTES, CHUNKED_PREFIX_BYTES, SEALED_CHUNK_BYTES } from './sizes.ts';
import { notAuthentic } from './xaes.ts';

/** A sealed message that can be read anywhere. `read` returns exactly `length_bytes` from `offset`. */
export interface SealedMessage {
  readonly size_bytes: number;
  read(offset: number, length_bytes: number): Promise<Uint8Array>;
}

/**
 * Random access: yields the authenticated plaintext from `start` up to `end` (exclusive), chunk by chunk. The commitment
 * and the final chunk are checked first, so the length that positions refer to is the true one. Throws `truncated`,
 * `commitment_mismatch`, `authentication_failed`, `input_too_long` (a range outside the message).
 */
export async function* decryptRange(
  input: { key: Uint8Array; context: Uint8Array; engine?: SealEngine },
  message: SealedMessage,
  range: { start: number; end: number },
): AsyncGenerator<Buffer, void, undefined> {
  const length_bytes = openedMessageBytes(message.size_bytes);
  const { key: secret, baseNonce } = openMessageKeys(input, await message.read(0, CHUNKED_PREFIX_BYTES));
  const key = (input.engine ?? currentEngine()).chunkKey({ key: secret, baseNonce, seals: false });
  secret.fill(0);
  try {
    const lastIndex = Math.floor(length_bytes / CHUNK_BYTES);
    await readChunk(key, message, lastIndex);
    if (range.start < 0 || range.end < range.start || range.end > length_bytes) {
      throw sealError(
        'input_too_long',
        `the range ${range.start}..${range.end} is outside a message of ${length_bytes} bytes`,
      );
    }
    for (let position = range.start; position < range.end;) {
      const index = Math.floor(position / CHUNK_BYTES);
      const chunk = await readChunk(key, message, index);
      const from = position - index * CHUNK_BYTES;
      const piece = chunk.subarray(from, Math.min(chunk.length, range.end - index * CHUNK_BYTES));
      yield piece;
      position += piece.length;
    }
  } finally {
    key.destroy();
  }
}

async function readChunk(key: ChunkKey, message: SealedMessage, index: number): Promise<Buffer> {
  const offset = CHUNKED_PREFIX_BYTES + index * SEALED_CHUNK_BYTES;
  const input = await message.read(offset, Math.min(SEALED_CHUNK_BYTES, message.size_bytes - offset));
  if (input.length < TAG_BYTES) throw sealError('truncated', 'the message became shorter while it was read');
  const output = Buffer.allocUnsafe(input.length - TAG_BYTES);
  const isEnd = input.length < SEALED_CHUNK_BYTES;
  if (openChunks(key, { firstIndex: index, isEnd, input, output }) !== 1) throw notAuthentic();
  return output;
}
