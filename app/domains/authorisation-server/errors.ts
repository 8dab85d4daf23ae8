import { AppError } from '@auditrax/base';

export type AuthorisationServerCode =
  | 'api_client_changed'
  | 'api_client_invalid'
  | 'api_clients_full'
  | 'api_consent_refused'
  | 'api_request_unusable'
  | 'api_token_refused';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<AuthorisationServerCode, { status: number; title: string }>> = {
  api_client_changed: { status: 409, title: 'Somebody has changed this program meanwhile' },
  api_client_invalid: { status: 422, title: 'A setting of the program is not valid' },
  api_clients_full: { status: 422, title: 'There are too many programs' },
  api_consent_refused: { status: 403, title: 'Sign in with a passkey or your organisation to allow this' },
  api_request_unusable: { status: 409, title: 'This took too long or was already used; start again in the program' },
  api_token_refused: { status: 401, title: 'The access token or its proof was refused' },
};

/** `detail` is shown to the person. */
export function refuse(
  code: AuthorisationServerCode,
  detail: string,
  field?: string,
): AppError<AuthorisationServerCode> {
  return new AppError<AuthorisationServerCode>(code, detail, {
    publicDetail: detail,
    ...(field === undefined ? {} : { field }),
  });
}

/** Inward it says why; outward only that it was refused. */
export function tokenRefused(why: string): AppError<'api_token_refused'> {
  return new AppError<'api_token_refused'>('api_token_refused', why);
}

export function notFound(): AppError<'not_found'> {
  return new AppError('not_found', 'no such program or permission');
}
