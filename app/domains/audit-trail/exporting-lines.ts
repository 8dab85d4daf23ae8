import { Readable } from 'node:stream';
import { uuidV4, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { BUNDLE_ENTRIES_MAX, leafHash } from '@auditrax/tlog';
import { auditFromCall, toOcsf } from '../../platform/audit/index.ts';
import { stepUpAction } from '../access/index.ts';
import { EXPORT_LINES_MAX } from './contract.ts';
import { refuse } from './errors.ts';
import { csvHead, csvLine } from './lines.ts';
import { entriesLeft } from './narrowed.ts';
import type { Asker, AuditTrailDeps, SteppingAsker } from './ports.ts';
import * as queries from './queries.ts';
import { filterFrom, knownLog, readLeaf, spanOf, type AskedFilter, type KnownLog } from './searching.ts';

/** Leaves read at once (4 KiB each at most). */
const LEAVES_PER_READ_MAX = 500;

const LIMITS = { entriesMax: EXPORT_LINES_MAX, bundleMax: BUNDLE_ENTRIES_MAX };

export type LineFormat = 'csv' | 'ocsf';

/** The export as it was asked for; `asked` is what the passkey signs, word for word. */
export interface LinesInput {
  readonly format: LineFormat;
  readonly filter: AskedFilter;
  readonly person: Uuid | undefined;
  /** Size of the log that the preview counted. */
  readonly upTo: number;
  readonly asked: Readonly<Record<string, string | number | undefined>>;
}

const LOOKS: Readonly<Record<LineFormat, { readonly type: string; readonly extension: string }>> = {
  csv: { type: 'text/csv; charset=utf-8', extension: 'csv' },
  ocsf: { type: 'application/x-ndjson', extension: 'ocsf.jsonl' },
};

interface Counted {
  readonly entries: number;
  readonly complete: boolean;
  readonly lines: queries.Lines;
  readonly first: number | null;
  readonly last: number | null;
}

async function countLines(
  deps: AuditTrailDeps,
  context: TenantContext,
  { filter, log, upTo }: { filter: queries.Filter; log: KnownLog; upTo: number },
): Promise<Counted> {
  const { before, least } = await spanOf(deps, context, { cursor: undefined, filter });
  const { generation } = log;
  const lines = {
    generation,
    filter,
    least: least.generation === generation ? least.index : 0,
    before: before.generation === generation ? Math.min(before.index, upTo) : before.generation > generation ? upTo : 0,
  };
  const limit = EXPORT_LINES_MAX + 1;
  const [found] = await deps.door.scoped(context, queries.countMatches(context, { ...lines, limit }));
  const entries = Number(found?.entries ?? 0);
  return {
    entries: Math.min(entries, EXPORT_LINES_MAX),
    complete: entries < limit,
    lines,
    first: found?.first == null ? null : Number(found.first),
    last: found?.last == null ? null : Number(found.last),
  };
}

/** What an export would hold, without making one. */
export function linesPreview(deps: AuditTrailDeps) {
  return async ({ caller }: Asker, { filter, person }: Pick<LinesInput, 'filter' | 'person'>) => {
    const log = await knownLog(deps, caller.tenant);
    if (log === null) return { ...LIMITS, entries: 0, complete: true, upTo: 0, first: null, last: null };
    const counted = await countLines(deps, caller.tenant, {
      filter: filterFrom(filter, person),
      log,
      upTo: log.size,
    });
    const { entries, complete, first, last } = counted;
    return { ...LIMITS, entries, complete, upTo: log.size, first, last };
  };
}

async function* textOf(
  deps: AuditTrailDeps,
  asker: Asker,
  { format, lines, log }: { format: LineFormat; lines: queries.Lines; log: KnownLog },
): AsyncGenerator<string> {
  const context = asker.caller.tenant;
  if (format === 'csv') yield csvHead();
  const batches = deps.door.stream(context, queries.matchesInOrder(context, lines), { batchRows: LEAVES_PER_READ_MAX });
  for await (const rows of batches) {
    yield (await entriesLeft(deps, asker, rows))
      .map(({ idx, leaf }) => {
        const place = { index: Number(idx), leafHash: leafHash(leaf) };
        if (format === 'csv') return csvLine({ ...place, leaf: readLeaf(leaf) });
        const { tenantId } = context;
        return `${JSON.stringify(toOcsf(leaf, { tenantId, origin: log.origin, ...place }))}\n`;
      })
      .join('');
  }
}

/** The entry stands in the signed log before the first byte leaves. What was looked for may name a person: withheld. */
async function logExport(
  deps: AuditTrailDeps,
  asker: SteppingAsker,
  { input, counted, assertionHash }: { input: LinesInput; counted: Counted; assertionHash: string },
): Promise<void> {
  const { caller, requestId } = asker;
  const { entryId } = await deps.door.transaction(caller.tenant, (tx) =>
    deps.recordAudit(tx, {
      type: 'audit-trail.lines-exported',
      ...auditFromCall({ caller, requestId }),
      resource: ['export', uuidV4(deps.random)],
      outcome: 'allowed',
      stepUpHash: assertionHash,
      public: { format: input.format, entries: counted.entries, upTo: input.upTo },
      disclosures: { filter: JSON.stringify(input.filter) },
    }),
  );
  await deps.ledger.receipt({ tenantId: caller.tenant.tenantId, entryId });
}

/**
 * Every sealed entry that matches and that rules leave the asker (the preview counts the others too), oldest first, as CSV
 * or as OCSF events, one a line. The same filter, size of the log and rules give the same bytes. Throws `export_empty`, `export_too_large`, `export_period_invalid`,
 * `range_invalid`, and what the step-up and the ledger throw; then nothing has left.
 */
export function linesExporter(deps: AuditTrailDeps) {
  return async (asker: SteppingAsker, input: LinesInput) => {
    const context = asker.caller.tenant;
    const { assertionHash } = await asker.stepUp(stepUpAction(asker.caller, 'audit-trail.export-lines', input.asked));
    const filter = filterFrom(input.filter, input.person);
    const log = await knownLog(deps, context);
    if (log === null) throw refuse('export_empty', 'the log is empty');
    if (input.upTo > log.size) throw refuse('range_invalid', `the log has ${log.size} entries`);
    const counted = await countLines(deps, context, { filter, log, upTo: input.upTo });
    if (counted.entries === 0) throw refuse('export_empty', 'no sealed entries match');
    if (!counted.complete)
      throw refuse('export_too_large', `more than ${EXPORT_LINES_MAX} entries match; a file holds as many`);
    await logExport(deps, asker, { input, counted, assertionHash });
    const { type, extension } = LOOKS[input.format];
    return {
      content: Readable.from(textOf(deps, asker, { format: input.format, lines: counted.lines, log })),
      type,
      fileName: `auditrax-trail-${input.upTo}.${extension}`,
    };
  };
}
