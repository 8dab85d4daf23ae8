import type { OscalCode } from './oscal.ts';

export type EngagementCode =
  | 'engagement_revision_stale'
  | 'engagement_state_forbids'
  | 'engagement_period_invalid'
  | 'engagement_contacts_full'
  | OscalCode;

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<EngagementCode, { status: number; title: string }>> = {
  engagement_revision_stale: { status: 409, title: 'Somebody else changed this in the meantime' },
  engagement_state_forbids: { status: 409, title: 'The state of the engagement does not allow this' },
  engagement_period_invalid: { status: 422, title: 'The dates do not fit together' },
  engagement_contacts_full: { status: 422, title: 'Too many client contacts' },
  oscal_invalid: { status: 422, title: 'The catalogue is not valid OSCAL' },
  oscal_too_large: { status: 413, title: 'The catalogue is over a limit' },
};
