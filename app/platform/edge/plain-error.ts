import { REQUEST_ID_HEADER } from '../http/headers.ts';
import type { Exchange } from './exchange.ts';

interface Words {
  readonly title: string;
  readonly lead: string;
}

const REFUSED: Words = {
  title: 'You could not be signed in',
  lead: 'Start again from the sign-in page. If it happens again, give the reference below to your administrator, who sees what failed.',
};

/** By status alone: which check failed is for the administrators of the organisation, and for nobody who tries. */
const WORDS: Readonly<Record<number, Words>> = {
  403: {
    title: 'There is no access for you yet',
    lead: 'Your organisation’s sign-in knows you, and nobody has given you a place here. Ask your administrator, and give the reference below.',
  },
  404: { title: 'No such address', lead: 'The link may be mistyped, or belong to a sign-in that is no longer in use.' },
  409: {
    title: 'This took too long, or was used before',
    lead: 'A sign-in has ten minutes, works once, and only in the browser that began it. Start again from the sign-in page.',
  },
  429: { title: 'Too many attempts', lead: 'Wait a minute, then start again from the sign-in page.' },
  502: {
    title: 'Your organisation’s sign-in does not answer',
    lead: 'Try again in a moment. If it happens again, give the reference below to your administrator.',
  },
  503: { title: 'Not available at the moment', lead: 'Try again in a moment.' },
};

/** The page of an error, by its status; the request's id is the only thing in it that is not fixed. */
function plainErrorPage(status: number, requestId: string): string {
  const { title, lead } = WORDS[status] ?? REFUSED;
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>${title}</title>
    <link rel="icon" href="/app/mark.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="/app/public.css" />
  </head>
  <body class="public">
    <main id="main" class="page">
      <h1>${title}</h1>
      <p class="lead">${lead}</p>
      <p>Reference: <code>${requestId}</code></p>
      <p><a href="/app/sign-in">Sign-in page</a></p>
    </main>
  </body>
</html>
`;
}

/** Answers a person whom a redirect or a form brought here, unless an answer has begun. */
export function sendPlainError(exchange: Exchange, status: number, more: readonly string[] = []): void {
  const { response, headers, requestId } = exchange;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const page = plainErrorPage(status, requestId);
  response.writeHead(status, [
    ...headers.page,
    'content-type',
    'text/html; charset=utf-8',
    'cache-control',
    'no-store',
    'content-length',
    String(Buffer.byteLength(page)),
    REQUEST_ID_HEADER,
    requestId,
    ...more,
  ]);
  response.end(exchange.method === 'HEAD' ? undefined : page);
}
