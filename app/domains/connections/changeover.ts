import { isAppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { auditFromCall } from '../../platform/audit/index.ts';
import { closeConnectionSessions, giveAccount, providerHash, removeOwnAccount } from '../identity/index.ts';
import { entryOf, forUpdate, type Asker } from './asking.ts';
import { isSubject, readList, suggest } from './changeover-list.ts';
import * as changeovers from './changeover-queries.ts';
import type { Changeover } from './changeover-contract.ts';
import type { ConnectionDeps, ReadDeps } from './deps.ts';
import { notFound, refuse } from './errors.ts';
import * as queries from './queries.ts';
import { connectionName, openConnectionIds } from './read.ts';

/** What is asked of the people who are to move. */
export interface Mover {
  readonly memberId: Uuid;
  readonly state: changeovers.MoverRow['state'];
  readonly label: Buffer;
  readonly origin: changeovers.MoverRow['origin'];
  readonly subjectHashes: readonly Buffer[];
  readonly moved: { readonly by: 'change' | 'person'; readonly since: Date } | null;
  readonly passkeys: number;
  readonly isOrphan: boolean;
}

type Change = changeovers.ChangeoverRow;
/** What looking at a change takes. */
type LookingDeps = ReadDeps & Pick<ConnectionDeps, 'formatId'>;

/** One a person, out of a row for each of their accounts. */
function moversOf(rows: readonly changeovers.MoverRow[]): Mover[] {
  const found = new Map<Uuid, Mover>();
  for (const row of rows) {
    const known = found.get(row.member_id);
    const { to_account, to_changeover, to_since, passkeys } = row;
    const since = to_account === null || to_since === null ? null : to_since;
    const moved = since === null ? null : ({ by: to_changeover === null ? 'person' : 'change', since } as const);
    found.set(row.member_id, {
      memberId: row.member_id,
      state: row.state,
      label: row.label,
      origin: known?.origin ?? row.origin,
      subjectHashes: [...(known?.subjectHashes ?? []), row.subject_hash],
      moved: known?.moved ?? moved,
      passkeys,
      // Whoever is suspended or was never let in has no way in that could be lost.
      isOrphan: row.state === 'active' && to_account === null && passkeys === 0 && row.elsewhere === 0,
    });
  }
  return [...found.values()];
}

async function labelsOf(deps: LookingDeps, context: TenantContext, people: readonly Mover[]) {
  const values = people.map(({ memberId, label }) => ({
    field: 'identity.member.label' as const,
    rowId: memberId,
    sealed: label,
  }));
  return deps.sealer.openNames({ context, values });
}

const none = () => refuse('connection_state', 'No change of provider is under way.');

async function openChange(deps: LookingDeps, context: TenantContext): Promise<Change> {
  const [row] = await deps.tenant.scoped(context, changeovers.openChangeover(context));
  if (row === undefined) throw none();
  return row;
}

async function changeForUpdate(tx: ScopedTransaction): Promise<Change> {
  const [row] = await tx.query(changeovers.openChangeoverForUpdate(tx.context));
  if (row === undefined) throw none();
  return row;
}

async function nameOf(deps: LookingDeps, context: TenantContext, id: Uuid) {
  return { id: deps.formatId('con', context, id), name: (await connectionName(deps, context, id)) ?? '' };
}

/** The change that is under way, with everybody whom it concerns; null when there is none. */
export async function readChange(deps: LookingDeps, context: TenantContext): Promise<Changeover | null> {
  const [row] = await deps.tenant.scoped(context, changeovers.openChangeover(context));
  if (row === undefined) return null;
  const people = moversOf(await deps.tenant.scoped(context, changeovers.movers(context, row)));
  const labels = await labelsOf(deps, context, people);
  return {
    from: await nameOf(deps, context, row.from_connection),
    to: await nameOf(deps, context, row.to_connection),
    startedAt: row.started_at.toISOString(),
    people: people.map(({ memberId, state, moved, passkeys, isOrphan }, index) => ({
      id: deps.formatId('mem', context, memberId),
      label: labels[index]!,
      state,
      moved: moved === null ? null : { by: moved.by, since: moved.since.toISOString() },
      passkeys,
      isOrphan,
    })),
  };
}

/** What stands in the log of every step: who, by which rules, with which confirmation. */
function factsOf(who: Asker, id: Uuid) {
  const called = { ...auditFromCall(who), stepUpHash: who.stepUp.assertionHash };
  return { ...called, resource: ['changeover', id], outcome: 'allowed' } as const;
}

/** Begins a change between two connections that are both in use. Throws `connection_state`. */
export async function beginChange(
  deps: ConnectionDeps,
  who: Asker,
  { from, to }: { readonly from: Uuid; readonly to: Uuid },
): Promise<void> {
  const context = who.caller.tenant;
  const id = uuidV7(deps.clock, deps.random);
  await deps.tenant.transaction(context, async (tx) => {
    const open = await openConnectionIds(tx);
    if (from === to || !open.has(from) || !open.has(to))
      throw refuse('connection_state', 'It goes from one connection in use to another one in use.');
    const started = { started_by: who.caller.personId, started_at: new Date(deps.clock.nowMs()) };
    const row = { id, from_connection: from, to_connection: to, ...started };
    if ((await tx.query(changeovers.insertChangeover(context, row))).length === 0)
      throw refuse('connection_state', 'Another change is under way; finish it or undo it first.');
    await deps.recordAudit(tx, { ...factsOf(who, id), type: 'changeover.begun', public: { from, to } });
  });
}

/**
 * Whom the lines of a list could be about: by their old subject, or by an address that is what the person is called here.
 * It decides nothing: addresses are given to others, and whoever runs a directory writes into it what he likes.
 */
export async function suggestAccounts(
  deps: ConnectionDeps,
  context: TenantContext,
  { by, text }: { readonly by: 'subject' | 'email'; readonly text: string },
) {
  const lines = readList(text);
  const row = await openChange(deps, context);
  const movers = moversOf(await deps.tenant.scoped(context, changeovers.movers(context, row)));
  const labels = await labelsOf(deps, context, movers);
  const people = movers.map((mover, index) => ({ ...mover, shown: labels[index]!, isMoved: mover.moved !== null }));
  const peopleOf = (key: string) => {
    if (by === 'email') return people.filter(({ shown }) => shown.toLowerCase() === key.toLowerCase());
    const hash = providerHash('subject', key);
    return people.filter(({ subjectHashes }) => subjectHashes.some((one) => hash.equals(one)));
  };
  const { suggestions, unmatched } = suggest(lines, peopleOf);
  return {
    suggestions: suggestions.map(({ person, subject }) => ({
      person: deps.formatId('mem', context, person.memberId),
      label: person.shown,
      subject,
    })),
    unmatched,
  };
}

export interface Pair {
  /** The member, as the page names them. */
  readonly person: string;
  readonly subject: string;
}

/** The people of a change by what the page calls them. */
function byName(deps: LookingDeps, context: TenantContext, people: readonly Mover[]): Map<string, Mover> {
  return new Map(people.map((one) => [deps.formatId('mem', context, one.memberId), one]));
}

/** Each pair as it is shown to whoever approves it. Throws `not_found` for somebody whom the change does not concern. */
export async function describePairs(
  deps: LookingDeps,
  context: TenantContext,
  pairs: readonly Pair[],
): Promise<Record<string, string>> {
  const row = await openChange(deps, context);
  const people = moversOf(await deps.tenant.scoped(context, changeovers.movers(context, row)));
  const found = byName(deps, context, people);
  const wanted = pairs.map(({ person }) => found.get(person));
  if (wanted.some((one) => one === undefined)) throw notFound();
  const labels = await labelsOf(deps, context, wanted as Mover[]);
  return Object.fromEntries(pairs.map(({ subject }, index) => [String(index + 1), `${labels[index]!} is ${subject}`]));
}

/**
 * Gives each person the account that an administrator has approved, all or none. The role goes on as it did: given by
 * groups where it was. Throws `not_found`, `connection_state`, `connection_setting_invalid` with the person's place.
 */
export async function approveAccounts(deps: ConnectionDeps, who: Asker, pairs: readonly Pair[]): Promise<void> {
  const context = who.caller.tenant;
  const { requestId: _requestId, ...called } = auditFromCall(who);
  const by = { ...called, stepUpHash: who.stepUp.assertionHash };
  await deps.tenant.transaction(context, async (tx) => {
    const row = await changeForUpdate(tx);
    await tx.query(changeovers.lockMovers(context, row.from_connection));
    const people = byName(deps, context, moversOf(await tx.query(changeovers.movers(context, row))));
    const done = new Set<Uuid>();
    for (const [index, { person, subject }] of pairs.entries()) {
      const mover = people.get(person);
      if (mover === undefined) throw notFound();
      const wrong = (why: string) => refuse('connection_setting_invalid', `${index + 1}: ${why}`, `pairs.${index}`);
      if (!isSubject(subject)) throw wrong('an empty, padded or overlong name.');
      if (mover.moved !== null || done.has(mover.memberId)) throw wrong('this person has an account there already.');
      done.add(mover.memberId);
      const { memberId } = mover;
      // No directory of the new provider has made it, so none keeps it.
      const origin = mover.origin === 'scim' ? 'just-in-time' : mover.origin;
      const given = { memberId, subject, origin, connectionId: row.to_connection, changeoverId: row.id, by };
      await giveAccount(deps, tx, given).catch((error: unknown) => {
        if (!isAppError(error, 'account_taken')) throw error;
        throw wrong('somebody here is this person at the new provider already.');
      });
    }
  });
}

/** Switches the old connection off, when nobody loses their way in by it. Throws `changeover_orphans`, `connection_state`. */
export async function finishChange(deps: ConnectionDeps, who: Asker): Promise<readonly Uuid[]> {
  const context = who.caller.tenant;
  const from = await deps.tenant.transaction(context, async (tx) => {
    const row = await changeForUpdate(tx);
    await tx.query(changeovers.lockMovers(context, row.from_connection));
    if (!(await openConnectionIds(tx)).has(row.to_connection))
      throw refuse('connection_state', 'The new connection is not in use.');
    const people = moversOf(await tx.query(changeovers.movers(context, row)));
    const orphans = people.filter(({ isOrphan }) => isOrphan).length;
    if (orphans > 0)
      throw refuse('changeover_orphans', `${orphans} would have no way in any more; they are marked in the list.`);
    await tx.query(
      changeovers.endChangeover(context, { id: row.id, state: 'finished', at: new Date(deps.clock.nowMs()) }),
    );
    const entry = factsOf(who, row.id);
    await deps.recordAudit(tx, { ...entry, type: 'changeover.finished', public: { count: people.length } });
    const { id, kind, profile, state } = await forUpdate(tx, row.from_connection);
    if (state !== 'active') return id;
    await tx.query(queries.setState(context, { id, state: 'disabled' }));
    await deps.recordAudit(tx, entryOf(who, id, { type: 'connection.disabled', public: { kind, profile } }));
    return id;
  });
  return closeConnectionSessions(deps, context, from);
}

/**
 * Takes away the accounts that the change has made, and the sessions that came by them; where it is somebody's last way in
 * it stays. Throws `connection_state`.
 */
export async function undoChange(deps: ConnectionDeps, who: Asker): Promise<void> {
  const context = who.caller.tenant;
  const { requestId: _requestId, ...called } = auditFromCall(who);
  const by = { ...called, stepUpHash: who.stepUp.assertionHash };
  await deps.tenant.transaction(context, async (tx) => {
    const row = await changeForUpdate(tx);
    let kept = 0;
    const made = await tx.query(changeovers.accountsOfChangeover(context, row.id));
    for (const { id: accountId, member_id: memberId } of made) {
      const removal = { accountId, memberId, openIn: openConnectionIds, by };
      await removeOwnAccount(deps, tx, removal).catch((error: unknown) => {
        if (!isAppError(error, 'last_way_in')) throw error;
        kept += 1;
      });
    }
    await tx.query(
      changeovers.endChangeover(context, { id: row.id, state: 'undone', at: new Date(deps.clock.nowMs()) }),
    );
    const entry = factsOf(who, row.id);
    const count = made.length - kept;
    await deps.recordAudit(tx, { ...entry, type: 'changeover.undone', public: { count, kept } });
  });
}
