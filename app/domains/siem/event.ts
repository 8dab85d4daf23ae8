/** One event, ready to go; `index` is its place in the tenant's log. */
export interface StreamEvent {
  readonly origin: string;
  readonly index: number;
  readonly time_ms: number;
  readonly type: string;
  readonly outcome: string;
  readonly entryId: string;
  /** OCSF. */
  readonly body: object;
}

/** Steps of a delivery, in order. */
export type Step = 'address' | 'connect' | 'tls' | 'answer';

/** What went wrong and where; `code` is of a closed set of words, never text of the receiver. */
export class DeliveryError extends Error {
  readonly step: Step;
  readonly code: string;
  constructor(step: Step, code: string, cause?: unknown) {
    super(`${step}: ${code}`, { cause });
    this.name = 'DeliveryError';
    this.step = step;
    this.code = code;
  }
}

const CODE = /^[A-Z][A-Z0-9_]{0,60}$/;

/** The code of a system or TLS error, or `fallback` when it has none of the usual form. */
export function errorCode(error: unknown, fallback: string): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' && CODE.test(code) ? code : fallback;
}
