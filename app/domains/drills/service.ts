import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, uuidV4, type Clock, type Random, type Uuid } from '@auditrax/base';
import { TenancyError, type Statement, type SystemDoor, type TenantContext, type TenantDoor } from '@auditrax/tenancy';
import { layoutOf, partFile } from '../../platform/objects/layout.ts';
import { createSealer, keyStatus, valuesOnOldKeys, type KeysClient, type Sealer } from '../keys/index.ts';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import type { DrillName } from './contract.ts';
import type { DrillsCode } from './errors.ts';
import { placedDrill, type PlacedDoors, type PlacedDrillName } from './placed-drills.ts';
import * as queries from './queries.ts';

/** Tenants looked at by one measurement of key ages; a larger house measures in its own job. */
const TENANTS_MEASURED_MAX = 500;
const DAY_MS = 86_400_000;
/** Beyond the age at which a data key may seal something new. */
const AGED_DAYS = 91;

/** The application's role below the driver's guard: scope step or none, then the statement as it is. */
export interface BareDoor {
  /** Throws TenancyError; a refusal is recorded in the name of `context` first. */
  run(context: TenantContext, scope: readonly Uuid[], statement: Statement): Promise<readonly object[]>;
  close(): Promise<void>;
}

export interface DrillDeps {
  readonly tenant: TenantDoor;
  readonly system: SystemDoor;
  readonly bare: BareDoor;
  readonly places: PlacedDoors;
  readonly sealer: Sealer;
  readonly keysClient: KeysClient;
  /** Numbers of the sealed fields, as the workspace's own sealer has them. */
  readonly fields: Readonly<Record<string, number>>;
  /** Where sealed values are stored, in every room. */
  readonly columns: readonly SealedColumn[];
  /** Folder of evidence files by region, that of home first. */
  readonly objectStores: ReadonlyMap<string, string>;
  readonly clock: Clock;
  readonly random: Random;
}

export type DrillResult =
  | { readonly kind: 'refused'; readonly code: string; readonly sqlState?: string }
  | { readonly kind: 'happened'; readonly facts: Readonly<Record<string, string | number | boolean>> };

export interface DrillOrder {
  readonly name: DrillName;
  readonly tenant: string;
  readonly other: string;
  readonly rowId: Uuid | undefined;
  readonly requestId: string;
}

interface Ground {
  readonly deps: DrillDeps;
  readonly own: TenantContext;
  readonly other: TenantContext;
  readonly rowId: Uuid | undefined;
}

async function canary(deps: DrillDeps, slug: string, requestId: string): Promise<TenantContext> {
  const [row] = await deps.system.system(queries.canaryBySlug(slug));
  if (row === undefined) throw new AppError<DrillsCode>('drill_canary_required', `${slug} is no canary tenant`);
  return { tenantId: row.id, tenantPart: Number(row.part), requestId };
}

function rowOf({ rowId }: Ground): Uuid {
  if (rowId === undefined) throw new AppError<DrillsCode>('drill_row_required', 'this drill is about a row');
  return rowId;
}

function rows(found: readonly unknown[]): DrillResult {
  return { kind: 'happened', facts: { rows: found.length } };
}

type Drill = (ground: Ground) => Promise<DrillResult>;

async function readOwn({ deps, own }: Ground): Promise<DrillResult> {
  const found = await deps.tenant.scoped(own, queries.engagementsOf(own.tenantId));
  const foreign = found.filter((row) => row.tenant_id !== own.tenantId).length;
  return { kind: 'happened', facts: { rows: found.length, foreign } };
}

async function bareInsert({ deps, own, other }: Ground, scope: readonly Uuid[]): Promise<DrillResult> {
  const row = {
    tenantId: other.tenantId,
    id: uuidV4(deps.random),
    personId: uuidV4(deps.random),
    at: new Date(deps.clock.nowMs()),
  };
  return rows(await deps.bare.run(own, scope, queries.acknowledge(row)));
}

function bareDrill(statement: (ground: Ground) => Statement, scope: 'own' | 'none' | 'twice'): Drill {
  return async (ground) => {
    const { own, other } = ground;
    const steps = { own: [own.tenantId], none: [], twice: [own.tenantId, other.tenantId] }[scope];
    return rows(await ground.deps.bare.run(own, steps, statement(ground)));
  };
}

function guardDrill(statement: (ground: Ground) => Statement): Drill {
  return async (ground) => rows(await ground.deps.tenant.scoped(ground.own, statement(ground)));
}

async function unloggedWrite(ground: Ground): Promise<DrillResult> {
  const { deps, own } = ground;
  await deps.tenant.transaction(own, (tx) => tx.query(queries.touchEngagement(own.tenantId, rowOf(ground))));
  return { kind: 'happened', facts: { committed: true } };
}

async function sealedNote(ground: Ground): Promise<Buffer> {
  const { deps, own } = ground;
  const [row] = (await deps.bare.run(own, [own.tenantId], queries.noteOf(own.tenantId, rowOf(ground)))) as {
    note: Buffer;
  }[];
  if (row === undefined) throw new AppError<DrillsCode>('drill_row_required', 'the canary has no such result');
  return row.note;
}

async function storedField(ground: Ground): Promise<DrillResult> {
  const note = await sealedNote(ground);
  return { kind: 'happened', facts: { bytes: note.toString('base64'), size_bytes: note.length } };
}

/** Writes the stored note with its last byte changed over itself; a value that committed would be lost. */
async function overwriteSealed(ground: Ground): Promise<DrillResult> {
  const { deps, own } = ground;
  const note = Buffer.from(await sealedNote(ground));
  note[note.length - 1]! ^= 0x01;
  await deps.tenant.transaction(own, (tx) => tx.query(queries.overwriteNote(own.tenantId, rowOf(ground), note)));
  return { kind: 'happened', facts: { committed: true } };
}

async function storedObject(ground: Ground): Promise<DrillResult> {
  const { deps, own } = ground;
  const object = { tenantId: own.tenantId, objectId: rowOf(ground) };
  const [home] = deps.objectStores.values();
  if (home === undefined) throw new AppError<DrillsCode>('drill_row_required', 'this house has no store');
  const bytes = await readFile(partFile(layoutOf(home).objects(object), 0));
  return { kind: 'happened', facts: { bytes: bytes.toString('base64'), size_bytes: bytes.length } };
}

/**
 * Looks for the bytes of an object in the store of every region, by its number anywhere below the tenant's folders: not
 * only where the store itself would look.
 */
async function objectRegions(ground: Ground): Promise<DrillResult> {
  const { deps, own } = ground;
  const objectId = rowOf(ground);
  const regions: string[] = [];
  for (const [region, store] of deps.objectStores) {
    if ((await namesBelow(store, own.tenantId)).some((name) => name.includes(objectId))) regions.push(region);
  }
  return { kind: 'happened', facts: { regions: regions.join(), stores: deps.objectStores.size } };
}

/** Everything in a tenant's folders of one store. A store that cannot be read is no absence, and throws. */
async function namesBelow(store: string, tenantId: Uuid): Promise<string[]> {
  const names: string[] = [];
  for (const kind of await readdir(store)) {
    const folder = join(store, kind, tenantId);
    if (existsSync(folder)) names.push(...(await readdir(folder, { recursive: true })));
  }
  return names;
}

/** Opens the stored note in a way that it was not sealed for. */
function openingDrill(bend: (ground: Ground) => { context: TenantContext; rowId: Uuid; flip: boolean }): Drill {
  return async (ground) => {
    const sealed = Buffer.from(await sealedNote(ground));
    const { context, rowId, flip } = bend(ground);
    const last = sealed.length - 1;
    if (flip) sealed[last] = sealed[last]! ^ 0x01;
    await ground.deps.sealer.openBytes({ context, field: 'app.result.note', rowId, sealed });
    return { kind: 'happened', facts: { opened: true } };
  };
}

/** Asks for a wrapped data key in a context that it is not bound to. */
function unwrapDrill(
  bend: (ground: Ground) => { context: TenantContext; purpose: 'fields' | 'objects'; flip: boolean },
): Drill {
  return async (ground) => {
    const { deps, own } = ground;
    const [row] = await deps.tenant.scoped(own, queries.activeFieldKey(own.tenantId));
    if (row === undefined) throw new AppError<DrillsCode>('drill_row_required', 'the canary has no key');
    const { context, purpose, flip } = bend(ground);
    const wrapped = Buffer.from(row.wrapped);
    const last = wrapped.length - 1;
    if (flip) wrapped[last] = wrapped[last]! ^ 0x01;
    const name = { purpose, dekId: row.id, version: row.version };
    const dek = await deps.keysClient.unwrap(context, name, { kekRef: row.kek_ref, wrapped });
    dek.fill(0);
    return { kind: 'happened', facts: { opened: true } };
  };
}

class RolledBack extends Error {}

/**
 * Tries to seal with today's key as if it were 91 days later, in a transaction that is rolled back. The writer must turn
 * to a new key by itself.
 */
async function sealWithAgedKey({ deps, own }: Ground): Promise<DrillResult> {
  const [active] = await deps.tenant.scoped(own, queries.activeFieldKey(own.tenantId));
  if (active === undefined) throw new AppError<DrillsCode>('drill_row_required', 'the canary has no key');
  const later: Clock = { nowMs: () => deps.clock.nowMs() + AGED_DAYS * DAY_MS };
  const { tenant: tenantDoor, keysClient, random, fields } = deps;
  const sealer = createSealer({ service: 'workspace', tenantDoor, keysClient, clock: later, random, fields });
  let used: number | undefined;
  await deps.tenant
    .transaction(own, async (tx) => {
      const place = { context: own, field: 'app.result.note', rowId: uuidV4(random), tx } as const;
      await sealer.seal({ ...place, value: 'drill' });
      used = (await tx.query(queries.activeFieldKey(own.tenantId)))[0]?.version;
      throw new RolledBack();
    })
    .catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error;
    });
  sealer.purge();
  return { kind: 'happened', facts: { before: active.version, used: used ?? 0, aged_days: AGED_DAYS } };
}

/**
 * Ages of the keys that seal, and how many values still name older keys, over all tenants: no row but those of the keys
 * is read, values are only counted by key version, and only numbers leave.
 */
async function keyAges({ deps, own }: Ground): Promise<DrillResult> {
  const tenants = await deps.system.system(queries.everyTenant(TENANTS_MEASURED_MAX));
  let count = 0;
  let oldest_days = 0;
  let values_on_old_keys = 0;
  for (const tenant of tenants) {
    const context = { tenantId: tenant.id, tenantPart: Number(tenant.part), requestId: own.requestId };
    const status = await keyStatus({ tenantDoor: deps.tenant, clock: deps.clock }, context);
    count += status.activeCount;
    oldest_days = Math.max(oldest_days, status.oldestActiveAgeDays);
    values_on_old_keys += await valuesOnOldKeys({ tenantDoor: deps.tenant, columns: deps.columns }, context);
  }
  const complete = tenants.length < TENANTS_MEASURED_MAX;
  return { kind: 'happened', facts: { count, tenants: tenants.length, complete, oldest_days, values_on_old_keys } };
}

function placed(name: PlacedDrillName): Drill {
  return (ground) => placedDrill(name, { ...ground, places: ground.deps.places, rowId: rowOf(ground) });
}

const DRILL: Readonly<Record<DrillName, Drill>> = {
  'guard-foreign-parameter': guardDrill(({ other }) => queries.engagementsOf(other.tenantId)),
  'guard-unscoped-statement': guardDrill(() => queries.everyEngagement),
  'guard-unscoped-join': guardDrill(({ own }) => queries.engagementsWithAnybodysResults(own.tenantId)),
  'scoped-read-own': readOwn,
  'tripwire-foreign-read': bareDrill((ground) => queries.engagementById(rowOf(ground)), 'own'),
  'tripwire-foreign-update': bareDrill((ground) => queries.closeEngagementById(rowOf(ground)), 'own'),
  'tripwire-foreign-insert': (ground) => bareInsert(ground, [ground.own.tenantId]),
  'no-tenant-read': bareDrill(() => queries.everyEngagement, 'none'),
  'no-tenant-update': bareDrill(() => queries.everyRevision, 'none'),
  'no-tenant-insert': (ground) => bareInsert(ground, []),
  'scope-twice': bareDrill(({ other }) => queries.engagementsOf(other.tenantId), 'twice'),
  'grant-change-entry': bareDrill(() => queries.CHANGE_ENTRIES, 'own'),
  'grant-remove-entry': bareDrill(() => queries.REMOVE_ENTRIES, 'own'),
  'grant-empty-log': bareDrill(() => queries.EMPTY_LOG, 'own'),
  'grant-lower-wall': bareDrill(() => queries.LOWER_WALL, 'own'),
  'unlogged-write': unloggedWrite,
  'stored-field': storedField,
  'stored-object': storedObject,
  'object-regions': objectRegions,
  'overwrite-sealed': overwriteSealed,
  'field-changed-byte': openingDrill((ground) => ({ context: ground.own, rowId: rowOf(ground), flip: true })),
  'field-other-tenant': openingDrill((ground) => ({ context: ground.other, rowId: rowOf(ground), flip: false })),
  'field-other-row': openingDrill(({ own, deps }) => ({ context: own, rowId: uuidV4(deps.random), flip: false })),
  'unwrap-other-tenant': unwrapDrill(({ other }) => ({ context: other, purpose: 'fields', flip: false })),
  'unwrap-changed-byte': unwrapDrill(({ own }) => ({ context: own, purpose: 'fields', flip: true })),
  'unwrap-other-purpose': unwrapDrill(({ own }) => ({ context: own, purpose: 'objects', flip: false })),
  'seal-with-aged-key': sealWithAgedKey,
  'key-ages': keyAges,
  'placed-own-role': placed('placed-own-role'),
  'placed-shared-role': placed('placed-shared-role'),
  'placed-shared-tables': placed('placed-shared-tables'),
  'placed-role-at-home': placed('placed-role-at-home'),
  'placed-role-elsewhere': placed('placed-role-elsewhere'),
  'placed-shared-elsewhere': placed('placed-shared-elsewhere'),
};

/**
 * Makes one named attempt between two canary tenants and tells what happened. Throws `drill_canary_required` for any
 * other tenant and `drill_row_required`; what a wall answers is an outcome, not an error.
 */
export async function runDrill(deps: DrillDeps, order: DrillOrder): Promise<DrillResult> {
  const [own, other] = await Promise.all([
    canary(deps, order.tenant, order.requestId),
    canary(deps, order.other, order.requestId),
  ]);
  try {
    return await DRILL[order.name]({ deps, own, other, rowId: order.rowId });
  } catch (error) {
    if (!(error instanceof AppError) || error.code.startsWith('drill_')) throw error;
    const sqlState = error instanceof TenancyError ? error.sqlState : undefined;
    return { kind: 'refused', code: error.code, ...(sqlState === undefined ? {} : { sqlState }) };
  }
}
