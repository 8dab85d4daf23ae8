/** Door of the AWS KMS driver, apart from the main one: the SDK is loaded only by who uses it. */
export { awsKmsProvider, type AwsKmsInput, type AwsKmsProvider } from './providers/aws-kms/provider.ts';
export type { AwsCredentials } from './providers/aws-kms/signer.ts';
export { CALL_LIMITS, type CallLimits } from './providers/aws-kms/calls.ts';
export type { ImportParameters, MaterialImport } from './providers/aws-kms/import.ts';
export { keyPolicyStatements } from './providers/aws-kms/key-policy.ts';
export { wrapKeyMaterial } from './providers/aws-kms/key-wrap.ts';
export { checkSource, type AwsKmsSource } from './providers/aws-kms/source.ts';
