import { AppError } from '@auditrax/base';

/** Error names as AWS KMS and STS write them; only those that this simulator can give by itself. */
export type RefusalName =
  | 'AccessDenied'
  | 'AccessDeniedException'
  | 'DisabledException'
  | 'DryRunOperationException'
  | 'ExpiredImportTokenException'
  | 'ExpiredTokenException'
  | 'IncompleteSignatureException'
  | 'IncorrectKeyException'
  | 'IncorrectKeyMaterialException'
  | 'InvalidArnException'
  | 'InvalidCiphertextException'
  | 'InvalidClientTokenId'
  | 'InvalidImportTokenException'
  | 'InvalidSignatureException'
  | 'KMSInvalidStateException'
  | 'MalformedPolicyDocumentException'
  | 'MissingAuthenticationTokenException'
  | 'NotFoundException'
  | 'SerializationException'
  | 'SignatureDoesNotMatch'
  | 'UnknownOperationException'
  | 'UnrecognizedClientException'
  | 'UnsupportedOperationException'
  | 'ValidationException';

/** An answer that says no. */
export function refusal(name: RefusalName, message: string): AppError<RefusalName> {
  return new AppError<RefusalName>(name, message);
}
