import { AppError } from '@auditrax/base';

export type ConnectionCode =
  | 'connection_setting_invalid'
  | 'connection_certificate_refused'
  | 'connection_changed'
  | 'connection_state'
  | 'connection_untested'
  | 'connections_full'
  | 'changeover_orphans';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<ConnectionCode, { status: number; title: string }>> = {
  connection_setting_invalid: { status: 422, title: 'A setting of the connection is not valid' },
  connection_certificate_refused: { status: 422, title: 'The certificate cannot be used' },
  connection_changed: { status: 409, title: 'Somebody else changed this connection in the meantime' },
  connection_state: { status: 409, title: 'The connection is not in a state for that' },
  connection_untested: { status: 409, title: 'Test the connection first' },
  changeover_orphans: { status: 409, title: 'Somebody would have no way in any more' },
  connections_full: { status: 422, title: 'There are too many' },
};

/** `detail` is shown to the administrator. */
export function refuse(code: ConnectionCode, detail: string, field?: string): AppError<ConnectionCode> {
  return new AppError<ConnectionCode>(code, detail, {
    publicDetail: detail,
    ...(field === undefined ? {} : { field }),
  });
}

export function notFound(): AppError<'not_found'> {
  return new AppError('not_found', 'no such connection');
}
