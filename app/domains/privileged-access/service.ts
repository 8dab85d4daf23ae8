import { AppError, PRODUCTION_SCOPES, uuidV7, type ProductionScope, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { auditFromCall, type AuditInput } from '../../platform/audit/index.ts';
import type { Caller, ProductionGrant, StepUp } from '../../platform/http/handler.ts';
import { CHANGED_SINCE, PRIVILEGED_PASSKEYS_MIN, requireManager, type SubjectFacts } from '../access/index.ts';
import { isVouched, lastProof, type IdentityDeps, type RevocationHolder } from '../identity/index.ts';
import { GLASS_MINUTES_MAX } from './contract.ts';
import { notFound, refuse } from './errors.ts';
import { requireJudged } from './judging.ts';
import { endOf, grantNow, overAt, stateOf } from './grant-rules.ts';
import type { EndedReason, GrantRow, Vouching } from './queries.ts';
import * as queries from './queries.ts';

export type PrivilegedAccessDeps = Pick<
  IdentityDeps,
  'tenant' | 'sealer' | 'recordAudit' | 'clock' | 'random' | 'formatId' | 'evictions'
>;
type EndingDeps = Pick<PrivilegedAccessDeps, 'tenant' | 'recordAudit' | 'clock' | 'evictions'>;

export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
}
type Approver = Asker & { readonly stepUp: StepUp; readonly approved?: SubjectFacts | undefined };

export interface Wanted {
  readonly kind: GrantRow['kind'];
  readonly reason: string;
  readonly ticket: string | null;
  readonly scopes: readonly ProductionScope[];
  readonly minutes: number;
}

/** Everything, and not for long. */
export const GLASS = { kind: 'break-glass', scopes: PRODUCTION_SCOPES, minutes: GLASS_MINUTES_MAX } as const;

const REASON_FIELD = 'identity.production_grant.reason';
const TICKET_FIELD = 'identity.production_grant.ticket';
/** What was approved says in these words who vouches. */
const VOUCHING_WORDS: Readonly<Record<Vouching, string>> = {
  provider: 'your company’s provider',
  operator: 'another operator, who has to confirm it',
  nobody: 'nobody else: there is no other operator here who could',
};

type Ask = Parameters<typeof lastProof>[0];

interface Vouched {
  readonly by: Vouching;
  /** The provider's last word. */
  readonly provedAt: Date | undefined;
}

/** Who has to vouch for the person now. */
async function vouchingFor(ask: Ask, context: TenantContext, memberId: Uuid): Promise<Vouched> {
  const provedAt = await lastProof(ask, context, memberId);
  if (provedAt !== undefined) return { by: 'provider', provedAt };
  const others = { memberId, passkeys_min: PRIVILEGED_PASSKEYS_MIN };
  const [other] = await ask(queries.otherOperators(context, others));
  return { by: other === undefined ? 'nobody' : 'operator', provedAt: undefined };
}

/** Who would have to vouch for the caller now, for the page. */
export async function vouchingOf({ tenant }: Pick<PrivilegedAccessDeps, 'tenant'>, caller: Caller): Promise<Vouching> {
  const context = caller.tenant;
  return (await vouchingFor((statement) => tenant.scoped(context, statement), context, caller.personId)).by;
}

/** Shown, signed and read again: on whose word the access is given. */
export async function askFacts(deps: Pick<PrivilegedAccessDeps, 'tenant'>, caller: Caller): Promise<SubjectFacts> {
  return { 'vouched for by': VOUCHING_WORDS[await vouchingOf(deps, caller)] };
}

type Named = Pick<GrantRow, 'id' | 'kind' | 'scopes' | 'minutes'>;

function factsOf({ kind, scopes, minutes }: Named) {
  return { kind, scopes: scopes.join(','), minutes } as const;
}

type By = Pick<AuditInput, 'actor' | 'decision' | 'tokenHash'>;

async function endIn(
  deps: Pick<EndingDeps, 'recordAudit' | 'evictions'>,
  tx: ScopedTransaction,
  { row, ...ended }: { readonly row: GrantRow; readonly at: Date; readonly reason: EndedReason; readonly by: By },
): Promise<void> {
  const { at, reason, by } = ended;
  const isSaid = reason === 'person' || reason === 'operator';
  const endedBy = isSaid && 'personId' in by.actor ? by.actor.personId : null;
  await tx.query(queries.endGrant(tx.context, row.id, { at, reason, by: endedBy }));
  deps.evictions.endPerson(tx, row.member_id);
  await deps.recordAudit(tx, {
    ...by,
    type: 'production-access.ended',
    resource: ['production-grant', row.id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    decision: by.decision,
    public: { kind: row.kind, reason, member: row.member_id },
  });
}

/** What is open of the person's and would stand beside what begins or is asked for now. */
async function replaceOpen(
  deps: EndingDeps,
  tx: ScopedTransaction,
  of: { readonly memberId: Uuid; readonly which: (row: GrantRow) => boolean; readonly by: By },
): Promise<void> {
  const at = new Date(deps.clock.nowMs());
  for (const row of await tx.query(queries.openOf(tx.context, of.memberId))) {
    if (!of.which(row)) continue;
    const isOver = overAt(row).getTime() <= at.getTime();
    await endIn(deps, tx, { row, at: isOver ? overAt(row) : at, reason: isOver ? 'over' : 'replaced', by: of.by });
  }
}

interface Begun {
  readonly row: GrantRow;
  readonly vouched: Vouching;
  readonly provedAt: Date;
  readonly confirmedBy: Uuid | null;
}

/** The grant is in force: tokens of before, which know nothing of it, are dropped. */
async function beginIn(
  deps: PrivilegedAccessDeps,
  tx: ScopedTransaction,
  { begun, who }: { readonly begun: Begun; readonly who: Approver },
): Promise<void> {
  const { row, vouched, provedAt, confirmedBy } = begun;
  const now_ms = deps.clock.nowMs();
  const endsAt = endOf({ now_ms, minutes: row.minutes, provedAt });
  const { requestId: _same, ...by } = auditFromCall(who);
  await replaceOpen(deps, tx, { memberId: row.member_id, which: ({ starts_at }) => starts_at !== null, by });
  const beginning = { vouched, provedAt, confirmedBy, startsAt: new Date(now_ms), endsAt };
  await tx.query(queries.beginGrant(tx.context, row.id, beginning));
  deps.evictions.endPerson(tx, row.member_id);
  await deps.recordAudit(tx, {
    ...auditFromCall(who),
    type: row.kind === 'break-glass' ? 'production-access.glass-broken' : 'production-access.granted',
    resource: ['production-grant', row.id],
    outcome: 'allowed',
    stepUpHash: who.stepUp.assertionHash,
    public: { ...factsOf(row), vouched, member: row.member_id, validTo: endsAt.toISOString() },
  });
}

async function insertIn(
  deps: PrivilegedAccessDeps,
  tx: ScopedTransaction,
  { who, wanted, vouched }: { readonly who: Approver; readonly wanted: Wanted; readonly vouched: Vouching },
): Promise<GrantRow> {
  const { context } = tx;
  const { reason, ticket, ...asked } = wanted;
  const id = uuidV7(deps.clock, deps.random);
  const seal = (field: typeof REASON_FIELD | typeof TICKET_FIELD, value: string) =>
    deps.sealer.seal({ context, field, rowId: id, value, tx });
  await tx.query(
    queries.insertGrant(context, {
      ...asked,
      id,
      member_id: who.caller.personId,
      reason: Buffer.from(await seal(REASON_FIELD, reason)),
      ticket: ticket === null ? null : Buffer.from(await seal(TICKET_FIELD, ticket)),
      asked_at: new Date(deps.clock.nowMs()),
    }),
  );
  await deps.recordAudit(tx, {
    ...auditFromCall(who),
    type: wanted.kind === 'break-glass' ? 'production-access.glass-asked' : 'production-access.asked',
    resource: ['production-grant', id],
    outcome: 'allowed',
    stepUpHash: who.stepUp.assertionHash,
    // Told to whoever is on call where somebody waits for them.
    public: { ...factsOf({ ...asked, id }), state: vouched === 'operator' ? 'waiting' : 'vouched' },
    disclosures: { reason, ...(ticket === null ? {} : { ticket }) },
  });
  return (await tx.query(queries.grantById(context, id)))[0]!;
}

/** On whose word it is given: as it was shown when it was approved. Throws `step_up_refused`. */
async function vouchedAsApproved(tx: ScopedTransaction, who: Approver, { kind }: Wanted): Promise<Vouched> {
  if (kind === 'break-glass') return { by: 'operator', provedAt: undefined };
  const vouched = await vouchingFor((statement) => tx.query(statement), tx.context, who.caller.personId);
  if (who.approved?.['vouched for by'] === VOUCHING_WORDS[vouched.by]) return vouched;
  throw new AppError<'step_up_refused'>('step_up_refused', 'somebody else vouches now', {
    publicDetail: CHANGED_SINCE,
  });
}

/**
 * Asks for production access. In force at once where a provider has vouched for the caller, to its end or four hours after
 * that word at the latest; else it waits for another operator. Where there is none, the caller's fresh passkey is all there
 * is, and the grant says that nobody else vouched. A broken glass always waits for a second person. Throws
 * `production_proof_old`, `production_glass_unjudged`, `step_up_refused`, `operation_refused`.
 */
export async function askAccess(deps: PrivilegedAccessDeps, who: Approver, wanted: Wanted): Promise<GrantRow> {
  const { tenant: context, personId: memberId } = who.caller;
  return deps.tenant.transaction(context, async (tx) => {
    // Their rows are held: requests, confirmations and ends of operators follow each other.
    await requireManager(tx, who.caller);
    if (wanted.kind === 'break-glass') await requireJudged(deps, tx, [memberId]);
    const { requestId: _same, ...by } = auditFromCall(who);
    await replaceOpen(deps, tx, { memberId, which: ({ starts_at }) => starts_at === null, by });
    const { by: vouched, provedAt } = await vouchedAsApproved(tx, who, wanted);
    const row = await insertIn(deps, tx, { who, wanted, vouched });
    if (vouched === 'operator') return row;
    const begun = { row, vouched, provedAt: provedAt ?? new Date(deps.clock.nowMs()), confirmedBy: null };
    await beginIn(deps, tx, { begun, who });
    return (await tx.query(queries.grantById(context, row.id)))[0]!;
  });
}

async function lockGrant(tx: ScopedTransaction, id: Uuid): Promise<GrantRow> {
  const [row] = await tx.query(queries.grantForUpdate(tx.context, id));
  if (row === undefined) throw notFound();
  return row;
}

/**
 * Confirms what another operator has asked for, and vouches for them by it: the access begins now. Throws `not_found`,
 * `production_same_person` (whichever passkey), `production_request_settled` (too late, withdrawn, or confirmed already),
 * `operation_refused` (either of the two operates no more), `production_glass_unjudged` (an earlier emergency of either).
 */
export async function confirmAccess(deps: PrivilegedAccessDeps, who: Approver, id: Uuid): Promise<GrantRow> {
  const { tenant: context, personId } = who.caller;
  return deps.tenant.transaction(context, async (tx) => {
    await requireManager(tx, who.caller);
    const row = await lockGrant(tx, id);
    if (row.member_id === personId)
      throw refuse('production_same_person', 'Who asked cannot confirm it, whatever passkey they use.');
    const now_ms = deps.clock.nowMs();
    if (stateOf(row, now_ms) !== 'waiting')
      throw refuse('production_request_settled', 'It is confirmed or withdrawn already, or it waited too long.');
    if (row.kind === 'break-glass') await requireJudged(deps, tx, [row.member_id, personId]);
    const ask: Ask = (statement) => tx.query(statement);
    const [asker] = await tx.query(queries.isOperator(context, row.member_id));
    if (asker === undefined || !(await isVouched(deps, ask, { context, memberId: row.member_id })))
      throw new AppError<'operation_refused'>('operation_refused', 'whoever asked operates this house no more');
    const begun = { row, vouched: 'operator', provedAt: new Date(now_ms), confirmedBy: personId } as const;
    await beginIn(deps, tx, { begun, who });
    return (await tx.query(queries.grantById(context, id)))[0]!;
  });
}

/** Ends one, or takes a request back; every operator may. Throws `not_found`, `production_request_settled`. */
export async function endAccess(deps: PrivilegedAccessDeps, who: Asker, id: Uuid): Promise<GrantRow> {
  const { tenant: context, personId } = who.caller;
  const { requestId: _same, ...by } = auditFromCall(who);
  return deps.tenant.transaction(context, async (tx) => {
    await requireManager(tx, who.caller);
    const row = await lockGrant(tx, id);
    const now_ms = deps.clock.nowMs();
    const state = stateOf(row, now_ms);
    if (state !== 'waiting' && state !== 'live') throw refuse('production_request_settled', 'It is over already.');
    const reason = row.member_id === personId ? 'person' : 'operator';
    await endIn(deps, tx, { row, at: new Date(now_ms), reason, by });
    return (await tx.query(queries.grantById(context, id)))[0]!;
  });
}

/** What the person is let into now, for their token; asked at each mint. */
export function productionGrants(deps: Pick<PrivilegedAccessDeps, 'tenant' | 'clock'>) {
  return async (context: TenantContext, personId: Uuid): Promise<ProductionGrant | undefined> => {
    const [row] = await deps.tenant.scoped(context, queries.begunOf(context, personId));
    return grantNow(row, deps.clock.nowMs());
  };
}

/** Whoever leaves, or is not vouched for any more, is let into nothing: also at the word `lapsed`, since a grant is short. */
export function productionGrantsHeld(deps: EndingDeps): RevocationHolder {
  return {
    name: 'production-access',
    end: (context, memberId, { by }) =>
      deps.tenant.transaction(context, async (tx) => {
        const at = new Date(deps.clock.nowMs());
        const open = await tx.query(queries.openOf(context, memberId));
        const isOpen = (row: GrantRow) => ['waiting', 'live'].includes(stateOf(row, at.getTime()));
        for (const row of open.filter(isOpen)) await endIn(deps, tx, { row, at, reason: 'revoked', by });
        return open.filter(isOpen).length;
      }),
  };
}
