import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock, systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { issueEdgeCertificate } from '@auditrax/workload';
import type { EdgeCertificate } from '@auditrax/workload';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dekCommitment, encodeDekContext } from '../../commitment.ts';
import { outgoingGuard } from '../../guard/outgoing.ts';
import type { DekContext, KekProvider } from '../../kek.ts';
import { localKekProvider } from '../../local-provider.ts';
import { initKeyRing } from '../../ring.ts';
import { BREAKER_FAILURES_MAX, BREAKER_OPEN_MS } from '../../breaker.ts';
import { CALL_MS_MAX, REPLY_BYTES_MAX } from './channel.ts';
import { xksKekProvider } from './provider.ts';
import type { XksKekProvider, XksProviderOptions } from './provider.ts';
import type { XksSource } from './source.ts';
import { send, startPeer } from './testing/peer.ts';
import type { XksPeer } from './testing/peer.ts';

const random = systemRandom;
const withCode = (code: string) => expect.objectContaining({ code });
const context: DekContext = { tenantId: uuidV4(random), purpose: 'fields', dekId: uuidV4(random), version: 1 };
let clock = manualClock(Date.now());

let certificate: EdgeCertificate;
let folder: string;
let inner: KekProvider;
let peer: XksPeer;
let provider: XksKekProvider;

beforeAll(async () => {
  certificate = await issueEdgeCertificate({ clock: systemClock, name: 'test' });
  folder = await mkdtemp(join(tmpdir(), 'xks-'));
  const rootKey = Buffer.from(random.bytes(32));
  const { ring } = await initKeyRing({
    path: join(folder, 'keys', 'ring.json'),
    rootKey,
    clock,
    random,
    wrappedKeysInStore: 0,
  });
  inner = localKekProvider({ ring, random });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  clock = manualClock(Date.now());
  peer = await startPeer({ key: certificate.keyPem, cert: certificate.certificatePem });
  provider = open();
});
afterEach(async () => {
  await provider.close();
  await peer.close();
});

const sourceOf = (change: Partial<XksSource> = {}): XksSource => ({
  endpoint: peer.origin,
  uriPathPrefix: '/tenant',
  keyId: 'key-1',
  accessKeyId: 'ABCDEFGHIJKLMNOPQRST',
  secretAccessKey: 'a'.repeat(43),
  caCertificate: certificate.authorityPem,
  ...change,
});

function open(change: Partial<XksProviderOptions> = {}): XksKekProvider {
  return xksKekProvider({
    sourceId: 'source-1',
    source: sourceOf(),
    inner,
    guard: outgoingGuard({ loopbackOrigins: [peer.origin] }),
    clock,
    random,
    ...change,
  });
}

const counted = (operation: string) => peer.seen.filter(({ path }) => path.endsWith(`/${operation}`)).length;

describe('X1: a data key is wrapped twice, and the proxy sees neither it nor its context unbound', () => {
  it('comes back, and nothing that was sent holds it', async () => {
    const made = await provider.generateDek(context);
    expect((await provider.unwrap(made, context)).equals(made.dek)).toBe(true);
    expect(made.kekRef).toBe('xks:source-1');
    expect(made.wrapped.length).toBeLessThan(512);
    const decoded = (text: unknown) => Buffer.from(String(text), 'base64');
    for (const { body } of peer.seen)
      for (const value of Object.values(body)) expect(decoded(value).includes(made.dek)).toBe(false);
    expect(counted('encrypt')).toBe(1);
    expect(counted('decrypt')).toBe(2);
  });

  it('the proxy is told to bind format, both keys and the whole context', async () => {
    const made = await provider.generateDek(context);
    const aad = Buffer.from(peer.seen[0]!.body['additionalAuthenticatedData']!, 'base64');
    const innerRef = (await inner.wrap(made.dek, context)).kekRef;
    const bound = [Buffer.from('AXX1'), Buffer.from('xks:source-1'), Buffer.from(innerRef), encodeDekContext(context)];
    for (const part of bound) expect(aad.includes(part), part.toString('latin1')).toBe(true);
  });

  it.each([{ tenantId: uuidV4(random) }, { purpose: 'objects' }, { dekId: uuidV4(random) }, { version: 2 }])(
    'another %o does not open it, even when the proxy binds nothing',
    async (change) => {
      const made = await provider.generateDek(context);
      await expect(provider.unwrap(made, { ...context, ...change })).rejects.toThrow(); // our test peer fails on its tag
      // A proxy that ignores the AAD answers with the inner wrap, which is bound as well.
      const sealedInside = Buffer.from(peer.seen[0]!.body['plaintext']!, 'base64');
      peer.behaviour = { answer: (_request, response) => (send(response, 200, reply(sealedInside)), true) };
      const attempt = provider.unwrap(made, { ...context, ...change });
      await expect(attempt).rejects.toThrow(/not belong/);
    },
  );

  it('every byte of the wrapped form is bound', async () => {
    const made = await provider.generateDek(context);
    for (let at = 0; at < made.wrapped.length; at += 1) {
      const wrapped = Buffer.from(made.wrapped);
      wrapped[at]! ^= 1;
      clock.advance(BREAKER_OPEN_MS); // the test peer answers a wrong tag by hanging up
      await expect(provider.unwrap({ ...made, wrapped }, context), `byte ${at}`).rejects.toThrow();
    }
    for (const cut of [0, 4, 5, 6, 40, made.wrapped.length - 1]) {
      const wrapped = made.wrapped.subarray(0, cut);
      await expect(provider.unwrap({ ...made, wrapped }, context)).rejects.toThrow(/blob|suite|doubly/);
    }
  });

  it('a wrap of another source is refused before anything is sent', async () => {
    const made = await provider.generateDek(context);
    const sent = peer.seen.length;
    const other = open({ sourceId: 'source-2' });
    await expect(other.unwrap(made, context)).rejects.toThrow(withCode('kek_unknown'));
    await expect(other.unwrap({ ...made, kekRef: 'xks:source-2' }, context)).rejects.toThrow(withCode('kek_unknown'));
    expect(peer.seen.length).toBe(sent);
    await other.close();
  });
});

const reply = (plaintext: Buffer) => ({ plaintext: plaintext.toString('base64') });
const flipped = (text: unknown) => {
  const bytes = Buffer.from(String(text), 'base64');
  bytes[0]! ^= 1;
  return bytes.toString('base64');
};

describe('X2: what a lying proxy returns is never used', () => {
  it.each([
    'ciphertextDataIntegrityValue',
    'ciphertext',
    'ciphertextMetadata',
    'initializationVector',
    'authenticationTag',
  ])('a changed %s is noticed before a wrap exists', async (name) => {
    peer.behaviour = {
      change: (good, operation) => (operation === 'encrypt' ? { ...good, [name]: flipped(good[name]) } : good),
    };
    await expect(provider.generateDek(context)).rejects.toThrow(withCode('authentication_failed'));
    expect(counted('decrypt')).toBe(0);
  });

  it('a trial decryption with other bytes refuses the wrap', async () => {
    peer.behaviour = {
      change: (good, operation) => (operation === 'decrypt' ? { plaintext: flipped(good['plaintext']) } : good),
    };
    await expect(provider.generateDek(context)).rejects.toThrow(withCode('authentication_failed'));
  });

  it('other bytes at an unwrap fail on our own tag; another key’s on its commitment', async () => {
    const made = await provider.generateDek(context);
    const commitment = dekCommitment(made.dek, context);
    peer.behaviour = { change: (good) => ({ plaintext: flipped(good['plaintext']) }) };
    await expect(provider.unwrap(made, context)).rejects.toThrow(withCode('blob_malformed'));
    const other = await inner.generateDek(context);
    peer.behaviour = { answer: (_request, response) => (send(response, 200, reply(other.wrapped)), true) };
    const opened = await provider.unwrap(made, context).catch((error: unknown) => error);
    // Same installation key, same context: only the commitment (checked by the caller) tells them apart.
    if (Buffer.isBuffer(opened)) expect(dekCommitment(opened, context).equals(commitment)).toBe(false);
    else expect(opened).toEqual(withCode('kek_unknown'));
  });

  it.each<[string, Record<string, unknown>]>([
    ['no ciphertext', { ciphertext: undefined }],
    ['an empty ciphertext', { ciphertext: '' }],
    ['base64 of another spelling', { ciphertext: 'QQ' }],
    ['a short tag', { authenticationTag: Buffer.alloc(12).toString('base64') }],
    ['an IV of 8 bytes', { initializationVector: Buffer.alloc(8).toString('base64') }],
    ['metadata of 21 bytes', { ciphertextMetadata: Buffer.alloc(21).toString('base64') }],
    ['no integrity value', { ciphertextDataIntegrityValue: undefined }],
    ['a number', { ciphertext: 7 }],
  ])('%s is outside the specification', async (_name, change) => {
    peer.behaviour = { change: (good) => ({ ...good, ...change }) };
    await expect(provider.generateDek(context)).rejects.toThrow(withCode('kek_misconfigured'));
  });
});

describe('X3: a store is tried before it is trusted', () => {
  it('healthy, AES-256, both ways, enabled, and it decrypts what it encrypts', async () => {
    expect(await provider.verify()).toEqual({
      proxyVendor: 'vendor',
      proxyModel: 'model',
      keyManagerVendor: 'manager',
      isFleetWhole: true,
    });
    expect(await provider.health()).toEqual({ ok: true });
    expect(peer.seen.map(({ path }) => path).slice(0, 2)).toEqual([
      '/tenant/kms/xks/v1/health',
      '/tenant/kms/xks/v1/keys/key-1/metadata',
    ]);
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['kek_disabled', 'metadata', { keyStatus: 'DISABLED' }],
    ['kek_misconfigured', 'metadata', { keySpec: 'RSA_2048' }],
    ['kek_misconfigured', 'metadata', { keyUsage: ['ENCRYPT'] }],
    ['kek_misconfigured', 'metadata', { keyUsage: ['DECRYPT'] }],
    ['kek_unavailable', 'health', { ekmFleetDetails: [{ id: '1', model: 'm', healthStatus: 'UNAVAILABLE' }] }],
    ['kek_misconfigured', 'health', { ekmFleetDetails: [] }],
    ['kek_misconfigured', 'decrypt', { plaintext: Buffer.alloc(64).toString('base64') }],
  ])('%s for %s with %o', async (code, operation, change) => {
    peer.behaviour = { change: (good, asked) => (asked === operation ? { ...good, ...change } : good) };
    await expect(provider.verify()).rejects.toThrow(withCode(code));
    if (operation !== 'health') expect(await provider.health()).toMatchObject({ ok: false, code });
  });
});

describe('X4: every refusal is typed', () => {
  it.each([
    [400, 'ValidationException', 'kek_misconfigured'],
    [400, 'InvalidStateException', 'kek_disabled'],
    [400, 'InvalidCiphertextException', 'authentication_failed'],
    [400, 'InvalidKeyUsageException', 'kek_misconfigured'],
    [401, 'AuthenticationFailedException', 'kek_denied'],
    [403, 'AccessDeniedException', 'kek_denied'],
    [404, 'KeyNotFoundException', 'kek_gone'],
    [404, 'InvalidUriPathException', 'kek_misconfigured'],
    [429, 'ThrottlingException', 'kek_throttled'],
    [500, 'InternalException', 'kek_unavailable'],
    [501, 'UnsupportedOperationException', 'kek_misconfigured'],
    [503, 'DependencyTimeoutException', 'kek_unavailable'],
    [404, 'InvalidStateException', 'kek_misconfigured'],
    [502, 'whatever', 'kek_unavailable'],
    [403, 'toString', 'kek_denied'],
    [418, 'whatever', 'kek_misconfigured'],
  ])('%i %s is %s', async (status, errorName, code) => {
    const made = await provider.generateDek(context);
    peer.behaviour = { answer: (_request, response) => (send(response, status, { errorName }), true) };
    await expect(provider.unwrap(made, context)).rejects.toThrow(withCode(code));
  });

  it('a page that is no reply, a redirect and an endless reply', async () => {
    peer.behaviour = { answer: (_request, response) => (response.end('<html>'), true) };
    await expect(provider.wrap(random.bytes(32), context)).rejects.toThrow(withCode('kek_misconfigured'));
    const target = new URL('/elsewhere', peer.origin).href;
    peer.behaviour = { answer: (_request, response) => (response.writeHead(307, { location: target }).end(), true) };
    await expect(provider.wrap(random.bytes(32), context)).rejects.toThrow(withCode('kek_misconfigured'));
    expect(peer.seen.some(({ path }) => path === '/elsewhere')).toBe(false);
    peer.behaviour = {
      answer: (_request, response) => (response.end('x'.repeat(REPLY_BYTES_MAX + 1)), true),
    };
    await expect(provider.wrap(random.bytes(32), context)).rejects.toThrow(/longer than/);
  });

  it('a clock that is off is named with its distance', async () => {
    const late = open({ clock: manualClock(clock.nowMs() - 600_000) });
    peer.behaviour = {
      answer: (_request, response) => (send(response, 401, { errorName: 'AuthenticationFailedException' }), true),
    };
    const attempt = late.wrap(random.bytes(32), context);
    await expect(attempt).rejects.toThrow(withCode('clock_skew'));
    await expect(attempt).rejects.toThrow(/\b(59\d|60\d) s/);
    await late.close();
  });

  it('what a proxy writes freely does not reach our messages', async () => {
    const errorName = 'Evil\u001b[31m';
    peer.behaviour = {
      answer: (_request, response) => (send(response, 400, { errorName, errorMessage: errorName }), true),
    };
    await expect(provider.wrap(random.bytes(32), context)).rejects.toThrow(/answered 400$/);
  });
});

describe('X5: a slow or dead proxy costs little', () => {
  it('a reply after the deadline is no reply, and neither is one that drips', async () => {
    await provider.verify();
    const late = (response: import('node:http').ServerResponse) => {
      setTimeout(() => response.end('{}'), CALL_MS_MAX + 100);
      return true;
    };
    peer.behaviour = { answer: (_request, response) => late(response) };
    await expect(provider.wrap(random.bytes(32), context)).rejects.toThrow(/no whole reply within 250 ms/);
    peer.behaviour = { answer: (_request, response) => (response.write('{'), late(response)) };
    const started_ms = performance.now();
    await expect(provider.wrap(random.bytes(32), context)).rejects.toThrow(withCode('kek_unavailable'));
    expect(performance.now() - started_ms).toBeGreaterThan(CALL_MS_MAX - 5);
  });

  it('after five failures in a row callers are answered at once; one tries again after the pause', async () => {
    peer.behaviour = {
      answer: (_request, response) => (send(response, 500, { errorName: 'InternalException' }), true),
    };
    for (let count = 0; count < BREAKER_FAILURES_MAX; count += 1)
      await expect(provider.wrap(random.bytes(32), context)).rejects.toThrow(/InternalException/);
    const asked = peer.seen.length;
    await expect(provider.wrap(random.bytes(32), context)).rejects.toThrow(withCode('kek_unavailable'));
    expect(peer.seen.length).toBe(asked);
    expect((await provider.describe()).details).toMatchObject({ breaker: 'open' });
    clock.advance(BREAKER_OPEN_MS);
    await Promise.allSettled([1, 2, 3].map(() => provider.wrap(random.bytes(32), context)));
    expect(peer.seen.length).toBe(asked + 1);
    clock.advance(BREAKER_OPEN_MS);
    peer.behaviour = {};
    await provider.wrap(random.bytes(32), context);
    expect((await provider.describe()).details).toMatchObject({ breaker: 'closed' });
  });

  it('a kept connection that was dropped costs one repetition, and connections are kept', async () => {
    await provider.verify();
    await provider.health();
    expect(peer.seen.length).toBe(7);
    expect(peer.connections()).toBeLessThan(3);
    let isDropped = false;
    peer.behaviour = {
      answer: (_request, response) => {
        if (isDropped) return false;
        isDropped = true;
        response.destroy();
        return true;
      },
    };
    const made = await provider.generateDek(context);
    expect((await provider.unwrap(made, context)).equals(made.dek)).toBe(true);
  });
});

describe('X6: the connection is TLS 1.3, pinned and, where asked, mutual', () => {
  const server = () => ({ key: certificate.keyPem, cert: certificate.certificatePem });
  async function against(tls: Parameters<typeof startPeer>[0], source: Partial<XksSource> = {}): Promise<unknown> {
    await provider.close();
    await peer.close();
    peer = await startPeer(tls);
    provider = open({ source: sourceOf(source) });
    return provider.verify().catch((error: unknown) => error);
  }

  it('a peer of TLS 1.2 alone is refused', async () => {
    const found = await against({ ...server(), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
    expect(found).toEqual(withCode('kek_misconfigured'));
    expect(String(found)).toMatch(/TLS 1.3/);
  });

  it('a certificate of another authority is refused, and one for another name', async () => {
    const other = await issueEdgeCertificate({ clock: systemClock, name: 'other' });
    expect(await against(server(), { caCertificate: other.authorityPem })).toEqual(withCode('kek_misconfigured'));
    expect(peer.seen).toEqual([]);
    const endpoint = peer.origin.replace('localhost', 'rig.localhost');
    const guard = outgoingGuard({ loopbackOrigins: [endpoint], resolve: async () => ['127.0.0.1'] });
    const renamed = open({ source: sourceOf({ endpoint }), guard });
    await expect(renamed.verify()).rejects.toThrow(/ERR_TLS_CERT_ALTNAME_INVALID/);
    await renamed.close();
  });

  it('a client certificate is shown when there is one, and asked for when there is none', async () => {
    const mutual = { ...server(), ca: certificate.authorityPem, requestCert: true, rejectUnauthorized: false };
    const client = { clientCertificate: certificate.certificatePem, clientKey: certificate.keyPem };
    expect(await against(mutual, client)).toMatchObject({ isFleetWhole: true });
    const refusing = { ...mutual, rejectUnauthorized: true };
    const found = await against(refusing);
    expect(['kek_denied', 'kek_unavailable']).toContain((found as { code: string }).code);
    expect(peer.seen).toEqual([]);
  });
});

describe('X7: a source that can never work is refused by name', () => {
  it.each<[string, Partial<XksSource>]>([
    ['endpoint', { endpoint: 'https://169.254.169.254' }],
    ['uriPathPrefix', { uriPathPrefix: '/../admin' }],
    ['keyId', { keyId: '..' }],
    ['keyId', { keyId: 'a/b' }],
    ['accessKeyId', { accessKeyId: 'short' }],
    ['secretAccessKey', { secretAccessKey: 'short' }],
    ['certificate', { clientKey: '-----BEGIN ' }],
  ])('%s: %o', (name, change) => {
    expect(() => open({ source: sourceOf(change) })).toThrow(withCode('kek_misconfigured'));
    expect(() => open({ source: sourceOf(change) })).toThrow(name);
  });

  it('calls are signed over host and date, and name principal, key and request', async () => {
    const made = await provider.generateDek(context);
    const { headers, body } = peer.seen[0]!;
    expect(headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=ABCDEFGHIJKLMNOPQRST\/\d{8}\/us-east-1\/kms-xks-proxy\/aws4_request, SignedHeaders=[a-z0-9;-]*host;[a-z0-9;-]*x-amz-date/,
    );
    expect(body.requestMetadata).toEqual({
      awsPrincipalArn: 'arn:auditrax:iam:::installation/auditrax',
      kmsOperation: 'Encrypt',
      kmsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      kmsKeyArn: `arn:auditrax:keys::${context.tenantId}:dek/fields/${context.dekId}`,
    });
    peer.behaviour = {
      answer: (_request, response) => (send(response, 403, { errorName: 'AccessDeniedException' }), true),
    };
    const failure = (await provider.unwrap(made, context).catch((error: unknown) => error)) as Error;
    expect(failure.message).toContain(peer.seen.at(-1)!.body.requestMetadata['kmsRequestId']);
    expect(failure.message).not.toContain('a'.repeat(43));
  });
});
