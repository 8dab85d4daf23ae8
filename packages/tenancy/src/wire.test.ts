import { describe, expect, test } from 'vitest';
import { WireWriter, type WireValue } from './wire.ts';

/** Takes apart what was written, as a server does: kind, then a length that counts itself. */
function messages(bytes: Buffer): { kind: string; body: Buffer }[] {
  const found: { kind: string; body: Buffer }[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    found.push({ kind: String.fromCharCode(bytes[at]!), body: bytes.subarray(at + 5, end) });
    at = end;
  }
  return found;
}

function readBind(body: Buffer): { name: string; values: (string | Buffer | null)[] } {
  const end = body.indexOf(0, 1);
  let at = end + 1;
  const next16 = () => body.readUInt16BE((at += 2) - 2);
  const formats = Array.from({ length: next16() }, next16);
  expect(next16()).toBe(formats.length);
  const values = formats.map((format) => {
    const length = body.readInt32BE((at += 4) - 4);
    if (length < 0) return null;
    const value = body.subarray(at, (at += length));
    return format === 1 ? value : value.toString();
  });
  expect([...body.subarray(at)]).toEqual([0, 1, 0, 0]);
  return { name: body.toString('utf8', 1, end), values };
}

describe('T7: the messages of a pipeline', () => {
  test('stand one behind the other, each with its own length', () => {
    const writer = new WireWriter();
    writer.parse('t_1', 'select $1');
    writer.bind('t_1', ['a']);
    writer.describe();
    writer.execute();
    writer.sync();
    const written = messages(writer.finish());
    expect(written.map(({ kind }) => kind).join('')).toBe('PBDES');
    expect(written[0]!.body.toString()).toBe('t_1\0select $1\0\0\0');
    expect(written[2]!.body.toString()).toBe('P\0');
    expect([...written[3]!.body]).toEqual([0, 0, 0, 0, 0]);
    expect(written[4]!.body).toHaveLength(0);
  });

  test('carry every value byte for byte, however long, and what follows it', () => {
    const values: WireValue[] = [null, '', 'plain', 'ä€😀\ud800', Buffer.from([0, 1, 255]), 'x'.repeat(100_000)];
    values.push(Buffer.alloc(70_000, 7), '😀'.repeat(3_000), 'end');
    const writer = new WireWriter();
    writer.bind('n', values);
    writer.sync();
    const [bind, sync] = messages(writer.finish());
    const expected = values.map((value) => (typeof value === 'string' ? Buffer.from(value).toString() : value));
    expect(readBind(bind!.body)).toEqual({ name: 'n', values: expected });
    expect(sync!.kind).toBe('S');
  });

  test('refuse what would become another message', () => {
    expect(() => new WireWriter().parse('n', 'select 1\0P')).toThrow(RangeError);
    expect(() =>
      new WireWriter().bind(
        'n',
        Array.from({ length: 65_536 }, () => 'v'),
      ),
    ).toThrow(RangeError);
  });
});
