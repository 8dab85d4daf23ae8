export type AuditTrailCode = 'export_period_invalid' | 'export_empty' | 'export_too_large' | 'bundle_unreadable';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<AuditTrailCode, { status: number; title: string }>> = {
  export_period_invalid: { status: 422, title: 'The first day must not be after the last' },
  export_empty: { status: 422, title: 'There are no sealed entries in this period' },
  export_too_large: { status: 422, title: 'Too many entries for one bundle; choose a shorter period' },
  bundle_unreadable: { status: 400, title: 'The bundle cannot be read' },
};
