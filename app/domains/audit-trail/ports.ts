import type { Clock, Json, Random, Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext, TenantDoor } from '@auditrax/tenancy';
import type { AuditInput, LedgerClient } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import type { EngagementsLeft } from '../engagements/index.ts';
import type { Sealer } from '../keys/index.ts';

/** Who asks: the verified part of a call. */
export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
}

/** An asker who can still be asked for a passkey. */
export interface SteppingAsker extends Asker {
  stepUp(action: Json): Promise<StepUp>;
}

export interface AuditTrailDeps {
  readonly door: TenantDoor;
  readonly sealer: Pick<Sealer, 'openTexts' | 'openBytes'>;
  readonly ledger: LedgerClient;
  /** What the organisation's own rules leave the asker. */
  readonly engagementsLeft: EngagementsLeft;
  readonly clock: Clock;
  readonly random: Random;
  readonly recordAudit: (tx: ScopedTransaction, input: AuditInput) => Promise<{ entryId: Uuid }>;
  readonly formatId: (kind: string, context: TenantContext, uuid: Uuid) => string;
}
