import { describe, expect, it } from 'vitest';
import { ATTEMPT_REFUSED, ATTEMPTS_COUNTED, REFUSALS, type RefusalCode } from '../../platform/audit/index.ts';
import { detect, RULES, type LogEvent } from './rules.ts';

const event = (change: Partial<LogEvent> = {}): LogEvent => ({
  position: 1n,
  index: 0n,
  entryId: 'e1',
  tenantId: 't1',
  tenantKind: 'sample',
  type: 'tenant.attempt.refused',
  outcome: 'denied',
  occurred_ms: 1,
  requestId: 'r1',
  sessionId: undefined,
  actor: 'person:p1',
  facts: {},
  ...change,
});

const attempt = (code: RefusalCode, facts: LogEvent['facts'] = {}): LogEvent => {
  const type = REFUSALS[code].written === 'counted' ? ATTEMPTS_COUNTED : ATTEMPT_REFUSED;
  return event({ type, facts: { code, ...facts } });
};

describe('the detections', () => {
  it('raise each way to be refused under a name of its own, the inner walls louder than the outer', () => {
    for (const code of Object.keys(REFUSALS) as RefusalCode[]) {
      const alerts = detect(attempt(code, { count: 100_000 }));
      expect(alerts.map((alert) => alert.detection)).toEqual([code]);
    }
    const severity = (code: RefusalCode): string => detect(attempt(code, { count: 100_000 }))[0]!.severity;
    expect(severity('gateway.id-foreign')).toBe('high');
    expect(
      ['parser.id-foreign', 'guard.parameter', 'tripwire.row', 'grant.refused', 'role.other-tenant'].map((code) =>
        severity(code as RefusalCode),
      ),
    ).toEqual(Array(5).fill('critical'));
    expect(severity('row.withheld')).toBe('low');
  });

  it('leave noise alone until there is enough of it', () => {
    expect(detect(attempt('edge.session-missing', { count: 499 }))).toEqual([]);
    expect(detect(attempt('edge.session-missing', { count: 500 }))[0]!.times).toBe(500);
    expect(detect(attempt('peer.wrong', { count: 1 }))[0]!.severity).toBe('critical');
  });

  it('still know entries that name a wall and no code', () => {
    expect(detect(event({ facts: { layer: 'tripwire' } })).map((alert) => alert.detection)).toEqual(['tripwire.row']);
    expect(detect(event({})).map((alert) => alert.detection)).toEqual(['gateway.id-foreign']);
  });

  it('raise a log that begins anew or changes its key: one page for all logs that one order concerns', () => {
    const orders = ['log.generation.opened', 'log.key.rotated'].map((type) =>
      ['t1', 't2'].map((tenantId) => detect(event({ type, tenantId, actor: 'service:ledger' }))),
    );
    expect(orders.map(([one]) => one!.map(({ severity }) => severity))).toEqual([['critical'], ['high']]);
    for (const [one, other] of orders) expect(one![0]!.collapseKey).toBe(other![0]!.collapseKey);
    expect(orders[0]![0]![0]!.collapseKey).not.toBe(orders[1]![0]![0]!.collapseKey);
    const elsewhere = detect(event({ type: 'audit.cell.silent', tenantId: 't2' }))[0]!;
    expect(elsewhere.collapseKey).not.toBe(detect(event({ type: 'audit.cell.silent' }))[0]!.collapseKey);
  });

  it('raise a name that was not minted, a silent log, a copied passkey, a list at odds with Cedar and an ended session', () => {
    const ended = event({ type: 'session.closed', facts: { reason: 'attempts' } });
    const loud = ['audit.mint.mismatch', 'audit.cell.silent', 'passkey.clone-suspected', 'access.decision-differed'];
    const types = loud.map((type) => event({ type }));
    expect([...types, ended].flatMap((one) => detect(one).map((alert) => alert.severity))).toEqual([
      'critical',
      'critical',
      'critical',
      'critical',
      'high',
    ]);
    expect(detect(event({ type: 'engagement.created' }))).toEqual([]);
    expect(detect(event({ type: 'session.closed', facts: { reason: 'sign-out' } }))).toEqual([]);
    const keys = ['key.withdrawn', 'key.foreign-refused', 'key.restored'].map((type) => detect(event({ type })));
    expect(keys.map((alerts) => alerts.map((alert) => alert.severity))).toEqual([['high'], ['critical'], []]);
  });

  it('D3: raise a canary’s events as anybody’s, each alone', () => {
    const [one, other] = ['e1', 'e2'].map((entryId) => detect(event({ entryId, tenantKind: 'canary' }))[0]!);
    expect(one!.canary).toBe(true);
    expect(one!.collapseKey).not.toBe(other!.collapseKey);
  });

  it('D3: take the sentinel’s own knocks for an exercise, and nobody else’s', () => {
    const knock = (source: string) => detect(attempt('peer.wrong', { service: 'keys', source }))[0]!.canary;
    expect([knock('sentinel'), knock('gateway'), knock('nobody')]).toEqual([true, false, false]);
    // Only counted knocks: a person cannot name themselves the sentinel.
    expect(detect(event({ facts: { code: 'guard.parameter', source: 'sentinel' } }))[0]!.canary).toBe(false);
  });

  it('breaking the glass is a page at once, asked or done', () => {
    for (const type of ['production-access.glass-asked', 'production-access.glass-broken'])
      expect(detect(event({ type, outcome: 'allowed' }))).toMatchObject([
        { detection: 'access.break-glass', severity: 'critical' },
      ]);
    expect(detect(event({ type: 'production-access.granted', outcome: 'allowed' }))).toEqual([]);
  });

  it('tell whoever is on call that an operator waits to be let in, and nobody when none waits', () => {
    const asked = (state: string) => detect(event({ type: 'production-access.asked', facts: { state } }));
    expect(asked('waiting')).toMatchObject([{ detection: 'access.waits-for-operator', severity: 'low' }]);
    expect(asked('vouched')).toEqual([]);
  });

  it('fold one tenant’s one person at one layer into one page, and nothing else', () => {
    const key = (change: Partial<LogEvent>): string => detect(event(change))[0]!.collapseKey;
    expect(key({ entryId: 'e2' })).toBe(key({}));
    expect(key({ facts: { code: 'gateway.id-forged' } })).toBe(key({}));
    expect(key({ facts: { code: 'parser.id-foreign' } })).not.toBe(key({}));
    expect(key({ actor: 'person:p2' })).not.toBe(key({}));
    expect(key({ tenantId: 't2' })).not.toBe(key({}));
    expect(key({ type: 'passkey.clone-suspected' })).not.toBe(key({}));
    // A sum is told by a process, and is still that person's.
    expect(key({ actor: 'service:workspace', facts: { person: 'p1', count: 970 } })).toBe(key({}));
  });

  it('each name the ATT&CK technique they are for', () => {
    expect(RULES.filter((rule) => rule.techniques.length === 0)).toEqual([]);
    expect(new Set(RULES.map((rule) => rule.id)).size).toBe(RULES.length);
  });
});
