import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { toBase64Url, type Clock, type Random } from '@auditrax/base';
import type { SamlConnection } from './connection.ts';
import { refusal } from './errors.ts';
import { SignedXml } from './libraries.ts';
import { ASSERTION, BINDING_POST, ENVELOPED, EXCLUSIVE_C14N, PROTOCOL, SIGNATURE_ALGORITHMS } from './names.ts';
import { instantText } from './time.ts';
import { escapeXml } from './xml-text.ts';

/** What the caller keeps until the answer comes, looked up by its relay state and consumed once. */
export interface StoredRequest {
  readonly id: string;
  /** Opaque and unguessable: the only thing that travels through the provider. 43 characters. */
  readonly relayState: string;
  readonly issuedAt_ms: number;
  /** The person was to sign in anew; an older sign-in is refused. */
  readonly forceAuthn: boolean;
}

/** How the browser is sent on: an address to follow, or a form to post. */
export type Departure =
  | { readonly binding: 'redirect'; readonly url: string }
  | {
      readonly binding: 'post';
      readonly url: string;
      readonly fields: Readonly<Record<'SAMLRequest' | 'RelayState', string>>;
    };

export interface AuthnRequestOptions {
  /** PEM, PKCS #8, RSA: this side's signing key. */
  readonly signingKey: string;
  readonly forceAuthn?: boolean;
  readonly clock: Clock;
  readonly random: Random;
}

const ID_BYTES = 20;
const RELAY_STATE_BYTES = 32;
/** What every provider can check; ADFS refuses SHA-1 by default and some refuse PSS. */
const REQUEST_ALGORITHM = SIGNATURE_ALGORITHMS['rsa-sha256'];

function requestXml(connection: SamlConnection, request: StoredRequest): string {
  const format = connection.nameIdFormat === undefined ? '' : ` Format="${escapeXml(connection.nameIdFormat)}"`;
  const force = request.forceAuthn ? ' ForceAuthn="true"' : '';
  // No RequestedAuthnContext: asking ADFS for a password breaks Windows sign-in, and what it says is not trusted anyway.
  return (
    `<samlp:AuthnRequest xmlns:samlp="${PROTOCOL}" xmlns:saml="${ASSERTION}" ID="${request.id}" Version="2.0"` +
    ` IssueInstant="${instantText(request.issuedAt_ms)}" Destination="${escapeXml(connection.ssoUrl)}"${force}` +
    ` ProtocolBinding="${BINDING_POST}" AssertionConsumerServiceURL="${escapeXml(connection.acsUrl)}">` +
    `<saml:Issuer>${escapeXml(connection.spEntityId)}</saml:Issuer>` +
    `<samlp:NameIDPolicy AllowCreate="true"${format}/></samlp:AuthnRequest>`
  );
}

/** SAML Bindings 3.4.4.1: the signature covers exactly the query that is sent, in this order. */
function redirectUrl(connection: SamlConnection, xml: string, sent: { relayState: string; key: KeyObject }): string {
  const message = deflateRawSync(Buffer.from(xml, 'utf8')).toString('base64');
  const query = [
    ['SAMLRequest', message],
    ['RelayState', sent.relayState],
    ['SigAlg', REQUEST_ALGORITHM],
  ]
    .map(([name, value]) => `${name}=${encodeURIComponent(value!)}`)
    .join('&');
  const signature = sign('sha256', Buffer.from(query, 'ascii'), sent.key).toString('base64');
  const separator = connection.ssoUrl.includes('?') ? '&' : '?';
  return `${connection.ssoUrl}${separator}${query}&Signature=${encodeURIComponent(signature)}`;
}

function signedXml(xml: string, signingKey: string): string {
  const signature = new SignedXml({
    privateKey: signingKey,
    signatureAlgorithm: REQUEST_ALGORITHM,
    canonicalizationAlgorithm: EXCLUSIVE_C14N,
  });
  signature.addReference({
    xpath: '/*',
    transforms: [ENVELOPED, EXCLUSIVE_C14N],
    digestAlgorithm: 'http://www.w3.org/2001/04/xmlenc#sha256',
  });
  signature.computeSignature(xml, {
    prefix: 'ds',
    location: { reference: "/*/*[local-name(.)='Issuer']", action: 'after' },
  });
  return signature.getSignedXml();
}

function rsaKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch (cause) {
    throw refusal('saml_setting_invalid', 'signingKey', { field: 'signingKey', cause });
  }
  throw refusal('saml_setting_invalid', 'signingKey is not RSA', { field: 'signingKey' });
}

/**
 * A signed request to sign in. The caller keeps `request` bound to the browser that asked and hands it back to
 * `acceptResponse`; it must let each be answered once.
 */
export function makeAuthnRequest(
  connection: SamlConnection,
  options: AuthnRequestOptions,
): { readonly request: StoredRequest; readonly departure: Departure } {
  const key = rsaKey(options.signingKey);
  const request: StoredRequest = {
    // An XML name begins with a letter or an underscore.
    id: `_${Buffer.from(options.random.bytes(ID_BYTES)).toString('hex')}`,
    relayState: toBase64Url(options.random.bytes(RELAY_STATE_BYTES)),
    issuedAt_ms: options.clock.nowMs(),
    forceAuthn: options.forceAuthn ?? false,
  };
  const { relayState } = request;
  const xml = requestXml(connection, request);
  if (connection.ssoBinding === 'redirect')
    return { request, departure: { binding: 'redirect', url: redirectUrl(connection, xml, { relayState, key }) } };
  const message = Buffer.from(signedXml(xml, options.signingKey), 'utf8').toString('base64');
  return {
    request,
    departure: { binding: 'post', url: connection.ssoUrl, fields: { SAMLRequest: message, RelayState: relayState } },
  };
}
