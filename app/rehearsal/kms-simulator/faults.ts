/** What can be made to go wrong, for the next `times` requests of an operation (of any, when none is named). */
export type Fault = { readonly operation?: string; readonly times?: number } & (
  | { readonly kind: 'throttle' }
  /** An answer with any error name, also those that this simulator never gives by itself. */
  | { readonly kind: 'error'; readonly name: string; readonly status?: number; readonly message?: string }
  /** A load balancer without a service behind it: 503 and a page instead of JSON. */
  | { readonly kind: 'outage' }
  /** Carried out, then answered late. */
  | { readonly kind: 'slow'; readonly delay_ms: number }
  /** Never answered. */
  | { readonly kind: 'hang' }
  /** The connection is cut; with `after`, once the request has been carried out. */
  | { readonly kind: 'cut'; readonly after?: boolean }
  /** Carried out, and the answer cut off in the middle, with a status of 200. */
  | { readonly kind: 'garble' }
  /** Carried out, and members of the answer replaced. */
  | { readonly kind: 'forge'; readonly members: Readonly<Record<string, unknown>> }
);

/** Faults that wait for their request. */
export class Faults {
  readonly #waiting: { fault: Fault; left: number }[] = [];

  add(fault: Fault): void {
    this.#waiting.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#waiting.length = 0;
  }

  next(operation: string): Fault | undefined {
    const found = this.#waiting.find(({ fault, left }) => left > 0 && (fault.operation ?? operation) === operation);
    if (found) found.left -= 1;
    return found?.fault;
  }
}
