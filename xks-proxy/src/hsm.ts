import type { Random } from '@auditrax/base';
import { sealError } from '@auditrax/seal';
import type { Pkcs11Token, TokenFacts, TokenKeyAttributes } from '@auditrax/seal/pkcs11';
import { XksError } from './errors.ts';

/** What the proxy needs of a PKCS#11 token; a part of `Pkcs11Token`, so that a rehearsal can put delays in between. */
export type HsmToken = Pick<
  Pkcs11Token,
  'facts' | 'findKey' | 'createAesKey' | 'describeKey' | 'encryptGcm' | 'decryptGcm' | 'destroyKey' | 'health'
>;

export interface HsmOptions {
  readonly token: HsmToken;
  readonly random: Random;
  /** After this the caller is told that we have no answer; the token may still be at it. */
  readonly deadlineMs: number;
  /** Label of a key that health checks encrypt with; none and they only ask whether the token answers. */
  readonly healthLabel: string | undefined;
}

const IV_BYTES = 12;
const HEALTH_TEXT = Buffer.from('auditrax-xks-proxy health');

/** Keys of a token by their label, each call within its deadline. */
export class Hsm {
  readonly #options: HsmOptions;
  readonly #ids = new Map<string, string>();

  constructor(options: HsmOptions) {
    this.#options = options;
  }

  facts(): Promise<TokenFacts> {
    return this.#inTime(this.#options.token.facts());
  }

  /** The key's attributes as the token has them. Throws `kek_gone` when there is none. */
  describe(label: string): Promise<TokenKeyAttributes> {
    return this.#inTime(this.#withKey(label, (keyId) => this.#options.token.describeKey(keyId)));
  }

  /** Encrypts under a fresh random IV of 96 bits. `sealed` is the ciphertext followed by its tag. */
  encrypt(label: string, aad: Uint8Array, plaintext: Uint8Array): Promise<{ iv: Buffer; sealed: Buffer }> {
    const iv = Buffer.from(this.#options.random.bytes(IV_BYTES));
    const work = this.#withKey(label, async (keyId) => ({
      iv,
      sealed: await this.#options.token.encryptGcm({ keyId, iv, aad }, plaintext),
    }));
    return this.#inTime(work);
  }

  /** Throws `authentication_failed` when the key, or anything that was bound, is another. */
  decrypt(label: string, use: { iv: Uint8Array; aad: Uint8Array }, sealed: Uint8Array): Promise<Buffer> {
    return this.#inTime(this.#withKey(label, (keyId) => this.#options.token.decryptGcm({ keyId, ...use }, sealed)));
  }

  /** Proves that the token can encrypt and decrypt now. Throws what stands in the way. */
  async prove(): Promise<void> {
    const { healthLabel, token } = this.#options;
    if (healthLabel === undefined) {
      const health = await this.#inTime(token.health());
      if (!health.ok) throw new XksError('DependencyTimeoutException', 'the key manager is not usable', health.message);
      return;
    }
    const aad = Buffer.from('health');
    const { iv, sealed } = await this.encrypt(healthLabel, aad, HEALTH_TEXT);
    const text = await this.decrypt(healthLabel, { iv, aad }, sealed);
    if (!text.equals(HEALTH_TEXT)) throw new XksError('InternalException', 'the key manager answered wrongly');
  }

  async #withKey<T>(label: string, work: (keyId: string) => Promise<T>): Promise<T> {
    const known = this.#ids.get(label);
    const keyId = known ?? (await this.#find(label));
    try {
      return await work(keyId);
    } catch (error) {
      // Whatever went wrong, the next call looks again: a key that was replaced has another id under its old label.
      this.#ids.delete(label);
      throw error;
    }
  }

  async #find(label: string): Promise<string> {
    const key = await this.#options.token.findKey({ label });
    if (!key) throw sealError('kek_gone', `the token has no key labelled ${label}`);
    this.#ids.set(label, key.id);
    return key.id;
  }

  async #inTime<T>(work: Promise<T>): Promise<T> {
    const { deadlineMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(sealError('kek_unavailable', `the token did not answer in ${deadlineMs} ms`)),
        deadlineMs,
      );
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
