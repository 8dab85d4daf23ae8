import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = {
  section: 'incident',
  owner: 'Incident commander',
  module: 'app/domains/incidents',
  enforcers: [],
} as const;

/** Claims about what happens when something has gone wrong. */
export const incidentClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'incident.plan',
    sentence: 'An incident goes through the phases of NIST SP 800-61, and the product itself holds it to their order.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'There is no incident room in this build.',
    wouldTurnRed: 'An incident can skip a phase or be closed without its review.',
  },
  {
    ...shared,
    id: 'incident.notice',
    sentence:
      'When an incident is confirmed to touch a customer’s data in a material way, the contact named in their order hears of it in four hours or less.',
    figure: '4 hours',
    limit: { value: 4, unit: 'hours', direction: 'at-most' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'There is no incident room in this build, so there are no notices to time.',
    wouldTurnRed: 'A notice has no receipt four hours after confirmation.',
  },
  {
    ...shared,
    id: 'incident.rto',
    sentence: 'The production tier is back within four hours of going down, the services around it within eight.',
    figure: '4 hours; 8 hours',
    limit: { value: 4, unit: 'hours', direction: 'at-most' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.quarter,
    module: 'app/domains/continuity',
    assertedBecause: 'No recovery drill has been timed in this installation.',
    wouldTurnRed: 'A drill or an outage takes longer.',
  },
  {
    ...shared,
    id: 'incident.rpo',
    sentence:
      'At most 15 minutes of writes can be lost, because the write-ahead log is streamed all the time and copied to other zones.',
    figure: '15 minutes',
    limit: { value: 15, unit: 'minutes', direction: 'at-most' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/continuity',
    assertedBecause: 'This installation is one machine; the write-ahead log is streamed nowhere.',
    wouldTurnRed: 'The newest log position held elsewhere is more than 15 minutes behind.',
  },
  {
    ...shared,
    id: 'incident.status-page',
    sentence:
      'A status site follows an incident as it happens; updates can be had by email, by text message and by webhook.',
    figure: '3 channels',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/status',
    assertedBecause: 'There is no status site in this build.',
    wouldTurnRed: 'An update fails to reach a subscribed canary on one of the three.',
  },
  {
    ...shared,
    id: 'incident.pir',
    sentence:
      'Five business days after an incident its review is written, with those affected, and kept in the public archive.',
    figure: '5 business days',
    limit: { value: 5, unit: 'business days', direction: 'at-most' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'There is no incident room in this build, so there are no reviews to time.',
    wouldTurnRed: 'A review is later than that by the pinned calendar.',
  },
];
