import { hash } from 'node:crypto';
import { AppError, uuidV7, type Clock, type Json, type Random, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, SystemDoor, TenantContext, TenantDoor } from '@auditrax/tenancy';
import { auditFromCall, changesOf, type AuditInput, type LedgerClient } from '../../platform/audit/index.ts';
import type { ApprovalKeeping, Caller, StepUp } from '../../platform/http/handler.ts';
import { CHANGED_SINCE, stepUpAction } from '../access/index.ts';
import type { Sealer } from '../keys/index.ts';
import { STREAMS_MAX, type Stream, type Tried } from './contract.ts';
import type { SiemCode } from './errors.ts';
import * as queries from './queries.ts';
import { target as targetSchema, type Target } from './target-contract.ts';

export interface SiemDeps {
  readonly door: TenantDoor;
  /** For the part of a tenant's context, where another process asks on its behalf. */
  readonly system: SystemDoor;
  readonly sealer: Pick<Sealer, 'seal' | 'openText'>;
  readonly ledger: Pick<LedgerClient, 'checkpoint'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly recordAudit: (tx: ScopedTransaction, input: AuditInput) => Promise<{ entryId: Uuid }>;
  readonly formatId: (kind: string, context: TenantContext, uuid: Uuid) => string;
  /** The process that dials tries a destination with one event. */
  readonly attempt: (input: { target: Target; streamId: Uuid }) => Promise<Tried>;
}

export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
}

interface SteppingAsker extends Asker {
  stepUp(action: Json, keeping?: ApprovalKeeping): Promise<StepUp>;
}

const FIELD = 'app.stream.config';

async function openTarget(deps: SiemDeps, context: TenantContext, row: queries.StreamRow): Promise<Target> {
  const text = await deps.sealer.openText({ context, field: FIELD, rowId: row.id, sealed: row.config });
  return targetSchema.parse(JSON.parse(text));
}

function notFound(): AppError {
  return new AppError('not_found', 'no such stream');
}

interface Head {
  readonly generation: number;
  readonly size: number;
}

async function headOf(deps: SiemDeps, context: TenantContext): Promise<Head | null> {
  try {
    const { origin, size } = await deps.ledger.checkpoint(context.tenantId);
    return { generation: Number(origin.slice(origin.lastIndexOf('/') + 1)), size };
  } catch (error) {
    if (error instanceof AppError && error.code === 'audit_entry_unknown') return null;
    throw error;
  }
}

function present(
  row: queries.StreamRow,
  { id, target, cursor, head }: { id: string; target: Target; cursor: queries.CursorRow; head: Head | null },
): Stream {
  const next = Number(cursor.next_idx);
  const lag = head !== null && head.generation === cursor.generation ? Math.max(0, head.size - next) : null;
  const isFailing = cursor.failing_since !== null;
  return {
    id,
    kind: target.kind,
    host: target.host,
    port: target.port,
    path: target.kind === 'splunk-hec' ? target.path : null,
    ownAuthority: target.ca !== undefined,
    enabled: row.enabled,
    version: row.version,
    state: !row.enabled ? 'off' : isFailing ? 'failing' : lag === 0 ? 'waiting' : 'streaming',
    lastPosition: next === 0 || cursor.sent === '0' ? null : next - 1,
    generation: cursor.generation,
    lag,
    sent: Number(cursor.sent),
    repeated: Number(cursor.repeated),
    lastSentAt: cursor.last_sent_at?.toISOString() ?? null,
    failingSince: cursor.failing_since?.toISOString() ?? null,
    error: cursor.error,
    retryAt: isFailing ? (cursor.retry_at?.toISOString() ?? null) : null,
  };
}

/** Every stream of the tenant and how far each is. The secrets stay sealed. */
export async function listAll(deps: SiemDeps, { caller }: Asker): Promise<Stream[]> {
  const context = caller.tenant;
  const rows = await deps.door.scoped(context, queries.listStreams(context));
  if (rows.length === 0) return [];
  const cursors = await deps.door.scoped(context, queries.listCursors(context));
  const head = await headOf(deps, context);
  const shown: Stream[] = [];
  for (const row of rows) {
    const cursor = cursors.find((one) => one.id === row.id);
    if (cursor === undefined) throw new AppError('internal', `the stream ${row.id} has no cursor`);
    const target = await openTarget(deps, context, row);
    shown.push(present(row, { id: deps.formatId('str', context, row.id), target, cursor, head }));
  }
  return shown;
}

/** Enough of a digest to see that two differ. */
const SHOWN_DIGITS = 12;
const SALT_BYTES = 16;

/** Thrown away with the entry: the digest of a token is of no use to whoever guesses tokens. */
function saltOf({ random }: SiemDeps): string {
  return Buffer.from(random.bytes(SALT_BYTES)).toString('hex');
}

type Deed = Pick<AuditInput, 'type'> & { readonly public?: NonNullable<AuditInput['public']> };

function entryOf(who: Asker, id: Uuid, deed: Deed & { readonly stepUpHash?: string }): AuditInput {
  return { ...auditFromCall(who), ...deed, resource: ['stream', id], outcome: 'allowed' };
}

async function sealTarget(deps: SiemDeps, context: TenantContext, { id, target }: { id: Uuid; target: Target }) {
  return deps.sealer.seal({ context, field: FIELD, rowId: id, value: JSON.stringify(target) });
}

/** Settings as a person reads them, the secret by a digest that nobody can look up: that it changed, and no more. */
function settingsOf(target: Target, salt: string): Record<string, string> {
  const digest = (text: string) => hash('sha256', `${salt}\n${text}`, 'hex').slice(0, SHOWN_DIGITS);
  return {
    host: target.host,
    port: String(target.port),
    authority: target.ca === undefined ? 'public' : `its own, ${digest(target.ca)}`,
    ...(target.kind === 'splunk-hec' ? { path: target.path, token: digest(target.token) } : {}),
  };
}

/**
 * What the public may know of a destination: its kind. Host names tell a customer's suppliers; they are withheld, old and
 * new.
 */
function told(target: Target, salt: string, before?: Target): Pick<AuditInput, 'public' | 'disclosures'> {
  const old = before === undefined ? {} : settingsOf(before, salt);
  return {
    public: { kind: target.kind, port: target.port },
    disclosures: changesOf(old, settingsOf(target, salt)),
  };
}

/** Adds a destination, switched off. Throws `streams_full` and what the step-up throws. */
export async function createStream(
  deps: SiemDeps,
  who: SteppingAsker,
  input: { target: Target; start: 'oldest' | 'now' },
): Promise<Uuid> {
  const context = who.caller.tenant;
  const { assertionHash } = await who.stepUp(
    stepUpAction(who.caller, 'siem.create', input as unknown as Record<string, Json>),
  );
  const id = uuidV7(deps.clock, deps.random);
  const config = await sealTarget(deps, context, { id, target: input.target });
  const head = await headOf(deps, context);
  const begin =
    input.start === 'now' && head !== null
      ? { generation: head.generation, index: head.size }
      : { generation: 1, index: 0 };
  await deps.door.transaction(context, async (tx) => {
    if ((await tx.query(queries.listStreams(context))).length >= STREAMS_MAX) {
      throw new AppError<SiemCode>('streams_full', `${STREAMS_MAX} destinations`, {
        publicDetail: `An organisation has at most ${STREAMS_MAX} destinations.`,
      });
    }
    await tx.query(queries.insertStream(context, { id, config, createdAt: new Date(deps.clock.nowMs()) }));
    await tx.query(queries.insertCursor(context, { id, ...begin }));
    const entry = entryOf(who, id, { type: 'stream.created', stepUpHash: assertionHash });
    await deps.recordAudit(tx, { ...entry, ...told(input.target, saltOf(deps)) });
  });
  return id;
}

/** New settings for a stream that goes on where it stands. Throws `stream_changed` when they were not the newest. */
export async function changeStream(
  deps: SiemDeps,
  who: SteppingAsker,
  input: { id: Uuid; asked: Record<string, Json>; target: Target; version: number },
): Promise<void> {
  const context = who.caller.tenant;
  const { assertionHash } = await who.stepUp(stepUpAction(who.caller, 'siem.change', input.asked));
  const config = await sealTarget(deps, context, input);
  await deps.door.transaction(context, async (tx) => {
    const [row] = await tx.query(queries.streamById(context, input.id));
    if (row === undefined) throw notFound();
    const before = await openTarget(deps, context, row);
    const changed = await tx.query(queries.updateStream(context, { ...input, config }));
    if (changed.length === 0) throw new AppError<SiemCode>('stream_changed', `not version ${input.version} any more`);
    await tx.query(queries.mirrorStream(context, input.id));
    const entry = entryOf(who, input.id, { type: 'stream.changed', stepUpHash: assertionHash });
    await deps.recordAudit(tx, { ...entry, ...told(input.target, saltOf(deps), before) });
  });
}

/** Why nothing was found as it was seen: another one changed it, or there is none. */
async function notAsSeen(tx: ScopedTransaction, id: Uuid): Promise<AppError> {
  const [row] = await tx.query(queries.streamById(tx.context, id));
  if (row === undefined) return notFound();
  return new AppError<SiemCode>('stream_changed', 'not as it was approved', { publicDetail: CHANGED_SINCE });
}

/**
 * Switches a stream on or off, from the state and the settings that were approved. Where it stands stays: what is written
 * meanwhile goes when it is on again. Throws `stream_changed`.
 */
export async function turnStream(
  deps: SiemDeps,
  who: SteppingAsker,
  input: { id: Uuid; asked: Record<string, Json>; on: boolean; version: number },
): Promise<void> {
  const context = who.caller.tenant;
  const { assertionHash } = await who.stepUp(stepUpAction(who.caller, 'siem.turn', input.asked));
  await deps.door.transaction(context, async (tx) => {
    const seen = { ...input, on: !input.on };
    if ((await tx.query(queries.turnStream(context, seen))).length === 0) throw await notAsSeen(tx, input.id);
    await tx.query(queries.mirrorStream(context, input.id));
    const approved = { stepUpHash: assertionHash };
    const entry = input.on
      ? entryOf(who, input.id, { type: 'stream.enabled', ...approved })
      : entryOf(who, input.id, { type: 'stream.disabled', ...approved });
    await deps.recordAudit(tx, entry);
  });
}

/** Forgets a stream that is as it was approved, its secret and where it stood. Throws `stream_changed`. */
export async function removeStream(
  deps: SiemDeps,
  who: SteppingAsker,
  input: { id: Uuid; asked: Record<string, Json>; on: boolean; version: number },
): Promise<void> {
  const context = who.caller.tenant;
  const { assertionHash } = await who.stepUp(stepUpAction(who.caller, 'siem.remove', input.asked));
  await deps.door.transaction(context, async (tx) => {
    if ((await tx.query(queries.deleteStream(context, input))).length === 0) throw await notAsSeen(tx, input.id);
    await tx.query(queries.deleteCursor(context, input.id));
    await deps.recordAudit(tx, entryOf(who, input.id, { type: 'stream.removed', stepUpHash: assertionHash }));
  });
}

/** One event to the saved destination, now; recorded with the step that failed. */
export async function testStream(deps: SiemDeps, who: Asker, id: Uuid): Promise<Tried> {
  const context = who.caller.tenant;
  const [row] = await deps.door.scoped(context, queries.streamById(context, id));
  if (row === undefined) throw notFound();
  const result = await deps.attempt({ target: await openTarget(deps, context, row), streamId: id });
  const failed = result.steps.find((step) => !step.ok);
  const facts = failed === undefined ? { reached: 'answer' } : { failed: failed.step, code: failed.detail };
  await deps.door.transaction(context, (tx) =>
    deps.recordAudit(tx, {
      ...entryOf(who, id, { type: 'stream.tested', public: facts }),
      outcome: failed === undefined ? 'allowed' : 'failed',
    }),
  );
  return result;
}

/** The settings for the process that dials. Throws `stream_changed` for one that is off or has other settings by now. */
export async function materialOf(
  deps: SiemDeps,
  asked: { tenantId: Uuid; streamId: Uuid; version: number; requestId: string },
): Promise<Target> {
  const [tenant] = await deps.system.system(queries.tenantPart(asked.tenantId));
  if (tenant === undefined) throw notFound();
  const context = { tenantId: asked.tenantId, tenantPart: Number(tenant.part), requestId: asked.requestId };
  const [row] = await deps.door.scoped(context, queries.streamById(context, asked.streamId));
  if (row === undefined) throw notFound();
  if (!row.enabled || row.version !== asked.version)
    throw new AppError<SiemCode>('stream_changed', 'switched off, or changed');
  return openTarget(deps, context, row);
}
