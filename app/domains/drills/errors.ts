export type DrillsCode = 'drill_canary_required' | 'drill_row_required' | 'drill_place_required';

/** HTTP status of each refusal of this room; only the sentinel ever sees them. */
export const drillsProblems: Readonly<Record<DrillsCode, { readonly status: number; readonly title: string }>> = {
  drill_canary_required: { status: 403, title: 'Only canary tenants are attacked' },
  drill_row_required: { status: 400, title: 'The drill needs a row of a canary tenant' },
  drill_place_required: { status: 409, title: 'This canary has no place of its own' },
};
