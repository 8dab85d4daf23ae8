/** Columns of this room that are not sealed, and why. */
export const plaintextColumns = [
  { column: 'oncall.page.detection', reason: 'enumeration: id of the detection rule' },
  { column: 'oncall.page.severity', reason: 'enumeration' },
  { column: 'oncall.page.collapse_key', reason: 'hash of rule, tenant and actor ids' },
  { column: 'oncall.page.facts', reason: 'copied from the public-safe leaf of the log: layer, reason, operation' },
  { column: 'oncall.page_entry.detection', reason: 'enumeration: id of the detection rule' },
  { column: 'oncall.page_entry.request_id', reason: 'random id of a request' },
  { column: 'oncall.delivery.channel', reason: 'enumeration' },
  { column: 'oncall.delivery.outcome', reason: 'status of a receipt: an HTTP status or an error code' },
] as const;
