// The issuer: people, sessions, passkeys' public keys, the token key, the workload authority, the key ring of ids.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Json } from '@auditrax/base';
import { formatId, type IdKeys } from '@auditrax/tenancy/ids';
import { createTokenMinter, openAuthority, type CertificateAuthority } from '@auditrax/workload';
import { drillsProblems, drillTokenRoutes } from '../domains/drills/index.ts';
import { accessRoutes, createStepUpVerifier, problems as accessProblems } from '../domains/access/index.ts';
import {
  canaryIdentityRoutes,
  identityRoutes,
  problems as identityProblems,
  sweepEverywhere,
  sweepIdentity,
  systemTables,
  tokenMintRoutes,
} from '../domains/identity/index.ts';
import { problems as keysProblems } from '../domains/keys/index.ts';
import {
  problems as tenantsProblems,
  recordIdKeyChange,
  seedFoundation,
  seedSample,
  tenantsRoutes,
} from '../domains/tenants/index.ts';
import { recordMint, sweepMints } from '../platform/audit/index.ts';
import { problems as auditProblems } from '../platform/audit/errors.ts';
import { bindRoutes } from '../platform/http/handler.ts';
import { idKeysContract } from '../platform/http/id-keys-contract.ts';
import { openDeletions } from './deletions.ts';
import { doorSettings } from './doors.ts';
import { openFloor, publicJwk, TOKEN_ISSUER, TRUST_DOMAIN } from './floor.ts';
import { openPlacer, openPlaces } from './places.ts';
import { openIdKeys, type IdKeyHouse } from './id-keys.ts';
import { openRecordedDatabase, recordAttemptWith } from './refusals.ts';
import { startHousekeeping } from './housekeeping.ts';
import { readHousePolicy } from './rooms.ts';
import { openSealing, readSealedRegistry } from './sealing.ts';
import { serve } from './serve.ts';
import { watchCells } from './watched-cells.ts';
import { watchDatabase } from './watched-database.ts';

const POOL_SIZE = 16;
/** Expired challenges, links and sessions are swept this often. */
const SWEEP_MS = 60_000;
/** A rotation is ordered in the workspace; the names of people are here, and follow within a few minutes. */
const RESEAL_ROUND_MS = 300_000;
/** This process's key and those of its two predecessors, whose private halves died with them. */
const TOKEN_KEYS_MAX = 3;

// Read before privileges are dropped: the checkout may lie where only root can read.
const policy = readHousePolicy();
const registry = await readSealedRegistry();

let authority: CertificateAuthority | undefined;
const floor = await openFloor('issuer', (member) => async (csrPem) => {
  authority ??= await openAuthority({
    folder: join(member.boot.stateDirectory, 'authority'),
    trustDomain: TRUST_DOMAIN,
    clock: { nowMs: Date.now },
  });
  return authority.sign({ csrPem, service: 'issuer' });
});

/** Removes what has expired, now and then. */
function startSweeping(deps: Parameters<typeof sweepIdentity>[0]): ReturnType<typeof setInterval> {
  const sweep = () => Promise.all([sweepIdentity(deps), sweepEverywhere(deps.system, sweepMints(floor.clock.nowMs()))]);
  return setInterval(() => void sweep().catch((error: unknown) => floor.log.warn('sweep-failed', { error })), SWEEP_MS);
}

async function start(): Promise<void> {
  const { member, clock, random } = floor;
  member.onSign((service, csrPem) => authority!.sign({ csrPem, service }));
  const idKeyHouse = openIdKeys(floor);
  const tagKeys = idKeyHouse.keys;
  const tokenKey = generateKeyPairSync('ed25519');
  const kid = randomUUID();
  // Tokens of the issuer before a crash live on for their half minute: nobody is signed out by our restart.
  const before = (member.peers().facts['tokenKeys'] ?? []) as Json[];
  member.announce({ tokenKeys: [publicJwk(tokenKey.publicKey, kid), ...before].slice(0, TOKEN_KEYS_MAX) });
  const recorded = openRecordedDatabase(floor, 'issuer', {
    poolSize: POOL_SIZE,
    systemTables,
  });
  const watched = watchDatabase(floor, recorded);
  const watchedCells = watchCells(floor);
  const { tenant, system } = watched;
  const { sealer, rotation, recordAudit } = openSealing(floor, 'issuer', { tenant, ...registry });
  const placer = openPlacer(floor, system);
  const deps = {
    placer,
    tenant,
    system,
    sealer,
    recordAudit,
    attempts: recorded.attempts,
    clock,
    random,
    doors: doorSettings(member.boot.options),
    formatId: (kind: string, context: { tenantPart: number }, id: Parameters<typeof formatId>[2]) =>
      formatId(kind, context, id, tagKeys),
    policy,
  };
  const minterAt = (at: typeof clock) =>
    createTokenMinter({ key: tokenKey.privateKey, kid, issuer: TOKEN_ISSUER, clock: at });
  const sweeping = startSweeping(deps);
  const deletions = openDeletions(floor, deps);
  const places = openPlaces(floor, deps);
  const housekeeping = startHousekeeping(floor, system, { chores: [rotation.tend], round_ms: RESEAL_ROUND_MS });
  member.onAsk('seed', () => seed(deps));
  await serve(floor, 'issuer', {
    rooms: [
      identityRoutes(deps),
      canaryIdentityRoutes(deps),
      tokenMintRoutes({ ...deps, minter: minterAt(clock), recordMint }),
      drillTokenRoutes({ ...deps, minterAt, recordMint }),
      accessRoutes(deps),
      tenantsRoutes(deps),
      deletions.routes,
      places.routes,
      idKeyRoutes(idKeyHouse, deps),
    ],
    problems: [identityProblems, accessProblems, tenantsProblems, keysProblems, auditProblems, drillsProblems],
    tagKeys,
    policy,
    stepUp: createStepUpVerifier({ doors: deps.doors, clock }),
    onAttempt: recordAttemptWith(recorded.attempts),
    readiness: async () => [...(await watched.readiness()), ...watchedCells.findings()],
    release: async () => {
      clearInterval(sweeping);
      idKeyHouse.close();
      await deletions.close();
      places.close();
      housekeeping.stop();
      rotation.stop();
      await watchedCells.close();
      await watched.close();
    },
  });
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
