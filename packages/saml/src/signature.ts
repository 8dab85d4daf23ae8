import { createHash, type X509Certificate } from 'node:crypto';
import { quoted, refusal } from './errors.ts';
import {
  DIGEST_ALGORITHMS,
  ENVELOPED,
  EXCLUSIVE_C14N,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from './names.ts';
import { childrenOf, firstChild, type XmlElement } from './tree.ts';

/** Base64 as XML Signature writes it: broken into lines or not. Comments inside were refused as bytes (CVE-2025-29775). */
const WRAPPED_BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;

const KEY_INFO_ALLOWED = new Set(['ds:KeyName', 'ds:KeyValue', 'ds:X509Data']);

/**
 * G14 and G15: the signature of `parent` is exactly that of the SAML profile (SAML Core 5.4): one reference to its own
 * parent, two transforms, allow-listed algorithms. Whatever is cleverer than this is an attack on the verifier.
 */
export function checkSignature(
  signature: XmlElement,
  parent: XmlElement,
  algorithms: readonly SignatureAlgorithm[],
): void {
  const [info, value] = signature.children;
  if (info?.name !== 'ds:SignedInfo' || value?.name !== 'ds:SignatureValue' || !WRAPPED_BASE64.test(value.text))
    throw refusal('saml_signature_shape', 'SignedInfo and SignatureValue');
  const keyInfo = firstChild(signature, 'ds:KeyInfo');
  if (keyInfo?.children.some(({ name }) => !KEY_INFO_ALLOWED.has(name)))
    throw refusal('saml_signature_shape', 'KeyInfo');
  const references = childrenOf(info, 'ds:Reference');
  const [reference] = references;
  if (reference === undefined || references.length !== 1) throw refusal('saml_reference_count', `${references.length}`);
  if (reference.attributes.get('URI') !== `#${parent.attributes.get('ID')}`)
    throw refusal('saml_reference_target', quoted(reference.attributes.get('URI') ?? ''));
  checkTransforms(reference);
  checkAlgorithms(info, reference, algorithms);
}

function checkTransforms(reference: XmlElement): void {
  const [transforms, , digest] = reference.children;
  const found = transforms?.name === 'ds:Transforms' ? transforms.children : [];
  const isProfile =
    found.length === 2 &&
    found[0]!.attributes.get('Algorithm') === ENVELOPED &&
    found[1]!.attributes.get('Algorithm') === EXCLUSIVE_C14N &&
    found[0]!.children.length === 0;
  if (!isProfile) throw refusal('saml_transforms');
  if (digest?.name !== 'ds:DigestValue' || !WRAPPED_BASE64.test(digest.text))
    throw refusal('saml_signature_shape', 'DigestValue');
}

function checkAlgorithms(info: XmlElement, reference: XmlElement, algorithms: readonly SignatureAlgorithm[]): void {
  const algorithmOf = (element: XmlElement, name: string) =>
    firstChild(element, name)?.attributes.get('Algorithm') ?? '';
  const canonicalization = algorithmOf(info, 'ds:CanonicalizationMethod');
  if (canonicalization !== EXCLUSIVE_C14N) throw refusal('saml_algorithm_refused', quoted(canonicalization));
  const method = algorithmOf(info, 'ds:SignatureMethod');
  if (!algorithms.some((name) => SIGNATURE_ALGORITHMS[name] === method))
    throw refusal('saml_algorithm_refused', quoted(method));
  const digest = algorithmOf(reference, 'ds:DigestMethod');
  if (!DIGEST_ALGORITHMS.has(digest)) throw refusal('saml_algorithm_refused', quoted(digest));
}

/**
 * SHA-256 fingerprint of the certificate that a signature names for itself. A hint only: it decides which of our own
 * certificates is tried first and how a failure is explained, never what is trusted.
 */
export function namedFingerprint(signature: XmlElement | undefined): string | undefined {
  const data = signature && firstChild(signature, 'ds:KeyInfo');
  const certificate =
    data && childrenOf(data, 'ds:X509Data').flatMap((each) => childrenOf(each, 'ds:X509Certificate'))[0];
  if (certificate === undefined) return undefined;
  return createHash('sha256').update(Buffer.from(certificate.text, 'base64')).digest('hex');
}

/** Lower-case hexadecimal SHA-256 of the certificate's DER form. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}
