import type { Caller } from './handler.ts';

/** Somebody tried what they may not. Recorded durably before they are answered. */
export type AttemptEvent = {
  readonly operation: string;
  readonly caller: Caller;
  readonly requestId: string;
} & (
  | {
      /** An id that was not made for the caller's tenant. */
      readonly kind: 'tenant-id';
      readonly layer: 'gateway' | 'parser';
      readonly reason: 'forged' | 'foreign';
      readonly foreignPart?: number;
    }
  | { readonly kind: 'operation'; readonly reason: 'role' | 'operator-only' | 'production-access' }
  /** An approval that is wanting, or that was given for something else. */
  | { readonly kind: 'step-up'; readonly reason: 'missing' | 'does-not-fit' }
);

/** Resolves once the attempt is durable; a rejection turns the answer into 503. */
export type RecordAttempt = (event: AttemptEvent) => Promise<unknown>;
