import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = { section: 'people', owner: 'People lead', module: 'app/domains/people', enforcers: [] } as const;
const NO_ROOM = 'There is no people room in this build, so nothing stands between a missing record and an account.';

/** Claims about the people who run the service. */
export const peopleClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'people.background',
    sentence: 'Nobody gets access before a background check that suits what their role can reach.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    assertedBecause: NO_ROOM,
    wouldTurnRed: 'An account is opened for a person whose check is not on record.',
  },
  {
    ...shared,
    id: 'people.training',
    sentence: 'Security and privacy training is repeated each year, simulated phishing included.',
    figure: 'yearly',
    kind: 'scheduled',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    assertedBecause: 'No training record is on file in this installation.',
    wouldTurnRed: 'The last training of anyone with access is older than a year.',
  },
  {
    ...shared,
    id: 'people.agreements',
    sentence: 'Confidentiality and acceptable use are signed first; access comes after.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    assertedBecause: NO_ROOM,
    wouldTurnRed: 'An account is opened for a person who has not signed both.',
  },
  {
    ...shared,
    id: 'people.least-privilege',
    sentence: 'Access to production is as small as the work allows and is gone through once a quarter.',
    figure: 'each quarter',
    kind: 'scheduled',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    module: 'app/domains/access-reviews',
    enforcers: [
      { file: 'app/domains/access-reviews/deciding.ts', export: 'decide', necessary: true },
      { file: 'app/domains/access-reviews/tend.ts', export: 'tendReview', necessary: true },
      { file: 'app/domains/access-reviews/removing.ts', export: 'carryOut', necessary: true },
      { file: 'app/domains/access/step-up-digest.ts', export: 'stepUpDigest', necessary: true },
      { file: 'app/domains/access/step-up-verifier.ts', export: 'createStepUpVerifier', necessary: true },
      { file: 'app/domains/identity/revocation.ts', export: 'revokePrincipal', necessary: true },
      { file: 'app/domains/identity/evictions.ts', export: 'createEvictions', necessary: true },
      { file: 'app/platform/edge/follow-evictions.ts', export: 'followEvictions', necessary: true },
    ],
    probe: 'people.access-reviews',
    assertedBecause: 'The first access review of this installation has not been closed yet.',
    wouldTurnRed:
      'The last review is older than 92 days or left an account undecided; on a canary, somebody reviews themselves, decides too late, or still gets in after a review has removed them.',
  },
  {
    ...shared,
    id: 'people.revocation',
    sentence: 'Whoever leaves has lost all access four hours later at most.',
    figure: '4 hours',
    limit: { value: 4, unit: 'hours', direction: 'at-most' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/identity',
    enforcers: [
      { file: 'app/domains/identity/revocation.ts', export: 'revokePrincipal', necessary: true },
      { file: 'app/domains/identity/evictions.ts', export: 'createEvictions', necessary: true },
      { file: 'app/platform/edge/follow-evictions.ts', export: 'followEvictions', necessary: true },
      { file: 'app/domains/provisioning/tokens.ts', export: 'recognise', necessary: true },
      { file: 'packages/scim/src/write.ts', export: 'patchResource', necessary: true },
      { file: 'packages/scim/src/standing.ts', export: 'speaksOfLeaving', necessary: true },
      { file: 'app/domains/signal-receiver/acting.ts', export: 'act', necessary: true },
      { file: 'app/domains/signal-receiver/keeping.ts', export: 'storeOf', necessary: true },
      { file: 'packages/signals/src/set.ts', export: 'verifySet', necessary: true },
      { file: 'packages/signals/src/subject.ts', export: 'findSubject', necessary: true },
    ],
    probe: 'identity.revocation',
    assertedBecause:
      'Nobody of whom nothing more was said has been followed to the end in this installation yet: each time takes four hours.',
    wouldTurnRed:
      'A session, passkey, link, key or program of a person who left works after four hours, or after seconds where their directory or a signal of their provider said so; or somebody else brings them back; or a signal that is forged, repeated or another’s ends anything.',
  },
];
