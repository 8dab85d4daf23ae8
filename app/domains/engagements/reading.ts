import type { Uuid } from '@auditrax/base';
import type { Statement, TenantContext } from '@auditrax/tenancy';
import type { Criterion, EngagementDetail, EngagementSummary, Progress, Result } from './contract.ts';
import { readStanding } from '../rules/index.ts';
import { enterEngagement, notFound, permitEngagement, withRecordedDenials } from './gate.ts';
import type { Catalogue, CatalogueCriterion } from './oscal.ts';
import type { Asker, EngagementDeps } from './ports.ts';
import {
  countProgress,
  BEYOND_ALL_IDS,
  ENGAGEMENT_COLUMNS,
  listCriteria,
  listEngagements,
  listHistory,
  listResultsInForce,
  readCriterion,
  readEngagement,
  type CriterionRow,
  type EngagementRow,
  type ProgressCell,
  type ResultRow,
} from './queries.ts';
import { createListSampler, type ListSampler } from './sampler.ts';
import type { SealedEngagementField } from './sealed-fields.ts';

/** Above every UUID of version 7: where the first page of a newest-first list begins. */
/** Sealed criteria are opened this many at a time while searching, so that a search never holds all of them. */
const SEARCH_BATCH_ROWS = 200;
/** Results of one criterion that are shown at once; more than this many is a machine's doing. */
const HISTORY_RESULTS_MAX = 200;

type ReadDeps = Pick<EngagementDeps, 'door' | 'sealer' | 'policy' | 'rules' | 'attempts' | 'formatId'>;

/** The verbs that only look. Errors: `not_found`. */
export interface EngagementReader {
  list(
    who: Asker,
    page: { before: Uuid | undefined; limit: number },
  ): Promise<{ engagements: EngagementSummary[]; nextCursor: string | null }>;
  read(who: Asker, engagementId: Uuid): Promise<EngagementDetail>;
  criteria(who: Asker, page: CriteriaPage): Promise<{ criteria: Criterion[]; nextCursor: number | null }>;
  criterion(who: Asker, key: { engagementId: Uuid; criterionId: Uuid }): Promise<Criterion & { history: Result[] }>;
}

export interface CriteriaPage {
  readonly engagementId: Uuid;
  readonly from: number;
  readonly limit: number;
  readonly group: number | undefined;
  readonly search: string | undefined;
}

const EMPTY: Progress = { total: 0, satisfied: 0, notSatisfied: 0, notApplicable: 0, open: 0 };

const COUNTED_AS = {
  satisfied: 'satisfied',
  'not-satisfied': 'notSatisfied',
  'not-applicable': 'notApplicable',
} as const;

function progressOf(cells: readonly ProgressCell[]): Progress {
  const sum = { ...EMPTY };
  for (const [, outcome, criteria] of cells) {
    sum.total += criteria;
    sum[outcome === null ? 'open' : COUNTED_AS[outcome]] += criteria;
  }
  return sum;
}

/** The sealed words of rows, opened as one set; in order. */
async function summariesOf(
  deps: ReadDeps,
  context: TenantContext,
  items: readonly { row: EngagementRow; progress: readonly ProgressCell[] }[],
): Promise<EngagementSummary[]> {
  const values = items.flatMap(({ row }) => [
    sealedText('app.engagement.title', row.id, row.title),
    sealedText('app.engagement.client_name', row.id, row.client_name),
  ]);
  const words = await deps.sealer.openTexts({ context, values });
  return items.map((item, index) =>
    summaryOf(deps, context, { ...item, title: words[2 * index]!, clientName: words[2 * index + 1]! }),
  );
}

function sealedText(field: SealedEngagementField, rowId: Uuid, sealed: Buffer) {
  return { field, rowId, sealed };
}

function summaryOf(
  deps: ReadDeps,
  context: TenantContext,
  opened: { row: EngagementRow; progress: readonly ProgressCell[]; title: string; clientName: string },
): EngagementSummary {
  const { row, progress, title, clientName } = opened;
  return {
    id: deps.formatId('eng', context, row.id),
    title,
    clientName,
    periodStart: row.period_start,
    periodEnd: row.period_end,
    state: row.state,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    progress: progressOf(progress),
  };
}

/** The rows of a page that the product's policies and the tenant's rules let the asker see. */
async function permittedRows(
  deps: ReadDeps,
  { caller }: Asker,
  page: { before: Uuid; limit: number },
): Promise<EngagementRow[]> {
  const context = caller.tenant;
  const operation = 'engagements.list';
  const query = <Row>(statement: Statement<Row>): Promise<Row[]> => deps.door.scoped(context, statement);
  const [standing] = await query(readStanding(context, caller.personId));
  const narrowing = standing && (await deps.rules.narrowing({ query, caller, standing }));
  const scope = { type: 'Engagement', columns: ENGAGEMENT_COLUMNS, idColumn: 'e.id' };
  const filters = [deps.policy.filter(operation, caller, scope)];
  if (narrowing) filters.push(narrowing.filter(operation, ENGAGEMENT_COLUMNS));
  return query(listEngagements(context, { filters, ...page }));
}

async function list(
  { sampler, ...deps }: ReadDeps & { sampler: ListSampler },
  who: Asker,
  page: { before: Uuid | undefined; limit: number },
): Promise<{ engagements: EngagementSummary[]; nextCursor: string | null }> {
  const context = who.caller.tenant;
  const asked = { before: page.before ?? BEYOND_ALL_IDS, limit: page.limit + 1 };
  const rows = await permittedRows(deps, who, asked);
  sampler.look(who, {
    operation: 'engagements.list',
    page: asked,
    shown: async () => (await permittedRows(deps, who, asked)).map(({ id }) => id),
  });
  const shown = rows.slice(0, page.limit);
  if (shown.length === 0) return { engagements: [], nextCursor: null };
  const ids = shown.map((row) => row.id);
  const counted = await deps.door.scoped(context, countProgress(context, ids));
  const cells = Map.groupBy(counted, (row) => row.engagement_id);
  const engagements = await summariesOf(
    deps,
    context,
    shown.map((row) => ({
      row,
      progress: (cells.get(row.id) ?? []).map((item) => [0, item.outcome, item.criteria] as const),
    })),
  );
  return { engagements, nextCursor: rows.length > page.limit ? deps.formatId('ecu', context, shown.at(-1)!.id) : null };
}

async function read(deps: ReadDeps, who: Asker, engagementId: Uuid): Promise<EngagementDetail> {
  const context = who.caller.tenant;
  const operation = 'engagements.read';
  const query = <Row>(statement: Statement<Row>): Promise<Row[]> => deps.door.scoped(context, statement);
  const [row] = await query(readEngagement(context, { id: engagementId, personId: who.caller.personId }));
  if (row === undefined) throw notFound('engagement');
  await withRecordedDenials(deps, { who, operation, resource: ['engagement', engagementId] }, () =>
    permitEngagement({ ...deps, query }, who, { operation, row }),
  );
  const [[summary], sealedFacts] = await Promise.all([
    summariesOf(deps, context, [{ row, progress: row.progress }]),
    deps.sealer.openText({ context, field: 'app.engagement.catalogue', rowId: row.id, sealed: row.catalogue }),
  ]);
  const facts = JSON.parse(sealedFacts) as Omit<Catalogue, 'criteria'>;
  const cells = Map.groupBy(row.progress, ([groupIndex]) => groupIndex);
  return {
    ...summary!,
    catalogue: {
      title: facts.title,
      version: facts.version,
      oscalVersion: facts.oscalVersion,
      uuid: facts.uuid,
      sha256: facts.sha256,
    },
    groups: facts.groups.map(({ index, id, path }) => ({
      index,
      id,
      path: [...path],
      progress: progressOf(cells.get(index) ?? []),
    })),
    contacts: row.contact_ids.map((contact) => deps.formatId('mem', context, contact)),
    createdBy: deps.formatId('mem', context, row.created_by),
    finalisedAt: row.finalised_at?.toISOString() ?? null,
  };
}

async function resultsOf(deps: ReadDeps, context: TenantContext, rows: readonly ResultRow[]): Promise<Result[]> {
  const values = rows.map((row) => sealedText('app.result.note', row.id, row.note));
  const notes = await deps.sealer.openTexts({ context, values });
  return rows.map((row, index) => ({
    id: deps.formatId('res', context, row.id),
    outcome: row.outcome,
    note: notes[index]!,
    observedOn: row.observed_on,
    recordedAt: row.recorded_at.toISOString(),
    recordedBy: deps.formatId('mem', context, row.recorded_by),
    revision: row.revision,
  }));
}

type Content = Omit<CatalogueCriterion, 'groupIndex'>;
type OpenedCriterion = CriterionRow & { readonly opened: Content };

async function openCriteria(
  deps: ReadDeps,
  context: TenantContext,
  rows: readonly CriterionRow[],
): Promise<OpenedCriterion[]> {
  const values = rows.map((row) => sealedText('app.criterion.content', row.id, row.content));
  const texts = await deps.sealer.openTexts({ context, values });
  return rows.map((row, index) => ({ ...row, opened: JSON.parse(texts[index]!) as Content }));
}

function criterionOf(
  deps: ReadDeps,
  context: TenantContext,
  { row, result }: { row: OpenedCriterion; result: Result | null },
): Criterion {
  const { key, label, title, path, statement, guidance, parameters } = row.opened;
  return {
    id: deps.formatId('crt', context, row.id),
    position: row.position,
    key,
    label,
    title,
    groupIndex: row.group_index,
    path: [...path],
    statement,
    guidance,
    parameters: [...parameters],
    result,
  };
}

/** Every word must occur somewhere in what a person reads of the criterion. */
function matches(content: Content, words: readonly string[]): boolean {
  const text = [content.label, content.key, content.title, ...content.path, content.statement].join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

/**
 * Walks the sealed criteria in order until a page is full. The database cannot search what it cannot read, and an
 * engagement has at most 1,500 criteria, so a search opens them here.
 */
async function findCriteria(
  deps: ReadDeps,
  context: TenantContext,
  page: CriteriaPage,
): Promise<{ rows: OpenedCriterion[]; nextCursor: number | null }> {
  const words = (page.search ?? '')
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const wanted = page.limit + 1;
  const batch = words.length === 0 ? wanted : Math.max(SEARCH_BATCH_ROWS, wanted);
  const found: OpenedCriterion[] = [];
  let from = page.from;
  for (;;) {
    const statement: Statement<CriterionRow> = listCriteria(context, {
      engagementId: page.engagementId,
      from,
      group: page.group ?? null,
      limit: batch,
    });
    const rows = await deps.door.scoped(context, statement);
    const opened = await openCriteria(deps, context, rows);
    found.push(...opened.filter((row) => matches(row.opened, words)));
    if (found.length >= wanted || rows.length < batch) break;
    from = rows.at(-1)!.position + 1;
  }
  const beyond = found[page.limit];
  return { rows: found.slice(0, page.limit), nextCursor: beyond?.position ?? null };
}

async function criteria(
  deps: ReadDeps,
  who: Asker,
  page: CriteriaPage,
): Promise<{ criteria: Criterion[]; nextCursor: number | null }> {
  const context = who.caller.tenant;
  const about = { who, operation: 'engagements.criteria', engagementId: page.engagementId, hold: 'free' as const };
  const query = <Row>(statement: Statement<Row>): Promise<Row[]> => deps.door.scoped(context, statement);
  await withRecordedDenials(deps, { ...about, resource: ['engagement', page.engagementId] }, () =>
    enterEngagement(deps, { context, query }, about),
  );
  const { rows, nextCursor } = await findCriteria(deps, context, page);
  const criterionIds = rows.map((row) => row.id);
  const inForce =
    criterionIds.length === 0
      ? []
      : await query(listResultsInForce(context, { engagementId: page.engagementId, criterionIds }));
  const opened = await resultsOf(deps, context, inForce);
  const results = new Map<Uuid, Result>(inForce.map((row, index) => [row.criterion_id, opened[index]!]));
  return {
    criteria: rows.map((row) => criterionOf(deps, context, { row, result: results.get(row.id) ?? null })),
    nextCursor,
  };
}

async function criterion(
  deps: ReadDeps,
  who: Asker,
  key: { engagementId: Uuid; criterionId: Uuid },
): Promise<Criterion & { history: Result[] }> {
  const context = who.caller.tenant;
  const about = { who, operation: 'engagements.criterion', engagementId: key.engagementId, hold: 'free' as const };
  const query = <Row>(statement: Statement<Row>): Promise<Row[]> => deps.door.scoped(context, statement);
  await withRecordedDenials(deps, { ...about, resource: ['engagement', key.engagementId] }, () =>
    enterEngagement(deps, { context, query }, about),
  );
  const [row] = await openCriteria(deps, context, await query(readCriterion(context, key)));
  if (row === undefined) throw notFound('criterion');
  const rows = await query(listHistory(context, { ...key, limit: HISTORY_RESULTS_MAX }));
  const history = await resultsOf(deps, context, rows);
  return { ...criterionOf(deps, context, { row, result: history[0] ?? null }), history };
}

/** See `EngagementReader`. */
export function engagementReader(
  deps: ReadDeps & Pick<EngagementDeps, 'clock'>,
  sampler: ListSampler = createListSampler(deps),
): EngagementReader {
  return {
    list: (who, page) => list({ ...deps, sampler }, who, page),
    read: (who, engagementId) => read(deps, who, engagementId),
    criteria: (who, page) => criteria(deps, who, page),
    criterion: (who, key) => criterion(deps, who, key),
  };
}
