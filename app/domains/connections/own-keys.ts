import 'reflect-metadata'; // before the certificate library, which asks for it
import { KeyObject, webcrypto } from 'node:crypto';
import type { Clock, Random } from '@auditrax/base';
import { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, X509CertificateGenerator } from '@peculiar/x509';
import { z } from 'zod';

/** Providers pin the certificate and look at nothing else in it; a year here would be an outage there each year. */
const LIFE_YEARS = 10;
const BACKDATE_MS = 86_400_000;
const RSA_BITS = 2048;
const SERIAL_BYTES = 16;
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: RSA_BITS } as const;

const pair = z.strictObject({ privateKey: z.string(), certificate: z.string() });

const pairs = { signing: pair, encryption: pair };

/**
 * This side's keys of one SAML connection, in PEM: one signs requests, to the other one assertions are encrypted. While
 * they change there is a next or a previous set beside them, never both.
 */
export const ownKeys = z.strictObject({
  ...pairs,
  /** Shown in the metadata, and decrypting; not signing yet. */
  next: z.strictObject({ ...pairs, madeAt: z.iso.datetime() }).optional(),
  /** Still decrypting what the provider encrypts to it. */
  previous: z.strictObject({ ...pairs, replacedAt: z.iso.datetime() }).optional(),
});
export type OwnKeys = z.output<typeof ownKeys>;

async function makePair(name: string, usage: KeyUsageFlags, ports: { clock: Clock; random: Random }) {
  const keys = await webcrypto.subtle.generateKey({ ...RSA, publicExponent: Uint8Array.of(1, 0, 1) }, true, [
    'sign',
    'verify',
  ]);
  const now_ms = ports.clock.nowMs();
  const notAfter = new Date(now_ms);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + LIFE_YEARS);
  const serial = ports.random.bytes(SERIAL_BYTES);
  // A serial number is positive: the highest bit of its first byte is a sign.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: Buffer.from(serial).toString('hex'),
      name: `CN=${name}`,
      notBefore: new Date(now_ms - BACKDATE_MS),
      notAfter,
      signingAlgorithm: RSA,
      keys,
      extensions: [new BasicConstraintsExtension(false), new KeyUsagesExtension(usage, true)],
    },
    webcrypto,
  );
  const privateKey = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }) as string;
  return { privateKey, certificate: `${certificate.toString('pem')}\n` };
}

/** Makes the two keys of a new SAML connection, each with a certificate that it has signed itself. */
export async function makeOwnKeys(ports: {
  clock: Clock;
  random: Random;
}): Promise<Pick<OwnKeys, 'signing' | 'encryption'>> {
  const [signing, encryption] = await Promise.all([
    makePair('Auditrax signing', KeyUsageFlags.digitalSignature, ports),
    makePair('Auditrax encryption', KeyUsageFlags.keyEncipherment, ports),
  ]);
  return { signing, encryption };
}
