import { createHash, timingSafeEqual } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { isAppError, uuidV4 } from '@auditrax/base';
import type { Clock, Random } from '@auditrax/base';
import { HttpRequest } from '@smithy/protocol-http';
import { SignatureV4 } from '@smithy/signature-v4';
import { sealError } from '../../errors.ts';
import type { SealErrorCode } from '../../errors.ts';
import type { Breaker } from '../../breaker.ts';
import type { XksChannel } from './channel.ts';
import type { OuterWrap } from './envelope.ts';
import { failureOf, isConnectionLoss } from './failures.ts';
import { OPERATIONS, readReply } from './messages.ts';
import type { Operation, ReplyOf } from './messages.ts';
import type { XksSource } from './source.ts';

const SERVICE = 'kms-xks-proxy';
const BASE_PATH = '/kms/xks/v1';

export interface XksClientDeps {
  readonly source: XksSource;
  readonly channel: XksChannel;
  readonly breaker: Breaker;
  /** Region of the signature's scope. */
  readonly region: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** What the customer's own log shows of a call, beside the request id that our errors name. */
export interface Purpose {
  /** Who asks, as an ARN. */
  readonly principal: string;
  /** For what key of ours, as an ARN; absent for a look at the store alone. */
  readonly key?: string;
  readonly kmsOperation: string;
}

export interface XksClient {
  health(purpose: Purpose): Promise<ReplyOf<'health'>>;
  metadata(purpose: Purpose): Promise<ReplyOf<'metadata'>>;
  /** The integrity value is asked for and checked. Throws `authentication_failed` when it is another one. */
  encrypt(plaintext: Uint8Array, aad: Uint8Array, purpose: Purpose): Promise<OuterWrap>;
  decrypt(wrap: OuterWrap, aad: Uint8Array, purpose: Purpose): Promise<Buffer>;
}

/** The four calls of the specification, signed, within the breaker, repeated once after a lost connection. */
export function xksClient(deps: XksClientDeps): XksClient {
  const signer = new SignatureV4({
    service: SERVICE,
    region: deps.region,
    credentials: { accessKeyId: deps.source.accessKeyId, secretAccessKey: deps.source.secretAccessKey },
    sha256: Sha256,
  });
  const ask = <O extends Operation>(operation: O, purpose: Purpose, fields: object = {}): Promise<ReplyOf<O>> =>
    deps.breaker.run(() => askTwice(() => askOnce({ deps, signer, operation }, purpose, fields)));
  return {
    health: (purpose) => ask('health', purpose),
    metadata: (purpose) => ask('metadata', purpose),
    async encrypt(plaintext, aad, purpose) {
      const reply = await ask('encrypt', purpose, {
        plaintext: base64(plaintext),
        additionalAuthenticatedData: base64(aad),
        encryptionAlgorithm: 'AES_GCM',
        ciphertextDataIntegrityValueAlgorithm: 'SHA_256',
      });
      const wrap: OuterWrap = {
        ciphertext: reply.ciphertext,
        metadata: reply.ciphertextMetadata ?? Buffer.alloc(0),
        iv: reply.initializationVector,
        tag: reply.authenticationTag,
      };
      checkIntegrityValue(reply.ciphertextDataIntegrityValue, wrap, aad);
      return wrap;
    },
    async decrypt(wrap, aad, purpose) {
      const reply = await ask('decrypt', purpose, {
        ciphertext: base64(wrap.ciphertext),
        ...(wrap.metadata.length === 0 ? {} : { ciphertextMetadata: base64(wrap.metadata) }),
        initializationVector: base64(wrap.iv),
        authenticationTag: base64(wrap.tag),
        additionalAuthenticatedData: base64(aad),
        encryptionAlgorithm: 'AES_GCM',
      });
      return reply.plaintext;
    },
  };
}

async function askTwice<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (isAppError<SealErrorCode>(error) && error.code === 'kek_unavailable' && isConnectionLoss(error)) {
      return attempt();
    }
    throw error;
  }
}

async function askOnce<O extends Operation>(
  asked: { deps: XksClientDeps; signer: SignatureV4; operation: O },
  purpose: Purpose,
  fields: object,
): Promise<ReplyOf<O>> {
  const { deps, signer, operation } = asked;
  const { source, channel, clock } = deps;
  const requestId = uuidV4(deps.random);
  const about = `${operation} at ${source.endpoint} (request ${requestId})`;
  const body = JSON.stringify({ requestMetadata: requestMetadata(purpose, requestId, operation), ...fields });
  const path = `${source.uriPathPrefix}${BASE_PATH}${OPERATIONS[operation].path(source.keyId)}`;
  const signed = await signer.sign(
    new HttpRequest({
      method: 'POST',
      protocol: 'https:',
      hostname: channel.authority,
      path,
      headers: { host: channel.authority, 'content-type': 'application/json' },
      body,
    }),
    { signingDate: new Date(clock.nowMs()) },
  );
  const reply = await channel.post({ path, body, headers: signed.headers, about });
  if (reply.status !== 200) throw failureOf(reply, about, clock);
  return readReply(operation, reply.body);
}

function requestMetadata(purpose: Purpose, requestId: string, operation: Operation): Record<string, string> {
  const request = { kmsRequestId: requestId, kmsOperation: purpose.kmsOperation };
  if (operation === 'health') return request;
  const who = { awsPrincipalArn: purpose.principal, ...request };
  return purpose.key === undefined ? who : { ...who, kmsKeyArn: purpose.key };
}

/** SHA-256 over AAD, metadata, IV, ciphertext and tag: bytes that were changed on the way are noticed before they are stored. */
function checkIntegrityValue(found: Buffer, wrap: OuterWrap, aad: Uint8Array): void {
  const hash = createHash('sha256');
  for (const part of [aad, wrap.metadata, wrap.iv, wrap.ciphertext, wrap.tag]) hash.update(part);
  if (!timingSafeEqual(found, hash.digest())) {
    throw sealError('authentication_failed', 'the integrity value of the proxy does not belong to its ciphertext');
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
