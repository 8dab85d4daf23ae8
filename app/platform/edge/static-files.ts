import { readFileSync, readdirSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { AppError } from '@auditrax/base';
import { type Asset, makeAsset } from './assets.ts';
import type { EdgeCode } from './errors.ts';

/** The whole browser part is a few megabytes; a folder beyond this is the wrong folder. */
const STATIC_BYTES_MAX = 64 * 1024 * 1024;
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'application/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
};

export interface StaticFiles {
  /** The file at `/app/…`; the start page for paths that the app itself resolves; undefined for a missing file. */
  lookup(path: string): { readonly asset: Asset; readonly immutable: boolean } | undefined;
}

/**
 * Reads the browser part into memory, so that no request's path ever reaches the disk. Files of kinds that are not
 * listed (source maps) are left out. Throws `static_missing` without a start page.
 */
export function loadStaticFiles(folder: string): StaticFiles {
  const files = new Map<string, Asset>();
  let bytes = 0;
  for (const name of listFiles(folder)) {
    const mediaType = MEDIA_TYPES[extname(name)];
    if (mediaType === undefined) continue;
    const content = readFileSync(join(folder, name));
    bytes += content.length;
    if (bytes > STATIC_BYTES_MAX)
      throw new AppError<EdgeCode>('static_missing', `${folder} is too large to be the browser part`);
    files.set(`/app/${relative('', name).split(sep).join('/')}`, makeAsset(content, mediaType));
  }
  const start = files.get('/app/index.html');
  if (start === undefined)
    throw new AppError<EdgeCode>('static_missing', `no index.html in ${folder}: build the browser part first`);
  return {
    lookup(path) {
      const file = files.get(path);
      if (file !== undefined) return { asset: file, immutable: path.startsWith('/app/assets/') };
      const last = path.slice(path.lastIndexOf('/') + 1);
      // A missing script must not be answered with a page: an old tab would cache it under the script's name.
      if (path.startsWith('/app/assets/') || last.includes('.')) return undefined;
      return { asset: start, immutable: false };
    },
  };
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  } catch (error) {
    throw new AppError<EdgeCode>('static_missing', `the browser part is not in ${folder}: build it first`, {
      cause: error,
    });
  }
}
