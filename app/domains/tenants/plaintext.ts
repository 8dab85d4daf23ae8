/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'platform.tenant.kind', reason: 'enumeration' },
  { column: 'platform.tenant.tier', reason: 'enumeration' },
  { column: 'platform.tenant.slug', reason: 'public short name, part of addresses' },
  { column: 'platform.tenant.display_name', reason: 'public name of the organisation, shown before sign-in' },
];
