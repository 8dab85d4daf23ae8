import {
  DeleteImportedKeyMaterialCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { sealError } from '../../errors.ts';
import type { Calls } from './calls.ts';

/** What material must be packed with, and what sends it in. Valid for 24 hours. */
export interface ImportParameters {
  readonly keyArn: string;
  /** DER SubjectPublicKeyInfo, RSA 4096. */
  readonly publicKey: Buffer;
  readonly importToken: Buffer;
  readonly validToMs: number;
}

/** The customer's own key material for a KMS key with origin EXTERNAL. */
export interface MaterialImport {
  importParameters(): Promise<ImportParameters>;
  /**
   * Sends material packed by `wrapKeyMaterial`. With `expiresAtMs` AWS forgets it then, and the key is as good as
   * disabled; without, it stays until deleted. A key that had material takes back only the very same.
   */
  importKeyMaterial(input: {
    readonly wrappedMaterial: Uint8Array;
    readonly importToken: Uint8Array;
    readonly expiresAtMs?: number;
  }): Promise<void>;
  /** AWS forgets the material at once; importing the same again brings the data back. */
  deleteImportedKeyMaterial(): Promise<void>;
}

export function importOf(input: {
  readonly keyArn: string;
  readonly client: KMSClient;
  readonly calls: Calls;
}): MaterialImport {
  const { keyArn, client, calls } = input;
  return {
    importParameters: () =>
      calls.make({
        send: async (abortSignal) => {
          const answer = await client.send(
            new GetParametersForImportCommand({
              KeyId: keyArn,
              WrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256',
              WrappingKeySpec: 'RSA_4096',
            }),
            { abortSignal },
          );
          const { PublicKey, ImportToken, ParametersValidTo } = answer;
          if (!PublicKey || !ImportToken || !ParametersValidTo) {
            throw sealError('kek_unavailable', `AWS KMS gave incomplete import parameters for ${keyArn}`);
          }
          return {
            keyArn,
            publicKey: Buffer.from(PublicKey),
            importToken: Buffer.from(ImportToken),
            validToMs: ParametersValidTo.getTime(),
          };
        },
      }),
    importKeyMaterial: async ({ wrappedMaterial, importToken, expiresAtMs }) => {
      const expiry =
        expiresAtMs === undefined
          ? ({ ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const)
          : ({ ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: new Date(expiresAtMs) } as const);
      const command = new ImportKeyMaterialCommand({
        KeyId: keyArn,
        EncryptedKeyMaterial: wrappedMaterial,
        ImportToken: importToken,
        ...expiry,
      });
      await calls.make({ repeat: 'untouched', send: (abortSignal) => client.send(command, { abortSignal }) });
    },
    deleteImportedKeyMaterial: async () => {
      const command = new DeleteImportedKeyMaterialCommand({ KeyId: keyArn });
      await calls.make({ repeat: 'untouched', send: (abortSignal) => client.send(command, { abortSignal }) });
    },
  };
}
