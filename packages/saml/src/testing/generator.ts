import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { SignedXml } from '../libraries.ts';
import { ASSERTION, DSIG, ENVELOPED, EXCLUSIVE_C14N, PROTOCOL, SIGNATURE_ALGORITHMS } from '../names.ts';
import { instantText } from '../time.ts';
import { escapeXml } from '../xml-text.ts';
import type { TestKey } from './keys.ts';

// Makes responses as a provider would, so that a test can then spoil exactly one thing. Everything is text: what a test
// changes, it sees.

/** The world in which a valid response is valid. */
export const WORLD = {
  idp: 'https://idp.example/entity',
  sp: 'https://auditrax.example/saml/acme',
  acs: 'https://auditrax.example/api/identity/saml/acs/c-1',
  sso: 'https://idp.example/sso',
  requestId: '_0123456789abcdef0123456789abcdef01234567',
  relayState: 'r'.repeat(43),
  now_ms: Date.parse('2026-11-23T12:00:00Z'),
} as const;

/** An instant, seconds from the world's now. */
export const at = (seconds: number): string => instantText(WORLD.now_ms + seconds * 1000);

export interface ResponseParts {
  readonly responseAttributes?: Readonly<Record<string, string | undefined>>;
  readonly responseIssuer?: string;
  readonly status?: string;
  /** Between status and assertion. */
  readonly beforeAssertion?: string;
  readonly afterAssertion?: string;
  readonly extensions?: string;
  readonly assertion?: AssertionParts;
}

export interface AssertionParts {
  readonly attributes?: Readonly<Record<string, string | undefined>>;
  readonly issuer?: string;
  readonly subject?: string;
  readonly nameId?: string;
  readonly confirmation?: string;
  readonly confirmationMethod?: string;
  readonly confirmationData?: Readonly<Record<string, string | undefined>>;
  readonly conditions?: string;
  readonly conditionsAttributes?: Readonly<Record<string, string | undefined>>;
  readonly conditionsContent?: string;
  readonly advice?: string;
  readonly authn?: string;
  readonly authnAttributes?: Readonly<Record<string, string | undefined>>;
  readonly statement?: string;
}

function xmlAttributes(values: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(values)
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, value]) => ` ${name}="${escapeXml(value)}"`)
    .join('');
}

export const attribute = (name: string, ...values: string[]): string =>
  `<saml:Attribute Name="${escapeXml(name)}">${values
    .map(
      (value) =>
        `<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">${escapeXml(value)}</saml:AttributeValue>`,
    )
    .join('')}</saml:Attribute>`;

export const ASSERTION_ID = '_assertion-1';
export const RESPONSE_ID = '_response-1';
export const NAME_ID = 'alice-0451';

/** An assertion that holds everything and is not signed. */
export function assertionXml(parts: AssertionParts = {}): string {
  const confirmationData = xmlAttributes({
    InResponseTo: WORLD.requestId,
    NotOnOrAfter: at(300),
    Recipient: WORLD.acs,
    ...parts.confirmationData,
  });
  const confirmation =
    parts.confirmation ??
    `<saml:SubjectConfirmation Method="${parts.confirmationMethod ?? 'urn:oasis:names:tc:SAML:2.0:cm:bearer'}"><saml:SubjectConfirmationData${confirmationData}/></saml:SubjectConfirmation>`;
  const nameId =
    parts.nameId ??
    `<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">${NAME_ID}</saml:NameID>`;
  const conditions =
    parts.conditions ??
    `<saml:Conditions${xmlAttributes({ NotBefore: at(-300), NotOnOrAfter: at(300), ...parts.conditionsAttributes })}>${
      parts.conditionsContent ??
      `<saml:AudienceRestriction><saml:Audience>${WORLD.sp}</saml:Audience></saml:AudienceRestriction>`
    }</saml:Conditions>`;
  const authn =
    parts.authn ??
    `<saml:AuthnStatement${xmlAttributes({
      AuthnInstant: at(-5),
      SessionIndex: '_session-1',
      SessionNotOnOrAfter: at(28_800),
      ...parts.authnAttributes,
    })}><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`;
  const statement =
    parts.statement ??
    `<saml:AttributeStatement>${attribute('mail', 'alice@acme.test')}${attribute('groups', 'g-1', 'g-2')}</saml:AttributeStatement>`;
  const own = xmlAttributes({ ID: ASSERTION_ID, Version: '2.0', IssueInstant: at(-1), ...parts.attributes });
  const issuer = parts.issuer ?? `<saml:Issuer>${WORLD.idp}</saml:Issuer>`;
  const subject = parts.subject ?? `<saml:Subject>${nameId}${confirmation}</saml:Subject>`;
  return `<saml:Assertion xmlns:saml="${ASSERTION}"${own}>${issuer}${subject}${conditions}${parts.advice ?? ''}${authn}${statement}</saml:Assertion>`;
}

/** A response around an assertion (by default a valid one), not signed. */
export function responseXml(parts: ResponseParts = {}, assertion = assertionXml(parts.assertion)): string {
  const own = xmlAttributes({
    ID: RESPONSE_ID,
    Version: '2.0',
    IssueInstant: at(-1),
    Destination: WORLD.acs,
    InResponseTo: WORLD.requestId,
    ...parts.responseAttributes,
  });
  const status =
    parts.status ??
    '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>';
  const issuer = parts.responseIssuer ?? `<saml:Issuer xmlns:saml="${ASSERTION}">${WORLD.idp}</saml:Issuer>`;
  return (
    `<samlp:Response xmlns:samlp="${PROTOCOL}"${own}>` +
    issuer +
    `${parts.extensions ?? ''}${status}${parts.beforeAssertion ?? ''}${assertion}${parts.afterAssertion ?? ''}</samlp:Response>`
  );
}

export interface SigningOptions {
  readonly key: TestKey;
  readonly method?: string;
  readonly digest?: string;
  readonly transforms?: readonly string[];
  readonly canonicalization?: string;
  readonly inclusivePrefixes?: readonly string[];
  /** Without KeyInfo when false. */
  readonly keyInfo?: boolean;
}

interface MutableNode {
  readonly localName: string | null;
  readonly childNodes: ArrayLike<MutableNode> | null;
  removeChild(child: MutableNode): void;
}

function find(node: MutableNode, localName: string): MutableNode[] {
  return Array.from(node.childNodes ?? []).flatMap((child) => [
    ...(child.localName === localName ? [child] : []),
    ...find(child, localName),
  ]);
}

/** xml-crypto writes the prefix list into both transforms; Okta and Keycloak, as the standard says, into the last. */
function keepInclusiveOnce(signature: object): void {
  const own = signature as { addAllReferences(...parts: unknown[]): void };
  const { addAllReferences } = own;
  own.addAllReferences = function addOnce(...parts) {
    addAllReferences.apply(this, parts);
    const [enveloped] = find(parts[1] as MutableNode, 'Transform');
    for (const child of find(enveloped!, 'InclusiveNamespaces')) enveloped!.removeChild(child);
  };
}

/** Signs the element with this local name (the first there is) through xml-crypto, as most providers would. */
export function signElement(xml: string, localName: 'Response' | 'Assertion', options: SigningOptions): string {
  const { key } = options;
  const signature = new SignedXml({
    privateKey: key.privateKey,
    ...(options.keyInfo === false ? {} : { publicCert: key.certificate }),
    signatureAlgorithm: options.method ?? SIGNATURE_ALGORITHMS['rsa-sha256'],
    canonicalizationAlgorithm: options.canonicalization ?? EXCLUSIVE_C14N,
  });
  const xpath = `//*[local-name(.)='${localName}']`;
  if (options.inclusivePrefixes !== undefined) keepInclusiveOnce(signature);
  signature.addReference({
    xpath,
    transforms: options.transforms ?? [ENVELOPED, EXCLUSIVE_C14N],
    digestAlgorithm: options.digest ?? 'http://www.w3.org/2001/04/xmlenc#sha256',
    ...(options.inclusivePrefixes === undefined ? {} : { inclusiveNamespacesPrefixList: options.inclusivePrefixes }),
  });
  signature.computeSignature(xml, {
    prefix: 'ds',
    location: { reference: `${xpath}/*[local-name(.)='Issuer']`, action: 'after' },
  });
  return signature.getSignedXml();
}

/** Signs a whole document that is no response (metadata); the signature becomes the root's first child. */
export function signRoot(xml: string, options: SigningOptions): string {
  const signature = new SignedXml({
    privateKey: options.key.privateKey,
    publicCert: options.key.certificate,
    signatureAlgorithm: options.method ?? SIGNATURE_ALGORITHMS['rsa-sha256'],
    canonicalizationAlgorithm: EXCLUSIVE_C14N,
  });
  signature.addReference({
    xpath: '/*',
    transforms: [ENVELOPED, EXCLUSIVE_C14N],
    digestAlgorithm: 'http://www.w3.org/2001/04/xmlenc#sha256',
  });
  signature.computeSignature(xml, { prefix: 'ds', location: { reference: '/*', action: 'prepend' } });
  return signature.getSignedXml();
}

/** What a provider sends when it signs its assertion, its response, or both. */
export function signedResponse(
  options: SigningOptions & { readonly sign?: 'assertion' | 'response' | 'both' },
  parts: ResponseParts = {},
): string {
  const { sign = 'assertion' } = options;
  const assertion = assertionXml(parts.assertion);
  const inner = sign === 'response' ? assertion : signElement(assertion, 'Assertion', options);
  const xml = responseXml(parts, inner);
  return sign === 'assertion' ? xml : signElement(xml, 'Response', options);
}

interface EncryptionOptions {
  rsa_pub: string;
  pem: string;
  encryptionAlgorithm: string;
  keyEncryptionAlgorithm: string;
  keyEncryptionDigest?: string;
  warnInsecureAlgorithm: boolean;
}

const { encrypt } = createRequire(import.meta.url)('xml-encryption') as {
  encrypt(text: string, options: EncryptionOptions, done: (error: Error | null, xml: string) => void): void;
};

/** Wraps an assertion in `saml:EncryptedAssertion` for the holder of a certificate. */
export function encryptAssertion(
  assertion: string,
  options: {
    readonly certificate: string;
    readonly publicKey: string;
    readonly algorithm: string;
    readonly transport?: string;
  },
): Promise<string> {
  return new Promise((resolve, reject) => {
    encrypt(
      assertion,
      {
        rsa_pub: options.publicKey,
        pem: options.certificate,
        encryptionAlgorithm: options.algorithm,
        keyEncryptionAlgorithm: options.transport ?? 'http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p',
        warnInsecureAlgorithm: false,
      },
      (error, xml) => {
        if (error) reject(error);
        else resolve(`<saml:EncryptedAssertion xmlns:saml="${ASSERTION}">${xml}</saml:EncryptedAssertion>`);
      },
    );
  });
}

export const base64 = (xml: string): string => Buffer.from(xml, 'utf8').toString('base64');

/** The signature element of signed text, cut out. */
export function cutSignature(xml: string): { readonly without: string; readonly signature: string } {
  const start = xml.indexOf('<ds:Signature');
  const end = xml.indexOf('</ds:Signature>') + '</ds:Signature>'.length;
  if (start < 0) throw new Error(`no signature in ${xml.slice(0, 80)} (${DSIG})`);
  return { without: xml.slice(0, start) + xml.slice(end), signature: xml.slice(start, end) };
}

export const freshId = (): string => `_${randomBytes(16).toString('hex')}`;
