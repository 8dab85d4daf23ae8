// What a browser does in a sign-in, without one: follows redirects, keeps cookies, fills in forms.

const REDIRECTS_MAX = 10;

export interface Page {
  readonly status: number;
  readonly url: string;
  readonly text: string;
}

export interface Form {
  readonly action: string;
  readonly fields: Readonly<Record<string, string>>;
}

function unescapeHtml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll(/&#0?39;|&apos;/g, "'")
    .replaceAll('&amp;', '&');
}

function attributeOf(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'i').exec(tag);
  return value === null ? undefined : unescapeHtml(value[1] ?? value[2] ?? '');
}

/** The first form of a page with its hidden and visible fields; undefined when there is none. */
export function formOf(page: Page): Form | undefined {
  const form = /<form[^>]*>[\s\S]*?<\/form>/i.exec(page.text)?.[0];
  if (form === undefined) return undefined;
  const fields: Record<string, string> = {};
  for (const [tag] of form.matchAll(/<input[^>]*>/gi)) {
    const name = attributeOf(tag, 'name');
    if (name !== undefined) fields[name] = attributeOf(tag, 'value') ?? '';
  }
  const action = attributeOf(/<form[^>]*>/i.exec(form)![0], 'action');
  return { action: new URL(action === undefined || action === '' ? page.url : action, page.url).href, fields };
}

/** One person's browser: a jar of cookies for one origin. */
export class HeadlessBrowser {
  readonly #cookies = new Map<string, string>();
  readonly #home: string | undefined;

  /** With `home`, a redirect to an address that begins so ends the way: nobody serves it. */
  constructor(home?: string) {
    this.#home = home;
  }

  async get(url: string): Promise<Page> {
    return await this.#follow(url, { method: 'GET' });
  }

  async submit({ action, fields }: Form): Promise<Page> {
    const body = new URLSearchParams(fields).toString();
    return await this.#follow(action, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  }

  async #follow(url: string, init: { method: string; body?: string; headers?: Record<string, string> }): Promise<Page> {
    let [at, next] = [url, init];
    for (let count = 0; count < REDIRECTS_MAX; count += 1) {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(at, {
        ...next,
        redirect: 'manual',
        headers: { ...next.headers, ...(cookie === '' ? {} : { cookie }) },
      });
      for (const line of response.headers.getSetCookie()) {
        const [pair] = line.split(';', 1);
        const equals = pair!.indexOf('=');
        this.#cookies.set(pair!.slice(0, equals), pair!.slice(equals + 1));
      }
      const location = response.headers.get('location');
      const text = await response.text();
      if (location === null) return { status: response.status, url: at, text };
      at = new URL(location, at).href;
      if (this.#home !== undefined && at.startsWith(this.#home)) return { status: response.status, url: at, text: '' };
      next = { method: 'GET' };
    }
    throw new Error(`more than ${REDIRECTS_MAX} redirects from ${url}`);
  }
}
