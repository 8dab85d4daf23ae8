import { createHash, timingSafeEqual } from 'node:crypto';
import { isAppError } from '@auditrax/base';
import type { Clock, Random } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import { KEY_BYTES } from '../../gcm.ts';
import type { OutgoingGuard } from '../../guard/outgoing.ts';
import type { DekContext, KekHealth, KekProvider, WrappedDek } from '../../kek.ts';
import { createBreaker } from '../../breaker.ts';
import type { Breaker } from '../../breaker.ts';
import { openChannel } from './channel.ts';
import { xksClient } from './client.ts';
import type { Purpose, XksClient } from './client.ts';
import { decodeEnvelope, encodeEnvelope, envelopeAad } from './envelope.ts';
import type { OuterWrap } from './envelope.ts';
import { XKS_REF_PREFIX, xksSourceShape } from './source.ts';
import type { XksSource } from './source.ts';

/** Region of the signature's scope unless told otherwise: the one that the specification's examples sign for. */
const REGION_DEFAULT = 'us-east-1';
const TRIAL_BYTES = 64;
const TRIAL_AAD = Buffer.from('auditrax/xks-trial/v1\0', 'ascii');

export interface XksProviderOptions {
  /** Which source, in `kekRef` as `xks:<id>`: letters, digits, hyphens. */
  readonly sourceId: string;
  readonly source: XksSource;
  /** Whose key wraps first, so that the proxy only ever sees bytes that are sealed already. */
  readonly inner: KekProvider;
  readonly guard: OutgoingGuard;
  readonly clock: Clock;
  readonly random: Random;
  /** Names this installation in the customer's logs: letters, digits, dots and hyphens. Defaults to `auditrax`. */
  readonly installation?: string;
  /** Defaults to `us-east-1`, the region that proxies are configured with in the specification's examples. */
  readonly region?: string;
}

/** What a proxy says of itself. Texts of the tenant's own choosing: shown, never trusted. */
export interface XksVerification {
  readonly proxyVendor: string;
  readonly proxyModel: string;
  readonly keyManagerVendor: string;
  /** False when part of the key manager's fleet does not serve. */
  readonly isFleetWhole: boolean;
}

export interface XksKekProvider extends KekProvider {
  /**
   * What a registration needs: the store is healthy, the key is AES-256, usable both ways and enabled, and what it
   * encrypts it decrypts. Throws `kek_misconfigured`, `kek_disabled`, `kek_denied`, `kek_gone`, `kek_unavailable`…
   */
  verify(): Promise<XksVerification>;
  /** Ends every connection. */
  close(): Promise<void>;
}

interface Parts {
  readonly options: XksProviderOptions;
  readonly client: XksClient;
  readonly breaker: Breaker;
  readonly ref: string;
}

/**
 * A tenant's own external key store behind the XKS proxy API 1.0.3. Every data key is wrapped twice, by our own key and
 * then by theirs: neither side alone opens it, and the proxy never sees a data key. A lying proxy is found out by the
 * integrity value and a trial decryption before a wrap is used, and by the inner tag and the commitment at each unwrap.
 * Throws `kek_misconfigured` for a source that can never work.
 */
export function xksKekProvider(options: XksProviderOptions): XksKekProvider {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(options.sourceId)) throw misconfigured('its id is no short word');
  const shape = xksSourceShape.safeParse(options.source);
  if (!shape.success) {
    const issue = shape.error.issues[0];
    throw misconfigured(`${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim());
  }
  const source = shape.data;
  const channel = openChannel(source, options.guard);
  const breaker = createBreaker(options.clock, `the key store at ${source.endpoint}`);
  const region = options.region ?? REGION_DEFAULT;
  const client = xksClient({ source, channel, breaker, region, clock: options.clock, random: options.random });
  const parts: Parts = { options, client, breaker, ref: `${XKS_REF_PREFIX}${options.sourceId}` };
  return {
    async generateDek(context) {
      const { dek, ...inner } = await options.inner.generateDek(context);
      try {
        return { ...(await wrapOuter(parts, inner, context)), dek };
      } catch (error) {
        dek.fill(0);
        throw error;
      }
    },
    async wrap(dek, context) {
      if (dek.length !== KEY_BYTES) throw sealError('key_length', `a data key has ${KEY_BYTES} bytes`);
      return wrapOuter(parts, await options.inner.wrap(dek, context), context);
    },
    unwrap: (wrapped, context) => unwrapBoth(parts, wrapped, context),
    describe: async () => ({
      provider: 'xks',
      hardware: false, // what stands behind the proxy is the tenant's word, which we cannot check
      fingerprint: fingerprint(source),
      keyCount: 1,
      details: { endpoint: source.endpoint, keyId: source.keyId, breaker: breaker.state() },
    }),
    health: () => healthOf(() => verifyKey(parts)),
    async verify() {
      await options.guard.check(source.endpoint);
      const said = await client.health({ principal: principalOf(options), kmsOperation: 'CreateCustomKeyStore' });
      if (said.ekmFleetDetails.every(({ healthStatus }) => healthStatus === 'UNAVAILABLE')) {
        throw sealError('kek_unavailable', `the key manager behind ${source.endpoint} is unavailable`);
      }
      await verifyKey(parts);
      return {
        proxyVendor: said.xksProxyVendor,
        proxyModel: said.xksProxyModel,
        keyManagerVendor: said.ekmVendor,
        isFleetWhole: said.ekmFleetDetails.every(({ healthStatus }) => healthStatus === 'ACTIVE'),
      };
    },
    close: () => channel.close(),
  };
}

async function wrapOuter(parts: Parts, inner: WrappedDek, context: DekContext): Promise<WrappedDek> {
  const refs = { outer: parts.ref, inner: inner.kekRef };
  const aad = envelopeAad(refs, context);
  const outer = await parts.client.encrypt(inner.wrapped, aad, purposeOf(parts, context, 'Encrypt'));
  // A wrap that cannot be opened again would lose the data sealed under it: it is tried before anybody uses it.
  const trial = await parts.client.decrypt(outer, aad, purposeOf(parts, context, 'Decrypt'));
  if (!sameBytes(trial, inner.wrapped)) {
    throw sealError('authentication_failed', 'the key store does not decrypt what it encrypted');
  }
  return { wrapped: encodeEnvelope(refs, outer), kekRef: parts.ref };
}

async function unwrapBoth(parts: Parts, wrapped: WrappedDek, context: DekContext): Promise<Buffer> {
  const { refs, outer } = decodeEnvelope(wrapped.wrapped);
  if (wrapped.kekRef !== parts.ref || refs.outer !== parts.ref) {
    throw sealError(
      'kek_unknown',
      `the record names key ${wrapped.kekRef}, the wrapped bytes name ${refs.outer}, this is ${parts.ref}`,
    );
  }
  const aad = envelopeAad(refs, context);
  const inner = await parts.client.decrypt(outer, aad, purposeOf(parts, context, 'Decrypt'));
  return parts.options.inner.unwrap({ wrapped: inner, kekRef: refs.inner }, context);
}

async function verifyKey(parts: Parts): Promise<void> {
  const purpose: Purpose = {
    principal: principalOf(parts.options),
    key: `arn:auditrax:keys:::source/${parts.options.sourceId}`,
    kmsOperation: 'DescribeKey',
  };
  const { keyId } = parts.options.source;
  const { keySpec, keyUsage, keyStatus } = await parts.client.metadata(purpose);
  if (keySpec !== 'AES_256') throw misconfigured(`key ${keyId} is not AES_256`);
  if (!keyUsage.includes('ENCRYPT') || !keyUsage.includes('DECRYPT')) {
    throw misconfigured(`key ${keyId} may not both encrypt and decrypt`);
  }
  if (keyStatus !== 'ENABLED') throw sealError('kek_disabled', `key ${keyId} of the key store is not enabled`);
  await tryKey(parts, purpose);
}

/** A store that says "enabled" may still refuse: the key is used for real, on bytes that mean nothing. */
async function tryKey(parts: Parts, purpose: Purpose): Promise<void> {
  const sample = parts.options.random.bytes(TRIAL_BYTES);
  const outer: OuterWrap = await parts.client.encrypt(sample, TRIAL_AAD, { ...purpose, kmsOperation: 'Encrypt' });
  const opened = await parts.client.decrypt(outer, TRIAL_AAD, { ...purpose, kmsOperation: 'Decrypt' });
  if (!sameBytes(opened, sample)) throw misconfigured('the key store does not decrypt what it encrypted');
}

async function healthOf(proof: () => Promise<void>): Promise<KekHealth> {
  try {
    await proof();
    return { ok: true };
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    return { ok: false, code: isAppError(error) ? error.code : 'unknown', message };
  }
}

function purposeOf(parts: Parts, context: DekContext, kmsOperation: string): Purpose {
  return {
    principal: principalOf(parts.options),
    key: `arn:auditrax:keys::${context.tenantId}:dek/${context.purpose}/${context.dekId}`,
    kmsOperation,
  };
}

function principalOf(options: XksProviderOptions): string {
  return `arn:auditrax:iam:::installation/${options.installation ?? 'auditrax'}`;
}

function fingerprint(source: XksSource): string {
  const place = `${source.endpoint}\0${source.uriPathPrefix}\0${source.keyId}`;
  return createHash('sha256').update(place).digest('hex').slice(0, 16);
}

function sameBytes(found: Uint8Array, expected: Uint8Array): boolean {
  return found.length === expected.length && timingSafeEqual(found, expected);
}

function misconfigured(reason: string): Error {
  return sealError('kek_misconfigured', `external key store: ${reason}`);
}
