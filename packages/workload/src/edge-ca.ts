import 'reflect-metadata'; // before the certificate library, which asks for it
import type { Clock } from '@auditrax/base';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { BACKDATE_SECONDS } from './authority.ts';
import { NAME_CONSTRAINTS_OID, nameConstraints } from './der.ts';
import { SIGNING_ALGORITHM, generateKeys, privateKeyPem, serialNumber } from './keys.ts';

/** Installing a new authority asks a person; 397 days is the longest that browsers take from any authority. */
const EDGE_LIFE_SECONDS = 397 * 86_400;
const LOOPBACK_V4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_V6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

export interface EdgeCertificate {
  readonly keyPem: string;
  /** For localhost, 127.0.0.1 and ::1. */
  readonly certificatePem: string;
  /** What `trust` installs. Its key no longer exists. */
  readonly authorityPem: string;
  readonly notAfterMs: number;
}

/**
 * A certificate (called `name` where a person sees its authority) for this machine's own browser, under an authority made for it alone: constrained by name to localhost,
 * 127.0.0.1 and ::1, unable to sign other authorities, and its key (never extractable) is dropped before this returns.
 * So an installed authority can vouch for nothing else, even to somebody who has read the whole disk.
 */
export async function issueEdgeCertificate({
  clock,
  name: label,
}: {
  clock: Clock;
  name: string;
}): Promise<EdgeCertificate> {
  const authorityKeys = await generateKeys(false);
  const now = clock.nowMs();
  const times = {
    notBefore: new Date(now - BACKDATE_SECONDS * 1000),
    notAfter: new Date(now + EDGE_LIFE_SECONDS * 1000),
  };
  const name = `CN=${label} ${serialNumber().slice(0, 8)}, OU=localhost only`;
  const authority = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: name,
    issuer: name,
    ...times,
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: authorityKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      new Extension(
        NAME_CONSTRAINTS_OID,
        true,
        nameConstraints({ dns: ['localhost'], addresses: [LOOPBACK_V4, LOOPBACK_V6] }),
      ),
      await SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const keys = await generateKeys(true);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: 'CN=localhost',
    issuer: authority.subject,
    ...times,
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth], false),
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
      await AuthorityKeyIdentifierExtension.create(authority),
    ],
  });
  return {
    keyPem: await privateKeyPem(keys.privateKey),
    certificatePem: certificate.toString('pem'),
    authorityPem: authority.toString('pem'),
    notAfterMs: times.notAfter.getTime(),
  };
}
