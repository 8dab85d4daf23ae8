import { toBase64Url } from '@auditrax/base';
import { DAY_MS, rotationDays, type Material, type SimulatedKey } from './key.ts';
import type { Operation } from './operation.ts';
import { defaultPolicy, parsePolicy, type Grant } from './policy.ts';
import { refusal } from './refusal.ts';
import type { Input } from './request.ts';

const TOKEN_BYTES_MAX = 6144;
const MATERIAL_BYTES_MAX = 6144;
/** Imported material may live so long, then it has to be imported again. */
const EXPIRY_DAYS_MAX = 365;
const DELETION_DAYS_MAX = 30;
const DELETION_DAYS_MIN = 7;

type Ask = Parameters<Operation>[0];

/** The wire has times as seconds. */
function seconds(milliseconds: number): number {
  return milliseconds / 1000;
}

/** Finds the key that is asked for and demands the right to do so. */
function authorized({ input, caller, world }: Ask, operation: string): SimulatedKey {
  const key = world.find(input.text('KeyId'), caller.account);
  world.authorize(caller, operation, { key });
  return key;
}

function metadata(key: SimulatedKey): Record<string, unknown> {
  const { state } = key;
  const ends = key.materials.flatMap(({ expiresAtMs }) => (expiresAtMs === undefined ? [] : [expiresAtMs]));
  const isWhole = state !== 'PendingImport';
  const imported =
    key.origin === 'EXTERNAL' && isWhole
      ? ends.length > 0
        ? { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: seconds(Math.min(...ends)) }
        : { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }
      : {};
  return {
    AWSAccountId: key.account,
    KeyId: key.id,
    Arn: key.arn,
    CreationDate: seconds(key.createdMs),
    Enabled: state === 'Enabled',
    Description: key.description,
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyState: state,
    ...(key.deletionAtMs === undefined ? {} : { DeletionDate: seconds(key.deletionAtMs) }),
    Origin: key.origin,
    ...imported,
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
    KeySpec: 'SYMMETRIC_DEFAULT',
    EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    MultiRegion: false,
    ...(isWhole ? { CurrentKeyMaterialId: key.current.id } : {}),
  };
}

const createKey: Operation = ({ input, caller, world }) => {
  const origin = input.optionalText('Origin') ?? 'AWS_KMS';
  const spec = input.optionalText('KeySpec') ?? 'SYMMETRIC_DEFAULT';
  if ((origin !== 'AWS_KMS' && origin !== 'EXTERNAL') || spec !== 'SYMMETRIC_DEFAULT') {
    throw refusal('UnsupportedOperationException', 'The simulator has symmetric keys, its own and imported ones.');
  }
  const policy = input.optionalText('Policy');
  const key = world.create({
    account: caller.account,
    origin,
    policy: policy === undefined ? defaultPolicy(caller.account) : parsePolicy(policy),
    description: input.optionalText('Description') ?? '',
  });
  return { KeyMetadata: metadata(key) };
};

function setEnabled(operation: string, isEnabled: boolean): Operation {
  return (ask) => {
    const key = authorized(ask, operation);
    if (key.state === 'PendingDeletion' || key.state === 'PendingImport') key.requireUsable();
    key.isEnabled = isEnabled;
    return {};
  };
}

const scheduleDeletion: Operation = (ask) => {
  const key = authorized(ask, 'ScheduleKeyDeletion');
  key.requireNotPendingDeletion();
  const days = ask.input.optionalNumber('PendingWindowInDays') ?? DELETION_DAYS_MAX;
  if (days < DELETION_DAYS_MIN || days > DELETION_DAYS_MAX) {
    throw refusal('ValidationException', 'PendingWindowInDays must be 7 to 30.');
  }
  key.deletionAtMs = ask.world.clock.nowMs() + days * DAY_MS;
  return {
    KeyId: key.arn,
    DeletionDate: seconds(key.deletionAtMs),
    KeyState: key.state,
    PendingWindowInDays: days,
  };
};

const cancelDeletion: Operation = (ask) => {
  const key = authorized(ask, 'CancelKeyDeletion');
  if (key.deletionAtMs === undefined) {
    throw refusal('KMSInvalidStateException', `${key.arn} is not pending deletion.`);
  }
  key.deletionAtMs = undefined;
  // As at AWS: whoever cancels has to enable it as well.
  key.isEnabled = false;
  return { KeyId: key.arn };
};

const rotationStatus: Operation = (ask) => {
  const key = authorized(ask, 'GetKeyRotationStatus');
  return {
    KeyId: key.arn,
    KeyRotationEnabled: key.rotationDays !== undefined,
    ...(key.rotationDays === undefined
      ? {}
      : { RotationPeriodInDays: key.rotationDays, NextRotationDate: seconds(key.nextRotationMs!) }),
  };
};

const listRotations: Operation = (ask) => {
  const key = authorized(ask, 'ListKeyRotations');
  const entry = (material: Material) => ({
    KeyId: key.arn,
    KeyMaterialId: material.id,
    KeyMaterialState: material === key.materials.at(-1) ? 'CURRENT' : 'NON_CURRENT',
    RotationDate: seconds(material.sinceMs),
    ...(material.by === 'AUTOMATIC' || material.by === 'ON_DEMAND' ? { RotationType: material.by } : {}),
  });
  const isRotated = ({ by }: Material) => by === 'AUTOMATIC' || by === 'ON_DEMAND';
  const shown = ask.input.optionalText('IncludeKeyMaterial') === 'ALL_KEY_MATERIAL' ? () => true : isRotated;
  return { Rotations: key.materials.filter(shown).map(entry), Truncated: false };
};

function requireExternal(key: SimulatedKey): void {
  key.requireNotPendingDeletion();
  if (key.origin !== 'EXTERNAL') {
    throw refusal(
      'UnsupportedOperationException',
      `${key.arn} origin is AWS_KMS which is not valid for this operation.`,
    );
  }
}

const importParameters: Operation = async (ask) => {
  const key = authorized(ask, 'GetParametersForImport');
  requireExternal(key);
  const parameters = await ask.world.tokens.issue({
    keyId: key.id,
    algorithm: ask.input.text('WrappingAlgorithm'),
    spec: ask.input.text('WrappingKeySpec'),
    nowMs: ask.world.clock.nowMs(),
  });
  return {
    KeyId: key.arn,
    ImportToken: parameters.importToken.toString('base64'),
    PublicKey: parameters.publicKey.toString('base64'),
    ParametersValidTo: seconds(parameters.validToMs),
  };
};

function expiryOf(input: Input, nowMs: number): number | undefined {
  const model = input.optionalText('ExpirationModel') ?? 'KEY_MATERIAL_EXPIRES';
  const validTo = input.optionalNumber('ValidTo');
  if (model === 'KEY_MATERIAL_DOES_NOT_EXPIRE') {
    if (validTo !== undefined)
      throw refusal('ValidationException', 'ValidTo and a model without expiry exclude each other.');
    return undefined;
  }
  const expiresAtMs = (validTo ?? 0) * 1000;
  if (expiresAtMs <= nowMs || expiresAtMs > nowMs + EXPIRY_DAYS_MAX * DAY_MS) {
    throw refusal('ValidationException', 'ValidTo must be within the next 365 days.');
  }
  return expiresAtMs;
}

const importMaterial: Operation = (ask) => {
  const key = authorized(ask, 'ImportKeyMaterial');
  requireExternal(key);
  const { input, world } = ask;
  const nowMs = world.clock.nowMs();
  const expiresAtMs = expiryOf(input, nowMs);
  const bytes = world.tokens.unwrap({
    keyId: key.id,
    token: input.bytes('ImportToken', TOKEN_BYTES_MAX),
    encrypted: input.bytes('EncryptedKeyMaterial', MATERIAL_BYTES_MAX),
    nowMs,
  });
  const isNew = input.optionalText('ImportType') === 'NEW_KEY_MATERIAL';
  const material = key.importMaterial(bytes, { isNew, expiresAtMs, nowMs });
  return { KeyId: key.arn, KeyMaterialId: material.id };
};

const deleteMaterial: Operation = (ask) => {
  const key = authorized(ask, 'DeleteImportedKeyMaterial');
  requireExternal(key);
  const material = key.forgetMaterial(ask.input.optionalText('KeyMaterialId'));
  return { KeyId: key.arn, KeyMaterialId: material.id };
};

const createGrant: Operation = (ask) => {
  const key = authorized(ask, 'CreateGrant');
  key.requireUsable();
  const { input, world } = ask;
  const operations = input.texts('Operations');
  if (operations.length === 0) throw refusal('ValidationException', 'Operations must not be empty.');
  const constraints = input.inner('Constraints');
  const grant: Grant = {
    id: Buffer.from(world.random.bytes(32)).toString('hex'),
    token: toBase64Url(world.random.bytes(48)),
    name: input.optionalText('Name'),
    grantee: input.text('GranteePrincipal'),
    retiring: input.optionalText('RetiringPrincipal'),
    operations,
    equals: constraints?.map('EncryptionContextEquals'),
    subset: constraints?.map('EncryptionContextSubset'),
    createdMs: world.clock.nowMs(),
  };
  key.grants.push(grant);
  return { GrantId: grant.id, GrantToken: grant.token };
};

const listGrants: Operation = (ask) => {
  const key = authorized(ask, 'ListGrants');
  const Grants = key.grants.map((grant) => ({
    KeyId: key.arn,
    GrantId: grant.id,
    ...(grant.name === undefined ? {} : { Name: grant.name }),
    CreationDate: seconds(grant.createdMs),
    GranteePrincipal: grant.grantee,
    ...(grant.retiring === undefined ? {} : { RetiringPrincipal: grant.retiring }),
    IssuingAccount: `arn:aws:iam::${key.account}:root`,
    Operations: grant.operations,
    ...(grant.equals || grant.subset
      ? {
          Constraints: {
            ...(grant.equals ? { EncryptionContextEquals: grant.equals } : {}),
            ...(grant.subset ? { EncryptionContextSubset: grant.subset } : {}),
          },
        }
      : {}),
  }));
  return { Grants, Truncated: false };
};

const revokeGrant: Operation = (ask) => {
  const key = authorized(ask, 'RevokeGrant');
  const at = key.grants.findIndex(({ id }) => id === ask.input.text('GrantId'));
  if (at === -1) throw refusal('NotFoundException', 'There is no such grant.');
  key.grants.splice(at, 1);
  return {};
};

/** What looks at a key or changes it. */
export const ADMIN_OPERATIONS: Readonly<Record<string, Operation>> = {
  CreateKey: createKey,
  DescribeKey: (ask) => ({ KeyMetadata: metadata(authorized(ask, 'DescribeKey')) }),
  EnableKey: setEnabled('EnableKey', true),
  DisableKey: setEnabled('DisableKey', false),
  ScheduleKeyDeletion: scheduleDeletion,
  CancelKeyDeletion: cancelDeletion,
  GetKeyPolicy: (ask) => ({
    Policy: JSON.stringify(authorized(ask, 'GetKeyPolicy').policy),
    PolicyName: 'default',
  }),
  PutKeyPolicy: (ask) => {
    authorized(ask, 'PutKeyPolicy').policy = parsePolicy(ask.input.text('Policy'));
    return {};
  },
  EnableKeyRotation: (ask) => {
    const days = rotationDays(ask.input.optionalNumber('RotationPeriodInDays'));
    authorized(ask, 'EnableKeyRotation').setRotation(days, ask.world.clock.nowMs());
    return {};
  },
  DisableKeyRotation: (ask) => {
    authorized(ask, 'DisableKeyRotation').setRotation(undefined, ask.world.clock.nowMs());
    return {};
  },
  GetKeyRotationStatus: rotationStatus,
  RotateKeyOnDemand: (ask) => {
    const key = authorized(ask, 'RotateKeyOnDemand');
    key.rotateOnDemand(ask.world.clock.nowMs());
    return { KeyId: key.arn };
  },
  ListKeyRotations: listRotations,
  GetParametersForImport: importParameters,
  ImportKeyMaterial: importMaterial,
  DeleteImportedKeyMaterial: deleteMaterial,
  CreateGrant: createGrant,
  ListGrants: listGrants,
  RevokeGrant: revokeGrant,
};
