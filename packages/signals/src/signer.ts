import { fitsAlgorithm, publicPart } from '@auditrax/base/key-set';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { CompactSign, type JWK } from 'jose';
import type { SetAlgorithm } from './algorithms.ts';
import { refusal } from './errors.ts';
import { isPlainText, type JsonObject } from './json.ts';
import { KEY_ID_CHARACTERS_MAX } from './limits.ts';

/** Signs event tokens with one key. */
export interface SetSigner {
  readonly algorithm: SetAlgorithm;
  readonly kid: string;
  /** As it is published: public parts, id, use and algorithm. */
  readonly publicKey: JWK;
  sign(claims: JsonObject): Promise<string>;
}

/** E38: a signer of a private key. Throws `signals_signing_key` where key and algorithm do not fit. */
export function createSetSigner(input: {
  readonly algorithm: SetAlgorithm;
  readonly kid: string;
  readonly privateKey: KeyObject;
}): SetSigner {
  const { algorithm, kid, privateKey } = input;
  if (privateKey.type !== 'private' || !isPlainText(kid, KEY_ID_CHARACTERS_MAX)) throw refusal('signals_signing_key');
  let jwk: JWK;
  try {
    jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  } catch (cause) {
    throw refusal('signals_signing_key', undefined, { cause });
  }
  if (!fitsAlgorithm(jwk, algorithm)) throw refusal('signals_signing_key');
  return {
    algorithm,
    kid,
    publicKey: { ...publicPart(jwk), kid, use: 'sig', alg: algorithm },
    sign: (claims) =>
      new CompactSign(Buffer.from(JSON.stringify(claims), 'utf8'))
        .setProtectedHeader({ alg: algorithm, typ: 'secevent+jwt', kid })
        .sign(privateKey),
  };
}

/** What to publish at `jwks_uri`: the signer in use, the next one ahead of its time, and former ones for a week. */
export function publicKeySet(signers: readonly Pick<SetSigner, 'publicKey'>[]): { readonly keys: readonly JWK[] } {
  return { keys: signers.map(({ publicKey }) => publicKey) };
}
