/** Namespaces that may occur in a response, and the one prefix that this package knows each by. */
export const SAML_NAMESPACES: ReadonlyMap<string, string> = new Map([
  ['urn:oasis:names:tc:SAML:2.0:protocol', 'samlp'],
  ['urn:oasis:names:tc:SAML:2.0:assertion', 'saml'],
  ['http://www.w3.org/2000/09/xmldsig#', 'ds'],
  ['http://www.w3.org/2001/04/xmlenc#', 'xenc'],
  ['http://www.w3.org/2001/10/xml-exc-c14n#', 'ec'],
]);

export const PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol';
export const ASSERTION = 'urn:oasis:names:tc:SAML:2.0:assertion';
export const METADATA = 'urn:oasis:names:tc:SAML:2.0:metadata';
export const DSIG = 'http://www.w3.org/2000/09/xmldsig#';
export const XMLNS = 'http://www.w3.org/2000/xmlns/';
export const XSI = 'http://www.w3.org/2001/XMLSchema-instance';

export const BINDING_POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST';
export const BINDING_REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
export const BEARER = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';
export const ENTITY_FORMAT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:entity';

export const ENVELOPED = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature';
export const EXCLUSIVE_C14N = 'http://www.w3.org/2001/10/xml-exc-c14n#';

/**
 * Signature methods that the verifier underneath can check and that are not broken, by the name settings use. SHA-1 is
 * missing on purpose; ECDSA and SHA-384 because node-saml has no way to check them.
 */
export const SIGNATURE_ALGORITHMS = {
  'rsa-sha256': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'rsa-sha512': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
  'rsa-pss-sha256': 'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
} as const;
export type SignatureAlgorithm = keyof typeof SIGNATURE_ALGORITHMS;

export const DIGEST_ALGORITHMS: ReadonlySet<string> = new Set([
  'http://www.w3.org/2001/04/xmlenc#sha256',
  'http://www.w3.org/2001/04/xmlenc#sha512',
]);

export const GCM_ALGORITHMS: ReadonlySet<string> = new Set([
  'http://www.w3.org/2009/xmlenc11#aes128-gcm',
  'http://www.w3.org/2009/xmlenc11#aes256-gcm',
]);
export const CBC_ALGORITHMS: ReadonlySet<string> = new Set([
  'http://www.w3.org/2001/04/xmlenc#aes128-cbc',
  'http://www.w3.org/2001/04/xmlenc#aes256-cbc',
]);
/** OAEP with SHA-1, which is not weakened by collisions; the decrypter underneath knows no other digest. */
export const KEY_TRANSPORT = 'http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p';
export const KEY_TRANSPORT_DIGEST = 'http://www.w3.org/2000/09/xmldsig#sha1';
export const ENCRYPTED_ELEMENT = 'http://www.w3.org/2001/04/xmlenc#Element';
export const ENCRYPTED_KEY_TYPE = 'http://www.w3.org/2001/04/xmlenc#EncryptedKey';

const STATUS = 'urn:oasis:names:tc:SAML:2.0:status:';
export const STATUS_SUCCESS = `${STATUS}Success`;
/** SAML Core 3.2.2.2; the first three may stand at the top. */
export const STATUS_KNOWN: ReadonlySet<string> = new Set(
  [
    'Requester',
    'Responder',
    'VersionMismatch',
    'AuthnFailed',
    'InvalidAttrNameOrValue',
    'InvalidNameIDPolicy',
    'NoAuthnContext',
    'NoAvailableIDP',
    'NoPassive',
    'NoSupportedIDP',
    'PartialLogout',
    'ProxyCountExceeded',
    'RequestDenied',
    'RequestUnsupported',
    'RequestVersionDeprecated',
    'RequestVersionTooHigh',
    'RequestVersionTooLow',
    'ResourceNotRecognized',
    'TooManyResponses',
    'UnknownAttrProfile',
    'UnknownPrincipal',
    'UnsupportedBinding',
  ].map((name) => STATUS + name),
);
