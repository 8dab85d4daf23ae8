import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, manualClock, systemRandom } from '@auditrax/base';
import { sealError } from '@auditrax/seal';
import { describe, expect, it } from 'vitest';
import { RateLimit } from './admission.ts';
import { associatedData, integrityValue, labelsFor, metadataOf } from './binding.ts';
import type { StoreKey } from './config.ts';
import { toXksError, XksError } from './errors.ts';
import { HealthCheck } from './health.ts';
import { Hsm, type HsmToken } from './hsm.ts';
import { decrypt, encrypt, keyMetadata } from './operations.ts';
import { targetOf } from './route.ts';
import { fakeToken } from './testing/fake-token.ts';

const MARKER = 'some text';
const requestMetadata = { awsPrincipalArn: 'p', kmsKeyArn: 'k', kmsOperation: 'o', kmsRequestId: 'r' };
const foo: StoreKey = { id: 'foo', labels: ['foo'], operations: ['ENCRYPT', 'DECRYPT'], enabled: true, callers: {} };

const over = (token: HsmToken, deadlineMs = 1000) =>
  new Hsm({ token, random: systemRandom, deadlineMs, healthLabel: 'health' });
const request = (more: object = {}) => ({
  requestMetadata,
  plaintext: Buffer.from(MARKER),
  encryptionAlgorithm: 'AES_GCM' as const,
  ...more,
});
const nameOf = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error: unknown) => toXksError(error).errorName,
  );

describe('what is bound', () => {
  it('has both lengths in front, so that no byte can change sides', () => {
    expect(associatedData({ aad: Buffer.from('ab'), metadata: Buffer.from('c') }).toString('hex')).toBe('000261620163');
    expect(associatedData({ aad: undefined, metadata: undefined }).toString('hex')).toBe('000000');
    const moved = associatedData({ aad: Buffer.from('a'), metadata: Buffer.from('bc') });
    expect(moved.equals(associatedData({ aad: Buffer.from('ab'), metadata: Buffer.from('c') }))).toBe(false);
    expect(
      associatedData({ aad: Buffer.alloc(8192), metadata: undefined })
        .subarray(0, 2)
        .toString('hex'),
    ).toBe('2000');
  });

  it('is hashed in the protocol’s order', () => {
    const [aad, metadata, iv, ciphertext, tag] = ['1', '2', '3', '4', '5'].map((text) => Buffer.from(text));
    const expected = createHash('sha256').update('12345').digest();
    expect(integrityValue({ aad, metadata }, { iv: iv!, ciphertext: ciphertext!, tag: tag! }).equals(expected)).toBe(
      true,
    );
  });

  it('names the key in at most 20 bytes; what it does not name is tried under every key', () => {
    expect(metadataOf('x'.repeat(200))).toHaveLength(9);
    expect(labelsFor(metadataOf('b'), ['a', 'b'])).toEqual(['b']);
    expect(labelsFor(metadataOf('c'), ['a', 'b'])).toEqual([]);
    expect(labelsFor(undefined, ['a', 'b'])).toEqual(['a', 'b']);
    expect(labelsFor(Buffer.from('key_version=1'), ['a', 'b'])).toEqual(['a', 'b']);
  });
});

describe('a CDIV', () => {
  const cdiv = { ciphertextDataIntegrityValueAlgorithm: 'SHA_256' as const };

  it('is given only for what was opened again', async () => {
    const good = fakeToken();
    const damaging = fakeToken({
      encryptGcm: async (use, text) => {
        const sealed = await good.encryptGcm(use, text);
        sealed[0]! ^= 1;
        return sealed;
      },
    });
    expect(await nameOf(encrypt({ hsm: over(good), key: foo }, request(cdiv)))).toBe('ok');
    expect(await nameOf(encrypt({ hsm: over(damaging), key: foo }, request()))).toBe('ok');
    expect(await nameOf(encrypt({ hsm: over(damaging), key: foo }, request(cdiv)))).not.toBe('ok');
    const confusing = fakeToken({ decryptGcm: async () => Buffer.from('some texT') });
    expect(await nameOf(encrypt({ hsm: over(confusing), key: foo }, request(cdiv)))).toBe('InternalException');
  });

  it('or any answer leaves no plaintext in our buffers', async () => {
    const asked = request();
    await encrypt({ hsm: over(fakeToken()), key: foo }, asked);
    expect(asked.plaintext.every((byte) => byte === 0)).toBe(true);
    const refused = request();
    await nameOf(encrypt({ hsm: over(fakeToken()), key: { ...foo, enabled: false } }, refused));
    expect(refused.plaintext.every((byte) => byte === 0)).toBe(true);
  });
});

describe('faults of the token', () => {
  const opened = (code: string) => {
    const token = fakeToken({
      decryptGcm: async () => {
        throw new AppError(code, 'secret detail of the vendor');
      },
    });
    const sealed = {
      ciphertext: Buffer.alloc(5),
      initializationVector: Buffer.alloc(12),
      authenticationTag: Buffer.alloc(16),
    };
    return decrypt({ hsm: over(token), key: foo }, { requestMetadata, encryptionAlgorithm: 'AES_GCM', ...sealed });
  };

  it.each([
    ['kek_unavailable', 'DependencyTimeoutException'],
    ['kek_throttled', 'ThrottlingException'],
    ['kek_gone', 'KeyNotFoundException'],
    ['kek_disabled', 'InvalidStateException'],
    ['authentication_failed', 'InvalidCiphertextException'],
    ['kek_denied', 'InternalException'],
    ['kek_misconfigured', 'InternalException'],
    ['anything else', 'InternalException'],
  ])('%s is told as %s, without its detail', async (code, expected) => {
    const error = await opened(code).catch(toXksError);
    expect((error as XksError).errorName).toBe(expected);
    expect(JSON.stringify((error as XksError).body)).not.toContain('vendor');
    expect((error as XksError).reason).toContain('vendor');
  });

  it('a message of any text is printable ASCII below 512 characters', () => {
    const { errorMessage } = new XksError('InternalException', `é\n${'x'.repeat(600)}`).body;
    expect(errorMessage).toMatch(/^\?\?x{509}$/);
  });

  it('are not waited for beyond the deadline', async () => {
    const hanging = fakeToken({ encryptGcm: () => sleep(5_000, Buffer.alloc(0), { ref: false }) });
    const startedAt = performance.now();
    expect(await nameOf(encrypt({ hsm: over(hanging, 50), key: foo }, request()))).toBe('DependencyTimeoutException');
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it('make the next call look the key up again: a replaced key has another id', async () => {
    let id = '01';
    const token = fakeToken({
      findKey: async () => ({ id, label: 'foo' }),
      describeKey: async (asked) => {
        if (asked !== id) throw sealError('kek_gone', 'no');
        return await fakeToken().describeKey(asked);
      },
    });
    const call = { hsm: over(token), key: foo };
    expect(await nameOf(keyMetadata(call))).toBe('ok');
    id = '02';
    expect(await nameOf(keyMetadata(call))).toBe('KeyNotFoundException');
    expect(await nameOf(keyMetadata(call))).toBe('ok');
  });

  it('show in the metadata: what the token would not do is not promised', async () => {
    const token = fakeToken({
      describeKey: async (id) => ({ ...(await fakeToken().describeKey(id)), value_bytes: 16, decrypt: false }),
    });
    expect(await keyMetadata({ hsm: over(token), key: foo })).toEqual({
      keySpec: 'AES_128',
      keyUsage: ['ENCRYPT'],
      keyStatus: 'ENABLED',
    });
  });
});

describe('health', () => {
  it('is proven by an encryption, remembered when good, never when bad', async () => {
    const clock = manualClock(1_000_000);
    let calls = 0;
    let isBroken = false;
    const good = fakeToken();
    const token = fakeToken({
      encryptGcm: (use, text) => {
        calls += 1;
        if (isBroken) throw sealError('kek_unavailable', 'gone');
        return good.encryptGcm(use, text);
      },
    });
    const health = new HealthCheck(over(token), clock);
    await health.report(2);
    await health.report(2);
    expect(calls).toBe(1);
    isBroken = true;
    clock.advance(5_001);
    expect(await nameOf(health.report(2))).toBe('DependencyTimeoutException');
    expect(await nameOf(health.report(2))).toBe('DependencyTimeoutException');
    isBroken = false;
    expect(await health.report(2)).toMatchObject({ xksProxyFleetSize: 2, ekmVendor: 'maker' });
    expect(calls).toBe(4);
  });
});

describe('a rate', () => {
  it('lets a second’s worth pass at once, then as much as comes in', () => {
    const clock = manualClock(0);
    const limit = new RateLimit(clock, 10);
    const passed = () => Array.from({ length: 100 }, () => limit.take(10)).filter(Boolean).length;
    expect(passed()).toBe(10);
    expect(passed()).toBe(0);
    clock.advance(250);
    expect(passed()).toBe(2);
    clock.advance(60_000);
    expect(passed()).toBe(10);
    clock.advance(-5_000);
    expect(passed()).toBe(0);
  });
});

describe('a path', () => {
  it('is one of four below its prefix, spelled in one way', () => {
    expect(targetOf('/kms/xks/v1/health')).toEqual({ operation: 'health', prefix: '' });
    expect(targetOf('/a/kms/xks/v1/kms/xks/v1/health')).toEqual({ operation: 'health', prefix: '/a/kms/xks/v1' });
    expect(targetOf('/a/b/kms/xks/v1/keys/k._-1/encrypt')).toEqual({
      operation: 'encrypt',
      prefix: '/a/b',
      keyId: 'k._-1',
    });
    const none = ['', '/', '/health', '//kms/xks/v1/health', '/kms/xks/v2/health', '/kms/xks/v1/keys/../encrypt'];
    const more = ['/kms/xks/v1/keys/./encrypt', '/kms/xks/v1/keys/k/encrypt?', `/${'a'.repeat(256)}/kms/xks/v1/health`];
    for (const url of [
      ...none,
      ...more,
      'https://x/kms/xks/v1/health',
      `/kms/xks/v1/keys/${'k'.repeat(129)}/encrypt`,
    ]) {
      expect([url, targetOf(url)]).toEqual([url, undefined]);
    }
  });
});
