import type { Json } from '@auditrax/base';
import type { TokenClaims } from '@auditrax/workload';
import type { StepUp } from './handler.ts';

/**
 * Verifies that `header` (the `x-step-up` header as received) is a fresh passkey assertion of the token's person over
 * `action`. Throws `step_up_refused`. Implemented by the access room; injected into every service.
 */
export type StepUpVerifier = (claims: TokenClaims, header: string, action: Json) => Promise<StepUp>;
