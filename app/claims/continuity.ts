import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = {
  section: 'continuity',
  owner: 'Continuity lead',
  module: 'app/domains/continuity',
  enforcers: [],
} as const;

/** Claims about surviving the loss of a machine, a zone or a region. */
export const continuityClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'continuity.multi-az',
    sentence: 'Each region runs in three zones or more.',
    figure: '3 zones',
    limit: { value: 3, unit: 'zones', direction: 'at-least' },
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    assertedBecause: 'This installation is one machine.',
    wouldTurnRed: 'Fewer than three zones of a region have a running replica.',
  },
  {
    ...shared,
    id: 'continuity.warm-standby',
    sentence: 'For Enterprise tenants a second region stands by, warm.',
    kind: 'measured',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    assertedBecause: 'This installation is one machine; there is no second region.',
    wouldTurnRed: 'The standby is down, or too far behind to take over.',
  },
  {
    ...shared,
    id: 'continuity.backup-encrypted',
    sentence: 'A backup cannot be read without the keys.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause:
      'Backups are made by hand and sealed under the recovery key; no check opens one on a schedule yet.',
    wouldTurnRed: 'A marked secret is found readable in a backup.',
  },
  {
    ...shared,
    id: 'continuity.backup-immutable',
    sentence: 'For 30 days nobody, ourselves included, can change or delete a backup (WORM storage with object lock).',
    figure: '30 days',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    assertedBecause: 'No store with object lock is attached to this installation.',
    wouldTurnRed: 'A try to overwrite or to delete one succeeds.',
  },
  {
    ...shared,
    id: 'continuity.restore-test',
    sentence: 'Every month the system restores a backup by itself and keeps the evidence.',
    figure: 'each month',
    kind: 'scheduled',
    freshness_seconds_max: FRESHNESS_SECONDS.month,
    assertedBecause: 'Restoring is covered by a test of the program; no monthly run is recorded in this installation.',
    wouldTurnRed: 'The last complete restore is older than a month, or what it restored differs.',
  },
  {
    ...shared,
    id: 'continuity.plans',
    sentence:
      'The plans for keeping the business going and for recovering from disaster get a yearly review and two exercises a year.',
    figure: 'yearly; 2 a year',
    kind: 'scheduled',
    freshness_seconds_max: FRESHNESS_SECONDS.halfYear,
    assertedBecause: 'Neither plans nor exercises are on file in this installation.',
    wouldTurnRed: 'A review is older than a year or an exercise older than half a year.',
  },
];
