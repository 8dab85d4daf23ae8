/**
 * Buffers of one size that are used again: made anew for each part, they would wait for the collector by the dozen, and
 * a fresh MiB costs more page faults than its encryption costs time. Kept only up to `kept` of them; a burst's others go.
 */
export class TransferBuffers {
  readonly #size_bytes: number;
  readonly #kept: number;
  readonly #free: Buffer[] = [];

  constructor(options: { readonly size_bytes: number; readonly kept: number }) {
    this.#size_bytes = options.size_bytes;
    this.#kept = options.kept;
  }

  /** Its bytes are whatever was in it. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#size_bytes);
  }

  /** The caller uses it no more; what was secret in it the caller has wiped. */
  give(buffer: Buffer): void {
    if (this.#free.length < this.#kept) this.#free.push(buffer);
  }
}
