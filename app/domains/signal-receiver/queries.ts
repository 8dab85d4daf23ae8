import type { Uuid } from '@auditrax/base';
import type { DeliveryMethod, Verdict } from '@auditrax/signals';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export type StreamState = 'draft' | 'on' | 'paused' | 'off';
export type EventState = 'new' | 'acting' | 'held' | 'done';
export type EventOutcome = 'nothing' | 'alerted' | 'nobody' | 'sessions-ended' | 'suspended' | 'dismissed';

export interface StreamRow {
  readonly id: Uuid;
  readonly connection_id: Uuid;
  readonly state: StreamState;
  readonly delivery: DeliveryMethod;
  readonly settings: Buffer;
  readonly push_hash: Buffer | null;
  readonly version: number;
  readonly created_at: Date;
}

/** Of each kind of thing how many ended, and when, as text. */
export interface Effect {
  readonly holder: string;
  readonly ended: number;
  readonly at: string;
}

export interface EventRow {
  readonly id: Uuid;
  readonly stream_id: Uuid;
  readonly token_hash: Buffer;
  readonly verdict: Verdict;
  readonly state: EventState;
  readonly outcome: EventOutcome | null;
  readonly content: Buffer;
  readonly member_id: Uuid | null;
  readonly effects: readonly Effect[];
  readonly received_at: Date;
  readonly counted_at: Date | null;
  readonly decided_by: Uuid | null;
  readonly done_at: Date | null;
  readonly forget_at: Date;
}

export interface PulseRow {
  readonly id: Uuid;
  readonly heard_at: Date | null;
  readonly events: string | number;
  readonly refused: string | number;
  readonly asked_at: Date | null;
  readonly asked_hash: Buffer | null;
  readonly answered_at: Date | null;
  readonly silent_since: Date | null;
  readonly trouble: string | null;
  readonly troubled_at: Date | null;
  readonly progress: Buffer | null;
}

const stream = sql`s.id, s.connection_id, s.state, s.delivery, s.settings, s.push_hash, s.version, s.created_at`;
const event = sql`e.id, e.stream_id, e.token_hash, e.verdict, e.state, e.outcome, e.content, e.member_id, e.effects,
  e.received_at, e.counted_at, e.decided_by, e.done_at, e.forget_at`;
const pulse = sql`p.id, p.heard_at, p.events, p.refused, p.asked_at, p.asked_hash, p.answered_at, p.silent_since,
  p.trouble, p.troubled_at, p.progress`;

export const streamById = ({ tenantId }: TenantContext, id: Uuid): Statement<StreamRow> =>
  sql<StreamRow>`select ${stream} from identity.received_stream s where s.tenant_id = ${tenantId} and s.id = ${id}`;

/** Held, so that what one stream suspends is counted one after the other. */
export const streamForUpdate = ({ tenantId }: TenantContext, id: Uuid): Statement<StreamRow> =>
  sql<StreamRow>`select ${stream} from identity.received_stream s
    where s.tenant_id = ${tenantId} and s.id = ${id} for update`;

/** Newest first. */
export const streamsOf = ({ tenantId }: TenantContext, connectionId: Uuid): Statement<StreamRow> =>
  sql<StreamRow>`select ${stream} from identity.received_stream s
    where s.tenant_id = ${tenantId} and s.connection_id = ${connectionId} order by s.created_at desc, s.id desc`;

export const insertStream = ({ tenantId }: TenantContext, row: Omit<StreamRow, 'state' | 'version'>): Statement =>
  sql`insert into identity.received_stream (tenant_id, id, connection_id, delivery, settings, push_hash, created_at)
    values (${tenantId}, ${row.id}, ${row.connection_id}, ${row.delivery}, ${row.settings}, ${row.push_hash},
      ${row.created_at})`;

/** No row when somebody else has changed it since it was read. */
export const updateStream = (
  { tenantId }: TenantContext,
  row: Pick<StreamRow, 'id' | 'state' | 'settings' | 'push_hash' | 'version'>,
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.received_stream s
    set state = ${row.state}, settings = ${row.settings}, push_hash = ${row.push_hash}, version = ${row.version + 1}
    where s.tenant_id = ${tenantId} and s.id = ${row.id} and s.version = ${row.version} returning s.id`;

/** No row when the token was kept before. */
export const insertEvent = (
  { tenantId }: TenantContext,
  row: Omit<EventRow, 'effects' | 'counted_at' | 'decided_by' | 'member_id'>,
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`insert into identity.received_event (tenant_id, id, stream_id, token_hash, verdict, state, outcome,
      content, received_at, done_at, forget_at)
    values (${tenantId}, ${row.id}, ${row.stream_id}, ${row.token_hash}, ${row.verdict}, ${row.state}, ${row.outcome},
      ${row.content}, ${row.received_at}, ${row.done_at}, ${row.forget_at})
    on conflict (tenant_id, stream_id, token_hash) do nothing returning id`;

export const eventById = ({ tenantId }: TenantContext, id: Uuid): Statement<EventRow> =>
  sql<EventRow>`select ${event} from identity.received_event e where e.tenant_id = ${tenantId} and e.id = ${id}`;

export const eventForUpdate = ({ tenantId }: TenantContext, id: Uuid): Statement<EventRow> =>
  sql<EventRow>`select ${event} from identity.received_event e
    where e.tenant_id = ${tenantId} and e.id = ${id} for update`;

/** What was kept before then and not carried out, the oldest first. */
export const unfinishedEvents = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly before: Date; readonly limit: number },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select e.id from identity.received_event e
    where e.tenant_id = ${tenantId} and e.stream_id = ${of.streamId} and e.state in ('new', 'acting')
      and e.received_at <= ${of.before}
    order by e.received_at, e.id limit ${of.limit}`;

/** Newest first, and whatever waits for a person beside them. */
export const recentEvents = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly limit: number },
): Statement<EventRow> =>
  sql<EventRow>`select ${event} from identity.received_event e
    where e.tenant_id = ${tenantId} and e.stream_id = ${of.streamId} order by e.received_at desc, e.id desc
    limit ${of.limit}`;

export const heldEvents = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly limit: number },
): Statement<EventRow> =>
  sql<EventRow>`select ${event} from identity.received_event e
    where e.tenant_id = ${tenantId} and e.stream_id = ${of.streamId} and e.state = 'held' order by e.received_at, e.id
    limit ${of.limit}`;

/** How many people beside this one the stream has suspended since then. */
export const countedSince = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly since: Date; readonly memberId: Uuid },
): Statement<{ people: string | number }> =>
  sql<{ people: string | number }>`select count(distinct e.member_id) as people from identity.received_event e
    where e.tenant_id = ${tenantId} and e.stream_id = ${of.streamId} and e.counted_at > ${of.since}
      and e.member_id <> ${of.memberId}`;

export const memberState = ({ tenantId }: TenantContext, id: Uuid): Statement<{ readonly state: string }> =>
  sql<{
    readonly state: string;
  }>`select m.state from identity.member m where m.tenant_id = ${tenantId} and m.id = ${id}`;

/** The sealed label of each. */
export const memberLabels = (
  { tenantId }: TenantContext,
  ids: readonly Uuid[],
): Statement<{ readonly id: Uuid; readonly label: Buffer }> =>
  sql<{
    readonly id: Uuid;
    readonly label: Buffer;
  }>`select m.id, m.label from identity.member m where m.tenant_id = ${tenantId} and m.id = any(${ids})`;

/** What an event has become; no row when it was settled before. */
export const settleEvent = (
  { tenantId }: TenantContext,
  row: Pick<EventRow, 'id' | 'state' | 'outcome' | 'member_id' | 'counted_at' | 'decided_by' | 'done_at'> & {
    readonly effects: string;
  },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.received_event e
    set state = ${row.state}, outcome = ${row.outcome}, member_id = ${row.member_id}, effects = ${row.effects}::jsonb,
      counted_at = ${row.counted_at}, decided_by = ${row.decided_by}, done_at = ${row.done_at}
    where e.tenant_id = ${tenantId} and e.id = ${row.id} and e.state <> 'done' returning e.id`;

/** What nobody could send again and nobody has to decide about. */
export const forgetEvents = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly now: Date; readonly kept: number },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`delete from identity.received_event e
    where e.tenant_id = ${tenantId} and e.stream_id = ${of.streamId} and e.state = 'done' and e.forget_at <= ${of.now}
      and e.id not in (select k.id from identity.received_event k
        where k.tenant_id = ${tenantId} and k.stream_id = ${of.streamId}
        order by k.received_at desc, k.id desc limit ${of.kept})
    returning e.id`;

export const pulseOf = ({ tenantId }: TenantContext, streamId: Uuid): Statement<PulseRow> =>
  sql<PulseRow>`select ${pulse} from identity.received_pulse p where p.tenant_id = ${tenantId} and p.id = ${streamId}`;

export const insertPulse = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`insert into identity.received_pulse (tenant_id, id) values (${tenantId}, ${id})`;

/** An event was believed. */
export const noteHeard = ({ tenantId }: TenantContext, of: { readonly id: Uuid; readonly at: Date }): Statement =>
  sql`update identity.received_pulse p set heard_at = ${of.at}, events = p.events + 1, silent_since = null
    where p.tenant_id = ${tenantId} and p.id = ${of.id}`;

export const noteAnswered = ({ tenantId }: TenantContext, of: { readonly id: Uuid; readonly at: Date }): Statement =>
  sql`update identity.received_pulse p set answered_at = ${of.at}, asked_hash = null
    where p.tenant_id = ${tenantId} and p.id = ${of.id}`;

export const noteAsked = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly at: Date; readonly hash: Uint8Array },
): Statement =>
  sql`update identity.received_pulse p set asked_at = ${of.at}, asked_hash = ${of.hash}
    where p.tenant_id = ${tenantId} and p.id = ${of.id}`;

export const noteSilent = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly since: Date | null },
): Statement =>
  sql`update identity.received_pulse p set silent_since = ${of.since}
    where p.tenant_id = ${tenantId} and p.id = ${of.id}`;

export const noteTrouble = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly trouble: string | null; readonly at: Date | null },
): Statement =>
  sql`update identity.received_pulse p
    set trouble = ${of.trouble},
      troubled_at = case when ${of.trouble}::text is null then null else coalesce(p.troubled_at, ${of.at}) end
    where p.tenant_id = ${tenantId} and p.id = ${of.id}`;

export const noteProgress = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly progress: Uint8Array },
): Statement =>
  sql`update identity.received_pulse p set progress = ${of.progress}
    where p.tenant_id = ${tenantId} and p.id = ${of.id}`;

export const countRefused = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`update identity.received_pulse p set refused = p.refused + 1 where p.tenant_id = ${tenantId} and p.id = ${id}`;

export const insertRefusal = (
  { tenantId }: TenantContext,
  row: { readonly id: Uuid; readonly streamId: Uuid; readonly report: Uint8Array; readonly at: Date },
): Statement =>
  sql`insert into identity.received_refusal (tenant_id, id, stream_id, report, refused_at)
    values (${tenantId}, ${row.id}, ${row.streamId}, ${row.report}, ${row.at})`;

/** Newest first. */
export const refusalsOf = (
  { tenantId }: TenantContext,
  streamId: Uuid,
): Statement<{ readonly id: Uuid; readonly report: Buffer; readonly refused_at: Date }> =>
  sql<{
    readonly id: Uuid;
    readonly report: Buffer;
    readonly refused_at: Date;
  }>`select r.id, r.report, r.refused_at from identity.received_refusal r
    where r.tenant_id = ${tenantId} and r.stream_id = ${streamId} order by r.refused_at desc, r.id desc`;

/** All but the newest go. */
export const forgetRefusals = (
  { tenantId }: TenantContext,
  of: { readonly streamId: Uuid; readonly kept: number },
): Statement =>
  sql`delete from identity.received_refusal r
    where r.tenant_id = ${tenantId} and r.stream_id = ${of.streamId}
      and r.id not in (select k.id from identity.received_refusal k
        where k.tenant_id = ${tenantId} and k.stream_id = ${of.streamId}
        order by k.refused_at desc, k.id desc limit ${of.kept})`;

export interface IndexRow {
  readonly stream_id: Uuid;
  readonly tenant_id: Uuid;
}

export const indexById = (streamId: Uuid): Statement<IndexRow> =>
  sql<IndexRow>`select i.stream_id, i.tenant_id from identity.received_index i where i.stream_id = ${streamId}`;

export const insertIndex = (row: IndexRow & { readonly due_at: Date | null }): Statement =>
  sql`insert into identity.received_index (stream_id, tenant_id, due_at)
    values (${row.stream_id}, ${row.tenant_id}, ${row.due_at})`;

/** Takes streams that are due; of several issuers that ask at once each takes others. */
export const leaseDue = (of: {
  readonly now: Date;
  readonly until: Date;
  readonly limit: number;
}): Statement<IndexRow> =>
  sql<IndexRow>`update identity.received_index i set leased_until = ${of.until}
    where i.stream_id in (select d.stream_id from identity.received_index d
      where d.due_at <= ${of.now} and (d.leased_until is null or d.leased_until <= ${of.now})
      order by d.due_at, d.stream_id limit ${of.limit} for update skip locked)
    returning i.stream_id, i.tenant_id`;

/** Only by whoever still holds it. */
export const endLease = (of: {
  readonly streamId: Uuid;
  readonly leasedUntil: Date;
  readonly dueAt: Date | null;
}): Statement =>
  sql`update identity.received_index i set leased_until = null, due_at = ${of.dueAt}
    where i.stream_id = ${of.streamId} and i.leased_until = ${of.leasedUntil}`;

export const planDue = (of: { readonly streamId: Uuid; readonly dueAt: Date | null }): Statement =>
  sql`update identity.received_index set due_at = ${of.dueAt} where stream_id = ${of.streamId}`;

/** When a tenant is deleted: its public addresses lead nowhere. */
export const deleteIndexOf = (tenantId: Uuid): Statement =>
  sql`delete from identity.received_index where tenant_id = ${tenantId}`;
