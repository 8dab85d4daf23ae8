import type { ClaimId } from './ids.ts';

/** Sections of the public page, in its order. */
export const SECTIONS = [
  { id: 'page', title: 'About this page' },
  { id: 'certifications', title: 'Certificates and attestations' },
  { id: 'encryption', title: 'Encryption' },
  { id: 'identity-access', title: 'Identity and access' },
  { id: 'tenant-isolation', title: 'Tenant isolation' },
  { id: 'sub-processors', title: 'Sub-processors' },
  { id: 'operational-security', title: 'Day-to-day security' },
  { id: 'pentest', title: 'Penetration tests' },
  { id: 'incident', title: 'Incidents' },
  { id: 'disclosure', title: 'Reporting a vulnerability' },
  { id: 'continuity', title: 'Continuity' },
  { id: 'people', title: 'People' },
  { id: 'questionnaires', title: 'Questionnaires' },
  { id: 'contact', title: 'Contact' },
] as const;

export type SectionId = (typeof SECTIONS)[number]['id'];

/**
 * What makes a claim green. `enforced`: the opposite is attempted and refused. `measured`: a figure stays inside its
 * limit. `scheduled`: a duty's last record is younger than its period. `attested`: a third party's document in force.
 */
export type ProofKind = 'enforced' | 'measured' | 'scheduled' | 'attested';

/** Accountable roles. A self-hosting organisation maps them to its people; no person is named here. */
export type OwnerRole =
  | 'Steering committee'
  | 'Compliance lead'
  | 'Security engineering lead'
  | 'Identity lead'
  | 'Platform lead'
  | 'Vendor manager'
  | 'Security operations lead'
  | 'Incident commander'
  | 'Continuity lead'
  | 'People lead'
  | 'Trust centre editor';

/** A figure's limit. `at-most` and `at-least` include the limit itself; `below` does not. */
export interface Limit {
  readonly value: number;
  readonly unit: 'days' | 'hours' | 'minutes' | 'seconds' | 'business days' | 'zones' | 'per cent';
  readonly direction: 'at-most' | 'at-least' | 'below';
}

/** The code that makes a claim true. A test fails, naming the sentence, when the file or the export is gone. */
export interface Enforcer {
  /** From the repository's root. */
  readonly file: string;
  /** An exported name; for a .sql file the function, policy, table or role it creates. */
  readonly export: string;
  /** True when the claim cannot hold without it: its mutant must turn the claim red. */
  readonly necessary: boolean;
}

/** One sentence of the public page, bound to what makes it true. */
export interface Claim {
  readonly id: ClaimId;
  readonly section: SectionId;
  /** What is promised, in public words. */
  readonly sentence: string;
  /** Stand in the public sentence; the probe checks that each is no wider than it says. */
  readonly exceptions?: readonly string[];
  readonly kind: ProofKind;
  /** The figure as people say it: "90 days". */
  readonly figure?: string;
  /** The figure as the machine compares it; required for a measured claim that has a probe. */
  readonly limit?: Limit;
  /** Older than this the last observation is stale; twice this, failing. */
  readonly freshness_seconds_max: number;
  readonly owner: OwnerRole;
  /** Folder of the code that answers for it. */
  readonly module: string;
  readonly enforcers: readonly Enforcer[];
  /** Id of the probe whose runs decide. Absent: nobody tries to break it yet, and the page says so. */
  readonly probe?: string;
  /**
   * What is missing until it is proven. Required without a probe; with one, why a house may be unable to run it, which
   * is no failure as long as it never has.
   */
  readonly assertedBecause?: string;
  /** What would have to happen for this line to turn red. */
  readonly wouldTurnRed: string;
}

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 86_400;

/** Budgets by how often the thing can change. Named once, so that a budget is a decision and not a typo. */
export const FRESHNESS_SECONDS = {
  /** Probed every few minutes; two missed runs are noticed within the validity of a revision. */
  minutes: 15 * MINUTE_SECONDS,
  /** Rotating attempts: each route and layer comes round once an hour. */
  hour: 70 * MINUTE_SECONDS,
  day: 26 * 3_600,
  month: 32 * DAY_SECONDS,
  quarter: 92 * DAY_SECONDS,
  halfYear: 184 * DAY_SECONDS,
  year: 366 * DAY_SECONDS,
} as const;
