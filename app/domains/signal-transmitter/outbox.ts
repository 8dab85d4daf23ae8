import {
  buildSet,
  EMPTY_OUTBOX,
  parseTransmitterStream,
  streamUpdatedEvent,
  verificationEvent,
  type Outbox,
  type OutgoingEvent,
  type SetSigner,
  type StreamStatus,
  type TransmitterStream,
} from '@auditrax/signals';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { z } from 'zod';
import { issuerOf, type TransmitterDeps } from './deps.ts';
import { openSigner } from './keys.ts';
import * as queries from './queries.ts';
import { openSettings, type StreamSettings } from './settings.ts';
import { CAUSES, type Cause } from './words.ts';

/** Twice what one poll takes, and one: after all of the first were acknowledged it is known whether more wait. */
export const POLL_WINDOW = 51;
/** Of `packages/signals`: three days; a token that nobody took by then is a dead letter. */
const WAIT_MS_MAX = 3 * 86_400_000;
const FIELD = 'identity.signal_event.token' as const;

type Deps = Pick<TransmitterDeps, 'sealer' | 'clock' | 'random' | 'doors' | 'formatId'>;

/** A stream whose queue is held by the transaction, with the first of what waits in it. */
export interface OpenedStream {
  readonly stream: TransmitterStream;
  readonly settings: StreamSettings;
  readonly queue: queries.QueueRow;
  readonly rows: ReadonlyMap<string, queries.EventRow>;
  /** As `packages/signals` works on it; plain. */
  readonly outbox: Outbox;
}

const name = z.strictObject({ iss: z.string(), sub: z.string() });

/** How a receiver is to recognise a person: as their provider calls them where that is known, else as we do. Never an address. */
async function personOf(
  deps: Deps,
  tx: ScopedTransaction,
  { row, stream }: { readonly row: queries.EventRow; readonly stream: queries.StreamRow },
) {
  const { context } = tx;
  const memberId = row.member_id!;
  const [known] = stream.subjects === 'provider' ? await tx.query(queries.namesOf(context, memberId)) : [];
  if (known === undefined)
    return {
      format: 'iss_sub',
      iss: issuerOf(deps, context.tenantId),
      sub: deps.formatId('mem', context, memberId),
    };
  const field = 'identity.signal_name.name' as const;
  const text = await deps.sealer.openText({ context, field, rowId: known.id, sealed: known.name, tx });
  return { format: 'iss_sub', ...name.parse(JSON.parse(text)) };
}

const caep = (row: queries.EventRow) => {
  const { entity, sentence } = CAUSES[row.cause as Cause];
  return {
    event_timestamp: Math.floor(row.noted_at.getTime() / 1000),
    initiating_entity: entity,
    reason_admin: { en: sentence },
  };
};

/** What a stored row says, as it goes out. */
async function eventOf(
  deps: Deps,
  tx: ScopedTransaction,
  of: { readonly row: queries.EventRow; readonly stream: queries.StreamRow; readonly to: TransmitterStream },
): Promise<OutgoingEvent> {
  const { row, to } = of;
  if (row.event === 'verification') return verificationEvent(to);
  if (row.event === 'stream-updated') return streamUpdatedEvent(to, row.cause as StreamStatus);
  const user = await personOf(deps, tx, of);
  const session = row.session_id === null ? undefined : deps.formatId('ses', tx.context, row.session_id);
  return {
    name: row.event,
    detail:
      row.event === 'credential-change'
        ? // CAEP wants one of its words; which kind of authenticator it is, a passkey does not tell.
          { ...caep(row), credential_type: 'fido2-platform', change_type: row.cause }
        : caep(row),
    subject: session === undefined ? user : { format: 'complex', user, session: { format: 'opaque', id: session } },
    transactionId: row.cause_id,
  };
}

/** Signs what was only noted so far, seals the token and keeps it: it goes out as the same token each time. */
export async function signEvent(
  deps: Deps,
  tx: ScopedTransaction,
  of: { readonly row: queries.EventRow; readonly to: TransmitterStream; readonly signer: SetSigner } & {
    readonly event: OutgoingEvent;
  },
): Promise<{ readonly row: queries.EventRow; readonly text: string }> {
  const { context } = tx;
  const { row, to, signer, event } = of;
  const { tokenId, token: text, issuedAt_ms } = await buildSet(event, { stream: to, signer }, deps);
  const token = await deps.sealer.seal({ context, field: FIELD, rowId: row.id, value: text, tx });
  const issued_at = new Date(issuedAt_ms);
  await tx.query(queries.keepToken(context, { id: row.id, tokenId, token, issuedAt: issued_at }));
  return { row: { ...row, token_id: tokenId, token, issued_at }, text };
}

/** Who we are on a stream. */
export function transmitterOf(
  deps: Pick<TransmitterDeps, 'doors'>,
  context: TenantContext,
  { row, settings }: { readonly row: queries.StreamRow; readonly settings: StreamSettings },
): TransmitterStream {
  const issuer = issuerOf(deps, context.tenantId);
  return parseTransmitterStream({ issuer, audience: settings.audience, streamId: row.id });
}

/** The status that was chosen holds from when its announcement is settled, whatever became of that. */
async function settlePending(
  deps: Pick<TransmitterDeps, 'clock'>,
  tx: ScopedTransaction,
  queue: queries.QueueRow,
): Promise<queries.QueueRow> {
  const { pending_status: status, pending_event: eventId, stream_id: streamId } = queue;
  if (status === null || eventId === null) return queue;
  if ((await tx.query(queries.isWaiting(tx.context, eventId))).length > 0) return queue;
  await applyStatus(deps, tx, { streamId, status });
  return { ...queue, status, pending_status: null, pending_event: null };
}

/** A stream that is off holds nothing for later (SSF 1.0); what it held is said, not forgotten. */
export async function applyStatus(
  deps: Pick<TransmitterDeps, 'clock'>,
  tx: ScopedTransaction,
  { streamId, status }: { readonly streamId: queries.QueueRow['stream_id']; readonly status: StreamStatus },
): Promise<void> {
  await tx.query(queries.setQueueStatus(tx.context, streamId, status));
  if (status === 'disabled') await tx.query(queries.buryAll(tx.context, streamId, new Date(deps.clock.nowMs())));
}

/** Buries what is too old; what stands in the queue afterwards. Undefined: the stream is gone. */
export async function lockQueue(
  deps: Pick<TransmitterDeps, 'clock'>,
  tx: ScopedTransaction,
  streamId: queries.QueueRow['stream_id'],
): Promise<queries.QueueRow | undefined> {
  const [queue] = await tx.query(queries.queueForUpdate(tx.context, streamId));
  if (queue === undefined) return undefined;
  const now_ms = deps.clock.nowMs();
  const old = { streamId, before: new Date(now_ms - WAIT_MS_MAX), at: new Date(now_ms) };
  await tx.query(queries.buryOld(tx.context, old));
  return settlePending(deps, tx, queue);
}

/** The first `limit` of what waits in a stream, signed, in the caller's transaction. Undefined: it is gone. */
export async function openStream(
  deps: Deps,
  tx: ScopedTransaction,
  { row, limit }: { readonly row: queries.StreamRow; readonly limit: number },
): Promise<OpenedStream | undefined> {
  const { context } = tx;
  const queue = await lockQueue(deps, tx, row.id);
  if (queue === undefined) return undefined;
  const settings = await openSettings(deps, { context, tx }, row);
  const to = transmitterOf(deps, context, { row, settings });
  const waiting = await tx.query(
    queries.waitingEvents(context, { streamId: row.id, limit, also: queue.pending_event }),
  );
  let signer: SetSigner | undefined;
  const rows = new Map<string, queries.EventRow>();
  const entries = [];
  for (const stored of waiting) {
    const signed = await tokenOf(stored);
    rows.set(signed.row.token_id!, signed.row);
    entries.push({
      tokenId: signed.row.token_id!,
      token: signed.text,
      issuedAt_ms: signed.row.issued_at!.getTime(),
      attempts: stored.attempts,
    });
  }
  return { stream: to, settings, queue, rows, outbox: outboxOf(queue, rows, entries) };

  async function tokenOf(stored: queries.EventRow) {
    if (stored.token !== null) {
      const given = { context, field: FIELD, rowId: stored.id, sealed: stored.token, tx };
      return { row: stored, text: await deps.sealer.openText(given) };
    }
    signer ??= await openSigner(deps, tx);
    const event = await eventOf(deps, tx, { row: stored, stream: row, to });
    return signEvent(deps, tx, { row: stored, to, signer, event });
  }
}

/** What a receiver says beside its refusal: a code of RFC 8935 or of its own; a sentence could say who. */
function codeOf(err: string | undefined): string | null {
  if (err === undefined) return null;
  return /^[A-Za-z0-9_ -]{1,64}$/.test(err) ? err : 'other';
}

function outboxOf(
  queue: queries.QueueRow,
  rows: ReadonlyMap<string, queries.EventRow>,
  waiting: Outbox['waiting'],
): Outbox {
  const announced = [...rows].find(([, { id }]) => id === queue.pending_event)?.[0];
  return {
    ...EMPTY_OUTBOX,
    status: queue.status,
    pending:
      queue.pending_status === null || announced === undefined
        ? undefined
        : { status: queue.pending_status, tokenId: announced },
    waiting,
    failures: queue.failures,
    next_ms: queue.next_at?.getTime() ?? 0,
  };
}

/**
 * Stores what a step has changed: what was taken is gone, what was given up is a dead letter, tries are counted. A row that
 * was signed anew meanwhile stays as it is.
 */
export async function saveStream(
  deps: Pick<TransmitterDeps, 'clock'>,
  tx: ScopedTransaction,
  change: { readonly before: OpenedStream; readonly after: Outbox; readonly trouble: string | null },
): Promise<void> {
  const { context } = tx;
  const { before, after, trouble } = change;
  const streamId = before.queue.stream_id;
  const at = new Date(deps.clock.nowMs());
  const dead = new Map(after.dead.map((letter) => [letter.entry.tokenId, letter]));
  const left = new Map(after.waiting.map((entry) => [entry.tokenId, entry]));
  let taken = 0;
  for (const { tokenId, attempts } of before.outbox.waiting) {
    const { id } = before.rows.get(tokenId)!;
    const letter = dead.get(tokenId);
    const entry = left.get(tokenId);
    // Of a stream that is off all is buried at once, below.
    if (letter !== undefined && letter.reason !== 'disabled')
      await tx.query(
        queries.bury(context, {
          id,
          reason: letter.reason,
          error: codeOf(letter.err),
          attempts: letter.entry.attempts,
          at,
        }),
      );
    else if (letter === undefined && entry === undefined)
      taken += (await tx.query(queries.deleteTaken(context, { id, tokenId }))).length;
    else if (entry !== undefined && entry.attempts !== attempts)
      await tx.query(queries.countAttempts(context, id, entry.attempts));
  }
  const { failures } = after;
  const nextAt = failures === 0 ? null : new Date(after.next_ms);
  await tx.query(queries.noteTry(context, { streamId, failures, nextAt, trouble: failures === 0 ? null : trouble }));
  if (taken > 0) await tx.query(queries.noteTaken(context, { streamId, count: taken, at }));
  const [queue] = await tx.query(queries.queueForUpdate(context, streamId));
  if (queue !== undefined) await settlePending(deps, tx, queue);
}
