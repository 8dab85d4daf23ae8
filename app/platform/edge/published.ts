import { type KeyObject, verify } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, fromBase64Url, type Clock } from '@auditrax/base';
import type { z } from 'zod';
import { bindRoutes, type RoomRoutes } from '../http/handler.ts';
import type { Finding } from '../http/readiness.ts';
import type { Log } from '../http/request-log.ts';
import { type Asset, makeAsset } from './assets.ts';
import type { EdgeCode } from './errors.ts';
import { publishedBody, publishedRoutes } from './published-contract.ts';
import { publishedBytes, publishedMessage } from './published-signature.ts';

type PublishedBody = z.output<typeof publishedBody>;

/** Paths that the edge answers itself; a publication must not hide them. */
const RESERVED = /^\/(?:api|app|internal|healthz|readyz)(?:\/|$)/;
const VALIDITY = /<p class="validity"[^>]*>[\s\S]*?<\/p>/;

export interface PublishedPages {
  /** The file at `path`, as current or as stale. */
  lookup(path: string): { readonly asset: Asset; readonly stale: boolean; readonly html: boolean } | undefined;
  /** Replaces everything at once. Throws `publication_refused`; what was served before goes on being served then. */
  replace(body: PublishedBody): Promise<void>;
  finding(): Finding;
  /** The internal route by which the publisher hands over a revision. */
  readonly routes: RoomRoutes;
}

export interface PublishedOptions {
  /** The gateway's own state folder. */
  readonly folder: string;
  readonly signingKey: KeyObject;
  readonly clock: Clock;
  readonly log: Log;
}

interface Served {
  readonly revision: number;
  readonly validUntil: number;
  readonly current: ReadonlyMap<string, Asset>;
  /** Made when first needed. */
  stale: ReadonlyMap<string, Asset> | undefined;
}

/**
 * The pages that somebody else made and signed: kept in memory, and on disk for the next start, where the signature is
 * checked again. The gateway cannot make one, and past their validity it says so by itself.
 */
export function openPublishedPages(options: PublishedOptions): PublishedPages {
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const file = join(options.folder, 'published.json');
  let served = restore(file, options);
  let writing: Promise<void> = Promise.resolve();
  const accept = async (body: PublishedBody) => {
    const next = check(body, options);
    if (served !== undefined && body.revision <= served.revision)
      throw refused(`revision ${body.revision} is not newer than ${served.revision}`);
    if (body.validUntil <= options.clock.nowMs()) throw refused('its validity has ended already');
    await store(file, JSON.stringify(body));
    served = next;
  };
  const replace = (body: PublishedBody) => {
    const done = writing.then(() => accept(body));
    writing = done.catch(() => undefined); // a refused one must not block the next
    return done;
  };
  return {
    lookup(path) {
      if (served === undefined) return undefined;
      const stale = options.clock.nowMs() >= served.validUntil;
      if (stale) served.stale ??= staleFiles(served);
      const asset = (stale ? served.stale! : served.current).get(path);
      return asset === undefined ? undefined : { asset, stale, html: asset.mediaType.startsWith('text/html') };
    },
    replace,
    finding: () => ({
      check: 'published-pages',
      // Stale pages do not make the gateway unready: they say so themselves, and must stay readable when their maker is down.
      ok: served !== undefined,
      detail:
        served === undefined
          ? 'none yet'
          : `revision ${served.revision}, valid until ${new Date(served.validUntil).toISOString()}`,
    }),
    routes: bindRoutes(publishedRoutes, {
      replace: async (call) => {
        await replace(call.body);
        return { status: 200, body: { revision: call.body.revision, files: call.body.files.length } };
      },
    }),
  };
}

function refused(why: string): AppError<EdgeCode> {
  return new AppError('publication_refused', `publication refused: ${why}`, { publicDetail: why });
}

/** Signature first: nothing of an unsigned publication is looked at. */
function check(body: PublishedBody, options: PublishedOptions): Served {
  const signature = fromBase64Url(body.signature);
  if (signature === undefined || !verify(null, publishedMessage(body), options.signingKey, signature))
    throw refused('the signature does not verify');
  const current = new Map<string, Asset>();
  for (const file of body.files) {
    if (RESERVED.test(file.path)) throw refused(`${file.path} belongs to the edge`);
    if (file.path.split('/').some((segment) => segment === '.' || segment === '..'))
      throw refused(`${file.path} is no plain path`);
    if (current.has(file.path)) throw refused(`${file.path} occurs twice`);
    if (file.mediaType.startsWith('text/html') && !VALIDITY.test(file.content))
      throw refused(`${file.path} has no place for its validity`);
    current.set(file.path, makeAsset(publishedBytes(file), file.mediaType));
  }
  return { revision: body.revision, validUntil: body.validUntil, current, stale: undefined };
}

function staleFiles(served: Served): Map<string, Asset> {
  const until = new Date(served.validUntil).toISOString();
  const stale = new Map<string, Asset>();
  for (const [path, asset] of served.current) stale.set(path, staleFile(path, asset, { until, served }));
  return stale;
}

function staleFile(path: string, asset: Asset, { until, served }: { until: string; served: Served }): Asset {
  if (asset.mediaType.startsWith('text/html')) {
    const banner = `<p class="validity validity-stale" role="alert"><strong>Out of date.</strong> What stands here was valid until <time datetime="${until}">${until.slice(0, 19).replace('T', ' ')} UTC</time>. Nobody has confirmed it since.</p>`;
    return makeAsset(Buffer.from(asset.bytes.toString('utf8').replace(VALIDITY, () => banner)), asset.mediaType);
  }
  // A file with a signature of its own beside it stays as signed; the header still says that it is stale.
  if (asset.mediaType === 'application/json' && !served.current.has(path.replace(/\.json$/, '.sig'))) {
    const value: unknown = JSON.parse(asset.bytes.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return makeAsset(Buffer.from(JSON.stringify({ ...value, state: 'stale' })), asset.mediaType);
    }
  }
  return asset;
}

function restore(file: string, options: PublishedOptions): Served | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return check(publishedBody.parse(JSON.parse(text)), options);
  } catch (error) {
    // Somebody changed it on disk, or the page key is another: not served, and the publisher sends the next one soon.
    options.log.error('publication-damaged', { error });
    return undefined;
  }
}

/** Whole or not at all, also when the power fails in between. */
async function store(file: string, text: string): Promise<void> {
  const handle = await open(`${file}.new`, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
}
