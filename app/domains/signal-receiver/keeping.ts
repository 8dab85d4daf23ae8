import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import { describeSubject, SIGNALS_CHECKS, type ReceivedSet, type RefusedSet, type SetStore } from '@auditrax/signals';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { z } from 'zod';
import type { AuditInput } from '../../platform/audit/index.ts';
import type { Place, SignalReceiverDeps } from './deps.ts';
import * as queries from './queries.ts';
import type { EventRow } from './queries.ts';

const FIELD = 'identity.received_event.content' as const;

const content = z.strictObject({
  /** As it came: whoever doubts an event verifies it again. */
  token: z.string(),
  tokenId: z.string(),
  issuedAt_ms: z.number(),
  /** The form of the subject, and whom it means. */
  subject: z.string(),
  account: z.strictObject({ issuer: z.string(), subject: z.string() }).nullable(),
  sessionId: z.string().nullable(),
  unusable: z.string().nullable(),
  events: z.array(z.strictObject({ uri: z.string(), name: z.string().nullable(), isUnreadable: z.boolean() })),
});
/** What is kept, sealed, of an event. */
export type EventContent = z.output<typeof content>;

const sha256 = (value: string): Buffer => createHash('sha256').update(value).digest();

/** What an event of this stream is found by. `kind` keeps hashes of one thing from being hashes of another. */
export const tokenHash = (tokenId: string): Buffer => sha256(`auditrax-signal-v1\0${tokenId}`);
export const stateHash = (state: string): Buffer => sha256(`auditrax-signal-state-v1\0${state}`);

/** An entry about a stream: the process writes it at the transmitter’s word. */
export function entryOf({ context, connection, stream }: Place, facts: AuditInput['public'] = {}) {
  return {
    actor: { service: 'issuer' },
    resource: ['received-stream', stream.id],
    outcome: 'allowed',
    requestId: context.requestId,
    public: { connection: connection.id, ...facts },
  } as const;
}

function contentOf(set: ReceivedSet): EventContent {
  const { account, sessionId, unusable } = set.found;
  return {
    token: set.token,
    tokenId: set.tokenId,
    issuedAt_ms: set.issuedAt_ms,
    subject: describeSubject(set.subject),
    account: account ?? null,
    sessionId: sessionId ?? null,
    unusable: unusable ?? null,
    events: set.events.map(({ uri, name, isUnreadable }) => ({ uri, name: name ?? null, isUnreadable })),
  };
}

/** Opens events in their order. */
export async function openEvents(
  deps: Pick<SignalReceiverDeps, 'sealer'>,
  { context }: Pick<Place, 'context'>,
  rows: readonly Pick<EventRow, 'id' | 'content'>[],
): Promise<EventContent[]> {
  const values = rows.map((row) => ({ field: FIELD, rowId: row.id, sealed: row.content }));
  return (await deps.sealer.openTexts({ context, values })).map((one) => content.parse(JSON.parse(one)));
}

const isVerification = (set: ReceivedSet): boolean => set.events.some(({ name }) => name === 'verification');

/** What is told of an event whose verdict changes nothing: its row is finished as it is written. */
function settledAtOnce({ verdict }: ReceivedSet): EventRow['outcome'] {
  return verdict === 'nothing' ? 'nothing' : verdict === 'alert' ? 'alerted' : null;
}

/** Beside the row, in its transaction: that the stream lives, and an alert where that is all that the event leads to. */
async function noteKept(deps: SignalReceiverDeps, tx: ScopedTransaction, at: Place & { readonly set: ReceivedSet }) {
  const { context, stream, set } = at;
  const now = new Date(deps.clock.nowMs());
  const { verdict } = set;
  await deps.recordAudit(tx, { ...entryOf(at, { type: verdict }), type: 'signals.received' });
  if (verdict === 'alert') {
    const code = set.found.unusable ?? set.events.find(({ verdict: one }) => one === 'alert')?.name ?? 'unknown';
    await deps.recordAudit(tx, { ...entryOf(at, { code }), type: 'signals.alert' });
  }
  const [pulse] = await tx.query(queries.pulseOf(context, stream.id));
  if (pulse?.silent_since != null) await deps.recordAudit(tx, { ...entryOf(at), type: 'signals.heard-again' });
  await tx.query(queries.noteHeard(context, { id: stream.id, at: now }));
  if (isVerification(set)) await tx.query(queries.noteAnswered(context, { id: stream.id, at: now }));
}

/**
 * Keeps the events of one stream: each token once, with its entry, in one transaction. `kept` is told the row of each new
 * one that is still to be carried out; it is read again from there.
 */
export function storeOf(deps: SignalReceiverDeps, place: Place, kept: (eventId: Uuid) => void): SetStore {
  const { context, stream } = place;
  return {
    async keep(set, forget_ms) {
      const id = uuidV7(deps.clock, deps.random);
      const now = new Date(deps.clock.nowMs());
      const outcome = settledAtOnce(set);
      const isDone = outcome !== null;
      const isNew = await deps.tenant.transaction(context, async (tx) => {
        const value = JSON.stringify(contentOf(set));
        const sealed = await deps.sealer.seal({ context, field: FIELD, rowId: id, value, tx });
        const inserted = await tx.query(
          queries.insertEvent(context, {
            id,
            stream_id: stream.id,
            token_hash: tokenHash(set.tokenId),
            verdict: set.verdict,
            state: isDone ? 'done' : 'new',
            outcome,
            content: sealed,
            received_at: now,
            done_at: isDone ? now : null,
            forget_at: new Date(forget_ms),
          }),
        );
        if (inserted.length === 0) return false;
        await noteKept(deps, tx, { ...place, set });
        return true;
      });
      if (isNew && !isDone) kept(id);
      return isNew;
    },
  };
}

/** Whether a verification with this state was asked for on the stream and not answered yet. */
export async function expectsState(deps: SignalReceiverDeps, { context, stream }: Place, state: string) {
  const [pulse] = await deps.tenant.scoped(context, queries.pulseOf(context, stream.id));
  const asked = pulse?.asked_hash;
  return asked != null && timingSafeEqual(asked, stateHash(state));
}

/** Kept of a stream. */
const REFUSALS_KEPT = 50;
const DETAIL_CHARACTERS_MAX = 600;

const report = z.strictObject({ code: z.string(), detail: z.string(), requestId: z.string() });

/** Writes down which check failed, for the stream's administrators. Never the token: who may post here chooses it. */
export async function noteRefused(
  deps: Pick<SignalReceiverDeps, 'sealer' | 'tenant' | 'clock' | 'random'>,
  { context, stream }: Place,
  refused: Pick<RefusedSet, 'code' | 'message'>,
): Promise<void> {
  const id = uuidV7(deps.clock, deps.random);
  const detail = refused.message.replaceAll(/\p{Cc}/gu, ' ').slice(0, DETAIL_CHARACTERS_MAX);
  const value = JSON.stringify({ code: refused.code, detail, requestId: context.requestId });
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    const field = 'identity.received_refusal.report' as const;
    const sealed = await deps.sealer.seal({ context, field, rowId: id, value, tx });
    await tx.query(queries.insertRefusal(context, { id, streamId: stream.id, report: sealed, at }));
    await tx.query(queries.forgetRefusals(context, { streamId: stream.id, kept: REFUSALS_KEPT }));
    await tx.query(queries.countRefused(context, stream.id));
  });
}

export interface KeptRefusal {
  readonly at: Date;
  readonly code: string;
  readonly check: string;
  readonly sentence: string;
  readonly detail: string;
  readonly requestId: string;
}

/** The stream's recent refusals, newest first. */
export async function recentRefusals(
  deps: Pick<SignalReceiverDeps, 'sealer' | 'tenant'>,
  { context, stream }: Pick<Place, 'context' | 'stream'>,
): Promise<KeptRefusal[]> {
  const rows = await deps.tenant.scoped(context, queries.refusalsOf(context, stream.id));
  const field = 'identity.received_refusal.report' as const;
  const values = rows.map((row) => ({ field, rowId: row.id, sealed: row.report }));
  const texts = await deps.sealer.openTexts({ context, values });
  return rows.map(({ refused_at }, index) => {
    const said = report.parse(JSON.parse(texts[index]!));
    return { ...said, ...checkOf(said.code), at: refused_at };
  });
}

/** Number and sentence of a check of packages/signals. */
export function checkOf(code: string): { readonly check: string; readonly sentence: string } {
  if (!Object.hasOwn(SIGNALS_CHECKS, code)) throw new AppError('internal', `no check ${code}`);
  const [check, sentence] = SIGNALS_CHECKS[code as keyof typeof SIGNALS_CHECKS];
  return { check, sentence };
}
