import { AppError, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, Statement, TenantContext } from '@auditrax/tenancy';
import type { IdentityDeps } from './deps.ts';
import type { ProofSource } from './employment-queries.ts';
import * as queries from './employment-queries.ts';
import type { IdentityCode } from './errors.ts';

/**
 * Four hours after the last word that somebody still works there nothing of theirs works any more, also where nobody ever
 * says that they have left (Google Workspace and AD FS tell nobody). Two minutes are kept back for the sweep, which comes
 * once a minute, and for clocks that differ.
 */
export const PROOF_MS_MAX = 4 * 3_600_000 - 2 * 60_000;
type Ask = <Row>(statement: Statement<Row>) => Promise<Row[]>;

/**
 * Keeps that the person was vouched for just now: by a sign-in at their provider, by their directory naming them active,
 * by a signal that says so. From the first time on their sessions work for `PROOF_MS_MAX` after the last one, whatever
 * they signed in with, as long as a connection of theirs is in use. Lets nobody in who is suspended.
 */
export async function proveEmployment(
  deps: Pick<IdentityDeps, 'tenant' | 'clock'>,
  context: TenantContext,
  proof: { readonly memberId: Uuid; readonly source: ProofSource },
): Promise<void> {
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.scoped(context, queries.recordProof(context, { ...proof, at }));
}

/** As `proveEmployment`, in the transaction of a sign-in. */
export async function proveBySignIn(
  deps: Pick<IdentityDeps, 'clock'>,
  tx: ScopedTransaction,
  memberId: Uuid,
): Promise<void> {
  const at = new Date(deps.clock.nowMs());
  await tx.query(queries.recordProof(tx.context, { memberId, at, source: 'sign-in' }));
}

/** Whether nobody has vouched for the person for too long. `provedAt` null: no provider has ever known them. */
export async function isLapsed(
  ask: Ask,
  context: TenantContext,
  of: {
    readonly memberId: Uuid;
    readonly provedAt: Date | null;
    /** The session came by a provider; its connection is in use, or it would have been closed. */
    readonly byProvider: boolean;
    readonly now_ms: number;
  },
): Promise<boolean> {
  if (of.provedAt === null || of.now_ms - of.provedAt.getTime() < PROOF_MS_MAX) return false;
  // Where no connection of theirs is in use any more nobody could vouch for them, and nobody is asked to.
  return of.byProvider || (await ask(queries.accountInUse(context, of.memberId))).length > 0;
}

/** When a provider that is in use last vouched for the person; undefined where none knows them. */
export async function lastProof(ask: Ask, context: TenantContext, memberId: Uuid): Promise<Date | undefined> {
  const [proof] = await ask(queries.proofOf(context, memberId));
  if (proof === undefined || (await ask(queries.accountInUse(context, memberId))).length === 0) return undefined;
  return proof.proved_at;
}

/** Who may switch a connection off: by role, and by the passkeys that such a role needs to approve anything. */
const MANAGING_ROLES = ['lead', 'operator'] as const;
const MANAGING_PASSKEYS_MIN = 2;

/**
 * How many could still sign in and switch this connection off if its provider were away for good. A provider that is away
 * cannot be told from one that has let everybody go, so after four hours it locks out whom it alone knows, leads and their
 * passkeys included; nobody may come back by a passkey alone whom a company has let go.
 */
export async function countStandIns(
  deps: Pick<IdentityDeps, 'tenant'>,
  context: TenantContext,
  connectionId: Uuid,
): Promise<number> {
  const at = { connectionId, roles: MANAGING_ROLES, passkeysMin: MANAGING_PASSKEYS_MIN };
  const [found] = await deps.tenant.scoped(context, queries.standIns(context, at));
  return found?.n ?? 0;
}

/** Whether what the person holds without a session may be used: keys and programs ask at each use. */
export async function isVouched(
  deps: Pick<IdentityDeps, 'clock'>,
  ask: Ask,
  of: { readonly context: TenantContext; readonly memberId: Uuid },
): Promise<boolean> {
  const [proof] = await ask(queries.proofOf(of.context, of.memberId));
  const provedAt = proof?.proved_at ?? null;
  const asked = { memberId: of.memberId, provedAt, byProvider: false, now_ms: deps.clock.nowMs() };
  return !(await isLapsed(ask, of.context, asked));
}

/**
 * Before a session is opened by a passkey or link: of somebody whose company has not vouched for them for too long none
 * would work. Throws `company_sign_in_required`.
 */
export async function requireVouched(
  deps: Pick<IdentityDeps, 'clock'>,
  tx: ScopedTransaction,
  memberId: Uuid,
): Promise<void> {
  if (!(await isVouched(deps, (statement) => tx.query(statement), { context: tx.context, memberId })))
    throw new AppError<IdentityCode>('company_sign_in_required', 'the proof of employment is too old');
}
