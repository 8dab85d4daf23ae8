import { parseCertificate } from './certificate.ts';
import type { SamlConnection } from './connection.ts';
import { BINDING_POST, DSIG, KEY_TRANSPORT, METADATA, PROTOCOL } from './names.ts';
import { escapeXml } from './xml-text.ts';

export interface ServiceCertificates {
  /** PEM, newest first; two while our own key changes. */
  readonly signing: readonly string[];
  /** PEM; empty where encryption is not offered. */
  readonly encryption: readonly string[];
}

const CIPHERS = ['http://www.w3.org/2009/xmlenc11#aes256-gcm', 'http://www.w3.org/2009/xmlenc11#aes128-gcm'];

function keyDescriptor(use: 'signing' | 'encryption', pem: string): string {
  const base64 = parseCertificate(pem, 'active').pem.replaceAll(/-----[A-Z ]+-----|\s/g, '');
  const methods = [...CIPHERS, KEY_TRANSPORT].map((name) => `<md:EncryptionMethod Algorithm="${name}"/>`).join('');
  return (
    `<md:KeyDescriptor use="${use}"><ds:KeyInfo xmlns:ds="${DSIG}"><ds:X509Data><ds:X509Certificate>${base64}` +
    `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>${use === 'encryption' ? methods : ''}</md:KeyDescriptor>`
  );
}

/**
 * The document that an administrator gives the provider: our name, the one address of this connection, our certificates.
 * It asks for signed assertions and promises signed requests. Throws a certificate's code.
 */
export function spMetadata(
  connection: Pick<SamlConnection, 'spEntityId' | 'acsUrl' | 'nameIdFormat'>,
  certificates: ServiceCertificates,
): string {
  const keys = [
    ...certificates.signing.map((pem) => keyDescriptor('signing', pem)),
    ...certificates.encryption.map((pem) => keyDescriptor('encryption', pem)),
  ].join('');
  const format =
    connection.nameIdFormat === undefined
      ? ''
      : `<md:NameIDFormat>${escapeXml(connection.nameIdFormat)}</md:NameIDFormat>`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
    `<md:EntityDescriptor xmlns:md="${METADATA}" entityID="${escapeXml(connection.spEntityId)}">` +
    `<md:SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="true" protocolSupportEnumeration="${PROTOCOL}">` +
    `${keys}${format}<md:AssertionConsumerService Binding="${BINDING_POST}" Location="${escapeXml(connection.acsUrl)}" index="0" isDefault="true"/>` +
    `</md:SPSSODescriptor></md:EntityDescriptor>\n`
  );
}
