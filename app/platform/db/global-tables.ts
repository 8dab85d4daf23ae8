/**
 * Tables that hold no tenant's rows although they carry a tenant_id or live in a tenant schema, each with its reason.
 * A migration may say the same of its own table with `platform.declare_global_table`.
 */
export const globalTables: Readonly<Record<string, string>> = {
  'audit.mint':
    'what the issuer minted, for reconciliation; written by the issuer, read by the sentinel, never by a tenant',
};
