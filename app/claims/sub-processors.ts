import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = { section: 'sub-processors', owner: 'Vendor manager', module: 'app/domains/vendors' } as const;

/** Claims about the companies that touch customer data on our behalf. */
export const subProcessorClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'vendor.registry',
    sentence:
      'Anyone can read the register of sub-processors: what data each one sees, in which region, and which attestations it holds.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    enforcers: [
      { file: 'app/domains/vendors/public.ts', export: 'vendorFiles', necessary: true },
      { file: 'app/domains/trust/publish.ts', export: 'renderRevision', necessary: true },
      { file: 'app/domains/vendors/registry.ts', export: 'checkRegistry', necessary: false },
    ],
    probe: 'vendors.registry',
    wouldTurnRed:
      'The register is not served, an entry lacks data, region or attestations, or its page and its JSON differ or are not what was signed.',
  },
  {
    ...shared,
    id: 'vendor.terms',
    sentence: 'Each of them has signed processing terms that bind it as tightly as our own agreement binds us.',
    kind: 'attested',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    enforcers: [],
    assertedBecause: 'No signed terms are on file in this installation.',
    wouldTurnRed: 'The terms of any sub-processor in use are missing, expired or weaker than the agreement in force.',
  },
  {
    ...shared,
    id: 'vendor.annual-review',
    sentence: 'The security of each is looked at again every year.',
    figure: 'yearly',
    kind: 'scheduled',
    freshness_seconds_max: FRESHNESS_SECONDS.year,
    enforcers: [],
    assertedBecause: 'No review record is on file in this installation.',
    wouldTurnRed: 'The last recorded review of any entry is older than a year.',
  },
  {
    ...shared,
    id: 'vendor.ai-zero-retention',
    sentence: 'Calls to the AI provider switch storage off, and what they carry trains no model.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/ai',
    enforcers: [],
    assertedBecause: 'This build makes no AI calls.',
    wouldTurnRed: 'A call leaves without the setting, or the provider reports that it kept one.',
  },
  {
    ...shared,
    id: 'vendor.telemetry-clean',
    sentence: 'Telemetry about operations holds nothing from customers’ audits.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/platform/metrics',
    enforcers: [],
    assertedBecause: 'This build sends no telemetry out, and has no taint canaries watching an outlet.',
    wouldTurnRed: 'A marked word that was planted in a canary tenant is seen at an outlet.',
  },
  {
    ...shared,
    id: 'vendor.notice',
    sentence: 'A change to the register is announced to customers at least 30 days before it takes effect.',
    figure: '30 days',
    limit: { value: 30, unit: 'days', direction: 'at-least' },
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    enforcers: [],
    assertedBecause:
      'The notice period is part of the register’s data and an earlier date is refused there, but nothing delivers the notice to customers yet.',
    wouldTurnRed: 'An entry comes into force sooner than 30 days after customers were told.',
  },
];
