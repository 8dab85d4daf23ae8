import type { Clock } from '@auditrax/base';
import { isUsable, type SamlCertificate } from './certificate.ts';
import { refusal } from './errors.ts';
import { decrypt, SAML } from './libraries.ts';

/** A response whose structure has passed, and what is to be verified in it. */
export interface Unverified {
  readonly base64: string;
  readonly isResponseSigned: boolean;
  /** Unknown while the assertion is encrypted. */
  readonly isAssertionSigned: boolean | undefined;
  /** What the signatures name as their certificate: order and explanation only. */
  readonly namedFingerprint: string | undefined;
}

/** Bytes of one assertion that a certificate of the connection has signed, itself or with the response around it. */
export interface Verified {
  readonly assertionXml: string;
  readonly certificate: SamlCertificate;
  readonly isAssertionSigned: boolean;
}

/** What is tried: the keys of both sides. Decryption keys in PEM. */
export interface Keys {
  readonly certificates: readonly SamlCertificate[];
  readonly decryptionKeys: readonly string[];
}

const NO_CACHE = { saveAsync: async () => null, getAsync: async () => null, removeAsync: async () => null };

/**
 * One run of the library: signatures and decryption only. Its own judgement of times and audience is switched off,
 * because it uses its own clock and the gate is stricter; what it parses of the profile is thrown away.
 */
async function runLibrary(
  message: Unverified,
  want: {
    readonly certificate: SamlCertificate;
    readonly assertionSigned: boolean;
    readonly decryptionKey?: string | undefined;
  },
): Promise<string> {
  const saml = new SAML({
    callbackUrl: 'https://unused.invalid/',
    issuer: 'unused',
    idpCert: [want.certificate.pem],
    audience: false,
    acceptedClockSkewMs: -1,
    validateInResponseTo: 'never',
    wantAuthnResponseSigned: message.isResponseSigned,
    wantAssertionsSigned: want.assertionSigned,
    cacheProvider: NO_CACHE,
    ...(want.decryptionKey === undefined ? {} : { decryptionPvk: want.decryptionKey }),
  });
  const { profile } = await saml.validatePostResponseAsync({ SAMLResponse: message.base64 });
  if (profile === null) throw new Error('no profile');
  return profile.getAssertionXml();
}

/**
 * Pass 3 (G18): every signature that is present holds under one and the same usable certificate. An encrypted assertion
 * is first taken to be signed inside; only where the response around it is signed may it turn out not to be, and the
 * caller looks again.
 */
export async function verifyMessage(message: Unverified, keys: Keys, clock: Clock): Promise<Verified> {
  const usable = keys.certificates.filter((certificate) => isUsable(certificate, clock));
  if (usable.length === 0) throw refusal('saml_no_usable_certificate');
  const isNamed = ({ fingerprint }: SamlCertificate) => fingerprint === message.namedFingerprint;
  const ordered = [...usable.filter(isNamed), ...usable.filter((certificate) => !isNamed(certificate))];
  const isEncrypted = message.isAssertionSigned === undefined;
  const wants = isEncrypted ? (message.isResponseSigned ? [true, false] : [true]) : [message.isAssertionSigned];
  const failures: Error[] = [];
  for (const certificate of ordered)
    for (const decryptionKey of isEncrypted ? keys.decryptionKeys : [undefined])
      for (const assertionSigned of wants)
        try {
          const assertionXml = await runLibrary(message, { certificate, assertionSigned, decryptionKey });
          return { assertionXml, certificate, isAssertionSigned: assertionSigned };
        } catch (error) {
          failures.push(error as Error);
        }
  throw explain(message, { certificates: keys.certificates, failures, clock });
}

/** Names for the administrator what kept the message out. Built on hints, so it must never decide anything. */
function explain(
  message: Unverified,
  known: { certificates: readonly SamlCertificate[]; failures: readonly Error[]; clock: Clock },
) {
  const cause = known.failures.at(-1);
  const isOuterSound =
    message.isResponseSigned && !known.failures.some(({ message: text }) => /document signature/.test(text));
  // One answer for every way in which a decryption fails: a difference would answer an attacker who asks often.
  if (message.isAssertionSigned === undefined && (isOuterSound || !message.isResponseSigned))
    return refusal('saml_decryption_failed');
  const named = known.certificates.find(({ fingerprint }) => fingerprint === message.namedFingerprint);
  if (named === undefined && message.namedFingerprint !== undefined)
    return refusal('saml_signer_unknown', message.namedFingerprint, { cause });
  if (named?.state === 'pending') return refusal('saml_signer_pending', named.fingerprint, { cause });
  if (named?.state === 'retired') return refusal('saml_signer_retired', named.fingerprint, { cause });
  if (named !== undefined && !isUsable(named, known.clock))
    return refusal('saml_signer_expired', named.fingerprint, { cause });
  return refusal('saml_signature_invalid', undefined, { cause });
}

/**
 * The text inside of an encrypted assertion, before anything of it is believed. Throws `saml_decryption_failed`; only for
 * ciphertexts that authenticate themselves (GCM), see G17.
 */
export async function decryptAssertion(responseText: string, decryptionKeys: readonly string[]): Promise<string> {
  for (const key of decryptionKeys) {
    const text = await new Promise<string | undefined>((resolve) => {
      decrypt(responseText, { key, disallowDecryptionWithInsecureAlgorithm: true }, (_error, plain) => resolve(plain));
    });
    if (text !== undefined) return text;
  }
  throw refusal('saml_decryption_failed');
}
