import 'reflect-metadata'; // before the certificate library, which asks for it
import { webcrypto } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type Clock } from '@auditrax/base';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { NAME_CONSTRAINTS_OID, nameConstraints } from './der.ts';
import {
  KEY_ALGORITHM,
  SIGNING_ALGORITHM,
  generateKeys,
  importPrivateKey,
  privateKeyPem,
  serialNumber,
} from './keys.ts';
import { spiffeId } from './spiffe.ts';

/** Short enough that a stolen key dies by itself; long enough to survive an issuer that is down for half of it. */
export const LEAF_LIFE_SECONDS = 3600;
/** Clocks may differ: a certificate is valid from this long before it was signed. */
export const BACKDATE_SECONDS = 60;
const AUTHORITY_LIFE_SECONDS = 365 * 86_400;
/** No request of ours is longer; the parser never sees more. */
export const CSR_CHARACTERS_MAX = 4096;

export type WorkloadErrorCode = 'csr_refused' | 'authority_unreadable' | 'certificate_refused' | 'service_unavailable';

export interface IssuedCertificate {
  readonly certificatePem: string;
  /** Authorities to trust, PEM one after another: the current one and, around a change, its predecessor. */
  readonly bundlePem: string;
}

export interface CertificateAuthority {
  readonly trustDomain: string;
  readonly bundlePem: string;
  /**
   * Signs a certificate for `service`, the identity that the supervisor vouches for. Of the request only the public
   * key is used, after its proof of possession; whatever names it asks for are ignored. Throws `csr_refused`.
   */
  sign(request: { readonly csrPem: string; readonly service: string }): Promise<IssuedCertificate>;
}

interface AuthorityOptions {
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Life of what it signs; `LEAF_LIFE_SECONDS` unless told. */
  readonly leafLife_seconds?: number;
}

interface AuthorityKey {
  readonly key: webcrypto.CryptoKey;
  readonly certificate: X509Certificate;
}

/** An authority that lives in memory only: gone, with everything it signed, when the process ends. */
export async function createAuthority(options: AuthorityOptions): Promise<CertificateAuthority> {
  return authorityOf(await newAuthorityKey(options, false), [], options);
}

/**
 * The authority whose key lies in `folder` (0700, this process's own), made at the first call. After half its life it
 * is replaced; certificates signed by the old one stay trusted until they expire. Throws `authority_unreadable` when
 * the file is damaged: a new authority is never made silently beside services that trust the old one.
 */
export async function openAuthority(
  options: AuthorityOptions & { readonly folder: string },
): Promise<CertificateAuthority> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const file = join(options.folder, 'workload-authority.json');
  const stored = await readStored(file);
  const now = options.clock.nowMs();
  if (stored !== undefined && now < stored.certificate.notAfter.getTime() - (AUTHORITY_LIFE_SECONDS * 1000) / 2) {
    return authorityOf(stored, stored.previous, options);
  }
  const fresh = await newAuthorityKey(options, true);
  const previous = stored === undefined || stored.certificate.notAfter.getTime() <= now ? [] : [stored.certificate];
  await writeStored(file, {
    key: await privateKeyPem(fresh.key),
    certificate: fresh.certificate.toString('pem'),
    previous: previous.map((one) => one.toString('pem')),
  });
  return authorityOf(fresh, previous, options);
}

async function newAuthorityKey(options: AuthorityOptions, extractable: boolean): Promise<AuthorityKey> {
  spiffeId(options.trustDomain, 'any'); // refuses a trust domain that is no name
  const keys = await generateKeys(extractable);
  const now = options.clock.nowMs();
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${options.trustDomain} workload authority`,
    issuer: `CN=${options.trustDomain} workload authority`,
    notBefore: new Date(now - BACKDATE_SECONDS * 1000),
    notAfter: new Date(now + AUTHORITY_LIFE_SECONDS * 1000),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      // Even this key can only make workload identities of this trust domain: no DNS name, no address.
      new Extension(NAME_CONSTRAINTS_OID, true, nameConstraints({ uriHosts: [options.trustDomain] })),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: keys.privateKey, certificate };
}

function authorityOf(
  own: AuthorityKey,
  previous: readonly X509Certificate[],
  options: AuthorityOptions,
): CertificateAuthority {
  const bundlePem = [own.certificate, ...previous].map((certificate) => `${certificate.toString('pem')}\n`).join('');
  const life_seconds = options.leafLife_seconds ?? LEAF_LIFE_SECONDS;
  return {
    trustDomain: options.trustDomain,
    bundlePem,
    async sign({ csrPem, service }) {
      const publicKey = await provenKey(csrPem);
      const now = options.clock.nowMs();
      const certificate = await X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        subject: '',
        issuer: own.certificate.subject,
        notBefore: new Date(now - BACKDATE_SECONDS * 1000),
        notAfter: new Date(now + life_seconds * 1000),
        signingAlgorithm: SIGNING_ALGORITHM,
        publicKey,
        signingKey: own.key,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth], false),
          // Critical, since the subject is empty (RFC 5280 section 4.2.1.6); exactly one URI (SPIFFE X.509-SVID).
          new SubjectAlternativeNameExtension([{ type: 'url', value: spiffeId(options.trustDomain, service) }], true),
          await AuthorityKeyIdentifierExtension.create(own.certificate),
        ],
      });
      return { certificatePem: certificate.toString('pem'), bundlePem };
    },
  };
}

/** The request's key, once its signature has proven that the sender holds it. */
async function provenKey(csrPem: string): Promise<webcrypto.CryptoKey> {
  const refused = (why: string, cause?: unknown) =>
    new AppError<WorkloadErrorCode>('csr_refused', `certificate request refused: ${why}`, { cause });
  if (csrPem.length > CSR_CHARACTERS_MAX) throw refused('too long');
  try {
    const request = new Pkcs10CertificateRequest(csrPem);
    if (!(await request.verify(webcrypto))) throw refused('its signature does not match its key');
    return await request.publicKey.export(KEY_ALGORITHM, ['verify'], webcrypto);
  } catch (error) {
    throw error instanceof AppError ? error : refused('it does not parse as a P-256 request', error);
  }
}

interface StoredAuthority extends AuthorityKey {
  readonly previous: readonly X509Certificate[];
}

async function readStored(file: string): Promise<StoredAuthority | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(file, error);
  }
  try {
    const { key, certificate, previous } = JSON.parse(text) as { key: string; certificate: string; previous: string[] };
    return {
      key: await importPrivateKey(key),
      certificate: new X509Certificate(certificate),
      previous: previous.map((pem) => new X509Certificate(pem)),
    };
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, cause: unknown): AppError<WorkloadErrorCode> {
  return new AppError(
    'authority_unreadable',
    `the workload authority in ${file} cannot be read; restore it or remove it while nothing runs`,
    { cause },
  );
}

async function writeStored(
  file: string,
  content: { key: string; certificate: string; previous: string[] },
): Promise<void> {
  const handle = await open(`${file}.new`, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify(content));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
}
