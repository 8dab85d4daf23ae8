import type { Uuid } from '@auditrax/base';
import { entraTenant } from '@auditrax/oidc/profiles';
import { parseReceiverStream, SET_ALGORITHMS, type ReceiverStream } from '@auditrax/signals';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { z } from 'zod';
import { findBySecret, findTenant, type KnownTenant } from '../identity/index.ts';
import { loadConnection, type LoadedConnection } from '../connections/index.ts';
import type { Place, SignalReceiverDeps } from './deps.ts';
import * as queries from './queries.ts';
import type { StreamRow } from './queries.ts';

const FIELD = 'identity.received_stream.settings' as const;
const text = z.string().min(1).max(4_096);
const algorithms = Object.keys(SET_ALGORITHMS) as [keyof typeof SET_ALGORITHMS];

/** What is stored, sealed, of a stream that has been set up. */
export const storedSettings = z.strictObject({
  issuer: text,
  /** Who we are on this stream. */
  audience: text,
  streamId: text.nullable(),
  jwksUri: text,
  algorithm: z.enum(algorithms),
  /** The transmitter names people by an opaque id that is their immutable subject. */
  opaqueSubjects: z.boolean(),
  criticalMembers: z.array(text),
  /** Where events are fetched; of a pushed stream null. */
  pollUrl: text.nullable(),
  /** The whole header that we send to the transmitter; secret. */
  authorization: text.nullable(),
  /** Where we ask for a sign of life, and end the stream; null where an administrator typed what the provider shows. */
  management: z
    .strictObject({
      jwksUri: text,
      configurationEndpoint: text.nullable(),
      statusEndpoint: text.nullable(),
      verificationEndpoint: text.nullable(),
    })
    .nullable(),
  /** Events that were asked for and will not come. */
  eventsMissing: z.array(text),
});
export type StoredSettings = z.output<typeof storedSettings>;

/** A stream with its settings opened; undefined while it is a draft. Never leaves the issuer: it holds secrets. */
export interface OpenStream {
  readonly id: Uuid;
  readonly row: StreamRow;
  readonly version: number;
  readonly settings: StoredSettings | undefined;
}

/** One that events can come over. */
export interface ConnectedStream extends OpenStream {
  readonly settings: StoredSettings;
  readonly receiver: ReceiverStream;
}

/** A draft has settings as well, so that the column is never empty. */
const stored = z.union([storedSettings, z.null()]);

export async function openStream(
  deps: Pick<SignalReceiverDeps, 'sealer'>,
  context: TenantContext,
  row: StreamRow,
): Promise<OpenStream> {
  const opened = await deps.sealer.openText({ context, field: FIELD, rowId: row.id, sealed: row.settings });
  return { id: row.id, row, version: row.version, settings: stored.parse(JSON.parse(opened)) ?? undefined };
}

export function sealSettings(
  deps: Pick<SignalReceiverDeps, 'sealer'>,
  tx: ScopedTransaction,
  { id, settings }: { readonly id: Uuid; readonly settings: StoredSettings | null },
): Promise<Buffer> {
  return deps.sealer.seal({
    context: tx.context,
    field: FIELD,
    rowId: id,
    value: JSON.stringify(settings satisfies unknown),
    tx,
  });
}

/**
 * Whose people a transmitter may speak of: those of the provider behind its connection. Over SAML a provider has no issuer
 * of that kind; there it speaks of people under its own name.
 */
function subjectIssuers({ settings }: LoadedConnection, issuer: string): readonly string[] {
  return settings?.kind === 'oidc' ? [settings.input.issuer] : [issuer];
}

/** Throws `signals_setting_invalid`. */
export function receiverOf(
  deps: Pick<SignalReceiverDeps, 'isRehearsal'>,
  connection: LoadedConnection,
  settings: StoredSettings,
): ReceiverStream {
  const { issuer, audience, streamId, algorithm, opaqueSubjects, criticalMembers } = settings;
  return parseReceiverStream(
    {
      issuer,
      audience,
      algorithm,
      criticalMembers,
      subjectIssuers: subjectIssuers(connection, issuer),
      ...(streamId === null ? {} : { streamId }),
      ...(opaqueSubjects ? { opaqueSubjects: 'account' as const } : {}),
    },
    { rehearsal: deps.isRehearsal ?? false },
  );
}

/** The stream of a place, when events can come over it. */
export function connected(deps: Pick<SignalReceiverDeps, 'isRehearsal'>, place: Place): ConnectedStream | undefined {
  const { stream, connection } = place;
  const { settings } = stream;
  return settings === undefined ? undefined : { ...stream, settings, receiver: receiverOf(deps, connection, settings) };
}

/** The subject that a sign-in of this person would have, so that both find the same account. Never an address. */
export function subjectKey({ settings, profile }: LoadedConnection, subject: string): string {
  if (profile !== 'entra' || settings?.kind !== 'oidc') return subject;
  return `${entraTenant(settings.input.issuer)}/${subject.toLowerCase()}`;
}

/**
 * The stream with this id, its connection and tenant; undefined when there is none or its tenant is closed. It proves
 * nothing about who called.
 */
export async function findStream(
  deps: Pick<SignalReceiverDeps, 'system' | 'tenant' | 'sealer' | 'doors'>,
  streamId: Uuid,
  requestId: string,
): Promise<Place | undefined> {
  const found = await findBySecret(deps.system, queries.indexById(streamId));
  const tenant = found === undefined ? undefined : await findTenant(deps, found.tenant_id, requestId);
  return tenant === undefined ? undefined : loadPlace(deps, tenant, streamId);
}

export async function loadPlace(
  deps: Pick<SignalReceiverDeps, 'system' | 'tenant' | 'sealer' | 'doors'>,
  { context }: Pick<KnownTenant, 'context'>,
  streamId: Uuid,
): Promise<Place | undefined> {
  const [row] = await deps.tenant.scoped(context, queries.streamById(context, streamId));
  if (row === undefined) return undefined;
  const connection = await loadConnection(deps, context, row.connection_id);
  return connection === undefined ? undefined : { context, connection, stream: await openStream(deps, context, row) };
}
