import { createHash } from 'node:crypto';
import { canonicalJson } from '@auditrax/base';

/** Separates this use of the page-signing key from every other. */
const CONTEXT = 'auditrax-publication-v1\n';

export interface PublishedFileContent {
  readonly path: string;
  readonly mediaType: string;
  readonly content: string;
  readonly encoding?: 'base64' | undefined;
}

export interface Publication {
  readonly revision: number;
  /** Milliseconds since the Unix epoch. */
  readonly validUntil: number;
  readonly files: readonly PublishedFileContent[];
}

/** The bytes of a published file. */
export function publishedBytes(file: PublishedFileContent): Buffer {
  return Buffer.from(file.content, file.encoding === 'base64' ? 'base64' : 'utf8');
}

/**
 * What the publisher signs (Ed25519) and the gateway verifies: revision, validity, and path, media type and SHA-256 of
 * each file in the order given, as canonical JSON after a context line.
 */
export function publishedMessage(publication: Publication): Uint8Array {
  const files = publication.files.map((file) => ({
    path: file.path,
    mediaType: file.mediaType,
    sha256: createHash('sha256').update(publishedBytes(file)).digest('hex'),
  }));
  return Buffer.from(
    CONTEXT + canonicalJson({ revision: publication.revision, validUntil: publication.validUntil, files }),
  );
}
