import type { Random } from '@auditrax/base';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const ACCESS_KEY_ID_CHARS = 26;
const SECRET_BYTES = 36;

/** The file by which AWS KMS and the proxy share a credential. */
export interface CredentialFile {
  readonly XksProxyUriPath: string;
  readonly XksProxyAuthenticationCredential: { readonly AccessKeyId: string; readonly RawSecretAccessKey: string };
}

/** A new credential for a store: 288 random bits, in the JSON that the KMS console takes and `credentialFiles` names. */
export function newCredential(uriPathPrefix: string, random: Random): CredentialFile {
  const id = Array.from(random.bytes(ACCESS_KEY_ID_CHARS), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
  return {
    XksProxyUriPath: `${uriPathPrefix}/kms/xks/v1`,
    XksProxyAuthenticationCredential: {
      AccessKeyId: id,
      RawSecretAccessKey: Buffer.from(random.bytes(SECRET_BYTES)).toString('base64'),
    },
  };
}
