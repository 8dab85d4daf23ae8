/**
 * Codes this library throws as `AppError`.
 *
 * - `policy_invalid`: a policy or the schema does not parse or fails strict validation.
 * - `policy_limit_exceeded`: a text, a policy or a set is larger or nested deeper than `limits.ts` allows.
 * - `policy_hierarchy_unsupported`: the schema gives entities parents; this library decides on flat entities only.
 * - `policy_forbid_unsupported`: a forbid uses something that has no SQL form, so a list would show too much.
 * - `policy_request_invalid`: a decision or a filter was asked for with values that do not fit the schema.
 * - `policy_column_missing`: a filter needs an attribute of the resource for which no column was named.
 */
export type PolicyErrorCode =
  | 'policy_invalid'
  | 'policy_limit_exceeded'
  | 'policy_hierarchy_unsupported'
  | 'policy_forbid_unsupported'
  | 'policy_request_invalid'
  | 'policy_column_missing';
