import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = { section: 'operational-security', owner: 'Security operations lead' } as const;
const vulnerabilities = { ...shared, module: 'app/domains/vulnerabilities', enforcers: [] } as const;

/** Claims about what happens on every build, every day and every quarter. */
export const operationalSecurityClaims: readonly Claim[] = [
  {
    ...vulnerabilities,
    id: 'ops.scan-gate',
    sentence:
      'Two scanners (Grype and Trivy) look at each build, and a finding rated high or critical by either keeps it from being released.',
    figure: '2 scanners',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'No release gate exists yet that reads the two scanners’ reports.',
    wouldTurnRed: 'A build with a planted high finding, or with a missing or empty report, is let through.',
  },
  {
    ...vulnerabilities,
    id: 'ops.dependency-audit',
    sentence: 'Dependabot and Snyk watch the dependencies and propose updates by themselves.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause:
      'Neither service is connected; what runs instead is a committed list of banned versions with a test.',
    wouldTurnRed: 'A dependency with a known fault stays without a proposed update.',
  },
  {
    ...vulnerabilities,
    id: 'ops.critical-sla',
    sentence:
      'A critical CVE in a dependency is dealt with in seven days, counted from when any source first named it.',
    figure: '7 days',
    limit: { value: 7, unit: 'days', direction: 'at-most' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'There are no vulnerability records to measure in this installation.',
    wouldTurnRed: 'A critical one is open for more than seven days.',
  },
  {
    ...vulnerabilities,
    id: 'ops.sast-dast',
    sentence: 'Every change is analysed as source and attacked as a running program before it is merged.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'The tests attack the running house, but no scanner of either kind gates a change yet.',
    wouldTurnRed: 'A change is merged without both reports.',
  },
  {
    ...vulnerabilities,
    id: 'ops.quality-gate',
    sentence: 'Code that misses the SonarQube gate is not merged.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'No SonarQube server is connected.',
    wouldTurnRed: 'A change is merged while the gate says no.',
  },
  {
    ...vulnerabilities,
    id: 'ops.secret-scan',
    sentence: 'Gitleaks looks for secrets in each commit.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause:
      'A scan of our own runs with the tests; Gitleaks itself is not connected, and no run is reported to this page.',
    wouldTurnRed: 'A planted secret passes.',
  },
  {
    ...shared,
    module: 'app/domains/drills',
    enforcers: [],
    id: 'ops.rotation-drill',
    sentence: 'Replacing leaked secrets is rehearsed from its playbook once a quarter.',
    figure: 'each quarter',
    kind: 'scheduled',
    freshness_seconds_max: FRESHNESS_SECONDS.quarter,
    assertedBecause: 'No drill record is on file in this installation.',
    wouldTurnRed: 'The last recorded drill is older than 92 days.',
  },
  {
    ...shared,
    module: 'app/domains/detections',
    enforcers: [],
    id: 'ops.siem',
    sentence: 'Events are watched day and night by detections that each name their MITRE ATT&CK technique.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    assertedBecause:
      'A handful of detections run on our own log; no rule corpus, no SIEM and no staffed desk stand behind them yet.',
    wouldTurnRed: 'A planted event of a mapped technique raises no alert.',
  },
  {
    ...shared,
    module: 'app/domains/detections',
    id: 'ops.mttd',
    sentence:
      'A high-severity event is detected in under ten minutes on average, counted until the page is accepted by its channel.',
    figure: 'under 10 minutes',
    limit: { value: 10, unit: 'minutes', direction: 'below' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.minutes,
    enforcers: [
      { file: 'app/domains/detections/rules.ts', export: 'detect', necessary: true },
      { file: 'app/domains/detections/tail.ts', export: 'createTail', necessary: true },
      { file: 'app/domains/oncall/pager.ts', export: 'createPager', necessary: true },
      { file: 'app/platform/audit/attempts.ts', export: 'attemptRecorder', necessary: true },
      { file: 'app/platform/edge/tenant-tag.ts', export: 'checkTenantTag', necessary: false },
    ],
    probe: 'detections.mttd',
    wouldTurnRed: 'The mean over the last day reaches ten minutes, or a canary event of the window has no page at all.',
  },
  {
    ...shared,
    module: 'app/domains/drills',
    enforcers: [],
    id: 'ops.tabletop',
    sentence: 'Once a quarter an incident is played through at the table, and what was learnt is written down.',
    figure: 'each quarter',
    kind: 'scheduled',
    freshness_seconds_max: FRESHNESS_SECONDS.quarter,
    assertedBecause: 'No exercise report is on file in this installation.',
    wouldTurnRed: 'The last report is older than 92 days.',
  },
];
