// The real program, on SoftHSM, asked by curl, whose signer and TLS are not ours.
import { createHash, createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openToken } from '@auditrax/seal/pkcs11';
import { hasSoftToken } from '@auditrax/seal/providers/pkcs11/soft-token';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { associatedData } from './binding.ts';
import * as rig from './testing/rig.ts';

const LABELS = ['foo', 'foo-old', 'enc-only', 'dec-only', 'neither', 'off', 'guarded', 'theirs', 'slow', 'health'];
const MARKER = 'marker-of-a-plaintext-that-no-log-may-hold';
const PLAINTEXT = Buffer.from(MARKER).toString('base64');
const AAD = Buffer.from('project=nile,department=marketing').toString('base64');
const PRINCIPAL = 'arn:aws:iam::123456789012:user/one';
const KMS_KEY = 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const requestMetadata = {
  awsPrincipalArn: PRINCIPAL,
  kmsKeyArn: KMS_KEY,
  kmsOperation: 'GenerateDataKey',
  kmsRequestId: '4112f4d6-db54-4af4-ae30-c55a22a8dfae',
  kmsViaService: 's3.eu-west-1.amazonaws.com',
};
const plain = { requestMetadata, plaintext: PLAINTEXT, encryptionAlgorithm: 'AES_GCM' };

if (process.env['CI'] === 'true' && !hasSoftToken()) throw new Error('softhsm2 is missing: apt-get install softhsm2');

describe.skipIf(!hasSoftToken())('auditrax-xks-proxy (needs softhsm2)', () => {
  let bench: rig.Bench;
  let program: rig.Program;
  let first: rig.Credential;
  let second: rig.Credential;
  let theirs: rig.Credential;
  let settings: rig.Settings;

  beforeAll(async () => {
    bench = await rig.makeBench(LABELS);
    first = await bench.putCredential('first.json', '/bank');
    second = await bench.putCredential('second.json', '/bank');
    theirs = await bench.putCredential('theirs.json', '/other');
    const slow = await bench.putCredential('slow.json', '/slow');
    settings = rig.settingsOf(bench, {
      stores: [
        {
          uriPathPrefix: '/bank',
          credentialFiles: ['first.json', 'second.json'],
          keys: [
            { id: 'foo', labels: ['foo', 'foo-old'] },
            { id: 'enc-only', operations: ['ENCRYPT'] },
            { id: 'dec-only', operations: ['DECRYPT'] },
            { id: 'neither', operations: [] },
            { id: 'off', enabled: false },
            { id: 'guarded', callers: { principalArns: [PRINCIPAL], kmsKeyArns: [KMS_KEY] } },
            { id: 'absent' },
          ],
        },
        { uriPathPrefix: '/other', credentialFiles: ['theirs.json'], keys: [{ id: 'theirs' }] },
        { uriPathPrefix: '/slow', credentialFiles: ['slow.json'], requestsPerSecondMax: 3, keys: [{ id: 'slow' }] },
      ],
    });
    // Longer than in earnest: a busy test machine is not what is tested.
    Object.assign(settings['hsm'] as rig.Settings, { healthKeyLabel: 'health', deadlineMilliseconds: 1_000 });
    settings['concurrentRequestsMax'] = 16;
    program = await rig.startProgram(await bench.putConfig(settings));
    slowCredential = slow;
  });
  let slowCredential: rig.Credential;
  afterAll(async () => {
    await program?.stop();
    await bench?.remove();
  });

  const ask = (path: string, body?: unknown, more: Partial<rig.Ask> = {}) =>
    rig.ask(bench, program.port, { credential: first, prefix: '/bank', path, body, ...more });
  const refusal = async (...args: Parameters<typeof ask>) => {
    const { status, error, body } = await ask(...args);
    expect(Object.keys(body).filter((name) => !['errorName', 'errorMessage'].includes(name))).toEqual([]);
    expect(String(body['errorMessage'])).toMatch(/^[\x20-\x7e]{1,511}$/);
    return `${status} ${error}`;
  };
  const encrypt = async (more: object = {}, key = 'foo') => {
    const { status, body } = await ask(`keys/${key}/encrypt`, { ...plain, ...more });
    expect(status).toBe(200);
    return body as Record<string, string>;
  };
  const toDecrypt = (sealed: Record<string, string>, more: object = {}) => {
    const { ciphertextDataIntegrityValue: _value, ...parts } = sealed;
    return { requestMetadata, encryptionAlgorithm: 'AES_GCM', ...parts, ...more };
  };

  describe('health', () => {
    it('proves the token and tells what it is', async () => {
      const { status, body } = await ask('health', {
        requestMetadata: { kmsOperation: 'KmsHealthCheck', kmsRequestId: 'x' },
      });
      expect(status).toBe(200);
      expect(body).toMatchObject({ xksProxyFleetSize: 1, xksProxyVendor: 'Auditrax', ekmVendor: 'SoftHSM project' });
      expect(body['ekmFleetDetails']).toMatchObject([{ healthStatus: 'ACTIVE' }]);
    });

    it('wants requestMetadata', async () => {
      expect(await refusal('health', {})).toBe('400 ValidationException');
      expect(await refusal('health', { requestMetadata: {} })).toBe('400 ValidationException');
    });
  });

  describe('metadata', () => {
    it('tells type, use and state of each key', async () => {
      const of = async (key: string) => (await ask(`keys/${key}/metadata`, { requestMetadata })).body;
      const both = ['ENCRYPT', 'DECRYPT'];
      expect(await of('foo')).toEqual({ keySpec: 'AES_256', keyUsage: both, keyStatus: 'ENABLED' });
      expect(await of('enc-only')).toEqual({ keySpec: 'AES_256', keyUsage: ['ENCRYPT'], keyStatus: 'ENABLED' });
      expect(await of('neither')).toEqual({ keySpec: 'AES_256', keyUsage: [], keyStatus: 'ENABLED' });
      expect(await of('off')).toEqual({ keySpec: 'AES_256', keyUsage: both, keyStatus: 'DISABLED' });
    });

    it('refuses a request without its metadata, and keys that are not there or of another store', async () => {
      expect(await refusal('keys/foo/metadata', {})).toBe('400 ValidationException');
      expect(await refusal('keys/foo/metadata', { requestMetadata: {} })).toBe('400 ValidationException');
      expect(await refusal('keys/non_existing_key/metadata', { requestMetadata })).toBe('404 KeyNotFoundException');
      expect(await refusal('keys/absent/metadata', { requestMetadata })).toBe('404 KeyNotFoundException');
      expect(await refusal('keys/theirs/metadata', { requestMetadata })).toBe('404 KeyNotFoundException');
    });
  });

  describe('encrypt and decrypt', () => {
    it('give the text back, with and without AAD', async () => {
      for (const more of [{}, { additionalAuthenticatedData: AAD }]) {
        const sealed = await encrypt(more);
        expect(sealed['ciphertext']).toHaveLength(PLAINTEXT.length);
        expect(await ask('keys/foo/decrypt', toDecrypt(sealed, more))).toMatchObject({
          status: 200,
          body: { plaintext: PLAINTEXT },
        });
      }
    });

    it('never use an IV twice', async () => {
      const ivs = await Promise.all(Array.from({ length: 8 }, async () => (await encrypt())['initializationVector']));
      expect(new Set(ivs).size).toBe(8);
    });

    it('give a CDIV that anybody can compute', async () => {
      for (const aad of ['', AAD]) {
        const more = aad === '' ? {} : { additionalAuthenticatedData: aad };
        const sealed = await encrypt({ ...more, ciphertextDataIntegrityValueAlgorithm: 'SHA_256' });
        const parts = [aad, sealed['ciphertextMetadata'], sealed['initializationVector'], sealed['ciphertext']];
        const hash = createHash('sha256');
        for (const part of [...parts, sealed['authenticationTag']]) hash.update(Buffer.from(part!, 'base64'));
        expect(sealed['ciphertextDataIntegrityValue']).toBe(hash.digest('base64'));
      }
    });

    it('take 4300 bytes of text with 8192 of AAD, and say that more is unsupported', async () => {
      const text = (length: number) => Buffer.alloc(length, 7).toString('base64');
      const most = { plaintext: text(4300), additionalAuthenticatedData: text(8192) };
      const sealed = await encrypt(most);
      const opened = await ask('keys/foo/decrypt', toDecrypt(sealed, { additionalAuthenticatedData: text(8192) }));
      expect(opened.body).toEqual({ plaintext: text(4300) });
      const over = '501 UnsupportedOperationException';
      expect(await refusal('keys/foo/encrypt', { ...plain, plaintext: text(4301) })).toBe(over);
      expect(await refusal('keys/foo/encrypt', { ...plain, additionalAuthenticatedData: text(8193) })).toBe(over);
      expect(await refusal('keys/foo/decrypt', toDecrypt(sealed, { ciphertext: text(4301) }))).toBe(over);
      expect(await refusal('keys/foo/encrypt', { ...plain, plaintext: text(60_000) })).toBe('400 ValidationException');
    });

    it('refuse whatever was changed', async () => {
      const sealed = await encrypt({ additionalAuthenticatedData: AAD });
      const good = toDecrypt(sealed, { additionalAuthenticatedData: AAD });
      const flipped = (text: string) => {
        const bytes = Buffer.from(text, 'base64');
        bytes[bytes.length - 1]! ^= 1;
        return bytes.toString('base64');
      };
      const { additionalAuthenticatedData: _aad, ...withoutAad } = good as Record<string, unknown>;
      const { ciphertextMetadata: _metadata, ...withoutMetadata } = good as Record<string, unknown>;
      const changed: Record<string, object> = {
        'no AAD': withoutAad,
        'no metadata': withoutMetadata,
        'other AAD': { ...good, additionalAuthenticatedData: flipped(AAD) },
        'metadata of another format': { ...good, ciphertextMetadata: Buffer.from('key_version=1').toString('base64') },
        'metadata as AAD': { ...withoutMetadata, additionalAuthenticatedData: sealed['ciphertextMetadata'] },
        'an IV of 13 bytes': { ...good, initializationVector: Buffer.alloc(13).toString('base64') },
        'a short tag': { ...good, authenticationTag: Buffer.alloc(12).toString('base64') },
        'a long tag': { ...good, authenticationTag: Buffer.alloc(17).toString('base64') },
      };
      for (const name of ['ciphertext', 'ciphertextMetadata', 'initializationVector', 'authenticationTag']) {
        changed[`one bit of ${name}`] = { ...good, [name]: flipped(sealed[name]!) };
      }
      for (const [name, body] of Object.entries(changed)) {
        expect([name, await refusal('keys/foo/decrypt', body)]).toEqual([name, '400 InvalidCiphertextException']);
      }
      const long = { ...good, ciphertextMetadata: Buffer.alloc(21).toString('base64') };
      expect(await refusal('keys/foo/decrypt', long)).toBe('400 ValidationException');
      expect((await ask('keys/foo/decrypt', good)).status).toBe(200);
    });

    it('refuse what has not the shape of the protocol', async () => {
      const { plaintext: _plaintext, ...withoutText } = plain;
      const bodies: Record<string, unknown> = {
        'no plaintext': withoutText,
        'an empty plaintext': { ...plain, plaintext: '' },
        'a plaintext that is not base64': { ...plain, plaintext: 'not base64!' },
        'base64 without padding': { ...plain, plaintext: PLAINTEXT.slice(0, -2) },
        'the URL alphabet': { ...plain, plaintext: '-_-_' },
        'another algorithm': { ...plain, encryptionAlgorithm: 'AES_CBC' },
        'no algorithm': { ...plain, encryptionAlgorithm: undefined },
        'another hash': { ...plain, ciphertextDataIntegrityValueAlgorithm: 'MD5' },
        'no key in the metadata': { ...plain, requestMetadata: { ...requestMetadata, kmsKeyArn: undefined } },
        'a number': { ...plain, plaintext: 7 },
        'no JSON': '{',
        'a list': [],
      };
      for (const [name, body] of Object.entries(bodies)) {
        expect([name, await refusal('keys/foo/encrypt', body)]).toEqual([name, '400 ValidationException']);
      }
    });

    it('open an IV of 16 bytes, and what another proxy sealed on the same token without metadata', async () => {
      const token = await openToken({ ...bench.soft, sessions: 1 });
      try {
        const aad = Buffer.from(AAD, 'base64');
        for (const label of ['foo', 'foo-old']) {
          const key = (await token.findKey({ label }))!;
          const iv = Buffer.alloc(16, 9);
          const bound = associatedData({ aad, metadata: undefined });
          const sealed = await token.encryptGcm({ keyId: key.id, iv, aad: bound }, Buffer.from(MARKER));
          const body = {
            requestMetadata,
            encryptionAlgorithm: 'AES_GCM',
            additionalAuthenticatedData: AAD,
            ciphertext: sealed.subarray(0, -16).toString('base64'),
            authenticationTag: sealed.subarray(-16).toString('base64'),
            initializationVector: iv.toString('base64'),
          };
          expect((await ask('keys/foo/decrypt', body)).body).toEqual({ plaintext: PLAINTEXT });
        }
      } finally {
        token.close();
      }
    });

    it('keep to what each key is for', async () => {
      const sealed = await encrypt({}, 'enc-only');
      const wrongUse = '400 InvalidKeyUsageException';
      const cdiv = { ...plain, ciphertextDataIntegrityValueAlgorithm: 'SHA_256' };
      expect(await refusal('keys/enc-only/decrypt', toDecrypt(sealed))).toBe(wrongUse);
      // Without a trial decryption a CDIV would promise what nobody has tried.
      expect(await refusal('keys/enc-only/encrypt', cdiv)).toBe(wrongUse);
      for (const key of ['dec-only', 'neither']) {
        expect(await refusal(`keys/${key}/encrypt`, plain)).toBe(wrongUse);
        expect(await refusal(`keys/${key}/encrypt`, cdiv)).toBe(wrongUse);
      }
      expect(await refusal('keys/neither/decrypt', toDecrypt(sealed))).toBe(wrongUse);
      expect(await refusal('keys/dec-only/decrypt', toDecrypt(sealed))).toBe('400 InvalidCiphertextException');
      expect(await refusal('keys/off/encrypt', plain)).toBe('400 InvalidStateException');
      expect(await refusal('keys/off/decrypt', toDecrypt(sealed))).toBe('400 InvalidStateException');
      expect(await refusal('keys/non_existing_key/encrypt', plain)).toBe('404 KeyNotFoundException');
    });

    it('keep to who may use a key', async () => {
      expect((await ask('keys/guarded/encrypt', plain)).status).toBe(200);
      const as = (change: object) => ({ ...plain, requestMetadata: { ...requestMetadata, ...change } });
      const denied = '403 AccessDeniedException';
      expect(await refusal('keys/guarded/encrypt', as({ awsPrincipalArn: `${PRINCIPAL}2` }))).toBe(denied);
      expect(await refusal('keys/guarded/encrypt', as({ kmsKeyArn: `${KMS_KEY}0` }))).toBe(denied);
      expect((await ask('keys/foo/encrypt', as({ awsPrincipalArn: `${PRINCIPAL}2` }))).status).toBe(200);
    });
  });

  describe('who asks', () => {
    const body = { requestMetadata };
    const unknown = '401 AuthenticationFailedException';

    it('is known by either of two live credentials of the prefix, and by nothing else', async () => {
      expect((await ask('health', body, { credential: second })).status).toBe(200);
      expect(await refusal('health', body, { credential: theirs })).toBe(unknown);
      expect(await refusal('health', body, { credential: { ...first, id: `A${first.id.slice(1)}A` } })).toBe(unknown);
      expect(await refusal('health', body, { credential: { ...first, secret: `x${first.secret}` } })).toBe(unknown);
      expect(await refusal('health', body, { service: 'kms' })).toBe(unknown);
    });

    it('reaches the keys of its own prefix only', async () => {
      const there = { credential: theirs, prefix: '/other' };
      expect((await ask('keys/theirs/encrypt', plain, there)).status).toBe(200);
      expect(await refusal('keys/foo/encrypt', plain, there)).toBe('404 KeyNotFoundException');
      expect(await refusal('keys/theirs/encrypt', plain)).toBe('404 KeyNotFoundException');
      expect(await refusal('keys/theirs/encrypt', plain, { prefix: '/other' })).toBe(unknown);
    });

    const text = JSON.stringify(body);
    const dateIn = (shift_s: number) => new Date(Date.now() + shift_s * 1000).toISOString().replace(/[-:]|\.\d+/g, '');
    const hmac = (under: string | Buffer, data: string) => createHmac('sha256', under).update(data).digest();
    const hex = (data: string) => createHash('sha256').update(data).digest('hex');
    /** A signer that signs only the headers it is given, at their own date or at `date`. */
    const signed = (headers: Record<string, string>, date = headers['x-amz-date']!) => {
      const names = Object.keys(headers).sort();
      const lines = names.map((name) => `${name}:${headers[name]}\n`).join('');
      const canonical = `POST\n/bank/kms/xks/v1/health\n\n${lines}\n${names.join(';')}\n${hex(text)}`;
      const scope = `${date.slice(0, 8)}/eu-west-1/kms-xks-proxy/aws4_request`;
      const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${first.secret}`);
      const signature = hmac(key, `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hex(canonical)}`).toString('hex');
      return `AWS4-HMAC-SHA256 Credential=${first.id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
    };
    const post = (lines: [string, string][]) =>
      new Promise<number>((resolve, reject) => {
        const call = request(
          {
            host: 'localhost',
            port: program.port,
            path: '/bank/kms/xks/v1/health',
            method: 'POST',
            ca: bench.authority.authorityPem,
            agent: false,
            setHost: false,
            headers: [...lines, ['Content-Length', String(text.length)]].flat() as never,
          },
          (response) => resolve(response.resume().statusCode!),
        );
        call.on('error', reject);
        call.end(text);
      });
    const host = () => `localhost:${program.port}`;

    it('must have signed just now: a recorded request is worthless after five minutes', async () => {
      const postedAt = (shift_s: number) => {
        const date = dateIn(shift_s);
        const authorization = signed({ host: host(), 'x-amz-date': date });
        return post([
          ['Host', host()],
          ['X-Amz-Date', date],
          ['Authorization', authorization],
        ]);
      };
      expect(await Promise.all([-290, 290].map(postedAt))).toEqual([200, 200]);
      expect(await Promise.all([-310, 310].map(postedAt))).toEqual([401, 401]);
      // The line is written after the answer has gone out.
      const skews = () => program.lines().filter(({ reason }) => /^skew of -?3\d\d s$/.test(String(reason)));
      await expect.poll(() => skews().length).toBe(2);
    });

    it('must have signed the host and every header of AWS, and sent each once', async () => {
      const date = dateIn(0);
      const base: [string, string][] = [
        ['Host', host()],
        ['X-Amz-Date', date],
      ];
      const both = { host: host(), 'x-amz-date': date };
      const good: [string, string] = ['Authorization', signed(both)];
      expect(await post([...base, good])).toBe(200);
      expect(await post([...base, ['Authorization', signed({ 'x-amz-date': date })]])).toBe(401);
      expect(await post([...base, ['Authorization', signed({ host: host() }, date)]])).toBe(401);
      expect(await post([...base, good, good])).toBe(401);
      expect(await post([...base, good, base[1]!])).toBe(401);
      expect(await post([...base, good, ['X-Amz-Note', 'unsigned']])).toBe(401);
      const noted: [string, string] = ['Authorization', signed({ ...both, 'x-amz-note': 'one,two words' })];
      const folded: [string, string][] = [
        ['X-Amz-Note', '  one '],
        ['x-amz-note', 'two   words'],
      ];
      expect(await post([...base, noted, ...folded])).toBe(200);
      expect(await post([...base, noted, ...folded.reverse()])).toBe(401);
      expect(await post([['Host', 'elsewhere'], base[1]!, good])).toBe(401);
      expect(await post(base)).toBe(401);
    });

    it('is refused a folded header line by the parser itself', async () => {
      const answer = await ask('health', body, { curl: ['-H', 'X-Note: one\r\n two'] });
      expect(answer.status).toBe(400);
    });
  });

  describe('paths and methods', () => {
    it('have one spelling', async () => {
      const nowhere = '404 InvalidUriPathException';
      const body = { requestMetadata };
      expect(await refusal('health', body, { prefix: '/bank/invalid' })).toBe(nowhere);
      expect(await refusal('health', body, { prefix: '' })).toBe(nowhere);
      for (const path of [
        'health/',
        'health?x=1',
        'keys/foo/rotate',
        'keys/fo%6f/encrypt',
        'keys//encrypt',
        'keys/../health',
      ]) {
        expect([path, await refusal(path, body, { curl: ['--path-as-is'] })]).toEqual([path, nowhere]);
      }
    });

    it('are POST only', async () => {
      for (const path of ['health', 'keys/foo/metadata', 'keys/foo/encrypt', 'keys/foo/decrypt']) {
        for (const method of ['GET', 'PUT', 'DELETE', 'HEAD']) {
          const curl = method === 'HEAD' ? ['-I', '-G'] : ['-X', method];
          expect([method, path, (await ask(path, '', { curl })).status]).toEqual([method, path, 405]);
        }
      }
    });

    it('tell a load balancer without credentials whether to send requests', async () => {
      const status = await new Promise((resolve, reject) => {
        const { authorityPem: ca } = bench.authority;
        const call = request({ host: 'localhost', port: program.port, path: '/livez', ca, agent: false }, (response) =>
          resolve(response.resume().statusCode),
        );
        call.on('error', reject).end();
      });
      expect(status).toBe(200);
    });
  });

  describe('under load', () => {
    it('turns away what exceeds a prefix’s rate, and only there', async () => {
      const there = { credential: slowCredential, prefix: '/slow' };
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask('keys/slow/encrypt', plain, there)));
      const statuses = answers.map(({ status, error }) => `${status} ${error}`.trim());
      expect(statuses).toContain('200');
      expect(statuses).toContain('429 ThrottlingException');
      expect((await ask('keys/foo/encrypt', plain)).status).toBe(200);
      await sleep(1100);
      expect((await ask('keys/slow/encrypt', plain, there)).status).toBe(200);
    });

    it('answers in time while the HSM hangs, turns away what piles up, and recovers', async () => {
      const sessions = await rig.sessionsOf(program);
      expect(sessions.length).toBeGreaterThan(0);
      for (const pid of sessions) process.kill(pid, 'SIGSTOP');
      try {
        expect(await refusal('keys/foo/encrypt', plain)).toBe('503 DependencyTimeoutException');
        const many = await Promise.all(Array.from({ length: 40 }, () => ask('keys/foo/encrypt', plain)));
        const statuses = new Set(many.map(({ status }) => status));
        expect([...statuses].every((status) => status === 503 || status === 429)).toBe(true);
        expect(statuses).toContain(503);
      } finally {
        for (const pid of sessions) {
          try {
            process.kill(pid, 'SIGCONT');
          } catch {
            // The proxy has ended it already.
          }
        }
      }
      await expect.poll(async () => (await ask('keys/foo/encrypt', plain)).status, { timeout: 10_000 }).toBe(200);
    });

    it('says so while the token is gone, health included, and finds it again', async () => {
      const sealed = await encrypt();
      const away = `${bench.soft.tokenFolder}-away`;
      await rename(bench.soft.tokenFolder, away);
      try {
        for (const path of ['keys/foo/encrypt', 'keys/foo/decrypt', 'keys/foo/metadata']) {
          const body = path.endsWith('decrypt') ? toDecrypt(sealed) : plain;
          expect([path, await refusal(path, body)]).toEqual([path, '503 DependencyTimeoutException']);
        }
        await expect
          .poll(() => refusal('health', { requestMetadata }), { timeout: 8_000 })
          .toBe('503 DependencyTimeoutException');
      } finally {
        await rename(away, bench.soft.tokenFolder);
      }
      await expect
        .poll(async () => (await ask('keys/foo/decrypt', toDecrypt(sealed))).body, { timeout: 10_000 })
        .toEqual({ plaintext: PLAINTEXT });
    });
  });

  describe('while it runs', () => {
    it('takes new credentials, keys and a replaced key into use, and refuses a broken file', async () => {
      const sealed = await encrypt();
      const third = await bench.putCredential('third.json', '/bank');
      const stores = structuredClone(settings['stores']) as { credentialFiles: string[]; keys: rig.Settings[] }[];
      stores[0]!.credentialFiles = ['second.json', 'third.json'];
      stores[0]!.keys[0] = { id: 'foo', labels: ['foo-old', 'foo'] };
      const reload = async (value: rig.Settings) => {
        await bench.putConfig(value);
        const told = program.next(({ event }) => event.startsWith('reload'));
        program.child.kill('SIGHUP');
        return told;
      };
      expect(await reload({ ...settings, stores })).toMatchObject({ event: 'reloaded', stores: 3 });
      expect(await refusal('health', { requestMetadata })).toBe('401 AuthenticationFailedException');
      const by = { credential: third };
      expect((await ask('keys/foo/decrypt', toDecrypt(sealed), by)).body).toEqual({ plaintext: PLAINTEXT });
      const newer = (await ask('keys/foo/encrypt', plain, by)).body;
      expect(newer['ciphertextMetadata']).not.toBe(sealed['ciphertextMetadata']);
      expect(await reload({ ...settings, stores: [] })).toMatchObject({
        event: 'reload-refused',
        reason: expect.stringContaining('stores'),
      });
      expect((await ask('health', { requestMetadata }, by)).status).toBe(200);
      expect(await reload(settings)).toMatchObject({ event: 'reloaded' });
      expect((await ask('health', { requestMetadata })).status).toBe(200);
    });

    it('logs who asked for what, by KMS’s own request id', async () => {
      const kmsRequestId = `id "${'x'.repeat(20)}\n{"event":"forged"}`;
      await ask('keys/foo/encrypt', { ...plain, requestMetadata: { ...requestMetadata, kmsRequestId } });
      await expect
        .poll(() => program.lines().find((line) => line['kmsRequestId'] === kmsRequestId))
        .toMatchObject({
          event: 'request',
          status: 200,
          operation: 'encrypt',
          uriPathPrefix: '/bank',
          keyId: 'foo',
          accessKeyId: first.id,
          region: 'eu-west-1',
          awsPrincipalArn: PRINCIPAL,
          kmsKeyArn: KMS_KEY,
          milliseconds: expect.any(Number),
        });
      expect(program.lines().some(({ event }) => event === 'forged')).toBe(false);
    });

    it('is quick: half of the calls in 60 ms on a busy machine, signature and token included', async () => {
      const before = program.lines().length;
      for (let call = 0; call < 30; call += 1) await encrypt();
      const times = program
        .lines()
        .slice(before)
        .map((line) => Number(line['milliseconds']))
        .sort((a, b) => a - b);
      expect(times.length).toBeGreaterThanOrEqual(29);
      expect(times[Math.floor(times.length / 2)]).toBeLessThan(60);
    });
  });

  describe('at the end', () => {
    it('lets a request under way finish and ends with 0', async () => {
      const last = encrypt();
      await sleep(5);
      const code = program.stop();
      await last.catch(() => undefined);
      expect(await code).toBe(0);
      expect(program.lines().at(-1)).toMatchObject({ event: 'ended' });
    });

    it('has written no text, secret, signature or PIN to its log', () => {
      const said = program.said();
      expect(said.length).toBeGreaterThan(10_000);
      const forms = (text: string) => [text, Buffer.from(text).toString('base64'), Buffer.from(text).toString('hex')];
      for (const secret of [MARKER, first.secret, second.secret, theirs.secret, rig.PIN].flatMap(forms)) {
        expect(said).not.toContain(secret);
      }
      expect(said).not.toMatch(/Signature=|AWS4-HMAC|PRIVATE KEY/);
    });
  });

  it('is found by npm under its name', () => {
    expect(existsSync(join(rig.ROOT, 'node_modules/.bin/auditrax-xks-proxy'))).toBe(true);
  });
});
