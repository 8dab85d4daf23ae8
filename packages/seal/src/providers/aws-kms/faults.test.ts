import { describe, expect, it } from 'vitest';
import { verdictOf } from './faults.ts';

const keyArn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const nowMs = Date.UTC(2026, 0, 1);

function coded(code: string): Error {
  return Object.assign(new Error('text'), { code });
}
function named(name: string, more: object = {}): Error {
  return Object.assign(new Error('text'), { name, ...more });
}

describe('what a failed call of the AWS SDK comes to', () => {
  it('tells a network that never carried the request from one that may have', () => {
    const facts = (thrown: unknown) => {
      const { error, mayRepeat, isUntouched } = verdictOf(thrown, { keyArn, nowMs });
      return [error.code, mayRepeat, isUntouched];
    };
    for (const code of ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH'])
      expect(facts(coded(code)), code).toEqual(['kek_unavailable', true, true]);
    for (const code of ['ECONNRESET', 'EPIPE', 'ETIMEDOUT'])
      expect(facts(coded(code)), code).toEqual(['kek_unavailable', true, false]);
    for (const name of ['AbortError', 'TimeoutError', 'SyntaxError'])
      expect(facts(named(name)), name).toEqual(['kek_unavailable', true, false]);
    for (const code of ['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'])
      expect(facts(coded(code)), code).toEqual(['kek_misconfigured', false, false]);
    expect(facts(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }))[2]).toBe(true);
    expect(facts(undefined)[0]).toBe('kek_unavailable');
  });

  it('names the key and the error in every message, and takes no other word of the answer', () => {
    const secret = 'c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA';
    const names = [
      'DisabledException',
      'KMSInvalidStateException',
      'KeyUnavailableException',
      'AccessDeniedException',
      'AccessDenied',
      'InvalidSignatureException',
      'NotFoundException',
      'IncorrectKeyException',
      'InvalidCiphertextException',
      'ExpiredImportTokenException',
      'IncorrectKeyMaterialException',
      'CloudHsmClusterInvalidConfigurationException',
      'CustomKeyStoreInvalidStateException',
      'CredentialsProviderError',
      'RequestExpired',
      'Unheard',
    ];
    for (const name of names) {
      const metadata = { $metadata: { httpStatusCode: 400, requestId: 'b0c0ffee-1111-2222-3333-444455556666' } };
      const { message } = verdictOf(named(name, { ...metadata, message: secret }), { keyArn, nowMs }).error;
      expect(message).toContain(`KMS key ${keyArn}`);
      expect(message).toContain(`(${name}, AWS request b0c0ffee-1111-2222-3333-444455556666)`);
      expect(message).not.toMatch(/\bKEY\b/);
      expect(message).not.toContain(secret);
    }
    expect(verdictOf(named(`x${secret}`), { keyArn, nowMs }).error.message).not.toContain(secret);
  });

  it('a clock that is off by five minutes explains a refused signature; by less it does not', () => {
    const at = (offset_ms: number) => {
      const date = new Date(nowMs + offset_ms).toUTCString();
      const thrown = named('InvalidSignatureException', { $response: { headers: { date } } });
      return verdictOf(thrown, { keyArn, nowMs }).error;
    };
    expect(at(0).code).toBe('kek_denied');
    expect(at(240_000).code).toBe('kek_denied');
    expect(at(360_000)).toMatchObject({ code: 'clock_skew', message: expect.stringContaining('360 s behind AWS') });
    expect(at(-360_000)).toMatchObject({ code: 'clock_skew', message: expect.stringContaining('360 s ahead of AWS') });
  });
});
