import { constants, createCipheriv, createPublicKey, publicEncrypt } from 'node:crypto';
import type { Random } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import { KEY_BYTES } from '../../gcm.ts';

/** Initial value of AES key wrap with padding. Source: RFC 5649 section 3. */
const KWP_IV = Buffer.from('a65959a6', 'hex');
/** The wrapping key that we ask AWS for; a shorter one would be the weakest link. */
const RSA_BITS = 4096;

/**
 * Packs key material for the way into AWS KMS: `RSA-OAEP-SHA-256(ephemeral AES-256 key) | AES-KWP(material)`, which AWS
 * calls RSA_AES_KEY_WRAP_SHA_256. Only AWS KMS can open it. `publicKey` is the DER SubjectPublicKeyInfo from the import
 * parameters, RSA with 4096 bits; `material` is 32 bytes. Throws `kek_misconfigured`, `key_length`.
 *
 * Source: AWS KMS developer guide, "Encrypt key material with RSA_AES_KEY_WRAP_SHA_256"; PKCS #11 CKM_RSA_AES_KEY_WRAP.
 */
export function wrapKeyMaterial(input: {
  readonly publicKey: Uint8Array;
  readonly material: Uint8Array;
  readonly random: Random;
}): Buffer {
  if (input.material.length !== KEY_BYTES) {
    throw sealError('key_length', `the key material of a KMS key has ${KEY_BYTES} bytes, not ${input.material.length}`);
  }
  const key = wrappingKey(input.publicKey);
  const ephemeral = Buffer.from(input.random.bytes(KEY_BYTES));
  try {
    const underRsa = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, ephemeral);
    const cipher = createCipheriv('id-aes256-wrap-pad', ephemeral, KWP_IV);
    return Buffer.concat([underRsa, cipher.update(input.material), cipher.final()]);
  } finally {
    ephemeral.fill(0);
  }
}

function wrappingKey(der: Uint8Array) {
  let key;
  try {
    key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch {
    throw sealError('kek_misconfigured', 'the wrapping key is not a public key in DER (SubjectPublicKeyInfo)');
  }
  if (key.asymmetricKeyType !== 'rsa' || key.asymmetricKeyDetails?.modulusLength !== RSA_BITS) {
    throw sealError('kek_misconfigured', `the wrapping key is not RSA with ${RSA_BITS} bits`);
  }
  return key;
}
