import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

/** Below this a compressed body saves no packet. */
const GZIP_BYTES_MIN = 1400;
const COMPRESSIBLE =
  /^(?:text\/|application\/(?:json|javascript|atom\+xml|oscal\+json|manifest\+json)|image\/svg\+xml)/;

/** Bytes kept in memory, ready to be sent. */
export interface Asset {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly etag: string;
  /** Made when first asked for. */
  gzip: Buffer | undefined;
}

export function makeAsset(bytes: Buffer, mediaType: string): Asset {
  return {
    bytes,
    mediaType,
    etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"`,
    gzip: undefined,
  };
}

export interface AssetReply {
  readonly asset: Asset;
  /** Raw list: security headers, cache control and the request id. */
  readonly headers: readonly string[];
}

/** Answers GET and HEAD, conditional and compressed where asked. */
export function sendAsset(request: IncomingMessage, response: ServerResponse, { asset, headers }: AssetReply): void {
  const common = [...headers, 'etag', asset.etag, 'vary', 'accept-encoding'];
  if (request.headers['if-none-match'] === asset.etag) {
    response.writeHead(304, common);
    response.end();
    return;
  }
  const compress =
    asset.bytes.length >= GZIP_BYTES_MIN &&
    COMPRESSIBLE.test(asset.mediaType) &&
    /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
  const body = compress ? (asset.gzip ??= gzipSync(asset.bytes)) : asset.bytes;
  response.writeHead(200, [
    ...common,
    'content-type',
    asset.mediaType,
    'content-length',
    String(body.length),
    ...(compress ? ['content-encoding', 'gzip'] : []),
  ]);
  response.end(request.method === 'HEAD' ? undefined : body);
}
