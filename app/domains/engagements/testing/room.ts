// For the database tests of the engagements and evidence rooms: the real database, walls, policies and sealing.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { manualClock, systemRandom, uuidV4, type Clock, type Json, type Uuid } from '@auditrax/base';
import {
  formatId,
  idKeys,
  openDatabase,
  parseId,
  type Database,
  type Refusal,
  type TenantContext,
} from '@auditrax/tenancy';
import { attemptRecorder, createRecorder, withGuardErrors, type RecordAudit } from '../../../platform/audit/index.ts';
import { asSuperuser, setBeat } from '../../../platform/audit/testing.ts';
import { discoverSealedFields } from '../../../platform/db/sealed-fields.ts';
import { startTestDatabase, type TestDatabase } from '../../../platform/db/testing.ts';
import type { Caller, Role, StepUp } from '../../../platform/http/handler.ts';
import { openObjectStore, type ObjectStore } from '../../../platform/objects/index.ts';
import { loadRoutePolicy } from '../../access/index.ts';
import { refuseCardNumber } from '../../evidence/index.ts';
import { createSealer, type Sealer } from '../../keys/index.ts';
import { createTenantRules } from '../../rules/index.ts';
import { vaultInProcess } from '../../keys/testing/vault-in-process.ts';
import type { SteppingAsker, EngagementDeps } from '../ports.ts';

export interface TestPerson extends SteppingAsker {
  /** Actions that a passkey was asked for, newest last. */
  readonly confirmed: Json[];
}

export interface TestTenant {
  readonly context: TenantContext;
  person(role: Role): TestPerson;
}

export interface TestRoom {
  readonly server: TestDatabase;
  readonly database: Database;
  readonly deps: EngagementDeps & { readonly store: ObjectStore; readonly sealer: Sealer };
  readonly clock: ReturnType<typeof manualClock>;
  readonly refusals: Refusal[];
  readonly harbour: TestTenant;
  readonly lakeside: TestTenant;
  /** One more tenant, in the shared tables. */
  addTenant(tenantPart: number): Promise<TestTenant>;
  /** As the test superuser. */
  rows<Row>(text: string, values?: unknown[]): Promise<Row[]>;
  /** The UUID inside an id, as the wire's parser gives it to a handler. */
  uuidOf(kind: string, id: string, context: TenantContext): Uuid;
  /** Types of the audit entries of one resource, oldest first. */
  entries(resourceId: Uuid): Promise<string[]>;
  stopLog(): Promise<void>;
  startLog(): Promise<void>;
  close(): Promise<void>;
}

const APP = resolve(import.meta.dirname, '..', '..', '..');
const IDS = idKeys({ version: 1, key: Buffer.alloc(32, 7) });

function callerOf(context: TenantContext, role: Role): Caller {
  return {
    tenant: context,
    tenantKind: 'sample',
    personId: uuidV4(systemRandom),
    role,
    sessionId: uuidV4(systemRandom),
    method: 'passkey',
    door: 'edge',
    routeClass: 'privileged',
    tokenHash: 'a'.repeat(43),
  };
}

function tenantOf(tenantPart: number): TestTenant {
  const context: TenantContext = { tenantId: uuidV4(systemRandom), tenantPart, requestId: 'request-1' };
  return {
    context,
    person: (role) => {
      const confirmed: Json[] = [];
      const stepUp = async (action: Json): Promise<StepUp> => {
        confirmed.push(action);
        return { assertionHash: 'b'.repeat(43), credentialId: 'credential' };
      };
      return { caller: callerOf(context, role), requestId: 'request-1', stepUp, confirmed };
    },
  };
}

async function writeDown(server: TestDatabase, { context }: TestTenant): Promise<void> {
  await asSuperuser(
    server,
    `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, $2, 'sample', $3, 'Sample')`,
    [context.tenantId, context.tenantPart, `sample-${context.tenantPart}`],
  );
}

async function provision(database: Database, sealer: Sealer, { context }: TestTenant): Promise<void> {
  await database.tenant.transaction(context, (tx) => sealer.provision(context, tx));
}

/** What doors are opened to: a house whose tenants are written down and have nothing yet. */
export interface TestGround {
  readonly server: TestDatabase;
  readonly clock: Clock;
  readonly onRefusal: (refusal: Refusal) => Promise<void>;
  readonly harbour: TenantContext;
  readonly lakeside: TenantContext;
}

/** Opens the doors of the workspace; `close` on them closes whatever was opened for them. */
export type OpenDoors = (ground: TestGround) => Promise<Database>;

const openShared: OpenDoors = async ({ server, clock, onRefusal }) =>
  openDatabase({
    connection: server.connectionFor('ax_workspace'),
    poolSize: 6,
    clock,
    onRefusal,
    systemTables: [],
  });

/** What looks into the database from outside the walls. */
function inspection(server: TestDatabase): Pick<TestRoom, 'rows' | 'entries' | 'stopLog' | 'startLog' | 'uuidOf'> {
  return {
    rows: (text, values) => asSuperuser(server, text, values),
    entries: async (resourceId) => {
      const text = 'select type from audit.entry where resource_id = $1 order by id';
      const rows = await asSuperuser<{ type: string }>(server, text, [resourceId]);
      return rows.map((row) => row.type);
    },
    stopLog: () => setBeat(server, 'stopped'),
    startLog: () => setBeat(server, 'running'),
    uuidOf: (kind, id, context) => {
      const parsed = parseId(kind, id, context, IDS);
      if (!parsed.ok) throw new Error(`${id} is ${parsed.reason}`);
      return parsed.uuid;
    },
  };
}

function recorder(sealer: Sealer, clock: Clock): RecordAudit {
  const field = 'audit.disclosure.sealed';
  return createRecorder({
    clock,
    sealer: { seal: ({ context, rowId, value }) => sealer.seal({ context, field, rowId, value }) },
  });
}

/** Everything but the wire: what a composition root would hand to the rooms. Both tenants are in shared tables, unless `doors` say otherwise. */
export async function openTestRoom(options: { sampleCatalogue: () => unknown; doors?: OpenDoors }): Promise<TestRoom> {
  const server = await startTestDatabase();
  await setBeat(server, 'running');
  const clock = manualClock(Date.now());
  const refusals: Refusal[] = [];
  const [harbour, lakeside] = [tenantOf(11), tenantOf(22)];
  for (const tenant of [harbour, lakeside]) await writeDown(server, tenant);
  const database = await (options.doors ?? openShared)({
    server,
    clock,
    onRefusal: async (refusal) => void refusals.push(refusal),
    harbour: harbour.context,
    lakeside: lakeside.context,
  });
  const vault = await vaultInProcess(clock);
  const { keysClient } = vault;
  const door = withGuardErrors(database.tenant);
  const fields = await discoverSealedFields(APP);
  const random = systemRandom;
  const sealer = createSealer({ service: 'workspace', tenantDoor: database.tenant, keysClient, fields, clock, random });
  for (const tenant of [harbour, lakeside]) await provision(database, sealer, tenant);
  const directory = await mkdtemp(join(tmpdir(), 'ax-objects-'));
  const recordAudit = recorder(sealer, clock);
  return {
    ...inspection(server),
    server,
    database,
    clock,
    refusals,
    harbour,
    lakeside,
    addTenant: async (tenantPart) => {
      const tenant = tenantOf(tenantPart);
      await writeDown(server, tenant);
      await provision(database, sealer, tenant);
      return tenant;
    },
    deps: {
      door,
      sealer,
      policy: loadRoutePolicy(['engagements', 'evidence'].map((room) => join(APP, 'domains', room, 'policy.cedar'))),
      rules: createTenantRules({ sealer }),
      clock,
      random,
      recordAudit,
      attempts: attemptRecorder(door, { record: recordAudit }),
      refuseCardNumber,
      sampleCatalogue: options.sampleCatalogue,
      formatId: (kind, context, uuid) => formatId(kind, context, uuid, IDS),
      store: await openObjectStore({ directory, random, keys: sealer, freeBytesFloor: 0 }),
    },
    close: async () => {
      await database.close();
      await vault.close();
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
