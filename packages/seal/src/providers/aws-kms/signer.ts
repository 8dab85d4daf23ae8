import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import type { Clock } from '@auditrax/base';
import { SignatureV4 } from '@smithy/signature-v4';

/** What signs a request. Never logged, never part of a message. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

type Signable = Parameters<SignatureV4['sign']>[0];

/** SHA-256 and its HMAC by OpenSSL, in the shape that the signer wants. */
class Sha256 {
  readonly #state: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#state = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#state.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#state.digest());
  }

  reset(): void {
    throw new Error('a hash is made anew for each request');
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  return ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    : Buffer.from(new Uint8Array(data));
}

/**
 * Signs with the time of the house's clock. The SDK on its own would follow the time of whoever answers: a machine whose
 * clock is wrong would go unnoticed, and its audit entries would be wrong too.
 */
export function clockSigner(input: {
  readonly clock: Clock;
  readonly region: string;
  readonly service: 'kms' | 'sts';
  readonly credentials: () => Promise<AwsCredentials>;
}): { sign(request: Signable): Promise<Signable> } {
  const signer = new SignatureV4({
    credentials: input.credentials,
    region: input.region,
    service: input.service,
    sha256: Sha256,
    uriEscapePath: true,
  });
  return { sign: (request) => signer.sign(request, { signingDate: new Date(input.clock.nowMs()) }) };
}
