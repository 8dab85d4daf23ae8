import type { Uuid } from '@auditrax/base';
import type { Caller } from '../../platform/http/handler.ts';
import { listClients } from '../authorisation-server/index.ts';
import { connectionName } from '../connections/index.ts';
import { lockManagers } from '../identity/index.ts';
import type { ReviewItem, ReviewSummary } from './contract.ts';
import { compare, isOwn, tenantOf, type Compared } from './deciding.ts';
import type { AccessReviewDeps } from './deps.ts';
import * as queries from './queries.ts';
import type { ItemRow, Progress, ReviewRow } from './queries.ts';
import { growthHash, type FrozenItem } from './snapshot.ts';

type Labels = ReadonlyMap<Uuid, string>;

/** Names as far as they can be read; whoever was erased has none. */
async function labelsOf(deps: AccessReviewDeps, { tenant: context }: Caller, ids: Iterable<Uuid>): Promise<Labels> {
  const rows = await deps.tenant.scoped(context, queries.labelsOf(context, [...new Set(ids)]));
  const values = rows.map(({ id, label }) => ({ field: 'identity.member.label', rowId: id, sealed: label }) as const);
  const texts = await deps.sealer.openNames({ context, values });
  return new Map(rows.map(({ id }, index) => [id, texts[index]!]));
}

function summary(
  deps: AccessReviewDeps,
  caller: Caller,
  of: { readonly row: ReviewRow; readonly progress: Progress | undefined; readonly labels: Labels },
): ReviewSummary {
  const { row, progress, labels } = of;
  return {
    id: deps.formatId('arv', caller.tenant, row.id),
    state: row.state,
    openedAt: row.opened_at.toISOString(),
    openedBy: row.opened_by === null ? null : (labels.get(row.opened_by) ?? ''),
    dueAt: row.due_at.toISOString(),
    closedAt: row.closed_at?.toISOString() ?? null,
    snapshotHash: row.snapshot_hash.toString('hex'),
    items: Number(progress?.items ?? 0),
    undecided: Number(progress?.undecided ?? 0),
    removed: Number(progress?.removed ?? 0),
    unproven: Number(progress?.unproven ?? 0),
    stillThere: Number(progress?.still_there ?? 0),
  };
}

async function progressBy(deps: AccessReviewDeps, { tenant: context }: Caller): Promise<Map<Uuid, Progress>> {
  const rows = await deps.tenant.scoped(context, queries.progressOf(context));
  return new Map(rows.map((row) => [row.review_id, row]));
}

/** Reviews of the caller's tenant, newest first, and whether there is one each quarter. */
export async function listReviews(deps: AccessReviewDeps, caller: Caller) {
  const context = caller.tenant;
  const rows = await deps.tenant.scoped(context, queries.listReviews(context));
  const progress = await progressBy(deps, caller);
  const labels = await labelsOf(
    deps,
    caller,
    rows.flatMap(({ opened_by }) => opened_by ?? []),
  );
  const [setting] = await deps.tenant.scoped(context, queries.settingOf(context));
  const managers = await deps.tenant.transaction(context, (tx) => tx.query(lockManagers(context.tenantId)));
  const isMandatory = caller.tenantKind === 'operator';
  return {
    reviews: rows.map((row) => summary(deps, caller, { row, progress: progress.get(row.id), labels })),
    eachQuarter: isMandatory || setting?.each_quarter === true,
    isMandatory,
    managers: managers.length,
  };
}

interface Words {
  readonly labels: Labels;
  readonly programs: ReadonlyMap<Uuid, string>;
  readonly connections: ReadonlyMap<Uuid, string>;
}

function nameOf({ kind, holder, of }: FrozenItem, { labels, programs, connections }: Words): string {
  const person = holder === null ? '' : (labels.get(holder) ?? '');
  if (kind === 'program') return [of === null ? undefined : programs.get(of), person].filter(Boolean).join(', for ');
  if (kind === 'directory-token') return (of === null ? undefined : connections.get(of)) ?? 'a connection that is gone';
  return person;
}

/** Ids say nothing to a person: of what has come, its kind. */
function wordOf(growth: string): string {
  if (growth.startsWith('holds ')) return 'key or program';
  return growth.startsWith('connection ') ? 'connection' : growth;
}

function shownItem(
  compared: Compared,
  of: {
    readonly frozen: FrozenItem;
    readonly row: ItemRow;
    readonly caller: Caller;
    readonly words: Words;
    readonly reason: string | null;
  },
): ReviewItem {
  const { frozen, row, caller, words, reason } = of;
  const growth = compared.growth.get(frozen.n);
  const {
    target: _target,
    holder: _holder,
    holds,
    connections,
    passkeys: _passkeys,
    of: _of,
    office: _office,
    ...shown
  } = frozen;
  return {
    ...shown,
    reason,
    name: nameOf(frozen, words),
    isOwn: isOwn(frozen, caller),
    connections: connections.length,
    holds: holds.length,
    isGone: growth === undefined,
    growth: (growth ?? []).map(wordOf),
    grown: growthHash(growth ?? []).toString('hex'),
    decision: row.decision,
    decidedBecause: row.decided_because,
    decidedBy: row.decided_by === null ? null : (words.labels.get(row.decided_by) ?? ''),
    decidedAt: row.decided_at?.toISOString() ?? null,
    newRole: row.new_role,
    carriedOutAt: row.carried_out_at?.toISOString() ?? null,
    lookedAt: row.looked_at?.toISOString() ?? null,
    proof: row.proof,
  };
}

async function wordsFor(deps: AccessReviewDeps, caller: Caller, compared: Compared): Promise<Words> {
  const { row, items, snapshot } = compared;
  const people = [
    ...items.flatMap((item) => [item.holder_id ?? [], item.decided_by ?? []].flat()),
    row.opened_by ?? [],
  ];
  const connections = new Map<Uuid, string>();
  for (const { kind, of } of snapshot.items)
    if (kind === 'directory-token' && of !== null)
      connections.set(of, (await connectionName(deps, caller.tenant, of)) ?? 'a connection that is gone');
  return {
    labels: await labelsOf(deps, caller, people.flat()),
    programs: new Map((await listClients(deps, caller.tenant)).map(({ id, name }) => [id, name])),
    connections,
  };
}

/** One review with all its items, and what has changed since. Throws `not_found`, `access_review_tampered`. */
export async function readReview(deps: AccessReviewDeps, caller: Caller, id: Uuid) {
  const compared = await compare(deps, tenantOf(caller), id);
  const { row, snapshot, items } = compared;
  const words = await wordsFor(deps, caller, compared);
  const given = items.filter(({ reason }) => reason !== null);
  const texts = await deps.sealer.openNames({
    context: caller.tenant,
    values: given.map((item) => ({
      field: 'identity.access_review_item.reason',
      rowId: item.id,
      sealed: item.reason!,
    })),
  });
  const reasons = new Map(given.map((item, index) => [item.position, texts[index]!]));
  const byNumber = new Map(items.map((item) => [item.position, item]));
  return {
    review: summary(deps, caller, {
      row,
      progress: (await progressBy(deps, caller)).get(id),
      labels: words.labels,
    }),
    operations: snapshot.operations,
    access: snapshot.access,
    rules: snapshot.rules === undefined ? null : { ...snapshot.rules, versionNow: compared.rules.version },
    items: snapshot.items.map((frozen) =>
      shownItem(compared, {
        frozen,
        row: byNumber.get(frozen.n)!,
        caller,
        words,
        reason: reasons.get(frozen.n) ?? null,
      }),
    ),
  };
}
