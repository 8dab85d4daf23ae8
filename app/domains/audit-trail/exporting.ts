import { AppError, uuidV4, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import {
  BUNDLE_ENTRIES_MAX,
  beginBundle,
  completeBundle,
  fromBase64,
  verifierScript,
  type BundleBase,
} from '@auditrax/tlog';
import { PROOFS_PER_CALL_MAX } from '../../platform/audit/index.ts';
import { stepUpAction } from '../access/index.ts';
import { packBundle } from './bundle-file.ts';
import type { AuditTrailCode } from './errors.ts';
import type { AuditTrailDeps, SteppingAsker } from './ports.ts';
import * as queries from './queries.ts';

const DAY_MS = 86_400_000;
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

/** The entry stands in the signed log before the first byte of the bundle leaves. */
async function logExport(
  deps: AuditTrailDeps,
  asker: SteppingAsker,
  { period, base, assertionHash }: { period: Period; base: BundleBase; assertionHash: string },
): Promise<{ entryId: Uuid; index: number }> {
  const { caller, requestId } = asker;
  const { entryId } = await deps.door.transaction(caller.tenant, (tx) =>
    deps.recordAudit(tx, {
      type: 'audit-trail.exported',
      actor: { personId: caller.personId, sessionId: caller.sessionId },
      resource: ['export', uuidV4(deps.random)],
      outcome: 'allowed',
      tokenHash: caller.tokenHash,
      stepUpHash: assertionHash,
      requestId,
      public: {
        bundle: base.digest,
        from: base.manifest.from,
        to: base.manifest.to,
        periodFrom: period.from,
        periodTo: period.to,
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

/**
 * Makes a bundle that is verified offline: entries of a period, each with its proof to one signed checkpoint, and the
 * log's own entry about this export, which names the digest of everything in it. Confidential values go along as
 * digests only. Throws `export_period_invalid`, `export_empty`, `export_too_large`, and what the step-up and the ledger
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
    const title = `Audit trail, ${period.from} to ${period.to}`;
    const base = await beginBundle({
      origin: range.origin,
      from: range.from,
      leaves,
      verifierKey: range.verifierKey,
      title,
    });
    const { entryId, index } = await logExport(deps, asker, { period, base, assertionHash });
    const [own] = await deps.door.scoped(context, queries.entryById(context, entryId));
    const { size, note } = await deps.ledger.checkpoint(context.tenantId);
    const indexes = [...leaves.keys()].map((at) => range.from + at);
    const proofs = await proofsFor(deps, context.tenantId, { size, indexes: [...indexes, index] });
    const exported = { leaf: own!.leaf, index, proof: proofs.pop()! };
    const files = completeBundle(base, { checkpoint: note, proofs, exported });
    return { zip: packBundle(files), fileName: `auditrax-proof-${period.from}-${period.to}.zip` };
  };
}
