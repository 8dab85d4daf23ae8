/** More than a program with a version for each platform has. */
export const REDIRECTS_MAX = 5;
const REDIRECT_CHARACTERS_MAX = 512;
/** RFC 8252 7.3 and 8.3: by number, since what `localhost` leads to is another file's affair. */
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]']);

/**
 * What is wrong with an address that codes are sent to; undefined: nothing. Written as a browser writes it, so that
 * "exactly the same" has one meaning; https, or http to the person's own machine, and nothing that hides where it leads.
 */
export function redirectFault(text: string): string | undefined {
  if (text.length > REDIRECT_CHARACTERS_MAX) return `Longer than ${REDIRECT_CHARACTERS_MAX} characters.`;
  const url = URL.parse(text);
  if (url === null) return 'Not an address.';
  if (url.protocol !== 'https:' && !isLoopback(text)) return 'Needs https, or http to 127.0.0.1 or [::1].';
  if (url.username !== '' || url.password !== '') return 'Must not hold a name or password.';
  if (text.includes('#')) return 'Must not have a part after a number sign.';
  if (text.includes('*')) return 'Must be one address, without a wildcard.';
  if (url.href !== text) return `Write it as ${url.href}.`;
  return undefined;
}

/** Whether a registration holds this address: exactly, or on the person's own machine but for the port. */
export function isRegistered(redirectUris: readonly string[], asked: string): boolean {
  const withoutPort = (text: string) => {
    const url = new URL(text);
    url.port = '';
    return url.href;
  };
  return redirectUris.some(
    (uri) => uri === asked || (isLoopback(uri) && isLoopback(asked) && withoutPort(uri) === withoutPort(asked)),
  );
}

/** Whether it leads to the person's own machine; there the port is the program's choice at each start (RFC 8252 7.3). */
export function isLoopback(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === 'http:' && LOOPBACK.has(url.hostname);
}
