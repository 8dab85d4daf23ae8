// The sentinel: attacks the house, runs the probes, detects, pages, and publishes the page. Holds the page-signing key
// and a read-only role; every tenant it can act in is a canary.
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, type Json, type ServiceName, type Uuid } from '@auditrax/base';
import { openDatabase, sql, type Database } from '@auditrax/tenancy';
import { formatId, type IdKeys } from '@auditrax/tenancy/ids';
import { CLAIM_TABLES } from '../claims/queries.ts';
import type { Probe, ProbeHouse } from '../claims/probe.ts';
import { allClaims } from '../claims/register.ts';
import { parsePolicy } from '../domains/disclosure/index.ts';
import { issuerRoutes as drillIssuer, routes as drillContract } from '../domains/drills/index.ts';
import { vaultSourceContract } from '../domains/keys/index.ts';
import { attemptsBook, createPager } from '../domains/oncall/index.ts';
import { createAddressGuard, createStreamer, siemMaterialContract, siemTryRoutes } from '../domains/siem/index.ts';
import { parseOrganisation } from '../domains/trust/index.ts';
import { parseRegistry } from '../domains/vendors/index.ts';
import {
  createPlacements,
  HOME_CELL,
  observationRecorder,
  remoteLedger,
  remoteOutsideLedger,
  type OutsideLedgerClient,
} from '../platform/audit/index.ts';
import type { DatabaseAccess } from '../platform/supervisor/messages.ts';
import { COUNT_WINDOW_MS, countsOver, createAttemptCounts } from '../probes/attempt-counts.ts';
import { createErrands, witnessNote } from '../probes/errands.ts';
import { createHeartbeats } from '../probes/heartbeats.ts';
import { createAttemptLoop, type AttemptLoop } from '../probes/attempt-loop.ts';
import { edgeAttempts, layerAttempts, type Attempt, type CorpusDeps } from '../probes/attempts.ts';
import { playAttacks } from '../probes/attack-report.ts';
import { findCanaries, plantCanary } from '../probes/canaries.ts';
import { openDepartures } from '../probes/departures.ts';
import { createEdgeClient } from '../probes/edge-client.ts';
import { canarySessions, createProbeHouse, type Canaries, type HouseParts } from '../probes/house.ts';
import { createLeaverLoop } from '../probes/leaver-loop.ts';
import { createLeaverPeople } from '../probes/leaver-people.ts';
import { answerFollowed, createLogFollower, type LogFollower } from '../probes/log-follower.ts';
import { createLogReader, type LogReader } from '../probes/log-key.ts';
import { bareReport, proveReport, type ProveReport } from '../probes/prove-report.ts';
import { createPublisher, type Publisher } from '../probes/publisher.ts';
import { DRILLED, LONG_DRILLS, PLACED, PROBES, REHEARSALS } from '../probes/registry.ts';
import { rehearsals } from '../probes/rehearse.ts';
import { createRunner, observationsOf, type Runner } from '../probes/runner.ts';
import { createServiceDoor } from '../probes/service-door.ts';
import { createWatch, type Watch } from '../probes/watch.ts';
import { createWhereabouts } from '../probes/whereabouts.ts';
import { openCellDatabases, type CellDatabases } from './cell-databases.ts';
import { cellAddresses } from './cells.ts';
import { readDoors } from './doors.ts';
import { databaseConnection, fetchIdKeys, openFloor, postTo, TOKEN_ISSUER, TRUST_DOMAIN, type Floor } from './floor.ts';
import { meshNames, meshNotes, readPeerSetting } from './peer-setting.ts';
import { EDGE_ROUTES, INNER_ROUTES } from './rooms.ts';
import { ROOT } from './root.ts';
import { serve } from './serve.ts';

/** In home; the role may hold sixteen connections in a cluster, those of its cells included. */
const POOL_SIZE = 7;
/** One to follow the log, one for whoever asks beside it. */
const CELL_POOL_SIZE = 2;
const TABLES = [
  ...CLAIM_TABLES,
  'oncall.page',
  'oncall.page_entry',
  'oncall.delivery',
  'oncall.cursor',
  'oncall.attempt',
  'audit.entry',
  'audit.log_index',
  'audit.mint',
  'audit.beat',
  'audit.log',
  'audit.checkpoint',
  'audit.stream_cursor',
  'platform.hold',
  'platform.placement',
  'platform.tenant',
];
/** Every process that listens counts what it refuses without writing it down. */
const COUNTING: readonly ServiceName[] = ['gateway', 'issuer', 'workspace', 'keys', 'ledger', 'signer', 'sentinel'];
const MINUTE_MS = 60_000;
const RECONCILE_MS = 10_000;
const SCHEDULE_MS = 1_000;
/** Somebody leaves a canary this often. */
const LEAVER_MS = 3_600_000;
/** The one of whom nobody speaks is looked at this often. */
const SILENT_LOOK_MS = 30_000;
/** Between two tries to begin, while others are still starting. */
const BEGIN_AGAIN_MS = 2_000;

function readSample(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

// Read before privileges are dropped: the checkout may lie where only root can read.
const organisation = parseOrganisation(readSample('app/domains/trust/organisation.sample.json'));
const registry = parseRegistry(readSample('app/domains/vendors/registry.sample.json'));
const policy = parsePolicy(readSample('app/domains/disclosure/policy.sample.json'));
// Loaded now, though used later, for the same reason.
const { startRehearsal, startRehearsedTransmitter } = await import('../rehearsal/index.ts');
const floor = await openFloor('sentinel');

interface Options {
  readonly canaryWebhook: string;
  readonly pageWebhook: string | null;
  readonly separation: 'users' | 'passwords';
  /** Networks that are not public and may be streamed to. */
  readonly streamNetworks: readonly string[];
  readonly attempt_ms: number;
  readonly publish_ms: number;
  readonly leaver_ms: number;
  /** Between two looks at which probe is due. */
  readonly schedule_ms: number;
}

function readOptions({ member }: Floor): Options {
  const given = member.boot.options as unknown as Partial<Options>;
  return {
    canaryWebhook: given.canaryWebhook!,
    pageWebhook: given.pageWebhook ?? null,
    separation: given.separation!,
    streamNetworks: given.streamNetworks ?? [],
    attempt_ms: given.attempt_ms ?? MINUTE_MS,
    publish_ms: given.publish_ms ?? MINUTE_MS,
    leaver_ms: given.leaver_ms ?? LEAVER_MS,
    schedule_ms: given.schedule_ms ?? SCHEDULE_MS,
  };
}

/** A signing key of its own folder, made on a first start only: its public half is pinned elsewhere. */
function ownKey({ member }: Floor, name: string): KeyObject {
  const path = join(member.boot.stateDirectory, `${name}.pem`);
  if (existsSync(path)) return createPrivateKey(readFileSync(path));
  if (member.boot.options['isNew'] !== true) {
    throw new AppError('sentinel_key_missing', `the key ${path} is gone: restore it from a backup`);
  }
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx', flush: true });
  return privateKey;
}

function rawPublic(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'jwk' }).x!;
}

/** What is smaller here than in production; stands on the page. */
function notesOf(options: Options, tryoutPort: number | null): string[] {
  return [
    ...(tryoutPort === null
      ? []
      : [
          'A listener for trying out speaks plain HTTP on this machine’s loopback address; a production house has none.',
        ]),
    ...meshNotes(readPeerSetting(floor.member.boot.options)),
    ...(options.separation === 'users'
      ? []
      : ['The processes share one user of this machine, so their separation from each other is asserted here.']),
  ];
}

/** Everything that watches the log, whether or not there are canaries yet. */
interface Base {
  /** Home. */
  readonly database: Database;
  readonly cells: CellDatabases;
  readonly watch: Watch;
  readonly log: LogReader;
  /** What the ledger wants carried outside, and who co-signs it. */
  readonly outside: OutsideLedgerClient;
  readonly record: ReturnType<typeof observationRecorder>['record'];
  readonly options: Options;
  readonly pageKey: KeyObject;
  readonly webhookKey: KeyObject;
  readonly startedAt_ms: number;
  readonly troubled: (error: unknown) => void;
}

/** What `begin` has set going. */
interface Begun {
  readonly runner: Runner;
  readonly publisher: Publisher;
  readonly canaries: Canaries;
  readonly corpus: CorpusDeps;
  /** Canary sessions are opened anew from here on. */
  renewSessions(): void;
  /** Somebody leaves a canary now, in the words of one directory, and by a provider's signal where it is rehearsed. */
  leave(isRehearsed: boolean): Promise<void>;
  readonly attempts: readonly Attempt[];
  stop(): Promise<void>;
}

function openBase(): Base {
  const { member, clock, random } = floor;
  const troubled = (error: unknown): void => floor.log.warn('sentinel-trouble', { error });
  const open = (access: DatabaseAccess | undefined, poolSize: number): Database =>
    openDatabase({
      connection: databaseConnection(access),
      poolSize,
      clock,
      systemTables: TABLES,
      functions: ['audit.append_observation'],
      // It acts for no tenant: a refusal here is a bug or a break-in of this process.
      onRefusal: (event) =>
        Promise.reject(new AppError('sentinel_statement_refused', `${event.code} (${event.reason})`)),
    });
  const database = open(member.boot.database, POOL_SIZE);
  const door = database.system;
  const cells = openCellDatabases(floor, database, (access) => open(access, CELL_POOL_SIZE));
  const placements = createPlacements(door);
  return {
    database,
    cells,
    watch: createWatch({ cells: cells.all, clock }),
    log: createLogReader({
      doorOf: async (tenantId) => {
        const cell = await placements.cellOf(tenantId);
        const opened = cells.all().find((one) => one.cell === cell);
        if (opened === undefined) throw new AppError('cell_not_open', `the cell ${cell} is not open`);
        return opened.door;
      },
      ledger: remoteLedger(postTo(floor, 'ledger')),
      pinFile: join(member.boot.stateDirectory, 'log-key'),
    }),
    outside: remoteOutsideLedger(postTo(floor, 'ledger')),
    record: observationRecorder(door, { clock, random }).record,
    options: readOptions(floor),
    pageKey: ownKey(floor, 'page-key'),
    webhookKey: ownKey(floor, 'webhook-key'),
    startedAt_ms: clock.nowMs(),
    troubled,
  };
}

/** Detection and paging: they need no canary, and begin as soon as the process is up. */
function startDetection(base: Base): { readonly follower: LogFollower; stop(): Promise<void> } {
  const { clock, random, member } = floor;
  const { options, webhookKey: key, troubled } = base;
  const door = base.database.system;
  const pager = createPager({
    door,
    clock,
    random,
    canary: { url: options.canaryWebhook, key, clock },
    webhook: options.pageWebhook === null ? undefined : { url: options.pageWebhook, key, clock },
    onFailure: troubled,
  });
  const follower = createLogFollower({
    home: door,
    raise: pager.raise,
    note: attemptsBook(clock).note,
    file: (cell) =>
      join(member.boot.stateDirectory, cell === HOME_CELL ? 'reconciled' : `reconciled-${cell.replace('/', '-')}`),
    record: base.record,
    reconcile_ms: RECONCILE_MS,
    onFailure: troubled,
  });
  const counts = createAttemptCounts({
    services: COUNTING,
    read: countsOver(floor.pools),
    file: join(member.boot.stateDirectory, 'counted'),
    record: base.record,
    interval_ms: COUNT_WINDOW_MS,
    onFailure: troubled,
  });
  base.cells.each(follower.follow);
  const heartbeats = createHeartbeats({ cells: base.cells.all, clock, record: base.record, onFailure: troubled });
  const errands = createErrands({ ledger: base.outside, record: base.record, onFailure: troubled });
  for (const part of [pager, counts, heartbeats, errands]) part.start();
  return {
    follower,
    stop: async () => {
      await Promise.all([pager.stop(), counts.stop(), heartbeats.stop(), errands.stop()]);
    },
  };
}

/** Streams the logs of tenants that want it to where they want it. */
function startStreams(base: Base) {
  const { clock, random, client } = floor;
  const guard = createAddressGuard({ allowed: base.options.streamNetworks });
  const placements = createPlacements(base.database.system);
  const streamer = createStreamer({
    cells: base.cells.all,
    cellOf: (tenantId) => placements.cellOf(tenantId),
    material: async (body) => {
      const reply = await client.call(siemMaterialContract.material, { requestId: randomUUID(), body });
      return reply.body.target;
    },
    guard,
    clock,
    random,
    record: base.record,
    onFailure: base.troubled,
  });
  streamer.start();
  return { routes: siemTryRoutes({ guard, clock, random }), stop: () => streamer.stop() };
}

/** What the processes have said about where they listen, as it is now. */
function declarationsOf(base: Base): HouseParts['declarations'] {
  const { member } = floor;
  const alarmPort = Number(new URL(base.options.canaryWebhook).port);
  const { port: edgePort, tryoutPort } = readDoors(member.boot.options);
  return () => ({
    services: member.peers().addresses,
    supervisorPid: process.ppid,
    edgePort,
    tryoutPort,
    alarmPort,
  });
}

/** The certificate authority of the edge, as the gateway announced it; null when a certificate was configured. */
async function openEdge() {
  const { member } = floor;
  const needed = ['issuer', 'workspace', 'keys', 'ledger', 'gateway'] as const;
  await member.whenPeers(
    ({ facts, addresses }) =>
      facts['edgeAuthority'] !== undefined && needed.every((service) => addresses[service] !== undefined),
  );
  // As people reach it: through the load balancer, where there is one.
  const { host, publicPort: port, tryoutPort } = readDoors(member.boot.options);
  return createEdgeClient({
    host,
    port,
    tryoutPort,
    authorityPem: () => (member.peers().facts['edgeAuthority'] ?? null) as string | null,
  });
}

/** Canaries planted, the doors to attack them by, and the corpus of attempts. */
async function openGround(base: Base) {
  const { clock, random, client, member } = floor;
  const idKeys: IdKeys = await fetchIdKeys(floor);
  const edge = await openEdge();
  const found = await findCanaries(base.database.system);
  const sessions = canarySessions(client, clock);
  const planting = { door: base.database.system, edge, idKeys, random, session: sessions };
  const [a, b] = await Promise.all([plantCanary(planting, found.a), plantCanary(planting, found.b)]);
  // A region that is away keeps its own canary from being planted, and its claims from being seen; no others.
  const [c, d] = await Promise.all(
    [found.c, found.d].map(async (one) => one && plantCanary(planting, one).catch((error) => base.troubled(error))),
  );
  const cookieOf = async (slug: string): Promise<string> => (await sessions(slug, 'lead', 1)).cookie;
  const cookie = (): Promise<string> => cookieOf(a.slug);
  const token: Parameters<typeof createServiceDoor>[0]['token'] = async ({ tenant, ...order }) => {
    const whose = await cookieOf(tenant === 'b' ? b.slug : a.slug);
    const body = { ...order, cookie: whose.split('=')[1]! };
    return (await client.call(drillIssuer.token, { requestId: randomUUID(), body })).body.token;
  };
  const service = createServiceDoor({
    clock,
    identity: floor.identity,
    portOf: (name: ServiceName) => member.peers().addresses[name]?.port,
    token,
    faultyCertificate: async (csrPem, fault) =>
      (await client.call(drillIssuer.certificate, { requestId: randomUUID(), body: { csrPem, fault } })).body,
    issuer: TOKEN_ISSUER,
    trustDomain: TRUST_DOMAIN,
    tokenKeyId: () => (member.peers().facts['tokenKeys'] as unknown as { kid: string }[])[0]!.kid,
    folder: member.boot.stateDirectory,
    meshNames: meshNames(readPeerSetting(member.boot.options)),
  });
  const knock: CorpusDeps['knock'] = async (id) => {
    const requestId = randomUUID();
    const presented = await token({ destination: 'workspace', presenter: 'sentinel', age_seconds: 0, class: 'read' });
    const status = await client
      .call(drillContract.knock, { requestId, token: presented, params: { engagementId: id } })
      .then(
        (reply) => reply.status,
        (error: unknown) => (error instanceof AppError && error.code === 'not_found' ? 404 : 500),
      );
    return { requestId, status };
  };
  const canaries: Canaries = { a, b, ...(c ? { c } : {}), ...(d ? { d } : {}) };
  const idOf: CorpusDeps['idOf'] = (kind, name, uuid) => formatId(kind, canaries[name].context, uuid, idKeys);
  return { idKeys, edge, sessions, service, knock, canaries, idOf, cookie };
}

/** Stand-ins for the key stores of others, in this process: it plays their owner, as it plays every attacker. */
function openRehearsals(): ReturnType<typeof rehearsals> {
  const { member, clock, random, client } = floor;
  const tell = async (standIns: { readonly origins: readonly string[]; readonly ca: string }): Promise<void> => {
    const body = { origins: [...standIns.origins], ca: standIns.ca };
    await client.call(vaultSourceContract.standIns, { requestId: randomUUID(), body });
  };
  return rehearsals({ folder: member.boot.stateDirectory, clock, random, start: startRehearsal, tell });
}

/**
 * A house in earnest rehearses nothing; nor does one whose machine has no SoftHSM. With one region nothing can be astray
 * in another.
 */
function probesHere({ c, d }: Canaries, rehearse = true): readonly Probe[] {
  const regions = (floor.member.boot.options['regions'] ?? []) as readonly string[];
  const ofDatabase = PLACED.d.filter(({ id }) => id !== 'tenancy.region' || regions.length > 1);
  const rehearsed = rehearse && floor.member.boot.options['rehearse'] === true ? REHEARSALS : [];
  return [
    ...PROBES,
    ...(c === undefined ? [] : PLACED.c),
    ...(d === undefined ? [] : ofDatabase),
    ...DRILLED.filter((probe) => rehearse || !LONG_DRILLS.includes(probe)),
    ...rehearsed,
  ];
}

function startLoop(base: Base, attempts: readonly Attempt[]): AttemptLoop {
  const { watch, record, troubled, options } = base;
  return createAttemptLoop({
    clock: floor.clock,
    watch,
    corpus: () => attempts,
    record,
    interval_ms: options.attempt_ms,
    onFailure: troubled,
  });
}

/** Somebody leaves the first canary again and again. */
function makeLeaving(base: Base, edge: Awaited<ReturnType<typeof openEdge>>, canaries: Canaries) {
  const { clock, client, member } = floor;
  const { record, troubled, options } = base;
  const departures = openDepartures({ clock, record, file: join(member.boot.stateDirectory, 'departures') });
  const ports = new Set<number>();
  const transmitter = async () => {
    const played = await startRehearsedTransmitter({ clock });
    ports.add(played.port);
    const close = () => played.close().finally(() => ports.delete(played.port));
    return { ...played, close };
  };
  const loop = createLeaverLoop({
    people: createLeaverPeople({ client, edge, tenant: canaries.a.slug, neighbour: canaries.b.slug, transmitter }),
    departures,
    clock,
    monotonic_ms: () => performance.now(),
    sleep,
    interval_ms: options.leaver_ms,
    look_ms: SILENT_LOOK_MS,
    onFailure: troubled,
  });
  const playedPorts = () => [...ports];
  return { departures: departures.recent, playedPorts, next: loop.next, start: loop.start, stop: loop.stop };
}

function makePublisher(
  base: Base,
  origin: string,
  { house, probes }: { readonly house: ProbeHouse; readonly probes: readonly Probe[] },
): Publisher {
  const { clock, random, client, member } = floor;
  const { record, troubled, pageKey, log, options } = base;
  const door = base.database.system;
  const operatorId = async (): Promise<Uuid> => {
    const [row] = await door.system(sql<{ id: Uuid }>`select t.id from platform.tenant t where t.kind = 'operator'`);
    if (row === undefined) throw new AppError('operator_missing', 'the house has no operator tenant yet');
    return row.id;
  };
  return createPublisher({
    clock,
    random,
    door,
    client,
    log,
    operatorId,
    record,
    pageKey,
    organisation,
    registry,
    policy,
    origin,
    house,
    probes,
    notes: async () => [
      ...notesOf(options, readDoors(member.boot.options).tryoutPort),
      await base.outside.status().then(witnessNote, () => 'Who co-signs the audit log could not be asked just now.'),
    ],
    // Those that have co-signed lately; unknown is none.
    witnessesIndependent: () =>
      base.outside.status().then(
        ({ cosigning }) => cosigning,
        () => 0,
      ),
    dueSince_ms: base.startedAt_ms,
    interval_ms: options.publish_ms,
    onFailure: troubled,
  });
}

function makeRunner(
  { database, record, troubled, options }: Base,
  house: ProbeHouse,
  probes: readonly Probe[],
): Runner {
  return createRunner({
    probes,
    house,
    door: database.system,
    clock: floor.clock,
    random: floor.random,
    record,
    interval_ms: options.schedule_ms,
    onFailure: troubled,
  });
}

/** Plants the canaries, publishes a first revision and sets probes, attempts and publisher going. */
async function begin(base: Base): Promise<Begun> {
  const { clock, random, client, member } = floor;
  const { watch, troubled, options } = base;
  const door = base.database.system;
  const ground = await openGround(base);
  const { edge, canaries, sessions, service, idKeys } = ground;
  const routes = EDGE_ROUTES.filter((route) => Object.keys(route.ids).length > 0);
  const drill: CorpusDeps['drill'] = (name, rowId, tenant) =>
    house.drill(name, { tenant, ...(rowId === undefined ? {} : { rowId }) });
  const corpus: CorpusDeps = { ...ground, routes, fetch: edge.fetch, drill, random };
  const [atEdge, below] = [edgeAttempts(corpus), layerAttempts(corpus)];
  const loop = startLoop(base, [...atEdge, ...below]);
  const fresh = startLoop(
    base,
    atEdge.filter((attempt) => attempt.name.endsWith('/foreign')),
  );
  const leaving = makeLeaving(base, edge, canaries);
  const house = createProbeHouse(
    {
      clock,
      random,
      edge,
      client,
      idKeys,
      routes: EDGE_ROUTES,
      service,
      watch,
      log: base.log,
      separation: options.separation,
      peerIdentity: readPeerSetting(member.boot.options).kind,
      inventory: () => member.inventory(),
      declarations: declarationsOf(base),
      innerRoutes: INNER_ROUTES,
      observations: (probeId) => observationsOf(door, probeId),
      attempt: fresh.next,
      recentAttempts: loop.recent,
      departures: leaving.departures,
      playedPorts: leaving.playedPorts,
      pageKey: rawPublic(base.pageKey),
      rehearse: openRehearsals(),
      whereabouts: createWhereabouts({
        cells: base.cells.all,
        regions: () => new Map(cellAddresses(floor.member.peers()).map(({ cell, region }) => [cell, region])),
      }),
    },
    canaries,
    sessions,
  );
  const probes = probesHere(canaries);
  const runner = makeRunner(base, house, probes);
  const publisher = makePublisher(base, edge.origin, { house, probes });
  await publisher.publish().catch(troubled);
  for (const part of [loop, leaving, runner, publisher]) part.start();
  return {
    runner,
    publisher,
    canaries,
    corpus,
    renewSessions: sessions.renew,
    leave: (isRehearsed) => leaving.next(['scim-entra', 'scim-unread', ...(isRehearsed ? (['signal'] as const) : [])]),
    attempts: [...atEdge, ...below],
    stop: async () => {
      await Promise.all([loop.stop(), leaving.stop(), runner.stop(), publisher.stop()]);
      await edge.close();
    },
  };
}

/** Runs the probes of the named claims (of all, when none is named) and publishes what they saw. */
async function prove(
  base: Base,
  begun: Begun,
  order: { readonly claims: readonly string[]; readonly rehearse: boolean },
): Promise<ProveReport> {
  const { claims: claimIds } = order;
  const probes = probesHere(begun.canaries, order.rehearse);
  const wanted = probes.filter((probe) => claimIds.length === 0 || probe.claims.some((id) => claimIds.includes(id)));
  begun.renewSessions();
  if (DRILLED.some((probe) => wanted.includes(probe))) await begun.leave(order.rehearse);
  await begun.runner.run(wanted);
  const newest = new Map(
    (
      await Promise.all(
        probesHere(begun.canaries).map(async ({ id }) => [id, (await begun.runner.observations(id))[0]] as const),
      )
    ).flatMap(([id, run]) => (run === undefined ? [] : [[id, run] as const])),
  );
  const model = await begun.publisher.publish().catch((error: unknown) => {
    base.troubled(error);
    return undefined;
  });
  return model === undefined ? bareReport(allClaims, newest) : proveReport(model, newest);
}

async function keepTrying(work: () => Promise<unknown>, troubled: (error: unknown) => void): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      troubled(error);
      await new Promise((resolve) => setTimeout(resolve, BEGIN_AGAIN_MS));
    }
  }
}

async function start(): Promise<void> {
  const { member, clock } = floor;
  const base = openBase();
  member.announce({
    pageKey: rawPublic(base.pageKey),
    pageWebhookKey: `whpk_${Buffer.from(rawPublic(base.webhookKey), 'base64url').toString('base64')}`,
  });
  const detection = startDetection(base);
  const streams = startStreams(base);
  member.onAsk('followed', (input) => answerFollowed(detection.follower, input));
  const marker = join(member.boot.stateDirectory, 'begun');
  let beginning: Promise<Begun> | undefined;
  const ensureBegun = (): Promise<Begun> => {
    beginning ??= begin(base).then(
      (begun) => {
        writeFileSync(marker, '', { mode: 0o600 });
        return begun;
      },
      (error: unknown) => {
        beginning = undefined; // the next question tries again
        throw error;
      },
    );
    return beginning;
  };
  member.onAsk('begin', async () => (await ensureBegun(), null));
  member.onAsk('prove', async (input) => {
    const { claims, rehearse = true } = input as unknown as { claims: readonly string[]; rehearse?: boolean };
    return (await prove(base, await ensureBegun(), { claims, rehearse })) as unknown as Json;
  });
  member.onAsk('trust-log-key', () => {
    base.log.trustAnew();
    return Promise.resolve(null);
  });
  member.onAsk('attack', async (input) => {
    const { names } = input as unknown as { names: readonly string[] };
    const { corpus, attempts } = await ensureBegun();
    return (await playAttacks({ corpus, attempts, watch: base.watch, clock }, names)) as unknown as Json;
  });
  await serve(floor, 'sentinel', {
    rooms: [streams.routes],
    problems: [],
    beforeClose: async () => {
      await (await beginning?.catch(() => undefined))?.stop();
    },
    // The followers first, which write into home; home is closed with the other cells.
    release: async () => {
      await Promise.all([detection.stop(), streams.stop()]);
      await base.cells.close();
    },
  });
  // After a crash nobody asks again: what had begun goes on by itself, as soon as the others are there.
  if (existsSync(marker)) void keepTrying(ensureBegun, base.troubled);
}

await start().catch((error: unknown) => floor.member.fatal(error));
