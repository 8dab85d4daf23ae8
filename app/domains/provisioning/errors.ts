import { AppError } from '@auditrax/base';

/** What an administrator may be told about tokens of a directory. A directory is told what stands in packages/scim. */
export type ProvisioningCode = 'provisioning_tokens_full' | 'provisioning_state';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<ProvisioningCode, { status: number; title: string }>> = {
  provisioning_tokens_full: { status: 409, title: 'Two tokens are in use already; end one first' },
  provisioning_state: { status: 409, title: 'The connection is not in a state for that' },
};

export const refuse = (code: ProvisioningCode, detail: string): AppError<ProvisioningCode> =>
  new AppError<ProvisioningCode>(code, detail, { publicDetail: detail });

export const notFound = (): AppError<'not_found'> => new AppError('not_found', 'no such connection or token');
