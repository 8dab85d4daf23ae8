import { createRequire } from 'node:module';

// The published types of these libraries bring the browser's globals into every file of the house, so that a server
// could name `window` without a complaint. Described here is exactly what is used.
const require = createRequire(import.meta.url);

/** A node as xmldom makes it; text has no children. */
export interface DomNode {
  readonly localName: string | null;
  readonly namespaceURI: string | null;
  readonly childNodes: ArrayLike<DomNode> | null;
}

interface DomParserOptions {
  readonly locator: object;
  readonly errorHandler: Readonly<Record<'warning' | 'error' | 'fatalError', (message: string) => void>>;
}

export const { DOMParser } = require('@xmldom/xmldom') as {
  readonly DOMParser: new (options: DomParserOptions) => {
    parseFromString(text: string, type: 'text/xml'): { readonly childNodes: ArrayLike<DomNode> };
  };
};

interface NodeSamlOptions {
  readonly callbackUrl: string;
  readonly issuer: string;
  readonly idpCert: readonly string[];
  readonly audience: false;
  readonly acceptedClockSkewMs: -1;
  readonly validateInResponseTo: 'never';
  readonly wantAuthnResponseSigned: boolean;
  readonly wantAssertionsSigned: boolean;
  readonly decryptionPvk?: string;
  readonly cacheProvider: Readonly<Record<'saveAsync' | 'getAsync' | 'removeAsync', () => Promise<null>>>;
}

export const { SAML } = require('@node-saml/node-saml') as {
  readonly SAML: new (options: NodeSamlOptions) => {
    validatePostResponseAsync(form: {
      readonly SAMLResponse: string;
    }): Promise<{ readonly profile: { getAssertionXml(): string } | null }>;
  };
};

export const { decrypt } = require('xml-encryption') as {
  readonly decrypt: (
    xml: string,
    options: { readonly key: string; readonly disallowDecryptionWithInsecureAlgorithm: true },
    done: (error: Error | null, text?: string) => void,
  ) => void;
};

interface XmlSignature {
  addReference(reference: {
    readonly xpath: string;
    readonly transforms: readonly string[];
    readonly digestAlgorithm: string;
    readonly inclusiveNamespacesPrefixList?: readonly string[];
  }): void;
  computeSignature(
    xml: string,
    options: {
      readonly prefix: string;
      readonly location: { readonly reference: string; readonly action: 'after' | 'prepend' };
    },
  ): void;
  getSignedXml(): string;
  loadSignature(signature: DomNode): void;
  /** Throws, or answers false, when the signature does not hold. */
  checkSignature(xml: string): boolean;
  /** The canonical bytes that were signed; empty before a successful check. */
  getSignedReferences(): string[];
}

export const { SignedXml } = require('xml-crypto') as {
  readonly SignedXml: new (options: {
    readonly privateKey?: string;
    readonly publicCert?: string;
    readonly signatureAlgorithm?: string;
    readonly canonicalizationAlgorithm?: string;
  }) => XmlSignature;
};
