import { createPublicKey, hash, verify } from 'node:crypto';
import {
  openCheckpointWith,
  parseVerifierKeyWith,
  verifyConsistencyWith,
  verifyInclusionWith,
  type CheckpointVerdict,
  type ConsistencyInput,
  type InclusionInput,
  type PasskeyVerify,
  type Primitives,
  type VerifierKey,
} from './core.ts';

/** DER of an Ed25519 SubjectPublicKeyInfo up to the key itself (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** The verifier's primitives on node:crypto. */
export const nodePrimitives: Primitives & { readonly passkeyVerify: PasskeyVerify } = {
  sha256: (data) => hash('sha256', data, 'buffer'),
  sha256Many: (inputs) => inputs.map((data) => hash('sha256', data, 'buffer')),
  ed25519Verify: ({ publicKey, message, signature }) => {
    if (publicKey.length !== 32 || signature.length !== 64) return false;
    try {
      const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
      return verify(null, message, key, signature);
    } catch {
      return false;
    }
  },
  passkeyVerify: ({ spki, message, signature }) => {
    try {
      const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
      return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', message, key, signature);
    } catch {
      return false;
    }
  },
};

export function verifyInclusion(input: InclusionInput & { root: Uint8Array }): Promise<boolean> {
  return verifyInclusionWith(nodePrimitives, input);
}

export function verifyConsistency(input: ConsistencyInput): Promise<boolean> {
  return verifyConsistencyWith(nodePrimitives, input);
}

export function parseVerifierKey(text: string): Promise<VerifierKey | undefined> {
  return parseVerifierKeyWith(nodePrimitives, text);
}

export function openCheckpoint(note: string, keys: readonly VerifierKey[]): Promise<CheckpointVerdict> {
  return openCheckpointWith(nodePrimitives, note, keys);
}
