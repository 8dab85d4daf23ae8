/** Why each column of the floor's own tables is readable; the schema lint collects these lists. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'platform.migration.name', reason: 'name of a file of this program' },
  { column: 'platform.migration.sha256', reason: 'hash of a file of this program' },
  { column: 'platform.pinned_object.identity', reason: 'name in the catalogue' },
  { column: 'platform.pinned_object.sha256', reason: 'hash of a definition in the catalogue' },
  { column: 'platform.table_rule.table_name', reason: 'name in the catalogue' },
  { column: 'platform.table_rule.kind', reason: 'enumeration' },
  { column: 'platform.table_rule.reason', reason: 'text of this program' },
];
