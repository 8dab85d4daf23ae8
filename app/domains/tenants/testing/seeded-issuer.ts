import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, uuidV4, type Clock, type Uuid } from '@auditrax/base';
import { type Database, formatId, idKeys, openDatabase } from '@auditrax/tenancy';
import { createTokenMinter, createTokenVerifier, type TokenClaims, type TokenVerifier } from '@auditrax/workload';
import {
  attemptRecorder,
  createRecorder,
  createSubjectKeys,
  ERASURE_REGISTER_FILE,
  openErasureRegister,
  recordMint,
  type ErasureRegister,
} from '../../../platform/audit/index.ts';
import { asSuperuser, setBeat } from '../../../platform/audit/testing.ts';
import { discoverSealedFields } from '../../../platform/db/sealed-fields.ts';
import { startTestDatabase, type TestDatabase } from '../../../platform/db/testing.ts';
import { callerFromClaims } from '../../../platform/http/caller.ts';
import type { Caller, EdgeDoor, Role } from '../../../platform/http/handler.ts';
import { directoryWord } from '../../provisioning/index.ts';
import { accessSubjects, loadRoutePolicy, recoverySubjects, type AccessDeps } from '../../access/index.ts';
import { createSealer, type Sealer } from '../../keys/index.ts';
import { vaultInProcess, type VaultInProcess } from '../../keys/testing/vault-in-process.ts';
import { createEvictions, type DoorSettings, type MintDeps, NO_SIGNALS, systemTables } from '../../identity/index.ts';
import { createSoftwareAuthenticator, type SoftwareAuthenticator } from '../../../probes/software-authenticator.ts';
import { privilegedAccessSubjects, productionGrants } from '../../privileged-access/index.ts';
import * as identity from '../../identity/service.ts';
import { mintToken } from '../../identity/token-mint.ts';
import { deletionSubjects, seedSample, type SeedResult } from '../index.ts';

const APP = join(import.meta.dirname, '..', '..', '..');

export const doors: Readonly<Record<EdgeDoor, DoorSettings>> = {
  edge: { rpId: 'localhost', rpName: 'Auditrax', origins: ['https://localhost:8443'] },
  tryout: { rpId: 'localhost', rpName: 'Auditrax', origins: ['http://localhost:8080'] },
};

/** A person who has enrolled: their device, the cookie they got, and who they are. */
export interface Enrolled {
  readonly device: SoftwareAuthenticator;
  readonly cookie: string;
  readonly personId: Uuid;
  readonly sessionId: Uuid;
}

/** The issuer's rooms on a real database with the sample organisation; no network. For tests of these rooms. */
export interface SeededIssuer {
  readonly deps: MintDeps & AccessDeps;
  readonly database: TestDatabase;
  readonly vault: VaultInProcess;
  /** Another holder of data keys, with a cache of its own, as the workspace is one. */
  readonly otherSealer: Sealer;
  /** Of erasures, in a folder of the test's own. */
  readonly register: ErasureRegister;
  readonly seeded: SeedResult;
  /** Fresh links for everybody. */
  reseed(): Promise<SeedResult>;
  enrol(tenantSlug: string, role: Role, door?: EdgeDoor): Promise<Enrolled>;
  /** Mints for a cookie and reads the token back as the workspace would. */
  callerOf(cookie: string, door?: EdgeDoor): Promise<Caller>;
  claimsOf(compact: string): Promise<TokenClaims>;
  audited(type: string): Promise<{ resource_id: Uuid; outcome: string; leaf: Record<string, unknown> }[]>;
  rows<Row>(text: string, values?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

function openIssuer(database: TestDatabase): Database {
  return openDatabase({
    connection: database.connectionFor('ax_issuer'),
    poolSize: 6,
    clock: { nowMs: () => Date.now() },
    onRefusal: async () => undefined,
    systemTables: [...systemTables],
  });
}

interface Parts {
  readonly deps: SeededIssuer['deps'];
  readonly issuer: Database;
  readonly verifier: TokenVerifier;
  readonly vault: VaultInProcess;
  readonly otherSealer: Sealer;
  readonly register: ErasureRegister;
  readonly folder: string;
}

async function buildIssuer(issuer: Database, clock: Clock): Promise<Parts> {
  const vault = await vaultInProcess(clock);
  const folder = mkdtempSync(join(tmpdir(), 'ax-issuer-'));
  const register = openErasureRegister(join(folder, ERASURE_REGISTER_FILE));
  const keys = idKeys({ version: 1, key: systemRandom.bytes(32) });
  const pair = generateKeyPairSync('ed25519');
  const jwk = { ...pair.publicKey.export({ format: 'jwk' }), kid: 'k1' } as never;
  const fields = await discoverSealedFields(APP);
  const policyFiles = ['identity', 'access', 'tenants', 'privileged-access'].map((room) =>
    join(APP, 'domains', room, 'policy.cedar'),
  );
  const newSealer = () =>
    createSealer({
      service: 'issuer',
      tenantDoor: issuer.tenant,
      keysClient: vault.keysClient,
      fields,
      clock,
      random: systemRandom,
    });
  const sealer = newSealer();
  const recordAudit = createRecorder({
    sealer: { seal: (input) => sealer.seal({ ...input, field: 'audit.disclosure.sealed' }) },
    subjects: createSubjectKeys({ ring: sealer, random: systemRandom }),
  });
  const deps: SeededIssuer['deps'] = {
    tenant: issuer.tenant,
    system: issuer.system,
    sealer,
    recordAudit,
    attempts: attemptRecorder(issuer.tenant),
    evictions: createEvictions({ random: systemRandom }),
    revocations: [],
    signals: NO_SIGNALS,
    clock,
    random: systemRandom,
    doors,
    formatId: (kind, context, id) => formatId(kind, context, id, keys),
    minter: createTokenMinter({ key: pair.privateKey, kid: 'k1', issuer: 'test-issuer', clock }),
    recordMint,
    erasures: register,
    heldBack: () => false,
    productionOf: productionGrants({ tenant: issuer.tenant, clock }),
    directories: directoryWord({ recordAudit, clock }),
    secretsOf: () => [],
    policy: loadRoutePolicy(policyFiles),
    subjects: {
      ...accessSubjects({ tenant: issuer.tenant, sealer }),
      ...recoverySubjects({ tenant: issuer.tenant, sealer, clock }),
      ...deletionSubjects(issuer),
      ...privilegedAccessSubjects({
        tenant: issuer.tenant,
        sealer,
        clock,
        formatId: (kind, context, id) => formatId(kind, context, id, keys),
      }),
    },
  };
  const verifier = createTokenVerifier({ keys: () => [jwk], issuer: 'test-issuer', audience: 'workspace', clock });
  return { deps, issuer, verifier, vault, otherSealer: newSealer(), register, folder };
}

/** Whoever leads or operates approves nothing with one passkey. */
async function addSecondPasskey(
  deps: SeededIssuer['deps'],
  session: Awaited<ReturnType<typeof identity.enrol>>['session'],
  device: SoftwareAuthenticator,
): Promise<void> {
  const { tenant, personId, sessionId, door } = session;
  const caller = {
    tenant: tenant.context,
    tenantKind: tenant.kind,
    personId,
    sessionId,
    door,
    method: 'passkey',
  } as Caller;
  const { challengeId, options } = await identity.beginAddPasskey(deps, caller);
  await identity.addPasskey(deps, caller, { challengeId, response: device.register(options) });
}

/** Goes through the real ceremony with a fresh link. */
async function enrolPerson(
  deps: SeededIssuer['deps'],
  who: { readonly tenantSlug: string; readonly role: Role; readonly door: EdgeDoor },
): Promise<Enrolled> {
  const { people } = await seedSample(deps, { links: true, requestId: 'seed' });
  // The first who has no passkey yet: of two operators, the second call enrols the second.
  const person = people.find(
    ({ tenantSlug, role, enrolmentPath }) =>
      tenantSlug === who.tenantSlug && role === who.role && enrolmentPath !== undefined,
  )!;
  const token = person.enrolmentPath!.split('#')[1]!;
  const device = createSoftwareAuthenticator({ origin: doors[who.door].origins[0]! });
  const arrival = { door: who.door, requestId: uuidV4(systemRandom) };
  const { challengeId, options } = await identity.beginEnrolment(deps, arrival, token);
  const answer = { token, challengeId, response: device.register(options) };
  const { opened, session } = await identity.enrol(deps, arrival, answer);
  if (who.role === 'lead' || who.role === 'operator') await addSecondPasskey(deps, session, device);
  return { device, cookie: opened.token, personId: session.personId, sessionId: session.sessionId };
}

/** For houses with more than one database: what to do before anything is stored, and how to open them all. */
export interface OtherDatabases {
  prepare(home: TestDatabase): Promise<void>;
  open(home: TestDatabase): Database;
}

export async function startSeededIssuer(clock: Clock, others?: OtherDatabases): Promise<SeededIssuer> {
  const database = await startTestDatabase();
  await setBeat(database, 'running');
  await others?.prepare(database);
  const open = others === undefined ? openIssuer : (home: TestDatabase) => others.open(home);
  const { deps, issuer, verifier, vault, otherSealer, register, folder } = await buildIssuer(open(database), clock);
  const reseed = () => seedSample(deps, { links: true, requestId: 'seed' });
  const claimsOf = async (compact: string) => {
    const verdict = await verifier.verify({ compact, peer: 'gateway', needed: 'read' });
    if (!verdict.ok) throw new Error(verdict.reason);
    return verdict.claims;
  };
  const rows = <Row>(text: string, values: unknown[] = []) => asSuperuser<Row>(database, text, values);
  return {
    deps,
    database,
    vault,
    otherSealer,
    register,
    claimsOf,
    reseed,
    rows,
    seeded: await reseed(),
    enrol: (tenantSlug, role, door = 'edge') => enrolPerson(deps, { tenantSlug, role, door }),
    async callerOf(cookie, door = 'edge') {
      const request = {
        cookie,
        door,
        destination: 'workspace',
        routeClass: 'read',
        operation: 'test.read',
      } as const;
      const { token } = await mintToken(deps, request, uuidV4(systemRandom));
      return callerFromClaims(await claimsOf(token), 'hash', 'request')!;
    },
    async audited(type) {
      const found = await rows<{ resource_id: Uuid; outcome: string; leaf: Buffer }>(
        'select resource_id, outcome, leaf from audit.entry where type = $1 order by occurred_ms',
        [type],
      );
      return found.map((row) => ({ ...row, leaf: JSON.parse(row.leaf.toString('utf8')) as Record<string, unknown> }));
    },
    async stop() {
      await issuer.close();
      await vault.close();
      await database.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
