import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = {
  section: 'questionnaires',
  owner: 'Compliance lead',
  module: 'app/domains/questionnaires',
  enforcers: [],
} as const;

/** Claims about answering customers' questions. */
export const questionnaireClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'questionnaire.packs',
    sentence: 'Three questionnaires lie answered and ready: CAIQ Lite, SIG Lite and SIG Core.',
    figure: '3 packs',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'No answered questionnaire is on file in this installation.',
    wouldTurnRed: 'A pack is missing, or an answer rests on a claim that is not green.',
  },
  {
    ...shared,
    id: 'questionnaire.turnaround',
    sentence: 'A questionnaire sent to us under a confidentiality agreement usually comes back in three business days.',
    figure: '3 business days',
    limit: { value: 3, unit: 'business days', direction: 'at-most' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'No request is recorded in this installation, so there is nothing to time.',
    wouldTurnRed: 'The median of the last quarter is longer.',
  },
];
