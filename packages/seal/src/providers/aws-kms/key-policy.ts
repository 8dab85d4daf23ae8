import type { Uuid } from '@auditrax/base';

/** What we do with a tenant's key, and nothing else. */
const OPERATIONS = ['Encrypt', 'Decrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'] as const;

/** Names of the encryption context, all of them in each call. */
export const CONTEXT_NAMES = ['tenantId', 'purpose', 'dekId', 'version'] as const;

/**
 * The two statements to add to the policy of a tenant's KMS key: `principalArn` (our role or user) may use the key for
 * that tenant's encryption context alone, and may look at it. Without the condition one tenant could name the key of
 * another and have us use it.
 */
export function keyPolicyStatements(input: { readonly principalArn: string; readonly tenantId: Uuid }): object[] {
  const Principal = { AWS: input.principalArn };
  return [
    {
      Sid: 'AuditraxUsesTheKeyForThisTenant',
      Effect: 'Allow',
      Principal,
      Action: OPERATIONS.map((operation) => `kms:${operation}`),
      Resource: '*',
      Condition: {
        StringEquals: { 'kms:EncryptionContext:tenantId': input.tenantId },
        'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': [...CONTEXT_NAMES] },
      },
    },
    {
      Sid: 'AuditraxLooksAtTheKey',
      Effect: 'Allow',
      Principal,
      Action: ['kms:DescribeKey', 'kms:GetKeyRotationStatus'],
      Resource: '*',
    },
  ];
}
