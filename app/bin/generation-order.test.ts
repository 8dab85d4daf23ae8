import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leaveGenerationOrder, readGenerationOrder, takeGenerationOrder } from './generation-order.ts';

const TENANT = '0b9c4a52-6d1e-4c55-9d1f-0f2f5f0f7a11';

describe('an order for a new generation', () => {
  let state: string;
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'ax-order-'));
  });
  afterEach(() => rmSync(state, { recursive: true, force: true }));

  it('is left for the next start and carried out once', () => {
    expect(() => leaveGenerationOrder(state, { reason: 'x' })).toThrow(
      expect.objectContaining({ code: 'house_missing' }),
    );
    mkdirSync(join(state, 'ledger'));
    expect(takeGenerationOrder(join(state, 'ledger'))).toBeUndefined();
    leaveGenerationOrder(state, { reason: 'put back', tenant: TENANT });
    expect(existsSync(join(state, 'ledger/new-generation.json'))).toBe(true);
    expect(takeGenerationOrder(join(state, 'ledger'))).toEqual({ reason: 'put back', tenantId: TENANT });
    expect(takeGenerationOrder(join(state, 'ledger'))).toBeUndefined();
  });

  it('is refused without a reason that can stand in a log, and with a tenant that is none', () => {
    for (const bad of [null, {}, { reason: 1 }, { reason: 'x', tenant: 'one' }, { reason: 'x', tenant: 1 }])
      expect(() => readGenerationOrder(bad)).toThrow(expect.objectContaining({ code: 'bad_order' }));
    for (const reason of ['', 'a\nb', 'x'.repeat(201)])
      expect(() => readGenerationOrder({ reason })).toThrow(expect.objectContaining({ code: 'audit_input_invalid' }));
    expect(readGenerationOrder({ reason: 'x', tenant: null })).toEqual({ reason: 'x', isNewKey: false });
  });
});
