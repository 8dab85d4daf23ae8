import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';

/** More messages under one data key than any bench makes: the SDK never has to ask its keyring again. */
const CACHE_MS = 60 * 60 * 1000;

/** The AWS Encryption SDK for JavaScript, set up as kindly as it allows. */
export interface Esdk {
  encrypt(plaintext: Buffer): Promise<Buffer>;
  decrypt(sealed: Buffer): Promise<Buffer>;
  /** Encrypts what `source` yields with the default frame; resolves to the length of the result. */
  encryptStream(source: Iterable<Buffer>): Promise<number>;
  readonly setUp: string;
}

/** A local AES key instead of a service, data keys from the cache, the committing suite without its signature. */
export function openEsdk(): Esdk {
  const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const keyring = new RawAesKeyringNode({
    keyName: 'bench',
    keyNamespace: 'bench',
    unencryptedMasterKey: new Uint8Array(32).fill(7),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const cached = new NodeCachingMaterialsManager({
    backingMaterials: keyring,
    cache: getLocalCryptographicMaterialsCache(1000),
    maxAge: CACHE_MS,
  });
  const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
  return {
    setUp: 'raw AES keyring, caching materials manager, committing suite without signature, default frame of 4 KiB',
    encrypt: async (plaintext) =>
      Buffer.from((await client.encrypt(cached, plaintext, { suiteId, plaintextLength: plaintext.length })).result),
    decrypt: async (sealed) => Buffer.from((await client.decrypt(cached, sealed)).plaintext),
    async encryptStream(source) {
      const stream = client.encryptStream(keyring, { suiteId });
      let length = 0;
      stream.on('data', (piece: Buffer) => (length += piece.length));
      const ended = new Promise((resolve, reject) => stream.once('end', resolve).once('error', reject));
      for (const piece of source) {
        if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve));
      }
      stream.end();
      await ended;
      return length;
    },
  };
}
