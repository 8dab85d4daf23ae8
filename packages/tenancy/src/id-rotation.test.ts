import { randomBytes } from 'node:crypto';
import type { Uuid } from '@auditrax/base';
import { describe, expect, test } from 'vitest';
import {
  idRingAt,
  liveIdKeys,
  nextIdRingChange,
  readIdKeys,
  retireIdKey,
  rotateIdKeys,
  spellIdKeys,
  type ScheduledIdKey,
} from './id-rotation.ts';
import { formatId, ID_KEYS_MAX, parseId } from './ids.ts';

const context = { tenantPart: 7 };
const uuid = '018f0000-0000-7000-8000-000000000001' as Uuid;
const [PREPARE, ACCEPT] = [60_000, 1_000_000];
const first = readIdKeys(randomBytes(32).toString('base64url'));
const rotate = (schedule: readonly ScheduledIdKey[], nowMs: number): ScheduledIdKey[] =>
  rotateIdKeys(schedule, { nowMs, key: randomBytes(32), prepare_ms: PREPARE, accept_ms: ACCEPT });

describe('T21: a new key of ids', () => {
  const schedule = rotate(first, 100);

  test('is known before it is used, so that whoever hears of it late makes and meets no id that is forged to others', () => {
    const late = idRingAt(first, 100);
    for (const nowMs of [100, 100 + PREPARE - 1]) {
      const ring = idRingAt(schedule, nowMs);
      expect(ring.current.version).toBe(1);
      expect(parseId('eng', formatId('eng', context, uuid, ring), context, late).ok).toBe(true);
    }
    const prepared = idRingAt(schedule, 100);
    const used = idRingAt(schedule, 100 + PREPARE);
    expect(used.current.version).toBe(2);
    expect(parseId('eng', formatId('eng', context, uuid, used), context, prepared)).toMatchObject({
      ok: true,
      keyVersion: 2,
    });
  });

  test('leaves ids of the older one good for the named time, and forged after it', () => {
    const old = formatId('eng', context, uuid, idRingAt(first, 0));
    const at = (nowMs: number) => parseId('eng', old, context, idRingAt(schedule, nowMs));
    expect(at(100 + PREPARE + ACCEPT - 1)).toMatchObject({ ok: true, keyVersion: 1 });
    expect(at(100 + PREPARE + ACCEPT)).toEqual({ ok: false, reason: 'forged' });
  });

  test('says when the ring changes by itself', () => {
    expect(nextIdRingChange(first, 0)).toBeUndefined();
    expect(nextIdRingChange(schedule, 100)).toBe(100 + PREPARE);
    expect(nextIdRingChange(schedule, 100 + PREPARE)).toBe(100 + PREPARE + ACCEPT);
    expect(nextIdRingChange(schedule, 100 + PREPARE + ACCEPT)).toBeUndefined();
  });

  test('waits for the one before it, and there are never more than a ring may hold', () => {
    expect(() => rotate(schedule, 101)).toThrow(expect.objectContaining({ code: 'id_key_rotation_under_way' }));
    let full = first;
    for (let i = 1; i < ID_KEYS_MAX; i += 1) full = rotate(full, i * (PREPARE + 1));
    const now = ID_KEYS_MAX * (PREPARE + 1);
    expect(idRingAt(full, now).accepted).toHaveLength(ID_KEYS_MAX - 1);
    expect(() => rotate(full, now)).toThrow(expect.objectContaining({ code: 'id_keys_too_many' }));
    // Those that have ended make room; a version is never given a second time.
    const later = rotate(full, now + PREPARE + ACCEPT);
    expect(later.map(({ version }) => version)).toEqual([ID_KEYS_MAX, ID_KEYS_MAX + 1]);
  });

  test('lets an older one be retired at once, never the one in use', () => {
    const now = 100 + PREPARE;
    const retired = retireIdKey(schedule, 1, now);
    const old = formatId('eng', context, uuid, idRingAt(first, 0));
    expect(parseId('eng', old, context, idRingAt(retired, now))).toEqual({ ok: false, reason: 'forged' });
    expect(() => retireIdKey(schedule, 2, now)).toThrow(expect.objectContaining({ code: 'id_key_in_use' }));
    expect(() => retireIdKey(schedule, 1, 100)).toThrow(expect.objectContaining({ code: 'id_key_in_use' }));
    expect(() => retireIdKey(schedule, 9, now)).toThrow(expect.objectContaining({ code: 'id_key_unknown' }));
  });

  test('is kept as text and read back; other text is refused', () => {
    expect(readIdKeys(spellIdKeys(schedule)).map((key) => ({ ...key, key: Buffer.from(key.key) }))).toEqual(
      schedule.map((key) => ({ ...key, key: Buffer.from(key.key) })),
    );
    for (const text of [
      '',
      '!',
      '{',
      '{}',
      '{"keys":[{}]}',
      '{"keys":[{"version":1,"key":"AAAA","usedFromMs":"0","acceptedUntilMs":null}]}',
    ])
      expect(() => idRingAt(readIdKeys(text), 0), text).toThrow();
    expect(() => idRingAt([], 0)).toThrow(expect.objectContaining({ code: 'id_keys_broken' }));
  });

  test('is seen by whoever holds the ring', () => {
    let nowMs = 100;
    const live = liveIdKeys(() => idRingAt(schedule, nowMs));
    const before = formatId('eng', context, uuid, live);
    nowMs += PREPARE;
    expect(formatId('eng', context, uuid, live)).not.toBe(before);
    expect(parseId('eng', before, context, live)).toMatchObject({ ok: true, keyVersion: 1 });
  });
});
