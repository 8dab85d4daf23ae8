import type { Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { countPersonal, erasePerson, ERASURE_DEADLINE_DAYS } from '../../platform/audit/index.ts';
import type { Caller } from '../../platform/http/handler.ts';
import {
  deletePasskeysOf,
  memberForUpdate,
  removeAccountsOf,
  revokePrincipal,
  type RevocationDeps,
} from '../identity/index.ts';
import * as queries from './queries.ts';
import { refuse } from './refusals.ts';
import {
  auditOf,
  memberToChange,
  toPerson,
  type AccessDeps,
  type Asker,
  type ChangeFacts,
  type Person,
} from './service.ts';

/** How an erased person appears on lists; what they recorded keeps their id. */
const ERASED_LABEL = 'Erased person';
/** What AUDITRAX_BACKUP_RETENTION_DAYS is unless the operator says otherwise. */
const BACKUP_RETENTION_DAYS = 30;
/** Invitations of one person: one, and a few that ran out. */
const INVITATIONS_MAX = 200;

export interface ErasurePreview {
  readonly person: Person;
  readonly values: number;
  readonly invitations: number;
  readonly backupRetentionDays: number;
  readonly deadlineDays: number;
}

/** What an erasure would take. Throws `not_found`, `own_membership`, `operation_refused`. */
export async function previewErasure(deps: AccessDeps, caller: Caller, memberId: Uuid): Promise<ErasurePreview> {
  const context = caller.tenant;
  const { row, invitations } = await deps.tenant.transaction(context, async (tx) => ({
    row: await memberToChange(tx, { caller }, memberId),
    invitations: (await tx.query(queries.invitationsOf(context.tenantId, memberId, INVITATIONS_MAX))).length,
  }));
  return {
    person: await toPerson(deps, caller, row),
    values: await countPersonal(deps.tenant, context, memberId),
    invitations,
    backupRetentionDays: deps.backupRetention_days ?? BACKUP_RETENTION_DAYS,
    deadlineDays: ERASURE_DEADLINE_DAYS,
  };
}

/**
 * Inside the caller's transaction: destroys the person's key in the log, and takes their names off their membership (when
 * there is one) and their invitations. Returns the blank label of the membership. Throws `audit_subject_erased`.
 */
async function blankPerson(
  deps: Pick<AccessDeps, 'sealer' | 'recordAudit' | 'signals'>,
  tx: ScopedTransaction,
  erasure: { readonly subject: Uuid; readonly ground: string; readonly facts: ChangeFacts },
): Promise<{ readonly values: number; readonly entries: number; readonly label: Uint8Array }> {
  const { subject, ground, facts } = erasure;
  const { context } = tx;
  const { tenantId } = context;
  const seal = (field: 'identity.member.label' | 'identity.invitation.label', rowId: Uuid) =>
    deps.sealer.seal({ context, field, rowId, value: ERASED_LABEL, tx });
  const erased = await erasePerson(tx, deps.recordAudit, { ...facts, subject, ground });
  // What a provider calls them is a hash, and still theirs: it would find them again.
  await removeAccountsOf(deps, tx, { memberId: subject, actor: facts.actor, decision: facts.decision });
  const label = await seal('identity.member.label', subject);
  await tx.query(queries.setMemberLabel(tenantId, subject, label));
  for (const { id } of await tx.query(queries.invitationsOf(tenantId, subject, INVITATIONS_MAX))) {
    await tx.query(queries.blankInvitation(tenantId, id, await seal('identity.invitation.label', id)));
    await deps.recordAudit(tx, {
      ...facts,
      type: 'invitation.erased',
      resource: ['invitation', id],
      outcome: 'allowed',
    });
  }
  return { ...erased, label };
}

/**
 * Erases a person by law: destroys the key of everything that the log withholds about them, takes their names off their
 * membership and invitations, and their passkeys away. Entries, proofs and checkpoints stay as they are; what they did
 * stays under their id. Only for somebody who was suspended before, and only when the name is repeated as it stands.
 * It is written down outside the database as well, so that one that is put back erases them again (erasure-replay.ts).
 * Throws what `changeRole` throws, `member_not_suspended`, `erasure_name_differs`, `audit_subject_erased`.
 */
export async function eraseMember(
  deps: AccessDeps,
  who: Asker,
  input: { readonly memberId: Uuid; readonly name: string; readonly ground: string },
): Promise<{ readonly person: Person; readonly values: number; readonly entries: number }> {
  const { caller } = who;
  const { tenant: context } = caller;
  const { tenantId } = context;
  const done = await deps.tenant.transaction(context, async (tx) => {
    const row = await memberToChange(tx, who, input.memberId);
    if (row.state !== 'suspended') throw refuse('member_not_suspended', `the person is ${row.state}`);
    const field = 'identity.member.label' as const;
    const label = await deps.sealer.openText({ context, field, rowId: row.id, sealed: row.label, tx });
    if (label !== input.name) throw refuse('erasure_name_differs', 'another name than on the list');
    const { outcome: _outcome, ...facts } = auditOf(who);
    const erased = await blankPerson(deps, tx, { subject: row.id, ground: input.ground, facts });
    return { ...erased, row: { ...row, label: erased.label } };
  });
  // After the commit: what is in the register is erased at the next start, whatever the database says.
  deps.erasures.add({ tenantId, subject: input.memberId, at: deps.clock.nowMs() });
  await deletePasskeysOf(deps, { tenantId, memberId: input.memberId });
  return { person: await toPerson(deps, caller, done.row), values: done.values, entries: done.entries };
}

/** What the entry of a repeated erasure gives as its ground; the register does not say the first one. */
const REPLAY_GROUND = 'restored';

/** What an erasure without a person behind it needs. */
export type ReplayDeps = Pick<AccessDeps, 'system' | 'sealer'> & RevocationDeps;

/**
 * Suspends a person whom a restored database has as they were before they left, and erases them. Of whom it knows nothing,
 * the erasure is written down all the same: no key is made for them any more.
 */
export async function eraseAgain(deps: ReplayDeps, context: TenantContext, subject: Uuid): Promise<void> {
  const { tenantId, requestId } = context;
  const facts = { actor: { service: 'issuer' }, requestId } as const;
  const by = { actor: facts.actor };
  const lock = async (tx: ScopedTransaction) => {
    const [row] = await tx.query(memberForUpdate(tenantId, subject));
    return row?.state === 'suspended' ? undefined : row;
  };
  await revokePrincipal(deps, context, { memberId: subject, cause: 'administrator', by, lock });
  await deps.tenant.transaction(context, async (tx) => {
    await blankPerson(deps, tx, { subject, ground: REPLAY_GROUND, facts });
  });
  await deletePasskeysOf(deps, { tenantId, memberId: subject });
}
