/** Columns of the claims schema that are not sealed, and why: every word of them is published. */
export const plaintextColumns = [
  { column: 'claims.observation.probe_id', reason: 'id of a probe' },
  { column: 'claims.observation.claim_ids', reason: 'ids of public claims' },
  { column: 'claims.observation.state', reason: 'enumeration' },
  { column: 'claims.observation.detail', reason: 'public sentence of a probe; holds no tenant content by contract' },
  { column: 'claims.observation.measured_unit', reason: 'enumeration: unit of a published figure' },
  { column: 'claims.observation.evidence', reason: 'public-safe evidence that the page prints' },
  { column: 'claims.observation.rehearsed_against', reason: 'public name of a simulator' },
  { column: 'claims.revision.digest', reason: 'hash of a public page' },
  { column: 'claims.revision.manifest_sha256', reason: 'hash of a public manifest' },
  { column: 'claims.revision.counts', reason: 'public counts of grades' },
] as const;
