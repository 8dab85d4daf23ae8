import type { Clock } from '@auditrax/base';
import { textOfBytes } from './bytes.ts';
import { isUsable, parseCertificate, type SamlCertificate } from './certificate.ts';
import type { SamlConnection, SsoBinding } from './connection.ts';
import { quoted, refusal } from './errors.ts';
import { CERTIFICATES_MAX, CLOCK_SKEW_MS, METADATA_BYTES_MAX } from './limits.ts';
import { DOMParser, SignedXml, type DomNode } from './libraries.ts';
import {
  BINDING_POST,
  BINDING_REDIRECT,
  DSIG,
  METADATA,
  PROTOCOL,
  SAML_NAMESPACES,
  SIGNATURE_ALGORITHMS,
} from './names.ts';
import { checkSignature } from './signature.ts';
import { checkIds, checkSignatureElement } from './structure.ts';
import { instantOf } from './time.ts';
import { childrenOf, descendants, firstChild, parseTree, type XmlElement } from './tree.ts';

/** What a provider publishes about itself, as far as a connection needs it. */
export interface IdpMetadata {
  readonly entityId: string;
  /** Addresses to send people to; at least one. */
  readonly sso: readonly { readonly binding: SsoBinding; readonly url: string }[];
  /** Signing certificates, all `pending`: what a document says of itself proves nothing. */
  readonly certificates: readonly SamlCertificate[];
  readonly nameIdFormats: readonly string[];
  readonly validUntil_ms: number | undefined;
  /** Fingerprint of the already trusted certificate whose key signed this document; undefined when none did. */
  readonly signedBy: string | undefined;
}

const NAMESPACES = new Map([...SAML_NAMESPACES, [METADATA, 'md']]);
const TREE = { namespaces: NAMESPACES, foreign: 'keep' } as const;
const ALGORITHMS = Object.keys(SIGNATURE_ALGORITHMS) as (keyof typeof SIGNATURE_ALGORITHMS)[];

const BINDINGS: ReadonlyMap<string, SsoBinding> = new Map([
  [BINDING_REDIRECT, 'redirect'],
  [BINDING_POST, 'post'],
]);

const invalid = (detail: string) => refusal('saml_metadata_invalid', detail);

/**
 * Reads the metadata of one provider under the byte rules of a response (a leading byte order mark apart, which Entra
 * writes). `trusted`: the connection's certificates; only a signature under an active one of them makes the document more
 * than a proposal, and then only its signed bytes are read. A signature by anybody else counts as none.
 */
export function parseIdpMetadata(bytes: Uint8Array, trusted: readonly SamlCertificate[], clock: Clock): IdpMetadata {
  if (bytes.length > METADATA_BYTES_MAX) throw refusal('saml_too_large', `${bytes.length} bytes`);
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  // Line ends as XML reads them, so that signature and reading see the same.
  const text = textOfBytes(isMarked ? bytes.subarray(3) : bytes).replaceAll(/\r\n?/g, '\n');
  const element = readTree(text);
  const signature = firstChild(element, 'ds:Signature');
  const proven = signature && verifySignature({ text, element, signature }, trusted, clock);
  return readProvider(proven?.element ?? element, { signedBy: proven?.signedBy, clock });
}

function readTree(text: string): XmlElement {
  const element = parseTree(text, TREE);
  if (element.name !== 'md:EntityDescriptor') throw invalid(`root ${quoted(element.name)}`);
  checkIds(element);
  for (const each of descendants(element))
    if (each !== element && firstChild(each, 'ds:Signature') !== undefined)
      throw refusal('saml_signature_misplaced', quoted(each.name));
  if (childrenOf(element, 'ds:Signature').length > 1) throw refusal('saml_element_repeated', 'ds:Signature');
  return element;
}

/** The signed bytes under a trusted key, or undefined. The shape is checked before any key is tried. */
function verifySignature(
  { text, element, signature }: { readonly text: string; readonly element: XmlElement; readonly signature: XmlElement },
  trusted: readonly SamlCertificate[],
  clock: Clock,
): { readonly element: XmlElement; readonly signedBy: string } | undefined {
  checkSignatureElement(signature);
  checkSignature(signature, element, ALGORITHMS);
  const node = signatureNode(text);
  for (const certificate of trusted.filter((each) => isUsable(each, clock))) {
    const verifier = new SignedXml({ publicCert: certificate.pem });
    try {
      verifier.loadSignature(node);
      if (!verifier.checkSignature(text)) continue;
    } catch {
      continue;
    }
    const [signed, ...others] = verifier.getSignedReferences();
    if (signed !== undefined && others.length === 0)
      return { element: readTree(signed), signedBy: certificate.fingerprint };
  }
  return undefined;
}

/** The one signature (see `readTree`) as a node of the verifier's own parser, whose complaints refuse the document. */
function signatureNode(text: string): DomNode {
  const complain = (message: string): never => {
    throw refusal('saml_parser', quoted(message));
  };
  const document = new DOMParser({
    locator: {},
    errorHandler: { warning: complain, error: complain, fatalError: complain },
  }).parseFromString(text, 'text/xml');
  const nodes = Array.from(document.childNodes).flatMap((root) => Array.from(root.childNodes ?? []));
  const node = nodes.find(({ localName, namespaceURI }) => localName === 'Signature' && namespaceURI === DSIG);
  if (node === undefined) throw refusal('saml_parser', 'no signature');
  return node;
}

function readProvider(
  root: XmlElement,
  { signedBy, clock }: { signedBy: string | undefined; clock: Clock },
): IdpMetadata {
  const roles = childrenOf(root, 'md:IDPSSODescriptor').filter(({ attributes }) =>
    (attributes.get('protocolSupportEnumeration') ?? '').split(/\s+/).includes(PROTOCOL),
  );
  const [role] = roles;
  const entityId = root.attributes.get('entityID') ?? '';
  if (role === undefined || roles.length !== 1 || entityId === '')
    throw invalid('not one IDPSSODescriptor for SAML 2.0');
  const ends_ms = [root, role].flatMap(({ attributes }) => {
    const end = attributes.get('validUntil');
    return end === undefined ? [] : [instantOf(end, 'validUntil')];
  });
  const validUntil_ms = ends_ms.length === 0 ? undefined : Math.min(...ends_ms);
  if (validUntil_ms !== undefined && clock.nowMs() >= validUntil_ms + CLOCK_SKEW_MS)
    throw refusal('saml_metadata_expired');
  const sso = childrenOf(role, 'md:SingleSignOnService').flatMap(({ attributes }) => {
    const binding = BINDINGS.get(attributes.get('Binding') ?? '');
    return binding === undefined ? [] : [{ binding, url: attributes.get('Location') ?? '' }];
  });
  if (sso.length === 0) throw invalid('no SingleSignOnService by redirect or post');
  const nameIdFormats = childrenOf(role, 'md:NameIDFormat').map(({ text }) => text.trim());
  return { entityId, sso, certificates: signingCertificates(role), nameIdFormats, validUntil_ms, signedBy };
}

function signingCertificates(role: XmlElement): SamlCertificate[] {
  const texts = childrenOf(role, 'md:KeyDescriptor')
    .filter(({ attributes }) => (attributes.get('use') ?? 'signing') === 'signing')
    .flatMap((descriptor) => childrenOf(descriptor, 'ds:KeyInfo'))
    .flatMap((info) => childrenOf(info, 'ds:X509Data'))
    .flatMap((data) => childrenOf(data, 'ds:X509Certificate'))
    .map(({ text }) => text);
  if (texts.length === 0) throw invalid('no signing certificate');
  if (texts.length > CERTIFICATES_MAX) throw refusal('saml_certificate_count', `${texts.length}`);
  const all = texts.map((text) => parseCertificate(text, 'pending'));
  return [...new Map(all.map((certificate) => [certificate.fingerprint, certificate])).values()];
}

/** What a fresh reading of the metadata means for a connection. Nothing is retired by it: that is a person's act. */
export interface MetadataChange {
  /** All certificates after the change: known ones keep their state. */
  readonly certificates: readonly SamlCertificate[];
  /** New ones that wait for an approval. */
  readonly pending: readonly string[];
  /** New ones that are trusted at once, because a trusted key signed the document. */
  readonly activated: readonly string[];
  /** Active ones that the provider no longer publishes. */
  readonly withdrawn: readonly string[];
  /** The address for sign-ins has changed; it is a proposal as well. */
  readonly ssoUrl: string | undefined;
}

/**
 * Compares metadata with a connection. A new certificate is `pending`, unless the document is signed by a key that the
 * connection trusts already: who can change the address of the document must not be able to sign people in. One that was
 * retired stays retired. Throws `saml_metadata_entity` for another provider's document.
 */
export function applyMetadata(connection: SamlConnection, metadata: IdpMetadata): MetadataChange {
  if (metadata.entityId !== connection.idpEntityId) throw refusal('saml_metadata_entity', quoted(metadata.entityId));
  const known = new Set(connection.certificates.map(({ fingerprint }) => fingerprint));
  const published = new Set(metadata.certificates.map(({ fingerprint }) => fingerprint));
  const isTrusted =
    metadata.signedBy !== undefined &&
    connection.certificates.some(({ fingerprint, state }) => fingerprint === metadata.signedBy && state === 'active');
  const fresh = metadata.certificates.filter(({ fingerprint }) => !known.has(fingerprint));
  const state = isTrusted ? 'active' : 'pending';
  const prints = fresh.map(({ fingerprint }) => fingerprint);
  const address = metadata.sso.find(({ binding }) => binding === connection.ssoBinding)?.url;
  return {
    certificates: [...connection.certificates, ...fresh.map((certificate) => ({ ...certificate, state }) as const)],
    pending: isTrusted ? [] : prints,
    activated: isTrusted ? prints : [],
    withdrawn: connection.certificates
      .filter((certificate) => certificate.state === 'active' && !published.has(certificate.fingerprint))
      .map(({ fingerprint }) => fingerprint),
    ssoUrl: address === connection.ssoUrl ? undefined : address,
  };
}
