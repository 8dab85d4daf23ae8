import type { IncomingHttpHeaders } from 'node:http';
import type { Foreign } from '@auditrax/base';

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Was this sent by a page of ours? Whatever changes something needs an Origin on the list and `Sec-Fetch-Site:
 * same-origin`, both of which another site's page cannot set. Reading is refused when a browser says that another
 * site's page asks: timing and size of the answer would be its gain.
 */
export function checkOrigin(method: string, headers: IncomingHttpHeaders, allowed: ReadonlySet<string>): boolean {
  const site = headers['sec-fetch-site'];
  const { origin } = headers;
  if (!SAFE_METHODS.has(method)) return origin !== undefined && allowed.has(origin) && site === 'same-origin';
  if (origin !== undefined && !allowed.has(origin)) return false;
  return site === undefined || site === 'same-origin' || site === 'none';
}

/**
 * Is this what a route that others reach is for? A navigation is the whole window going there: another site's script,
 * image or frame is not, and could try addresses unseen. A server's call has none of the headers that browsers add by
 * themselves, so no page can have a browser make it.
 */
export function checkForeign(caller: Foreign['caller'], headers: IncomingHttpHeaders): boolean {
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest, origin, cookie } = headers;
  if (caller === 'server') return [site, mode, dest, origin, cookie].every((value) => value === undefined);
  return (mode === undefined || mode === 'navigate') && (dest === undefined || dest === 'document');
}

/** Exactly one Host, exactly one of ours: a name that resolves to this address (DNS rebinding) is another site. */
export function checkHost(host: string | undefined, allowed: ReadonlySet<string>): boolean {
  return host !== undefined && allowed.has(host);
}
