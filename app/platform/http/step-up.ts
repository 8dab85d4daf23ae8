import type { Json } from '@auditrax/base';
import type { TokenClaims } from '@auditrax/workload';
import type { ApprovalKeeping, StepUp } from './handler.ts';

/** The confirmation of one action, as a service was handed it. */
export interface Confirmation {
  /** The `x-step-up` header as received. */
  readonly header: string;
  readonly action: Json;
  readonly keeping?: ApprovalKeeping | undefined;
}

/**
 * Verifies that `header` is a fresh passkey assertion of the token's person over `action`, and keeps the approval for the
 * entry about it (`approvals.ts`). Throws `step_up_refused`. Implemented by the access room; injected into every service.
 */
export type StepUpVerifier = (claims: TokenClaims, confirmation: Confirmation) => Promise<StepUp>;
