import { generateKeyPairSync } from 'node:crypto';
import { systemClock, systemRandom, uuidV4, type Clock, type ServiceName } from '@auditrax/base';
import { idKeys, formatId } from '@auditrax/tenancy/ids';
import {
  createAuthority,
  createPools,
  createTokenMinter,
  createTokenVerifier,
  startIdentity,
  type CertificateAuthority,
  type TokenClaims,
  type TokenVerifier,
  type WorkloadIdentity,
  type WorkloadPools,
} from '@auditrax/workload';
import type { JWK } from 'jose';
import { callerClaims, type CallerFacts } from '../caller.ts';

/** A small house for tests: one authority, one token key, real certificates, real sockets. */
export interface TestHouse {
  readonly authority: CertificateAuthority;
  readonly keys: ReturnType<typeof idKeys>;
  readonly ports: Map<string, number>;
  identity(service: ServiceName): Promise<WorkloadIdentity>;
  pools(from: WorkloadIdentity): WorkloadPools;
  verifier(audience: ServiceName, clock?: Clock): TokenVerifier;
  mint(
    claims?: Partial<TokenClaims>,
    facts?: Partial<CallerFacts>,
  ): Promise<{ compact: string; expiresAtMs: number; hash: string }>;
  close(): Promise<void>;
}

export const TENANT_PART = 0x0102_0304;
export const OTHER_PART = 0x0a0b_0c0d;

export const testFacts: CallerFacts = {
  tenantId: uuidV4(systemRandom),
  tenantPart: TENANT_PART,
  tenantKind: 'sample',
  personId: uuidV4(systemRandom),
  role: 'lead',
  sessionId: uuidV4(systemRandom),
  method: 'passkey',
  door: 'edge',
};

export async function openTestHouse(): Promise<TestHouse> {
  const authority = await createAuthority({ trustDomain: 'auditrax', clock: systemClock });
  const pair = generateKeyPairSync('ed25519');
  const jwk: JWK = { ...(pair.publicKey.export({ format: 'jwk' }) as JWK), kid: 'test' };
  const minter = createTokenMinter({ key: pair.privateKey, kid: 'test', issuer: 'issuer', clock: systemClock });
  const identities: WorkloadIdentity[] = [];
  const opened: WorkloadPools[] = [];
  const ports = new Map<string, number>();
  return {
    authority,
    ports,
    keys: idKeys({ version: 1, key: systemRandom.bytes(32) }),
    async identity(service) {
      const obtain = (csrPem: string) => authority.sign({ csrPem, service });
      const identity = await startIdentity({
        service,
        trustDomain: 'auditrax',
        clock: systemClock,
        obtain,
        onFailure: () => undefined,
      });
      identities.push(identity);
      return identity;
    },
    pools(from) {
      const address = (service: string) =>
        ports.has(service) ? { host: '127.0.0.1', port: ports.get(service)! } : undefined;
      const pools = createPools({ identity: from, clock: systemClock, address });
      opened.push(pools);
      return pools;
    },
    verifier: (audience, clock = systemClock) =>
      createTokenVerifier({ keys: () => [jwk], issuer: 'issuer', audience, clock }),
    mint: (claims = {}, facts = {}) =>
      minter.mint({
        ...callerClaims({ ...testFacts, ...facts }),
        aud: 'workspace',
        azp: 'gateway',
        txn: uuidV4(systemRandom),
        scope: 'privileged',
        ...claims,
      }),
    async close() {
      await Promise.all(opened.map((pools) => pools.close()));
      for (const identity of identities) identity.close();
    },
  };
}

/** A tagged id of `part`'s tenant. */
export function idOf(house: TestHouse, kind: string, part: number = TENANT_PART): string {
  return formatId(kind, { tenantPart: part }, uuidV4(systemRandom), house.keys);
}

/** The same id with its last tag character changed: the tag no longer verifies. */
export function forged(id: string): string {
  const at = id.length - 5;
  return `${id.slice(0, at)}${id[at] === 'A' ? 'B' : 'A'}${id.slice(at + 1)}`;
}
