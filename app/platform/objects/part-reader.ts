import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Uuid } from '@auditrax/base';
import {
  checkPartHeader,
  decryptStream,
  PART_HEADER_BYTES,
  partContext,
  SALT_BYTES,
  sealedPartBytes,
} from '@auditrax/seal';
import type { PartHeader, SealErrorCode } from '@auditrax/seal';
import { AppError } from '@auditrax/base';

/** One read of the disk. Small against the 64 MiB that a transfer may cost, large against a seek. */
const READ_BYTES = 256 * 1024;

export interface PartSource {
  readonly path: string;
  /** What the part must say of itself. */
  readonly header: PartHeader;
  readonly owner: { readonly tenantId: Uuid; readonly rowId: Uuid };
  readonly key: Uint8Array;
  /** The salt on record, when there is one: an older, equally genuine attempt at this part is not the recorded one. */
  readonly salt?: Uint8Array;
}

/** Facts about the sealed bytes of a part, known once it has been read to its end. */
export interface PartFacts {
  readonly salt: Uint8Array;
  /** SHA-256 of the whole file. */
  readonly sealedSha256: Buffer;
}

/**
 * Yields the plaintext of a part; each piece has been authenticated. Header, length, recorded salt and commitment are
 * checked before the first piece. Throws `part_mismatch`, `truncated`, `commitment_mismatch`, `authentication_failed`.
 */
export async function* readPart(source: PartSource): AsyncGenerator<Buffer, PartFacts, undefined> {
  const { path, header, owner, key } = source;
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw mismatch('truncated', `part ${header.partIndex} of object ${header.objectId} is not there`, cause);
  });
  try {
    const { size } = await file.stat();
    if (size !== sealedPartBytes(header.size_bytes)) {
      throw mismatch('truncated', `part ${header.partIndex} of object ${header.objectId} has ${size} bytes on disk`);
    }
    const head = await readAt(file, 0, Buffer.alloc(PART_HEADER_BYTES + SALT_BYTES));
    checkPartHeader(head, header);
    const salt = head.subarray(PART_HEADER_BYTES);
    if (source.salt !== undefined && !salt.equals(source.salt)) {
      throw mismatch(
        'part_mismatch',
        `part ${header.partIndex} of object ${header.objectId} is another attempt than the recorded one`,
      );
    }
    const hash = createHash('sha256').update(head.subarray(0, PART_HEADER_BYTES));
    yield* decryptStream({ key, context: partContext(header, owner) }, fileBody(file, size, hash));
    return { salt, sealedSha256: hash.digest() };
  } finally {
    await file.close();
  }
}

async function* fileBody(file: FileHandle, size_bytes: number, hash: Hash): AsyncGenerator<Buffer, void, undefined> {
  // One buffer for the whole part: a new one for each read would wait for the collector by the hundred.
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size_bytes));
  for (let position = PART_HEADER_BYTES; position < size_bytes;) {
    const bytes = await readAt(file, position, buffer.subarray(0, Math.min(buffer.length, size_bytes - position)));
    hash.update(bytes);
    yield bytes;
    position += bytes.length;
  }
}

async function readAt(file: FileHandle, position: number, buffer: Buffer): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) throw mismatch('truncated', 'the file became shorter while it was read');
    filled += bytesRead;
  }
  return buffer;
}

function mismatch(code: SealErrorCode, message: string, cause?: unknown): AppError<SealErrorCode> {
  return new AppError<SealErrorCode>(code, message, cause === undefined ? {} : { cause });
}
