import type { Uuid } from '@auditrax/base';
import type { GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import type { IdentityDeps } from '../identity/index.ts';

/** What this room is built from; the issuer's own parts. */
export type TransmitterDeps = Pick<
  IdentityDeps,
  'tenant' | 'system' | 'sealer' | 'recordAudit' | 'clock' | 'random' | 'doors' | 'formatId'
> & {
  readonly sender: Sender;
  /** Of one address, with a token that is none. */
  readonly refusals_perMinute_max?: number;
};

/** What sends: the guarded way out beside it. */
export type SendingDeps = Omit<TransmitterDeps, 'sender'> & { readonly fetch: GuardedFetch };

/** Told that something waits for a tenant's receivers. */
export interface Sender {
  wake(tenantId: Uuid): void;
}

/** The edge, where receivers find us. */
export function originOf({ doors }: Pick<IdentityDeps, 'doors'>): string {
  const [origin] = doors.edge.origins;
  if (origin === undefined) throw new Error('the edge has no origin');
  return origin;
}

/** The transmitter of one tenant: each is an issuer of its own, so that no event of one passes for another's. */
export const issuerOf = (deps: Pick<IdentityDeps, 'doors'>, tenantId: Uuid): string =>
  `${originOf(deps)}/ssf/issuer/${tenantId}`;

/** Addresses of a tenant's transmitter, as `configurationDocument` publishes them. */
export function addressesOf(deps: Pick<IdentityDeps, 'doors'>, tenantId: Uuid) {
  const issuer = issuerOf(deps, tenantId);
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    configurationEndpoint: `${issuer}/stream`,
    statusEndpoint: `${issuer}/status`,
    verificationEndpoint: `${issuer}/verify`,
  };
}

export const pollAddressOf = (deps: Pick<IdentityDeps, 'doors'>, tenantId: Uuid, streamId: Uuid): string =>
  `${issuerOf(deps, tenantId)}/streams/${streamId}/poll`;
