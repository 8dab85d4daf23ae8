import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '@auditrax/base';

/** Separates these digests from every other use of SHA-256 in the house. */
const LABEL = 'auditrax-stepup-v1\0';
/** Makes the challenge of the same action different each time, so that an old answer never fits. */
export const NONCE_BYTES = 32;

/** SHA-256 of the action in canonical JSON (RFC 8785). Throws `json_not_canonical`. */
export function actionHash(action: Json): Buffer {
  return createHash('sha256').update(canonicalJson(action), 'utf8').digest();
}

/**
 * The WebAuthn challenge that confirms `action`: SHA-256(label || nonce || SHA-256(JCS(action))). The authenticator
 * signs it, so its answer fits this action and no other. Throws RangeError unless the nonce has 32 bytes.
 */
export function stepUpDigest(nonce: Uint8Array, action: Json): Buffer {
  if (nonce.length !== NONCE_BYTES) throw new RangeError(`a nonce has ${NONCE_BYTES} bytes`);
  return createHash('sha256').update(LABEL, 'latin1').update(nonce).update(actionHash(action)).digest();
}
