import { isAppError, systemRandom, uuidV4 } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIELD_BYTES_MAX, FIELD_OVERHEAD_BYTES, fieldKeyVersion, openField, sealField } from './field.ts';
import type { FieldBinding } from './field.ts';
import type { SealErrorCode } from './errors.ts';
import { XaesKey } from './xaes.ts';

const uuid = (): Uuid => uuidV4(systemRandom);
const freshKey = (version = 1) => ({ version, key: new XaesKey(systemRandom.bytes(32)) });
const binding = (): FieldBinding => ({ tenantId: uuid(), fieldId: 1001, rowId: uuid(), schemaRevision: 1 });

function codeOf(work: () => unknown): SealErrorCode | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return isAppError<SealErrorCode>(error) ? error.code : ('not an AppError' as SealErrorCode);
  }
}

describe('S5: a field opens only where it was sealed', () => {
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

describe('S6: formats are closed', () => {
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
