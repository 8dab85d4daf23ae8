import type { Uuid } from '@auditrax/base';
import type { DeadReason, StreamStatus } from '@auditrax/signals';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import type { Cause, SentEvent, Topic } from './words.ts';

export type Method = 'push' | 'poll';
export type Subjects = 'provider' | 'own';
export type KeyState = 'next' | 'now' | 'former';

export interface StreamRow {
  readonly id: Uuid;
  readonly settings: Buffer;
  readonly method: Method;
  readonly subjects: Subjects;
  readonly tells_sessions: boolean;
  readonly tells_accounts: boolean;
  readonly tells_passkeys: boolean;
  readonly status: StreamStatus;
  readonly token_hash: Buffer;
  readonly created_by: Uuid;
  readonly created_at: Date;
}

export interface QueueRow {
  readonly stream_id: Uuid;
  readonly method: Method;
  readonly status: StreamStatus;
  readonly pending_status: StreamStatus | null;
  readonly pending_event: Uuid | null;
  readonly failures: number;
  readonly next_at: Date | null;
  readonly trouble: string | null;
  readonly taken: string | number;
  readonly taken_at: Date | null;
  readonly asked_at: Date | null;
  readonly held_by: Uuid | null;
}

export interface EventRow {
  readonly id: Uuid;
  readonly stream_id: Uuid;
  readonly rank: number;
  readonly event: SentEvent;
  readonly member_id: Uuid | null;
  readonly session_id: Uuid | null;
  readonly cause: Cause | StreamStatus | 'administrator' | 'receiver';
  readonly noted_at: Date;
  readonly cause_id: Uuid;
  readonly token_id: string | null;
  readonly token: Buffer | null;
  readonly issued_at: Date | null;
  readonly attempts: number;
}

export interface DeadRow extends EventRow {
  readonly dead_reason: DeadReason;
  readonly dead_error: string | null;
  readonly dead_at: Date;
}

const stream = sql`s.id, s.settings, s.method, s.subjects, s.tells_sessions, s.tells_accounts, s.tells_passkeys, s.status,
  s.token_hash, s.created_by, s.created_at`;
const queue = sql`q.stream_id, q.method, q.status, q.pending_status, q.pending_event, q.failures, q.next_at, q.trouble,
  q.taken, q.taken_at, q.asked_at, q.held_by`;
const event = sql`e.id, e.stream_id, e.rank, e.event, e.member_id, e.session_id, e.cause, e.noted_at, e.cause_id,
  e.token_id, e.token, e.issued_at, e.attempts`;

/** In the order in which they were made. */
export const streamsOf = ({ tenantId }: TenantContext): Statement<StreamRow> =>
  sql<StreamRow>`select ${stream} from identity.signal_stream s
    where s.tenant_id = ${tenantId} order by s.created_at, s.id`;

export const streamById = ({ tenantId }: TenantContext, id: Uuid): Statement<StreamRow> =>
  sql<StreamRow>`select ${stream} from identity.signal_stream s
    where s.tenant_id = ${tenantId} and s.id = ${id}`;

export const streamForUpdate = ({ tenantId }: TenantContext, id: Uuid): Statement<StreamRow> =>
  sql<StreamRow>`select ${stream} from identity.signal_stream s
    where s.tenant_id = ${tenantId} and s.id = ${id} for update`;

export const streamByToken = ({ tenantId }: TenantContext, hash: Uint8Array): Statement<StreamRow> =>
  sql<StreamRow>`select ${stream} from identity.signal_stream s
    where s.tenant_id = ${tenantId} and s.token_hash = ${hash}`;

/** Streams that are told of a topic. One that is off is told nothing. */
export const tellingStreams = ({ tenantId }: TenantContext, topic: Topic): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select s.id from identity.signal_stream s
    where s.tenant_id = ${tenantId} and s.status <> 'disabled'
      and case ${topic}::text when 'sessions' then s.tells_sessions when 'accounts' then s.tells_accounts
        else s.tells_passkeys end
    order by s.id`;

/** Streams that are to call people as their provider does. */
export const namingStreams = ({ tenantId }: TenantContext): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select s.id from identity.signal_stream s
    where s.tenant_id = ${tenantId} and s.subjects = 'provider' limit 1`;

export const insertStream = ({ tenantId }: TenantContext, row: Omit<StreamRow, 'status'>): Statement =>
  sql`insert into identity.signal_stream (tenant_id, id, settings, method, subjects, tells_sessions, tells_accounts,
      tells_passkeys, token_hash, created_by, created_at)
    values (${tenantId}, ${row.id}, ${row.settings}, ${row.method}, ${row.subjects}, ${row.tells_sessions},
      ${row.tells_accounts}, ${row.tells_passkeys}, ${row.token_hash}, ${row.created_by}, ${row.created_at})`;

export const setStreamStatus = ({ tenantId }: TenantContext, id: Uuid, status: StreamStatus): Statement =>
  sql`update identity.signal_stream set status = ${status} where tenant_id = ${tenantId} and id = ${id}`;

export const setToken = ({ tenantId }: TenantContext, id: Uuid, hash: Uint8Array): Statement =>
  sql`update identity.signal_stream set token_hash = ${hash} where tenant_id = ${tenantId} and id = ${id}`;

export const deleteStream = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`delete from identity.signal_stream where tenant_id = ${tenantId} and id = ${id}`;

export const insertQueue = ({ tenantId }: TenantContext, streamId: Uuid, method: Method): Statement =>
  sql`insert into identity.signal_queue (tenant_id, stream_id, method) values (${tenantId}, ${streamId}, ${method})`;

export const deleteQueue = ({ tenantId }: TenantContext, streamId: Uuid): Statement =>
  sql`delete from identity.signal_queue where tenant_id = ${tenantId} and stream_id = ${streamId}`;

export const queuesOf = ({ tenantId }: TenantContext): Statement<QueueRow> =>
  sql<QueueRow>`select ${queue} from identity.signal_queue q where q.tenant_id = ${tenantId} order by q.stream_id`;

/** Held, so that whoever polls, sends or changes the stream comes one after the other. */
export const queueForUpdate = ({ tenantId }: TenantContext, streamId: Uuid): Statement<QueueRow> =>
  sql<QueueRow>`select ${queue} from identity.signal_queue q
    where q.tenant_id = ${tenantId} and q.stream_id = ${streamId} for update`;

/** By the database's clock: those of two machines differ. No row: somebody else sends. */
export const hold = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly by: Uuid; readonly seconds: number },
): Statement<QueueRow> =>
  sql<QueueRow>`update identity.signal_queue q
    set held_by = ${of.by}, held_until = clock_timestamp() + ${of.seconds}::integer * interval '1 second'
    where q.tenant_id = ${tenantId} and q.stream_id = ${of.streamId}
      and (q.held_by is null or q.held_by = ${of.by} or q.held_until < clock_timestamp())
    returning ${queue}`;

export const letGo = ({ tenantId }: TenantContext, streamId: Uuid, by: Uuid): Statement =>
  sql`update identity.signal_queue set held_by = null, held_until = null
    where tenant_id = ${tenantId} and stream_id = ${streamId} and held_by = ${by}`;

export const noteTry = (
  { tenantId }: TenantContext,
  of: {
    readonly streamId: Uuid;
    readonly failures: number;
    readonly nextAt: Date | null;
    readonly trouble: string | null;
  },
): Statement =>
  sql`update identity.signal_queue set failures = ${of.failures}, next_at = ${of.nextAt}, trouble = ${of.trouble}
    where tenant_id = ${tenantId} and stream_id = ${of.streamId}`;

export const noteTaken = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly count: number; readonly at: Date },
): Statement =>
  sql`update identity.signal_queue set taken = taken + ${of.count}::integer, taken_at = ${of.at}
    where tenant_id = ${tenantId} and stream_id = ${of.streamId}`;

export const noteAsked = ({ tenantId }: TenantContext, streamId: Uuid, at: Date): Statement =>
  sql`update identity.signal_queue set asked_at = ${at} where tenant_id = ${tenantId} and stream_id = ${streamId}`;

export const setQueueStatus = ({ tenantId }: TenantContext, streamId: Uuid, status: StreamStatus): Statement =>
  sql`update identity.signal_queue set status = ${status}, pending_status = null, pending_event = null
    where tenant_id = ${tenantId} and stream_id = ${streamId}`;

export const setPending = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly status: StreamStatus; readonly eventId: Uuid },
): Statement =>
  sql`update identity.signal_queue set pending_status = ${of.status}, pending_event = ${of.eventId}
    where tenant_id = ${tenantId} and stream_id = ${of.streamId}`;

/** Of all tenants of a cell. */
export const dueQueues = (now: Date, limit: number): Statement<{ tenant_id: Uuid; stream_id: Uuid }> =>
  sql<{ tenant_id: Uuid; stream_id: Uuid }>`select q.tenant_id, q.stream_id from identity.signal_queue q
    where q.next_at <= ${now} order by q.next_at limit ${limit}`;

/** Tenants of a cell that have a stream, in order after one. */
export const tenantsWithStreams = (after: Uuid, limit: number): Statement<{ tenant_id: Uuid }> =>
  sql<{ tenant_id: Uuid }>`select distinct q.tenant_id from identity.signal_queue q
    where q.tenant_id > ${after} order by q.tenant_id limit ${limit}`;

export const insertEvent = (
  { tenantId }: TenantContext,
  row: Pick<
    EventRow,
    'id' | 'stream_id' | 'rank' | 'event' | 'member_id' | 'session_id' | 'cause' | 'noted_at' | 'cause_id'
  >,
): Statement =>
  sql`insert into identity.signal_event (tenant_id, id, stream_id, rank, event, member_id, session_id, cause, noted_at,
      cause_id)
    values (${tenantId}, ${row.id}, ${row.stream_id}, ${row.rank}, ${row.event}, ${row.member_id}, ${row.session_id},
      ${row.cause}, ${row.noted_at}, ${row.cause_id})`;

/** In the order of their going out, and the one that announces a status whichever its place is. */
export const waitingEvents = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly limit: number; readonly also: Uuid | null },
): Statement<EventRow> =>
  sql<EventRow>`select ${event} from identity.signal_event e
    where e.tenant_id = ${tenantId} and e.stream_id = ${of.streamId} and e.state = 'waiting'
      and (e.id = ${of.also} or e.id in (select w.id from identity.signal_event w
        where w.tenant_id = ${tenantId} and w.stream_id = ${of.streamId} and w.state = 'waiting'
        order by w.noted_at, w.rank, w.id limit ${of.limit}))
    order by e.noted_at, e.rank, e.id`;

export const isWaiting = ({ tenantId }: TenantContext, id: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select e.id from identity.signal_event e
    where e.tenant_id = ${tenantId} and e.id = ${id} and e.state = 'waiting'`;

export const keepToken = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly tokenId: string; readonly token: Uint8Array; readonly issuedAt: Date },
): Statement =>
  sql`update identity.signal_event set token_id = ${of.tokenId}, token = ${of.token}, issued_at = ${of.issuedAt}
    where tenant_id = ${tenantId} and id = ${of.id}`;

export const deleteTaken = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly tokenId: string },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`delete from identity.signal_event
    where tenant_id = ${tenantId} and id = ${of.id} and token_id = ${of.tokenId} and state = 'waiting' returning id`;

export const countAttempts = ({ tenantId }: TenantContext, id: Uuid, attempts: number): Statement =>
  sql`update identity.signal_event set attempts = ${attempts} where tenant_id = ${tenantId} and id = ${id}`;

export const bury = (
  { tenantId }: TenantContext,
  of: {
    readonly id: Uuid;
    readonly reason: DeadReason;
    readonly error: string | null;
    readonly attempts: number;
    readonly at: Date;
  },
): Statement =>
  sql`update identity.signal_event
    set state = 'dead', dead_reason = ${of.reason}, dead_error = ${of.error}, attempts = ${of.attempts}, dead_at = ${of.at}
    where tenant_id = ${tenantId} and id = ${of.id} and state = 'waiting'`;

/** What nobody has taken for too long. */
export const buryOld = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly before: Date; readonly at: Date },
): Statement =>
  sql`update identity.signal_event set state = 'dead', dead_reason = 'age', dead_at = ${of.at}
    where tenant_id = ${tenantId} and stream_id = ${of.streamId} and state = 'waiting' and noted_at < ${of.before}`;

/** What a stream held that is off now. */
export const buryAll = ({ tenantId }: TenantContext, streamId: Uuid, at: Date): Statement =>
  sql`update identity.signal_event set state = 'dead', dead_reason = 'disabled', dead_at = ${at}
    where tenant_id = ${tenantId} and stream_id = ${streamId} and state = 'waiting'`;

/** Dead letters that nobody has looked at for long. */
export const forgetDead = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly before: Date },
): Statement =>
  sql`delete from identity.signal_event
    where tenant_id = ${tenantId} and stream_id = ${of.streamId} and state = 'dead' and dead_at < ${of.before}`;

export const deleteEventsOf = ({ tenantId }: TenantContext, streamId: Uuid): Statement =>
  sql`delete from identity.signal_event where tenant_id = ${tenantId} and stream_id = ${streamId}`;

/** Newest first. */
export const deadEvents = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly limit: number },
): Statement<DeadRow> =>
  sql<DeadRow>`select ${event}, e.dead_reason, e.dead_error, e.dead_at from identity.signal_event e
    where e.tenant_id = ${tenantId} and e.stream_id = ${of.streamId} and e.state = 'dead'
    order by e.dead_at desc, e.id limit ${of.limit}`;

/** To the end of the queue, to be signed anew: the old token may be too old to be believed. */
export const raise = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly streamId: Uuid; readonly at: Date },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.signal_event
    set state = 'waiting', dead_reason = null, dead_error = null, dead_at = null, attempts = 0, noted_at = ${of.at},
      token_id = null, token = null, issued_at = null
    where tenant_id = ${tenantId} and stream_id = ${of.streamId} and id = ${of.id} and state = 'dead' returning id`;

/** What was signed about somebody is signed anew when it goes out. */
export const unsign = ({ tenantId }: TenantContext, memberId: Uuid): Statement =>
  sql`update identity.signal_event set token_id = null, token = null, issued_at = null
    where tenant_id = ${tenantId} and member_id = ${memberId}`;

export const depths = ({
  tenantId,
}: TenantContext): Statement<{ stream_id: Uuid; state: 'waiting' | 'dead'; events: string | number; oldest: Date }> =>
  sql<{ stream_id: Uuid; state: 'waiting' | 'dead'; events: string | number; oldest: Date }>`
    select e.stream_id, e.state, count(e.id) as events, min(e.noted_at) as oldest from identity.signal_event e
    where e.tenant_id = ${tenantId} group by e.stream_id, e.state`;

export const depthOf = ({ tenantId }: TenantContext, streamId: Uuid): Statement<{ events: string | number }> =>
  sql<{ events: string | number }>`select count(e.id) as events from identity.signal_event e
    where e.tenant_id = ${tenantId} and e.stream_id = ${streamId}`;

export interface KeyRow {
  readonly id: Uuid;
  readonly state: KeyState;
  readonly private_key: Buffer;
  readonly public_key: Buffer;
  readonly made_at: Date;
  readonly used_at: Date | null;
  readonly replaced_at: Date | null;
}

/** The newest first. */
export const keysOf = ({ tenantId }: TenantContext): Statement<KeyRow> =>
  sql<KeyRow>`select k.id, k.state, k.private_key, k.public_key, k.made_at, k.used_at, k.replaced_at
    from identity.signal_key k where k.tenant_id = ${tenantId} order by k.made_at desc, k.id`;

export const insertKey = ({ tenantId }: TenantContext, row: Omit<KeyRow, 'replaced_at'>): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`insert into identity.signal_key (tenant_id, id, state, private_key, public_key, made_at, used_at)
    values (${tenantId}, ${row.id}, ${row.state}, ${row.private_key}, ${row.public_key}, ${row.made_at}, ${row.used_at})
    on conflict (tenant_id, state) where state in ('next', 'now') do nothing returning id`;

/** Only from the state that it was seen in: of two processes one changes it. */
export const turnKey = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly from: KeyState; readonly to: KeyState; readonly at: Date },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.signal_key set state = ${of.to},
      used_at = case when ${of.to}::text = 'now' then ${of.at}::timestamptz else used_at end,
      replaced_at = case when ${of.to}::text = 'former' then ${of.at}::timestamptz else replaced_at end
    where tenant_id = ${tenantId} and id = ${of.id} and state = ${of.from} returning id`;

export const deleteKey = ({ tenantId }: TenantContext, id: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`delete from identity.signal_key
    where tenant_id = ${tenantId} and id = ${id} and state = 'former' returning id`;

/** Whatever its state is: nobody signs with it any more. */
export const eraseKey = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`delete from identity.signal_key where tenant_id = ${tenantId} and id = ${id}`;

export const nameByAccount = (
  { tenantId }: TenantContext,
  id: Uuid,
): Statement<{ readonly id: Uuid; readonly named_at: Date }> =>
  sql<{
    readonly id: Uuid;
    readonly named_at: Date;
  }>`select n.id, n.named_at from identity.signal_name n where n.tenant_id = ${tenantId} and n.id = ${id}`;

export const keepName = (
  { tenantId }: TenantContext,
  row: { readonly id: Uuid; readonly memberId: Uuid; readonly name: Uint8Array; readonly at: Date },
): Statement =>
  sql`insert into identity.signal_name (tenant_id, id, member_id, name, named_at)
    values (${tenantId}, ${row.id}, ${row.memberId}, ${row.name}, ${row.at})
    on conflict (tenant_id, id) do update set name = excluded.name, named_at = excluded.named_at`;

/** How providers call a member, the one that has named them last first. */
export const namesOf = (
  { tenantId }: TenantContext,
  memberId: Uuid,
): Statement<{ readonly id: Uuid; readonly name: Buffer }> =>
  sql<{
    readonly id: Uuid;
    readonly name: Buffer;
  }>`select n.id, n.name from identity.signal_name n
    join identity.account a on a.tenant_id = ${tenantId} and a.id = n.id and a.member_id = ${memberId}
    where n.tenant_id = ${tenantId} and n.member_id = ${memberId} order by n.named_at desc, n.id limit 1`;

export const forgetNames = ({ tenantId }: TenantContext, memberId: Uuid): Statement =>
  sql`delete from identity.signal_name where tenant_id = ${tenantId} and member_id = ${memberId}`;

/** Of accounts that were taken away. */
export const sweepNames = ({ tenantId }: TenantContext): Statement =>
  sql`delete from identity.signal_name where tenant_id = ${tenantId} and id not in
    (select a.id from identity.account a where a.tenant_id = ${tenantId})`;

/** Of a tenant none of whose streams calls people so any more. */
export const forgetAllNames = ({ tenantId }: TenantContext): Statement =>
  sql`delete from identity.signal_name where tenant_id = ${tenantId}`;
