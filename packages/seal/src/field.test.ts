import { isAppError, systemRandom, uuidV4 } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FIELD_BYTES_MAX,
  FIELD_OVERHEAD_BYTES,
  fieldKeyVersion,
  openField,
  openMany,
  sealField,
  sealMany,
} from './field.ts';
import type { FieldBinding } from './field.ts';
import type { SealErrorCode } from './errors.ts';
import { ENGINES } from './testing/engines.ts';
import { XaesKey } from './xaes.ts';

const uuid = (): Uuid => uuidV4(systemRandom);
const binding = (): FieldBinding => ({ tenantId: uuid(), fieldId: 1001, rowId: uuid(), schemaRevision: 1 });

function codeOf(work: () => unknown): SealErrorCode | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return isAppError<SealErrorCode>(error) ? error.code : ('not an AppError' as SealErrorCode);
  }
}

describe.each(ENGINES)('S5: a field opens only where it was sealed ($name engine)', (engine) => {
  const freshKey = (version = 1) => ({ version, key: new XaesKey(systemRandom.bytes(32), engine) });

  it('any value comes back, 46 bytes longer while sealed, never twice the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (value) => {
        const key = freshKey();
        const place = binding();
        const first = sealField({ key, binding: place, random: systemRandom }, value);
        const second = sealField({ key, binding: place, random: systemRandom }, value);
        expect(first.length).toBe(value.length + 46);
        expect(first.equals(second)).toBe(false);
        expect(openField({ key, binding: place }, first).equals(Buffer.from(value))).toBe(true);
      }),
    );
  });

  it.each(['tenantId', 'fieldId', 'rowId', 'schemaRevision'] as const)('another %s fails closed', (name) => {
    const key = freshKey();
    const place = binding();
    const sealed = sealField({ key, binding: place, random: systemRandom }, Buffer.from('finding'));
    const other = { ...place, [name]: typeof place[name] === 'number' ? (place[name] as number) + 1 : uuid() };
    expect(codeOf(() => openField({ key, binding: other }, sealed))).toBe('authentication_failed');
  });

  it('another key of the same version fails closed, and a version that is only claimed does too', () => {
    const key = freshKey();
    const place = binding();
    const sealed = sealField({ key, binding: place, random: systemRandom }, Buffer.from('finding'));
    expect(codeOf(() => openField({ key: freshKey(), binding: place }, sealed))).toBe('authentication_failed');
    expect(codeOf(() => openField({ key: { ...key, version: 2 }, binding: place }, sealed))).toBe(
      'dek_version_mismatch',
    );
    const relabelled = Buffer.from(sealed);
    relabelled.writeUInt32BE(2, 2);
    expect(fieldKeyVersion(relabelled)).toBe(2);
    expect(codeOf(() => openField({ key: { ...key, version: 2 }, binding: place }, relabelled))).toBe(
      'authentication_failed',
    );
  });

  it('every single changed bit and every truncation is refused', () => {
    const key = freshKey();
    const place = binding();
    const sealed = sealField({ key, binding: place, random: systemRandom }, Buffer.from('0123456789'));
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(
        codeOf(() => openField({ key, binding: place }, changed)),
        `bit ${bit}`,
      ).toBeDefined();
    }
    for (let length = 0; length < sealed.length; length += 1) {
      expect(
        codeOf(() => openField({ key, binding: place }, sealed.subarray(0, length))),
        `length ${length}`,
      ).toBeDefined();
    }
  });
});

describe.each(ENGINES)('S6: formats are closed ($name engine)', (engine) => {
  const freshKey = (version = 1) => ({ version, key: new XaesKey(systemRandom.bytes(32), engine) });

  it('an unknown suite is a hard error, also for choosing a key', () => {
    const key = freshKey();
    const place = binding();
    const sealed = sealField({ key, binding: place, random: systemRandom }, Buffer.from('x'));
    for (const suite of [0, 2, 3, 255]) {
      const other = Buffer.from(sealed);
      other[1] = suite;
      expect(codeOf(() => openField({ key, binding: place }, other))).toBe('suite_unknown');
      expect(codeOf(() => fieldKeyVersion(other))).toBe('suite_unknown');
    }
  });

  it('a field longer than the limit and a binding without an encoding are refused', () => {
    const key = freshKey();
    const seal =
      (change: Partial<FieldBinding>, size = 1) =>
      () =>
        sealField({ key, binding: { ...binding(), ...change }, random: systemRandom }, Buffer.alloc(size));
    expect(codeOf(seal({}, FIELD_BYTES_MAX + 1))).toBe('input_too_long');
    expect(codeOf(seal({ fieldId: 0 }))).toBe('blob_malformed');
    expect(codeOf(seal({ fieldId: 1.5 }))).toBe('blob_malformed');
    expect(codeOf(seal({ schemaRevision: 65_536 }))).toBe('blob_malformed');
    expect(codeOf(seal({ rowId: 'ROW' as Uuid }))).toBe('blob_malformed');
    expect(FIELD_OVERHEAD_BYTES).toBe(46);
    for (const version of [0, 1.5, 2 ** 32]) {
      const key = freshKey(version);
      expect(codeOf(() => sealField({ key, binding: binding(), random: systemRandom }, Buffer.alloc(1)))).toBe(
        'blob_malformed',
      );
    }
  });

  it('a wiped key never seals or opens again', () => {
    const key = freshKey();
    const place = binding();
    const sealed = sealField({ key, binding: place, random: systemRandom }, Buffer.from('x'));
    key.key.destroy();
    expect(codeOf(() => sealField({ key, binding: place, random: systemRandom }, Buffer.from('x')))).toBe(
      'key_destroyed',
    );
    expect(codeOf(() => openField({ key, binding: place }, sealed))).toBe('key_destroyed');
  });
});

describe.each(ENGINES)('E4: a row set is sealed and opened like its fields, all or none ($name engine)', (engine) => {
  const freshKey = (version = 1) => ({ version, key: new XaesKey(systemRandom.bytes(32), engine) });

  it('any row set, also beyond one batch, opens one by one and together', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 300, size: 'max' }),
        fc.nat(2 ** 31),
        (values, version) => {
          const key = freshKey(version + 1);
          const fields = values.map((value) => ({ binding: binding(), value }));
          const blobs = sealMany({ key, random: systemRandom }, fields);
          const nonces = new Set(blobs.map((blob) => blob.toString('hex', 6, 30)));
          expect(nonces.size).toBe(values.length);
          const sealed = blobs.map((blob, index) => ({ binding: fields[index]!.binding, sealed: blob }));
          const opened = openMany({ key }, sealed);
          expect(opened.length).toBe(values.length);
          for (const [index, { binding, value }] of fields.entries()) {
            expect(opened[index]!.equals(value)).toBe(true);
            expect(openField({ key, binding }, blobs[index]!).equals(value)).toBe(true);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it('values larger than a batch do too', () => {
    const key = freshKey();
    const fields = [300_000, 0, 10, 300_001].map((size) => ({ binding: binding(), value: systemRandom.bytes(size) }));
    const blobs = sealMany({ key, random: systemRandom }, fields);
    const opened = openMany(
      { key },
      blobs.map((sealed, index) => ({ binding: fields[index]!.binding, sealed })),
    );
    expect(opened.map((value, index) => value.equals(fields[index]!.value))).toEqual([true, true, true, true]);
  });

  it('one changed, moved or foreign value: the error names its position and nothing is left in the clear', () => {
    const key = freshKey();
    const fields = Array.from({ length: 200 }, (_, index) => ({
      binding: binding(),
      value: Buffer.from(`value ${index}`),
    }));
    const sealed = sealMany({ key, random: systemRandom }, fields).map((blob, index) => ({
      binding: fields[index]!.binding,
      sealed: blob,
    }));
    for (const at of [0, 127, 128, 199]) {
      const moved = sealed.map((field, index) => (index === at ? { ...field, binding: binding() } : field));
      const changed = sealed.map((field, index) =>
        index === at ? { ...field, sealed: flipped(field.sealed) } : field,
      );
      for (const set of [moved, changed]) {
        expect(() => openMany({ key }, set)).toThrow(
          expect.objectContaining({ code: 'authentication_failed', message: expect.stringContaining(`value ${at} `) }),
        );
      }
    }
    const other = sealField({ key: freshKey(2), binding: binding(), random: systemRandom }, Buffer.from('x'));
    expect(codeOf(() => openMany({ key }, [...sealed, { binding: binding(), sealed: other }]))).toBe(
      'dek_version_mismatch',
    );
    expect(openMany({ key }, [])).toEqual([]);
  });
});

describe('E5: a tenant’s list of suites holds for writing and for reading', () => {
  const key = { version: 1, key: new XaesKey(systemRandom.bytes(32)) };
  const place = binding();
  const sealed = sealField({ key, binding: place, random: systemRandom }, Buffer.from('finding'));

  it('what is on the list is written and read', () => {
    const allowed = { ...key, suites: { write: [1], read: [1] } as const };
    expect(openField({ key: allowed, binding: place }, sealed).toString()).toBe('finding');
    expect(sealMany({ key: allowed, random: systemRandom }, [{ binding: place, value: sealed }]).length).toBe(1);
  });

  it('a downgrade is refused, whatever the key could open', () => {
    const none = { ...key, suites: { write: [], read: [] } };
    const refusals = [
      () => openField({ key: none, binding: place }, sealed),
      () => openMany({ key: none }, [{ binding: place, sealed }]),
      () => sealField({ key: none, binding: place, random: systemRandom }, Buffer.from('x')),
      () => sealMany({ key: none, random: systemRandom }, [{ binding: place, value: Buffer.from('x') }]),
    ];
    expect(refusals.map(codeOf)).toEqual(refusals.map(() => 'suite_refused'));
  });

  it('reading may be wider than writing: the way from one suite to the next', () => {
    const leaving = { ...key, suites: { write: [], read: [1] } as const };
    expect(openField({ key: leaving, binding: place }, sealed).toString()).toBe('finding');
    expect(codeOf(() => sealField({ key: leaving, binding: place, random: systemRandom }, sealed))).toBe(
      'suite_refused',
    );
  });
});

function flipped(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1]! ^= 1;
  return copy;
}
