import { toBase64Url, uuidV4, type Uuid } from '@auditrax/base';
import {
  EVENT_RULES,
  manageStreams,
  readConfiguration,
  type DeliveryMethod,
  type EventName,
  type StreamDescription,
  type TransmitterConfiguration,
} from '@auditrax/signals';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { auditFromCall, type AuditInput } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import { holdConnection, loadConnection, type LoadedConnection } from '../connections/index.ts';
import { act } from './acting.ts';
import type { Place, SignalReceiverDeps } from './deps.ts';
import { authorizationHash } from './door.ts';
import { asSetupFault, notFound, refuse } from './errors.ts';
import * as queries from './queries.ts';
import type { StreamRow, StreamState } from './queries.ts';
import { managerOf, portsOf } from './reaching.ts';
import { loadPlace, openStream, receiverOf, sealSettings, type StoredSettings } from './settings.ts';

/** One that is used and one that follows it: a change of transmitter needs no moment without any. */
export const STREAMS_MAX = 2;
const TOKEN_BYTES = 32;

/** What is asked for: all that has a verdict, and nothing that only tells of somebody at work. */
const WANTED: readonly EventName[] = (Object.keys(EVENT_RULES) as EventName[]).filter(
  (name) => !['session-established', 'session-presented', 'verification', 'stream-updated'].includes(name),
);

/** Who sets a stream up or decides about one, with the confirmation that this process has verified. */
export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
  readonly stepUp: StepUp;
}

/** An entry about a stream, by whom it was asked for. */
function askedOf(
  who: Asker,
  { id, connectionId }: { readonly id: Uuid; readonly connectionId: Uuid },
  facts: NonNullable<AuditInput['public']>,
) {
  const asked = { ...auditFromCall(who), stepUpHash: who.stepUp.assertionHash };
  const shown = { connection: connectionId, ...facts };
  return { ...asked, resource: ['received-stream', id], outcome: 'allowed', public: shown } as const;
}

/** The same of a stream that is there. */
const askedAt = (who: Asker, { stream, connection }: Place, facts: NonNullable<AuditInput['public']>) =>
  askedOf(who, { id: stream.id, connectionId: connection.id }, facts);

/** Where a provider pushes events of this stream. */
export function pushAddress({ doors }: Pick<SignalReceiverDeps, 'doors'>, streamId: Uuid): string {
  return `${doors.edge.origins[0]}/ssf/${streamId}/events`;
}

function newAuthorization(deps: Pick<SignalReceiverDeps, 'random'>) {
  const header = `Bearer ${toBase64Url(deps.random.bytes(TOKEN_BYTES))}`;
  return { header, hash: authorizationHash(header) };
}

async function connectionOf(deps: SignalReceiverDeps, { caller }: Asker, id: Uuid): Promise<LoadedConnection> {
  const connection = await loadConnection(deps, caller.tenant, id);
  if (connection === undefined) throw notFound();
  return connection;
}

/** The stream of this connection. Throws `not_found`. */
export async function placeOf(deps: SignalReceiverDeps, { caller }: Pick<Asker, 'caller'>, of: Which): Promise<Place> {
  const place = await loadPlace(deps, { context: caller.tenant }, of.streamId);
  if (place?.connection.id !== of.connectionId) throw notFound();
  return place;
}

export interface Which {
  readonly connectionId: Uuid;
  readonly streamId: Uuid;
}

/**
 * Begins a stream. For one that is pushed the authorization is given once and kept as a hash. Throws `not_found`,
 * `provider_stream_state` (a draft of a connection has nobody yet), `provider_streams_full`.
 */
export async function beginStream(
  deps: SignalReceiverDeps,
  who: Asker,
  { connectionId, delivery }: { readonly connectionId: Uuid; readonly delivery: DeliveryMethod },
): Promise<{ readonly id: Uuid; readonly authorization: string | null }> {
  const { tenant: context } = who.caller;
  // Not of the time: an address that nobody can guess.
  const id = uuidV4(deps.random);
  const given = delivery === 'push' ? newAuthorization(deps) : undefined;
  await deps.tenant.transaction(context, async (tx) => {
    const { state } = await holdConnection(tx, connectionId);
    if (state === 'draft') throw refuse('provider_stream_state', 'Switch the connection on first.');
    const rows = await tx.query(queries.streamsOf(context, connectionId));
    if (rows.filter((row) => row.state !== 'off').length >= STREAMS_MAX)
      throw refuse('provider_streams_full', `At most ${STREAMS_MAX} are in use at a time.`);
    const settings = await sealSettings(deps, tx, { id, settings: null });
    const created_at = new Date(deps.clock.nowMs());
    const row = { id, connection_id: connectionId, delivery, settings, push_hash: given?.hash ?? null, created_at };
    await tx.query(queries.insertStream(context, row));
    await tx.query(queries.insertPulse(context, id));
    await deps.recordAudit(tx, {
      ...askedOf(who, { id, connectionId }, { way: delivery }),
      type: 'signals.stream-begun',
    });
  });
  await deps.system
    .at(context.tenantId)
    .system(queries.insertIndex({ stream_id: id, tenant_id: context.tenantId, due_at: null }));
  return { id, authorization: given?.header ?? null };
}

interface Change {
  readonly entry: AuditInput;
  readonly state: StreamState;
  readonly settings?: StoredSettings;
  readonly pushHash?: Buffer;
}

/** Stores a change of a stream with its entry, if it is still as it was when it was read. */
async function store(deps: SignalReceiverDeps, place: Place, change: Change): Promise<void> {
  const { context, stream } = place;
  const { row } = stream;
  await deps.tenant.transaction(context, async (tx: ScopedTransaction) => {
    const settings =
      change.settings === undefined
        ? row.settings
        : await sealSettings(deps, tx, { id: row.id, settings: change.settings });
    const next = { ...row, state: change.state, settings, push_hash: change.pushHash ?? row.push_hash };
    if ((await tx.query(queries.updateStream(context, next))).length === 0)
      throw refuse('provider_stream_state', 'Somebody else changed this stream in the meantime.');
    await deps.recordAudit(tx, change.entry);
  });
  const dueAt = change.state === 'off' || change.state === 'draft' ? null : new Date(deps.clock.nowMs());
  await deps.system.at(context.tenantId).system(queries.planDue({ streamId: row.id, dueAt }));
}

function requireState({ row }: Place['stream'], allowed: readonly StreamState[]): void {
  if (!allowed.includes(row.state)) throw refuse('provider_stream_state', `The stream is ${row.state}.`);
}

/** What an administrator types of a transmitter that has no management for us. */
export type ByHand = Pick<
  StoredSettings,
  'issuer' | 'audience' | 'streamId' | 'jwksUri' | 'algorithm' | 'opaqueSubjects' | 'pollUrl' | 'authorization'
>;

function requireHttps(deps: Pick<SignalReceiverDeps, 'isRehearsal'>, field: string, text: string | null): void {
  const url = text !== null && URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.protocol === 'http:' && deps.isRehearsal === true && url.hostname === '127.0.0.1';
  if (text === null || url?.username !== '' || (url.protocol !== 'https:' && !isPlain))
    throw refuse('provider_stream_invalid', 'An address over https is needed.', field);
}

/**
 * Sets a stream up with what the provider shows, and has it on. Throws `not_found`, `provider_stream_state`,
 * `provider_stream_invalid` with the field.
 */
export async function setUpByHand(deps: SignalReceiverDeps, who: Asker, of: Which & { readonly given: ByHand }) {
  const place = await placeOf(deps, who, of);
  requireState(place.stream, ['draft', 'on', 'paused']);
  const { delivery } = place.stream.row;
  const polled = delivery === 'poll' ? of.given : { ...of.given, pollUrl: null, authorization: null };
  requireHttps(deps, 'jwksUri', polled.jwksUri);
  if (delivery === 'poll') requireHttps(deps, 'pollUrl', polled.pollUrl);
  const settings: StoredSettings = { ...polled, criticalMembers: [], management: null, eventsMissing: [] };
  try {
    receiverOf(deps, place.connection, settings);
  } catch (error) {
    throw asSetupFault(error);
  }
  const state = place.stream.row.state === 'paused' ? 'paused' : 'on';
  const entry = { ...askedAt(who, place, { state }), type: 'signals.stream-set-up' };
  await store(deps, place, { entry, state, settings });
}

/** What an administrator types of a transmitter that lets us manage our stream. */
export interface Managed {
  readonly issuer: string;
  /** The whole header; secret. */
  readonly authorization: string;
  readonly algorithm: StoredSettings['algorithm'];
  readonly opaqueSubjects: boolean;
}

interface Ordered {
  readonly configuration: TransmitterConfiguration;
  readonly described: StreamDescription;
  readonly pushHash: Buffer | undefined;
}

/** Reads the transmitter's document and has it make the stream. */
async function order(deps: SignalReceiverDeps, place: Place, given: Managed): Promise<Ordered> {
  const ports = portsOf(deps);
  const configuration = await readConfiguration(given.issuer, { ...ports, clock: deps.clock });
  const manager = manageStreams(configuration, given.authorization, ports);
  const { id, row } = place.stream;
  // Nobody needs to see it: it goes to the transmitter, and its hash stays.
  const push = row.delivery === 'push' ? newAuthorization(deps) : undefined;
  const delivery =
    push === undefined
      ? ({ method: 'poll' } as const)
      : ({ method: 'push', url: pushAddress(deps, id), authorization: push.header } as const);
  const described = await manager.create({ events: WANTED, delivery });
  return { configuration, described, pushHash: push?.hash };
}

function settingsOf(given: Managed, { configuration, described }: Ordered): StoredSettings {
  const { issuer, authorization, algorithm, opaqueSubjects } = given;
  const { jwksUri, configurationEndpoint, statusEndpoint, verificationEndpoint, criticalMembers } = configuration;
  return {
    issuer,
    audience: described.audience,
    streamId: described.streamId,
    jwksUri,
    algorithm,
    opaqueSubjects,
    criticalMembers: [...criticalMembers],
    pollUrl: described.delivery.method === 'poll' ? described.delivery.url : null,
    authorization,
    management: {
      jwksUri,
      configurationEndpoint: configurationEndpoint ?? null,
      statusEndpoint: statusEndpoint ?? null,
      verificationEndpoint: verificationEndpoint ?? null,
    },
    eventsMissing: [...described.eventsMissing],
  };
}

/**
 * Has the transmitter make the stream, and has it on. Throws `not_found`, `provider_stream_state`,
 * `provider_stream_invalid`, `transmitter_refused` with the failed check.
 */
export async function setUpManaged(deps: SignalReceiverDeps, who: Asker, of: Which & { readonly given: Managed }) {
  const place = await placeOf(deps, who, of);
  requireState(place.stream, ['draft']);
  let ordered: Ordered;
  let settings: StoredSettings;
  try {
    ordered = await order(deps, place, of.given);
    settings = settingsOf(of.given, ordered);
    receiverOf(deps, place.connection, settings);
  } catch (error) {
    throw asSetupFault(error);
  }
  const { pushHash } = ordered;
  const entry = { ...askedAt(who, place, { state: 'on' }), type: 'signals.stream-connected' };
  const change: Change = { entry, state: 'on', settings };
  try {
    await store(deps, place, pushHash === undefined ? change : { ...change, pushHash });
  } catch (error) {
    // Nobody here would know of it.
    await managerOf(deps, settings)
      ?.remove(ordered.described.streamId)
      .catch(() => undefined);
    throw error;
  }
}

/** Another authorization for pushes, given once; the former one ends at once. Throws as {@link setUpByHand}. */
export async function renewAuthorization(deps: SignalReceiverDeps, who: Asker, of: Which): Promise<string> {
  const place = await placeOf(deps, who, of);
  const { row, settings } = place.stream;
  requireState(place.stream, ['draft', 'on', 'paused']);
  if (row.delivery !== 'push' || settings?.management != null)
    throw refuse('provider_stream_state', 'Only a pushed stream that is set up by hand has an authorization to copy.');
  const { header, hash } = newAuthorization(deps);
  const entry = { ...askedAt(who, place, { state: row.state }), type: 'signals.authorization-renewed' };
  await store(deps, place, { entry, state: row.state, pushHash: hash });
  return header;
}

/** Which states follow which by an administrator's word. Off is for good: its address answers nobody any more. */
const TURNS: Readonly<Record<'on' | 'paused' | 'off', readonly StreamState[]>> = {
  on: ['paused'],
  paused: ['on'],
  off: ['draft', 'on', 'paused'],
};

/** Pauses a stream, has it go on, or ends it. Throws `not_found`, `provider_stream_state`. */
export async function turnStream(
  deps: SignalReceiverDeps,
  who: Asker,
  of: Which & { readonly to: 'on' | 'paused' | 'off' },
): Promise<void> {
  const place = await placeOf(deps, who, of);
  requireState(place.stream, TURNS[of.to]);
  const entry = { ...askedAt(who, place, { state: of.to }), type: 'signals.stream-turned' };
  await store(deps, place, { entry, state: of.to });
  const { settings } = place.stream;
  if (of.to !== 'off' || settings?.streamId == null) return;
  // At the transmitter as well, where we may; if it does not hear us, what it still sends finds nobody.
  await managerOf(deps, settings)
    ?.remove(settings.streamId)
    .catch((error: unknown) => deps.log.warn('signal-stream-left-there', { error }));
}

/**
 * Decides about a suspension that was held: carries it out, or leaves the person in. Throws `not_found` where nothing waits
 * for a decision.
 */
export async function decideHeld(
  deps: SignalReceiverDeps,
  who: Asker,
  of: Which & { readonly eventId: Uuid; readonly to: 'suspend' | 'dismiss' },
): Promise<void> {
  const place = await placeOf(deps, who, of);
  const { context } = place;
  const isDismissed = of.to === 'dismiss';
  await deps.tenant.transaction(context, async (tx) => {
    const [row] = await tx.query(queries.eventForUpdate(context, of.eventId));
    if (row?.stream_id !== of.streamId || row.state !== 'held') throw notFound();
    const now = new Date(deps.clock.nowMs());
    await tx.query(
      queries.settleEvent(context, {
        ...row,
        effects: JSON.stringify(row.effects),
        state: isDismissed ? 'done' : 'acting',
        outcome: isDismissed ? 'dismissed' : null,
        done_at: isDismissed ? now : null,
        decided_by: who.caller.personId,
      }),
    );
    const whom = row.member_id === null ? {} : { member: row.member_id };
    await deps.recordAudit(tx, { ...askedAt(who, place, { outcome: of.to, ...whom }), type: 'signals.decided' });
  });
  if (!isDismissed) await act(deps, place, of.eventId);
}

/** The streams of a connection, opened. Throws `not_found`. */
export async function openStreams(deps: SignalReceiverDeps, { caller }: Pick<Asker, 'caller'>, connectionId: Uuid) {
  const { tenant: context } = caller;
  const connection = await connectionOf(deps, { caller } as Asker, connectionId);
  const rows: readonly StreamRow[] = await deps.tenant.scoped(context, queries.streamsOf(context, connectionId));
  const streams = await Promise.all(rows.map((row) => openStream(deps, context, row)));
  return streams.map((stream): Place => ({ context, connection, stream }));
}
