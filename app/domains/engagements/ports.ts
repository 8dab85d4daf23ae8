import type { Clock, Json, Random, Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext, TenantDoor } from '@auditrax/tenancy';
import type { AttemptRecorder, AuditInput } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import type { RowPolicy } from '../access/index.ts';
import type { Sealer } from '../keys/index.ts';
import type { TenantRules } from '../rules/index.ts';

/** Seals this room's fields; `field` is a key of `sealedFields`. */
export type FieldSealer = Pick<Sealer, 'seal' | 'openText' | 'openTexts'>;

/** Who asks: the verified part of a call. */
export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
}

/** An asker who can still be asked for a passkey. */
export interface SteppingAsker extends Asker {
  stepUp(action: Json): Promise<StepUp>;
}

/** A text that reads as a card number and was declared to be none. */
export interface CardOverride {
  readonly field: string;
  readonly network: string;
}

/** Throws `card_number_refused`; see `refuseCardNumber` of the evidence room. */
export type RefuseCardNumber = (
  fields: Readonly<Record<string, string | undefined>>,
  notACard: readonly string[] | undefined,
) => readonly CardOverride[];

export interface EngagementDeps {
  readonly door: TenantDoor;
  readonly sealer: FieldSealer;
  readonly policy: RowPolicy;
  /** What the tenant's own rules take away. */
  readonly rules: TenantRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly recordAudit: (tx: ScopedTransaction, input: AuditInput) => Promise<{ entryId: Uuid }>;
  readonly attempts: AttemptRecorder;
  readonly refuseCardNumber: RefuseCardNumber;
  /** The built-in OSCAL catalogue, parsed JSON. */
  readonly sampleCatalogue: () => unknown;
  readonly formatId: (kind: string, context: TenantContext, uuid: Uuid) => string;
}
