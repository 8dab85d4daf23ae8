import { AppError, type Json, type Uuid } from '@auditrax/base';
import type { Caller } from '../../platform/http/handler.ts';
import type { IdentityDeps, MemberRow } from '../identity/index.ts';
import { memberById } from './queries.ts';

/** What is said of a row: few words and numbers, so that a person reads all of it. */
export type SubjectFacts = Readonly<Record<string, string | number | boolean>>;

/** Whom or what an action is about, as the gates have read it: ids by the name of their place in the input. */
export interface SubjectQuestion {
  readonly caller: Caller;
  readonly requestId: string;
  readonly ids: Readonly<Record<string, Uuid | undefined>>;
  readonly input: Readonly<Record<string, Json | undefined>>;
}

/**
 * What the database says now about the row that an operation changes: shown, signed, and read again before anything is
 * done, so that a row which changed between showing and touching refuses the confirmation. Throws what the operation
 * itself would throw for a row that is not there.
 */
export type StepUpSubject = (question: SubjectQuestion) => Promise<SubjectFacts>;

/** By operation. An operation that makes something new, or whose input names a revision, has none. */
export type StepUpSubjects = Readonly<Record<string, StepUpSubject>>;

/** A member as they are before the change. */
async function memberFacts(
  deps: Pick<IdentityDeps, 'tenant' | 'sealer'>,
  { caller, ids }: SubjectQuestion,
): Promise<SubjectFacts> {
  const { tenant: context } = caller;
  const id = ids['memberId'];
  const [row] = id === undefined ? [] : await deps.tenant.scoped(context, memberById(context.tenantId, id));
  // The same answer as for a foreign or forged id.
  if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such member');
  const value = { field: 'identity.member.label', rowId: row.id, sealed: row.label } as const;
  // Says that it cannot be read where the tenant's key store is away: a person must be suspended then all the same.
  const [label] = await deps.sealer.openNames({ context, values: [value] });
  return { label: label!, role: row.role, state: row.state };
}

/** What is read again for the operations of this room. */
export function accessSubjects(deps: Pick<IdentityDeps, 'tenant' | 'sealer'>): StepUpSubjects {
  const member: StepUpSubject = (question) => memberFacts(deps, question);
  return {
    'access.change-role': member,
    'access.suspend-member': member,
    'access.reinstate-member': member,
    'access.erase-member': member,
    'access.open-recovery': member,
  };
}

/**
 * Once more under the row's lock: between the look above and the transaction somebody else may have been here. Throws
 * `step_up_refused`.
 */
export function requireAsApproved(row: Pick<MemberRow, 'role' | 'state'>, approved: SubjectFacts | undefined): void {
  if (approved === undefined || (row.role === approved['role'] && row.state === approved['state'])) return;
  throw new AppError<'step_up_refused'>('step_up_refused', 'the row has changed since it was approved', {
    publicDetail: CHANGED_SINCE,
  });
}

/** Said to whoever approved what is not there any more. */
export const CHANGED_SINCE =
  'What you approved is not what stands here now: it has changed since, or something else was asked. Look at it again and approve that.';
