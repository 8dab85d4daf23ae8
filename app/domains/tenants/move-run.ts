import { AppError, type Uuid } from '@auditrax/base';
import type { IdentityDeps } from '../identity/index.ts';
import { certificateDigest } from './certificate.ts';
import { operatorTenant, subjectById, type SubjectRow } from './deletion-queries.ts';
import { contextOf } from './deletion.ts';
import * as queries from './move-queries.ts';
import type { MoveRow } from './move-queries.ts';
import { moveFacts, nextMoveState } from './moving.ts';
import type { MoveReport, Placer } from './placer.ts';

export type MoveRunDeps = Pick<IdentityDeps, 'tenant' | 'system' | 'recordAudit' | 'clock' | 'random'> & {
  readonly placer: Pick<Placer, 'move'>;
  readonly newRequestId: () => string;
};

/** Moves taken up in one round; they run one after the other, each is told in the operator's log. */
const MOVES_PER_ROUND_MAX = 20;
const FAILURE_CHARACTERS_MAX = 500;
/** The set-up process was lost at a moment when nobody knows how far it had come. */
const UNFINISHED: ReadonlySet<string> = new Set(['relocation_unfinished', 'setup_failed']);
const ISSUER = { service: 'issuer' } as const;

/**
 * Carries out every move that waits, and those that a crash cut off. Resolves with how many ended; a move that fails is
 * recorded as such and does not keep the next from its turn.
 */
export async function runOpenMoves(deps: MoveRunDeps): Promise<number> {
  const [operator] = await deps.system.system(operatorTenant());
  if (operator === undefined) return 0;
  const context = contextOf(operator, deps.newRequestId());
  const open = await deps.tenant.scoped(context, queries.openMoves(operator.id, MOVES_PER_ROUND_MAX));
  for (const row of open) await runMove(deps, operator, row);
  return open.length;
}

async function runMove(deps: MoveRunDeps, operator: SubjectRow, row: MoveRow): Promise<void> {
  const [subject] = await deps.system.system(subjectById(row.subject_id));
  if (subject === undefined) return;
  const facts = moveFacts(
    subject,
    { kind: row.from_kind, region: row.from_region },
    { kind: row.to_kind, region: row.to_region },
  );
  const step = stepOf(deps, operator, row.id);
  if (!(await step('begin', { type: 'tenant.move-begun', facts }))) return;
  let report: MoveReport;
  try {
    const place = { kind: row.to_kind, region: row.to_region };
    report = await deps.placer.move({ moveId: row.id, tenantId: subject.id, place });
  } catch (error) {
    // Asked for again in the next round: the tenant must not be left between two places.
    if (error instanceof AppError && UNFINISHED.has(error.code)) return;
    const isStopped = error instanceof AppError && error.code === 'move_stopped';
    const code = error instanceof AppError ? error.code : 'unexpected';
    const failure = isStopped ? undefined : (error as Error).message.slice(0, FAILURE_CHARACTERS_MAX);
    await step(isStopped ? 'stop' : 'fail', {
      type: isStopped ? 'tenant.move-stopped' : 'tenant.move-failed',
      facts: { ...facts, ...(isStopped ? {} : { code }) },
      ...(failure === undefined ? {} : { failure }),
    });
    return;
  }
  const proofSha256 = certificateDigest(report.proof);
  const told = {
    ...facts,
    rows: rowsOf(report),
    files: report.proof['files']?.rows ?? 0,
    frozenMs: report.frozenMs,
    proofSha256,
  };
  // First where the tenant's own people read it, in the new place: it is the proof that the place takes entries.
  await tellTenant(deps, subject, told);
  await step('finish', { type: 'tenant.moved', facts: told, report });
}

const rowsOf = ({ proof: { files: _files, ...tables } }: MoveReport): number =>
  Object.values(tables).reduce((sum, { rows }) => sum + rows, 0);

interface Step {
  readonly type: 'tenant.move-begun' | 'tenant.move-stopped' | 'tenant.move-failed' | 'tenant.moved';
  readonly facts: Readonly<Record<string, string | number>>;
  readonly report?: MoveReport;
  readonly failure?: string;
}

/** Writes one step with its entry in the operator's log; false when the move had ended meanwhile. */
function stepOf(deps: MoveRunDeps, operator: SubjectRow, id: Uuid) {
  const context = contextOf(operator, deps.newRequestId());
  const at = { tenantId: operator.id, id };
  return (event: 'begin' | 'stop' | 'fail' | 'finish', step: Step): Promise<boolean> =>
    deps.tenant.transaction(context, async (tx) => {
      const [found] = await tx.query(queries.moveForUpdate(operator.id, id));
      if (found === undefined || found.ended_at !== null) return false;
      const state = nextMoveState(found.state, event);
      if (found.state === state) return true; // taken up again: nothing is told twice
      const now = new Date(deps.clock.nowMs());
      await tx.query(
        event === 'begin'
          ? queries.setMoveState(at, state)
          : queries.endMove(at, {
              state,
              now,
              proof: step.report === undefined ? null : JSON.stringify(step.report.proof),
              frozenMs: step.report?.frozenMs ?? null,
              failure: step.failure ?? null,
            }),
      );
      await deps.recordAudit(tx, {
        type: step.type,
        actor: ISSUER,
        resource: ['move', id],
        outcome: event === 'fail' ? 'failed' : 'allowed',
        requestId: context.requestId,
        public: { ...step.facts },
      });
      return true;
    });
}

async function tellTenant(
  deps: MoveRunDeps,
  subject: SubjectRow,
  facts: Readonly<Record<string, string | number>>,
): Promise<void> {
  const context = contextOf(subject, deps.newRequestId());
  await deps.tenant.transaction(context, (tx) =>
    deps.recordAudit(tx, {
      type: 'tenant.moved',
      actor: ISSUER,
      resource: ['tenant', subject.id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { ...facts },
    }),
  );
}
