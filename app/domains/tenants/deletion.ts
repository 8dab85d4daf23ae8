import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { auditFromCall } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import { requireManager } from '../access/index.ts';
import type { IdentityDeps } from '../identity/index.ts';
import { DELETIONS_SHOWN_MAX, type Inventory } from './deletion-contract.ts';
import * as queries from './deletion-queries.ts';
import type { DeletionRow, SubjectRow } from './deletion-queries.ts';
import type { TenantsCode } from './errors.ts';
import { DELETION_MACHINE, type DeletionEvent, type DeletionState } from './states.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Long enough for a weekend and an absence of whoever would object. */
export const DELETION_DELAY_MS = 7 * DAY_MS;
/** What was shown is no longer what would be destroyed. */
export const PROPOSAL_MS_MAX = 14 * DAY_MS;
/** Never the operator's own tenant, nor the canaries that the claims are proven on. */
const DELETABLE: ReadonlySet<SubjectRow['kind']> = new Set(['customer', 'sample']);

/** `DELETION_DELAY_MS` for real tenants; whoever composes a house without any may pass a shorter one. */
export interface DeletionDelay {
  readonly delayMs: number;
}

export type DeletionDeps = Pick<
  IdentityDeps,
  'tenant' | 'system' | 'recordAudit' | 'clock' | 'random' | 'formatId' | 'evictions' | 'signals'
> &
  DeletionDelay;

/** An operator, and the confirmation that this service has verified where one is asked for. */
export interface Operator {
  readonly caller: Caller;
  readonly requestId: string;
  readonly stepUp?: StepUp;
}

export interface KnownDeletion {
  readonly row: DeletionRow;
  readonly subject: SubjectRow;
}

/** What stays after the keys are gone, as it is shown before anybody confirms, and stands in the certificate. */
export const REMAINS: readonly string[] = [
  'Rows and files stay where they are as ciphertext that no key opens any more.',
  'The audit log keeps its entries, their public facts and hashes; values that it withheld become unreadable.',
  'Backup files made before the destruction still hold the keys and the data. Auditrax does not know where copies of them are: whoever has one together with the recovery key can read the organisation’s data until that file is destroyed.',
  'A key that the organisation keeps in its own key store is the organisation’s to delete; Auditrax forgets how to reach it.',
  'A copy of a data key in the memory of a running process is wiped at once; a sign-in token handed out before lives for 30 seconds.',
];

function refuse(code: TenantsCode, message: string): AppError<TenantsCode> {
  return new AppError<TenantsCode>(code, message, { publicDetail: message });
}

/** The state after `event`. Throws `deletion_refused` with the machine's reason. */
export function nextState(from: DeletionState, event: DeletionEvent): DeletionState {
  const outcome = DELETION_MACHINE[from][event];
  if ('refused' in outcome) throw refuse('deletion_refused', outcome.refused);
  return outcome.to;
}

export function contextOf(subject: SubjectRow, requestId: string): TenantContext {
  return { tenantId: subject.id, tenantPart: Number(subject.part), requestId };
}

/** Numbers and sizes of what the deletion of `subject` makes unreadable, counted in its own scope. */
export async function inventoryOf(
  deps: Pick<DeletionDeps, 'tenant' | 'clock'>,
  subject: SubjectRow,
  requestId: string,
): Promise<Inventory> {
  const context = contextOf(subject, requestId);
  const id = subject.id;
  return deps.tenant.transaction(context, async (tx) => {
    const [engagements] = await tx.query(queries.countEngagements(id));
    const [evidence] = await tx.query(queries.countEvidence(id));
    const [keys] = await tx.query(queries.countKeys(id));
    const [people] = await tx.query(queries.countPeople(id));
    const [sessions] = await tx.query(queries.countSessions(id, new Date(deps.clock.nowMs())));
    return {
      engagements: Number(engagements?.count ?? 0),
      evidence: Number(evidence?.count ?? 0),
      objectBytes: Number(evidence?.bytes ?? 0),
      dataKeys: Number(keys?.count ?? 0),
      keyEncryptionKeys: Number(keys?.refs ?? 0),
      people: Number(people?.count ?? 0),
      openSessions: Number(sessions?.count ?? 0),
    };
  });
}

async function subjectNamed(deps: Pick<DeletionDeps, 'system'>, slug: string): Promise<SubjectRow> {
  const [found] = await deps.system.system(queries.subjectBySlug(slug));
  if (found === undefined) throw new AppError<'not_found'>('not_found', `no tenant ${slug}`);
  return found;
}

/** Why this tenant cannot be proposed now; undefined when it can. */
async function refusalOf(
  deps: Pick<DeletionDeps, 'tenant'>,
  caller: Caller,
  subject: SubjectRow,
): Promise<AppError<TenantsCode> | undefined> {
  if (!DELETABLE.has(subject.kind))
    return refuse('deletion_refused', 'This organisation runs the installation or its proofs and cannot be deleted.');
  if (subject.closed_at !== null) return refuse('tenant_closed', 'This organisation is deleted already.');
  const open = await deps.tenant.scoped(caller.tenant, queries.deletionOf(caller.tenant.tenantId, subject.id));
  return open.length > 0 ? refuse('deletion_open', 'A deletion of this organisation is open already.') : undefined;
}

/** What would be destroyed, and whether it may be proposed. Throws `not_found`. */
export async function previewDeletion(deps: DeletionDeps, who: Pick<Operator, 'caller' | 'requestId'>, slug: string) {
  const subject = await subjectNamed(deps, slug);
  const refusal = await refusalOf(deps, who.caller, subject);
  const inventory = await inventoryOf(deps, subject, who.requestId);
  return { subject, inventory, refused: refusal?.publicDetail ?? null };
}

function auditOf(who: Operator) {
  const base = { ...auditFromCall(who), outcome: 'allowed' } as const;
  return who.stepUp === undefined ? base : { ...base, stepUpHash: who.stepUp.assertionHash };
}

/** Proposes a deletion. Throws `not_found`, `deletion_refused`, `deletion_open`, `tenant_closed`, `operation_refused`. */
export async function proposeDeletion(deps: DeletionDeps, who: Operator, slug: string): Promise<KnownDeletion> {
  const { caller } = who;
  const { tenantId } = caller.tenant;
  const subject = await subjectNamed(deps, slug);
  const refusal = await refusalOf(deps, caller, subject);
  if (refusal !== undefined) throw refusal;
  const inventory = await inventoryOf(deps, subject, who.requestId);
  const id = uuidV7(deps.clock, deps.random);
  const proposed = {
    id,
    subject_id: subject.id,
    proposed_by: caller.personId,
    proposed_at: new Date(deps.clock.nowMs()),
    inventory: JSON.stringify(inventory),
  };
  const row = await deps.tenant.transaction(caller.tenant, async (tx) => {
    await requireManager(tx, caller);
    // Again, now that the managers' rows are held: two operators proposing at once follow each other.
    const open = await tx.query(queries.deletionOf(tenantId, subject.id));
    if (open.length > 0) throw refuse('deletion_open', 'A deletion of this organisation is open already.');
    await tx.query(queries.insertDeletion(tenantId, proposed));
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'tenant.deletion-proposed',
      resource: ['deletion', id],
      public: { tenant: subject.id, slug: subject.slug, ...inventory },
    });
    return (await tx.query(queries.deletionById(tenantId, id)))[0]!;
  });
  return { row, subject };
}

async function lockedDeletion(deps: DeletionDeps, tx: ScopedTransaction, id: Uuid): Promise<KnownDeletion> {
  const [row] = await tx.query(queries.deletionForUpdate(tx.context.tenantId, id));
  const [subject] = row === undefined ? [] : await deps.system.system(queries.subjectById(row.subject_id));
  if (row === undefined || subject === undefined) throw new AppError<'not_found'>('not_found', 'no such deletion');
  return { row, subject };
}

/** Why `caller` may not confirm now; undefined when they may. */
export function confirmRefusal(
  row: Pick<DeletionRow, 'state' | 'proposed_by' | 'proposed_at'>,
  caller: Pick<Caller, 'personId'>,
  nowMs: number,
): AppError<TenantsCode> | undefined {
  const outcome = DELETION_MACHINE[row.state].confirm;
  if ('refused' in outcome) return refuse('deletion_refused', outcome.refused);
  if (row.proposed_by === caller.personId)
    return refuse('deletion_same_person', 'Who proposed a deletion cannot confirm it. Ask another operator.');
  if (nowMs > row.proposed_at.getTime() + PROPOSAL_MS_MAX)
    return refuse('deletion_refused', 'This proposal is too old. Cancel it and propose it again.');
  return undefined;
}

/**
 * Confirms as a second, different operator; the keys are destroyed when the delay is over. Throws `not_found`,
 * `deletion_same_person`, `deletion_refused`, `operation_refused`.
 */
export async function confirmDeletion(
  deps: DeletionDeps,
  who: Operator,
  input: { readonly id: Uuid; readonly slug: string },
): Promise<KnownDeletion> {
  const { caller } = who;
  const place = { tenantId: caller.tenant.tenantId, id: input.id };
  return deps.tenant.transaction(caller.tenant, async (tx) => {
    await requireManager(tx, caller);
    const { row, subject } = await lockedDeletion(deps, tx, input.id);
    if (subject.slug !== input.slug) throw refuse('deletion_refused', 'This deletion is about another organisation.');
    const nowMs = deps.clock.nowMs();
    const refusal = confirmRefusal(row, caller, nowMs);
    if (refusal !== undefined) throw refusal;
    const dueAt = new Date(nowMs + deps.delayMs);
    await tx.query(queries.confirmDeletion(place, { personId: caller.personId, now: new Date(nowMs), dueAt }));
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'tenant.deletion-confirmed',
      resource: ['deletion', row.id],
      public: { tenant: subject.id, slug: subject.slug, due: dueAt.toISOString() },
    });
    return { row: (await tx.query(queries.deletionById(place.tenantId, row.id)))[0]!, subject };
  });
}

/** Any operator stops a deletion that has not begun. Throws `not_found`, `deletion_refused`, `operation_refused`. */
export async function cancelDeletion(deps: DeletionDeps, who: Operator, id: Uuid): Promise<KnownDeletion> {
  const { caller } = who;
  const place = { tenantId: caller.tenant.tenantId, id };
  return deps.tenant.transaction(caller.tenant, async (tx) => {
    await requireManager(tx, caller);
    const { row, subject } = await lockedDeletion(deps, tx, id);
    nextState(row.state, 'cancel');
    const now = new Date(deps.clock.nowMs());
    await tx.query(queries.cancelDeletion(place, { personId: caller.personId, now }));
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'tenant.deletion-cancelled',
      resource: ['deletion', row.id],
      public: { tenant: subject.id, slug: subject.slug },
    });
    return { row: (await tx.query(queries.deletionById(place.tenantId, row.id)))[0]!, subject };
  });
}

/** Every deletion, newest first. */
export async function listDeletions(deps: DeletionDeps, caller: Caller): Promise<KnownDeletion[]> {
  const { tenantId } = caller.tenant;
  const rows = await deps.tenant.scoped(caller.tenant, queries.listDeletions(tenantId, DELETIONS_SHOWN_MAX));
  const known: KnownDeletion[] = [];
  for (const row of rows) {
    const [subject] = await deps.system.system(queries.subjectById(row.subject_id));
    if (subject !== undefined) known.push({ row, subject });
  }
  return known;
}

/** The certificate of a finished deletion. Throws `not_found`, `deletion_no_certificate`. */
export async function readCertificate(deps: DeletionDeps, caller: Caller, id: Uuid) {
  const [row] = await deps.tenant.scoped(caller.tenant, queries.deletionById(caller.tenant.tenantId, id));
  if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such deletion');
  if (row.certificate === null) throw refuse('deletion_no_certificate', 'Nothing has been destroyed yet.');
  return row.certificate;
}
