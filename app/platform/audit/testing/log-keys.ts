// Keys of a signer in memory, for tests and measurements.
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { LogKeys } from '../signer-keys.ts';

export function memoryKeys(first: KeyObject = generateKeyPairSync('ed25519').privateKey): LogKeys {
  const privateKeys = new Map([[1, first]]);
  const publicKeys = new Map([[1, createPublicKey(first)]]);
  return {
    newest: () => publicKeys.size,
    privateKey: (number) => privateKeys.get(number),
    publicKey: (number) => publicKeys.get(number)!,
    make: () => {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519');
      const number = publicKeys.size + 1;
      privateKeys.set(number, privateKey);
      publicKeys.set(number, publicKey);
      return number;
    },
    destroy: (number) => void privateKeys.delete(number),
  };
}
