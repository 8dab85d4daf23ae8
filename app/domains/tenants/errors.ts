/** Errors of the room. */
export type TenantsCode = 'tenant_slug_taken' | 'tenant_input_invalid';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<TenantsCode, { status: number; title: string }>> = {
  tenant_slug_taken: { status: 409, title: 'This short name is taken' },
  tenant_input_invalid: { status: 400, title: 'The organisation cannot be created like this' },
};
