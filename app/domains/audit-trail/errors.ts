import { AppError } from '@auditrax/base';

export type AuditTrailCode =
  | 'export_period_invalid'
  | 'export_empty'
  | 'export_too_large'
  | 'export_narrowed'
  | 'range_invalid'
  | 'bundle_unreadable';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<AuditTrailCode, { status: number; title: string }>> = {
  export_period_invalid: { status: 422, title: 'The first day must not be after the last' },
  export_empty: { status: 422, title: 'There are no sealed entries in this period' },
  export_too_large: { status: 422, title: 'Too many entries for one file; choose a shorter period' },
  range_invalid: { status: 422, title: 'The log has no such range, or it is too long for one answer' },
  export_narrowed: { status: 403, title: 'Access rules keep part of this period from you' },
  bundle_unreadable: { status: 400, title: 'The bundle cannot be read' },
};

/** An error whose words may be shown: they name limits and sizes only. */
export function refuse(code: AuditTrailCode, message: string): AppError<AuditTrailCode> {
  return new AppError<AuditTrailCode>(code, message, { publicDetail: message });
}
