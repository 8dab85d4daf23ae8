import type { Uuid } from '@auditrax/base';
import { configurationAddress, SIGNALS_CHECKS } from '@auditrax/signals';
import type { TenantContext } from '@auditrax/tenancy';
import type { StepUpSubjects } from '../access/index.ts';
import { memberById } from '../identity/index.ts';
import type { DeadLetter, ShownKey, ShownStream } from './contract.ts';
import { issuerOf, pollAddressOf, type TransmitterDeps } from './deps.ts';
import { notFound } from './errors.ts';
import * as queries from './queries.ts';
import { openSettings, type StreamSettings } from './settings.ts';
import { STREAMS_MAX } from './streams.ts';
import { CAUSES } from './words.ts';

type Deps = Omit<TransmitterDeps, 'sender'>;

/** Of one page; the rest is seen when these were sent again. */
export const LETTERS_MAX = 200;

/** Codes of the guarded way out, for people; checks of packages/signals bring their own sentence. */
const SENTENCES: Readonly<Record<string, string>> = {
  outward_address_refused: 'The address does not lead to a public machine that may be dialled.',
  outward_redirected: 'The address leads on to another one, which is not followed.',
  outward_too_large: 'The answer is larger than any receiver’s.',
  outward_late: 'The receiver does not answer in time.',
  outward_busy: 'Too much is under way here; it is tried again.',
  outward_unreachable: 'The receiver cannot be reached, or its certificate cannot be verified.',
  'status 401': 'The receiver does not accept the token that we send (401).',
  'status 403': 'The receiver does not let us in (403).',
  'status 404': 'The receiver does not know this address (404).',
  'status 429': 'The receiver asks us to wait (429).',
};

function sentenceOf(code: string): string {
  const known = SENTENCES[code];
  if (known !== undefined) return known;
  if (Object.hasOwn(SIGNALS_CHECKS, code)) return SIGNALS_CHECKS[code as keyof typeof SIGNALS_CHECKS][1];
  return `The receiver answered: ${code}.`;
}

interface Depth {
  readonly count: number;
  readonly oldest: string | null;
}

const text = (at: Date | null): string | null => at?.toISOString() ?? null;

/** Every stream as its administrators see it, and the keys that events are signed with. */
export async function listStreams(deps: Deps, context: TenantContext) {
  const issuer = issuerOf(deps, context.tenantId);
  const rows = await deps.tenant.scoped(context, queries.streamsOf(context));
  const queues = await deps.tenant.scoped(context, queries.queuesOf(context));
  const depths = await deps.tenant.scoped(context, queries.depths(context));
  const depthOf = (id: Uuid, state: 'waiting' | 'dead'): Depth => {
    const found = depths.find((depth) => depth.stream_id === id && depth.state === state);
    return { count: Number(found?.events ?? 0), oldest: text(found?.oldest ?? null) };
  };
  const streams: ShownStream[] = [];
  for (const row of rows) {
    const settings = await openSettings(deps, { context }, row);
    const queue = queues.find(({ stream_id }) => stream_id === row.id);
    if (queue !== undefined) streams.push(shown(deps, context, { row, settings, queue, depthOf }));
  }
  const keys = (await deps.tenant.scoped(context, queries.keysOf(context))).map(shownKey);
  return { issuer, configuration: configurationAddress(issuer), streams, streamsMax: STREAMS_MAX, keys };
}

const shownKey = ({ id, state, made_at, used_at, replaced_at }: queries.KeyRow): ShownKey => ({
  kid: id,
  state,
  madeAt: made_at.toISOString(),
  usedAt: text(used_at),
  replacedAt: text(replaced_at),
});

function shown(
  deps: Deps,
  context: TenantContext,
  of: {
    readonly row: queries.StreamRow;
    readonly settings: StreamSettings;
    readonly queue: queries.QueueRow;
    readonly depthOf: (id: Uuid, state: 'waiting' | 'dead') => Depth;
  },
): ShownStream {
  const { row, settings, queue, depthOf } = of;
  const waiting = depthOf(row.id, 'waiting');
  return {
    id: deps.formatId('sgs', context, row.id),
    streamId: row.id,
    name: settings.name,
    audience: settings.audience,
    method: row.method,
    address: settings.push?.url ?? pollAddressOf(deps, context.tenantId, row.id),
    topics: { sessions: row.tells_sessions, accounts: row.tells_accounts, passkeys: row.tells_passkeys },
    subjects: row.subjects,
    status: row.status,
    settled: row.status === queue.status,
    createdAt: row.created_at.toISOString(),
    waiting: waiting.count,
    waitingSince: waiting.oldest,
    dead: depthOf(row.id, 'dead').count,
    taken: Number(queue.taken),
    takenAt: text(queue.taken_at),
    failures: queue.failures,
    trouble: queue.trouble === null ? null : { code: queue.trouble, sentence: sentenceOf(queue.trouble) },
    nextTryAt: text(queue.next_at),
  };
}

/** What no receiver took, the newest first. Throws `not_found`. */
export async function listLetters(deps: Deps, context: TenantContext, streamId: Uuid): Promise<DeadLetter[]> {
  const [row] = await deps.tenant.scoped(context, queries.streamById(context, streamId));
  if (row === undefined) throw notFound();
  const rows = await deps.tenant.scoped(context, queries.deadEvents(context, { streamId, limit: LETTERS_MAX }));
  const labels = await labelsOf(deps, context, rows);
  return rows.map((dead) => ({
    id: deps.formatId('sgl', context, dead.id),
    event: dead.event,
    cause: Object.hasOwn(CAUSES, dead.cause) ? CAUSES[dead.cause as keyof typeof CAUSES].sentence : dead.cause,
    memberId: dead.member_id === null ? null : deps.formatId('mem', context, dead.member_id),
    member: dead.member_id === null ? null : (labels.get(dead.member_id) ?? null),
    happenedAt: dead.noted_at.toISOString(),
    reason: dead.dead_reason,
    error: dead.dead_error,
    attempts: dead.attempts,
    at: dead.dead_at.toISOString(),
  }));
}

async function labelsOf(
  deps: Deps,
  context: TenantContext,
  rows: readonly queries.DeadRow[],
): Promise<ReadonlyMap<Uuid, string>> {
  const ids = [...new Set(rows.flatMap(({ member_id }) => (member_id === null ? [] : [member_id])))];
  const found = [];
  for (const id of ids) found.push(...(await deps.tenant.scoped(context, memberById(context.tenantId, id))));
  const values = found.map(({ id, label }) => ({
    field: 'identity.member.label' as const,
    rowId: id,
    sealed: label,
  }));
  const names = await deps.sealer.openNames({ context, values });
  return new Map(found.map(({ id }, index) => [id, names[index]!]));
}

/** What is read again before a stream is changed: its name, where it leads, and its state. */
export function signalSubjects(deps: Deps): StepUpSubjects {
  const facts: StepUpSubjects[string] = async ({ caller, ids }) => {
    const { tenant: context } = caller;
    const id = ids['signalStreamId'];
    const [row] = id === undefined ? [] : await deps.tenant.scoped(context, queries.streamById(context, id));
    if (row === undefined) throw notFound();
    const { name, push } = await openSettings(deps, { context }, row);
    return { name, method: row.method, address: push?.url ?? 'polled', status: row.status };
  };
  return { 'signals.turn': facts, 'signals.remove': facts, 'signals.renew-token': facts };
}
