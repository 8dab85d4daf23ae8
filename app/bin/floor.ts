import { randomUUID, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError, systemClock, systemRandom, uuidV7, type Clock, type Random, type ServiceName } from '@auditrax/base';
import { CONNECTION_FAILED_CHANNEL, openDatabase } from '@auditrax/tenancy';
import { idRingMark, liveIdKeys } from '@auditrax/tenancy/id-rotation';
import { idKeys, type IdKeys } from '@auditrax/tenancy/ids';
import {
  createPools,
  createTokenVerifier,
  openSvidFiles,
  preferHybridGroups,
  startIdentity,
  watchEgress,
  type EgressWatch,
  type TokenVerifier,
  type WorkloadIdentity,
  type WorkloadPools,
} from '@auditrax/workload';
import { createInternalClient, type InternalClient } from '../platform/http/client.ts';
import { watchClockSkew, type ClockSkewWatch } from '../platform/http/clock-skew.ts';
import { idKeysContract } from '../platform/http/id-keys-contract.ts';
import { createLog, type Log } from '../platform/http/request-log.ts';
import { joinSupervisor, type Membership } from '../platform/supervisor/member.ts';
import type { DatabaseAccess } from '../platform/supervisor/messages.ts';
import { loadEarly } from './early.ts';
import { readPeerSetting, trustPath } from './peer-setting.ts';
import { verifiedTls } from './verified-tls.ts';

export const TRUST_DOMAIN = 'auditrax';
export const TOKEN_ISSUER = `spiffe://${TRUST_DOMAIN}/issuer`;

/** What every process stands on: its identity, its calls to others, its log. */
export interface Floor {
  readonly member: Membership;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly identity: WorkloadIdentity;
  readonly pools: WorkloadPools;
  readonly client: InternalClient;
  readonly tokenVerifier: TokenVerifier;
  readonly clockSkew: ClockSkewWatch;
  readonly egress: EgressWatch;
}

/** Where a service listens, as the supervisor last said. */
function addressBook(member: Membership): (service: string) => { host: string; port: number } | undefined {
  return (service) => {
    const known = member.peers().addresses[service as ServiceName];
    return known === undefined ? undefined : { host: '127.0.0.1', port: known.port };
  };
}

type Obtain = (csrPem: string) => Promise<{ certificatePem: string; bundlePem: string }>;

/** Of the house's own authority, or of SPIRE where the operator has it sign for the house. */
function openIdentity(
  service: ServiceName,
  { member, log, obtain }: { readonly member: Membership; readonly log: Log; readonly obtain: Obtain | undefined },
): Promise<WorkloadIdentity> {
  const told = readPeerSetting(member.boot.options);
  const common = {
    service,
    clock: systemClock,
    onFailure: (error: unknown) => log.error('renewal-failed', { error }),
  };
  if (told.kind === 'spiffe')
    return openSvidFiles({ ...common, folder: join(told.folder, service), trustDomain: trustPath(told.names) });
  return startIdentity({
    ...common,
    trustDomain: TRUST_DOMAIN,
    obtain: obtain ?? ((csrPem) => member.certify(csrPem)),
  });
}

/** Joins the supervisor, drops privileges, and obtains a workload certificate by `obtain` (default: the supervisor's relay). */
export async function openFloor(service: ServiceName, obtain?: (member: Membership) => Obtain): Promise<Floor> {
  preferHybridGroups();
  await loadEarly();
  const member = await joinSupervisor(service);
  const level = member.boot.options['log'] === 'info' ? 'info' : 'warn';
  const log = createLog({ service, destination: process.stdout, level });
  process.on('unhandledRejection', (error) => {
    log.error('unhandled-rejection', { error });
    process.exit(1); // restarted by the supervisor: an unknown state must not go on serving
  });
  const identity = await openIdentity(service, { member, log, obtain: obtain?.(member) });
  const egress = watchEgress({
    onRefusal: () => log.warn('egress-refused', { reason: 'the peer speaks nothing as new as TLS 1.3' }),
    channels: [CONNECTION_FAILED_CHANNEL],
  });
  const pools = createPools({ identity, clock: systemClock, address: addressBook(member) });
  const clockSkew = watchClockSkew(systemClock);
  return {
    member,
    clock: systemClock,
    random: systemRandom,
    log,
    identity,
    pools,
    clockSkew,
    egress,
    client: createInternalClient({ pools, clockSkew }),
    tokenVerifier: createTokenVerifier({
      keys: () => (member.peers().facts['tokenKeys'] ?? []) as never,
      issuer: TOKEN_ISSUER,
      audience: service,
      clock: systemClock,
    }),
  };
}

/** Replies of the inner services to a plain post are small JSON documents. */
const REPLY_BYTES_MAX = 32 * 1024 * 1024;

/**
 * A bare post to one inner service, for clients that read statuses themselves. Rejects when nothing answers; whether the
 * call took effect is then unknown.
 */
export function postTo(
  floor: Pick<Floor, 'pools'>,
  service: ServiceName,
): (path: string, body: unknown) => Promise<{ status: number; body: unknown }> {
  return async (path, body) => {
    const reply = await floor.pools.to(service).request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', 'x-request-id': uuidV7(systemClock, systemRandom) },
      body: JSON.stringify(body),
    });
    const bytes = Buffer.from(await reply.body.arrayBuffer());
    if (bytes.length > REPLY_BYTES_MAX) throw new AppError('service_unavailable', `${service} answered too much`);
    return { status: reply.statusCode, body: bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8')) };
  };
}

/** Asked again after this long when the issuer did not answer; a new key is used a minute after it is announced. */
const ID_KEYS_RETRY_MS = 1_000;

async function readIdRing(floor: Floor): Promise<IdKeys> {
  const { body } = await floor.client.call(idKeysContract.read, { requestId: randomUUID() });
  const bytes = (entry: { version: number; key: string }) => ({
    version: entry.version,
    key: Buffer.from(entry.key, 'base64url'),
  });
  return idKeys(bytes(body.current), body.accepted.map(bytes));
}

/**
 * The key ring of tagged ids, fetched from the issuer; tries until it answers. What it resolves with changes by itself:
 * whenever the issuer announces another ring it is fetched anew, until that worked.
 */
export async function fetchIdKeys(floor: Floor): Promise<IdKeys> {
  const { member, log } = floor;
  await member.whenPeers((peers) => peers.addresses.issuer !== undefined);
  let ring = await readIdRing(floor);
  let isFetching = false;
  const isBehind = (): boolean => {
    const { facts, addresses } = member.peers();
    return addresses.issuer !== undefined && facts['idKeys'] !== undefined && facts['idKeys'] !== idRingMark(ring);
  };
  const follow = async (): Promise<void> => {
    if (isFetching) return;
    isFetching = true;
    while (isBehind()) {
      try {
        ring = await readIdRing(floor);
      } catch (error) {
        log.warn('id-keys-not-fetched', { error });
      }
      // The issuer may be restarting, or answer with an older ring than the one that is announced.
      if (isBehind()) await pause(ID_KEYS_RETRY_MS);
    }
    isFetching = false;
  };
  member.onPeers(() => void follow());
  return liveIdKeys(() => ring);
}

/** A process without ids of its own has no key that could match: every id is forged to it. */
export function noIdKeys(random: Random): IdKeys {
  return idKeys({ version: 1, key: random.bytes(32) });
}

/** Connection options of `openDatabase` from what the supervisor gave. */
export function databaseConnection(
  access: DatabaseAccess | undefined,
): Parameters<typeof openDatabase>[0]['connection'] {
  if (access === undefined) throw new TypeError('this process was given no database');
  return {
    ...(access.tls === undefined
      ? { socketDirectory: access.host }
      : { host: access.host, tls: verifiedTls(access.tls) }),
    port: access.port,
    database: access.database,
    user: access.user,
    ...(access.passwordFile === undefined ? {} : { password: readFileSync(access.passwordFile, 'utf8').trim() }),
  };
}

/** Public half of an Ed25519 key as a JWK with its key id. */
export function publicJwk(key: KeyObject, kid: string): Record<string, string> {
  const { kty, crv, x } = key.export({ format: 'jwk' });
  return { kty: kty!, crv: crv!, x: x!, kid, alg: 'EdDSA', use: 'sig' };
}
