/**
 * Reads a stream in measured pieces without ever holding more than the sender's last chunk: `take(n)` yields the next n
 * bytes (fewer at the end), and what a chunk holds beyond them waits for the next call.
 */
export class Cutter {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async *take(length_bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    let wanted = length_bytes;
    while (wanted > 0 && (await this.hasMore())) {
      const piece = this.#rest.subarray(0, wanted);
      this.#rest = this.#rest.subarray(piece.length);
      wanted -= piece.length;
      yield piece;
    }
  }

  /** True while at least one byte is left. */
  async hasMore(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#ended) {
      const next = await this.#source.next();
      if (next.done === true) this.#ended = true;
      else this.#rest = next.value;
    }
    return this.#rest.length > 0;
  }

  /** Lets the sender go. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#source.return?.();
  }
}
