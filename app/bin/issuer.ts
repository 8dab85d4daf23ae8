// The issuer: people, sessions, passkeys' public keys, the token key, the workload authority, the key ring of ids.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Clock, Json, Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { formatId, type IdKeys } from '@auditrax/tenancy/ids';
import {
  createTokenMinter,
  LEAF_LIFE_SECONDS,
  openAuthority,
  type CertificateAuthority,
  type TokenMinter,
} from '@auditrax/workload';
import { apiAccessProblems, apiAccessRoutes, apiKeysHeld, keyMint } from '../domains/api-access/index.ts';
import { drillsProblems, drillTokenRoutes } from '../domains/drills/index.ts';
import {
  accessRoutes,
  accessSubjects,
  recoverySubjects,
  createStepUpVerifier,
  problems as accessProblems,
} from '../domains/access/index.ts';
import {
  accessReviewCanary,
  accessReviewProblems,
  accessReviewRoutes,
  accessReviewSubjects,
  sessionOperations,
  tendAccessReviews,
} from '../domains/access-reviews/index.ts';
import {
  canaryIdentityRoutes,
  createEvictions,
  evictionFeedRoutes,
  identityRoutes,
  problems as identityProblems,
  sweepEmployment,
  sweepEverywhere,
  sweepIdentity,
  systemTables,
  tokenMintRoutes,
  type RevocationHolder,
} from '../domains/identity/index.ts';
import {
  connectionName,
  connectionsProblems,
  connectionsRoutes,
  connectionChangeRoutes,
  connectionSubjects,
  tendConnections,
} from '../domains/connections/index.ts';
import {
  apiTokenMintRoutes,
  authorisationServerProblems,
  authorisationServerRoutes,
  canaryProgram,
  programSubjects,
  programGrants,
  sweepApiArtifacts,
} from '../domains/authorisation-server/index.ts';
import {
  canaryDirectory,
  directoryWord,
  provisioningConsole,
  provisioningProblems,
  provisioningRoutes,
  provisioningSubjects,
} from '../domains/provisioning/index.ts';
import {
  createStandIns,
  pendingSteps,
  ssoCanaryRoutes,
  ssoProblems,
  ssoRoutes,
  ssoSubjects,
  sweepSso,
} from '../domains/sso/index.ts';
import {
  privilegedAccessProblems,
  privilegedAccessRoutes,
  privilegedAccessSubjects,
  productionGrants,
  productionGrantsHeld,
  tendBrokenGlass,
} from '../domains/privileged-access/index.ts';
import {
  createAccessSignals,
  createSender,
  signalStreamRoutes,
  signalSubjects,
  transmitterProblems,
  transmitterRoutes,
} from '../domains/signal-transmitter/index.ts';
import {
  createKeysOfStreams,
  canarySignals,
  signalConsole,
  signalReceiverProblems,
  signalReceiverRoutes,
  receiverSubjects,
  tendSignals,
} from '../domains/signal-receiver/index.ts';
import { problems as keysProblems } from '../domains/keys/index.ts';
import {
  deletionSubjects,
  moveSubjects,
  problems as tenantsProblems,
  recordIdKeyChange,
  seedFoundation,
  seedSample,
  tenantsRoutes,
} from '../domains/tenants/index.ts';
import { recordMint, sweepMints } from '../platform/audit/index.ts';
import { problems as auditProblems } from '../platform/audit/errors.ts';
import { createAttemptCounter } from '../platform/http/attempt-counter.ts';
import { bindRoutes } from '../platform/http/handler.ts';
import { createAddressGuard } from '../platform/outward/address-guard.ts';
import { createGuardedFetch, type GuardedFetch } from '../platform/outward/guarded-fetch.ts';
import { idKeysContract } from '../platform/http/id-keys-contract.ts';
import { openDeletions } from './deletions.ts';
import { openErasures } from './erasures.ts';
import { doorSettings } from './doors.ts';
import { openFloor, publicJwk, TOKEN_ISSUER, TRUST_DOMAIN } from './floor.ts';
import { openPlacer, openPlaces } from './places.ts';
import { openIdKeys, type IdKeyHouse } from './id-keys.ts';
import { openRecordedDatabase, recordAttemptWith } from './refusals.ts';
import { startHousekeeping, type Chore } from './housekeeping.ts';
import { EDGE_ROUTES, readHousePolicy, secretsOfEdge } from './rooms.ts';
import { backupRetention, openSealing, readSealedRegistry } from './sealing.ts';
import { serve } from './serve.ts';
import { watchCells } from './watched-cells.ts';
import { watchDatabase } from './watched-database.ts';

const POOL_SIZE = 16;
/** Expired challenges, links and sessions are swept this often. */
const SWEEP_MS = 60_000;
/** Connections that are due are looked at this often; each is due once a day. */
const TEND_MS = 300_000;
/** Events for receivers go out at once; what waits for its next try is looked for this often. */
const SEND_MS = 1_000;
/** Streams of signals that are due are looked at this often: a polled one every half minute, sooner while more waits. */
const RECEIVE_MS = 5_000;
/** A rotation is ordered in the workspace; the names of people are here, and follow within a few minutes. */
const RESEAL_ROUND_MS = 300_000;
/** This process's key and those of its two predecessors, whose private halves died with them. */
const TOKEN_KEYS_MAX = 3;

// Read before privileges are dropped: the checkout may lie where only root can read.
const policy = readHousePolicy();
const registry = await readSealedRegistry();
const counter = createAttemptCounter();

let authority: CertificateAuthority | undefined;
/** The one authority, as it signs when `clock` says so. */
function authorityIn(stateDirectory: string, clock: Clock, leafLife_seconds = LEAF_LIFE_SECONDS) {
  const folder = join(stateDirectory, 'authority');
  return openAuthority({ folder, trustDomain: TRUST_DOMAIN, clock, leafLife_seconds });
}
const floor = await openFloor('issuer', (member) => async (csrPem) => {
  authority ??= await authorityIn(member.boot.stateDirectory, { nowMs: Date.now });
  return authority.sign({ csrPem, service: 'issuer' });
});

/** Removes what has expired, and looks at providers' metadata and certificates as they fall due. */
function startSweeping(
  deps: Parameters<typeof sweepIdentity>[0] &
    Parameters<typeof sweepEmployment>[0] &
    Parameters<typeof tendConnections>[0],
  tendStreams: () => Promise<unknown>,
): () => void {
  const sweep = () =>
    Promise.all([
      sweepIdentity(deps),
      sweepSso(deps),
      sweepApiArtifacts(deps),
      sweepEverywhere(deps.system, sweepMints(floor.clock.nowMs())),
    ]);
  const tend = () => tendConnections(deps, randomUUID());
  const every = (ms: number, work: () => Promise<unknown>, failed: string) =>
    setInterval(() => void work().catch((error: unknown) => floor.log.warn(failed, { error })), ms);
  const timers = [
    every(SWEEP_MS, sweep, 'sweep-failed'),
    every(SWEEP_MS, () => sweepEmployment(deps, randomUUID()), 'lapsed-not-ended'),
    every(TEND_MS, tend, 'tending-failed'),
    every(RECEIVE_MS, tendStreams, 'streams-not-tended'),
  ];
  return () => timers.forEach((timer) => clearInterval(timer));
}

/** The rules of the house, and by what access reviews work out what people can do. */
const JUDGING = {
  policy,
  policyHash: policy.hash,
  judge: { policy, operations: sessionOperations(EDGE_ROUTES) },
} as const;

const PROBLEMS = [
  identityProblems,
  accessProblems,
  connectionsProblems,
  ssoProblems,
  provisioningProblems,
  signalReceiverProblems,
  authorisationServerProblems,
  tenantsProblems,
  keysProblems,
  auditProblems,
  drillsProblems,
  apiAccessProblems,
  accessReviewProblems,
  privilegedAccessProblems,
  transmitterProblems,
];

type AccessParts = Omit<Parameters<typeof accessRoutes>[0], 'subjects' | 'erasures' | 'directories' | 'secretsOf'> &
  Parameters<typeof moveSubjects>[0] &
  Parameters<typeof accessReviewSubjects>[0] &
  Parameters<typeof connectionSubjects>[0];

const tagWith =
  (keys: IdKeys) =>
  (kind: string, context: { tenantPart: number }, id: Parameters<typeof formatId>[2]): string =>
    formatId(kind, context, id, keys);

/** Members, confirmations and reviews of access, with what the database is asked before each is shown and done. */
function accessRooms(deps: AccessParts, erasures: Parameters<typeof accessRoutes>[0]['erasures']) {
  const subjects = {
    ...accessSubjects(deps),
    ...recoverySubjects(deps),
    ...deletionSubjects(deps),
    ...moveSubjects(deps),
    ...connectionSubjects(deps),
    ...ssoSubjects(deps),
    ...provisioningSubjects(deps),
    ...programSubjects(deps),
    ...accessReviewSubjects(deps),
    ...privilegedAccessSubjects(deps),
    ...signalSubjects(deps),
    ...receiverSubjects(deps),
  };
  const directories = directoryWord(deps);
  const onFailure = (error: unknown) => floor.log.error('review-not-tended', { error });
  return [
    accessRoutes({
      ...deps,
      directories,
      subjects,
      secretsOf: secretsOfEdge,
      erasures,
      ...backupRetention(floor.member.boot.options),
    }),
    accessReviewRoutes({ ...deps, onFailure }),
    accessReviewCanary(deps),
  ];
}

/** What identity providers of tenants reach, and where their administrators set them up. */
function providerRooms(given: Parameters<typeof ssoRoutes>[0]) {
  const deps = { ...given, counter, standIns: createStandIns(floor.clock) };
  return [
    connectionsRoutes(deps),
    connectionChangeRoutes(deps),
    ...ssoRoutes(deps),
    ssoCanaryRoutes(deps),
    provisioningRoutes(deps),
    provisioningConsole(deps),
    canaryDirectory(deps),
    canaryProgram(deps),
  ];
}

/** Makes this process's key for tokens, tells everybody its public half, and mints with it. */
function openMinter(): (at: Clock) => TokenMinter {
  const tokenKey = generateKeyPairSync('ed25519');
  const kid = randomUUID();
  announceTokenKey(publicJwk(tokenKey.publicKey, kid));
  return (at) => createTokenMinter({ key: tokenKey.privateKey, kid, issuer: TOKEN_ISSUER, clock: at });
}

/**
 * What is held for a person outside the room identity, and ends with them. A room that hands out keys, tokens or grants
 * adds its holder here.
 */
function revocations(
  deps: Parameters<typeof pendingSteps>[0] & Parameters<typeof apiKeysHeld>[0] & Parameters<typeof programGrants>[0],
): readonly RevocationHolder[] {
  return [pendingSteps(deps), apiKeysHeld(deps), programGrants(deps), productionGrantsHeld(deps)];
}

/** Tells receivers of tenants what happens here: at once, when a try is due, and what a crash has left behind. */
function openSignals(given: Omit<Parameters<typeof createSender>[0], 'onFailure'>) {
  const warn = (failed: string) => (error: unknown) => floor.log.warn(failed, { error });
  const sender = createSender({ ...given, onFailure: warn('signals-not-sent') });
  const tend = () => void sender.tend(randomUUID()).catch(warn('signals-not-tended'));
  const timers = [
    setInterval(() => void sender.sendDue().catch(warn('signals-not-due')), SEND_MS),
    setInterval(tend, SWEEP_MS),
    setTimeout(tend, SEND_MS),
  ];
  const close = async (): Promise<void> => {
    for (const timer of timers) clearInterval(timer);
    await sender.close();
  };
  return { sender, signals: createAccessSignals({ ...given, sender }), close };
}

/**
 * Shared signals both ways: where receivers read, poll and ask, where providers push and what is fetched from them, and
 * where administrators set streams up.
 */
function openSignalRooms(
  given: Parameters<typeof transmitterRoutes>[0] &
    Omit<Parameters<typeof tendSignals>[0], 'counter' | 'log' | 'keysOfStreams'>,
) {
  const standIns = createStandIns(floor.clock);
  const keysOfStreams = createKeysOfStreams({ ...given, standIns });
  const deps = { ...given, counter, log: floor.log, keysOfStreams };
  const received = [signalReceiverRoutes(deps), signalConsole(deps), canarySignals({ ...deps, standIns })];
  const rooms = [transmitterRoutes(deps), signalStreamRoutes(deps), ...received];
  return { rooms, tend: () => tendSignals(deps, randomUUID()) };
}

/** What an organisation calls the connection that a session came by. */
function nameWith(deps: Parameters<typeof connectionName>[0]) {
  return (context: TenantContext, id: Uuid) => connectionName(deps, context, id);
}

type IdentityRooms = Omit<Parameters<typeof tokenMintRoutes>[0], 'productionOf'> & Parameters<typeof nameWith>[0];

/** Who is it, people and programs; tokens for them, what they are let into, and the feed of what has ended. */
function identityRooms(given: IdentityRooms) {
  const deps = { ...given, productionOf: productionGrants(given) };
  return [
    identityRoutes({ ...deps, connectionName: nameWith(deps) }),
    canaryIdentityRoutes(deps),
    evictionFeedRoutes(deps),
    tokenMintRoutes({ ...deps, mintForKey: keyMint(deps) }),
    privilegedAccessRoutes(deps),
    apiAccessRoutes(deps),
    authorisationServerRoutes(deps),
    apiTokenMintRoutes(deps),
  ];
}

/** Reviews of a tenant's access, as they fall due, and emergencies that nobody has judged. */
function reviewing(deps: Parameters<typeof tendAccessReviews>[0]): readonly Chore[] {
  return [(context) => tendAccessReviews(deps, context), (context) => tendBrokenGlass(deps, context)];
}

function keepHouse(system: Parameters<typeof startHousekeeping>[1], chores: readonly Chore[]) {
  return startHousekeeping(floor, system, { chores, round_ms: RESEAL_ROUND_MS });
}

async function start(): Promise<void> {
  const { member, clock, random } = floor;
  member.onSign((service, csrPem) => authority!.sign({ csrPem, service }));
  const idKeyHouse = openIdKeys(floor);
  const tagKeys = idKeyHouse.keys;
  const minterAt = openMinter();
  const authorityAt = (at: Clock, life_seconds: number) => authorityIn(member.boot.stateDirectory, at, life_seconds);
  const recorded = openRecordedDatabase(floor, 'issuer', { poolSize: POOL_SIZE, systemTables });
  const watched = watchDatabase(floor, recorded);
  const watchedCells = watchCells(floor);
  const { tenant, system } = watched;
  const { sealer, rotation, recordAudit } = openSealing(floor, 'issuer', { tenant, ...registry });
  const placer = openPlacer(floor, system);
  const evictions = createEvictions({ random });
  const doors = doorSettings(member.boot.options);
  const shared = { tenant, system, sealer, recordAudit, clock, random, doors, formatId: tagWith(tagKeys) };
  // A way out of its own: receivers that are slow must not take the places of providers that somebody signs in at.
  const telling = openSignals({ ...shared, fetch: outwardFetch(member.boot.options) });
  const deps = {
    ...shared,
    placer,
    signals: telling.signals,
    sender: telling.sender,
    attempts: recorded.attempts,
    evictions,
    revocations: revocations({ ...shared, evictions }),
    ...JUDGING,
    fetch: outwardFetch(member.boot.options),
  };
  const erasures = await openErasures(floor, deps);
  const signals = openSignalRooms(deps);
  const stopSweeping = startSweeping(deps, signals.tend);
  const deletions = openDeletions(floor, deps);
  const places = openPlaces(floor, deps);
  const housekeeping = keepHouse(system, [rotation.tend, erasures.complete, ...reviewing(deps)]);
  member.onAsk('seed', () => seed(deps));
  await serve(floor, 'issuer', {
    rooms: [
      ...identityRooms({ ...deps, minter: minterAt(clock), recordMint, heldBack: erasures.heldBack }),
      drillTokenRoutes({ ...deps, minterAt, recordMint, authorityAt }),
      ...providerRooms(deps),
      ...accessRooms(deps, erasures.register),
      ...signals.rooms,
      tenantsRoutes(deps),
      deletions.routes,
      places.routes,
      idKeyRoutes(idKeyHouse, deps),
    ],
    problems: PROBLEMS,
    tagKeys,
    policy,
    stepUp: createStepUpVerifier({ doors: deps.doors, clock }),
    counter,
    onAttempt: recordAttemptWith(recorded.attempts),
    readiness: async () => [...(await watched.readiness()), ...watchedCells.findings(), ...erasures.findings()],
    beforeClose: () => Promise.resolve(evictions.close()),
    release: () =>
      closeInTurn([
        stopSweeping,
        telling.close,
        idKeyHouse.close,
        erasures.close,
        deletions.close,
        places.close,
        housekeeping.stop,
        rotation.stop,
        watchedCells.close,
        watched.close,
      ]),
  });
}

/** The issuer's one way out: to identity providers and receivers of tenants (docs/adr/0021). */
function outwardFetch(options: Readonly<Record<string, Json>>): GuardedFetch {
  const { identityNetworks: allowed, identityAuthorities: authorities } = options as {
    identityNetworks: string[];
    identityAuthorities: string[];
  };
  return createGuardedFetch({ guard: createAddressGuard({ allowed }), authorities });
}

/** Tokens of the issuer before a crash live on for their half minute: nobody is signed out by our restart. */
function announceTokenKey(key: Json): void {
  const before = (floor.member.peers().facts['tokenKeys'] ?? []) as Json[];
  floor.member.announce({ tokenKeys: [key, ...before].slice(0, TOKEN_KEYS_MAX) });
}

async function closeInTurn(closers: readonly (() => unknown)[]): Promise<void> {
  for (const close of closers) await close();
}

/** Answers whoever asks for the ring, and the operator's command that changes it. */
function idKeyRoutes(house: IdKeyHouse, deps: Parameters<typeof recordIdKeyChange>[0]) {
  floor.member.onAsk('id-key', (input) =>
    house.answer(input, (change, version) => recordIdKeyChange(deps, { change, version, requestId: randomUUID() })),
  );
  return bindRoutes(idKeysContract, {
    read: () => Promise.resolve({ status: 200 as const, body: spellIdKeys(house.keys) }),
  });
}

function spellIdKeys(keys: IdKeys) {
  const spell = (entry: IdKeys['current']) => ({
    version: entry.version,
    key: Buffer.from(entry.key).toString('base64url'),
  });
  return { current: spell(keys.current), accepted: keys.accepted.map(spell) };
}

/** In earnest the operator's tenant carries no organisation's name: the security page does. */
const OPERATOR_NAME = 'Operator';

/**
 * Seeds the sample organisation and gives fresh one-time links of each sample person. A house in earnest gets only its
 * operator and canaries, and one link: with it the operator makes the first passkey.
 */
async function seed(deps: Parameters<typeof seedSample>[0]): Promise<Json> {
  await floor.member.whenPeers((peers) => peers.addresses.keys !== undefined && peers.addresses.ledger !== undefined);
  const requestId = randomUUID();
  const { people } =
    floor.member.boot.options['sample'] === true
      ? await seedSample(deps, { links: true, requestId })
      : await seedFoundation(deps, { operatorName: OPERATOR_NAME, requestId });
  return people
    .filter((person) => person.signInPath !== undefined || person.enrolmentPath !== undefined)
    .map((person) => ({
      tenant: person.tenantName,
      role: person.label,
      linkPath: person.signInPath ?? null,
      enrolPath: person.enrolmentPath ?? null,
    }));
}

await start().catch((error: unknown) => floor.member.fatal(error));
