import { uuidV4 } from '@auditrax/base';
import type { Clock, Random, ServiceName, Uuid } from '@auditrax/base';
import { checkCommitment, XaesKey } from '@auditrax/seal';
import type { FieldSuite, SuitePolicy } from '@auditrax/seal';
import type { ScopedTransaction, Statement, TenantContext, TenantDoor } from '@auditrax/tenancy';
import { recordAudit } from '../../platform/audit/index.ts';
import type { AuditInput } from '../../platform/audit/leaf.ts';
import type { KeysClient } from './client.ts';
import { DEK_AGE_DAYS_MAX } from './contract.ts';
import type { KeyPurpose, ListedKey } from './contract.ts';
import type { DekHandle } from './dek-cache.ts';
import { keysError } from './errors.ts';
import { closeToWriting, insertDek, listKeys, lockActive, selectActive, selectVersion } from './queries.ts';
import type { DekRow } from './queries.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
export const DEK_AGE_MS_MAX = DEK_AGE_DAYS_MAX * DAY_MS;
/** The job replaces a key at least this long before it may seal nothing more: a day without the job breaks nothing. */
const ROTATION_LEAD_MS_MIN = DAY_MS;
/** Spread over so many days more, so that the keys of tenants that began together are not replaced together. */
const ROTATION_SPREAD_MS = 6 * DAY_MS;

export interface KeyDeps {
  /** In whose name keys are made; stands in the audit entry. */
  readonly service: ServiceName;
  readonly tenantDoor: TenantDoor;
  readonly keysClient: KeysClient;
  readonly clock: Clock;
  readonly random: Random;
}

/** Which key, and on which connection its row is read: inside `tx` when the caller has one open, so that it needs none more. */
export interface KeyRequest {
  readonly context: TenantContext;
  readonly purpose: KeyPurpose;
  readonly tx?: ScopedTransaction | undefined;
}

/**
 * The key that seals now. One that has reached 90 days is replaced first: whoever writes rotates, so the promise does
 * not hang on a job. Throws `dek_missing`, `keys_unavailable`, `unwrap_refused`, `commitment_mismatch`.
 */
export async function activeKey(deps: KeyDeps, request: KeyRequest): Promise<DekHandle> {
  const row = await mustBeActive(deps, request);
  const usable = maySeal(deps.clock, atMs(row.created_at)) ? row : await rotate(deps, request, row);
  return unwrapRow(deps, request.context, usable);
}

async function mustBeActive(deps: KeyDeps, request: KeyRequest): Promise<DekRow> {
  const { context, purpose } = request;
  const [row] = await read(deps, request, selectActive({ tenantId: context.tenantId, purpose }));
  if (row === undefined) throw keysError('dek_missing', `tenant ${context.tenantId} has no active key for ${purpose}`);
  return row;
}

/** Who had a key replaced; stands in the audit entries. */
export type KeyActor = Pick<AuditInput, 'actor' | 'tokenHash' | 'stepUpHash' | 'decision'>;

/** When the job replaces a key: the same instant whenever it is asked for, spread by the random bits of the key's id. */
export function rotatesAtMs(key: { readonly id: Uuid; readonly createdAtMs: number }): number {
  const share = Number.parseInt(key.id.slice(0, 8), 16) / 0x1_0000_0000;
  return key.createdAtMs + DEK_AGE_MS_MAX - ROTATION_LEAD_MS_MIN - Math.floor(share * ROTATION_SPREAD_MS);
}

/** Replaces the active key when the job's time for it has come. True when it did. Throws like `activeKey`. */
export async function rotateWhenDue(deps: KeyDeps, request: KeyRequest): Promise<boolean> {
  const row = await mustBeActive(deps, request);
  if (deps.clock.nowMs() < rotatesAtMs({ id: row.id, createdAtMs: atMs(row.created_at) })) return false;
  await rotate(deps, request, row);
  return true;
}

/** Replaces the active key now, whatever its age; `by` is who ordered it. Returns the version that seals from now on. */
export async function rotateAtOnce(deps: KeyDeps, request: KeyRequest, by: KeyActor): Promise<number> {
  return (await rotate(deps, { ...request, by }, await mustBeActive(deps, request))).version;
}

/** The key of a version, for opening. Throws like `activeKey`, and `dek_not_usable` for one that is retired. */
export async function versionKey(
  deps: KeyDeps,
  request: KeyRequest & { readonly version: number },
): Promise<DekHandle> {
  const { context, purpose, version } = request;
  const [row] = await read(deps, request, selectVersion({ tenantId: context.tenantId, purpose, version }));
  if (row === undefined) throw keysError('dek_missing', `tenant ${context.tenantId} has no key ${purpose} ${version}`);
  if (row.state !== 'ACTIVE' && row.state !== 'DECRYPT_ONLY') {
    throw keysError('dek_not_usable', `key ${row.id} (${purpose} ${version}) is ${row.state}`);
  }
  return unwrapRow(deps, context, row);
}

/** True while a key of this age may seal something new. */
export function maySeal(clock: Clock, createdAtMs: number): boolean {
  return clock.nowMs() < createdAtMs + DEK_AGE_MS_MAX;
}

/** Makes the first key of a purpose inside the caller's transaction, with its audit entry. */
export async function createFirstKey(deps: KeyDeps, tx: ScopedTransaction, purpose: KeyPurpose): Promise<DekHandle> {
  const fresh = await freshKey(deps, tx.context, { purpose, version: 1 });
  await tx.query(insertDek(tx.context.tenantId, fresh.row));
  await audit(deps, tx, { type: 'key.created', row: fresh.row });
  return fresh.handle;
}

/** The tenant's keys, newest first, as shown to people. */
export async function listedKeys(
  deps: Pick<KeyDeps, 'tenantDoor' | 'clock'>,
  context: TenantContext,
): Promise<ListedKey[]> {
  const rows = await deps.tenantDoor.scoped(context, listKeys(context.tenantId));
  return rows.map((row) => ({
    purpose: row.purpose,
    version: row.version,
    state: row.state,
    createdAt: new Date(row.created_at).toISOString(),
    ageDays: Math.max(0, (deps.clock.nowMs() - atMs(row.created_at)) / DAY_MS),
    nextRotationAt: row.state === 'ACTIVE' ? new Date(atMs(row.created_at) + DEK_AGE_MS_MAX).toISOString() : null,
  }));
}

/** What the rotation claim measures for one tenant. Days since the epoch are fractions of 24 hours. */
export interface KeyStatus {
  readonly activeCount: number;
  readonly totalCount: number;
  /** Age of the oldest active key, in days; 0 without one. */
  readonly oldestActiveAgeDays: number;
  readonly nextRotationAt: string | null;
  readonly ageDaysMax: number;
}

/** Oldest active key, number of keys, next rotation. */
export async function keyStatus(
  deps: Pick<KeyDeps, 'tenantDoor' | 'clock'>,
  context: TenantContext,
): Promise<KeyStatus> {
  const keys = await listedKeys(deps, context);
  const active = keys.filter((key) => key.state === 'ACTIVE');
  const rotations = active.map((key) => key.nextRotationAt).filter((instant) => instant !== null);
  return {
    activeCount: active.length,
    totalCount: keys.length,
    oldestActiveAgeDays: Math.max(0, ...active.map((key) => key.ageDays)),
    nextRotationAt: rotations.sort()[0] ?? null,
    ageDaysMax: DEK_AGE_DAYS_MAX,
  };
}

async function unwrapRow(deps: KeyDeps, context: TenantContext, row: DekRow): Promise<DekHandle> {
  const name = { purpose: row.purpose, dekId: row.id, version: row.version };
  const { dek, suites } = await deps.keysClient.open(context, name, { kekRef: row.kek_ref, wrapped: row.wrapped });
  try {
    checkCommitment(dek, { tenantId: context.tenantId, ...name }, row.commitment);
    return {
      version: row.version,
      dekId: row.id,
      kekRef: row.kek_ref,
      key: new XaesKey(dek),
      ...(suites === null ? {} : { suites: policyOf(suites) }),
      createdAtMs: atMs(row.created_at),
    };
  } finally {
    dek.fill(0);
  }
}

/** Numbers of a later build than this one are refused as unknown before the list is asked. */
function policyOf(suites: readonly number[]): SuitePolicy<FieldSuite> {
  return { read: suites as FieldSuite[], write: suites as FieldSuite[] };
}

/** A new key that has been unwrapped once already: a key that cannot be opened never gets a row. */
async function freshKey(
  deps: KeyDeps,
  context: TenantContext,
  name: { purpose: KeyPurpose; version: number },
): Promise<{ row: DekRow; handle: DekHandle }> {
  const dekId = uuidV4(deps.random);
  const made = await deps.keysClient.generate(context, { ...name, dekId });
  const createdAtMs = deps.clock.nowMs();
  const row: DekRow = {
    id: dekId,
    ...name,
    kek_ref: made.kekRef,
    wrapped: made.wrapped,
    commitment: made.commitment,
    state: 'ACTIVE',
    created_at: new Date(createdAtMs),
    not_after: new Date(createdAtMs + DEK_AGE_MS_MAX),
  };
  return { row, handle: await unwrapRow(deps, context, row) };
}

/** Replaces `old`; when somebody else was faster, theirs is used and ours was never stored. */
async function rotate(deps: KeyDeps, request: KeyRequest & { readonly by?: KeyActor }, old: DekRow): Promise<DekRow> {
  const { context, purpose, by } = request;
  const { tenantId } = context;
  // Made before the transaction opens: no lock is held while another process is asked.
  const fresh = await freshKey(deps, context, { purpose, version: old.version + 1 });
  fresh.handle.key.destroy();
  const swap = async (tx: ScopedTransaction): Promise<DekRow> => {
    const [current] = await tx.query(lockActive({ tenantId, purpose }));
    if (current !== undefined && current.version !== old.version) return current;
    if (current === undefined) {
      const [successor] = await tx.query(selectActive({ tenantId, purpose }));
      if (successor === undefined)
        throw keysError('dek_missing', `tenant ${tenantId} has no active key for ${purpose}`);
      return successor;
    }
    await tx.query(closeToWriting({ tenantId, id: old.id }));
    await audit(deps, tx, { type: 'key.closed', row: old, by });
    await tx.query(insertDek(tenantId, fresh.row));
    await audit(deps, tx, { type: 'key.created', row: fresh.row, by });
    return fresh.row;
  };
  return request.tx === undefined ? deps.tenantDoor.transaction(context, swap) : swap(request.tx);
}

async function audit(
  deps: KeyDeps,
  tx: ScopedTransaction,
  change: { type: 'key.created' | 'key.closed'; row: DekRow; by?: KeyActor | undefined },
): Promise<void> {
  await recordAudit(tx, {
    type: change.type,
    ...(change.by ?? { actor: { service: deps.service } }),
    resource: ['dek', change.row.id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    // The commitment makes a later exchange of the key visible in the log as well.
    public: {
      purpose: change.row.purpose,
      version: change.row.version,
      commitment: change.row.commitment.toString('hex'),
    },
  });
}

function read(deps: KeyDeps, request: KeyRequest, statement: Statement<DekRow>): Promise<DekRow[]> {
  return request.tx === undefined ? deps.tenantDoor.scoped(request.context, statement) : request.tx.query(statement);
}

function atMs(instant: Date | string): number {
  return new Date(instant).getTime();
}
