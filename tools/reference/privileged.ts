// What is privileged, and what must be on record for it: routes, tables and actions, each read from where it is made.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { namedIn, splitPolicies } from '../../packages/policy/src/index.ts';
import { ROUTES_WITHOUT_ENTRY } from './audit-actions.ts';
import { reachableEntries, type AuditSource } from './audit-source.ts';
import type { FoundRoute } from './contracts.ts';
import { code, page, table } from './markdown.ts';

const LOG = 'the log itself: grows by its own rules, and its writers have no right to change a row';
const SUPER = 'the super-log: written by the ledger alone, signed, and checked by whoever holds a checkpoint';
const FINDER = 'finds a row before the tenant is known; what it leads to is guarded';
const PAGER = 'pages and attempts are made from entries of the log by the sentinel';
const PLACES = 'where tenants live: changed by the set-up process and by moves, whose steps are entries of `tenant.*`';
const SCHEMA = 'written by migrations alone';

/** Tables that rows may change in without an entry of their own, each with the reason. */
export const UNGUARDED: Readonly<Record<string, string>> = {
  'app.reseal_progress': 'how far re-encryption has come; each batch of it is an entry',
  'audit.attempt_budget': 'counts of attempts; their sums are entries',
  'audit.beat': 'the heartbeat of the sequencer',
  'audit.checkpoint': LOG,
  'audit.disclosure': 'comes with its entry and never changes; encrypted anew it needs the entry of its batch',
  'audit.entry': LOG,
  'audit.guard_note': 'the guard’s own notes, for the length of one transaction',
  'audit.guarded_table': SCHEMA,
  'audit.log': LOG,
  'audit.log_head': LOG,
  'audit.log_index': LOG,
  'audit.log_tile': LOG,
  'audit.late_disclosure': 'written with the entry whose value it holds, and moved to the others once it can be sealed',
  'audit.late_key': 'made with an entry that was approved; it holds nothing that an entry says',
  'audit.mint': 'what the issuer minted; the log is compared with it',
  'audit.pending': LOG,
  'audit.stream_cursor': 'how far a stream is; what it is and whether it runs is guarded in `app.stream`',
  'audit.subject_key':
    'made with the entry whose value it encrypts; changed or destroyed it needs an entry about the member',
  'audit.super_checkpoint': SUPER,
  'audit.super_cosignature': SUPER,
  'audit.super_epoch': SUPER,
  'audit.super_log': SUPER,
  'audit.super_slot': SUPER,
  'audit.super_slot_state': SUPER,
  'audit.super_tile': SUPER,
  'audit.super_timestamp': SUPER,
  'claims.observation': 'runs of probes; each is an entry `claim.observed` in the operator’s log',
  'claims.revision': 'revisions of the public page, signed; each is an entry `page.published`',
  'identity.api_agent_use': 'when an agent last acted, to the minute; who may hand it work is guarded',
  'identity.api_key_use': 'when a key was last used, to the minute; making and ending one is guarded',
  'identity.api_artifact': 'codes, tokens and proofs under way; the grants that they rest on are guarded',
  'identity.challenge': 'ceremonies under way; what they lead to is guarded',
  'identity.connection_attempt': 'what a provider answered lately; a test is an entry, and so is every sign-in',
  'identity.connection_index': FINDER,
  'identity.credential_index': FINDER,
  'identity.employment': 'when a person was last vouched for; what ends because of it is guarded',
  'identity.one_time_link': FINDER,
  'identity.scim_heard': 'when somebody spoke last; what was said is an entry where it changed anything',
  'identity.signal_event':
    'what waits to be told to receivers; what happened has an entry of its own, and what becomes of an event is counted',
  'identity.signal_name': 'how a provider calls somebody; follows each sign-in, which is an entry',
  'identity.signal_queue': 'how far a stream is; moves with every delivery, and is no record of anything',
  'identity.scim_refusal': 'messages that were refused lately; they have changed nothing',
  'identity.seen_token': 'ids of what providers said once; they are written so that they count once',
  'identity.session_index': FINDER,
  'identity.received_index': FINDER,
  'identity.received_pulse': 'how a stream of signals is doing; what it brings, and that it fell silent, are entries',
  'identity.received_refusal': 'events that were refused lately; they have changed nothing',
  'identity.sso_request': 'sign-ins under way; what they lead to is guarded',
  'oncall.attempt': PAGER,
  'oncall.cursor': PAGER,
  'oncall.delivery': PAGER,
  'oncall.page': PAGER,
  'oncall.page_entry': PAGER,
  'platform.departure': PLACES,
  'platform.hold': PLACES,
  'platform.migration': SCHEMA,
  'platform.move_progress': PLACES,
  'platform.pinned_object': SCHEMA,
  'platform.place': PLACES,
  'platform.placement': PLACES,
  'platform.sealed_column': SCHEMA,
  'platform.table_rule': SCHEMA,
  'platform.tenant': 'names of tenants; opening, moving and deleting one are entries of `tenant.*`',
};

export interface Tables {
  readonly all: readonly string[];
  /** Table to kind of resource and, where it is not the row itself, the column that the entry is about. */
  readonly guarded: ReadonlyMap<string, string>;
}

/** Every table that the migrations make, and those they put under the commit guard. */
export function readTables(root: string): Tables {
  const texts = globSync('app/**/migrations/*.sql', { cwd: root })
    .sort()
    .map((path) => readFileSync(join(root, path), 'utf8').replace(/--[^\n]*/g, ''));
  const all = texts.flatMap((text) =>
    [...text.matchAll(/create table (?:if not exists )?([a-z_]+\.[a-z_]+)/g)].map((found) => found[1]!),
  );
  const guarded = texts.flatMap((text) =>
    [...text.matchAll(/audit\.guard_table\('([a-z_.]+)',\s*'([a-z-]+)'(?:,\s*'([a-z_]+)')?\)/g)].map(
      ([, name, kind, column]) => [name!, column === undefined ? kind! : `${kind!} by ${column}`] as const,
    ),
  );
  return { all: [...new Set(all)].sort(), guarded: new Map(guarded) };
}

/** Every action that a policy names. */
export function readActions(root: string): Set<string> {
  return new Set(
    globSync('app/domains/*/policy.cedar', { cwd: root }).flatMap((path) =>
      splitPolicies('room', readFileSync(join(root, path), 'utf8')).flatMap((policy) => namedIn(policy).actions),
    ),
  );
}

/** What the registry and the code say differently; a new table, route or action is named here until somebody decides. */
export function privilegedFindings(
  routes: readonly FoundRoute[],
  actions: ReadonlySet<string>,
  tables: Tables,
): string[] {
  const session = new Set<string>(
    routes.filter(({ contract }) => contract.access.kind === 'session').map(({ contract }) => contract.operation),
  );
  const known = new Set([...tables.all, 'platform.migration', 'platform.pinned_object']);
  return [
    ...tables.all
      .filter((name) => !tables.guarded.has(name) && !Object.hasOwn(UNGUARDED, name))
      .map((name) => `${name}: neither under the commit guard nor listed with a reason`),
    ...Object.keys(UNGUARDED).flatMap((name) =>
      tables.guarded.has(name)
        ? [`${name}: under the commit guard, and listed as not`]
        : known.has(name)
          ? []
          : [`${name}: listed, but no migration makes it`],
    ),
    ...[...session].filter((one) => !actions.has(one)).map((one) => `${one}: a route that no policy names`),
    ...[...actions].filter((one) => !session.has(one)).map((one) => `${one}: an action without a route`),
  ];
}

/** The registry of what is privileged, as a page. */
export function privilegedPage(routes: readonly FoundRoute[], source: AuditSource, tables: Tables): string {
  const rows = routes.flatMap((route): string[][] => {
    const { access, operation, service } = route.contract;
    if (access.kind !== 'session') return [];
    const entries = reachableEntries(source, route);
    // Reading is privileged where it is put on record.
    if (access.class === 'read' && entries.length === 0) return [];
    const reason = ROUTES_WITHOUT_ENTRY[operation] ?? '';
    return [[code(operation), service, access.class, entries.map(code).join(', ') || reason]];
  });
  const guarded = [...tables.guarded].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, about]) => [code(name), about]);
  const unguarded = Object.entries(UNGUARDED).map(([name, reason]) => [code(name), reason]);
  return page('What is privileged', 'routes, migrations and policies below `app/`', [
    'Nothing here is listed by hand but the reasons: a route that changes something and of which no entry is found, a table without guard and reason, a route without policy and a policy without route each fail the check. Of a privileged table no row changes without its entry, whatever the statement (`app/platform/audit/guard.db.test.ts`).',
    '## Routes: those that change something, and reading that is put on record',
    table(['operation', 'service', 'class', 'entries'], rows),
    '## Tables under the commit guard',
    table(['table', 'an entry about'], guarded),
    '## Tables without it, and why',
    table(['table', 'reason'], unguarded),
  ]);
}
