import { REQUEST_ID_HEADER } from '../http/headers.ts';
import type { Finding } from '../http/readiness.ts';
import { sendAsset } from './assets.ts';
import { type Exchange, sendNotFound } from './exchange.ts';
import type { PublishedPages } from './published.ts';
import type { StaticFiles } from './static-files.ts';

export interface PageParts {
  readonly app: StaticFiles;
  readonly published: PublishedPages;
  readonly findings: () => Promise<readonly Finding[]>;
}

const START = '/security';
/** Readers poll the page; a minute old is fresh enough for all but the publisher. */
const PUBLISHED_CACHE = 'public, max-age=60';

/** Everything that is not the API: the app, the published pages, health. Reading only; the rest does not exist. */
export function handlePage(parts: PageParts, exchange: Exchange): void {
  const { method, path, headers, request, response, requestId } = exchange;
  if (method !== 'GET' && method !== 'HEAD') return sendNotFound(exchange);
  if (path === '/') return redirect(exchange, START);
  if (path === '/app') return redirect(exchange, '/app/');
  if (path === '/healthz') return sendStatus(exchange, 200, 'ok');
  if (path === '/readyz') {
    parts.findings().then(
      (findings) =>
        findings.every((finding) => finding.ok)
          ? sendStatus(exchange, 200, 'ready')
          : sendStatus(exchange, 503, 'not-ready'),
      () => sendStatus(exchange, 503, 'not-ready'),
    );
    return;
  }
  if (path.startsWith('/app/')) {
    const file = parts.app.lookup(path);
    if (file === undefined) return sendNotFound(exchange);
    const cache = file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache';
    return sendAsset(request, response, {
      asset: file.asset,
      headers: [...headers.app, 'cache-control', cache, REQUEST_ID_HEADER, requestId],
    });
  }
  const page = parts.published.lookup(path);
  if (page === undefined) return sendMissingPage(exchange);
  const state = page.stale ? 'stale' : 'current';
  return sendAsset(request, response, {
    asset: page.asset,
    headers: [
      ...headers.page,
      'cache-control',
      page.stale ? 'no-cache' : PUBLISHED_CACHE,
      'x-auditrax-state',
      state,
      REQUEST_ID_HEADER,
      requestId,
    ],
  });
}

const MISSING_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>No such page</title>
    <link rel="icon" href="/app/mark.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="/app/public.css" />
  </head>
  <body class="public">
    <main id="main" class="page">
      <h1>No such page</h1>
      <p class="lead">The address may be mistyped, or the page has not been published yet: after a start that takes some seconds.</p>
      <p><a href="/security">Security page</a> · <a href="/app/">Workspace</a></p>
    </main>
  </body>
</html>
`;

/** A person who follows a stale link gets a page to read; programs get the problem that every other path has. */
function sendMissingPage(exchange: Exchange): void {
  const { request, response, headers, method, requestId } = exchange;
  if (!/\btext\/html\b/.test(request.headers.accept ?? '')) return sendNotFound(exchange);
  response.writeHead(404, [
    ...headers.page,
    'content-type',
    'text/html; charset=utf-8',
    'cache-control',
    'no-store',
    'content-length',
    String(Buffer.byteLength(MISSING_PAGE)),
    REQUEST_ID_HEADER,
    requestId,
  ]);
  response.end(method === 'HEAD' ? undefined : MISSING_PAGE);
}

function redirect({ headers, response, requestId }: Exchange, to: string): void {
  response.writeHead(302, [...headers.page, 'location', to, 'content-length', '0', REQUEST_ID_HEADER, requestId]);
  response.end();
}

/** One word for the public; the findings behind it are told inside only. */
function sendStatus({ headers, method, response, requestId }: Exchange, status: number, word: string): void {
  const body = JSON.stringify({ status: word });
  response.writeHead(status, [
    ...headers.api,
    'content-type',
    'application/json',
    'content-length',
    String(body.length),
    REQUEST_ID_HEADER,
    requestId,
  ]);
  response.end(method === 'HEAD' ? undefined : body);
}
