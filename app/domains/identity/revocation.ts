import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { changesOf, notErased, type AuditInput } from '../../platform/audit/index.ts';
import { providerSessions } from './account-queries.ts';
import type { IdentityDeps } from './deps.ts';
import type { IdentityCode } from './errors.ts';
import { tellWithoutManager } from './last-manager.ts';
import type { ClosedReason, MemberRow } from './queries.ts';
import * as queries from './queries.ts';
import type { RevocationCause } from './revocation-queries.ts';
import * as revocations from './revocation-queries.ts';
import { closeSessionsOf, closeThese } from './sessions.ts';

/** How many of one kind ended, and the instant from which none of them works any more. */
export interface RevocationEffect {
  readonly holder: string;
  readonly ended: number;
  readonly at: Date;
}

/** In whose name something is ended, as entries say it. */
export type RevokedBy = Pick<AuditInput, 'actor' | 'decision' | 'tokenHash' | 'stepUpHash'>;

/**
 * Something that another room holds for a person: keys, grants, tokens. Registered where the issuer is composed
 * (`revocations` in `app/bin/issuer.ts`). Whatever it holds must also be refused while its member is not active: `end` may
 * come late.
 */
export interface RevocationHolder {
  /** A lower-case word that administrators read: `api-keys`. */
  readonly name: string;
  /**
   * Ends what it holds for the member and says how much that was; 0 when nothing is left. May throw: everything else ends
   * all the same, and the next call tries it again. At the cause `lapsed` the person may come back with a fresh proof:
   * what can wait for one may be held back instead.
   */
  end(
    context: TenantContext,
    memberId: Uuid,
    of: { readonly cause: RevocationCause; readonly by: RevokedBy },
  ): Promise<number>;
}

export type RevocationDeps = Pick<
  IdentityDeps,
  'tenant' | 'recordAudit' | 'clock' | 'random' | 'evictions' | 'revocations' | 'signals'
>;

export interface Revocation {
  readonly memberId: Uuid;
  readonly cause: RevocationCause;
  readonly by: RevokedBy;
  /** When what is answered here happened, where that is known: effects are timed from then. Now, unless told. */
  readonly causedAt?: Date;
  /** Finds and locks the member in the transaction, and may refuse. Undefined: there is nothing to end any more. */
  readonly lock?: (tx: ScopedTransaction) => Promise<MemberRow | undefined>;
}

/**
 * Whether the person has left. Who signs out at the provider, or of whom nobody has heard for a while, has not: they come
 * back in by a new sign-in there.
 */
const HAS_LEFT: Readonly<Record<RevocationCause, boolean>> = {
  scim: true,
  signal: true,
  administrator: true,
  review: true,
  'back-channel': false,
  lapsed: false,
};
const REASON: Readonly<Record<RevocationCause, ClosedReason>> = {
  scim: 'suspended',
  signal: 'suspended',
  administrator: 'suspended',
  review: 'suspended',
  'back-channel': 'provider',
  lapsed: 'lapsed',
};

interface Order extends Revocation {
  readonly causedAt: Date;
  /** Only these; undefined: all that the person holds. */
  readonly sessionIds?: readonly Uuid[];
}

/** What the first transaction has ended. */
interface Begun {
  /** Of the row about it; undefined: nothing has changed. */
  readonly id: Uuid | undefined;
  readonly counts: Readonly<Record<'sessions' | 'links' | 'approvals', number>>;
}

/**
 * The one way in which somebody's access ends. Suspends the member where the cause says that they have left, ends every
 * session, unused link and pending approval in one transaction, has every gateway drop their tokens once it is committed,
 * then has each holder end what it holds. One entry, `member.revoked`, names each effect and its instant. May be repeated:
 * what is left ends, of all else there are 0, and where nothing is left no entry is written. Throws `not_found` for a
 * member that is not there, what `lock` throws, and, when everything else has ended, `revocation_incomplete`.
 */
export function revokePrincipal(
  deps: RevocationDeps,
  context: TenantContext,
  revocation: Revocation,
): Promise<RevocationEffect[]> {
  return carryOut(deps, context, { causedAt: new Date(deps.clock.nowMs()), ...revocation });
}

/**
 * Ends what a connection has opened for somebody, at their provider's word that they have signed out there: sessions, and
 * what was about to be confirmed in them. Returns whose they were.
 */
export async function revokeProviderSessions(
  deps: RevocationDeps,
  context: TenantContext,
  of: {
    readonly connectionId: Uuid;
    readonly providerSession?: Uint8Array | undefined;
    readonly providerSubject?: Uint8Array | undefined;
  },
): Promise<Uuid[]> {
  const causedAt = new Date(deps.clock.nowMs());
  const open = await deps.tenant.scoped(context, providerSessions(context, of));
  const by = { actor: { service: 'issuer' } } as const;
  for (const [memberId, sessions] of Map.groupBy(open, ({ member_id }) => member_id)) {
    const sessionIds = sessions.map(({ id }) => id);
    await carryOut(deps, context, { memberId, cause: 'back-channel', by, causedAt, sessionIds });
  }
  return [...new Set(open.map(({ member_id }) => member_id))];
}

/**
 * Ends sessions that a connection has opened, at a signal of its provider: all of one account, one session there, or with
 * both that session of the account only. Nobody is suspended, and what else the person holds stays. Returns what ended of
 * whom; nobody, where nothing of that is open.
 */
export async function revokeSignalledSessions(
  deps: RevocationDeps,
  context: TenantContext,
  of: {
    readonly connectionId: Uuid;
    readonly accountId?: Uuid | undefined;
    readonly providerSession?: Uint8Array | undefined;
    readonly causedAt: Date;
  },
): Promise<{ readonly memberId: Uuid; readonly effects: readonly RevocationEffect[] }[]> {
  // Without either it would be everybody's.
  if (of.accountId === undefined && of.providerSession === undefined) throw new Error('neither account nor session');
  const open = await deps.tenant.scoped(context, providerSessions(context, of));
  const by = { actor: { service: 'issuer' } } as const;
  const ended: { memberId: Uuid; effects: readonly RevocationEffect[] }[] = [];
  for (const [memberId, sessions] of Map.groupBy(open, ({ member_id }) => member_id)) {
    const sessionIds = sessions.map(({ id }) => id);
    const order = { memberId, cause: 'signal', by, causedAt: of.causedAt, sessionIds } as const;
    ended.push({ memberId, effects: await carryOut(deps, context, order) });
  }
  return ended;
}

async function carryOut(deps: RevocationDeps, context: TenantContext, order: Order): Promise<RevocationEffect[]> {
  const { memberId, cause, by, sessionIds } = order;
  const now = () => new Date(deps.clock.nowMs());
  const begun = await deps.tenant.transaction(context, (tx) => begin(deps, tx, order));
  if (begun === undefined) return [];
  const committed = now();
  const { counts } = begun;
  const effects: RevocationEffect[] = [
    ...Object.entries(counts).map(([holder, ended]) => ({ holder, ended, at: committed })),
    { holder: 'gateways', ended: counts.sessions === 0 ? 0 : deps.evictions.readers(), at: committed },
  ];
  const failures: unknown[] = [];
  for (const holder of sessionIds === undefined ? deps.revocations : []) {
    try {
      const ended = await holder.end(context, memberId, { cause, by });
      effects.push({ holder: holder.name, ended, at: now() });
    } catch (error) {
      failures.push(new Error(`${holder.name} did not end`, { cause: error }));
    }
  }
  if (failures.length > 0)
    throw new AppError<IdentityCode>('revocation_incomplete', 'a holder failed', {
      cause: new AggregateError(failures),
    });
  if (begun.id !== undefined || effects.some(({ ended }) => ended > 0))
    await deps.tenant.transaction(context, (tx) => complete(deps, tx, { order, id: begun.id, effects }));
  return effects;
}

async function lockMember(tx: ScopedTransaction, memberId: Uuid): Promise<MemberRow> {
  const [row] = await tx.query(queries.memberForUpdate(tx.context.tenantId, memberId));
  if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such member');
  return row;
}

async function begin(deps: RevocationDeps, tx: ScopedTransaction, order: Order): Promise<Begun | undefined> {
  const { memberId, cause, by, sessionIds } = order;
  // Whose sessions alone are to end has not left.
  const isLeaving = sessionIds === undefined && HAS_LEFT[cause];
  // Of the last two who are put out at once each would take the other for one who stays.
  if (isLeaving) await tx.query(queries.lockManagers(tx.context.tenantId));
  const row = await (order.lock?.(tx) ?? lockMember(tx, memberId));
  if (row === undefined) return undefined;
  const counts = await endOwn(deps, tx, order);
  const isSuspended = isLeaving && row.state !== 'suspended';
  const [open] = await tx.query(revocations.openRevocationOf(tx.context, memberId));
  const isChanged = isSuspended || Object.values(counts).some((count) => count > 0);
  if (!isChanged) return { id: open?.id, counts };
  const entry = { ...by, resource: ['member', memberId], outcome: 'allowed', requestId: tx.context.requestId } as const;
  if (isSuspended) {
    await tx.query(queries.setMemberState(tx.context.tenantId, memberId, 'suspended'));
    await deps.signals.note(tx, { kind: 'suspended', memberId, cause });
    await deps.recordAudit(tx, {
      ...entry,
      type: 'member.suspended',
      decision: by.decision,
      public: { cause, sessions: counts.sessions },
      disclosures: changesOf({ state: row.state }, { state: 'suspended' }),
    });
    if (row.state === 'active') await tellWithoutManager(deps, tx, { role: row.role, cause, by });
  } else {
    const { sessions } = counts;
    await deps.recordAudit(tx, {
      ...entry,
      type: 'member.revocation-begun',
      decision: by.decision,
      public: { cause, sessions },
    });
  }
  return { id: open?.id ?? (await insertRow(deps, tx, order)), counts };
}

async function insertRow(deps: RevocationDeps, tx: ScopedTransaction, order: Order): Promise<Uuid> {
  const { memberId, cause, by, causedAt } = order;
  const id = uuidV7(deps.clock, deps.random);
  const by_member = 'personId' in by.actor ? by.actor.personId : null;
  await tx.query(
    revocations.insertRevocation(tx.context, { id, member_id: memberId, cause, caused_at: causedAt, by_member }),
  );
  return id;
}

/** What is in this room's own tables. */
async function endOwn(deps: RevocationDeps, tx: ScopedTransaction, order: Order): Promise<Begun['counts']> {
  const { memberId, cause, by, sessionIds } = order;
  const { tenantId } = tx.context;
  const now_ms = deps.clock.nowMs();
  const reason = sessionIds === undefined ? REASON[cause] : 'provider';
  const closing = { reason, actor: by.actor, decision: by.decision };
  const sessions =
    sessionIds === undefined
      ? await closeSessionsOf(deps, tx, { memberId, ...closing })
      : await closeThese(deps, tx, { memberId, sessionIds, ...closing });
  const pending = await tx.query(queries.deleteChallengesOf(tenantId, { memberId, sessionIds }));
  const approvals = pending.filter(({ expires_at }) => expires_at.getTime() > now_ms).length;
  if (sessionIds !== undefined) return { sessions, links: 0, approvals };
  const issued = await tx.query(queries.deleteLinksOf(tenantId, memberId));
  const links = issued.filter(({ used_at, expires_at }) => used_at === null && expires_at.getTime() > now_ms).length;
  // Also where no session was open: one of a moment ago may have left a token behind.
  deps.evictions.endPerson(tx, memberId);
  return { sessions, links, approvals };
}

async function complete(
  deps: RevocationDeps,
  tx: ScopedTransaction,
  done: { readonly order: Order; readonly id: Uuid | undefined; readonly effects: readonly RevocationEffect[] },
): Promise<void> {
  const { order, effects } = done;
  const { memberId, cause, by, causedAt } = order;
  const { context } = tx;
  await lockMember(tx, memberId);
  const id = done.id ?? (await insertRow(deps, tx, order));
  const at = new Date(deps.clock.nowMs());
  await tx.query(revocations.completeRevocation(context, { id, effects: JSON.stringify(effects), at }));
  await deps.recordAudit(tx, {
    type: 'member.revoked',
    actor: by.actor,
    resource: ['member', memberId],
    outcome: 'allowed',
    requestId: context.requestId,
    decision: by.decision,
    public: { cause, since: causedAt.toISOString(), effects: effects.map(spell).join(', ') },
  });
}

function spell({ holder, ended, at }: RevocationEffect): string {
  return `${holder} ${ended} at ${at.toISOString()}`;
}

/**
 * Lets a suspended member sign in again; what was ended stays ended. True when it did, false where they were not
 * suspended. Throws `not_found`, `member_erased` for somebody who was erased by law, and what `lock` throws.
 */
export async function reinstatePrincipal(
  deps: RevocationDeps,
  context: TenantContext,
  { memberId, cause, by, lock }: Pick<Revocation, 'memberId' | 'cause' | 'by' | 'lock'>,
): Promise<boolean> {
  const [known] = await notErased(deps.tenant, context, [memberId]);
  if (known === undefined) throw new AppError<IdentityCode>('member_erased', 'an erased person does not come back');
  return deps.tenant.transaction(context, async (tx) => {
    const row = await (lock?.(tx) ?? lockMember(tx, memberId));
    if (row?.state !== 'suspended') return false;
    await tx.query(queries.setMemberState(context.tenantId, memberId, 'active'));
    await deps.signals.note(tx, { kind: 'reinstated', memberId, cause });
    await deps.recordAudit(tx, {
      ...by,
      type: 'member.reinstated',
      resource: ['member', memberId],
      outcome: 'allowed',
      requestId: context.requestId,
      decision: by.decision,
      public: { cause },
      disclosures: changesOf({ state: row.state }, { state: 'active' }),
    });
    return true;
  });
}
