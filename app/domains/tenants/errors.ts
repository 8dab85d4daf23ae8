/** Errors of the room. */
export type TenantsCode =
  | 'tenant_slug_taken'
  | 'tenant_input_invalid'
  | 'tenant_closed'
  | 'deletion_refused'
  | 'deletion_same_person'
  | 'deletion_open'
  | 'deletion_no_certificate'
  | 'place_unknown'
  | 'place_refused'
  | 'move_refused'
  | 'move_open';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<TenantsCode, { status: number; title: string }>> = {
  tenant_slug_taken: { status: 409, title: 'This short name is taken' },
  tenant_input_invalid: { status: 400, title: 'The organisation cannot be created like this' },
  tenant_closed: { status: 409, title: 'This organisation is deleted' },
  deletion_refused: { status: 409, title: 'The deletion cannot do this now' },
  deletion_same_person: { status: 409, title: 'Another operator has to confirm this' },
  deletion_open: { status: 409, title: 'This organisation is being deleted already' },
  deletion_no_certificate: { status: 404, title: 'There is no certificate yet' },
  place_unknown: { status: 400, title: 'There is no such place in this installation' },
  place_refused: { status: 409, title: 'The organisation’s tier has no such place' },
  move_refused: { status: 409, title: 'The organisation cannot be moved like this' },
  move_open: { status: 409, title: 'This organisation is being moved already' },
};
