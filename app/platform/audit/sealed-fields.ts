/** Stable numbers of the sealed columns of this schema; never reused. */
export const sealedFields = { 'audit.disclosure.sealed': 3001 } as const;
