import { AppError, uuidV4, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import {
  BUNDLE_ENTRIES_MAX,
  BUNDLE_EPOCHS_MAX,
  BUNDLE_HANDOVERS_MAX,
  beginBundle,
  completeBundle,
  consistencyNeeds,
  erasedDigests,
  fromBase64,
  KEY_ROTATED_TYPE,
  leafObject,
  parseCheckpointText,
  parseNote,
  PERSON_ERASED_TYPE,
  verifierScript,
  type BundleBase,
  type BundleProofs,
  type EpochEvidence,
  type LogProof,
} from '@auditrax/tlog';
import { auditFromCall, PROOFS_PER_CALL_MAX } from '../../platform/audit/index.ts';
import { stepUpAction } from '../access/index.ts';
import { readApprovals } from './approvals.ts';
import { packBundle } from './bundle-file.ts';
import type { AuditTrailCode } from './errors.ts';
import { requireWhole } from './narrowed.ts';
import type { AuditTrailDeps, SteppingAsker } from './ports.ts';
import * as queries from './queries.ts';

const DAY_MS = 86_400_000;
/** Erasures and changes of the key that are looked through for one bundle; an erasure is an entry, not a value. */
const RELATED_ENTRIES_MAX = 2000;
/** Leaves read at once (4 KiB each at most). */
const LEAVES_PER_READ_MAX = 500;

// Read while the program's folder can still be read: a service may lose that right when it drops its privileges.
verifierScript();

export interface Period {
  /** First and last day, UTC, both included. */
  readonly from: string;
  readonly to: string;
}

export interface ExportedBundle {
  readonly zip: Uint8Array;
  readonly fileName: string;
}

function refuse(code: AuditTrailCode, message: string): AppError<AuditTrailCode> {
  return new AppError<AuditTrailCode>(code, message, { publicDetail: message });
}

interface Range {
  readonly generation: number;
  readonly from: number;
  readonly to: number;
}

/** Every sealed entry of the period, as the shortest unbroken range of the log that holds them. */
async function findRange(
  deps: AuditTrailDeps,
  context: TenantContext,
  period: Period,
): Promise<Range & { origin: string; verifierKey: string }> {
  const fromMs = Date.parse(`${period.from}T00:00:00Z`);
  const toMs = Date.parse(`${period.to}T00:00:00Z`) + DAY_MS;
  if (!(fromMs < toMs)) throw refuse('export_period_invalid', 'the first day is after the last');
  const { origin, size, verifierKey } = await deps.ledger.checkpoint(context.tenantId);
  const generation = Number(origin.slice(origin.lastIndexOf('/') + 1));
  const [found] = await deps.door.scoped(context, queries.rangeOfPeriod(context, { generation, fromMs, toMs, size }));
  if (found?.first == null || found.last === null) throw refuse('export_empty', 'no sealed entries in this period');
  const from = Number(found.first);
  const to = Number(found.last) + 1;
  if (to - from > BUNDLE_ENTRIES_MAX)
    throw refuse('export_too_large', `${to - from} entries; a bundle holds ${BUNDLE_ENTRIES_MAX}`);
  return { generation, from, to, origin, verifierKey };
}

async function readLeaves(deps: AuditTrailDeps, context: TenantContext, range: Range): Promise<Uint8Array[]> {
  const leaves: Uint8Array[] = [];
  const batches = deps.door.stream(context, queries.leavesOfRange(context, range), { batchRows: LEAVES_PER_READ_MAX });
  for await (const rows of batches) leaves.push(...rows.map((row) => row.leaf));
  if (leaves.length !== range.to - range.from)
    throw new AppError('internal', `the log has a gap between ${range.from} and ${range.to}`);
  return leaves;
}

/** Later erasures of values in the range, and changes of the log's key: without them a reader would misread it. */
async function readRelated(
  deps: AuditTrailDeps,
  context: TenantContext,
  { range, leaves }: { range: Range; leaves: readonly Uint8Array[] },
): Promise<Map<number, Uint8Array>> {
  const rows = await deps.door.scoped(
    context,
    queries.entriesOutside(context, {
      ...range,
      types: [PERSON_ERASED_TYPE, KEY_ROTATED_TYPE],
      limit: RELATED_ENTRIES_MAX,
    }),
  );
  const named = new Set(leaves.flatMap((leaf) => leafObject(leaf)['_sd'] ?? []));
  const needed = rows.filter(({ leaf }) => {
    const erased = erasedDigests(leaf);
    return erased.length === 0 || erased.some((digest) => named.has(digest));
  });
  return new Map(needed.map(({ idx, leaf }) => [Number(idx), leaf]));
}

/**
 * Epochs that bracket the range. Read before the export is logged, so that its entry covers them too. While the
 * super-log has not seen the range, the bundle is valid and unwitnessed.
 */
async function readEpochs(
  deps: AuditTrailDeps,
  context: TenantContext,
  range: Range & { origin: string },
): Promise<readonly EpochEvidence[]> {
  const { from, to, origin } = range;
  const epochs = await deps.ledger.epochs({ tenantId: context.tenantId, from, to });
  const own = epochs.filter(
    ({ checkpoint }) => parseCheckpointText(parseNote(checkpoint)?.text ?? '')?.origin === origin,
  );
  return own.sort((a, b) => a.index - b.index).slice(-BUNDLE_EPOCHS_MAX);
}

/** The entry stands in the signed log before the first byte of the bundle leaves. */
async function logExport(
  deps: AuditTrailDeps,
  asker: SteppingAsker,
  {
    period,
    base,
    assertionHash,
    approvals,
  }: { period: Period; base: BundleBase; assertionHash: string; approvals: number },
): Promise<{ entryId: Uuid; index: number }> {
  const { caller, requestId } = asker;
  const { entryId } = await deps.door.transaction(caller.tenant, (tx) =>
    deps.recordAudit(tx, {
      type: 'audit-trail.exported',
      ...auditFromCall({ caller, requestId }),
      resource: ['export', uuidV4(deps.random)],
      outcome: 'allowed',
      stepUpHash: assertionHash,
      public: {
        bundle: base.digest,
        from: base.manifest.from,
        to: base.manifest.to,
        periodFrom: period.from,
        periodTo: period.to,
        approvals,
      },
    }),
  );
  const { index } = await deps.ledger.receipt({ tenantId: caller.tenant.tenantId, entryId });
  return { entryId, index };
}

async function proofsFor(
  deps: AuditTrailDeps,
  tenantId: Uuid,
  at: { size: number; indexes: readonly number[] },
): Promise<Uint8Array[][]> {
  const proofs: Uint8Array[][] = [];
  for (let first = 0; first < at.indexes.length; first += PROOFS_PER_CALL_MAX) {
    const indexes = at.indexes.slice(first, first + PROOFS_PER_CALL_MAX);
    const page = await deps.ledger.proofs({ tenantId, size: at.size, indexes });
    proofs.push(...page.map((proof) => proof.map((hash) => fromBase64(hash)!)));
  }
  return proofs;
}

/** Everything that is proven to one checkpoint: the newest, read once, so that no two sizes can be mixed. */
async function proveBundle(
  deps: AuditTrailDeps,
  context: TenantContext,
  { base, exported }: { base: BundleBase; exported: { entryId: Uuid; index: number } },
): Promise<BundleProofs> {
  const { tenantId } = context;
  const [own] = await deps.door.scoped(context, queries.entryById(context, exported.entryId));
  const { size, note } = await deps.ledger.checkpoint(tenantId);
  const { from, to } = base.manifest;
  const indexes = Array.from({ length: to - from }, (_, at) => from + at);
  const proofs = await proofsFor(deps, tenantId, { size, indexes: [...indexes, ...base.related, exported.index] });
  const handovers = await readHandovers(deps, tenantId, size);
  const also = handovers.map(({ checkpoint }) => parseCheckpointText(parseNote(checkpoint)!.text)!.size);
  const consistency = [];
  for (const need of consistencyNeeds(base, { size, also })) {
    const proof = await deps.ledger.consistency({ tenantId, ...need });
    consistency.push({ ...need, proof: proof.map((hash) => fromBase64(hash)!) });
  }
  return {
    checkpoint: note,
    proofs: proofs.slice(0, indexes.length),
    relatedProofs: proofs.slice(indexes.length, -1),
    exported: { leaf: own!.leaf, index: exported.index, proof: proofs.at(-1)! },
    consistency,
    handovers,
  };
}

/** For whoever trusts an older key of the log, or only the newest: how one led to the other. */
async function readHandovers(deps: AuditTrailDeps, tenantId: Uuid, size: number): Promise<LogProof[]> {
  const changes = await deps.ledger.keyChanges(tenantId);
  const proofs = changes.map(({ note, leaf, index, proof }) => ({
    extra: Buffer.from(leaf, 'base64'),
    index,
    proof: proof.map((hash) => fromBase64(hash)!),
    checkpoint: note,
  }));
  // One of a moment ago may stand under a checkpoint that is newer than the bundle's.
  return proofs
    .filter(({ checkpoint }) => (parseCheckpointText(parseNote(checkpoint)?.text ?? '')?.size ?? 0) <= size)
    .slice(-BUNDLE_HANDOVERS_MAX);
}

/**
 * Makes a bundle that is verified offline: entries of a period, each with its proof to one signed checkpoint, and the
 * log's own entry about this export, which names the digest of everything in it. What was approved with a passkey goes
 * along, for whoever may open it; all other confidential values go as digests only. Throws `export_period_invalid`, `export_empty`, `export_too_large`, `export_narrowed`, and what the step-up and the ledger
 * throw.
 */
export function trailExporter(deps: AuditTrailDeps) {
  return async (asker: SteppingAsker, period: Period): Promise<ExportedBundle> => {
    const context = asker.caller.tenant;
    const { assertionHash } = await asker.stepUp(
      stepUpAction(asker.caller, 'audit-trail.export', { from: period.from, to: period.to }),
    );
    const range = await findRange(deps, context, period);
    const leaves = await readLeaves(deps, context, range);
    await requireWhole(
      deps,
      asker,
      leaves.map((leaf) => ({ leaf })),
    );
    const approvals = await readApprovals(deps, asker, { range, leaves });
    const base = await beginBundle({
      origin: range.origin,
      from: range.from,
      leaves,
      verifierKey: range.verifierKey,
      title: `Audit trail, ${period.from} to ${period.to}`,
      epochs: await readEpochs(deps, context, range),
      witnesses: (await deps.ledger.witnessing()).policy ?? undefined,
      related: new Map([...(await readRelated(deps, context, { range, leaves })), ...approvals.registrations]),
      disclosures: approvals.lines,
    });
    const exported = await logExport(deps, asker, {
      period,
      base,
      assertionHash,
      approvals: approvals.lines.size,
    });
    const files = completeBundle(base, await proveBundle(deps, context, { base, exported }));
    return { zip: packBundle(files), fileName: `auditrax-proof-${period.from}-${period.to}.zip` };
  };
}
