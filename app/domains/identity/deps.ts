import type { Clock, Random, Uuid } from '@auditrax/base';
import type { PlacedSystemDoor, TenantContext, TenantDoor } from '@auditrax/tenancy';
import type { AttemptRecorder, RecordAudit } from '../../platform/audit/index.ts';
import type { EdgeDoor } from '../../platform/http/handler.ts';
import type { Sealer } from '../keys/index.ts';
import type { Evictions } from './evictions.ts';
import type { DoorSettings } from './passkey.ts';
import type { RevocationHolder } from './revocation.ts';
import type { AccessSignals } from './signals.ts';

/** What the rooms identity and access are built from; handed in by the issuer's composition root. */
export interface IdentityDeps {
  readonly tenant: TenantDoor;
  /** Home's; `at` for rows beside a known tenant, `everywhere` for what a cookie, passkey or link leads to. */
  readonly system: PlacedSystemDoor;
  readonly sealer: Sealer;
  readonly recordAudit: RecordAudit;
  /** Denied attempts, on a connection of their own. */
  readonly attempts: AttemptRecorder;
  /** Tells every gateway what has ended. */
  readonly evictions: Evictions;
  /** What other rooms hold for a person, and end with them. */
  readonly revocations: readonly RevocationHolder[];
  /** Tells others of what happens to people's access. */
  readonly signals: AccessSignals;
  readonly clock: Clock;
  readonly random: Random;
  readonly doors: Readonly<Record<EdgeDoor, DoorSettings>>;
  /** What a tenant calls the connection that a session came by; undefined when there is none any more. */
  connectionName?(context: TenantContext, connectionId: Uuid): Promise<string | undefined>;
  /** Tagged id of `kind` (`mem`, `inv`, …) for the tenant. */
  formatId(kind: string, context: TenantContext, id: Uuid): string;
}

/** Global tables that these rooms reach through the system door. */
export const systemTables: readonly string[] = [
  'platform.tenant',
  'platform.placement',
  'platform.move_progress',
  'audit.mint',
  'identity.session_index',
  'identity.credential_index',
  'identity.challenge',
  'identity.one_time_link',
  'identity.employment',
  'identity.sso_request',
  'identity.seen_token',
  'identity.connection_index',
  'identity.received_index',
  'identity.api_artifact',
  'identity.signal_queue',
];
