import { uuidV7, type Uuid } from '@auditrax/base';
import type { StreamStatus } from '@auditrax/signals';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { auditFromCall, type AuditInput } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import { issuerOf, type TransmitterDeps } from './deps.ts';
import { notFound, refuse } from './errors.ts';
import { prepareNext, requireKey } from './keys.ts';
import { applyStatus, lockQueue } from './outbox.ts';
import * as queries from './queries.ts';
import { newReceiverToken } from './receiver-token.ts';
import { openSettings, SETTINGS_FIELD, type StreamSettings } from './settings.ts';
import type { Topic } from './words.ts';

/** Each is told everything at the same time; more than this many systems are told by the first of them. */
export const STREAMS_MAX = 10;
const NAME_CHARACTERS_MAX = 80;
const TEST_INTERVAL_MS = 60_000;
/** After whatever was noted in the same millisecond. */
const RANK_LAST = 32_767;

/** Who does it. */
export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
  readonly stepUp?: StepUp;
}

type Deps = TransmitterDeps;

const by = (who: Asker) => ({
  ...auditFromCall(who),
  ...(who.stepUp === undefined ? {} : { stepUpHash: who.stepUp.assertionHash }),
});

function entry(who: Asker, id: Uuid, deed: Pick<AuditInput, 'type' | 'public' | 'disclosures'>): AuditInput {
  return { ...by(who), ...deed, resource: ['signal-stream', id], outcome: 'allowed' };
}

export interface NewStream {
  readonly name: string;
  readonly audience: string;
  readonly topics: Readonly<Record<Topic, boolean>>;
  readonly subjects: queries.Subjects;
  readonly push: { readonly url: string; readonly token: string } | null;
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.protocol === 'https:' && url.username === '' && url.password === '';
  if (!isPlain || url.hash !== '' || /\s/.test(text))
    throw refuse(
      'signal_stream_invalid',
      'Needs an https address without a name, a password or a fragment.',
      'push.url',
    );
  return text;
}

/** What would be stored. Throws `signal_stream_invalid` with the field. */
function checkInput(deps: Deps, context: TenantContext, input: NewStream & { readonly id: Uuid }): StreamSettings {
  const name = input.name.trim();
  if (name === '' || name.length > NAME_CHARACTERS_MAX || /[\p{Cc}\p{Cf}\p{Cs}]/u.test(name))
    throw refuse('signal_stream_invalid', `1 to ${NAME_CHARACTERS_MAX} plain characters.`, 'name');
  if (!Object.values(input.topics).includes(true))
    throw refuse('signal_stream_invalid', 'Choose at least one kind of event.', 'topics');
  const audience = input.audience.trim() || `${issuerOf(deps, context.tenantId)}/streams/${input.id}`;
  if (!/^[!-~]{1,1024}$/.test(audience))
    throw refuse('signal_stream_invalid', 'One word or address, without spaces.', 'audience');
  if (input.push === null) return { name, audience, push: null };
  const { url, token } = input.push;
  if (!/^[A-Za-z0-9._~+/=-]{1,4000}$/.test(token))
    throw refuse('signal_stream_invalid', 'The token that the receiver gave you (RFC 6750).', 'push.token');
  return { name, audience, push: { url: checkUrl(url), authorization: `Bearer ${token}` } };
}

/** Two streams of one audience: what is for the one could be carried to the other. */
async function requireOwnAudience(deps: Deps, context: TenantContext, audience: string): Promise<void> {
  const rows = await deps.tenant.scoped(context, queries.streamsOf(context));
  if (rows.length >= STREAMS_MAX)
    throw refuse('signal_streams_full', `An organisation has at most ${STREAMS_MAX} streams.`);
  for (const row of rows)
    if ((await openSettings(deps, { context }, row)).audience === audience)
      throw refuse('signal_stream_invalid', 'Another stream has this audience.', 'audience');
}

/**
 * Makes a stream; from its commit on what happens is noted for it. The token is given once and kept as a hash. Throws
 * `signal_stream_invalid`, `signal_streams_full`.
 */
export async function createStream(
  deps: Deps,
  who: Asker,
  input: NewStream,
): Promise<{ readonly id: Uuid; readonly token: string }> {
  const { tenant: context, personId } = who.caller;
  const id = uuidV7(deps.clock, deps.random);
  const settings = checkInput(deps, context, { ...input, id });
  await requireOwnAudience(deps, context, settings.audience);
  await requireKey(deps, context, by(who));
  const { text, hash } = newReceiverToken(deps.random);
  const value = JSON.stringify(settings);
  const sealed = await deps.sealer.seal({ context, field: SETTINGS_FIELD, rowId: id, value });
  const method = settings.push === null ? 'poll' : 'push';
  const { sessions, accounts, passkeys } = input.topics;
  await deps.tenant.transaction(context, async (tx) => {
    await tx.query(
      queries.insertStream(context, {
        id,
        settings: sealed,
        method,
        subjects: input.subjects,
        tells_sessions: sessions,
        tells_accounts: accounts,
        tells_passkeys: passkeys,
        token_hash: hash,
        created_by: personId,
        created_at: new Date(deps.clock.nowMs()),
      }),
    );
    await tx.query(queries.insertQueue(context, id, method));
    const disclosures = {
      name: settings.name,
      audience: settings.audience,
      ...(settings.push === null ? {} : { address: settings.push.url }),
    };
    const told = { kind: method, format: input.subjects, sessions, accounts, passkeys };
    await deps.recordAudit(tx, entry(who, id, { type: 'signal-stream.created', public: told, disclosures }));
  });
  return { id, token: text };
}

async function lockStream(tx: ScopedTransaction, id: Uuid): Promise<queries.StreamRow> {
  const [row] = await tx.query(queries.streamForUpdate(tx.context, id));
  // The same answer as for a foreign or forged id.
  if (row === undefined) throw notFound();
  return row;
}

async function insertOwn(
  deps: Pick<Deps, 'clock' | 'random' | 'sender'>,
  tx: ScopedTransaction,
  of: { readonly streamId: Uuid } & Pick<queries.EventRow, 'event' | 'cause'>,
): Promise<Uuid> {
  const id = uuidV7(deps.clock, deps.random);
  const at = new Date(deps.clock.nowMs());
  const facts = { event: of.event, cause: of.cause, member_id: null, session_id: null };
  const row = { id, stream_id: of.streamId, rank: RANK_LAST, noted_at: at, cause_id: id, ...facts };
  await tx.query(queries.insertEvent(tx.context, row));
  tx.afterCommit(() => deps.sender.wake(tx.context.tenantId));
  return id;
}

/**
 * Chooses a stream's status. The receiver is told by an event of the stream first; until it has taken that (or it was given
 * up), deliveries go on as they were. Of one that is off nothing is noted from now on. Throws `not_found`,
 * `signal_stream_state`.
 */
export async function turnStream(
  deps: Deps,
  who: Asker,
  { id, to }: { readonly id: Uuid; readonly to: StreamStatus },
): Promise<void> {
  await deps.tenant.transaction(who.caller.tenant, async (tx) => {
    const row = await lockStream(tx, id);
    const queue = await lockQueue(deps, tx, id);
    if (queue === undefined) throw notFound();
    if (row.status === to) throw refuse('signal_stream_state', 'It is in this state already.');
    await chooseStatus(deps, tx, { queue, to });
    await deps.recordAudit(tx, entry(who, id, { type: 'signal-stream.turned', public: { from: row.status, to } }));
  });
}

/** Of a stream whose queue is held: from now on only what its receiver has to hear of the change is added to it. */
export async function chooseStatus(
  deps: Pick<Deps, 'clock' | 'random' | 'sender'>,
  tx: ScopedTransaction,
  { queue, to }: { readonly queue: queries.QueueRow; readonly to: StreamStatus },
): Promise<void> {
  const streamId = queue.stream_id;
  await tx.query(queries.setStreamStatus(tx.context, streamId, to));
  const eventId = await announce(deps, tx, { queue, to });
  if (eventId !== undefined) await tx.query(queries.setPending(tx.context, { streamId, status: to, eventId }));
}

/** The event that has to be settled before a status holds; undefined: it holds at once. */
async function announce(
  deps: Pick<Deps, 'clock' | 'random' | 'sender'>,
  tx: ScopedTransaction,
  { queue, to }: { readonly queue: queries.QueueRow; readonly to: StreamStatus },
): Promise<Uuid | undefined> {
  const of = { streamId: queue.stream_id, status: to };
  const event = { streamId: queue.stream_id, event: 'stream-updated', cause: to } as const;
  // What rests sends nothing: to say so it would have to be woken, and whatever waits would go out before it.
  if (queue.status !== 'enabled') {
    await applyStatus(deps, tx, of);
    if (to === 'enabled') await insertOwn(deps, tx, event);
    return undefined;
  }
  // It was about to rest, and does not: the receiver may have been told already.
  if (to === 'enabled') {
    await applyStatus(deps, tx, of);
    await insertOwn(deps, tx, event);
    return undefined;
  }
  return insertOwn(deps, tx, event);
}

/** Ends a stream for good, with its settings and all that waits in it: nothing is told any more. Throws `not_found`. */
export async function removeStream(deps: Deps, who: Asker, id: Uuid): Promise<void> {
  await deps.tenant.transaction(who.caller.tenant, async (tx) => {
    await lockStream(tx, id);
    const count = await eraseStream(tx, id);
    if ((await tx.query(queries.namingStreams(tx.context))).length === 0)
      await tx.query(queries.forgetAllNames(tx.context));
    await deps.recordAudit(tx, entry(who, id, { type: 'signal-stream.removed', public: { count } }));
  });
}

/** Everything of a stream; returns how many events nobody had taken. */
export async function eraseStream({ query, context }: ScopedTransaction, id: Uuid): Promise<number> {
  await query(queries.queueForUpdate(context, id));
  const [depth] = await query(queries.depthOf(context, id));
  await query(queries.deleteEventsOf(context, id));
  await query(queries.deleteQueue(context, id));
  await query(queries.deleteStream(context, id));
  return Number(depth?.events ?? 0);
}

/** Gives the receiver a new token; the old one is refused from now on. Throws `not_found`. */
export async function renewToken(deps: Deps, who: Asker, id: Uuid): Promise<string> {
  const { text, hash } = newReceiverToken(deps.random);
  await deps.tenant.transaction(who.caller.tenant, async (tx) => {
    await lockStream(tx, id);
    await tx.query(queries.setToken(tx.context, id, hash));
    await deps.recordAudit(tx, entry(who, id, { type: 'signal-stream.token-renewed' }));
  });
  return text;
}

/**
 * Sends a verification that nobody has asked for, so that an administrator sees whether the receiver takes events. Throws
 * `not_found`, `signal_stream_state` for a stream that is off, `signal_verification_early`.
 */
export async function sendTest(deps: Deps, who: Asker, id: Uuid): Promise<void> {
  await deps.tenant.transaction(who.caller.tenant, async (tx) => {
    const { context } = tx;
    const row = await lockStream(tx, id);
    const queue = await lockQueue(deps, tx, id);
    if (queue === undefined) throw notFound();
    if (row.status === 'disabled') throw refuse('signal_stream_state', 'The stream is off.');
    const now_ms = deps.clock.nowMs();
    const age_ms = now_ms - (queue.asked_at?.getTime() ?? -Infinity);
    if (age_ms < TEST_INTERVAL_MS) throw refuse('signal_verification_early', 'At most one a minute.');
    await tx.query(queries.noteAsked(context, id, new Date(now_ms)));
    await insertOwn(deps, tx, { streamId: id, event: 'verification', cause: 'administrator' });
    await deps.recordAudit(tx, entry(who, id, { type: 'signal-stream.tested' }));
  });
}

/** Puts a dead letter at the end of its stream again. Throws `not_found`, `signal_stream_state` for a stream that is off. */
export async function resendLetter(
  deps: Deps,
  who: Asker,
  { streamId, id }: { readonly streamId: Uuid; readonly id: Uuid },
): Promise<void> {
  await deps.tenant.transaction(who.caller.tenant, async (tx) => {
    const { context } = tx;
    const row = await lockStream(tx, streamId);
    if (row.status === 'disabled') throw refuse('signal_stream_state', 'The stream is off; switch it on first.');
    await tx.query(queries.queueForUpdate(context, streamId));
    const at = new Date(deps.clock.nowMs());
    const raised = await tx.query(queries.raise(context, { id, streamId, at }));
    if (raised.length === 0) throw notFound();
    await deps.recordAudit(tx, entry(who, streamId, { type: 'signal-stream.resent', public: { count: 1 } }));
    tx.afterCommit(() => deps.sender.wake(context.tenantId));
  });
}

/** Makes the next signing key ahead of its time; it signs two days later. False: there is one already. */
export function prepareKey(deps: Deps, who: Asker): Promise<boolean> {
  return prepareNext(deps, who.caller.tenant, by(who));
}
