import type { Uuid } from '@auditrax/base';
import type { ScimDialect } from '@auditrax/scim';
import type { TenantContext } from '@auditrax/tenancy';
import type { AttemptCounter } from '../../platform/http/attempt-counter.ts';
import type { ConnectionDeps, LoadedConnection } from '../connections/index.ts';
import type { IdentityDeps, KnownTenant } from '../identity/index.ts';

/** What the door of directories is built from. */
export type ProvisioningDeps = IdentityDeps &
  ConnectionDeps & {
    /** Messages with a token that is none. */
    readonly counter: Pick<AttemptCounter, 'count'>;
    /** Of one connection; a test sends more than a directory does. */
    readonly messages_perMinute_max?: number;
    /** Of one address, with a token that is none. */
    readonly refusals_perMinute_max?: number;
  };

/** Whose message it is, by its token. */
export interface Place {
  readonly context: TenantContext;
  readonly tenantKind: KnownTenant['kind'];
  readonly connection: LoadedConnection;
  readonly dialect: ScimDialect;
  /** The address that `/Users` follows. */
  readonly base: string;
  /** Members whom this message puts out, and whether they were in before. */
  readonly out: Map<Uuid, boolean>;
  /** What was to end with them and has not, though they are out: told once everything else is done. */
  readonly unended: unknown[];
}
