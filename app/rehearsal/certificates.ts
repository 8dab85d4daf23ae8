import 'reflect-metadata'; // before the certificate library, which asks for it
import type { Clock } from '@auditrax/base';
import { generateKeys, privateKeyPem, serialNumber, SIGNING_ALGORITHM } from '@auditrax/workload/keys';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A rehearsal lasts minutes; its certificates are of no use to whoever finds them a day later. */
const LIFE_MS = 86_400_000;
const BACKDATE_MS = 60_000;

/** A certificate and its key, both PEM. */
export interface Pair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** An authority for one rehearsal, in memory; its own key is never written anywhere. */
export interface ThrowAwayAuthority {
  readonly authorityPem: string;
  /** For `localhost` and 127.0.0.1. */
  server(): Promise<Pair>;
  /** `expired` makes one whose day has passed. */
  client(commonName: string, options?: { readonly expired?: boolean }): Promise<Pair>;
}

/** Makes an authority called "rehearsal", which vouches for this machine's loopback and for named clients. */
export async function throwAwayAuthority(clock: Clock): Promise<ThrowAwayAuthority> {
  const keys = await generateKeys(false);
  const name = `CN=rehearsal ${serialNumber().slice(0, 8)}`;
  const times = (shiftMs: number) => ({
    notBefore: new Date(clock.nowMs() - BACKDATE_MS + shiftMs),
    notAfter: new Date(clock.nowMs() + LIFE_MS + shiftMs),
  });
  const authority = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: name,
    issuer: name,
    ...times(0),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  });
  const issue = async (subject: string, use: ExtendedKeyUsage, shiftMs: number): Promise<Pair> => {
    const own = await generateKeys(true);
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject,
      issuer: authority.subject,
      ...times(shiftMs),
      signingAlgorithm: SIGNING_ALGORITHM,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([use]),
        ...(use === ExtendedKeyUsage.serverAuth
          ? [
              new SubjectAlternativeNameExtension([
                { type: 'dns', value: 'localhost' },
                { type: 'ip', value: '127.0.0.1' },
              ]),
            ]
          : []),
      ],
    });
    return { certificatePem: certificate.toString('pem'), keyPem: await privateKeyPem(own.privateKey) };
  };
  return {
    authorityPem: authority.toString('pem'),
    server: () => issue('CN=localhost', ExtendedKeyUsage.serverAuth, 0),
    client: (commonName, { expired = false } = {}) =>
      issue(`CN=${commonName}`, ExtendedKeyUsage.clientAuth, expired ? -2 * LIFE_MS : 0),
  };
}
