// What a browser does in a sign-in: keeps cookies by host and by their SameSite, follows redirects, fills in forms, and
// says from where a request was sent. One person each.
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';

const REDIRECTS_MAX = 12;

export interface Seen {
  readonly status: number;
  readonly url: string;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

interface Cookie {
  readonly value: string;
  readonly sameSite: string;
}

interface Step {
  readonly method: 'GET' | 'POST';
  readonly body?: string;
  readonly type?: string;
  /** The page that sends it; undefined: typed into the address line. */
  readonly from?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface BrowserNet {
  /** PEM of the authorities that it believes. */
  readonly ca: readonly string[];
  /** Where a public host really listens. */
  readonly ports: Readonly<Record<string, number>>;
}

export class TestBrowser {
  readonly cookies = new Map<string, Map<string, Cookie>>();
  readonly #net: BrowserNet;
  constructor(net: BrowserNet) {
    this.#net = net;
  }

  /** Goes to an address, and on until a page is there. `stopAt` ends before the first address that begins with it. */
  async go(url: string, options: { readonly from?: string; readonly stopAt?: string } = {}): Promise<Seen> {
    return this.#follow(url, { method: 'GET', from: options.from }, options.stopAt);
  }

  async submit(
    form: { readonly action: string; readonly fields: Readonly<Record<string, string>> },
    options: { readonly from: string; readonly stopAt?: string },
  ): Promise<Seen> {
    const body = new URLSearchParams(form.fields).toString();
    const type = 'application/x-www-form-urlencoded';
    return this.#follow(form.action, { method: 'POST', body, type, from: options.from }, options.stopAt);
  }

  /** What a page's own script asks its server; null: a change without a body. */
  async ask(url: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Seen> {
    const step = { from: url, headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', ...headers } } as const;
    if (body === undefined) return this.#send(url, { ...step, method: 'GET' }, false);
    if (body === null) return this.#send(url, { ...step, method: 'POST' }, false);
    return this.#send(url, { ...step, method: 'POST', body: JSON.stringify(body), type: 'application/json' }, false);
  }

  cookie(host: string, name: string): string | undefined {
    return this.cookies.get(host)?.get(name)?.value;
  }

  async #follow(url: string, first: Step, stopAt: string | undefined): Promise<Seen> {
    let [at, step] = [url, first];
    let cameFromElsewhere = false;
    for (let count = 0; count < REDIRECTS_MAX; count += 1) {
      cameFromElsewhere ||= step.from !== undefined && new URL(step.from).hostname !== new URL(at).hostname;
      const seen = await this.#send(at, step, cameFromElsewhere);
      const { location } = seen.headers;
      if (location === undefined) return seen;
      const next = new URL(location, at).href;
      if (stopAt !== undefined && next.startsWith(stopAt)) return { ...seen, url: next };
      // A chain that was once on another site stays a chain from another site.
      step = { method: 'GET', from: step.from ?? (new URL(next).hostname === new URL(at).hostname ? undefined : at) };
      at = next;
    }
    throw new Error(`more than ${REDIRECTS_MAX} redirects from ${url}`);
  }

  #send(url: string, step: Step, isCrossSite: boolean): Promise<Seen> {
    const { host, hostname, port, pathname, search, origin } = new URL(url);
    const jar = this.cookies.get(host) ?? new Map<string, Cookie>();
    this.cookies.set(host, jar);
    const sent = [...jar].filter(
      ([, { sameSite }]) => !isCrossSite || sameSite === 'none' || (sameSite !== 'strict' && step.method === 'GET'),
    );
    const from = step.from === undefined ? undefined : new URL(step.from);
    const site = isCrossSite
      ? 'cross-site'
      : from === undefined
        ? 'none'
        : from.host === host
          ? 'same-origin'
          : 'same-site';
    const headers: Record<string, string> = {
      host,
      'sec-fetch-site': site,
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      ...(step.method === 'POST' ? { origin: from?.origin ?? origin } : {}),
      ...(step.type === undefined ? {} : { 'content-type': step.type }),
      ...(sent.length === 0 ? {} : { cookie: sent.map(([name, { value }]) => `${name}=${value}`).join('; ') }),
      ...(step.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(step.body)) }),
      ...step.headers,
    };
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: this.#net.ports[host] ?? Number(port || 443),
          ...(/^[\d.]+$/.test(hostname) ? {} : { servername: hostname }),
          path: `${pathname}${search}`,
          method: step.method,
          headers,
          ca: [...this.#net.ca],
          agent: false,
        },
        (response) => {
          for (const line of response.headers['set-cookie'] ?? []) keep(jar, line);
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.once('error', reject);
          response.once('end', () =>
            resolve({
              status: response.statusCode!,
              url,
              text: Buffer.concat(pieces).toString('utf8'),
              headers: response.headers,
            }),
          );
        },
      );
      call.once('error', reject);
      call.end(step.body);
    });
  }
}

function keep(jar: Map<string, Cookie>, line: string): void {
  const [pair = '', ...attributes] = line.split(';').map((piece) => piece.trim());
  const equals = pair.indexOf('=');
  const name = pair.slice(0, equals);
  const value = pair.slice(equals + 1);
  const sameSite =
    attributes
      .find((one) => /^samesite=/i.test(one))
      ?.slice(9)
      .toLowerCase() ?? 'lax';
  if (value === '' || attributes.some((one) => /^max-age=0$/i.test(one))) jar.delete(name);
  else jar.set(name, { value, sameSite });
}
