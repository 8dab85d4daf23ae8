import { createHash } from 'node:crypto';
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyRotationStatusCommand,
  ReEncryptCommand,
  type KeyMetadata,
} from '@aws-sdk/client-kms';
import { isAppError, type Clock, type Random, type Uuid } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import { KEY_BYTES } from '../../gcm.ts';
import type { DekContext, KekDescription, KekHealth, KekProvider, WrappedDek } from '../../kek.ts';
import { CALL_LIMITS, Calls, type Call, type CallLimits } from './calls.ts';
import { connect, type Connection, type ConnectionInput } from './connection.ts';
import { importOf, type MaterialImport } from './import.ts';
import { checkSource, type AwsKmsSource, type CheckedSource } from './source.ts';

const REF_PREFIX = 'aws-kms:';
/** What `app.dek` holds; the blobs of AWS KMS for 32 bytes have about 180. */
const WRAPPED_BYTES_MIN = 48;
const WRAPPED_BYTES_MAX = 4096;

export interface AwsKmsInput {
  readonly source: AwsKmsSource;
  readonly clock: Clock;
  readonly random: Random;
  /** The tenant whose key it is: in the trial of `health`, and in the name of an assumed role's session. */
  readonly tenantId: Uuid;
  /** Who the installation is at AWS, for sources without an access key; nobody when absent. */
  readonly installation?: ConnectionInput['installation'];
  /** Origins that the operator allows as endpoints beside those of AWS. */
  readonly endpoints?: readonly string[];
  readonly stsEndpoint?: string;
  readonly ca?: string | readonly string[];
  readonly limits?: CallLimits;
}

export interface AwsKmsProvider extends KekProvider, MaterialImport {
  /**
   * Wraps the same data key anew under this key, inside AWS KMS: the plaintext never comes here. `wrapped` may lie under
   * another KMS key that the same credentials may use. Throws as `unwrap` does.
   */
  rewrap(wrapped: WrappedDek, context: DekContext): Promise<WrappedDek>;
  /** Closes the connections. Calls after this fail. */
  close(): void;
}

/** What an encryption context says: ids only, for it is readable in the tenant's CloudTrail. */
function contextOf(context: DekContext): Record<string, string> {
  return {
    tenantId: context.tenantId,
    purpose: context.purpose,
    dekId: context.dekId,
    version: String(context.version),
  };
}

function canBeBlob(length_bytes: number): boolean {
  return length_bytes >= WRAPPED_BYTES_MIN && length_bytes <= WRAPPED_BYTES_MAX;
}

/** The KMS key that a wrapped key is under. Throws `kek_unknown`, and `blob_malformed` for bytes that cannot be one. */
function arnOf({ kekRef, wrapped }: WrappedDek): string {
  if (!kekRef.startsWith(REF_PREFIX)) {
    throw sealError('kek_unknown', `the record names key ${kekRef}, which is not in AWS KMS`);
  }
  if (!canBeBlob(wrapped.length))
    throw sealError('blob_malformed', 'these bytes are not a wrapped data key of AWS KMS');
  return kekRef.slice(REF_PREFIX.length);
}

class Provider {
  readonly checked: CheckedSource;
  readonly calls: Calls;
  readonly connection: Connection;
  readonly #input: AwsKmsInput;
  /** A data key of nothing, wrapped once: unwrapping it again is the trial of `health`. */
  #canary: { readonly wrapped: WrappedDek; readonly hash: string } | undefined;

  constructor(input: AwsKmsInput) {
    const limits = input.limits ?? CALL_LIMITS;
    this.#input = input;
    this.checked = checkSource(input.source, { endpoints: input.endpoints, stsEndpoint: input.stsEndpoint });
    this.connection = connect({
      checked: this.checked,
      clock: input.clock,
      installation: input.installation ?? 'none',
      ca: input.ca,
      sessionName: `auditrax-${input.tenantId}`,
      attempt_ms: limits.attempt_ms,
    });
    this.calls = new Calls({
      keyArn: this.keyArn,
      clock: input.clock,
      random: input.random,
      limits,
      onExpired: () => this.connection.forgetSession(),
    });
  }

  get keyArn(): string {
    return this.checked.source.keyArn;
  }

  /** A call whose refusal for the key's state is looked into: only the state tells withdrawal from trouble. */
  async #use<T>(send: Call<T>['send']): Promise<T> {
    try {
      return await this.calls.make({ send });
    } catch (cause) {
      if (!isAppError(cause, 'kek_disabled')) throw cause;
      const metadata = await this.metadata().catch(() => undefined);
      throw (metadata && this.#stateFault(metadata)) ?? cause;
    }
  }

  metadata(): Promise<KeyMetadata> {
    return this.calls.make({
      send: async (abortSignal) => {
        const answer = await this.connection.client.send(new DescribeKeyCommand({ KeyId: this.keyArn }), {
          abortSignal,
        });
        if (!answer.KeyMetadata) throw sealError('kek_unavailable', `AWS KMS described nothing for ${this.keyArn}`);
        return answer.KeyMetadata;
      },
    });
  }

  #stateFault(metadata: KeyMetadata): Error | undefined {
    const key = `KMS key ${this.keyArn}`;
    switch (metadata.KeyState) {
      case 'Enabled':
        return undefined;
      case 'Disabled':
        return sealError('kek_disabled', `${key} is disabled. Its data stay unreadable until somebody enables it.`);
      case 'PendingImport':
        return sealError(
          'kek_disabled',
          `${key} has no key material: it expired, was deleted or was never imported. Import the same material again.`,
        );
      case 'PendingDeletion':
      case 'PendingReplicaDeletion': {
        const when = metadata.DeletionDate ? ` on ${metadata.DeletionDate.toISOString()}` : '';
        const text = `${key} will be deleted${when}; after that its data are lost. Cancel the deletion, then enable it.`;
        return sealError('kek_disabled', text);
      }
      case undefined:
      case 'Creating':
      case 'Unavailable':
      case 'Updating':
      default:
        return sealError('kek_unavailable', `${key} is in state ${String(metadata.KeyState)}. Look at it in AWS KMS.`);
    }
  }

  /** The answer must name the key that was asked: a wrapped key recorded under another could not be found again. */
  #wrapped(blob: Uint8Array | undefined, keyId: string | undefined): WrappedDek {
    if (keyId !== this.keyArn || !canBeBlob(blob?.length ?? 0)) {
      throw sealError(
        'kek_unavailable',
        `AWS KMS answered for another key than ${this.keyArn}, or without a wrapped key`,
      );
    }
    return { wrapped: Buffer.from(blob!), kekRef: `${REF_PREFIX}${this.keyArn}` };
  }

  #plaintext(bytes: Uint8Array | undefined, keyId: string | undefined): Buffer {
    if (bytes?.length !== KEY_BYTES) {
      throw sealError('key_length', `AWS KMS answered with ${bytes?.length ?? 0} bytes instead of a data key`);
    }
    const dek = Buffer.from(bytes);
    bytes.fill(0);
    if (keyId === this.keyArn) return dek;
    dek.fill(0);
    throw sealError('kek_foreign', `AWS KMS answered with a data key of another KMS key than ${this.keyArn}`);
  }

  generateDek(context: DekContext): Promise<WrappedDek & { readonly dek: Buffer }> {
    return this.#use(async (abortSignal) => {
      const answer = await this.connection.client.send(
        new GenerateDataKeyCommand({
          KeyId: this.keyArn,
          KeySpec: 'AES_256',
          EncryptionContext: contextOf(context),
        }),
        { abortSignal },
      );
      const dek = this.#plaintext(answer.Plaintext, answer.KeyId);
      return { ...this.#wrapped(answer.CiphertextBlob, answer.KeyId), dek };
    });
  }

  async wrap(dek: Uint8Array, context: DekContext): Promise<WrappedDek> {
    if (dek.length !== KEY_BYTES) {
      throw sealError('key_length', `a data key has ${KEY_BYTES} bytes, not ${dek.length}`);
    }
    return this.#use(async (abortSignal) => {
      const answer = await this.connection.client.send(
        new EncryptCommand({ KeyId: this.keyArn, Plaintext: dek, EncryptionContext: contextOf(context) }),
        { abortSignal },
      );
      return this.#wrapped(answer.CiphertextBlob, answer.KeyId);
    });
  }

  async unwrap(wrapped: WrappedDek, context: DekContext): Promise<Buffer> {
    const arn = arnOf(wrapped);
    if (arn !== this.keyArn) {
      throw sealError('kek_unknown', `the record names KMS key ${arn}, the configured one is ${this.keyArn}`);
    }
    return this.#use(async (abortSignal) => {
      const answer = await this.connection.client.send(
        new DecryptCommand({
          KeyId: this.keyArn,
          CiphertextBlob: wrapped.wrapped,
          EncryptionContext: contextOf(context),
        }),
        { abortSignal },
      );
      return this.#plaintext(answer.Plaintext, answer.KeyId);
    });
  }

  async rewrap(wrapped: WrappedDek, context: DekContext): Promise<WrappedDek> {
    const SourceKeyId = arnOf(wrapped);
    const both = contextOf(context);
    return this.#use(async (abortSignal) => {
      const answer = await this.connection.client.send(
        new ReEncryptCommand({
          SourceKeyId,
          CiphertextBlob: wrapped.wrapped,
          SourceEncryptionContext: both,
          DestinationKeyId: this.keyArn,
          DestinationEncryptionContext: both,
        }),
        { abortSignal },
      );
      return this.#wrapped(answer.CiphertextBlob, answer.KeyId);
    });
  }

  async describe(): Promise<KekDescription> {
    const metadata = await this.metadata();
    const { source, account, endpoint, isAws } = this.checked;
    const origin = metadata.Origin ?? 'unknown';
    return {
      provider: 'aws-kms',
      // Imported material exists outside as well, a store of somebody else's may be anything.
      hardware: isAws && (origin === 'AWS_KMS' || origin === 'AWS_CLOUDHSM'),
      fingerprint: createHash('sha256').update(`auditrax/aws-kms/v1\0${this.keyArn}`).digest('hex').slice(0, 32),
      keyCount: 1,
      details: {
        keyArn: source.keyArn,
        region: source.region,
        account,
        endpoint,
        state: metadata.KeyState ?? 'unknown',
        origin,
        manager: metadata.KeyManager ?? 'unknown',
        multiRegion: metadata.MultiRegion ?? false,
        ...dates({ materialExpiresAt: metadata.ValidTo, deletionAt: metadata.DeletionDate }),
        ...(await this.#rotation()),
      },
    };
  }

  /** The right to see the rotation is not needed for anything else, so its refusal is told, not thrown. */
  async #rotation(): Promise<Record<string, string | number | boolean>> {
    try {
      const answer = await this.calls.make({
        send: (abortSignal) =>
          this.connection.client.send(new GetKeyRotationStatusCommand({ KeyId: this.keyArn }), { abortSignal }),
      });
      return {
        rotation: answer.KeyRotationEnabled === true ? 'automatic' : 'on demand',
        ...(answer.RotationPeriodInDays === undefined ? {} : { rotationPeriod_days: answer.RotationPeriodInDays }),
        ...dates({ nextRotationAt: answer.NextRotationDate }),
      };
    } catch (cause) {
      return { rotation: isAppError(cause) ? `unknown (${cause.code})` : 'unknown' };
    }
  }

  async health(): Promise<KekHealth> {
    try {
      const metadata = await this.metadata().catch((cause: unknown) => {
        // The trial below decides; a policy need not let us look at the key.
        if (isAppError(cause, 'kek_denied')) return undefined;
        throw cause;
      });
      const fault = metadata && this.#stateFault(metadata);
      if (fault) throw fault;
      await this.#trial();
      return { ok: true };
    } catch (cause) {
      return {
        ok: false,
        code: isAppError(cause) ? cause.code : 'unknown',
        message: isAppError(cause) ? cause.message : `KMS key ${this.keyArn} cannot be used`,
      };
    }
  }

  async #trial(): Promise<void> {
    const { tenantId } = this.#input;
    const context: DekContext = { tenantId, purpose: 'health', dekId: tenantId, version: 1 };
    if (!this.#canary) {
      const { dek, ...wrapped } = await this.generateDek(context);
      this.#canary = { wrapped, hash: createHash('sha256').update(dek).digest('hex') };
      dek.fill(0);
    }
    const opened = await this.unwrap(this.#canary.wrapped, context);
    const hash = createHash('sha256').update(opened).digest('hex');
    opened.fill(0);
    if (hash !== this.#canary.hash) {
      throw sealError('commitment_mismatch', `KMS key ${this.keyArn} does not open what it wrapped`);
    }
  }
}

function dates(named: Readonly<Record<string, Date | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, date]) => (date === undefined ? [] : [[name, date.toISOString()]])),
  );
}

/**
 * Key-encryption keys in AWS KMS. Each data key is bound to tenant, purpose, id and version by the encryption context;
 * the key is always named, so that a blob of another KMS key is refused. Deadline, repetition and breaker: `calls.ts`;
 * errors: `faults.ts`. Throws `kek_misconfigured` at once for a source that cannot work.
 */
export function awsKmsProvider(input: AwsKmsInput): AwsKmsProvider {
  const provider = new Provider(input);
  return {
    generateDek: (context) => provider.generateDek(context),
    wrap: (dek, context) => provider.wrap(dek, context),
    unwrap: (wrapped, context) => provider.unwrap(wrapped, context),
    rewrap: (wrapped, context) => provider.rewrap(wrapped, context),
    describe: () => provider.describe(),
    health: () => provider.health(),
    ...importOf({ keyArn: provider.keyArn, client: provider.connection.client, calls: provider.calls }),
    close: () => provider.connection.close(),
  };
}
