import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPair,
  privateDecrypt,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '@auditrax/base';
import { DAY_MS } from './key.ts';
import { refusal } from './refusal.ts';

const TOKEN_MS = DAY_MS;
const KWP_IV = Buffer.from('a65959a6', 'hex');
const MATERIAL_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const SPECS: Readonly<Record<string, number>> = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 };
const ALGORITHMS = new Set([
  'RSAES_OAEP_SHA_1',
  'RSAES_OAEP_SHA_256',
  'RSA_AES_KEY_WRAP_SHA_1',
  'RSA_AES_KEY_WRAP_SHA_256',
]);

interface Claims {
  readonly keyId: string;
  readonly validToMs: number;
  readonly spec: string;
  readonly algorithm: string;
  /** Of the import parameters that the token was given with. */
  readonly serial: string;
}

export interface Parameters {
  readonly publicKey: Buffer;
  readonly importToken: Buffer;
  readonly validToMs: number;
}

interface RsaPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Import parameters: a wrapping key for each request, and a token that only this simulator can read. */
export class ImportTokens {
  readonly #random: Random;
  readonly #sealingKey: Buffer;
  readonly #privateKeys = new Map<string, KeyObject>();
  readonly #making = new Map<number, Promise<RsaPair>>();

  constructor(random: Random) {
    this.#random = random;
    this.#sealingKey = Buffer.from(random.bytes(32));
  }

  /** A busy machine takes seconds for a pair: whoever asks again meanwhile, having given up, gets the one being made. */
  #pair(bits: number): Promise<RsaPair> {
    const making = this.#making.get(bits);
    if (making !== undefined) return making;
    const made = promisify(generateKeyPair)('rsa', { modulusLength: bits }).finally(() => this.#making.delete(bits));
    this.#making.set(bits, made);
    return made;
  }

  async issue(ask: { keyId: string; algorithm: string; spec: string; nowMs: number }): Promise<Parameters> {
    const bits = Object.hasOwn(SPECS, ask.spec) ? SPECS[ask.spec] : undefined;
    if (bits === undefined || !ALGORITHMS.has(ask.algorithm)) {
      throw refusal('ValidationException', 'WrappingKeySpec or WrappingAlgorithm is not one of the known values.');
    }
    const { publicKey, privateKey } = await this.#pair(bits);
    const serial = Buffer.from(this.#random.bytes(16)).toString('hex');
    this.#privateKeys.set(serial, privateKey);
    const validToMs = ask.nowMs + TOKEN_MS;
    const claims: Claims = { keyId: ask.keyId, validToMs, spec: ask.spec, algorithm: ask.algorithm, serial };
    const iv = Buffer.from(this.#random.bytes(IV_BYTES));
    const cipher = createCipheriv('aes-256-gcm', this.#sealingKey, iv);
    const sealed = [cipher.update(JSON.stringify(claims), 'utf8'), cipher.final()];
    const importToken = Buffer.concat([iv, ...sealed, cipher.getAuthTag()]);
    return { publicKey: publicKey.export({ type: 'spki', format: 'der' }), importToken, validToMs };
  }

  /** The material in `encrypted`. Throws with AWS's names for a foreign or old token, and for what does not open. */
  unwrap(ask: { keyId: string; token: Buffer; encrypted: Buffer; nowMs: number }): Buffer {
    const claims = this.#read(ask.token);
    if (claims.keyId !== ask.keyId) throw refusal('InvalidImportTokenException', 'The token is for another key.');
    if (claims.validToMs <= ask.nowMs) throw refusal('ExpiredImportTokenException', 'The import token has expired.');
    try {
      const material = this.#open(claims, ask.encrypted);
      if (material.length === MATERIAL_BYTES) return material;
    } catch {
      // The same answer as for a wrong length: an oracle on the padding would be worth an attack.
    }
    throw refusal('InvalidCiphertextException', 'The key material could not be decrypted.');
  }

  #read(token: Buffer): Claims {
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#sealingKey, token.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAuthTag(token.subarray(-TAG_BYTES));
      const body = token.subarray(IV_BYTES, -TAG_BYTES);
      return JSON.parse(Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8')) as Claims;
    } catch {
      throw refusal('InvalidImportTokenException', 'The import token is not one of this service.');
    }
  }

  #open(claims: Claims, encrypted: Buffer): Buffer {
    const oaepHash = claims.algorithm.endsWith('_SHA_1') ? 'sha1' : 'sha256';
    const key = { key: this.#privateKeys.get(claims.serial)!, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash };
    if (claims.algorithm.startsWith('RSAES_OAEP')) return privateDecrypt(key, encrypted);
    const modulus_bytes = SPECS[claims.spec]! / 8;
    const ephemeral = privateDecrypt(key, encrypted.subarray(0, modulus_bytes));
    const decipher = createDecipheriv('id-aes256-wrap-pad', ephemeral, KWP_IV);
    return Buffer.concat([decipher.update(encrypted.subarray(modulus_bytes)), decipher.final()]);
  }
}
