import 'reflect-metadata';
import { createHash, generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import { BasicConstraintsExtension, X509CertificateGenerator } from '@peculiar/x509';

/** A key pair with a self-signed certificate, all in PEM. For tests and benches only. */
export interface TestKey {
  readonly privateKey: string;
  readonly certificate: string;
  readonly fingerprint: string;
}

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;

/** Makes a key of a test's own provider; nothing here is a secret of anybody. */
export async function makeTestKey(
  name: string,
  options: { notBefore_ms?: number; notAfter_ms?: number; bits?: number } = {},
): Promise<TestKey> {
  const pair = generateKeyPairSync('rsa', { modulusLength: options.bits ?? 2048 });
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const { subtle } = webcrypto;
  const signing = await subtle.importKey('pkcs8', pair.privateKey.export({ type: 'pkcs8', format: 'der' }), RSA, true, [
    'sign',
  ]);
  const publicKey = await subtle.importKey('spki', pair.publicKey.export({ type: 'spki', format: 'der' }), RSA, true, [
    'verify',
  ]);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: createHash('sha256').update(name).digest('hex').slice(0, 16),
      name: `CN=${name}`,
      notBefore: new Date(options.notBefore_ms ?? Date.parse('2020-01-01T00:00:00Z')),
      notAfter: new Date(options.notAfter_ms ?? Date.parse('2040-01-01T00:00:00Z')),
      signingAlgorithm: RSA,
      keys: { privateKey: signing, publicKey },
      extensions: [new BasicConstraintsExtension(false)],
    },
    webcrypto as never,
  );
  const pem = certificate.toString('pem');
  const fingerprint = new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
  return { privateKey, certificate: `${pem}\n`, fingerprint };
}
