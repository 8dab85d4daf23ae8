// The workspace: every tenant room and the operator's rooms. Holds nothing lasting but sealed evidence files.
import { randomUUID } from 'node:crypto';
import type { Uuid } from '@auditrax/base';
import { formatId } from '@auditrax/tenancy/ids';
import { sampleCatalogue } from '../claims/oscal-catalogue.ts';
import { createStepUpVerifier } from '../domains/access/index.ts';
import { auditTrailProblems, auditTrailRoutes } from '../domains/audit-trail/index.ts';
import { type DrillDeps, drillRoutes, drillsProblems, openBareDoor, openPlacedDoors } from '../domains/drills/index.ts';
import {
  createListSampler,
  engagementProblems,
  engagementRoutes,
  engagementsLeft,
} from '../domains/engagements/index.ts';
import { evidenceProblems, evidenceRoutes, evidenceService, refuseCardNumber } from '../domains/evidence/index.ts';
import {
  createKeysClient,
  createKeySourcesClient,
  holderRoutes,
  isKeyStoreFault,
  keyConsoleRoutes,
  keySourceRoutes,
  problems as keysProblems,
  rotationRoutes,
  suiteRoutes,
  watchWithdrawals,
} from '../domains/keys/index.ts';
import { oncallProblems, oncallRooms } from '../domains/oncall/index.ts';
import { createTenantRules, rulesProblems, rulesRoutes } from '../domains/rules/index.ts';
import { siemProblems, siemRooms, siemTryContract } from '../domains/siem/index.ts';
import { problems as auditProblems } from '../platform/audit/errors.ts';
import { moveLateApprovals, remoteLedger } from '../platform/audit/index.ts';
import { attemptsRoutes } from '../platform/http/attempts-routes.ts';
import { openRegionalStore, problems as objectProblems } from '../platform/objects/index.ts';
import { doorSettings } from './doors.ts';
import { fetchIdKeys, openFloor, postTo } from './floor.ts';
import { openRecordedDatabase, recordAttemptWith, type RecordedDatabase } from './refusals.ts';
import { startHousekeeping } from './housekeeping.ts';
import { readHousePolicy } from './rooms.ts';
import { openSealing, readSealedRegistry } from './sealing.ts';
import { serve } from './serve.ts';
import { watchDatabase } from './watched-database.ts';

const POOL_SIZE = 32;

/** Global tables that the operator's rooms read here. */
const SYSTEM_TABLES = ['platform.tenant', 'oncall.page', 'oncall.page_entry', 'oncall.delivery', 'oncall.attempt'];

// Read before privileges are dropped: the checkout may lie where only root can read.
const policy = readHousePolicy();
const registry = await readSealedRegistry();
const floor = await openFloor('workspace');

/** Attacks below HTTP run where the code runs: on canary tenants, for the sentinel alone. */
function openDrills(
  parts: Pick<DrillDeps, 'tenant' | 'system' | 'sealer' | 'objectStores'> &
    Pick<RecordedDatabase, 'attempts' | 'places'>,
) {
  const { clock, random, client, member } = floor;
  const { attempts, places, ...rest } = parts;
  const bare = openBareDoor({ places, attempts, clock });
  const placed = openPlacedDoors({ places, role: member.boot.database!.user, attempts, clock });
  const clients = { keysClient: createKeysClient(client), sourcesClient: createKeySourcesClient(client) };
  const routes = drillRoutes({ ...rest, ...clients, bare, places: placed, ...registry, clock, random });
  return { routes, close: () => bare.close() };
}

/** A tenant's keys: what there is, where the key of them is, how they are replaced, which algorithms they serve; and the watch. */
function keyRooms(
  parts: Pick<DrillDeps, 'tenant' | 'system'> &
    Pick<ReturnType<typeof openSealing>, 'sealer' | 'rotation' | 'recordAudit'>,
) {
  const { clock, client } = floor;
  const { tenant: tenantDoor, system, sealer, rotation, recordAudit } = parts;
  const clients = { keysClient: createKeysClient(client), sourcesClient: createKeySourcesClient(client) };
  const withdrawals = watchWithdrawals({
    service: 'workspace',
    client: clients.sourcesClient,
    tenantDoor,
    system,
    recordAudit,
    onFailure: (error) => floor.log.warn('withdrawals-unwatched', { error }),
  });
  const rooms = [
    keyConsoleRoutes({ tenantDoor, clock }),
    keySourceRoutes({ service: 'workspace', tenantDoor, system, ...clients, recordAudit, clock }),
    rotationRoutes(rotation),
    suiteRoutes({ tenantDoor, client, sealer, recordAudit }),
  ];
  return { rooms, stop: () => withdrawals.stop() };
}

/** Where the log is streamed to; the sentinel dials, also when somebody tries a destination. */
function streamRooms(deps: Omit<Parameters<typeof siemRooms>[0], 'attempt'>) {
  return siemRooms({
    ...deps,
    attempt: async (body) => (await floor.client.call(siemTryContract.attempt, { requestId: randomUUID(), body })).body,
  });
}

const PROBLEMS = [
  engagementProblems,
  evidenceProblems,
  rulesProblems,
  auditTrailProblems,
  siemProblems,
  keysProblems,
  oncallProblems,
  objectProblems,
  auditProblems,
  drillsProblems,
];

async function start(): Promise<void> {
  const { member, clock, random } = floor;
  const tagKeys = await fetchIdKeys(floor);
  const recorded = openRecordedDatabase(floor, 'workspace', { poolSize: POOL_SIZE, systemTables: SYSTEM_TABLES });
  const watched = watchDatabase(floor, recorded);
  const { tenant, system } = watched;
  const { sealer, rotation, recordAudit } = openSealing(floor, 'workspace', { tenant, ...registry });
  const { attempts, places } = recorded;
  const objectStores = new Map(Object.entries(member.boot.options['objectStores'] as Record<string, string>));
  const regionOf = async (tenantId: Uuid): Promise<string> => (await places.placeOf(tenantId)).region;
  const store = await openRegionalStore({ stores: objectStores, regionOf, random, keys: sealer });
  const ledger = remoteLedger(postTo(floor, 'ledger'));
  const deps = {
    door: tenant,
    sealer,
    policy,
    rules: createTenantRules({ sealer }),
    clock,
    random,
    recordAudit,
    attempts,
    refuseCardNumber,
    sampleCatalogue,
    formatId: (kind: string, context: { tenantPart: number }, id: Uuid) => formatId(kind, context, id, tagKeys),
  };
  const drills = openDrills({ tenant, system, sealer, attempts, places, objectStores });
  const evidence = evidenceService({ ...deps, store });
  const late = { door: tenant, ring: sealer, isSealFault: isKeyStoreFault };
  const housekeeping = startHousekeeping(floor, system, {
    chores: [evidence.expireUploads, rotation.tend, (context) => moveLateApprovals(late, context)],
  });
  const keys = keyRooms({ tenant, system, sealer, rotation, recordAudit });
  const onAttempt = recordAttemptWith(attempts);
  await serve(floor, 'workspace', {
    rooms: [
      engagementRoutes(deps),
      rulesRoutes({ ...deps, look: createListSampler(deps).look }),
      evidenceRoutes(evidence),
      auditTrailRoutes({ ...deps, ledger, engagementsLeft: engagementsLeft(deps, createListSampler(deps)) }),
      ...streamRooms({ ...deps, system, ledger }),
      ...keys.rooms,
      ...oncallRooms({ tenant, system, clock, record: recordAudit, idKeys: () => tagKeys }),
      holderRoutes({ sealer }),
      attemptsRoutes(onAttempt),
      drills.routes,
    ],
    problems: PROBLEMS,
    tagKeys,
    policy,
    stepUp: createStepUpVerifier({ doors: doorSettings(member.boot.options), clock }),
    onAttempt,
    readiness: watched.readiness,
    release: async () => {
      housekeeping.stop();
      rotation.stop();
      keys.stop();
      await drills.close();
      await watched.close();
    },
  });
}

await start().catch((error: unknown) => floor.member.fatal(error));
