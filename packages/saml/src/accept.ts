import { isAppError, type Clock } from '@auditrax/base';
import { readAssertion, type AssertionContent } from './assertion.ts';
import { decodeMessage } from './bytes.ts';
import type { SamlConnection } from './connection.ts';
import { checkEncryption } from './encryption.ts';
import { refusal } from './errors.ts';
import { CLOCK_SKEW_MS, DECRYPTION_KEYS_MAX, RESPONSE_BYTES_MAX } from './limits.ts';
import { SAML_NAMESPACES } from './names.ts';
import type { StoredRequest } from './request.ts';
import { checkResponse, checkSolicited } from './response.ts';
import { checkSignature, namedFingerprint } from './signature.ts';
import { checkStructure } from './structure.ts';
import { childrenOf, firstChild, parseTree, type XmlElement } from './tree.ts';
import { decryptAssertion, verifyMessage, type Unverified, type Verified } from './verify.ts';

/** What came in by HTTP POST, and what this side knows about it. */
export interface ResponseInput {
  /** The form field `SAMLResponse` as it was posted. */
  readonly samlResponse: string;
  /** The form field `RelayState` as it was posted. */
  readonly relayState: string | undefined;
  /** Found by the relay state, bound to this browser, and already consumed; undefined when there is none. */
  readonly request: StoredRequest | undefined;
  readonly connection: SamlConnection;
  /** PEM of this side's decryption keys, newest first; empty where encryption is not offered. */
  readonly decryptionKeys: readonly string[];
}

export interface ResponsePorts {
  readonly clock: Clock;
  /**
   * Remembers (this connection, `assertionId`) until `forget_ms` under a unique key and says whether it was new. Called
   * last, once, and for accepted assertions only.
   */
  once(assertionId: string, forget_ms: number): Promise<boolean>;
}

/** A person as the provider vouches for, read from signed bytes alone. */
export interface AcceptedResponse extends AssertionContent {
  /** Fingerprint of the certificate that signed. */
  readonly signedBy: string;
  readonly signed: 'response' | 'assertion' | 'both';
  readonly isEncrypted: boolean;
}

const TREE = { namespaces: SAML_NAMESPACES } as const;

interface Received {
  readonly text: string;
  readonly base64: string;
  readonly root: XmlElement;
}

/** Passes 1 and 2, without a key: bytes, tree, structure. Throws the code of the first check that fails. */
export function readResponse(samlResponse: string): Received {
  const { text, base64 } = decodeMessage(samlResponse);
  const root = parseTree(text, TREE);
  checkStructure(root, 'samlp:Response');
  return { text, base64, root };
}

/** G12 to G17: one assertion, signatures in their places and shapes. */
function inspect(
  { root, base64 }: Received,
  connection: SamlConnection,
): { message: Unverified; assertion: XmlElement } {
  const assertions = [...childrenOf(root, 'saml:Assertion'), ...childrenOf(root, 'saml:EncryptedAssertion')];
  const [assertion] = assertions;
  if (assertion === undefined || assertions.length !== 1) throw refusal('saml_assertion_count', `${assertions.length}`);
  const isEncrypted = assertion.name === 'saml:EncryptedAssertion';
  const outer = firstChild(root, 'ds:Signature');
  const inner = isEncrypted ? undefined : firstChild(assertion, 'ds:Signature');
  if (outer !== undefined) checkSignature(outer, root, connection.signatureAlgorithms);
  if (inner !== undefined) checkSignature(inner, assertion, connection.signatureAlgorithms);
  if (outer === undefined && inner === undefined && !isEncrypted) throw refusal('saml_unsigned');
  if (isEncrypted) checkEncryption(assertion, outer !== undefined);
  const message = {
    base64,
    isResponseSigned: outer !== undefined,
    isAssertionSigned: isEncrypted ? undefined : inner !== undefined,
    namedFingerprint: namedFingerprint(outer ?? inner),
  };
  return { message, assertion };
}

/**
 * G19 and G20: the signed bytes go through the same gate as the message did, and say what was seen before. What only a
 * signed response vouched for while it was encrypted is seen here for the first time.
 */
function readSigned(shown: XmlElement | undefined, verified: Verified, connection: SamlConnection): XmlElement {
  const assertion = readAssertionTree(verified.assertionXml);
  if (shown !== undefined && !isSame(assertion, shown)) throw refusal('saml_signed_bytes_differ');
  // The library gives signed bytes without their own signature, and whole bytes where the response around them was
  // verified: a signature that is still there has been verified too, or it must not be there.
  const signature = firstChild(assertion, 'ds:Signature');
  if (signature !== undefined) checkSignature(signature, assertion, connection.signatureAlgorithms);
  if (signature !== undefined && !verified.isAssertionSigned) throw refusal('saml_decryption_failed');
  return assertion;
}

/** An encrypted assertion in an unsigned response: decrypted and looked at before the verifier gets to see it. */
async function readEncrypted(text: string, keys: readonly string[], connection: SamlConnection): Promise<XmlElement> {
  const assertion = readAssertionTree(await decryptAssertion(text, keys));
  const signature = firstChild(assertion, 'ds:Signature');
  if (signature === undefined) throw refusal('saml_unsigned');
  checkSignature(signature, assertion, connection.signatureAlgorithms);
  return assertion;
}

/** Every way in which an encrypted assertion fails is one answer: a difference would teach who tries often. */
async function uniformly<T>(isEncrypted: boolean, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isEncrypted && isAppError(error) && !OUTSIDE_CODES.has(error.code))
      throw refusal('saml_decryption_failed', undefined, { cause: error });
    throw error;
  }
}

/** What can be known without decrypting. */
const OUTSIDE_CODES: ReadonlySet<string> = new Set([
  'saml_no_usable_certificate',
  'saml_signature_invalid',
  'saml_signer_unknown',
  'saml_signer_pending',
  'saml_signer_retired',
  'saml_signer_expired',
]);

function readAssertionTree(xml: string): XmlElement {
  if (xml.length > RESPONSE_BYTES_MAX) throw refusal('saml_too_large');
  const assertion = parseTree(xml, TREE);
  checkStructure(assertion, 'saml:Assertion');
  return assertion;
}

/** Whether two readings say the same. Signatures are left out (the library takes its own away), line ends are alike. */
function isSame(a: XmlElement, b: XmlElement): boolean {
  const [left, right] = [a, b].map(({ children }) => children.filter(({ name }) => name !== 'ds:Signature'));
  if (a.name !== b.name || a.attributes.size !== b.attributes.size || left!.length !== right!.length) return false;
  for (const [key, value] of a.attributes) if (plain(value) !== plain(b.attributes.get(key) ?? '\0')) return false;
  // Blanks between elements mean nothing (G10), and those around a signature go with it.
  if (left!.length === 0 && plain(a.text) !== plain(b.text)) return false;
  return left!.every((child, index) => isSame(child, right![index]!));
}

function plain(text: string): string {
  return text.includes('\r') ? text.replaceAll(/\r\n?/g, '\n') : text;
}

/**
 * Accepts one answer to one sign-in, or throws an AppError<SamlCode> that names the check of SPEC.md which failed. The
 * order is: bytes, tree, what we asked for, signatures, signed bytes, their meaning, once only.
 */
export async function acceptResponse(input: ResponseInput, ports: ResponsePorts): Promise<AcceptedResponse> {
  const { connection, decryptionKeys } = input;
  const { clock } = ports;
  const received = readResponse(input.samlResponse);
  const request = checkSolicited(received.root, { request: input.request, relayState: input.relayState, clock });
  const expected = { connection, request, clock };
  checkResponse(received.root, expected);
  const { message, assertion: shown } = inspect(received, connection);
  const isEncrypted = message.isAssertionSigned === undefined;
  if (isEncrypted && decryptionKeys.length === 0) throw refusal('saml_encryption_no_key');
  // Nothing of this is believed yet; it spares the verifier what would be refused anyway, and names the failed check.
  if (!isEncrypted) readAssertion(shown, expected);
  const keys = { certificates: connection.certificates, decryptionKeys: decryptionKeys.slice(0, DECRYPTION_KEYS_MAX) };
  const { verified, assertion } = await uniformly(isEncrypted, async () => {
    const isHidden = isEncrypted && message.isResponseSigned;
    const seen = isEncrypted && !isHidden ? await readEncrypted(received.text, keys.decryptionKeys, connection) : shown;
    const verified = await verifyMessage(message, keys, clock);
    return { verified, assertion: readSigned(isHidden ? undefined : seen, verified, connection) };
  });
  const content = readAssertion(assertion, expected);
  const isNew = await ports.once(content.assertionId, content.notOnOrAfter_ms + CLOCK_SKEW_MS);
  if (!isNew) throw refusal('saml_replayed', content.assertionId);
  const { isResponseSigned } = message;
  return {
    ...content,
    signedBy: verified.certificate.fingerprint,
    signed: isResponseSigned ? (verified.isAssertionSigned ? 'both' : 'response') : 'assertion',
    isEncrypted,
  };
}
