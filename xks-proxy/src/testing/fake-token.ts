import { createCipheriv, createDecipheriv } from 'node:crypto';
import { sealError } from '@auditrax/seal';
import type { HsmToken } from '../hsm.ts';

const KEY = Buffer.alloc(32, 5);

/** A token of known bytes, faults to order. Stands for the HSM where SoftHSM cannot be made to err. */
export function fakeToken(change: Partial<HsmToken> = {}): HsmToken {
  const attributes = {
    id: '01',
    label: 'foo',
    givesValue: false,
    isAes: true,
    value_bytes: 32,
    token: true,
    private: true,
    sensitive: true,
    alwaysSensitive: true,
    extractable: false,
    local: true,
    neverExtractable: true,
    modifiable: false,
    encrypt: true,
    decrypt: true,
    wrap: false,
    unwrap: false,
  };
  return {
    facts: async () => ({
      label: 'one',
      serial: '7',
      manufacturer: 'maker',
      model: 'model',
      firmware: '1.0',
      library: 'lib',
      hardwareSlot: false,
    }),
    findKey: async () => ({ id: '01', label: 'foo' }),
    createAesKey: async () => ({ id: '01', label: 'foo' }),
    destroyKey: async () => true,
    describeKey: async () => attributes,
    health: async () => ({ ok: true }),
    encryptGcm: async ({ iv, aad }, text) => {
      const cipher = createCipheriv('aes-256-gcm', KEY, iv).setAAD(aad);
      return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    },
    decryptGcm: async ({ iv, aad }, sealed) => {
      const cipher = createDecipheriv('aes-256-gcm', KEY, iv, { authTagLength: 16 }).setAAD(aad);
      cipher.setAuthTag(sealed.subarray(-16));
      try {
        return Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]);
      } catch (cause) {
        throw sealError('authentication_failed', 'no', cause);
      }
    },
    ...change,
  };
}
