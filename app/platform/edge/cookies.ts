/** The issuer's values are base64url; nothing else is carried inward. */
const VALUE = /^[A-Za-z0-9_-]{16,512}$/;

/** The value of the one cookie `name`; undefined when absent, odd or given twice (which of two would be an attacker's choice). */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  let found: string | undefined;
  for (const piece of header.split(';')) {
    const equals = piece.indexOf('=');
    if (equals < 0 || piece.slice(0, equals).trim() !== name) continue;
    if (found !== undefined) return undefined;
    found = piece.slice(equals + 1).trim();
  }
  return found !== undefined && VALUE.test(found) ? found : undefined;
}

/** `Set-Cookie` for a session. `__Host-` has the browser insist on Secure, no Domain and Path=/ (RFC 6265bis). */
function sessionCookie(name: string, value: string, maxAge_seconds: number): string {
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${maxAge_seconds}`;
}

/** Name of the cookie by which a sign-in under way knows its browser. */
export const BROWSER_COOKIE = '__Host-auditrax-sso';
/** A sign-in is over in minutes; what the issuer asks for beyond it is a mistake. */
const BROWSER_SECONDS_MAX = 3600;

/**
 * Turns the issuer's `x-auditrax-browser` reply header into a cookie; undefined when it has another form. SameSite=None:
 * SAML's answer is a form that the provider's page posts, and no other kind of cookie comes along with it.
 */
export function browserCookie(header: string): string | undefined {
  const [verb, value, seconds, ...rest] = header.split(';');
  const maxAge_seconds = Number(seconds);
  if (verb !== 'set' || value === undefined || !VALUE.test(value) || rest.length > 0) return undefined;
  if (!Number.isInteger(maxAge_seconds) || maxAge_seconds < 1 || maxAge_seconds > BROWSER_SECONDS_MAX) return undefined;
  return `${BROWSER_COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=${maxAge_seconds}`;
}

export type SessionChange =
  | { readonly kind: 'set'; readonly cookie: string }
  | { readonly kind: 'clear'; readonly cookie: string };

/** Turns the issuer's `x-auditrax-session` reply header into a cookie; undefined when it has another form. */
export function sessionChange(header: string, name: string): SessionChange | undefined {
  if (header === 'clear') return { kind: 'clear', cookie: sessionCookie(name, '', 0) };
  const [verb, value, seconds, ...rest] = header.split(';');
  const maxAge_seconds = Number(seconds);
  if (verb !== 'set' || value === undefined || !VALUE.test(value) || rest.length > 0) return undefined;
  if (!Number.isInteger(maxAge_seconds) || maxAge_seconds < 1) return undefined;
  return { kind: 'set', cookie: sessionCookie(name, value, maxAge_seconds) };
}
