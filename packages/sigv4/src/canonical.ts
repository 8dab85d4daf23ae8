import { createHash, createHmac } from 'node:crypto';

/** A request as it came over the wire. Shapes are raw on purpose: whoever decodes first signs something else. */
export interface WireRequest {
  readonly method: string;
  /** As in the request line, still percent-encoded, without the query. */
  readonly path: string;
  /** As in the request line, without the question mark; empty when there is none. */
  readonly query: string;
  /** Every header line in order, also repeated ones, as `[name, value]` (see {@link headerPairs}). */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** Node's flat `rawHeaders` as pairs; `request.headers` has already merged and dropped repeated lines. */
export function headerPairs(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) pairs.push([rawHeaders[at]!, rawHeaders[at + 1]!]);
  return pairs;
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

/** RFC 3986 encoding of bytes: everything but the unreserved characters, hexadecimal in capitals. */
function percentEncode(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    text += UNRESERVED.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** Bytes of a percent-encoded text; undefined where a percent sign is not followed by two hexadecimal digits. */
function percentDecode(text: string): Buffer | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  const parts = text.split(/(%[0-9A-Fa-f]{2})/);
  return Buffer.concat(
    parts.map((part) => (/^%..$/.test(part) ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part, 'utf8'))),
  );
}

/** Removes empty, `.` and `..` segments (RFC 3986 section 5.2.4, and repeated slashes, as the signers do). */
function normalizePath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') kept.pop();
    else kept.push(segment);
  }
  const tail = kept.length > 0 && path.endsWith('/') ? '/' : '';
  return `/${kept.join('/')}${tail}`;
}

/**
 * Path of the canonical request. The wire holds it encoded once and it is encoded once more; S3 alone signs it as it
 * stands and keeps its segments.
 */
export function canonicalPath(path: string, service: string): string {
  if (service === 's3') return path === '' ? '/' : path;
  return normalizePath(path)
    .split('/')
    .map((segment) => percentEncode(Buffer.from(segment, 'utf8')))
    .join('/');
}

/** Query of the canonical request: names and values in one spelling, sorted by both; undefined for a broken encoding. */
export function canonicalQuery(query: string): string | undefined {
  if (query === '') return '';
  const pairs: [string, string][] = [];
  for (const part of query.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = percentDecode(equals === -1 ? part : part.slice(0, equals));
    const value = percentDecode(equals === -1 ? '' : part.slice(equals + 1));
    if (!name || !value) return undefined;
    pairs.push([percentEncode(name), percentEncode(value)]);
  }
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return pairs
    .sort(([nameA, valueA], [nameB, valueB]) => order(nameA, nameB) || order(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/** The values of all lines called `name` (lower case), trimmed and with runs of blanks as one, in their order. */
export function headerValues(headers: WireRequest['headers'], name: string): string[] {
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value.trim().replace(/[ \t]+/g, ' '));
}

/** The text whose hash is signed; undefined when the query cannot be read. */
export function canonicalRequest(
  request: WireRequest,
  signed: { readonly service: string; readonly headers: readonly string[]; readonly bodyHash: string },
): string | undefined {
  const query = canonicalQuery(request.query);
  if (query === undefined) return undefined;
  const lines = signed.headers.map((name) => `${name}:${headerValues(request.headers, name).join(',')}\n`);
  return [
    request.method,
    canonicalPath(request.path, signed.service),
    query,
    lines.join(''),
    signed.headers.join(';'),
    signed.bodyHash,
  ].join('\n');
}

export interface Scope {
  /** `YYYYMMDD` */
  readonly day: string;
  readonly region: string;
  readonly service: string;
}

/** The signature (32 bytes) of a canonical request made at `amzDate` under a secret access key. */
export function signatureOf(
  canonical: string,
  key: { readonly secretAccessKey: string; readonly scope: Scope; readonly amzDate: string },
): Buffer {
  const { day, region, service } = key.scope;
  const text = `AWS4-HMAC-SHA256\n${key.amzDate}\n${day}/${region}/${service}/aws4_request\n${sha256Hex(canonical)}`;
  const hmac = (under: string | Buffer, data: string) => createHmac('sha256', under).update(data, 'utf8').digest();
  const signingKey = [day, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${key.secretAccessKey}`);
  return hmac(signingKey, text);
}
