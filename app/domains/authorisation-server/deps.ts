import type { Uuid } from '@auditrax/base';
import type { TokenMinter } from '@auditrax/workload';
import type { recordMint } from '../../platform/audit/index.ts';
import type { IdentityDeps } from '../identity/index.ts';

/** What this room is built from; the issuer's own parts. */
export type AuthorisationDeps = Pick<
  IdentityDeps,
  'tenant' | 'system' | 'sealer' | 'recordAudit' | 'clock' | 'random' | 'doors' | 'formatId'
>;

/** What turns an access token into a transaction token. */
export type CallDeps = AuthorisationDeps & {
  readonly minter: TokenMinter;
  readonly recordMint: typeof recordMint;
  /** True while people who were erased may be readable again in this tenant: nobody gets a token for it. */
  readonly heldBack: (tenantId: Uuid) => boolean;
};

/** The edge, the only door that programs come through. */
export function originOf({ doors }: Pick<IdentityDeps, 'doors'>): string {
  const [origin] = doors.edge.origins;
  if (origin === undefined) throw new Error('the edge has no origin');
  return origin;
}

/** The authorisation server of one tenant: each is an issuer of its own, so that no answer of one passes for another's. */
export const issuerOf = (deps: Pick<IdentityDeps, 'doors'>, tenantId: Uuid): string =>
  `${originOf(deps)}/oauth/${tenantId}`;

/** What access tokens are for (RFC 8707): the API, as this tenant's people see it. */
export const resourceOf = (deps: Pick<IdentityDeps, 'doors'>, tenantId: Uuid): string =>
  `${issuerOf(deps, tenantId)}/api`;
