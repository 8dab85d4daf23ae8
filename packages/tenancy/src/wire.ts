/**
 * Messages of PostgreSQL's extended query protocol (version 3), written one behind the other into one buffer: one write
 * to the socket for a whole pipeline, and no object for each message. Only what a pipeline sends.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** A value as it is sent: NULL, text, or bytes. */
export type WireValue = null | string | Buffer;

const [PARSE, BIND, DESCRIBE, EXECUTE, SYNC] = [0x50, 0x42, 0x44, 0x45, 0x53];
const [PORTAL, TEXT_FORMAT, BINARY_FORMAT] = [0x50, 0, 1];
/** Most pipelines are smaller: a scope and a statement with a few values. */
const FIRST_BYTES = 512;
/** A length on the wire is a signed 32-bit number. */
const MESSAGE_BYTES_MAX = 0x7fff_ffff;
/** The number of values is sent as 16 bits. */
const VALUES_MAX = 0xffff;

/** Each message goes to the unnamed portal, in the order of the calls; `finish` gives all of them. */
export class WireWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;

  /** Prepares `text` as `name`; the server infers the types of the values. Throws RangeError on a NUL in it. */
  parse(name: string, text: string): void {
    // A NUL would end the text early and begin something else behind it.
    if (text.includes('\0')) throw new RangeError('a statement holds no NUL');
    const start = this.#begin(PARSE);
    this.#zeroEnded(name);
    this.#zeroEnded(text);
    this.#int16(0);
    this.#end(start);
  }

  /** Throws RangeError on more values than a message can hold. */
  bind(name: string, values: readonly WireValue[]): void {
    if (values.length > VALUES_MAX) throw new RangeError(`a statement has at most ${VALUES_MAX} values`);
    const start = this.#begin(BIND);
    this.#zeroEnded('');
    this.#zeroEnded(name);
    this.#int16(values.length);
    for (const value of values) this.#int16(value instanceof Buffer ? BINARY_FORMAT : TEXT_FORMAT);
    this.#int16(values.length);
    for (const value of values) this.#value(value);
    // Every column as text: the types of `pg` read it.
    this.#int16(1);
    this.#int16(TEXT_FORMAT);
    this.#end(start);
  }

  describe(): void {
    const start = this.#begin(DESCRIBE);
    this.#room(1);
    this.#bytes[this.#at++] = PORTAL;
    this.#zeroEnded('');
    this.#end(start);
  }

  execute(): void {
    const start = this.#begin(EXECUTE);
    this.#zeroEnded('');
    this.#int32(0);
    this.#end(start);
  }

  sync(): void {
    this.#end(this.#begin(SYNC));
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #begin(kind: number): number {
    this.#room(5);
    this.#bytes[this.#at] = kind;
    this.#at += 5;
    return this.#at - 4;
  }

  #end(start: number): void {
    if (this.#at - start > MESSAGE_BYTES_MAX) throw new RangeError('a statement is too long for one message');
    this.#bytes.writeInt32BE(this.#at - start, start);
  }

  #int16(value: number): void {
    this.#room(2);
    this.#at = this.#bytes.writeUInt16BE(value, this.#at);
  }

  #int32(value: number): void {
    this.#room(4);
    this.#at = this.#bytes.writeInt32BE(value, this.#at);
  }

  #zeroEnded(text: string): void {
    this.#text(text);
    this.#room(1);
    this.#bytes[this.#at++] = 0;
  }

  /** Its length in bytes is known once it is written. */
  #text(text: string): number {
    // No UTF-16 unit takes more than three bytes in UTF-8.
    this.#room(text.length * 3);
    const written = this.#bytes.write(text, this.#at, 'utf8');
    this.#at += written;
    return written;
  }

  #value(value: WireValue): void {
    if (value === null) return this.#int32(-1);
    const start = this.#at;
    this.#int32(0);
    if (typeof value === 'string') this.#text(value);
    else this.#raw(value);
    this.#bytes.writeInt32BE(this.#at - start - 4, start);
  }

  #raw(value: Buffer): void {
    this.#room(value.length);
    this.#at += value.copy(this.#bytes, this.#at);
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const wider = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(wider, 0, 0, this.#at);
    this.#bytes = wider;
  }
}
