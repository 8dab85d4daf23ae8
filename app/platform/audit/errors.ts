/** Errors of the audit floor. `audit_log_down` is what a caller sees as 503: nothing was done and nothing was logged. */
export type AuditCode =
  | 'audit_input_invalid'
  | 'audit_leaf_too_large'
  | 'audit_sealer_missing'
  | 'audit_approval_missing'
  | 'audit_subject_erased'
  | 'audit_log_down'
  | 'audit_log_elsewhere'
  | 'audit_entry_unknown'
  | 'audit_receipt_timeout'
  | 'audit_log_behind_signer'
  | 'audit_head_corrupt'
  | 'audit_head_moved'
  | 'audit_unlogged_commit';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<AuditCode, { status: number; title: string }>> = {
  audit_input_invalid: { status: 500, title: 'The action could not be recorded' },
  audit_leaf_too_large: { status: 500, title: 'The action could not be recorded' },
  audit_sealer_missing: { status: 500, title: 'The action could not be recorded' },
  audit_approval_missing: { status: 500, title: 'The action could not be recorded' },
  audit_subject_erased: { status: 409, title: 'This person’s data was erased' },
  audit_log_down: { status: 503, title: 'The audit log is not running, so nothing was changed' },
  audit_log_elsewhere: { status: 503, title: 'The workspace is being moved, so nothing was changed' },
  audit_entry_unknown: { status: 404, title: 'Not found' },
  audit_receipt_timeout: { status: 503, title: 'The audit log did not confirm in time' },
  audit_log_behind_signer: { status: 503, title: 'The audit log is stopped' },
  audit_head_corrupt: { status: 503, title: 'The audit log is stopped' },
  audit_head_moved: { status: 503, title: 'The audit log is busy' },
  audit_unlogged_commit: { status: 500, title: 'The action could not be recorded' },
};
