import { isAppError, type Uuid } from '@auditrax/base';
import {
  accountOf,
  providerHash,
  revokePrincipal,
  revokeSignalledSessions,
  type RevocationEffect,
} from '../identity/index.ts';
import type { Place, SignalReceiverDeps } from './deps.ts';
import { entryOf, openEvents, type EventContent } from './keeping.ts';
import * as queries from './queries.ts';
import type { EventOutcome, EventRow } from './queries.ts';
import { subjectKey } from './settings.ts';

/**
 * People whom one stream suspends within an hour by itself, as many as of a directory's are a wave. Who has stolen a
 * transmitter's key can lock an organisation out with it, and signing in again does not help those who are suspended: so
 * beyond it sessions still end, and a person decides about the rest. An honest provider that puts out more is rare, and its
 * people are out of their sessions all the same.
 */
export const SUSPENSIONS_PER_HOUR_MAX = 10;
const HOUR_MS = 3_600_000;

const BY = { actor: { service: 'issuer' } } as const;

interface Work extends Place {
  readonly row: EventRow;
  readonly content: EventContent;
}

interface Person {
  readonly accountId: Uuid;
  readonly memberId: Uuid;
}

/** Whose account the event means: of this connection, by issuer and immutable subject. Nothing else finds anybody. */
async function personOf(deps: SignalReceiverDeps, { context, connection, content }: Work): Promise<Person | undefined> {
  const { account } = content;
  if (account === null) return undefined;
  const subject = subjectKey(connection, account.subject);
  return deps.tenant.transaction(context, (tx) => accountOf(tx, { connectionId: connection.id, subject }));
}

const spelled = (effects: readonly RevocationEffect[]) =>
  effects.map(({ holder, ended, at }) => ({ holder, ended, at: at.toISOString() }));

type Settled = Pick<EventRow, 'outcome'> & {
  readonly state: 'held' | 'done';
  readonly memberId: Uuid | null;
  readonly effects?: readonly RevocationEffect[];
};

/** Writes what has become of an event, with its entry; nothing where somebody else has settled it meanwhile. */
async function settle(deps: SignalReceiverDeps, work: Work, settled: Settled): Promise<void> {
  const { context, row } = work;
  const { state, outcome, memberId, effects = [] } = settled;
  const now = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    const [stands] = await tx.query(queries.eventForUpdate(context, row.id));
    if (stands === undefined || stands.state === 'done' || stands.state === state) return;
    await tx.query(
      queries.settleEvent(context, {
        ...stands,
        state,
        outcome,
        member_id: memberId,
        // Of a suspension that was held the sessions have ended before.
        effects: JSON.stringify([...stands.effects, ...spelled(effects)]),
        done_at: state === 'done' ? now : null,
      }),
    );
    const facts = { type: row.verdict, ...(outcome === null ? {} : { outcome }) };
    const whom = memberId === null ? {} : { member: memberId };
    await deps.recordAudit(tx, {
      ...entryOf(work, { ...facts, ...whom }),
      type: state === 'held' ? 'signals.held' : 'signals.carried-out',
    });
  });
}

async function endSessions(
  deps: SignalReceiverDeps,
  { context, connection, content, row }: Work,
  person: Person | undefined,
) {
  const { sessionId } = content;
  const providerSession = sessionId === null ? undefined : providerHash('session', sessionId);
  return revokeSignalledSessions(deps, context, {
    connectionId: connection.id,
    accountId: person?.accountId,
    providerSession,
    causedAt: row.received_at,
  });
}

async function actOnSessions(deps: SignalReceiverDeps, work: Work): Promise<void> {
  const { content } = work;
  const person = await personOf(deps, work);
  // A session of somebody else's account is not meant, whoever claims to name both.
  const isNobody = person === undefined && (content.account !== null || content.sessionId === null);
  const ended = isNobody ? [] : await endSessions(deps, work, person);
  const memberId = person?.memberId ?? ended[0]?.memberId ?? null;
  const outcome: EventOutcome = memberId === null ? 'nobody' : 'sessions-ended';
  await settle(deps, work, { state: 'done', outcome, memberId, effects: ended.flatMap(({ effects }) => effects) });
}

/**
 * Whether this stream may put one more person out by itself; counted under the lock of its row, so that two at once do not
 * both find room. Whoever is out already, or was counted before, takes no room.
 */
async function reserve(deps: SignalReceiverDeps, work: Work, person: Person): Promise<'acting' | 'over' | 'settled'> {
  const { context, stream, row } = work;
  const { memberId } = person;
  const now_ms = deps.clock.nowMs();
  return deps.tenant.transaction(context, async (tx) => {
    await tx.query(queries.streamForUpdate(context, stream.id));
    const [stands] = await tx.query(queries.eventForUpdate(context, row.id));
    if (stands === undefined || stands.state === 'done' || stands.state === 'held') return 'settled';
    if (stands.state === 'acting') return 'acting';
    const [member] = await tx.query(queries.memberState(context, memberId));
    const isOut = member?.state === 'suspended';
    const since = new Date(now_ms - HOUR_MS);
    const [counted] = await tx.query(queries.countedSince(context, { streamId: stream.id, since, memberId }));
    if (!isOut && Number(counted?.people ?? 0) >= SUSPENSIONS_PER_HOUR_MAX) return 'over';
    const acting = {
      ...stands,
      state: 'acting',
      member_id: memberId,
      effects: JSON.stringify(stands.effects),
    } as const;
    await tx.query(queries.settleEvent(context, { ...acting, counted_at: isOut ? null : new Date(now_ms) }));
    await deps.recordAudit(tx, {
      ...entryOf(work, { type: row.verdict, member: memberId }),
      type: 'signals.suspending',
    });
    return 'acting';
  });
}

async function actOnAccount(deps: SignalReceiverDeps, work: Work): Promise<void> {
  const { context, row } = work;
  const person = await personOf(deps, work);
  if (person === undefined) return settle(deps, work, { state: 'done', outcome: 'nobody', memberId: null });
  const { memberId } = person;
  const room = await reserve(deps, work, person);
  if (room === 'settled') return undefined;
  if (room === 'over') {
    // Before it is held: a crash in between leaves it new, and it is taken up again.
    const ended = await endSessions(deps, { ...work, content: { ...work.content, sessionId: null } }, person);
    const effects = ended.flatMap((one) => one.effects);
    return settle(deps, work, { state: 'held', outcome: null, memberId, effects });
  }
  const effects = await revokePrincipal(deps, context, {
    memberId,
    cause: 'signal',
    by: BY,
    causedAt: row.received_at,
  });
  return settle(deps, work, { state: 'done', outcome: 'suspended', memberId, effects });
}

/**
 * Carries out an event from what was written of it; may be repeated until it is done, and two at once do no more than one.
 * What it ended before a failure stays ended, and the rest is taken up again. Throws what ending things throws, such as
 * `revocation_incomplete`.
 */
export async function act(deps: SignalReceiverDeps, place: Place, eventId: Uuid): Promise<void> {
  const { context } = place;
  const [row] = await deps.tenant.scoped(context, queries.eventById(context, eventId));
  if (row === undefined || row.state === 'done' || row.state === 'held') return;
  const [content] = await openEvents(deps, place, [row]);
  const work: Work = { ...place, row, content: content! };
  try {
    await (row.verdict === 'suspend' ? actOnAccount(deps, work) : actOnSessions(deps, work));
  } catch (error) {
    // The person was erased in between: there is nothing left to end.
    if (!isAppError(error, 'not_found')) throw error;
    await settle(deps, work, { state: 'done', outcome: 'nobody', memberId: null });
  }
}

/** Of one look; the rest comes with the next one. */
const UNFINISHED_AT_ONCE_MAX = 100;
/** Younger ones are being carried out by whoever has just kept them. */
const UNFINISHED_MS_MIN = 10_000;

/** Takes up what was kept and not carried out: a process died in between, or something could not end. */
export async function finishEvents(deps: SignalReceiverDeps, place: Place): Promise<void> {
  const { context, stream } = place;
  const before = new Date(deps.clock.nowMs() - UNFINISHED_MS_MIN);
  const of = { streamId: stream.id, before, limit: UNFINISHED_AT_ONCE_MAX };
  const failures: unknown[] = [];
  for (const { id } of await deps.tenant.scoped(context, queries.unfinishedEvents(context, of)))
    await act(deps, place, id).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
