import { html } from './html.ts';
import type { Html } from './html.ts';
import type { PageModel } from './model.ts';

/** Stylesheet that the browser build puts beside the app. Public pages carry no script and no style of their own. */
const STYLESHEET = '/app/public.css';

/** `2026-11-22 19:31:07 UTC`. Published pages say instants, never "ago": they are read later than they were written. */
export function utc(at_ms: number): string {
  return `${new Date(at_ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** An instant with its machine-readable form. `clockOnly` leaves the day out, for a column of times. */
export function instant(at_ms: number, options: { clockOnly?: boolean; className?: string } = {}): Html {
  const text = options.clockOnly === true ? utc(at_ms).slice(11) : utc(at_ms);
  const iso = new Date(at_ms).toISOString();
  return options.className === undefined
    ? html`<time datetime="${iso}">${text}</time>`
    : html`<time class="${options.className}" datetime="${iso}" title="${utc(at_ms)}">${text}</time>`;
}

/** Marks the place where the gateway says that a revision has outlived its validity. */
export function validity(model: PageModel): Html {
  return html`<p class="validity">
    Made ${instant(model.generatedAt_ms)}, valid until ${instant(model.validUntil_ms)}
  </p>`;
}

export interface Frame {
  readonly path: '/security' | '/sub-processors' | '/disclosure' | `/security/claims/${string}`;
  readonly title: string;
  readonly description: string;
  readonly alternates?: readonly { readonly href: string; readonly type: string; readonly title: string }[];
  readonly main: Html;
}

const NAVIGATION = [
  { href: '/security', text: 'Security' },
  { href: '/sub-processors', text: 'Sub-processors' },
  { href: '/disclosure', text: 'Report a vulnerability' },
] as const;

function navigation(path: string): Html {
  return html`<nav class="site-nav" aria-label="Site">
    ${NAVIGATION.map(({ href, text }) =>
      path === href ? html`<a href="${href}" aria-current="page">${text}</a>` : html`<a href="${href}">${text}</a>`,
    )}<a href="/app/">Sign in</a>
  </nav>`;
}

/** The whole document around a page's main part. */
export function framed(model: PageModel, frame: Frame): string {
  const { organisation } = model.conditions;
  const page = html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>${frame.title} · ${organisation.name}</title>
      <meta name="description" content="${frame.description}" />
      <link rel="icon" href="/app/mark.svg" type="image/svg+xml" />
      <link rel="stylesheet" href="${STYLESHEET}" />
      ${(frame.alternates ?? []).map((one) => html`<link rel="alternate" type="${one.type}" title="${one.title}" href="${one.href}" /> `)}
    </head>
    <body class="public">
      <a class="skip" href="#main">Skip to content</a>
      <header class="site-head">
        <div class="site-head__in">
          <a class="brand" href="/security"
            ><img
              class="brand__mark"
              src="/app/mark.svg"
              alt=""
              width="20"
              height="20"
            />${organisation.name}${organisation.label !== undefined && html` <span class="brand__org">${organisation.label}</span>`}</a
          >
          ${navigation(frame.path)}
        </div>
      </header>
      <main id="main" class="page">
        <div class="crumbs">${validity(model)}</div>
        ${frame.main}
      </main>
      <footer class="site-foot">
        <div class="site-foot__in">
          <p>Revision ${model.revision} · <span class="hash">${model.digest}</span></p>
          <p>
            Report a fault: <a href="${`mailto:${organisation.securityMailbox}`}">${organisation.securityMailbox}</a> ·
            <a href="/.well-known/security.txt">security.txt</a>
          </p>
        </div>
      </footer>
    </body>
  </html>`;
  return `<!doctype html>\n${page.markup}\n`;
}
