import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = { section: 'disclosure', owner: 'Security engineering lead', module: 'app/domains/disclosure' } as const;

/** Claims towards people who report faults. */
export const disclosureClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'bounty.safe-harbour',
    sentence:
      'A researcher who keeps four published conditions has three undertakings from us: no lawsuit, no closed account, no call to the police. Ninety days is how long we ask for before going public.',
    figure: '90 days',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    enforcers: [
      { file: 'app/domains/disclosure/public.ts', export: 'disclosureFiles', necessary: true },
      { file: 'app/domains/trust/publish.ts', export: 'renderRevision', necessary: true },
      { file: 'app/domains/disclosure/policy.ts', export: 'checkPolicy', necessary: false },
    ],
    probe: 'disclosure.safe-harbour',
    wouldTurnRed:
      'The policy is not served, its page and its JSON differ, or an undertaking, a condition or the 90 days is missing or has changed without a new version.',
  },
  {
    ...shared,
    id: 'bounty.rewards',
    sentence:
      'Findings are paid by severity, from US$ 200 for a low one up to US$ 25,000 for a critical one in the platform.',
    figure: 'US$ 200 to 25,000',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    enforcers: [
      { file: 'app/domains/disclosure/public.ts', export: 'disclosureFiles', necessary: true },
      { file: 'app/domains/trust/publish.ts', export: 'renderRevision', necessary: true },
      { file: 'app/domains/disclosure/policy.ts', export: 'checkPolicy', necessary: false },
    ],
    exceptions: ['The table is published and checked; no finding has been paid in this installation.'],
    probe: 'disclosure.rewards',
    wouldTurnRed: 'The published table has a gap, an overlap, a floor other than 200 or a ceiling other than 25,000.',
  },
  {
    ...shared,
    id: 'bounty.security-txt',
    sentence:
      'A security.txt after RFC 9116 stands at the root and under .well-known, renewed before it runs out, with the fingerprint of the OpenPGP key for encrypted reports.',
    exceptions: [
      'A fingerprint is shown only when the organisation has put its OpenPGP key on file; without one the file names no key, and encrypted reports cannot be taken in.',
    ],
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    enforcers: [
      { file: 'app/domains/disclosure/security-txt.ts', export: 'securityTxt', necessary: true },
      { file: 'app/domains/disclosure/public.ts', export: 'disclosureFiles', necessary: true },
      { file: 'app/domains/trust/publish.ts', export: 'renderRevision', necessary: true },
    ],
    probe: 'disclosure.security-txt',
    wouldTurnRed:
      'Either place does not serve the file, the two differ, a required field is missing, or it expires in under 30 days or over a year.',
  },
];
