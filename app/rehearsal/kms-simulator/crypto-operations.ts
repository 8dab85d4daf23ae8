import { keyIdOf, open, seal } from './ciphertext.ts';
import type { SimulatedKey } from './key.ts';
import type { Operation } from './operation.ts';
import { refusal } from './refusal.ts';
import type { Input } from './request.ts';

const PLAINTEXT_BYTES_MAX = 4096;
const CIPHERTEXT_BYTES_MAX = 6144;
const SPEC_BYTES: Readonly<Record<string, number>> = { AES_256: 32, AES_128: 16 };
const ALGORITHM = 'SYMMETRIC_DEFAULT';

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** A dry run ends here: everything was allowed, nothing is done. */
function endOfDryRun(input: Input): void {
  if (input.flag('DryRun')) throw refusal('DryRunOperationException', 'The request would have succeeded.');
}

const encrypt: Operation = ({ input, caller, world }) => {
  const key = world.find(input.text('KeyId'), caller.account);
  const context = input.map('EncryptionContext') ?? {};
  world.authorize(caller, 'Encrypt', { key, context });
  key.requireUsable();
  const plaintext = input.bytes('Plaintext', PLAINTEXT_BYTES_MAX);
  endOfDryRun(input);
  const blob = seal(key, { plaintext, context, random: world.random });
  return { CiphertextBlob: base64(blob), KeyId: key.arn, EncryptionAlgorithm: ALGORITHM };
};

function freshDataKey(
  { input, caller, world }: Parameters<Operation>[0],
  operation: string,
): { readonly key: SimulatedKey; readonly plaintext: Buffer; readonly answer: Record<string, unknown> } {
  const key = world.find(input.text('KeyId'), caller.account);
  const context = input.map('EncryptionContext') ?? {};
  world.authorize(caller, operation, { key, context });
  key.requireUsable();
  const length_bytes = input.optionalNumber('NumberOfBytes') ?? SPEC_BYTES[input.optionalText('KeySpec') ?? ''];
  if (length_bytes === undefined || length_bytes < 1 || length_bytes > 1024) {
    throw refusal('ValidationException', 'Please specify either number of bytes or key spec.');
  }
  endOfDryRun(input);
  const plaintext = Buffer.from(world.random.bytes(length_bytes));
  const blob = seal(key, { plaintext, context, random: world.random });
  return {
    key,
    plaintext,
    answer: { CiphertextBlob: base64(blob), KeyId: key.arn, KeyMaterialId: key.current.id },
  };
}

/** The key that opens a blob: the one it is under, which must be the one that is named, if any is. */
function keyOf(ask: Parameters<Operation>[0], blob: Buffer, named: string | undefined): SimulatedKey {
  const { caller, world } = ask;
  const key = named === undefined ? undefined : world.find(named, caller.account);
  const inner = keyIdOf(blob);
  if (key && key.id !== inner) {
    throw refusal(
      'IncorrectKeyException',
      'The key ID in the request does not identify a CMK that can perform this operation.',
    );
  }
  return key ?? world.find(inner, caller.account);
}

const decrypt: Operation = (ask) => {
  const { input, caller, world } = ask;
  const blob = input.bytes('CiphertextBlob', CIPHERTEXT_BYTES_MAX);
  const named = input.optionalText('KeyId');
  const context = input.map('EncryptionContext') ?? {};
  // AWS judges the named key's policy before it looks into the blob.
  if (named !== undefined) world.authorize(caller, 'Decrypt', { key: world.find(named, caller.account), context });
  const key = keyOf(ask, blob, named);
  world.authorize(caller, 'Decrypt', { key, context });
  key.requireUsable();
  const { plaintext, materialId } = open(key, { blob, context });
  endOfDryRun(input);
  return { KeyId: key.arn, Plaintext: base64(plaintext), EncryptionAlgorithm: ALGORITHM, KeyMaterialId: materialId };
};

const reEncrypt: Operation = (ask) => {
  const { input, caller, world } = ask;
  const blob = input.bytes('CiphertextBlob', CIPHERTEXT_BYTES_MAX);
  const target = world.find(input.text('DestinationKeyId'), caller.account);
  const source = keyOf(ask, blob, input.optionalText('SourceKeyId'));
  const before = input.map('SourceEncryptionContext') ?? {};
  const after = input.map('DestinationEncryptionContext') ?? {};
  world.authorize(caller, 'ReEncryptFrom', { key: source, context: before });
  world.authorize(caller, 'ReEncryptTo', { key: target, context: after });
  source.requireUsable();
  target.requireUsable();
  const { plaintext, materialId } = open(source, { blob, context: before });
  endOfDryRun(input);
  const sealed = seal(target, { plaintext, context: after, random: world.random });
  return {
    CiphertextBlob: base64(sealed),
    SourceKeyId: source.arn,
    KeyId: target.arn,
    SourceEncryptionAlgorithm: ALGORITHM,
    DestinationEncryptionAlgorithm: ALGORITHM,
    SourceKeyMaterialId: materialId,
    DestinationKeyMaterialId: target.current.id,
  };
};

/** What uses a key. */
export const CRYPTO_OPERATIONS: Readonly<Record<string, Operation>> = {
  Encrypt: encrypt,
  Decrypt: decrypt,
  ReEncrypt: reEncrypt,
  GenerateDataKey: (ask) => {
    const { answer, plaintext } = freshDataKey(ask, 'GenerateDataKey');
    return { ...answer, Plaintext: base64(plaintext) };
  },
  GenerateDataKeyWithoutPlaintext: (ask) => freshDataKey(ask, 'GenerateDataKeyWithoutPlaintext').answer,
};
