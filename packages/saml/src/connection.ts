import { parseCertificate, type CertificateState, type SamlCertificate } from './certificate.ts';
import { refusal } from './errors.ts';
import {
  AUTHN_AGE_SECONDS_DEFAULT,
  AUTHN_AGE_SECONDS_MAX,
  AUTHN_AGE_SECONDS_MIN,
  CERTIFICATES_ACTIVE_MAX,
  CERTIFICATES_MAX,
  ENTITY_ID_CHARACTERS_MAX,
  URL_CHARACTERS_MAX,
} from './limits.ts';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './names.ts';

export type SsoBinding = 'redirect' | 'post';

/** What an administrator or a stored row says about a connection; nothing in it is trusted yet. */
export interface ConnectionInput {
  readonly idpEntityId: string;
  readonly ssoUrl: string;
  readonly ssoBinding?: SsoBinding;
  readonly certificates: readonly { readonly pem: string; readonly state: CertificateState }[];
  readonly signatureAlgorithms?: readonly string[];
  readonly spEntityId: string;
  /** One address for each connection, so that a response cannot be carried to another one. */
  readonly acsUrl: string;
  readonly authnAge_seconds_max?: number;
  readonly nameIdFormat?: string;
}

/** A checked connection. Only {@link parseConnection} makes one. */
export interface SamlConnection {
  readonly idpEntityId: string;
  readonly ssoUrl: string;
  readonly ssoBinding: SsoBinding;
  readonly certificates: readonly SamlCertificate[];
  readonly signatureAlgorithms: readonly SignatureAlgorithm[];
  readonly spEntityId: string;
  readonly acsUrl: string;
  /** How long ago somebody may have signed in at the provider, in seconds. */
  readonly authnAge_seconds_max: number;
  /** Asked for in the request; the provider decides. */
  readonly nameIdFormat: string | undefined;
}

const invalid = (field: string, detail: string) => refusal('saml_setting_invalid', `${field}: ${detail}`, { field });

function entityId(text: string, field: string): string {
  const isPlain = text !== '' && text === text.trim() && !/[\p{Cc}\p{Cs}]/u.test(text);
  if (!isPlain || text.length > ENTITY_ID_CHARACTERS_MAX) throw invalid(field, 'empty, padded or too long');
  return text;
}

/** Over https; plain http only to the machine itself, where a provider is tried out. */
function webAddress(text: string, field: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || text.length > URL_CHARACTERS_MAX || /[\s\\<>"'`]/.test(text))
    throw invalid(field, 'not an address');
  const isHere = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isHere)) throw invalid(field, 'not https');
  if (url.username !== '' || url.password !== '' || url.hash !== '') throw invalid(field, 'credentials or a fragment');
  return text;
}

function isAlgorithm(name: string): name is SignatureAlgorithm {
  return Object.hasOwn(SIGNATURE_ALGORITHMS, name);
}

function algorithms(names: readonly string[]): SignatureAlgorithm[] {
  const unique = [...new Set(names)];
  if (unique.length === 0 || !unique.every(isAlgorithm))
    throw invalid('signatureAlgorithms', `only ${Object.keys(SIGNATURE_ALGORITHMS).join(', ')}`);
  return unique.filter(isAlgorithm);
}

/** Reads certificates with their states. Throws `saml_certificate_count`, `…_unreadable` and `…_key`. */
export function parseCertificates(inputs: ConnectionInput['certificates']): SamlCertificate[] {
  if (inputs.length > CERTIFICATES_MAX) throw refusal('saml_certificate_count', `${inputs.length}`);
  const certificates = inputs.map(({ pem, state }) => parseCertificate(pem, state));
  if (new Set(certificates.map(({ fingerprint }) => fingerprint)).size !== certificates.length)
    throw invalid('certificates', 'one of them twice');
  if (certificates.filter(({ state }) => state === 'active').length > CERTIFICATES_ACTIVE_MAX)
    throw refusal('saml_certificate_count', `more than ${CERTIFICATES_ACTIVE_MAX} active`);
  return certificates;
}

/**
 * Checks the settings of a connection. Throws `saml_setting_invalid` with the `field`, or a certificate's code. A
 * connection without an active certificate is a connection: it can be prepared, and refuses every response.
 */
export function parseConnection(input: ConnectionInput): SamlConnection {
  const age_seconds = input.authnAge_seconds_max ?? AUTHN_AGE_SECONDS_DEFAULT;
  if (!Number.isSafeInteger(age_seconds) || age_seconds < AUTHN_AGE_SECONDS_MIN || age_seconds > AUTHN_AGE_SECONDS_MAX)
    throw invalid('authnAge_seconds_max', `${AUTHN_AGE_SECONDS_MIN} to ${AUTHN_AGE_SECONDS_MAX}`);
  const { ssoBinding = 'redirect', nameIdFormat } = input;
  if (!['redirect', 'post'].includes(ssoBinding)) throw invalid('ssoBinding', 'redirect or post');
  if (nameIdFormat !== undefined && !/^urn:oasis:names:tc:SAML:[\w.:-]{1,100}$/.test(nameIdFormat))
    throw invalid('nameIdFormat', 'not a format of SAML');
  return {
    idpEntityId: entityId(input.idpEntityId, 'idpEntityId'),
    ssoUrl: webAddress(input.ssoUrl, 'ssoUrl'),
    ssoBinding,
    certificates: parseCertificates(input.certificates),
    signatureAlgorithms: algorithms(input.signatureAlgorithms ?? ['rsa-sha256', 'rsa-sha512', 'rsa-pss-sha256']),
    spEntityId: entityId(input.spEntityId, 'spEntityId'),
    acsUrl: webAddress(input.acsUrl, 'acsUrl'),
    authnAge_seconds_max: age_seconds,
    nameIdFormat,
  };
}
