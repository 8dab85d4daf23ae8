import type { Uuid } from '@auditrax/base';
import { SUSPENSIONS_PER_HOUR_MAX } from './acting.ts';
import type { SignalEvent, Signals, SignalStream } from './console-contract.ts';
import type { Place, SignalReceiverDeps } from './deps.ts';
import { checkOf, openEvents, recentRefusals } from './keeping.ts';
import * as queries from './queries.ts';
import type { EventRow, PulseRow } from './queries.ts';
import { openStreams, pushAddress, STREAMS_MAX, type Asker } from './setup.ts';

/** Shown of a stream; older ones are entries of the log. */
const EVENTS_SHOWN_MAX = 30;
/** Suspensions that wait: a whole organisation, if its provider’s key is stolen. */
const HELD_SHOWN_MAX = 200;

async function labelsOf(deps: SignalReceiverDeps, { context }: Place, rows: readonly EventRow[]) {
  const ids = [...new Set(rows.flatMap(({ member_id }) => member_id ?? []))];
  if (ids.length === 0) return new Map<Uuid, string>();
  const found = await deps.tenant.scoped(context, queries.memberLabels(context, ids));
  const values = found.map(({ id, label }) => ({ field: 'identity.member.label' as const, rowId: id, sealed: label }));
  const words = await deps.sealer.openNames({ context, values });
  return new Map(found.map(({ id }, index): [Uuid, string] => [id, words[index]!]));
}

async function eventsOf(
  deps: SignalReceiverDeps,
  place: Place,
  rows: readonly EventRow[],
): Promise<readonly SignalEvent[]> {
  const contents = await openEvents(deps, place, rows);
  const labels = await labelsOf(deps, place, rows);
  return rows.map((row, index) => {
    const { events, subject, unusable } = contents[index]!;
    const { member_id: member } = row;
    return {
      id: deps.formatId('sev', place.context, row.id),
      at: row.received_at.toISOString(),
      events,
      subject,
      unusable,
      verdict: row.verdict,
      state: row.state,
      outcome: row.outcome,
      person:
        member === null
          ? null
          : { id: deps.formatId('mem', place.context, member), label: labels.get(member) ?? 'Erased person' },
      effects: row.effects.map((effect) => ({
        ...effect,
        after_ms: Math.max(0, Date.parse(effect.at) - row.received_at.getTime()),
      })),
    };
  });
}

function settingsOf({ stream }: Place): SignalStream['settings'] {
  const { settings } = stream;
  if (settings === undefined) return null;
  const { issuer, audience, streamId, jwksUri, algorithm, opaqueSubjects, pollUrl, management, eventsMissing } =
    settings;
  return {
    issuer,
    audience,
    theirStream: streamId,
    jwksUri,
    algorithm,
    opaqueSubjects,
    pollUrl,
    isManaged: management !== null,
    mayVerify: management?.verificationEndpoint != null,
    eventsMissing,
  };
}

const timeOf = (at: Date | null | undefined): string | null => at?.toISOString() ?? null;

function pulseOf(pulse: PulseRow | undefined) {
  const { trouble, troubled_at } = pulse ?? {};
  return {
    heardAt: timeOf(pulse?.heard_at),
    eventsCount: Number(pulse?.events ?? 0),
    refusedCount: Number(pulse?.refused ?? 0),
    askedAt: timeOf(pulse?.asked_at),
    answeredAt: timeOf(pulse?.answered_at),
    silentSince: timeOf(pulse?.silent_since),
    trouble:
      trouble == null || troubled_at == null
        ? null
        : { code: trouble, ...checkOf(trouble), at: troubled_at.toISOString() },
  };
}

async function readStream(deps: SignalReceiverDeps, place: Place): Promise<SignalStream> {
  const { context, stream } = place;
  const { row } = stream;
  const ask = <Row>(statement: Parameters<typeof deps.tenant.scoped<Row>>[1]) => deps.tenant.scoped(context, statement);
  const [pulse] = await ask(queries.pulseOf(context, row.id));
  const held = await ask(queries.heldEvents(context, { streamId: row.id, limit: HELD_SHOWN_MAX }));
  const recent = await ask(queries.recentEvents(context, { streamId: row.id, limit: EVENTS_SHOWN_MAX }));
  return {
    id: deps.formatId('sst', context, row.id),
    delivery: row.delivery,
    state: row.state,
    createdAt: row.created_at.toISOString(),
    address: row.delivery === 'push' ? pushAddress(deps, row.id) : null,
    settings: settingsOf(place),
    ...pulseOf(pulse),
    held: [...(await eventsOf(deps, place, held))],
    recent: [...(await eventsOf(deps, place, recent))],
    refusals: (await recentRefusals(deps, place)).map((one) => ({ ...one, at: one.at.toISOString() })),
  };
}

/** What is known of a connection's streams, those that were ended last. Throws `not_found`. */
export async function readSignals(
  deps: SignalReceiverDeps,
  who: Pick<Asker, 'caller'>,
  connectionId: Uuid,
): Promise<Signals> {
  const places = await openStreams(deps, who, connectionId);
  const rank = ({ stream }: Place) => (stream.row.state === 'off' ? 1 : 0);
  const shown = places.toSorted((one, other) => rank(one) - rank(other)).slice(0, STREAMS_MAX + 1);
  const streams: SignalStream[] = [];
  for (const place of shown) streams.push(await readStream(deps, place));
  return { streamsMax: STREAMS_MAX, suspensionsPerHourMax: SUSPENSIONS_PER_HOUR_MAX, streams };
}
