import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { Caller } from '../../platform/http/handler.ts';
import { closeSessionsOf, deleteLinksOf, issueLink, memberForUpdate, removePasskeysOf } from '../identity/index.ts';
import * as queries from './queries.ts';
import type { RecoveryRow } from './recovery-queries.ts';
import * as recoveries from './recovery-queries.ts';
import { refuse } from './refusals.ts';
import { auditOf, memberToChange, requireManager, type AccessDeps, type Asker } from './service.ts';
import type { StepUpSubject, StepUpSubjects } from './step-up-subject.ts';

const HOUR_MS = 60 * 60 * 1000;
/**
 * Between opening a recovery and its effect. Whoever talks an administrator into "I lost everything" gains nothing at once:
 * the real person has a working day to sign in, which ends it, and every administrator sees it meanwhile. The database
 * demands the same.
 */
export const RECOVERY_DELAY_MS = 24 * HOUR_MS;
/** What nobody has finished by then was forgotten, and is opened anew by somebody who means it. */
export const RECOVERY_OPEN_MS_MAX = 7 * 24 * HOUR_MS;
const RECOVERIES_SHOWN_MAX = 50;
const MANAGERS: ReadonlySet<Caller['role']> = new Set(['lead', 'operator']);

export type RecoveryState = 'waiting' | 'due' | 'lapsed' | NonNullable<RecoveryRow['outcome']>;

/** A recovery as it stands at `nowMs`. */
export function stateOf(row: Pick<RecoveryRow, 'outcome' | 'due_at' | 'opened_at'>, nowMs: number): RecoveryState {
  if (row.outcome !== null) return row.outcome;
  if (nowMs > row.opened_at.getTime() + RECOVERY_OPEN_MS_MAX) return 'lapsed';
  return nowMs >= row.due_at.getTime() ? 'due' : 'waiting';
}

export interface Recovery extends RecoveryRow {
  readonly state: RecoveryState;
  readonly label: string;
  readonly openedByLabel: string;
}

/** Recoveries of the tenant for those who manage it, newest first; anybody else sees their own. */
export async function listRecoveries(deps: AccessDeps, caller: Caller): Promise<Recovery[]> {
  const { tenant: context } = caller;
  const found = await deps.tenant.scoped(context, recoveries.listRecoveries(context.tenantId, RECOVERIES_SHOWN_MAX));
  const rows = found.filter((row) => MANAGERS.has(caller.role) || row.member_id === caller.personId);
  return rows.length === 0 ? [] : withLabels(deps, caller, rows);
}

async function withLabels(deps: AccessDeps, caller: Caller, rows: readonly RecoveryRow[]): Promise<Recovery[]> {
  const { tenant: context } = caller;
  const labels = new Map<Uuid, string>();
  for (const id of new Set(rows.flatMap((row) => [row.member_id, row.opened_by]))) {
    const [member] = await deps.tenant.scoped(context, queries.memberById(context.tenantId, id));
    const value = { field: 'identity.member.label', rowId: id, sealed: member!.label } as const;
    labels.set(id, (await deps.sealer.openNames({ context, values: [value] }))[0]!);
  }
  const nowMs = deps.clock.nowMs();
  return rows.map((row) => ({
    ...row,
    state: stateOf(row, nowMs),
    label: labels.get(row.member_id)!,
    openedByLabel: labels.get(row.opened_by)!,
  }));
}

async function shownAgain(deps: AccessDeps, caller: Caller, id: Uuid): Promise<Recovery> {
  const rows = await deps.tenant.scoped(caller.tenant, recoveries.recoveryById(caller.tenant.tenantId, id));
  return (await withLabels(deps, caller, rows))[0]!;
}

/**
 * Opens the recovery of somebody else who has lost every passkey; nothing of theirs changes yet. Throws what `changeRole`
 * throws, `recovery_refused`, `recovery_open`.
 */
export async function openRecovery(deps: AccessDeps, who: Asker, memberId: Uuid): Promise<Recovery> {
  const { caller } = who;
  const { tenantId } = caller.tenant;
  const id = uuidV7(deps.clock, deps.random);
  const nowMs = deps.clock.nowMs();
  const dueAt = new Date(nowMs + RECOVERY_DELAY_MS);
  await deps.tenant.transaction(caller.tenant, async (tx) => {
    const member = await memberToChange(tx, who, memberId);
    if (member.state !== 'active') throw refuse('recovery_refused', `the person is ${member.state}`);
    const [open] = await tx.query(recoveries.openRecoveryOf(tenantId, member.id));
    if (open !== undefined) await replaceLapsed(deps, tx, { who, id: open.id });
    await tx.query(
      recoveries.insertRecovery(tenantId, {
        id,
        member_id: member.id,
        opened_by: caller.personId,
        opened_at: new Date(nowMs),
        due_at: dueAt,
      }),
    );
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'recovery.opened',
      resource: ['recovery', id],
      public: { member: member.id, due: dueAt.toISOString() },
    });
  });
  return shownAgain(deps, caller, id);
}

/** One that was forgotten makes room; one that still waits is not started twice. */
async function replaceLapsed(
  deps: AccessDeps,
  tx: ScopedTransaction,
  { who, id }: { readonly who: Asker; readonly id: Uuid },
): Promise<void> {
  const row = await lockedRecovery(tx, id);
  if (stateOf(row, deps.clock.nowMs()) !== 'lapsed') throw refuse('recovery_open', 'one is open for this person');
  await end(deps, tx, { who, row, outcome: 'cancelled' });
}

async function lockedRecovery(tx: ScopedTransaction, id: Uuid): Promise<RecoveryRow> {
  const [row] = await tx.query(recoveries.recoveryForUpdate(tx.context.tenantId, id));
  if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such recovery');
  return row;
}

async function end(
  deps: AccessDeps,
  tx: ScopedTransaction,
  {
    who,
    row,
    outcome,
  }: { readonly who: Asker; readonly row: RecoveryRow; readonly outcome: 'cancelled' | 'completed' },
): Promise<void> {
  const at = new Date(deps.clock.nowMs());
  await tx.query(recoveries.endRecovery(tx.context.tenantId, row.id, { at, by: who.caller.personId, outcome }));
  const entry = { ...auditOf(who), resource: ['recovery', row.id] as const };
  if (outcome === 'cancelled')
    await deps.recordAudit(tx, {
      ...entry,
      type: 'recovery.cancelled',
      public: { member: row.member_id, reason: 'cancelled' },
    });
  else await deps.recordAudit(tx, { ...entry, type: 'recovery.completed', public: { member: row.member_id } });
}

/** Stops a recovery that has not taken effect. Throws `not_found`, `recovery_refused`, `operation_refused`. */
export async function cancelRecovery(deps: AccessDeps, who: Asker, id: Uuid): Promise<Recovery> {
  const { caller } = who;
  await deps.tenant.transaction(caller.tenant, async (tx) => {
    await requireManager(tx, caller);
    const row = await lockedRecovery(tx, id);
    if (row.outcome !== null) throw refuse('recovery_refused', `it was ${row.outcome}`);
    await end(deps, tx, { who, row, outcome: 'cancelled' });
  });
  return shownAgain(deps, caller, id);
}

/**
 * Makes a recovery take effect once its delay is over: every passkey, session and link of the person ends, and one
 * enrolment link is made, which works once. Never by the person themselves. Throws `not_found`, `recovery_refused`,
 * `recovery_not_due`, `own_membership`, `operation_refused`.
 */
export async function finishRecovery(
  deps: AccessDeps,
  who: Asker,
  id: Uuid,
): Promise<{ readonly recovery: Recovery; readonly memberId: Uuid; readonly enrolmentPath: string }> {
  const { caller } = who;
  const { tenantId } = caller.tenant;
  const done = await deps.tenant.transaction(caller.tenant, async (tx) => {
    await requireManager(tx, caller);
    const row = await lockedRecovery(tx, id);
    const state = stateOf(row, deps.clock.nowMs());
    if (state === 'waiting') throw refuse('recovery_not_due', `due ${row.due_at.toISOString()}`);
    if (state !== 'due') throw refuse('recovery_refused', `it is ${state}`);
    if (row.member_id === caller.personId) throw refuse('own_membership', 'nobody recovers themselves');
    const [member] = await tx.query(memberForUpdate(tenantId, row.member_id));
    if (member?.state !== 'active') throw refuse('recovery_refused', 'the person is not active any more');
    const { actor, decision } = auditOf(who);
    await tx.query(deleteLinksOf(tenantId, member.id));
    await closeSessionsOf(deps, tx, { memberId: member.id, reason: 'everywhere', actor, decision });
    await removePasskeysOf(deps, tx, { memberId: member.id, actor });
    await end(deps, tx, { who, row, outcome: 'completed' });
    const link = await issueLink(deps, tx, { kind: 'enrol', memberId: member.id, actor, decision });
    return { memberId: member.id, enrolmentPath: link.path };
  });
  return { recovery: await shownAgain(deps, caller, id), ...done };
}

/** Whom a recovery is about. Throws `not_found`. */
export async function memberOfRecovery(deps: AccessDeps, caller: Caller, id: Uuid): Promise<Uuid> {
  const [row] = await deps.tenant.scoped(caller.tenant, recoveries.recoveryById(caller.tenant.tenantId, id));
  if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such recovery');
  return row.member_id;
}

/** What is read again before a recovery is cancelled or finished: whose, by whom and until when. */
export function recoverySubjects(deps: Pick<AccessDeps, 'tenant' | 'sealer' | 'clock'>): StepUpSubjects {
  const facts: StepUpSubject = async ({ caller, ids }) => {
    const id = ids['recoveryId'];
    const { tenant: context } = caller;
    const find = (recoveryId: Uuid) =>
      deps.tenant.scoped(context, recoveries.recoveryById(context.tenantId, recoveryId));
    const [row] = id === undefined ? [] : await find(id);
    if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such recovery');
    const [shown] = await withLabels(deps as AccessDeps, caller, [row]);
    return {
      label: shown!.label,
      openedBy: shown!.openedByLabel,
      due: row.due_at.toISOString(),
      state: shown!.state,
    };
  };
  return { 'access.cancel-recovery': facts, 'access.finish-recovery': facts };
}
