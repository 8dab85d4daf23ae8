import {
  CHUNK_BYTES,
  CHUNKED_PREFIX_BYTES,
  openChunk,
  openedMessageBytes,
  openMessageKeys,
  SEALED_CHUNK_BYTES,
} from './chunked.ts';
import type { MessageKeys } from './chunked.ts';
import { sealError } from './errors.ts';

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
  input: { key: Uint8Array; context: Uint8Array },
  message: SealedMessage,
  range: { start: number; end: number },
): AsyncGenerator<Buffer, void, undefined> {
  const length_bytes = openedMessageBytes(message.size_bytes);
  const keys = openMessageKeys(input, await message.read(0, CHUNKED_PREFIX_BYTES));
  try {
    const lastIndex = Math.floor(length_bytes / CHUNK_BYTES);
    await readChunk(keys, message, lastIndex);
    if (range.start < 0 || range.end < range.start || range.end > length_bytes) {
      throw sealError(
        'input_too_long',
        `the range ${range.start}..${range.end} is outside a message of ${length_bytes} bytes`,
      );
    }
    for (let position = range.start; position < range.end;) {
      const index = Math.floor(position / CHUNK_BYTES);
      const chunk = await readChunk(keys, message, index);
      const from = position - index * CHUNK_BYTES;
      const piece = chunk.subarray(from, Math.min(chunk.length, range.end - index * CHUNK_BYTES));
      yield piece;
      position += piece.length;
    }
  } finally {
    keys.key.fill(0);
  }
}

async function readChunk(keys: MessageKeys, message: SealedMessage, index: number): Promise<Buffer> {
  const offset = CHUNKED_PREFIX_BYTES + index * SEALED_CHUNK_BYTES;
  const sealed = await message.read(offset, Math.min(SEALED_CHUNK_BYTES, message.size_bytes - offset));
  return openChunk(keys, index, sealed);
}
