/** Columns of this room that are not sealed, and why. */
export const plaintextColumns = [
  { column: 'oncall.page.detection', reason: 'enumeration: id of the detection rule' },
  { column: 'oncall.page.severity', reason: 'enumeration' },
  { column: 'oncall.page.collapse_key', reason: 'hash of rule, tenant and actor ids' },
  { column: 'oncall.page.facts', reason: 'copied from the public-safe leaf of the log: layer, reason, operation' },
  { column: 'oncall.page_entry.detection', reason: 'enumeration: id of the detection rule' },
  { column: 'oncall.page_entry.request_id', reason: 'random id of a request' },
  { column: 'oncall.attempt.code', reason: 'enumeration: code of a refusal' },
  { column: 'oncall.attempt.layer', reason: 'enumeration' },
  { column: 'oncall.attempt.operation', reason: 'name of a route or a door, from the public-safe leaf of the log' },
  { column: 'oncall.attempt.actor', reason: 'id of a person or name of a process' },
  { column: 'oncall.attempt.request_id', reason: 'random id of a request' },
  { column: 'oncall.attempt.source', reason: 'enumeration: kind of address, or name of a process' },
  { column: 'oncall.cursor.cell', reason: 'name of a cell: a region and an opaque database' },
  { column: 'oncall.delivery.channel', reason: 'enumeration' },
  { column: 'oncall.delivery.outcome', reason: 'status of a receipt: an HTTP status or an error code' },
] as const;
