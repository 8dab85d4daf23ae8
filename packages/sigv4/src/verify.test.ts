import { Sha256 } from '@aws-crypto/sha256-js';
import { HttpRequest } from '@smithy/protocol-http';
import { SignatureV4 } from '@smithy/signature-v4';
import { manualClock } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalQuery } from './canonical.ts';
import { headerPairs, verifySigV4, type SigV4Check } from './index.ts';

const AT = Date.parse('2026-03-01T10:00:00Z');
const SECRET = 'test-secret-of-forty-three-characters-0123456';
const BODY = Buffer.from('{"plaintext":"SGVsbG8="}');

interface Wanted {
  path?: string;
  query?: Record<string, string | string[]>;
  headers?: Record<string, string>;
  body?: Buffer;
  sessionToken?: string;
  service?: string;
  at?: number;
}

/** Signs with the library that AWS's own JavaScript SDK signs with. */
async function signedBySmithy(wanted: Wanted = {}): Promise<SigV4Check> {
  const service = wanted.service ?? 'kms-xks-proxy';
  const body = wanted.body ?? BODY;
  const signer = new SignatureV4({
    service,
    region: 'eu-west-1',
    sha256: Sha256,
    credentials: {
      accessKeyId: 'AKTEST',
      secretAccessKey: SECRET,
      ...(wanted.sessionToken === undefined ? {} : { sessionToken: wanted.sessionToken }),
    },
    applyChecksum: true,
    uriEscapePath: service !== 's3',
  });
  const request = new HttpRequest({
    method: 'POST',
    hostname: 'proxy.example',
    path: wanted.path ?? '/tenant/kms/xks/v1/keys/one/encrypt',
    query: wanted.query ?? {},
    headers: { host: 'proxy.example', 'content-type': 'application/json', ...wanted.headers },
    body,
  });
  const signed = await signer.sign(request, { signingDate: new Date(wanted.at ?? AT) });
  const query = Object.entries(wanted.query ?? {})
    .flatMap(([name, values]) => [values].flat().map((value) => [name, value] as const))
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&');
  return {
    method: 'POST',
    path: request.path,
    query,
    headers: Object.entries(signed.headers),
    body,
    service,
    credentials: (id) => (id === 'AKTEST' ? { secretAccessKey: SECRET } : undefined),
    clock: manualClock(AT),
  };
}

/** The same request with the lines called `name` replaced; undefined removes them. */
function withHeader(check: SigV4Check, name: string, value: string | undefined): SigV4Check {
  const others = check.headers.filter(([key]) => key.toLowerCase() !== name);
  return { ...check, headers: value === undefined ? others : [...others, [name, value]] };
}

const authorizationOf = (check: SigV4Check) =>
  check.headers.find(([name]) => name.toLowerCase() === 'authorization')![1];
const reasonOf = (check: SigV4Check) => {
  const result = verifySigV4(check);
  return result.ok ? 'ok' : result.reason;
};

describe('V1: what the signer of the AWS SDK signs is accepted', () => {
  it.each<[string, Wanted]>([
    ['a plain call', {}],
    ['an empty body', { body: Buffer.alloc(0) }],
    ['a path that is encoded on the wire', { path: '/a%20b/%C3%A9/x' }],
    ['a path with dots and repeated slashes', { path: '/a/./b//c/../d/' }],
    ['the root', { path: '/' }],
    ['query values that need encoding, repeated, empty', { query: { b: ['z', 'a b', 'é/+'], 'a-~*': '', A: '=' } }],
    ['header values with blanks', { headers: { 'x-amz-note': '  two   words ' } }],
    ['S3, which encodes its path once', { service: 's3', path: '/a%20b//c' }],
  ])('%s', async (_name, wanted) => {
    expect(verifySigV4(await signedBySmithy(wanted))).toMatchObject({ ok: true, accessKeyId: 'AKTEST' });
  });

  it('whatever text stands in path, query and headers', async () => {
    const segment = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => text.isWellFormed());
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { maxLength: 4 }), fc.dictionary(segment, segment), async (path, query) => {
        const check = await signedBySmithy({ path: `/${path.map(encodeURIComponent).join('/')}`, query });
        expect(reasonOf(check)).toBe('ok');
      }),
      { numRuns: 150 },
    );
  });
});

describe('V2: one changed byte anywhere is refused', () => {
  it('in the body, path, method, any header line or the Authorization', async () => {
    const good = await signedBySmithy({ query: { one: 'two' } });
    expect(reasonOf(good)).toBe('ok');
    const flip = (text: string, at: number, by: number) => {
      const bytes = Buffer.from(text);
      bytes[at % bytes.length]! ^= by;
      return bytes.toString('latin1');
    };
    fc.assert(
      fc.property(fc.nat(4), fc.nat(5000), fc.integer({ min: 1, max: 127 }), (where, at, by) => {
        const line = at % good.headers.length;
        const [name, value] = good.headers[line]!;
        const headers = good.headers.map((pair, index): readonly [string, string] =>
          index === line ? [name, flip(value, Math.floor(at / good.headers.length), by)] : pair,
        );
        const changed = [
          { ...good, body: Buffer.from(flip(good.body.toString(), at, by), 'latin1') },
          { ...good, path: flip(good.path, at, by) },
          { ...good, method: flip(good.method, at, by) },
          { ...good, query: flip(good.query, at, by) },
          { ...good, headers },
        ][where]!;
        const sameMeaning =
          canonicalQuery(changed.query) === canonicalQuery(good.query) &&
          changed.path === good.path &&
          changed.method === good.method &&
          changed.body === good.body &&
          // Blanks at the ends of a value, and how many stand between two words, mean nothing in HTTP.
          changed.headers.every(([, text], index) => text.trim() === good.headers[index]![1].trim());
        fc.pre(!sameMeaning);
        expect(reasonOf(changed)).not.toBe('ok');
      }),
      { numRuns: 3000 },
    );
  });

  it('in a header that is repeated, re-ordered or left out', async () => {
    const good = await signedBySmithy({ headers: { 'x-amz-note': 'a,b' } });
    const split = withHeader(good, 'x-amz-note', undefined);
    // Two lines are the same request as one with a comma: that is what HTTP says, and the signers agree.
    expect(reasonOf({ ...split, headers: [...split.headers, ['X-Amz-Note', 'a'], ['x-amz-note', 'b']] })).toBe('ok');
    expect(reasonOf({ ...split, headers: [...split.headers, ['x-amz-note', 'b'], ['x-amz-note', 'a']] })).toBe(
      'signature',
    );
    expect(reasonOf({ ...good, headers: [...good.headers, ['Host', 'proxy.example']] })).toBe('signature');
    expect(reasonOf(split)).toBe('unsigned-header');
  });

  it('in a folded line, whose blanks are one blank', async () => {
    const good = await signedBySmithy({ headers: { 'x-amz-note': 'two words' } });
    expect(reasonOf(withHeader(good, 'x-amz-note', 'two  \t words'))).toBe('ok');
    expect(reasonOf(withHeader(good, 'x-amz-note', 'twowords'))).toBe('signature');
  });
});

describe('V3: what gives the request its meaning is signed', () => {
  it('host, date, every x-amz header and what the caller requires', async () => {
    const good = await signedBySmithy();
    expect(reasonOf({ ...good, requiredSignedHeaders: ['content-type'] })).toBe('ok');
    expect(reasonOf({ ...good, requiredSignedHeaders: ['content-length'] })).toBe('unsigned-header');
    expect(reasonOf({ ...good, headers: [...good.headers, ['X-Amz-Target', 'Other']] })).toBe('unsigned-header');
    for (const name of ['host', 'x-amz-date']) {
      const line = authorizationOf(good)
        .replace(new RegExp(`(?<==|;)${name};?`), '')
        .replace(';,', ',');
      expect(line).not.toBe(authorizationOf(good));
      expect(reasonOf(withHeader(good, 'authorization', line))).toBe('unsigned-header');
      expect(reasonOf(withHeader(good, name, undefined))).toBe('unsigned-header');
    }
  });
});

describe('V4: the clock', () => {
  it.each([
    [-300, 'ok'],
    [300, 'ok'],
    [-301, 'skew'],
    [301, 'skew'],
  ])('signed %i s from now: %s', async (seconds, expected) => {
    const result = verifySigV4(await signedBySmithy({ at: AT + seconds * 1000 }));
    expect(result.ok ? 'ok' : result.reason).toBe(expected);
    if (!result.ok) expect(result.skewSeconds).toBe(seconds);
  });

  it('has the tolerance it is given', async () => {
    expect(reasonOf({ ...(await signedBySmithy({ at: AT - 11_000 })), skewSecondsMax: 10 })).toBe('skew');
  });
});

describe('V5: the scope', () => {
  it('names this service and region, and the day of the signature', async () => {
    const good = await signedBySmithy();
    expect(reasonOf({ ...good, region: 'eu-west-1' })).toBe('ok');
    expect(reasonOf({ ...good, region: 'us-east-1' })).toBe('scope');
    expect(reasonOf({ ...good, service: 'kms' })).toBe('scope');
    const yesterday = authorizationOf(good).replace('/20260301/', '/20260228/');
    expect(reasonOf(withHeader(good, 'authorization', yesterday))).toBe('scope');
  });
});

describe('V6: the body', () => {
  it('is never taken unsigned, and its hash is checked where it is sent', async () => {
    const good = await signedBySmithy();
    expect(reasonOf(withHeader(good, 'x-amz-content-sha256', 'UNSIGNED-PAYLOAD'))).toBe('body-hash');
    expect(reasonOf({ ...good, body: Buffer.concat([BODY, Buffer.from(' ')]) })).toBe('body-hash');
    const unsigned = await signedBySmithy({ headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } });
    expect(reasonOf(unsigned)).toBe('body-hash');
  });
});

describe('V7: session tokens', () => {
  it('are needed by a temporary credential and refused with a permanent one', async () => {
    const temporary = await signedBySmithy({ sessionToken: 'token-1' });
    const credentials = () => ({ secretAccessKey: SECRET, sessionToken: 'token-1' });
    expect(reasonOf({ ...temporary, credentials })).toBe('ok');
    expect(reasonOf(temporary)).toBe('session-token');
    expect(reasonOf({ ...(await signedBySmithy()), credentials })).toBe('session-token');
    expect(reasonOf({ ...(await signedBySmithy({ sessionToken: 'token-2' })), credentials })).toBe('session-token');
  });
});

describe('V8: one reading', () => {
  it('refuses what can be read in two ways or not at all', async () => {
    const good = await signedBySmithy();
    const line = authorizationOf(good);
    const refused: Record<string, SigV4Check> = {
      'two Authorization lines': { ...good, headers: [...good.headers, ['authorization', line]] },
      'two dates': { ...good, headers: [...good.headers, ['X-Amz-Date', '20260301T100000Z']] },
      'a date of the 30th of February': withHeader(good, 'x-amz-date', '20260230T100000Z'),
      'unsorted names': withHeader(good, 'authorization', line.replace('content-type;host', 'host;content-type')),
      'a name twice': withHeader(good, 'authorization', line.replace('host;', 'host;host;')),
      'another algorithm': withHeader(good, 'authorization', line.replace('HMAC-SHA256', 'ECDSA-P256-SHA256')),
      'a signature in capitals': withHeader(good, 'authorization', line.replace(/[0-9a-f]{64}$/, 'A'.repeat(64))),
      'a broken percent sign': { ...good, query: 'a=%2' },
      'a line without end': withHeader(good, 'authorization', line + ' '.repeat(1) + 'x'.repeat(5000)),
    };
    for (const [name, check] of Object.entries(refused)) expect([name, reasonOf(check)]).toEqual([name, 'malformed']);
    expect(reasonOf(withHeader(good, 'authorization', undefined))).toBe('missing');
  });

  it('reads Node’s raw header lines as they came', () => {
    expect(headerPairs(['A', '1', 'a', '2'])).toEqual([
      ['A', '1'],
      ['a', '2'],
    ]);
  });
});

describe('V9: an unknown access key', () => {
  it('is told apart in our log only, and costs what a known one costs', async () => {
    const good = await signedBySmithy();
    const unknown = { ...good, credentials: () => undefined };
    const wrong = { ...good, credentials: () => ({ secretAccessKey: 'another' }) };
    expect(verifySigV4(unknown)).toEqual({ ok: false, reason: 'unknown-credential', accessKeyId: 'AKTEST' });
    expect(reasonOf(wrong)).toBe('signature');
    const cost = (check: SigV4Check) => {
      const started = process.cpuUsage();
      for (let run = 0; run < 600; run += 1) verifySigV4(check);
      return process.cpuUsage(started).user;
    };
    cost(wrong);
    // A verifier that skips the four HMACs for an unknown id is three times as fast or more.
    expect(cost(unknown) / cost(wrong)).toBeGreaterThan(0.6);
  });
});
