import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

/** Claims about where to turn. */
export const contactClaims: readonly Claim[] = [
  {
    id: 'contact.security',
    section: 'contact',
    sentence: 'One mailbox takes everything about security: reports, questions, requests.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    owner: 'Security operations lead',
    module: 'app/domains/disclosure',
    enforcers: [],
    assertedBecause:
      'No mail server is attached to this installation: the address is published, but no test message has been sent to it and answered.',
    wouldTurnRed: 'A test message gets no receipt.',
  },
  {
    id: 'contact.status',
    section: 'contact',
    sentence: 'Whether the service is up, and what is being done when it is not, stands on a status site.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    owner: 'Incident commander',
    module: 'app/domains/status',
    enforcers: [],
    assertedBecause: 'There is no status site in this build.',
    wouldTurnRed: 'The site does not answer, or shows something other than the incidents in force.',
  },
];
