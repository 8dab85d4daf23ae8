import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = { section: 'tenant-isolation', owner: 'Platform lead' } as const;

/** Claims that one customer never sees another. */
export const tenantIsolationClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'tenant.row-scope',
    sentence:
      'On the Standard tier the database driver pins each statement to the rows of one tenant before it is sent.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.minutes,
    module: 'packages/tenancy',
    enforcers: [
      { file: 'packages/tenancy/src/guard.ts', export: 'checkStatement', necessary: true },
      { file: 'packages/tenancy/src/driver.ts', export: 'makeTenantDoor', necessary: true },
    ],
    probe: 'tenancy.row-scope',
    wouldTurnRed:
      'A statement that names no tenant for one of its tables is sent, or a scoped read returns a row of another tenant.',
  },
  {
    ...shared,
    id: 'tenant.deny-default',
    sentence: 'Without a tenant in context the database gives no row and takes none.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.minutes,
    module: 'app/platform/db',
    enforcers: [
      {
        file: 'app/platform/db/migrations/20261122090000_platform.sql',
        export: 'platform.protect_tenant_table',
        necessary: true,
      },
    ],
    probe: 'tenancy.deny-default',
    wouldTurnRed: 'Under the application’s role and with no tenant set, a read returns a row or a write succeeds.',
  },
  {
    ...shared,
    id: 'tenant.dedicated-schema',
    sentence: 'An Enterprise tenant can have a schema to itself.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/tenancy',
    enforcers: [
      { file: 'packages/tenancy/src/placed.ts', export: 'openPlacedDatabase', necessary: true },
      { file: 'packages/tenancy/src/placing.ts', export: 'placeText', necessary: true },
      {
        file: 'app/platform/db/migrations/20261123141000_scope_marks.sql',
        export: 'app.enter_place',
        necessary: true,
      },
    ],
    probe: 'tenancy.dedicated-schema',
    exceptions: [
      'The directory of people and the log stay in shared tables behind the row walls, and sealed evidence files in the storage of the home region.',
    ],
    assertedBecause: 'No canary of this installation lives in a schema of its own yet, so nothing tries it.',
    wouldTurnRed: 'The role of one schema reads a table of another, or the role of all others reads that schema.',
  },
  {
    ...shared,
    id: 'tenant.dedicated-db',
    sentence: 'An Enterprise tenant can have a database to itself.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/tenancy',
    enforcers: [{ file: 'packages/tenancy/src/placed.ts', export: 'openPlacedDatabase', necessary: true }],
    probe: 'tenancy.dedicated-db',
    exceptions: [
      'The list of tenants with their places, the list of issued tokens and the pages of on-call are kept in the shared database; sealed evidence files lie in the storage of the tenant’s region.',
    ],
    assertedBecause: 'No canary of this installation has a database of its own yet, so nothing tries it.',
    wouldTurnRed: 'The role of one tenant’s database can log in to another’s.',
  },
  {
    ...shared,
    id: 'tenant.region',
    sentence: 'An Enterprise tenant picks the region, and its data stays there.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/tenants',
    enforcers: [
      { file: 'packages/tenancy/src/placed.ts', export: 'openPlacedDatabase', necessary: true },
      { file: 'app/platform/objects/store.ts', export: 'openRegionalStore', necessary: true },
    ],
    probe: 'tenancy.region',
    exceptions: [
      'The list of tenants with their places, the list of issued tokens and the pages of on-call are kept in the home region.',
    ],
    assertedBecause: 'This installation has one region only, or no canary lives in another yet, so nothing tries it.',
    wouldTurnRed: 'A row, object or backup of the tenant is found outside its region.',
  },
  {
    ...shared,
    id: 'tenant.driver-block',
    sentence: 'The driver stops a query that reaches for another tenant, whether by a parameter or by a row it meets.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/tenancy',
    enforcers: [
      { file: 'packages/tenancy/src/guard.ts', export: 'checkParameters', necessary: true },
      { file: 'packages/tenancy/src/driver.ts', export: 'makeTenantDoor', necessary: true },
      // Finds the parameters that checkParameters then compares.
      { file: 'packages/tenancy/src/guard.ts', export: 'checkStatement', necessary: true },
      { file: 'app/platform/db/migrations/20261122090000_platform.sql', export: 'app.trip', necessary: true },
      {
        file: 'app/platform/db/migrations/20261122090000_platform.sql',
        export: 'platform.protect_tenant_table',
        necessary: true,
      },
    ],
    probe: 'tenancy.driver-block',
    wouldTurnRed: 'A foreign tenant’s id in a parameter is sent to the database, or a foreign row does not raise.',
  },
  {
    ...shared,
    id: 'tenant.gateway-block',
    sentence: 'The gateway stops it too, from the tenant mark in the id alone and before any service is asked.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/platform/edge',
    enforcers: [
      { file: 'app/platform/edge/tenant-tag.ts', export: 'checkTenantTag', necessary: true },
      // The log says which wall stopped an attempt; without the record that cannot be told from outside.
      { file: 'app/platform/audit/attempts.ts', export: 'attemptRecorder', necessary: true },
    ],
    probe: 'tenancy.gateway-block',
    wouldTurnRed:
      'A request with another tenant’s id passes the gateway, or its refusal can be told from that of an id that does not exist.',
  },
  {
    ...shared,
    id: 'tenant.fail-closed',
    sentence: 'An attempt to read across tenants comes back with nothing.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/tenancy',
    enforcers: [
      { file: 'app/platform/db/migrations/20261122090000_platform.sql', export: 'app.trip', necessary: true },
      {
        file: 'app/platform/db/migrations/20261122090000_platform.sql',
        export: 'platform.protect_tenant_table',
        necessary: true,
      },
      { file: 'packages/tenancy/src/guard.ts', export: 'checkParameters', necessary: false },
      { file: 'app/platform/edge/tenant-tag.ts', export: 'checkTenantTag', necessary: false },
    ],
    probe: 'tenancy.fail-closed',
    wouldTurnRed:
      'Any route or layer, attacked with a canary tenant’s credentials, gives up one byte of the other canary’s marked content.',
  },
  {
    ...shared,
    id: 'tenant.pages-on-call',
    sentence: 'Each attempt wakes whoever is on call: the page is accepted by its channel within a minute.',
    kind: 'measured',
    figure: 'every attempt; 60 seconds',
    limit: { value: 60, unit: 'seconds', direction: 'at-most' },
    freshness_seconds_max: FRESHNESS_SECONDS.minutes,
    module: 'app/domains/oncall',
    enforcers: [
      { file: 'app/domains/detections/rules.ts', export: 'detect', necessary: true },
      { file: 'app/domains/detections/tail.ts', export: 'createTail', necessary: true },
      { file: 'app/domains/oncall/pager.ts', export: 'createPager', necessary: true },
      { file: 'app/platform/audit/attempts.ts', export: 'attemptRecorder', necessary: true },
      // Walls further in refuse as well, on some routes before an id is looked at and so without an attempt to page.
      { file: 'app/platform/edge/tenant-tag.ts', export: 'checkTenantTag', necessary: false },
    ],
    probe: 'oncall.attempt-paged',
    wouldTurnRed: 'A canary attempt has no page with a receipt after 60 seconds.',
  },
];
