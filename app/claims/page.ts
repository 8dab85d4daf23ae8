import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

/** Claims about the page itself. */
export const pageClaims: readonly Claim[] = [
  {
    id: 'page.source-of-truth',
    section: 'page',
    sentence:
      'Nobody types the states on this page: each is worked out from the newest run of a check against the running system.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.minutes,
    owner: 'Trust centre editor',
    module: 'app/domains/trust',
    enforcers: [
      { file: 'app/domains/trust/model.ts', export: 'buildPage', necessary: true },
      { file: 'app/claims/grade.ts', export: 'gradeClaim', necessary: true },
      { file: 'app/domains/trust/publish.ts', export: 'renderRevision', necessary: true },
    ],
    probe: 'trust.source-of-truth',
    wouldTurnRed:
      'The served page, its JSON or its OSCAL form disagrees with the others, with the recorded runs, or with its signature; or it is served as current after its validity has ended.',
  },
  {
    id: 'page.quarterly-review',
    section: 'page',
    sentence: 'Every quarter the steering committee for information security reads this page and signs what it found.',
    kind: 'scheduled',
    figure: 'each quarter',
    freshness_seconds_max: FRESHNESS_SECONDS.quarter,
    owner: 'Steering committee',
    module: 'app/domains/trust',
    enforcers: [],
    assertedBecause:
      'This installation holds no signed review record, and there is no room yet in which a committee could leave one.',
    wouldTurnRed: 'More than 92 days pass after the last review that has a record, an author and an approver.',
  },
];
