import { describe, expect, it } from 'vitest';
import { detect, RULES, type LogEvent } from './rules.ts';

const event = (change: Partial<LogEvent> = {}): LogEvent => ({
  position: 1n,
  entryId: 'e1',
  tenantId: 't1',
  tenantKind: 'sample',
  type: 'tenant.attempt.refused',
  outcome: 'denied',
  occurred_ms: 1,
  requestId: 'r1',
  actor: 'person:p1',
  facts: {},
  ...change,
});

describe('the detections', () => {
  it('raise an attempt across tenants, a name that was not minted, a copied passkey and a misused approval', () => {
    const types = ['tenant.attempt.refused', 'audit.mint.mismatch', 'passkey.clone-suspected', 'step-up.refused'];
    expect(types.map((type) => detect(event({ type })).map((alert) => alert.severity))).toEqual([
      ['high'],
      ['critical'],
      ['critical'],
      ['high'],
    ]);
    expect(detect(event({ type: 'engagement.created' }))).toEqual([]);
  });

  it('D3: raise a canary’s events as anybody’s, each alone', () => {
    const [one, other] = ['e1', 'e2'].map((entryId) => detect(event({ entryId, tenantKind: 'canary' }))[0]!);
    expect(one!.canary).toBe(true);
    expect(one!.collapseKey).not.toBe(other!.collapseKey);
  });

  it('fold the same rule, tenant and actor into one page, and nothing else', () => {
    const key = (change: Partial<LogEvent>): string => detect(event(change))[0]!.collapseKey;
    expect(key({ entryId: 'e2' })).toBe(key({}));
    expect(key({ actor: 'person:p2' })).not.toBe(key({}));
    expect(key({ tenantId: 't2' })).not.toBe(key({}));
    expect(key({ type: 'step-up.refused' })).not.toBe(key({}));
  });

  it('each name the ATT&CK technique they are for', () => {
    expect(RULES.filter((rule) => rule.techniques.length === 0)).toEqual([]);
  });
});
