import { quoted, refusal } from './errors.ts';
import {
  CBC_ALGORITHMS,
  ENCRYPTED_ELEMENT,
  ENCRYPTED_KEY_TYPE,
  GCM_ALGORITHMS,
  KEY_TRANSPORT,
  KEY_TRANSPORT_DIGEST,
} from './names.ts';
import { atPath, childrenOf, firstChild, type XmlElement } from './tree.ts';

const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;

/**
 * G16 and G17: one key for us and one ciphertext, with algorithms that are on the list. RSA with PKCS #1 v1.5 padding
 * lets an attacker decrypt by asking often (Bleichenbacher); so does CBC without a signature over the ciphertext, which
 * is why it is accepted only where the response itself is signed.
 */
export function checkEncryption(encrypted: XmlElement, isResponseSigned: boolean): void {
  const data = firstChild(encrypted, 'xenc:EncryptedData');
  const keyInfo = data && firstChild(data, 'ds:KeyInfo');
  if (data === undefined || keyInfo === undefined) throw refusal('saml_encryption_shape', 'EncryptedData or KeyInfo');
  if ((data.attributes.get('Type') ?? ENCRYPTED_ELEMENT) !== ENCRYPTED_ELEMENT)
    throw refusal('saml_encryption_shape', 'Type');
  checkKey(keyOf(encrypted, keyInfo));
  checkCipherData(data);
  const method = firstChild(data, 'xenc:EncryptionMethod');
  const algorithm = method?.attributes.get('Algorithm') ?? '';
  if (!GCM_ALGORITHMS.has(algorithm) && !CBC_ALGORITHMS.has(algorithm))
    throw refusal('saml_encryption_algorithm', quoted(algorithm));
  if (CBC_ALGORITHMS.has(algorithm) && !isResponseSigned) throw refusal('saml_encryption_unauthenticated');
}

/** Inside of the data, or beside it with a reference; the decrypter builds a query from that reference. */
function keyOf(encrypted: XmlElement, keyInfo: XmlElement): XmlElement {
  const inside = childrenOf(keyInfo, 'xenc:EncryptedKey');
  const beside = childrenOf(encrypted, 'xenc:EncryptedKey');
  const references = childrenOf(keyInfo, 'ds:RetrievalMethod');
  const [key] = [...inside, ...beside];
  if (key === undefined || inside.length + beside.length !== 1 || references.length !== beside.length)
    throw refusal('saml_encryption_shape', 'not one EncryptedKey');
  if (beside.length === 0) return key;
  const [reference] = references;
  const isOwn = reference!.attributes.get('URI') === `#${key.attributes.get('Id')}`;
  if (!isOwn || (reference!.attributes.get('Type') ?? ENCRYPTED_KEY_TYPE) !== ENCRYPTED_KEY_TYPE)
    throw refusal('saml_encryption_shape', 'RetrievalMethod');
  return key;
}

function checkKey(key: XmlElement): void {
  checkCipherData(key);
  const nested = firstChild(key, 'ds:KeyInfo')?.children ?? [];
  if (nested.some(({ name }) => name !== 'ds:X509Data' && name !== 'ds:KeyName'))
    throw refusal('saml_encryption_shape', 'KeyInfo of the key');
  const method = firstChild(key, 'xenc:EncryptionMethod');
  const algorithm = method?.attributes.get('Algorithm') ?? '';
  if (algorithm !== KEY_TRANSPORT) throw refusal('saml_encryption_algorithm', quoted(algorithm));
  const digest = method && firstChild(method, 'ds:DigestMethod')?.attributes.get('Algorithm');
  if (digest !== undefined && digest !== KEY_TRANSPORT_DIGEST)
    throw refusal('saml_encryption_algorithm', quoted(digest));
}

function checkCipherData(parent: XmlElement): void {
  const value = atPath(parent, 'xenc:CipherData', 'xenc:CipherValue');
  if (value === undefined || !BASE64.test(value.text)) throw refusal('saml_encryption_shape', 'CipherValue');
}
