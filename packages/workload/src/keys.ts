import 'reflect-metadata'; // the certificate library asks for it before anything else
import { webcrypto } from 'node:crypto';
import { PemConverter, cryptoProvider } from '@peculiar/x509';

cryptoProvider.set(webcrypto);

/** P-256 everywhere: what every TLS 1.3 peer speaks. */
export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A fresh key pair; `extractable: false` for keys that must die with the process. */
export async function generateKeys(extractable: boolean): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, extractable, ['sign', 'verify']);
}

/** PKCS #8 in PEM. */
export async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

/** Reads what `privateKeyPem` wrote. */
export async function importPrivateKey(pem: string): Promise<webcrypto.CryptoKey> {
  const bytes = PemConverter.decodeFirst(pem);
  return webcrypto.subtle.importKey('pkcs8', bytes, KEY_ALGORITHM, false, ['sign']);
}

/** Positive, 127 random bits: unpredictable serial numbers (CA/Browser Forum baseline asks for 64). */
export function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
