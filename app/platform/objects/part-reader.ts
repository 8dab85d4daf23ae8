import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Uuid } from '@auditrax/base';
import {
  checkPartHeader,
  CHUNKED_PREFIX_BYTES,
  MessageOpener,
  PART_HEADER_BYTES,
  partContext,
  SALT_BYTES,
  SEALED_CHUNK_BYTES,
  sealedPartBytes,
} from '@auditrax/seal';
import type { PartHeader, SealErrorCode } from '@auditrax/seal';
import { AppError } from '@auditrax/base';
import { TransferBuffers } from './transfer-buffers.ts';

/**
 * One read of the disk, whole chunks. What goes out is freed by the next young collection, which counts objects and not
 * their bytes: with pieces of 256 KiB a long download was measured to keep 76 MiB waiting.
 */
const READ_CHUNKS = 4;
const BODY_AT = PART_HEADER_BYTES + CHUNKED_PREFIX_BYTES;
const sealedReads = new TransferBuffers({ size_bytes: READ_CHUNKS * SEALED_CHUNK_BYTES, kept: 4 });
const openedReads = new TransferBuffers({ size_bytes: READ_CHUNKS * SEALED_CHUNK_BYTES, kept: 4 });

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
export function readPart(source: PartSource): AsyncGenerator<Buffer, PartFacts, undefined> {
  return read(source, (length_bytes) => Buffer.allocUnsafeSlow(length_bytes));
}

/** Reads a part like `readPart` and hands each piece to `use`, which must be done with it when it returns. */
export async function measurePart(source: PartSource, use: (piece: Buffer) => void): Promise<PartFacts> {
  const output = openedReads.take();
  try {
    const reader = read(source, () => output);
    let step = await reader.next();
    for (; step.done !== true; step = await reader.next()) use(step.value);
    return step.value;
  } finally {
    output.fill(0);
    openedReads.give(output);
  }
}

async function* read(
  source: PartSource,
  room: (length_bytes: number) => Buffer,
): AsyncGenerator<Buffer, PartFacts, undefined> {
  const { path, header } = source;
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw mismatch('truncated', `part ${header.partIndex} of object ${header.objectId} is not there`, cause);
  });
  const buffer = sealedReads.take();
  try {
    const { size } = await file.stat();
    if (size !== sealedPartBytes(header.size_bytes)) {
      throw mismatch('truncated', `part ${header.partIndex} of object ${header.objectId} has ${size} bytes on disk`);
    }
    const head = await readAt(file, 0, Buffer.alloc(BODY_AT));
    const { opener, salt } = begin(source, head);
    const hash = createHash('sha256').update(head);
    try {
      for (let position = BODY_AT; position < size;) {
        const sealed = await readAt(file, position, buffer.subarray(0, Math.min(buffer.length, size - position)));
        hash.update(sealed);
        position += sealed.length;
        yield openRead(opener, { sealed, output: room(sealed.length), isEnd: position === size });
      }
    } finally {
      opener.destroy();
    }
    return { salt, sealedSha256: hash.digest() };
  } finally {
    sealedReads.give(buffer);
    await file.close();
  }
}

/** Header, recorded salt and commitment, before anything is opened. */
function begin(source: PartSource, head: Buffer): { opener: MessageOpener; salt: Buffer } {
  const { header, owner, key } = source;
  checkPartHeader(head, header);
  const prefix = head.subarray(PART_HEADER_BYTES);
  const salt = prefix.subarray(0, SALT_BYTES);
  if (source.salt !== undefined && !salt.equals(source.salt)) {
    throw mismatch(
      'part_mismatch',
      `part ${header.partIndex} of object ${header.objectId} is another attempt than the recorded one`,
    );
  }
  return { opener: new MessageOpener({ key, context: partContext(header, owner), prefix }), salt };
}

/** Whole chunks, and at the end of the part the short one: what opens is never longer than what was sealed. */
function openRead(
  opener: MessageOpener,
  { sealed, output, isEnd }: { sealed: Buffer; output: Buffer; isEnd: boolean },
): Buffer {
  let filled = 0;
  for (let at = 0; at < sealed.length;) {
    const { read, written } = opener.update(sealed.subarray(at), output.subarray(filled));
    at += read;
    filled += written;
  }
  if (isEnd) filled += opener.finish(output.subarray(filled));
  return output.subarray(0, filled);
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
